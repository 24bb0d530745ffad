//! Attention over a packed projection.

use archaeo_kernels::{self as kernels, Heads, HeadsMut, HeadsShape, Precision, ScoreBias};
use burn::backend::TensorMetadata;
use burn_flex::FlexTensor;

use super::{room, tensor, values};

/// The vectors of a packed projection, `[batch, tokens, 3, heads, head_dim]`.
fn heads_shape(packed: &FlexTensor) -> HeadsShape {
    let shape = packed.shape();
    assert_eq!(shape[2], 3, "a packed projection holds queries, keys and values");
    HeadsShape { batch: shape[0], tokens: shape[1], heads: shape[3], head_dim: shape[4] }
}

fn context_shape(heads: HeadsShape) -> [usize; 4] {
    [heads.batch, heads.tokens, heads.heads, heads.head_dim]
}

/// A bias in the form the kernels take, a list of none or one.
fn score_bias(bias: Option<&FlexTensor>) -> Vec<ScoreBias<'_>> {
    let one = |bias| {
        let shape = FlexTensor::shape(bias);
        ScoreBias::new(values(bias), [shape[0], shape[1], shape[2], shape[3]])
    };
    bias.map(one).into_iter().collect()
}

/// Gradient of a bias: that of the scores, summed over the batch in its order.
fn bias_gradient(bias: &FlexTensor, dscores: &[f32]) -> FlexTensor {
    let mut sum = room(values(bias).len());
    kernels::sum_of_parts(dscores, &mut sum);
    tensor(sum, bias.shape())
}

pub(in crate::kernels) fn self_attention_weights(
    packed: &FlexTensor,
    bias: Option<&FlexTensor>,
    scale: f32,
    precision: Precision,
) -> FlexTensor {
    let shape = heads_shape(packed);
    let HeadsShape { batch, heads, tokens, .. } = shape;
    let [query, key, _] = Heads::packed(values(packed), shape);
    let mut weights = room(batch * heads * tokens * tokens);
    kernels::attention_weights(query, key, scale, &score_bias(bias), &mut weights, precision);
    tensor(weights, [batch, heads, tokens, tokens])
}

/// Gradients of the packed projection, with zeros for the values, and of the bias.
pub(in crate::kernels) fn self_attention_weights_gradient(
    packed: &FlexTensor,
    bias: Option<&FlexTensor>,
    weights: &FlexTensor,
    scale: f32,
    dweights: &FlexTensor,
    precision: Precision,
) -> (FlexTensor, Option<FlexTensor>) {
    let shape = heads_shape(packed);
    let [query, key, _] = Heads::packed(values(packed), shape);
    let mut gradient = vec![0.0; values(packed).len()];
    let [dquery, dkey, _] = HeadsMut::packed(&mut gradient, shape);
    let mut dscores = bias.map(|_| room(values(weights).len()));
    kernels::attention_weights_backward(
        values(weights),
        values(dweights),
        [query, key],
        scale,
        dscores.as_deref_mut(),
        [dquery, dkey],
        precision,
    );
    let dbias = bias.zip(dscores).map(|(bias, dscores)| bias_gradient(bias, &dscores));
    (tensor(gradient, packed.shape()), dbias)
}

pub(in crate::kernels) fn self_attention_context(
    weights: &FlexTensor,
    packed: &FlexTensor,
    precision: Precision,
) -> FlexTensor {
    let shape = heads_shape(packed);
    let [_, _, value] = Heads::packed(values(packed), shape);
    let mut context = room(values(packed).len() / 3);
    let target = HeadsMut::merged(&mut context, shape);
    kernels::attention_context(values(weights), value, target, precision);
    tensor(context, context_shape(shape))
}

/// Gradients of the weights and of the packed projection, with zeros for queries and keys.
pub(in crate::kernels) fn self_attention_context_gradients(
    weights: &FlexTensor,
    packed: &FlexTensor,
    dcontext: &FlexTensor,
    precision: Precision,
) -> [FlexTensor; 2] {
    let shape = heads_shape(packed);
    let [_, _, value] = Heads::packed(values(packed), shape);
    let (mut dweights, mut gradient) = (room(values(weights).len()), vec![0.0; values(packed).len()]);
    let [_, _, dvalue] = HeadsMut::packed(&mut gradient, shape);
    let dcontext = Heads::merged(values(dcontext), shape);
    kernels::attention_context_backward(values(weights), value, dcontext, &mut dweights, dvalue, precision);
    [tensor(dweights, weights.shape()), tensor(gradient, packed.shape())]
}

pub(in crate::kernels) fn self_attention(
    packed: &FlexTensor,
    bias: Option<&FlexTensor>,
    scale: f32,
    precision: Precision,
) -> FlexTensor {
    let shape = heads_shape(packed);
    let mut context = room(values(packed).len() / 3);
    kernels::attention_forward(
        Heads::packed(values(packed), shape),
        scale,
        &score_bias(bias),
        HeadsMut::merged(&mut context, shape),
        precision,
    );
    tensor(context, context_shape(shape))
}

/// Gradients of the packed projection and, if requested, of the bias.
pub(in crate::kernels) fn self_attention_gradient(
    packed: &FlexTensor,
    bias: Option<&FlexTensor>,
    of_bias: bool,
    scale: f32,
    dcontext: &FlexTensor,
    precision: Precision,
) -> (FlexTensor, Option<FlexTensor>) {
    let shape = heads_shape(packed);
    let HeadsShape { batch, heads, tokens, .. } = shape;
    let mut gradient = room(values(packed).len());
    let mut dscores = of_bias.then(|| room(batch * heads * tokens * tokens));
    kernels::attention_backward(
        Heads::packed(values(packed), shape),
        scale,
        &score_bias(bias),
        Heads::merged(values(dcontext), shape),
        dscores.as_deref_mut(),
        HeadsMut::packed(&mut gradient, shape),
        precision,
    );
    let dbias = bias.zip(dscores).map(|(bias, dscores)| bias_gradient(bias, &dscores));
    (tensor(gradient, packed.shape()), dbias)
}
