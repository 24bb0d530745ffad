//! One memory budget for the contents and claims of files of all formats, over all threads.
//!
//! A few kilobytes can claim gigabytes: a picture of one colour, a dictionary whose one entry is a million rows, a length in a
//! header. Readers reserve memory here before allocating what a file claims. Transient data, such as a picture being resized, is
//! reserved with [`Memory::pass`], which waits for other threads to release memory; persistent data, such as the arrays of an
//! archive, with a [`Budget`]. Data that can never fit is refused with [`TooMuch`].
//!
//! A refusal depends only on persistent data, never on what other threads do at that moment.

use std::sync::{Condvar, Mutex, MutexGuard};

use thiserror::Error;

mod budget;
mod size;
#[cfg(test)]
mod tests;

pub use budget::Budget;
pub use size::{bytes_in_words, parse_bytes};

/// Default budget for reading, in bytes.
pub const DEFAULT_MEMORY: u64 = 2 << 30;

/// Smallest accepted budget, in bytes.
pub const LEAST_MEMORY: u64 = 64 << 20;

/// Parts of the budget for the program itself, and for the cache of decoded pictures: an upper limit in bytes, and a largest
/// share.
const PROGRAM: (u64, u64) = (256 << 20, 8);
const PICTURES: (u64, u64) = (512 << 20, 4);

/// The process's budget.
static MEMORY: Memory = Memory::new(DEFAULT_MEMORY);

/// The process's budget.
pub fn memory() -> &'static Memory {
    &MEMORY
}

/// A budget of memory.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
    given_back: Condvar,
}

#[derive(Debug)]
struct State {
    /// Bytes in all.
    total: u64,
    /// Whether the user set it.
    chosen: bool,
    /// Bytes of persistent data.
    held: u64,
    /// Bytes of transient data.
    passing: u64,
}

impl State {
    /// Bytes that files may take together.
    fn files(&self) -> u64 {
        files(self.total)
    }
}

fn files(total: u64) -> u64 {
    total - share(total, PROGRAM) - share(total, PICTURES)
}

fn share(total: u64, (most, part): (u64, u64)) -> u64 {
    most.min(total / part)
}

/// Memory beyond the budget; the end of a sentence about the file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", self.sentence())]
pub struct TooMuch {
    /// Bytes needed, unless they overflow.
    pub needed: Option<u64>,
    /// Bytes allowed.
    pub allowed: u64,
    /// Bytes of the file, if its length sets the limit.
    pub length: Option<u64>,
    /// Bytes that other files hold meanwhile.
    held: u64,
}

impl TooMuch {
    fn sentence(&self) -> String {
        let Some(needed) = self.needed else {
            return "it claims more memory than any machine has".to_owned();
        };
        let allowed = bytes_in_words(self.allowed);
        let why = match self.length {
            Some(length) => {
                format!("more than the {allowed} that a file of {} may take", bytes_in_words(length))
            }
            None => format!("more than the {allowed} that are left for what files hold"),
        };
        let remedy = match total_for(needed.saturating_add(self.held)) {
            Some(total) => format!("; if it is what it should be, allow it with --memory {total}"),
            None => String::new(),
        };
        format!("it needs {} of memory, {why}{remedy}", bytes_in_words(needed))
    }
}

/// The smallest round budget, at least the default, in which files may take `needed` bytes; `None` if no machine has it.
fn total_for(needed: u64) -> Option<String> {
    let mut gibibytes = DEFAULT_MEMORY >> 30;
    while gibibytes <= 1 << 12 {
        if files(gibibytes << 30) >= needed {
            return Some(format!("{gibibytes}GiB"));
        }
        // In steps of one up to sixteen, and of a sixteenth from there.
        gibibytes += (gibibytes / 16).max(1);
    }
    None
}

impl Memory {
    /// A budget of this many bytes.
    pub const fn new(total: u64) -> Self {
        let state = State { total, chosen: false, held: 0, passing: 0 };
        Self { state: Mutex::new(state), given_back: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Sets the budget at the user's request; the length of a file then does not limit it.
    pub fn allow(&self, total: u64) {
        let mut state = self.state();
        (state.total, state.chosen) = (total, true);
        self.given_back.notify_all();
    }

    /// Bytes for the cache of decoded pictures.
    pub fn for_pictures(&self) -> u64 {
        share(self.state().total, PICTURES)
    }

    /// Bytes still available to files, not counting transient data.
    pub fn left(&self) -> u64 {
        let state = self.state();
        state.files().saturating_sub(state.held)
    }

    /// Reserves `bytes` for transient data, waiting until other threads have released enough. A thread must not call it while it
    /// holds a reservation: see [`Room::grow_to`].
    ///
    /// # Errors
    /// If that can never be available.
    pub fn pass(&'static self, bytes: u64) -> Result<Room, TooMuch> {
        let mut state = self.state();
        loop {
            let left = state.files().saturating_sub(state.held);
            if bytes > left {
                return Err(TooMuch { needed: Some(bytes), allowed: left, length: None, held: state.held });
            }
            if bytes <= left.saturating_sub(state.passing) {
                state.passing += bytes;
                return Ok(Room { memory: self, bytes, stays: false });
            }
            state = self.given_back.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Reserves `bytes` for persistent data.
    fn hold(&self, bytes: u64) -> Result<(), TooMuch> {
        let mut state = self.state();
        let left = state.files().saturating_sub(state.held);
        if bytes > left {
            return Err(TooMuch { needed: Some(bytes), allowed: left, length: None, held: state.held });
        }
        state.held += bytes;
        // Waiting threads may now have too little.
        self.given_back.notify_all();
        Ok(())
    }

    fn give_back(&self, bytes: u64, stays: bool) {
        let mut state = self.state();
        let taken = if stays { &mut state.held } else { &mut state.passing };
        *taken = taken.saturating_sub(bytes);
        self.given_back.notify_all();
    }
}

/// Memory reserved from a budget; dropping it releases it.
#[derive(Debug)]
pub struct Room {
    memory: &'static Memory,
    bytes: u64,
    stays: bool,
}

impl Room {
    /// Size of the reservation, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Grows it to `bytes`, if possible without waiting; otherwise the caller must release it and reserve the total with
    /// [`Memory::pass`]. Two threads that waited while holding half of what they need would deadlock.
    pub fn grow_to(&mut self, bytes: u64) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes) else { return true };
        let mut state = self.memory.state();
        let taken = state.held.saturating_add(state.passing).saturating_add(more);
        if taken > state.files() {
            return false;
        }
        *(if self.stays { &mut state.held } else { &mut state.passing }) += more;
        self.bytes = bytes;
        true
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.memory.give_back(self.bytes, self.stays);
    }
}
