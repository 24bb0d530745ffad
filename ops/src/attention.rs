//! Scaled dot-product attention in its two halves (Vaswani et al., 2017, equation 1).
//!
//! The weights are a value of their own, so that a probe may read or replace them before they are applied.

use burn::tensor::{Bool, Tensor, activation::softmax};

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

/// `weights · value`: what each query gathers.
///
/// # Shapes
/// `weights` `[batch, heads, queries, keys]`, `value` `[batch, heads, keys, head_dim]`
/// → `[batch, heads, queries, head_dim]`
pub fn attention_context(weights: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    weights.matmul(value)
}
