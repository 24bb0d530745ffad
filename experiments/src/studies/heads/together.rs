//! What heads are worth together: cumulative pruning curves, interactions of pairs, and whole branches of blocks. The importance that
//! orders the heads is measured on one half of the images, everything else on the other.

use archaeo_analysis::ablation::{
    Answers, BRANCH_REPLACEMENTS, Branch, BranchMeans, HeadMeans, Substitute, ablate_branches,
    ablate_some_heads, gradient_importance, remove_heads,
};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Resampling, SignFlipTest, accuracy_difference, benjamini_hochberg, sign_flip_test, wilson,
};
use archaeo_models::Classifier;
use archaeo_random::{keyed_rng, standard_normal, stratified};
use serde::{Deserialize, Serialize};

use super::findings::{
    BranchAblation, HeadFindings, HeadPair, PruningCurve, RandomOrders, Reference, Together,
};
use super::{Head, HeadsOptions, HeadsStudy};
use crate::scene::{Scene, StudyError};
use crate::subjects::ModelName;
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

/// Findings of a model without heads, to be filled with its branches.
pub(super) fn without_heads(
    records: &[&TogetherRecord],
    reference: Reference,
) -> Result<HeadFindings, StudyError> {
    let right = records.iter().filter(|of| of.baseline.1).count();
    Ok(HeadFindings {
        n: records.len(),
        baseline: wilson(right, records.len(), DEFAULT_LEVEL)?,
        ranking: Vec::new(),
        selected: None,
        gradient_agreement: None,
        removal: None,
        reference,
        together: None,
    })
}

/// What follows from the records.
pub(super) fn found(
    scene: &Scene,
    model: ModelName,
    chosen_on: usize,
    records: &[&TogetherRecord],
) -> Result<Together, StudyError> {
    let (resampling, options) = (scene.resampling(), scene.options.of::<HeadsStudy>());
    let heads = &records[0].heads;
    let pairs = pairs(heads, options.pairs, scene.seed);
    let in_order = !records[0].curves.is_empty();
    Ok(Together {
        n: records.len(),
        chosen_on: if heads.is_empty() { 0 } else { chosen_on },
        curve: in_order.then(|| curve(records, &resampling)).transpose()?,
        pairs: interactions(records, &pairs, &resampling)?,
        branches: branches(records, &Branch::of_model(scene.model(model), &options.branches), &resampling)?,
    })
}

fn curve(records: &[&TogetherRecord], resampling: &Resampling) -> Result<PruningCurve, StudyError> {
    let removed = steps(records[0].heads.len());
    let (n, draws) = (records.len(), records[0].curves.len() - MEASURED);
    let right = |order: usize, point: usize| records.iter().filter(|of| of.curves[order][point]).count();
    let accuracy = |order: usize| -> Result<Vec<_>, StudyError> {
        (0..removed.len()).map(|point| Ok(wilson(right(order, point), n, DEFAULT_LEVEL)?)).collect()
    };
    let random = |point: usize| {
        let shares = || (MEASURED..MEASURED + draws).map(|order| right(order, point) as f64 / n as f64);
        RandomOrders {
            mean: shares().sum::<f64>() / draws as f64,
            lowest: shares().fold(f64::INFINITY, f64::min),
            highest: shares().fold(f64::NEG_INFINITY, f64::max),
        }
    };
    // Mean over the points of whether an image is classified correctly.
    let area = |of: &TogetherRecord, order: usize| {
        of.curves[order].iter().filter(|correct| **correct).count() as f64 / removed.len() as f64
    };
    let against_random = |order: usize| -> Result<Option<SignFlipTest>, StudyError> {
        if draws == 0 {
            return Ok(None);
        }
        let own: Vec<f64> = records.iter().map(|of| area(of, order)).collect();
        let random = MEASURED..MEASURED + draws;
        let null = |of: &&TogetherRecord| random.clone().map(|i| area(of, i)).sum::<f64>() / draws as f64;
        let null: Vec<f64> = records.iter().map(null).collect();
        Ok(Some(sign_flip_test(&own, &null, resampling)?))
    };
    Ok(PruningCurve {
        most_first: accuracy(0)?,
        least_first: accuracy(1)?,
        gradient_first: accuracy(2)?,
        random: if draws == 0 { Vec::new() } else { (0..removed.len()).map(random).collect() },
        random_orders: draws,
        most_against_random: against_random(0)?,
        least_against_random: against_random(1)?,
        gradient_against_random: against_random(2)?,
        removed,
    })
}

/// The loss increase without both heads, minus the two increases without one of them.
fn interactions(
    records: &[&TogetherRecord],
    pairs: &[[Head; 2]],
    resampling: &Resampling,
) -> Result<Vec<HeadPair>, StudyError> {
    let mut found = Vec::with_capacity(pairs.len());
    for (place, &[first, second]) in pairs.iter().enumerate() {
        let both: Vec<f64> = records.iter().map(|of| of.pairs[place][2] - of.baseline.0).collect();
        let sum = |of: &&TogetherRecord| of.pairs[place][0] + of.pairs[place][1] - 2.0 * of.baseline.0;
        let apart: Vec<f64> = records.iter().map(sum).collect();
        let SignFlipTest { difference, p_value } = sign_flip_test(&both, &apart, resampling)?;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        found.push(HeadPair {
            first: first.into(),
            second: second.into(),
            both: mean(&both),
            apart: mean(&apart),
            interaction: difference,
            adjusted_p: p_value,
        });
    }
    let p_values: Vec<f64> = found.iter().map(|pair| pair.adjusted_p).collect();
    if !p_values.is_empty() {
        let adjusted = benjamini_hochberg(&p_values)?;
        found.iter_mut().zip(adjusted).for_each(|(pair, p)| pair.adjusted_p = p);
    }
    Ok(found)
}

/// Every layer and every one of `branches`.
fn branches(
    records: &[&TogetherRecord],
    branches: &[Branch],
    resampling: &Resampling,
) -> Result<Vec<BranchAblation>, StudyError> {
    let whole: Vec<f64> = records.iter().map(|of| of.baseline.0).collect();
    let whole_correct: Vec<bool> = records.iter().map(|of| of.baseline.1).collect();
    let mut found = Vec::new();
    for place in 0..records[0].branches.len() / BRANCH_REPLACEMENTS.len() {
        let replaced = |by: usize| -> (Vec<f64>, Vec<bool>) {
            records.iter().map(|of| of.branches[place * BRANCH_REPLACEMENTS.len() + by]).unzip()
        };
        let ((by_mean, correct), (by_zero, _)) = (replaced(0), replaced(1));
        let SignFlipTest { difference, p_value } = sign_flip_test(&by_mean, &whole, resampling)?;
        found.push(BranchAblation {
            layer: place / branches.len(),
            branch: branches[place % branches.len()],
            mean: difference,
            zero: sign_flip_test(&by_zero, &whole, resampling)?.difference,
            accuracy_drop: accuracy_difference(&whole_correct, &correct, resampling)?,
            adjusted_p: p_value,
        });
    }
    let p_values: Vec<f64> = found.iter().map(|of| of.adjusted_p).collect();
    found.iter_mut().zip(benjamini_hochberg(&p_values)?).for_each(|(of, p)| of.adjusted_p = p);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight images and four heads in two layers: without head 1 every answer is wrong, the others do nothing; the losses of heads 1
    /// and 2 add up, those of 1 and 3 do not.
    fn record(image: usize) -> TogetherRecord {
        let noise = 0.01 * image as f64;
        let pair = |both: f64| [1.0 + noise, 0.7 + noise, both + noise];
        TogetherRecord {
            heads: vec![(0, 0), (0, 1), (1, 0), (1, 1)],
            baseline: (0.5 + noise, true),
            curves: vec![
                vec![true, false, false, false, false],
                vec![true, true, true, true, false],
                vec![true, true, true, false, false],
                vec![true, true, false, false, false],
            ],
            pairs: vec![pair(1.2), pair(2.2)],
            branches: [0.5, 0.6, 0.7, 0.5, 0.5, 0.9]
                .map(|loss| [(loss + noise, loss < 0.8), (loss + 0.1 + noise, loss < 0.7)])
                .concat(),
        }
    }

    #[test]
    fn known_records_give_known_curves_interactions_and_branches() {
        let records: Vec<TogetherRecord> = (0..12).map(record).collect();
        let records: Vec<&TogetherRecord> = records.iter().collect();
        let resampling = Resampling { resamples: 2000, ..Resampling::new(1) };
        let found = curve(&records, &resampling).unwrap();
        assert_eq!((found.removed.as_slice(), found.random_orders), ([0, 1, 2, 3, 4].as_slice(), 1));
        let values =
            |of: &[archaeo_analysis::statistics::Estimate]| of.iter().map(|e| e.value).collect::<Vec<_>>();
        assert_eq!(values(&found.most_first), [1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(values(&found.least_first), [1.0, 1.0, 1.0, 1.0, 0.0]);
        let random: Vec<f64> = found.random.iter().map(|of| of.mean).collect();
        assert_eq!(random, [1.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(values(&found.gradient_first), [1.0, 1.0, 1.0, 0.0, 0.0]);
        let [most, least, gradient] =
            [found.most_against_random, found.least_against_random, found.gradient_against_random]
                .map(Option::unwrap);
        assert!((most.difference.value + 0.2).abs() < 1e-12 && most.p_value < 0.01);
        assert!((least.difference.value - 0.4).abs() < 1e-12 && least.p_value < 0.01);
        assert!((gradient.difference.value - 0.2).abs() < 1e-12 && gradient.p_value < 0.01);

        let pairs = [[(0, 0), (0, 1)], [(0, 0), (1, 0)]];
        let found = interactions(&records, &pairs, &resampling).unwrap();
        assert!(found[0].interaction.value.abs() < 1e-9 && found[0].adjusted_p > 0.05);
        assert!((found[1].interaction.value - 1.0).abs() < 1e-9 && found[1].adjusted_p < 0.05);
        assert_eq!((found[1].second.layer, found[1].second.head), (1, 0));

        let found = branches(&records, &Branch::ALL, &resampling).unwrap();
        assert_eq!((found[5].layer, found[5].branch), (1, Branch::Layer));
        assert!((found[5].mean.value - 0.4).abs() < 1e-9 && found[5].adjusted_p < 0.05);
        assert!((found[5].zero.value - 0.5).abs() < 1e-9);
        assert_eq!(found[5].accuracy_drop.value, 1.0);
        assert!(found[3].mean.value.abs() < 1e-9 && found[3].adjusted_p > 0.05);
    }

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
