//! What the attention, the MLP and the whole of each block are worth: the model's answers with what they add to the residual
//! stream replaced by its mean over a reference set, for each token position, or by nothing. A residual network's blocks add one
//! branch each to their shortcut; without it, they are skipped (Veit, Wilber and Belongie, 2016, arXiv 1605.06431).

use archaeo_models::{Classifier, Pass};
use archaeo_ops as ops;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::stream::{Kept, Stream, answers};
use super::{Answers, RemovalPoint, Replacement};
use crate::AnalysisError;
use crate::tensors::{combined, per_image, values};

/// A part of a block that adds to the residual stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Branch {
    /// All heads of the layer.
    Attention,
    /// The MLP; of an EfficientViT the convolution and the MLP after the attention.
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
    /// Attention, MLP, and what precedes the attention where anything does; of a residual network the branch alone.
    branches: Vec<Vec<f64>>,
}

impl BranchMeans {
    /// Adds a batch of images.
    ///
    /// # Errors
    /// A model whose blocks are neither a transformer's nor residual ones.
    pub fn add(&mut self, model: &Classifier, images: Tensor<4>) -> Result<(), AnalysisError> {
        let batch = images.dims()[0];
        if model.has_attention() {
            let (stream, _) = Stream::record(model, images, Kept::Branches, RemovalPoint::Contribution);
            for (layer, input) in stream.inputs.into_iter().enumerate() {
                let (after, output) = (stream.after_attention[layer].clone(), stream.outputs[layer].clone());
                let before = stream.before_attention[layer].clone();
                let mut added = vec![after.clone() - before.clone(), output - after];
                if stream.leads {
                    added.push(before - input);
                }
                self.sum(layer, batch, added);
            }
        } else {
            block_by_block(model, images, |block, _, branch| {
                self.sum(block, batch, vec![branch]);
                Ok(())
            })?;
        }
        self.images += batch;
        Ok(())
    }

    fn sum<const D: usize>(&mut self, layer: usize, batch: usize, added: Vec<Tensor<D>>) {
        let shape = added[0].dims()[1..].to_vec();
        if layer == self.layers.len() {
            let empty = vec![0.0; shape.iter().product()];
            self.layers.push(Sums { shape, branches: vec![empty; added.len()] });
        }
        for (sums, added) in self.layers[layer].branches.iter_mut().zip(added) {
            for image in per_image(&values(added), batch) {
                sums.iter_mut().zip(image).for_each(|(sum, &value)| *sum += f64::from(value));
            }
        }
    }

    /// Of one branch of a layer, `[1, tokens, width]` or `[1, channels, height, width]`.
    pub(super) fn of<const D: usize>(&self, layer: usize, branch: usize, device: &Device) -> Tensor<D> {
        assert!(self.images > 0, "means over a reference set need at least one image");
        let Sums { shape, branches } = &self.layers[layer];
        let means: Vec<f32> = branches[branch].iter().map(|sum| (sum / self.images as f64) as f32).collect();
        let shape: Vec<usize> = std::iter::once(1).chain(shape.iter().copied()).collect();
        Tensor::from_data(TensorData::new(means, shape), device)
    }
}

/// A pass over a residual network that shows what each block adds up, shortcut and branch, before the next block is computed; its
/// logits. Feature maps are too large to keep those of all blocks.
fn block_by_block(
    model: &Classifier,
    images: Tensor<4>,
    mut visit: impl FnMut(usize, Tensor<4>, Tensor<4>) -> Result<(), AnalysisError>,
) -> Result<Tensor<2>, AnalysisError> {
    let refused = || AnalysisError::NoBlocks { model: model.card().name.clone() };
    let depth = model.network.residual().ok_or_else(refused)?.depth();
    let mut map = model.stem(images, &mut Pass::evaluate(&mut ()));
    for block in 0..depth {
        let [shortcut, branch] = model.addends(block, map, &mut Pass::evaluate(&mut ()));
        map = ops::relu(ops::add(shortcut.clone(), branch.clone()));
        visit(block, shortcut, branch)?;
    }
    Ok(model.logits_from_block(depth, map, &mut Pass::evaluate(&mut ())))
}

/// Logits of a transformer without a branch: with its mean in its place, or with nothing.
fn logits_without(
    stream: &Stream,
    model: &Classifier,
    (layer, branch): (usize, Branch),
    means: Option<&BranchMeans>,
) -> Tensor<2> {
    let (input, after) = (stream.inputs[layer].clone(), stream.after_attention[layer].clone());
    let before = stream.before_attention[layer].clone();
    let with_mean = |tokens: Tensor<3>, part: usize| match means {
        Some(means) => {
            let mean = means.of::<3>(layer, part, &tokens.device());
            ops::add(tokens, mean)
        }
        None => tokens,
    };
    match branch {
        Branch::Attention => {
            let change = combined(with_mean(before, 0), after, |without, after| without - after);
            stream.logits_with(model, layer, change)
        }
        Branch::Mlp => stream.logits_after_block(model, layer, with_mean(after, 1)),
        Branch::Layer => {
            let input = if stream.leads { with_mean(input, 2) } else { input };
            stream.logits_after_block(model, layer, with_mean(with_mean(input, 0), 1))
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
    let asked = Branch::of_model(model, branches);
    let means_for = |replacement| (replacement == Replacement::Mean).then_some(means);
    let mut found = Vec::new();
    if !model.has_attention() {
        let logits = block_by_block(model, images, |layer, shortcut, _| {
            for &branch in &asked {
                for replacement in BRANCH_REPLACEMENTS {
                    let sum = match means_for(replacement) {
                        Some(means) => {
                            ops::add(shortcut.clone(), means.of::<4>(layer, 0, &shortcut.device()))
                        }
                        None => shortcut.clone(),
                    };
                    let map = ops::relu(sum);
                    let logits = model.logits_from_block(layer + 1, map, &mut Pass::evaluate(&mut ()));
                    let answers = answers(model, logits, labels)?;
                    found.push(AblatedBranch { layer, branch, replacement, answers });
                }
            }
            Ok(())
        })?;
        return Ok((answers(model, logits, labels)?, found));
    }
    let (stream, logits) = Stream::record(model, images, Kept::Branches, RemovalPoint::Contribution);
    let baseline = answers(model, logits, labels)?;
    for layer in 0..stream.inputs.len() {
        for &branch in &asked {
            for replacement in BRANCH_REPLACEMENTS {
                let logits = logits_without(&stream, model, (layer, branch), means_for(replacement));
                let answers = answers(model, logits, labels)?;
                found.push(AblatedBranch { layer, branch, replacement, answers });
            }
        }
    }
    Ok((baseline, found))
}

#[cfg(test)]
mod tests;
