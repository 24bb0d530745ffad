//! The operations under automatic differentiation: what each keeps of its forward pass, and its backward pass.

mod attention;
mod dense;
mod images;
mod received;

use archaeo_kernels::{Activation, Precision};
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::backend::{Autodiff, AutodiffBackend, Flex, TensorMetadata, tensor::FloatTensor};

use super::flex::{self, ReluMask, contiguous};
use super::{FusedConvolution, KernelOperations, LinearSettings};
use attention::*;
use dense::*;
use images::*;

/// The gradient of an operation's output.
macro_rules! output_gradient {
    ($grads:ident, $ops:ident) => {{
        $crate::kernels::autodiff::received::take($ops.node.id);
        $crate::kernels::flex::contiguous($grads.consume::<Flex>(&$ops.node))
    }};
}

/// The gradient that a parent has received before, which the caller has to add. A leaf keeps what it has.
macro_rules! earlier_gradient {
    ($grads:ident, $parent:expr) => {
        (!$parent.parents.is_empty() && $crate::kernels::autodiff::received::take($parent.id))
            .then(|| $crate::kernels::flex::contiguous($grads.consume::<Flex>(&$parent)))
    };
}

/// Gives a parent that requires it the gradient `compute`, which contains the earlier one.
macro_rules! register_whole {
    ($grads:ident, $parent:expr, $compute:expr) => {
        if let Some(parent) = $parent {
            $grads.register::<Flex>(parent.id, $compute);
            if !parent.parents.is_empty() {
                $crate::kernels::autodiff::received::insert(parent.id);
            }
        }
    };
}

/// Adds the gradient `compute` to that of a parent that requires it.
macro_rules! register {
    ($grads:ident, $parent:expr, $compute:expr) => {
        if let Some(parent) = $parent {
            let gradient = $compute;
            let gradient = match earlier_gradient!($grads, parent) {
                Some(earlier) => $crate::kernels::flex::sum(gradient, &earlier),
                None => gradient,
            };
            register_whole!($grads, Some(parent), gradient);
        }
    };
}

/// Adds the gradients of all parents that require one.
macro_rules! register_all {
    ($grads:ident, $parents:expr, $gradients:expr) => {
        for (parent, gradient) in $parents.into_iter().zip($gradients) {
            if let Some(gradient) = gradient {
                register!($grads, parent, gradient);
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
use {earlier_gradient, output_gradient, register, register_all, register_whole};

impl<C: CheckpointStrategy> KernelOperations for Autodiff<Flex, C> {
    fn kernel_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        settings: LinearSettings,
    ) -> FloatTensor<Self> {
        record!(Linear, [x, weight, bias], |x_value, weight_value, bias_value| {
            let y = flex::linear(&x_value, &weight_value, &bias_value, None, settings);
            (y, LinearState { x: x_value, weight: weight_value, settings })
        })
    }

    fn kernel_linear_residual(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        settings: LinearSettings,
    ) -> FloatTensor<Self> {
        record!(LinearResidual, [x, weight, bias, residual], |x, weight, bias, residual| {
            let y = flex::linear(&x, &weight, &bias, Some(&residual), settings);
            (y, LinearState { x, weight, settings })
        })
    }

    fn kernel_add(x: FloatTensor<Self>, addend: FloatTensor<Self>) -> FloatTensor<Self> {
        record!(Add, [x, addend], |x, addend| {
            let shape = addend.shape();
            (flex::sum(x, &addend), shape)
        })
    }

    fn kernel_standardise(
        images: FloatTensor<Self>,
        mean: Vec<f32>,
        deviation: Vec<f32>,
    ) -> FloatTensor<Self> {
        record!(Standardise, [images], |values| (flex::standardise(&values, [&mean, &deviation]), deviation))
    }

    fn kernel_patches(images: FloatTensor<Self>, patch: usize) -> FloatTensor<Self> {
        record!(CutPatches, [images], |values| (flex::patches(&values, patch), (values.shape(), patch)))
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
        settings: LinearSettings,
    ) -> FloatTensor<Self> {
        record!(
            Mlp,
            [x, first_weight, first_bias, second_weight, second_bias],
            |x, first_weight, first_bias, second_weight, second_bias| {
                let (weights, biases) = ([&first_weight, &second_weight], [&first_bias, &second_bias]);
                let (y, before) = flex::mlp(&x, weights, biases, None, activation, true, settings);
                let before = before.expect("kept");
                (y, MlpState { x, first_weight, second_weight, before, activation, settings })
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
        settings: LinearSettings,
    ) -> FloatTensor<Self> {
        record!(
            MlpResidual,
            [x, first_weight, first_bias, second_weight, second_bias, residual],
            |x, first_weight, first_bias, second_weight, second_bias, residual| {
                let (weights, biases) = ([&first_weight, &second_weight], [&first_bias, &second_bias]);
                let (y, before) = flex::mlp(&x, weights, biases, Some(&residual), activation, true, settings);
                let before = before.expect("kept");
                (y, MlpState { x, first_weight, second_weight, before, activation, settings })
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
            let context = flex::self_attention(&value, None, scale, precision);
            (context, (value, scale, precision))
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
            (weights.clone(), BiasedWeightsState { packed, bias, weights, scale, precision })
        })
    }

    fn kernel_biased_self_attention(
        packed: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f32,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record!(BiasedSelfAttention, [packed, bias], |packed, bias| {
            let context = flex::self_attention(&packed, Some(&bias), scale, precision);
            (context, (packed, bias, scale, precision))
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

    fn kernel_mean_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        record!(MeanPool, [x], |value| (flex::mean_pool(&value), value.shape()))
    }

    fn kernel_conv2d_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        settings: FusedConvolution,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (mean, variance);
        let y = record!(ConvBatchNorm, [x, weight, gamma, beta], |x, weight, gamma, beta| {
            let affine = [&gamma, &beta];
            let (y, normalised) = flex::conv2d_batch_norm(&x, &weight, affine, None, epsilon, settings);
            (mean, variance) = (normalised.moments.mean.clone(), normalised.moments.variance.clone());
            let relu = if settings.relu { ReluMask::Beta(beta) } else { ReluMask::Absent };
            (y, ConvBatchNormState { x, weight, gamma, normalised, relu, settings })
        });
        (y, Self::from_inner(mean), Self::from_inner(variance))
    }

    fn kernel_conv2d_batch_norm_residual(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        epsilon: f32,
        settings: FusedConvolution,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (mean, variance);
        let y = record!(
            ConvBatchNormResidual,
            [x, weight, gamma, beta, residual],
            |x, weight, gamma, beta, residual| {
                let (affine, residual) = ([&gamma, &beta], Some(&residual));
                let (y, normalised) =
                    flex::conv2d_batch_norm(&x, &weight, affine, residual, epsilon, settings);
                (mean, variance) = (normalised.moments.mean.clone(), normalised.moments.variance.clone());
                let relu = if settings.relu { ReluMask::Output(y.clone()) } else { ReluMask::Absent };
                (y, ConvBatchNormState { x, weight, gamma, normalised, relu, settings })
            }
        );
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
