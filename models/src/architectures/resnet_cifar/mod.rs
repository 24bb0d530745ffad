//! The residual networks that He et al. (2016, section 4.2) designed for CIFAR-10: three thin stages and shortcuts
//! without parameters (option A: every second pixel, new channels zero) or, as in many implementations, with projections (option
//! B).

mod architecture;

use archaeo_ops::{self as ops, ChannelEpilogue, Precision};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::architectures::resnet::{Downsample, in_stages};
use crate::forward::{ForwardPass, Residual};
use crate::layers::{BatchNorm2d, Conv2d, Linear};
use crate::pass::Pass;
use crate::probe::FeatureSite;
use crate::spec::{SpecError, check_depths, check_sizes};

/// Sizes of a CIFAR residual network of depth `6 · blocks + 2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CifarResNetConfig {
    /// Blocks in each of the three stages: 3 for ResNet-20, 9 for ResNet-56.
    pub blocks: usize,
    /// Width of the first stage (16 in the paper); it doubles with every stage.
    pub width: usize,
    /// Shortcuts that change resolution or width are 1×1 convolutions with a norm (option B) instead of option A.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub projection: bool,
    /// Number of classes.
    pub classes: usize,
}

impl CifarResNetConfig {
    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// One sentence naming the sizes that do not.
    pub fn validate(&self) -> Result<(), SpecError> {
        check_sizes("width", &[self.width])?;
        check_sizes("classes", &[self.classes])?;
        check_depths("blocks", &[self.blocks])
    }
}

/// Two 3×3 convolutions around a shortcut without parameters.
#[derive(Module, Debug)]
pub struct CifarBlock {
    /// First convolution, which carries the stride.
    pub conv1: Conv2d,
    /// After `conv1`.
    pub bn1: BatchNorm2d,
    /// Second convolution.
    pub conv2: Conv2d,
    /// After `conv2`.
    pub bn2: BatchNorm2d,
    /// Projection of the shortcut, for option B where the resolution changes.
    pub downsample: Option<Downsample>,
}

impl CifarBlock {
    fn new(in_channels: usize, width: usize, stride: usize, projection: bool, device: &Device) -> Self {
        let downsample = (projection && (stride != 1 || in_channels != width))
            .then(|| Downsample::new([in_channels, width], stride, device));
        Self {
            downsample,
            conv1: Conv2d::new([in_channels, width], 3, stride, 1, device),
            bn1: BatchNorm2d::new(width, device),
            conv2: Conv2d::new([width, width], 3, 1, 1, device),
            bn2: BatchNorm2d::closing_branch(width, device),
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let (inner, shortcut) = self.opened(x, pass);
        self.bn2.forward(&self.conv2, inner, ChannelEpilogue::residual_relu(shortcut), pass)
    }

    fn addends(&self, x: Tensor<4>, pass: &mut Pass) -> [Tensor<4>; 2] {
        let (inner, shortcut) = self.opened(x, pass);
        [shortcut, self.bn2.forward(&self.conv2, inner, ChannelEpilogue::default(), pass)]
    }

    /// The branch up to its second convolution, and the shortcut.
    fn opened(&self, x: Tensor<4>, pass: &mut Pass) -> (Tensor<4>, Tensor<4>) {
        let inner = self.bn1.forward(&self.conv1, x.clone(), ChannelEpilogue::relu(), pass);
        let [_, channels, height, _] = inner.dims();
        let shortcut = match &self.downsample {
            Some(projection) => projection.forward(x, pass),
            None => option_a_shortcut(x, channels, height),
        };
        (inner, shortcut)
    }
}

/// Every second pixel where the height halves, and zeros for the new channels, half before and half after.
fn option_a_shortcut(x: Tensor<4>, channels: usize, height: usize) -> Tensor<4> {
    let [batch, in_channels, in_height, _] = x.dims();
    let x = if height < in_height { x.slice(burn::tensor::s![.., .., 0..;2, 0..;2]) } else { x };
    if channels == in_channels {
        return x;
    }
    let [_, _, height, width] = x.dims();
    let before = (channels - in_channels) / 2;
    let padding = |count| Tensor::zeros([batch, count, height, width], &x.device());
    Tensor::cat(vec![padding(before), x.clone(), padding(channels - in_channels - before)], 1)
}

/// CIFAR residual network.
#[derive(Module, Debug)]
pub struct CifarResNet {
    /// Stem convolution.
    pub conv1: Conv2d,
    /// After the stem.
    pub bn1: BatchNorm2d,
    /// First stage.
    pub layer1: Vec<CifarBlock>,
    /// Second stage.
    pub layer2: Vec<CifarBlock>,
    /// Third stage.
    pub layer3: Vec<CifarBlock>,
    /// Head, `[classes, 4 · width]`.
    pub linear: Linear,
    #[module(skip)]
    config: CifarResNetConfig,
}

impl CifarResNet {
    /// A network with placeholder weights.
    ///
    /// # Errors
    /// As [`CifarResNetConfig::validate`].
    pub fn new(config: &CifarResNetConfig, device: &Device) -> Result<Self, SpecError> {
        config.validate()?;
        let CifarResNetConfig { blocks, width, projection, classes } = *config;
        let stage = |index: usize| {
            (0..blocks)
                .map(|block| {
                    let entering = index > 0 && block == 0;
                    let in_channels = width << (index - usize::from(entering));
                    let stride = if entering { 2 } else { 1 };
                    CifarBlock::new(in_channels, width << index, stride, projection, device)
                })
                .collect()
        };
        Ok(Self {
            conv1: Conv2d::new([3, width], 3, 1, 1, device),
            bn1: BatchNorm2d::new(width, device),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            linear: Linear::new(width << 2, classes, true, device),
            config: config.clone(),
        })
    }

    /// Sizes this model was built with.
    pub fn config(&self) -> &CifarResNetConfig {
        &self.config
    }

    fn blocks(&self) -> impl Iterator<Item = (FeatureSite, &CifarBlock)> {
        in_stages([&self.layer1, &self.layer2, &self.layer3])
    }
}

/// The features are the mean of the last feature map over its positions.
impl ForwardPass for CifarResNet {
    fn feature_dim(&self) -> usize {
        self.linear.weight.lazy_shape()[1]
    }

    fn features(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        let x = self.stem(images, pass);
        self.features_from_block(0, x, pass)
    }

    fn head(&self, features: Tensor<2>, precision: Precision) -> Tensor<2> {
        self.linear.forward(features, precision)
    }

    fn residual(&self) -> Option<&dyn Residual> {
        Some(self)
    }
}

impl Residual for CifarResNet {
    fn depth(&self) -> usize {
        self.blocks().count()
    }

    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        self.bn1.forward(&self.conv1, images, ChannelEpilogue::relu(), pass)
    }

    fn addends(&self, block: usize, map: Tensor<4>, pass: &mut Pass) -> [Tensor<4>; 2] {
        let (_, block) = self.blocks().nth(block).expect("the network has this block");
        block.addends(map, pass)
    }

    fn features_from_block(&self, block: usize, mut map: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        for (site, block) in self.blocks().skip(block) {
            map = block.forward(map, pass);
            map = pass.probe.features(&site, map);
        }
        ops::global_mean_pool(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortcut_keeps_every_second_pixel_and_pads_channels_on_both_sides() {
        let device = Device::flex();
        let x = Tensor::<4>::from_data([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]; 2]], &device);
        let y = option_a_shortcut(x.clone(), 4, 2);
        let kept = [[1.0f32, 3.0], [7.0, 9.0]];
        let zero = [[0.0; 2]; 2];
        y.into_data().assert_eq(&burn::tensor::TensorData::from([[zero, kept, kept, zero]]), true);
        option_a_shortcut(x.clone(), 2, 3).into_data().assert_eq(&x.into_data(), true);
    }

    #[test]
    fn one_new_channel_goes_after_the_old_one() {
        let x = Tensor::<4>::ones([1, 1, 2, 2], &Device::flex());
        let y: Vec<f32> = option_a_shortcut(x, 2, 1).into_data().try_into_vec().unwrap();
        assert_eq!(y, [1.0, 0.0]);
    }
}
