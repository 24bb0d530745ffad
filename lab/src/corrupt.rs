//! How often a model is right on damaged images.

mod pictures;

use std::path::{Path, PathBuf};

use archaeo_analysis::answers::{logits, predicted_classes};
use archaeo_analysis::statistics::Resampling;
use archaeo_data::Image;
use archaeo_data::corruptions::{Corruption, SEVERITIES};
use archaeo_experiments::studies::findings::{CorruptionPair, CorruptionScores};
use archaeo_experiments::studies::{Damage, corruption_pair, corruption_scores};
use archaeo_store::arrays::{Column, Export, NamedArray, Table};
use archaeo_training::finite::{NotFinite, first_not_finite};
use archaeo_training::images::{Batch, Preprocessed, to_tensor};
use serde::Serialize;

use crate::classes::ClassesMatched;
use crate::error::LabError;
use crate::opened::Opened;
use crate::session::Session;

/// Which damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptOptions {
    /// Kinds; the 15 of the mean corruption error when empty.
    pub corruptions: Vec<Corruption>,
    /// Severities, from 1 to 5; all of them when empty.
    pub severities: Vec<usize>,
    /// Folder for pictures.
    pub out: Option<PathBuf>,
}

impl CorruptOptions {
    fn corruptions(&self) -> Vec<Corruption> {
        match self.corruptions.is_empty() {
            true => Corruption::common().to_vec(),
            false => self.corruptions.clone(),
        }
    }

    fn severities(&self) -> Vec<usize> {
        if self.severities.is_empty() { (1..=SEVERITIES).collect() } else { self.severities.clone() }
    }
}

/// What damage costs a model.
#[derive(Clone, Debug, Serialize)]
pub struct Corrupted {
    /// Name of the model.
    pub model: String,
    /// Name of the data.
    pub data: String,
    /// Name of the split.
    pub split: String,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// How classes were matched.
    pub classes: Option<ClassesMatched>,
    /// Images.
    pub n: usize,
    /// Severities, in the order of the accuracies.
    pub severities: Vec<usize>,
    /// Accuracy without damage, with it, and under each corruption.
    #[serde(flatten)]
    pub scores: CorruptionScores,
    /// The model that it is compared with, if one was named.
    pub baseline: Option<Baseline>,
    /// Pictures that were written.
    pub pictures: Vec<PathBuf>,
}

/// Another model on the same damaged images.
#[derive(Clone, Debug, Serialize)]
pub struct Baseline {
    /// Name of the model.
    pub model: String,
    /// Its accuracy.
    pub scores: CorruptionScores,
    /// The baseline as the first, the model as the second.
    #[serde(flatten)]
    pub pair: CorruptionPair,
}

/// What one model answers: without damage, and for each corruption and severity.
struct Answers {
    labels: Vec<usize>,
    clean: Vec<usize>,
    damaged: Vec<Vec<Vec<usize>>>,
}

impl Answers {
    fn damage(&self) -> Damage {
        let wrong = |answers: &[usize], image: usize| answers[image] != self.labels[image];
        let of_image = |image: usize| {
            let of_corruption = |of: &Vec<Vec<usize>>| of.iter().map(|at| wrong(at, image)).collect();
            self.damaged.iter().map(of_corruption).collect()
        };
        let images = 0..self.labels.len();
        Damage {
            clean: images.clone().map(|image| wrong(&self.clean, image)).collect(),
            wrong: images.map(of_image).collect(),
        }
    }
}

impl Session {
    /// Damages images in many ways, and counts how often a model stays right; next to a baseline on the same images, if one is given.
    ///
    /// # Errors
    /// Images that cannot be read or are too small, answers that are not finite, a baseline with other images, or an export or a picture
    /// that cannot be written.
    pub fn corrupt(
        &self,
        opened: &Opened,
        baseline: Option<&Opened>,
        options: &CorruptOptions,
    ) -> Result<Corrupted, LabError> {
        let (corruptions, severities) = (options.corruptions(), options.severities());
        let resampling = Resampling::new(self.seed());
        if let Some(folder) = &options.out {
            pictures::check(folder, &opened.subject.inputs())?;
        }
        let answers = self.damaged_answers(opened, &corruptions, &severities)?;
        let damage = answers.damage();
        let baseline = baseline.map(|of| {
            let other = self.damaged_answers(of, &corruptions, &severities)?.damage();
            Ok::<_, LabError>(Baseline {
                model: of.model.card().name.clone(),
                scores: corruption_scores(&other, &corruptions, &resampling)?,
                pair: corruption_pair(&other, &damage, &corruptions, &resampling)?,
            })
        });
        if let Some(path) = &opened.subject.export {
            write(path, opened, &answers, &corruptions, &severities)?;
        }
        let mut found = Corrupted {
            model: opened.model.card().name.clone(),
            data: opened.dataset.name.clone(),
            split: opened.split.clone(),
            precision: self.precision_name(),
            classes: opened.classes_matched(),
            n: opened.indices.len(),
            scores: corruption_scores(&damage, &corruptions, &resampling)?,
            severities,
            baseline: baseline.transpose()?,
            pictures: Vec::new(),
        };
        if let Some(folder) = &options.out {
            found.pictures = pictures::write(folder, opened, (&found, &answers), &corruptions, self.seed())?;
        }
        Ok(found)
    }

    fn damaged_answers(
        &self,
        opened: &Opened,
        corruptions: &[Corruption],
        severities: &[usize],
    ) -> Result<Answers, LabError> {
        let Opened { model, indices, device, .. } = opened;
        let card = model.card();
        if card.preprocessing.image_size < SMALLEST {
            return Err(LabError::TooSmallToDamage { model: card.name.clone(), smallest: SMALLEST });
        }
        let split = opened.split()?;
        let images = Preprocessed { split, preprocessing: &card.preprocessing };
        let work = self.counting(&format!("{} on damaged images", card.name), indices.len());
        let mut found = Answers {
            labels: opened.labels()?,
            clean: Vec::new(),
            damaged: vec![vec![Vec::new(); severities.len()]; corruptions.len()],
        };
        for batch in indices.chunks(opened.batch_size()) {
            let loaded = Batch::load(&images, batch, 0)?;
            let answer = |images: &[Image]| -> Result<Vec<usize>, LabError> {
                let images = to_tensor(images, device);
                let logits = logits(model, images.clone());
                match first_not_finite(&logits, card.classes.len()) {
                    None => Ok(predicted_classes(&logits, card.classes.len())),
                    Some(row) => {
                        let image = images.narrow(0, row, 1);
                        let error = NotFinite::traced(model, &split.identifier(batch[row]), image);
                        Err(self.not_finite(error, opened))
                    }
                }
            };
            found.clean.extend(answer(&loaded.images)?);
            for (corruption, of_corruption) in corruptions.iter().zip(&mut found.damaged) {
                for (&severity, answers) in severities.iter().zip(of_corruption) {
                    let images = loaded.images.iter().zip(batch);
                    let damaged: Vec<Image> = images
                        .map(|(image, &index)| corruption.apply(image, severity, self.seed(), index as u64))
                        .collect();
                    answers.extend(answer(&damaged)?);
                }
            }
            work.advance(batch.len());
        }
        Ok(found)
    }
}

/// Shortest side of an image that can be damaged.
const SMALLEST: usize = 8;

/// Labels, and the predicted class of every image without damage and under each corruption of each severity.
fn write(
    path: &Path,
    opened: &Opened,
    answers: &Answers,
    corruptions: &[Corruption],
    severities: &[usize],
) -> Result<(), LabError> {
    let images = opened.images()?;
    let mut table = Table::default()
        .with("image", Column::Text(images.clone()))
        .with("label", Column::indices(&answers.labels))
        .with("undamaged", Column::indices(&answers.clean));
    let mut arrays = vec![
        NamedArray::indices("labels", &answers.labels),
        NamedArray::indices("undamaged", &answers.clean),
    ];
    for (corruption, of) in corruptions.iter().zip(&answers.damaged) {
        for (severity, predicted) in severities.iter().zip(of) {
            let name = format!("{}_{severity}", corruption.id());
            arrays.push(NamedArray::indices(&name, predicted));
            table = table.with(name, Column::indices(predicted));
        }
    }
    let model = &opened.model.card().name;
    let notes = [("model", model), ("split", &opened.split)];
    let notes = notes.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    Ok(Export { arrays, images, table, notes }.write(path)?)
}
