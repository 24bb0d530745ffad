//! Does an explanation point at the object? Only data that knows the object can answer.

mod chapter;
mod claims;
pub mod findings;
mod scores;

use archaeo_analysis::attention_maps::AttentionMaps;
use archaeo_analysis::grad_cam::grad_cam;
use archaeo_analysis::heatmap::Heatmap;
use archaeo_analysis::localisation::{centre_heatmap, edge_heatmap, object_share, random_heatmap};
use archaeo_analysis::rollout::{RolloutOptions, attention_relevance, gradient_rollout, rollout};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Measured, mean_t};
use archaeo_data::Image;
use archaeo_training::images::{preprocess_mask, to_tensor};
use burn::tensor::Tensor;

use self::findings::LocalisationFindings;
use self::scores::{Baselines, Scores, scored};
use crate::findings::Investigation;
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, Subject};

/// Holds every heatmap against the true mask on a sample of the main split.
///
/// Every heatmap is brought to the size of its model's input bilinearly, and compared with baselines of that size on the same
/// images and the same mask. Images of which one of the models sees nothing of the object, or nothing else, are left out.
pub struct LocalisationStudy;

impl Study for LocalisationStudy {
    const ID: &'static str = "localisation";
    const TITLE: &'static str = "Explanations against the truth";
    const QUESTION: &'static str = "whether the explanations are true";
    type Findings = LocalisationFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let split = scene.split()?;
        let knows_mask =
            scene.sample(Self::ID, 1)?.first().is_some_and(|&first| split.texture(first).is_some());
        Ok(Applicability::only_if(knows_mask, "the data has no object masks"))
    }

    fn run(scene: &Scene) -> Result<LocalisationFindings, StudyError> {
        let indices = scene.sample(Self::ID, scene.sizes.localisation_images)?;
        let first = scene.subjects[0];
        let mut baselines: ByModel<Baselines> =
            scene.names().into_iter().map(|name| (name, Baselines::default())).collect();
        let mut methods: Vec<Scores> = (scene.subjects.iter())
            .flat_map(|subject| methods(subject).iter().map(|method| Scores::new(method, subject.name)))
            .collect();
        let (mut shares, mut left_out) = (Vec::new(), 0);
        scene.for_each_batch(
            "explanations against the mask",
            &indices,
            first.model,
            |batch, samples, _| {
                let mut seen = ByModel::default();
                for subject in scene.subjects {
                    seen.insert(subject.name, scene.images_for(subject.model, batch)?);
                }
                let mut heatmaps = Vec::new();
                for subject in scene.subjects {
                    heatmaps.extend(explanations(subject, to_tensor(&seen[subject.name], scene.device))?);
                }
                for (i, (sample, &index)) in samples.iter().zip(batch).enumerate() {
                    let Some(truth) = &sample.truth else { continue };
                    let mask = |subject: &Subject| {
                        (subject.name, preprocess_mask(&truth.mask, &subject.model.card().preprocessing))
                    };
                    let masks: ByModel<Vec<bool>> = scene.subjects.iter().map(mask).collect();
                    if masks.values().any(|mask| [0.0, 1.0].contains(&object_share(mask))) {
                        left_out += 1;
                        continue;
                    }
                    shares.push(object_share(&masks[first.name]));
                    for ((name, mask), of_model) in masks.iter().zip(baselines.values_mut()) {
                        let image = &seen[name][i];
                        let (height, width) = (image.height, image.width);
                        of_model.random.add(&random_heatmap(height, width, scene.seed, index as u64), mask);
                        of_model.centre.add(&centre_heatmap(height, width), mask);
                        of_model.edges.add(&edge_heatmap(height, width, &brightness(image)), mask);
                    }
                    for (scores, heatmaps) in methods.iter_mut().zip(&heatmaps) {
                        let name = scores.model.expect("an explanation has a model");
                        let Image { height, width, .. } = seen[name][i];
                        scores.add(&heatmaps[i].resized(height, width), &masks[name]);
                    }
                }
                Ok(())
            },
        )?;
        let object_share = Measured::of(mean_t(&shares, DEFAULT_LEVEL))?.or_not_a_number();
        let methods = match shares.len() {
            0 => Vec::new(),
            _ => scored(&methods, &baselines, &scene.resampling())?,
        };
        Ok(LocalisationFindings { n: shares.len(), left_out, object_share, methods })
    }

    fn chapter(findings: &LocalisationFindings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

/// The explanations that a model has, in the order of [`explanations`].
fn methods(subject: &Subject) -> &'static [&'static str] {
    match subject.model.has_attention() {
        true => &["rollout", "gradient rollout", "attention relevance", "Grad-CAM"],
        false => &["Grad-CAM"],
    }
}

/// Every explanation of a model, image by image.
fn explanations(subject: &Subject, images: Tensor<4>) -> Result<Vec<Vec<Heatmap>>, StudyError> {
    let model = subject.model;
    let mut found = Vec::new();
    if model.has_attention() {
        let (weights, gradients) = AttentionMaps::record_with_gradients(model, images.clone(), None)?;
        found.push(rollout(&weights, &RolloutOptions::default()));
        found.push(gradient_rollout(&weights, &gradients));
        found.push(attention_relevance(&weights, &gradients));
    }
    found.push(grad_cam(model, images, None));
    Ok(found)
}

/// Luma of ITU-R BT.601, one value a pixel.
fn brightness(image: &Image) -> Vec<f32> {
    let luma = |pixel: &[u8]| {
        0.299 * f32::from(pixel[0]) + 0.587 * f32::from(pixel[1]) + 0.114 * f32::from(pixel[2])
    };
    image.pixels.chunks_exact(3).map(luma).collect()
}

#[cfg(test)]
mod tests;
