//! Similarity of outputs and values, shown as attention.

use archaeo_models::{AttentionSite, Classifier, Network, Pass, Probe, TokenPlace, TokenSite};
use archaeo_ops::{Precision, in_pool};
use burn::tensor::Tensor;

use super::maps::{LOSS, MapDeparture};
use super::{Bench, DepartureInfo};
use crate::AnalysisError;
use crate::attribution::{AttentionMap, Attribution, Heatmap};
use crate::tensors::{per_image, values};

pub(super) static VALUE_SIMILARITY: MapDeparture = MapDeparture {
    info: DepartureInfo {
        id: "value-similarity",
        title: "O·Vᵀ as attention",
        paper: "attention is softmax(Q·Kᵀ / √d), here of the last layer, mean over heads, towards the tokens that are read",
        source: "Vaswani et al., 2017, equation 1",
        popular: "the product O·Vᵀ of a layer's output with its values stands for it, because fused kernels hand out no weights",
        project: "notebooks that work around scaled_dot_product_attention",
        measure: LOSS,
    },
    lacking,
    paper: |bench| AttentionMap::USUAL.explain(&bench.evidence, &[]),
    popular: similarity,
};

fn lacking(model: &Classifier) -> Option<String> {
    let name = &model.card().name;
    (!matches!(model.network, Network::Vit(_)))
        .then(|| format!("{name} is not a plain Vision Transformer, of which alone values are taken here"))
}

/// What a layer's attention receives, and what its heads gather.
pub(super) struct LayerProbe {
    pub layer: usize,
    pub input: Option<Tensor<3>>,
    pub outputs: Option<(AttentionSite, Tensor<4>)>,
}

impl LayerProbe {
    /// Of the last layer of a batch.
    pub fn of_last(bench: &Bench) -> Self {
        let model = bench.evidence.model();
        let layer = model.card().network.attention_layers() - 1;
        let mut probe = Self { layer, input: None, outputs: None };
        let images = bench.evidence.images().clone();
        in_pool(|| model.logits(images, &mut Pass::evaluate(&mut probe)));
        probe
    }
}

impl Probe for LayerProbe {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn heads(&mut self, site: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        if site.layer == self.layer {
            self.outputs = Some((*site, outputs.clone()));
        }
        outputs
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        if site.layer == self.layer && site.place == TokenPlace::AttentionInput {
            self.input = Some(tokens.clone());
        }
        tokens
    }
}

fn similarity(bench: &Bench) -> Result<Vec<Heatmap>, AnalysisError> {
    let Network::Vit(vit) = &bench.evidence.model().network else {
        unreachable!("it applies to plain Vision Transformers")
    };
    let probe = LayerProbe::of_last(bench);
    let (site, outputs) = probe.outputs.expect("the last layer was met");
    let input = probe.input.expect("the last layer was met");
    let [batch, heads, tokens, head_dim] = outputs.dims();
    let packed = vit.blocks[probe.layer].attn.qkv.forward(input, Precision::F32);
    let packed = packed.reshape([batch, tokens, 3, heads, head_dim]);
    let of_values = packed.narrow(2, 2, 1).reshape([batch, tokens, heads, head_dim]).swap_dims(1, 2);
    let (outputs, of_values) = (values(outputs), values(of_values));
    let shares = site.read_out_weights();
    let of_image = |(outputs, of_values): (&[f32], &[f32])| similar(outputs, of_values, head_dim, &shares);
    let heat = |sums: Vec<f64>| {
        let [rows, columns] = site.grid;
        let patches = sums[site.prefix.count()..].iter().map(|&sum| sum as f32).collect();
        Heatmap::new(rows, columns, patches)
    };
    let pairs = per_image(&outputs, batch).zip(per_image(&of_values, batch));
    Ok(pairs.map(of_image).map(heat).collect())
}

/// Σ over heads and queries i of share(i) · oᵢ·vⱼ for each token j; `outputs` and `of_values` are `(heads, tokens, head_dim)`.
pub(super) fn similar(outputs: &[f32], of_values: &[f32], head_dim: usize, shares: &[f64]) -> Vec<f64> {
    let tokens = shares.len();
    let mut sums = vec![0.0; tokens];
    let per_head = tokens * head_dim;
    for (outputs, of_values) in outputs.chunks_exact(per_head).zip(of_values.chunks_exact(per_head)) {
        let mut read = vec![0.0; head_dim];
        for (output, share) in outputs.chunks_exact(head_dim).zip(shares) {
            read.iter_mut().zip(output).for_each(|(sum, &value)| *sum += share * f64::from(value));
        }
        for (sum, value) in sums.iter_mut().zip(of_values.chunks_exact(head_dim)) {
            *sum += read.iter().zip(value).map(|(read, &value)| read * f64::from(value)).sum::<f64>();
        }
    }
    sums
}
