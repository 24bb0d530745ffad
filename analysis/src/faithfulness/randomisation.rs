//! Model randomisation (Adebayo et al., 2018): a heatmap that explains the model changes when the model's weights do.

use std::collections::BTreeMap;

use archaeo_models::{Classifier, State, state_of, with_state};
use archaeo_random::keyed_rng;
use burn::tensor::Device;
use rand::RngExt;

use super::{Asked, Metric, MetricInfo, Score};
use crate::attribution::{Capability, Evidence, Heatmap, explain_all, rank_correlation};
use crate::statistics::CORRELATION;
use crate::{AnalysisError, Paper};

/// How many of the layers are random at the points of the cascade: the top one, then these shares of all.
const DEPTHS: [f64; 4] = [0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0];

/// Mean Spearman correlation of the magnitudes of a heatmap with those of the same method on a model whose layers are initialised again
/// from the top down (section 3, cascading randomisation): the head alone, then a third of the layers, two thirds, all. The class stays
/// the same, and the random weights are the same for all images.
#[derive(Clone, Copy, Debug)]
pub struct Randomisation;

/// The first point of [`Randomisation`] alone: the head is initialised again, which costs one more explanation. Methods that do not use
/// the class score 1.
#[derive(Clone, Copy, Debug)]
pub struct HeadRandomisation;

const ADEBAYO: Paper = Paper { citation: "Adebayo et al., 2018", url: "https://arxiv.org/abs/1810.03292" };

static RANDOMISATION: MetricInfo = MetricInfo {
    id: "randomisation",
    title: "model randomisation",
    summary: "rank correlation with heatmaps of the model as its layers are randomised from the top down",
    higher_is_better: false,
    range: CORRELATION,
    judged: false,
    needs_mask: false,
    needs: &[Capability::Classes],
    passes: 8,
    curve: &DEPTHS,
    paper: ADEBAYO,
};

static HEAD_RANDOMISATION: MetricInfo = MetricInfo {
    id: "head-randomisation",
    title: "head randomisation",
    summary: "rank correlation with heatmaps of the model with a random head",
    passes: 2,
    curve: &[],
    ..RANDOMISATION
};

impl Metric for Randomisation {
    fn info(&self) -> &'static MetricInfo {
        &RANDOMISATION
    }

    fn measure(&self, asked: &Asked) -> Result<Vec<Vec<Score>>, AnalysisError> {
        correlations(asked, &DEPTHS)
    }
}

impl Metric for HeadRandomisation {
    fn info(&self) -> &'static MetricInfo {
        &HEAD_RANDOMISATION
    }

    fn measure(&self, asked: &Asked) -> Result<Vec<Vec<Score>>, AnalysisError> {
        let scores = correlations(asked, &DEPTHS[..1])?;
        let bare = |score: Score| Score::of(score.value);
        Ok(scores.into_iter().map(|images| images.into_iter().map(bare).collect()).collect())
    }
}

fn correlations(asked: &Asked, depths: &[f64]) -> Result<Vec<Vec<Score>>, AnalysisError> {
    let Asked { evidence, targets, methods, heatmaps, .. } = *asked;
    let randomised = Randomised::of(evidence.model(), evidence.keys().seed);
    let mut curves: Vec<Vec<Vec<Option<f64>>>> =
        heatmaps.iter().map(|images| vec![Vec::with_capacity(depths.len()); images.len()]).collect();
    for &depth in depths {
        let model = randomised.down_to(evidence.model(), depth);
        let other = Evidence::new(&model, evidence.images().clone(), evidence.keys());
        let others = explain_all(methods, &other, targets)?;
        for ((curves, maps), others) in curves.iter_mut().zip(heatmaps).zip(&others) {
            for ((curve, map), other) in curves.iter_mut().zip(maps).zip(others) {
                curve.push(similarity(map, other));
            }
        }
    }
    let score = |curve: Vec<Option<f64>>| {
        // A constant heatmap ranks nothing: such a point has no place in the mean, and a curve with one is not shown.
        let known: Vec<f64> = curve.iter().copied().flatten().collect();
        let value = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
        Score { value, curve: if known.len() == curve.len() { known } else { Vec::new() } }
    };
    Ok(curves.into_iter().map(|images| images.into_iter().map(score).collect()).collect())
}

/// Spearman's correlation of magnitudes; `None` where one of them is constant.
fn similarity(map: &Heatmap, other: &Heatmap) -> Option<f64> {
    let magnitudes = |map: &Heatmap| {
        Heatmap::new(map.height, map.width, map.values.iter().map(|value| value.abs()).collect())
    };
    rank_correlation(&magnitudes(map), &magnitudes(other))
}

/// Fresh weights for every layer of a model, and the layers from the top down.
struct Randomised {
    own: State,
    fresh: State,
    layers: Vec<Vec<String>>,
}

impl Randomised {
    fn of(model: &Classifier, seed: u64) -> Self {
        // Not the seed itself: a model may have been trained from it.
        let seed = keyed_rng(seed, "random weights", 0, 0).random::<u64>();
        let fresh = Classifier::new(model.card().clone(), seed, &Device::flex());
        let (own, fresh) = (state_of(model), state_of(&fresh.expect("there is a model of this card")));
        let mut layers: BTreeMap<[usize; 3], Vec<String>> = BTreeMap::new();
        own.keys().for_each(|name| layers.entry(position(name)).or_default().push(name.clone()));
        Self { own, fresh, layers: layers.into_values().rev().collect() }
    }

    /// The model with a share of its layers random from the top, at least the first.
    fn down_to(&self, model: &Classifier, share: f64) -> Classifier {
        let count = ((share * self.layers.len() as f64).round() as usize).max(1);
        let mut state = self.own.clone();
        for name in self.layers[..count].iter().flatten() {
            state.insert(name.clone(), self.fresh[name].clone());
        }
        with_state(model.clone(), state).expect("names and shapes are the model's own")
    }
}

/// Where an array stands between the pixels and the head: before the blocks, in a block of a stage, or after them.
fn position(name: &str) -> [usize; 3] {
    let parts: Vec<&str> = name.split('.').collect();
    let holds_blocks = |part: &str| matches!(part, "blocks" | "layers" | "stages");
    let stage = |part: &str| part.strip_prefix("layer").and_then(|number| number.parse::<usize>().ok());
    if let Some(at) = parts.iter().position(|part| holds_blocks(part) || stage(part).is_some()) {
        let own = stage(parts[at]).into_iter();
        let counted =
            parts[at + 1..].iter().take_while(|part| holds_blocks(part) || part.parse::<usize>().is_ok());
        let mut numbers = own.chain(counted.filter_map(|part| part.parse().ok()));
        return [1, numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)];
    }
    let top = [
        "norm.",
        "fc_norm.",
        "head",
        "fc.",
        "linear.",
        "prototypes",
        "logit_scale",
        "visual_projection",
        "visual.norm.",
    ];
    [if top.iter().any(|start| name.starts_with(start)) { 2 } else { 0 }, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{Attribution, Edges, GradCam, Saliency};
    use crate::testing::{MethodFixture, with_evidence};

    #[test]
    fn layers_stand_in_the_order_of_the_pass() {
        let fixture = MethodFixture::load();
        for subject in fixture.subjects() {
            let layers = Randomised::of(&subject.model, 3).layers;
            let (top, bottom) = (layers[0].join(" "), layers.last().unwrap().join(" "));
            let (head, stem) = match subject.name {
                "resnet" => ("fc.weight", "conv1"),
                "swin" => ("head.fc.weight", "patch_embed"),
                "efficientvit" => ("head.linear.weight", "patch_embed"),
                _ => ("head.weight", "patch_embed"),
            };
            assert!(top.contains(head) && !top.contains("blocks"), "{}: {top}", subject.name);
            assert!(bottom.contains(stem) && !bottom.contains("blocks"), "{}: {bottom}", subject.name);
        }
        assert!(position("blocks.11.norm1.weight") > position("blocks.2.norm1.weight"));
        assert!(position("layers.1.blocks.0.attn.proj.bias") > position("layers.0.blocks.1.attn.proj.bias"));
        assert!(position("layer2.0.downsample.0.weight") > position("layer1.1.conv2.weight"));
    }

    #[test]
    fn a_gradient_changes_with_the_weights_and_edges_do_not() {
        let fixture = MethodFixture::load();
        for subject in fixture.subjects() {
            with_evidence(&subject.model, subject.images.clone(), |evidence| {
                let methods: [&'static dyn Attribution; 3] = [&Edges, &Saliency, &GradCam];
                let heatmaps = explain_all(&methods, evidence, &subject.targets).unwrap();
                let asked = Asked {
                    evidence,
                    targets: &subject.targets,
                    methods: &methods,
                    heatmaps: &heatmaps,
                    masks: &[],
                };
                let found = Randomisation.measure(&asked).unwrap();
                assert!(found[0].iter().all(|score| score.value.is_some_and(|value| value > 1.0 - 1e-9)));
                let all = found[1].iter().map(|score| score.curve[DEPTHS.len() - 1]);
                // 784 or 1,024 pixels that have nothing to do with one another: a deviation of about 0.035, more for neighbours.
                assert!(
                    all.clone().all(|value| value.abs() < 0.3),
                    "{}: {:?}",
                    subject.name,
                    all.collect::<Vec<_>>()
                );
                let head = HeadRandomisation.measure(&asked).unwrap();
                for (head, cascade) in head.iter().flatten().zip(found.iter().flatten()) {
                    assert!(cascade.curve.is_empty() || head.value == Some(cascade.curve[0]));
                }
            });
        }
    }
}
