//! Does an explanation point at the object? Only data that knows the object can answer.

mod scores;

use archaeo_analysis::attention::AttentionMaps;
use archaeo_analysis::attribution::{
    RolloutOptions, attention_relevance, grad_cam, gradient_rollout, rollout,
};
use archaeo_analysis::faithfulness::{centre_heatmap, edge_heatmap, object_share, random_heatmap};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Measured, mean_t};

use self::scores::{Baselines, Scores, findings};
use super::{Laboratory, ROLES, StudyError};
use crate::findings::{LocalisationFindings, Role};
use archaeo_data::Image;
use archaeo_training::images::{preprocess, preprocess_mask, to_tensor};

/// Holds every heatmap against the true mask on a sample of the main split; `None` where the data knows no mask.
///
/// Every heatmap is brought to the size of its model's input bilinearly, and compared with baselines of that size on the same
/// images and the same mask. Images of which one of the models sees nothing of the object, or nothing else, are left out.
///
/// # Errors
/// A ViT without attention, or data that cannot be read.
pub fn localisation(lab: &Laboratory) -> Result<Option<LocalisationFindings>, StudyError> {
    let indices = lab.sample("localisation", lab.sizes.localisation_images)?;
    let knows_mask = indices.first().map(|&i| lab.split()?.load(i).map_err(StudyError::from)).transpose()?;
    if knows_mask.is_none_or(|sample| sample.truth.is_none()) {
        return Ok(None);
    }

    let mut baselines = ROLES.map(|_| Baselines::default());
    let mut methods = [
        Scores::new("rollout", Role::Vit),
        Scores::new("gradient rollout", Role::Vit),
        Scores::new("attention relevance", Role::Vit),
        Scores::new("Grad-CAM", Role::Vit),
        Scores::new("Grad-CAM", Role::Cnn),
    ];
    let (mut shares, mut left_out) = (Vec::new(), 0);
    lab.for_each_batch("explanations against the mask", &indices, lab.vit, |batch, samples, for_vit| {
        let (weights, gradients) = AttentionMaps::record_with_gradients(lab.vit, for_vit.clone(), None)?;
        let seen = ROLES.map(|role| -> Vec<Image> {
            let preprocessing = &lab.model(role).card().preprocessing;
            samples.iter().map(|sample| preprocess(sample.image.clone(), preprocessing)).collect()
        });
        let heatmaps = [
            rollout(&weights, &RolloutOptions::default()),
            gradient_rollout(&weights, &gradients),
            attention_relevance(&weights, &gradients),
            grad_cam(lab.vit, for_vit, None),
            grad_cam(lab.cnn, to_tensor(&seen[1], lab.device), None),
        ];
        for (i, (sample, &index)) in samples.iter().zip(batch).enumerate() {
            let Some(truth) = &sample.truth else { continue };
            let masks = ROLES.map(|role| preprocess_mask(&truth.mask, &lab.model(role).card().preprocessing));
            if masks.iter().any(|mask| [0.0, 1.0].contains(&object_share(mask))) {
                left_out += 1;
                continue;
            }
            shares.push(object_share(&masks[0]));
            for (place, mask) in masks.iter().enumerate() {
                let image = &seen[place][i];
                let (height, width) = (image.height, image.width);
                baselines[place].random.add(&random_heatmap(height, width, lab.seed, index as u64), mask);
                baselines[place].centre.add(&centre_heatmap(height, width), mask);
                baselines[place].edges.add(&edge_heatmap(height, width, &brightness(image)), mask);
            }
            for (scores, heatmaps) in methods.iter_mut().zip(&heatmaps) {
                let place = usize::from(scores.role == Some(Role::Cnn));
                let Image { height, width, .. } = seen[place][i];
                scores.add(&heatmaps[i].resized(height, width), &masks[place]);
            }
        }
        Ok(())
    })?;
    let object_share = Measured::of(mean_t(&shares, DEFAULT_LEVEL))?.or_not_a_number();
    let methods = match shares.len() {
        0 => Vec::new(),
        _ => findings(&methods, &baselines, &lab.resampling())?,
    };
    Ok(Some(LocalisationFindings { n: shares.len(), left_out, object_share, methods }))
}

/// Luma of ITU-R BT.601, one value a pixel.
fn brightness(image: &Image) -> Vec<f32> {
    let luma = |pixel: &[u8]| {
        0.299 * f32::from(pixel[0]) + 0.587 * f32::from(pixel[1]) + 0.114 * f32::from(pixel[2])
    };
    image.pixels.chunks_exact(3).map(luma).collect()
}
