//! The program's memory: the allocator, its settings, how much is in use, and uninitialised buffers for results.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_long;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::Stored;

/// The allocator that suits tensors. It counts the bytes of large allocations ([`peak_memory`]).
#[derive(Debug)]
pub struct MiMalloc;

/// Bytes from which an allocation is counted. Smaller ones are many and take little room, so that counting them would cost time and
/// change nothing.
const COUNTED: usize = 1 << 14;

/// Bytes in use, and the most since the last reset.
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    if bytes >= COUNTED {
        let in_use = IN_USE.fetch_add(bytes, Relaxed) + bytes;
        PEAK.fetch_max(in_use, Relaxed);
    }
}

fn returned(bytes: usize) {
    if bytes >= COUNTED {
        IN_USE.fetch_sub(bytes, Relaxed);
    }
}

// SAFETY: every call is passed on to mimalloc with its arguments; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for MiMalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's promises are those of the allocator called.
        unsafe { mimalloc::MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: as above.
        unsafe { mimalloc::MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        returned(layout.size());
        // SAFETY: as above.
        unsafe { mimalloc::MiMalloc.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        taken(size);
        returned(layout.size());
        // SAFETY: as above.
        unsafe { mimalloc::MiMalloc.realloc(pointer, layout, size) }
    }
}

/// The result of `work`, and the most bytes that were allocated at once while it ran beyond those before it, in allocations of
/// 16 KiB or more; `None` where the program has another allocator. Work of other threads counts too.
pub fn peak_memory<R>(work: impl FnOnce() -> R) -> (R, Option<usize>) {
    let before = IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    // Without it, a program with another allocator would seem to need no memory.
    let probe = std::hint::black_box(Vec::<u8>::with_capacity(COUNTED));
    let counts = PEAK.load(Relaxed) > before;
    drop(probe);
    PEAK.store(before, Relaxed);
    let result = work();
    (result, counts.then(|| PEAK.load(Relaxed).saturating_sub(before)))
}

/// `mi_option_purge_delay`, which the bindings leave out: milliseconds until freed memory returns to the system.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
const NEVER: c_long = -1;
const AT_ONCE: c_long = 0;

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

/// Undoes [`keep_freed_memory`] for a program that was given little memory: freed memory returns to the system at once. Kept, it
/// would still count, and blocks of different sizes cannot always reuse it.
pub fn return_freed_memory() {
    // SAFETY: sets an option, which any thread may do at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, AT_ONCE) }
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

    /// These tests run under the system's allocator, so that its methods are called directly.
    #[test]
    fn large_allocations_are_counted_until_they_are_returned() {
        let layout = |bytes| Layout::from_size_align(bytes, 64).unwrap();
        let before = IN_USE.load(Relaxed);
        // SAFETY: sizes are not zero, and each pointer is returned with its own layout.
        unsafe {
            let small = MiMalloc.alloc(layout(COUNTED - 64));
            assert_eq!(IN_USE.load(Relaxed), before);
            let large = MiMalloc.alloc_zeroed(layout(3 * COUNTED));
            assert_eq!(IN_USE.load(Relaxed), before + 3 * COUNTED);
            let larger = MiMalloc.realloc(large, layout(3 * COUNTED), 5 * COUNTED);
            assert_eq!(IN_USE.load(Relaxed), before + 5 * COUNTED);
            MiMalloc.dealloc(larger, layout(5 * COUNTED));
            MiMalloc.dealloc(small, layout(COUNTED - 64));
        }
        assert_eq!(IN_USE.load(Relaxed), before);
        assert_eq!(peak_memory(|| vec![1u8; 1 << 20].len()), (1 << 20, None));
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
