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
/// faster so (all but their gradients to the weights, which are not).
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

/// Runs `operations` on one of the threads that share the work of each operation on the CPU, in the precision in force here:
/// a tenth of the time of a small forward pass is saved, for from there no operation has to wake them. Operations must not
/// wait for another thread meanwhile.
pub fn in_pool<R: Send>(operations: impl FnOnce() -> R + Send) -> R {
    let precision = current();
    archaeo_kernels::enter(|| with_precision(precision, operations))
}

pub(crate) fn current() -> Precision {
    CURRENT.get()
}
