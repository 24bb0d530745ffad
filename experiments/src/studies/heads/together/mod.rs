//! What heads are worth together: cumulative pruning curves, interactions of pairs, and whole branches of blocks. The importance that
//! orders the heads is measured on one half of the images, everything else on the other.

mod conclude;

use archaeo_analysis::ablation::{
    Answers, BranchMeans, HeadMeans, Substitute, ablate_branches, ablate_some_heads, gradient_importance,
    remove_heads,
};
use archaeo_models::Classifier;
use archaeo_random::{keyed_rng, standard_normal, stratified};
use serde::{Deserialize, Serialize};

pub(super) use self::conclude::{found, without_heads};
use super::{Head, HeadsOptions, HeadsStudy};
use crate::scene::{Scene, StudyError};
use crate::units::{Recorder, Unit};

/// Most steps of a pruning curve after the first point.
const MOST_STEPS: usize = 12;

/// Images that choose the order, and those that are evaluated.
pub(super) fn halves(images: &[usize], seed: u64) -> [Vec<usize>; 2] {
    let n = images.len();
    let mut chooses = vec![false; n];
    stratified(seed, "halves for choosing a head", &vec![0; n], n / 2)
        .into_iter()
        .for_each(|place| chooses[place] = true);
    [true, false].map(|wanted| {
        images.iter().zip(&chooses).filter(|(_, chooses)| **chooses == wanted).map(|(i, _)| *i).collect()
    })
}

/// What one image answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct TogetherRecord {
    /// The heads that are taken away, in the order of the model.
    heads: Vec<Head>,
    /// Loss in nats and whether the answer is correct, with everything in place.
    baseline: (f64, bool),
    /// Per order, whether the answer is correct after each step: those of [`Orders`], and then at random; none where no curve was
    /// asked for.
    curves: Vec<Vec<bool>>,
    /// Per pair of heads, the loss without the first, without the second, and without both.
    pairs: Vec<[f64; 3]>,
    /// The same as `baseline` with a branch replaced: every layer, branch and replacement.
    branches: Vec<(f64, bool)>,
}

/// The orders that are measured.
struct Orders {
    /// The largest loss increase first; the other way round, the smallest first.
    most_first: Vec<Head>,
    /// The largest gradient first.
    gradient_first: Vec<Head>,
}

/// Number of orders before the random ones.
const MEASURED: usize = 3;

/// Numbers of heads that are taken away at the points of a curve: from none to all.
pub(super) fn steps(heads: usize) -> Vec<usize> {
    let points = MOST_STEPS.min(heads).max(1);
    (0..=points).map(|point| (point * heads + points / 2) / points).collect()
}

/// A random order, keyed by seed and draw.
fn shuffled(heads: Vec<Head>, seed: u64, draw: usize) -> Vec<Head> {
    let mut rng = keyed_rng(seed, "random order of heads", draw as u64, 0);
    let mut keyed: Vec<(f64, Head)> =
        heads.into_iter().map(|head| (standard_normal(&mut rng), head)).collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    keyed.into_iter().map(|(_, head)| head).collect()
}

/// Random pairs of different heads, each at most once; all pairs where there are no more than `count`.
pub(super) fn pairs(heads: &[Head], count: usize, seed: u64) -> Vec<[Head; 2]> {
    let every: Vec<[Head; 2]> = (0..heads.len())
        .flat_map(|first| (first + 1..heads.len()).map(move |second| (first, second)))
        .map(|(first, second)| [heads[first], heads[second]])
        .collect();
    let chosen = stratified(seed, "pairs of heads", &vec![0; every.len()], count);
    chosen.into_iter().map(|place| every[place]).collect()
}

/// The heads by importance over some images: by the loss increase under mean replacement, and by gradient.
fn orders(
    scene: &Scene,
    model: &Classifier,
    images: &[usize],
    means: &HeadMeans,
    (what, options): (&str, &HeadsOptions),
) -> Result<Orders, StudyError> {
    // Of every head its loss, and its importance by gradient, summed over images.
    let mut worth: Vec<(Head, [f64; 2])> = Vec::new();
    scene.for_each_batch(what, images, model, |_, samples, images| {
        let labels: Vec<usize> = samples.iter().map(|sample| sample.label).collect();
        let which = |layer, head| options.asks(layer, head);
        let substitutes = [Substitute::Mean(means)];
        let point = options.removal;
        let found = ablate_some_heads(model, images.clone(), &labels, &substitutes, point, &which)?;
        let gradients = gradient_importance(model, images, &labels, point)?;
        if worth.is_empty() {
            worth = found.heads.iter().map(|head| ((head.layer, head.head), [0.0; 2])).collect();
        }
        for (((layer, head), sums), ablated) in worth.iter_mut().zip(&found.heads) {
            ablated.answers.losses.iter().for_each(|loss| sums[0] += loss);
            gradients[*layer][*head].iter().for_each(|slope| sums[1] += slope);
        }
        Ok(())
    })?;
    let mut largest_first = |by: usize| -> Vec<Head> {
        worth.sort_by(|a, b| b.1[by].total_cmp(&a.1[by]).then(a.0.cmp(&b.0)));
        worth.iter().map(|(head, _)| *head).collect()
    };
    Ok(Orders { most_first: largest_first(0), gradient_first: largest_first(1) })
}

/// Records what happens on the images of `unit`, in orders that the images `choosing` give.
pub(super) fn recorder<'a, R: 'a>(
    scene: &'a Scene,
    unit: &'a Unit,
    choosing: &[usize],
    means: HeadMeans,
    branch_means: BranchMeans,
    wrap: impl Fn(TogetherRecord) -> R + 'a,
) -> Result<Recorder<'a, R>, StudyError> {
    let (model, options) = (scene.model(unit.model), scene.options.of::<HeadsStudy>());
    let what = format!("order of the heads of {}", unit.model);
    let of_heads = model.has_attention() && (options.curve || options.pairs > 0);
    let found = of_heads.then(|| orders(scene, model, choosing, &means, (&what, &options))).transpose()?;
    let mut heads = found.as_ref().map_or_else(Vec::new, |orders| orders.most_first.clone());
    heads.sort_unstable();
    let steps = steps(heads.len());
    let mut sets: Vec<Vec<Head>> = Vec::new();
    if let (Some(orders), true) = (found, options.curve) {
        let least_first: Vec<Head> = orders.most_first.iter().rev().copied().collect();
        let random = (0..options.random_orders).map(|draw| shuffled(heads.clone(), scene.seed, draw));
        let all = [orders.most_first, least_first, orders.gradient_first].into_iter().chain(random);
        sets.extend(all.flat_map(|order| steps.iter().map(move |&count| order[..count].to_vec())));
    }
    let in_curves = sets.len();
    let pairs = pairs(&heads, options.pairs, scene.seed);
    sets.extend(pairs.iter().flat_map(|&[first, second]| [vec![first], vec![second], vec![first, second]]));
    let points = steps.len();
    Ok(Box::new(move |batch| {
        let labels = batch.labels();
        let removed = match sets.is_empty() {
            true => Vec::new(),
            false => remove_heads(model, batch.images.clone(), &labels, &means, &sets)?,
        };
        let (baseline, branches) =
            ablate_branches(model, batch.images.clone(), &labels, &branch_means, &options.branches)?;
        let answer = |answers: &Answers, image: usize| (answers.losses[image], answers.correct[image]);
        let (curves, pairs) = removed.split_at(in_curves);
        let record = |image: usize| TogetherRecord {
            heads: heads.clone(),
            baseline: answer(&baseline, image),
            curves: curves
                .chunks(points)
                .map(|curve| curve.iter().map(|answers| answers.correct[image]).collect())
                .collect(),
            pairs: pairs.chunks(3).map(|of| [0, 1, 2].map(|i| of[i].losses[image])).collect(),
            branches: branches.iter().map(|branch| answer(&branch.answers, image)).collect(),
        };
        Ok((0..labels.len()).map(|image| wrap(record(image))).collect())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lead_from_none_to_all_and_pairs_are_of_different_heads() {
        assert_eq!(steps(4), [0, 1, 2, 3, 4]);
        assert_eq!(steps(24), (0..=12).map(|point| 2 * point).collect::<Vec<_>>());
        assert_eq!((steps(36)[0], steps(36)[12]), (0, 36));
        let heads = |layers: usize, heads: usize| -> Vec<Head> {
            (0..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head))).collect()
        };
        let found = pairs(&heads(2, 2), 10, 3);
        assert_eq!(found.len(), 6);
        assert!(found.iter().all(|[first, second]| first < second));
        assert_eq!(pairs(&heads(6, 4), 20, 3).len(), 20);
        let [choosing, evaluated] = halves(&[3, 5, 8, 9, 11], 7);
        assert_eq!((choosing.len(), evaluated.len()), (2, 3));
        assert!(choosing.iter().all(|image| !evaluated.contains(image)));
    }
}
