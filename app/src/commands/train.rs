//! `archaeo train`: one model, from a recipe.

use anyhow::{Result, bail};
use archaeo_data::OpenOptions;
use archaeo_experiments::investigation::Watcher;
use archaeo_store::run_folder::{DataIdentity, RunFolder};
use archaeo_training::images::{Augmented, Preprocessed};
use archaeo_training::{Job, Outcome, RecipeFile, train};
use serde_json::json;

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
    let mut overrides = arguments.set.clone();
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
    let images = Augmented {
        split: dataset.split("train")?,
        augment: &recipe.augment,
        image_size: recipe.image_size,
        seed: recipe.seed,
    };
    let validation_split = dataset.selection_split().unwrap_or_else(|| dataset.evaluation_split());
    let validation =
        Preprocessed { split: dataset.split(validation_split)?, preprocessing: &blank.card().preprocessing };
    let folder = RunFolder::open(&arguments.out, &recipe.to_toml(), &identity, &environment(global))?;
    let job = Job {
        recipe: &recipe,
        classes: &dataset.classes,
        images: &images,
        validation: &validation,
        folder: &folder,
        device: &device,
    };

    let kept = |epochs: &str| {
        format!(
            "{epochs} kept in {}; run the same command again to go on from there",
            arguments.out.display()
        )
    };
    interrupt::keeps(kept("every finished epoch is"));
    let bars = Bars::default();
    let outcome = train(&job, &mut *bars.training(&blank.card().name))?;
    bars.finish();
    match outcome {
        Outcome::Stopped { epochs } => {
            interrupt::keeps(match epochs {
                0 => "no epoch was finished, so nothing is kept; run the same command again".into(),
                1 => kept("1 epoch is"),
                _ => kept(&format!("{epochs} epochs are")),
            });
            bail!("interrupted")
        }
        Outcome::Finished(trained) => {
            let result = json!({
                "model": trained.weights.display().to_string(),
                "epochs": trained.history.len(),
                "validation": trained.history.last(),
            });
            printer.result(&result, |_| format!("Model: {}", trained.weights.display()))
        }
    }
}
