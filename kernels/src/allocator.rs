//! The program's memory allocator, and how it is set up.

use std::ffi::c_long;

pub use mimalloc::MiMalloc;

/// `mi_option_purge_delay`, which the bindings leave out: milliseconds until freed memory goes back to the system.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
const NEVER: c_long = -1;

/// Tells [`MiMalloc`] to keep what is freed, and to ask for pages of megabytes; without effect where another allocator is
/// the program's.
///
/// Tensors of megabytes come and go with every operation. Memory that is given back to the system meanwhile is faulted in
/// again page by page, and zeroed, which cost up to a quarter of a training step.
pub fn keep_freed_memory() {
    // SAFETY: sets two numbers, which any thread may do at any time.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, NEVER);
        libmimalloc_sys::mi_option_set(libmimalloc_sys::mi_option_large_os_pages, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_delay_of_purging() {
        // The allocator gives it in milliseconds, 1000 in version 3 and 10 in version 2, and no other option nearby does.
        // SAFETY: reads a number.
        let before = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        keep_freed_memory();
        // SAFETY: as above.
        let after = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!((before, after), (1000, NEVER));
    }
}
