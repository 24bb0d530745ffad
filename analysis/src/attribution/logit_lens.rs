//! The logit lens (nostalgebraist, 2020) on patches: what the head would say of each patch alone, at any depth.

use archaeo_models::{Classifier, Pass, Tokens};
use archaeo_ops::in_pool;
use burn::tensor::Tensor;

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution, Stream};
use crate::statistics::{first_largest, softmax};
use crate::tensors::values;
use crate::{AnalysisError, Paper};

/// The class's logit less the mean of all logits, of each patch's token put where the tokens that the head reads stand (Vilas et
/// al., 2023, section 3, for Vision Transformers). A head was trained on other tokens, or on their mean: the lens says what a token
/// would mean to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogitLens {
    /// After which block, numbered from 1; 0 is before the first, `None` after the last. One that is not there panics.
    pub layer: Option<usize>,
}

impl LogitLens {
    /// After the last block.
    pub const USUAL: Self = Self { layer: None };

    /// Logits of every patch of every image, `(batch, patches, classes)`, row by row.
    ///
    /// # Errors
    /// A model without attention, without a head, or whose tokens change their width.
    pub fn logits(&self, evidence: &Evidence) -> Result<Vec<f32>, AnalysisError> {
        self.require(evidence)?;
        let stream = evidence.stream()?;
        let layer = self.layer.unwrap_or(stream.tokens.len() - 1);
        let tokens = stream.tokens[layer].clone();
        let [batch, count, width] = tokens.dims();
        let (prefix, patches) = (stream.prefix_tokens, count - stream.prefix_tokens);
        let alone = tokens.narrow(1, prefix, patches).reshape([batch * patches, 1, width]);
        // The same token at every place: whichever tokens the pooling reads, and their mean, are that one.
        let everywhere = alone.expand([batch * patches, prefix + 1, width]);
        let model = evidence.model();
        let logits = in_pool(|| {
            let transformer = model.network.transformer().expect("a model with a stream has blocks");
            let tokens = Tokens { values: everywhere, grid: [1, 1] };
            let mut probe = ();
            let mut pass = Pass::evaluate(&mut probe).in_precision(model.precision());
            model.head(transformer.pool(tokens, &mut pass))
        });
        Ok(values(logits))
    }
}

/// What the logit lens reads of each patch after one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerLens {
    /// Probability of a class, patch by patch.
    pub target: Vec<f32>,
    /// The most probable class, patch by patch.
    pub class: Vec<usize>,
}

/// The logit lens of every patch of one image after every block: the probability of `target`, and the most probable class.
///
/// # Errors
/// A model without attention, without a head, or whose tokens change their width.
///
/// # Panics
/// If there is not exactly one image, or `target` is not among the classes.
pub fn lens_by_layer(evidence: &Evidence, target: usize) -> Result<Vec<LayerLens>, AnalysisError> {
    assert_eq!(evidence.images().dims()[0], 1, "the lens is on one image");
    let classes = evidence.model().card().classes.len();
    let depth = evidence.stream()?.tokens.len() - 1;
    let of_layer = |layer: usize| {
        let logits = LogitLens { layer: Some(layer) }.logits(evidence)?;
        let patch = |logits: &[f32]| (softmax(logits)[target] as f32, first_largest(logits));
        let (target, class) = logits.chunks_exact(classes).map(patch).unzip();
        Ok(LayerLens { target, class })
    };
    (1..=depth).map(of_layer).collect()
}

/// What a model's head would read after one layer, and what it would answer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerReadOut {
    /// `(batch, width)`, row by row.
    pub features: Vec<f32>,
    /// `(batch, classes)`, row by row.
    pub logits: Vec<f32>,
}

/// What the head would read, and answer, if the pass ended after each block (nostalgebraist, 2020), block by block. The last are the
/// model's own features and logits.
///
/// # Panics
/// If the stream is not of `model`.
pub fn read_outs(model: &Classifier, stream: &Stream) -> Vec<LayerReadOut> {
    let read = |tokens: &Tensor<3>| {
        in_pool(|| {
            let transformer = model.network.transformer().expect("a model with a stream has blocks");
            let tokens = Tokens { values: tokens.clone(), grid: stream.grid };
            let mut probe = ();
            let mut pass = Pass::evaluate(&mut probe).in_precision(model.precision());
            let features = transformer.pool(tokens, &mut pass);
            LayerReadOut { features: values(features.clone()), logits: values(model.head(features)) }
        })
    };
    // The first entry is the stream before the first block.
    stream.tokens.iter().skip(1).map(read).collect()
}

static LOGIT_LENS: MethodInfo = MethodInfo {
    id: "logit-lens",
    title: "logit lens",
    summary: "what the head says of each patch's last token alone",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Vilas et al., 2023", url: "https://arxiv.org/abs/2310.18969" }),
    needs: &[Capability::Attention, Capability::OneStream, Capability::Classes],
    depends_on_class: true,
    signed: true,
    resolution: Resolution::Patches,
    cost: Cost::Shared,
};

impl Attribution for LogitLens {
    fn info(&self) -> &'static MethodInfo {
        &LOGIT_LENS
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        let logits = self.logits(evidence)?;
        let [rows, columns] = evidence.stream()?.grid;
        let classes = evidence.model().card().classes.len();
        let of_image = |(patches, &class): (&[f32], &usize)| {
            let above_mean = |logits: &[f32]| {
                let mean = logits.iter().map(|&logit| f64::from(logit)).sum::<f64>() / classes as f64;
                (f64::from(logits[class]) - mean) as f32
            };
            Heatmap::new(rows, columns, patches.chunks_exact(classes).map(above_mean).collect())
        };
        Ok(logits.chunks_exact(rows * columns * classes).zip(targets).map(of_image).collect())
    }
}
