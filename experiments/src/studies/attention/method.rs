//! What the quantities are.

use archaeo_report::document::Text;

use super::findings::AttentionFindings;
use crate::report::method::definition;
use crate::report::names::sentence;
use crate::subjects::ByModel;

pub(super) fn definitions(findings: &ByModel<AttentionFindings>) -> Vec<(String, Text)> {
    // The same for all models of one version of the program.
    let convention = findings.values().next().map_or("", |found| &found.convention);
    vec![
        definition(
            "Attention distance",
            &format!(
                "Distance in pixels between a patch and the patches it attends to, weighted by attention, averaged over \
                 patches and images. {}",
                sentence(convention)
            ),
            &[("Dosovitskiy et al., 2021", "https://arxiv.org/abs/2010.11929")],
        ),
        definition(
            "Entropy",
            "−Σ A log A over a row of attention weights in nats; normalised by the logarithm of the number of keys.",
            &[],
        ),
        definition(
            "Trend with depth",
            "Each layer's mean distance over heads as a share of the distance of even attention in that layer. Spearman's ρ \
             between this share and the layer, tested by permuting the layers, which are the units; five or more are needed.",
            &[],
        ),
        rollout(),
    ]
}

/// What rollout is.
fn rollout() -> (String, Text) {
    definition(
        "Rollout",
        "Attention averaged over heads, with half of the identity added for the residual path, multiplied through all \
         layers, from the tokens that the model's head reads. Attention within windows is a matrix with nothing outside of them; patches that were merged share \
         equally.",
        &[("Abnar and Zuidema, 2020", "https://arxiv.org/abs/2005.00928")],
    )
}
