//! Adversarial examples: the smallest changes of an image that change a model's answer, as images that exist.
//!
//! Images are in [0, 1] and the model normalises inside, so that a change is measured in pixels whatever the model. What
//! [`attack`] hands back lies within the ball around the clean image and within the box *after* rounding to 8 bits. It is an
//! image at the model's input size: saved as a PNG and read back at that size, without another resize or crop, it fools the
//! model as the reported number says. An evaluation that resizes or crops what it reads changes the perturbation.
//!
//! Rounding takes nothing from an L∞ attack on an 8-bit image whose ε is a whole number of levels k/255; with ε between two
//! levels the attack is as strong as with the smaller one, and below one level nothing is left of it
//! ([`Attack::is_rounded_away`]). In L2 the change is shrunk, where needed, until its rounded version is no longer than ε.
//!
//! Each image is attacked on its own: its random numbers are keyed by (seed, image), its loss is its own (`ascent.rs` says
//! which, and why scaled logits do not hide from it), and an iterated attack ends for it as soon as a rounded image fools the
//! model. An image whose three channels are equal stays so: a grey image gets grey changes.
//!
//! **Robust** is a model on an image that it classifies correctly both before and under the attack ([`robust`]).

mod ascent;
mod ball;
mod eight_bit;
#[cfg(test)]
mod tests;

use archaeo_models::Classifier;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::answers::{logits, predicted_classes};
use crate::tensors::{per_image, values};
use ascent::{Ascent, Loss, ascent};
use ball::{ascend, is_grey, start_at_random};

/// One attack with its settings. Sizes are in units of the image's range: 8/255 is `8.0 / 255.0`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "attack", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Attack {
    /// Fast gradient sign method (Goodfellow et al., 2015, section 4): one step of ε along the sign of the gradient.
    Fgsm {
        /// Largest change of a channel value.
        epsilon: f64,
    },
    /// Projected gradient descent in L∞ (Madry et al., 2018, section 2.1). The first iterate that fools the model after
    /// rounding is the result, else the last.
    Pgd {
        /// Largest change of a channel value.
        epsilon: f64,
        /// Change of a channel value in one step.
        step: f64,
        /// Number of steps.
        steps: usize,
        /// Whether to start at a random place of the ball instead of its centre.
        random_start: bool,
    },
    /// Projected gradient descent in L2: steps along the gradient of unit length; the result as in L∞.
    PgdL2 {
        /// Largest Euclidean length of the change, over all channel values.
        epsilon: f64,
        /// Length of one step.
        step: f64,
        /// Number of steps.
        steps: usize,
        /// Whether to start at a random place of the ball instead of its centre.
        random_start: bool,
    },
}

impl Attack {
    /// FGSM of size `epsilon`.
    pub fn fgsm(epsilon: f64) -> Self {
        Self::Fgsm { epsilon }
    }

    /// PGD in L∞ with a random start and steps of `2.5 · epsilon / steps` (Madry et al., 2018, section 5), so that every
    /// point of the ball can be reached: at 8/255 and 10 steps, steps of 2/255.
    pub fn pgd(epsilon: f64, steps: usize) -> Self {
        Self::Pgd { epsilon, step: 2.5 * epsilon / steps as f64, steps, random_start: true }
    }

    /// PGD in L2 with a random start and steps of `2 · epsilon / steps`: at 1 and 10 steps, steps of 0.2.
    pub fn pgd_l2(epsilon: f64, steps: usize) -> Self {
        Self::PgdL2 { epsilon, step: 2.0 * epsilon / steps as f64, steps, random_start: true }
    }

    /// Short name: `FGSM`, `PGD`, `PGD-L2`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fgsm { .. } => "FGSM",
            Self::Pgd { .. } => "PGD",
            Self::PgdL2 { .. } => "PGD-L2",
        }
    }

    /// The radius of the ball.
    pub fn epsilon(&self) -> f64 {
        match *self {
            Self::Fgsm { epsilon } | Self::Pgd { epsilon, .. } | Self::PgdL2 { epsilon, .. } => epsilon,
        }
    }

    /// Whether rounding to 8 bits leaves nothing of the attack: its ε is smaller than one level of one channel value, 1/255.
    /// An ε of 0 is no attack to begin with.
    pub fn is_rounded_away(&self) -> bool {
        self.epsilon() > 0.0 && self.epsilon() * 255.0 + eight_bit::SLACK < 1.0
    }

    /// The settings in words, for a report's reader.
    pub fn describe(&self) -> String {
        let start = |random| if random { "a random start" } else { "the clean image as start" };
        let size =
            |size: f64| format!("{:.3}", size * 255.0).trim_end_matches('0').trim_end_matches('.').to_owned();
        let radius = |epsilon: f64| {
            let whole = (epsilon * 255.0 + eight_bit::SLACK).floor();
            match epsilon * 255.0 - whole > eight_bit::SLACK {
                true => format!("{}/255 (after rounding {whole}/255)", size(epsilon)),
                false => format!("{}/255", size(epsilon)),
            }
        };
        let rounded = "rounded to 8 bits; grey images get grey changes";
        match *self {
            Self::Fgsm { epsilon } => format!("one signed gradient step of {}; {rounded}", radius(epsilon)),
            Self::Pgd { epsilon, step, steps, random_start } => format!(
                "L∞ ball of {}, at most {steps} signed gradient steps of {}/255, {}; {rounded}",
                radius(epsilon),
                size(step),
                start(random_start)
            ),
            Self::PgdL2 { epsilon, step, steps, random_start } => format!(
                "L2 ball of {epsilon}, at most {steps} gradient steps of length {step}, {}; {rounded}",
                start(random_start)
            ),
        }
    }

    fn is_iterated(&self) -> bool {
        !matches!(self, Self::Fgsm { .. })
    }

    fn loss(&self) -> Loss {
        match self {
            Self::Fgsm { .. } => Loss::LogOdds,
            Self::Pgd { .. } | Self::PgdL2 { .. } => Loss::Margin,
        }
    }
}

/// What an attack made of a batch.
#[derive(Clone, Debug)]
pub struct Adversarial {
    /// The images, `[batch, 3, height, width]`: in the box, in the ball, with 8-bit values.
    pub images: Tensor<4>,
    /// For each image whether its gradient was 0 in every pixel where the attack began. Such an image was not attacked, only
    /// moved to the random start: what looks like robustness there may be an illusion.
    pub zero_gradient: Vec<bool>,
}

/// For each image whether a model is robust on it: correct before the attack and under it.
///
/// # Panics
/// If there is not one answer of either kind for each label.
pub fn robust(clean: &[usize], attacked: &[usize], labels: &[usize]) -> Vec<bool> {
    assert_eq!((clean.len(), attacked.len()), (labels.len(), labels.len()), "one answer per image is needed");
    let answers = clean.iter().zip(attacked).zip(labels);
    answers.map(|((clean, attacked), label)| clean == label && attacked == label).collect()
}

/// The images of [`attack_and_examine`] alone.
///
/// # Panics
/// As [`attack_and_examine`].
pub fn attack(
    model: &Classifier,
    images: Tensor<4>,
    labels: &[usize],
    image_ids: &[u64],
    attack: &Attack,
    seed: u64,
) -> Tensor<4> {
    attack_and_examine(model, images, labels, image_ids, attack, seed).images
}

/// Adversarial examples that lead a model away from `labels`, from images `[batch, 3, height, width]` in the box.
///
/// `image_ids` name the images: with `seed`, the key of a random start. An image that the model already gets wrong needs no
/// attack; it comes back changed all the same, and does not count as robust whatever the answer is then.
///
/// # Panics
/// If there is not one label and one id for each image, a label is not among the classes, or the attack's ε is negative or
/// not finite.
pub fn attack_and_examine(
    model: &Classifier,
    images: Tensor<4>,
    labels: &[usize],
    image_ids: &[u64],
    attack: &Attack,
    seed: u64,
) -> Adversarial {
    let shape = images.dims();
    let batch = shape[0];
    assert_eq!((labels.len(), image_ids.len()), (batch, batch), "one label and one id per image are needed");
    assert!(
        attack.epsilon().is_finite() && attack.epsilon() >= 0.0,
        "an attack needs a size of at least 0, not {}",
        attack.epsilon()
    );
    let (steps, random_start) = match *attack {
        Attack::Fgsm { .. } => (1, false),
        Attack::Pgd { steps, random_start, .. } | Attack::PgdL2 { steps, random_start, .. } => {
            (steps, random_start)
        }
    };
    let device = images.device();
    let clean = values(images);
    let clean: Vec<&[f32]> = per_image(&clean, batch).collect();
    let grey: Vec<bool> = clean.iter().map(|image| is_grey(image)).collect();
    let tensor = |images: &mut dyn Iterator<Item = &[f32]>| {
        let values: Vec<f32> = images.flatten().copied().collect();
        let count = values.len() / shape[1..].iter().product::<usize>().max(1);
        Tensor::<4>::from_data(TensorData::new(values, [count, shape[1], shape[2], shape[3]]), &device)
    };

    let mut current: Vec<Vec<f32>> = clean.iter().map(|image| image.to_vec()).collect();
    if random_start {
        for (i, x) in current.iter_mut().enumerate() {
            start_at_random(attack, x, clean[i], grey[i], seed, image_ids[i]);
        }
    }
    let mut zero_gradient = vec![false; batch];
    let mut fooling: Vec<Option<Vec<f32>>> = vec![None; batch];
    for step in 0..steps {
        let mut going: Vec<usize> = (0..batch).filter(|&i| fooling[i].is_none()).collect();
        if going.is_empty() {
            break;
        }
        let targets: Vec<usize> = going.iter().map(|&i| labels[i]).collect();
        let at = tensor(&mut going.iter().map(|&i| current[i].as_slice()));
        let Ascent { answers, gradient } = ascent(model, at, &targets, attack.loss());
        let gradient: Vec<&[f32]> = per_image(&gradient, going.len()).collect();
        if step == 0 {
            for (place, &i) in going.iter().enumerate() {
                zero_gradient[i] = !gradient[place].iter().any(|g| g.is_finite() && *g != 0.0);
            }
        }
        for (place, &i) in going.iter().enumerate() {
            // What a step makes of an image that fools already is looked at only if rounding undoes it.
            fooling[i] = (attack.is_iterated() && answers[place] != labels[i]).then(|| current[i].clone());
            ascend(attack, &mut current[i], clean[i], grey[i], gradient[place]);
        }

        going.retain(|&i| fooling[i].is_some());
        for &i in &going {
            eight_bit::round(attack, fooling[i].as_mut().expect("kept for that"), clean[i]);
        }
        if !going.is_empty() {
            let candidates = tensor(&mut going.iter().filter_map(|&i| fooling[i].as_deref()));
            let logits = logits(model, candidates);
            for (answer, &i) in predicted_classes(&logits, logits.len() / going.len()).iter().zip(&going) {
                if *answer == labels[i] {
                    fooling[i] = None;
                }
            }
        }
    }
    for ((x, clean), fooling) in current.iter_mut().zip(&clean).zip(fooling) {
        match fooling {
            Some(found) => *x = found,
            None => eight_bit::round(attack, x, clean),
        }
    }
    Adversarial { images: tensor(&mut current.iter().map(Vec::as_slice)), zero_gradient }
}
