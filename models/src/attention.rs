//! Multi-head self-attention (Vaswani et al., 2017, section 3.2) with one packed projection for query, key and value.

use archaeo_ops::{self as ops, Precision};
use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Tensor};

use crate::layers::Linear;
use crate::pass::Pass;
use crate::probe::AttentionSite;

/// Scaled dot-product attention, a pure function that always yields its weights: `softmax(q·kᵀ/√d)·v`.
///
/// `mask` is `true` where a key may be attended to; a query with no such key gathers zeros.
///
/// # Shapes
/// `query` `[batch, heads, queries, d]`, `key` and `value` `[batch, heads, keys, d]`, `mask` `[batch, 1, 1, keys]`
/// → context `[batch, heads, queries, d]` and weights `[batch, heads, queries, keys]`
pub fn scaled_dot_product_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    mask: Option<Tensor<4, Bool>>,
) -> (Tensor<4>, Tensor<4>) {
    let scale = (query.dims()[3] as f64).powf(-0.5);
    let weights = ops::attention_weights(query, key, scale, mask);
    (ops::attention_context(weights.clone(), value), weights)
}

/// `residual`, where there is one, plus the projection of `x` with dropout.
pub(crate) fn project_onto(
    residual: Option<Tensor<3>>,
    projection: &Linear,
    x: Tensor<3>,
    dropout: f64,
    stream: &str,
    pass: &Pass,
) -> Tensor<3> {
    match residual {
        Some(residual) if pass.drops(dropout) => {
            ops::add(residual, pass.dropout(projection.forward(x, pass.precision), dropout, stream))
        }
        Some(residual) => projection.forward_onto(residual, x, pass.precision),
        None => pass.dropout(projection.forward(x, pass.precision), dropout, stream),
    }
}

/// The part of a projection that reads one head: `[batch, tokens, head_dim]` → `[batch, tokens, width]`, without the bias.
pub(crate) fn project_head(
    projection: &Linear,
    head: usize,
    output: Tensor<3>,
    precision: Precision,
) -> Tensor<3> {
    let head_dim = output.dims()[2];
    let weight = projection.weight.val().narrow(1, head * head_dim, head_dim);
    ops::linear(output, weight, None, precision)
}

/// Multi-head self-attention.
#[derive(Module, Debug)]
pub struct MultiHeadAttention {
    /// Query, key and value stacked along the outputs, `[3 · width, width]`.
    pub qkv: Linear,
    /// Mixes the heads, `[width, width]`.
    pub proj: Linear,
    heads: usize,
    weight_dropout: f64,
    output_dropout: f64,
}

impl MultiHeadAttention {
    /// `weight_dropout` is applied to the weights after the softmax, `output_dropout` after `proj`.
    ///
    /// # Panics
    /// If `heads` does not divide `width`.
    pub fn new(
        width: usize,
        heads: usize,
        weight_dropout: f64,
        output_dropout: f64,
        device: &Device,
    ) -> Self {
        assert!(heads > 0 && width.is_multiple_of(heads), "{heads} heads do not divide a width of {width}");
        Self {
            qkv: Linear::new(width, 3 * width, true, device),
            proj: Linear::new(width, width, true, device),
            heads,
            weight_dropout,
            output_dropout,
        }
    }

    /// The same without biases of query, key and value.
    pub(crate) fn without_qkv_bias(mut self) -> Self {
        self.qkv.bias = None;
        self
    }

    /// Attention of all tokens over one another, added to `residual` where there is one. The weights are computed separately
    /// where the probe asks for them; otherwise one kernel does both halves, with bit-identical results.
    ///
    /// # Shapes
    /// `[batch, tokens, width]` → `[batch, tokens, width]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        residual: Option<Tensor<3>>,
        site: &AttentionSite,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let head_dim = width / self.heads;
        let scale = (head_dim as f64).powf(-0.5);
        let precision = pass.precision;
        let packed = self.qkv.forward(x, precision).reshape([batch, tokens, 3, self.heads, head_dim]);
        let dropping = pass.training.is_some() && self.weight_dropout > 0.0;
        let context = if pass.probe.wants_attention(site) || dropping {
            let weights = pass
                .probe
                .attention(site, ops::self_attention_weights(packed.clone(), None, scale, precision));
            let weights = pass.dropout(
                weights,
                self.weight_dropout,
                &format!("attention weight dropout {}", site.layer),
            );
            ops::self_attention_context(weights, packed, precision)
        } else if let Some(observation) = pass.probe.observation(site) {
            let (context, sums) = ops::observed_self_attention(packed, None, scale, precision, &observation);
            pass.probe.observed(site, sums);
            context
        } else {
            ops::self_attention(packed, None, scale, precision)
        };
        let gathered = pass.probe.heads(site, context.swap_dims(1, 2));
        let gathered = gathered.swap_dims(1, 2).reshape([batch, tokens, width]);
        let stream = format!("attention output dropout {}", site.layer);
        project_onto(residual, &self.proj, gathered, self.output_dropout, &stream, pass)
    }

    /// The attention of the first `read` tokens over all, at evaluation in f32, without a residual or a probe.
    ///
    /// Few queries need no keys and values: with `q` of a query, `q · (W_k x) = (W_kᵀ q) · x`, where the key's bias shifts all scores
    /// alike, and `Σ a (W_v x + b_v) = W_v Σ a x + b_v`.
    ///
    /// # Shapes
    /// `[batch, tokens, width]` → `[batch, read, width]`
    pub(crate) fn forward_leading(&self, x: Tensor<3>, read: usize) -> Tensor<3> {
        let width = x.dims()[2];
        let heads = self.heads;
        let head_dim = width / heads;
        let scale = (head_dim as f64).powf(-0.5);
        let weight = self.qkv.weight.val();
        let part = |index: usize| weight.clone().narrow(0, index * width, width);
        let bias =
            |index: usize| self.qkv.bias.as_ref().map(|bias| bias.val().narrow(0, index * width, width));

        let query = ops::linear(x.clone().narrow(1, 0, read), part(0), bias(0), Precision::F32);
        let query = query * scale;
        // One product per head, by the kernel whose sums do not depend on the batch.
        let of_head =
            |x: Tensor<3>, axis: usize, head: usize, length: usize| x.narrow(axis, head * length, length);
        let per_token = |head: usize| {
            let weight = part(1).narrow(0, head * head_dim, head_dim).transpose();
            ops::linear(of_head(query.clone(), 2, head, head_dim), weight, None, Precision::F32)
        };
        let per_token = Tensor::cat((0..heads).map(per_token).collect(), 1);
        let gathered = softmax(per_token.matmul(x.clone().swap_dims(1, 2)), 2).matmul(x);
        let context = |head: usize| {
            let weight = part(2).narrow(0, head * head_dim, head_dim);
            let bias = bias(2).map(|bias| bias.narrow(0, head * head_dim, head_dim));
            ops::linear(of_head(gathered.clone(), 1, head, read), weight, bias, Precision::F32)
        };
        let context = Tensor::cat((0..heads).map(context).collect(), 2);
        self.proj.forward(context, Precision::F32)
    }

    /// `residual` plus attention without a probe, at evaluation, with `bias` added to the scaled scores.
    ///
    /// # Shapes
    /// `[batch, tokens, width]`, bias `[1, heads, tokens, tokens]` → `[batch, tokens, width]`
    pub(crate) fn forward_biased(
        &self,
        x: Tensor<3>,
        residual: Tensor<3>,
        bias: Tensor<4>,
        precision: Precision,
    ) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let head_dim = width / self.heads;
        let packed = self.qkv.forward(x, precision).reshape([batch, tokens, 3, self.heads, head_dim]);
        let context = ops::self_attention(packed, Some(bias), (head_dim as f64).powf(-0.5), precision);
        self.proj.forward_onto(residual, context.reshape([batch, tokens, width]), precision)
    }
}
