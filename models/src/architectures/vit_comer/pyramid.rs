//! The convolutional branch: a stem that makes four maps of an image, and what works on the pyramid of three of them.

use archaeo_ops::{self as ops, Convolution, Precision, gelu, max_pool2d};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::VitComerConfig;
use crate::architectures::efficientvit::ConvNorm;
use crate::layers::{Conv2d, Linear, zeros};
use crate::pass::Pass;

/// Rows and columns of the maps of a pyramid, the finest first. Their places follow one another along the rows of an array
/// `[batch, places, width]`, map by map.
#[derive(Clone, Debug)]
pub struct Grids([[usize; 2]; Self::LEVELS]);

impl Grids {
    /// Number of maps.
    pub const LEVELS: usize = 3;

    /// Of a pyramid whose middle map has the grid of the patches.
    pub(super) fn around([rows, columns]: [usize; 2]) -> Self {
        Self([[2 * rows, 2 * columns], [rows, columns], [rows / 2, columns / 2]])
    }

    #[cfg(test)]
    pub(super) fn of(grids: [[usize; 2]; Self::LEVELS]) -> Self {
        Self(grids)
    }

    /// The grids.
    pub(super) fn levels(&self) -> [[usize; 2]; Self::LEVELS] {
        self.0
    }

    /// The maps as arrays of their own.
    pub(super) fn split(&self, places: Tensor<3>) -> [Tensor<3>; Self::LEVELS] {
        let mut first = 0;
        self.0.map(|[rows, columns]| {
            let map = places.clone().narrow(1, first, rows * columns);
            first += rows * columns;
            map
        })
    }

    /// `change` of each map, back in one array.
    fn each(&self, places: Tensor<3>, mut change: impl FnMut(usize, Tensor<4>) -> Tensor<4>) -> Tensor<3> {
        let maps = self.split(places).into_iter().zip(self.0).enumerate();
        let changed = maps.map(|(level, (map, grid))| tokens_of(change(level, map_of(map, grid))));
        Tensor::cat(changed.collect(), 1)
    }

    /// Adds the transformer's tokens to the middle map.
    pub(super) fn with_tokens(&self, places: Tensor<3>, tokens: Tensor<3>) -> Tensor<3> {
        let [fine, same, coarse] = self.split(places);
        Tensor::cat(vec![fine, ops::add(same, tokens), coarse], 1)
    }
}

/// `[batch, places, width]` → `[batch, width, rows, columns]`
pub(super) fn map_of(tokens: Tensor<3>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let [batch, _, width] = tokens.dims();
    tokens.swap_dims(1, 2).reshape([batch, width, rows, columns])
}

/// `[batch, width, rows, columns]` → `[batch, places, width]`
pub(super) fn tokens_of(map: Tensor<4>) -> Tensor<3> {
    let [batch, width, rows, columns] = map.dims();
    map.reshape([batch, width, rows * columns]).swap_dims(1, 2)
}

/// Bilinear interpolation between the centres of pixels, edges extended: PyTorch's `interpolate(mode="bilinear",
/// align_corners=False)`.
pub(super) fn resized(map: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    // Along the last axis, twice.
    let along = |map: Tensor<4>, length: usize| {
        let from = map.dims()[3];
        match from == length {
            true => map,
            false => {
                ops::linear(map.clone(), interpolation(from, length, &map.device()), None, Precision::F32)
            }
        }
    };
    along(along(map, columns).swap_dims(2, 3), rows).swap_dims(2, 3)
}

/// The shares of `from` pixels in each of `to`, `[to, from]`.
fn interpolation(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let mut shares = vec![0f32; to * from];
    for (pixel, shares) in shares.chunks_exact_mut(from).enumerate() {
        let place = ((pixel as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64);
        let (first, share) = (place.floor() as usize, place.fract() as f32);
        shares[first] += 1.0 - share;
        shares[(first + 1).min(from - 1)] += share;
    }
    Tensor::from_data(TensorData::new(shares, [to, from]), device)
}

/// Makes four maps of an image: 3×3 convolutions, each with batch norm and ReLU, and a projection of each map to the width.
#[derive(Module, Debug)]
pub struct ComerStem {
    /// To the first channels; of stride 2 for patches of 8 px or more.
    pub conv1: ConvNorm,
    /// Of stride 1.
    pub conv2: ConvNorm,
    /// Of stride 1; for patches of 16 px a max-pooling follows.
    pub conv3: ConvNorm,
    /// To half the side and twice the channels.
    pub down1: ConvNorm,
    /// To half the side and twice the channels.
    pub down2: ConvNorm,
    /// To half the side.
    pub down3: ConvNorm,
    /// Of each map, the finest first.
    pub proj: Vec<Linear>,
    pools: bool,
}

impl ComerStem {
    pub(super) fn new(config: &VitComerConfig, device: &Device) -> Self {
        let [inner, second, third, fourth] = config.channels();
        let conv = |inputs, outputs, stride| {
            ConvNorm::new(Conv2d::new([inputs, outputs], 3, stride, 1, device), outputs, device)
        };
        Self {
            conv1: conv(3, inner, if config.patch_size >= 8 { 2 } else { 1 }),
            conv2: conv(inner, inner, 1),
            conv3: conv(inner, inner, 1),
            down1: conv(inner, second, 2),
            down2: conv(second, third, 2),
            down3: conv(third, fourth, 2),
            proj: config.channels().map(|channels| Linear::new(channels, config.width, true, device)).into(),
            pools: config.patch_size >= 16,
        }
    }

    /// The channels of the finest map, and the three others projected to the width.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` → `[batch, conv_width, ..]`, `[batch, places, width]` each
    pub(super) fn forward(
        &self,
        images: Tensor<4>,
        pass: &mut Pass,
    ) -> (Tensor<4>, [Tensor<3>; Grids::LEVELS]) {
        let mut x = images;
        for conv in [&self.conv1, &self.conv2, &self.conv3] {
            x = conv.relu(x, pass);
        }
        let finest = if self.pools { max_pool2d(x, 3, 2, 1) } else { x };
        let mut x = finest.clone();
        let mut level = 0;
        let levels = [&self.down1, &self.down2, &self.down3].map(|conv| {
            x = conv.relu(x.clone(), pass);
            level += 1;
            self.proj[level].forward(tokens_of(x.clone()), pass.precision)
        });
        (finest, levels)
    }
}

/// Two sizes of receptive field for one map: half of the channels are convolved with 3×3 kernels, half with 5×5, each channel on its own.
#[derive(Module, Debug)]
pub struct ReceptiveFields {
    /// `[channels / 2, 1, 3, 3]`
    pub dw3: ConvNorm,
    /// `[channels / 2, 1, 5, 5]`
    pub dw5: ConvNorm,
}

impl ReceptiveFields {
    fn new(channels: usize, device: &Device) -> Self {
        let depthwise = |kernel| ConvNorm::depthwise(channels / 2, kernel, 1, device);
        Self { dw3: depthwise(3), dw5: depthwise(5) }
    }

    fn forward(&self, map: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let half = map.dims()[1] / 2;
        let narrow = self.dw3.plain(map.clone().narrow(1, 0, half), pass);
        let wide = self.dw5.plain(map.narrow(1, half, half), pass);
        gelu(Tensor::cat(vec![narrow, wide], 1))
    }
}

/// Multi-receptive field feature pyramid (section 3.2): to half the width, [`ReceptiveFields`] of each map, and back.
#[derive(Module, Debug)]
pub struct Mrfp {
    /// `[width / 2, width]`
    pub fc1: Linear,
    /// One per map.
    pub levels: Vec<ReceptiveFields>,
    /// `[width, width / 2]`
    pub fc2: Linear,
}

impl Mrfp {
    pub(super) fn new(width: usize, device: &Device) -> Self {
        Self {
            fc1: Linear::new(width, width / 2, true, device),
            levels: (0..Grids::LEVELS).map(|_| ReceptiveFields::new(width / 2, device)).collect(),
            fc2: Linear::new(width / 2, width, true, device),
        }
    }

    /// `[batch, places, width]` → the same
    pub(super) fn forward(&self, places: Tensor<3>, grids: &Grids, pass: &mut Pass) -> Tensor<3> {
        let narrow = self.fc1.forward(places, pass.precision);
        let mixed = grids.each(narrow, |level, map| self.levels[level].forward(map, pass));
        self.fc2.forward(mixed, pass.precision)
    }
}

/// A 3×3 convolution with a bias, of each channel on its own.
#[derive(Module, Debug)]
pub struct DepthwiseConv {
    /// `[channels, 1, 3, 3]`
    pub weight: Param<Tensor<4>>,
    /// `[channels]`
    pub bias: Param<Tensor<1>>,
}

impl DepthwiseConv {
    fn forward(&self, map: Tensor<4>, precision: Precision) -> Tensor<4> {
        let groups = map.dims()[1];
        let geometry = Convolution { stride: 1, padding: 1, groups };
        ops::conv2d(map, self.weight.val(), Some(self.bias.val()), geometry, precision)
    }
}

/// MLP of a quarter of the width, with a convolution of each map between its layers.
#[derive(Module, Debug)]
pub struct PyramidMlp {
    /// `[width / 4, width]`
    pub fc1: Linear,
    /// The same for all maps.
    pub dwconv: DepthwiseConv,
    /// `[width, width / 4]`
    pub fc2: Linear,
}

impl PyramidMlp {
    pub(super) fn new(width: usize, device: &Device) -> Self {
        let hidden = width / 4;
        Self {
            fc1: Linear::new(width, hidden, true, device),
            dwconv: DepthwiseConv { weight: zeros([hidden, 1, 3, 3], device), bias: zeros([hidden], device) },
            fc2: Linear::new(hidden, width, true, device),
        }
    }

    /// `residual` plus the MLP of `places`, both `[batch, places, width]`.
    pub(super) fn forward_onto(
        &self,
        residual: Tensor<3>,
        places: Tensor<3>,
        grids: &Grids,
        precision: Precision,
    ) -> Tensor<3> {
        let hidden = self.fc1.forward(places, precision);
        let hidden = gelu(grids.each(hidden, |_, map| self.dwconv.forward(map, precision)));
        self.fc2.forward_onto(residual, hidden, precision)
    }
}
