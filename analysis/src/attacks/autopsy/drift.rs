//! What changes in a model between two images.

use archaeo_models::Classifier;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::attention::{AttentionMaps, DistanceConvention, attention_statistics};
use crate::attribution::{Evidence, Stream, read_outs};
use crate::probes::FeatureRecorder;
use crate::statistics::cosine;
use crate::tensors::{per_image, values};
use crate::{AnalysisError, Keys};

/// What changed in each part of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Heads, layer by layer; none of a residual network.
    pub heads: Vec<Vec<HeadDrift>>,
    /// Layers of a transformer whose tokens keep their width, and blocks of a residual network; none of any other.
    pub layers: Vec<LayerDrift>,
}

/// A head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadDrift {
    /// Jensen-Shannon divergence of its attention before and after, in nats, mean over queries: at most ln 2.
    pub divergence: f64,
    /// Entropy of its attention after, less that before, in nats.
    pub entropy: f64,
    /// Mean attention distance after, less that before, in pixels.
    pub distance: f64,
}

/// A layer or a block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerDrift {
    /// Cosine of what the head would read after this layer, before and after the attack; of the feature maps of a block.
    pub similarity: f64,
    /// The margin that the head would give what it would read here, before and after (the logit lens); `None` of a block.
    pub lens: Option<[f64; 2]>,
}

/// What changed in each image.
pub(super) fn drifts(
    model: &Classifier,
    clean: &Tensor<4>,
    attacked: &Tensor<4>,
    labels: &[usize],
    answers: &[usize],
) -> Result<Vec<Drift>, AnalysisError> {
    if !model.has_attention() {
        let similar = block_similarities(model, clean, attacked)?;
        let layer = |similarity| LayerDrift { similarity, lens: None };
        let of_image =
            |similar: Vec<f64>| Drift { heads: Vec::new(), layers: similar.into_iter().map(layer).collect() };
        return Ok(similar.into_iter().map(of_image).collect());
    }
    let ids: Vec<u64> = (0..labels.len() as u64).collect();
    let [before, after] =
        [clean, attacked].map(|images| Evidence::new(model, images.clone(), Keys { seed: 0, images: &ids }));
    let heads = head_drifts(before.attention()?, after.attention()?);
    let layers = match (before.stream(), after.stream()) {
        (Ok(before), Ok(after)) => layer_drifts(model, before, after, labels, answers),
        // Widths that change from layer to layer have no head to be read by.
        _ => vec![Vec::new(); labels.len()],
    };
    Ok(heads.into_iter().zip(layers).map(|(heads, layers)| Drift { heads, layers }).collect())
}

/// For each image how far each layer has drifted: what [`PathPoint::drift`](super::PathPoint::drift) says.
pub(super) fn by_layer(
    model: &Classifier,
    clean: &Tensor<4>,
    images: &Tensor<4>,
) -> Result<Vec<Vec<f64>>, AnalysisError> {
    if !model.has_attention() {
        let similar = block_similarities(model, clean, images)?;
        return Ok(similar.into_iter().map(|of| of.into_iter().map(|s| 1.0 - s).collect()).collect());
    }
    let ids: Vec<u64> = (0..clean.dims()[0] as u64).collect();
    let [before, after] =
        [clean, images].map(|images| Evidence::new(model, images.clone(), Keys { seed: 0, images: &ids }));
    let (before, after) = (before.attention()?, after.attention()?);
    let of_layer = |heads: Vec<f64>| heads.iter().sum::<f64>() / heads.len().max(1) as f64;
    Ok((0..before.images)
        .map(|image| {
            (0..before.layers.len()).map(|layer| of_layer(divergences(before, after, layer, image))).collect()
        })
        .collect())
}

fn head_drifts(before: &AttentionMaps, after: &AttentionMaps) -> Vec<Vec<Vec<HeadDrift>>> {
    let [first, second] =
        [before, after].map(|maps| attention_statistics(maps, DistanceConvention::Renormalised));
    let of_layer = |image: usize, layer: usize| {
        let heads = first[image][layer].heads.iter().zip(&second[image][layer].heads);
        let divergences = divergences(before, after, layer, image);
        heads
            .zip(divergences)
            .map(|((first, second), divergence)| HeadDrift {
                divergence,
                entropy: second.entropy - first.entropy,
                distance: second.distance - first.distance,
            })
            .collect()
    };
    (0..before.images)
        .map(|image| (0..before.layers.len()).map(|layer| of_layer(image, layer)).collect())
        .collect()
}

/// For each layer the Jensen-Shannon divergence (Lin, 1991) of each head's attention in the images that stand first in two batches, in
/// nats, mean over queries.
///
/// # Panics
/// If the maps are of different models.
pub fn head_divergences(before: &AttentionMaps, after: &AttentionMaps) -> Vec<Vec<f64>> {
    assert_eq!(before.layers.len(), after.layers.len(), "divergences are between passes of one model");
    (0..before.layers.len()).map(|layer| divergences(before, after, layer, 0)).collect()
}

/// The Jensen-Shannon divergence (Lin, 1991) of each head's attention in two images, in nats, mean over queries.
fn divergences(before: &AttentionMaps, after: &AttentionMaps, layer: usize, image: usize) -> Vec<f64> {
    let (before, after) = (&before.layers[layer], &after.layers[layer]);
    let groups = before.groups();
    let queries: usize = groups.iter().map(|group| group.tokens.len()).sum();
    let of_head = |head: usize| {
        let rows = groups.iter().flat_map(|group| (0..group.tokens.len()).map(move |query| (group, query)));
        let sum: f64 = rows
            .map(|(group, query)| {
                let [p, q] = [before, after].map(|maps| maps.weights(image, head, group, query));
                p.iter().zip(&q).map(|(&p, &q)| pointwise(p, q)).sum::<f64>()
            })
            .sum();
        (sum / queries as f64).max(0.0)
    };
    (0..before.heads).map(of_head).collect()
}

/// `(p ln(p / m) + q ln(q / m)) / 2` with m their mean, and 0 ln 0 = 0.
fn pointwise(p: f64, q: f64) -> f64 {
    let mean = (p + q) / 2.0;
    let term = |x: f64| if x > 0.0 { x * (x / mean).ln() } else { 0.0 };
    (term(p) + term(q)) / 2.0
}

fn layer_drifts(
    model: &Classifier,
    before: &Stream,
    after: &Stream,
    labels: &[usize],
    answers: &[usize],
) -> Vec<Vec<LayerDrift>> {
    let classes = model.card().classes.len();
    let mut found: Vec<Vec<LayerDrift>> = vec![Vec::new(); labels.len()];
    for (before, after) in read_outs(model, before).into_iter().zip(read_outs(model, after)) {
        let (first, first_logits) = (before.features, before.logits);
        let (second, second_logits) = (after.features, after.logits);
        let features = per_image(&first, labels.len()).zip(per_image(&second, labels.len()));
        for (image, (first, second)) in features.enumerate() {
            let margin = |logits: &[f32]| {
                let row = &logits[image * classes..][..classes];
                f64::from(row[labels[image]]) - f64::from(row[answers[image]])
            };
            found[image].push(LayerDrift {
                similarity: cosine(first, second),
                lens: Some([margin(&first_logits), margin(&second_logits)]),
            });
        }
    }
    found
}

/// Cosines of the feature maps that each residual block leaves, image by image.
fn block_similarities(
    model: &Classifier,
    clean: &Tensor<4>,
    attacked: &Tensor<4>,
) -> Result<Vec<Vec<f64>>, AnalysisError> {
    if model.network.residual().is_none() {
        return Err(AnalysisError::NoBlocks { model: model.card().name.clone() });
    }
    let batch = clean.dims()[0];
    let [before, after] = [clean, attacked].map(|images| FeatureRecorder::record(model, images.clone()));
    let mut found: Vec<Vec<f64>> = vec![Vec::new(); batch];
    for (before, after) in before.into_iter().zip(after) {
        let (before, after) = (values(before), values(after));
        let maps = per_image(&before, batch).zip(per_image(&after, batch));
        found.iter_mut().zip(maps).for_each(|(found, (before, after))| found.push(cosine(before, after)));
    }
    Ok(found)
}
