//! Processes, or threads, that train one model together: its ranks.
//!
//! The trait [`Ranks`] says which rank this is, and lets two of them exchange numbers; everything else is built on that
//! exchange. [`Alone`] is the only rank of a training, [`Threads`] are ranks of one process, and with the feature `mpi` there are those that
//! `mpirun` starts (`mpi.rs`).
//!
//! A batch consists of a fixed number of logical shards ([`Recipe::shards`]), and each rank computes as many of
//! them. What the shards contribute is summed in a binary tree by shard number: the lower part of the tree within a rank, the
//! upper part between ranks ([`sum`]). An addition of two floating-point numbers does not depend on their order, so all ranks hold the same
//! bits, which are those of one rank.
//!
//! Rank 0 alone writes files. Every rank holds the whole model and moves it by the same steps.

#[cfg(feature = "mpi")]
mod mpi;
mod sum;
mod threads;

use std::fmt;
use std::ops::Range;

use thiserror::Error;

use crate::Recipe;

#[cfg(feature = "mpi")]
pub use mpi::{MpiError, MpiRanks};
pub(crate) use sum::add;
pub use sum::sum;
pub use threads::Threads;

/// Why ranks cannot go on together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RankError {
    /// A rank is gone, or has been silent for too long.
    #[error(
        "rank {0} no longer answers; every finished epoch is kept, and the same command goes on from there"
    )]
    Lost(usize),
    /// The program was asked to end while it waited for another rank: by the user, or by MPI, which ends all ranks when it loses one.
    #[error(
        "ended while waiting for rank {0}, which may be lost; every finished epoch is kept, and the same command goes on from there"
    )]
    Ended(usize),
    /// Another rank has failed, said why, and ends all.
    #[error("another rank has failed")]
    Elsewhere,
    /// A rank that did not begin with what rank 0 began with.
    #[error(
        "rank {0} does not begin as rank 0 does; the program, the recipe, the data and the run folder must be the same for all ranks, the \
         folder on a file system that all of them share"
    )]
    OtherBeginning(usize),
    /// A rank whose model is no longer that of rank 0.
    #[error(
        "rank {rank} holds other weights than rank 0 after epoch {epoch}, because its processor rounds differently; give all ranks \
         processors of one kind"
    )]
    OtherWeights {
        /// Which rank.
        rank: usize,
        /// Epoch, counted from 1.
        epoch: usize,
    },
    /// A rank that computes something else at the same time.
    #[error(
        "rank {0} exchanges something else than this rank; start the same program with the same command on all nodes"
    )]
    OtherExchange(usize),
    /// Ranks that the shards of a batch cannot be divided among.
    #[error("{}", cannot_share(*.ranks, *.shards))]
    Shares {
        /// Number of ranks.
        ranks: usize,
        /// Shards of a batch.
        shards: usize,
    },
}

fn cannot_share(ranks: usize, shards: usize) -> String {
    match shards {
        1 => format!(
            "{ranks} ranks cannot share a batch that is one shard; set `shards` in the recipe, such as --set shards=8, or start one rank"
        ),
        _ => format!(
            "{ranks} ranks cannot share the {shards} shards of a batch evenly; start as many ranks as divide {shards}, or change `shards`"
        ),
    }
}

/// The ranks of a training, as one of them sees them.
pub trait Ranks: fmt::Debug + Send + Sync {
    /// Which of them this is, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Sends `sent` to the rank `other` and fills `received` with what that sends; both ranks call it at the same time.
    ///
    /// # Errors
    /// A rank that does not answer.
    fn exchange(&self, other: usize, sent: &[f32], received: &mut [f32]) -> Result<(), RankError>;
}

/// The only rank.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn exchange(&self, other: usize, _: &[f32], _: &mut [f32]) -> Result<(), RankError> {
        Err(RankError::Lost(other))
    }
}

impl dyn Ranks + '_ {
    /// Whether this rank writes the files of the training.
    pub fn writes(&self) -> bool {
        self.rank() == 0
    }

    /// Whether these ranks can share the batches of a recipe.
    ///
    /// # Errors
    /// A number of ranks that does not divide its shards.
    pub fn fit(&self, recipe: &Recipe) -> Result<(), RankError> {
        match recipe.shards.is_multiple_of(self.size()) {
            true => Ok(()),
            false => Err(RankError::Shares { ranks: self.size(), shards: recipe.shards }),
        }
    }

    /// Waits until all ranks are here.
    ///
    /// # Errors
    /// As [`Ranks::exchange`].
    pub fn meet(&self) -> Result<(), RankError> {
        self.any(false).map(drop)
    }

    /// Whether `here` is true on any rank.
    pub(crate) fn any(&self, here: bool) -> Result<bool, RankError> {
        let mut sum = [f32::from(u8::from(here))];
        self::sum(self, &mut sum)?;
        Ok(sum[0] > 0.0)
    }

    /// Which of `count` things are this rank's: those of all ranks follow one another.
    pub(crate) fn portion(&self, count: usize) -> Range<usize> {
        self.portions(self.rank()..self.rank() + 1, count)
    }

    fn portions(&self, ranks: Range<usize>, count: usize) -> Range<usize> {
        let start = |rank: usize| rank * count / self.size();
        start(ranks.start)..start(ranks.end)
    }

    /// Completes `values`, of which each rank has computed its [portion](Self::portion) of `count` rows of `width`.
    pub(crate) fn gather(&self, values: &mut [f32], width: usize) -> Result<(), RankError> {
        let count = values.len() / width.max(1);
        for level in 0..self.levels() {
            let (here, there) = (self.rank() >> level, (self.rank() >> level) ^ 1);
            let rows = |part: usize| self.portions(part << level..(part + 1) << level, count);
            let (low, high) = (rows(here.min(there)), rows(here.max(there)));
            let (head, tail) = values.split_at_mut(high.start * width);
            let (head, tail) = (&mut head[low.start * width..], &mut tail[..high.len() * width]);
            let (sent, received) = if here < there { (head, tail) } else { (tail, head) };
            self.exchange(self.rank() ^ (1 << level), sent, received)?;
        }
        Ok(())
    }

    /// The first rank whose number is not that of rank 0.
    pub(crate) fn first_other(&self, number: u32) -> Result<Option<usize>, RankError> {
        let mut numbers = vec![0f32; self.size()];
        // The bits of a number, which nothing computes with.
        numbers[self.rank()] = f32::from_bits(number);
        self.gather(&mut numbers, 1)?;
        Ok(numbers.iter().position(|of_rank| of_rank.to_bits() != numbers[0].to_bits()))
    }

    /// Exchanges of which each doubles the number of ranks that have met; there are as many ranks as a power of two.
    fn levels(&self) -> u32 {
        self.size().trailing_zeros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ranks_computed_each_for_itself_is_complete_on_all() {
        for (ranks, rows, width) in [(1, 5, 2), (2, 5, 3), (4, 3, 2), (8, 29, 1), (4, 0, 3)] {
            let expected: Vec<f32> = (0..rows * width).map(|place| place as f32 + 0.5).collect();
            let gathered = Threads::run(ranks, |ranks| {
                let mut values = vec![f32::NAN; rows * width];
                let own = ranks.portion(rows);
                let own = own.start * width..own.end * width;
                values[own.clone()].copy_from_slice(&expected[own]);
                ranks.gather(&mut values, width).map(|()| values)
            });
            assert!(
                gathered.iter().all(|values| *values == Ok(expected.clone())),
                "{ranks} ranks, {rows} rows"
            );
        }
    }

    #[test]
    fn ranks_agree_or_the_first_other_one_is_named() {
        let first = |numbers: [u32; 4]| Threads::run(4, |ranks| ranks.first_other(numbers[ranks.rank()]));
        // The bits of a signalling NaN are a number like any other.
        assert_eq!(first([0x7fa0_0001; 4]), vec![Ok(None); 4]);
        assert_eq!(first([7, 7, 0x7fa0_0001, 8]), vec![Ok(Some(2)); 4]);
        let any = |which: usize| Threads::run(4, |ranks| ranks.any(ranks.rank() == which));
        assert_eq!(any(3), vec![Ok(true); 4]);
        assert_eq!(any(4), vec![Ok(false); 4]);
    }

    #[test]
    fn a_rank_that_is_gone_is_named_and_ends_all() {
        let ended = Threads::run(4, |ranks| match ranks.rank() {
            2 => Err(RankError::Shares { ranks: 0, shards: 0 }),
            _ => ranks.meet(),
        });
        assert_eq!(ended[3], Err(RankError::Lost(2)));
        assert!(matches!(ended[0], Err(RankError::Lost(_))) && matches!(ended[1], Err(RankError::Lost(_))));
        let alone: &dyn Ranks = &Alone;
        assert_eq!(alone.meet(), Ok(()));
    }

    #[test]
    fn ranks_that_do_not_divide_the_shards_get_a_sentence() {
        let said = |ranks, shards| RankError::Shares { ranks, shards }.to_string();
        assert!(said(2, 1).contains("one shard; set `shards` in the recipe"));
        assert!(said(3, 8).starts_with("3 ranks cannot share the 8 shards"));
    }
}
