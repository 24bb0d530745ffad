//! Working memory that is kept from call to call.
//!
//! A buffer is taken out of its thread's store and put back when dropped, rather than borrowed in place:
//! a thread that waits for others may run another kernel meanwhile, which then takes another buffer.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// A cache line, so that buffers are aligned for the widest vectors.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

/// Numbers aligned to 64 bytes.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    lines: Vec<Line>,
    length: usize,
}

impl Numbers {
    /// `length` zeros.
    pub(crate) fn zeros(length: usize) -> Numbers {
        Numbers { lines: vec![Line([0.0; LINE]); length.div_ceil(LINE)], length }
    }
}

impl Deref for Numbers {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: `lines` holds at least `length` initialised numbers without gaps (repr(C), 64 = 16 · 4).
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl DerefMut for Numbers {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}

thread_local! {
    static STORE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// `length` numbers of unspecified value, aligned to 64 bytes.
#[derive(Debug)]
pub(crate) struct Scratch(Numbers);

impl Scratch {
    pub(crate) fn take(length: usize) -> Scratch {
        let needed = length.div_ceil(LINE);
        let mut lines = STORE.with_borrow_mut(|store| best(store, needed)).unwrap_or_default();
        if lines.len() < needed {
            // The contents need not be copied to larger memory.
            lines.clear();
            lines.resize(needed, Line([0.0; LINE]));
        }
        Scratch(Numbers { lines, length })
    }
}

/// The smallest buffer of at least `needed` lines; if there is none, the largest, which is then enlarged. Any other choice would
/// eventually grow every buffer to the size of the largest.
fn best(store: &mut Vec<Vec<Line>>, needed: usize) -> Option<Vec<Line>> {
    let enough = (0..store.len()).filter(|&i| store[i].len() >= needed).min_by_key(|&i| store[i].len());
    let best = enough.or_else(|| (0..store.len()).max_by_key(|&i| store[i].len()))?;
    Some(store.swap_remove(best))
}

impl Deref for Scratch {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.0.lines);
        // While a thread ends its store may be gone; then the memory is simply freed.
        let _ = STORE.try_with(|store| store.borrow_mut().push(lines));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_taken_together_are_distinct_aligned_and_reused() {
        let mut first = Scratch::take(100);
        let mut second = Scratch::take(33);
        first.fill(1.0);
        second.fill(2.0);
        assert!(first.iter().all(|x| *x == 1.0) && first.len() == 100 && second.len() == 33);
        assert_eq!((first.as_ptr() as usize % 64, second.as_ptr() as usize % 64), (0, 0));
        let address = first.as_ptr();
        drop(first);
        assert_eq!(Scratch::take(50).as_ptr(), address);
        assert!(Scratch::take(0).is_empty());
    }
    #[test]
    fn a_small_request_leaves_the_large_buffer_to_a_large_one() {
        let (small, large) = (Scratch::take(10), Scratch::take(10_000));
        let addresses = (small.as_ptr(), large.as_ptr());
        drop(small);
        drop(large);
        let (small, large) = (Scratch::take(10), Scratch::take(10_000));
        assert_eq!((small.as_ptr(), large.as_ptr()), addresses);
    }
}
