//! What the two branches exchange (section 3.3, CNN–Transformer bidirectional fusion interaction).

use archaeo_ops::{self as ops, Precision};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::VitComerConfig;
use super::deformable::DeformableAttention;
use super::pyramid::{Grids, PyramidMlp, map_of, resized, tokens_of};
use crate::layers::{LayerNorm, zeros};

/// Epsilon of every layer norm.
pub(super) const EPSILON: f64 = 1e-6;

/// Deformable attention of the pyramid over itself and an MLP: `a = [x +] attention(norm(x), norm(x))`, then `a + mlp(norm(a))`.
#[derive(Module, Debug)]
pub struct PyramidAttention {
    /// Layer norm of what asks, `[width]`.
    pub query_norm: LayerNorm,
    /// Layer norm of what is read, `[width]`.
    pub value_norm: LayerNorm,
    /// Over all maps.
    pub attn: DeformableAttention,
    /// Layer norm before the MLP, `[width]`.
    pub mlp_norm: LayerNorm,
    /// Of each place and its neighbours.
    pub mlp: PyramidMlp,
}

impl PyramidAttention {
    pub(super) fn new(config: &VitComerConfig, device: &Device) -> Self {
        let VitComerConfig { width, deformable_heads, points, .. } = *config;
        let norm = || LayerNorm::new(width, EPSILON, device);
        Self {
            query_norm: norm(),
            value_norm: norm(),
            attn: DeformableAttention::new(width, deformable_heads, points, device),
            mlp_norm: norm(),
            mlp: PyramidMlp::new(width, device),
        }
    }

    fn read(&self, places: Tensor<3>, grids: &Grids, precision: Precision) -> Tensor<3> {
        let queries = self.query_norm.forward(places.clone());
        self.attn.forward(queries, self.value_norm.forward(places), grids, precision)
    }

    fn then_mlp(&self, places: Tensor<3>, grids: &Grids, precision: Precision) -> Tensor<3> {
        let normed = self.mlp_norm.forward(places.clone());
        self.mlp.forward_onto(places, normed, grids, precision)
    }

    /// With the shortcut around the attention: what the pyramid becomes.
    ///
    /// # Shapes
    /// `[batch, places, width]` → the same
    pub(super) fn forward(&self, places: Tensor<3>, grids: &Grids, precision: Precision) -> Tensor<3> {
        let read = self.read(places.clone(), grids, precision);
        self.then_mlp(ops::add(places, read), grids, precision)
    }
}

/// From the pyramid to the transformer: what its places read, without the shortcut, every map brought to the grid of the patches, their
/// sum times a scale of each channel that starts at zero, so that a transformer begins as the one it was.
#[derive(Module, Debug)]
pub struct ToVit {
    /// Of the pyramid over itself.
    pub attention: PyramidAttention,
    /// `[width]`
    pub gamma: Param<Tensor<1>>,
}

impl ToVit {
    pub(super) fn new(config: &VitComerConfig, device: &Device) -> Self {
        Self { attention: PyramidAttention::new(config, device), gamma: zeros([config.width], device) }
    }

    /// `tokens` `[batch, patches, width]` and `places` `[batch, places, width]` → like `tokens`
    pub(super) fn forward(
        &self,
        tokens: Tensor<3>,
        places: Tensor<3>,
        grids: &Grids,
        precision: Precision,
    ) -> Tensor<3> {
        let read = self.attention.read(places, grids, precision);
        let maps = grids.split(self.attention.then_mlp(read, grids, precision));
        let [_, patches, _] = grids.levels();
        let resized = maps.into_iter().zip(grids.levels()).map(|(map, grid)| match grid == patches {
            true => map,
            false => tokens_of(resized(map_of(map, grid), patches)),
        });
        let sum = resized.reduce(ops::add).expect("a pyramid has maps");
        ops::add(tokens, sum * self.gamma.val().unsqueeze())
    }
}
