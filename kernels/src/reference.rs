//! Test helpers: seeded numbers, comparisons, and runs at every level and thread count.

use crate::{Level, with_level};

/// A small generator (SplitMix64), so that failures repeat.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low + 1) as u64) as usize
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// Uniform in (−1, 1).
    pub(crate) fn number(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub(crate) fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.number()).collect()
    }
}

/// Fails where a number departs from its double-precision reference by more than `tolerance · scale`.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: lengths");
    let scale = expected.iter().fold(1.0_f64, |largest, x| largest.max(x.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error <= tolerance * scale,
            "{what}: element {i} is {found}, expected {expected} (error {error:.2e}, scale {scale:.2e})"
        );
    }
}

/// Fails unless both are equal to the last bit.
#[track_caller]
pub(crate) fn assert_same_bits(what: &str, left: &[f32], right: &[f32]) {
    assert_eq!(left.len(), right.len(), "{what}: lengths");
    for (i, (left, right)) in left.iter().zip(right).enumerate() {
        assert_eq!(left.to_bits(), right.to_bits(), "{what}: element {i}: {left} and {right}");
    }
}

/// Runs `work` at every level of this processor.
pub(crate) fn at_every_level(mut work: impl FnMut(Level)) {
    for level in Level::available() {
        with_level(level, || work(level));
    }
}

/// Runs `work` at every level with 1, 2 and 3 threads, and fails unless its results are equal to the last
/// bit for any number of threads.
#[track_caller]
pub(crate) fn assert_thread_count_is_irrelevant(what: &str, work: impl Fn() -> Vec<f32> + Sync) {
    let pools: Vec<_> = (1..=3)
        .map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool"))
        .collect();
    for level in Level::available() {
        let results: Vec<_> = pools.iter().map(|pool| pool.install(|| with_level(level, &work))).collect();
        assert!(!results[0].is_empty(), "{what}: nothing to compare");
        assert_same_bits(&format!("{what} at {level:?}, 1 and 2 threads"), &results[0], &results[1]);
        assert_same_bits(&format!("{what} at {level:?}, 1 and 3 threads"), &results[0], &results[2]);
    }
}

pub(crate) fn doubles(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|x| f64::from(*x)).collect()
}
