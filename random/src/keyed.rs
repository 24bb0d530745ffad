//! Random numbers as an argument: keyed by their purpose, never drawn from a shared stream.

use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// A generator whose numbers depend only on the four parts of its key.
///
/// Two images never share a generator, so what is drawn for one does not depend on which others are in its batch or on
/// the order in which threads reach them. `stream` names the purpose ("stochastic depth, block 3").
pub fn keyed_rng(seed: u64, stream: &str, image: u64, step: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    for (slot, word) in key.chunks_exact_mut(8).zip([seed, fnv1a(stream), image, step]) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// One draw from the standard normal distribution (Box & Muller, 1958).
pub fn standard_normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// The 64-bit FNV-1a hash (Fowler, Noll & Vo): stable across platforms and releases, as a key must be.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_key_matters() {
        let draw = |seed, stream, image, step| keyed_rng(seed, stream, image, step).random::<u64>();
        let base = draw(1, "a", 2, 3);
        assert_eq!(base, draw(1, "a", 2, 3));
        for other in [draw(2, "a", 2, 3), draw(1, "b", 2, 3), draw(1, "a", 3, 3), draw(1, "a", 2, 4)] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn normal_draws_have_unit_variance() {
        let mut rng = keyed_rng(0, "normal", 0, 0);
        let draws: Vec<f64> = (0..20_000).map(|_| standard_normal(&mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "mean {mean}, variance {variance}");
    }
}
