//! What each model looks at: the rollout of a model with attention, and else its Grad-CAM for the class that it names.

use archaeo_analysis::attention_maps::AttentionMaps;
use archaeo_analysis::grad_cam::grad_cam;
use archaeo_analysis::heatmap::Heatmap;
use archaeo_analysis::rollout::{RolloutOptions, rollout};
use archaeo_data::Image;
use archaeo_models::NetworkSpec;
use archaeo_training::images::to_tensor;

use crate::findings::HeatmapShown;
use crate::scene::{Scene, StudyError};
use crate::subjects::ByModel;

/// One model's heatmap of one image.
pub(super) struct Explanation {
    /// The image as the model sees it.
    pub seen: Image,
    /// On the model's own grid.
    pub heatmap: Heatmap,
}

/// Name of the heatmap that a model is explained with.
pub(crate) fn method(network: &NetworkSpec) -> &'static str {
    if network.attention_layers() > 0 { "rollout" } else { "Grad-CAM" }
}

/// Whether that heatmap belongs to the class that the model names.
pub(crate) fn depends_on_class(network: &NetworkSpec) -> bool {
    network.attention_layers() == 0
}

/// Every model's explanation of each of `indices` of the main split.
///
/// # Errors
/// A model whose attention cannot be rolled out.
pub(super) fn explain(scene: &Scene, indices: &[usize]) -> Result<Vec<ByModel<Explanation>>, StudyError> {
    let mut explained: Vec<ByModel<Explanation>> = indices.iter().map(|_| ByModel::default()).collect();
    for subject in scene.subjects {
        let seen = scene.images_for(subject.model, indices)?;
        let images = to_tensor(&seen, scene.device);
        let heatmaps = match !depends_on_class(&subject.model.card().network) {
            true => rollout(&AttentionMaps::record(subject.model, images)?, &RolloutOptions::default()),
            false => grad_cam(subject.model, images, None),
        };
        for ((of_image, seen), heatmap) in explained.iter_mut().zip(seen).zip(heatmaps) {
            of_image.insert(subject.name, Explanation { seen, heatmap });
        }
    }
    Ok(explained)
}

/// Saves the heatmaps of one image as `NAME-vit`, `NAME-cnn` and so on, after the names of the models.
pub(super) fn save_heatmaps(
    scene: &Scene,
    name: &str,
    explained: &ByModel<Explanation>,
) -> Result<ByModel<HeatmapShown>, StudyError> {
    let saved = explained.iter().map(|(model, Explanation { seen, heatmap })| {
        Ok((model, scene.save_heatmap(&format!("{name}-{model}"), seen, heatmap)?))
    });
    saved.collect()
}
