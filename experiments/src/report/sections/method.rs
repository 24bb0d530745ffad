//! What each quantity is, as computed here, with the paper it comes from.

use archaeo_analysis::statistics::{Estimate, Measured};

use crate::findings::{CONFIDENT, FEWEST_OF_CLASS, Investigation, Role, TrustFindings};

use super::super::claims::{FEWEST_IMAGES, HALF, MOSTLY_ONE_CLASS, NEARLY_CONSTANT, TOO_SURE};
use archaeo_report::document::{Block, Column, Section, Table, Text};
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
    if let Some(found) = &investigation.trust {
        terms.extend(trust(found));
    }
    if investigation.accuracy.is_some() {
        terms.extend([
            definition(
                "McNemar's test",
                "Exact two-sided binomial test on the images that one model has right and the other wrong (McNemar, 1947).",
                &[],
            ),
            definition(
                "Shared wrong answers",
                "Of the images that both models have wrong, how many get the same answer, against independent models that take each \
                 class for others as often as these two do: the mean over pairs of different images of one class, with a \
                 permutation test of which answers go together.",
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
                "Mean absolute gap between the probability of the answer given (top label) and accuracy over 15 bins of equally many \
                 images; images of one probability count with their common accuracy. It never falls quite to zero in a finite \
                 sample: by chance, a perfectly calibrated model with the same probabilities shows the error that simulated answers \
                 have on average, each right with the probability it states. The probabilities of the other classes are not judged.",
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
            definition(
                "Trend with depth",
                "Each layer's mean distance over heads as a share of the distance of even attention in that layer. Spearman's ρ \
                 between this share and the layer, tested by permuting the layers, which are the units; five or more are needed.",
                &[],
            ),
        ]);
    }
    if investigation.comparisons.is_some() || investigation.attention.is_some() {
        terms.push(definition(
            "Rollout",
            "Attention averaged over heads, with half of the identity added for the residual path, multiplied through all \
             layers, from the tokens that the model's head reads. Attention within windows is a matrix with nothing outside of them; patches that were merged share \
             equally.",
            &[("Abnar and Zuidema, 2020", "https://arxiv.org/abs/2005.00928")],
        ));
    }
    if investigation.comparisons.is_some() {
        terms.push(definition(
            "Agreement of heatmaps",
            "Rank correlation of both models' heatmaps of one image, minus the mean rank correlation of either with the other \
             model's heatmaps of all other images. The p-value comes from pairing the images' heatmaps at random.",
            &[],
        ));
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
            "Scores against the mask",
            "Every heatmap is brought to the size of the model's input bilinearly. Mass: negative values are set to zero, the \
             minimum is not subtracted, and the rest is divided by its sum; the share on the object counts. AUROC and average \
             precision rank pixels, with ties counted exactly, and do not depend on a heatmap's scale. Pointing game: whether the \
             hottest pixel lies on the object. Baselines are scored on the same images and compared image by image.",
            &[("Zhang et al., 2018", "https://arxiv.org/abs/1608.00507")],
        ));
    }
    if investigation.shape_bias.is_some() {
        terms.push(definition(
            "Shape bias",
            "On images whose shape and texture belong to different classes: shape decisions over shape and texture \
             decisions. The label is the shape, so that 50 % is not neutral. Influence of the texture: how often its class is named, \
             minus how often it would be if the model's answers were dealt out anew among the images of a shape (permutation \
             test). Two models are compared by exchanging their answers at random image by image.",
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

/// The rules of the verdicts, each threshold in them.
fn trust(found: &TrustFindings) -> Vec<(String, Text)> {
    let percent = |share: f64| format!("{:.0}\u{a0}%", 100.0 * share);
    let mut terms = vec![
        definition(
            "Can it be trusted?",
            &format!(
                "The first rule that holds decides. Fewer than {FEWEST_IMAGES} images: no verdict. Images of one class only: no \
                 verdict. One answer to every image, or to {} of them where less than {} are of that class: not to be trusted. Not \
                 shown to be right more often than always giving the most common class as the answer (paired interval of the \
                 difference, and exact McNemar p < 0.05): not to be trusted. A class with {FEWEST_OF_CLASS} or more images \
                 of which at most {} are right: not to be trusted on that class; one of which more are right, but whose interval, \
                 which holds for all classes at once, includes {}: not shown to be right more often than wrong on it. Else the model is said to be right \
                 as often as it is on images like these, which is no promise for others.",
                percent(NEARLY_CONSTANT),
                percent(MOSTLY_ONE_CLASS),
                percent(HALF),
                percent(HALF)
            ),
            &[],
        ),
        definition(
            "Warnings",
            &format!(
                "A model that is shown to be more accurate on the split it was chosen on than on the main split (interval of the \
                 difference above zero), and one of whose answers with a probability of {} or more a larger share than {} is shown \
                 to be wrong.",
                percent(CONFIDENT),
                percent(TOO_SURE)
            ),
            &[],
        ),
        definition(
            "Balanced accuracy",
            "Mean over classes of the share of their images that is right; a model that always gives one answer has one divided by \
             the number of classes.",
            &[],
        ),
    ];
    if found.models.values().any(|trust| trust.binary.is_some()) {
        terms.push(definition(
            "Sensitivity, specificity, AUC",
            "Share of the images of the positive class that is right, share of the others that is right, and the probability that an \
             image of the positive class gets a higher probability of it than another image, equal ones counting half. Which class \
             is positive is read off names such as pneumonia, malignant, positive, abnormal, disease or 1, or of their absence such \
             as normal, benign, negative, healthy or 0; where they do not tell, it is the second.",
            &[],
        ));
    }
    terms
}

/// How each kind of interval was computed, in the words of whoever computed it.
fn intervals(investigation: &Investigation) -> Option<Block> {
    let mut found: Vec<(&str, &Estimate)> = Vec::new();
    if let Some(trust) = investigation.trust.as_ref().and_then(|trust| trust.models.values().next()) {
        found.extend(trust.balanced.known().map(|balanced| ("Balanced accuracy", balanced)));
        found.extend(trust.classes.first().map(|worst| ("Worst class", &worst.accuracy)));
        found.extend(trust.gap.known().map(|gap| ("Accuracy lost since selection", &gap.difference)));
        found.extend(trust.binary.as_ref().and_then(|binary| Some(("AUC", binary.auc.known()?))));
    }
    if let Some(Measured::Known(same)) = investigation.errors.as_ref().and_then(|e| e.same_answer.as_ref()) {
        found.push(("Shared wrong answers", &same.excess));
    }
    if let Some(accuracy) = &investigation.accuracy
        && let Some(split) = accuracy.splits.first()
    {
        if let Some(scores) = split.models.get(&Role::Vit).or(split.models.get(&Role::Cnn)) {
            found.extend([("Accuracy", &scores.top1), ("NLL", &scores.nll), ("ECE", &scores.ece)]);
        }
        found.push(("Difference in accuracy", &split.pair.difference));
        found.extend(split.pair.kappa.known().map(|kappa| ("Error consistency κ", kappa)));
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
        let gains =
            investigation.localisation.iter().flat_map(|l| &l.methods).find_map(|m| m.over_centre.as_ref());
        found.extend(gains.map(|gains| ("Gain over the centre", &gains.mass.difference)));
    }
    if let Some(bias) = investigation.shape_bias.as_ref().and_then(|s| s.models.values().next()) {
        found.extend(bias.bias.known().map(|bias| ("Shape bias", bias)));
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
