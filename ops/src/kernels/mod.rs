//! The bridge from Burn's tensors to the `archaeo-kernels` crate, with gradients, for tensors on the CPU.
//!
//! Three layers: [`KernelOperations`] names the operations for Burn's dispatch, `flex` runs them on CPU tensors, and
//! `autodiff` records them with their backward passes. Each operation has one differentiable output.

mod autodiff;
mod flex;

use archaeo_kernels::{Activation, Precision};
use burn::backend::{Backend, Dispatch, DispatchDevice, backend_extension, tensor::FloatTensor};
use burn::tensor::{Device, Tensor};

use crate::{ChannelEpilogue, Convolution};

/// Whether tensors of this device live where the kernels can read them.
pub(crate) fn serve(device: &Device) -> bool {
    matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}

/// As [`serve`], of tensors that record no gradients.
pub(crate) fn serve_without_gradients(device: &Device) -> bool {
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

/// How fully connected layers are computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinearSettings {
    pub(crate) precision: Precision,
    /// The weights have no gradients, so they are likely to be used again unchanged.
    pub(crate) constant_weights: bool,
}

impl LinearSettings {
    fn of(weights: &[&Tensor<2>], precision: Precision) -> Self {
        let constant_weights = weights.iter().all(|weight| !weight.is_tracked());
        Self { precision, constant_weights }
    }
}

/// How a convolution and its channel-wise epilogue are computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FusedConvolution {
    /// Stride, padding and groups.
    pub(crate) geometry: [usize; 3],
    /// Whether negative results become zero.
    pub(crate) relu: bool,
    pub(crate) precision: Precision,
}

impl FusedConvolution {
    fn new(Convolution { stride, padding, groups }: Convolution, relu: bool, precision: Precision) -> Self {
        Self { geometry: [stride, padding, groups], relu, precision }
    }
}

/// Operations that have kernels of their own on the CPU.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait KernelOperations: Backend {
    /// `x` `[.., in]`, `weight` `[out, in]`, `bias` `[out]` → `[.., out]`
    fn kernel_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        settings: LinearSettings,
    ) -> FloatTensor<Self>;

    /// As `kernel_linear`, plus `residual` `[.., out]`.
    fn kernel_linear_residual(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        settings: LinearSettings,
    ) -> FloatTensor<Self>;

    /// `x`, plus `addend` of its shape or of one image.
    fn kernel_add(x: FloatTensor<Self>, addend: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `images` `[batch, channels, height, width]` → `(images − mean) / deviation` by channel
    fn kernel_standardise(
        images: FloatTensor<Self>,
        mean: Vec<f32>,
        deviation: Vec<f32>,
    ) -> FloatTensor<Self>;

    /// `images` `[batch, channels, height, width]` → `[batch, patches, channels · patch · patch]`
    fn kernel_patches(images: FloatTensor<Self>, patch: usize) -> FloatTensor<Self>;

    /// `x` `[batch, rows, width]` → `[batch, sources, width]`: each row from its source, no two from the same, or zeros.
    fn kernel_gather_rows(x: FloatTensor<Self>, sources: Vec<Option<usize>>) -> FloatTensor<Self>;

    /// `x` `[.., features]`, `weight` and `bias` `[features]` → like `x`
    fn kernel_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// Any shape, kept.
    fn kernel_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;

    /// `[.., 2 · hidden]` → `[.., hidden]`
    fn kernel_swiglu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `x` `[.., width]`, weights `[hidden, width]` and `[out, hidden]`, biases `[hidden]` and `[out]` → `[.., out]`
    fn kernel_mlp(
        x: FloatTensor<Self>,
        first_weight: FloatTensor<Self>,
        first_bias: FloatTensor<Self>,
        second_weight: FloatTensor<Self>,
        second_bias: FloatTensor<Self>,
        activation: Activation,
        settings: LinearSettings,
    ) -> FloatTensor<Self>;

    /// As `kernel_mlp`, plus `residual` `[.., out]`.
    #[allow(clippy::too_many_arguments, reason = "the arguments of one mathematical operation")]
    fn kernel_mlp_residual(
        x: FloatTensor<Self>,
        first_weight: FloatTensor<Self>,
        first_bias: FloatTensor<Self>,
        second_weight: FloatTensor<Self>,
        second_bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        activation: Activation,
        settings: LinearSettings,
    ) -> FloatTensor<Self>;

    /// `packed` `[batch, tokens, 3, heads, head_dim]` → `[batch, heads, tokens, tokens]`
    fn kernel_self_attention_weights(
        packed: FloatTensor<Self>,
        scale: f32,
        precision: Precision,
    ) -> FloatTensor<Self>;

    /// `weights` `[batch, heads, tokens, tokens]`, `packed` `[batch, tokens, 3, heads, head_dim]`
    /// → `[batch, tokens, heads, head_dim]`
    fn kernel_self_attention_context(
        weights: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self>;

    /// `packed` `[batch, tokens, 3, heads, head_dim]` → `[batch, tokens, heads, head_dim]`
    fn kernel_self_attention(
        packed: FloatTensor<Self>,
        scale: f32,
        precision: Precision,
    ) -> FloatTensor<Self>;

    /// `packed` `[batch, tokens, 3, heads, head_dim]`, `bias` `[period, heads, tokens, tokens]`
    /// → `[batch, heads, tokens, tokens]`
    fn kernel_biased_self_attention_weights(
        packed: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f32,
        precision: Precision,
    ) -> FloatTensor<Self>;

    /// `packed` `[batch, tokens, 3, heads, head_dim]`, `bias` `[period, heads, tokens, tokens]`
    /// → `[batch, tokens, heads, head_dim]`
    fn kernel_biased_self_attention(
        packed: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f32,
        precision: Precision,
    ) -> FloatTensor<Self>;

    /// `x` `[batch, in, height, width]`, `weight` `[out, in / groups, kernel, kernel]`
    /// → `[batch, out, height', width']`; `geometry` is stride, padding and groups.
    fn kernel_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: [usize; 3],
        precision: Precision,
    ) -> FloatTensor<Self>;

    /// `[batch, channels, height, width]` → `[batch, channels, height', width']`; `window` is kernel, stride and padding.
    fn kernel_max_pool2d(x: FloatTensor<Self>, window: [usize; 3]) -> FloatTensor<Self>;

    /// `[batch, channels, height, width]` → `[batch, channels]`
    fn kernel_mean_pool(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// As `kernel_conv2d`, then batch norm by `gamma` and `beta`, `[out]` → the output, and the batch's mean and variance, which
    /// have no gradient
    fn kernel_conv2d_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        settings: FusedConvolution,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// As `kernel_conv2d_batch_norm`, with `residual` of the shape of the output added before the ReLU.
    fn kernel_conv2d_batch_norm_residual(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        epsilon: f32,
        settings: FusedConvolution,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// As `kernel_conv2d`, then times `scale` plus `shift`, `[out]`, by channel; only `x` gets a gradient.
    fn kernel_conv2d_scale_shift(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        settings: FusedConvolution,
    ) -> FloatTensor<Self>;

    /// As `kernel_conv2d_scale_shift`, with `residual` of the shape of the output added before the ReLU; it gets a
    /// gradient too.
    fn kernel_conv2d_scale_shift_residual(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        settings: FusedConvolution,
    ) -> FloatTensor<Self>;
}

/// As [`crate::linear`] and [`crate::linear_onto`].
pub(crate) fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    residual: Option<Tensor<D>>,
    precision: Precision,
) -> Tensor<D> {
    let settings = LinearSettings::of(&[&weight], precision);
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(match residual {
        None => <Dispatch as KernelOperations>::kernel_linear(x, weight, bias, settings),
        Some(residual) => {
            let residual = residual.into_dispatch();
            <Dispatch as KernelOperations>::kernel_linear_residual(x, weight, bias, residual, settings)
        }
    })
}

/// As [`crate::add`].
pub(crate) fn add<const D: usize>(x: Tensor<D>, addend: Tensor<D>) -> Tensor<D> {
    let (x, addend) = (x.into_dispatch(), addend.into_dispatch());
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_add(x, addend))
}

/// As [`crate::standardise`].
pub(crate) fn standardise(images: Tensor<4>, mean: Vec<f32>, deviation: Vec<f32>) -> Tensor<4> {
    let images = images.into_dispatch();
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_standardise(images, mean, deviation))
}

/// As [`crate::patches`].
pub(crate) fn patches(images: Tensor<4>, patch: usize) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_patches(images.into_dispatch(), patch))
}

/// As [`crate::gather_rows`].
pub(crate) fn gather_rows(x: Tensor<3>, sources: Vec<Option<usize>>) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_gather_rows(x.into_dispatch(), sources))
}

/// As [`crate::layer_norm`].
pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_layer_norm(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        epsilon as f32,
    ))
}

/// As [`crate::gelu`] and [`crate::quick_gelu`].
pub(crate) fn activation<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_activation(x.into_dispatch(), activation))
}

/// As [`crate::swiglu`].
pub(crate) fn swiglu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_swiglu(x.into_dispatch()))
}

/// As [`crate::mlp`].
pub(crate) fn mlp<const D: usize>(
    x: Tensor<D>,
    weights: [Tensor<2>; 2],
    biases: [Tensor<1>; 2],
    activation: Activation,
    residual: Option<Tensor<D>>,
    precision: Precision,
) -> Tensor<D> {
    let settings = LinearSettings::of(&[&weights[0], &weights[1]], precision);
    let x = x.into_dispatch();
    let ([first, second], [first_bias, second_bias]) =
        (weights.map(Tensor::into_dispatch), biases.map(Tensor::into_dispatch));
    Tensor::from_dispatch(match residual {
        None => <Dispatch as KernelOperations>::kernel_mlp(
            x,
            first,
            first_bias,
            second,
            second_bias,
            activation,
            settings,
        ),
        Some(residual) => <Dispatch as KernelOperations>::kernel_mlp_residual(
            x,
            first,
            first_bias,
            second,
            second_bias,
            residual.into_dispatch(),
            activation,
            settings,
        ),
    })
}

/// As [`crate::self_attention_weights`].
pub(crate) fn self_attention_weights(packed: Tensor<5>, scale: f64, precision: Precision) -> Tensor<4> {
    let packed = packed.into_dispatch();
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_self_attention_weights(
        packed,
        scale as f32,
        precision,
    ))
}

/// As [`crate::self_attention_context`].
pub(crate) fn self_attention_context(
    weights: Tensor<4>,
    packed: Tensor<5>,
    precision: Precision,
) -> Tensor<4> {
    let (weights, packed) = (weights.into_dispatch(), packed.into_dispatch());
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_self_attention_context(
        weights, packed, precision,
    ))
}

/// As [`crate::self_attention`].
pub(crate) fn self_attention(packed: Tensor<5>, scale: f64, precision: Precision) -> Tensor<4> {
    let packed = packed.into_dispatch();
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_self_attention(
        packed,
        scale as f32,
        precision,
    ))
}

/// As [`crate::self_attention_weights`], with a bias.
pub(crate) fn biased_self_attention_weights(
    packed: Tensor<5>,
    bias: Tensor<4>,
    scale: f64,
    precision: Precision,
) -> Tensor<4> {
    let (packed, bias) = (packed.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_biased_self_attention_weights(
        packed,
        bias,
        scale as f32,
        precision,
    ))
}

/// As [`crate::self_attention`], with a bias.
pub(crate) fn biased_self_attention(
    packed: Tensor<5>,
    bias: Tensor<4>,
    scale: f64,
    precision: Precision,
) -> Tensor<4> {
    let (packed, bias) = (packed.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_biased_self_attention(
        packed,
        bias,
        scale as f32,
        precision,
    ))
}

/// As [`crate::conv2d`], without bias.
pub(crate) fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    geometry: Convolution,
    precision: Precision,
) -> Tensor<4> {
    let Convolution { stride, padding, groups } = geometry;
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_conv2d(
        x,
        weight,
        [stride, padding, groups],
        precision,
    ))
}

/// As [`crate::max_pool2d`]; `window` is kernel, stride and padding.
pub(crate) fn max_pool2d(x: Tensor<4>, window: [usize; 3]) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_max_pool2d(x.into_dispatch(), window))
}

/// As [`crate::global_mean_pool`].
pub(crate) fn mean_pool(x: Tensor<4>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_mean_pool(x.into_dispatch()))
}

/// As [`crate::conv2d_batch_norm_train`]: the output, the batch's mean and variance.
pub(crate) fn conv2d_batch_norm(
    x: Tensor<4>,
    weight: Tensor<4>,
    geometry: Convolution,
    affine: [Tensor<1>; 2],
    epsilon: f64,
    then: ChannelEpilogue,
    precision: Precision,
) -> (Tensor<4>, Tensor<1>, Tensor<1>) {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let [gamma, beta] = affine.map(Tensor::into_dispatch);
    let (epsilon, settings) = (epsilon as f32, FusedConvolution::new(geometry, then.relu, precision));
    let (y, mean, variance) = match then.residual {
        None => <Dispatch as KernelOperations>::kernel_conv2d_batch_norm(
            x, weight, gamma, beta, epsilon, settings,
        ),
        Some(residual) => {
            let residual = residual.into_dispatch();
            <Dispatch as KernelOperations>::kernel_conv2d_batch_norm_residual(
                x, weight, gamma, beta, residual, epsilon, settings,
            )
        }
    };
    (Tensor::from_dispatch(y), Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
}

/// [`conv2d`], then `· scale + shift` by channel, then `then`; weight, scale and shift get no gradient.
pub(crate) fn conv2d_scale_shift(
    x: Tensor<4>,
    weight: Tensor<4>,
    geometry: Convolution,
    affine: [Tensor<1>; 2],
    then: ChannelEpilogue,
    precision: Precision,
) -> Tensor<4> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let [scale, shift] = affine.map(Tensor::into_dispatch);
    let settings = FusedConvolution::new(geometry, then.relu, precision);
    Tensor::from_dispatch(match then.residual {
        None => <Dispatch as KernelOperations>::kernel_conv2d_scale_shift(x, weight, scale, shift, settings),
        Some(residual) => {
            let residual = residual.into_dispatch();
            <Dispatch as KernelOperations>::kernel_conv2d_scale_shift_residual(
                x, weight, scale, shift, residual, settings,
            )
        }
    })
}
