//! The bootstrap (Efron 1979) and the random numbers of permutation tests.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{DEFAULT_LEVEL, Estimate, Result, StatisticsError, check_count, check_level};

/// How to resample: how often, for which level, from which seed.
///
/// Resample `r` draws from stream `r` of ChaCha8 under `seed`, so that it is a function of (seed, r, n) alone.
/// Statistics of the same images with the same seed see the same resamples, which keeps them paired.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resampling {
    /// Number of resamples or permutations.
    pub resamples: usize,
    /// Confidence level of the interval.
    pub level: f64,
    /// Seed of every draw.
    pub seed: u64,
}

impl Resampling {
    /// 10,000 resamples at the 95 % level.
    pub fn new(seed: u64) -> Self {
        Self { resamples: 10_000, level: DEFAULT_LEVEL, seed }
    }

    /// Bootstraps `statistic`, which receives the indices (into `0..n`, with repetition) that form one sample. The interval are
    /// quantiles of the bootstrap distribution (Efron & Tibshirani 1993, chapter 13).
    ///
    /// A resample for which the statistic is not finite is left out, and the method's text says how many were.
    ///
    /// # Errors
    /// `n` is 0, fewer than 100 resamples were asked for, the level lies outside `(0, 1)`, or the statistic is
    /// undefined for the data themselves or for half of the resamples. A single observation has a value and no interval
    /// ([`Estimate::of_one`]).
    pub fn bootstrap(
        &self,
        what: &'static str,
        n: usize,
        statistic: impl Fn(&[usize]) -> f64,
    ) -> Result<Estimate> {
        check_count(what, 1, n)?;
        let everything: Vec<usize> = (0..n).collect();
        let value = statistic(&everything);
        if !value.is_finite() {
            return Err(StatisticsError::Undefined { what, reason: "it has no finite value for these data" });
        }
        if n == 1 {
            check_level(self.level)?;
            self.check_resamples()?;
            return Ok(Estimate::of_one(value, self.level));
        }
        let distribution = self.distribution(what, n, &statistic)?;
        let tail = (1.0 - self.level) / 2.0;
        Ok(Estimate {
            value,
            low: quantile(&distribution, tail),
            high: quantile(&distribution, 1.0 - tail),
            level: self.level,
            n,
            method: self.describe("percentile", distribution.len()),
        })
    }

    /// The sorted finite values of `statistic` over all resamples.
    pub(super) fn distribution(
        &self,
        what: &'static str,
        n: usize,
        statistic: impl Fn(&[usize]) -> f64,
    ) -> Result<Vec<f64>> {
        check_level(self.level)?;
        self.check_resamples()?;
        let mut indices = vec![0; n];
        let mut values = Vec::with_capacity(self.resamples);
        for resample in 0..self.resamples {
            let mut rng = self.rng(resample);
            indices.fill_with(|| below(&mut rng, n));
            let value = statistic(&indices);
            if value.is_finite() {
                values.push(value);
            }
        }
        if 2 * values.len() < self.resamples {
            let reason = "most samples drawn from these images have no value for it";
            return Err(StatisticsError::Undefined { what, reason });
        }
        values.sort_by(f64::total_cmp);
        Ok(values)
    }

    /// Calls `visit` with each random permutation of `0..n` (Fisher-Yates).
    pub(super) fn permutations(&self, n: usize, mut visit: impl FnMut(&[usize])) -> Result<()> {
        self.check_resamples()?;
        let mut order: Vec<usize> = (0..n).collect();
        for permutation in 0..self.resamples {
            let mut rng = self.rng(permutation);
            order.iter_mut().enumerate().for_each(|(i, entry)| *entry = i);
            for i in (1..n).rev() {
                order.swap(i, below(&mut rng, i + 1));
            }
            visit(&order);
        }
        Ok(())
    }

    /// Calls `visit` with random permutations of `0..n` that move entries within each of `groups` only.
    pub(super) fn permutations_within(
        &self,
        groups: &[Vec<usize>],
        n: usize,
        mut visit: impl FnMut(&[usize]),
    ) -> Result<()> {
        self.check_resamples()?;
        let mut order: Vec<usize> = (0..n).collect();
        for permutation in 0..self.resamples {
            let mut rng = self.rng(permutation);
            order.iter_mut().enumerate().for_each(|(i, entry)| *entry = i);
            for group in groups {
                for last in (1..group.len()).rev() {
                    order.swap(group[last], group[below(&mut rng, last + 1)]);
                }
            }
            visit(&order);
        }
        Ok(())
    }

    /// What `draw` makes of the random numbers of each resample, in their order.
    pub(super) fn draws(&self, mut draw: impl FnMut(&mut ChaCha8Rng) -> f64) -> Result<Vec<f64>> {
        check_level(self.level)?;
        self.check_resamples()?;
        Ok((0..self.resamples).map(|resample| draw(&mut self.rng(resample))).collect())
    }

    pub(super) fn describe(&self, interval: &str, defined: usize) -> String {
        let left_out = match self.resamples - defined {
            0 => String::new(),
            undefined => format!(", {undefined} of them undefined and left out"),
        };
        format!("{interval} bootstrap, {} resamples, seed {}{left_out}", self.resamples, self.seed)
    }

    fn check_resamples(&self) -> Result<()> {
        if self.resamples >= 100 {
            return Ok(());
        }
        let (what, allowed) = ("the number of resamples", "100 and more");
        Err(StatisticsError::OutOfRange { what, value: self.resamples as f64, allowed })
    }

    pub(super) fn rng(&self, resample: usize) -> ChaCha8Rng {
        // The key is spelled out because `seed_from_u64` may change between releases of `rand`.
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(resample as u64);
        rng
    }
}

/// A number in `0..n`; its probabilities differ from 1/n by less than 2⁻³², far below what resampling can see.
pub(super) fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    ((u64::from(rng.next_u32()) * n as u64) >> 32) as usize
}

/// Quantile of sorted values by linear interpolation (definition 7 of Hyndman & Fan 1996, NumPy's default).
pub(super) fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let position = probability.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}
