//! Explanations that rank the object below other places, and what the other scores of the same model say of the reason.

use archaeo_analysis::statistics::SignFlipTest;
use archaeo_report::evidence::{Side, tested};
use archaeo_report::numbers::Unit;

use super::findings::{Gains, LocalisationFindings, LocalisationScore};
use crate::report::Names;
use crate::report::names::capitalised;

/// A sentence for each explanation whose AUROC is below that of a random heatmap.
pub(super) fn sentences(findings: &LocalisationFindings, names: &Names) -> Vec<String> {
    let on = |score: &LocalisationScore, wanted: Side| {
        let side = |gains: &Gains| {
            let SignFlipTest { difference, p_value, .. } = &gains.auroc;
            tested(difference, *p_value)
        };
        score.over_random.as_ref().is_some_and(|gains| side(gains) == wanted)
    };
    let below = findings.methods.iter().filter(|score| on(score, Side::Below));
    let sentence = |score: &LocalisationScore| {
        let model = score.model?;
        let of_model = findings.methods.iter().filter(|other| other.model == Some(model));
        let best = of_model
            .filter(|other| on(other, Side::Above))
            .max_by(|a, b| a.auroc.value.total_cmp(&b.auroc.value));
        let auroc = |score: &LocalisationScore| Unit::Coefficient.value(score.auroc.value);
        let the = names.the(model);
        let said = match best {
            Some(best) => format!(
                "while {} is at {}: {the} does look at the object, and {}",
                best.method,
                auroc(best),
                reason(&score.method)
            ),
            None => format!(
                "and no explanation of {the} is above it: nothing shows that {the} looks at the object"
            ),
        };
        let method = capitalised(&score.method);
        Some(format!(
            "{method} of {the} ranks the object below other places (AUROC {}), {said}.",
            auroc(score)
        ))
    };
    below.filter_map(sentence).collect()
}

/// Why a method may miss an object at which the model looks.
fn reason(method: &str) -> &'static str {
    match method {
        "LeGrad" => {
            "LeGrad does not count attention, only what more of it would change: a patch to which none goes may have the largest slope"
        }
        "logit lens" => {
            "the lens reads each patch's own last token, into which the blocks write what they found elsewhere"
        }
        _ => {
            "this heatmap is largest elsewhere; the chapter on faithfulness says whether the model needs those places"
        }
    }
}
