//! Room in memory: one budget for what files hold and claim, whatever their format, over all threads.
//!
//! A few kilobytes can claim gigabytes: a picture of one colour, a dictionary whose one entry is a million rows, a length in a
//! header. Whoever reads a file asks here before memory is taken for what it says. What passes through, such as a picture on
//! its way to a model's size, is taken with [`Memory::pass`], which waits for other threads to give back; what stays, such as the
//! arrays of an archive, with a [`Budget`]. What can never fit is refused with [`TooMuch`].
//!
//! Whether something is refused depends on what stays, never on what other threads do at that moment.

use std::sync::{Condvar, Mutex, MutexGuard};

use thiserror::Error;

mod budget;
mod size;
#[cfg(test)]
mod tests;

pub use budget::Budget;
pub use size::{bytes_in_words, parse_bytes};

/// Bytes that the program takes at most for what it reads, unless it is told otherwise.
pub const DEFAULT_MEMORY: u64 = 2 << 30;

/// The least that it can be told.
pub const LEAST_MEMORY: u64 = 64 << 20;

/// What the program itself takes of that, and what decoded pictures take that are kept because they will be asked for again:
/// at most so much, and at most such a part.
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
    /// Whether that is somebody's own word.
    chosen: bool,
    /// What stays.
    held: u64,
    /// What passes through.
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

/// What takes more memory than it may; the end of a sentence about the file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", self.sentence())]
pub struct TooMuch {
    /// Bytes that it needs, if a number holds them.
    pub needed: Option<u64>,
    /// Bytes that it may take.
    pub allowed: u64,
    /// Bytes of the file, where these are what is allowed by.
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

/// The least round size, from what there is by default on, of which files may take `needed` bytes; none where no machine has it.
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
    /// A budget of so many bytes.
    pub const fn new(total: u64) -> Self {
        let state = State { total, chosen: false, held: 0, passing: 0 };
        Self { state: Mutex::new(state), given_back: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Allows so many bytes, by somebody's own word: a file's length then no longer matters.
    pub fn allow(&self, total: u64) {
        let mut state = self.state();
        (state.total, state.chosen) = (total, true);
        self.given_back.notify_all();
    }

    /// Bytes that pictures may take that are kept because they will be asked for again.
    pub fn for_pictures(&self) -> u64 {
        share(self.state().total, PICTURES)
    }

    /// Bytes that files may still take, whatever is passing through at the moment.
    pub fn left(&self) -> u64 {
        let state = self.state();
        state.files().saturating_sub(state.held)
    }

    /// Takes `bytes` for what passes through, and waits until other threads have given back what is missing. A thread must not
    /// ask while it has some: see [`Room::grow_to`].
    ///
    /// # Errors
    /// When that can never be there.
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

    /// Takes `bytes` for what stays.
    fn hold(&self, bytes: u64) -> Result<(), TooMuch> {
        let mut state = self.state();
        let left = state.files().saturating_sub(state.held);
        if bytes > left {
            return Err(TooMuch { needed: Some(bytes), allowed: left, length: None, held: state.held });
        }
        state.held += bytes;
        // There may now be too little for those who wait.
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

/// Memory that was taken from a budget; dropping it gives it back.
#[derive(Debug)]
pub struct Room {
    memory: &'static Memory,
    bytes: u64,
    stays: bool,
}

impl Room {
    /// Bytes of it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it as large as `bytes`, if that is possible without waiting; if not, whoever needs more gives this back and asks
    /// for all of it with [`Memory::pass`]. Two threads that wait with half of what they need in their hands would wait for ever.
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
