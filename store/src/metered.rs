//! A reader with a limit on the bytes it returns.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Bytes that a [`Metered`] reader may still return; shared by clones.
#[derive(Clone, Debug)]
pub struct Allowance(Rc<Cell<u64>>);

impl Allowance {
    /// An allowance of `bytes`.
    pub fn of(bytes: u64) -> Self {
        Self(Rc::new(Cell::new(bytes)))
    }

    /// Resets the allowance to `bytes`.
    pub fn set(&self, bytes: u64) {
        self.0.set(bytes);
    }
}

/// A reader that fails once its allowance is used up. Archive readers load tables of contents and names of any length; this
/// bounds them.
#[derive(Debug)]
pub struct Metered<R> {
    inner: R,
    allowance: Allowance,
    /// What is too long, for the message.
    what: &'static str,
}

impl<R> Metered<R> {
    /// Limits reading of `what`, such as `its table of contents`, to the allowance.
    pub fn new(inner: R, allowance: Allowance, what: &'static str) -> Self {
        Self { inner, allowance, what }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.allowance.0.get();
        if left == 0 && !buffer.is_empty() {
            let reason = format!("{} is longer than any that is read", self.what);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.inner.read(&mut buffer[..most])?;
        self.allowance.0.set(left - read as u64);
        Ok(read)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        self.inner.stream_position()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_is_allowed() {
        let allowance = Allowance::of(4);
        let mut reader = Metered::new(io::Cursor::new(b"0123456789"), allowance.clone(), "its name");
        let mut four = [0; 4];
        reader.read_exact(&mut four).unwrap();
        assert_eq!(&four, b"0123");
        let mut rest = Vec::new();
        let error = reader.read_to_end(&mut rest).unwrap_err();
        assert_eq!(error.to_string(), "its name is longer than any that is read");
        reader.seek(SeekFrom::Start(8)).unwrap();
        allowance.set(100);
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"89");
    }
}
