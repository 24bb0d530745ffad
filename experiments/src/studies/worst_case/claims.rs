//! What a model can be counted on for in the worst case, and which of two stands better.

use archaeo_analysis::attacks::Norm;
use archaeo_analysis::statistics::Estimate;
use archaeo_report::Claim;
use archaeo_report::evidence::SIGNIFICANCE;
use archaeo_report::numbers::{Unit, counted, decimal, epsilon, p_value, percent};

use super::WorstCaseStudy;
use super::findings::{Nearest, NearestInNorm, Resistance, WorstCaseFindings, WorstCasePair};
use crate::advice::{Advice, Choice};
use crate::report::Names;
use crate::report::names::listed;
use crate::study::Study;
use crate::subjects::ModelName;

/// Up to so many pairs of models each has a sentence of its own; all of them are in the tables.
const FEW_PAIRS: usize = 3;

pub(super) fn claims(findings: &WorstCaseFindings, names: &Names) -> Vec<Claim> {
    let mut claims: Vec<Claim> =
        findings.models.iter().filter_map(|(model, of)| counted_on(findings, model, of, names)).collect();
    if names.pairs().len() <= FEW_PAIRS {
        claims.extend(names.pairs().into_iter().filter_map(|pair| compared(findings, pair, names)));
    }
    claims
}

fn claim(statement: String, evidence: String) -> Claim {
    Claim { section: WorstCaseStudy::ID, topic: "Worst case", statement, evidence }
}

fn counted_on(
    findings: &WorstCaseFindings,
    model: ModelName,
    of: &[Resistance],
    names: &Names,
) -> Option<Claim> {
    let (at, the) = (of.first()?, names.the(model));
    let statement = format!(
        "Where somebody may tamper with its input, {the} can be counted on in at most {} of cases: so many images stay right under the \
         strongest attacks here at ε = {}.",
        percent(at.all.value),
        epsilon(at.epsilon)
    );
    let starts = counted(findings.restarts, "start");
    let mut evidence = format!(
        "Robust accuracy on {}: {} without an attack, {} under PGD with one start, {} with {starts}, {} where APGD-T follows. The null, an \
         attack that finds nothing, would leave the first.",
        counted(findings.n, "image"),
        percent(at.clean.value),
        percent(at.one_start.value),
        percent(at.restarts.value),
        Unit::Percent.sentence(&at.all)
    );
    let medians = findings.norms.iter().filter_map(|in_norm| {
        let median = in_norm.models.get(model)?.median.known()?;
        Some(format!("{} in {}", sized(in_norm.norm, median), in_norm.norm))
    });
    let medians: Vec<String> = medians.collect();
    if !medians.is_empty() {
        evidence += &format!(
            " The smallest change that fools it, median over the images that it has right: {}.",
            listed(&medians)
        );
    }
    if at.zero_gradient > 0.0 {
        evidence += &format!(
            " Where the attack begins, the gradient is zero for {} of the images: robustness there may be an illusion.",
            percent(at.zero_gradient)
        );
    }
    Some(claim(statement, evidence))
}

/// A distance with its interval in the norm's unit: `3.60/255 (95 % interval 1.67 to 4.63)`.
fn sized(norm: Norm, median: &Estimate) -> String {
    let ends = [median.low, median.high];
    let number = format!("{}{}", length(norm, median.value), norm.suffix());
    match ends.iter().all(|end| end.is_finite()) {
        false => number,
        true => {
            let [low, high] = ends.map(|end| length(norm, end));
            format!("{number} ({:.0}\u{a0}% interval {low} to {high})", 100.0 * median.level)
        }
    }
}

/// A distance without its unit: levels with two digits, lengths of values in [0, 1] with three.
pub(super) fn length(norm: Norm, distance: f64) -> String {
    decimal(distance, if norm == Norm::Linf { 2 } else { 3 })
}

/// Whom to choose where somebody tampers with images; `None` of a model alone.
pub(super) fn advice(findings: &WorstCaseFindings, names: &Names) -> Option<Advice> {
    let ahead = names.pairs().into_iter().map(|pair| match leads(findings, pair) {
        [0, 0] => None,
        [_, 0] => Some(pair),
        [0, _] => Some([pair[1], pair[0]]),
        _ => None,
    });
    let choice = Choice::first(&names.models(), ahead);
    let smallest = findings.pairs.iter().map(|of| of.epsilon).reduce(f64::min)?;
    let robust = findings.models.iter().filter_map(|(model, of)| {
        let at = of.iter().find(|at| at.epsilon == smallest)?;
        Some(format!("{} {}", names.bare(model), Unit::Percent.brief(&at.all)))
    });
    let robust: Vec<String> = robust.collect();
    Some(Advice {
        decides: "somebody may tamper with the images".into(),
        choice,
        evidence: format!(
            "Right under the strongest attacks at ε = {}: {}, on {}; exact McNemar tests at every ε.",
            epsilon(smallest),
            robust.join(", "),
            counted(findings.n, "image")
        ),
    })
}

/// At how many sizes the first of a pair is shown to stay right more often, and at how many the second.
fn leads(findings: &WorstCaseFindings, pair: [ModelName; 2]) -> [usize; 2] {
    let ahead = |of: &&WorstCasePair, first: bool| {
        let (of_first, of_second) = (of.robust.only_first, of.robust.only_second);
        of.robust.adjusted_p < SIGNIFICANCE && if first { of_first > of_second } else { of_second > of_first }
    };
    [true, false].map(|first| {
        findings.pairs.iter().filter(|of| of.models == pair).filter(|of| ahead(of, first)).count()
    })
}

fn compared(findings: &WorstCaseFindings, pair: [ModelName; 2], names: &Names) -> Option<Claim> {
    let sizes: Vec<&WorstCasePair> = findings.pairs.iter().filter(|of| of.models == pair).collect();
    if sizes.is_empty() {
        return None;
    }
    let leads = leads(findings, pair);
    let both = || format!("{} and {}", names.the(pair[0]), names.the(pair[1]));
    let between = if names.models().len() == 2 { "the models".to_owned() } else { both() };
    let statement = match leads {
        [0, 0] => format!("In the worst case no difference between {between} can be shown."),
        [_, 0] => format!(
            "In the worst case {} stays right more often than {}.",
            names.the(pair[0]),
            names.the(pair[1])
        ),
        [0, _] => format!(
            "In the worst case {} stays right more often than {}.",
            names.the(pair[1]),
            names.the(pair[0])
        ),
        _ => format!("In the worst case it depends on ε which of {} stays right more often.", both()),
    };
    let shares = sizes.iter().map(|of| {
        format!(
            "{} and {} at ε = {} ({})",
            percent(of.robust.first.value),
            percent(of.robust.second.value),
            epsilon(of.epsilon),
            p_value(of.robust.adjusted_p)
        )
    });
    let shares: Vec<String> = shares.collect();
    let clean =
        pair.map(|model| findings.models.get(model).and_then(|of| of.first()).map(|at| at.clean.value));
    let clean = match clean {
        [Some(first), Some(second)] => {
            format!(" (without an attack: {} and {})", percent(first), percent(second))
        }
        _ => String::new(),
    };
    let mut evidence = format!(
        "{} and {} on {}{clean}: {}; exact McNemar test, whose null is that either stays right as often, adjusted over {}.",
        crate::report::names::capitalised(&names.the(pair[0])),
        names.the(pair[1]),
        counted(findings.n, "image"),
        listed(&shares),
        if names.models().len() == 2 { "sizes" } else { "sizes and pairs of models" }
    );
    let farther = findings.norms.iter().filter_map(|of| farther(of, pair, names));
    farther.for_each(|sentence| evidence += &sentence);
    Some(claim(statement, evidence))
}

/// For which model the same images are farther from an error.
fn farther(of: &NearestInNorm, pair: [ModelName; 2], names: &Names) -> Option<String> {
    let compared = of.pairs.iter().find(|of| of.models == pair).filter(|of| of.both > 0)?;
    let [first, second] = compared.farther;
    Some(format!(
        " In {}, {} of the {} that both have right are farther from an error of {}, {second} from one of {} (exact sign test, adjusted, {}).",
        of.norm,
        first,
        counted(compared.both, "image"),
        names.the(pair[0]),
        names.the(pair[1]),
        p_value(compared.p_value)
    ))
}

/// The distance of half the images, as a cell of a table.
pub(super) fn median(norm: Norm, of: &Nearest) -> archaeo_report::document::Text {
    use archaeo_analysis::statistics::Measured;
    use archaeo_report::document::Text;
    match &of.median {
        Measured::Undefined { undefined } => format!("n/a: {undefined}").into(),
        Measured::Known(median) => {
            let value = Text::from(format!("{}{}", length(norm, median.value), norm.suffix()));
            match median.low.is_finite() && median.high.is_finite() {
                false => value,
                true => {
                    value.interval(format!("[{}, {}]", length(norm, median.low), length(norm, median.high)))
                }
            }
        }
    }
}
