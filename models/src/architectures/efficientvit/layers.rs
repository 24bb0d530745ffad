//! Convolutions of an EfficientViT: what surrounds its attention.

use archaeo_ops::{self as ops, ChannelEpilogue, Precision};
use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};

use crate::layers::{BatchNorm2d, Conv2d, zeros};
use crate::pass::Pass;

/// A convolution and its batch norm.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution, without bias.
    pub conv: Conv2d,
    /// After it.
    pub bn: BatchNorm2d,
}

impl ConvNorm {
    pub(crate) fn new(conv: Conv2d, outputs: usize, device: &Device) -> Self {
        Self { conv, bn: BatchNorm2d::new(outputs, device) }
    }

    pub(super) fn pointwise(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self::new(Conv2d::new([inputs, outputs], 1, 1, 0, device), outputs, device)
    }

    pub(crate) fn depthwise(channels: usize, kernel: usize, stride: usize, device: &Device) -> Self {
        Self::new(Conv2d::depthwise(channels, kernel, stride, device), channels, device)
    }

    /// The same as the end of a residual branch, whose scale starts at zero.
    pub(super) fn closing_branch(self, device: &Device) -> Self {
        let channels = self.bn.weight.lazy_shape()[0];
        Self { bn: BatchNorm2d::closing_branch(channels, device), ..self }
    }

    /// `[batch, in, height, width]` → `[batch, out, height', width']`
    pub(super) fn forward(&self, x: Tensor<4>, then: ChannelEpilogue, pass: &mut Pass) -> Tensor<4> {
        self.bn.forward(&self.conv, x, then, pass)
    }

    pub(crate) fn plain(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        self.forward(x, ChannelEpilogue::default(), pass)
    }

    pub(crate) fn relu(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        self.forward(x, ChannelEpilogue::relu(), pass)
    }
}

/// Two 1×1 convolutions to twice the width and back, with a ReLU between them: an MLP of each position.
#[derive(Module, Debug)]
pub struct ConvMlp {
    /// `[2 · width, width, 1, 1]`
    pub pw1: ConvNorm,
    /// `[width, 2 · width, 1, 1]`
    pub pw2: ConvNorm,
}

impl ConvMlp {
    fn new(width: usize, device: &Device) -> Self {
        Self {
            pw1: ConvNorm::pointwise(width, 2 * width, device),
            pw2: ConvNorm::pointwise(2 * width, width, device).closing_branch(device),
        }
    }
}

/// What a [`Residual`] adds to its input.
pub trait Branch: Module {
    /// `[batch, width, height, width]` → the same, with `then` after the last convolution.
    fn branch(&self, x: Tensor<4>, then: ChannelEpilogue, pass: &mut Pass) -> Tensor<4>;
}

impl Branch for ConvNorm {
    fn branch(&self, x: Tensor<4>, then: ChannelEpilogue, pass: &mut Pass) -> Tensor<4> {
        self.forward(x, then, pass)
    }
}

impl Branch for ConvMlp {
    fn branch(&self, x: Tensor<4>, then: ChannelEpilogue, pass: &mut Pass) -> Tensor<4> {
        let hidden = self.pw1.relu(x, pass);
        self.pw2.forward(hidden, then, pass)
    }
}

/// `map` plus a branch, which stochastic depth may drop; a branch that is not dropped adds `map` with its last convolution.
pub(super) fn add_branch(
    map: Tensor<4>,
    (rate, stream): (f64, String),
    pass: &mut Pass,
    branch: impl FnOnce(ChannelEpilogue, &mut Pass) -> Tensor<4>,
) -> Tensor<4> {
    if !pass.drops(rate) {
        return branch(ChannelEpilogue { residual: Some(map), relu: false }, pass);
    }
    let values = branch(ChannelEpilogue::default(), pass);
    ops::add(map, pass.drop_path(values, rate, &stream))
}

/// A branch with its shortcut.
#[derive(Module, Debug)]
pub struct Residual<M> {
    /// The branch.
    pub m: M,
    drop_path: f64,
}

impl<M: Branch> Residual<M> {
    /// `[batch, width, height, width]` → the same; `stream` names the random numbers of its stochastic depth.
    pub(super) fn forward(&self, map: Tensor<4>, stream: String, pass: &mut Pass) -> Tensor<4> {
        let path = (self.drop_path, stream);
        add_branch(map.clone(), path, pass, |then, pass| self.m.branch(map, then, pass))
    }
}

impl Residual<ConvNorm> {
    /// A 3×3 convolution of each channel, which starts as nothing where `closing`.
    pub(super) fn depthwise(width: usize, closing: bool, drop_path: f64, device: &Device) -> Self {
        let m = ConvNorm::depthwise(width, 3, 1, device);
        Self { m: if closing { m.closing_branch(device) } else { m }, drop_path }
    }
}

impl Residual<ConvMlp> {
    pub(super) fn mlp(width: usize, drop_path: f64, device: &Device) -> Self {
        Self { m: ConvMlp::new(width, device), drop_path }
    }
}

/// Overlapping patches: four 3×3 convolutions of stride 2, with a ReLU between them.
#[derive(Module, Debug)]
pub struct EfficientVitPatchEmbed {
    /// To an eighth of the width.
    pub conv1: ConvNorm,
    /// To a quarter of it.
    pub conv2: ConvNorm,
    /// To half of it.
    pub conv3: ConvNorm,
    /// To all of it.
    pub conv4: ConvNorm,
}

impl EfficientVitPatchEmbed {
    pub(super) fn new(width: usize, device: &Device) -> Self {
        let conv = |inputs: usize, outputs: usize| {
            ConvNorm::new(Conv2d::new([inputs, outputs], 3, 2, 1, device), outputs, device)
        };
        Self {
            conv1: conv(3, width / 8),
            conv2: conv(width / 8, width / 4),
            conv3: conv(width / 4, width / 2),
            conv4: conv(width / 2, width),
        }
    }

    /// `[batch, 3, height, width]` → `[batch, width, ⌈height / 16⌉, ⌈width / 16⌉]`
    pub(super) fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let x = self.conv1.relu(images, pass);
        let x = self.conv2.relu(x, pass);
        let x = self.conv3.relu(x, pass);
        self.conv4.plain(x, pass)
    }
}

/// A 1×1 convolution with bias, of one position.
#[derive(Module, Debug)]
pub struct ChannelLinear {
    /// `[out, in, 1, 1]`
    pub weight: Param<Tensor<4>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
}

impl ChannelLinear {
    fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self { weight: zeros([outputs, inputs, 1, 1], device), bias: zeros([outputs], device) }
    }

    fn forward(&self, x: Tensor<2>, precision: Precision) -> Tensor<2> {
        let [outputs, inputs, ..] = self.weight.val().dims();
        ops::linear(x, self.weight.val().reshape([outputs, inputs]), Some(self.bias.val()), precision)
    }
}

/// Channels times gates in (0, 1) that the means of all channels decide (Hu et al., 2018, "Squeeze-and-Excitation Networks",
/// equations 2 to 4).
#[derive(Module, Debug)]
pub struct SqueezeExcite {
    /// `[reduced, channels, 1, 1]`
    pub fc1: ChannelLinear,
    /// `[channels, reduced, 1, 1]`
    pub fc2: ChannelLinear,
}

impl SqueezeExcite {
    /// Channels between the two layers: a quarter, rounded to a multiple of 8.
    pub(super) fn reduced(channels: usize) -> usize {
        (channels / 4 + 4) / 8 * 8
    }

    fn new(channels: usize, device: &Device) -> Self {
        let reduced = Self::reduced(channels);
        Self {
            fc1: ChannelLinear::new(channels, reduced, device),
            fc2: ChannelLinear::new(reduced, channels, device),
        }
    }

    fn forward(&self, x: Tensor<4>, precision: Precision) -> Tensor<4> {
        let [batch, channels, ..] = x.dims();
        let squeezed = ops::relu(self.fc1.forward(ops::global_mean_pool(x.clone()), precision));
        x * sigmoid(self.fc2.forward(squeezed, precision)).reshape([batch, channels, 1, 1])
    }
}

/// To a quarter of the tokens and another width (section 3.2): a 1×1 convolution to four times the width, a depthwise 3×3 one of stride 2,
/// squeeze and excitation, and a 1×1 convolution.
#[derive(Module, Debug)]
pub struct PatchMerge {
    /// `[4 · width, width, 1, 1]`
    pub conv1: ConvNorm,
    /// `[4 · width, 1, 3, 3]`
    pub conv2: ConvNorm,
    /// On four times the width.
    pub se: SqueezeExcite,
    /// `[next width, 4 · width, 1, 1]`
    pub conv3: ConvNorm,
}

impl PatchMerge {
    fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        let hidden = 4 * inputs;
        Self {
            conv1: ConvNorm::pointwise(inputs, hidden, device),
            conv2: ConvNorm::depthwise(hidden, 3, 2, device),
            se: SqueezeExcite::new(hidden, device),
            conv3: ConvNorm::pointwise(hidden, outputs, device),
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let x = self.conv1.relu(x, pass);
        let x = self.conv2.relu(x, pass);
        let x = self.se.forward(x, pass.precision);
        self.conv3.plain(x, pass)
    }
}

/// Between two stages: convolution and MLP at the old width, merging, and the same at the new width.
#[derive(Module, Debug)]
pub struct EfficientVitDownsample {
    /// At the old width.
    pub res1: (Residual<ConvNorm>, Residual<ConvMlp>),
    /// To the new width.
    pub patchmerge: PatchMerge,
    /// At the new width.
    pub res2: (Residual<ConvNorm>, Residual<ConvMlp>),
}

impl EfficientVitDownsample {
    pub(super) fn new([inputs, outputs]: [usize; 2], device: &Device) -> Self {
        let pair = |width| {
            (
                Residual::<ConvNorm>::depthwise(width, false, 0.0, device),
                Residual::<ConvMlp>::mlp(width, 0.0, device),
            )
        };
        Self { res1: pair(inputs), patchmerge: PatchMerge::new(inputs, outputs, device), res2: pair(outputs) }
    }

    /// `[batch, width, rows, columns]` → `[batch, next width, ⌈rows / 2⌉, ⌈columns / 2⌉]`
    pub(super) fn forward(&self, map: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let pair = |(conv, mlp): &(Residual<ConvNorm>, Residual<ConvMlp>), map, pass: &mut Pass| {
            let map = conv.forward(map, String::new(), pass);
            mlp.forward(map, String::new(), pass)
        };
        let map = pair(&self.res1, map, pass);
        let map = self.patchmerge.forward(map, pass);
        pair(&self.res2, map, pass)
    }
}
