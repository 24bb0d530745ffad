//! Grad-CAM of a Vision Transformer where nothing flows back.

use archaeo_models::{AttentionSite, Pass, Probe, TokenPlace, TokenSite};
use archaeo_ops::in_pool;
use burn::tensor::Tensor;

use super::maps::{LOSS, MapDeparture};
use super::{Bench, DepartureInfo, without_global_attention};
use crate::AnalysisError;
use crate::attention::target_score;
use crate::attribution::{Attribution, GradCam, Heatmap};
use crate::probes::Tap;
use crate::tensors::{per_image, values};

pub(super) static GRAD_CAM_LAYER: MapDeparture = MapDeparture {
    info: DepartureInfo {
        id: "grad-cam-layer",
        title: "the layer of Grad-CAM in a Vision Transformer",
        paper: "the last representation on which the score depends place by place: the input of the last block's attention",
        source: "Selvaraju et al., 2017, section 3; pytorch-grad-cam's notes on Vision Transformers",
        popular: "the output of the last block, whose patches have no gradient where the head reads the class token",
        project: "tutorials that take over “the last layer” from convolutional networks",
        measure: LOSS,
    },
    lacking: without_global_attention,
    paper: |bench| GradCam.explain(&bench.evidence, bench.targets()),
    popular: at_block_output,
};

/// Taps the output of one block.
struct OutputTap {
    layer: usize,
    tap: Option<(TokenSite, Tap<3>)>,
}

impl Probe for OutputTap {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        if site.layer != self.layer || site.place != TokenPlace::BlockOutput {
            return tokens;
        }
        let (tap, tokens) = Tap::new(tokens);
        self.tap = Some((*site, tap));
        tokens
    }
}

fn at_block_output(bench: &Bench) -> Result<Vec<Heatmap>, AnalysisError> {
    let model = bench.evidence.model();
    let layer = model.card().network.attention_layers() - 1;
    let mut probe = OutputTap { layer, tap: None };
    let images = bench.evidence.images().clone();
    let logits = in_pool(|| model.logits(images, &mut Pass::evaluate(&mut probe)));
    let (site, tap) = probe.tap.expect("the last block was met");
    let gradients = target_score(logits, bench.targets()).backward();
    let [batch, tokens, width] = tap.value().dims();
    let (features, slopes) = (values(tap.value()), values(tap.gradient(&gradients)));
    let pairs = per_image(&features, batch).zip(per_image(&slopes, batch));
    let heat = |(features, slopes): (&[f32], &[f32])| {
        let patches = |of: &[f32]| of[site.prefix_tokens * width..].to_vec();
        let (features, slopes) = (patches(features), patches(slopes));
        let count = tokens - site.prefix_tokens;
        let mut weights = vec![0.0; width];
        for slopes in slopes.chunks_exact(width) {
            weights.iter_mut().zip(slopes).for_each(|(sum, &slope)| *sum += f64::from(slope) / count as f64);
        }
        let of_patch = |features: &[f32]| {
            let sum: f64 = features.iter().zip(&weights).map(|(&x, weight)| f64::from(x) * weight).sum();
            sum.max(0.0) as f32
        };
        let [rows, columns] = site.grid;
        Heatmap::new(rows, columns, features.chunks_exact(width).map(of_patch).collect())
    };
    Ok(pairs.map(heat).collect())
}
