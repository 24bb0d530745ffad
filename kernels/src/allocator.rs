//! The program's memory: allocator settings, and uninitialised buffers for results.

use crate::Stored;
use std::ffi::c_long;

pub use mimalloc::MiMalloc;

/// `mi_option_purge_delay`, which the bindings leave out: milliseconds until freed memory returns to the system.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
const NEVER: c_long = -1;

/// Tells [`MiMalloc`] to keep freed memory, and to request huge pages; without effect under another allocator.
///
/// Every operation allocates and frees tensors of megabytes. Memory returned to the system in between is faulted in again page by
/// page, and zeroed, which costs up to a quarter of a training step.
pub fn keep_freed_memory() {
    // SAFETY: sets two options, which any thread may do at any time.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, NEVER);
        libmimalloc_sys::mi_option_set(libmimalloc_sys::mi_option_large_os_pages, 1);
    }
}

/// A buffer of `length` numbers that are all about to be written: their values are unspecified, and NaN in a debug build. Zeros,
/// written by one thread before all threads begin, would cost 10 % of a training step or more.
pub fn unspecified<N: Stored>(length: usize) -> Vec<N> {
    if cfg!(miri) {
        return vec![N::default(); length];
    }
    let mut room = Vec::<N>::with_capacity(length);
    // SAFETY: the capacity is there, and every pattern of bits is a number. To the compiler the empty assembly, which is
    // given the address and may write memory, has written the numbers; so they are some numbers, the same at every read.
    // The pages do not change in between, because the allocator hands out no memory that the system may still reclaim.
    unsafe {
        std::arch::asm!("/* {0} */", in(reg) room.as_mut_ptr(), options(nostack, preserves_flags));
        room.set_len(length);
    }
    if cfg!(debug_assertions) {
        room.fill(f32::NAN.into());
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_as_long_as_asked_for_and_keeps_what_is_written() {
        for length in [0, 1, 1000, 3_000_000] {
            let mut room = unspecified::<f32>(length);
            assert_eq!(room.len(), length);
            room.iter_mut().enumerate().for_each(|(i, number)| *number = i as f32);
            assert!(room.iter().enumerate().all(|(i, number)| *number == i as f32));
        }
    }

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
