//! Whether attention widens with depth, and how many heads look only nearby.

use std::ops::Range;

use archaeo_analysis::statistics::{RankCorrelation, Resampling, spearman};
use archaeo_models::NetworkSpec;

use crate::findings::{AttentionFindings, Investigation, Role};

use super::super::evidence::{Side, side};
use super::super::numbers::{Unit, counted, p_value};
use super::Claim;

pub(super) fn claims(findings: &AttentionFindings, investigation: &Investigation) -> Vec<Claim> {
    let mut claims = Vec::new();
    claims.extend(trend_claim(findings));
    if let Some(even) = even_distance(investigation) {
        claims.extend(locality_claim(findings, even));
    }
    claims
}

/// Spearman's correlation over all heads between the layer and the mean attention distance.
/// `None` where it is undefined (one layer, fewer than four heads, equal distances).
fn distance_trend(findings: &AttentionFindings) -> Option<RankCorrelation> {
    let heads = findings.layers.iter().enumerate();
    let (depth, distance): (Vec<f64>, Vec<f64>) = heads
        .flat_map(|(layer, found)| found.heads.iter().map(move |head| (layer as f64, head.distance.value)))
        .unzip();
    spearman(&depth, &distance, &Resampling::new(0)).ok()
}

/// Mean attention distance in pixels of a head that attends to all patches alike: what “far” and “near” are measured
/// against. `None` without a ViT.
pub(in super::super) fn even_distance(investigation: &Investigation) -> Option<f64> {
    let vit = investigation.models.iter().find(|model| model.role == Role::Vit)?;
    let NetworkSpec::Vit(config) = &vit.card.network else { return None };
    let side = config.image_size.checked_div(config.patch_size).filter(|side| *side > 0)?;
    // Distances depend only on the offset, and an offset (dx, dy) occurs (side − dx)(side − dy) times a quadrant.
    let mut sum = 0.0;
    for dy in 0..side {
        for dx in 0..side {
            let quadrants = if dx > 0 { 2 } else { 1 } * if dy > 0 { 2 } else { 1 };
            let pairs = quadrants * (side - dx) * (side - dy);
            sum += pairs as f64 * (dx as f64).hypot(dy as f64);
        }
    }
    Some(sum / (side as f64).powi(4) * config.patch_size as f64)
}

fn layer_mean(findings: &AttentionFindings, layer: usize) -> f64 {
    let heads = &findings.layers[layer].heads;
    heads.iter().map(|head| head.distance.value).sum::<f64>() / heads.len() as f64
}

fn trend_claim(findings: &AttentionFindings) -> Option<Claim> {
    let RankCorrelation { correlation, p_value: p } = distance_trend(findings)?;
    let last = findings.layers.len() - 1;
    let statement = match side(&correlation, 0.0) {
        Side::Above => "Attention reaches further in deeper layers.",
        Side::Below => "Attention reaches less far in deeper layers.",
        Side::Undecided => "No trend of attention distance with depth can be shown.",
    };
    let evidence = format!(
        "The mean distance over heads is {} in layer 1 and {} in layer {}; Spearman's ρ between layer and distance over \
         {} is {}, {}.",
        Unit::Pixels.value(layer_mean(findings, 0)),
        Unit::Pixels.value(layer_mean(findings, last)),
        last + 1,
        counted(correlation.n, "head"),
        Unit::Coefficient.sentence(&correlation),
        p_value(p)
    );
    Some(Claim { section: "attention", topic: "Attention and depth", statement: statement.into(), evidence })
}

/// How many heads look nearer than attention spread evenly would, and how near the nearest does: a comparison with what
/// a head without any preference for places would show, and not with a distance chosen by hand.
fn locality_claim(findings: &AttentionFindings, even: f64) -> Option<Claim> {
    let heads = |side_of_even: Side, layers: Range<usize>| {
        let heads = findings.layers[layers].iter().flat_map(|layer| &layer.heads);
        heads.filter(|head| side(&head.distance, even) == side_of_even).count()
    };
    let depth = findings.layers.len();
    let total: usize = findings.layers.iter().map(|layer| layer.heads.len()).sum();
    let nearest = findings
        .layers
        .iter()
        .enumerate()
        .flat_map(|(layer, found)| {
            found.heads.iter().enumerate().map(move |(head, found)| (layer, head, found.distance.value))
        })
        .min_by(|a, b| a.2.total_cmp(&b.2))?;
    let (near, far) = (heads(Side::Below, 0..depth), heads(Side::Above, 0..depth));
    let counted_heads = counted(total, "head");
    let statement = match near {
        0 => {
            format!("None of the {counted_heads} is shown to look nearer than attention spread evenly would.")
        }
        _ => format!("{near} of {counted_heads} look nearer than attention spread evenly would."),
    };
    let (layer, head, distance) = nearest;
    let mut evidence = format!(
        "Spread evenly, attention would lie at {} on average; a head is nearer or farther when its whole interval lies on \
         that side, and {far} of {total} are farther. The nearest, head {} of layer {}, looks {} far, {} of the even distance.",
        Unit::Pixels.value(even),
        head + 1,
        layer + 1,
        Unit::Pixels.value(distance),
        Unit::Percent.value(distance / even),
    );
    if depth > 1 && near > 0 {
        let early_heads: usize = findings.layers[..depth / 2].iter().map(|layer| layer.heads.len()).sum();
        evidence += &format!(
            " In the first half of the layers {} of {early_heads} are nearer, in the second {} of {}.",
            heads(Side::Below, 0..depth / 2),
            heads(Side::Below, depth / 2..depth),
            total - early_heads
        );
    }
    Some(Claim { section: "attention", topic: "Near heads", statement, evidence })
}
