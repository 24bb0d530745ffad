//! From what was found image by image to shares, medians and tests.

use archaeo_analysis::attacks::Norm;
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Measured, benjamini_hochberg, mcnemar, median_with_infinite, survival, wilson,
};

use super::WorstCaseRecord;
use super::findings::{FartherPair, Nearest, NearestInNorm, Resistance, WorstCasePair};
use crate::scene::StudyError;
use crate::studies::attacks::comparison;
use crate::subjects::{ByModel, ModelName};

/// Attacks that are tried in turn: PGD with one start, with all starts, APGD-T.
const ATTACKS: usize = 3;

/// What is left of a model at one size, and of which images: from the records of those that are `right` without an attack.
pub(super) fn resistance(
    epsilon: f64,
    right: &[bool],
    records: &[WorstCaseRecord],
) -> Result<(Resistance, Vec<bool>), StudyError> {
    let mut records = records.iter();
    let mut no_gradient = 0;
    // Of every image the number of attacks that it stands, where it is right without one.
    let mut stood = Vec::new();
    for &right in right {
        stood.push(match (right, right.then(|| records.next()).flatten()) {
            (false, _) => None,
            (true, Some(WorstCaseRecord::Attacked { fell_to, zero_gradient })) => {
                no_gradient += usize::from(*zero_gradient);
                Some(fell_to.unwrap_or(ATTACKS))
            }
            (true, _) => unreachable!("a record of every image that is right"),
        });
    }
    let standing = |attacks: usize| -> Vec<bool> {
        stood.iter().map(|stood| stood.is_some_and(|stood| stood >= attacks)).collect()
    };
    let count = |of: &[bool]| of.iter().filter(|holds| **holds).count();
    let share = |of: &[bool]| wilson(count(of), of.len(), DEFAULT_LEVEL);
    let all = standing(ATTACKS);
    let found = Resistance {
        epsilon,
        clean: share(right)?,
        one_start: share(&standing(1))?,
        restarts: share(&standing(2))?,
        all: share(&all)?,
        zero_gradient: no_gradient as f64 / count(right).max(1) as f64,
    };
    Ok((found, all))
}

/// Every two models at each size, from what stands of the images; the p-values are one family.
pub(super) fn worst_pairs(
    pairs: &[[ModelName; 2]],
    sizes: &[f64],
    standing: &ByModel<Vec<Vec<bool>>>,
) -> Result<Vec<WorstCasePair>, StudyError> {
    let mut found = Vec::new();
    for &models in pairs {
        let [first, second] = models.map(|model| &standing[model]);
        for ((&epsilon, first), second) in sizes.iter().zip(first).zip(second) {
            found.push(WorstCasePair { models, epsilon, robust: comparison::paired(first, second)? });
        }
    }
    comparison::adjust(found.iter_mut().map(|pair| &mut pair.robust).collect())?;
    Ok(found)
}

/// The distances in one norm: of each model which images are right, and the records of those.
pub(super) fn nearest_in(
    norm: Norm,
    settings: Vec<String>,
    recorded: &ByModel<(Vec<bool>, &[WorstCaseRecord])>,
    pairs: &[[ModelName; 2]],
) -> Result<NearestInNorm, StudyError> {
    let distances: ByModel<Vec<f64>> =
        recorded.iter().map(|(model, (right, records))| (model, distances(right, records))).collect();
    let mut models = ByModel::default();
    for (model, distances) in distances.iter() {
        models.insert(model, nearest(&recorded[model].0, distances)?);
    }
    let mut farther = Vec::new();
    for &models in pairs {
        let [(first, right), (second, also_right)] =
            models.map(|model| (&distances[model], &recorded[model].0));
        let both: Vec<(f64, f64)> = (0..first.len())
            .filter(|&image| right[image] && also_right[image])
            .map(|image| (first[image], second[image]))
            .collect();
        let of_first: Vec<bool> = both.iter().map(|(first, second)| first > second).collect();
        let of_second: Vec<bool> = both.iter().map(|(first, second)| second > first).collect();
        let p_value = if both.is_empty() { 1.0 } else { mcnemar(&of_first, &of_second)?.p_value };
        let count = |of: &[bool]| of.iter().filter(|farther| **farther).count();
        let farther_of = [count(&of_first), count(&of_second)];
        farther.push(FartherPair { models, both: both.len(), farther: farther_of, p_value });
    }
    Ok(NearestInNorm { norm, unit: norm.unit().into(), settings, models, pairs: farther })
}

/// Adjusts the p-values of all norms and pairs together.
pub(super) fn adjust(norms: &mut [NearestInNorm]) -> Result<(), StudyError> {
    let p_values: Vec<f64> = norms.iter().flat_map(|of| &of.pairs).map(|pair| pair.p_value).collect();
    let adjusted = benjamini_hochberg(&p_values)?;
    for (pair, adjusted) in norms.iter_mut().flat_map(|of| &mut of.pairs).zip(adjusted) {
        pair.p_value = adjusted;
    }
    Ok(())
}

/// Of every image the smallest distance that an attack found: 0 where the answer is wrong without one, infinite where none fools.
fn distances(right: &[bool], records: &[WorstCaseRecord]) -> Vec<f64> {
    let mut records = records.iter();
    let distance = |right: &bool| match (right, right.then(|| records.next()).flatten()) {
        (true, Some(WorstCaseRecord::Nearest(found))) => {
            found.iter().flatten().copied().fold(f64::INFINITY, f64::min)
        }
        (true, _) => unreachable!("a record of every image that is right"),
        (false, _) => 0.0,
    };
    right.iter().map(distance).collect()
}

fn nearest(right: &[bool], distances: &[f64]) -> Result<Nearest, StudyError> {
    let of_right = right.iter().zip(distances).filter(|(right, _)| **right);
    let of_right: Vec<f64> = of_right.map(|(_, distance)| *distance).collect();
    let fooled = of_right.iter().filter(|distance| distance.is_finite()).count();
    let median = match of_right.is_empty() {
        true => Measured::undefined("no image is classified correctly"),
        false => match median_with_infinite(&of_right, DEFAULT_LEVEL)? {
            median if median.value.is_finite() => Measured::Known(median),
            _ => Measured::undefined("half of the images or more are never fooled"),
        },
    };
    Ok(Nearest { correct: of_right.len(), fooled, median, curve: survival(distances, DEFAULT_LEVEL)? })
}
