//! What the attention heads and the layers of a model are worth.

use std::path::Path;

use archaeo_analysis::ablation::{Branch, RemovalPoint};
use archaeo_analysis::statistics::{Estimate, StatisticsError};
use archaeo_experiments::findings::{BranchAblation, HeadAblation, HeadFindings, HeadPlace, PruningCurve};
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

/// What is asked besides what each head alone is worth.
#[derive(Clone, Debug, Default)]
pub struct AblationOptions {
    /// The heads that are asked about; all when empty.
    pub only: Vec<HeadPlace>,
    /// Where heads of a cascade are taken away; by default their output.
    pub removal: Option<RemovalPoint>,
    /// Whether heads are taken away one after another, the most and the least important first, by gradient, and in random orders.
    pub curve: bool,
    /// Random pairs of heads that are taken away together.
    pub pairs: usize,
    /// Whether the MLP of every layer is taken away.
    pub mlp: bool,
    /// Whether every whole layer, or block of a residual network, is taken away.
    pub layers: bool,
}

/// What attention heads and layers are worth to the answers.
#[derive(Clone, Debug, Serialize)]
pub struct Ablated {
    /// Name of the model.
    pub model: String,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// How classes were matched.
    pub classes: Option<ClassesMatched>,
    /// The heads, the most important first, and what else was asked for.
    #[serde(flatten)]
    pub findings: HeadFindings,
    /// The answers with everything in place, in the order of [`Opened::indices`].
    #[serde(skip)]
    pub answers: Evaluation,
}

/// Fewest images of which half can choose an order and half be evaluated.
const FEWEST_IN_HALVES: usize = 4;

impl AblationOptions {
    fn branches(&self) -> Vec<Branch> {
        let asked = [(self.mlp, Branch::Mlp), (self.layers, Branch::Layer)];
        asked.into_iter().filter(|(asked, _)| *asked).map(|(_, branch)| branch).collect()
    }

    /// Whether more is asked than what single heads are worth.
    fn more(&self) -> bool {
        self.curve || self.pairs > 0 || self.mlp || self.layers
    }

    /// Refuses what the model does not have.
    fn check(&self, opened: &Opened) -> Result<(), LabError> {
        let card = opened.model.card();
        let Some(transformer) = opened.model.network.transformer() else {
            let heads =
                self.curve || self.pairs > 0 || self.mlp || self.removal.is_some() || !self.only.is_empty();
            return match self.layers && !heads && opened.model.network.residual().is_some() {
                true => Ok(()),
                false => Err(LabError::OnlyBlocks {
                    weights: opened.subject.model.weights.clone(),
                    model: card.name.clone(),
                }),
            };
        };
        if self.removal.is_some() && !transformer.cascaded() {
            return Err(LabError::ParallelHeads { model: card.name.clone() });
        }
        let count = transformer.depth();
        for place in &self.only {
            let heads = (place.layer < count).then(|| transformer.heads(place.layer));
            if heads.is_none_or(|heads| place.head >= heads) {
                return Err(LabError::Head {
                    head: place.to_string(),
                    model: card.name.clone(),
                    of_layer: heads.map(|heads| [place.layer + 1, heads]),
                    count,
                });
            }
        }
        let heads = match self.only.len() {
            0 => (0..count).map(|layer| transformer.heads(layer)).sum(),
            _ => {
                let mut only = self.only.clone();
                only.sort_unstable();
                only.dedup();
                only.len()
            }
        };
        match self.pairs > 0 && heads < 2 {
            true => Err(LabError::Pairs { heads }),
            false => Ok(()),
        }
    }
}

impl Session {
    /// Replaces the output of each attention head of a model, one at a time, and measures what that costs; and the same of several
    /// heads at once and of layers, as far as that is asked for. A residual network is asked about its blocks
    /// ([`AblationOptions::layers`]).
    ///
    /// # Errors
    /// A model without what is asked about, images that cannot be read or are too few, answers that are not finite, or an export that
    /// cannot be written.
    pub fn ablate(&self, opened: &Opened, options: &AblationOptions) -> Result<Ablated, LabError> {
        options.check(opened)?;
        // First whether the model says anything with everything in place.
        let answers = self.answers(opened, "everything in place")?;
        let findings = self.worth(opened, options)?;
        if options.more() && findings.together.is_none() {
            let (what, found) = ("taking several parts away", findings.n);
            return Err(StatisticsError::TooFew { what, needed: FEWEST_IN_HALVES, found }.into());
        }
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

    fn worth(&self, opened: &Opened, asked: &AblationOptions) -> Result<HeadFindings, LabError> {
        let Opened { model, dataset, split, indices, device, .. } = opened;
        let mut options = StudyOptions::default().with::<HeadsStudy>(&HeadsOptions {
            only: asked.only.clone(),
            removal: asked.removal.unwrap_or_default(),
            curve: asked.curve,
            pairs: asked.pairs,
            branches: asked.branches(),
            ..HeadsOptions::single_heads(indices.len())
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
            shared: None,
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

/// What is known of a branch, by the end of the name of its column.
type BranchMeasure = (&'static str, fn(&BranchAblation) -> &Estimate);

const BRANCH_MEASURES: [BranchMeasure; 3] = [
    ("loss_increase_mean", |branch| &branch.mean),
    ("loss_increase_zero", |branch| &branch.zero),
    ("accuracy_drop", |branch| &branch.accuracy_drop),
];

/// Value and ends of an estimate, by the name of its column.
fn ends(name: &str) -> [(String, End); 3] {
    [
        (name.to_owned(), |estimate| estimate.value),
        (format!("{name}_low"), |estimate| estimate.low),
        (format!("{name}_high"), |estimate| estimate.high),
    ]
}

/// The answers with everything in place, and what heads and layers are worth.
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
        for (name, end) in ends(name) {
            arrays.push(NamedArray::floats(&name, &[layers, heads], grid(&|head| end(of(head)))));
            table = table.with(name, column(&|head| end(of(head))));
        }
    }
    arrays.push(NamedArray::floats("adjusted_p", &[layers, heads], grid(&|head| head.adjusted_p)));
    table = table.with("adjusted_p", column(&|head| head.adjusted_p));
    if let Some(together) = &findings.together {
        let branches = &together.branches;
        arrays.extend(branch_arrays(branches));
        if ranking.is_empty() {
            arrays.retain(|array| !array.shape.contains(&0));
            table = branch_table(branches);
        }
        arrays.extend(together.curve.as_ref().map(curve_arrays).into_iter().flatten());
    }
    let notes = [("model", &opened.model.card().name), ("split", &opened.split)];
    let notes = notes.map(|(key, value)| (key.to_owned(), value.clone())).to_vec();
    Ok(Export { arrays, images: opened.images()?, table, notes }.write(path)?)
}

/// Of every kind of branch a value for each layer.
fn branch_arrays(branches: &[BranchAblation]) -> Vec<NamedArray> {
    let mut arrays = Vec::new();
    for (kind, name) in [(Branch::Mlp, "mlp"), (Branch::Layer, "layer")] {
        let of_kind: Vec<&BranchAblation> = branches.iter().filter(|of| of.branch == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let mut add = |name: String, value: &dyn Fn(&BranchAblation) -> f64| {
            let values: Vec<f32> = of_kind.iter().map(|of| value(of) as f32).collect();
            arrays.push(NamedArray::floats(&name, &[values.len()], values));
        };
        for (measure, of) in BRANCH_MEASURES {
            for (measure, end) in ends(measure) {
                add(format!("{name}_{measure}"), &|branch| end(of(branch)));
            }
        }
        add(format!("{name}_adjusted_p"), &|branch| branch.adjusted_p);
    }
    arrays
}

/// A row for each block.
fn branch_table(branches: &[BranchAblation]) -> Table {
    let column =
        |value: &dyn Fn(&BranchAblation) -> f64| Column::Numbers(branches.iter().map(value).collect());
    let layers: Vec<usize> = branches.iter().map(|of| of.layer + 1).collect();
    let mut table = Table::default().with("layer", Column::indices(&layers));
    for (name, of) in BRANCH_MEASURES {
        for (name, end) in ends(name) {
            table = table.with(name, column(&|branch| end(of(branch))));
        }
    }
    table.with("adjusted_p", column(&|branch| branch.adjusted_p))
}

/// Accuracy at each point of the curve.
fn curve_arrays(curve: &PruningCurve) -> Vec<NamedArray> {
    let floats = |name: &str, values: Vec<f64>| {
        let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
        NamedArray::floats(name, &[values.len()], values)
    };
    let values = |of: &[Estimate]| of.iter().map(|estimate| estimate.value).collect();
    vec![
        NamedArray::indices("curve_removed", &curve.removed),
        floats("curve_most_first", values(&curve.most_first)),
        floats("curve_least_first", values(&curve.least_first)),
        floats("curve_gradient_first", values(&curve.gradient_first)),
        floats("curve_random", curve.random.iter().map(|of| of.mean).collect()),
    ]
}
