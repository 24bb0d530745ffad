//! A head that says of each pixel whether it belongs to the object.

use archaeo_ops::{self as ops, gelu};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::VitComerConfig;
use super::pyramid::{map_of, resized, tokens_of};
use crate::layers::Linear;
use crate::pass::Pass;

/// A projection of each of the four maps, their sum at the size of the finest, GELU, and one score per place (the all-MLP decoder of
/// SegFormer, Xie et al., 2021, section 3.2, with a sum in place of a concatenation), interpolated to the pixels.
#[derive(Module, Debug)]
pub struct MaskHead {
    /// `[mask_width, width]` each, the finest first.
    pub levels: Vec<Linear>,
    /// `[1, mask_width]`
    pub out: Linear,
}

impl MaskHead {
    pub(super) fn new(config: &VitComerConfig, device: &Device) -> Self {
        let VitComerConfig { width, mask_width, .. } = *config;
        Self {
            levels: (0..4).map(|_| Linear::new(width, mask_width, true, device)).collect(),
            out: Linear::new(mask_width, 1, true, device),
        }
    }

    /// Logits of the object for the four maps of a pyramid, the finest first.
    ///
    /// # Shapes
    /// `[batch, width, rows, columns]` each → `[batch, height, width]`
    pub(super) fn forward(&self, maps: [Tensor<4>; 4], size: [usize; 2], pass: &Pass) -> Tensor<3> {
        let [batch, _, rows, columns] = maps[0].dims();
        let projected = maps.into_iter().zip(&self.levels).map(|(map, level)| {
            let [_, _, of_rows, of_columns] = map.dims();
            let map = map_of(level.forward(tokens_of(map), pass.precision), [of_rows, of_columns]);
            tokens_of(resized(map, [rows, columns]))
        });
        let joined = gelu(projected.reduce(ops::add).expect("there are four maps"));
        let scores = map_of(self.out.forward(joined, pass.precision), [rows, columns]);
        resized(scores, size).reshape([batch, size[0], size[1]])
    }
}
