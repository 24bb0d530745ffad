//! Numbers that other programs wrote: `.npy` of NumPy, and `.safetensors`, of whatever type, as 64-bit floats.
//!
//! Format of `.npy`: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. Its header is a Python literal of three
//! entries, read with string searches.

use std::path::Path;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use super::ExportError;
use crate::{StoreError, read_bytes};

/// An array of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberArray {
    /// Its name; empty in a `.npy`, which holds one.
    pub name: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Values, the last axis varying fastest.
    pub values: Vec<f64>,
}

/// The arrays of a `.npy` or, by name, a `.safetensors` of at most `most` bytes.
///
/// # Errors
/// A file that cannot be read, is longer, or holds no numbers in one of these formats.
pub fn read_numbers(path: &Path, most: u64) -> Result<Vec<NumberArray>, ExportError> {
    let bytes = read_bytes(path, most).map_err(StoreError::io("read", path))?;
    let unreadable = |reason: String| ExportError::NoNumbers { path: path.to_owned(), reason };
    match path.extension().is_some_and(|ending| ending == "npy") {
        true => npy(&bytes).map(|array| vec![array]).map_err(|reason| unreadable(reason.to_owned())),
        false => safetensors(&bytes).map_err(unreadable),
    }
}

fn safetensors(bytes: &[u8]) -> Result<Vec<NumberArray>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut arrays = Vec::new();
    for (name, view) in file.iter() {
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F64 => words(data, f64::from_le_bytes),
            Dtype::F32 => words(data, |word| f32::from_le_bytes(word).into()),
            Dtype::F16 => words(data, |word| f16::from_le_bytes(word).into()),
            Dtype::BF16 => words(data, |word| bf16::from_le_bytes(word).into()),
            Dtype::I64 => words(data, |word| i64::from_le_bytes(word) as f64),
            Dtype::I32 => words(data, |word| i32::from_le_bytes(word).into()),
            Dtype::U8 | Dtype::BOOL => words(data, |[byte]| byte.into()),
            other => return Err(format!("`{name}` is of type {other:?}")),
        };
        arrays.push(NumberArray { name: name.to_owned(), shape: view.shape().to_vec(), values });
    }
    arrays.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(arrays)
}

fn npy(bytes: &[u8]) -> Result<NumberArray, &'static str> {
    const CUT: &str = "it is cut short";
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("it is not a NumPy array")?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or(CUT)?;
    let (length, rest) = match version[0] {
        1 => rest
            .split_first_chunk()
            .map(|(length, rest)| (u16::from_le_bytes(*length).into(), rest))
            .ok_or(CUT)?,
        2 | 3 => rest
            .split_first_chunk()
            .map(|(length, rest)| (u32::from_le_bytes(*length) as usize, rest))
            .ok_or(CUT)?,
        _ => return Err("it is of an unknown version of the format"),
    };
    let (header, data) = rest.split_at_checked(length).ok_or(CUT)?;
    let header = str::from_utf8(header).map_err(|_| "its header is not text")?;
    const HEADER: &str = "its header cannot be understood";
    let entry = |key: &str| header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let kind = entry("descr").and_then(|rest| rest.strip_prefix('\'')?.split('\'').next()).ok_or(HEADER)?;
    if entry("fortran_order").ok_or(HEADER)?.starts_with("True") {
        return Err("its axes are in Fortran's order; save numpy.ascontiguousarray(...) of it");
    }
    let shape = entry("shape").and_then(|rest| rest.strip_prefix('(')?.split(')').next()).ok_or(HEADER)?;
    let shape: Result<Vec<usize>, _> =
        shape.split(',').map(str::trim).filter(|length| !length.is_empty()).map(str::parse).collect();
    let shape = shape.map_err(|_| HEADER)?;
    let values = match kind {
        "<f8" => words(data, f64::from_le_bytes),
        "<f4" => words(data, |word| f32::from_le_bytes(word).into()),
        "<f2" => words(data, |word| f16::from_le_bytes(word).into()),
        "<i8" => words(data, |word| i64::from_le_bytes(word) as f64),
        "<i4" => words(data, |word| i32::from_le_bytes(word).into()),
        "|b1" | "|u1" => words(data, |[byte]| byte.into()),
        _ => {
            return Err(
                "it holds no floats, integers or booleans of a usual type; save it with .astype(float)",
            );
        }
    };
    let count = shape.iter().try_fold(1usize, |count, &length| count.checked_mul(length));
    if count != Some(values.len()) {
        return Err("it has another number of values than its shape says");
    }
    Ok(NumberArray { name: String::new(), shape, values })
}

fn words<const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks::<N>().0.iter().map(|&word| decode(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn every_usual_type_of_numpy_is_read() {
        let two = |kind: &str, data: &[u8]| npy(&file(kind, "False", "(2,)", data)).unwrap().values;
        assert_eq!(two("<f8", &[0.5f64.to_le_bytes(), 2f64.to_le_bytes()].concat()), [0.5, 2.0]);
        assert_eq!(two("<f4", &[0.5f32.to_le_bytes(), 2f32.to_le_bytes()].concat()), [0.5, 2.0]);
        assert_eq!(two("<i8", &[(-7i64).to_le_bytes(), 2i64.to_le_bytes()].concat()), [-7.0, 2.0]);
        assert_eq!(two("<i4", &[(-7i32).to_le_bytes(), 2i32.to_le_bytes()].concat()), [-7.0, 2.0]);
        assert_eq!(two("|b1", &[1, 0]), [1.0, 0.0]);
        let scalar = npy(&file("|u1", "False", "()", &[3])).unwrap();
        assert_eq!((scalar.shape, scalar.values), (vec![], vec![3.0]));
    }

    #[test]
    fn what_is_damaged_is_refused_in_words() {
        let whole = file("<f4", "False", "(2, 1)", &[0; 8]);
        assert!((0..whole.len()).all(|length| npy(&whole[..length]).is_err()));
        let reason = |kind, order, shape| npy(&file(kind, order, shape, &[0; 8])).unwrap_err();
        assert!(reason("<f4", "True", "(2, 1)").contains("ascontiguousarray"));
        assert!(reason("<U4", "False", "(2,)").contains("astype(float)"));
        assert!(reason("<f4", "False", "(3,)").contains("another number of values"));
        assert!(reason("<f4", "False", "(18446744073709551615, 2)").contains("another number of values"));
        assert!(reason("<f4", "False", "(x,)").contains("header"));
    }

    #[test]
    fn no_changed_byte_does_harm() {
        let whole = file("<f4", "False", "(2, 1)", &[0; 8]);
        for place in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff, b'9', b'\'', b'('] {
                let mut changed = whole.clone();
                changed[place] = value;
                assert!(npy(&changed).map_or(0, |array| array.values.len()) <= 8);
            }
        }
    }

    #[test]
    fn safetensors_of_any_type_give_numbers_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.safetensors");
        let arrays = [
            super::super::NamedArray::integers("labels", &[2], vec![3, 0]),
            super::super::NamedArray::floats("answer", &[1, 2], vec![0.5, -1.0]),
        ];
        super::super::write_export(&path, &arrays, &[]).unwrap();
        let read = read_numbers(&path, 1 << 20).unwrap();
        assert_eq!(
            (read[0].name.as_str(), &read[0].shape[..], &read[0].values[..]),
            ("answer", &[1, 2][..], &[0.5, -1.0][..])
        );
        assert_eq!(read[1].values, [3.0, 0.0]);
        std::fs::write(&path, b"nothing").unwrap();
        let message = read_numbers(&path, 1 << 20).unwrap_err().to_string();
        assert!(message.contains("two.safetensors"), "{message}");
    }
}
