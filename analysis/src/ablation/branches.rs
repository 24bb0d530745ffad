//! What the attention, the MLP and the whole of each block are worth: the model's answers with what they add to the residual
//! stream replaced by its mean over a reference set, for each token position, or by nothing. A residual network's blocks add one
//! branch each to their shortcut; without it, they are skipped (Veit, Wilber and Belongie, 2016, arXiv 1605.06431).

use archaeo_models::{Classifier, Pass};
use archaeo_ops as ops;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::stream::{Kept, Stream, answers};
use super::{Answers, Replacement};
use crate::AnalysisError;
use crate::tensors::{per_image, values};

/// A part of a block that adds to the residual stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Branch {
    /// All heads of the layer.
    Attention,
    /// The MLP.
    Mlp,
    /// The whole layer: both; of a residual network, the block's branch.
    Layer,
}

impl Branch {
    /// All of them, in the order in which they are replaced.
    pub const ALL: [Self; 3] = [Self::Attention, Self::Mlp, Self::Layer];

    /// Those of `asked` that a model has, in the order of [`Branch::ALL`].
    pub fn of_model(model: &Classifier, asked: &[Self]) -> Vec<Self> {
        let has = |branch: &Self| match model.has_attention() {
            true => true,
            false => *branch == Self::Layer && model.network.residual().is_some(),
        };
        Self::ALL.into_iter().filter(|branch| asked.contains(branch) && has(branch)).collect()
    }
}

/// Ways in which a branch is replaced, in the order of what is found.
pub const BRANCH_REPLACEMENTS: [Replacement; 2] = [Replacement::Mean, Replacement::Zero];

/// Answers with one branch replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AblatedBranch {
    /// Block, counted from 0.
    pub layer: usize,
    /// What was replaced.
    pub branch: Branch,
    /// By what: its mean, or nothing.
    pub replacement: Replacement,
    /// The model's answers then.
    pub answers: Answers,
}

/// Mean of what the branches of every block add to the residual stream, over a reference set, gathered batch by batch.
///
/// As for [`HeadMeans`](super::HeadMeans), the means do not depend on how the set was cut into batches.
#[derive(Clone, Debug, Default)]
pub struct BranchMeans {
    images: usize,
    layers: Vec<Sums>,
}

/// Of one block.
#[derive(Clone, Debug)]
struct Sums {
    /// Of what one image adds: tokens and width, or channels, height and width.
    shape: Vec<usize>,
    /// Attention and MLP; of a residual network the branch alone.
    branches: Vec<Vec<f64>>,
}

impl BranchMeans {
    /// Adds a batch of images.
    ///
    /// # Errors
    /// A model whose blocks are neither a transformer's nor residual ones.
    pub fn add(&mut self, model: &Classifier, images: Tensor<4>) -> Result<(), AnalysisError> {
        let batch = images.dims()[0];
        match Blocks::record(model, images)? {
            (Blocks::Transformer(stream), _) => {
                for (layer, input) in stream.inputs.into_iter().enumerate() {
                    let (after, output) =
                        (stream.after_attention[layer].clone(), stream.outputs[layer].clone());
                    self.sum(layer, batch, [after.clone() - input, output - after]);
                }
            }
            (Blocks::Residual(addends), _) => {
                for (block, [_, branch]) in addends.into_iter().enumerate() {
                    self.sum(block, batch, [branch]);
                }
            }
        }
        self.images += batch;
        Ok(())
    }

    fn sum<const D: usize, const N: usize>(&mut self, layer: usize, batch: usize, added: [Tensor<D>; N]) {
        let shape = added[0].dims()[1..].to_vec();
        if layer == self.layers.len() {
            let empty = vec![0.0; shape.iter().product()];
            self.layers.push(Sums { shape, branches: vec![empty; N] });
        }
        for (sums, added) in self.layers[layer].branches.iter_mut().zip(added) {
            for image in per_image(&values(added), batch) {
                sums.iter_mut().zip(image).for_each(|(sum, &value)| *sum += f64::from(value));
            }
        }
    }

    /// Of one branch of a layer, `[1, tokens, width]` or `[1, channels, height, width]`.
    fn of<const D: usize>(&self, layer: usize, branch: usize, device: &Device) -> Tensor<D> {
        assert!(self.images > 0, "means over a reference set need at least one image");
        let Sums { shape, branches } = &self.layers[layer];
        let means: Vec<f32> = branches[branch].iter().map(|sum| (sum / self.images as f64) as f32).collect();
        let shape: Vec<usize> = std::iter::once(1).chain(shape.iter().copied()).collect();
        Tensor::from_data(TensorData::new(means, shape), device)
    }
}

/// What a pass left behind, of either kind of network.
enum Blocks {
    Transformer(Stream),
    /// Of each block, the shortcut and the branch.
    Residual(Vec<[Tensor<4>; 2]>),
}

impl Blocks {
    /// One pass, and its logits.
    fn record(model: &Classifier, images: Tensor<4>) -> Result<(Self, Tensor<2>), AnalysisError> {
        if model.has_attention() {
            let (stream, logits) = Stream::record(model, images, Kept::Branches);
            return Ok((Self::Transformer(stream), logits));
        }
        let network = model
            .network
            .residual()
            .ok_or_else(|| AnalysisError::NoBlocks { model: model.card().name.clone() })?;
        let mut map = model.stem(images, &mut Pass::evaluate(&mut ()));
        let mut addends = Vec::with_capacity(network.depth());
        for block in 0..network.depth() {
            let [shortcut, branch] = model.addends(block, map, &mut Pass::evaluate(&mut ()));
            map = ops::relu(shortcut.clone() + branch.clone());
            addends.push([shortcut, branch]);
        }
        let logits = model.logits_from_block(network.depth(), map, &mut Pass::evaluate(&mut ()));
        Ok((Self::Residual(addends), logits))
    }

    fn depth(&self) -> usize {
        match self {
            Self::Transformer(stream) => stream.inputs.len(),
            Self::Residual(addends) => addends.len(),
        }
    }

    /// Logits with a branch replaced by its mean, or by nothing.
    fn logits_without(
        &self,
        model: &Classifier,
        (layer, branch): (usize, Branch),
        means: Option<&BranchMeans>,
    ) -> Tensor<2> {
        match self {
            Self::Transformer(stream) => {
                let input = stream.inputs[layer].clone();
                let after = stream.after_attention[layer].clone();
                let mean =
                    |part: usize, device: &Device| means.map(|means| means.of::<3>(layer, part, device));
                let [attention, mlp] = [0, 1].map(|part| mean(part, &input.device()));
                let plus = |tokens: Tensor<3>, mean: Option<Tensor<3>>| match mean {
                    Some(mean) => tokens + mean,
                    None => tokens,
                };
                match branch {
                    Branch::Attention => stream.logits_with(model, layer, plus(input, attention) - after),
                    Branch::Mlp => stream.logits_after_block(model, layer, plus(after, mlp)),
                    Branch::Layer => {
                        stream.logits_after_block(model, layer, plus(plus(input, attention), mlp))
                    }
                }
            }
            Self::Residual(addends) => {
                let shortcut = addends[layer][0].clone();
                let map = match means {
                    Some(means) => {
                        let mean = means.of::<4>(layer, 0, &shortcut.device());
                        shortcut + mean
                    }
                    None => shortcut,
                };
                model.logits_from_block(layer + 1, ops::relu(map), &mut Pass::evaluate(&mut ()))
            }
        }
    }
}

/// Answers to a batch, and with branches of each block in turn replaced: every layer, every one of `branches` that the model has
/// ([`Branch::of_model`]), and every way of [`BRANCH_REPLACEMENTS`], in this order.
///
/// # Errors
/// A model whose blocks are neither a transformer's nor residual ones, or a logit that is not finite.
///
/// # Panics
/// If there is not one label an image, a label is not among the classes, or the means are empty or of another model.
pub fn ablate_branches(
    model: &Classifier,
    images: Tensor<4>,
    labels: &[usize],
    means: &BranchMeans,
    branches: &[Branch],
) -> Result<(Answers, Vec<AblatedBranch>), AnalysisError> {
    let (blocks, logits) = Blocks::record(model, images)?;
    let baseline = answers(model, logits, labels)?;
    let mut found = Vec::new();
    for layer in 0..blocks.depth() {
        for branch in Branch::of_model(model, branches) {
            for replacement in BRANCH_REPLACEMENTS {
                let means = (replacement == Replacement::Mean).then_some(means);
                let logits = blocks.logits_without(model, (layer, branch), means);
                let answers = answers(model, logits, labels)?;
                found.push(AblatedBranch { layer, branch, replacement, answers });
            }
        }
    }
    Ok((baseline, found))
}

#[cfg(test)]
mod tests;
