//! What each attention head of a transformer is worth.

use std::path::Path;

use archaeo_analysis::statistics::Estimate;
use archaeo_experiments::findings::{HeadAblation, HeadFindings};
use archaeo_experiments::options::StudyOptions;
use archaeo_experiments::scene::{Scene, StudyError};
use archaeo_experiments::studies::{HeadsOptions, HeadsStudy};
use archaeo_experiments::subjects::{ModelName, Subject};
use archaeo_experiments::units::ask;
use archaeo_store::arrays::{Column, Export, NamedArray, Table};
use archaeo_training::evaluate::Evaluation;
use serde::Serialize;

use crate::classes::ClassesMatched;
use crate::error::LabError;
use crate::listener::Followed;
use crate::opened::Opened;
use crate::session::Session;

/// What each attention head is worth to the answers.
#[derive(Clone, Debug, Serialize)]
pub struct Ablated {
    /// Name of the model.
    pub model: String,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// How classes were matched.
    pub classes: Option<ClassesMatched>,
    /// The heads, the most important first.
    #[serde(flatten)]
    pub findings: HeadFindings,
    /// The answers with every head in place, in the order of [`Opened::indices`].
    #[serde(skip)]
    pub answers: Evaluation,
}

impl Session {
    /// Replaces the output of each attention head of a model, one at a time, and measures what that costs.
    ///
    /// # Errors
    /// A model without attention, images that cannot be read, answers that are not finite, or an export that cannot be written.
    pub fn ablate(&self, opened: &Opened) -> Result<Ablated, LabError> {
        opened.require_attention()?;
        // First whether the model says anything with every head in place.
        let answers = self.answers(opened, "every head in place")?;
        let findings = self.heads(opened)?;
        if let Some(path) = &opened.subject.export {
            write(path, opened, &answers, &findings)?;
        }
        Ok(Ablated {
            model: opened.model.card().name.clone(),
            precision: self.precision_name(),
            classes: opened.classes_matched(),
            findings,
            answers,
        })
    }

    fn heads(&self, opened: &Opened) -> Result<HeadFindings, LabError> {
        let Opened { model, dataset, split, indices, device, .. } = opened;
        let mut options = StudyOptions::default().with::<HeadsStudy>(&HeadsOptions {
            images: indices.len(),
            together: false,
            ..HeadsOptions::default()
        });
        options.batch_size = opened.batch_size();
        let name = ModelName::new("model");
        let scene = Scene {
            folder: Path::new("."),
            dataset,
            main_split: split,
            subset: Some(indices),
            subjects: &[Subject::new(name, model)],
            device,
            options: &options,
            seed: self.seed(),
            progress: &Followed(self.listener()),
        };
        let found = ask::<HeadsStudy>(&scene, None).map_err(|error| match error {
            StudyError::NotFinite(error) => self.not_finite(error, opened),
            other => other.into(),
        })?;
        Ok(found[name].clone())
    }
}

/// The value or one end of the interval.
type End = fn(&Estimate) -> f64;

/// What is known of a head, by the name of its column.
type Measure = (&'static str, fn(&HeadAblation) -> &Estimate);

const MEASURES: [Measure; 5] = [
    ("loss_increase_mean", |head| &head.mean),
    ("loss_increase_zero", |head| &head.zero),
    ("loss_increase_resample", |head| &head.resample),
    ("accuracy_drop", |head| &head.accuracy_drop),
    ("gradient_importance", |head| &head.gradient),
];

/// The answers with every head in place, and what each head is worth.
fn write(
    path: &Path,
    opened: &Opened,
    answers: &Evaluation,
    findings: &HeadFindings,
) -> Result<(), LabError> {
    let ranking = &findings.ranking;
    let layers = ranking.iter().map(|head| head.layer + 1).max().unwrap_or(0);
    let heads = ranking.iter().map(|head| head.head + 1).max().unwrap_or(0);
    let grid = |value: &dyn Fn(&HeadAblation) -> f64| {
        let mut values = vec![f32::NAN; layers * heads];
        ranking.iter().for_each(|head| values[head.layer * heads + head.head] = value(head) as f32);
        values
    };
    let column = |value: &dyn Fn(&HeadAblation) -> f64| Column::Numbers(ranking.iter().map(value).collect());
    let from_one = |place: fn(&HeadAblation) -> usize| {
        Column::indices(&ranking.iter().map(|head| place(head) + 1).collect::<Vec<_>>())
    };
    let predicted = answers.scores()?.predicted();
    let mut arrays =
        vec![NamedArray::indices("labels", &answers.labels), NamedArray::indices("predicted", &predicted)];
    let mut table =
        Table::default().with("layer", from_one(|head| head.layer)).with("head", from_one(|head| head.head));
    for (name, of) in MEASURES {
        let ends: [(String, End); 3] = [
            (name.to_owned(), |estimate| estimate.value),
            (format!("{name}_low"), |estimate| estimate.low),
            (format!("{name}_high"), |estimate| estimate.high),
        ];
        for (name, end) in ends {
            arrays.push(NamedArray::floats(&name, &[layers, heads], grid(&|head| end(of(head)))));
            table = table.with(name, column(&|head| end(of(head))));
        }
    }
    arrays.push(NamedArray::floats("adjusted_p", &[layers, heads], grid(&|head| head.adjusted_p)));
    table = table.with("adjusted_p", column(&|head| head.adjusted_p));
    let notes = [("model", &opened.model.card().name), ("split", &opened.split)];
    let notes = notes.map(|(key, value)| (key.to_owned(), value.clone())).to_vec();
    Ok(Export { arrays, images: opened.images()?, table, notes }.write(path)?)
}
