//! The peak multiply-add rate of the processor, the yardstick of matrix products.

use crate::Level;
use crate::simd::simd_fn;

/// Independent chains, enough to hide the latency of a multiply-add on any current processor.
const CHAINS: usize = 12;

/// Runs `iterations` rounds of independent vector multiply-adds in registers on this thread, and returns the
/// number of floating-point operations done (a multiply-add counts two). Timing it gives the peak.
pub fn multiply_add_burst(iterations: usize) -> f64 {
    let level = Level::current();
    let (sum, lanes) = burst(level, iterations);
    std::hint::black_box(sum);
    2.0 * (iterations * CHAINS * lanes) as f64
}

simd_fn! {
    fn burst(simd: S, iterations: usize) -> (f32, usize) {
        let (factor, offset) = (simd.splat(std::hint::black_box(0.5)), simd.splat(std::hint::black_box(1.0)));
        let mut chains = [offset; CHAINS];
        for _ in 0..iterations {
            for chain in &mut chains {
                *chain = simd.mul_add(*chain, factor, offset);
            }
        }
        let sum = chains.into_iter().fold(simd.splat(0.0), |sum, chain| simd.add(sum, chain));
        (simd.sum(sum), S::LANES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_does_what_it_counts() {
        crate::reference::at_every_level(|level| {
            let (sum, lanes) = burst(level, 40);
            // x ← x / 2 + 1 has the fixed point 2.
            assert_eq!(sum, (2 * CHAINS * lanes) as f32, "{level:?}");
        });
    }
}
