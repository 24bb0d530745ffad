//! Does an explanation point at the object? Only data that knows the object can answer.

mod scores;

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{Evidence, Heatmap, Kind, explain_all, methods_for};
use archaeo_analysis::faithfulness::object_share;
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Measured, mean_t};

use self::scores::{Scores, findings};
use super::{Laboratory, ROLES, StudyError};
use crate::findings::LocalisationFindings;
use archaeo_data::Image;
use archaeo_training::images::{preprocess, preprocess_mask, to_tensor};

/// Holds the heatmaps of every method that applies to a model against the true mask on a sample of the main split; `None` where the data knows no mask.
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

    // Of each model, explanations and then baselines.
    let methods = ROLES.map(|role| {
        let of = |kind| methods_for(lab.model(role), kind);
        [of(Kind::Explanation), of(Kind::Baseline)].concat()
    });
    let mut scores = [0, 1].map(|place: usize| -> Vec<Scores> {
        methods[place].iter().map(|method| Scores::new(method.info(), ROLES[place])).collect()
    });
    let (mut shares, mut left_out) = (Vec::new(), 0);
    lab.for_each_batch("explanations against the mask", &indices, lab.vit, |batch, samples, for_vit| {
        let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
        let seen: Vec<Image> = samples
            .iter()
            .map(|sample| preprocess(sample.image.clone(), &lab.cnn.card().preprocessing))
            .collect();
        let inputs = [for_vit, to_tensor(&seen, lab.device)];
        let sizes = [0, 1].map(|place: usize| inputs[place].dims());
        let mut heatmaps: Vec<Vec<Vec<Heatmap>>> = Vec::new();
        for ((role, input), methods) in ROLES.into_iter().zip(inputs).zip(&methods) {
            let keys = Keys { seed: lab.seed, images: &ids };
            let evidence = Evidence::new(lab.model(role), input, keys);
            heatmaps.push(explain_all(methods, &evidence, &evidence.predicted()?)?);
        }
        for (i, sample) in samples.iter().enumerate() {
            let Some(truth) = &sample.truth else { continue };
            let masks = ROLES.map(|role| preprocess_mask(&truth.mask, &lab.model(role).card().preprocessing));
            if masks.iter().any(|mask| [0.0, 1.0].contains(&object_share(mask))) {
                left_out += 1;
                continue;
            }
            shares.push(object_share(&masks[0]));
            for (place, mask) in masks.iter().enumerate() {
                let [_, _, height, width] = sizes[place];
                for (scores, heatmaps) in scores[place].iter_mut().zip(&heatmaps[place]) {
                    scores.add(&heatmaps[i].resized(height, width), mask);
                }
            }
        }
        Ok(())
    })?;
    let object_share = Measured::of(mean_t(&shares, DEFAULT_LEVEL))?.or_not_a_number();
    let methods = match shares.len() {
        0 => Vec::new(),
        _ => findings(&scores, &lab.resampling())?,
    };
    Ok(Some(LocalisationFindings { n: shares.len(), left_out, object_share, methods }))
}
