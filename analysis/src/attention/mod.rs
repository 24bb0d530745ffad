//! What does each head attend to: the attention weights of a forward pass, and statistics of them.

mod artefacts;
mod atlas;
mod change;
mod maps;
mod observer;
mod query;
mod statistics;
mod summary;

pub use artefacts::{Artefacts, LayerArtefacts, LayerNorms, Replacement, TokenNorms};
pub use atlas::{
    HeadCriteria, HeadHalf, HeadLabel, HeadOnImage, Measure, PatchContent, heads_on_images, label,
};
pub use change::{AttentionChange, HeadBeforeAfter, HeadChange, head_changes, heads_before_and_after};
pub use maps::{AttentionMaps, LayerMaps};
pub(crate) use maps::{Group, patch_distances, target_score};
pub use observer::{ObservedAttention, ObservedLayer, observe};
pub use query::{QueryLayer, QueryRows, query_attention, query_rows};
pub use statistics::{DistanceConvention, HeadStatistics, LayerStatistics, attention_statistics};
pub use summary::{AttentionSummary, HeadSummary, LayerSummary};

use archaeo_models::Classifier;

use crate::AnalysisError;

fn require_attention(model: &Classifier) -> Result<(), AnalysisError> {
    let refused = || AnalysisError::NoAttention { model: model.card().name.clone() };
    model.has_attention().then_some(()).ok_or_else(refused)
}
