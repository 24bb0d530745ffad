//! Dictionaries of lists and NumPy arrays that Python pickled: data sets, not models. Nothing in them is executed.

use std::borrow::Cow;

use crate::{Node, Pickle, Value};

/// A pickled dictionary whose keys are texts.
#[derive(Debug)]
pub struct PickledDictionary<'a>(Pickle<'a>);

/// An array as NumPy pickles it.
#[derive(Debug)]
pub struct NumpyArray<'a> {
    /// The type of its elements in NumPy's words without the byte order: `u1`, `i8`, `f4`.
    pub dtype: &'a str,
    /// Its extents.
    pub shape: Vec<usize>,
    /// Whether the first index varies fastest.
    pub fortran: bool,
    /// The elements' bytes: part of the file where it holds them as they are.
    pub bytes: Cow<'a, [u8]>,
}

impl<'a> PickledDictionary<'a> {
    /// Reads the pickle that `bytes` begin with, of any protocol.
    ///
    /// # Errors
    /// As the end of a sentence: a truncated or invalid pickle, one that does not hold a dictionary, or one that would run a
    /// harmful function.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let pickle = Pickle::parse(bytes).map_err(|error| error.to_string())?;
        match pickle.node(pickle.root) {
            Some(Node::Dictionary(_)) => Ok(Self(pickle)),
            _ => Err("its pickle holds no dictionary".to_string()),
        }
    }

    /// Its keys, in the order of the file.
    pub fn keys(&self) -> Vec<Cow<'a, str>> {
        self.entries().iter().filter_map(|(key, _)| self.text(*key)).collect()
    }

    /// The list of texts at `key`.
    pub fn texts(&self, key: &str) -> Option<Vec<Cow<'a, str>>> {
        self.sequence(key)?.iter().map(|value| self.text(*value)).collect()
    }

    /// The integers at `key`, as a list or as an array of one axis.
    pub fn integers(&self, key: &str) -> Option<Vec<i64>> {
        let integer = |value: &Value| if let Value::Int(integer) = *value { Some(integer) } else { None };
        if let Some(list) = self.sequence(key) {
            return list.iter().map(integer).collect();
        }
        let array = self.array(key)?;
        let width = match array.dtype {
            "u1" | "i1" => 1,
            "i2" | "u2" => 2,
            "i4" | "u4" => 4,
            "i8" | "u8" => 8,
            _ => return None,
        };
        let signed = array.dtype.starts_with('i');
        let number = |bytes: &[u8]| {
            let negative = signed && bytes.last().is_some_and(|&byte| byte >= 0x80);
            let mut wide = [if negative { 0xFF } else { 0 }; 8];
            wide[..bytes.len()].copy_from_slice(bytes);
            i64::from_le_bytes(wide)
        };
        let one_axis = array.shape.len() == 1 && array.bytes.len() == array.shape[0].checked_mul(width)?;
        one_axis.then(|| array.bytes.chunks_exact(width).map(number).collect())
    }

    /// The NumPy array at `key`, if its elements are stored in little-endian order (or are of one byte).
    pub fn array(&self, key: &str) -> Option<NumpyArray<'a>> {
        let Some(Node::Call(call)) = self.0.node(self.value(key)?) else { return None };
        let Value::Global(module, name) = call.function else { return None };
        if !module.starts_with("numpy") {
            return None;
        }
        // Protocols up to 4 create an empty array and set its state; protocol 5 creates it from a buffer.
        let (dtype, shape, fortran, bytes) = match (name, self.0.sequence(call.arguments)) {
            ("_reconstruct", _) => match *self.0.sequence(call.state) {
                [_, shape, dtype, Value::Bool(fortran), bytes] => (dtype, shape, fortran, bytes),
                _ => return None,
            },
            ("_frombuffer", &[bytes, dtype, shape, order]) => {
                (dtype, shape, order == Value::Text("F"), bytes)
            }
            _ => return None,
        };
        let extent = |value: &Value| if let Value::Int(n) = *value { usize::try_from(n).ok() } else { None };
        let shape = self.0.sequence(shape).iter().map(extent).collect::<Option<_>>()?;
        Some(NumpyArray { dtype: self.dtype(dtype)?, shape, fortran, bytes: self.bytes(bytes)? })
    }

    fn entries(&self) -> &[(Value<'a>, Value<'a>)] {
        match self.0.node(self.0.root) {
            Some(Node::Dictionary(entries)) => entries,
            _ => &[],
        }
    }

    /// The last value at `key`, as in Python.
    fn value(&self, key: &str) -> Option<Value<'a>> {
        let named = |(name, _): &&(Value<'a>, Value<'a>)| self.text(*name).is_some_and(|name| name == key);
        self.entries().iter().rev().find(named).map(|(_, value)| *value)
    }

    fn sequence(&self, key: &str) -> Option<&[Value<'a>]> {
        match self.0.node(self.value(key)?) {
            Some(Node::Sequence(items)) => Some(items),
            _ => None,
        }
    }

    /// `numpy.dtype('u1', …)`, which is then given its byte order.
    fn dtype(&self, value: Value<'a>) -> Option<&'a str> {
        let Some(Node::Call(call)) = self.0.node(value) else { return None };
        let Value::Global(module, "dtype") = call.function else { return None };
        let Some(&Value::Text(code)) = self.0.sequence(call.arguments).first() else { return None };
        let order = self.0.sequence(call.state).get(1);
        let big = order == Some(&Value::Text(">")) && !code.ends_with('1');
        (module.starts_with("numpy") && !big).then(|| code.trim_start_matches(['<', '|', '=']))
    }

    /// A text, or bytes that are one, as they often are where Python 2 wrote or was to read them.
    fn text(&self, value: Value<'a>) -> Option<Cow<'a, str>> {
        match self.bytes(value)? {
            Cow::Borrowed(bytes) => str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        }
    }

    /// Bytes, which Python 3 writes as a text to be encoded where Python 2 is to read them.
    fn bytes(&self, value: Value<'a>) -> Option<Cow<'a, [u8]>> {
        match value {
            Value::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
            Value::Text(text) => Some(Cow::Borrowed(text.as_bytes())),
            Value::Node(_) => {
                let Some(Node::Call(call)) = self.0.node(value) else { return None };
                match (call.function, self.0.sequence(call.arguments)) {
                    (
                        Value::Global("_codecs", "encode"),
                        &[Value::Text(text), Value::Text("latin1" | "latin-1")],
                    ) => {
                        text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect::<Option<_>>()
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}
