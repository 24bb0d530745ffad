//! `archaeo train`: one model from a recipe, once or with several seeds.

use std::path::Path;

use anyhow::{Result, bail};
use archaeo_data::OpenOptions;
use archaeo_experiments::investigation::Watcher;
use archaeo_store::run_folder::{DataIdentity, RunFolder};
use archaeo_training::images::{Augmented, Preprocessed};
use archaeo_training::{EpochRecord, Job, Outcome, OverRuns, RecipeFile, Spread, open_runs, train};
use serde_json::{Value, json};

use super::configs::BuiltIn;
use super::{environment, reading_data, verify};
use crate::cli::{Global, Train};
use crate::device;
use crate::interrupt;
use crate::printer::Printer;
use crate::progress::{Bars, stage};

/// Runs the command.
///
/// # Errors
/// One sentence; the checkpoint of the last finished epoch is kept.
pub fn run(arguments: &Train, global: &Global, printer: &Printer) -> Result<()> {
    let mut overrides = arguments.overrides();
    overrides.extend(global.overrides());
    let file = match BuiltIn::meant_by(&arguments.config) {
        Some(config) => RecipeFile::parse(config.text, &overrides)?,
        None => RecipeFile::read(&arguments.config, &overrides)?,
    };
    let recipe = file.recipe(None)?;
    let device = device::by_name(&global.device, &[recipe.precision])?;
    if let Some(note) = recipe.augment.note() {
        printer.note(note);
    }

    let source =
        arguments.data.clone().or_else(|| recipe.data.source.clone()).unwrap_or_else(|| "sherds".into());
    let options = OpenOptions {
        split_seed: recipe.data.split_seed,
        strict: arguments.strict,
        validation: Some(recipe.data.validation.unwrap_or(0.1)),
        ..OpenOptions::default()
    };
    let mut dataset = reading_data(|| archaeo_data::open(&source, &options))?;
    verify(&mut dataset, &[], printer)?;
    let hashing = stage("hashing the data");
    let identity = DataIdentity {
        source,
        fingerprint: dataset.fingerprint(),
        classes: dataset.classes.clone(),
        counts: dataset.splits().iter().map(|(name, split)| (name.clone(), split.len())).collect(),
    };

    drop(hashing);
    let blank = recipe.build(&dataset.classes, &device)?;
    let train_split = dataset.split("train")?;
    let validation_split = dataset.selection_split().unwrap_or_else(|| dataset.evaluation_split());
    let validation =
        Preprocessed { split: dataset.split(validation_split)?, preprocessing: &blank.card().preprocessing };

    let out = &arguments.out;
    let runs = recipe.runs();
    let environment = environment(global);
    let of_all = match runs.len() {
        1 => None,
        _ => Some(open_runs(&recipe, out, &identity, &environment)?),
    };
    let mut results = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        let folder = run.open(out, &identity, &environment)?;
        let images = Augmented {
            split: train_split,
            augment: &run.recipe.augment,
            image_size: run.recipe.image_size,
            seed: run.recipe.seed,
        };
        let job = Job {
            recipe: &run.recipe,
            classes: &dataset.classes,
            images: &images,
            validation: &validation,
            folder: &folder,
            device: &device,
        };
        let name = &blank.card().name;
        let title = match of_all {
            None => name.clone(),
            Some(_) => format!("{name} run {}/{}", place + 1, runs.len()),
        };
        interrupt::keeps(kept(place, None, out));
        let bars = Bars::default();
        let outcome = train(&job, &mut *bars.training(&title))?;
        bars.finish();
        match outcome {
            Outcome::Stopped { epochs } => {
                interrupt::keeps(kept(place, Some(epochs), out));
                bail!("interrupted")
            }
            Outcome::Finished(trained) => results.push(Finished {
                seed: run.recipe.seed,
                model: trained.weights.display().to_string(),
                history: trained.history,
            }),
        }
    }
    match of_all {
        None => printer.result(&results[0].described(), |_| format!("Model: {}", results[0].model)),
        Some(folder) => several(&folder, &results, printer),
    }
}

/// A run that is done.
struct Finished {
    seed: u64,
    model: String,
    history: Vec<EpochRecord>,
}

impl Finished {
    fn described(&self) -> Value {
        json!({ "model": self.model, "epochs": self.history.len(), "validation": self.history.last() })
    }
}

/// What is kept of an interrupted training: `runs` before it, and so many of its epochs, where that is known.
fn kept(runs: usize, epochs: Option<usize>, out: &Path) -> String {
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    let are = |count: usize| if count == 1 { "is" } else { "are" };
    let what = match (runs, epochs) {
        (0, Some(0)) => {
            return "no epoch was finished, so nothing is kept; run the same command again".into();
        }
        (0, None) => "every finished epoch is".into(),
        (0, Some(epochs)) => format!("{} {}", counted(epochs, "epoch"), are(epochs)),
        (_, Some(0)) => format!("{} {}", counted(runs, "run"), are(runs)),
        (_, None) => format!("{} and every finished epoch of the next are", counted(runs, "run")),
        (_, Some(epochs)) => {
            format!("{} and {} of the next are", counted(runs, "run"), counted(epochs, "epoch"))
        }
    };
    format!("{what} kept in {}; run the same command again to go on from there", out.display())
}

/// Says how much the results of several runs differ, and writes it into their folder.
fn several(folder: &RunFolder, results: &[Finished], printer: &Printer) -> Result<()> {
    let last: Vec<EpochRecord> = results.iter().filter_map(|run| run.history.last().cloned()).collect();
    let spread = Spread::of(&last)?;
    let with_seed = |run: &Finished| {
        let mut described = run.described();
        described["seed"] = run.seed.into();
        described
    };
    let result = json!({ "runs": results.iter().map(with_seed).collect::<Vec<_>>(), "spread": spread });
    folder.write_json("runs.json", &result)?;
    printer.result(&result, |_| {
        let mut lines: String = results.iter().map(|run| format!("Model: {}\n", run.model)).collect();
        let Spread { validation_accuracy, validation_loss } = &spread;
        let percent = |share: f64| format!("{:.2}", 100.0 * share);
        let nats = |loss: f64| format!("{loss:.4}");
        lines += &line("validation accuracy", validation_accuracy, percent, [" %", " points"]);
        lines += &line("validation loss", validation_loss, nats, ["", ""]);
        lines
            + &format!(
                "over {} runs that differ in their seed; intervals are Student's t over runs",
                last.len()
            )
    })
}

/// `units`: of the number, and of its standard deviation.
fn line(title: &str, over: &OverRuns, number: impl Fn(f64) -> String, units: [&str; 2]) -> String {
    let OverRuns { mean, standard_deviation } = over;
    let [value, deviation, low, high] =
        [mean.value, *standard_deviation, mean.low, mean.high].map(|value| number(value));
    let [unit, of_deviation] = units;
    format!(
        "{title:<20} {value}{unit}  (standard deviation {deviation}{of_deviation}, {:.0} % interval {low} to {high}{unit})\n",
        100.0 * mean.level
    )
}
