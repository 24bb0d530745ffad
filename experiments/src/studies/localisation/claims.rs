//! Whether heatmaps find the object better than heatmaps that know nothing.

use archaeo_analysis::statistics::SignFlipTest;

use archaeo_report::Claim;
use archaeo_report::evidence::{Side, tested};
use archaeo_report::numbers::{Unit, counted, p_value, percent};

use super::LocalisationStudy;
use super::findings::{Gains, LocalisationFindings, LocalisationScore};
use crate::report::Names;
use crate::report::names::{capitalised, listed};
use crate::study::Study;

/// A score's name, and what is gained by it.
type Score = (&'static str, fn(&Gains) -> &SignFlipTest);

/// The scores by which a heatmap is judged, with the pointing game left to a claim of its own.
const SCORES: [Score; 3] = [
    ("mass", |gains| &gains.mass),
    ("AUROC", |gains| &gains.auroc),
    ("average precision", |gains| &gains.average_precision),
];

/// Explanations up to which each is named: those of a few models.
const MOST_NAMED: usize = 12;

/// An explanation with what it gains over the baselines.
struct Explanation<'a> {
    name: String,
    score: &'a LocalisationScore,
    over_random: &'a Gains,
    over_centre: &'a Gains,
}

pub(super) fn claims(findings: &LocalisationFindings, names: &Names) -> Vec<Claim> {
    let explanations: Vec<Explanation> = findings
        .methods
        .iter()
        .filter_map(|score| {
            Some(Explanation {
                name: full_name(score, names),
                score,
                over_random: score.over_random.as_ref()?,
                over_centre: score.over_centre.as_ref()?,
            })
        })
        .collect();
    let centre = findings.methods.iter().find(|score| score.model.is_none() && score.method == "centre");
    let Some(centre) = centre.filter(|_| !explanations.is_empty()) else {
        return findings
            .methods
            .iter()
            .any(|score| score.model.is_some())
            .then(|| undecided(findings))
            .into_iter()
            .collect();
    };
    vec![against_centre(findings, &explanations, centre), pointing(&explanations, centre)]
}

fn full_name(score: &LocalisationScore, names: &Names) -> String {
    let model = score.model.map(|model| format!("{} ({})", score.method, names.bare(model)));
    model.unwrap_or_else(|| score.method.clone())
}

/// Where a paired comparison says that a method lies relative to its baseline.
fn verdict(test: &SignFlipTest) -> Side {
    tested(&test.difference, test.p_value)
}

/// Scores by which a method lies on a side of its baseline.
fn on_side(gains: &Gains, wanted: Side) -> Vec<String> {
    let on = SCORES.iter().filter(|(_, of)| verdict(of(gains)) == wanted);
    on.map(|(name, _)| (*name).to_owned()).collect()
}

/// Some of `all` explanations as a subject: by name, where those are few.
fn subjects(members: &[String], all: usize) -> String {
    match members.len() {
        2 if all == 2 => "both explanations".into(),
        n if n == all && n > 1 => format!("all {n} explanations"),
        n if n > 1 && all > MOST_NAMED => format!("{n} of {all} explanations"),
        _ => listed(members),
    }
}

/// What is said of each explanation; of many only of the first and the last by `value`.
fn each(
    explanations: &[Explanation],
    value: impl Fn(&Explanation) -> f64,
    said: impl Fn(&Explanation) -> String,
) -> String {
    if explanations.len() <= MOST_NAMED {
        return explanations.iter().map(said).collect::<Vec<_>>().join("; ");
    }
    let mut sorted: Vec<&Explanation> = explanations.iter().filter(|e| value(e).is_finite()).collect();
    sorted.sort_by(|a, b| value(b).total_cmp(&value(a)));
    match sorted.as_slice() {
        [first, .., last] => format!("from {} to {}", said(first), said(last)),
        rest => rest.iter().map(|e| said(e)).collect(),
    }
}

/// Which explanations find the object better than a baseline, by every score or by some; those that do the same share a
/// sentence. Empty where none is better by any score.
fn better<'a>(
    explanations: &[Explanation<'a>],
    baseline: &str,
    of: fn(&Explanation<'a>) -> &'a Gains,
) -> Vec<String> {
    let mut groups: Vec<([Vec<String>; 2], Vec<String>)> = Vec::new();
    for explanation in explanations {
        let sides = [Side::Above, Side::Below].map(|side| on_side(of(explanation), side));
        match groups.iter_mut().find(|(known, _)| *known == sides) {
            Some((_, members)) => members.push(explanation.name.clone()),
            None => groups.push((sides, vec![explanation.name.clone()])),
        }
    }
    groups.retain(|([above, _], _)| !above.is_empty());
    groups.sort_by_key(|([above, _], _)| SCORES.len() - above.len());
    let sentence = |([above, below], members): ([Vec<String>; 2], Vec<String>)| {
        let verb = if members.len() == 1 { "finds" } else { "find" };
        let by = if above.len() == SCORES.len() {
            "every score".to_owned()
        } else {
            format!("{} alone", listed(&above))
        };
        let yet =
            if below.is_empty() { String::new() } else { format!(", and less well by {}", listed(&below)) };
        format!(
            "{} {verb} the object better than {baseline} by {by}{yet}.",
            capitalised(&subjects(&members, explanations.len()))
        )
    };
    groups.into_iter().map(sentence).collect()
}

fn undecided(findings: &LocalisationFindings) -> Claim {
    Claim {
        section: LocalisationStudy::ID,
        topic: "Explanations against truth",
        statement: format!(
            "Whether an explanation finds the object better than chance cannot be tested on {}.",
            counted(findings.n, "image")
        ),
        evidence: "A paired comparison takes two or more images.".into(),
    }
}

/// Objects tend to lie in the middle, so that a blob in the centre is the baseline that matters.
fn against_centre(
    findings: &LocalisationFindings,
    explanations: &[Explanation],
    centre: &LocalisationScore,
) -> Claim {
    let mut parts = better(explanations, "a blob in the image's centre", |e| e.over_centre);
    if parts.is_empty() {
        parts.push(
            "No explanation is shown to find the object better than a blob in the image's centre, which knows nothing of the \
             image."
                .into(),
        );
    }
    let over_random = better(explanations, "a random heatmap", |e| e.over_random);
    if over_random.is_empty() {
        parts.push("None is shown to find it better than a random heatmap.".into());
    }
    parts.extend(over_random);
    let under_random: Vec<String> = explanations
        .iter()
        .filter(|e| SCORES.iter().all(|(_, of)| verdict(of(e.over_random)) == Side::Below))
        .map(|e| e.name.clone())
        .collect();
    if !under_random.is_empty() {
        parts.push(format!(
            "By every score a random heatmap is better than {}.",
            subjects(&under_random, explanations.len())
        ));
    }

    let gains = each(
        explanations,
        |e| e.score.mass.value,
        |e| {
            let test = &e.over_centre.mass;
            let gain = format!("{}, {}", difference(test), p_value(test.p_value));
            format!("{} {} ({gain})", e.name, percent(e.score.mass.value))
        },
    );
    let ranks = each(
        explanations,
        |e| e.score.auroc.value,
        |e| format!("{} {}", e.name, Unit::Coefficient.value(e.score.auroc.value)),
    );
    let left_out = match findings.left_out {
        0 => String::new(),
        n => format!(
            " {} not scored, because the object covers nothing or everything of what a model sees.",
            if n == 1 { "1 image was".into() } else { format!("{} were", counted(n, "image")) }
        ),
    };
    let evidence = format!(
        "Mass on the object over {} whose objects cover {} on average: centre {}; {} (in brackets, paired difference from the \
         centre, adjusted p). AUROC: centre {}; {}.{left_out}",
        counted(findings.n, "image"),
        percent(findings.object_share.value),
        percent(centre.mass.value),
        gains,
        Unit::Coefficient.value(centre.auroc.value),
        ranks,
    );
    Claim {
        section: LocalisationStudy::ID,
        topic: "Explanations against truth",
        statement: parts.join(" "),
        evidence,
    }
}

/// `−0.9 points, 95 % interval −2.0 to 0.2`.
fn difference(test: &SignFlipTest) -> String {
    let found = &test.difference;
    format!("{}, {}", Unit::Points.value(found.value), Unit::Points.interval_phrase(found))
}

fn pointing(explanations: &[Explanation], centre: &LocalisationScore) -> Claim {
    let named = |wanted| -> Vec<String> {
        let chosen = explanations.iter().filter(|e| verdict(&e.over_centre.pointing) == wanted);
        chosen.map(|e| e.name.clone()).collect()
    };
    let (better, worse) = (named(Side::Above), named(Side::Below));
    let pointing = |named: &[String]| {
        let verb = if named.len() == 1 { "points" } else { "point" };
        format!("{} {verb}", subjects(named, explanations.len()))
    };
    let statement = match (better.is_empty(), worse.is_empty()) {
        (true, true) => {
            "No explanation is shown to point to the object more or less often than the image's centre does."
                .into()
        }
        (false, true) => {
            format!(
                "{} to the object more often than the image's centre does.",
                capitalised(&pointing(&better))
            )
        }
        (true, false) => {
            format!(
                "{} to the object less often than the image's centre does.",
                capitalised(&pointing(&worse))
            )
        }
        (false, false) => format!(
            "Compared with the image's centre, {} to the object more often, {} less often.",
            pointing(&better),
            subjects(&worse, explanations.len())
        ),
    };
    let scores = each(
        explanations,
        |e| e.score.pointing.value,
        |e| {
            let test = &e.over_centre.pointing;
            let gain = format!("{}, {}", difference(test), p_value(test.p_value));
            format!("{} {} ({gain})", e.name, percent(e.score.pointing.value))
        },
    );
    let evidence = format!(
        "Pointing game, the share of images whose hottest pixel lies on the object: centre {}; {} (in brackets, paired \
         difference from the centre, adjusted p).",
        percent(centre.pointing.value),
        scores,
    );
    Claim { section: LocalisationStudy::ID, topic: "Pointing", statement, evidence }
}
