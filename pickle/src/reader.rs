//! The bytes of a pickle, taken from front to back.

use super::broken;
use crate::PickleError;

/// Bytes and how many of them were taken.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that were taken.
    pub fn position(&self) -> usize {
        self.at
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8], PickleError> {
        let end = self.at.checked_add(length);
        let taken =
            end.and_then(|end| self.bytes.get(self.at..end)).ok_or_else(|| broken("it is cut short"))?;
        self.at += length;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        Ok(self.take(N)?.try_into().expect("so many bytes were taken"))
    }

    /// The rest of the line, which ends with a line feed.
    pub fn line(&mut self) -> Result<&'a str, PickleError> {
        let rest = self.take(self.bytes.len() - self.at)?;
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| broken("it is cut short"))?;
        self.at = self.bytes.len() - rest.len() + end + 1;
        str::from_utf8(&rest[..end]).map_err(|_| broken("a name in it is not text"))
    }

    /// An unsigned number of `width` bytes, as a length or a key.
    pub fn length(&mut self, width: usize) -> Result<usize, PickleError> {
        let bytes = self.take(width)?;
        let number = bytes.iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        usize::try_from(number).map_err(|_| broken("it is cut short"))
    }

    /// A little-endian integer of `width` bytes; none that is longer than 64 bits.
    pub fn integer(&mut self, width: usize, signed: bool) -> Result<Option<i64>, PickleError> {
        let bytes = self.take(width)?;
        let negative = signed && bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut extended = [if negative { 0xFF } else { 0 }; 8];
        let Some(low) = extended.get_mut(..width) else { return Ok(None) };
        low.copy_from_slice(bytes);
        Ok(Some(i64::from_le_bytes(extended)))
    }
}
