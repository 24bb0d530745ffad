//! `archaeo ablate`: what each attention head of a transformer is worth.

use std::path::Path;

use anyhow::Result;
use archaeo_analysis::statistics::Estimate;
use archaeo_experiments::findings::{HeadAblation, HeadFindings};
use archaeo_experiments::options::StudyOptions;
use archaeo_experiments::scene::{Progress, Scene, StudyError};
use archaeo_experiments::studies::{HeadsOptions, HeadsStudy};
use archaeo_experiments::subjects::{ModelName, Subject};
use archaeo_experiments::units::ask;
use archaeo_store::arrays::{Column, Export, NamedArray, Table};
use archaeo_training::evaluate::{Evaluation, evaluate};
use archaeo_training::finite;
use archaeo_training::images::{Preprocessed, Subset};
use serde_json::json;

use super::subject::{Opened, Purpose, answers_error, not_finite, open};
use crate::cli::{Ablate, Global};
use crate::printer::Printer;
use crate::progress::Bars;

/// Runs the command.
///
/// # Errors
/// A model without attention, or data that cannot be read.
pub fn run(arguments: &Ablate, global: &Global, printer: &Printer) -> Result<()> {
    let subject = &arguments.subject;
    let opened = open(subject, global, Purpose::Score, printer)?;
    opened.require_attention(subject)?;
    let Opened { model, dataset, split, indices, device, .. } = &opened;
    let bars = Bars::default();
    let mut options = StudyOptions::default().with::<HeadsStudy>(&HeadsOptions { images: indices.len() });
    options.batch_size = subject.batch_size.into();
    let examined = Subject::new(ModelName::new("model"), model);
    let scene = Scene {
        folder: Path::new("."),
        dataset,
        main_split: split,
        subset: Some(indices),
        subjects: &[examined],
        device,
        options: &options,
        seed: global.seed.unwrap_or(0),
        progress: &bars,
    };
    // What the model says with every head in place: first whether it says anything.
    let images = Subset {
        images: Preprocessed { split: opened.split()?, preprocessing: &model.card().preprocessing },
        indices: indices.clone(),
    };
    bars.begin("every head in place", indices.len());
    let mut done = 0;
    let answers = evaluate(model, &images, options.batch_size, device, &mut |so_far| {
        bars.advance(so_far - done);
        done = so_far;
    })?;
    let named = |position: usize| scene.dataset.split(split).map(|split| split.identifier(indices[position]));
    finite::check(model, &answers, &images, |position| named(position).unwrap_or_default(), device)
        .map_err(|error| answers_error(error, subject, global))?;

    let findings = ask::<HeadsStudy>(&scene, None).map_err(|error| match error {
        StudyError::NotFinite(error) => not_finite(error, subject, global),
        other => other.into(),
    })?;
    let findings = &findings[examined.name];
    bars.finish();
    if let Some(path) = &subject.export {
        write(path, &opened, &answers, findings)?;
    }
    let mut result = json!({
        "model": model.card().name,
        "precision": global.precision_name(),
        "classes": opened.described_classes(),
    });
    let fields = result.as_object_mut().expect("just made");
    fields.extend(serde_json::to_value(findings)?.as_object().cloned().unwrap_or_default());
    printer.result(&result, |_| table(findings))
}

fn table(findings: &HeadFindings) -> String {
    let HeadFindings { n, baseline, ranking, gradient_agreement, .. } = findings;
    let mut lines =
        format!("accuracy {:.2} % on {n} images with every head in place\n\n", 100.0 * baseline.value);
    lines += "              loss increase when replaced by          accuracy    gradient\n";
    lines += "layer head     mean (95 % interval)     zero  another's   lost     importance   adjusted p\n";
    for head in ranking {
        lines += &format!(
            "{:>5} {:>4}  {:>7.4} ({:>7.4} to {:>7.4}) {:>7.4} {:>7.4}  {:>6.2} %   {:>9.5}   {:>9.3e}\n",
            head.layer + 1,
            head.head + 1,
            head.mean.value,
            head.mean.low,
            head.mean.high,
            head.zero.value,
            head.resample.value,
            100.0 * head.accuracy_drop.value,
            head.gradient.value,
            head.adjusted_p
        );
    }
    lines
        + "\nlayers and heads are numbered from 1\n"
        + &match gradient_agreement {
            Some(agreement) => {
                format!("rank correlation of gradient importance with mean ablation: {:.2}", agreement.value)
            }
            None => "rank correlation of gradient importance with mean ablation: undefined".into(),
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
fn write(path: &Path, opened: &Opened, answers: &Evaluation, findings: &HeadFindings) -> Result<()> {
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
