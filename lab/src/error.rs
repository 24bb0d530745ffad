//! Why a question has no answer, each as one sentence with its remedy.

use std::io;
use std::path::PathBuf;

use archaeo_analysis::AnalysisError;
use archaeo_analysis::statistics::StatisticsError;
use archaeo_data::DataError;
use archaeo_experiments::investigation::InvestigationError;
use archaeo_experiments::report::ReportError;
use archaeo_experiments::scene::StudyError;
use archaeo_models::clip::PromptError;
use archaeo_models::{SpecError, TooLarge, WeightsError};
use archaeo_plot::PlotError;
use archaeo_store::StoreError;
use archaeo_store::arrays::ExportError;
use archaeo_store::run_folder::RunFolderError;
use archaeo_training::finite::NotFinite;
use archaeo_training::{RecipeError, TrainError, TransferError};
use thiserror::Error;

use crate::delivery::DeliveryError;
use crate::device::DeviceError;
#[cfg(feature = "hub")]
use crate::hub::HubError;
#[cfg(feature = "cloud")]
use crate::remote::RemoteError;
use crate::scale::{ShardChoiceError, SubmitError};

/// A question that has no answer. [`Display`](std::fmt::Display) is the whole sentence.
#[derive(Debug, Error)]
pub enum LabError {
    /// Another number of threads than that which computes already.
    #[error(
        "{running} threads compute in this process already, and their number stays; ask for {running}, not {asked}"
    )]
    Threads {
        /// What was asked for.
        asked: usize,
        /// What there is.
        running: usize,
    },
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// What trackers wrote for another program does not get there.
    #[error("{folder}: nothing more is delivered: {error}; `archaeo track` goes on from there", folder = folder.display())]
    Delivery {
        /// The run folder.
        folder: PathBuf,
        /// Why.
        error: DeliveryError,
    },
    /// A name on the hub.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A name on the hub, where none is known.
    #[cfg(not(feature = "hub"))]
    #[error(
        "{0} is on the Hugging Face hub, and this program was built without the feature `hub` that downloads from there; build it with \
         `cargo build --release -p archaeo --features hub`, or give the path of a checkpoint"
    )]
    NoHub(PathBuf),
    /// Data in a bucket or on a web server.
    #[cfg(feature = "cloud")]
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The same, where no network is known.
    #[cfg(not(feature = "cloud"))]
    #[error(
        "{0} is not on this machine, and this program was built without the feature `cloud` that fetches data; build it with \
         `cargo build --release -p archaeo --features cloud`, or give a path"
    )]
    NoCloud(String),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The checkpoint.
    #[error(transparent)]
    Weights(Box<WeightsError>),
    /// Sizes of a model that do not fit together, or a name that is not known.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A file that cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Arrays and tables that cannot be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A recipe or a configuration.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A run folder.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// A training.
    #[error(transparent)]
    Train(Box<TrainError>),
    /// The weights that a training starts from.
    #[error(transparent)]
    Transfer(Box<TransferError>),
    /// A question that does not suit the model.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// Too little, or nothing finite, to compute with.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// A study.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// An investigation.
    #[error(transparent)]
    Investigation(Box<InvestigationError>),
    /// A study that there is not.
    #[error("there is no study `{0}`; `archaeo study` lists them")]
    UnknownStudy(String),
    /// A shard that cannot be told.
    #[error(transparent)]
    Shard(#[from] ShardChoiceError),
    /// A submission that is not made.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// What an investigation tells.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Answers that are not finite.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// A departure from a paper that is not known.
    #[error("there is no departure `{id}`; there are {}", known.join(", "))]
    Departure {
        /// What was asked for.
        id: String,
        /// Those that there are.
        known: Vec<&'static str>,
    },
    /// Two checkpoints whose attention cannot be compared; the sentence says why.
    #[error("{0}")]
    Against(String),
    /// A small file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },

    /// No folder for what is to be written.
    #[error("cannot write {}: there is no folder {}; create it first", file.display(), folder.display())]
    NoFolder {
        /// What is to be written.
        file: PathBuf,
        /// Where.
        folder: PathBuf,
    },
    /// A result that would replace what it is made of.
    #[error(
        "{} would be written over what this command reads from {}; name another file to write to",
        file.display(),
        input.display()
    )]
    Overwrites {
        /// What is to be written.
        file: PathBuf,
        /// What is read.
        input: PathBuf,
    },

    /// Data that nobody named, for a model of other classes.
    #[error(
        "{} was not trained on Sherds, which are the data when none are given; say which images to use with --data SOURCE",
        .0.display()
    )]
    NotOfSherds(PathBuf),
    /// A benchmark on images that cannot be drawn again.
    #[error(
        "{0} cannot be drawn again with one thing changed; benchmark on sherds, or sherds:size=64 and the like"
    )]
    NotDrawn(String),
    /// A model that does not know the shapes.
    #[error(
        "{} classifies {:.0} % of {n} images of Sherds correctly, no better than chance: what its explanations say of its answers would mean \
         nothing; give a model that was trained on Sherds",
        weights.display(),
        100.0 * accuracy
    )]
    NoBetterThanChance {
        /// Which checkpoint.
        weights: PathBuf,
        /// Share of images.
        accuracy: f64,
        /// Images.
        n: usize,
    },
    /// No image is left.
    #[error("no image of {0} is left to ask about; correct the class map")]
    NoImage(String),
    /// A batch that does not fit into memory.
    #[error("a batch of images of {side} px {reason}; lower --batch-size")]
    Batch {
        /// Side of the images.
        side: usize,
        /// What is needed, and what there is.
        reason: TooLarge,
    },

    /// A list of names without one.
    #[error("{} names no class; write one name a line", .0.display())]
    NoName(PathBuf),
    /// A list of names of another length.
    #[error(
        "{} names {names} classes, but {} has {count} outputs; write one name a line, in the order of the outputs",
        path.display(),
        weights.display()
    )]
    OtherNames {
        /// Which list.
        path: PathBuf,
        /// Its names.
        names: usize,
        /// Which checkpoint.
        weights: PathBuf,
        /// Its outputs.
        count: usize,
    },
    /// A class map with mistakes, or classes that cannot be matched.
    #[error("{0}")]
    Classes(String),
    /// The same, where the logits were written.
    #[error("{} holds the logits, but nothing was scored: {sentence}", export.display())]
    Unscored {
        /// Where the logits are.
        export: PathBuf,
        /// What cannot be matched.
        sentence: String,
    },

    /// A randomly initialised head.
    #[error(
        "--replace-head: a randomly initialised head predicts at random, so there is nothing to score; give the checkpoint that was \
         trained on these classes, or, for part of its classes or for others of the same kind, --class-map FILE (`archaeo attention` \
         needs no head)"
    )]
    ReplacedHead,
    /// A head with randomly initialised arrays.
    #[error(
        "--allow-missing {0}: a randomly initialised head predicts at random, so there is nothing to score; give a checkpoint with its \
         head (`archaeo attention` needs none)"
    )]
    MissingHead(String),
    /// A model without a head.
    #[error(
        "{} has no head: it gives features, not answers; give the checkpoint of a classifier (`archaeo attention` needs no head)",
        .0.display()
    )]
    NoHead(PathBuf),
    /// A model without attention.
    #[error("{} holds {model}, which has no attention heads; give a vision transformer", weights.display())]
    NoAttention {
        /// Which checkpoint.
        weights: PathBuf,
        /// Its model.
        model: String,
    },
    /// A residual network that is asked about heads.
    #[error(
        "{} holds {model}, which has no attention heads; --layers asks about its blocks, or give a vision transformer",
        weights.display()
    )]
    OnlyBlocks {
        /// Which checkpoint.
        weights: PathBuf,
        /// Its model.
        model: String,
    },
    /// A choice of where heads are taken away from a model for which it makes no difference.
    #[error(
        "the heads of {model} do not read one another, so that taking away a head's output takes away what it contributes; leave out \
         --removal"
    )]
    ParallelHeads {
        /// The model.
        model: String,
    },
    /// A model of which no array shows what published ones have otherwise.
    #[error("{} {doubt}", weights.display())]
    Undecided {
        /// Which checkpoint.
        weights: PathBuf,
        /// The end of the sentence.
        doubt: String,
    },
    /// The same, where it answers nothing either way.
    #[error(
        "{} gives answers that are not finite; the training that wrote it diverged, take an earlier checkpoint",
        .0.display()
    )]
    Diverged(PathBuf),

    /// CLIP without prompts.
    #[error(
        "{} holds {model}, whose classes are what prompts say; give them with --prompts, such as a file or cifar",
        weights.display()
    )]
    NoPrompts {
        /// Which checkpoint.
        weights: PathBuf,
        /// Its model.
        model: String,
    },
    /// Prompts for another model.
    #[error(
        "--prompts goes with CLIP, but {0} is none; name one with --model, such as clip_vit_base_patch32"
    )]
    NotClip(String),
    /// A CLIP that is not known.
    #[error("--model: {0}")]
    UnknownClip(SpecError),
    /// Classes that no prompt can name.
    #[error(
        "the data's classes are called by WordNet identifiers ({0}), which no prompt can be made of; name them with \
         --class-names FILE"
    )]
    Unspeakable(String),
    /// Prompts without classes to put into them.
    #[error("--prompts needs the classes that are to be told apart; name them with --class-names FILE")]
    NoClasses,
    /// Templates with mistakes.
    #[error("{prompts} {reason}")]
    Prompts {
        /// Which file.
        prompts: String,
        /// What is wrong.
        reason: PromptError,
    },

    /// A share that is none.
    #[error("--discard must be at least 0 and below 1")]
    Discard,
    /// A rollout that begins at a layer that the model does not have.
    #[error("--start-layer {number}: {model} {}", layers(*count))]
    StartLayer {
        /// What was asked for.
        number: usize,
        /// Name of the model.
        model: String,
        /// How many there are.
        count: usize,
    },
    /// A head that the model does not have.
    #[error("--only {head}: {model} {}", heads(.of_layer, *count))]
    Head {
        /// What was asked for: layer and head, from 1.
        head: String,
        /// Which model.
        model: String,
        /// Number of the layer and of its heads, where there is such a layer.
        of_layer: Option<[usize; 2]>,
        /// The model's layers.
        count: usize,
    },
    /// More heads that are asked about together than there are.
    #[error("--pairs: a pair takes two heads, and {heads} {} asked about", if *heads == 1 { "is" } else { "are" })]
    Pairs {
        /// How many there are.
        heads: usize,
    },
    /// A layer that the model does not have.
    #[error("--layer {number}: {model} {}", layers(*count))]
    Layer {
        /// What was asked for.
        number: usize,
        /// Which model.
        model: String,
        /// Its layers.
        count: usize,
    },
    /// A method that is not known, or does not apply to the model.
    #[error("--method {id}: {reason}")]
    Method {
        /// Its name.
        id: String,
        /// Why not.
        reason: String,
    },
    /// One of several methods that is not known, or does not apply to the model.
    #[error("--methods {id}: {reason}")]
    Methods {
        /// Its name.
        id: String,
        /// Why not.
        reason: String,
    },
    /// None of all methods applies to the model.
    #[error("no method explains {0}; give a vision transformer, or a classifier")]
    NoMethod(String),
    /// A class that the model does not have, or has several times.
    #[error("--target {class}: {reason}")]
    Target {
        /// What was asked for.
        class: String,
        /// What is wrong with it, and what there is.
        reason: String,
    },
    /// Arrays that do not fit into memory.
    #[error(
        "the arrays of {images} images {reason}; lower --limit, name fewer --methods, or leave out --export"
    )]
    Arrays {
        /// Images.
        images: usize,
        /// What is needed, and what there is.
        reason: TooLarge,
    },
    /// A folder for pictures that holds something else.
    #[error(
        "{} is there already and holds no explanations of this program; give --out a new or an empty folder",
        .0.display()
    )]
    OtherFolder(PathBuf),
    /// The same of adversarial images.
    #[error(
        "{} is there already and holds no adversarial images of this program; give --save a new or an empty folder",
        .0.display()
    )]
    OtherAttacks(PathBuf),
    /// The same of features.
    #[error(
        "{} is there already and holds no features of this program; give --out a new or an empty folder",
        .0.display()
    )]
    OtherFeatures(PathBuf),
    /// The same of scores of prompts.
    #[error(
        "{} is there already and holds no scores of prompts of this program; give --out a new or an empty folder",
        .0.display()
    )]
    OtherPrompts(PathBuf),
    /// Images from which nothing can be learned; the sentence says why.
    #[error("{0}; raise --training or --limit, or take other images")]
    TooFewToLearn(String),
    /// A picture that cannot be drawn or written.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The listener asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Too few passes for an interval.
    #[error("--rounds {rounds} is too few for the interval of a median; give {needed} or more")]
    TooFewRounds {
        /// Passes asked for.
        rounds: usize,
        /// The fewest.
        needed: usize,
    },
    /// A model that cannot be timed at its own size of image.
    #[error("{model} cannot be timed: {reason}")]
    NotProfiled {
        /// The model.
        model: String,
        /// Why not.
        reason: String,
    },
    /// An attack that is not known.
    #[error("--attack {id}: there is no such attack; there are {}", known.join(", "))]
    Attack {
        /// Its name.
        id: String,
        /// Those that there are.
        known: Vec<&'static str>,
    },
    /// Images without room for damage.
    #[error("{model} takes images of fewer than {smallest} pixels a side, which leave no room for damage")]
    TooSmallToDamage {
        /// The model.
        model: String,
        /// Shortest side.
        smallest: usize,
    },
    /// The doctor at no size or at several.
    #[error(
        "--epsilon: the doctor attacks with one size above 0, and there are {found}; name one, such as --epsilon 8"
    )]
    DoctorSizes {
        /// How many there are.
        found: usize,
    },
    /// Something that a question with an attack does not have.
    #[error("--attack {asked} does not take {option}; it takes {}", takes.join(", "))]
    AttackOption {
        /// The question.
        asked: String,
        /// The option.
        option: &'static str,
        /// What it takes.
        takes: Vec<&'static str>,
    },
    /// Sizes without what they are measured in.
    #[error("--epsilon is in the unit of a norm: give --norm too")]
    SizesOfNoNorm,
    /// A comparison of fewer than two models.
    #[error("there is one model, and it takes two or more: give --add NAME=WEIGHTS")]
    FewModels,
    /// Two models of one name.
    #[error("two models are called {name}: give another name with --add NAME=WEIGHTS")]
    SameName {
        /// The name.
        name: String,
    },
    /// Models that cannot be shown the same images.
    #[error(
        "{first} and {other} do not take the same images in the same way: they need images of one size, resized and cropped alike, and the \
         same classes; see `archaeo attack --image-size`, `--crop` and `--interpolation`"
    )]
    NotAlike {
        /// The first model.
        first: String,
        /// The other.
        other: String,
    },
    /// The smallest perturbations of one model, shown to another.
    #[error(
        "--add: {attack} looks for the smallest perturbation, which lies on the boundary of its own model; take an attack of a given size"
    )]
    TransferOfSmallest {
        /// The attack's title.
        attack: &'static str,
    },
    /// SAGA of other than a transformer and another model.
    #[error("--attack saga makes one image for two models, of which one has attention heads, and {}; give --weights and one --add NAME=WEIGHTS", found_models(*found))]
    SagaModels {
        /// How many there are.
        found: usize,
    },
    /// Something that an attack does not have.
    #[error(transparent)]
    Unavailable(#[from] archaeo_analysis::attacks::Unavailable),
    /// An attack's earlier name, which stood for one norm, in another.
    #[error("--attack {id} --norm {norm}: write --attack {now} --norm {norm}")]
    NormOfEarlierId {
        /// The earlier name.
        id: String,
        /// Its name now.
        now: &'static str,
        /// The norm that was asked for.
        norm: &'static str,
    },
    /// A target of an attack that has none.
    #[error("--target: {attack} leads images away from their class, not to another")]
    Untargeted {
        /// The attack's title.
        attack: &'static str,
    },
    /// An entry of RobustBench of no size, or of several.
    #[error("--robustbench-json: an entry is of one size, and {given} are given; give one --epsilon")]
    RobustBenchSize {
        /// How many there are.
        given: usize,
    },
    /// A target that is no class.
    #[error(
        "--target {name}: there is no such class; it is the name or the number (from 0) of one of the model's {classes}"
    )]
    AttackTarget {
        /// What was written.
        name: String,
        /// How many classes there are.
        classes: usize,
    },
    /// A target that is the class of every image.
    #[error("{}: all images are of the target's class, so there is nothing to attack", weights.display())]
    OnlyTheTarget {
        /// The model.
        weights: PathBuf,
    },
    /// A model with one output, or none.
    #[error("{model} has fewer than two classes, so that no answer can be changed")]
    OneClass {
        /// Name of the model.
        model: String,
    },
    /// A folder without charts.
    #[error("{} has no figures; give the folder that `archaeo excavate` wrote", .0.display())]
    NoFigures(PathBuf),
    /// A figure that is not there.
    #[error("there is no figure {name:?}; there are {known}")]
    Figure {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A PDF without the program that sets it.
    #[error(
        "a PDF is set by the program `typst`, which is not on the PATH; install it (https://typst.app/open-source), build archaeo with the \
         feature `pdf`, or set {} with another Typst",
        .0.display()
    )]
    NoTypst(PathBuf),
    /// A PDF that Typst does not set.
    #[error("typst cannot set {}: {said}", file.display())]
    Typst {
        /// What it was to set.
        file: PathBuf,
        /// What it says.
        said: String,
    },
    /// A folder that no investigation was written to.
    #[error("{} holds no investigation that can be read; give the folder that `archaeo excavate` wrote", .0.display())]
    NoInvestigation(PathBuf),
    /// A path that a model card cannot be written of.
    #[error(
        "{} holds neither an investigation nor a finished training; give the folder that `archaeo excavate` or `archaeo train` wrote",
        .0.display()
    )]
    NoCard(PathBuf),
    /// A file that a model card must not replace.
    #[error("{} is there and no model card of archaeo; move it, or give --out another folder", .0.display())]
    NotACard(PathBuf),
    /// A model that an investigation does not have.
    #[error("the investigation has no model {name:?}; it has {known}")]
    NoSuchModel {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A lab without a model.
    #[error(
        "there is no model to look at; give --weights FILE, or --run with the folder of an investigation"
    )]
    NothingOnTheTable,
    /// A file of the bundled models that cannot be unpacked.
    #[error("{}: the bundled models cannot be unpacked there: {source}; set TMPDIR to a folder that can be written", file.display())]
    Unpack {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A lesson that there is not.
    #[error("there is no lesson {0}; they are numbered from 1 to 8, and `archaeo lesson --list` lists them")]
    NoLesson(usize),
    /// A folder of answers that is not there.
    #[error(
        "{} is not a folder; give the folder with your answers: `archaeo lesson {number} --out DIR` makes DIR/answers",
        folder.display()
    )]
    NoAnswers {
        /// The folder.
        folder: PathBuf,
        /// The lesson.
        number: usize,
    },
    /// A size that is none.
    #[error("--epsilon {text}: {reason}")]
    Epsilon {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Large errors are boxed, so that a result is not larger for them.
macro_rules! boxed {
    ($($variant:ident($error:ident)),*) => {$(
        impl From<$error> for LabError {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        }
    )*};
}

boxed!(Weights(WeightsError), Train(TrainError), Transfer(TransferError), Investigation(InvestigationError));

fn heads(of_layer: &Option<[usize; 2]>, count: usize) -> String {
    match of_layer {
        Some([layer, 1]) => format!("has 1 head in layer {layer}"),
        Some([layer, heads]) => format!("has {heads} heads in layer {layer}, numbered from 1 to {heads}"),
        None => layers(count),
    }
}

impl LabError {
    /// A study that failed; one that was interrupted has only stopped.
    pub(crate) fn of_study(error: StudyError) -> Self {
        match error {
            StudyError::Interrupted => Self::Interrupted,
            other => other.into(),
        }
    }
}

fn layers(count: usize) -> String {
    match count {
        1 => "has 1 layer".into(),
        _ => format!("has {count} layers, numbered from 1 to {count}"),
    }
}

fn found_models(count: usize) -> String {
    match count {
        1 => "there is one".into(),
        2 => "neither has".into(),
        count => format!("there are {count}"),
    }
}
