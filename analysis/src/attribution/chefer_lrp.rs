//! Transformer interpretability beyond attention visualisation (Chefer et al., CVPR 2021): rollout of gradients times relevance, which
//! is handed down from the class's logit to every attention matrix of a Vision Transformer.

use archaeo_models::{Block, FeedForward, LayerScale, Linear, Network, Pooling, Vit};
use archaeo_ops::{self as ops, Precision, in_pool};
use burn::tensor::{Tensor, TensorData, activation::softmax};

use super::rollout::gained_relevance;
use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution};
use crate::attention::AttentionMaps;
use crate::tensors::{away_from_zero, combined, mapped, product, share_of};
use crate::{AnalysisError, Paper};

/// Keeps a sum of nothing from dividing by zero.
const STABILISER: f64 = 1e-9;

/// `M = I + A` in place of [`Rollout`](super::Rollout)'s matrices, with `A = mean over heads of max(gradients ⊙ relevance, 0)`,
/// rows not normalised (equations 13 and 14). Relevance starts as 1 at the class's logit. Linear layers share it by what is positive
/// of `x · w` (equation 5), sums by what each term gave, normalised so that nothing is lost (equations 8 to 10), products half to
/// each factor; norms, activations, layer scale and the softmax hand it through.
///
/// Of a model that reads its patches, what the identities alone leave at each is taken away: it is far larger than what attention
/// adds, and the same everywhere.
#[derive(Clone, Copy, Debug)]
pub struct CheferLrp;

static CHEFER_LRP: MethodInfo = MethodInfo {
    id: "chefer-lrp",
    title: "attention relevance by LRP",
    summary: "rollout of relevance, handed down layer by layer, times the gradient of the class's logit",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Chefer et al., CVPR 2021", url: "https://arxiv.org/abs/2012.09838" }),
    needs: &[Capability::Attention, Capability::PlainTransformer, Capability::Gradients],
    depends_on_class: true,
    signed: false,
    resolution: Resolution::Patches,
    cost: Cost::Shared,
};

impl Attribution for CheferLrp {
    fn info(&self) -> &'static MethodInfo {
        &CHEFER_LRP
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        self.require(evidence)?;
        let gradients = evidence.attention_gradients(targets)?;
        let (stream, model) = (evidence.stream()?.tokens.clone(), evidence.model());
        let relevance = in_pool(|| {
            let Network::Vit(vit) = &model.network else { unreachable!("asked of a plain transformer") };
            propagate(vit, &stream, targets).1
        });
        let sites = gradients.layers.iter().map(|layer| layer.site);
        let [batch, _, height, width] = evidence.images().dims();
        let maps = AttentionMaps::gathered([batch, height, width], sites.zip(relevance).collect())
            .expect("a transformer has a block");
        Ok(gained_relevance(&maps, &gradients))
    }
}

/// Relevance of the tokens that enter the first block, and of every layer's attention weights, given the stream before the first
/// block and after each.
fn propagate(vit: &Vit, stream: &[Tensor<3>], targets: &[usize]) -> (Tensor<3>, Vec<Tensor<4>>) {
    let (output, inputs) = stream.split_last().expect("a stream has a beginning and an end");
    let mut relevance = of_read_out(vit, output.clone(), targets);
    let mut of_attention = Vec::new();
    for (block, input) in vit.blocks.iter().zip(inputs).rev() {
        let (below, attention) = through_block(block, vit, input.clone(), relevance);
        relevance = below;
        of_attention.push(attention);
    }
    of_attention.reverse();
    (relevance, of_attention)
}

/// Relevance of the tokens that leave the last block.
fn of_read_out(vit: &Vit, tokens: Tensor<3>, targets: &[usize]) -> Tensor<3> {
    let tokens = match &vit.norm {
        Some(norm) => norm.forward(tokens),
        None => tokens,
    };
    let [batch, count, width] = tokens.dims();
    let prefix = vit.config().prefix_tokens();
    let token = |index: usize| tokens.clone().narrow(1, index, 1).reshape([batch, width]);
    let patches = || tokens.clone().narrow(1, prefix, count - prefix);
    let mean = || patches().mean_dim(1).reshape([batch, width]);
    let normed = |pooled: Tensor<2>| match &vit.fc_norm {
        Some(norm) => norm.forward(pooled),
        None => pooled,
    };
    let head = vit.head.as_ref().expect("a model with classes has a head");
    let classes = vit.config().classes;
    let mut start = vec![0f32; batch * classes];
    targets.iter().enumerate().for_each(|(image, &class)| start[image * classes + class] = 1.0);
    let start: Tensor<2> = Tensor::from_data(TensorData::new(start, [batch, classes]), &tokens.device());

    let placed = |index: usize, relevance: Tensor<2>| {
        let before = Tensor::zeros([batch, index, width], &tokens.device());
        let after = Tensor::zeros([batch, count - index - 1, width], &tokens.device());
        Tensor::cat(vec![before, relevance.reshape([batch, 1, width]), after], 1)
    };
    // Each patch by what it gave to the mean.
    let spread = |relevance: Tensor<2>| {
        let share = relevance / stabilised(mean()) / (count - prefix) as f64;
        let on_patches = patches() * share.reshape([batch, 1, width]);
        Tensor::cat(vec![Tensor::zeros([batch, prefix, width], &tokens.device()), on_patches], 1)
    };
    if let Some(head_dist) = &vit.head_dist {
        let chosen = |head: &Linear, at: usize| head.forward(token(at), Precision::F32) * start.clone();
        let [of_class, of_distillation] = among([chosen(head, 0), chosen(head_dist, 1)], start.clone());
        return placed(0, through_linear(head, token(0), of_class))
            + placed(1, through_linear(head_dist, token(1), of_distillation));
    }
    match vit.config().pooling {
        Pooling::ClassToken => placed(0, through_linear(head, normed(token(0)), start)),
        Pooling::Mean | Pooling::MeanBesideClassToken => spread(through_linear(head, normed(mean()), start)),
        Pooling::ClassTokenAndMean => {
            let both = through_linear(head, normed(Tensor::cat(vec![token(0), mean()], 1)), start);
            placed(0, both.clone().narrow(1, 0, width)) + spread(both.narrow(1, width, width))
        }
    }
}

/// Relevance of what enters a block, and of its attention weights, `[batch, heads, tokens, tokens]`.
fn through_block(block: &Block, vit: &Vit, x: Tensor<3>, relevance: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
    let scaled = |branch: Tensor<3>, scale: &Option<LayerScale>| match scale {
        Some(scale) => branch * scale.gamma.val().unsqueeze(),
        None => branch,
    };
    let [batch, tokens, width] = x.dims();
    let heads = vit.config().heads;
    let normed = block.norm1.forward(x.clone());
    let packed = block.attn.qkv.forward(normed.clone(), Precision::F32);
    let packed = packed.reshape([batch, tokens, 3, heads, width / heads]).permute([2, 0, 3, 1, 4]);
    let part =
        |index: usize| packed.clone().narrow(0, index, 1).reshape([batch, heads, tokens, width / heads]);
    let [query, key, value] = [part(0), part(1), part(2)];
    let scores = query.clone().matmul(key.clone().swap_dims(2, 3));
    let weights = softmax(scores.clone() * ((width / heads) as f64).powf(-0.5), 3);
    let context = weights.clone().matmul(value.clone());
    let joined = |heads: Tensor<4>| heads.swap_dims(1, 2).reshape([batch, tokens, width]);
    let attended = scaled(block.attn.proj.forward(joined(context.clone()), Precision::F32), &block.ls1);
    let middle = ops::add(x.clone(), attended.clone());

    let mlp = &block.mlp;
    let expanded = block.norm2.forward(middle.clone());
    let hidden = mlp.fc1.forward(expanded.clone(), Precision::F32);
    let hidden = match vit.config().feed_forward {
        FeedForward::Gelu => ops::gelu(hidden),
        FeedForward::QuickGelu => ops::quick_gelu(hidden),
        FeedForward::SwiGlu => ops::swiglu(hidden),
    };
    let transformed = scaled(mlp.fc2.forward(hidden.clone(), Precision::F32), &block.ls2);

    let [kept, branch] = among([middle, transformed], relevance);
    let of_hidden = through_linear(&mlp.fc2, hidden, branch);
    let of_hidden = match vit.config().feed_forward {
        FeedForward::SwiGlu => Tensor::cat(vec![of_hidden.clone() / 2.0, of_hidden / 2.0], 2),
        FeedForward::Gelu | FeedForward::QuickGelu => of_hidden,
    };
    let of_middle = ops::add(kept, through_linear(&mlp.fc1, expanded, of_hidden));

    let [kept, branch] = among([x, attended], of_middle);
    let of_context = through_linear(&block.attn.proj, joined(context.clone()), branch);
    let of_context = of_context.reshape([batch, tokens, heads, width / heads]).swap_dims(1, 2);
    let [of_weights, of_value] = between(weights, value, context, of_context);
    let [of_query, of_key] = between(query, key.swap_dims(2, 3), scores, of_weights.clone());
    let of_packed = Tensor::stack::<5>(vec![of_query, of_key.swap_dims(2, 3), of_value], 0);
    let of_packed = of_packed.permute([1, 3, 0, 2, 4]).reshape([batch, tokens, 3 * width]);
    (ops::add(kept, through_linear(&block.attn.qkv, normed, of_packed)), of_weights)
}

/// Relevance of a linear layer's input: by what is positive of each product of input and weight.
fn through_linear<const D: usize>(layer: &Linear, x: Tensor<D>, relevance: Tensor<D>) -> Tensor<D> {
    let weight = layer.weight.val();
    let above = |x: f32| if x > 0.0 || x.is_nan() { x } else { 0.0 };
    let below = |x: f32| if x < 0.0 || x.is_nan() { x } else { 0.0 };
    let signs = [
        (mapped(x.clone(), above), mapped(weight.clone(), above)),
        (mapped(x, below), mapped(weight, below)),
    ];
    let apply = |x: &Tensor<D>, weight: Tensor<2>| ops::linear(x.clone(), weight, None, Precision::F32);
    let [positive, negative] = &signs;
    let given = ops::add(apply(&positive.0, positive.1.clone()), apply(&negative.0, negative.1.clone()));
    let share = combined(relevance, given, |relevance, given| relevance / (given + STABILISER as f32));
    let back =
        |(x, weight): &(Tensor<D>, Tensor<2>)| product(x.clone(), apply(&share, weight.clone().transpose()));
    ops::add(back(positive), back(negative))
}

/// Relevance of the terms of a sum: by what each gave; then each term's total, image by image, is made its share of the magnitudes.
fn among<const D: usize>(terms: [Tensor<D>; 2], relevance: Tensor<D>) -> [Tensor<D>; 2] {
    let sum = ops::add(terms[0].clone(), terms[1].clone());
    let share = share_of(relevance.clone(), sum, STABILISER);
    let given = terms.map(|term| product(term, share.clone()));
    let total = |tensor: &Tensor<D>| {
        let shape = tensor.dims();
        let mut of_images = [1; D];
        of_images[0] = shape[0];
        tensor.clone().reshape([shape[0], shape[1..].iter().product()]).sum_dim(1).reshape(of_images)
    };
    let totals = [total(&given[0]), total(&given[1])];
    let magnitude = totals[0].clone().abs() + totals[1].clone().abs() + STABILISER;
    let [first, second] = given;
    let normalised = |term: Tensor<D>, own: &Tensor<D>| {
        term * (own.clone().abs() / magnitude.clone() * total(&relevance) / stabilised(own.clone()))
    };
    [normalised(first, &totals[0]), normalised(second, &totals[1])]
}

/// Relevance of the factors of a product of matrices: half of it each, by what each entry gave.
fn between(first: Tensor<4>, second: Tensor<4>, of: Tensor<4>, relevance: Tensor<4>) -> [Tensor<4>; 2] {
    let share = combined(relevance, of, |relevance, of| relevance / away_from_zero(of, STABILISER) / 2.0);
    let of_first = product(first.clone(), share.clone().matmul(second.clone().swap_dims(2, 3)));
    [of_first, product(second, first.swap_dims(2, 3).matmul(share))]
}

/// Moved away from zero, zero itself upwards.
fn stabilised<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    mapped(x, |x| away_from_zero(x, STABILISER))
}

#[cfg(test)]
mod tests {
    use archaeo_models::{NetworkSpec, Position, VitConfig};

    use super::*;
    use crate::tensors::{per_image, values};
    use crate::testing::{random_images, random_values, vit_config, with_evidence};

    /// Nothing is lost on the way down, whatever is read, and attention gets what its branch has.
    #[test]
    fn relevance_is_conserved() {
        let usual = vit_config(Pooling::ClassToken);
        for config in [
            usual.clone(),
            VitConfig { distilled: true, ..usual.clone() },
            VitConfig { registers: 2, position: Position::LearnedOnPatches, ..usual.clone() },
            VitConfig { layer_scale: true, feed_forward: FeedForward::SwiGlu, ..usual },
            vit_config(Pooling::Mean),
            vit_config(Pooling::MeanBesideClassToken),
            VitConfig { norm_after_pooling: true, ..vit_config(Pooling::ClassTokenAndMean) },
        ] {
            let model = random_values(NetworkSpec::Vit(config.clone()));
            with_evidence(&model, random_images(2, 6), |evidence| {
                let Network::Vit(vit) = &model.network else { unreachable!() };
                let (below, attention) = propagate(vit, &evidence.stream().unwrap().tokens, &[1, 3]);
                assert_eq!(attention.len(), 3);
                for relevance in per_image(&values(below), 2) {
                    let sum: f64 = relevance.iter().map(|&value| f64::from(value)).sum();
                    let size: f64 = relevance.iter().map(|&value| f64::from(value).abs()).sum();
                    assert!((sum - 1.0).abs() < 1e-4 + 1e-6 * size, "{config:?}: {sum} of {size}");
                }
            });
        }
    }
}
