//! Adversarial examples: the smallest changes of an image that change a model's answer, as images that exist.
//!
//! Images are in [0, 1] and the model normalises inside, so that a change is measured in pixels whatever the model. What an
//! [`Attack`] hands back lies within the ball around the clean image and within the box *after* rounding to 8 bits. It is an
//! image at the model's input size: saved as a PNG and read back at that size, without another resize or crop, it fools the
//! model as the reported number says. An evaluation that resizes or crops what it reads changes the perturbation.
//!
//! Rounding takes nothing from an L∞ attack on an 8-bit image whose ε is a whole number of levels k/255; with ε between two
//! levels the attack is as strong as with the smaller one, and below one level nothing is left of it
//! ([`Threat::is_rounded_away`]). In L2 the change is shrunk, where needed, until its rounded version is no longer than ε; in L1
//! remainders are dealt out until the rounded version is as long as the change.
//!
//! Each image is attacked on its own: its random numbers are keyed by (seed, image), its loss is its own (`loss.rs` says
//! which, and why scaled logits do not hide from it), and an iterated attack ends for it as soon as a rounded image fools the
//! model. An image whose three channels are equal stays so: a grey image gets grey changes.
//!
//! An attack is asked for a perturbation of a given size, or for the smallest one ([`Goal`]), away from the label or to a given
//! class ([`Aim`]). Every attack stands in one list, [`all`]: studies, commands and help texts take theirs from it. It asks a [`Target`], and what
//! it may do is a [`Threat`].
//!
//! **Robust** is a model on an image that it classifies correctly both before and under the attack ([`robust`]).

mod adaptive;
mod apgd;
mod autoattack;
pub mod autopsy;
mod ball;
mod bim;
mod bisection;
mod carlini_wagner;
mod cascade;
mod contract;
mod cosine;
mod ddn;
mod deepfool;
pub mod doctor;
mod eight_bit;
mod fab;
mod fgsm;
mod fmn;
mod frequency;
#[cfg(test)]
mod ground_truth;
mod hyperplane;
#[cfg(test)]
mod inside_tests;
mod loss;
mod noise;
mod norm;
mod patch;
mod pdpgd;
mod pgd;
mod pna;
mod proximal;
mod saga;
mod sigma_zero;
mod smallest;
pub mod spectrum;
mod square;
mod target;
#[cfg(test)]
mod tests;
mod threat;
mod walk;
mod workbench;

pub use apgd::Apgd;
pub use autoattack::AutoAttack;
pub use bim::Bim;
pub use cascade::in_turn;
pub use contract::{Attack, AttackInfo, Batch, Family, Goal, Outcome, Settings, Unavailable, images};
pub use fab::Fab;
pub use fgsm::Fgsm;
pub use frequency::{Band, BandPgd};
pub use loss::{Aim, Loss};
pub use noise::noise;
pub use norm::Norm;
pub use patch::Patch;
pub use pgd::Pgd;
pub use pna::Pna;
pub use saga::Saga;
pub(crate) use smallest::Adam;
pub use square::Square;
pub use target::{Target, TargetGradient};
pub use threat::{Clean, Threat};

/// Every attack: budget attacks, the strongest last, then those that look for the smallest perturbation.
static ALL: &[Family] = &[
    // Of a given size.
    fgsm::FGSM,
    bim::BIM,
    bim::MI_FGSM,
    pna::PNA,
    frequency::PGD_LOW,
    frequency::PGD_HIGH,
    patch::PATCH,
    patch::ATTENTION_FOOL,
    pgd::PGD,
    square::SQUARE,
    fab::FAB_T,
    apgd::APGD,
    apgd::APGD_T,
    autoattack::AUTOATTACK,
    // The smallest.
    deepfool::DEEPFOOL,
    deepfool::SUPER_DEEPFOOL,
    carlini_wagner::CARLINI_WAGNER,
    ddn::DDN,
    fmn::FMN,
    pdpgd::PDPGD,
    sigma_zero::SIGMA_ZERO,
    bisection::APGD_T,
];

/// Ids that an attack in one of its norms had earlier.
pub const EARLIER_IDS: &[(&str, &str, Norm)] = &[("pgd-l2", "pgd", Norm::L2)];

/// Every attack.
pub fn all() -> &'static [Family] {
    ALL
}

/// The attack of that id.
pub fn by_id(id: &str) -> Option<&'static Family> {
    all().iter().find(|family| family.info.id == id)
}

/// The attacks that look for the smallest perturbation in a norm together. None is the strongest on every image, and together they are
/// stronger than each: these are first and second in AttackBench (Cinà et al., 2025) among those that a few hundred gradients suffice for.
pub fn nearest_of(norm: Norm) -> [&'static Family; 2] {
    match norm {
        Norm::Linf | Norm::L1 => [&pdpgd::PDPGD, &fmn::FMN],
        Norm::L2 => [&ddn::DDN, &fmn::FMN],
        Norm::L0 => [&sigma_zero::SIGMA_ZERO, &fmn::FMN],
    }
}

/// The attack of that id or of an earlier one, and the norm that the earlier one stood for.
pub fn by_any_id(id: &str) -> Option<(&'static Family, Option<Norm>)> {
    match EARLIER_IDS.iter().find(|(earlier, ..)| *earlier == id) {
        Some((_, id, norm)) => by_id(id).map(|family| (family, Some(*norm))),
        None => by_id(id).map(|family| (family, None)),
    }
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
