//! The instruction sets of this processor, detected once at run time.
//!
//! A plain `cargo build --release` holds the code of every level; the public functions read
//! [`Level::current`] once at their entry and pass it down, so one call never mixes levels.

use std::cell::Cell;
use std::sync::OnceLock;

/// A set of instructions that the kernels are compiled for, slowest first.
///
/// Results differ between levels in the last bits (a fused multiply-add rounds once, and sums run over
/// more lanes); within a level they depend neither on threads nor on the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Plain Rust on four lanes.
    Portable,
    /// 128-bit vectors with fused multiply-add (64-bit ARM).
    Neon,
    /// 256-bit vectors with fused multiply-add (x86-64 since 2013).
    Avx2Fma,
    /// 512-bit vectors (F, DQ, BW and VL).
    Avx512,
    /// 512-bit vectors and dot products of bfloat16 pairs.
    Avx512Bf16,
}

impl Level {
    /// Every level, slowest first, whether or not this processor supports it.
    pub const ALL: [Level; 5] =
        [Level::Portable, Level::Neon, Level::Avx2Fma, Level::Avx512, Level::Avx512Bf16];

    /// The levels that this processor can run, slowest first.
    pub fn available() -> impl Iterator<Item = Level> {
        Self::ALL.into_iter().filter(|level| level.is_available())
    }

    /// The level that calls made on this thread use: the one set by [`with_level`], else the best available
    /// one, which the environment variable `ARCHAEO_CPU_LEVEL` (`portable`, `neon`, `avx2`, `avx512` or
    /// `avx512bf16`) may lower.
    pub fn current() -> Level {
        FORCED.get().unwrap_or_else(default_level)
    }

    fn is_available(self) -> bool {
        match self {
            Level::Portable => true,
            Level::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2Fma => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => {
                Level::Avx2Fma.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Bf16 => Level::Avx512.is_available() && is_x86_feature_detected!("avx512bf16"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

thread_local! {
    static FORCED: Cell<Option<Level>> = const { Cell::new(None) };
}

/// Runs `work` with `level` in force for the kernels called from this thread.
///
/// # Panics
/// If this processor does not have `level`.
pub fn with_level<R>(level: Level, work: impl FnOnce() -> R) -> R {
    struct Restore(Option<Level>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    assert!(level.is_available(), "this processor does not have {level:?}");
    let _restore = Restore(FORCED.replace(Some(level)));
    work()
}

fn default_level() -> Level {
    static DEFAULT: OnceLock<Level> = OnceLock::new();
    *DEFAULT.get_or_init(|| {
        let limit = match std::env::var("ARCHAEO_CPU_LEVEL").as_deref() {
            Ok("portable") => Level::Portable,
            Ok("neon") => Level::Neon,
            Ok("avx2") => Level::Avx2Fma,
            Ok("avx512") => Level::Avx512,
            Ok("avx512bf16") | Err(_) => Level::Avx512Bf16,
            Ok(other) => {
                panic!("ARCHAEO_CPU_LEVEL is {other:?}; use portable, neon, avx2, avx512 or avx512bf16")
            }
        };
        Level::available().filter(|level| *level <= limit).last().unwrap_or(Level::Portable)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forced_level_holds_inside_and_is_lifted_after() {
        let before = Level::current();
        with_level(Level::Portable, || {
            assert_eq!(Level::current(), Level::Portable);
            for level in Level::available() {
                with_level(level, || assert_eq!(Level::current(), level));
            }
            assert_eq!(Level::current(), Level::Portable);
        });
        assert_eq!(Level::current(), before);
    }

    #[test]
    fn the_best_available_level_is_the_default() {
        if std::env::var("ARCHAEO_CPU_LEVEL").is_err() {
            assert_eq!(Some(Level::current()), Level::available().last());
        }
    }
}
