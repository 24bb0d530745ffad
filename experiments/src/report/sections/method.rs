//! What each quantity is, as computed here, with the paper it comes from.

use archaeo_analysis::statistics::Estimate;

use crate::findings::{Investigation, Role};

use super::super::document::{Block, Column, Section, Table, Text};
use super::super::names::sentence;

pub(super) fn section(investigation: &Investigation) -> Section {
    let mut blocks = vec![Block::Definitions(definitions(investigation))];
    blocks.extend(intervals(investigation));
    Section { id: "method", title: "Method", blocks }
}

/// A definition and its source: label and address of the paper, where there is one on the web.
fn definition(term: &str, meaning: &str, sources: &[(&str, &str)]) -> (String, Text) {
    let mut text = Text::from(meaning);
    for (i, (label, url)) in sources.iter().enumerate() {
        text = text.plain(if i == 0 { " Source: " } else { "; " }).link(*label, *url);
    }
    (term.into(), if sources.is_empty() { text } else { text.plain(".") })
}

fn definitions(investigation: &Investigation) -> Vec<(String, Text)> {
    let mut terms = Vec::new();
    if investigation.accuracy.is_some() {
        terms.extend([
            definition(
                "McNemar's test",
                "Exact two-sided binomial test on the images that one model has right and the other wrong (McNemar, 1947).",
                &[],
            ),
            definition(
                "Error consistency κ",
                "Observed agreement in being right or wrong, corrected for the agreement expected of independent models of \
                 the same accuracies: 0 independent, 1 the same errors.",
                &[("Geirhos et al., 2020", "https://arxiv.org/abs/2006.16736")],
            ),
            definition(
                "Expected calibration error",
                "Mean absolute gap between confidence and accuracy over 15 bins of equally many images. It never falls \
                 quite to zero in a finite sample.",
                &[("Guo et al., 2017", "https://arxiv.org/abs/1706.04599")],
            ),
        ]);
    }
    if let Some(attention) = &investigation.attention {
        terms.extend([
            definition(
                "Attention distance",
                &format!(
                    "Distance in pixels between a patch and the patches it attends to, weighted by attention, averaged over \
                     patches and images. {}",
                    sentence(&attention.convention)
                ),
                &[("Dosovitskiy et al., 2021", "https://arxiv.org/abs/2010.11929")],
            ),
            definition(
                "Entropy",
                "−Σ A log A over a row of attention weights in nats; normalised by the logarithm of the number of keys.",
                &[],
            ),
        ]);
    }
    if investigation.comparisons.is_some() || investigation.attention.is_some() {
        terms.push(definition(
            "Rollout",
            "Attention averaged over heads, with half of the identity added for the residual path, multiplied through all \
             layers. Attention within windows is a matrix with nothing outside of them; patches that were merged share \
             equally.",
            &[("Abnar and Zuidema, 2020", "https://arxiv.org/abs/2005.00928")],
        ));
    }
    if investigation.comparisons.is_some() {
        terms.push(definition(
            "Grad-CAM",
            "Feature maps of the last stage, weighted by the spatial mean of the class score's gradient, negative parts \
             dropped. Each cell is drawn where it stands in the grid of the features, although strided convolutions with \
             padding see places up to half a cell higher and further left.",
            &[("Selvaraju et al., 2017", "https://arxiv.org/abs/1610.02391")],
        ));
    }
    if investigation.heads.is_some() {
        terms.extend([
            definition(
                "Head ablation",
                "Change in loss when a head's output is replaced by its mean over images, by zero, or by another image's. \
                 Zero tends to overstate importance, so that the mean ranks. Whether a head is needed is decided by a \
                 two-sided sign-flip permutation test of the mean change in loss over the same images: how often random signs \
                 of the images' changes give a mean as large. Its interval inverts the test, so that the two agree. p-values \
                 are adjusted over all heads (Benjamini and Hochberg, 1995).",
                &[],
            ),
            definition(
                "Head importance by gradient",
                "Mean over images of |∂loss/∂gate| for a gate on the head's output.",
                &[("Michel et al., 2019", "https://arxiv.org/abs/1905.10650")],
            ),
        ]);
    }
    if investigation.attacks.is_some() {
        terms.push(definition(
            "Attacks",
            "FGSM takes one step of size ε along the sign of the loss gradient; PGD takes several smaller ones from a random \
             start, stays within ε and keeps the first image that fools the model. Images lie in [0, 1] and are attacked at the \
             model's input size, in 8 bits; saved and resized or cropped once more, they need not fool it. A grey image stays \
             grey. A model is robust on an image that it classifies correctly both without the attack and under it. The losses \
             work on margins, so that a model with large logits does not look robust for having no gradient.",
            &[
                ("Goodfellow et al., 2015", "https://arxiv.org/abs/1412.6572"),
                ("Madry et al., 2018", "https://arxiv.org/abs/1706.06083"),
                ("Carlini and Wagner, 2017", "https://arxiv.org/abs/1608.04644"),
            ],
        ));
    }
    if investigation.localisation.is_some() {
        terms.push(definition(
            "Pointing game and mass",
            "Whether the hottest pixel lies on the object, and the share of the heatmap's sum that does.",
            &[("Zhang et al., 2018", "https://arxiv.org/abs/1608.00507")],
        ));
    }
    if investigation.shape_bias.is_some() {
        terms.push(definition(
            "Shape bias",
            "On images whose shape and texture belong to different classes: shape decisions over shape and texture \
             decisions.",
            &[("Geirhos et al., 2019", "https://arxiv.org/abs/1811.12231")],
        ));
    }
    terms.push(definition(
        "How sentences are chosen",
        "The summary's sentences are picked by intervals and p-values: a difference is stated only where the interval \
         excludes none (and, for accuracy, p < 0.05). Where no paired comparison exists, two intervals must not touch, which \
         is stricter. Statements about heads and attacks rest on p-values corrected for all heads, or all sizes and attacks. \
         The summary makes several statements without correcting for their number.",
        &[],
    ));
    terms
}

/// How each kind of interval was computed, in the words of whoever computed it.
fn intervals(investigation: &Investigation) -> Option<Block> {
    let mut found: Vec<(&str, &Estimate)> = Vec::new();
    if let Some(accuracy) = &investigation.accuracy
        && let Some(split) = accuracy.splits.first()
    {
        if let Some(scores) = split.models.get(&Role::Vit).or(split.models.get(&Role::Cnn)) {
            found.extend([("Accuracy", &scores.top1), ("NLL", &scores.nll), ("ECE", &scores.ece)]);
        }
        found.extend([
            ("Difference in accuracy", &split.pair.difference),
            ("Error consistency κ", &split.pair.kappa),
        ]);
    }
    if let Some(head) = investigation.attention.iter().flat_map(|a| &a.layers).flat_map(|l| &l.heads).next() {
        found.push(("Attention statistics", &head.distance));
    }
    if let Some(heads) = &investigation.heads {
        found.extend(heads.ranking.first().map(|head| ("Head ablation", &head.mean)));
        found.extend(
            heads.gradient_agreement.iter().map(|agreement| ("Gradient against ablation", agreement)),
        );
    }
    if let Some(point) = investigation.attacks.iter().flat_map(|a| &a.curves).flat_map(|c| &c.points).next() {
        found.push(("Accuracy under attack", &point.accuracy));
    }
    if let Some(score) = investigation.localisation.as_ref().and_then(|l| l.methods.first()) {
        found.extend([("Pointing game", &score.pointing), ("Mass on the object", &score.mass)]);
    }
    if let Some(bias) = investigation.shape_bias.as_ref().and_then(|s| s.models.values().next()) {
        found.push(("Shape bias", &bias.bias));
    }
    if found.is_empty() {
        return None;
    }
    let rows = found.into_iter().map(|(name, estimate)| {
        vec![
            Text::from(name),
            format!("{:.0} %", 100.0 * estimate.level).into(),
            estimate.method.clone().into(),
        ]
    });
    Some(Block::Table(Table {
        caption: "How the intervals are computed.".into(),
        columns: vec![Column::words("Quantity"), Column::numbers("Level"), Column::prose("Method")],
        rows: rows.collect(),
    }))
}
