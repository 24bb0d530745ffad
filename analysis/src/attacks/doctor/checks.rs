//! What the attacks on many images say together: one check after another, each with its number, its interval and a verdict.
//!
//! A number that has a direction is the share of images by which a weaker attack is ahead of a stronger one. Its interval is that of
//! [`matched_difference`], a share's is Wilson's; both at a level at which all of them hold at once with 95 % (Bonferroni). A check
//! fails when the interval lies above what is tolerated, and passes when it ends less than [`PRECISION`] above it; otherwise the images
//! are too few to tell.

use serde::{Deserialize, Serialize};

use super::{Doctor, Examined};
use crate::statistics::{DEFAULT_LEVEL, Estimate, matched_difference, wilson};

/// How far above what is tolerated an interval may reach without that being a doubt.
const PRECISION: f64 = 0.15;

/// Checks with a number of their own.
const CHECKS: f64 = 9.0;

/// The verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// The model behaves as a sound one does.
    Pass,
    /// It does not: what looks like robustness may be an illusion.
    Fail,
    /// There are too few images to tell.
    CannotTell,
}

impl Health {
    /// Of all checks together: fail if any fails, pass if all pass; `None` without any.
    pub fn of_all(checks: &[Check]) -> Option<Self> {
        let any = |health| checks.iter().any(|check| check.verdict == health);
        match checks {
            [] => None,
            _ if any(Self::Fail) => Some(Self::Fail),
            _ if any(Self::CannotTell) => Some(Self::CannotTell),
            _ => Some(Self::Pass),
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Name, such as `black-box`.
    pub id: String,
    /// What is asked.
    pub question: String,
    /// What the number is.
    pub measures: String,
    /// The number, a share of the images that were examined.
    pub found: Estimate,
    /// How much of it a sound model may have.
    pub tolerated: f64,
    /// What follows.
    pub verdict: Health,
    /// Why, in a sentence.
    pub why: String,
}

/// What kind of number a check has.
enum Number {
    /// Images of which something is true.
    Share(fn(&Examined) -> bool),
    /// Images that the first attack fools, less those that the second does.
    Ahead(fn(&Examined) -> bool, fn(&Examined) -> bool),
}

/// A check before it is made.
struct Rule {
    id: &'static str,
    question: &'static str,
    measures: String,
    number: Number,
    tolerated: f64,
    /// What it would mean to fail, following “this robustness may be an illusion: ”.
    meaning: &'static str,
}

/// The checks that what was recorded allows, in the order of the module's table; none without an image.
pub fn diagnose(doctor: &Doctor, examined: &[Examined]) -> Vec<Check> {
    if examined.is_empty() {
        return Vec::new();
    }
    rules(doctor, examined.iter().all(|of| of.transferred.is_some()))
        .into_iter()
        .map(|rule| rule.applied(examined))
        .collect()
}

fn rules(doctor: &Doctor, transferred: bool) -> Vec<Rule> {
    let Doctor { steps, restarts, queries, .. } = *doctor;
    let mut rules = vec![
        Rule {
            id: "steady",
            question: "Does it answer the same when it is asked twice?",
            measures: "images with another answer the second time".into(),
            number: Number::Share(|of| of.unsteady),
            tolerated: 0.0,
            meaning: "an attack that sees one random answer at a time chases noise, and has to average over many",
        },
        Rule {
            id: "gradient",
            question: "Is there a gradient?",
            measures: "images with a gradient of zero in every pixel".into(),
            number: Number::Share(|of| of.zero_gradient),
            tolerated: 0.05,
            meaning: "attacks that follow the gradient have nothing to follow, and leave the image where it is",
        },
        Rule {
            id: "iterated",
            question: "Is PGD at least as strong as FGSM?",
            measures: format!("images by which FGSM is ahead of PGD with {steps} steps"),
            number: Number::Ahead(|of| of.single, |of| of.iterated),
            tolerated: 0.0,
            meaning: "small steps get lost where one large step does not, so that the gradient leads nowhere",
        },
        Rule {
            id: "steps",
            question: "Do more steps never help the model?",
            measures: format!("images by which PGD with {steps} steps is ahead of PGD with {}", 2 * steps),
            number: Number::Ahead(|of| of.iterated, |of| of.longer),
            tolerated: 0.0,
            meaning: "an attack that goes on gets worse, so that it does not climb what it should",
        },
        Rule {
            id: "unbounded",
            question: "Does accuracy fall to 0 without a bound?",
            measures: "images still right when PGD may change every pixel at will".into(),
            number: Number::Share(|of| !of.unbounded),
            tolerated: 0.05,
            meaning: "other classes' images lie within that ball, so that an attack which finds none has failed",
        },
        Rule {
            id: "black-box",
            question: "Is an attack with gradients at least as strong as one without?",
            measures: format!("images by which Square with {queries} queries is ahead of PGD"),
            number: Number::Ahead(|of| of.black_box, |of| of.iterated),
            tolerated: 0.0,
            meaning: "gradients mislead, and an attack that ignores them finds more",
        },
        Rule {
            id: "scale",
            question: "Does the scale of the logits hide nothing?",
            measures:
                "images by which PGD on cross-entropy kept from underflowing is ahead of the same in 32 bits"
                    .into(),
            number: Number::Ahead(|of| of.log_odds, |of| of.cross_entropy),
            tolerated: 0.0,
            meaning: "its logits are so large that the gradients of standard losses vanish, and attacks with these fail",
        },
        Rule {
            id: "restarts",
            question: "Do more random starts change little?",
            measures: format!("images that fall from one of {restarts} starts and not from the first"),
            number: Number::Ahead(|of| of.restarted, |of| of.iterated),
            tolerated: 0.05,
            meaning: "whether an attack succeeds is a matter of luck, so that a single try says little",
        },
    ];
    if transferred {
        rules.push(Rule {
            id: "transfer",
            question: "Is an attack on the model itself at least as strong as one on another model?",
            measures: "images by which the adversarial images of another model are ahead of its own".into(),
            number: Number::Ahead(|of| of.transferred == Some(true), |of| of.iterated),
            tolerated: 0.0,
            meaning: "what fools it is there, and its own gradients do not show the way",
        });
    }
    rules
}

impl Rule {
    fn applied(self, examined: &[Examined]) -> Check {
        let level = 1.0 - (1.0 - DEFAULT_LEVEL) / CHECKS;
        let n = examined.len();
        let count = |of: &dyn Fn(&Examined) -> bool| examined.iter().filter(|image| of(image)).count();
        let (found, seen) = match self.number {
            Number::Share(holds) => {
                let images = count(&holds);
                (wilson(images, n, level), format!("{images} of {n}"))
            }
            Number::Ahead(weaker, stronger) => {
                let only_weaker = count(&|of| weaker(of) && !stronger(of));
                let only_stronger = count(&|of| stronger(of) && !weaker(of));
                let found = matched_difference(only_weaker, only_stronger, n, level);
                (found, format!("{only_weaker} to {only_stronger} of {n}"))
            }
        };
        let found = found.expect("there is an image, and the level lies between 0 and 1");
        let (verdict, why) = match (found.low > self.tolerated, found.high <= self.tolerated + PRECISION) {
            (true, _) => (Health::Fail, format!("This robustness may be an illusion: {}.", self.meaning)),
            (_, true) => (Health::Pass, "As in a sound model.".to_owned()),
            _ => (Health::CannotTell, "The images are too few to tell.".to_owned()),
        };
        Check {
            id: self.id.into(),
            question: self.question.into(),
            measures: format!("{} ({seen})", self.measures),
            found,
            tolerated: self.tolerated,
            verdict,
            why,
        }
    }
}
