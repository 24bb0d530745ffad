//! How exactly matrix products and convolutions are computed.
//!
//! The precision is a property of a whole forward pass, not of a layer. It is set around the pass, on the thread that runs
//! it; every operation takes it up when it is recorded, so that its gradient is computed as its value was.

use std::cell::Cell;

pub use archaeo_kernels::Precision;

thread_local! {
    static CURRENT: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// Runs `operations` with their matrix products and convolutions in `precision`, on devices that have the choice: the CPU.
/// Everything else, and every sum, stays in 32-bit floats; so do 3×3 convolutions that Winograd's algorithm suits, which are
/// faster so.
pub fn with_precision<R>(precision: Precision, operations: impl FnOnce() -> R) -> R {
    struct Restore(Precision);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(precision));
    operations()
}

pub(crate) fn current() -> Precision {
    CURRENT.get()
}
