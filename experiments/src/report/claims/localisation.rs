//! Whether heatmaps find the object better than heatmaps that know nothing.

use crate::findings::{LocalisationFindings, LocalisationScore};

use super::super::evidence::{Side, apart, side};
use super::super::names::{Names, listed};
use super::super::numbers::{Unit, counted, percent};
use super::Claim;

pub(super) fn claims(findings: &LocalisationFindings, names: &Names) -> Vec<Claim> {
    let explanations: Vec<&LocalisationScore> =
        findings.methods.iter().filter(|score| score.role.is_some()).collect();
    if explanations.is_empty() {
        return Vec::new();
    }
    let mut claims = vec![against_random(findings, &explanations, names)];
    claims.extend(against_centre(findings, &explanations, names));
    claims
}

fn full_name(score: &LocalisationScore, names: &Names) -> String {
    score.role.map_or_else(|| score.method.clone(), |role| format!("{} ({})", score.method, names.bare(role)))
}

fn against_random(
    findings: &LocalisationFindings,
    explanations: &[&LocalisationScore],
    names: &Names,
) -> Claim {
    let on = |wanted| -> Vec<String> {
        let chosen = explanations
            .iter()
            .filter(|score| score.mass_over_random.as_ref().map(|gain| side(gain, 0.0)) == Some(wanted));
        chosen.map(|score| full_name(score, names)).collect()
    };
    let (better, worse) = (on(Side::Above), on(Side::Below));
    let all = better.len() == explanations.len();
    let mut statement = if all && better.len() > 1 {
        format!(
            "All {} explanations put more of their mass on the object than a random heatmap.",
            better.len()
        )
    } else if better.is_empty() {
        "No explanation is shown to put more of its mass on the object than a random heatmap.".into()
    } else {
        format!("More of the mass lies on the object than with a random heatmap for {}.", listed(&better))
    };
    if !worse.is_empty() {
        statement += &format!(" Less lies there for {}.", listed(&worse));
    }
    let gains: Vec<String> = explanations
        .iter()
        .filter_map(|score| {
            let gain = score.mass_over_random.as_ref()?;
            Some(format!("{} {}", full_name(score, names), Unit::Points.sentence(gain)))
        })
        .collect();
    let evidence = format!(
        "Gain over random on {} whose objects cover {} on average: {}.",
        counted(findings.n, "image"),
        percent(findings.object_share.value),
        gains.join("; ")
    );
    Claim { section: "localisation", topic: "Explanations against truth", statement, evidence }
}

/// Objects tend to lie in the middle, so a blob in the centre is the harder baseline.
fn against_centre(
    findings: &LocalisationFindings,
    explanations: &[&LocalisationScore],
    names: &Names,
) -> Option<Claim> {
    let centre = findings.methods.iter().find(|score| {
        let method = score.method.to_lowercase();
        score.role.is_none() && (method.contains("centre") || method.contains("center"))
    })?;
    let named = |wanted| -> Vec<String> {
        let chosen = explanations.iter().filter(|score| apart(&score.pointing, &centre.pointing) == wanted);
        chosen.map(|score| full_name(score, names)).collect()
    };
    let (better, worse) = (named(Side::Above), named(Side::Below));
    let pointing = |subjects: &[String]| {
        format!("{} {}", listed(subjects), if subjects.len() == 1 { "points" } else { "point" })
    };
    let statement = match (better.is_empty(), worse.is_empty()) {
        (true, true) => {
            "No explanation is shown to point to the object more or less often than the image's centre does."
                .into()
        }
        (false, true) => {
            format!("{} to the object more often than the image's centre does.", pointing(&better))
        }
        (true, false) => {
            format!("{} to the object less often than the image's centre does.", pointing(&worse))
        }
        (false, false) => format!(
            "Compared with the image's centre, {} to the object more often, {} less often.",
            pointing(&better),
            listed(&worse)
        ),
    };
    let scores: Vec<String> = explanations
        .iter()
        .map(|score| format!("{} {}", full_name(score, names), Unit::Percent.sentence(&score.pointing)))
        .collect();
    let evidence = format!(
        "Pointing game, the share of images whose hottest pixel lies on the object: {}; centre {}.",
        scores.join("; "),
        Unit::Percent.sentence(&centre.pointing)
    );
    Some(Claim { section: "localisation", topic: "Pointing", statement, evidence })
}
