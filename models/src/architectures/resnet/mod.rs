//! Residual networks for ImageNet (He et al., 2016, table 1) with torchvision's parameter names, and the same with the
//! small stem that 32-pixel images need.

mod architecture;
pub(crate) mod infer;
pub(crate) mod names;

use archaeo_ops::{self as ops, ChannelEpilogue, Precision};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::forward::{ForwardPass, Residual};
use crate::layers::{BatchNorm2d, Conv2d, Linear};
use crate::pass::Pass;
use crate::probe::FeatureSite;
use crate::spec::{SpecError, check_depths, check_sizes};

/// First layers of a residual network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stem {
    /// 7×7 convolution of stride 2 and 3×3 max pooling of stride 2.
    Imagenet,
    /// 3×3 convolution of stride 1.
    Cifar,
}

/// The kind of residual branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BranchKind {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3 (which carries the stride, as in torchvision), 1×1 with four times the width.
    Bottleneck,
}

impl BranchKind {
    fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// Sizes of a residual network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// First layers of the network.
    pub stem: Stem,
    /// Kind of residual branch.
    pub branch: BranchKind,
    /// Blocks in each of the four stages.
    pub blocks: [usize; 4],
    /// Width of the first stage; it doubles with every stage.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
}

impl ResNetConfig {
    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// One sentence naming the sizes that do not.
    pub fn validate(&self) -> Result<(), SpecError> {
        check_sizes("width", &[self.width])?;
        check_sizes("classes", &[self.classes])?;
        check_depths("blocks", &self.blocks)
    }
}

/// The shortcut's projection where a block changes resolution or width.
#[derive(Module, Debug)]
pub struct Downsample {
    /// 1×1 convolution (`downsample.0` in checkpoints).
    pub conv: Conv2d,
    /// Its normalisation (`downsample.1` in checkpoints).
    pub norm: BatchNorm2d,
}

impl Downsample {
    pub(crate) fn new([inputs, outputs]: [usize; 2], stride: usize, device: &Device) -> Self {
        Self {
            conv: Conv2d::new([inputs, outputs], 1, stride, 0, device),
            norm: BatchNorm2d::new(outputs, device),
        }
    }

    pub(crate) fn forward(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        self.norm.forward(&self.conv, x, ChannelEpilogue::default(), pass)
    }
}

/// One residual block.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    /// First convolution.
    pub conv1: Conv2d,
    /// After `conv1`.
    pub bn1: BatchNorm2d,
    /// Second convolution.
    pub conv2: Conv2d,
    /// After `conv2`.
    pub bn2: BatchNorm2d,
    /// Third convolution, bottleneck only.
    pub conv3: Option<Conv2d>,
    /// After `conv3`.
    pub bn3: Option<BatchNorm2d>,
    /// Projection of the shortcut, where needed.
    pub downsample: Option<Downsample>,
}

impl ResidualBlock {
    fn new(kind: BranchKind, in_channels: usize, width: usize, stride: usize, device: &Device) -> Self {
        let out_channels = width * kind.expansion();
        let norm = |channels| BatchNorm2d::new(channels, device);
        let last_norm = |channels| BatchNorm2d::closing_branch(channels, device);
        let downsample = (stride != 1 || in_channels != out_channels)
            .then(|| Downsample::new([in_channels, out_channels], stride, device));
        match kind {
            BranchKind::Basic => Self {
                conv1: Conv2d::new([in_channels, width], 3, stride, 1, device),
                bn1: norm(width),
                conv2: Conv2d::new([width, width], 3, 1, 1, device),
                bn2: last_norm(width),
                conv3: None,
                bn3: None,
                downsample,
            },
            BranchKind::Bottleneck => Self {
                conv1: Conv2d::new([in_channels, width], 1, 1, 0, device),
                bn1: norm(width),
                conv2: Conv2d::new([width, width], 3, stride, 1, device),
                bn2: norm(width),
                conv3: Some(Conv2d::new([width, out_channels], 1, 1, 0, device)),
                bn3: Some(last_norm(out_channels)),
                downsample,
            },
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let shortcut = self.shortcut(x.clone(), pass);
        self.branch(x, ChannelEpilogue::residual_relu(shortcut), pass)
    }

    fn shortcut(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        match &self.downsample {
            Some(projection) => projection.forward(x, pass),
            None => x,
        }
    }

    /// The convolutions, and then `closing`.
    fn branch(&self, x: Tensor<4>, closing: ChannelEpilogue, pass: &mut Pass) -> Tensor<4> {
        let x = self.bn1.forward(&self.conv1, x, ChannelEpilogue::relu(), pass);
        match (&self.conv3, &self.bn3) {
            (Some(conv3), Some(bn3)) => {
                let x = self.bn2.forward(&self.conv2, x, ChannelEpilogue::relu(), pass);
                bn3.forward(conv3, x, closing, pass)
            }
            _ => self.bn2.forward(&self.conv2, x, closing, pass),
        }
    }
}

/// The blocks of all stages in their order, each with its place.
pub(crate) fn in_stages<B, const STAGES: usize>(
    stages: [&Vec<B>; STAGES],
) -> impl Iterator<Item = (FeatureSite, &B)> {
    let site = move |stage: usize, block: usize, blocks: usize| FeatureSite {
        stage: stage + 1,
        block,
        last: stage + 1 == STAGES && block + 1 == blocks,
    };
    stages.into_iter().enumerate().flat_map(move |(stage, blocks)| {
        blocks.iter().enumerate().map(move |(block, of)| (site(stage, block, blocks.len()), of))
    })
}

/// Residual network.
#[derive(Module, Debug)]
pub struct ResNet {
    /// Stem convolution.
    pub conv1: Conv2d,
    /// After the stem.
    pub bn1: BatchNorm2d,
    /// First stage.
    pub layer1: Vec<ResidualBlock>,
    /// Second stage.
    pub layer2: Vec<ResidualBlock>,
    /// Third stage.
    pub layer3: Vec<ResidualBlock>,
    /// Fourth stage.
    pub layer4: Vec<ResidualBlock>,
    /// Head, `[classes, features]`.
    pub fc: Linear,
    #[module(skip)]
    config: ResNetConfig,
}

impl ResNet {
    /// A network with placeholder weights.
    ///
    /// # Errors
    /// As [`ResNetConfig::validate`].
    pub fn new(config: &ResNetConfig, device: &Device) -> Result<Self, SpecError> {
        config.validate()?;
        let ResNetConfig { stem, branch, blocks, width, classes } = *config;
        let conv1 = match stem {
            Stem::Imagenet => Conv2d::new([3, width], 7, 2, 3, device),
            Stem::Cifar => Conv2d::new([3, width], 3, 1, 1, device),
        };
        let mut channels = width;
        let mut stage = |index: usize| {
            let stage_width = width << index;
            (0..blocks[index])
                .map(|block| {
                    let stride = if index > 0 && block == 0 { 2 } else { 1 };
                    let built = ResidualBlock::new(branch, channels, stage_width, stride, device);
                    channels = stage_width * branch.expansion();
                    built
                })
                .collect()
        };
        let [layer1, layer2, layer3, layer4] = [0, 1, 2, 3].map(&mut stage);
        Ok(Self {
            conv1,
            bn1: BatchNorm2d::new(width, device),
            layer1,
            layer2,
            layer3,
            layer4,
            fc: Linear::new(channels, classes, true, device),
            config: config.clone(),
        })
    }

    /// Sizes this model was built with.
    pub fn config(&self) -> &ResNetConfig {
        &self.config
    }

    fn blocks(&self) -> impl Iterator<Item = (FeatureSite, &ResidualBlock)> {
        in_stages([&self.layer1, &self.layer2, &self.layer3, &self.layer4])
    }
}

/// The features are the mean of the last feature map over its positions.
impl ForwardPass for ResNet {
    fn feature_dim(&self) -> usize {
        self.fc.weight.lazy_shape()[1]
    }

    fn features(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        let x = self.stem(images, pass);
        self.features_from_block(0, x, pass)
    }

    fn head(&self, features: Tensor<2>, precision: Precision) -> Tensor<2> {
        self.fc.forward(features, precision)
    }

    fn residual(&self) -> Option<&dyn Residual> {
        Some(self)
    }
}

impl Residual for ResNet {
    fn depth(&self) -> usize {
        self.blocks().count()
    }

    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let x = self.bn1.forward(&self.conv1, images, ChannelEpilogue::relu(), pass);
        match self.config.stem {
            Stem::Imagenet => ops::max_pool2d(x, 3, 2, 1),
            Stem::Cifar => x,
        }
    }

    fn addends(&self, block: usize, map: Tensor<4>, pass: &mut Pass) -> [Tensor<4>; 2] {
        let (_, block) = self.blocks().nth(block).expect("the network has this block");
        [block.shortcut(map.clone(), pass), block.branch(map, ChannelEpilogue::default(), pass)]
    }

    fn features_from_block(&self, block: usize, mut map: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        for (site, block) in self.blocks().skip(block) {
            map = block.forward(map, pass);
            map = pass.probe.features(&site, map);
        }
        ops::global_mean_pool(map)
    }
}
