//! Dense layers, layer norm, activations and row gathering: backward passes.

use archaeo_kernels::Activation;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::{Flex, TensorMetadata};
use burn_flex::FlexTensor;
use burn_std::Shape;

use super::{earlier_gradient, output_gradient, register, register_all, register_whole};
use crate::kernels::LinearSettings;
use crate::kernels::flex;

#[derive(Clone, Debug)]
pub(super) struct LinearState {
    pub(super) x: FlexTensor,
    pub(super) weight: FlexTensor,
    pub(super) settings: LinearSettings,
}

impl LinearState {
    /// The requested gradients of input, weight and bias; the last two come together.
    fn gradients(self, dy: &FlexTensor, wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let (Self { x, weight, settings }, [input, weight_wanted, bias_wanted]) = (self, wanted);
        let dx = input.then(|| flex::linear_input_gradient(dy, &weight, settings));
        let parameters = (weight_wanted || bias_wanted)
            .then(|| flex::linear_weight_gradient(&x, dy, settings.precision))
            .unzip();
        [dx, parameters.0, parameters.1]
    }
}

#[derive(Debug)]
pub(super) struct Linear;

impl Backward<Flex, 3> for Linear {
    type State = LinearState;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let wanted = std::array::from_fn(|parent| ops.parents[parent].is_some());
        let gradients = ops.state.gradients(&dy, wanted);
        register_all!(grads, ops.parents, gradients);
    }
}

#[derive(Debug)]
pub(super) struct LinearResidual;

impl Backward<Flex, 4> for LinearResidual {
    type State = LinearState;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let wanted = std::array::from_fn(|parent| ops.parents[parent].is_some());
        let [dx, dw, db] = ops.state.gradients(&dy, wanted);
        register_all!(grads, ops.parents, [dx, dw, db, Some(dy)]);
    }
}

#[derive(Debug)]
pub(super) struct Add;

impl Backward<Flex, 2> for Add {
    /// The addend's shape.
    type State = Shape;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let [x_node, addend_node] = ops.parents;
        if addend_node.is_some() {
            let repeated = dy.shape() != ops.state;
            register!(
                grads,
                addend_node,
                if repeated { flex::sum_gradient(&dy, ops.state) } else { dy.clone() }
            );
        }
        register!(grads, x_node, dy);
    }
}

#[derive(Debug)]
pub(super) struct GatherRows;

impl Backward<Flex, 1> for GatherRows {
    /// For each row of the input, its row in the output.
    type State = Vec<Option<usize>>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let [x_node] = ops.parents;
        register!(grads, x_node, flex::gather_rows(&dy, &ops.state));
    }
}

#[derive(Debug)]
pub(super) struct LayerNorm;

impl Backward<Flex, 3> for LayerNorm {
    /// Input, weight, mean and reciprocal deviation.
    type State = (FlexTensor, FlexTensor, [FlexTensor; 2]);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let ((x, weight, [mean, scale]), [x_node, weight_node, bias_node]) = (ops.state, ops.parents);
        let earlier = x_node.as_ref().and_then(|node| earlier_gradient!(grads, node));
        let [dx, dweight, dbias] =
            flex::layer_norm_gradients(&x, &weight, [&mean, &scale], &dy, earlier.as_ref());
        register_whole!(grads, x_node, dx);
        register!(grads, weight_node, dweight);
        register!(grads, bias_node, dbias);
    }
}

#[derive(Debug)]
pub(super) struct Pointwise;

impl Backward<Flex, 1> for Pointwise {
    /// Input and activation.
    type State = (FlexTensor, Activation);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let ((x, activation), [x_node]) = (ops.state, ops.parents);
        register!(grads, x_node, flex::activation_gradient(&x, activation, &dy));
    }
}

#[derive(Debug)]
pub(super) struct SwiGlu;

impl Backward<Flex, 1> for SwiGlu {
    /// Input.
    type State = FlexTensor;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let [x_node] = ops.parents;
        register!(grads, x_node, flex::swiglu_gradient(&ops.state, &dy));
    }
}

#[derive(Debug)]
pub(super) struct Mlp;

#[derive(Clone, Debug)]
pub(super) struct MlpState {
    pub(super) x: FlexTensor,
    pub(super) first_weight: FlexTensor,
    pub(super) second_weight: FlexTensor,
    /// The activation's input. Its output is recomputed: it would be the largest array that a block keeps.
    pub(super) before: FlexTensor,
    pub(super) activation: Activation,
    pub(super) settings: LinearSettings,
}

impl MlpState {
    /// The requested gradients of the input and, per layer, of weight and bias; the last two come together.
    fn gradients(self, dy: &FlexTensor, wanted: [bool; 5]) -> [Option<FlexTensor>; 5] {
        let MlpState { x, first_weight, second_weight, before, activation, settings } = self;
        let [input, first, first_bias, second, second_bias] = wanted;
        let of_second = || {
            let hidden = flex::activation(&before, activation);
            flex::linear_weight_gradient(&hidden, dy, settings.precision)
        };
        let (dw2, db2) = (second || second_bias).then(of_second).unzip();
        if !(input || first || first_bias) {
            return [None, None, None, dw2, db2];
        }
        let through = (activation, &before);
        let dbefore = flex::linear_input_gradient_through(dy, &second_weight, through, settings);
        drop(before);
        let (dw1, db1) = (first || first_bias)
            .then(|| flex::linear_weight_gradient(&x, &dbefore, settings.precision))
            .unzip();
        let dx = input.then(|| flex::linear_input_gradient(&dbefore, &first_weight, settings));
        [dx, dw1, db1, dw2, db2]
    }
}

impl Backward<Flex, 5> for Mlp {
    type State = MlpState;

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let wanted = std::array::from_fn(|parent| ops.parents[parent].is_some());
        let gradients = ops.state.gradients(&dy, wanted);
        register_all!(grads, ops.parents, gradients);
    }
}

#[derive(Debug)]
pub(super) struct MlpResidual;

impl Backward<Flex, 6> for MlpResidual {
    type State = MlpState;

    fn backward(self, ops: Ops<Self::State, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = output_gradient!(grads, ops);
        let wanted = std::array::from_fn(|parent| ops.parents[parent].is_some());
        let [dx, dw1, db1, dw2, db2] = ops.state.gradients(&dy, wanted);
        register_all!(grads, ops.parents, [dx, dw1, db1, dw2, db2, Some(dy)]);
    }
}
