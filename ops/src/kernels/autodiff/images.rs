//! Convolution, pooling and batch norm: their backward passes.

use archaeo_kernels::Precision;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;
use burn_std::Shape;

use super::register;
use crate::kernels::FusedConvolution;
use crate::kernels::flex::{self, ChannelMoments, ReluMask, contiguous};

#[derive(Debug)]
pub(super) struct Conv2d;

impl Backward<Flex, 2> for Conv2d {
    /// Input, weight, geometry, precision.
    type State = (FlexTensor, FlexTensor, [usize; 3], Precision);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let ((x, weight, geometry, precision), [x_node, weight_node]) = (ops.state, ops.parents);
        register!(grads, x_node, flex::conv2d_input_gradient(&x, &weight, geometry, &dy, precision));
        register!(grads, weight_node, flex::conv2d_weight_gradient(&x, &weight, geometry, &dy, precision));
    }
}

#[derive(Debug)]
pub(super) struct MaxPool2d;

impl Backward<Flex, 1> for MaxPool2d {
    /// The input's shape, the window, where each largest value stood.
    type State = (Shape, [usize; 3], Vec<u32>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let ((shape, window, indices), [x_node]) = (ops.state, ops.parents);
        register!(grads, x_node, flex::max_pool2d_gradient(&shape, window, &indices, &dy));
    }
}

/// What a channel-wise operation keeps: its output only if a ReLU made it, for where that let through.
pub(super) fn relu_output(y: &FlexTensor, relu: bool) -> Option<FlexTensor> {
    relu.then(|| y.clone())
}

#[derive(Clone, Debug)]
pub(super) struct BatchNormState {
    pub(super) x: FlexTensor,
    pub(super) weight: FlexTensor,
    pub(super) moments: ChannelMoments,
    pub(super) relu: ReluMask,
}

impl BatchNormState {
    fn gradients(&self, dy: &FlexTensor, with_residual: bool) -> ([FlexTensor; 3], Option<FlexTensor>) {
        let Self { x, weight, moments, relu } = self;
        flex::batch_norm_gradients(x, weight, moments, relu, dy, with_residual)
    }
}

#[derive(Debug)]
pub(super) struct BatchNorm;

impl Backward<Flex, 3> for BatchNorm {
    type State = BatchNormState;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let (gradients, _) = ops.state.gradients(&dy, false);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            register!(grads, parent, gradient);
        }
    }
}

#[derive(Debug)]
pub(super) struct BatchNormResidual;

impl Backward<Flex, 4> for BatchNormResidual {
    type State = BatchNormState;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let (gradients, dresidual) = ops.state.gradients(&dy, ops.parents[3].is_some());
        for (parent, gradient) in ops.parents.into_iter().zip(gradients.into_iter().chain(dresidual)) {
            register!(grads, parent, gradient);
        }
    }
}

/// What a convolution with scale and shift keeps: they are constants, and so is its weight.
#[derive(Clone, Debug)]
pub(super) struct ConvScaleShiftState {
    pub(super) x: FlexTensor,
    pub(super) weight: FlexTensor,
    pub(super) scale: FlexTensor,
    pub(super) relu_output: Option<FlexTensor>,
    pub(super) settings: FusedConvolution,
}

impl ConvScaleShiftState {
    /// Gradients of the input and, where wanted, the residual.
    fn gradients(self, dy: &FlexTensor, with_residual: bool) -> (FlexTensor, Option<FlexTensor>) {
        let relu_output = self.relu_output.as_ref();
        let (dz, dresidual) = flex::scale_shift_gradients(&self.scale, relu_output, dy, with_residual);
        let FusedConvolution { geometry, precision, .. } = self.settings;
        (flex::conv2d_input_gradient(&self.x, &self.weight, geometry, &dz, precision), dresidual)
    }
}

#[derive(Debug)]
pub(super) struct ConvScaleShift;

impl Backward<Flex, 1> for ConvScaleShift {
    type State = ConvScaleShiftState;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let [x_node] = ops.parents;
        register!(grads, x_node, ops.state.gradients(&dy, false).0);
    }
}

#[derive(Debug)]
pub(super) struct ConvScaleShiftResidual;

impl Backward<Flex, 2> for ConvScaleShiftResidual {
    type State = ConvScaleShiftState;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let (dx, dresidual) = ops.state.gradients(&dy, true);
        for (parent, gradient) in ops.parents.into_iter().zip([Some(dx), dresidual].into_iter().flatten()) {
            register!(grads, parent, gradient);
        }
    }
}
