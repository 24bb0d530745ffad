//! One image through every layer of a model.

use archaeo_analysis::AnalysisError;
use archaeo_analysis::attribution::{Evidence, Heatmap};
use archaeo_analysis::probes::StageRecorder;
use archaeo_models::{FeatureSite, Pass};
use burn::tensor::Tensor;

/// A map for each layer, from the input, with its name. Of a transformer: the attention that what is read pays to the patches, mean over
/// heads. Of a convolutional network: the mean over channels of the absolute features after the stem and after each stage.
pub(super) fn layers(evidence: &Evidence, image: usize) -> Result<Vec<(String, Heatmap)>, AnalysisError> {
    if evidence.model().has_attention() {
        let maps = evidence.attention()?;
        let of_layer = |layer| (format!("layer {}", layer + 1), maps.mean_readout_map(layer, image));
        return Ok((0..maps.layers.len()).map(of_layer).collect());
    }
    let mut recorder = StageRecorder::default();
    let (model, images) = (evidence.model(), evidence.images().clone().narrow(0, image, 1));
    archaeo_ops::in_pool(|| model.logits(images, &mut Pass::evaluate(&mut recorder)));
    let of_stage = |(site, map): (FeatureSite, _)| {
        let name = if site.stage == 0 { "stem".to_owned() } else { format!("stage {}", site.stage) };
        (name, strength(map))
    };
    Ok(recorder.stages.into_iter().map(of_stage).collect())
}

/// Mean over channels of the absolute values of one image's feature map, `[1, channels, height, width]`.
fn strength(map: Tensor<4>) -> Heatmap {
    let [_, _, height, width] = map.dims();
    let mean = map.abs().mean_dim(1).into_data().try_to_vec().expect("features are 32-bit floats");
    Heatmap::new(height, width, mean)
}
