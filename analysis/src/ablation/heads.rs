//! What each attention head is worth: the model's answers with the head's output replaced.
//!
//! A head can be silenced in three ways, and they disagree: zeros lie outside of what the next layer has ever seen and
//! overstate importance; the mean over images keeps what the head always says and removes what it says about *this*
//! image (the default); another image's output keeps the distribution whole.

use archaeo_models::{AttentionSite, Classifier, Pass, Probe};
use archaeo_ops as ops;
use archaeo_random::keyed_rng;
use burn::tensor::{Device, Tensor, TensorData, s};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::stream::{Kept, Stream, answers};
use crate::AnalysisError;
use crate::tensors::{combined, per_image, values};

/// How a head is silenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replacement {
    /// By its mean over a reference set of images, for each token position.
    Mean,
    /// By zeros.
    Zero,
    /// By its output for another image.
    Resample,
}

/// Where a head of a cascade, each of whose heads reads the output of the one before it, is taken away. For parallel heads both
/// are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemovalPoint {
    /// Its output: the inputs of all later heads of its layer change too.
    #[default]
    Output,
    /// What it adds to the residual stream: the later heads still read its output.
    Contribution,
}

impl RemovalPoint {
    /// Where a head of this model is taken away: parallel heads by what they add.
    pub(super) fn of(self, model: &Classifier) -> Self {
        if model.has_cascaded_heads() { self } else { Self::Contribution }
    }
}

/// A [`Replacement`] with what it needs.
#[derive(Clone, Copy, Debug)]
pub enum Substitute<'a> {
    /// The means over a reference set.
    Mean(&'a HeadMeans),
    /// Zeros.
    Zero,
    /// For each image of the batch its donor (see [`donors`]), `[batch, 3, height, width]`.
    Resample(&'a Tensor<4>),
}

impl Substitute<'_> {
    fn replacement(&self) -> Replacement {
        match self {
            Self::Mean(_) => Replacement::Mean,
            Self::Zero => Replacement::Zero,
            Self::Resample(_) => Replacement::Resample,
        }
    }
}

/// A model's answers to a batch of images, one entry an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Cross-entropy, nats.
    pub losses: Vec<f64>,
    /// Whether the likeliest class is the right one.
    pub correct: Vec<bool>,
}

/// Answers with one head replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AblatedHead {
    /// Block, counted from 0.
    pub layer: usize,
    /// Head, counted from 0.
    pub head: usize,
    /// How the head was silenced.
    pub replacement: Replacement,
    /// The model's answers then.
    pub answers: Answers,
}

/// Answers with every head in place, and with each replaced in turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeadAblations {
    /// All heads in place.
    pub baseline: Answers,
    /// Every layer, head and substitute, in this order.
    pub heads: Vec<AblatedHead>,
}

impl HeadAblations {
    /// Appends the answers to the next batch of images.
    ///
    /// # Panics
    /// If `next` ablates other heads or replaces them otherwise.
    pub fn append(&mut self, next: Self) {
        if self.heads.is_empty() && self.baseline.losses.is_empty() {
            *self = next;
            return;
        }
        self.baseline.append(next.baseline);
        assert_eq!(self.heads.len(), next.heads.len(), "batches of one study ablate the same heads");
        for (mine, next) in self.heads.iter_mut().zip(next.heads) {
            let key = |entry: &AblatedHead| (entry.layer, entry.head, entry.replacement);
            assert_eq!(key(mine), key(&next), "batches of one study ablate the same heads");
            mine.answers.append(next.answers);
        }
    }
}

impl Answers {
    pub(super) fn append(&mut self, next: Self) {
        self.losses.extend(next.losses);
        self.correct.extend(next.correct);
    }
}

/// Mean output of every head at every token position over a reference set, gathered batch by batch.
///
/// Images are added one by one in 64 bits, so that the means do not depend on how the set was cut into batches.
#[derive(Clone, Debug, Default)]
pub struct HeadMeans {
    point: RemovalPoint,
    images: usize,
    /// One entry a layer: `[heads, tokens, head_dim]` and the sums; of a cascade, where outputs are replaced, the places of its
    /// windows instead of tokens.
    layers: Vec<([usize; 3], Vec<f64>)>,
}

impl HeadMeans {
    /// No images yet; of outputs as they are replaced at `point`.
    pub fn new(point: RemovalPoint) -> Self {
        Self { point, ..Self::default() }
    }

    /// Adds a batch of images.
    ///
    /// # Errors
    /// A model without attention.
    pub fn add(&mut self, model: &Classifier, images: Tensor<4>) -> Result<(), AnalysisError> {
        require_attention(model)?;
        let batch = images.dims()[0];
        let (stream, _) = Stream::record(model, images, Kept::Heads, self.point);
        for (layer, outputs) in stream.heads.into_iter().enumerate() {
            let [_, heads, tokens, head_dim] = outputs.dims();
            if layer == self.layers.len() {
                let shape = [heads, tokens, head_dim];
                self.layers.push((shape, vec![0.0; shape.iter().product()]));
            }
            let sums = &mut self.layers[layer].1;
            for image in per_image(&values(outputs), batch) {
                sums.iter_mut().zip(image).for_each(|(sum, &value)| *sum += f64::from(value));
            }
        }
        self.images += batch;
        Ok(())
    }

    /// The means as the outputs of all heads for one image, `[1, heads, tokens, head_dim]` a layer.
    pub(super) fn outputs(&self, device: &Device) -> Vec<Tensor<4>> {
        assert!(self.images > 0, "means over a reference set need at least one image");
        let of_layer = |([heads, tokens, head_dim], sums): &([usize; 3], Vec<f64>)| {
            let means: Vec<f32> = sums.iter().map(|sum| (sum / self.images as f64) as f32).collect();
            let shape = [1, *heads, *tokens, *head_dim];
            Tensor::from_data(TensorData::new(means, shape), device)
        };
        self.layers.iter().map(of_layer).collect()
    }
}

/// For each of `n` images another one, a permutation without fixed points (one cycle through all, Sattolo, 1986), keyed by
/// `seed`: whose output replaces whose under [`Replacement::Resample`].
///
/// # Panics
/// If there are fewer than two images.
pub fn donors(n: usize, seed: u64) -> Vec<usize> {
    assert!(n >= 2, "resampling needs at least two images");
    let mut rng = keyed_rng(seed, "resampled heads", 0, 0);
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, rng.random_range(0..last));
    }
    order
}

/// Answers to a batch with each head of each layer replaced in turn, by each of the substitutes.
///
/// The images pass through the model once. A head's output reaches the residual stream through its own columns of the output
/// projection, so that a replaced head changes the stream after the attention by the difference of two small products, and the
/// pass resumes from there; in the last block, only the tokens that are read are computed. The answers equal those of full passes
/// up to rounding. Where heads form a cascade, they are taken away at their output, and the pass resumes from their block.
///
/// # Errors
/// A model without attention, or a logit that is not finite.
///
/// # Panics
/// If there is not one label and one donor an image, a label is not among the classes, or the means are empty or of another
/// model.
pub fn ablate_heads(
    model: &Classifier,
    images: Tensor<4>,
    labels: &[usize],
    substitutes: &[Substitute],
) -> Result<HeadAblations, AnalysisError> {
    ablate_some_heads(model, images, labels, substitutes, RemovalPoint::default(), &|_, _| true)
}

/// As [`ablate_heads`], of the heads alone for which `which` of layer and head, counted from 0, holds, and at `point`, for which
/// means must have been gathered.
///
/// # Errors
/// As there.
///
/// # Panics
/// As there.
pub fn ablate_some_heads(
    model: &Classifier,
    images: Tensor<4>,
    labels: &[usize],
    substitutes: &[Substitute],
    point: RemovalPoint,
    which: &dyn Fn(usize, usize) -> bool,
) -> Result<HeadAblations, AnalysisError> {
    require_attention(model)?;
    let (batch, device) = (images.dims()[0], images.device());
    let point = point.of(model);
    let (stream, logits) = Stream::record(model, images, Kept::Heads, point);
    let baseline = answers(model, logits, labels)?;
    // For each substitute and layer, what all heads say instead; `None` for nothing.
    let instead: Vec<Option<Vec<Tensor<4>>>> = substitutes
        .iter()
        .map(|substitute| match substitute {
            Substitute::Mean(means) => {
                assert_eq!(means.point.of(model), point, "means are of the outputs that they replace");
                Some(means.outputs(&device))
            }
            Substitute::Zero => None,
            Substitute::Resample(donors) => {
                assert_eq!(donors.dims()[0], batch, "one donor an image is needed");
                Some(Stream::record(model, (*donors).clone(), Kept::Heads, point).0.heads)
            }
        })
        .collect();

    let mut heads = Vec::new();
    for (layer, count) in stream.heads_per_layer().enumerate() {
        for head in (0..count).filter(|&head| which(layer, head)) {
            let removed = match point {
                RemovalPoint::Output => None,
                RemovalPoint::Contribution => {
                    Some(-model.head_contribution(layer, head, stream.head(layer, head)))
                }
            };
            for (substitute, instead) in substitutes.iter().zip(&instead) {
                let of_head =
                    |layers: &Vec<Tensor<4>>| layers[layer].clone().narrow(1, head, 1).squeeze_dim::<3>(1);
                let output = instead.as_ref().map(of_head);
                let logits = match (&removed, output) {
                    (None, output) => stream.logits_with_outputs(model, &[(layer, head, output)]),
                    (Some(removed), None) => stream.logits_with(model, layer, removed.clone()),
                    (Some(removed), Some(output)) => {
                        let added = model.head_contribution(layer, head, output);
                        stream.logits_with(model, layer, ops::add(removed.clone(), added))
                    }
                };
                let answers = answers(model, logits, labels)?;
                heads.push(AblatedHead { layer, head, replacement: substitute.replacement(), answers });
            }
        }
    }
    Ok(HeadAblations { baseline, heads })
}

/// Answers to a batch with several heads at once replaced by their means, at the point for which these were gathered: for each of
/// `sets` of (layer, head), counted from 0.
///
/// # Errors
/// A model without attention, or a logit that is not finite.
///
/// # Panics
/// If there is not one label an image, a label is not among the classes, a head does not exist, or the means are empty or of
/// another model.
pub fn remove_heads(
    model: &Classifier,
    images: Tensor<4>,
    labels: &[usize],
    means: &HeadMeans,
    sets: &[Vec<(usize, usize)>],
) -> Result<Vec<Answers>, AnalysisError> {
    require_attention(model)?;
    let device = images.device();
    let point = means.point.of(model);
    let (stream, baseline) = Stream::record(model, images, Kept::Heads, point);
    let means = means.outputs(&device);
    let last = stream.heads.len() - 1;
    sets.iter()
        .map(|set| {
            let Some(first) = set.iter().map(|(layer, _)| *layer).min() else {
                return answers(model, baseline.clone(), labels);
            };
            if point == RemovalPoint::Output {
                let of_head = |&(layer, head): &(usize, usize)| {
                    (layer, head, Some(means[layer].clone().narrow(1, head, 1).squeeze_dim::<3>(1)))
                };
                let replaced: Vec<_> = set.iter().map(of_head).collect();
                return answers(model, stream.logits_with_outputs(model, &replaced), labels);
            }
            let of_first = set.iter().filter(|(layer, _)| *layer == first);
            let change = of_first
                .map(|&(layer, head)| {
                    let mean = means[layer].clone().narrow(1, head, 1).squeeze_dim::<3>(1);
                    let own = model.head_contribution(layer, head, stream.head(layer, head));
                    combined(own, model.head_contribution(layer, head, mean), |own, mean| mean - own)
                })
                .reduce(ops::add)
                .expect("a set has a head in its first layer");
            let later: Vec<(usize, usize)> =
                set.iter().filter(|(layer, _)| *layer > first).copied().collect();
            if later.is_empty() {
                return answers(model, stream.logits_with(model, first, change), labels);
            }
            let tokens = ops::add(stream.after_attention[first].clone(), change);
            let grid = stream.sites[first].grid;
            let at_the_end = later.iter().any(|(layer, _)| *layer == last);
            let mut probe = HeadsReplacement { heads: &later, outputs: &means };
            let mut pass = Pass::evaluate(&mut probe);
            // Only the whole last block shows its heads to a probe.
            let logits = match at_the_end {
                true => model.all_logits_after_attention(first, tokens, grid, &mut pass),
                false => model.logits_after_attention(first, tokens, grid, &mut pass),
            };
            answers(model, logits, labels)
        })
        .collect()
}

/// Puts the means of some heads in the place of their outputs.
struct HeadsReplacement<'a> {
    heads: &'a [(usize, usize)],
    /// Of each layer, `[1, heads, tokens, head_dim]`.
    outputs: &'a [Tensor<4>],
}

impl Probe for HeadsReplacement<'_> {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn heads(&mut self, site: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        let [batch, _, tokens, head_dim] = outputs.dims();
        let here = self.heads.iter().filter(|(layer, _)| *layer == site.layer);
        here.fold(outputs, |outputs, &(layer, head)| {
            let mean = self.outputs[layer].clone().narrow(1, head, 1).expand([batch, 1, tokens, head_dim]);
            outputs.slice_assign(s![.., head..head + 1, .., ..], mean)
        })
    }
}

pub(super) fn require_attention(model: &Classifier) -> Result<(), AnalysisError> {
    let refused = || AnalysisError::NoAttention { model: model.card().name.clone() };
    model.has_attention().then_some(()).ok_or_else(refused)
}

#[cfg(test)]
mod tests;
