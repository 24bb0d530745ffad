//! What is each attention head of each model worth?

mod chapter;
mod claims;
pub mod findings;

use archaeo_analysis::ablation::{
    AblatedHead, HeadAblations, HeadMeans, Replacement, Substitute, ablate_heads, donors, gradient_importance,
};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Estimate, Resampling, SignFlipTest, StatisticsError, accuracy_difference,
    benjamini_hochberg, mean_t, sign_flip_test, spearman, wilson,
};

use archaeo_random::stratified;
use archaeo_training::RecipeError;
use archaeo_training::images::to_tensor;
use serde::{Deserialize, Serialize};

use self::findings::{HeadAblation, HeadFindings, SelectedHead};
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, Subject};

/// Fewest images: another image's output needs another image, and an interval two values.
pub const FEWEST_IMAGES: usize = 2;

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadsOptions {
    /// Images that every head is ablated on, at least 2.
    pub images: usize,
}

impl Default for HeadsOptions {
    fn default() -> Self {
        Self { images: 400 }
    }
}

impl Options for HeadsOptions {
    fn quick() -> Self {
        Self { images: 128 }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.heads.images", FEWEST_IMAGES, "at least 2", self.images)
    }
}

/// Takes every head away in three ways, and asks the gradient.
pub struct HeadsStudy;

impl Study for HeadsStudy {
    const ID: &'static str = "heads";
    const TITLE: &'static str = "What each head is worth";
    const QUESTION: &'static str = "what each head is worth";
    type Options = HeadsOptions;
    type Findings = ByModel<HeadFindings>;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let enough = scene.sample(Self::ID, FEWEST_IMAGES)?.len() >= FEWEST_IMAGES;
        Ok(match scene.with_attention().is_empty() {
            true => Applicability::only_if(false, "no model here has attention heads"),
            false => Applicability::only_if(enough, "another image's output takes a second image"),
        })
    }

    fn run(scene: &Scene) -> Result<ByModel<HeadFindings>, StudyError> {
        scene
            .with_attention()
            .into_iter()
            .map(|subject| Ok((subject.name, of_model(scene, subject)?)))
            .collect()
    }

    fn chapter(findings: &Self::Findings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

/// Takes every head of one model away in three ways, and asks the gradient, on a sample of the main split.
///
/// # Errors
/// A model without attention, fewer than two images, or data that cannot be read.
pub fn of_model(scene: &Scene, Subject { name, model }: Subject) -> Result<HeadFindings, StudyError> {
    let indices = scene.sample("heads", scene.options.of::<HeadsStudy>().images)?;
    if indices.len() < FEWEST_IMAGES {
        let (what, found) = ("head ablation", indices.len());
        return Err(StatisticsError::TooFew { what, needed: FEWEST_IMAGES, found }.into());
    }
    let mut means = HeadMeans::default();
    scene.for_each_batch(
        &format!("mean output of every head of {name}"),
        &indices,
        model,
        |_, _, images| {
            means.add(model, images)?;
            Ok(())
        },
    )?;

    let donor_of = donors(indices.len(), scene.seed);
    let mut ablations = HeadAblations::default();
    // Of each layer, head and image.
    let mut gradients: Vec<Vec<Vec<f64>>> = Vec::new();
    let mut done = 0;
    scene.for_each_batch(
        &format!("heads of {name} ablated"),
        &indices,
        model,
        |batch, samples, images| {
            let labels: Vec<usize> = samples.iter().map(|sample| sample.label).collect();
            let donor_indices: Vec<usize> =
                (done..done + batch.len()).map(|i| indices[donor_of[i]]).collect();
            done += batch.len();
            let donors = to_tensor(&scene.images_for(model, &donor_indices)?, scene.device);
            let substitutes = [Substitute::Mean(&means), Substitute::Zero, Substitute::Resample(&donors)];
            ablations.append(ablate_heads(model, images.clone(), &labels, &substitutes)?);
            let batch_gradients = gradient_importance(model, images, &labels)?;
            gradients.resize(batch_gradients.len(), Vec::new());
            for (layer, batch_heads) in gradients.iter_mut().zip(batch_gradients) {
                layer.resize(batch_heads.len(), Vec::new());
                layer.iter_mut().zip(batch_heads).for_each(|(head, images)| head.extend(images));
            }
            Ok(())
        },
    )?;
    scene.progress.stage("testing every head");
    found(scene, &ablations, &gradients)
}

fn found(
    scene: &Scene,
    ablations: &HeadAblations,
    gradients: &[Vec<Vec<f64>>],
) -> Result<HeadFindings, StudyError> {
    let (resampling, baseline) = (scene.resampling(), &ablations.baseline);
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
                sign_flip_test(&answers(layer, head, replacement).losses, &baseline.losses, &resampling)
            };
            let by_mean = answers(layer, head, Replacement::Mean);
            let SignFlipTest { difference: mean, p_value } = loss_increase(Replacement::Mean)?;
            p_values.push(p_value);
            ranking.push(HeadAblation {
                layer,
                head,
                mean,
                zero: loss_increase(Replacement::Zero)?.difference,
                resample: loss_increase(Replacement::Resample)?.difference,
                accuracy_drop: accuracy_difference(&baseline.correct, &by_mean.correct, &resampling)?,
                gradient: mean_t(of_images, DEFAULT_LEVEL)?,
                adjusted_p: 1.0,
            });
        }
    }
    for (entry, adjusted) in ranking.iter_mut().zip(benjamini_hochberg(&p_values)?) {
        entry.adjusted_p = adjusted;
    }
    let gradient_agreement = agreement(&ranking, &resampling)?;
    ranking.sort_by(|a, b| {
        b.mean.value.total_cmp(&a.mean.value).then((a.layer, a.head).cmp(&(b.layer, b.head)))
    });

    let right = baseline.correct.iter().filter(|&&correct| correct).count();
    Ok(HeadFindings {
        n: baseline.correct.len(),
        baseline: wilson(right, baseline.correct.len(), DEFAULT_LEVEL)?,
        ranking,
        selected: selected(ablations, &resampling)?,
        gradient_agreement,
    })
}

/// Of the ranking by gradient with the ranking by ablation; `None` where it is undefined.
fn agreement(ranking: &[HeadAblation], resampling: &Resampling) -> Result<Option<Estimate>, StudyError> {
    let by_gradient: Vec<f64> = ranking.iter().map(|entry| entry.gradient.value).collect();
    let by_ablation: Vec<f64> = ranking.iter().map(|entry| entry.mean.value).collect();
    match spearman(&by_gradient, &by_ablation, resampling) {
        Ok(found) => Ok(Some(found.correlation)),
        Err(StatisticsError::Undefined { .. } | StatisticsError::TooFew { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The most important head by a random half of the images, on the other half; `None` where a half has fewer than two.
fn selected(ablations: &HeadAblations, resampling: &Resampling) -> Result<Option<SelectedHead>, StudyError> {
    let baseline = &ablations.baseline;
    let n = baseline.losses.len();
    if n / 2 < FEWEST_IMAGES {
        return Ok(None);
    }
    let mut chooses = vec![false; n];
    stratified(resampling.seed, "halves for choosing a head", &vec![0; n], n / 2)
        .into_iter()
        .for_each(|i| chooses[i] = true);
    let increase = |entry: &AblatedHead| -> f64 {
        let pairs = entry.answers.losses.iter().zip(&baseline.losses).zip(&chooses);
        pairs.filter(|(_, chooses)| **chooses).map(|((ablated, whole), _)| ablated - whole).sum()
    };
    let by_mean = ablations.heads.iter().filter(|entry| entry.replacement == Replacement::Mean);
    // The first among equals.
    let Some(largest) = by_mean.rev().max_by(|a, b| increase(a).total_cmp(&increase(b))) else {
        return Ok(None);
    };
    fn others<T: Copy>(values: &[T], chooses: &[bool]) -> Vec<T> {
        values.iter().zip(chooses).filter(|(_, chooses)| !**chooses).map(|(value, _)| *value).collect()
    }
    let SignFlipTest { difference, p_value } = sign_flip_test(
        &others(&largest.answers.losses, &chooses),
        &others(&baseline.losses, &chooses),
        resampling,
    )?;
    Ok(Some(SelectedHead {
        layer: largest.layer,
        head: largest.head,
        chosen_on: n / 2,
        mean: difference,
        p_value,
        accuracy_drop: accuracy_difference(
            &others(&baseline.correct, &chooses),
            &others(&largest.answers.correct, &chooses),
            resampling,
        )?,
    }))
}

#[cfg(test)]
mod tests;
