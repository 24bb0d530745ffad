//! What a question is about, before anything of it is opened.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use archaeo_models::PreprocessingChoice;

use crate::checkpoint::Reading;
use crate::error::LabError;

/// A trained model, and what is said of it.
#[derive(Clone, Debug, Default)]
pub struct ModelSource {
    /// Weights: a file, a folder with one, or `hf:OWNER/NAME@REVISION`.
    pub weights: PathBuf,
    /// Model name, if the checkpoint does not tell.
    pub name: Option<String>,
    /// File with the names of its outputs in order, one per line; with prompts, the class names to insert into them.
    pub class_names: Option<PathBuf>,
    /// Zero-shot classes of CLIP: a file of templates, or the name of built-in ones.
    pub prompts: Option<String>,
    /// How the checkpoint is read.
    pub reading: Reading,
}

impl ModelSource {
    /// Weights that say all else themselves.
    pub fn new(weights: impl Into<PathBuf>) -> Self {
        Self { weights: weights.into(), ..Self::default() }
    }
}

/// A model, and the images that it is asked about.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The model.
    pub model: ModelSource,
    /// The images; by default Sherds, for models trained on it.
    pub data: Option<String>,
    /// Which split of them; data without splits are asked about as a whole.
    pub split: String,
    /// How many of them, drawn by the session's seed so that each class has its share.
    pub limit: Option<NonZeroUsize>,
    /// Whether an unreadable image is an error instead of being left out.
    pub strict: bool,
    /// File that says which class of the data is which output.
    pub class_map: Option<PathBuf>,
    /// File for the arrays and tables behind the answer: `.safetensors`, `.npz`, `.csv` or `.parquet`.
    pub export: Option<PathBuf>,
    /// Images at once. No result depends on it.
    pub batch_size: NonZeroUsize,
}

/// Images at once where nobody says how many.
const USUAL_BATCH: NonZeroUsize = NonZeroUsize::new(64).expect("it is more than 0");

impl Subject {
    /// A model on the test images of `data`, or on Sherds.
    pub fn new(model: ModelSource, data: Option<String>) -> Self {
        Self {
            model,
            data,
            split: "test".into(),
            limit: None,
            strict: false,
            class_map: None,
            export: None,
            batch_size: USUAL_BATCH,
        }
    }

    /// Another model on the same images, resized and cropped as is said of this one's; normalisation is each model's own.
    #[must_use]
    pub fn with_weights(&self, weights: impl Into<PathBuf>) -> Self {
        let preprocessing =
            PreprocessingChoice { mean: None, std: None, ..self.model.reading.preprocessing.clone() };
        let reading = Reading { preprocessing, ..Reading::default() };
        let model = ModelSource { reading, ..ModelSource::new(weights) };
        Self { model, export: None, class_map: None, ..self.clone() }
    }

    /// The files and folders that are read; some of them may be names of something else.
    pub(crate) fn inputs(&self) -> Vec<&Path> {
        let ModelSource { weights, class_names, prompts, .. } = &self.model;
        let texts = [self.data.as_deref(), prompts.as_deref()].into_iter().flatten().map(Path::new);
        let files = [class_names.as_deref(), self.class_map.as_deref()].into_iter().flatten();
        texts.chain([weights.as_path()]).chain(files).collect()
    }

    /// Refuses to score a head that would be randomly initialised.
    pub(crate) fn refuse_random_head(&self) -> Result<(), LabError> {
        let Reading { replace_head, allow_missing, .. } = &self.model.reading;
        if *replace_head {
            return Err(LabError::ReplacedHead);
        }
        match allow_missing.iter().find(|name| is_head(name)) {
            Some(name) => Err(LabError::MissingHead(name.clone())),
            None => Ok(()),
        }
    }
}

/// What a question wants of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Answers that are held against the labels.
    Score,
    /// The same, or the logits alone where classes cannot be matched and an export is asked for.
    ScoreOrExport,
    /// What happens inside; labels and head do not matter.
    Look,
    /// The features that a head would read; labels, head and prompts do not matter.
    Represent,
}

impl Purpose {
    /// Whether answers are scored.
    pub(crate) fn scores(self) -> bool {
        matches!(self, Self::Score | Self::ScoreOrExport)
    }
}

/// Whether an array, or a module, is a classifier's or in it, by the names that libraries give them.
pub(crate) fn is_head(name: &str) -> bool {
    const HEADS: [&str; 7] = ["head", "heads", "head_dist", "fc", "linear", "classifier", "cls_classifier"];
    HEADS.contains(&name.split('.').next().unwrap_or(""))
}
