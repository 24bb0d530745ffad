//! Convolution, pooling and batch norm: their backward passes.

use archaeo_kernels::Precision;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn_flex::FlexTensor;
use burn_std::Shape;

use super::{earlier_gradient, output_gradient, register, register_all, register_whole};
use crate::kernels::FusedConvolution;
use crate::kernels::flex::{self, BatchNormGradients, Normalised, ReluMask, values};

#[derive(Debug)]
pub(super) struct Conv2d;

impl Backward<Flex, 2> for Conv2d {
    /// Input, weight, geometry, precision.
    type State = (FlexTensor, FlexTensor, [usize; 3], Precision);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let ((x, weight, geometry, precision), [x_node, weight_node]) = (ops.state, ops.parents);
        register!(grads, x_node, flex::conv2d_input_gradient(&x, &weight, geometry, values(&dy), precision));
        register!(
            grads,
            weight_node,
            flex::conv2d_weight_gradient(&x, &weight, geometry, values(&dy), precision)
        );
    }
}

#[derive(Debug)]
pub(super) struct Standardise;

impl Backward<Flex, 1> for Standardise {
    /// Deviation of each channel.
    type State = Vec<f32>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let [images_node] = ops.parents;
        register!(grads, images_node, flex::standardise_gradient(&dy, &ops.state));
    }
}

#[derive(Debug)]
pub(super) struct CutPatches;

impl Backward<Flex, 1> for CutPatches {
    /// The images' shape, the side of a patch.
    type State = (Shape, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let ((shape, patch), [images_node]) = (ops.state, ops.parents);
        register!(grads, images_node, flex::patches_gradient(shape, patch, &dy));
    }
}

#[derive(Debug)]
pub(super) struct MaxPool2d;

impl Backward<Flex, 1> for MaxPool2d {
    /// The input's shape, the window, the index of each largest value.
    type State = (Shape, [usize; 3], Vec<u32>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let ((shape, window, indices), [x_node]) = (ops.state, ops.parents);
        register!(grads, x_node, flex::max_pool2d_gradient(&shape, window, &indices, &dy));
    }
}

#[derive(Debug)]
pub(super) struct MeanPool;

impl Backward<Flex, 1> for MeanPool {
    /// The input's shape.
    type State = Shape;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let [x_node] = ops.parents;
        register!(grads, x_node, flex::mean_pool_gradient(ops.state, &dy));
    }
}

/// What a channel-wise operation keeps: its output only after a ReLU, to know where that is active.
pub(super) fn relu_output(y: &FlexTensor, relu: bool) -> Option<FlexTensor> {
    relu.then(|| y.clone())
}

/// What a convolution with batch norm keeps.
#[derive(Clone, Debug)]
pub(super) struct ConvBatchNormState {
    pub(super) x: FlexTensor,
    pub(super) weight: FlexTensor,
    pub(super) gamma: FlexTensor,
    pub(super) normalised: Normalised,
    pub(super) relu: ReluMask,
    pub(super) settings: FusedConvolution,
}

impl ConvBatchNormState {
    /// The gradients of input, weight, γ, β and residual, the large ones only if requested.
    fn gradients(self, dy: FlexTensor, wanted: [bool; 5]) -> [Option<FlexTensor>; 5] {
        let Self { x, weight, gamma, normalised, relu, settings } = self;
        let FusedConvolution { geometry, precision, .. } = settings;
        let [x_wanted, weight_wanted, _, _, residual_wanted] = wanted;
        let BatchNormGradients { dz, dgamma, dbeta, dresidual } =
            flex::batch_norm_gradients(normalised, &gamma, relu, dy, residual_wanted);
        let [dx, dweight] = dz.conv2d_gradients(&x, &weight, geometry, precision, [x_wanted, weight_wanted]);
        [dx, dweight, Some(dgamma), Some(dbeta), dresidual]
    }
}

#[derive(Debug)]
pub(super) struct ConvBatchNorm;

impl Backward<Flex, 4> for ConvBatchNorm {
    type State = ConvBatchNormState;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let [x, weight, gamma, beta] = ops.parents.each_ref().map(Option::is_some);
        register_all!(grads, ops.parents, ops.state.gradients(dy, [x, weight, gamma, beta, false]));
    }
}

#[derive(Debug)]
pub(super) struct ConvBatchNormResidual;

impl Backward<Flex, 5> for ConvBatchNormResidual {
    type State = ConvBatchNormState;

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        register_all!(grads, ops.parents, ops.state.gradients(dy, wanted));
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
    /// Gradients of the input and, if requested, the residual.
    fn gradients(self, dy: &FlexTensor, with_residual: bool) -> (FlexTensor, Option<FlexTensor>) {
        let relu_output = self.relu_output.as_ref();
        let (dz, dresidual) = flex::scale_shift_gradients(&self.scale, relu_output, dy, with_residual);
        let FusedConvolution { geometry, precision, .. } = self.settings;
        (flex::conv2d_input_gradient(&self.x, &self.weight, geometry, values(&dz), precision), dresidual)
    }
}

#[derive(Debug)]
pub(super) struct ConvScaleShift;

impl Backward<Flex, 1> for ConvScaleShift {
    type State = ConvScaleShiftState;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let [x_node] = ops.parents;
        register!(grads, x_node, ops.state.gradients(&dy, false).0);
    }
}

#[derive(Debug)]
pub(super) struct ConvScaleShiftResidual;

impl Backward<Flex, 2> for ConvScaleShiftResidual {
    type State = ConvScaleShiftState;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let (dx, dresidual) = ops.state.gradients(&dy, true);
        for (parent, gradient) in ops.parents.into_iter().zip([Some(dx), dresidual].into_iter().flatten()) {
            register!(grads, parent, gradient);
        }
    }
}
