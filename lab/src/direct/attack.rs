//! Attacks on images in memory.

use archaeo_analysis::Keys;
use archaeo_analysis::attacks::{Attack, Batch, Family, Goal, Loss, Norm, Outcome, Settings, all, by_any_id};

use super::{DirectError, DirectModel, FEW_AT_ONCE, Pixels};
use crate::error::LabError;
use crate::session::Session;
use crate::stoppable::{self, Stoppable};

/// Which attack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DirectAttack {
    /// Its ID, such as `apgd-t`.
    pub attack: String,
    /// What its size is measured in; its first where nothing is chosen.
    pub norm: Option<String>,
    /// The size of the perturbation of values in [0, 1], in L0 the number of values; the norm's usual one where nothing is chosen.
    /// An attack that looks for the smallest perturbation takes none.
    pub epsilon: Option<f64>,
    /// Steps; its own where nothing is chosen.
    pub steps: Option<usize>,
    /// How often it starts; once where nothing is chosen.
    pub restarts: Option<usize>,
    /// What it follows; its own where nothing is chosen.
    pub loss: Option<String>,
}

/// What an attack made of images.
#[derive(Clone, Debug)]
pub struct DirectOutcome {
    /// The attack's title.
    pub title: &'static str,
    /// The attack in words.
    pub settings: String,
    /// The norm.
    pub norm: Norm,
    /// The size, in the units of [`DirectAttack::epsilon`]; `None` of one that looks for the smallest perturbation.
    pub epsilon: Option<f64>,
    /// One per image, in their order.
    pub outcomes: Vec<Outcome>,
    /// The answer to each image without an attack.
    pub clean: Vec<usize>,
}

impl DirectModel {
    /// Attacks images: away from their labels, or towards `targets`.
    ///
    /// # Errors
    /// An attack, a norm, a loss or a size that does not exist; a class that the model does not have; answers that are not finite;
    /// an interruption.
    pub fn attack(
        &self,
        session: &Session,
        pixels: Pixels,
        labels: &[usize],
        targets: Option<&[usize]>,
        asked: &DirectAttack,
    ) -> Result<DirectOutcome, DirectError> {
        self.check_labels("label", labels, pixels.count())?;
        if self.classes().len() < 2 {
            return Err(LabError::OneClass { model: self.card().name.clone() }.into());
        }
        if let Some(targets) = targets {
            self.check_labels("target", targets, pixels.count())?;
        }
        let (attack, norm, epsilon) = made(asked, targets.is_some())?;
        attack.applies(&self.classifier)?;
        let before = self.logits(session, pixels)?;
        let clean = archaeo_analysis::answers::predicted_classes(&before.values, before.width);
        let stopped = || session.listener().interrupted();
        let target = Stoppable { model: &self.classifier, stopped: &stopped };
        let work = session.counting(attack.info().title, pixels.count());
        let mut outcomes = Vec::with_capacity(pixels.count());
        for range in pixels.batches(FEW_AT_ONCE) {
            session.go_on()?;
            let ids: Vec<u64> = range.clone().map(|image| image as u64).collect();
            let batch = Batch {
                images: self.tensor(pixels, range.clone()),
                labels: &labels[range.clone()],
                targets: targets.map(|targets| &targets[range.clone()]),
            };
            let keys = Keys { seed: session.seed(), images: &ids };
            let found = stoppable::run(&*attack, &target, &batch, &keys);
            outcomes.extend(found.ok_or(DirectError::Interrupted)?);
            work.advance(range.len());
        }
        Ok(DirectOutcome {
            title: attack.info().title,
            settings: attack.describe(),
            norm,
            epsilon,
            outcomes,
            clean,
        })
    }
}

/// An attack, its norm, and its size in units of the values, if it takes one.
type Made = (Box<dyn Attack>, Norm, Option<f64>);

/// The attack with what was chosen of it.
fn made(asked: &DirectAttack, targeted: bool) -> Result<Made, DirectError> {
    let unknown = || LabError::Attack {
        id: asked.attack.clone(),
        known: all().iter().map(|family| family.info.id).collect(),
    };
    let (family, earlier): (&Family, _) = by_any_id(&asked.attack).ok_or_else(unknown)?;
    let info = family.info;
    let norm = match &asked.norm {
        None => earlier.unwrap_or(info.norms[0]),
        Some(id) => Norm::ALL.into_iter().find(|norm| norm.id() == id.to_lowercase()).ok_or_else(|| {
            DirectError::Asked(format!("there is no norm {id:?}; there are linf, l2, l1, l0"))
        })?,
    };
    let loss = match &asked.loss {
        None => None,
        Some(id) => Some(loss_of(info.title, info.losses, id)?),
    };
    if targeted && !info.targeted {
        return Err(LabError::Untargeted { attack: info.title }.into());
    }
    let units = norm.in_units(1.0);
    let (size, epsilon) = match (info.goal, asked.epsilon) {
        (Goal::Within, asked) => {
            let epsilon = asked.unwrap_or(usual(norm) / units);
            let size = (epsilon * units * 1e6).round() / 1e6;
            (check_size(norm, epsilon, size)?, Some(epsilon))
        }
        (Goal::Smallest, None) => (0.0, None),
        (Goal::Smallest, Some(_)) => {
            return Err(DirectError::Asked(format!(
                "{} looks for the smallest perturbation and takes no epsilon; its result has the distance of each image",
                info.title
            )));
        }
    };
    let restarts = asked.restarts.unwrap_or(1);
    let settings = Settings { steps: asked.steps, restarts, loss, ..Settings::new(norm, size) };
    Ok((family.with(&settings)?, norm, epsilon))
}

/// The size that models are most often compared at ([`Norm::usual`]), in the norm's unit.
fn usual(norm: Norm) -> f64 {
    let [_, second, third, last] = norm.usual();
    match norm {
        Norm::Linf => last,
        Norm::L2 => second,
        Norm::L1 | Norm::L0 => third,
    }
}

/// Refuses a size that is none; sizes are shares of a value's range here, and not levels.
fn check_size(norm: Norm, epsilon: f64, size: f64) -> Result<f64, DirectError> {
    if norm == Norm::Linf && epsilon > 1.0 {
        return Err(DirectError::Asked(format!(
            "epsilon is measured in values from 0 to 1, and {epsilon} is more than all of their range; {epsilon} levels of an 8-bit \
             image are {epsilon}/255"
        )));
    }
    if norm == Norm::Linf && epsilon > 0.0 && size < 1.0 {
        return Err(DirectError::Asked(format!(
            "epsilon is measured in values from 0 to 1; {epsilon} is less than one level of an 8-bit image (1/255), so that rounding \
             would take the perturbation away"
        )));
    }
    norm.check(size).map_err(DirectError::Asked)
}

fn loss_of(title: &str, losses: &[Loss], id: &str) -> Result<Loss, DirectError> {
    losses.iter().find(|loss| loss.id() == id).copied().ok_or_else(|| {
        let known: Vec<&str> = losses.iter().map(|loss| loss.id()).collect();
        let there = if known.is_empty() { "one of its own".into() } else { known.join(", ") };
        DirectError::Asked(format!("{title} has no loss {id:?}; it has {there}"))
    })
}
