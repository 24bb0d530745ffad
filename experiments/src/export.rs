//! The arrays behind numbers and pictures, as safetensors files that any program reads.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use thiserror::Error;

/// A file of arrays that cannot be written or read.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The file system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not what this program wrote there.
    #[error("{path} is damaged ({reason}); delete it and run the command again")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Values of one array.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit integers.
    I64(Vec<i64>),
}

/// One named array.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedArray {
    /// Name within the file.
    pub name: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Values, last axis fastest.
    pub values: Values,
}

impl NamedArray {
    /// An array of floats.
    pub fn floats(name: &str, shape: &[usize], values: Vec<f32>) -> Self {
        Self { name: name.into(), shape: shape.into(), values: Values::F32(values) }
    }

    /// An array of integers, from indices.
    pub fn indices(name: &str, values: &[usize]) -> Self {
        let values = values.iter().map(|&value| value as i64).collect::<Vec<_>>();
        Self { name: name.into(), shape: vec![values.len()], values: Values::I64(values) }
    }
}

/// Writes arrays with string `notes`, under a temporary name first.
///
/// # Errors
/// What the file system says, with the path.
///
/// # Panics
/// If an array does not have as many values as its shape says.
pub fn write_export(path: &Path, arrays: &[NamedArray], notes: &[(&str, &str)]) -> Result<(), ExportError> {
    let encoded: Vec<(Dtype, Vec<u8>)> = arrays
        .iter()
        .map(|array| match &array.values {
            Values::F32(values) => {
                (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
            Values::I64(values) => {
                (Dtype::I64, values.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
        })
        .collect();
    let views = arrays.iter().zip(&encoded).map(|(array, (dtype, bytes))| {
        let view =
            TensorView::new(*dtype, array.shape.clone(), bytes).expect("as many values as the shape says");
        (array.name.as_str(), view)
    });
    let notes: HashMap<String, String> =
        notes.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    let bytes = safetensors::serialize(views, Some(notes)).expect("views are consistent");

    let io = |source| ExportError::Io { action: "write", path: path.to_owned(), source };
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, bytes).map_err(io)?;
    fs::rename(&temporary, path).map_err(io)
}

/// Reads back what [`write_export`] wrote, in the order of names.
///
/// # Errors
/// A file that cannot be read or is damaged.
pub fn read_export(path: &Path) -> Result<Vec<NamedArray>, ExportError> {
    let bytes =
        fs::read(path).map_err(|source| ExportError::Io { action: "read", path: path.to_owned(), source })?;
    let damaged = |reason: String| ExportError::Damaged { path: path.to_owned(), reason };
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let mut arrays = file
        .iter()
        .map(|(name, view)| {
            let values = match view.dtype() {
                Dtype::F32 => Values::F32(words(view.data(), f32::from_le_bytes)),
                Dtype::I64 => Values::I64(words(view.data(), i64::from_le_bytes)),
                other => return Err(damaged(format!("`{name}` is of type {other:?}"))),
            };
            Ok(NamedArray { name: name.into(), shape: view.shape().into(), values })
        })
        .collect::<Result<Vec<_>, _>>()?;
    arrays.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(arrays)
}

fn words<const N: usize, T>(bytes: &[u8], decode: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&word| decode(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arrays.safetensors");
        let arrays =
            [NamedArray::indices("labels", &[3, 0, 7]), NamedArray::floats("logits", &[3, 2], vec![0.5; 6])];
        write_export(&path, &arrays, &[("split", "test")]).unwrap();
        assert_eq!(read_export(&path).unwrap(), arrays);
    }

    #[test]
    fn a_truncated_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arrays.safetensors");
        write_export(&path, &[NamedArray::floats("x", &[4], vec![1.0; 4])], &[]).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let message = read_export(&path).unwrap_err().to_string();
        assert!(message.contains("arrays.safetensors is damaged"), "{message}");
    }
}
