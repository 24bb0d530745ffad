//! The convolutional network of airbench (Jordan, 2024, section 3): a first layer that decorrelates 2×2 patches of the training images,
//! and three groups of two convolutions with max pooling between them. Small, and quick to train.
//!
//! Batch norms have a scale here, which the released code leaves out, and the final max pooling goes over the whole map, so that images
//! of other sizes have as many features; at 32 px it is the released one.

mod architecture;
mod whitening;

use archaeo_ops::{gelu, max_pool2d};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

pub use self::whitening::Whitening;
use crate::forward::ForwardPass;
use crate::layers::{BatchNorm2d, Conv2d, Linear};
use crate::pass::Pass;
use crate::probe::FeatureSite;
use crate::spec::{SpecError, check_sizes};
use crate::state::State;

/// What the features are divided by, so that the first logits are small: the released code divides the logits, which is the same.
const SCALE: f64 = 9.0;

/// The smallest image that three poolings leave something of.
const SMALLEST: usize = 9;

/// Sizes of an airbench network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AirbenchConfig {
    /// Side of the input in pixels.
    pub image_size: usize,
    /// Channels of the three groups: 64, 256 and 256 in airbench94.
    pub widths: [usize; 3],
    /// Number of classes; 0 for a backbone.
    pub classes: usize,
}

impl AirbenchConfig {
    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// One sentence naming the sizes that do not.
    pub fn validate(&self) -> Result<(), SpecError> {
        check_sizes("widths", &self.widths)?;
        check_sizes("image_size", &[self.image_size])?;
        if self.image_size < SMALLEST {
            return Err(SpecError::Sizes(format!(
                "image_size must be at least {SMALLEST}, of which three poolings leave one pixel, not {}",
                self.image_size
            )));
        }
        Ok(())
    }

    /// Sides of the map after the first layer and after each group.
    fn sides(&self) -> [usize; 4] {
        let first = self.image_size - 1;
        [first, first / 2, first / 4, first / 8]
    }
}

/// Two convolutions, the first followed by max pooling.
#[derive(Module, Debug)]
pub struct ConvGroup {
    /// First convolution, 3×3, before the pooling.
    pub conv1: Conv2d,
    /// After the pooling.
    pub norm1: BatchNorm2d,
    /// Second convolution, 3×3.
    pub conv2: Conv2d,
    /// After `conv2`.
    pub norm2: BatchNorm2d,
}

impl ConvGroup {
    fn new(inputs: usize, width: usize, device: &Device) -> Self {
        Self {
            conv1: Conv2d::new([inputs, width], 3, 1, 1, device),
            norm1: BatchNorm2d::new(width, device),
            conv2: Conv2d::new([width, width], 3, 1, 1, device),
            norm2: BatchNorm2d::new(width, device),
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let x = max_pool2d(self.conv1.forward(x, pass.precision), 2, 2, 0);
        let x = gelu(self.norm1.forward_map(x, pass));
        let x = self.conv2.forward(x, pass.precision);
        gelu(self.norm2.forward_map(x, pass))
    }
}

/// Convolutional network of airbench.
#[derive(Module, Debug)]
pub struct Airbench {
    /// First layer.
    pub whiten: Whitening,
    /// The groups.
    pub layers: Vec<ConvGroup>,
    /// `[classes, widths[2]]`; a model without it is a backbone.
    pub head: Option<Linear>,
    #[module(skip)]
    config: AirbenchConfig,
}

impl Airbench {
    /// A network with placeholder weights.
    ///
    /// # Errors
    /// As [`AirbenchConfig::validate`].
    pub fn new(config: &AirbenchConfig, device: &Device) -> Result<Self, SpecError> {
        config.validate()?;
        let AirbenchConfig { widths, classes, .. } = *config;
        let inputs = [Whitening::WIDTH, widths[0], widths[1]];
        Ok(Self {
            whiten: Whitening::new(device),
            layers: inputs
                .into_iter()
                .zip(widths)
                .map(|(inputs, width)| ConvGroup::new(inputs, width, device))
                .collect(),
            head: (classes > 0).then(|| Linear::new(widths[2], classes, false, device)),
            config: config.clone(),
        })
    }

    /// Sizes this model was built with.
    pub fn config(&self) -> &AirbenchConfig {
        &self.config
    }
}

/// The features are the maximum of the last feature map over its positions, divided by 9.
impl ForwardPass for Airbench {
    fn feature_dim(&self) -> usize {
        self.config.widths[2]
    }

    fn features(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        let mut map = gelu(self.whiten.forward(images, pass.precision));
        for (stage, layer) in (1..).zip(&self.layers) {
            map = layer.forward(map, pass);
            let site = FeatureSite { stage, block: 0, last: stage == self.layers.len() };
            map = pass.probe.features(&site, map);
        }
        let [batch, channels, side, _] = map.dims();
        max_pool2d(map, side, side, 0).reshape([batch, channels]) / SCALE
    }

    fn classifier(&self) -> Option<&Linear> {
        self.head.as_ref()
    }

    fn fitting_pixels(&self) -> usize {
        Whitening::PIXELS
    }

    fn fitted_arrays(&self, images: Tensor<4>) -> State {
        State::from([("whiten.weight".to_owned(), Whitening::weight_for(images))])
    }
}
