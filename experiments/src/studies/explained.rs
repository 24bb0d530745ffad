//! What each model looks at: the explanation that a model is usually shown by, rollout where it has attention and else Grad-CAM for the
//! class that it names.

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{
    Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, method as method_of_id, methods,
    methods_for,
};
use archaeo_data::Image;
use archaeo_models::{Classifier, NetworkSpec};
use archaeo_training::RecipeError;
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
            && !(matches!(network, NetworkSpec::EfficientVit(_))
                && info.needs.contains(&Capability::AttentionAlone))
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

/// The explanations of these IDs that apply to a model (when empty, all that make few passes of their own), and then the baselines.
pub(super) fn scored_methods(model: &Classifier, ids: &[String]) -> Vec<&'static dyn Attribution> {
    let mut explanations = methods_for(model, Kind::Explanation);
    explanations.retain(|method| wants(ids, *method));
    [explanations, methods_for(model, Kind::Baseline)].concat()
}

/// Whether a method is among those of these IDs.
pub(super) fn wants(ids: &[String], method: &dyn Attribution) -> bool {
    let info = method.info();
    match ids.is_empty() {
        true => info.cost == Cost::Shared,
        false => ids.iter().any(|id| method_of_id(id).is_some_and(|of| of.info().id == info.id)),
    }
}

/// Refuses an ID that no explanation has; `key` is the option.
///
/// # Errors
/// [`RecipeError::Range`].
pub(super) fn check_methods(key: &'static str, ids: &[String]) -> Result<(), RecipeError> {
    let known = |id: &&String| method_of_id(id).is_some_and(|method| method.info().kind == Kind::Explanation);
    match ids.iter().find(|id| !known(id)) {
        None => Ok(()),
        Some(unknown) => Err(RecipeError::Range {
            key,
            allowed: "explanations that `archaeo attention --help` lists",
            found: format!("`{unknown}`"),
        }),
    }
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
