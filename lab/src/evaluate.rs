//! How often a model is right, and whether it can be trusted.

use std::path::Path;

use archaeo_analysis::masks::{MaskScores, Overlap, mask_scores};
use archaeo_analysis::statistics::Resampling;
use archaeo_experiments::predictions::arrays;
use archaeo_experiments::studies::{headlines, model_scores};
use archaeo_models::SourcedPreprocessing;
use archaeo_store::arrays::{Column, Export, NamedArray, Table};
use archaeo_training::evaluate::{Evaluation, evaluate};
use archaeo_training::finite;
use archaeo_training::images::{Preprocessed, Subset};
use archaeo_training::masks::evaluate_masks;
use serde::Serialize;

use crate::checkpoint::sourced;
use crate::classes::ClassesMatched;
use crate::error::LabError;
use crate::opened::Opened;
use crate::session::Session;
use crate::trust::Headlines;

/// Likeliest classes of each image in an export.
const MOST_LIKELY: usize = 5;

/// Scores of a model on images; shares lie between 0 and 1, and an interval is one of 95 %.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluated {
    /// Name of the model.
    pub model: String,
    /// Name of the data.
    pub data: String,
    /// Name of the split.
    pub split: String,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// How images were prepared, and who said so.
    #[serde(serialize_with = "sourced")]
    pub preprocessing: SourcedPreprocessing,
    /// How classes were matched.
    pub classes: Option<ClassesMatched>,
    /// Images.
    pub n: usize,
    /// Share of images whose likeliest class is right.
    pub top1: f64,
    /// Its interval.
    pub top1_interval: [f64; 2],
    /// Share of images whose class is among the five likeliest; `None` for five classes or fewer.
    pub top5: Option<f64>,
    /// Mean negative log-likelihood, nats.
    pub nll: f64,
    /// Its interval.
    pub nll_interval: [f64; 2],
    /// Expected calibration error.
    pub ece: f64,
    /// Its interval.
    pub ece_interval: [f64; 2],
    /// Agreement of the masks that it predicts with the true ones, where there are both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masks: Option<MaskScores>,
    /// Whether the model can be trusted.
    #[serde(flatten)]
    pub trust: Headlines,
    /// The logits that all of this was computed from, in the order of [`Opened::indices`].
    #[serde(skip)]
    pub answers: Evaluation,
}

impl Session {
    /// Scores the answers of a model. Where an export is asked for, it is written first; it holds the logits even where classes
    /// could not be matched, so that nothing was scored.
    ///
    /// # Errors
    /// Images that cannot be read, answers that are not finite, an export that cannot be written, or classes that were not
    /// matched.
    pub fn evaluate(&self, opened: &Opened) -> Result<Evaluated, LabError> {
        let answers = self.answers(opened, &opened.model.card().name)?;
        let export = opened.subject.export.as_deref();
        if let Some(path) = export {
            write(path, &answers, opened)?;
        }
        if let Some(Err(sentence)) = &opened.matching {
            let sentence = sentence.clone();
            return Err(match export {
                Some(path) => LabError::Unscored { export: path.to_owned(), sentence },
                None => LabError::Classes(sentence),
            });
        }
        let resampling = Resampling::new(self.seed());
        let scores = model_scores(&answers, &resampling)?;
        let classes = opened.model.card().classes.clone();
        let trust = headlines(&answers, &classes, None, &resampling)?;
        let masks = self.masks(opened)?.map(|overlaps| mask_scores(&overlaps, &resampling)).transpose()?;
        Ok(Evaluated {
            masks,
            model: opened.model.card().name.clone(),
            data: opened.dataset.name.clone(),
            split: opened.split.clone(),
            precision: self.precision_name(),
            preprocessing: opened.preprocessing.clone(),
            classes: opened.classes_matched(),
            n: answers.len(),
            top1: scores.top1.value,
            top1_interval: [scores.top1.low, scores.top1.high],
            top5: scores.top5.as_ref().map(|top5| top5.value),
            nll: scores.nll.value,
            nll_interval: [scores.nll.low, scores.nll.high],
            ece: scores.ece.value,
            ece_interval: [scores.ece.low, scores.ece.high],
            trust: Headlines { trust, classes },
            answers,
        })
    }

    /// What the masks that the model predicts have in common with the true ones, image by image.
    fn masks(&self, opened: &Opened) -> Result<Option<Vec<Overlap>>, LabError> {
        let Opened { model, indices, device, .. } = opened;
        if !model.has_masks() {
            return Ok(None);
        }
        let work = self.counting("masks", indices.len());
        let images = asked(opened)?;
        Ok(evaluate_masks(model, &images, opened.batch_size(), device, &mut work.follow())?)
    }

    /// What the model answers to each image, all of it finite.
    pub(crate) fn answers(&self, opened: &Opened, what: &str) -> Result<Evaluation, LabError> {
        let Opened { model, indices, device, .. } = opened;
        let (split, images) = (opened.split()?, asked(opened)?);
        let work = self.counting(what, indices.len());
        let answers = evaluate(model, &images, opened.batch_size(), device, &mut work.follow())?;
        drop(work);
        finite::check(model, &answers, &images, |position| split.identifier(indices[position]), device)
            .map_err(|error| self.answers_error(error, opened))?;
        Ok(answers)
    }
}

/// The images that are asked about, as the model takes them.
fn asked(opened: &Opened) -> Result<Subset<Preprocessed<'_>>, LabError> {
    let preprocessing = &opened.model.card().preprocessing;
    let images = Preprocessed { split: opened.split()?, preprocessing };
    Ok(Subset { images, indices: opened.indices.clone() })
}

/// Logits, the likeliest classes and, where classes were matched, labels.
fn write(path: &Path, evaluation: &Evaluation, opened: &Opened) -> Result<(), LabError> {
    let names = match &opened.matching {
        Some(Ok(matching)) => &matching.outputs.names,
        Some(Err(_)) | None => &opened.model.card().classes,
    };
    let scored = matches!(opened.matching, Some(Ok(_)));
    let shown = evaluation.classes.min(MOST_LIKELY);
    let ranked: Vec<Vec<(usize, f64)>> = (0..evaluation.len())
        .map(|image| {
            let mut ranked: Vec<(usize, f64)> =
                evaluation.probabilities(image).into_iter().enumerate().collect();
            // By logit, so that answers whose probabilities round to the same stay in order; the first of equals first.
            let logits = &evaluation.logits[image * evaluation.classes..][..evaluation.classes];
            ranked.sort_by(|a, b| logits[b.0].total_cmp(&logits[a.0]).then(a.0.cmp(&b.0)));
            ranked.truncate(shown);
            ranked
        })
        .collect();
    let place = |place: usize| -> Vec<usize> { ranked.iter().map(|ranked| ranked[place].0).collect() };
    let called =
        |outputs: &[usize]| Column::Text(outputs.iter().map(|&output| names[output].clone()).collect());

    let images = opened.images()?;
    let labels = &evaluation.labels;
    let predicted = place(0);
    let mut table = Table::default().with("image", Column::Text(images.clone()));
    if scored {
        table = table.with("label", Column::indices(labels)).with("class", called(labels));
    } else {
        let own = labels.iter().map(|&label| opened.dataset.classes[label].clone()).collect();
        table = table.with("class", Column::Text(own));
    }
    table = table.with("predicted", Column::indices(&predicted)).with("predicted_class", called(&predicted));
    if scored {
        let correct = predicted.iter().zip(labels).map(|(answer, label)| answer == label).collect();
        table = table.with("correct", Column::Flags(correct));
    }
    table = table.with("probability", Column::Numbers(ranked.iter().map(|ranked| ranked[0].1).collect()));
    for rank in 1..shown {
        let (outputs, number) = (place(rank), rank + 1);
        let probabilities = ranked.iter().map(|ranked| ranked[rank].1).collect();
        table = table
            .with(format!("class_{number}"), called(&outputs))
            .with(format!("probability_{number}"), Column::Numbers(probabilities));
    }

    let top: Vec<i64> = ranked.iter().flatten().map(|&(output, _)| output as i64).collect();
    let mut exported = vec![
        NamedArray::indices("predicted", &predicted),
        NamedArray::integers("top_k", &[evaluation.len(), shown], top),
    ];
    let arrays = arrays(evaluation).into_iter().filter(|array| scored || array.name != "labels");
    exported.extend(arrays);
    let notes =
        [("split", &opened.split), ("model", &opened.model.card().name), ("data", &opened.dataset.name)];
    let mut notes: Vec<(String, String)> = notes.map(|(key, value)| (key.to_owned(), value.clone())).to_vec();
    notes.push(("outputs".into(), serde_json::to_string(names).expect("plain data")));
    Ok(Export { arrays: exported, images, table, notes }.write(path)?)
}
