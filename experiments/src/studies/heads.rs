//! What is each attention head of the ViT worth?

use archaeo_analysis::head_ablation::{
    AblatedHead, HeadAblations, HeadMeans, Replacement, Substitute, ablate_heads, donors,
};
use archaeo_analysis::head_gradient::gradient_importance;
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Measured, accuracy_difference, benjamini_hochberg, mean_difference, mean_t, spearman,
    wilcoxon_signed_rank, wilson,
};

use super::{Laboratory, StudyError};
use crate::findings::{HeadAblation, HeadFindings};
use crate::images::{preprocess, to_tensor};

/// Takes every head away in three ways, and asks the gradient, on a sample of the main split.
///
/// # Errors
/// A model without attention, or data that cannot be read.
pub fn heads(lab: &Laboratory) -> Result<HeadFindings, StudyError> {
    let indices = lab.sample("heads", lab.sizes.ablation_images)?;
    let mut means = HeadMeans::default();
    lab.for_each_batch("mean output of every head", &indices, lab.vit, |_, _, images| {
        means.add(lab.vit, images)?;
        Ok(())
    })?;

    let donor_of = donors(indices.len(), lab.seed);
    let mut ablations = HeadAblations::default();
    // Of each layer, head and image.
    let mut gradients: Vec<Vec<Vec<f64>>> = Vec::new();
    let mut done = 0;
    lab.for_each_batch("heads ablated", &indices, lab.vit, |batch, samples, images| {
        let labels: Vec<usize> = samples.iter().map(|sample| sample.label).collect();
        let donor_indices: Vec<usize> = (done..done + batch.len()).map(|i| indices[donor_of[i]]).collect();
        done += batch.len();
        let donors: Vec<_> = lab
            .split()?
            .batch(&donor_indices)?
            .iter()
            .map(|sample| preprocess(sample.image.clone(), &lab.vit.card().preprocessing))
            .collect();
        let donors = to_tensor(&donors, lab.device);
        let substitutes = [Substitute::Mean(&means), Substitute::Zero, Substitute::Resample(&donors)];
        ablations.append(ablate_heads(lab.vit, images.clone(), &labels, &substitutes)?);
        let batch_gradients = gradient_importance(lab.vit, images, &labels)?;
        gradients.resize(batch_gradients.len(), Vec::new());
        for (layer, batch_heads) in gradients.iter_mut().zip(batch_gradients) {
            layer.resize(batch_heads.len(), Vec::new());
            layer.iter_mut().zip(batch_heads).for_each(|(head, images)| head.extend(images));
        }
        Ok(())
    })?;
    findings(lab, &ablations, &gradients)
}

fn findings(
    lab: &Laboratory,
    ablations: &HeadAblations,
    gradients: &[Vec<Vec<f64>>],
) -> Result<HeadFindings, StudyError> {
    let (resampling, baseline) = (lab.resampling(), &ablations.baseline);
    let answers = |layer: usize, head: usize, replacement: Replacement| {
        let of =
            |entry: &&AblatedHead| (entry.layer, entry.head, entry.replacement) == (layer, head, replacement);
        &ablations.heads.iter().find(of).expect("every head was replaced in every way").answers
    };

    let mut ranking = Vec::new();
    let mut p_values = Vec::new();
    for (layer, heads) in gradients.iter().enumerate() {
        for (head, of_images) in heads.iter().enumerate() {
            let loss_increase = |replacement| {
                mean_difference(&answers(layer, head, replacement).losses, &baseline.losses, &resampling)
            };
            let by_mean = answers(layer, head, Replacement::Mean);
            // A head whose replacement changes no loss at all cannot be shown to matter.
            p_values.push(
                wilcoxon_signed_rank(&by_mean.losses, &baseline.losses).map_or(1.0, |test| test.p_value),
            );
            ranking.push(HeadAblation {
                layer,
                head,
                mean: loss_increase(Replacement::Mean)?,
                zero: loss_increase(Replacement::Zero)?,
                resample: loss_increase(Replacement::Resample)?,
                accuracy_drop: accuracy_difference(&baseline.correct, &by_mean.correct, &resampling)?,
                gradient: mean_t(of_images, DEFAULT_LEVEL)?,
                adjusted_p: 1.0,
            });
        }
    }
    for (entry, adjusted) in ranking.iter_mut().zip(benjamini_hochberg(&p_values)?) {
        entry.adjusted_p = adjusted;
    }
    let by_gradient: Vec<f64> = ranking.iter().map(|entry| entry.gradient.value).collect();
    let by_ablation: Vec<f64> = ranking.iter().map(|entry| entry.mean.value).collect();
    // Too few heads, or gradients or losses that are all alike, rank nothing: a result, not an error.
    let gradient_agreement =
        Measured::of(spearman(&by_gradient, &by_ablation, &resampling).map(|found| found.correlation))?;
    let gradient_agreement = gradient_agreement.or_not_a_number();
    ranking.sort_by(|a, b| {
        b.mean.value.total_cmp(&a.mean.value).then((a.layer, a.head).cmp(&(b.layer, b.head)))
    });

    let right = baseline.correct.iter().filter(|&&correct| correct).count();
    Ok(HeadFindings {
        n: baseline.correct.len(),
        baseline: wilson(right, baseline.correct.len(), DEFAULT_LEVEL)?,
        ranking,
        gradient_agreement,
    })
}
