//! Can each model be trusted, and when does it fail? One verdict a model, by fixed rules, the numbers it rests on, and what none
//! of them covers.

use archaeo_analysis::statistics::{Estimate, Measured};
use archaeo_report::Claim;
use archaeo_report::evidence::{Side, side};
use archaeo_report::numbers::{Unit, cannot, count, counted, p_value, percent};

use super::findings::{
    BinaryScores, CONFIDENT, ClassAccuracy, ConfidentAnswers, MostCommonClass, Trust, TrustFindings,
};
use super::verdict::Verdict;
use crate::findings::Investigation;
use crate::report::Names;
use crate::report::names::{listed, quoted};
use crate::subjects::ModelName;

/// Share of wrong answers among confident ones from which on confidence is warned of: what a probability of
/// [`CONFIDENT`] leaves to be wrong at most.
pub(super) const TOO_SURE: f64 = 1.0 - CONFIDENT;

/// How many times its even share of the images the most common class must have for the mix of classes to be mentioned.
const UNEVEN: f64 = 1.5;

pub(super) fn claims(findings: &TrustFindings, investigation: &Investigation, names: &Names) -> Vec<Claim> {
    let models = findings.models.iter().map(|(name, trust)| {
        Model { trust, findings, the: names.the(name), classes: &investigation.data.classes }
            .claim(name, names)
    });
    models.chain([scope(findings, investigation)]).collect()
}

pub(super) struct Model<'a> {
    pub(super) trust: &'a Trust,
    findings: &'a TrustFindings,
    pub(super) the: String,
    pub(super) classes: &'a [String],
}

impl Model<'_> {
    fn claim(&self, name: ModelName, names: &Names) -> Claim {
        let verdict = self.verdict();
        let worst = (!matches!(verdict, Verdict::Fails { .. })).then(|| self.worst()).flatten();
        let usual = &self.trust.usual;
        let constant = (usual.share.value >= 1.0 && !matches!(verdict, Verdict::Constant))
            .then(|| format!("It answers {} to every image.", self.class(usual.class)));
        let sentences = [
            constant,
            Some(self.against_constant()),
            worst,
            Some(self.balanced()),
            self.trust.binary.as_ref().and_then(|binary| self.binary(binary)),
            self.gap(),
            Some(self.confidence(&self.trust.confident)),
        ];
        Claim {
            section: "trust",
            topic: names.bare(name),
            statement: self.statement(&verdict),
            evidence: sentences.into_iter().flatten().collect::<Vec<_>>().join(" "),
        }
    }

    pub(super) fn class(&self, class: usize) -> String {
        quoted(self.classes, class)
    }

    /// `gets 36.8 % (95 % interval 30.1 to 44.1) of its 234 images right and calls 63.2 % of them “1”`.
    pub(super) fn gets(&self, class: &ClassAccuracy) -> String {
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
    pub(super) fn drop(&self) -> Option<f64> {
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
pub(super) fn too_sure(found: &ConfidentAnswers) -> Option<f64> {
    found
        .wrong
        .known()
        .filter(|wrong: &&Estimate| side(wrong, TOO_SURE) == Side::Above)
        .map(|wrong| wrong.value)
}

pub(super) fn percent_of(share: f64) -> String {
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
