//! Randomness as an argument.
//!
//! Every random number of an experiment comes from a generator keyed by what it is for: a seed, a named
//! stream, an image and a step. Nothing is drawn from a shared generator, so results depend neither on the
//! order of the work, nor on the batch an image sits in, nor on the number of threads.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

pub use archaeo_models::random::keyed_rng;

/// `count` of `0..n` at random (all, if there are fewer), ascending; `stream` names the purpose.
pub fn sample(seed: u64, stream: &str, n: usize, count: usize) -> Vec<usize> {
    let mut keyed: Vec<(u64, usize)> =
        (0..n).map(|index| (keyed_rng(seed, stream, index as u64, 0).next_u64(), index)).collect();
    keyed.sort_unstable();
    let mut chosen: Vec<usize> = keyed.into_iter().take(count).map(|(_, index)| index).collect();
    chosen.sort_unstable();
    chosen
}

/// The few draws that data and augmentation are made of.
///
/// They are our own, in exactly rounded arithmetic and without mathematical functions, because generated
/// data must stay the same for every platform and every version of a library.
pub trait Draw {
    /// Uniform on [0, 1), with 24 random bits.
    fn unit(&mut self) -> f32;

    /// Uniform on {0, …, n − 1}; zero for `n = 0`.
    fn below(&mut self, n: usize) -> usize;

    /// Uniform on [`low`, `high`).
    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with probability `p`.
    fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// A direction (x, y) of length one, uniform on the circle.
    fn direction(&mut self) -> (f32, f32) {
        loop {
            let (x, y) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            let square = x * x + y * y;
            if square > 1e-4 && square <= 1.0 {
                let length = square.sqrt();
                return (x / length, y / length);
            }
        }
    }

    /// Mean 0, standard deviation 1: the standardised sum of four uniform bytes, which is close to normal
    /// up to 3.4 deviations and never beyond. For pixel noise, one random word each.
    fn rough_normal(&mut self) -> f32;
}

impl Draw for ChaCha8Rng {
    fn unit(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    fn below(&mut self, n: usize) -> usize {
        // 64 random bits make the bias of the multiplication at most n / 2^64.
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    fn rough_normal(&mut self) -> f32 {
        // Four bytes of variance (256² − 1) / 12 each.
        const DEVIATION: f32 = 147.800_76;
        let sum: u32 = self.next_u32().to_le_bytes().into_iter().map(u32::from).sum();
        (sum as f32 - 510.0) / DEVIATION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_stated_ranges_and_moments() {
        let mut rng = keyed_rng(0, "test", 0, 0);
        let n = 100_000;
        let mut counts = [0usize; 7];
        let (mut mean, mut square, mut uniform) = (0.0f64, 0.0f64, 0.0f64);
        for _ in 0..n {
            counts[rng.below(7)] += 1;
            let normal = f64::from(rng.rough_normal());
            mean += normal / f64::from(n);
            square += normal * normal / f64::from(n);
            let unit = rng.unit();
            assert!((0.0..1.0).contains(&unit));
            uniform += f64::from(unit) / f64::from(n);
            let (x, y) = rng.direction();
            assert!((x * x + y * y - 1.0).abs() < 1e-6);
        }
        // Five standard errors.
        for count in counts {
            assert!((count as f64 - f64::from(n) / 7.0).abs() < 5.0 * (f64::from(n) * 6.0 / 49.0).sqrt());
        }
        assert!(mean.abs() < 5.0 / f64::from(n).sqrt());
        assert!((square - 1.0).abs() < 5.0 * (2.0 / f64::from(n)).sqrt());
        assert!((uniform - 0.5).abs() < 5.0 / (12.0 * f64::from(n)).sqrt());
    }
}
