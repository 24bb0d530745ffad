//! Decoding within the shared memory budget, on any thread.

use archaeo_store::memory::{Room, memory};

use super::Image;
use super::image::{Refused, dimensions_within};
use super::split::Record;

/// Result of an attempt: either the file is bad, or memory is short at the moment.
type Attempt<T> = Result<T, Refused>;

impl Record {
    /// Calls `then` with the stored bytes and the decoded picture. Memory for both, and for decoding, is reserved from before the
    /// bytes are read until it returns; its result should be small.
    ///
    /// # Errors
    /// What is wrong with the image, as the end of a sentence; including that it can never fit.
    pub(super) fn with_picture<T>(&self, then: impl FnOnce(&[u8], Image) -> T) -> Result<T, String> {
        let mut then = Some(then);
        self.within_room(|bytes, room| {
            let image = self.picture(bytes, |needed| room.grow_to(needed + bytes.len() as u64))?;
            Ok(then.take().map(|then| then(bytes, image)))
        })
        .and_then(|made| made.ok_or_else(|| "it cannot be decoded".to_string()))
    }

    /// Width and height, from the header alone where there is one.
    pub(super) fn dimensions(&self) -> Result<(usize, usize), String> {
        match self.bare_dimensions() {
            Some(dimensions) => Ok(dimensions),
            None => self.within_room(|bytes, room| {
                dimensions_within(bytes, |needed| room.grow_to(needed + bytes.len() as u64))
            }),
        }
    }

    /// Calls `then` with the stored bytes, for which memory is reserved.
    pub(super) fn with_bytes<T>(&self, mut then: impl FnMut(&[u8]) -> T) -> Result<T, String> {
        self.within_room(|bytes, _| Ok(then(bytes)))
    }

    /// Tries with as much memory as the stored bytes take; if that is too little and no more is available, releases all of it and
    /// waits for as much as is needed.
    fn within_room<T>(&self, mut attempt: impl FnMut(&[u8], &mut Room) -> Attempt<T>) -> Result<T, String> {
        let mut needed = self.storage.length()?;
        loop {
            let mut room = memory().pass(needed).map_err(|refused| refused.to_string())?;
            let bytes = self.storage.read()?;
            match attempt(&bytes, &mut room) {
                Ok(made) => return Ok(made),
                Err(Refused::Bad(reason)) => return Err(reason),
                // More than before, each time: what is needed only shows as the file is read.
                Err(Refused::NoRoom(more)) => {
                    needed = needed.saturating_add(1).max(more + bytes.len() as u64)
                }
            }
        }
    }
}
