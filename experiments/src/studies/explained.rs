//! What each model looks at: the rollout of the transformer, and the Grad-CAM of the CNN for the class that it names.

use std::collections::BTreeMap;

use archaeo_analysis::attention_maps::AttentionMaps;
use archaeo_analysis::grad_cam::grad_cam;
use archaeo_analysis::heatmap::Heatmap;
use archaeo_analysis::rollout::{RolloutOptions, rollout};
use burn::tensor::Tensor;

use super::{Laboratory, StudyError};
use archaeo_data::{Image, Sample};
use crate::findings::{HeatmapShown, Role};
use archaeo_training::images::{preprocess, to_tensor};

/// One model's heatmap of one image.
pub(super) struct Explanation {
    /// The image as the model sees it.
    pub seen: Image,
    /// On the model's own grid.
    pub heatmap: Heatmap,
}

/// Every model's explanation of each of `samples`, which are `for_vit` as the ViT wants them.
///
/// # Errors
/// A ViT without attention.
pub(super) fn explain(
    lab: &Laboratory,
    samples: &[Sample],
    for_vit: Tensor<4>,
) -> Result<Vec<BTreeMap<Role, Explanation>>, StudyError> {
    let seen = |role: Role| -> Vec<Image> {
        let preprocessing = &lab.model(role).card().preprocessing;
        samples.iter().map(|sample| preprocess(sample.image.clone(), preprocessing)).collect()
    };
    let (by_vit, by_cnn) = (seen(Role::Vit), seen(Role::Cnn));
    let rollouts = rollout(&AttentionMaps::record(lab.vit, for_vit)?, &RolloutOptions::default());
    let grad_cams = grad_cam(lab.cnn, to_tensor(&by_cnn, lab.device), None);
    let vit = by_vit.into_iter().zip(rollouts).map(|(seen, heatmap)| Explanation { seen, heatmap });
    let cnn = by_cnn.into_iter().zip(grad_cams).map(|(seen, heatmap)| Explanation { seen, heatmap });
    Ok(vit.zip(cnn).map(|(vit, cnn)| BTreeMap::from([(Role::Vit, vit), (Role::Cnn, cnn)])).collect())
}

/// Saves the heatmaps of one image as `NAME-vit` and `NAME-cnn`.
pub(super) fn save_heatmaps(
    lab: &Laboratory,
    name: &str,
    explained: &BTreeMap<Role, Explanation>,
) -> Result<BTreeMap<Role, HeatmapShown>, StudyError> {
    let saved = explained.iter().map(|(role, Explanation { seen, heatmap })| {
        Ok((*role, lab.save_heatmap(&format!("{name}-{role}"), seen, heatmap)?))
    });
    saved.collect()
}
