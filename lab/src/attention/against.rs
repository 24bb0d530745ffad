//! What attention heads do differently in another checkpoint of the same architecture, image by image.

use std::path::{Path, PathBuf};

use archaeo_analysis::attention::{DistanceConvention, observe};
use archaeo_analysis::attribution::Heatmap;
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Estimate, Moments, Resampling, benjamini_hochberg, sign_flip_test,
};
use archaeo_training::images::{Batch, Preprocessed};
use serde::Serialize;

use super::against_figures;
use crate::error::LabError;
use crate::figures::FigureFolder;
use crate::opened::Opened;
use crate::session::Session;

/// How two checkpoints are compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct AgainstOptions {
    /// How the attention distance treats the class token.
    pub convention: DistanceConvention,
}

/// Attention of one checkpoint, and of another on the same images.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedAttention {
    /// Name of the model before.
    pub before: String,
    /// Name of the model after.
    pub after: String,
    /// Images.
    pub n: usize,
    /// How the attention distance treats the class token.
    pub distance_convention: &'static str,
    /// The numbers of the layers, from 1.
    pub layers: Vec<usize>,
    /// For each layer, one entry per head.
    pub heads: Vec<Vec<HeadChange>>,
    /// Files of the figures; none where no folder was given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<PathBuf>,
}

/// One head before and after.
#[derive(Clone, Debug, Serialize)]
pub struct HeadChange {
    /// Mean attention distance, pixels.
    pub distance: AttentionChange,
    /// Entropy, nats.
    pub entropy: AttentionChange,
    /// Jensen-Shannon divergence, nats, between the head's map of an image before and after: what it sends to the tokens that are
    /// read, as shares.
    pub map_divergence: Estimate,
    /// The same between maps of two different images before: how much the map depends on the image at all. `None` for one image.
    pub between_images: Option<Estimate>,
}

/// A statistic before and after, over the same images.
#[derive(Clone, Debug, Serialize)]
pub struct AttentionChange {
    /// Mean before.
    pub before: f64,
    /// Mean after.
    pub after: f64,
    /// Mean of after − before with the paired interval of the sign-flip test.
    pub difference: Estimate,
    /// Two-sided p-value of the paired sign-flip permutation test.
    pub p_value: f64,
    /// The same, adjusted by Benjamini and Hochberg for all heads and both statistics.
    pub adjusted: f64,
}

/// What is kept of a head: numbers of each image.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// Before and after, of each statistic.
    distance: [Vec<f64>; 2],
    entropy: [Vec<f64>; 2],
    map: Moments,
    between: Moments,
    /// The latest image's map before.
    latest: Option<Heatmap>,
}

impl Session {
    /// Compares two checkpoints of one architecture, `before` and `after`, on the images of the first. With `folder`, writes two
    /// figures there: the maps of two images side by side, and how far the map of every head moved.
    ///
    /// # Errors
    /// Models whose attention has not the same layers, heads and grids; data that cannot be read; fewer than two images; figures that
    /// cannot be written.
    pub fn attention_against(
        &self,
        before: &Opened,
        after: &Opened,
        options: AgainstOptions,
        folder: Option<&Path>,
    ) -> Result<ComparedAttention, LabError> {
        before.require_attention()?;
        after.require_attention()?;
        let inputs = [before.subject.inputs(), after.subject.inputs()].concat();
        let figures = folder.map(|folder| FigureFolder::new(folder, &against_figures::FIGURES, &inputs));
        let mut figures = figures.transpose()?;
        let models = [&before.model, &after.model];
        let Opened { indices, device, .. } = before;
        if indices.len() < 2 {
            return Err(LabError::Against("a comparison takes 2 images or more; raise --limit".into()));
        }
        let split = before.split()?;
        let work = self.counting("both models", indices.len());
        let mut kept: Vec<Vec<Kept>> = Vec::new();
        for batch in indices.chunks(before.batch_size()) {
            let of = |model: &archaeo_models::Classifier| {
                let images = Preprocessed { split, preprocessing: &model.card().preprocessing };
                let pixels = Batch::load(&images, batch, 0)?.tensor(device);
                Ok::<_, LabError>(observe(model, pixels, options.convention, false, None)?.0)
            };
            let [first, second] = [of(models[0])?, of(models[1])?];
            let shape = |of: &archaeo_analysis::attention::ObservedAttention| -> Vec<_> {
                of.layers.iter().map(|layer| (layer.heads, layer.site.grid)).collect()
            };
            if shape(&first) != shape(&second) {
                let [a, b] = models.map(|model| &model.card().name);
                let reason = format!(
                    "{a} and {b} have not the same layers, heads and patches; --against takes another checkpoint of one architecture"
                );
                return Err(LabError::Against(reason));
            }
            if !(first.is_finite() && second.is_finite()) {
                return Err(LabError::Against(
                    "attention weights are not finite; `archaeo attention` on each checkpoint says where"
                        .into(),
                ));
            }
            kept.resize_with(first.layers.len(), Vec::new);
            for ((kept, first), second) in kept.iter_mut().zip(&first.layers).zip(&second.layers) {
                kept.resize_with(first.heads, Kept::default);
                for (head, kept) in kept.iter_mut().enumerate() {
                    for image in 0..batch.len() {
                        for (place, layer) in [first, second].into_iter().enumerate() {
                            let found = &layer.statistics[image].heads[head];
                            kept.distance[place].push(found.distance);
                            kept.entropy[place].push(found.entropy);
                        }
                        let map = first.readout_map(image, head);
                        kept.map.add(map_divergence(map, second.readout_map(image, head)));
                        if let Some(latest) = kept.latest.replace(map.clone()) {
                            kept.between.add(map_divergence(&latest, map));
                        }
                    }
                }
            }
            work.advance(batch.len());
        }
        let mut heads = kept
            .iter()
            .map(|layer| layer.iter().map(|head| self.change(head)).collect())
            .collect::<Result<Vec<Vec<HeadChange>>, LabError>>()?;
        let changes = || {
            heads
                .iter()
                .flatten()
                .flat_map(|head| [&head.distance, &head.entropy])
                .map(|change| change.p_value)
        };
        let adjusted = benjamini_hochberg(&changes().collect::<Vec<f64>>())?;
        let all = heads.iter_mut().flatten().flat_map(|head| [&mut head.distance, &mut head.entropy]);
        all.zip(adjusted).for_each(|(change, adjusted)| change.adjusted = adjusted);
        let mut compared = ComparedAttention {
            before: models[0].card().name.clone(),
            after: models[1].card().name.clone(),
            n: indices.len(),
            distance_convention: options.convention.describe(),
            layers: (1..=heads.len()).collect(),
            heads,
            pictures: Vec::new(),
        };
        if let Some(figures) = &mut figures {
            against_figures::write(&compared, before, after, figures)?;
        }
        compared.pictures = figures.map(FigureFolder::written).unwrap_or_default();
        Ok(compared)
    }

    fn change(&self, kept: &Kept) -> Result<HeadChange, LabError> {
        let change = |[before, after]: &[Vec<f64>; 2]| {
            let test = sign_flip_test(after, before, &Resampling::new(self.seed()))?;
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let (difference, p_value) = (test.difference, test.p_value);
            let (before, after) = (mean(before), mean(after));
            Ok::<_, LabError>(AttentionChange { before, after, difference, p_value, adjusted: p_value })
        };
        Ok(HeadChange {
            distance: change(&kept.distance)?,
            entropy: change(&kept.entropy)?,
            map_divergence: kept.map.estimate(DEFAULT_LEVEL)?,
            between_images: (kept.between.n() > 0)
                .then(|| kept.between.estimate(DEFAULT_LEVEL))
                .transpose()?,
        })
    }
}

/// Jensen-Shannon divergence in nats of two maps as shares; zero where one is empty.
fn map_divergence(first: &Heatmap, second: &Heatmap) -> f64 {
    let shares = |map: &Heatmap| -> Option<Vec<f64>> {
        let sum: f64 = map.values.iter().map(|value| f64::from(*value)).sum();
        (sum > 0.0).then(|| map.values.iter().map(|value| f64::from(*value) / sum).collect())
    };
    let (Some(p), Some(q)) = (shares(first), shares(second)) else { return 0.0 };
    let part = |a: f64, b: f64| if a > 0.0 { a * (2.0 * a / (a + b)).ln() } else { 0.0 };
    p.iter().zip(&q).map(|(p, q)| (part(*p, *q) + part(*q, *p)) / 2.0).sum::<f64>().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_that_share_no_patch_differ_by_ln_two_at_any_scale() {
        let map = |values: [f32; 4]| Heatmap::new(2, 2, values.to_vec());
        let (left, right) = (map([1.0, 0.0, 3.0, 0.0]), map([0.0, 0.2, 0.0, 0.1]));
        assert!((map_divergence(&left, &right) - 2f64.ln()).abs() < 1e-12);
        assert!(map_divergence(&left, &map([0.1, 0.0, 0.3, 0.0])) < 1e-7);
        assert_eq!(map_divergence(&left, &map([0.0; 4])), 0.0);
    }
}
