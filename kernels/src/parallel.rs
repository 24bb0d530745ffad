//! Work shared among the threads of the current rayon pool.
//!
//! Only the assignment of tasks to threads varies from run to run; what a task computes, and in which
//! order, is fixed by its index. So no result depends on the number of threads.

use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Values in one task of an element-wise pass: large enough to outweigh its overhead, small enough for the second-level cache.
pub(crate) const CHUNK: usize = 16 * 1024;

/// Runs `task(0)` to `task(tasks - 1)`, each once, the next free thread taking the next one.
pub(crate) fn for_each(tasks: usize, task: impl Fn(usize) + Sync) {
    let threads = rayon::current_num_threads().min(tasks);
    if threads <= 1 {
        (0..tasks).for_each(task);
        return;
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= tasks {
                break;
            }
            task(index);
        }
    };
    if threads == 2 {
        rayon::join(worker, worker);
    } else {
        rayon::scope(|scope| (0..threads).for_each(|_| scope.spawn(|_| worker())));
    }
}

/// Runs `work` on a thread of the current rayon pool, whose threads share the kernels' work: from there each kernel starts at
/// once, whereas an outside caller sleeps until the pool is done and has to be woken.
pub fn enter<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match rayon::current_thread_index() {
        Some(_) => work(),
        None => rayon::scope(|_| work()),
    }
}

/// Runs `pass` on equal chunks of an input and an output of the same length.
pub(crate) fn map(x: &[f32], y: &mut [f32], pass: impl Fn(&[f32], &mut [f32]) + Sync) {
    x.par_chunks(CHUNK).zip(y.par_chunks_mut(CHUNK)).for_each(|(x, y)| pass(x, y));
}

/// A pointer that tasks on other threads may use; each task writes elements that no other uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared<T>(*mut T);

// SAFETY: dereferencing is unsafe, and its caller must ensure disjoint elements.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn new(slice: &mut [T]) -> Self {
        Shared(slice.as_mut_ptr())
    }

    /// The pointer advanced; it may lie outside as long as nothing is read or written there.
    pub(crate) fn offset(self, elements: usize) -> Self {
        Shared(self.0.wrapping_add(elements))
    }

    pub(crate) fn pointer(self) -> *mut T {
        self.0
    }

    /// # Safety
    /// `offset..offset + length` lies within the slice, and no other task uses any of it meanwhile.
    #[allow(clippy::mut_from_ref, reason = "the caller vouches for disjoint ranges")]
    pub(crate) unsafe fn slice<'a>(self, offset: usize, length: usize) -> &'a mut [T] {
        // SAFETY: the caller ensures this.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(offset), length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_exactly_once_for_any_number_of_threads() {
        for threads in 1..=4 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
            for tasks in [0, 1, 2, 3, 100] {
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.install(|| {
                    for_each(tasks, |i| {
                        counts[i].fetch_add(1, Ordering::Relaxed);
                    })
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }
}
