//! What was found, in plain words that the numbers choose.
//!
//! No sentence stands here because it is usually true: each is picked by an interval or a p-value, and where those
//! decide nothing, the claim says so.

mod accuracy;
mod attacks;
mod attention;
mod comparisons;
mod errors;
mod heads;
mod localisation;
mod shape_bias;
mod trust;

use crate::findings::Investigation;

use super::names::Names;
pub use archaeo_report::Claim;

pub(super) use attacks::{attacks, curve_of, halving_epsilon, zero_gradients};
pub(super) use attention::even_distances;
pub(super) use heads::{Verdict, head_name, verdict};
pub(super) use trust::{FEWEST_IMAGES, HALF, MOSTLY_ONE_CLASS, NEARLY_CONSTANT, TOO_SURE};

/// Everything that the finished studies allow to be said, in the order of the report: first whether the models can be trusted.
pub fn claims(investigation: &Investigation) -> Vec<Claim> {
    let names = Names::of(investigation);
    let mut claims = Vec::new();
    if let Some(findings) = &investigation.trust {
        claims.extend(trust::claims(findings, investigation, &names));
    }
    if let Some(findings) = &investigation.accuracy {
        claims.extend(accuracy::claims(findings, &names));
    }
    if let Some(findings) = &investigation.attention {
        claims.extend(attention::claims(findings));
    }
    if let Some(findings) = &investigation.comparisons {
        claims.extend(comparisons::claim(findings, &names));
    }
    if let Some(findings) = &investigation.heads {
        claims.extend(heads::claims(findings, &names));
    }
    if let Some(findings) = &investigation.attacks {
        claims.extend(attacks::claims(findings, &names));
    }
    if let Some(findings) = &investigation.errors {
        claims.extend(errors::claims(findings, investigation, &names));
    }
    if let Some(findings) = &investigation.localisation {
        claims.extend(localisation::claims(findings, &names));
    }
    if let Some(findings) = &investigation.shape_bias {
        claims.extend(shape_bias::claims(findings, &names));
    }
    for claim in &mut claims {
        capitalise(&mut claim.statement);
    }
    claims
}

/// A sentence begins with a capital, even where it begins with the name of a method.
fn capitalise(sentence: &mut String) {
    if let Some(first) = sentence.chars().next() {
        sentence.replace_range(..first.len_utf8(), &first.to_uppercase().to_string());
    }
}
