//! The bootstrap (Efron 1979) and the random numbers of permutation tests.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::special::{normal_cdf, normal_quantile};
use super::{DEFAULT_LEVEL, Estimate, Result, StatisticsError, check_count, check_level, mean};

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

/// How a bootstrap distribution becomes an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BootstrapInterval {
    /// Quantiles of the bootstrap distribution (Efron & Tibshirani 1993, chapter 13).
    Percentile,
    /// Bias-corrected and accelerated quantiles (Efron 1987, *JASA* 82); better for skewed statistics, at the price
    /// of one more evaluation for each observation (the jackknife).
    Bca,
}

impl Resampling {
    /// 10,000 resamples at the 95 % level.
    pub fn new(seed: u64) -> Self {
        Self { resamples: 10_000, level: DEFAULT_LEVEL, seed }
    }

    /// Bootstraps `statistic`, which receives the indices (into `0..n`, with repetition) that form one sample.
    ///
    /// A resample for which the statistic is not finite is left out, and the method's text says how many were.
    ///
    /// # Errors
    /// `n` is 0, fewer than 100 resamples were asked for, the level lies outside `(0, 1)`, or the statistic is
    /// undefined for the data themselves or for half of the resamples.
    pub fn bootstrap(
        &self,
        what: &'static str,
        n: usize,
        interval: BootstrapInterval,
        statistic: impl Fn(&[usize]) -> f64,
    ) -> Result<Estimate> {
        check_count(what, 1, n)?;
        let everything: Vec<usize> = (0..n).collect();
        let value = statistic(&everything);
        if !value.is_finite() {
            return Err(StatisticsError::Undefined { what, reason: "it has no finite value for these data" });
        }
        let distribution = self.distribution(what, n, &statistic)?;
        let tail = (1.0 - self.level) / 2.0;
        let (tails, name) = match interval {
            BootstrapInterval::Percentile => ([tail, 1.0 - tail], "percentile"),
            BootstrapInterval::Bca => {
                let bias = bias_correction(value, &distribution);
                let acceleration = acceleration(&everything, &statistic);
                ([tail, 1.0 - tail].map(|p| bca_probability(p, bias, acceleration)), "BCa")
            }
        };
        Ok(Estimate {
            value,
            low: quantile(&distribution, tails[0]),
            high: quantile(&distribution, tails[1]),
            level: self.level,
            n,
            method: self.describe(name, distribution.len()),
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
            let reason = "it has no finite value for most bootstrap samples";
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
fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    ((u64::from(rng.next_u32()) * n as u64) >> 32) as usize
}

/// Quantile of sorted values by linear interpolation (definition 7 of Hyndman & Fan 1996, NumPy's default).
pub(super) fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let position = probability.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

/// z₀ of Efron (1987): the median bias, with half of the ties counted.
fn bias_correction(value: f64, sorted: &[f64]) -> f64 {
    let less = sorted.partition_point(|&v| v < value);
    let not_greater = sorted.partition_point(|&v| v <= value);
    normal_quantile((less + not_greater) as f64 / (2 * sorted.len()) as f64)
}

/// The acceleration of Efron (1987) from the jackknife.
fn acceleration(everything: &[usize], statistic: impl Fn(&[usize]) -> f64) -> f64 {
    let mut others = Vec::with_capacity(everything.len());
    let jackknife: Vec<f64> = everything
        .iter()
        .map(|&left_out| {
            others.clear();
            others.extend(everything.iter().copied().filter(|&i| i != left_out));
            statistic(&others)
        })
        .filter(|value| value.is_finite())
        .collect();
    if jackknife.is_empty() {
        return 0.0;
    }
    let centre = mean(&jackknife);
    let (squares, cubes) = jackknife.iter().fold((0.0, 0.0), |(squares, cubes), value| {
        let deviation = centre - value;
        (squares + deviation.powi(2), cubes + deviation.powi(3))
    });
    if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 }
}

/// The bootstrap quantile that BCa reads instead of `probability` (Efron 1987, equation 2.3).
fn bca_probability(probability: f64, bias: f64, acceleration: f64) -> f64 {
    if !bias.is_finite() {
        // Every resample lies on one side of the value: there is no bias correction to speak of.
        return probability;
    }
    let z = bias + normal_quantile(probability);
    normal_cdf(bias + z / (1.0 - acceleration * z))
}
