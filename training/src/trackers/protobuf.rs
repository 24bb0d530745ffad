//! Writing protocol-buffer messages, field by field.

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

/// A message; fields are written in the order of the calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// An integer that is not negative: `int32`, `int64`, `uint64`, `bool` or an enum.
    pub fn integer(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3 | VARINT);
        self.varint(value);
        self
    }

    /// A `double`.
    pub fn double(mut self, field: u64, value: f64) -> Self {
        self.varint(field << 3 | FIXED64);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A `float`.
    pub fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | FIXED32);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// `bytes`, a `string`, or a packed repeated field.
    pub fn bytes(mut self, field: u64, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        self.varint(field << 3 | LENGTH_DELIMITED);
        self.varint(content.len() as u64);
        self.0.extend(content);
        self
    }

    /// A message within this one.
    pub fn message(self, field: u64, content: &Self) -> Self {
        self.bytes(field, &content.0)
    }

    /// Its bytes.
    pub fn encoded(&self) -> &[u8] {
        &self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_encoding_guide() {
        // The examples of protobuf.dev/programming-guides/encoding, and a field number of two bytes.
        assert_eq!(Message::default().integer(1, 150).encoded(), [0x08, 0x96, 0x01]);
        let testing = Message::default().bytes(2, "testing");
        assert_eq!(testing.encoded(), [&[0x12, 0x07][..], b"testing"].concat());
        let inner = Message::default().integer(1, 150);
        assert_eq!(Message::default().message(3, &inner).encoded(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::default().bytes(16, "x").encoded(), [0x82, 0x01, 0x01, b'x']);
        assert_eq!(Message::default().float(5, 1.0).encoded(), [0x2d, 0, 0, 0x80, 0x3f]);
        assert_eq!(Message::default().double(1, 1.0).encoded(), [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    }
}
