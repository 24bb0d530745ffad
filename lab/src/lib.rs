//! A session: data and models are opened, and every question about them is asked, through one object that the command line, a
//! server and Python share.
//!
//! A [`Session`] is what stays the same from question to question: device, precision, threads, seed, whether there is a network,
//! and a [`Listener`] that hears what is decided and how far work has come. It opens data ([`Session::open_data`]), models
//! ([`Session::open_model`]) or both ([`Session::open`]), and a question is a method that takes what was opened and gives plain
//! data which serialises: [`Session::evaluate`], [`Session::attention`], [`Session::explain`], [`Session::attack`], [`Session::doctor`], [`Session::corrupt`],
//! [`Session::ablate`],
//! [`Session::audit`], [`Session::benchmark`], [`Session::profile`], [`Session::features`], [`Session::prompts`],
//! [`Session::excavate`], [`Session::study`], [`Session::excavate_shard`], [`Session::merge`], [`Session::submit`], [`Session::verify_investigation`], [`Session::train`], [`Session::track`], [`Session::export_model`], [`Session::model_cards`], [`Session::describe_model`]. [`Session::live`] keeps models open for
//! questions about one image at a time ([`live`]), and [`Session::direct`] asks about images that the caller has in memory ([`direct`]).
//!
//! Nothing here prints, parses a command line or serves a request. Errors are [`LabError`]: one sentence, with the file and the
//! remedy; remedies name the options of the command line.

mod ablate;
mod attack;
mod attention;
mod audit;
mod benchmark;
mod card;
mod checkpoint;
mod classes;
mod compare;
mod corrupt;
mod custody;
mod data;
mod delivery;
mod describe;
mod destination;
mod device;
pub mod direct;
mod doctor;
mod error;
mod evaluate;
mod excavate;
mod explain;
mod export;
mod failure;
mod features;
mod figure;
mod figures;
#[cfg(feature = "hub")]
mod hub;
#[cfg(any(feature = "cloud", feature = "hub"))]
mod incomplete;
mod kept;
pub mod lessons;
mod listener;
pub mod live;
mod opened;
mod paper;
mod profile;
mod prompts;
mod reference;
#[cfg(feature = "cloud")]
mod remote;
mod report;
mod rollout;
mod scale;
mod session;
mod stoppable;
mod subject;
mod track;
mod train;
mod transfer;
mod trust;
mod zero_shot;

pub use ablate::{Ablated, AblationOptions};
pub use archaeo_experiments::investigation::RecordedShard;
pub use archaeo_experiments::profile::{ModelCost, Profile, SizeCost};
pub use archaeo_experiments::regimes::{Init, Regimes};
pub use archaeo_experiments::report::Detail;
pub use archaeo_experiments::shard::Shard;
pub use attack::{
    AttackAsked, AttackOptions, AttackQuestion, Attacked, Fooled, MINIMAL, Minimal, MinimalNorm,
    MinimalOptions, Point, PooledAttack, RobustBench, SAGA, SagaFound, SagaOptions, SagaPoint, TransferPoint,
    Transferred,
};
pub use attention::{
    AgainstOptions, ArtefactsFound, Attended, AttentionChange, AttentionOptions, AttentionStrata, ByHead,
    ClassStatistics, ComparedAttention, HeadChange, LayerDiversity, Statistics, StratumAttention,
};
pub use audit::{AuditOptions, Audited, Measurement, Outcome};
pub use benchmark::{Benchmarked, Verdict};
pub use card::{CardOptions, WrittenCard};
pub use checkpoint::{OpenedModel, Reading, said_by};
pub use classes::ClassesMatched;
pub use compare::Comparison;
pub use corrupt::{Baseline, CorruptOptions, Corrupted};
pub use custody::{Check, Part, Verification, VerifyOptions};
pub use delivery::{Delivered, DeliveryError};
pub use describe::{KnownModel, ModelDescription, known_models};
pub use destination::{check_destination, check_inputs};
pub use device::DeviceError;
pub use doctor::{DOCTOR, Diagnosed, DoctorOptions};
pub use error::LabError;
pub use evaluate::Evaluated;
pub use excavate::{Excavated, Excavation, NamedModel};
pub use explain::{
    Answer, Better, Each, Exhibit, ExplainOptions, Explained, ExplainedImage, Faithfulness, Flip, Flips,
    HeatmapRange, ImageScores, LeftOut, Localisation, LocalisationScore, MethodChoice, MethodScore, Over,
    Target,
};
pub use export::Exported;
pub use failure::is_transient;
pub use features::{FeaturesFound, FeaturesOptions, ModelOfFeatures};
pub use figure::{FigureFile, FigureFormat, Length};
#[cfg(feature = "hub")]
pub use hub::{HubError, HubSettings};
pub use listener::{Amount, Kept, Kind, Listener, Silent, Unit};
pub use opened::Opened;
pub use profile::ProfileOptions;
pub use prompts::{PromptsScored, TowardsPrompts};
pub use reference::is_reference;
#[cfg(feature = "cloud")]
pub use remote::{RemoteError, RemoteSettings};
pub use report::{ReportFiles, ReportFormat};
pub use rollout::RolloutChoice;
pub use scale::{
    Engine, KnownStudy, ShardChoice, ShardChoiceError, Submission, SubmitError, Submitted, studies,
};
pub use session::{Session, SessionOptions, Toml};
pub use subject::{ModelSource, Purpose, Subject};
pub use track::Tracked;
pub use train::{SeveralRuns, Training, TrainingEnd, TrainingResult};
pub use trust::Headlines;
