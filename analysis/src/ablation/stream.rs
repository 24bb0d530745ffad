//! What a pass leaves behind, so that another may resume from any half of any block.

use archaeo_models::{AttentionSite, Classifier, Pass, Probe, TokenPlace, TokenSite};
use archaeo_ops as ops;
use burn::tensor::Tensor;

use crate::AnalysisError;
use crate::statistics::Predictions;
use crate::tensors::values;

use super::Answers;

/// What is kept of every block, one entry per layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// The heads' outputs, and the stream after the attention.
    Heads,
    /// The stream around the attention and the MLP.
    Branches,
    /// The heads' outputs, and the stream after the attention and after the MLP.
    HeadsAndOutputs,
}

/// The residual stream of a batch, as far as it is kept: `[batch, tokens, width]` per layer.
#[derive(Debug)]
pub(super) struct Stream {
    kept: Kept,
    /// Where the tokens of each layer stand.
    pub(super) sites: Vec<TokenSite>,
    /// As each block receives it.
    pub(super) inputs: Vec<Tensor<3>>,
    /// Outputs of all heads, `[batch, heads, tokens, head_dim]`.
    pub(super) heads: Vec<Tensor<4>>,
    /// Between attention and MLP.
    pub(super) after_attention: Vec<Tensor<3>>,
    /// As each block leaves it.
    pub(super) outputs: Vec<Tensor<3>>,
}

impl Stream {
    /// One pass: what is kept of it, and its logits.
    pub(super) fn record(model: &Classifier, images: Tensor<4>, kept: Kept) -> (Self, Tensor<2>) {
        let mut stream = Self {
            kept,
            sites: Vec::new(),
            inputs: Vec::new(),
            heads: Vec::new(),
            after_attention: Vec::new(),
            outputs: Vec::new(),
        };
        let logits = model.logits(images, &mut Pass::evaluate(&mut stream));
        (stream, logits)
    }

    /// The output of one head, `[batch, tokens, head_dim]`.
    pub(super) fn head(&self, layer: usize, head: usize) -> Tensor<3> {
        self.heads[layer].clone().narrow(1, head, 1).squeeze_dim::<3>(1)
    }

    /// Number of heads of each layer.
    pub(super) fn heads_per_layer(&self) -> impl Iterator<Item = usize> {
        self.heads.iter().map(|heads| heads.dims()[1])
    }

    /// Logits with `change` `[batch or 1, tokens, width]` added to what the attention of a layer adds to the stream.
    pub(super) fn logits_with(&self, model: &Classifier, layer: usize, change: Tensor<3>) -> Tensor<2> {
        let changed = ops::add(self.after_attention[layer].clone(), change);
        model.logits_after_attention(layer, changed, self.sites[layer].grid, &mut Pass::evaluate(&mut ()))
    }

    /// Logits from other tokens as a block leaves them.
    pub(super) fn logits_after_block(
        &self,
        model: &Classifier,
        layer: usize,
        tokens: Tensor<3>,
    ) -> Tensor<2> {
        model.logits_after_block(layer, tokens, self.sites[layer].grid, &mut Pass::evaluate(&mut ()))
    }
}

impl Probe for Stream {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn heads(&mut self, _: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        if self.kept != Kept::Branches {
            self.heads.push(outputs.clone());
        }
        outputs
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        match (site.place, self.kept) {
            (TokenPlace::BlockInput, Kept::Branches) => self.inputs.push(tokens.clone()),
            (TokenPlace::AfterAttention, _) => {
                self.sites.push(*site);
                self.after_attention.push(tokens.clone());
            }
            (TokenPlace::BlockOutput, Kept::Branches | Kept::HeadsAndOutputs) => {
                self.outputs.push(tokens.clone());
            }
            _ => {}
        }
        tokens
    }
}

/// Answers to a batch from its logits.
pub(super) fn answers(
    model: &Classifier,
    logits: Tensor<2>,
    labels: &[usize],
) -> Result<Answers, AnalysisError> {
    let classes = logits.dims()[1];
    let logits = finite(model, logits)?;
    let predictions = Predictions::new(&logits, classes, labels).expect("labels and logits fit together");
    Ok(Answers { losses: predictions.nll(), correct: predictions.correct(1) })
}

/// Logits as numbers, image by image.
pub(super) fn finite(model: &Classifier, logits: Tensor<2>) -> Result<Vec<f32>, AnalysisError> {
    let logits = values(logits);
    match logits.iter().all(|logit| logit.is_finite()) {
        true => Ok(logits),
        false => Err(AnalysisError::NotFinite { model: model.card().name.clone() }),
    }
}
