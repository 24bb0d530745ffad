//! The operations under automatic differentiation: what each keeps of its forward pass, and its backward pass.

use archaeo_kernels::{Activation, Precision};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, AutodiffBackend, Flex, TensorMetadata, tensor::FloatTensor};
use burn_flex::FlexTensor;
use burn_std::Shape;

use super::flex::{self, ChannelMoments, ReluMask, contiguous};
use super::{FusedConvolution, KernelOperations};

/// Gives the gradient `compute` yields to a parent, if anyone wants it.
macro_rules! register {
    ($grads:ident, $parent:expr, $compute:expr) => {
        if let Some(parent) = $parent {
            $grads.register::<Flex>(parent.id, $compute);
        }
    };
}

/// Gives each parent that wants one its gradient.
macro_rules! register_all {
    ($grads:ident, $parents:expr, $gradients:expr) => {
        for (parent, gradient) in $parents.into_iter().zip($gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                $grads.register::<Flex>(parent.id, gradient);
            }
        }
    };
}

/// Records an operation: its inputs by name, its output, what its backward pass needs.
macro_rules! record {
    ($operation:expr, [$($input:ident),+], |$($value:ident),+| $forward:expr) => {{
        let (nodes, values) = {
            $(let $input = $input.into_parts();)+
            ([$($input.1),+], ($($input.0,)+))
        };
        let ($($value,)+) = values;
        $(let $value = contiguous($value);)+
        let (output, state) = $forward;
        match $operation.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }};
}

#[derive(Clone, Debug)]
struct LinearState {
    x: FlexTensor,
    weight: FlexTensor,
    precision: Precision,
}

impl LinearState {
    /// Those of the gradients of input, weight and bias that are wanted; the last two come together.
    fn gradients(self, dy: &FlexTensor, wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let (Self { x, weight, precision }, [input, weight_wanted, bias_wanted]) = (self, wanted);
        let dx = input.then(|| flex::linear_input_gradient(dy, &weight, precision));
        let parameters =
            (weight_wanted || bias_wanted).then(|| flex::linear_weight_gradient(&x, dy, precision)).unzip();
        [dx, parameters.0, parameters.1]
    }
}

#[derive(Debug)]
struct Linear;

impl Backward<Flex, 3> for Linear {
    type State = LinearState;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let wanted = std::array::from_fn(|parent| ops.parents[parent].is_some());
        let gradients = ops.state.gradients(&dy, wanted);
        register_all!(grads, ops.parents, gradients);
    }
}

#[derive(Debug)]
struct LinearResidual;

impl Backward<Flex, 4> for LinearResidual {
    type State = LinearState;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let wanted = std::array::from_fn(|parent| ops.parents[parent].is_some());
        let [dx, dw, db] = ops.state.gradients(&dy, wanted);
        register_all!(grads, ops.parents, [dx, dw, db, Some(dy)]);
    }
}

#[derive(Debug)]
struct GatherRows;

impl Backward<Flex, 1> for GatherRows {
    /// Of each row of the input, the row of the output that it became.
    type State = Vec<Option<usize>>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let [x_node] = ops.parents;
        register!(grads, x_node, flex::gather_rows(&dy, &ops.state));
    }
}

#[derive(Debug)]
struct LayerNorm;

impl Backward<Flex, 3> for LayerNorm {
    /// Input, weight, mean and reciprocal deviation.
    type State = (FlexTensor, FlexTensor, [FlexTensor; 2]);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let ((x, weight, [mean, scale]), parents) = (ops.state, ops.parents);
        let gradients = flex::layer_norm_gradients(&x, &weight, [&mean, &scale], &dy);
        for (parent, gradient) in parents.into_iter().zip(gradients) {
            register!(grads, parent, gradient);
        }
    }
}

#[derive(Debug)]
struct Pointwise;

impl Backward<Flex, 1> for Pointwise {
    /// Input and what was applied to it.
    type State = (FlexTensor, Activation);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let ((x, activation), [x_node]) = (ops.state, ops.parents);
        register!(grads, x_node, flex::activation_gradient(&x, activation, &dy));
    }
}

#[derive(Debug)]
struct SwiGlu;

impl Backward<Flex, 1> for SwiGlu {
    /// Input.
    type State = FlexTensor;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let [x_node] = ops.parents;
        register!(grads, x_node, flex::swiglu_gradient(&ops.state, &dy));
    }
}

#[derive(Debug)]
struct Mlp;

#[derive(Clone, Debug)]
struct MlpState {
    x: FlexTensor,
    first_weight: FlexTensor,
    second_weight: FlexTensor,
    /// The activation's input and output.
    before: FlexTensor,
    hidden: FlexTensor,
    activation: Activation,
    precision: Precision,
}

impl MlpState {
    /// Those of the gradients of the input and, layer by layer, of weight and bias that are wanted; the last two come together.
    fn gradients(self, dy: &FlexTensor, wanted: [bool; 5]) -> [Option<FlexTensor>; 5] {
        let MlpState { x, first_weight, second_weight, before, hidden, activation, precision } = self;
        let [input, first, first_bias, second, second_bias] = wanted;
        let (dw2, db2) =
            (second || second_bias).then(|| flex::linear_weight_gradient(&hidden, dy, precision)).unzip();
        drop(hidden);
        if !(input || first || first_bias) {
            return [None, None, None, dw2, db2];
        }
        let through = (activation, &before);
        let dbefore = flex::linear_input_gradient_through(dy, &second_weight, through, precision);
        drop(before);
        let (dw1, db1) =
            (first || first_bias).then(|| flex::linear_weight_gradient(&x, &dbefore, precision)).unzip();
        let dx = input.then(|| flex::linear_input_gradient(&dbefore, &first_weight, precision));
        [dx, dw1, db1, dw2, db2]
    }
}

impl Backward<Flex, 5> for Mlp {
    type State = MlpState;

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let wanted = std::array::from_fn(|parent| ops.parents[parent].is_some());
        let gradients = ops.state.gradients(&dy, wanted);
        register_all!(grads, ops.parents, gradients);
    }
}

#[derive(Debug)]
struct MlpResidual;

impl Backward<Flex, 6> for MlpResidual {
    type State = MlpState;

    fn backward(self, ops: Ops<Self::State, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let wanted = std::array::from_fn(|parent| ops.parents[parent].is_some());
        let [dx, dw1, db1, dw2, db2] = ops.state.gradients(&dy, wanted);
        register_all!(grads, ops.parents, [dx, dw1, db1, dw2, db2, Some(dy)]);
    }
}

#[derive(Debug)]
struct SelfAttentionWeights;

impl Backward<Flex, 1> for SelfAttentionWeights {
    /// Packed projection, weights, scale, precision.
    type State = (FlexTensor, FlexTensor, f32, Precision);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dweights = contiguous(grads.consume::<Flex>(&ops.node));
        let ((packed, weights, scale, precision), [packed_node]) = (ops.state, ops.parents);
        let gradients =
            || flex::self_attention_weights_gradient(&packed, None, &weights, scale, &dweights, precision);
        register!(grads, packed_node, gradients().0);
    }
}

#[derive(Debug)]
struct SelfAttentionContext;

impl Backward<Flex, 2> for SelfAttentionContext {
    /// Weights, packed projection, precision.
    type State = (FlexTensor, FlexTensor, Precision);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dcontext = contiguous(grads.consume::<Flex>(&ops.node));
        let ((weights, packed, precision), parents) = (ops.state, ops.parents);
        let gradients = flex::self_attention_context_gradients(&weights, &packed, &dcontext, precision);
        for (parent, gradient) in parents.into_iter().zip(gradients) {
            register!(grads, parent, gradient);
        }
    }
}

#[derive(Debug)]
struct SelfAttention;

impl Backward<Flex, 1> for SelfAttention {
    /// Packed projection, weights, scale, precision.
    type State = (FlexTensor, FlexTensor, f32, Precision);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dcontext = contiguous(grads.consume::<Flex>(&ops.node));
        let ((packed, weights, scale, precision), [packed_node]) = (ops.state, ops.parents);
        let gradients =
            || flex::self_attention_gradient(&packed, None, &weights, scale, &dcontext, precision);
        register!(grads, packed_node, gradients().0);
    }
}

#[derive(Clone, Debug)]
struct BiasedAttentionState {
    packed: FlexTensor,
    bias: FlexTensor,
    weights: FlexTensor,
    scale: f32,
    precision: Precision,
}

#[derive(Debug)]
struct BiasedSelfAttentionWeights;

impl Backward<Flex, 2> for BiasedSelfAttentionWeights {
    type State = BiasedAttentionState;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dweights = contiguous(grads.consume::<Flex>(&ops.node));
        let BiasedAttentionState { packed, bias, weights, scale, precision } = ops.state;
        let [packed_node, bias_node] = ops.parents;
        let bias = bias_node.as_ref().map(|_| &bias);
        let (dpacked, dbias) =
            flex::self_attention_weights_gradient(&packed, bias, &weights, scale, &dweights, precision);
        register!(grads, packed_node, dpacked);
        register!(grads, bias_node, dbias.expect("asked for"));
    }
}

#[derive(Debug)]
struct BiasedSelfAttention;

impl Backward<Flex, 2> for BiasedSelfAttention {
    type State = BiasedAttentionState;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dcontext = contiguous(grads.consume::<Flex>(&ops.node));
        let BiasedAttentionState { packed, bias, weights, scale, precision } = ops.state;
        let [packed_node, bias_node] = ops.parents;
        let bias = bias_node.as_ref().map(|_| &bias);
        let (dpacked, dbias) =
            flex::self_attention_gradient(&packed, bias, &weights, scale, &dcontext, precision);
        register!(grads, packed_node, dpacked);
        register!(grads, bias_node, dbias.expect("asked for"));
    }
}

#[derive(Debug)]
struct Conv2d;

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
struct MaxPool2d;

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
fn relu_output(y: &FlexTensor, relu: bool) -> Option<FlexTensor> {
    relu.then(|| y.clone())
}

#[derive(Clone, Debug)]
struct BatchNormState {
    x: FlexTensor,
    weight: FlexTensor,
    moments: ChannelMoments,
    relu: ReluMask,
}

impl BatchNormState {
    fn gradients(&self, dy: &FlexTensor, with_residual: bool) -> ([FlexTensor; 3], Option<FlexTensor>) {
        let Self { x, weight, moments, relu } = self;
        flex::batch_norm_gradients(x, weight, moments, relu, dy, with_residual)
    }
}

#[derive(Debug)]
struct BatchNorm;

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
struct BatchNormResidual;

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
struct ConvScaleShiftState {
    x: FlexTensor,
    weight: FlexTensor,
    scale: FlexTensor,
    relu_output: Option<FlexTensor>,
    settings: FusedConvolution,
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
struct ConvScaleShift;

impl Backward<Flex, 1> for ConvScaleShift {
    type State = ConvScaleShiftState;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let [x_node] = ops.parents;
        register!(grads, x_node, ops.state.gradients(&dy, false).0);
    }
}

#[derive(Debug)]
struct ConvScaleShiftResidual;

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

impl<C: CheckpointStrategy> KernelOperations for Autodiff<Flex, C> {
    fn kernel_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record!(Linear, [x, weight, bias], |x_value, weight_value, bias_value| {
            let y = flex::linear(&x_value, &weight_value, &bias_value, None, precision);
            (y, LinearState { x: x_value, weight: weight_value, precision })
        })
    }

    fn kernel_linear_residual(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record!(LinearResidual, [x, weight, bias, residual], |x, weight, bias, residual| {
            let y = flex::linear(&x, &weight, &bias, Some(&residual), precision);
            (y, LinearState { x, weight, precision })
        })
    }

    fn kernel_gather_rows(x: FloatTensor<Self>, sources: Vec<Option<usize>>) -> FloatTensor<Self> {
        record!(GatherRows, [x], |value| {
            let mut became = vec![None; value.shape()[1]];
            for (row, source) in sources.iter().enumerate() {
                if let Some(source) = source {
                    assert_eq!(became[*source].replace(row), None, "no row is the source of two");
                }
            }
            (flex::gather_rows(&value, &sources), became)
        })
    }

    fn kernel_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        record!(LayerNorm, [x, weight, bias], |x_value, weight_value, bias_value| {
            let (y, moments) = flex::layer_norm(&x_value, &weight_value, &bias_value, epsilon);
            (y, (x_value, weight_value, moments))
        })
    }

    fn kernel_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        record!(Pointwise, [x], |x_value| (flex::activation(&x_value, activation), (x_value, activation)))
    }

    fn kernel_swiglu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        record!(SwiGlu, [x], |x_value| (flex::swiglu(&x_value), x_value))
    }

    fn kernel_mlp(
        x: FloatTensor<Self>,
        first_weight: FloatTensor<Self>,
        first_bias: FloatTensor<Self>,
        second_weight: FloatTensor<Self>,
        second_bias: FloatTensor<Self>,
        activation: Activation,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record!(
            Mlp,
            [x, first_weight, first_bias, second_weight, second_bias],
            |x, first_weight, first_bias, second_weight, second_bias| {
                let (hidden, before) =
                    flex::linear_activation(&x, &first_weight, &first_bias, activation, true, precision);
                let before = before.expect("kept");
                let y = flex::linear(&hidden, &second_weight, &second_bias, None, precision);
                (y, MlpState { x, first_weight, second_weight, before, hidden, activation, precision })
            }
        )
    }

    fn kernel_mlp_residual(
        x: FloatTensor<Self>,
        first_weight: FloatTensor<Self>,
        first_bias: FloatTensor<Self>,
        second_weight: FloatTensor<Self>,
        second_bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        activation: Activation,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record!(
            MlpResidual,
            [x, first_weight, first_bias, second_weight, second_bias, residual],
            |x, first_weight, first_bias, second_weight, second_bias, residual| {
                let (hidden, before) =
                    flex::linear_activation(&x, &first_weight, &first_bias, activation, true, precision);
                let before = before.expect("kept");
                let y = flex::linear(&hidden, &second_weight, &second_bias, Some(&residual), precision);
                (y, MlpState { x, first_weight, second_weight, before, hidden, activation, precision })
            }
        )
    }

    fn kernel_self_attention_weights(
        packed: FloatTensor<Self>,
        scale: f32,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record!(SelfAttentionWeights, [packed], |value| {
            let weights = flex::self_attention_weights(&value, None, scale, precision);
            (weights.clone(), (value, weights, scale, precision))
        })
    }

    fn kernel_self_attention_context(
        weights: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record!(SelfAttentionContext, [weights, packed], |weights_value, packed_value| {
            let context = flex::self_attention_context(&weights_value, &packed_value, precision);
            (context, (weights_value, packed_value, precision))
        })
    }

    fn kernel_self_attention(
        packed: FloatTensor<Self>,
        scale: f32,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record!(SelfAttention, [packed], |value| {
            let (context, weights) = flex::self_attention(&value, None, scale, true, precision);
            (context, (value, weights.expect("kept"), scale, precision))
        })
    }

    fn kernel_biased_self_attention_weights(
        packed: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f32,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record!(BiasedSelfAttentionWeights, [packed, bias], |packed, bias| {
            let weights = flex::self_attention_weights(&packed, Some(&bias), scale, precision);
            (weights.clone(), BiasedAttentionState { packed, bias, weights, scale, precision })
        })
    }

    fn kernel_biased_self_attention(
        packed: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f32,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record!(BiasedSelfAttention, [packed, bias], |packed, bias| {
            let (context, weights) = flex::self_attention(&packed, Some(&bias), scale, true, precision);
            let weights = weights.expect("kept");
            (context, BiasedAttentionState { packed, bias, weights, scale, precision })
        })
    }

    fn kernel_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: [usize; 3],
        precision: Precision,
    ) -> FloatTensor<Self> {
        record!(Conv2d, [x, weight], |x_value, weight_value| {
            let y = flex::conv2d(&x_value, &weight_value, geometry, precision);
            (y, (x_value, weight_value, geometry, precision))
        })
    }

    fn kernel_max_pool2d(x: FloatTensor<Self>, window: [usize; 3]) -> FloatTensor<Self> {
        record!(MaxPool2d, [x], |value| {
            let (y, indices) = flex::max_pool2d(&value, window);
            (y, (value.shape(), window, indices))
        })
    }

    fn kernel_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
        relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (mean, variance);
        let y = record!(BatchNorm, [x, weight, bias], |x, weight, bias| {
            let (y, moments) = flex::batch_norm(&x, [&weight, &bias], None, epsilon, relu);
            (mean, variance) = (moments.mean.clone(), moments.variance.clone());
            let relu = if relu { ReluMask::Bias(bias) } else { ReluMask::Absent };
            (y, BatchNormState { x, weight, moments, relu })
        });
        (y, Self::from_inner(mean), Self::from_inner(variance))
    }

    fn kernel_batch_norm_residual(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        epsilon: f32,
        relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (mean, variance);
        let y = record!(BatchNormResidual, [x, weight, bias, residual], |x, weight, bias, residual| {
            let (y, moments) = flex::batch_norm(&x, [&weight, &bias], Some(&residual), epsilon, relu);
            (mean, variance) = (moments.mean.clone(), moments.variance.clone());
            let relu = if relu { ReluMask::Output(y.clone()) } else { ReluMask::Absent };
            (y, BatchNormState { x, weight, moments, relu })
        });
        (y, Self::from_inner(mean), Self::from_inner(variance))
    }

    fn kernel_conv2d_scale_shift(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        settings: FusedConvolution,
    ) -> FloatTensor<Self> {
        let [weight, scale, shift] =
            [weight, scale, shift].map(|constant| contiguous(constant.into_parts().0));
        record!(ConvScaleShift, [x], |x| {
            let y = flex::conv2d_scale_shift(&x, &weight, [&scale, &shift], None, settings);
            let relu_output = relu_output(&y, settings.relu);
            (y, ConvScaleShiftState { x, weight, scale, relu_output, settings })
        })
    }

    fn kernel_conv2d_scale_shift_residual(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        settings: FusedConvolution,
    ) -> FloatTensor<Self> {
        let [weight, scale, shift] =
            [weight, scale, shift].map(|constant| contiguous(constant.into_parts().0));
        record!(ConvScaleShiftResidual, [x, residual], |x, residual| {
            let (affine, residual) = ([&scale, &shift], Some(&residual));
            let y = flex::conv2d_scale_shift(&x, &weight, affine, residual, settings);
            let relu_output = relu_output(&y, settings.relu);
            (y, ConvScaleShiftState { x, weight, scale, relu_output, settings })
        })
    }
}
