//! Adversarial training: learning from what an attack of the student itself makes of each image.
//!
//! | method | loss |
//! |---|---|
//! | `pgd` (Madry et al., 2018, equation 2.1) | `CE(student(x'), targets)`, x' the image of the ball with the largest cross-entropy that PGD finds |
//! | `trades` (Zhang et al., 2019, equation 5) | `CE(student(x), targets) + β · KL(student(x) ‖ student(x'))`, x' with the largest such divergence |
//!
//! The ball is that of L∞. The attack ([`search`]) sees the student as it answers at test: without dropout or stochastic depth, and
//! with batch norm's running moments. So what it finds for an image depends on no other image of the batch, and it attacks the
//! function whose robustness counts (Pang et al., 2021, section 3.5, find that this costs nothing). The student then learns from the
//! images found as from any other, with dropout and the moments of the batch; in TRADES clean and attacked images are two views,
//! normalised by the moments of both together.

mod search;

use archaeo_analysis::answers::logits;
use archaeo_analysis::attacks::{Norm, Target};
use archaeo_models::Classifier;
use archaeo_ops::soft_cross_entropy;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};
use toml::Table;

use self::search::{Goals, Search, Start};
use super::{Begun, Examples, Objective, ObjectiveKind, at_least_one, options, positive};
use crate::backward::{Share, Student};
use crate::{Job, RecipeError, TrainError};

pub(super) static ADVERSARIAL: ObjectiveKind = ObjectiveKind {
    id: "adversarial",
    title: "cross-entropy on images that an attack of the model finds, or close to clean images (TRADES)",
    of_features: true,
    weights: &[],
    check: |table| Options::read(table).map(drop),
    begin,
};

/// How attacked images enter the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Method {
    /// In place of the clean ones.
    Pgd,
    /// By how far the answers to them are from those to the clean ones.
    Trades,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    method: Method,
    /// Largest change of a channel value, in units of 1/255.
    epsilon: f64,
    /// Steps of the attack.
    steps: usize,
    /// Length of a step, in units of 1/255.
    step: f64,
    /// β, of TRADES.
    beta: f64,
}

impl Default for Options {
    /// Madry et al. (2018), section 5; β of Zhang et al. (2019), section 5.3.
    fn default() -> Self {
        Self { method: Method::Pgd, epsilon: 8.0, steps: 7, step: 2.0, beta: 6.0 }
    }
}

impl Options {
    fn read(table: &Table) -> Result<Self, RecipeError> {
        let options: Self = options(table)?;
        let Self { method, epsilon, steps, step, beta } = options;
        positive("objective.epsilon", epsilon)?;
        Norm::Linf
            .check(epsilon)
            .map_err(|reason| RecipeError::Value(format!("`objective.epsilon`: {reason}")))?;
        at_least_one("objective.steps", steps)?;
        positive("objective.step", step)?;
        positive("objective.beta", beta)?;
        if method == Method::Pgd && table.contains_key("beta") {
            return Err(RecipeError::Value(
                "`objective.beta` weighs the divergence of the method `trades`, and `pgd` has none; leave it out".into(),
            ));
        }
        Ok(options)
    }
}

struct Adversarial(Options);

fn begin(table: &Table, _: &Job, _: &Classifier) -> Begun {
    Ok(Box::new(Adversarial(Options::read(table)?)))
}

impl Adversarial {
    fn search(&self) -> Search {
        let Options { method, epsilon, steps, step, .. } = self.0;
        let start = match method {
            Method::Pgd => Start::Uniform,
            Method::Trades => Start::Near,
        };
        Search { threat: Norm::Linf.threat(epsilon), step: step / 255.0, steps, start }
    }
}

impl Objective for Adversarial {
    fn learn(&self, student: Student, examples: Examples) -> Result<Share, TrainError> {
        let Examples { images, targets, .. } = examples;
        let model = student.frozen();
        let goals = match self.0.method {
            Method::Pgd => Goals::distributions(&targets),
            Method::Trades => Goals::answers(&logits(&model, images.clone().inner()), model.classes()),
        };
        let found = self.search().run(&model, &images, &goals, student.step());
        let found: Tensor<4> = Tensor::from_data(TensorData::new(found, images.dims()), &images.device());
        Ok(match self.0.method {
            Method::Pgd => student.learn_from_logits(found, |logits| soft_cross_entropy(logits, targets)),
            Method::Trades => student.learn_from_logits(Tensor::cat(vec![images, found], 0), |logits| {
                trades(logits, targets, self.0.beta)
            }),
        })
    }

    /// Both parts of TRADES' loss.
    fn guessing(&self, classes: usize) -> f64 {
        let weight = if self.0.method == Method::Trades { 1.0 + self.0.beta } else { 1.0 };
        weight * (classes.max(2) as f64).ln()
    }
}

/// `CE(clean, targets) + β · KL(softmax(clean) ‖ softmax(attacked))`, a mean over images, in nats. The gradient reaches the answers to
/// both images.
///
/// # Shapes
/// `logits` `[2 · batch, classes]`, of the clean images and then of the attacked ones; `targets` `[batch, classes]` → `[1]`
fn trades(logits: Tensor<2>, targets: Tensor<2>, beta: f64) -> Tensor<1> {
    let [batch, _] = targets.dims();
    let [clean, attacked] = [0, batch].map(|first| logits.clone().narrow(0, first, batch));
    let [p, q] = [clean.clone(), attacked].map(|logits| log_softmax(logits, 1));
    soft_cross_entropy(clean, targets) + (p.clone().exp() * (p - q)).sum() * (beta / batch as f64)
}

/// The objective with options as a recipe has them.
#[cfg(test)]
pub(super) fn with(options: &str) -> Box<dyn Objective> {
    Box::new(Adversarial(Options::read(&options.parse().unwrap()).unwrap()))
}

#[cfg(test)]
mod tests;
