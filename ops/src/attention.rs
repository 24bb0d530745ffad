//! Scaled dot-product attention in its two halves (Vaswani et al., 2017, equation 1).
//!
//! The weights are a value of their own, so that a probe may read or replace them before they are applied.

use archaeo_kernels::{
    AttentionSums, Heads, HeadsMut, HeadsShape, Observation, ScoreBias, attention_observed, observe_weights,
    unspecified,
};
use burn::tensor::{Bool, Tensor, TensorData, activation::softmax};

use crate::{Precision, kernels};

/// `softmax(scale · query · keyᵀ)` over the keys.
///
/// `mask` is `true` where a key may be attended to. A query whose keys are all masked gets weights of zero, not NaN.
///
/// # Shapes
/// `query` `[batch, heads, queries, head_dim]`, `key` `[batch, heads, keys, head_dim]`, `mask` broadcastable to
/// `[batch, heads, queries, keys]` (usually `[batch, 1, 1, keys]`) → `[batch, heads, queries, keys]`
pub fn attention_weights(
    query: Tensor<4>,
    key: Tensor<4>,
    scale: f64,
    mask: Option<Tensor<4, Bool>>,
) -> Tensor<4> {
    let scores = (query * scale).matmul(key.swap_dims(2, 3));
    let Some(mask) = mask else { return softmax(scores, 3) };
    let hidden = mask.bool_not().expand(scores.dims());
    // A large finite number: with −∞ a wholly masked row would become NaN before it can be set to zero.
    let weights = softmax(scores.mask_fill(hidden.clone(), -1e30), 3);
    weights.mask_fill(hidden, 0.0)
}

/// `weights · value`: the context of each query.
///
/// # Shapes
/// `weights` `[batch, heads, queries, keys]`, `value` `[batch, heads, keys, head_dim]`
/// → `[batch, heads, queries, head_dim]`
pub fn attention_context(weights: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    weights.matmul(value)
}

/// Attention weights of tokens over one another, from their packed projection: as [`attention_weights`] without a mask, but
/// with `bias` added to the scaled scores before the softmax: relative positions, or a large negative number where a
/// key must not be attended to. Gradients reach the bias.
///
/// # Shapes
/// `packed` `[batch, tokens, 3, heads, head_dim]`: queries, keys, values; `bias` `[period, heads, tokens, tokens]`, where
/// `period` divides `batch` and repeats along it (1 for a common bias; Swin's windows follow one another along the batch) →
/// `[batch, heads, tokens, tokens]`
pub fn self_attention_weights(
    packed: Tensor<5>,
    bias: Option<Tensor<4>>,
    scale: f64,
    precision: Precision,
) -> Tensor<4> {
    if kernels::serve(&packed.device()) {
        return match bias {
            Some(bias) => kernels::biased_self_attention_weights(packed, bias, scale, precision),
            None => kernels::self_attention_weights(packed, scale, precision),
        };
    }
    let Some(bias) = bias else {
        return attention_weights(part(&packed, 0), part(&packed, 1), scale, None);
    };
    let scores = (part(&packed, 0) * scale).matmul(part(&packed, 1).swap_dims(2, 3));
    let ([batch, heads, tokens, _], period) = (scores.dims(), bias.dims()[0]);
    let repeated =
        scores.reshape([batch / period, period, heads, tokens, tokens]) + bias.unsqueeze_dim::<5>(0);
    softmax(repeated.reshape([batch, heads, tokens, tokens]), 3)
}

/// The context of each token from a packed projection: as [`attention_context`], heads side by side.
///
/// # Shapes
/// `weights` `[batch, heads, tokens, tokens]`, `packed` `[batch, tokens, 3, heads, head_dim]`
/// → `[batch, tokens, heads, head_dim]`
pub fn self_attention_context(weights: Tensor<4>, packed: Tensor<5>, precision: Precision) -> Tensor<4> {
    if kernels::serve(&weights.device()) {
        return kernels::self_attention_context(weights, packed, precision);
    }
    attention_context(weights, part(&packed, 2)).swap_dims(1, 2)
}

/// [`self_attention_weights`] and [`self_attention_context`] in one, with bit-identical results, for passes without a probe: the
/// weights are not written unless a gradient needs them.
///
/// # Shapes
/// `packed` `[batch, tokens, 3, heads, head_dim]`, `bias` `[period, heads, tokens, tokens]`
/// → `[batch, tokens, heads, head_dim]`
pub fn self_attention(
    packed: Tensor<5>,
    bias: Option<Tensor<4>>,
    scale: f64,
    precision: Precision,
) -> Tensor<4> {
    if kernels::serve(&packed.device()) {
        return match bias {
            Some(bias) => kernels::biased_self_attention(packed, bias, scale, precision),
            None => kernels::self_attention(packed, scale, precision),
        };
    }
    self_attention_context(self_attention_weights(packed.clone(), bias, scale, precision), packed, precision)
}

/// [`self_attention`], with bit-identical results, and what `observation` asks of its weights, which are not written where the
/// kernels serve the device and nothing is differentiated. The sums have no gradient.
///
/// # Shapes
/// As [`self_attention`].
pub fn observed_self_attention(
    packed: Tensor<5>,
    bias: Option<Tensor<4>>,
    scale: f64,
    precision: Precision,
    observation: &Observation,
) -> (Tensor<4>, AttentionSums) {
    let [batch, tokens, _, heads, head_dim] = packed.dims();
    let device = packed.device();
    if !kernels::serve_without_gradients(&device) {
        let weights = self_attention_weights(packed.clone(), bias, scale, precision);
        let sums = observe_weights(&numbers(weights.clone().inner()), [batch, heads], observation);
        return (self_attention_context(weights, packed, precision), sums);
    }
    let shape = HeadsShape { batch, tokens, heads, head_dim };
    let bias = bias.map(|bias| (bias.dims(), numbers(bias)));
    let biases: Vec<ScoreBias> = bias.iter().map(|(shape, bias)| ScoreBias::new(bias, *shape)).collect();
    let packed = numbers(packed);
    let mut context = unspecified(packed.len() / 3);
    let target = HeadsMut::merged(&mut context, shape);
    let inputs = Heads::packed(&packed, shape);
    let sums = attention_observed(inputs, scale as f32, &biases, target, precision, observation);
    (Tensor::from_data(TensorData::new(context, [batch, tokens, heads, head_dim]), &device), sums)
}

/// The values of a tensor, last axis fastest.
fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_as::<f32>().try_into_vec().expect("the data were just converted to f32")
}

/// Queries (0), keys (1) or values (2) of a packed projection, `[batch, heads, tokens, head_dim]`.
fn part(packed: &Tensor<5>, index: usize) -> Tensor<4> {
    packed.clone().narrow(2, index, 1).squeeze_dim::<4>(2).swap_dims(1, 2)
}
