//! The contract of an attack, and what it says about itself.

use burn::tensor::{Tensor, TensorData};
use serde::Serialize;

use super::{Norm, Target, Threat};
use crate::{Keys, Paper};

/// An attack with its settings.
pub trait Attack {
    /// What the attack is.
    fn info(&self) -> &'static AttackInfo;

    /// How far it may go.
    fn threat(&self) -> Threat;

    /// The settings in words, for a report's reader.
    fn describe(&self) -> String;

    /// What it makes of each image of the batch, which it leads away from its label. An image that the target already gets
    /// wrong needs no attack; it comes back changed all the same.
    ///
    /// # Panics
    /// If there is not one label and one key for each image, a label is not among the classes, or the threat's size is negative
    /// or not finite.
    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome>;
}

/// What an attack is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AttackInfo {
    /// What the command line calls it, such as `pgd-l2`.
    pub id: &'static str,
    /// What a reader calls it, such as `PGD-L2`.
    pub title: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What its size is measured in.
    pub norm: Norm,
    /// Whether it takes a number of steps.
    pub iterated: bool,
    /// Where it comes from, if it was published.
    pub paper: Option<Paper>,
}

/// What can be chosen of an attack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How far it may go.
    pub threat: Threat,
    /// Steps of an iterated attack, at least 1.
    pub steps: usize,
}

/// An attack whose settings are still open: an entry of the list of attacks.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// What the attack is.
    pub info: &'static AttackInfo,
    pub(super) with: fn(&Settings) -> Box<dyn Attack>,
}

impl Family {
    /// The attack of a size in the unit of its norm, with a number of steps if it takes any.
    pub fn sized(&self, size: f64, steps: usize) -> Box<dyn Attack> {
        (self.with)(&Settings { threat: self.info.norm.threat(size), steps })
    }
}

/// Images and their true classes.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    /// `[batch, 3, height, width]` in [0, 1].
    pub images: Tensor<4>,
    /// One class for each image.
    pub labels: &'a [usize],
}

/// What became of one image: the best adversarial image that was met, after rounding to 8 bits, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// `(3, height, width)` values with 8 bits, in the ball and in the box.
    pub image: Vec<f32>,
    /// The target's answer to it.
    pub logits: Vec<f32>,
    /// The class of the largest logit.
    pub answer: usize,
    /// Whether that is not the label.
    pub success: bool,
    /// Largest change of a channel value.
    pub linf: f64,
    /// Euclidean length of the change.
    pub l2: f64,
    /// Sum of the changes of channel values.
    pub l1: f64,
    /// Channel values that changed.
    pub l0: usize,
    /// How often the target was asked about the image or a version of it, with or without gradient.
    pub queries: usize,
    /// Steps after which the image was met.
    pub best_step: usize,
    /// Whether the gradient was 0 in every pixel where the attack began. Such an image was not attacked, only moved to the
    /// random start: what looks like robustness there may be an illusion.
    pub zero_gradient: bool,
}

/// The images of outcomes as one batch, in the shape and on the device of the batch that was attacked.
pub fn images(outcomes: &[Outcome], like: &Tensor<4>) -> Tensor<4> {
    let [_, channels, height, width] = like.dims();
    let values: Vec<f32> = outcomes.iter().flat_map(|outcome| outcome.image.iter().copied()).collect();
    Tensor::from_data(TensorData::new(values, [outcomes.len(), channels, height, width]), &like.device())
}
