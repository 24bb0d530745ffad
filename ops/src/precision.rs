//! Precision of matrix products and convolutions, and their threads.

/// Precision to which the operands of matrix products and convolutions are rounded on the CPU; other devices compute in f32.
/// Everything else, and every sum, stays in f32. So do 3×3 convolutions by Winograd's algorithm, which are faster that way
/// (except for their gradients to the weights). An operation's gradient has the precision of its value.
pub use archaeo_kernels::Precision;

/// Runs `operations` on one of the threads that share the work of each operation on the CPU: it saves 10 % of a small forward
/// pass, because no operation has to wake the threads. Operations must not wait for another thread meanwhile.
pub fn in_pool<R: Send>(operations: impl FnOnce() -> R + Send) -> R {
    archaeo_kernels::enter(operations)
}
