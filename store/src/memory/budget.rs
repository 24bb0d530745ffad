//! Memory budget of one file.

use super::{Memory, Room, TooMuch, memory};

/// A file may take this multiple of its length, plus this many bytes: real contents rarely compress that well, but a small file
/// of zeros does.
const MULTIPLE: u64 = 64;
const BESIDES: u64 = 64 << 20;

/// The memory that one file may take for what it holds: a multiple of its length, and no more than the budget of all files. With
/// a budget set by [`Memory::allow`], the length does not matter. Dropping it releases the memory.
#[derive(Debug)]
pub struct Budget {
    room: Room,
    /// Length of the file, if it matters.
    length: Option<u64>,
}

impl Budget {
    /// The budget of a file of this many bytes, or of several files together.
    pub fn of_file(length: u64) -> Self {
        Self::within(memory(), length)
    }

    /// The budget of a file that this program has written itself, of this many bytes: the multiple of its length, whatever other
    /// files hold. The training that wrote it has memory for it.
    pub fn of_own_file(length: u64) -> Self {
        static OWN: Memory = Memory::new(u64::MAX);
        Self { room: Room { memory: &OWN, bytes: 0, stays: true }, length: Some(length) }
    }

    pub(super) fn within(memory: &'static Memory, length: u64) -> Self {
        let length = (!memory.state().chosen).then_some(length);
        Self { room: Room { memory, bytes: 0, stays: true }, length }
    }

    /// Takes `count` times `size` bytes.
    ///
    /// # Errors
    /// If that exceeds the file's budget; the error names the need of the whole file.
    pub fn take(&mut self, count: u64, size: u64) -> Result<(), TooMuch> {
        let needed = count.checked_mul(size).and_then(|more| self.room.bytes.checked_add(more));
        let by_length = self.length.map(|length| length.saturating_mul(MULTIPLE).saturating_add(BESIDES));
        let left = self.room.memory.left();
        let Some(needed) = needed else {
            return Err(TooMuch { needed: None, allowed: left, length: None, held: 0 });
        };
        if let Some(allowed) = by_length.filter(|allowed| needed > *allowed) {
            // Memory held by others counts in the remedy.
            let held = self.room.memory.state().held.saturating_sub(self.room.bytes);
            return Err(TooMuch { needed: Some(needed), allowed, length: self.length, held });
        }
        let more = needed - self.room.bytes;
        self.room.memory.hold(more).map_err(|refused| TooMuch {
            needed: Some(needed),
            allowed: refused.allowed.saturating_add(self.room.bytes),
            held: refused.held.saturating_sub(self.room.bytes),
            ..refused
        })?;
        self.room.bytes = needed;
        Ok(())
    }

    /// Releases `bytes`.
    pub fn give_back(&mut self, bytes: u64) {
        let bytes = bytes.min(self.room.bytes);
        self.room.bytes -= bytes;
        self.room.memory.give_back(bytes, true);
    }

    /// Bytes taken so far.
    pub fn taken(&self) -> u64 {
        self.room.bytes
    }

    /// Bytes still available.
    pub fn left(&self) -> u64 {
        let of_all = self.room.memory.left();
        let by_length = self.length.map(|length| {
            length.saturating_mul(MULTIPLE).saturating_add(BESIDES).saturating_sub(self.room.bytes)
        });
        by_length.map_or(of_all, |left| left.min(of_all))
    }
}
