//! What heads are worth together: cumulative pruning curves, interactions of pairs, and whole branches of blocks. The importance that
//! orders the heads is measured on one half of the images, everything else on the other.

use archaeo_analysis::ablation::{
    Answers, Branch, BranchMeans, HeadMeans, Substitute, ablate_branches, ablate_heads, remove_heads,
};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Resampling, SignFlipTest, accuracy_difference, benjamini_hochberg, sign_flip_test, wilson,
};
use archaeo_models::Classifier;
use archaeo_random::{keyed_rng, standard_normal, stratified};
use serde::{Deserialize, Serialize};

use super::HeadsStudy;
use super::findings::{BranchAblation, HeadPair, PruningCurve, RandomOrders, Together};
use crate::scene::{Scene, StudyError};
use crate::units::{Recorder, Unit};

/// A layer and a head, counted from 0.
pub(super) type Head = (usize, usize);

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
    /// Number of heads of each layer.
    heads: Vec<usize>,
    /// Loss in nats and whether the answer is correct, with everything in place.
    baseline: (f64, bool),
    /// Per order, whether the answer is correct after each step: most important first, least important first, at random.
    curves: Vec<Vec<bool>>,
    /// Per pair of heads, the loss without the first, without the second, and without both.
    pairs: Vec<[f64; 3]>,
    /// The same as `baseline` with a branch replaced by its mean: every layer and branch.
    branches: Vec<(f64, bool)>,
}

/// Numbers of heads that are taken away at the points of a curve: from none to all.
pub(super) fn steps(heads: usize) -> Vec<usize> {
    let points = MOST_STEPS.min(heads).max(1);
    (0..=points).map(|point| (point * heads + points / 2) / points).collect()
}

fn all_heads(heads: &[usize]) -> Vec<Head> {
    heads.iter().enumerate().flat_map(|(layer, &count)| (0..count).map(move |head| (layer, head))).collect()
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
pub(super) fn pairs(heads: &[usize], count: usize, seed: u64) -> Vec<[Head; 2]> {
    let all = all_heads(heads);
    let every: Vec<[Head; 2]> = (0..all.len())
        .flat_map(|first| (first + 1..all.len()).map(move |second| (first, second)))
        .map(|(first, second)| [all[first], all[second]])
        .collect();
    let chosen = stratified(seed, "pairs of heads", &vec![0; every.len()], count);
    chosen.into_iter().map(|place| every[place]).collect()
}

/// The heads, the most important first, by the loss increase under mean replacement summed over images.
fn most_important_first(
    scene: &Scene,
    model: &Classifier,
    images: &[usize],
    means: &HeadMeans,
    what: &str,
) -> Result<Vec<Head>, StudyError> {
    let mut worth: Vec<(Head, f64)> = Vec::new();
    scene.for_each_batch(what, images, model, |_, samples, images| {
        let labels: Vec<usize> = samples.iter().map(|sample| sample.label).collect();
        let found = ablate_heads(model, images, &labels, &[Substitute::Mean(means)])?;
        if worth.is_empty() {
            worth = found.heads.iter().map(|head| ((head.layer, head.head), 0.0)).collect();
        }
        for ((_, sum), head) in worth.iter_mut().zip(&found.heads) {
            head.answers.losses.iter().for_each(|loss| *sum += loss);
        }
        Ok(())
    })?;
    worth.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(worth.into_iter().map(|(head, _)| head).collect())
}

/// Records what happens on the images of `unit`, in an order that the images `choosing` give.
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
    let most = most_important_first(scene, model, choosing, &means, &what)?;
    let layers = most.iter().map(|(layer, _)| layer + 1).max().unwrap_or(0);
    let heads: Vec<usize> = (0..layers)
        .map(|layer| most.iter().filter(|(of, _)| *of == layer).map(|(_, head)| head + 1).max().unwrap_or(0))
        .collect();
    let mut orders = vec![most.clone(), most.iter().rev().copied().collect()];
    orders.extend((0..options.random_orders).map(|draw| shuffled(all_heads(&heads), scene.seed, draw)));
    let steps = steps(most.len());
    let curve = |order: &Vec<Head>| steps.iter().map(|&count| order[..count].to_vec()).collect::<Vec<_>>();
    let mut sets: Vec<Vec<Head>> = orders.iter().flat_map(curve).collect();
    let in_curves = sets.len();
    let pairs = pairs(&heads, options.pairs, scene.seed);
    sets.extend(pairs.iter().flat_map(|&[first, second]| [vec![first], vec![second], vec![first, second]]));
    let points = steps.len();
    Ok(Box::new(move |batch| {
        let labels = batch.labels();
        let removed = remove_heads(model, batch.images.clone(), &labels, &means, &sets)?;
        let (baseline, branches) = ablate_branches(model, batch.images.clone(), &labels, &branch_means)?;
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

/// What follows from the records.
pub(super) fn found(
    scene: &Scene,
    chosen_on: usize,
    records: &[&TogetherRecord],
) -> Result<Together, StudyError> {
    let (resampling, options) = (scene.resampling(), scene.options.of::<HeadsStudy>());
    let pairs = pairs(&records[0].heads, options.pairs, scene.seed);
    Ok(Together {
        n: records.len(),
        chosen_on,
        curve: curve(records, &resampling)?,
        pairs: interactions(records, &pairs, &resampling)?,
        branches: branches(records, &resampling)?,
    })
}

fn curve(records: &[&TogetherRecord], resampling: &Resampling) -> Result<PruningCurve, StudyError> {
    let removed = steps(records[0].heads.iter().sum());
    let (n, draws) = (records.len(), records[0].curves.len() - 2);
    let right = |order: usize, point: usize| records.iter().filter(|of| of.curves[order][point]).count();
    let accuracy = |order: usize| -> Result<Vec<_>, StudyError> {
        (0..removed.len()).map(|point| Ok(wilson(right(order, point), n, DEFAULT_LEVEL)?)).collect()
    };
    let random = |point: usize| {
        let shares = || (2..2 + draws).map(|order| right(order, point) as f64 / n as f64);
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
        let null = |of: &&TogetherRecord| (2..2 + draws).map(|i| area(of, i)).sum::<f64>() / draws as f64;
        let null: Vec<f64> = records.iter().map(null).collect();
        Ok(Some(sign_flip_test(&own, &null, resampling)?))
    };
    Ok(PruningCurve {
        most_first: accuracy(0)?,
        least_first: accuracy(1)?,
        random: if draws == 0 { Vec::new() } else { (0..removed.len()).map(random).collect() },
        random_orders: draws,
        most_against_random: against_random(0)?,
        least_against_random: against_random(1)?,
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

fn branches(records: &[&TogetherRecord], resampling: &Resampling) -> Result<Vec<BranchAblation>, StudyError> {
    let whole: Vec<f64> = records.iter().map(|of| of.baseline.0).collect();
    let whole_correct: Vec<bool> = records.iter().map(|of| of.baseline.1).collect();
    let mut found = Vec::new();
    for place in 0..records[0].branches.len() {
        let (losses, correct): (Vec<f64>, Vec<bool>) = records.iter().map(|of| of.branches[place]).unzip();
        let SignFlipTest { difference, p_value } = sign_flip_test(&losses, &whole, resampling)?;
        found.push(BranchAblation {
            layer: place / Branch::ALL.len(),
            branch: Branch::ALL[place % Branch::ALL.len()],
            mean: difference,
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
            heads: vec![2, 2],
            baseline: (0.5 + noise, true),
            curves: vec![
                vec![true, false, false, false, false],
                vec![true, true, true, true, false],
                vec![true, true, false, false, false],
            ],
            pairs: vec![pair(1.2), pair(2.2)],
            branches: [0.5, 0.6, 0.7, 0.5, 0.5, 0.9].map(|loss| (loss + noise, loss < 0.8)).into(),
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
        let [most, least] = [found.most_against_random, found.least_against_random].map(Option::unwrap);
        assert!((most.difference.value + 0.2).abs() < 1e-12 && most.p_value < 0.01);
        assert!((least.difference.value - 0.4).abs() < 1e-12 && least.p_value < 0.01);

        let pairs = [[(0, 0), (0, 1)], [(0, 0), (1, 0)]];
        let found = interactions(&records, &pairs, &resampling).unwrap();
        assert!(found[0].interaction.value.abs() < 1e-9 && found[0].adjusted_p > 0.05);
        assert!((found[1].interaction.value - 1.0).abs() < 1e-9 && found[1].adjusted_p < 0.05);
        assert_eq!((found[1].second.layer, found[1].second.head), (1, 0));

        let found = branches(&records, &resampling).unwrap();
        assert_eq!((found[5].layer, found[5].branch), (1, Branch::Layer));
        assert!((found[5].mean.value - 0.4).abs() < 1e-9 && found[5].adjusted_p < 0.05);
        assert_eq!(found[5].accuracy_drop.value, 1.0);
        assert!(found[3].mean.value.abs() < 1e-9 && found[3].adjusted_p > 0.05);
    }

    #[test]
    fn steps_lead_from_none_to_all_and_pairs_are_of_different_heads() {
        assert_eq!(steps(4), [0, 1, 2, 3, 4]);
        assert_eq!(steps(24), (0..=12).map(|point| 2 * point).collect::<Vec<_>>());
        assert_eq!((steps(36)[0], steps(36)[12]), (0, 36));
        let found = pairs(&[2, 2], 10, 3);
        assert_eq!(found.len(), 6);
        assert!(found.iter().all(|[first, second]| first < second));
        assert_eq!(pairs(&[4; 6], 20, 3).len(), 20);
        let [choosing, evaluated] = halves(&[3, 5, 8, 9, 11], 7);
        assert_eq!((choosing.len(), evaluated.len()), (2, 3));
        assert!(choosing.iter().all(|image| !evaluated.contains(image)));
    }
}
