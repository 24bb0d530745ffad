//! A pass whose attention is reduced layer by layer while it runs: statistics, what is read, and rollout.
//!
//! Where all tokens attend to all, the kernel reduces the weights and never writes them ([`Observation`]); windowed layers are
//! reduced one at a time. Memory holds one mean over heads per layer where rollout is wanted, and small numbers.

use std::cell::RefCell;
use std::sync::Arc;

use archaeo_models::{AttentionSite, Classifier, Pass, Probe, TokenSite};
use archaeo_ops::{AttentionSums, Observation, in_pool};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::artefacts::Replacement;
use super::statistics::{mean_divergence, pair_divergences};
use super::{
    AttentionMaps, DistanceConvention, HeadStatistics, LayerMaps, LayerStatistics, attention_statistics,
    patch_distances,
};
use crate::AnalysisError;
use crate::attribution::rollout::rollout;
use crate::attribution::{Heatmap, RolloutOptions};

/// What was seen of one layer.
#[derive(Clone, Debug)]
pub struct ObservedLayer {
    /// Which layer, on which grid.
    pub site: AttentionSite,
    /// Number of heads.
    pub heads: usize,
    /// One entry per image.
    pub statistics: Vec<LayerStatistics>,
    /// For each image, the Jensen-Shannon divergence in nats, mean over queries, between each pair of heads `(first, second)` with
    /// `first < second`, ordered by the second.
    pub divergences: Vec<Vec<f64>>,
    /// What each head sends from the patches to what is read ([`AttentionMaps::readout_map`]), `(images, heads)`.
    pub read: Vec<Heatmap>,
    /// Mean over heads; empty unless rollout is wanted.
    mean: LayerMaps,
}

impl ObservedLayer {
    /// What one head sends to what is read.
    pub fn readout_map(&self, image: usize, head: usize) -> &Heatmap {
        &self.read[image * self.heads + head]
    }

    /// Mean over heads of [`ObservedLayer::readout_map`].
    pub fn mean_readout_map(&self, image: usize) -> Heatmap {
        Heatmap::mean(&self.read[image * self.heads..][..self.heads]).expect("a layer has heads")
    }

    /// [`LayerMaps::even_distance`].
    pub fn even_distance(&self, image_size: [usize; 2]) -> f64 {
        self.mean.even_distance(image_size)
    }
}

/// What was seen of a batch.
#[derive(Clone, Debug)]
pub struct ObservedAttention {
    /// Number of images.
    pub images: usize,
    /// Height and width of the input, in pixels.
    pub image_size: [usize; 2],
    /// From the input to the output.
    pub layers: Vec<ObservedLayer>,
}

impl ObservedAttention {
    /// Statistics of every layer on one image.
    pub fn statistics(&self, image: usize) -> Vec<&LayerStatistics> {
        self.layers.iter().map(|layer| &layer.statistics[image]).collect()
    }

    /// Whether every weight that was seen is a number.
    pub fn is_finite(&self) -> bool {
        let finite = |head: &HeadStatistics| head.entropy.is_finite() && head.hoyer.is_finite();
        self.layers.iter().flat_map(|layer| &layer.statistics).all(|image| image.heads.iter().all(finite))
    }

    /// Rollout with the mean over heads ([`RolloutOptions::USUAL`]), one heatmap per image.
    ///
    /// # Panics
    /// Unless [`observe`] was asked for it.
    pub fn rollout(&self) -> Vec<Heatmap> {
        assert!(self.layers.iter().all(|layer| !layer.mean.values.is_empty()), "rollout was asked for");
        if self.layers.iter().any(|layer| layer.site.window.is_some()) {
            let layers = self.layers.iter().map(|layer| layer.mean.clone()).collect();
            let maps = AttentionMaps { images: self.images, image_size: self.image_size, layers };
            return rollout(&maps, &RolloutOptions::USUAL);
        }
        (0..self.images).into_par_iter().map(|image| self.rollout_of(image)).collect()
    }

    /// The read tokens' row, times (A + I) / 2 with rows normalised, from the last layer to the first.
    fn rollout_of(&self, image: usize) -> Heatmap {
        let site = &self.layers[0].site;
        let mut row = site.read_out_weights();
        for layer in self.layers.iter().rev() {
            let mut next = vec![0.0; row.len()];
            let weights = layer.mean.head(image, 0, 0).chunks(row.len());
            for ((query, share), weights) in
                row.iter().enumerate().zip(weights).filter(|(from, _)| *from.1 != 0.0)
            {
                let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
                let share = share / (sum + 1.0);
                next.iter_mut().zip(weights).for_each(|(next, weight)| *next += share * f64::from(*weight));
                next[query] += share;
            }
            row = next;
        }
        let [rows, columns] = site.grid;
        Heatmap::new(rows, columns, row[site.prefix.count()..].iter().map(|value| *value as f32).collect())
    }
}

/// Runs one pass over `images`, `[batch, 3, height, width]` in [0, 1], and returns what was seen with the logits. With
/// `artefacts`, those tokens are replaced on the way.
///
/// Statistics are those of [`attention_statistics`] to 1e-6; logits are those of a plain pass to the last bit, unless tokens are
/// replaced.
///
/// # Errors
/// A model without attention.
pub fn observe(
    model: &Classifier,
    images: Tensor<4>,
    convention: DistanceConvention,
    rollout: bool,
    artefacts: Option<&Replacement>,
) -> Result<(ObservedAttention, Tensor<2>), AnalysisError> {
    super::require_attention(model)?;
    let [count, _, height, width] = images.dims();
    let observations = RefCell::default();
    let image_size = [height, width];
    let mut observer = Observer {
        images: count,
        image_size,
        convention,
        rollout,
        artefacts,
        observations,
        layers: Vec::new(),
    };
    let logits = in_pool(|| model.logits(images, &mut Pass::evaluate(&mut observer)));
    Ok((ObservedAttention { images: count, image_size, layers: observer.layers }, logits))
}

struct Observer<'a> {
    images: usize,
    image_size: [usize; 2],
    convention: DistanceConvention,
    rollout: bool,
    artefacts: Option<&'a Replacement>,
    /// What was asked of the latest site: layers on one grid ask the same.
    observations: RefCell<Option<(AttentionSite, Arc<Observation>)>>,
    layers: Vec<ObservedLayer>,
}

impl Observer<'_> {
    fn statistics(&self, site: &AttentionSite, sums: &AttentionSums, image: usize) -> LayerStatistics {
        let (tokens, kinds) = (sums.tokens as f64, site.prefix);
        let patches = tokens - kinds.count() as f64;
        let head = |head: usize| {
            let sums = sums.head(image, head);
            let mass = |token: usize| sums.prefix[token] / patches;
            let entropy = sums.entropy / tokens;
            HeadStatistics {
                distance: match self.convention {
                    DistanceConvention::Renormalised => sums.distance,
                    DistanceConvention::Raw => sums.raw_distance,
                } / patches,
                entropy,
                normalised_entropy: if tokens > 1.0 { entropy / tokens.ln() } else { 0.0 },
                hoyer: sums.hoyer / tokens,
                below_uniform: sums.below_uniform / tokens / tokens,
                class_token_mass: kinds.class_token().map(mass),
                distillation_token_mass: kinds.distillation_token().map(mass),
                register_mass: (kinds.registers > 0).then(|| kinds.register_tokens().map(mass).sum()),
            }
        };
        LayerStatistics {
            heads: (0..sums.heads).map(head).collect(),
            diversity: mean_divergence(sums.divergences(image), sums.tokens),
        }
    }
}

impl Probe for Observer<'_> {
    fn wants_attention(&self, site: &AttentionSite) -> bool {
        site.window.is_some()
    }

    fn observation(&self, site: &AttentionSite) -> Option<Arc<Observation>> {
        let mut latest = self.observations.borrow_mut();
        let asked = AttentionSite { layer: 0, ..*site };
        match &*latest {
            Some((known, observation)) if *known == asked => Some(observation.clone()),
            _ => {
                let patches: Vec<usize> = (0..site.grid[0] * site.grid[1]).collect();
                let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
                let observation = Arc::new(Observation {
                    prefix: site.prefix.count(),
                    distances: narrow(patch_distances(&patches, site.grid, self.image_size)),
                    shares: narrow(site.read_out_weights()),
                    mean: self.rollout,
                });
                *latest = Some((asked, observation.clone()));
                Some(observation)
            }
        }
    }

    fn observed(&mut self, site: &AttentionSite, mut sums: AttentionSums) {
        let images = 0..self.images;
        let statistics = images.clone().map(|image| self.statistics(site, &sums, image)).collect();
        let tokens = sums.tokens as f64;
        let divergences = images.clone().map(|image| {
            sums.divergences(image).iter().map(|sum| (sum / tokens).max(0.0)).collect::<Vec<f64>>()
        });
        let [rows, columns] = site.grid;
        let heads = sums.heads;
        let of_head = |(image, head): (usize, usize)| {
            // Not `Heatmap::new`: whether the pass was finite is for `ObservedAttention::is_finite` to say.
            let values = sums.read(image, head)[site.prefix.count()..].to_vec();
            Heatmap { height: rows, width: columns, values }
        };
        let read = images.flat_map(|image| (0..heads).map(move |head| (image, head))).map(of_head);
        let (divergences, read) = (divergences.collect(), read.collect());
        let values = std::mem::take(&mut sums.mean);
        let mean = LayerMaps { site: *site, heads: 1, windows: 1, places: sums.tokens, values };
        self.layers.push(ObservedLayer { site: *site, heads, statistics, divergences, read, mean });
    }

    fn attention(&mut self, site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        let layer = LayerMaps::new(*site, weights.clone(), self.images);
        let divergences = pair_divergences(&layer, self.images, self.image_size);
        let mut mean = LayerMaps { heads: 1, values: Vec::new(), ..layer.clone() };
        if self.rollout {
            mean.values = layer.mean_over_heads(self.images);
        }
        let heads = layer.heads;
        let maps = AttentionMaps { images: self.images, image_size: self.image_size, layers: vec![layer] };
        let statistics = attention_statistics(&maps, self.convention).into_iter().flatten().collect();
        let of_head = |(image, head): (usize, usize)| maps.readout_map(0, image, head);
        let read = (0..self.images).flat_map(|image| (0..heads).map(move |head| (image, head))).map(of_head);
        let read = read.collect();
        self.layers.push(ObservedLayer { site: *site, heads, statistics, divergences, read, mean });
        weights
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        match self.artefacts {
            Some(replacement) => replacement.apply(site, tokens),
            None => tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::LayerStatistics;
    use crate::testing::{Fixture, assert_close, joined, pooled_vit, random_images};

    fn numbers(layer: &LayerStatistics) -> Vec<f32> {
        let head = |head: &HeadStatistics| {
            let masses = [head.class_token_mass, head.distillation_token_mass, head.register_mass];
            let always =
                [head.distance, head.entropy, head.normalised_entropy, head.hoyer, head.below_uniform];
            always
                .into_iter()
                .chain(masses.into_iter().flatten())
                .map(|value| value as f32)
                .collect::<Vec<_>>()
        };
        layer.heads.iter().flat_map(head).chain([layer.diversity as f32]).collect()
    }

    #[test]
    fn what_is_gathered_in_the_pass_is_what_written_weights_say() {
        let fixture = Fixture::load();
        let swin = Fixture::load_swin();
        for (model, images) in [
            (fixture.vit(), fixture.images()),
            (pooled_vit(), random_images(3, 8)),
            (swin.swin(), swin.images()),
        ] {
            let maps = AttentionMaps::record(&model, images.clone()).unwrap();
            for convention in [DistanceConvention::Renormalised, DistanceConvention::Raw] {
                let expected = attention_statistics(&maps, convention);
                let (found, logits) = observe(&model, images.clone(), convention, true, None).unwrap();
                let plain = model.logits(images.clone(), &mut Pass::evaluate(&mut ()));
                assert_eq!(
                    logits.into_data(),
                    plain.into_data(),
                    "the pass does not depend on what is asked"
                );
                assert!(found.is_finite());
                for (image, expected) in expected.iter().enumerate() {
                    for (layer, expected) in expected.iter().enumerate() {
                        let found_layer = &found.layers[layer];
                        assert_close(&numbers(&found_layer.statistics[image]), &numbers(expected), 1e-6);
                        for head in 0..found_layer.heads {
                            let expected = maps.readout_map(layer, image, head);
                            assert_close(
                                &found_layer.readout_map(image, head).values,
                                &expected.values,
                                1e-6,
                            );
                        }
                        let pairs = &found_layer.divergences[image];
                        let mean = pairs.iter().sum::<f64>() / pairs.len() as f64;
                        assert!((mean - expected.diversity).abs() < 1e-6);
                    }
                }
                let rolled = rollout(&maps, &RolloutOptions::USUAL);
                assert_close(&joined(&found.rollout()), &joined(&rolled), 1e-6);
            }
        }
    }

    #[test]
    fn no_number_depends_on_the_batch() {
        let fixture = Fixture::load();
        let (model, images) = (fixture.vit(), fixture.images());
        let of = |images: Tensor<4>| {
            let found = observe(&model, images, DistanceConvention::Renormalised, true, None).unwrap().0;
            let rolled = found.rollout();
            (found, rolled)
        };
        let (all, rolled) = of(images.clone());
        let (one, alone) = of(images.narrow(0, 1, 1));
        assert_eq!(one.statistics(0), all.statistics(1));
        assert_eq!(alone[0], rolled[1]);
    }
}
