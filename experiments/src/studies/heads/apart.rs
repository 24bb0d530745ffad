//! Every head on its own: what an image answers without it, and what follows from all images.

use archaeo_analysis::ablation::{AblatedHead, Answers, HeadAblations, Replacement};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Estimate, Resampling, SignFlipTest, StatisticsError, accuracy_difference,
    benjamini_hochberg, mean_t, sign_flip_test, spearman, wilson,
};
use archaeo_random::stratified;
use serde::{Deserialize, Serialize};

use super::findings::{HeadAblation, HeadFindings, Reference, SelectedHead};
use super::{FEWEST_IMAGES, Head};
use crate::scene::{Scene, StudyError};

/// The ways in which a head is replaced, in the order of what is recorded.
pub(super) const REPLACEMENTS: [Replacement; 3] =
    [Replacement::Mean, Replacement::Zero, Replacement::Resample];

/// What one image answers with one head replaced at a time.
#[derive(Debug, Serialize, Deserialize)]
pub struct ApartRecord {
    /// The heads: layers and heads, counted from 0.
    heads: Vec<Head>,
    /// Loss in nats and whether the answer is correct, with every head in place.
    baseline: (f64, bool),
    /// The same with one head replaced: of every head and replacement, in this order.
    ablated: Vec<(f64, bool)>,
    /// Importance by gradient, of every head.
    gradient: Vec<f64>,
}

impl ApartRecord {
    /// That of an image of a batch.
    pub(super) fn of(image: usize, ablations: &HeadAblations, gradients: &[Vec<Vec<f64>>]) -> Self {
        let answer = |answers: &Answers| (answers.losses[image], answers.correct[image]);
        let heads: Vec<Head> =
            ablations.heads.iter().step_by(REPLACEMENTS.len()).map(|of| (of.layer, of.head)).collect();
        Self {
            baseline: answer(&ablations.baseline),
            ablated: ablations.heads.iter().map(|head| answer(&head.answers)).collect(),
            gradient: heads.iter().map(|&(layer, head)| gradients[layer][head][image]).collect(),
            heads,
        }
    }
}

/// Answers to all images.
fn ablations(records: &[&ApartRecord]) -> HeadAblations {
    let answers = |of: &dyn Fn(&ApartRecord) -> (f64, bool)| {
        let (losses, correct) = records.iter().map(|record| of(record)).unzip();
        Answers { losses, correct }
    };
    let heads = records.first().map_or(&[][..], |record| &record.heads);
    let keys = heads.iter().flat_map(|&(layer, head)| REPLACEMENTS.map(|by| (layer, head, by)));
    let ablated = |(place, (layer, head, replacement))| AblatedHead {
        layer,
        head,
        replacement,
        answers: answers(&|record: &ApartRecord| record.ablated[place]),
    };
    HeadAblations {
        baseline: answers(&|record| record.baseline),
        heads: keys.enumerate().map(ablated).collect(),
    }
}

pub(super) fn found(
    scene: &Scene,
    records: &[&ApartRecord],
    reference: Reference,
) -> Result<HeadFindings, StudyError> {
    let ablations = ablations(records);
    let (resampling, baseline) = (scene.resampling(), &ablations.baseline);
    let answers = |layer: usize, head: usize, replacement: Replacement| {
        let of =
            |entry: &&AblatedHead| (entry.layer, entry.head, entry.replacement) == (layer, head, replacement);
        &ablations.heads.iter().find(of).expect("every head was replaced in every way").answers
    };

    let mut ranking = Vec::new();
    let mut p_values = Vec::new();
    for (place, &(layer, head)) in records[0].heads.iter().enumerate() {
        let gradients: Vec<f64> = records.iter().map(|record| record.gradient[place]).collect();
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
            gradient: mean_t(&gradients, DEFAULT_LEVEL)?,
            adjusted_p: 1.0,
        });
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
        selected: selected(&ablations, &resampling)?,
        gradient_agreement,
        removal: None,
        reference,
        together: None,
    })
}

/// Of the ranking by gradient with the ranking by ablation; `None` where it is undefined.
pub(super) fn agreement(
    ranking: &[HeadAblation],
    resampling: &Resampling,
) -> Result<Option<Estimate>, StudyError> {
    let by_gradient: Vec<f64> = ranking.iter().map(|entry| entry.gradient.value).collect();
    let by_ablation: Vec<f64> = ranking.iter().map(|entry| entry.mean.value).collect();
    match spearman(&by_gradient, &by_ablation, resampling) {
        Ok(found) => Ok(Some(found.correlation)),
        Err(StatisticsError::Undefined { .. } | StatisticsError::TooFew { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The most important head by a random half of the images, on the other half; `None` where a half has fewer than two.
pub(super) fn selected(
    ablations: &HeadAblations,
    resampling: &Resampling,
) -> Result<Option<SelectedHead>, StudyError> {
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
