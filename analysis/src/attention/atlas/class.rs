//! Does where a head looks tell the class?

use archaeo_random::keyed_rng;
use rand::seq::SliceRandom;

use super::Measure;
use crate::attribution::Heatmap;

/// Permutations of the classes behind the null.
const DRAWS: u64 = 20;

/// Mutual information in nats of the ninth of the image that is read most and the class; the null has the classes permuted.
pub(super) fn measure(ninths: &[usize], classes: &[usize], seed: u64) -> Measure {
    let mut permuted = classes.to_vec();
    let null = (0..DRAWS).map(|draw| {
        permuted.shuffle(&mut keyed_rng(seed, "head atlas classes", draw, 0));
        mutual_information(ninths, &permuted)
    });
    let null = null.sum::<f64>() / DRAWS as f64;
    Measure { value: Some(mutual_information(ninths, classes)), null: Some(null) }
}

/// Which ninth of the image, in reading order, holds the largest value; of equal ones the first.
pub(super) fn ninth(map: &Heatmap) -> usize {
    let largest =
        (0..map.values.len()).max_by(|a, b| map.values[*a].total_cmp(&map.values[*b]).then(b.cmp(a)));
    let place = largest.unwrap_or(0);
    let third = |at: usize, length: usize| (at * 3 / length.max(1)).min(2);
    3 * third(place / map.width.max(1), map.height) + third(place % map.width.max(1), map.width)
}

/// Of two variables observed together, in nats.
pub(super) fn mutual_information(first: &[usize], second: &[usize]) -> f64 {
    let n = first.len() as f64;
    let count =
        |matches: &dyn Fn(usize) -> bool| (0..first.len()).filter(|place| matches(*place)).count() as f64;
    let mut pairs: Vec<(usize, usize)> = first.iter().copied().zip(second.iter().copied()).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let part = |&(a, b): &(usize, usize)| {
        let both = count(&|place| first[place] == a && second[place] == b) / n;
        let (a, b) = (count(&|place| first[place] == a) / n, count(&|place| second[place] == b) / n);
        both * (both / (a * b)).ln()
    };
    pairs.iter().map(part).sum::<f64>().max(0.0)
}
