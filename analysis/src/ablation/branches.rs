//! What the attention, the MLP and the whole of each block are worth: the model's answers with what they add to the residual
//! stream replaced by its mean over a reference set, for each token position.

use archaeo_models::Classifier;
use archaeo_ops as ops;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::Answers;
use super::heads::require_attention;
use super::stream::{Kept, Stream, answers};
use crate::AnalysisError;
use crate::tensors::{combined, per_image, values};

/// A part of a block that adds to the residual stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Branch {
    /// All heads of the layer.
    Attention,
    /// The MLP.
    Mlp,
    /// Both: the whole layer.
    Layer,
}

impl Branch {
    /// All of them, in the order in which they are replaced.
    pub const ALL: [Self; 3] = [Self::Attention, Self::Mlp, Self::Layer];
}

/// Answers with one branch replaced by its mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AblatedBranch {
    /// Block, counted from 0.
    pub layer: usize,
    /// What was replaced.
    pub branch: Branch,
    /// The model's answers then.
    pub answers: Answers,
}

/// Mean of what attention and MLP of every block add to the residual stream, over a reference set, gathered batch by batch.
///
/// As for [`HeadMeans`](super::HeadMeans), the means do not depend on how the set was cut into batches.
#[derive(Clone, Debug, Default)]
pub struct BranchMeans {
    images: usize,
    /// Per layer: tokens and width, and the sums of attention and MLP.
    layers: Vec<([usize; 2], [Vec<f64>; 2])>,
}

impl BranchMeans {
    /// Adds a batch of images.
    ///
    /// # Errors
    /// A model without attention.
    pub fn add(&mut self, model: &Classifier, images: Tensor<4>) -> Result<(), AnalysisError> {
        require_attention(model)?;
        let batch = images.dims()[0];
        let (stream, _) = Stream::record(model, images, Kept::Branches);
        for (layer, input) in stream.inputs.into_iter().enumerate() {
            let [_, tokens, width] = input.dims();
            if layer == self.layers.len() {
                self.layers.push(([tokens, width], [vec![0.0; tokens * width], vec![0.0; tokens * width]]));
            }
            let (after, output) = (stream.after_attention[layer].clone(), stream.outputs[layer].clone());
            let added = [after.clone() - input, output - after];
            for (sums, added) in self.layers[layer].1.iter_mut().zip(added) {
                for image in per_image(&values(added), batch) {
                    sums.iter_mut().zip(image).for_each(|(sum, &value)| *sum += f64::from(value));
                }
            }
        }
        self.images += batch;
        Ok(())
    }

    /// Of attention and MLP of a layer, `[1, tokens, width]`.
    fn of(&self, layer: usize, device: &Device) -> [Tensor<3>; 2] {
        assert!(self.images > 0, "means over a reference set need at least one image");
        let ([tokens, width], sums) = &self.layers[layer];
        [0, 1].map(|branch| {
            let means: Vec<f32> = sums[branch].iter().map(|sum| (sum / self.images as f64) as f32).collect();
            Tensor::from_data(TensorData::new(means, [1, *tokens, *width]), device)
        })
    }
}

/// Answers to a batch, and with each branch of each block in turn replaced by its mean: every layer and branch, in the order of
/// [`Branch::ALL`].
///
/// # Errors
/// A model without attention, or a logit that is not finite.
///
/// # Panics
/// If there is not one label an image, a label is not among the classes, or the means are empty or of another model.
pub fn ablate_branches(
    model: &Classifier,
    images: Tensor<4>,
    labels: &[usize],
    means: &BranchMeans,
) -> Result<(Answers, Vec<AblatedBranch>), AnalysisError> {
    require_attention(model)?;
    let device = images.device();
    let (stream, logits) = Stream::record(model, images, Kept::Branches);
    let baseline = answers(model, logits, labels)?;
    let mut branches = Vec::new();
    for (layer, input) in stream.inputs.iter().enumerate() {
        let [attention, mlp] = means.of(layer, &device);
        let after = stream.after_attention[layer].clone();
        for branch in Branch::ALL {
            let logits = match branch {
                Branch::Attention => {
                    let attended = ops::add(input.clone(), attention.clone());
                    let change = combined(attended, after.clone(), |attended, after| attended - after);
                    stream.logits_with(model, layer, change)
                }
                Branch::Mlp => stream.logits_after_block(model, layer, ops::add(after.clone(), mlp.clone())),
                Branch::Layer => {
                    let tokens = ops::add(input.clone(), attention.clone() + mlp.clone());
                    stream.logits_after_block(model, layer, tokens)
                }
            };
            branches.push(AblatedBranch { layer, branch, answers: answers(model, logits, labels)? });
        }
    }
    Ok((baseline, branches))
}

#[cfg(test)]
mod tests;
