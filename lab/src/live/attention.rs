//! What a model attends to in one image: matrices, the rows of a query, every head in numbers, rollout.

use archaeo_analysis::attention::{
    AttentionMaps, DistanceConvention, HeadStatistics, attention_statistics, query_rows,
};
use archaeo_analysis::attribution::{Applicability, Attribution, HeadFusion, Rollout, RolloutOptions};
use serde::Serialize;
use serde_json::json;

use super::model::{LayerLayout, LiveModel};
use super::{Live, LiveError};
use archaeo_store::arrays::{Array, Arrays, Numbers};

/// The most tokens of a matrix that is handed over.
const MOST_TOKENS: usize = 600;

/// The most weights, of all layers together, that are handed over.
const MOST_WEIGHTS: usize = 1 << 25;

/// The heads of all layers, in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayersOfHeads {
    /// From the input to the output.
    pub layers: Vec<HeadsOfLayer>,
}

/// The heads of one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeadsOfLayer {
    /// Counted from 1.
    pub layer: usize,
    /// Rows and columns of its patches.
    pub grid: [usize; 2],
    /// Distance, in pixels, of a head that gives every patch the same weight.
    pub even_distance: f64,
    /// Mean Jensen-Shannon divergence between two heads, in nats.
    pub diversity: f64,
    /// In their order.
    pub heads: Vec<OneHead>,
}

/// One head on one image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OneHead {
    /// Counted from 1.
    pub head: usize,
    /// Mean attention distance, in pixels of the input.
    pub distance: f64,
    /// Entropy over that of even weights: 0 for one key, 1 for all alike.
    pub entropy: f64,
    /// Hoyer's sparsity: 0 for all alike, 1 for one key.
    pub sparsity: f64,
    /// Weight that patches give to prefix tokens.
    pub prefix_mass: f64,
}

/// Which rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RolloutRequest {
    /// How the heads of a layer become one matrix: `mean`, `max` or `min`; the mean where nothing is chosen.
    pub fusion: Option<String>,
    /// Share of each row that is set to zero, in [0, 1).
    pub discard: f64,
    /// The first layer that counts, from 1; 0 for the first.
    pub start: usize,
}

impl LiveModel {
    /// Whether the matrices of all layers are handed over in one piece: all tokens attend to all, and there are not too many.
    pub(super) fn is_whole(&self) -> bool {
        let Some(first) = self.layout.first() else { return false };
        let tokens = first.site.tokens();
        let heads: usize = self.layout.iter().map(|layer| layer.heads).sum();
        let alike = |layer: &LayerLayout| {
            layer.site.window.is_none() && layer.heads == first.heads && layer.site.grid == first.site.grid
        };
        self.layout.iter().all(alike) && tokens <= MOST_TOKENS && heads * tokens * tokens <= MOST_WEIGHTS
    }
}

impl Live {
    /// The matrices of all layers and heads, `(layers, heads, tokens, tokens)`, rows being queries and prefix tokens first, rounded to
    /// 16 bits.
    ///
    /// # Errors
    /// A model without attention, or whose matrices are not handed over in one piece.
    pub fn matrices(&self, model: &str, image: &str) -> Result<Arrays, LiveError> {
        let (_, live) = self.model(model)?;
        let seen = self.seen(model, image)?;
        let maps = self.attended(live, &seen)?;
        if !live.is_whole() {
            return Err(LiveError::NotWhole { model: live.name.clone() });
        }
        Ok(whole(maps))
    }

    /// What a query attends to in every layer and head: the patch at `at`, its place as shares of the image's height and width, or
    /// what the model's head reads.
    ///
    /// # Errors
    /// A model without attention, or a place outside of the image.
    pub fn rows(&self, model: &str, image: &str, at: Option<[f64; 2]>) -> Result<Arrays, LiveError> {
        if at.is_some_and(|at| at.iter().any(|share| !(0.0..1.0).contains(share))) {
            return Err(LiveError::Asked(
                "a query is a row and a column as shares of the image, in [0, 1)".into(),
            ));
        }
        let (_, live) = self.model(model)?;
        let seen = self.seen(model, image)?;
        let rows = query_rows(self.attended(live, &seen)?, 0, at);
        let mut arrays = Vec::new();
        let mut places = Vec::new();
        for (layer, rows) in rows.into_iter().enumerate() {
            let [height, width] = rows.grid;
            let heads = rows.patches.len() / (height * width);
            let prefix = rows.prefix.len() / heads;
            places.push(json!(rows.query));
            arrays.push(Array::f32(format!("layer_{}", layer + 1), [heads, height, width], rows.patches));
            arrays.push(Array::f32(format!("prefix_{}", layer + 1), [heads, prefix], rows.prefix));
        }
        let query = if at.is_some() { json!(places) } else { json!("readout") };
        Ok(Arrays { arrays, about: json!({ "query": query }) })
    }

    /// Every head in numbers.
    ///
    /// # Errors
    /// A model without attention.
    pub fn heads(&self, model: &str, image: &str) -> Result<LayersOfHeads, LiveError> {
        let (_, live) = self.model(model)?;
        let seen = self.seen(model, image)?;
        let maps = self.attended(live, &seen)?;
        let statistics = attention_statistics(maps, DistanceConvention::default()).swap_remove(0);
        let layers = statistics.iter().zip(&maps.layers).enumerate().map(|(layer, (of, layer_maps))| {
            let head = |(head, of): (usize, &HeadStatistics)| OneHead {
                head: head + 1,
                distance: of.distance,
                entropy: of.normalised_entropy,
                sparsity: of.hoyer,
                prefix_mass: [of.class_token_mass, of.distillation_token_mass, of.register_mass]
                    .into_iter()
                    .flatten()
                    .sum(),
            };
            HeadsOfLayer {
                layer: layer + 1,
                grid: layer_maps.site.grid,
                even_distance: layer_maps.even_distance(maps.image_size),
                diversity: of.diversity,
                heads: of.heads.iter().enumerate().map(head).collect(),
            }
        });
        Ok(LayersOfHeads { layers: layers.collect() })
    }

    /// Attention rollout towards what the model's head reads, on the first layer's grid.
    ///
    /// # Errors
    /// A model to which rollout does not apply, or options that it does not have.
    pub fn rollout(&self, model: &str, image: &str, asked: &RolloutRequest) -> Result<Arrays, LiveError> {
        let (_, live) = self.model(model)?;
        let RolloutRequest { discard, start, .. } = *asked;
        let fusion = match asked.fusion.as_deref() {
            None | Some("mean") => HeadFusion::Mean,
            Some("max") => HeadFusion::Max,
            Some("min") => HeadFusion::Min,
            Some(other) => {
                return Err(LiveError::Asked(format!("heads are fused by mean, max or min, not {other:?}")));
            }
        };
        let layers = live.classifier.card().network.attention_layers();
        let start_layer = start.max(1);
        if !(0.0..1.0).contains(&discard) || start_layer > layers.max(1) {
            let said = format!("rollout discards a share in [0, 1) and starts at a layer from 1 to {layers}");
            return Err(LiveError::Asked(said));
        }
        let method = Rollout { options: RolloutOptions { fusion, discard, start_layer } };
        if let Applicability::DoesNot(reason) = method.applies(&live.classifier) {
            return Err(reason.into());
        }
        let seen = self.seen(model, image)?;
        let map = method.of_maps(self.attended(live, &seen)?).swap_remove(0);
        let about = json!({ "options": method.options, "unusual": method.options.describe() });
        Ok(Arrays { arrays: vec![Array::f32("map", [map.height, map.width], map.values)], about })
    }
}

/// The matrices of a model without windows.
pub(super) fn whole(maps: &AttentionMaps) -> Arrays {
    let first = &maps.layers[0];
    let shape = [maps.layers.len(), first.heads, first.places, first.places];
    let values = maps.layers.iter().flat_map(|layer| layer.values.iter().copied()).collect();
    let about = json!({
        "grid": first.site.grid,
        "prefix": first.site.prefix.count(),
        "read_out_weights": first.site.read_out_weights(),
    });
    let attention = Array { name: "attention".into(), shape: shape.into(), numbers: Numbers::F16(values) };
    Arrays { arrays: vec![attention], about }
}
