//! What a study works with: data, models, sizes, seed, and who hears of progress.

use std::path::{Path, PathBuf};

use archaeo_analysis::AnalysisError;
use archaeo_analysis::statistics::{Resampling, StatisticsError};
use archaeo_models::Classifier;
use archaeo_plot::PlotError;
use burn::tensor::{Device, Tensor};
use thiserror::Error;

use crate::options::StudyOptions;
use crate::predictions::PREDICTIONS;
use crate::shard::Shared;
use crate::subjects::{ModelName, Subject, pairs};
use archaeo_data::{DataError, Dataset, Image, Sample, Split};
use archaeo_random::{spread, stratified};
use archaeo_store::StoreError;
use archaeo_store::arrays::ExportError;
use archaeo_training::evaluate::Evaluation;
use archaeo_training::finite::{AnswersError, NotFinite};
use archaeo_training::images::{preprocess, to_tensor};
use archaeo_training::{Opening, RecipeError, TransferError};

/// A study that could not be done.
#[derive(Debug, Error)]
pub enum StudyError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The question does not suit the model.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// Too little, or nothing finite, to compute with.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// A picture.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// Arrays on disk.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A file or folder cannot be read or made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A finding on disk that does not parse.
    #[error("{path} is damaged ({reason}); delete it and run the command again")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The weights that a training started from.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// Answers that are no numbers.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// The user asked to stop.
    #[error("interrupted; run the same command again to go on from here")]
    Interrupted,
}

impl From<AnswersError> for StudyError {
    fn from(error: AnswersError) -> Self {
        match error {
            AnswersError::NotFinite(error) => error.into(),
            AnswersError::Data(error) => error.into(),
        }
    }
}

/// Hears how far a study has come, and may ask it to stop.
pub trait Progress: Sync {
    /// A part of `total` steps begins.
    fn begin(&self, what: &str, total: usize);
    /// `steps` more are done.
    fn advance(&self, steps: usize);
    /// Something begins that may take a while and is not counted.
    fn stage(&self, _what: &str) {}
    /// Whether to stop at the next opportunity.
    fn interrupted(&self) -> bool;
}

/// For functions that say how much is done so far, and are told whether to go on.
pub fn follow(progress: &dyn Progress) -> impl FnMut(usize) -> bool {
    let mut done = 0;
    move |so_far| {
        progress.advance(so_far - done);
        done = so_far;
        !progress.interrupted()
    }
}

/// Tells how far the opening of data has come.
pub fn opened(progress: &dyn Progress, opening: Opening) {
    match opening {
        Opening::Reading => progress.stage("reading the data"),
        Opening::Checking(images) => progress.begin("checking images", images),
        Opening::Checked(images) => progress.advance(images),
        Opening::Hashing => progress.stage("hashing the data"),
    }
}

/// Everything a study may use.
pub struct Scene<'a> {
    /// Run folder: pictures and arrays go here.
    pub folder: &'a Path,
    /// The data.
    pub dataset: &'a Dataset,
    /// Split that questions are asked on.
    pub main_split: &'a str,
    /// Images of that split that samples are drawn from, ascending; all of them when not given.
    pub subset: Option<&'a [usize]>,
    /// The models, at least one, in the order in which they are shown.
    pub subjects: &'a [Subject<'a>],
    /// Where to compute.
    pub device: &'a Device,
    /// What was chosen of the studies.
    pub options: &'a StudyOptions,
    /// Key of every random choice.
    pub seed: u64,
    /// Who hears of progress.
    pub progress: &'a dyn Progress,
    /// Where other processes record the rest of the images; `None` where this one records all of them. It is for what runs studies
    /// and keeps what models answer: no study reads it.
    pub shared: Option<Shared<'a>>,
}

impl<'a> Scene<'a> {
    /// Folder of what models answer on whole splits.
    pub(crate) fn answers(&self) -> PathBuf {
        self.shared.map_or_else(|| self.folder.join(PREDICTIONS), |shared| shared.answers.to_owned())
    }

    /// The model of a name.
    ///
    /// # Panics
    /// A name that no model here has.
    pub fn model(&self, name: ModelName) -> &'a Classifier {
        self.subject(name).model
    }

    fn subject(&self, name: ModelName) -> &Subject<'a> {
        let found = self.subjects.iter().find(|subject| subject.name == name);
        found.unwrap_or_else(|| panic!("there is no model {name}"))
    }

    /// The names of the models, in their order.
    pub fn names(&self) -> Vec<ModelName> {
        self.subjects.iter().map(|subject| subject.name).collect()
    }

    /// What to call a model in a finding's sentence: by its family where no other is of it (`the ViT`), and else by its name.
    pub fn called(&self, name: ModelName) -> String {
        let family = |model: &Classifier| model.card().network.family();
        let own = family(self.model(name));
        match self.subjects.iter().filter(|subject| family(subject.model) == own).count() {
            1 => format!("the {own}"),
            _ => name.to_string(),
        }
    }

    /// Every pair of models, in their order.
    pub fn pairs(&self) -> Vec<[ModelName; 2]> {
        pairs(&self.names())
    }

    /// The models with attention.
    pub fn with_attention(&self) -> Vec<Subject<'a>> {
        self.subjects.iter().filter(|subject| subject.model.has_attention()).copied().collect()
    }

    /// The split that questions are asked on.
    ///
    /// # Errors
    /// A split that does not exist.
    pub fn split(&self) -> Result<&Split, StudyError> {
        Ok(self.dataset.split(self.main_split)?)
    }

    /// Seeded resampling for a study's intervals.
    pub fn resampling(&self) -> Resampling {
        Resampling { resamples: self.options.resamples, ..Resampling::new(self.seed) }
    }

    /// Logits of a model on a whole split, computed once an investigation.
    ///
    /// # Errors
    /// Data that cannot be read, or predictions on disk that are damaged.
    pub fn predicted(&self, split: &str, name: ModelName) -> Result<Evaluation, StudyError> {
        self.predicted_by_run(split, name, 0)
    }

    /// As [`Scene::predicted`], of one run, counted from 0.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// A run that is not there.
    pub fn predicted_by_run(
        &self,
        split: &str,
        name: ModelName,
        run: usize,
    ) -> Result<Evaluation, StudyError> {
        crate::predictions::predicted(self, split, self.subject(name), run)
    }

    /// A random sample of `count` images of the main split (all, if there are fewer), in the split's order, with each class in
    /// proportion ([`stratified`]); `study` keys it, so that studies do not all look at the same images.
    ///
    /// # Errors
    /// A split that does not exist.
    pub fn sample(&self, study: &str, count: usize) -> Result<Vec<usize>, StudyError> {
        let split = self.split()?;
        let Some(subset) = self.subset else {
            return Ok(stratified(self.seed, study, &split.labels(), count));
        };
        let labels: Vec<usize> = subset.iter().map(|&index| split.label(index)).collect();
        Ok(stratified(self.seed, study, &labels, count)
            .into_iter()
            .map(|position| subset[position])
            .collect())
    }

    /// As [`Scene::sample`], but first come `shown` images spread over the classes ([`spread`]): those of which a study
    /// makes pictures.
    ///
    /// # Errors
    /// A split that does not exist.
    pub fn sample_to_show(&self, study: &str, count: usize, shown: usize) -> Result<Vec<usize>, StudyError> {
        let all = self.sample(study, count)?;
        let first = spread(&self.split()?.labels(), &all, shown);
        let rest = all.iter().filter(|index| !first.contains(index)).copied();
        Ok(first.iter().copied().chain(rest).collect())
    }

    /// Images of the main split as `model` wants them.
    ///
    /// # Errors
    /// Data that cannot be read.
    pub fn images_for(&self, model: &Classifier, indices: &[usize]) -> Result<Vec<Image>, StudyError> {
        let samples = self.split()?.batch(indices, |image| preprocess(image, &model.card().preprocessing))?;
        Ok(samples.into_iter().map(|sample| sample.image).collect())
    }

    /// Calls `visit` with every batch of `indices` of the main split: the indices, the samples with their images as `model` wants
    /// them, and these images as a tensor, `[batch, 3, height, width]` in [0, 1]. Reports progress.
    ///
    /// # Errors
    /// Data that cannot be read, an interruption, and whatever `visit` returns.
    pub fn for_each_batch(
        &self,
        what: &str,
        indices: &[usize],
        model: &Classifier,
        mut visit: impl FnMut(&[usize], &[Sample], Tensor<4>) -> Result<(), StudyError>,
    ) -> Result<(), StudyError> {
        let split = self.split()?;
        self.progress.begin(what, indices.len());
        for batch in indices.chunks(self.options.batch_size) {
            if self.progress.interrupted() {
                return Err(StudyError::Interrupted);
            }
            let samples = split.batch(batch, |image| preprocess(image, &model.card().preprocessing))?;
            let images: Vec<_> = samples.iter().map(|sample| sample.image.clone()).collect();
            visit(batch, &samples, to_tensor(&images, self.device))?;
            self.progress.advance(batch.len());
        }
        Ok(())
    }

    /// Path of a picture within the run folder, by name.
    pub fn picture(&self, name: &str) -> (PathBuf, String) {
        let relative = format!("pictures/{name}.png");
        (self.folder.join(&relative), relative)
    }
}
