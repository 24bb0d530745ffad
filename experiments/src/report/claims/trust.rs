//! Can each model be trusted, and when does it fail? One verdict a model, by fixed rules, and what none of them covers.

use archaeo_analysis::statistics::{Estimate, Measured};

use crate::findings::{
    BinaryScores, CONFIDENT, ClassAccuracy, ConfidentAnswers, FEWEST_OF_CLASS, Investigation,
    MostCommonClass, Role, Trust, TrustFindings,
};

use super::super::evidence::{SIGNIFICANCE, Side, side};
use super::super::names::{Names, ROLES, listed, quoted};
use super::super::numbers::{Unit, cannot, count, counted, p_value, percent};
use super::Claim;

/// Images below which no verdict is given.
pub(in super::super) const FEWEST_IMAGES: usize = 30;

/// Share of the images with one answer from which on a model is called nearly constant…
pub(in super::super) const NEARLY_CONSTANT: f64 = 0.95;

/// …unless at least this share of the images is of that class.
pub(in super::super) const MOSTLY_ONE_CLASS: f64 = 0.9;

/// A class is failed where a model is right on at most this share of its images, or not shown to be right on more.
pub(in super::super) const HALF: f64 = 0.5;

/// Share of wrong answers among confident ones from which on confidence is warned of: what a probability of
/// [`CONFIDENT`] leaves to be wrong at most.
pub(in super::super) const TOO_SURE: f64 = 1.0 - CONFIDENT;

/// How many times its even share of the images the most common class must have for the mix of classes to be mentioned.
const UNEVEN: f64 = 1.5;

pub(super) fn claims(findings: &TrustFindings, investigation: &Investigation, names: &Names) -> Vec<Claim> {
    let models = ROLES.iter().filter_map(|role| {
        let trust = findings.models.get(role)?;
        Some(
            Model { trust, findings, the: names.the(*role), classes: &investigation.data.classes }
                .claim(*role, names),
        )
    });
    models.chain([scope(findings, investigation)]).collect()
}

/// What the rules say of a model; the first that holds.
#[derive(Debug)]
enum Verdict<'a> {
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

struct Model<'a> {
    trust: &'a Trust,
    findings: &'a TrustFindings,
    the: String,
    classes: &'a [String],
}

impl Model<'_> {
    fn claim(&self, role: Role, names: &Names) -> Claim {
        let verdict = self.verdict();
        let worst = (!matches!(verdict, Verdict::Fails { .. })).then(|| self.worst()).flatten();
        let sentences = [
            Some(self.against_constant()),
            worst,
            Some(self.balanced()),
            self.trust.binary.as_ref().and_then(|binary| self.binary(binary)),
            self.gap(),
            Some(self.confidence(&self.trust.confident)),
        ];
        Claim {
            section: "trust",
            topic: names.bare(role),
            statement: self.statement(&verdict),
            evidence: sentences.into_iter().flatten().collect::<Vec<_>>().join(" "),
        }
    }

    fn verdict(&self) -> Verdict<'_> {
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

    fn class(&self, class: usize) -> String {
        quoted(self.classes, class)
    }

    fn statement(&self, verdict: &Verdict) -> String {
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

    /// `gets 36.8 % (95 % interval 30.1 to 44.1) of its 234 images right and calls 63.2 % of them “1”`.
    fn gets(&self, class: &ClassAccuracy) -> String {
        let accuracy = &class.accuracy;
        let taken = class.taken_for.as_ref().map_or_else(String::new, |taken| {
            let share = percent(taken.count as f64 / accuracy.n as f64);
            format!(" and calls {share} of them {}", self.class(taken.predicted))
        });
        format!(
            "gets {} of its {} right{taken}",
            Unit::Percent.sentence(accuracy),
            counted(accuracy.n, "image")
        )
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

    fn against_constant(&self) -> String {
        let Trust { n, accuracy, constant, .. } = self.trust;
        let images = format!("the {} of the {} split", counted(*n, "image"), self.findings.split);
        let always = format!(
            "It is right on {} of {images} ({}); always answering {}, the most common class, would be right on {}",
            percent(accuracy.value),
            Unit::Percent.interval_phrase(accuracy),
            self.class(constant.class),
            percent(constant.share)
        );
        let (gain, p) = (&constant.gain, p_value(constant.p_value));
        let turned = Estimate { low: -gain.high, high: -gain.low, ..gain.clone() };
        let differs = gain.value != 0.0 || gain.low != gain.high;
        match side(gain, 0.0) {
            Side::Above => {
                format!(
                    "{always}, {} less ({}; {p}).",
                    Unit::Points.value(gain.value),
                    Unit::Points.range(gain)
                )
            }
            Side::Below => {
                format!(
                    "{always}, {} more ({}; {p}).",
                    Unit::Points.value(-gain.value),
                    Unit::Points.range(&turned)
                )
            }
            Side::Undecided if differs => format!(
                "{always}; the difference is {} ({}; {p}).",
                Unit::Points.value(gain.value),
                Unit::Points.range(gain)
            ),
            Side::Undecided => format!("{always}, the very same images."),
        }
    }

    fn worst(&self) -> Option<String> {
        let worst = self.trust.classes.first()?;
        worst.taken_for.as_ref()?;
        Some(format!("The worst class is {}: it {}.", self.class(worst.class), self.gets(worst)))
    }

    fn balanced(&self) -> String {
        match &self.trust.balanced {
            Measured::Known(balanced) => format!("Balanced accuracy is {}.", Unit::Percent.brief(balanced)),
            Measured::Undefined { undefined } => format!("Balanced accuracy {}.", cannot(undefined)),
        }
    }

    /// `None` where images of one class leave none of the three.
    fn binary(&self, binary: &BinaryScores) -> Option<String> {
        let (sensitivity, specificity) = (binary.sensitivity.known()?, binary.specificity.known()?);
        let auc = binary.auc.known()?;
        let chosen =
            if binary.by_name { "" } else { ", taken as the positive class because it comes second," };
        Some(format!(
            "Sensitivity for {}{chosen} is {}, specificity {}, the area under the ROC curve {}.",
            self.class(binary.positive),
            Unit::Percent.brief(sensitivity),
            Unit::Percent.brief(specificity),
            Unit::Coefficient.brief(auc)
        ))
    }

    /// Points by which it is shown to be better on the split that it was chosen on.
    fn drop(&self) -> Option<f64> {
        let gap = self.trust.gap.known()?;
        (side(&gap.difference, 0.0) == Side::Above).then_some(gap.difference.value)
    }

    fn gap(&self) -> Option<String> {
        let gap = self.trust.gap.known().filter(|_| self.drop().is_some())?;
        Some(format!(
            "Warning: on the {} split, which models are chosen on, it is right on {}, {} more ({}), so that accuracy there overstates \
             accuracy on new images.",
            gap.split,
            percent(gap.accuracy.value),
            Unit::Points.value(gap.difference.value),
            Unit::Points.range(&gap.difference)
        ))
    }

    fn confidence(&self, found: &ConfidentAnswers) -> String {
        let sure = percent_of(CONFIDENT);
        if found.errors == 0 {
            return format!("None of its {} is wrong.", counted(self.trust.n, "answer"));
        }
        let errors = match (found.confident_errors, found.share_of_errors.known()) {
            (0, _) | (_, None) => {
                format!("None of its {} has a probability of {sure} or more", counted(found.errors, "error"))
            }
            (some, Some(share)) => format!(
                "Of its {}, {} ({}) {} given a probability of {sure} or more",
                counted(found.errors, "error"),
                count(some),
                percent(share.value),
                if some == 1 { "was" } else { "were" }
            ),
        };
        match &found.wrong {
            Measured::Known(wrong) => format!(
                "{}{errors}; {} of all {} with such a probability {} wrong.",
                if too_sure(found).is_some() { "Warning: it is surer than it should be. " } else { "" },
                Unit::Percent.brief(wrong),
                counted(found.answers, "answer"),
                if found.answers == 1 { "is" } else { "are" }
            ),
            Measured::Undefined { .. } => format!("{errors}, nor has any other answer."),
        }
    }
}

/// Share of confident answers that is wrong, where it is shown to exceed what their probability allows.
fn too_sure(found: &ConfidentAnswers) -> Option<f64> {
    found
        .wrong
        .known()
        .filter(|wrong: &&Estimate| side(wrong, TOO_SURE) == Side::Above)
        .map(|wrong| wrong.value)
}

fn percent_of(share: f64) -> String {
    format!("{:.0}\u{a0}%", 100.0 * share)
}

fn scope(findings: &TrustFindings, investigation: &Investigation) -> Claim {
    let n = findings.models.values().map(|trust| trust.n).max().unwrap_or(0);
    let mut evidence = format!(
        "The verdicts rest on the {} of the {} split of {} and hold for images that come about as these did. Images of another \
         place, device or time were not tested.",
        counted(n, "image"),
        findings.split,
        investigation.data.name
    );
    evidence.extend(mix(findings, &investigation.data.classes).map(|mix| format!(" {mix}")));
    Claim {
        section: "trust",
        topic: "Beyond this data",
        statement: "Nothing here shows that a model can be trusted outside data like this.".into(),
        evidence,
    }
}

/// The mix of classes in training and here, where one class is common or the most common one differs.
fn mix(findings: &TrustFindings, classes: &[String]) -> Option<String> {
    let found = &findings.most_common;
    let even = 1.0 / classes.len().max(1) as f64;
    let share = |common: &MostCommonClass| common.images as f64 / common.n as f64;
    if found.is_empty() || found.iter().all(|common| share(common) < UNEVEN * even) {
        return None;
    }
    let parts: Vec<String> = found
        .iter()
        .enumerate()
        .map(|(i, common)| {
            let class = quoted(classes, common.class);
            let named = match i {
                0 => format!("{class} makes up "),
                _ if common.class == found[i - 1].class => String::new(),
                _ => format!("{class} "),
            };
            format!("{named}{} of the {} images", percent(share(common)), common.split)
        })
        .collect();
    Some(format!(
        "The classes are uneven: {}. Accuracy depends on that mix; the accuracy of each class does not.",
        listed(&parts)
    ))
}
