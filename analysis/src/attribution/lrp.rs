//! Layer-wise relevance propagation through a residual network (Bach et al., 2015; rules as collected by Montavon et al., 2019):
//! the class's logit is handed down from layer to layer, each neuron sharing what it has among its inputs by what they gave.

use archaeo_models::{
    CifarBlock, CifarResNet, Classifier, FoldedConvolution, Linear, Network, ResNet, ResidualBlock, Stem,
};
use archaeo_ops::{self as ops, Convolution, Precision, in_pool};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution, pixels};
use crate::attention::target_score;
use crate::tensors::{mapped, product, share_of};
use crate::{AnalysisError, Paper};

/// Keeps a sum of nothing from dividing by zero.
const STABILISER: f64 = 1e-9;

/// How a convolution shares relevance. Batch normalisation is folded in first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LrpRule {
    /// By `x · w`, the sum with the bias, which keeps its share, moved away from zero by this much (LRP-ε).
    Epsilon(f64),
    /// By `x · (w + γ w⁺)`, without the bias (LRP-γ).
    Gamma(f64),
    /// By `x · w⁺`, without the bias (z⁺, α1β0).
    ZPlus,
}

/// Relevance of each pixel for the class's logit. Convolutions follow the rule; the head, the mean over places and the meeting of
/// branch and shortcut share by what each gave (ε → 0); a ReLU hands through; max pooling hands to the winner.
///
/// Rules that leave biases out conserve relevance, as long as every neuron with relevance has an input that gave something: then a
/// heatmap sums to the logit less the head's bias.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lrp {
    /// Of all convolutions but the first, and of the first where `bounded` is false.
    pub rule: LrpRule,
    /// The first convolution shares by how far each pixel lies within [0, 1] (z^B): `x · w − l · w⁺ − h · w⁻`, l and h what 0 and 1
    /// become by normalisation.
    pub bounded: bool,
}

impl Lrp {
    /// z⁺, which never divides by a sum that all but cancels, and z^B at the pixels.
    pub const USUAL: Self = Self { rule: LrpRule::ZPlus, bounded: true };

    /// Of every channel of every pixel, `[batch, 3, height, width]`.
    fn relevance(&self, model: &Classifier, images: Tensor<4>, targets: &[usize]) -> Tensor<4> {
        let [low, high] = [0.0, 1.0].map(|value| model.normalised(images.full_like(value)));
        let first = if self.bounded { Rule::Bounded(Box::new([low, high])) } else { Rule::Inner(self.rule) };
        let (steps, head) = match &model.network {
            Network::Resnet(resnet) => (steps_of(resnet, self.rule, first), &resnet.fc),
            Network::CifarResnet(resnet) => (cifar_steps(resnet, self.rule, first), &resnet.linear),
            _ => unreachable!("asked of a residual network"),
        };
        propagate(&steps, model.normalised(images), &|features| of_head(head, features, targets))
    }
}

static LRP: MethodInfo = MethodInfo {
    id: "lrp",
    title: "LRP",
    summary: "the class's logit handed down layer by layer, shared by what each input gave",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Bach et al., 2015", url: "https://doi.org/10.1371/journal.pone.0130140" }),
    needs: &[Capability::ResidualNetwork, Capability::Classes],
    depends_on_class: true,
    signed: true,
    resolution: Resolution::Pixels,
    cost: Cost::Shared,
};

impl Attribution for Lrp {
    fn info(&self) -> &'static MethodInfo {
        &LRP
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        self.require(evidence)?;
        let (model, images) = (evidence.model(), evidence.images().clone());
        let relevance = in_pool(|| self.relevance(model, images, targets));
        Ok(pixels::over_channels(relevance, pixels::sum))
    }
}

/// How one convolution shares.
enum Rule {
    Inner(LrpRule),
    /// Lowest and highest value of each input, in its shape.
    Bounded(Box<[Tensor<4>; 2]>),
}

/// One step of a network that is a line of steps.
enum Step {
    Convolution(Box<(FoldedConvolution, Rule)>),
    Relu,
    MaxPool,
    /// The sum of two lines; without steps, a shortcut is the identity.
    Sum {
        branch: Vec<Step>,
        shortcut: Vec<Step>,
    },
}

/// Relevance of `x` if `top` gives that of what the steps make of it.
fn propagate(steps: &[Step], x: Tensor<4>, top: &dyn Fn(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
    let Some((step, rest)) = steps.split_first() else { return top(x) };
    let y = step.forward(x.clone());
    let relevance = propagate(rest, y.clone(), top);
    step.backward(x, y, relevance)
}

impl Step {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let through = |steps: &[Self], x| steps.iter().fold(x, |x, step| step.forward(x));
        match self {
            Self::Convolution(convolution) => {
                let FoldedConvolution { weight, bias, geometry } = &convolution.0;
                ops::conv2d(x, weight.clone(), Some(bias.clone()), *geometry, Precision::F32)
            }
            Self::Relu => mapped(x, |x| if x > 0.0 || x.is_nan() { x } else { 0.0 }),
            Self::MaxPool => ops::max_pool2d(x, 3, 2, 1),
            Self::Sum { branch, shortcut } => ops::add(through(branch, x.clone()), through(shortcut, x)),
        }
    }

    /// Relevance of `x`, where `y` is what the step makes of it and has the relevance given.
    fn backward(&self, x: Tensor<4>, y: Tensor<4>, relevance: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Convolution(convolution) => convolution.1.share(&convolution.0, x, y, relevance),
            Self::Relu => relevance,
            Self::MaxPool => pulled_back(x, relevance, |x| ops::max_pool2d(x, 3, 2, 1)),
            Self::Sum { branch, shortcut } => {
                let share = share_of(relevance, y, STABILISER);
                let of = |steps: &[Self]| propagate(steps, x.clone(), &|end| product(end, share.clone()));
                ops::add(of(branch), of(shortcut))
            }
        }
    }
}

impl Rule {
    fn share(
        &self,
        FoldedConvolution { weight, geometry, .. }: &FoldedConvolution,
        x: Tensor<4>,
        y: Tensor<4>,
        relevance: Tensor<4>,
    ) -> Tensor<4> {
        let apply = |x: Tensor<4>, weight: &Tensor<4>| {
            ops::conv2d(x, weight.clone(), None, *geometry, Precision::F32)
        };
        let back = |x: &Tensor<4>, weight: &Tensor<4>, share: &Tensor<4>| {
            product(x.clone(), pulled_back(x.clone(), share.clone(), |x| apply(x, weight)))
        };
        let by = |weight: &Tensor<4>| {
            let share = share_of(relevance.clone(), apply(x.clone(), weight), STABILISER);
            back(&x, weight, &share)
        };
        let (positive, negative) = (weight.clone().clamp_min(0.0), weight.clone().clamp_max(0.0));
        match self {
            Self::Inner(LrpRule::Epsilon(epsilon)) => {
                back(&x, weight, &share_of(relevance.clone(), y, *epsilon))
            }
            Self::Inner(LrpRule::Gamma(gamma)) => by(&(weight.clone() + positive * *gamma)),
            Self::Inner(LrpRule::ZPlus) => by(&positive),
            Self::Bounded(bounds) => {
                let [low, high] = bounds.as_ref();
                let given =
                    apply(x.clone(), weight) - apply(low.clone(), &positive) - apply(high.clone(), &negative);
                let share = share_of(relevance.clone(), given, STABILISER);
                back(&x, weight, &share) - back(low, &positive, &share) - back(high, &negative, &share)
            }
        }
    }
}

/// What the head and the mean over places before it leave to each place of `features`.
fn of_head(head: &Linear, features: Tensor<4>, targets: &[usize]) -> Tensor<4> {
    // A logit, shared among what is linear in it by what each gave, is its gradient times that.
    let leaf = features.clone().inner().autodiff().require_grad();
    let target = target_score(head.forward(ops::global_mean_pool(leaf.clone()), Precision::F32), targets);
    let gradients = target.backward();
    let slopes = leaf.grad(&gradients).expect("the logit depends on the features");
    features * slopes
}

/// The gradient at `x` of the sum of `operation(x) ⊙ weights`.
fn pulled_back(x: Tensor<4>, weights: Tensor<4>, operation: impl Fn(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
    let leaf = x.inner().autodiff().require_grad();
    // Of several values, their sum is differentiated.
    let gradients = (operation(leaf.clone()) * weights).backward();
    leaf.grad(&gradients).unwrap_or_else(|| leaf.inner().zeros_like())
}

fn convolution(folded: FoldedConvolution, rule: Rule) -> Step {
    Step::Convolution(Box::new((folded, rule)))
}

fn steps_of(resnet: &ResNet, rule: LrpRule, first: Rule) -> Vec<Step> {
    let mut steps = vec![convolution(resnet.bn1.folded(&resnet.conv1), first), Step::Relu];
    if resnet.config().stem == Stem::Imagenet {
        steps.push(Step::MaxPool);
    }
    let stages = [&resnet.layer1, &resnet.layer2, &resnet.layer3, &resnet.layer4];
    steps.extend(stages.into_iter().flatten().flat_map(|block| [block_steps(block, rule), Step::Relu]));
    steps
}

fn block_steps(block: &ResidualBlock, rule: LrpRule) -> Step {
    let step = |folded| convolution(folded, Rule::Inner(rule));
    let mut branch =
        vec![step(block.bn1.folded(&block.conv1)), Step::Relu, step(block.bn2.folded(&block.conv2))];
    if let (Some(conv3), Some(bn3)) = (&block.conv3, &block.bn3) {
        branch.extend([Step::Relu, step(bn3.folded(conv3))]);
    }
    let shortcut = block.downsample.iter().map(|projection| step(projection.norm.folded(&projection.conv)));
    Step::Sum { branch, shortcut: shortcut.collect() }
}

fn cifar_steps(resnet: &CifarResNet, rule: LrpRule, first: Rule) -> Vec<Step> {
    let mut steps = vec![convolution(resnet.bn1.folded(&resnet.conv1), first), Step::Relu];
    let stages = [&resnet.layer1, &resnet.layer2, &resnet.layer3];
    steps.extend(stages.into_iter().flatten().flat_map(|block| [cifar_block_steps(block, rule), Step::Relu]));
    steps
}

fn cifar_block_steps(block: &CifarBlock, rule: LrpRule) -> Step {
    let step = |folded| convolution(folded, Rule::Inner(rule));
    let (first, second) = (block.bn1.folded(&block.conv1), block.bn2.folded(&block.conv2));
    let [out, inside, ..] = first.weight.dims();
    let stride = first.geometry.stride;
    let shortcut = match &block.downsample {
        Some(projection) => vec![step(projection.norm.folded(&projection.conv))],
        None if stride == 1 && inside == out => Vec::new(),
        None => vec![step(selection(inside, out, stride, &first.weight))],
    };
    Step::Sum { branch: vec![step(first), Step::Relu, step(second)], shortcut }
}

/// The shortcut without parameters (option A) as a convolution: each `stride`-th pixel, new channels of zeros half before and half
/// after the old ones.
fn selection(inside: usize, out: usize, stride: usize, like: &Tensor<4>) -> FoldedConvolution {
    let before = (out - inside) / 2;
    let weight =
        (0..out).flat_map(|to| (0..inside).map(move |from| if to == from + before { 1f32 } else { 0.0 }));
    let device = like.device();
    FoldedConvolution {
        weight: Tensor::from_data(TensorData::new(weight.collect::<Vec<_>>(), [out, inside, 1, 1]), &device),
        bias: Tensor::zeros([out], &device),
        geometry: Convolution { stride, padding: 0, groups: 1 },
    }
}

#[cfg(test)]
mod tests {
    use archaeo_models::{
        BranchKind, CifarResNetConfig, NetworkSpec, Pass, ResNetConfig, state_of, with_state,
    };

    use super::*;
    use crate::tensors::{per_image, values};
    use crate::testing::{
        Fixture, MethodFixture, assert_close, assert_relative, explained, joined, random_images,
        random_values, with_evidence,
    };

    fn networks() -> Vec<Classifier> {
        let resnet = |stem, branch| {
            NetworkSpec::Resnet(ResNetConfig { stem, branch, blocks: [1, 2, 1, 1], width: 4, classes: 5 })
        };
        let cifar = |projection| {
            NetworkSpec::CifarResnet(CifarResNetConfig { blocks: 2, width: 4, projection, classes: 5 })
        };
        let of = |network| {
            changed(random_values(network), |name, values| {
                if name.ends_with("running_var") {
                    values.iter_mut().for_each(|variance| *variance = variance.abs() + 0.5);
                }
            })
        };
        let kinds = [
            resnet(Stem::Cifar, BranchKind::Basic),
            resnet(Stem::Imagenet, BranchKind::Bottleneck),
            cifar(false),
            cifar(true),
        ];
        kinds.map(of).into()
    }

    fn changed(model: Classifier, change: impl Fn(&str, &mut [f32])) -> Classifier {
        let mut state = state_of(&model);
        state.iter_mut().for_each(|(name, array)| change(name, &mut array.values));
        with_state(model, state).unwrap()
    }

    const EPSILON: Lrp = Lrp { rule: LrpRule::Epsilon(STABILISER), bounded: false };

    #[test]
    fn rules_are_captums() {
        let fixture = MethodFixture::load();
        let subject = fixture.subjects().into_iter().find(|subject| subject.name == "resnet").unwrap();
        for (name, lrp) in [
            ("epsilon", EPSILON),
            ("z_plus", Lrp { bounded: false, ..Lrp::USUAL }),
            ("z_plus_bounded", Lrp::USUAL),
            ("gamma_bounded", Lrp { rule: LrpRule::Gamma(50.0), ..Lrp::USUAL }),
        ] {
            let found = explained(&lrp, &subject.model, subject.images.clone(), Some(&subject.targets));
            println!("{name}");
            assert_relative(&joined(&found), fixture.values(&format!("resnet.lrp_{name}")), 1e-4);
        }
    }

    #[test]
    fn the_steps_are_the_network() {
        for model in networks() {
            let images = random_images(2, 3);
            let steps = match &model.network {
                Network::Resnet(resnet) => steps_of(resnet, LrpRule::ZPlus, Rule::Inner(LrpRule::ZPlus)),
                Network::CifarResnet(resnet) => {
                    cifar_steps(resnet, LrpRule::ZPlus, Rule::Inner(LrpRule::ZPlus))
                }
                _ => unreachable!(),
            };
            let features = steps.iter().fold(model.normalised(images.clone()), |x, step| step.forward(x));
            let expected = values(model.features(images, &mut Pass::evaluate(&mut ())));
            assert_close(&values(ops::global_mean_pool(features)), &expected, 1e-4);
        }
    }

    /// Without biases nothing is lost: relevance adds up to the logit. By z⁺ that holds where every neuron has a positive input.
    #[test]
    fn relevance_is_conserved() {
        let targets = [1, 3];
        let images = random_images(2, 3);
        let gamma = Lrp { rule: LrpRule::Gamma(0.25), bounded: true };
        for model in networks().into_iter().chain([Fixture::load().resnet()]) {
            let unbiased = changed(model, |name, values| {
                if name.ends_with("bias") || name.ends_with("running_mean") {
                    values.fill(0.0);
                }
            });
            let positive = changed(unbiased.clone(), |name, values| {
                if !name.starts_with("fc") && !name.starts_with("linear") {
                    values.iter_mut().for_each(|value| *value = value.abs());
                }
            });
            for (lrp, model) in [(EPSILON, &unbiased), (gamma, &unbiased), (Lrp::USUAL, &positive)] {
                let logits = with_evidence(model, images.clone(), |evidence| evidence.logits().to_vec());
                let relevance = values(lrp.relevance(model, images.clone(), &targets));
                for (image, relevance) in per_image(&relevance, 2).enumerate() {
                    let sum: f64 = relevance.iter().map(|&value| f64::from(value)).sum();
                    let size: f64 = relevance.iter().map(|&value| f64::from(value).abs()).sum();
                    let logit = f64::from(logits[image * 5 + targets[image]]);
                    assert!(size > 0.0 && logit != 0.0);
                    // What cancels in the sum has been rounded before.
                    let tolerance = 1e-4 * logit.abs() + 1e-6 * size;
                    assert!((sum - logit).abs() < tolerance, "{lrp:?}: {sum}, not {logit}, of {size}");
                }
            }
        }
    }
}
