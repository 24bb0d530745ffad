//! The model and the images that a question is about.

use archaeo_data::{Dataset, Labels, NO_OUTPUT, OpenOptions, Split};
use archaeo_experiments::classes::{Matching, Outputs};
use archaeo_models::{Classifier, SourcedPreprocessing, check_memory};
use archaeo_ops::Precision;
use archaeo_random::stratified;
use archaeo_store::arrays::Format;
use archaeo_training::finite::{AnswersError, NotFinite};
use burn::tensor::Device;

use crate::checkpoint::require_decided;
use crate::classes::{ClassesMatched, matched, outputs};
use crate::data::require_sherds_classes;
use crate::destination::check_destination;
use crate::error::LabError;
use crate::session::Session;
use crate::subject::{Purpose, Subject};

/// A loaded model, an opened data set, and the images of it that are asked about.
pub struct Opened {
    /// What was asked for.
    pub subject: Subject,
    /// The model, frozen.
    pub model: Classifier,
    /// How its images are prepared, and who said so.
    pub preprocessing: SourcedPreprocessing,
    /// The data; where answers are scored, labels and classes are the model's outputs.
    pub dataset: Dataset,
    /// Which class is which output, or why that cannot be told; `None` where nothing is scored.
    pub matching: Option<Result<Matching, String>>,
    /// Name of the split.
    pub split: String,
    /// Images of the split to ask about, ascending; at least one.
    pub indices: Vec<usize>,
    /// Where to compute.
    pub device: Device,
    /// Whether the checkpoint carries this program's card, so that it names its classes itself.
    own: bool,
    /// What published models have otherwise that no array shows, as the end of a sentence about the checkpoint.
    doubt: Option<String>,
}

impl Opened {
    /// Refuses a model that has no attention heads to ask about.
    pub(crate) fn require_attention(&self) -> Result<(), LabError> {
        match self.model.has_attention() {
            true => Ok(()),
            false => Err(LabError::NoAttention {
                weights: self.subject.model.weights.clone(),
                model: self.model.card().name.clone(),
            }),
        }
    }

    /// The attention layer of a number from 1, from 0.
    ///
    /// # Errors
    /// One that the model does not have.
    pub(crate) fn attention_layer(&self, number: usize) -> Result<usize, LabError> {
        let card = self.model.card();
        let count = card.network.attention_layers();
        match (1..=count).contains(&number) {
            true => Ok(number - 1),
            false => Err(LabError::Layer { number, model: card.name.clone(), count }),
        }
    }

    /// The split asked about.
    ///
    /// # Errors
    /// A split that does not exist.
    pub fn split(&self) -> Result<&Split, LabError> {
        Ok(self.dataset.split(&self.split)?)
    }

    /// Names of the images asked about.
    ///
    /// # Errors
    /// A split that does not exist.
    pub fn images(&self) -> Result<Vec<String>, LabError> {
        let split = self.split()?;
        Ok(self.indices.iter().map(|&index| split.identifier(index)).collect())
    }

    /// Their labels.
    ///
    /// # Errors
    /// A split that does not exist.
    pub fn labels(&self) -> Result<Vec<usize>, LabError> {
        let split = self.split()?;
        Ok(self.indices.iter().map(|&index| split.label(index)).collect())
    }

    /// Names of the model's outputs, in their order; none of a model without a head.
    ///
    /// # Errors
    /// A list of names that cannot be read or has another length.
    pub fn outputs(&self) -> Result<Outputs, LabError> {
        match self.model.card().classes.is_empty() {
            true => Ok(Outputs::named(Vec::new())),
            false => outputs(&self.subject, &self.model, self.own),
        }
    }

    /// What may be wrong with the model, as the end of a sentence about its checkpoint.
    pub(crate) fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    /// How classes were matched; `None` where they were not.
    pub fn classes_matched(&self) -> Option<ClassesMatched> {
        match &self.matching {
            Some(Ok(matching)) => Some(ClassesMatched::of(matching)),
            Some(Err(_)) | None => None,
        }
    }

    /// Images at once.
    pub(crate) fn batch_size(&self) -> usize {
        self.subject.batch_size.into()
    }
}

impl Session {
    /// Opens what a question is about.
    ///
    /// # Errors
    /// An export that could not be written, data or weights that cannot be used, or that do not fit each other.
    pub fn open(&self, subject: Subject, purpose: Purpose) -> Result<Opened, LabError> {
        let source = subject.data.clone();
        let mut opened = self.open_sources(subject, &[source], purpose)?;
        Ok(opened.remove(0))
    }

    /// Opens a model once, and several sources of images that it is asked about, in place of [`Subject::data`]: one [`Opened`] for
    /// each, in their order.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn open_sources(
        &self,
        subject: Subject,
        sources: &[Option<String>],
        purpose: Purpose,
    ) -> Result<Vec<Opened>, LabError> {
        let about = |source: &Option<String>| Subject { data: source.clone(), ..subject.clone() };
        let subjects: Vec<Subject> = sources.iter().map(about).collect();
        if let Some(file) = &subject.export {
            for subject in &subjects {
                check_destination(file, &subject.inputs())?;
            }
            Format::of(file)?;
        }
        if purpose.scores() {
            subject.refuse_random_head()?;
        }
        let device = self.device()?;
        let labels = if purpose.scores() { Labels::Required } else { Labels::Optional };
        let open = |source: &str, labels| {
            let options = OpenOptions { strict: subject.strict, labels, ..OpenOptions::default() };
            self.open_data(source, &options)
        };
        let named: Vec<Option<Dataset>> = (sources.iter())
            .map(|source| source.as_deref().map(|source| open(source, labels)).transpose())
            .collect::<Result<_, _>>()?;
        let found = self.find(&subject.model)?;
        let mut data = Vec::new();
        for dataset in named {
            let mut dataset = match dataset {
                Some(dataset) => dataset,
                None => {
                    require_sherds_classes(&subject.model.weights, &found.described.card.classes)?;
                    open("sherds", Labels::Required)?
                }
            };
            // A source without splits is asked about as a whole.
            let split = match dataset.splits().contains_key(&subject.split) {
                false if subject.split == "test" => dataset.evaluation_split().to_owned(),
                _ => subject.split.clone(),
            };
            self.verify(&mut dataset, &[&split])?;
            data.push((dataset, split));
        }

        let own = subject.model.name.is_none() && matches!(found.checkpoint.card(), Ok(Some(_)));
        let described = found.described.clone();
        let classes = data.first().map(|(dataset, _)| dataset.classes.clone()).unwrap_or_default();
        let model = match purpose {
            Purpose::Represent => self.load_to_represent(&subject.model, found, &device)?,
            _ => self.load(&subject.model, found, &classes, &device)?,
        };
        let outputs = match purpose {
            Purpose::Look | Purpose::Represent => None,
            Purpose::Score | Purpose::ScoreOrExport => {
                let outputs = outputs(&subject, &model, own)?;
                require_decided(&subject.model.weights, &described, &model, &device)?;
                Some(outputs)
            }
        };
        let one = |(subject, (mut dataset, split)): (Subject, (Dataset, String))| {
            let matching = match &outputs {
                None => None,
                Some(outputs) => {
                    let logits_alone = purpose == Purpose::ScoreOrExport && subject.export.is_some();
                    match matched(&subject, &dataset, &split, outputs)? {
                        Err(sentence) if !logits_alone => return Err(LabError::Classes(sentence)),
                        Err(sentence) => Some(Err(sentence)),
                        Ok(matching) => {
                            self.relabel(&matching, &mut dataset, &split)?;
                            Some(Ok(matching))
                        }
                    }
                }
            };
            let indices = self.chosen(dataset.split(&split)?, &subject);
            self.detail(format!("{} of the images of {}/{split} are used", indices.len(), dataset.name));
            if indices.is_empty() {
                return Err(LabError::NoImage(dataset.name));
            }
            let side = model.card().preprocessing.image_size;
            let batch = usize::from(subject.batch_size).min(indices.len()) as f64;
            check_memory(batch * model.card().network.least_bytes_per_image(side))
                .map_err(|reason| LabError::Batch { side, reason })?;
            let (model, device) = (model.clone(), device.clone());
            let (preprocessing, doubt) = (described.preprocessing.clone(), described.doubt.clone());
            Ok(Opened {
                subject,
                model,
                preprocessing,
                dataset,
                matching,
                split,
                indices,
                device,
                own,
                doubt,
            })
        };
        subjects.into_iter().zip(data).map(one).collect()
    }

    /// The images to use: those with a label, or a sample of them.
    fn chosen(&self, split: &Split, subject: &Subject) -> Vec<usize> {
        let labels = split.labels();
        let usable: Vec<usize> = (0..labels.len()).filter(|&index| labels[index] != NO_OUTPUT).collect();
        let labels: Vec<usize> = usable.iter().map(|&index| labels[index]).collect();
        let count = subject.limit.map_or(usize::MAX, usize::from);
        let sample = stratified(self.seed(), "limit", &labels, count);
        sample.into_iter().map(|position| usable[position]).collect()
    }

    /// Answers that are not finite, about the file that gives them.
    pub(crate) fn not_finite(&self, error: NotFinite, opened: &Opened) -> LabError {
        let mut error = error.of(opened.subject.model.weights.display().to_string());
        if self.precision() == Precision::Bf16 {
            error.remedy = "try --precision f32, or take another checkpoint";
        }
        error.into()
    }

    /// As [`Session::not_finite`], where it may be the data that went wrong.
    pub(crate) fn answers_error(&self, error: AnswersError, opened: &Opened) -> LabError {
        match error {
            AnswersError::NotFinite(error) => self.not_finite(error, opened),
            AnswersError::Data(error) => error.into(),
        }
    }
}
