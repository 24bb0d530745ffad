//! What does each head attend to: the attention weights of a forward pass, and statistics of them.

mod maps;
mod statistics;

pub use maps::{AttentionMaps, LayerMaps};
pub(crate) use maps::{Group, patch_distances, target_score};
pub use statistics::{DistanceConvention, HeadStatistics, LayerStatistics, attention_statistics};
