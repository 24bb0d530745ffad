//! MedMNIST archives (Yang et al. 2023): a `.npz` with `train_images`, `train_labels`, and the same for `val`
//! and `test`; images (n, height, width) or (n, height, width, 3) of 8 bits, labels (n,) or (n, 1). Keras stores MNIST in the
//! same way, as
//! `x_train`, `y_train`, `x_test` and `y_test`.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use archaeo_store::memory::{Budget, TooMuch};
use npyz::{NpyFile, Order, TypeChar};

use super::DataError;
use super::image::check_size;
use super::listing::open_zip;
use super::open::Layout;
use super::split::{Encoding, Record};
use super::storage::{Archive, Held, Storage};

/// Whether a zip archive is an archive of arrays.
pub(super) fn is_npz(path: &Path) -> Result<bool, DataError> {
    let named = path.extension().is_some_and(|extension| extension == "npz");
    Ok(named || open_zip(path)?.0.file_names().flatten().any(|name| name.ends_with("_images.npy")))
}

/// Reads all arrays; the images stay in memory as raw bytes.
pub(super) fn read(path: &Path) -> Result<Layout, DataError> {
    let (mut archive, _contents) = open_zip(path)?;
    let mut splits: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for split in ["train", "val", "test"] {
        let names = [
            (format!("{split}_images"), format!("{split}_labels")),
            (format!("x_{split}"), format!("y_{split}")),
        ];
        for (images, labels) in names {
            let key = format!("{images}.npy");
            if archive.file_names().flatten().any(|name| name == key) {
                splits.insert(split.to_string(), read_split(path, &mut archive, split, &images, &labels)?);
                break;
            }
        }
    }
    if splits.is_empty() {
        return Err(DataError::malformed(
            path,
            "it holds no array `train_images`, `val_images` or `test_images` (nor `x_train` or `x_test`); give an archive in MedMNIST's \
             layout",
        ));
    }
    let last = splits.values().flatten().map(|record| record.label).max().unwrap_or(0);
    let classes = (0..=last).map(|class| class.to_string()).collect();
    Ok(Layout { classes, splits, notes: Vec::new(), complete: false })
}

fn read_split(
    path: &Path,
    archive: &mut Archive,
    split: &str,
    image_name: &str,
    label_name: &str,
) -> Result<Vec<Record>, DataError> {
    let malformed = |reason: String| DataError::malformed(path, reason);
    let file_length = archaeo_store::look(path).map_err(|error| DataError::read(path, error))?.len();
    let mut budget = Budget::of_file(file_length);
    let (shape, pixels) = array(path, archive, image_name, &mut budget)?;
    let (images, height, width, channels) = match *shape.as_slice() {
        [n, height, width] => (n, height, width, 1),
        [n, height, width, 3] => (n, height, width, 3),
        _ => {
            return Err(malformed(format!(
                "`{image_name}` has the shape {shape:?}; images must be (n, height, width) or (n, height, width, 3)"
            )));
        }
    };
    if height == 0 || width == 0 {
        return Err(malformed(format!(
            "`{image_name}` has the shape {shape:?}; images have at least one row and one column"
        )));
    }
    check_size(width as u64, height as u64)
        .map_err(|reason| malformed(format!("an image in `{image_name}`: {reason}")))?;
    let (label_shape, labels) = array(path, archive, label_name, &mut budget)?;
    if !matches!(label_shape.as_slice(), [_] | [_, 1]) {
        return Err(malformed(format!(
            "`{label_name}` has the shape {label_shape:?}; only one label per image, (n,) or (n, 1), can be used"
        )));
    }
    if labels.len() != images {
        return Err(malformed(format!(
            "`{split}` has {images} images but {} labels; correct it",
            labels.len()
        )));
    }
    let too_much = |refused: TooMuch| malformed(format!("the {images} images of `{split}`: {refused}"));
    budget.take(images as u64, RECORD).map_err(too_much)?;
    let bytes = Arc::new(Held::new(pixels, budget));
    let length = height * width * channels;
    let record = |(i, label): (usize, u8)| Record {
        identifier: format!("{split}/{i}"),
        label: usize::from(label),
        storage: Storage::Shared { bytes: bytes.clone(), offset: i * length, length },
        encoding: Encoding::Interleaved { width, height, channels },
        mask: None,
    };
    Ok(labels.into_iter().enumerate().map(record).collect())
}

/// The types of values that are read.
enum Element {
    Byte,
    Int,
    Long,
}

/// Shape and values of an array of bytes, whose memory is taken from the budget; wider label types are narrowed.
fn array(
    path: &Path,
    archive: &mut Archive,
    name: &str,
    budget: &mut Budget,
) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let malformed = |reason: String| DataError::malformed(path, reason);
    let unreadable = |error: &dyn std::fmt::Display| {
        // The parser of headers repeats them on the lines below the first.
        let error = error.to_string();
        let error = error.lines().next().unwrap_or_default().trim_end_matches(':');
        malformed(format!("the array `{name}` cannot be read ({error}); make or copy the file again"))
    };
    let member = archive.by_name(&format!("{name}.npy")).map_err(|error| unreadable(&error))?;
    let stored = member.size();
    let file = checked_header(member).and_then(NpyFile::new).map_err(|error| unreadable(&error))?;
    let shape: Vec<usize> = file.shape().iter().map(|&n| n as usize).collect();
    let npyz::DType::Plain(kind) = file.dtype() else {
        return Err(malformed(format!("`{name}` is a table, not an array of numbers")));
    };
    if file.order() != Order::C {
        return Err(malformed(format!("`{name}` is stored column by column; save it in C order")));
    }
    let element = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Uint, 1) => Element::Byte,
        (TypeChar::Int, 8) => Element::Long,
        (TypeChar::Int, 4) => Element::Int,
        _ => {
            return Err(malformed(format!(
                "`{name}` is of type {kind}; images and labels must be of 8-bit integers"
            )));
        }
    };
    let count = shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n as u64)).unwrap_or(u64::MAX);
    if count > stored {
        return Err(malformed(format!(
            "`{name}` has the shape {shape:?} and only {stored} bytes in the archive; make or copy the file again"
        )));
    }
    budget.take(count, 1).map_err(|refused| malformed(format!("the array `{name}`: {refused}")))?;
    let count = count as usize;
    let mut values = Vec::with_capacity(count);
    match element {
        Element::Byte => {
            // One byte per value: the raw data, read at once.
            let reader = file.into_inner();
            reader.take(count as u64).read_to_end(&mut values).map_err(|error| unreadable(&error))?;
        }
        Element::Long => narrow::<i64>(file, &mut values).map_err(|error| unreadable(&error))?,
        Element::Int => narrow::<i32>(file, &mut values).map_err(|error| unreadable(&error))?,
    }
    if values.len() != count {
        return Err(malformed(format!(
            "`{name}` should hold {count} values from 0 to 255 but holds {}; make or copy the file again",
            values.len()
        )));
    }
    Ok((shape, values))
}

/// Bytes of a record in memory, including its name.
const RECORD: u64 = 192;

/// Appends the values that fit into a byte, up to the first that does not.
fn narrow<T: npyz::Deserialize + TryInto<u8>>(
    file: NpyFile<impl Read>,
    values: &mut Vec<u8>,
) -> io::Result<()> {
    for value in file.data::<T>().map_err(io::Error::other)? {
        match value?.try_into() {
            Ok(value) => values.push(value),
            Err(_) => break,
        }
    }
    Ok(())
}

/// Bytes of the longest header that is read, and the deepest nesting in it; legitimate ones have about a hundred bytes and two
/// levels.
const LONGEST_HEADER: usize = 4096;
const DEEPEST_HEADER: usize = 8;

/// An array's file after checking its header: the parser of headers allocates the claimed length, recurses as deep as the
/// nesting, and quotes the whole header, on several lines, in its errors.
fn checked_header(mut file: impl Read) -> io::Result<impl Read> {
    let refused = |reason: &str| Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    let mut start = vec![0; 10];
    file.read_exact(&mut start)?;
    let mut length = usize::from(u16::from_le_bytes([start[8], start[9]]));
    if start[6] != 1 {
        let mut rest = [0; 2];
        file.read_exact(&mut rest)?;
        start.extend(rest);
        length += usize::from(u16::from_le_bytes(rest)) << 16;
    }
    if length > LONGEST_HEADER {
        return refused("its header is too long");
    }
    let header = start.len();
    start.resize(header + length, 0);
    file.read_exact(&mut start[header..])?;
    let mut depth = 0usize;
    for byte in &start[header..] {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST_HEADER {
            return refused("its header is nested too deeply");
        }
    }
    Ok(io::BufReader::new(io::Cursor::new(start).chain(file)))
}
