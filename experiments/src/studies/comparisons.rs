//! The same images under both models' explanations: input, ViT rollout, CNN Grad-CAM.

use std::collections::BTreeMap;

use archaeo_analysis::attention_maps::AttentionMaps;
use archaeo_analysis::grad_cam::grad_cam;
use archaeo_analysis::heatmap::rank_correlation;
use archaeo_analysis::rollout::{RolloutOptions, rollout};

use super::pictures::{heat_panel, panel, row};
use super::{Laboratory, ROLES, StudyError};
use crate::evaluate::Evaluation;
use crate::findings::{Comparison, ComparisonFindings, Role};
use crate::images::{preprocess, to_tensor};

/// Explains a sample of the main split with both models.
///
/// # Errors
/// A ViT without attention, or data that cannot be read.
pub fn comparisons(lab: &Laboratory) -> Result<ComparisonFindings, StudyError> {
    let count = lab.sizes.comparisons;
    let indices = lab.sample_to_show("comparisons", count, count)?;
    let (vit, cnn) = (lab.predicted(lab.main_split, Role::Vit)?, lab.predicted(lab.main_split, Role::Cnn)?);
    let answers = [vit.scores()?.predicted(), cnn.scores()?.predicted()];
    let split = lab.split()?;
    let mut items = Vec::new();
    lab.for_each_batch("explanations compared", &indices, lab.vit, |batch, samples, for_vit| {
        let rollouts = rollout(&AttentionMaps::record(lab.vit, for_vit)?, &RolloutOptions::default());
        let preprocessing = &lab.cnn.card().preprocessing;
        let shown: Vec<_> =
            samples.iter().map(|sample| preprocess(sample.image.clone(), preprocessing)).collect();
        let grad_cams = grad_cam(lab.cnn, to_tensor(&shown, lab.device), None);
        for (((&index, image), rollout), grad_cam) in batch.iter().zip(&shown).zip(&rollouts).zip(&grad_cams)
        {
            let picture = row(&[panel(image)?, heat_panel(image, rollout)?, heat_panel(image, grad_cam)?])?;
            let answer = |role: usize, predicted: &Evaluation| {
                let class = answers[role][index];
                (ROLES[role], (class, predicted.probabilities(index)[class]))
            };
            let on_patch_grid = grad_cam.resized(rollout.height, rollout.width);
            items.push(Comparison {
                index,
                identifier: split.identifier(index),
                label: split.label(index),
                predictions: BTreeMap::from([answer(0, &vit), answer(1, &cnn)]),
                // A constant heatmap ranks nothing.
                agreement: rank_correlation(rollout, &on_patch_grid).unwrap_or(f64::NAN),
                picture: lab.save(&format!("comparison-{index:05}"), &picture)?,
            });
        }
        Ok(())
    })?;
    let selection = format!(
        "{} images of the {} split, drawn at random with seed {}, each class in proportion",
        items.len(),
        lab.main_split,
        lab.seed
    );
    Ok(ComparisonFindings { selection, items })
}
