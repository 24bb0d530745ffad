//! Whether attention widens with depth, and how many heads look only nearby.

use std::ops::Range;

use archaeo_analysis::statistics::{Measured, RankTrend};
use archaeo_report::Claim;
use archaeo_report::evidence::{SIGNIFICANCE, Side, side};
use archaeo_report::numbers::{Unit, counted, p_value};

use super::findings::{AttentionFindings, LayerAttention};
use crate::report::Names;
use crate::report::names::{capitalised, listed};
use crate::study::Study;
use crate::subjects::{ByModel, ModelName};

/// Models up to which the evidence says of each all that it says of one.
const MOST_IN_FULL: usize = 3;

pub(super) fn claims(findings: &ByModel<AttentionFindings>, names: &Names) -> Vec<Claim> {
    let depth = depth_claim(&known(findings, Reach::of), names);
    let near = near_claim(&known(findings, Near::of), names);
    depth.into_iter().chain(near).collect()
}

/// What is known of each model, where there is something.
fn known<'a, T>(
    findings: &'a ByModel<AttentionFindings>,
    of: impl Fn(&'a AttentionFindings) -> Option<T>,
) -> Vec<(ModelName, T)> {
    findings.iter().filter_map(|(model, found)| Some((model, of(found)?))).collect()
}

/// What “far” and “near” are measured against, in a sentence: the even distance of all layers, which differs where
/// attention stays within windows. `None` without layers.
pub(super) fn even_distances(findings: &AttentionFindings) -> Option<String> {
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
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trend<'a> {
    Further,
    LessFar,
    NotShown,
    Untested(&'a str),
}

impl<'a> Trend<'a> {
    fn of(trend: &'a Measured<RankTrend>) -> Self {
        match trend {
            Measured::Undefined { undefined } => Self::Untested(undefined),
            Measured::Known(trend) => match (trend.p_value < SIGNIFICANCE, trend.rho > 0.0) {
                (true, true) => Self::Further,
                (true, false) => Self::LessFar,
                (false, _) => Self::NotShown,
            },
        }
    }

    /// A sentence without its stop, of `models` where there are several to tell apart.
    fn sentence(self, models: Option<&str>) -> String {
        let of = models.map_or_else(String::new, |models| format!(" of {models}"));
        match self {
            Self::Further => format!("attention{of} reaches further in deeper layers"),
            Self::LessFar => format!("attention{of} reaches less far in deeper layers"),
            Self::NotShown => format!("no trend of attention distance{of} with depth can be shown"),
            Self::Untested(reason) => {
                format!("no trend of attention distance{of} with depth can be tested, because {reason}")
            }
        }
    }
}

/// How far the heads of the first layer and of the last reach, in words, and the trend between.
struct Reach<'a> {
    ends: String,
    trend: &'a Measured<RankTrend>,
}

impl<'a> Reach<'a> {
    /// `None` where no layer has a distance.
    fn of(findings: &'a AttentionFindings) -> Option<Self> {
        let relative = |(layer, found): (usize, &LayerAttention)| {
            let share = found.relative_distance.as_ref()?.value;
            Some(format!("{} in layer {}", Unit::Percent.value(share), layer + 1))
        };
        let of_layers: Vec<String> = findings.layers.iter().enumerate().filter_map(relative).collect();
        let ends = match of_layers.as_slice() {
            [] => return None,
            [only] => only.clone(),
            [first, .., last] => format!("{first} and {last}"),
        };
        Some(Self { ends, trend: &findings.trend })
    }

    /// All that is known, as a sentence without its stop.
    fn evidence(&self) -> String {
        let reach =
            format!("as a share of the distance of even attention, the mean over heads is {}", self.ends);
        match self.trend {
            Measured::Known(trend) => format!(
                "{reach}; Spearman's ρ between layer and this share over {} is {}, {} (permutations of the layers)",
                counted(trend.n, "layer"),
                Unit::Coefficient.value(trend.rho),
                p_value(trend.p_value)
            ),
            Measured::Undefined { .. } => reach,
        }
    }

    /// The test alone.
    fn brief(&self) -> String {
        match self.trend {
            Measured::Known(trend) => {
                format!("{} ({})", Unit::Coefficient.value(trend.rho), p_value(trend.p_value))
            }
            Measured::Undefined { .. } => "undefined".into(),
        }
    }
}

fn depth_claim(found: &[(ModelName, Reach)], names: &Names) -> Option<Claim> {
    let (statement, evidence) = match found {
        [] => return None,
        [(_, only)] => (Trend::of(only.trend).sentence(None), only.evidence()),
        several => (
            of_each_trend(several, names),
            of_each(several, names, Reach::evidence, |found| {
                let each: Vec<String> = found
                    .iter()
                    .map(|(model, reach)| format!("{} {}", names.bare(*model), reach.brief()))
                    .collect();
                format!(
                    "Spearman's ρ between layer and mean distance over heads as a share of that of even attention \
                 (permutations of the layers): {}",
                    each.join(", ")
                )
            }),
        ),
    };
    Some(Claim {
        section: super::AttentionStudy::ID,
        topic: "Attention and depth",
        statement: format!("{}.", capitalised(&statement)),
        evidence: format!("{}.", capitalised(&evidence)),
    })
}

/// Models of one trend share a sentence.
fn of_each_trend(found: &[(ModelName, Reach)], names: &Names) -> String {
    let groups = names.grouped(found.iter().map(|(model, reach)| (*model, Trend::of(reach.trend))));
    groups.iter().map(|(trend, models)| trend.sentence(Some(models))).collect::<Vec<_>>().join("; ")
}

/// What is known of each of a few models, in full; of many `brief`.
fn of_each<T>(
    found: &[(ModelName, T)],
    names: &Names,
    full: impl Fn(&T) -> String,
    brief: impl Fn(&[(ModelName, T)]) -> String,
) -> String {
    if found.len() > MOST_IN_FULL {
        return brief(found);
    }
    let each = found.iter().map(|(model, of)| format!("{}: {}", capitalised(&names.the(*model)), full(of)));
    each.collect::<Vec<_>>().join(". ")
}

/// How many heads look nearer than attention spread evenly would, and how near the nearest does: a comparison with what
/// a head without any preference for places would show, and not with a distance chosen by hand.
pub(super) struct Near {
    even: String,
    /// Heads in all.
    pub(super) total: usize,
    /// Heads that look nearer.
    pub(super) near: usize,
    /// Heads that look farther.
    pub(super) far: usize,
    /// Layer, head, distance and share of the even distance.
    nearest: (usize, usize, f64, f64),
    /// Heads and near heads of either half of the layers; `None` with one layer.
    halves: Option<[(usize, usize); 2]>,
}

impl Near {
    /// `None` where no head has a distance.
    pub(super) fn of(findings: &AttentionFindings) -> Option<Self> {
        let even = even_distances(findings)?;
        let on = |wanted: Side, layers: Range<usize>| {
            let of_layer = |LayerAttention { heads, even_distance, .. }: &LayerAttention| {
                heads.iter().filter(|head| side(&head.distance, *even_distance) == wanted).count()
            };
            findings.layers[layers].iter().map(of_layer).sum::<usize>()
        };
        let heads =
            |layers: Range<usize>| findings.layers[layers].iter().map(|layer| layer.heads.len()).sum();
        let depth = findings.layers.len();
        let shares = findings.layers.iter().enumerate().flat_map(|(layer, found)| {
            let even = found.even_distance;
            let each = found.heads.iter().map(|head| head.distance.value).enumerate();
            each.filter(move |_| even > 0.0)
                .map(move |(head, distance)| (layer, head, distance, distance / even))
        });
        let half = |layers: Range<usize>| (heads(layers.clone()), on(Side::Below, layers));
        Some(Self {
            even,
            total: heads(0..depth),
            near: on(Side::Below, 0..depth),
            far: on(Side::Above, 0..depth),
            nearest: shares.min_by(|a, b| a.3.total_cmp(&b.3))?,
            halves: (depth > 1).then(|| [half(0..depth / 2), half(depth / 2..depth)]),
        })
    }

    /// As sentences without the last stop.
    fn evidence(&self) -> String {
        let (layer, head, distance, share) = self.nearest;
        let mut evidence = format!(
            "spread evenly, attention would lie at {} on average; a head is nearer or farther when its whole interval lies \
             on that side, and {} of {} are farther. The nearest, head {} of layer {}, looks {} far, {} of the even \
             distance",
            self.even,
            self.far,
            self.total,
            head + 1,
            layer + 1,
            Unit::Pixels.value(distance),
            Unit::Percent.value(share),
        );
        if let Some([(early_heads, early), (late_heads, late)]) = self.halves.filter(|_| self.near > 0) {
            evidence += &format!(
                ". In the first half of the layers {early} of {early_heads} are nearer, in the second {late} of {late_heads}"
            );
        }
        evidence
    }
}

fn near_claim(found: &[(ModelName, Near)], names: &Names) -> Option<Claim> {
    let of = |(model, near): &(ModelName, Near)| {
        format!("{} of {} of {}", near.near, counted(near.total, "head"), names.the(*model))
    };
    let than = "nearer than attention spread evenly would";
    let share = |near: &Near| near.near as f64 / near.total as f64;
    let by_share = |a: &&(ModelName, Near), b: &&(ModelName, Near)| share(&a.1).total_cmp(&share(&b.1));
    let statement = match found {
        [] => return None,
        [(_, only)] if only.near == 0 => {
            format!("None of the {} is shown to look {than}.", counted(only.total, "head"))
        }
        [(_, only)] => format!("{} of {} look {than}.", only.near, counted(only.total, "head")),
        several if several.len() <= MOST_IN_FULL => {
            format!("{} look {than}.", listed(&several.iter().map(of).collect::<Vec<_>>()))
        }
        many => format!(
            "From {} to {} look {than}.",
            of(many.iter().min_by(by_share)?),
            of(many.iter().max_by(by_share)?)
        ),
    };
    let evidence = match found {
        [(_, only)] => only.evidence(),
        several => of_each(several, names, Near::evidence, |found| {
            let each: Vec<String> = found
                .iter()
                .map(|(model, near)| format!("{} {} of {}", names.bare(*model), near.near, near.total))
                .collect();
            format!(
                "a head is nearer when its whole interval lies below the distance of attention spread evenly: {}",
                each.join(", ")
            )
        }),
    };
    Some(Claim {
        section: super::AttentionStudy::ID,
        topic: "Near heads",
        statement,
        evidence: format!("{}.", capitalised(&evidence)),
    })
}
