//! NumPy's `.npz`, in which the original Vision Transformers were released: a zip archive with one `.npy` per array.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. The header is a Python literal of three
//! entries. It is read with a few string searches instead of a parser for such literals, so deep nesting cannot overflow the
//! stack.

use archaeo_store::memory::Budget;

use super::archive::{Archive, Entry};
use super::element::{Element, element_count, room_for};
use super::error::Fault;
use crate::state::{Array, State};

/// Name of the format in messages.
pub(super) const FORMAT: &str = "NumPy archive";

const MAGIC: &[u8] = b"\x93NUMPY";

/// Most axes of an array.
const MOST_AXES: usize = 16;

/// Every array of floats of an archive, under its own name.
pub(super) fn read(archive: &mut Archive, budget: &mut Budget) -> Result<State, Fault> {
    let mut state = State::new();
    for name in archive.names() {
        let Some(array_name) = name.strip_suffix(".npy") else { continue };
        let entry = archive.entry(&name, budget)?;
        if let Some(array) = read_array(array_name, &entry, budget)? {
            state.insert(array_name.to_owned(), array);
        }
        entry.give_back(budget);
    }
    Ok(state)
}

/// The array of one `.npy`; `None` for integers.
fn read_array(name: &str, entry: &Entry, budget: &mut Budget) -> Result<Option<Array>, Fault> {
    let malformed = |reason: &str| Fault::malformed(format!("`{name}` {reason}"));
    let start = entry.bytes(0..entry.len().min(12))?;
    let start = start.as_ref();
    let &[major, _, a, b, ..] = start.strip_prefix(MAGIC).unwrap_or_default() else {
        return Err(malformed("is not a NumPy array"));
    };
    let (header_start, header_length) = match (major, start) {
        (1, _) => (10, usize::from(u16::from_le_bytes([a, b]))),
        (2 | 3, &[.., c, d]) if start.len() == 12 => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        _ => return Err(malformed("is written in an unknown version of NumPy's format")),
    };
    let data = header_start + header_length;
    let header = entry.bytes(header_start..data).map_err(|_| malformed("has a header that is cut short"))?;
    let header = str::from_utf8(&header).map_err(|_| malformed("has a header that is not text"))?;

    let unreadable = || malformed("has a header that cannot be understood");
    let fortran_order = field(header, "fortran_order").ok_or_else(unreadable)?.starts_with("True");
    let shape = field(header, "shape").and_then(shape).ok_or_else(unreadable)?;
    let descriptor = field(header, "descr").ok_or_else(unreadable)?;
    let descriptor = descriptor.strip_prefix(['\'', '"']).and_then(|rest| rest.split(['\'', '"']).next());
    let element = element(descriptor.unwrap_or_default());
    let element = match element {
        Some(Element::Integer(_)) => return Ok(None),
        Some(element) => element,
        None => {
            let dtype = descriptor.unwrap_or("a structure").chars().take(40).collect();
            return Err(Fault::Dtype(name.to_owned(), dtype));
        }
    };

    let length = element_count(&shape).and_then(|count| count.checked_mul(element.size()));
    if length != Some(entry.len() - data) {
        return Err(malformed(&format!("has shape {shape:?} but {} bytes", entry.len() - data)));
    }
    let (mut values, count) = room_for(budget, &shape)?;
    if fortran_order && shape.len() > 1 && count > 0 {
        let strides: Vec<usize> = (0..shape.len()).map(|axis| shape[..axis].iter().product()).collect();
        element.gather(&entry.bytes(data..entry.len())?, &shape, &strides, &mut values);
    } else {
        entry.pieces(data..entry.len(), |piece| element.widen(piece, &mut values))?;
    }
    Ok(Some(Array { shape, values }))
}

/// What follows the name of an entry and its colon.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{name}'"))?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn shape(literal: &str) -> Option<Vec<usize>> {
    let (axes, _) = literal.strip_prefix('(')?.split_once(')')?;
    let axes = axes.split(',').map(str::trim).filter(|axis| !axis.is_empty());
    let axes: Vec<usize> = axes.map(|axis| axis.parse().ok()).take(MOST_AXES + 1).collect::<Option<_>>()?;
    (axes.len() <= MOST_AXES).then_some(axes)
}

/// Element type of a NumPy type string; `None` for types that cannot hold weights.
fn element(descriptor: &str) -> Option<Element> {
    Some(match descriptor {
        "<f8" => Element::F64,
        "<f4" => Element::F32,
        "<f2" => Element::F16,
        // NumPy has no bfloat16; JAX writes it as two opaque bytes.
        "|V2" | "<V2" => Element::Bf16,
        "|b1" | "|u1" => Element::Integer(1),
        "<i2" | "<u2" => Element::Integer(2),
        "<i4" | "<u4" => Element::Integer(4),
        "<i8" | "<u8" => Element::Integer(8),
        _ => return None,
    })
}
