//! A session: data and models are opened, and every question about them is asked, through one object that the command line, a
//! server and Python share.
//!
//! A [`Session`] is what stays the same from question to question: device, precision, threads, seed, whether there is a network,
//! and a [`Listener`] that hears what is decided and how far work has come. It opens data ([`Session::open_data`]), models
//! ([`Session::open_model`]) or both ([`Session::open`]), and a question is a method that takes what was opened and gives plain
//! data which serialises: [`Session::evaluate`], [`Session::attention`], [`Session::explain`], [`Session::attack`], [`Session::doctor`], [`Session::corrupt`],
//! [`Session::ablate`],
//! [`Session::audit`], [`Session::benchmark`], [`Session::profile`], [`Session::features`], [`Session::prompts`],
//! [`Session::excavate`], [`Session::train`], [`Session::track`], [`Session::export_model`], [`Session::describe_model`]. [`Session::live`] keeps models open for
//! questions about one image at a time ([`live`]).
//!
//! Nothing here prints, parses a command line or serves a request. Errors are [`LabError`]: one sentence, with the file and the
//! remedy; remedies name the options of the command line.

mod ablate;
mod attack;
mod attention;
mod audit;
mod benchmark;
mod checkpoint;
mod classes;
mod compare;
mod corrupt;
mod data;
mod delivery;
mod describe;
mod destination;
mod device;
mod doctor;
mod error;
mod evaluate;
mod excavate;
mod explain;
mod export;
mod features;
mod figures;
#[cfg(feature = "hub")]
mod hub;
mod kept;
mod listener;
pub mod live;
mod opened;
mod profile;
mod prompts;
mod reference;
mod rollout;
mod session;
mod subject;
mod track;
mod train;
mod transfer;
mod trust;
mod zero_shot;

pub use ablate::{Ablated, AblationOptions};
pub use archaeo_experiments::profile::{ModelCost, Profile, SizeCost};
pub use archaeo_experiments::regimes::{Init, Regimes};
pub use attack::{
    AttackOptions, Attacked, Fooled, MINIMAL, Minimal, MinimalNorm, MinimalOptions, Point, PooledAttack,
    RobustBench,
};
pub use attention::{
    AgainstOptions, ArtefactsFound, Attended, AttentionChange, AttentionOptions, AttentionStrata, ByHead,
    ClassStatistics, ComparedAttention, HeadChange, LayerDiversity, Statistics, StratumAttention,
};
pub use audit::{AuditOptions, Audited, Measurement, Outcome};
pub use benchmark::{Benchmarked, Verdict};
pub use checkpoint::{OpenedModel, Reading, said_by};
pub use classes::ClassesMatched;
pub use compare::Comparison;
pub use corrupt::{Baseline, CorruptOptions, Corrupted};
pub use delivery::{Delivered, DeliveryError};
pub use describe::{KnownModel, ModelDescription, known_models};
pub use destination::{check_destination, check_inputs};
pub use device::DeviceError;
pub use doctor::{DOCTOR, Diagnosed, DoctorOptions};
pub use error::LabError;
pub use evaluate::Evaluated;
pub use excavate::{Excavated, Excavation, NamedModel, ReportFiles};
pub use explain::{
    Answer, Better, Each, Exhibit, ExplainOptions, Explained, ExplainedImage, Faithfulness, HeatmapRange,
    ImageScores, LeftOut, Localisation, LocalisationScore, MethodChoice, MethodScore, Over, Target,
};
pub use export::Exported;
pub use features::{FeaturesFound, FeaturesOptions, ModelOfFeatures};
#[cfg(feature = "hub")]
pub use hub::{HubError, HubSettings};
pub use listener::{Amount, Kept, Kind, Listener, Silent, Unit};
pub use opened::Opened;
pub use profile::ProfileOptions;
pub use prompts::{PromptsScored, TowardsPrompts};
pub use reference::is_reference;
pub use rollout::RolloutChoice;
pub use session::{Session, SessionOptions, Toml};
pub use subject::{ModelSource, Purpose, Subject};
pub use track::Tracked;
pub use train::{SeveralRuns, Training, TrainingEnd, TrainingResult};
pub use trust::Headlines;
