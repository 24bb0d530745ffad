//! Diagnosis of diverging trainings: what happened, where it started, and what to change.

use std::path::PathBuf;

use archaeo_models::{Classifier, ParameterPath};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use thiserror::Error;

use super::{Job, NamedGradients, StepReport};
use crate::EpochRecord;

/// A loss of this many times that of guessing counts as divergence: merely wrong models are never this bad.
const EXPLODED: f64 = 20.0;

/// A training that diverged.
#[derive(Clone, Debug, PartialEq, Error)]
#[error(
    "the training diverged at step {step} (epoch {epoch}): {symptom}, at learning rate {learning_rate:.3e} and gradient \
     norm {gradient_norm:.3e}; {origin}. Train again with a lower learning_rate, a longer warmup_epochs or \
     gradient_clip = 1.0, and another --out{}",
    where_kept(kept)
)]
pub struct Divergence {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Optimiser step, counted from 1.
    pub step: u64,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Norm of its gradient.
    pub gradient_norm: f64,
    /// The symptom, in a sentence.
    pub symptom: String,
    /// The first array that is not finite, in words.
    pub origin: String,
    /// The checkpoint of the last good epoch.
    pub kept: Option<PathBuf>,
}

fn where_kept(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .map_or_else(String::new, |path| format!(" (the last finished epoch is kept in {})", path.display()))
}

/// Refuses to continue after a step whose loss or gradient, of the model or of the objective's own parameters, is not finite, or
/// whose loss has diverged; `guessing` is the loss of a model that guesses.
pub(super) fn check(
    step: &StepReport,
    model: &Classifier,
    gradients: [&NamedGradients; 2],
    guessing: f64,
    job: &Job,
) -> Result<(), Divergence> {
    let symptom = if !step.loss.is_finite() {
        format!("the loss is {}", step.loss)
    } else if !step.gradient_norm.is_finite() {
        "the gradient is not finite".to_owned()
    } else if step.loss > EXPLODED * guessing {
        format!("the loss is {:.1}, when guessing gives {guessing:.2}", step.loss)
    } else {
        return Ok(());
    };
    let origin = match (first_not_finite(model), gradients.iter().find_map(|of| of.first_not_finite())) {
        (Some(name), _) => format!("the first array that is not finite is the parameter `{name}`"),
        (None, Some(name)) => {
            format!("all parameters are finite, and the first gradient that is not is that of `{name}`")
        }
        (None, None) => "all parameters and gradients are still finite".to_owned(),
    };
    let StepReport { epoch, step, learning_rate, gradient_norm, .. } = *step;
    Err(Divergence { epoch, step, learning_rate, gradient_norm, symptom, origin, kept: last_checkpoint(job) })
}

/// Refuses to keep an epoch whose model has non-finite losses.
pub(super) fn check_validation(
    record: &EpochRecord,
    model: &Classifier,
    job: &Job,
) -> Result<(), Divergence> {
    let EpochRecord { epoch, step, learning_rate, validation_loss, .. } = *record;
    if validation_loss.is_finite() {
        return Ok(());
    }
    let symptom = format!("the validation loss is {validation_loss}");
    let origin = match first_not_finite(model) {
        Some(name) => format!("the first array that is not finite is `{name}`"),
        None => "all its arrays are finite, so its activations overflow".to_owned(),
    };
    let kept = last_checkpoint(job);
    Err(Divergence { epoch, step, learning_rate, gradient_norm: f64::NAN, symptom, origin, kept })
}

fn last_checkpoint(job: &Job) -> Option<PathBuf> {
    Some(job.folder.file("checkpoints/last.safetensors")).filter(|path| path.exists())
}

/// The first array of a model, starting at the input, with a non-finite value.
fn first_not_finite(model: &Classifier) -> Option<String> {
    let mut finder = Finder::default();
    model.visit(&mut finder);
    finder.found
}

#[derive(Default)]
struct Finder {
    path: ParameterPath,
    found: Option<String>,
}

impl ModuleVisitor for Finder {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.found.is_none() {
            let data = param.val().inner().into_data();
            let values = data.as_slice::<f32>().expect("parameters are 32-bit floats");
            if values.iter().any(|value| !value.is_finite()) {
                self.found = Some(self.path.name());
            }
        }
    }
}
