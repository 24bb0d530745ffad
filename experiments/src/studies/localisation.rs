//! Does an explanation point at the object? Only data that knows the object can answer.

use archaeo_analysis::attention_maps::AttentionMaps;
use archaeo_analysis::grad_cam::grad_cam;
use archaeo_analysis::heatmap::Heatmap;
use archaeo_analysis::localisation::{
    centre_heatmap, mass_in_mask, object_share, pointing_score, random_heatmap,
};
use archaeo_analysis::rollout::{RolloutOptions, attention_relevance, gradient_rollout, rollout};
use archaeo_analysis::statistics::{
    BootstrapInterval, DEFAULT_LEVEL, mean_bootstrap, mean_difference, mean_t,
};

use super::{Laboratory, StudyError};
use crate::findings::{LocalisationFindings, LocalisationScore, Role};
use crate::images::{preprocess, preprocess_mask, to_tensor};

/// One heatmap's scores, image by image.
struct Scores {
    method: &'static str,
    role: Option<Role>,
    pointing: Vec<f64>,
    mass: Vec<f64>,
}

/// Position of the random heatmap in the list of methods.
const RANDOM: usize = 0;

/// Holds every heatmap against the true mask on a sample of the main split; `None` where the data knows no mask.
///
/// # Errors
/// A ViT without attention, or data that cannot be read.
pub fn localisation(lab: &Laboratory) -> Result<Option<LocalisationFindings>, StudyError> {
    let indices = lab.sample("localisation", lab.sizes.localisation_images)?;
    let knows_mask = indices.first().map(|&i| lab.split()?.load(i).map_err(StudyError::from)).transpose()?;
    if knows_mask.is_none_or(|sample| sample.truth.is_none()) {
        return Ok(None);
    }

    let entry = |method, role| Scores { method, role, pointing: Vec::new(), mass: Vec::new() };
    let mut methods = [
        entry("random", None),
        entry("centre", None),
        entry("rollout", Some(Role::Vit)),
        entry("gradient rollout", Some(Role::Vit)),
        entry("attention relevance", Some(Role::Vit)),
        entry("Grad-CAM", Some(Role::Vit)),
        entry("Grad-CAM", Some(Role::Cnn)),
    ];
    let mut shares = Vec::new();
    lab.for_each_batch("explanations against the mask", &indices, lab.vit, |batch, samples, for_vit| {
        let (weights, gradients) = AttentionMaps::record_with_gradients(lab.vit, for_vit.clone(), None)?;
        let for_cnn: Vec<_> = samples
            .iter()
            .map(|sample| preprocess(sample.image.clone(), &lab.cnn.card().preprocessing))
            .collect();
        let heatmaps = [
            rollout(&weights, &RolloutOptions::default()),
            gradient_rollout(&weights, &gradients),
            attention_relevance(&weights, &gradients),
            grad_cam(lab.vit, for_vit, None),
            grad_cam(lab.cnn, to_tensor(&for_cnn, lab.device), None),
        ];
        for (i, (sample, &index)) in samples.iter().zip(batch).enumerate() {
            let Some(truth) = &sample.truth else { continue };
            let side_of = |role| lab.model(role).card().preprocessing.image_size;
            let mask_for = |role| preprocess_mask(&truth.mask, &lab.model(role).card().preprocessing);
            let (side, mask) = (side_of(Role::Vit), mask_for(Role::Vit));
            shares.push(object_share(&mask));
            methods[RANDOM].add(&random_heatmap(side, side, lab.seed, index as u64), &mask);
            methods[1].add(&centre_heatmap(side, side), &mask);
            for (scores, heatmaps) in methods[2..].iter_mut().zip(&heatmaps) {
                let role = scores.role.unwrap_or(Role::Vit);
                scores.add(&heatmaps[i].resized(side_of(role), side_of(role)), &mask_for(role));
            }
        }
        Ok(())
    })?;

    let random_mass = methods[RANDOM].mass.clone();
    let scores = methods.iter().enumerate().map(|(position, scores)| {
        let over_random = (position != RANDOM)
            .then(|| mean_difference(&scores.mass, &random_mass, &lab.resampling()))
            .transpose()?;
        Ok(LocalisationScore {
            method: scores.method.into(),
            role: scores.role,
            pointing: mean_bootstrap(&scores.pointing, BootstrapInterval::Percentile, &lab.resampling())?,
            mass: mean_t(&scores.mass, DEFAULT_LEVEL)?,
            mass_over_random: over_random,
        })
    });
    let methods = scores.collect::<Result<_, StudyError>>()?;
    Ok(Some(LocalisationFindings { n: shares.len(), object_share: mean_t(&shares, DEFAULT_LEVEL)?, methods }))
}

impl Scores {
    fn add(&mut self, heatmap: &Heatmap, mask: &[bool]) {
        self.pointing.push(pointing_score(heatmap, mask));
        self.mass.push(mass_in_mask(heatmap, mask));
    }
}
