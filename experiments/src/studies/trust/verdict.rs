//! The rules of a verdict, and its sentence.

use archaeo_report::evidence::{SIGNIFICANCE, Side, side};
use archaeo_report::numbers::{Unit, count, counted, percent};

use super::claims::{Model, percent_of, too_sure};
use super::findings::{CONFIDENT, ClassAccuracy, FEWEST_OF_CLASS, Trust};
use crate::report::names::listed;

/// Images below which no verdict is given.
pub(super) const FEWEST_IMAGES: usize = 30;

/// Share of the images with one answer from which on a model is called nearly constant…
pub(super) const NEARLY_CONSTANT: f64 = 0.95;

/// …unless at least this share of the images is of that class.
pub(super) const MOSTLY_ONE_CLASS: f64 = 0.9;

/// A class is failed where a model is right on at most this share of its images, or not shown to be right on more.
pub(super) const HALF: f64 = 0.5;

/// What the rules say of a model; the first that holds.
#[derive(Debug)]
pub(super) enum Verdict<'a> {
    /// Too few images to say anything.
    TooFewImages,
    /// Images of one class cannot show whether a model tells classes apart.
    OneClass,
    /// The same answer to every image, or nearly.
    Constant,
    /// Not shown to be better than always giving one answer.
    NoBetter,
    /// Classes that are not more often right than wrong, and classes that are but are not shown to be, each the worst first. One
    /// of the two is not empty.
    Fails { failed: Vec<&'a ClassAccuracy>, doubtful: Vec<&'a ClassAccuracy> },
    /// Nothing of this.
    Holds,
}

impl Model<'_> {
    /// The first rule that holds.
    pub(super) fn verdict(&self) -> Verdict<'_> {
        let Trust { n, constant, usual, classes, .. } = self.trust;
        let better = side(&constant.gain, 0.0) == Side::Above && constant.p_value < SIGNIFICANCE;
        let weak = classes.iter().filter(|class| side(&class.accuracy, HALF) != Side::Above);
        let (failed, doubtful): (Vec<_>, Vec<_>) = weak.partition(|class| class.accuracy.value <= HALF);
        if *n < FEWEST_IMAGES {
            Verdict::TooFewImages
        } else if constant.images == *n {
            Verdict::OneClass
        } else if usual.share.value >= 1.0
            || (usual.share.value >= NEARLY_CONSTANT && usual.truth < MOSTLY_ONE_CLASS)
        {
            Verdict::Constant
        } else if !better {
            Verdict::NoBetter
        } else if failed.is_empty() && doubtful.is_empty() {
            Verdict::Holds
        } else {
            Verdict::Fails { failed, doubtful }
        }
    }

    /// The verdict in words.
    pub(super) fn statement(&self, verdict: &Verdict) -> String {
        let Trust { n, accuracy, constant, usual, .. } = self.trust;
        let the = &self.the;
        match verdict {
            Verdict::TooFewImages => {
                let are = if *n == 1 { "is" } else { "are" };
                let anything = match accuracy.low.is_finite() {
                    true => format!(": its accuracy may be anything from {}", Unit::Percent.span(accuracy)),
                    false => String::new(),
                };
                format!("{} {are} too few for a verdict on {the}{anything}.", counted(*n, "image"))
            }
            Verdict::OneClass => format!(
                "Whether {the} can be trusted cannot be seen here, because every image is of class {}.",
                self.class(constant.class)
            ),
            Verdict::Constant if usual.share.value >= 1.0 => {
                format!("{the} should not be trusted: it answers {} to every image.", self.class(usual.class))
            }
            Verdict::Constant => format!(
                "{the} should not be trusted: it answers {} to {} of the images, although {} are of that class.",
                self.class(usual.class),
                percent(usual.share.value),
                percent(usual.truth)
            ),
            Verdict::NoBetter => {
                let always = format!("always answering {}", self.class(constant.class));
                match side(&constant.gain, 0.0) {
                    Side::Below => {
                        format!("{the} should not be trusted: it is right less often than {always} would be.")
                    }
                    _ => format!(
                        "{the} should not be trusted: it is not shown to be right more often than {always} would be."
                    ),
                }
            }
            Verdict::Fails { failed, doubtful } => self.failure(failed, doubtful),
            Verdict::Holds => self.holds(),
        }
    }

    fn failure(&self, failed: &[&ClassAccuracy], doubtful: &[&ClassAccuracy]) -> String {
        let (the, all) = (&self.the, counted(self.trust.classes.len(), "class"));
        let more = match (failed.len(), doubtful.len()) {
            (0, _) | (_, 0) => String::new(),
            (_, more) => format!(" On {more} more it is not shown to be right more often than wrong."),
        };
        match (failed, doubtful) {
            ([only], _) => {
                format!(
                    "{the} should not be trusted on class {}: it {}.{more}",
                    self.class(only.class),
                    self.gets(only)
                )
            }
            ([worst, ..], _) => format!(
                "{the} should not be trusted on {} of {all}, where it is not right more often than wrong.{more} The worst is {}: it {}.",
                count(failed.len()),
                self.class(worst.class),
                self.gets(worst)
            ),
            ([], [only]) => format!(
                "{the} is not shown to be right more often than wrong on class {}: it {}.",
                self.class(only.class),
                self.gets(only)
            ),
            ([], [worst, ..]) => format!(
                "{the} is not shown to be right more often than wrong on {} of {all}. The worst is {}: it {}.",
                count(doubtful.len()),
                self.class(worst.class),
                self.gets(worst)
            ),
            ([], []) => String::new(),
        }
    }

    fn holds(&self) -> String {
        let Trust { n, accuracy, classes, too_small, confident, gap, .. } = self.trust;
        if confident.errors == 0 {
            return format!("On images like these, {} made no error in {}.", self.the, count(*n));
        }
        let each = match (classes.len(), *too_small) {
            (0, _) => {
                format!("; no class has {FEWEST_OF_CLASS} images, so that nothing is said of single classes")
            }
            (_, 0) => ", and in every class more often right than wrong".into(),
            _ => format!(
                ", and in every class with {FEWEST_OF_CLASS} or more images more often right than wrong"
            ),
        };
        let mut warnings = Vec::new();
        if let (Some(points), Some(gap)) = (self.drop(), gap.known()) {
            let points = Unit::Points.value(points);
            warnings.push(format!("on the {} split it was right on {points} more", gap.split));
        }
        if let Some(wrong) = too_sure(confident) {
            let sure = percent_of(CONFIDENT);
            warnings.push(format!("{} of the answers it gives {sure} or more are wrong", percent(wrong)));
        }
        let but = if warnings.is_empty() { String::new() } else { format!(". But {}", listed(&warnings)) };
        format!(
            "On images like these, {} is right in {} of cases{each}{but}.",
            self.the,
            percent(accuracy.value)
        )
    }
}
