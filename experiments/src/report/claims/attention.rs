//! Whether attention widens with depth, and how many heads look only nearby.

use std::ops::Range;

use archaeo_analysis::statistics::{RankCorrelation, Resampling, spearman};

use crate::findings::{AttentionFindings, LayerAttention};

use super::super::evidence::{Side, side};
use super::super::numbers::{Unit, counted, p_value};
use super::Claim;

pub(super) fn claims(findings: &AttentionFindings) -> Vec<Claim> {
    trend_claim(findings).into_iter().chain(locality_claim(findings)).collect()
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

/// What “far” and “near” are measured against, in a sentence: the even distance of all layers, which differs where
/// attention stays within windows. `None` where older findings do not say.
pub(in super::super) fn even_distances(findings: &AttentionFindings) -> Option<String> {
    let of_layers: Vec<f64> =
        findings.layers.iter().map(|layer| layer.even_distance).collect::<Option<_>>()?;
    let (first, last) = (*of_layers.first()?, *of_layers.last()?);
    let alike = of_layers.iter().all(|even| (even - first).abs() < 1e-9);
    Some(match alike {
        true => Unit::Pixels.value(first),
        false => format!(
            "{} in layer 1 to {} in layer {}",
            Unit::Pixels.value(first),
            Unit::Pixels.value(last),
            of_layers.len()
        ),
    })
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
fn locality_claim(findings: &AttentionFindings) -> Option<Claim> {
    let even = even_distances(findings)?;
    let on = |wanted: Side, layers: Range<usize>| {
        let of_layer = |LayerAttention { heads, even_distance, .. }: &LayerAttention| {
            let even = even_distance.expect("seen to be there");
            heads.iter().filter(|head| side(&head.distance, even) == wanted).count()
        };
        findings.layers[layers].iter().map(of_layer).sum::<usize>()
    };
    let depth = findings.layers.len();
    let total: usize = findings.layers.iter().map(|layer| layer.heads.len()).sum();
    let shares = findings.layers.iter().enumerate().flat_map(|(layer, found)| {
        let even = found.even_distance.expect("seen to be there");
        let each = found.heads.iter().map(|head| head.distance.value).enumerate();
        each.map(move |(head, distance)| (layer, head, distance, distance / even))
    });
    let (layer, head, distance, share) = shares.min_by(|a, b| a.3.total_cmp(&b.3))?;
    let (near, far) = (on(Side::Below, 0..depth), on(Side::Above, 0..depth));
    let counted_heads = counted(total, "head");
    let statement = match near {
        0 => {
            format!("None of the {counted_heads} is shown to look nearer than attention spread evenly would.")
        }
        _ => format!("{near} of {counted_heads} look nearer than attention spread evenly would."),
    };
    let mut evidence = format!(
        "Spread evenly, attention would lie at {even} on average; a head is nearer or farther when its whole interval lies \
         on that side, and {far} of {total} are farther. The nearest, head {} of layer {}, looks {} far, {} of the even \
         distance.",
        head + 1,
        layer + 1,
        Unit::Pixels.value(distance),
        Unit::Percent.value(share),
    );
    if depth > 1 && near > 0 {
        let early_heads: usize = findings.layers[..depth / 2].iter().map(|layer| layer.heads.len()).sum();
        evidence += &format!(
            " In the first half of the layers {} of {early_heads} are nearer, in the second {} of {}.",
            on(Side::Below, 0..depth / 2),
            on(Side::Below, depth / 2..depth),
            total - early_heads
        );
    }
    Some(Claim { section: "attention", topic: "Near heads", statement, evidence })
}
