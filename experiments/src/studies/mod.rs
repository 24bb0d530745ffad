//! The studies of an investigation, one folder each: the question (`mod.rs`), what is found (`findings.rs`), and the chapter that
//! says so (`chapter.rs`, `claims.rs`).

mod accuracy;
mod atlas;
mod attacks;
mod attention;
mod autopsy;
pub mod causal;
mod comparisons;
mod corruptions;
mod doctor;
mod errors;
pub(crate) mod explained;
mod faithfulness;
pub mod features;
mod frequency;
mod heads;
mod localisation;
#[cfg(test)]
pub(crate) mod made_up;
mod patching;
pub(crate) mod pictures;
mod regimes;
mod seeds;
mod shape_bias;
#[cfg(test)]
mod table_models;
mod trust;
mod worst_case;

use crate::study::{AnyStudy, study};

pub use accuracy::{AccuracyStudy, model_scores};
pub use atlas::{AtlasOptions, AtlasStudy};
pub use attacks::AttacksStudy;
pub use attacks::comparison::{adjust as adjust_paired, paired as paired_shares};
pub use attention::AttentionStudy;
pub use autopsy::{AutopsyOptions, AutopsyStudy};
pub use causal::{CausalOptions, CausalStudy};
pub use comparisons::{ComparisonsOptions, ComparisonsStudy};
pub use corruptions::{CorruptionsOptions, CorruptionsStudy, Damage, corruption_pair, corruption_scores};
pub use doctor::{DoctorOptions, DoctorStudy, adjust_transfers, transferred};
pub use errors::{ErrorsOptions, ErrorsStudy};
pub use faithfulness::{FaithfulnessOptions, FaithfulnessStudy};
pub use features::{FeaturesOptions, FeaturesStudy};
pub use frequency::{FrequencyOptions, FrequencyStudy};
pub use heads::{HeadsOptions, HeadsStudy};
pub use localisation::LocalisationStudy;
pub use patching::{PatchingOptions, PatchingStudy};
pub use regimes::{RegimesOptions, RegimesStudy};
pub use seeds::SeedsStudy;
pub use shape_bias::ShapeBiasStudy;
pub use trust::{TrustStudy, headlines};
pub use worst_case::{WorstCaseOptions, WorstCaseStudy};

/// Every study, in the order in which they run and are told.
pub const STUDIES: &[&dyn AnyStudy] = &[
    study::<TrustStudy>(),
    study::<AccuracyStudy>(),
    study::<SeedsStudy>(),
    study::<RegimesStudy>(),
    study::<AttentionStudy>(),
    study::<AtlasStudy>(),
    study::<FeaturesStudy>(),
    study::<ComparisonsStudy>(),
    study::<HeadsStudy>(),
    study::<PatchingStudy>(),
    study::<AttacksStudy>(),
    study::<WorstCaseStudy>(),
    study::<DoctorStudy>(),
    study::<AutopsyStudy>(),
    study::<FrequencyStudy>(),
    study::<CorruptionsStudy>(),
    study::<ErrorsStudy>(),
    study::<FaithfulnessStudy>(),
    study::<LocalisationStudy>(),
    study::<CausalStudy>(),
    study::<ShapeBiasStudy>(),
];

/// What the studies find.
pub mod findings {
    pub use super::accuracy::findings::*;
    pub use super::atlas::findings::*;
    pub use super::attacks::findings::*;
    pub use super::attention::findings::*;
    pub use super::autopsy::findings::*;
    pub use super::causal::findings::*;
    pub use super::comparisons::findings::*;
    pub use super::corruptions::findings::*;
    pub use super::doctor::findings::*;
    pub use super::errors::findings::*;
    pub use super::faithfulness::findings::*;
    pub use super::features::findings::*;
    pub use super::frequency::findings::*;
    pub use super::heads::findings::*;
    pub use super::localisation::findings::*;
    pub use super::patching::findings::*;
    pub use super::regimes::findings::*;
    pub use super::seeds::findings::*;
    pub use super::shape_bias::findings::*;
    pub use super::trust::findings::*;
    pub use super::worst_case::findings::*;
}
