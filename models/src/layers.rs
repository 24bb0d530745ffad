//! The parameterised layers of every model, with PyTorch's names and array layouts.
//!
//! A module's path of field names is then the checkpoint's name for the same array, and no array is transposed on reading or
//! writing. Layers are built with placeholder weights (ones for scales, zeros elsewhere); [`crate::initialize`] draws the random
//! ones.

use archaeo_ops::{self as ops, BatchMoments, ChannelEpilogue, Convolution, Precision};
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Tensor};

use crate::pass::{LayerMoments, Pass};

/// A trainable parameter of zeros, to be initialised or loaded.
pub(crate) fn zeros<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    constant(0.0, shape, device)
}

/// A trainable parameter. Its memory is allocated on first use, so building a model only to load it costs nothing, whatever sizes
/// its description claims.
pub(crate) fn constant<const D: usize>(value: f32, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    let fill = move |device: &Device, require_grad| {
        Tensor::full(shape, value, device).set_require_grad(require_grad)
    };
    Param::uninitialized(ParamId::new(), fill, device.clone(), true, shape.into())
}

/// An array that belongs to the checkpoint but is not trained.
fn buffer(value: f32, channels: usize, device: &Device) -> Param<Tensor<1>> {
    constant(value, [channels], device).set_require_grad(false)
}

/// Fully connected layer.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// A layer of zeros.
    pub fn new(in_features: usize, out_features: usize, bias: bool, device: &Device) -> Self {
        let bias = bias.then(|| zeros([out_features], device));
        Self { weight: zeros([out_features, in_features], device), bias }
    }

    /// `[.., in]` → `[.., out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>, precision: Precision) -> Tensor<D> {
        ops::linear(x, self.weight.val(), self.bias.as_ref().map(Param::val), precision)
    }

    /// `residual` `[.., out]` plus [`Linear::forward`].
    pub(crate) fn forward_onto<const D: usize>(
        &self,
        residual: Tensor<D>,
        x: Tensor<D>,
        precision: Precision,
    ) -> Tensor<D> {
        ops::linear_onto(residual, x, self.weight.val(), self.bias.as_ref().map(Param::val), precision)
    }
}

/// Layer normalisation over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[features]`
    pub weight: Param<Tensor<1>>,
    /// Shift, `[features]`
    pub bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    /// Scale 1 and shift 0.
    pub fn new(features: usize, epsilon: f64, device: &Device) -> Self {
        Self { weight: constant(1.0, [features], device), bias: zeros([features], device), epsilon }
    }

    /// `[.., features]` → `[.., features]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::layer_norm(x, self.weight.val(), self.bias.val(), self.epsilon)
    }
}

/// Convolution without bias, as in residual networks.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[out, in / groups, kernel, kernel]`
    pub weight: Param<Tensor<4>>,
    stride: usize,
    padding: usize,
    groups: usize,
}

impl Conv2d {
    /// A convolution of zeros.
    pub fn new(channels: [usize; 2], kernel: usize, stride: usize, padding: usize, device: &Device) -> Self {
        let [in_channels, out_channels] = channels;
        let weight = zeros([out_channels, in_channels, kernel, kernel], device);
        Self { weight, stride, padding, groups: 1 }
    }

    /// A convolution of zeros of each channel with a kernel of its own, which keeps the size at stride 1: `[channels, 1, kernel,
    /// kernel]`.
    pub(crate) fn depthwise(channels: usize, kernel: usize, stride: usize, device: &Device) -> Self {
        let weight = zeros([channels, 1, kernel, kernel], device);
        Self { weight, stride, padding: kernel / 2, groups: channels }
    }

    /// `[batch, in, height, width]` → `[batch, out, height', width']`
    pub(crate) fn forward(&self, x: Tensor<4>, precision: Precision) -> Tensor<4> {
        ops::conv2d(x, self.weight.val(), None, self.geometry(), precision)
    }

    fn geometry(&self) -> Convolution {
        Convolution { stride: self.stride, padding: self.padding, groups: self.groups }
    }
}

/// A convolution that does what one did with the normalisation after it, at evaluation.
#[derive(Clone, Debug)]
pub struct FoldedConvolution {
    /// `[out, in, kernel, kernel]`
    pub weight: Tensor<4>,
    /// `[out]`
    pub bias: Tensor<1>,
    /// Stride and padding.
    pub geometry: Convolution,
}

/// Batch normalisation over images and positions.
#[derive(Module, Debug)]
pub struct BatchNorm2d {
    /// Scale, `[channels]`
    pub weight: Param<Tensor<1>>,
    /// Shift, `[channels]`
    pub bias: Param<Tensor<1>>,
    /// Mean used at evaluation, `[channels]`
    pub running_mean: Param<Tensor<1>>,
    /// Variance used at evaluation (unbiased, as PyTorch keeps it), `[channels]`
    pub running_var: Param<Tensor<1>>,
    epsilon: f64,
}

impl BatchNorm2d {
    /// A layer with PyTorch's epsilon of 1e-5.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self::with_scale(1.0, channels, device)
    }

    /// The last layer of a residual branch: its scale starts at zero, so that a fresh block is the identity (Goyal et
    /// al., 2017, section 5.1).
    pub(crate) fn closing_branch(channels: usize, device: &Device) -> Self {
        Self::with_scale(0.0, channels, device)
    }

    fn with_scale(scale: f32, channels: usize, device: &Device) -> Self {
        Self {
            weight: constant(scale, [channels], device),
            bias: zeros([channels], device),
            running_mean: buffer(0.0, channels, device),
            running_var: buffer(1.0, channels, device),
            epsilon: 1e-5,
        }
    }

    /// The convolution `conv` and its normalisation with the running moments as one convolution with a bias.
    pub fn folded(&self, conv: &Conv2d) -> FoldedConvolution {
        let scale = self.weight.val() / (self.running_var.val() + self.epsilon).sqrt();
        let bias = self.bias.val() - self.running_mean.val() * scale.clone();
        let channels = scale.dims()[0];
        let weight = conv.weight.val() * scale.reshape([channels, 1, 1, 1]);
        FoldedConvolution { weight, bias, geometry: conv.geometry() }
    }

    /// The convolution `conv`, its normalisation, then the activation or residual of `then`, `[batch, in, height, width]` →
    /// `[batch, out, height', width']`. In training the batch's moments are stored in the pass; the optimiser step updates the
    /// running ones ([`crate::Classifier::absorb_moments`]). A frozen norm uses the running ones in training too.
    pub fn forward(&self, conv: &Conv2d, x: Tensor<4>, then: ChannelEpilogue, pass: &mut Pass) -> Tensor<4> {
        let (kernel, geometry) = (conv.weight.val(), conv.geometry());
        let affine = [self.weight.val(), self.bias.val()];
        let (epsilon, precision) = (self.epsilon, pass.precision);
        match pass.training.as_mut().filter(|_| !self.is_frozen()) {
            None => {
                let moments = [self.running_mean.val(), self.running_var.val()];
                ops::conv2d_batch_norm(x, kernel, geometry, affine, moments, epsilon, then, precision)
            }
            Some(step) => {
                let (y, batch) =
                    ops::conv2d_batch_norm_train(x, kernel, geometry, affine, epsilon, then, precision);
                step.moments.push(self.moments(batch));
                y
            }
        }
    }

    /// As [`BatchNorm2d::forward`] without a convolution: `[batch, channels]` → the same.
    pub(crate) fn forward_features(&self, x: Tensor<2>, pass: &mut Pass) -> Tensor<2> {
        let [batch, channels] = x.dims();
        self.forward_map(x.reshape([batch, channels, 1, 1]), pass).reshape([batch, channels])
    }

    /// The same of every position: `[batch, channels, height, width]` → the same.
    pub(crate) fn forward_map(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let (affine, then) = ([self.weight.val(), self.bias.val()], ChannelEpilogue::default());
        match pass.training.as_mut().filter(|_| !self.is_frozen()) {
            None => {
                let moments = [self.running_mean.val(), self.running_var.val()];
                ops::batch_norm(x, affine, moments, self.epsilon, then)
            }
            Some(step) => {
                let (y, batch) = ops::batch_norm_train(x, affine, self.epsilon, then);
                step.moments.push(self.moments(batch));
                y
            }
        }
    }

    /// A frozen norm uses the running moments in training too.
    fn is_frozen(&self) -> bool {
        let scale = self.weight.val();
        scale.is_autodiff() && !scale.is_require_grad()
    }

    fn moments(&self, batch: BatchMoments) -> LayerMoments {
        LayerMoments { running_mean: self.running_mean.id, running_var: self.running_var.id, batch }
    }
}
