//! The contract of an attack, and what it says about itself.

use burn::tensor::{Tensor, TensorData};
use serde::Serialize;

use super::{Aim, Loss, Norm, Target, Threat};
use crate::{Keys, Paper};

/// An attack with its settings.
pub trait Attack {
    /// What the attack is.
    fn info(&self) -> &'static AttackInfo;

    /// How far it may go; anywhere ([`Norm::unlimited`]) where it looks for the smallest perturbation.
    fn threat(&self) -> Threat;

    /// The settings in words, for a report's reader.
    fn describe(&self) -> String;

    /// The attacks of a cascade, in order: each is for the images that those before it have left standing. None of any other attack.
    fn stages(&self) -> Vec<Box<dyn Attack>> {
        Vec::new()
    }

    /// What it makes of each image of the batch, which it leads away from its label, or to its target. An image that the target
    /// model already gets wrong needs no attack; it comes back changed all the same.
    ///
    /// # Panics
    /// If there is not one label and one key for each image, a label or a target is not among the classes, or the threat's size
    /// is negative or not a number.
    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome>;
}

/// What an attack is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AttackInfo {
    /// What the command line calls it, such as `pgd`.
    pub id: &'static str,
    /// What a reader calls it, such as `PGD`.
    pub title: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What its size may be measured in; the first where nothing is chosen.
    pub norms: &'static [Norm],
    /// What it is asked for.
    pub goal: Goal,
    /// How many steps it takes where nothing is chosen; `None` where it takes no number of steps.
    pub steps: Option<usize>,
    /// The losses that can be chosen, the first where nothing is chosen; none where it has one of its own.
    pub losses: &'static [Loss],
    /// Whether it can start again from another place.
    pub restarts: bool,
    /// Whether it can lead an image to a given class.
    pub targeted: bool,
    /// Where it comes from, if it was published.
    pub paper: Option<Paper>,
}

/// What an attack is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// A perturbation that fools, of a given size at most: a budget attack.
    Within,
    /// The smallest perturbation that fools: a minimum-norm attack.
    Smallest,
}

/// What can be chosen of an attack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What sizes are measured in.
    pub norm: Norm,
    /// How far it may go, in the norm's unit; of no meaning where the smallest perturbation is asked for.
    pub size: f64,
    /// Steps of an iterated attack, at least 1; the attack's own where nothing is chosen.
    pub steps: Option<usize>,
    /// How often it starts, at least 1.
    pub restarts: usize,
    /// What it follows; the attack's own where nothing is chosen.
    pub loss: Option<Loss>,
}

impl Settings {
    /// Of a norm and a size; all else is the attack's own.
    pub fn new(norm: Norm, size: f64) -> Self {
        Self { norm, size, steps: None, restarts: 1, loss: None }
    }

    /// How far the attack may go.
    pub fn threat(&self) -> Threat {
        self.norm.threat(self.size)
    }
}

/// An attack whose settings are still open: an entry of the list of attacks.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// What the attack is.
    pub info: &'static AttackInfo,
    pub(super) with: fn(&Settings) -> Box<dyn Attack>,
}

impl Family {
    /// The attack with these settings.
    ///
    /// # Errors
    /// A norm or a loss that the attack does not have, restarts or steps of one that has none, or none of them.
    pub fn with(&self, settings: &Settings) -> Result<Box<dyn Attack>, Unavailable> {
        let info = self.info;
        let listed = |words: Vec<String>| words.join(", ");
        if !info.norms.contains(&settings.norm) {
            let has = listed(info.norms.iter().map(|norm| norm.id().to_owned()).collect());
            return Err(Unavailable::new(info, format!("norm {}; it has {has}", settings.norm.id())));
        }
        match settings.loss {
            Some(loss) if info.losses.is_empty() => {
                return Err(Unavailable::new(info, format!("choice of a loss such as {}", loss.id())));
            }
            Some(loss) if !info.losses.contains(&loss) => {
                let has = listed(info.losses.iter().map(|loss| loss.id().to_owned()).collect());
                return Err(Unavailable::new(info, format!("loss {}; it has {has}", loss.id())));
            }
            _ => {}
        }
        if settings.restarts != 1 && !info.restarts {
            return Err(Unavailable::new(info, "restarts".into()));
        }
        if settings.steps.is_some() && info.steps.is_none() {
            return Err(Unavailable::new(info, "number of steps to choose".into()));
        }
        if settings.steps == Some(0) || settings.restarts == 0 {
            return Err(Unavailable::new(
                info,
                "way to do without a step or a start; give at least 1".into(),
            ));
        }
        Ok((self.with)(settings))
    }

    /// The attack in its first norm, of a size in the norm's unit, with a number of steps if it takes any.
    pub fn sized(&self, size: f64, steps: usize) -> Box<dyn Attack> {
        let steps = self.info.steps.map(|_| steps.max(1));
        (self.with)(&Settings { steps, ..Settings::new(self.info.norms[0], size) })
    }
}

/// What was chosen of an attack that does not have it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{attack} has no {what}")]
pub struct Unavailable {
    /// The attack's title.
    pub attack: &'static str,
    /// What it does not have, and what it has instead.
    pub what: String,
}

impl Unavailable {
    fn new(info: &'static AttackInfo, what: String) -> Self {
        Self { attack: info.title, what }
    }
}

/// Images, their true classes, and where their answers are to go.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    /// `[batch, 3, height, width]` in [0, 1].
    pub images: Tensor<4>,
    /// One class for each image.
    pub labels: &'a [usize],
    /// Of a targeted attack the class that each image is to be taken for; `None` where any wrong class will do.
    pub targets: Option<&'a [usize]>,
}

impl<'a> Batch<'a> {
    /// Images that any wrong class will do for.
    pub fn new(images: Tensor<4>, labels: &'a [usize]) -> Self {
        Self { images, labels, targets: None }
    }

    /// Where the answer to an image is to go.
    pub fn aim(&self, place: usize) -> Aim {
        match self.targets {
            None => Aim::Away(self.labels[place]),
            Some(targets) => Aim::Toward(targets[place]),
        }
    }
}

/// What became of one image: the best adversarial image that was met, after rounding to 8 bits, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// `(3, height, width)` values with 8 bits, in the ball and in the box. Where the smallest perturbation was asked for, it
    /// is enlarged, as little as necessary, until its rounded version fools.
    pub image: Vec<f32>,
    /// The target's answer to it.
    pub logits: Vec<f32>,
    /// The class of the largest logit.
    pub answer: usize,
    /// Whether that is where it was to go: not the label, or the target of a targeted attack.
    pub success: bool,
    /// Of an attack that looks for the smallest perturbation, the length of the smallest that fools, in the attack's norm and in
    /// real numbers (of values in [0, 1], so in L∞ 8/255 and not 8); `None` where none was found, and of other attacks.
    pub distance: Option<f64>,
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
    /// random start: what looks like robustness there may be an illusion. Never of an attack that asks for no gradient.
    pub zero_gradient: bool,
}

/// The images of outcomes as one batch, in the shape and on the device of the batch that was attacked.
pub fn images(outcomes: &[Outcome], like: &Tensor<4>) -> Tensor<4> {
    let [_, channels, height, width] = like.dims();
    let values: Vec<f32> = outcomes.iter().flat_map(|outcome| outcome.image.iter().copied()).collect();
    Tensor::from_data(TensorData::new(values, [outcomes.len(), channels, height, width]), &like.device())
}
