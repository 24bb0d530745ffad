//! What each model looks at: the explanation that a model is usually shown by, rollout where it has attention and else Grad-CAM for the
//! class that it names.

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{Attribution, Capability, Evidence, Heatmap, Kind, MethodInfo, methods};
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

/// What the method is that a model of this network is shown by: the first explanation that applies to it.
pub(crate) fn usual(network: &NetworkSpec) -> &'static dyn Attribution {
    let fits = |info: &MethodInfo| {
        info.kind == Kind::Explanation
            && (network.attention_layers() > 0 || !info.needs.contains(&Capability::Attention))
    };
    let first = methods().iter().find(|method| fits(method.info()));
    *first.expect("Grad-CAM applies to every classifier")
}

/// Name of the heatmap that a model is explained with.
pub(crate) fn method(network: &NetworkSpec) -> &'static str {
    usual(network).info().title
}

/// Whether that heatmap belongs to the class that the model names.
pub(crate) fn depends_on_class(network: &NetworkSpec) -> bool {
    usual(network).info().depends_on_class
}

/// Every model's explanation of each of `indices` of the main split.
///
/// # Errors
/// Data that cannot be read.
pub(super) fn explain(scene: &Scene, indices: &[usize]) -> Result<Vec<ByModel<Explanation>>, StudyError> {
    let ids: Vec<u64> = indices.iter().map(|&index| index as u64).collect();
    let mut explained: Vec<ByModel<Explanation>> = indices.iter().map(|_| ByModel::default()).collect();
    for subject in scene.subjects {
        let seen = scene.images_for(subject.model, indices)?;
        let images = to_tensor(&seen, scene.device);
        let evidence = Evidence::new(subject.model, images, Keys { seed: scene.seed, images: &ids });
        let heatmaps = usual(&subject.model.card().network).explain_predicted(&evidence)?;
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
