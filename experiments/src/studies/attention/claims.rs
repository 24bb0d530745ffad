//! Whether attention widens with depth, and how many heads look only nearby.

use std::ops::Range;

use archaeo_analysis::statistics::Measured;

use crate::findings::{AttentionFindings, LayerAttention};

use archaeo_report::evidence::{SIGNIFICANCE, Side, side};
use archaeo_report::numbers::{Unit, counted, p_value};
use super::Claim;

pub(super) fn claims(findings: &AttentionFindings) -> Vec<Claim> {
    trend_claim(findings).into_iter().chain(locality_claim(findings)).collect()
}

/// What “far” and “near” are measured against, in a sentence: the even distance of all layers, which differs where
/// attention stays within windows. `None` without layers.
pub(in super::super) fn even_distances(findings: &AttentionFindings) -> Option<String> {
    let of_layers: Vec<f64> = findings.layers.iter().map(|layer| layer.even_distance).collect();
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

/// Whether attention reaches further with depth. Direction and significance are those of one statistic, Spearman's ρ over
/// layers and its permutation test.
fn trend_claim(findings: &AttentionFindings) -> Option<Claim> {
    let relative = |(layer, found): (usize, &LayerAttention)| {
        let share = found.relative_distance.as_ref()?.value;
        Some(format!("{} in layer {}", Unit::Percent.value(share), layer + 1))
    };
    let of_layers: Vec<String> = findings.layers.iter().enumerate().filter_map(relative).collect();
    let reach = match (of_layers.first(), of_layers.last()) {
        (Some(first), Some(last)) if of_layers.len() > 1 => {
            format!("As a share of the distance of even attention, the mean over heads is {first} and {last}")
        }
        (Some(only), _) => {
            format!("As a share of the distance of even attention, the mean over heads is {only}")
        }
        _ => return None,
    };
    let (statement, evidence) = match &findings.trend {
        Measured::Known(trend) => {
            let statement = match (trend.p_value < SIGNIFICANCE, trend.rho > 0.0) {
                (true, true) => "Attention reaches further in deeper layers.",
                (true, false) => "Attention reaches less far in deeper layers.",
                (false, _) => "No trend of attention distance with depth can be shown.",
            };
            let evidence = format!(
                "{reach}; Spearman's ρ between layer and this share over {} is {}, {} (permutations of the layers).",
                counted(trend.n, "layer"),
                Unit::Coefficient.value(trend.rho),
                p_value(trend.p_value)
            );
            (statement.to_owned(), evidence)
        }
        Measured::Undefined { undefined } => (
            format!("No trend of attention distance with depth can be tested, because {undefined}."),
            format!("{reach}."),
        ),
    };
    Some(Claim { section: "attention", topic: "Attention and depth", statement, evidence })
}

/// How many heads look nearer than attention spread evenly would, and how near the nearest does: a comparison with what
/// a head without any preference for places would show, and not with a distance chosen by hand.
fn locality_claim(findings: &AttentionFindings) -> Option<Claim> {
    let even = even_distances(findings)?;
    let on = |wanted: Side, layers: Range<usize>| {
        let of_layer = |LayerAttention { heads, even_distance, .. }: &LayerAttention| {
            heads.iter().filter(|head| side(&head.distance, *even_distance) == wanted).count()
        };
        findings.layers[layers].iter().map(of_layer).sum::<usize>()
    };
    let depth = findings.layers.len();
    let total: usize = findings.layers.iter().map(|layer| layer.heads.len()).sum();
    let shares = findings.layers.iter().enumerate().flat_map(|(layer, found)| {
        let even = found.even_distance;
        let each = found.heads.iter().map(|head| head.distance.value).enumerate();
        each.filter(move |_| even > 0.0).map(move |(head, distance)| (layer, head, distance, distance / even))
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
