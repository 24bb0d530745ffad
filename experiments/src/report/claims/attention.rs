//! Whether attention widens with depth, and how many heads look only nearby.

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

/// What “far” and “near” are measured against, in a sentence: half of, or the whole, even distance of all layers, which
/// differ where attention stays within windows. `None` where older findings do not say.
pub(in super::super) fn even_distances(findings: &AttentionFindings, share: f64) -> Option<String> {
    let of_layers: Option<Vec<f64>> =
        findings.layers.iter().map(|layer| Some(share * layer.even_distance?)).collect();
    let of_layers = of_layers?;
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

fn locality_claim(findings: &AttentionFindings) -> Option<Claim> {
    let limits = even_distances(findings, 0.5)?;
    let local_in = |layer: usize| {
        let LayerAttention { heads, even_distance, .. } = &findings.layers[layer];
        let limit = even_distance.map_or(0.0, |even| even / 2.0);
        heads.iter().filter(|head| side(&head.distance, limit) == Side::Below).count()
    };
    let depth = findings.layers.len();
    let total: usize = findings.layers.iter().map(|layer| layer.heads.len()).sum();
    if total == 0 {
        return None;
    }
    let local: usize = (0..depth).map(local_in).sum();
    let early: usize = (0..depth / 2).map(local_in).sum();
    let early_heads: usize = findings.layers[..depth / 2].iter().map(|layer| layer.heads.len()).sum();
    let statement = match local {
        0 => format!("None of the {} is shown to attend locally.", counted(total, "head")),
        _ => format!("{local} of {} attend locally.", counted(total, "head")),
    };
    let mut evidence = format!(
        "A head counts as local when its whole interval lies below {limits}, half the distance of attention spread evenly."
    );
    if depth > 1 && local > 0 {
        evidence += &format!(
            " In the first half of the layers {early} of {early_heads} do, in the second {} of {}.",
            local - early,
            total - early_heads
        );
    }
    Some(Claim { section: "attention", topic: "Local heads", statement, evidence })
}
