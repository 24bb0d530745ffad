//! How exactly matrix products and convolutions are computed, and on which threads.

/// What the operands of matrix products and convolutions are rounded to, on devices that have the choice: the CPU; others
/// compute in 32-bit floats. Everything else, and every sum, stays in 32-bit floats; so do 3×3 convolutions that Winograd's
/// algorithm suits, which are faster so (all but their gradients to the weights, which are not). An operation's gradient is
/// computed as its value was.
pub use archaeo_kernels::Precision;

/// Runs `operations` on one of the threads that share the work of each operation on the CPU: a tenth of the time of a small
/// forward pass is saved, for from there no operation has to wake them. Operations must not wait for another thread meanwhile.
pub fn in_pool<R: Send>(operations: impl FnOnce() -> R + Send) -> R {
    archaeo_kernels::enter(operations)
}
