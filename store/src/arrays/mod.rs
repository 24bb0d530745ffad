//! The arrays and tables behind numbers and pictures, in common formats chosen by the file extension.

mod message;
mod npz;
mod numbers;
#[cfg(feature = "parquet")]
mod parquet;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorInfo;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;
use thiserror::Error;

pub use message::{Array, Arrays, Numbers};
pub use numbers::{NumberArray, read_numbers};
pub use table::{Column, Table};

use crate::StoreError;

/// A file of arrays that cannot be written or read.
#[derive(Debug, Error)]
pub enum ExportError {
    /// An extension without a format.
    #[error(
        "{0} cannot be written: its ending must be .safetensors, .npz, .csv or .parquet, and says the format"
    )]
    Format(PathBuf),
    /// A table as Parquet, without the feature `parquet`.
    #[error(
        "{0} cannot be written: this program was built without the feature `parquet`; build it with `cargo build --release -p \
         archaeo --features parquet`, or name a .csv"
    )]
    WithoutParquet(PathBuf),
    /// The file cannot be written or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of another program without numbers that can be read.
    #[error("{path} cannot be read: {reason}")]
    NoNumbers {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file was not written by this program.
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

    /// An array of integers.
    pub fn integers(name: &str, shape: &[usize], values: Vec<i64>) -> Self {
        Self { name: name.into(), shape: shape.into(), values: Values::I64(values) }
    }

    /// An array of integers, from indices.
    pub fn indices(name: &str, values: &[usize]) -> Self {
        let values = values.iter().map(|&value| value as i64).collect::<Vec<_>>();
        Self { name: name.into(), shape: vec![values.len()], values: Values::I64(values) }
    }
}

/// Format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Arrays, with the names of the images as JSON in the metadata.
    Safetensors,
    /// NumPy arrays, the names of the images among them.
    Npz,
    /// A table as text.
    Csv,
    /// A table.
    #[cfg(feature = "parquet")]
    Parquet,
}

impl Format {
    /// The format of the extension of `path`.
    ///
    /// # Errors
    /// An unknown extension, or one whose feature is left out.
    pub fn of(path: &Path) -> Result<Self, ExportError> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("safetensors") => Ok(Self::Safetensors),
            Some("npz") => Ok(Self::Npz),
            Some("csv") => Ok(Self::Csv),
            #[cfg(feature = "parquet")]
            Some("parquet") => Ok(Self::Parquet),
            #[cfg(not(feature = "parquet"))]
            Some("parquet") => Err(ExportError::WithoutParquet(path.to_owned())),
            _ => Err(ExportError::Format(path.to_owned())),
        }
    }
}

/// A command's results, to be written in the requested format.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// Arrays of any number of axes, for `.safetensors` and `.npz`.
    pub arrays: Vec<NamedArray>,
    /// Name of each image in its source, in the order of the arrays' axis of images.
    pub images: Vec<String>,
    /// The table, for `.csv` and `.parquet`.
    pub table: Table,
    /// Provenance.
    pub notes: Vec<(String, String)>,
}

impl Export {
    /// Writes the file atomically. Equal input gives equal bytes.
    ///
    /// # Errors
    /// An extension without a format, and I/O errors.
    ///
    /// # Panics
    /// If an array does not have as many values as its shape says.
    pub fn write(&self, path: &Path) -> Result<(), ExportError> {
        let bytes = match Format::of(path)? {
            Format::Safetensors => {
                let names = serde_json::to_string(&self.images).expect("plain data");
                let notes = self.notes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
                encode(&self.arrays, &notes.chain([("image_names", names.as_str())]).collect::<Vec<_>>())
            }
            Format::Npz => npz::encode(self),
            Format::Csv => self.table.csv(),
            #[cfg(feature = "parquet")]
            Format::Parquet => self.table.parquet(),
        };
        write_bytes(path, &bytes)
    }
}

/// Writes arrays with string `notes` as safetensors, atomically. Equal input gives equal bytes.
///
/// # Errors
/// An I/O error, with the path.
///
/// # Panics
/// If an array does not have as many values as its shape says.
pub fn write_export(path: &Path, arrays: &[NamedArray], notes: &[(&str, &str)]) -> Result<(), ExportError> {
    write_bytes(path, &encode(arrays, notes))
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    Ok(crate::write(path, bytes)?)
}

fn encode(arrays: &[NamedArray], notes: &[(&str, &str)]) -> Vec<u8> {
    // The crate's own writer takes notes as a hash map, whose order differs between runs.
    let notes: BTreeMap<&str, &str> = notes.iter().copied().collect();
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), json!(notes));
    let mut sorted: Vec<&NamedArray> = arrays.iter().collect();
    // The wider type first, so that every array is aligned.
    sorted.sort_by_key(|array| (matches!(array.values, Values::F32(_)), &array.name));
    let mut data = Vec::new();
    for NamedArray { name, shape, values } in sorted {
        let start = data.len();
        let (dtype, count) = match values {
            Values::F32(values) => {
                data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                (Dtype::F32, values.len())
            }
            Values::I64(values) => {
                data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                (Dtype::I64, values.len())
            }
        };
        assert_eq!(
            count,
            shape.iter().product::<usize>(),
            "`{name}` must have as many values as its shape says"
        );
        let info = TensorInfo { dtype, shape: shape.clone(), data_offsets: (start, data.len()) };
        header.insert(name.clone(), json!(info));
    }
    let mut header = serde_json::to_vec(&header).expect("plain data");
    header.resize(header.len().next_multiple_of(8), b' ');
    [(header.len() as u64).to_le_bytes().to_vec(), header, data].concat()
}

/// Reads the output of [`write_export`], in the order of names.
///
/// # Errors
/// A file that cannot be read or is damaged.
pub fn read_export(path: &Path) -> Result<Vec<NamedArray>, ExportError> {
    let bytes = crate::read(path).map_err(StoreError::io("read", path))?;
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
    use std::fs;

    use super::*;

    fn export() -> Export {
        let images = ["cat/1.png", "ärger/ß.png"].map(String::from).to_vec();
        Export {
            arrays: vec![
                NamedArray::indices("labels", &[1, 0]),
                NamedArray::floats("logits", &[2, 3], vec![0.5, -1.0, 2.0, 0.0, 0.25, f32::NAN]),
            ],
            table: Table::default()
                .with("image", Column::Text(images.clone()))
                .with("label", Column::Integers(vec![1, 0]))
                .with("probability", Column::Numbers(vec![0.1, f64::NAN]))
                .with("correct", Column::Flags(vec![true, false])),
            images,
            notes: vec![("model".into(), "vit".into())],
        }
    }

    #[test]
    fn the_ending_decides_the_format() {
        let folder = tempfile::tempdir().unwrap();
        for ending in ["safetensors", "npz", "CSV", "parquet"] {
            let path = folder.path().join(format!("export.{ending}"));
            export().write(&path).unwrap();
            let bytes = fs::read(&path).unwrap();
            let start: &[u8] = match ending {
                "npz" => b"PK\x03\x04",
                "CSV" => b"image,label,probability,correct\ncat/1.png,1,0.1,true\n",
                "parquet" => b"PAR1",
                _ => &bytes[..8],
            };
            assert!(bytes.starts_with(start), "{ending}");
            export().write(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes, "{ending}: equal input gives equal bytes");
        }
        for name in ["export.json", "export", "export.safetensors.gz"] {
            let path = folder.path().join(name);
            let message = export().write(&path).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains(".npz, .csv or .parquet"), "{message}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn names_of_images_are_in_the_metadata_of_safetensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export.safetensors");
        export().write(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let notes = metadata.metadata().clone().unwrap();
        let names: Vec<String> = serde_json::from_str(&notes["image_names"]).unwrap();
        assert_eq!((names, notes["model"].as_str()), (export().images, "vit"));
    }

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
    fn equal_arrays_give_equal_files() {
        let notes = [("split", "test"), ("model", "vit"), ("attack", "PGD"), ("distance", "raw")];
        let [a, b] =
            [NamedArray::indices("labels", &[1]), NamedArray::floats("logits", &[1, 2], vec![0.5; 2])];
        let first = encode(&[a.clone(), b.clone()], &notes);
        let mut reversed = notes;
        reversed.reverse();
        assert_eq!(encode(&[b, a], &reversed), first);
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
