//! Self-attention within (shifted) windows, with a relative position bias (section 3.2).

use archaeo_ops as ops;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::attention::project_onto;
use crate::layers::{Linear, zeros};
use crate::pass::Pass;
use crate::probe::AttentionSite;
use crate::window::Window;

/// Added to the score of a key in another region: every implementation uses this number, not −∞.
const MASKED: f32 = -100.0;

/// Self-attention within windows, with a learned bias for every relative offset.
#[derive(Module, Debug)]
pub struct WindowAttention {
    /// `[(2 · side − 1)², heads]`: one row per offset of rows and columns, in reading order.
    pub relative_position_bias_table: Param<Tensor<2>>,
    /// Query, key and value stacked along the outputs, `[3 · width, width]`.
    pub qkv: Linear,
    /// Mixes the heads, `[width, width]`.
    pub proj: Linear,
    heads: usize,
    weight_dropout: f64,
    output_dropout: f64,
}

impl WindowAttention {
    /// Attention with placeholder weights, for windows of side `side`.
    pub(super) fn new(width: usize, heads: usize, side: usize, dropout: [f64; 2], device: &Device) -> Self {
        let [weight_dropout, output_dropout] = dropout;
        let offsets = 2 * side - 1;
        Self {
            relative_position_bias_table: zeros([offsets * offsets, heads], device),
            qkv: Linear::new(width, 3 * width, true, device),
            proj: Linear::new(width, width, true, device),
            heads,
            weight_dropout,
            output_dropout,
        }
    }

    /// The tokens of a map, `[batch, tokens, width]` → the same, added to `residual` where there is one. The probe sees the
    /// weights as `[batch · windows, heads, places, places]` and the head outputs as `[batch, heads, tokens, head_dim]`.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        residual: Option<Tensor<3>>,
        window: &Window,
        site: &AttentionSite,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let (places, windows) = (window.area(), window.count(site.grid));
        let head_dim = width / self.heads;
        let scale = (head_dim as f64).powf(-0.5);
        let device = x.device();

        let at_places = window.tokens(site.grid);
        let x = ops::gather_rows(x, &at_places).reshape([batch * windows, places, width]);
        let precision = pass.precision;
        let packed =
            self.qkv.forward(x, precision).reshape([batch * windows, places, 3, self.heads, head_dim]);
        let bias = Some(self.score_bias(window, site.grid, &device));
        let dropping = pass.training.is_some() && self.weight_dropout > 0.0;
        let context = if pass.probe.wants_attention(site) || dropping {
            let weights = ops::self_attention_weights(packed.clone(), bias, scale, precision);
            let weights = pass.probe.attention(site, weights);
            let shape = weights.dims();
            let of_images = weights.reshape([batch, windows, self.heads, places * places]);
            let stream = format!("attention weight dropout {}", site.layer);
            let of_images = pass.dropout(of_images, self.weight_dropout, &stream);
            ops::self_attention_context(of_images.reshape(shape), packed, precision)
        } else {
            ops::self_attention(packed, bias, scale, precision)
        };

        let mut place_of = vec![None; tokens];
        for (place, token) in at_places.into_iter().enumerate() {
            token.into_iter().for_each(|token| place_of[token] = Some(place));
        }
        let context = ops::gather_rows(context.reshape([batch, windows * places, width]), &place_of);
        let heads = context.reshape([batch, tokens, self.heads, head_dim]).swap_dims(1, 2);
        let heads = pass.probe.heads(site, heads);
        let heads = heads.swap_dims(1, 2).reshape([batch, tokens, width]);
        let stream = format!("attention output dropout {}", site.layer);
        project_onto(residual, &self.proj, heads, self.output_dropout, &stream, pass)
    }

    /// Relative positions, and the mask of shifted windows: `[1 or windows, heads, places, places]`.
    fn score_bias(&self, window: &Window, grid: [usize; 2], device: &Device) -> Tensor<4> {
        let [height, width] = window.size;
        let places = window.area();
        let offset = |index: usize| {
            let (query, key) = (index / places, index % places);
            let rows = query / width + height - 1 - key / width;
            let columns = query % width + width - 1 - key % width;
            (rows * (2 * width - 1) + columns) as i64
        };
        let offsets: Vec<i64> = (0..places * places).map(offset).collect();
        let offsets = Tensor::<1, Int>::from_data(TensorData::new(offsets, [places * places]), device);
        let bias = self.relative_position_bias_table.val().select(0, offsets);
        let bias = bias.swap_dims(0, 1).reshape([1, self.heads, places, places]);
        if window.shift == [0, 0] {
            return bias;
        }
        let regions = window.regions(grid);
        let mask: Vec<f32> = regions
            .chunks_exact(places)
            .flat_map(|window| {
                let row = move |query: &usize| {
                    let query = *query;
                    window.iter().map(move |&key| if key == query { 0.0 } else { MASKED })
                };
                window.iter().flat_map(row)
            })
            .collect();
        let shape = [window.count(grid), 1, places, places];
        bias + Tensor::<4>::from_data(TensorData::new(mask, shape), device)
    }
}
