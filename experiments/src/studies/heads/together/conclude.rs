//! What follows from the records of several heads, and of branches.

use archaeo_analysis::ablation::{BRANCH_REPLACEMENTS, Branch};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Resampling, SignFlipTest, accuracy_difference, benjamini_hochberg, sign_flip_test, wilson,
};

use super::super::findings::{
    BranchAblation, HeadFindings, HeadPair, PruningCurve, RandomOrders, Reference, Together,
};
use super::super::{Head, HeadsStudy};
use super::{MEASURED, TogetherRecord, pairs, steps};
use crate::scene::{Scene, StudyError};
use crate::subjects::ModelName;

/// Findings of a model without heads, to be filled with its branches.
pub(in crate::studies::heads) fn without_heads(
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
pub(in crate::studies::heads) fn found(
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
}
