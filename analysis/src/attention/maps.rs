//! The attention weights of a whole forward pass, and their gradients, as plain arrays.

use std::collections::BTreeMap;

use archaeo_models::AttentionSite;
use burn::tensor::Tensor;

use crate::attribution::Heatmap;
use crate::tensors::class_indices;

/// The attention of one layer for a batch of images: the weights, or their gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerMaps {
    /// Which layer, on which grid, within which windows.
    pub site: AttentionSite,
    /// Number of heads.
    pub heads: usize,
    /// Windows of an image; 1 where all tokens attend to all.
    pub windows: usize,
    /// Places of a window. Without windows, the tokens: prefix tokens and then patches in reading order.
    pub places: usize,
    /// `(images, windows, heads, places, places)`, last axis (the keys) fastest.
    pub values: Vec<f32>,
}

/// Tokens of one layer that attend to one another and to no other token: all of them, or those of one region of one window.
/// Places at which a map was filled up belong to no group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    window: usize,
    places: Vec<usize>,
    /// The token at each of the places.
    pub tokens: Vec<usize>,
}

impl LayerMaps {
    pub(super) fn new(site: AttentionSite, values: Tensor<4>, images: usize) -> Self {
        let [rows, heads, places, _] = values.dims();
        Self { site, heads, windows: rows / images, places, values: crate::tensors::values(values) }
    }

    /// Prefix tokens and patches.
    pub fn tokens(&self) -> usize {
        self.site.tokens()
    }

    /// One head's `(places, places)` matrix in one window of one image: rows are queries, columns keys.
    pub fn head(&self, image: usize, window: usize, head: usize) -> &[f32] {
        let size = self.places * self.places;
        &self.values[((image * self.windows + window) * self.heads + head) * size..][..size]
    }

    /// Which tokens attend to which: every token is in exactly one group.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let Some(window) = &self.site.window else {
            let all: Vec<usize> = (0..self.tokens()).collect();
            return vec![Group { window: 0, places: all.clone(), tokens: all }];
        };
        let mut groups: BTreeMap<(usize, usize), Group> = BTreeMap::new();
        let places = window.tokens(self.site.grid).into_iter().zip(window.regions(self.site.grid));
        for (index, (token, region)) in places.enumerate() {
            let (window, place) = (index / self.places, index % self.places);
            let empty = || Group { window, places: Vec::new(), tokens: Vec::new() };
            if let Some(token) = token {
                let group = groups.entry((window, region)).or_insert_with(empty);
                group.places.push(place);
                group.tokens.push(token);
            }
        }
        groups.into_values().collect()
    }

    /// What a head gives to each token of `group` from its token `query`, as it stands.
    pub(crate) fn row<'a>(
        &'a self,
        image: usize,
        head: usize,
        group: &'a Group,
        query: usize,
    ) -> impl Iterator<Item = f64> + 'a {
        let row = &self.head(image, group.window, head)[group.places[query] * self.places..];
        group.places.iter().map(|&key| f64::from(row[key]))
    }

    /// [`LayerMaps::row`] of weights; where places were filled up, without what went to those, and normalised again.
    pub(crate) fn weights(&self, image: usize, head: usize, group: &Group, query: usize) -> Vec<f64> {
        let mut row: Vec<f64> = self.row(image, head, group, query).collect();
        let sum: f64 = row.iter().sum();
        if self.windows * self.places > self.tokens() && sum > 0.0 {
            row.iter_mut().for_each(|weight| *weight /= sum);
        }
        row
    }

    /// The mean over heads of [`LayerMaps::weights`] as the weights of one head, `(images, windows, places, places)`.
    pub(super) fn mean_over_heads(&self, images: usize) -> Vec<f32> {
        let size = self.places * self.places;
        let mut means = vec![0f64; images * self.windows * size];
        for group in self.groups() {
            for (image, head) in (0..images).flat_map(|image| (0..self.heads).map(move |head| (image, head)))
            {
                let window = &mut means[(image * self.windows + group.window) * size..][..size];
                for (query, &place) in group.places.iter().enumerate() {
                    let row = self.weights(image, head, &group, query);
                    for (&key, weight) in group.places.iter().zip(row) {
                        window[place * self.places + key] += weight / self.heads as f64;
                    }
                }
            }
        }
        means.into_iter().map(|mean| mean as f32).collect()
    }

    /// Mean attention distance, in pixels, of a head that gives every patch it may attend to the same weight: what “far” and
    /// “near” are measured against in this layer.
    pub fn even_distance(&self, image_size: [usize; 2]) -> f64 {
        let prefix = self.site.prefix.count();
        let [rows, columns] = self.site.grid;
        let of_group = |group: Group| -> f64 {
            let patches: Vec<usize> =
                group.tokens.iter().filter_map(|token| token.checked_sub(prefix)).collect();
            let distances = patch_distances(&patches, self.site.grid, image_size);
            distances.iter().sum::<f64>() / patches.len().max(1) as f64
        };
        self.groups().into_iter().map(of_group).sum::<f64>() / (rows * columns) as f64
    }
}

/// Distances between the centres of all pairs of `patches` of a grid, in pixels, one row a patch.
pub(crate) fn patch_distances(
    patches: &[usize],
    [rows, columns]: [usize; 2],
    image_size: [usize; 2],
) -> Vec<f64> {
    let cell = [image_size[0] as f64 / rows as f64, image_size[1] as f64 / columns as f64];
    let place = |patch: &usize| [(patch / columns) as f64 * cell[0], (patch % columns) as f64 * cell[1]];
    let distance = |from: [f64; 2], to: [f64; 2]| (from[0] - to[0]).hypot(from[1] - to[1]);
    patches.iter().flat_map(|from| patches.iter().map(move |to| distance(place(from), place(to)))).collect()
}

/// The attention of every layer for a batch of images: the weights, or their gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionMaps {
    /// Number of images.
    pub images: usize,
    /// Height and width of the input, in pixels.
    pub image_size: [usize; 2],
    /// From the input to the output.
    pub layers: Vec<LayerMaps>,
}

impl AttentionMaps {
    /// The grid of the first layer, the finest, as rows and columns.
    pub fn grid(&self) -> [usize; 2] {
        self.layers[0].site.grid
    }

    /// Of a pass's layers, from the input to the output; `None` without any.
    pub(crate) fn gathered(
        [images, height, width]: [usize; 3],
        layers: Vec<(AttentionSite, Tensor<4>)>,
    ) -> Option<Self> {
        let image_size = [height, width];
        let layers: Vec<_> =
            layers.into_iter().map(|(site, values)| LayerMaps::new(site, values, images)).collect();
        (!layers.is_empty()).then_some(Self { images, image_size, layers })
    }

    /// For each image, the Jensen-Shannon divergence in nats, mean over queries, between each pair of heads `(first, second)` of a
    /// layer with `first < second`, ordered by the second.
    pub fn pair_divergences(&self, layer: usize) -> Vec<Vec<f64>> {
        super::statistics::pair_divergences(&self.layers[layer], self.images, self.image_size)
    }

    /// What one head sends from the patches to the tokens that the model's head reads, each by its share in what is read
    /// ([`AttentionSite::read_out_weights`]): to the class token, to all patches on average, or to both. On the layer's own
    /// grid; weight on filled-up places is left out.
    pub fn readout_map(&self, layer: usize, image: usize, head: usize) -> Heatmap {
        self.map_towards(layer, image, head, &self.layers[layer].site.read_out_weights())
    }

    /// Mean over heads of [`AttentionMaps::readout_map`].
    pub fn mean_readout_map(&self, layer: usize, image: usize) -> Heatmap {
        let maps: Vec<Heatmap> =
            (0..self.layers[layer].heads).map(|head| self.readout_map(layer, image, head)).collect();
        Heatmap::mean(&maps).expect("a layer has heads")
    }

    /// What one head sends from the patches to all tokens, each by its entry in `shares`, as [`AttentionMaps::readout_map`].
    pub(crate) fn map_towards(&self, layer: usize, image: usize, head: usize, shares: &[f64]) -> Heatmap {
        let received = self.received(layer, image, head, shares);
        let site = &self.layers[layer].site;
        let [rows, columns] = site.grid;
        let patches = received[site.prefix.count()..].iter().map(|&sum| sum as f32).collect();
        Heatmap::new(rows, columns, patches)
    }

    /// What one head sends from each token, prefix tokens first, to all tokens, each by its entry in `shares`.
    pub(super) fn received(&self, layer: usize, image: usize, head: usize, shares: &[f64]) -> Vec<f64> {
        let layer = &self.layers[layer];
        let mut received = vec![0f64; layer.tokens()];
        for group in layer.groups() {
            let readers = group.tokens.iter().enumerate().filter(|(_, token)| shares[**token] != 0.0);
            for (query, &token) in readers {
                let row = layer.row(image, head, &group, query);
                group
                    .tokens
                    .iter()
                    .zip(row)
                    .for_each(|(&key, weight)| received[key] += shares[token] * weight);
            }
        }
        received
    }
}

/// Sum over images of the logit of each one's target class, `[batch, classes]` → `[1]`. Images do not influence each other
/// in a frozen model, so that the gradient of the sum holds every image's own.
pub(crate) fn target_score(logits: Tensor<2>, targets: &[usize]) -> Tensor<1> {
    let batch = logits.dims()[0];
    let indices = class_indices(targets, &logits).reshape([batch, 1]);
    logits.gather(1, indices).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, assert_close, class_token_site};

    #[test]
    fn weights_and_gradients_are_pytorchs() {
        let fixture = Fixture::load();
        let targets = fixture.targets();
        let vit = fixture.vit();
        let (weights, gradients) =
            AttentionMaps::record_with_gradients(&vit, fixture.images(), &targets).unwrap();
        for (found, name) in [(&weights, "attention"), (&gradients, "attention_gradient")] {
            let expected = fixture.attention(name);
            let site = class_token_site(2, [4, 4]);
            assert_eq!((found.layers[2].site, found.image_size), (site, [32, 32]));
            assert_eq!(found.layers.len(), expected.layers.len());
            for (found, expected) in found.layers.iter().zip(&expected.layers) {
                assert_close(&found.values, &expected.values, 3e-5);
            }
        }
        // With gradients the device may round otherwise.
        for (plain, tapped) in
            AttentionMaps::record(&vit, fixture.images()).unwrap().layers.iter().zip(&weights.layers)
        {
            assert_close(&plain.values, &tapped.values, 1e-6);
        }
        let class_row = &weights.layers[1].head(2, 0, 3)[1..17];
        assert_eq!(weights.readout_map(1, 2, 3).values, class_row);
    }

    #[test]
    fn a_residual_network_has_no_attention() {
        let fixture = Fixture::load();
        let refused = AttentionMaps::record(&fixture.resnet(), fixture.images()).unwrap_err();
        assert_eq!(refused.to_string(), "tiny has no attention heads; this study needs a vision transformer");
    }
}
