//! What a pass leaves behind, so that another may resume from any half of any block.

use archaeo_models::{AttentionSite, Classifier, Pass, Probe, TokenPlace, TokenSite};
use archaeo_ops as ops;
use burn::tensor::Tensor;

use crate::AnalysisError;
use crate::statistics::Predictions;
use crate::tensors::values;

use super::{Answers, RemovalPoint};

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
    /// Where heads are taken away; always their contribution where heads are parallel.
    point: RemovalPoint,
    /// Where the tokens of each layer stand.
    pub(super) sites: Vec<TokenSite>,
    /// As each block receives it: with branches, and with the outputs of a cascade's heads.
    pub(super) inputs: Vec<Tensor<3>>,
    /// As each block's attention receives it, with branches.
    pub(super) before_attention: Vec<Tensor<3>>,
    /// Whether something precedes the attention in its block.
    pub(super) leads: bool,
    /// Outputs of all heads, `[batch, heads, tokens, head_dim]`; of a cascade, where these are taken away, in the places of its
    /// windows ([`Probe::cascade_output`]).
    pub(super) heads: Vec<Tensor<4>>,
    /// Of the heads of a layer so far.
    cascade: Vec<Tensor<3>>,
    /// Between attention and MLP.
    pub(super) after_attention: Vec<Tensor<3>>,
    /// As each block leaves it.
    pub(super) outputs: Vec<Tensor<3>>,
}

impl Stream {
    /// One pass: what is kept of it, and its logits.
    pub(super) fn record(
        model: &Classifier,
        images: Tensor<4>,
        kept: Kept,
        point: RemovalPoint,
    ) -> (Self, Tensor<2>) {
        let mut stream = Self {
            kept,
            point: point.of(model),
            sites: Vec::new(),
            inputs: Vec::new(),
            before_attention: Vec::new(),
            leads: false,
            heads: Vec::new(),
            cascade: Vec::new(),
            after_attention: Vec::new(),
            outputs: Vec::new(),
        };
        let logits = model.logits(images, &mut Pass::evaluate(&mut stream));
        (stream, logits)
    }

    fn keeps_cascade(&self) -> bool {
        self.kept != Kept::Branches && self.point == RemovalPoint::Output
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

    /// Logits with other outputs of heads of a cascade, which the heads after them read: each a layer, a head and what it returns
    /// instead, `[batch or 1, places, head_dim]`, or zeros.
    ///
    /// # Panics
    /// Without such a head, or if the stream was recorded for another removal point.
    pub(super) fn logits_with_outputs(
        &self,
        model: &Classifier,
        replaced: &[(usize, usize, Option<Tensor<3>>)],
    ) -> Tensor<2> {
        let first = replaced.iter().map(|(layer, ..)| *layer).min().expect("a head is replaced");
        let (input, grid) = (self.inputs[first].clone(), self.sites[first].grid);
        model.logits_from(first, input, grid, &mut Pass::evaluate(&mut CascadeReplacement(replaced)))
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

    fn cascade_output(&mut self, _: &AttentionSite, _: usize, output: Tensor<3>) -> Tensor<3> {
        if self.keeps_cascade() {
            self.cascade.push(output.clone());
        }
        output
    }

    fn heads(&mut self, _: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        if self.keeps_cascade() {
            self.heads.push(Tensor::stack(std::mem::take(&mut self.cascade), 1));
        } else if self.kept != Kept::Branches {
            self.heads.push(outputs.clone());
        }
        outputs
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        match (site.place, self.kept) {
            (TokenPlace::BlockInput, Kept::Branches) => {
                self.inputs.push(tokens.clone());
                self.before_attention.push(tokens.clone());
            }
            (TokenPlace::BlockInput, _) if self.keeps_cascade() => self.inputs.push(tokens.clone()),
            (TokenPlace::BeforeAttention, Kept::Branches) => {
                self.leads = true;
                *self.before_attention.last_mut().expect("a block begins with its input") = tokens.clone();
            }
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

/// Puts something else in the place of some heads' outputs before the next head reads them.
struct CascadeReplacement<'a>(&'a [(usize, usize, Option<Tensor<3>>)]);

impl Probe for CascadeReplacement<'_> {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn cascade_output(&mut self, site: &AttentionSite, head: usize, output: Tensor<3>) -> Tensor<3> {
        match self.0.iter().find(|(layer, of, _)| (*layer, *of) == (site.layer, head)) {
            None => output,
            Some((.., None)) => output.zeros_like(),
            Some((.., Some(instead))) => instead.clone().expand(output.dims()),
        }
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
