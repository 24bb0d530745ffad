//! The sum over ranks, in a fixed tree.

use super::{RankError, Ranks};
use rayon::prelude::*;

/// Numbers per task of an addition: enough to be worth a thread.
const CHUNK: usize = 1 << 16;

/// Replaces `values` on all ranks by their sum over ranks: of ranks 0 and 1, 2 and 3 and so on first, then of these sums, as in a binary
/// tree. All ranks get the same bits.
///
/// In each step of the way up a rank gives one half of what it has to another rank and keeps the sums of the other half; on the way
/// down the halves are put together again (Rabenseifner, 2004: recursive halving and doubling, with the nearest ranks first, so that
/// the tree is the same for every number). A rank sends `2 · (1 − 1 / ranks)` times its numbers. The number of ranks is a power of two.
///
/// # Errors
/// A rank that does not answer.
pub fn sum(ranks: &dyn Ranks, values: &mut [f32]) -> Result<(), RankError> {
    let rank = ranks.rank();
    let mut received = vec![0f32; if ranks.size() > 1 { values.len().div_ceil(2) } else { 0 }];
    let mut here = 0..values.len();
    let mut way = Vec::new();
    for level in 0..ranks.levels() {
        let middle = here.start + here.len() / 2;
        let (low, high) = (here.start..middle, middle..here.end);
        let keeps_low = rank & (1 << level) == 0;
        let (kept, given) = if keeps_low { (low, high) } else { (high, low) };
        let other = rank ^ (1 << level);
        let received = &mut received[..kept.len()];
        ranks.exchange(other, &values[given], received)?;
        add(&mut values[kept.clone()], received);
        way.push((other, here, middle, keeps_low));
        here = kept;
    }
    for (other, here, middle, keeps_low) in way.into_iter().rev() {
        let (low, high) = values[here.clone()].split_at_mut(middle - here.start);
        let (kept, given) = if keeps_low { (low, high) } else { (high, low) };
        ranks.exchange(other, kept, given)?;
    }
    Ok(())
}

/// Adds `other` to `values`, number by number.
pub(crate) fn add(values: &mut [f32], other: &[f32]) {
    values
        .par_chunks_mut(CHUNK)
        .zip(other.par_chunks(CHUNK))
        .for_each(|(values, other)| values.iter_mut().zip(other).for_each(|(value, other)| *value += other));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranks::Threads;
    use archaeo_random::{Draw, keyed_rng};

    /// Of magnitudes so different that the order of additions shows.
    fn numbers(rank: usize, count: usize) -> Vec<f32> {
        let mut rng = keyed_rng(3, "numbers", rank as u64, 0);
        (0..count).map(|_| (rng.below(2001) as f32 - 1000.0) * 10f32.powi(rng.below(9) as i32 - 4)).collect()
    }

    fn tree(leaves: &[Vec<f32>]) -> Vec<f32> {
        match leaves {
            [leaf] => leaf.clone(),
            _ => {
                let (left, right) = leaves.split_at(leaves.len() / 2);
                tree(left).iter().zip(tree(right)).map(|(left, right)| left + right).collect()
            }
        }
    }

    #[test]
    fn the_sum_is_that_of_the_tree_to_the_last_bit() {
        let mut orders = 0;
        for (ranks, count) in [(1, 4), (2, 1), (2, 7), (4, 3), (4, 1000), (8, 999), (16, 5), (8, 0)] {
            let leaves: Vec<Vec<f32>> = (0..ranks).map(|rank| numbers(rank, count)).collect();
            let expected: Vec<u32> = tree(&leaves).into_iter().map(f32::to_bits).collect();
            let sums = Threads::run(ranks, |ranks| {
                let mut values = leaves[ranks.rank()].clone();
                sum(ranks, &mut values).map(|()| values)
            });
            for of_rank in sums {
                let bits: Vec<u32> = of_rank.unwrap().into_iter().map(f32::to_bits).collect();
                assert_eq!(bits, expected, "{ranks} ranks, {count} numbers");
            }
            let in_order =
                (0..count).map(|at| leaves.iter().fold(0f32, |sum, leaf| sum + leaf[at]).to_bits());
            orders += usize::from(!in_order.eq(expected));
        }
        assert!(orders > 2, "any order would do");
    }
}
