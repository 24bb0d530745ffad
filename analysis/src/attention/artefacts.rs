//! Artefact tokens (Darcet et al., 2024, "Vision transformers need registers", section 2): a few patch tokens of large norm in
//! which a model keeps what is not about their place.

use archaeo_models::{Classifier, Pass, Probe, TokenPlace, TokenSite};
use archaeo_ops::in_pool;
use burn::tensor::{Tensor, TensorData};

use crate::AnalysisError;
use crate::tensors::values;

/// Norms of the patch tokens that leave one block.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorms {
    /// Rows and columns of the patches.
    pub grid: [usize; 2],
    /// L2 norms, `(images, patches)`.
    pub norms: Vec<f32>,
}

/// Norms of the patch tokens of some images, layer by layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenNorms {
    /// From the input to the output.
    pub layers: Vec<LayerNorms>,
}

impl TokenNorms {
    /// Adds a batch of images, `[batch, 3, height, width]` in [0, 1].
    ///
    /// # Errors
    /// A model without attention.
    pub fn add(&mut self, model: &Classifier, images: Tensor<4>) -> Result<(), AnalysisError> {
        super::require_attention(model)?;
        let mut recorder = NormRecorder::default();
        in_pool(|| model.logits(images, &mut Pass::evaluate(&mut recorder)));
        if self.layers.is_empty() {
            self.layers = recorder.layers;
        } else {
            for (layer, more) in self.layers.iter_mut().zip(recorder.layers) {
                layer.norms.extend(more.norms);
            }
        }
        Ok(())
    }

    /// Where artefact tokens are; `None` where no layer has any.
    pub fn artefacts(&self) -> Option<Artefacts> {
        let layers: Vec<Option<LayerArtefacts>> = self.layers.iter().map(LayerArtefacts::find).collect();
        layers.iter().any(Option::is_some).then_some(Artefacts { layers })
    }
}

#[derive(Default)]
struct NormRecorder {
    layers: Vec<LayerNorms>,
}

impl Probe for NormRecorder {
    fn wants_attention(&self, _: &archaeo_models::AttentionSite) -> bool {
        false
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        if site.place == TokenPlace::BlockOutput {
            self.layers.push(LayerNorms { grid: site.grid, norms: patch_norms(site, &tokens) });
        }
        tokens
    }
}

/// `(batch, patches)`
fn patch_norms(site: &TokenSite, tokens: &Tensor<3>) -> Vec<f32> {
    let count = tokens.dims()[1];
    let patches = tokens.clone().narrow(1, site.prefix_tokens, count - site.prefix_tokens);
    values(patches.powi_scalar(2).sum_dim(2).sqrt())
}

/// Artefact tokens in the output of one block.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerArtefacts {
    /// Norms above this are artefacts.
    pub threshold: f64,
    /// Median norm of all patches.
    pub median: f64,
    /// Median norm of the artefacts.
    pub artefact_median: f64,
    /// Share of patches that are artefacts.
    pub share: f64,
    /// Mean number of artefacts at each patch over images, `(patches)`.
    pub places: Vec<f64>,
}

/// Most patches that can be exceptions.
const MOST: f64 = 0.2;

/// The distribution is sparse within this factor of a threshold on either side.
const MARGIN: f64 = 1.1;

/// So many patches may lie there, as a share of those above.
const FEW: f64 = 0.1;

/// Artefacts have at least this many times the median norm.
const LARGE: f64 = 2.0;

impl LayerArtefacts {
    /// The threshold is the norm, among those that at most 20 % of the patches exceed, around which (within 10 %) the fewest
    /// patches lie relative to those above; there are artefacts if these few are at most a tenth of those above, and those above
    /// have at least twice the median norm.
    fn find(layer: &LayerNorms) -> Option<Self> {
        let mut sorted: Vec<f64> = layer.norms.iter().map(|norm| f64::from(*norm)).collect();
        if sorted.iter().any(|norm| !norm.is_finite()) || sorted.is_empty() {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let fewest = (n / 2_000).max(2);
        let median = sorted[n / 2];
        let first = ((1.0 - MOST) * n as f64) as usize;
        let candidate = |below: usize| {
            let threshold = (sorted[below] * sorted[below + 1]).sqrt();
            let near = sorted.partition_point(|norm| *norm <= threshold * MARGIN)
                - sorted.partition_point(|norm| *norm < threshold / MARGIN);
            let above = n - 1 - below;
            let gap = sorted[below + 1] / sorted[below].max(f64::MIN_POSITIVE);
            (near as f64 / above as f64, gap, threshold, above)
        };
        let candidates = (first..n.saturating_sub(fewest)).filter(|below| below + 1 < n).map(candidate);
        let (crowd, _, threshold, above) =
            candidates.min_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)))?;
        let artefact_median = sorted[n - above / 2 - 1];
        if crowd > FEW || artefact_median < LARGE * median {
            return None;
        }
        let patches = layer.grid[0] * layer.grid[1];
        let images = n / patches;
        let mut places = vec![0.0; patches];
        for image in layer.norms.chunks(patches) {
            for (place, norm) in places.iter_mut().zip(image) {
                *place += f64::from(u8::from(f64::from(*norm) > threshold)) / images as f64;
            }
        }
        Some(Self { threshold, median, artefact_median, share: above as f64 / n as f64, places })
    }
}

/// Where a model has artefact tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Artefacts {
    /// From the input to the output; `None` for a layer without any.
    pub layers: Vec<Option<LayerArtefacts>>,
}

impl Artefacts {
    /// The first layer with artefacts, counted from 0.
    pub fn first_layer(&self) -> usize {
        self.layers.iter().position(Option::is_some).expect("a layer has artefacts")
    }

    /// The layer with most of them, counted from 0, and what it has.
    pub fn clearest(&self) -> (usize, &LayerArtefacts) {
        let layers =
            self.layers.iter().enumerate().filter_map(|(layer, found)| Some((layer, found.as_ref()?)));
        layers.max_by(|a, b| a.1.share.total_cmp(&b.1.share)).expect("a layer has artefacts")
    }

    /// What replaces them.
    pub fn replacement(&self) -> Replacement {
        let threshold = |layer: &Option<LayerArtefacts>| layer.as_ref().map(|layer| layer.threshold);
        Replacement { thresholds: self.layers.iter().map(threshold).collect() }
    }
}

/// Replaces patch tokens above a layer's threshold by the mean of the image's other patch tokens, in the output of every block
/// that has a threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Replacement {
    thresholds: Vec<Option<f64>>,
}

impl Replacement {
    /// The tokens to go on with, `[batch, tokens, width]`.
    pub fn apply(&self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        let threshold = self.thresholds.get(site.layer).copied().flatten();
        let (TokenPlace::BlockOutput, Some(threshold)) = (site.place, threshold) else { return tokens };
        let [batch, count, width] = tokens.dims();
        let patches = count - site.prefix_tokens;
        let norms = patch_norms(site, &tokens);
        let artefact: Vec<bool> = norms.iter().map(|norm| f64::from(*norm) > threshold).collect();
        if !artefact.contains(&true) {
            return tokens;
        }
        let mut numbers = values(tokens.clone());
        for (image, artefact) in artefact.chunks(patches).enumerate() {
            let image = &mut numbers[image * count * width..][..count * width];
            let rows = &mut image[site.prefix_tokens * width..];
            let others = artefact.iter().filter(|artefact| !**artefact).count();
            let mut mean = vec![0.0f64; width];
            for (row, _) in rows.chunks(width).zip(artefact).filter(|(_, artefact)| !**artefact) {
                mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value) / others as f64);
            }
            for (row, _) in rows.chunks_mut(width).zip(artefact).filter(|(_, artefact)| **artefact) {
                row.iter_mut().zip(&mean).for_each(|(value, mean)| *value = *mean as f32);
            }
        }
        Tensor::from_data(TensorData::new(numbers, [batch, count, width]), &tokens.device())
    }
}

/// Alone, it is a pass without artefacts.
impl Probe for Replacement {
    fn wants_attention(&self, _: &archaeo_models::AttentionSite) -> bool {
        false
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        self.apply(site, tokens)
    }
}

#[cfg(test)]
mod tests {
    use archaeo_random::{keyed_rng, standard_normal};
    use burn::tensor::Device;

    use super::*;

    /// 50 images of 8 × 8 patches with norms around 10, of which patch 9 of every second image has 100.
    fn norms(artefacts: bool) -> LayerNorms {
        let mut rng = keyed_rng(1, "norms", 0, 0);
        let mut norms: Vec<f32> =
            (0..50 * 64).map(|_| 10.0 * (0.15 * standard_normal(&mut rng)).exp() as f32).collect();
        if artefacts {
            (0..25).for_each(|image| norms[2 * image * 64 + 9] *= 10.0);
        }
        LayerNorms { grid: [8, 8], norms }
    }

    #[test]
    fn a_gap_separates_artefacts_and_a_tail_is_none() {
        let found = TokenNorms { layers: vec![norms(false), norms(true)] }.artefacts().unwrap();
        assert_eq!((found.first_layer(), found.layers[0].is_none()), (1, true));
        let (layer, clearest) = found.clearest();
        assert_eq!((layer, clearest.share), (1, 25.0 / 3200.0));
        assert!((20.0..70.0).contains(&clearest.threshold), "{}", clearest.threshold);
        assert!((clearest.places[9] - 0.5).abs() < 1e-12);
        assert_eq!(clearest.places.iter().sum::<f64>(), clearest.places[9]);
        // Norms with a heavy tail, but without a gap.
        let mut rng = keyed_rng(2, "norms", 0, 0);
        let heavy = (0..6400).map(|_| (0.8 * standard_normal(&mut rng)).exp() as f32).collect();
        let tail = TokenNorms { layers: vec![LayerNorms { grid: [8, 8], norms: heavy }] };
        assert_eq!(tail.artefacts(), None);
    }

    #[test]
    fn an_artefact_becomes_the_mean_of_the_other_patches() {
        let rows = [[9.0, 9.0], [1.0, 0.0], [30.0, 40.0], [0.0, 3.0]];
        let tokens = Tensor::from_data(TensorData::new(rows.concat(), [1, 4, 2]), &Device::flex());
        let replacement = Replacement { thresholds: vec![None, Some(20.0)] };
        let site = |layer, place| TokenSite { layer, place, grid: [1, 3], prefix_tokens: 1 };
        let out = |layer, place| values(replacement.apply(&site(layer, place), tokens.clone()));
        let found = out(1, TokenPlace::BlockOutput);
        assert_eq!(found, [9.0, 9.0, 1.0, 0.0, 0.5, 1.5, 0.0, 3.0]);
        assert_eq!(out(1, TokenPlace::BlockInput), rows.concat());
        assert_eq!(out(0, TokenPlace::BlockOutput), rows.concat());
    }
}
