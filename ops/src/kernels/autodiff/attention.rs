//! Attention over a packed projection: its backward passes.

use archaeo_kernels::Precision;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;

use super::{earlier_gradient, output_gradient, register, register_whole};
use crate::kernels::flex;

#[derive(Debug)]
pub(super) struct SelfAttentionWeights;

impl Backward<Flex, 1> for SelfAttentionWeights {
    /// Packed projection, weights, scale, precision.
    type State = (FlexTensor, FlexTensor, f32, Precision);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dweights = output_gradient!(grads, ops);
        let ((packed, weights, scale, precision), [packed_node]) = (ops.state, ops.parents);
        let gradients =
            || flex::self_attention_weights_gradient(&packed, None, &weights, scale, &dweights, precision);
        register!(grads, packed_node, gradients().0);
    }
}

#[derive(Debug)]
pub(super) struct SelfAttentionContext;

impl Backward<Flex, 2> for SelfAttentionContext {
    /// Weights, packed projection, precision.
    type State = (FlexTensor, FlexTensor, Precision);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dcontext = output_gradient!(grads, ops);
        let ((weights, packed, precision), parents) = (ops.state, ops.parents);
        let gradients = flex::self_attention_context_gradients(&weights, &packed, &dcontext, precision);
        for (parent, gradient) in parents.into_iter().zip(gradients) {
            register!(grads, parent, gradient);
        }
    }
}

#[derive(Debug)]
pub(super) struct SelfAttention;

impl Backward<Flex, 1> for SelfAttention {
    /// Packed projection, scale, precision.
    type State = (FlexTensor, f32, Precision);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dcontext = output_gradient!(grads, ops);
        let ((packed, scale, precision), [packed_node]) = (ops.state, ops.parents);
        let gradients = || flex::self_attention_gradient(&packed, None, false, scale, &dcontext, precision);
        register!(grads, packed_node, gradients().0);
    }
}

#[derive(Clone, Debug)]
pub(super) struct BiasedWeightsState {
    pub(super) packed: FlexTensor,
    pub(super) bias: FlexTensor,
    pub(super) weights: FlexTensor,
    pub(super) scale: f32,
    pub(super) precision: Precision,
}

#[derive(Debug)]
pub(super) struct BiasedSelfAttentionWeights;

impl Backward<Flex, 2> for BiasedSelfAttentionWeights {
    type State = BiasedWeightsState;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dweights = output_gradient!(grads, ops);
        let BiasedWeightsState { packed, bias, weights, scale, precision } = ops.state;
        let [packed_node, bias_node] = ops.parents;
        let bias = bias_node.as_ref().map(|_| &bias);
        let (dpacked, dbias) =
            flex::self_attention_weights_gradient(&packed, bias, &weights, scale, &dweights, precision);
        register!(grads, packed_node, dpacked);
        register!(grads, bias_node, dbias.expect("asked for"));
    }
}

#[derive(Debug)]
pub(super) struct BiasedSelfAttention;

impl Backward<Flex, 2> for BiasedSelfAttention {
    /// Packed projection, bias, scale, precision.
    type State = (FlexTensor, FlexTensor, f32, Precision);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dcontext = output_gradient!(grads, ops);
        let ((packed, bias, scale, precision), [packed_node, bias_node]) = (ops.state, ops.parents);
        let (dpacked, dbias) = flex::self_attention_gradient(
            &packed,
            Some(&bias),
            bias_node.is_some(),
            scale,
            &dcontext,
            precision,
        );
        register!(grads, packed_node, dpacked);
        register!(grads, bias_node, dbias.expect("asked for"));
    }
}
