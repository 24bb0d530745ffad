//! The idx files of MNIST (LeCun 1998) and of the sets in its form (Fashion-MNIST, KMNIST, EMNIST), compressed with gzip or not:
//! four bytes 0, 0, type and number of axes, the axes' extents as big-endian 32-bit numbers, then the values. Images are
//! (n, height, width) of 8 bits, their labels (n,).

mod pairs;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archaeo_store::memory::Budget;
use flate2::bufread::MultiGzDecoder;

pub(super) use self::pairs::{Pair, pair, pairs_in};
use super::DataError;
use super::image::check_size;
use super::open::Layout;
use super::split::{Encoding, Record};
use super::storage::{Held, Storage};
use super::text::small_text;

/// Bytes of a record in memory, including its name.
const RECORD: u64 = 192;

/// Reads the labels of all pairs, and the images of compressed files, which then stay in memory.
pub(super) fn read(pairs: &[Pair]) -> Result<Layout, DataError> {
    let mut splits: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    let (mut notes, mut budgets) = (Vec::new(), Vec::new());
    let names = pairs.first().map_or(Ok(None), mapping)?;
    for pair in pairs {
        let images = Images::read(&pair.images)?;
        let labels = labels(&pair.labels)?;
        if labels.len() != images.count {
            return Err(DataError::malformed(
                &pair.images,
                format!(
                    "it has {} images, but {} has {} labels; copy both again",
                    images.count,
                    file_name(&pair.labels),
                    labels.len()
                ),
            ));
        }
        let mut budget = Budget::of_file(images.length);
        budget.take(images.count as u64, RECORD).map_err(|refused| {
            DataError::malformed(&pair.images, format!("for its {} images {refused}", images.count))
        })?;
        budgets.push(budget);
        let file = file_name(&pair.images);
        let records = splits.entry(pair.split.to_string()).or_default();
        for (i, label) in labels.into_iter().enumerate() {
            let class = match &names {
                Some(names) => names.iter().position(|(number, _)| *number == label).ok_or_else(|| {
                    DataError::malformed(
                        &pair.labels,
                        format!("image {i} has the label {label}, which the mapping lacks"),
                    )
                })?,
                None => usize::from(label),
            };
            records.push(Record {
                identifier: format!("{file}#{i}"),
                label: class,
                storage: images.storage(i),
                encoding: Encoding::Interleaved { width: images.width, height: images.height, channels: 1 },
                mask: None,
            });
        }
        if pair.set.contains("emnist") && notes.is_empty() {
            notes.push(
                "EMNIST's files hold every image with rows and columns exchanged; they are taken as they are"
                    .into(),
            );
        }
    }
    let last = splits.values().flatten().map(|record| record.label).max().unwrap_or(0);
    let classes = match names {
        Some(names) => names.into_iter().map(|(_, name)| name).collect(),
        None => (0..=last).map(|class| class.to_string()).collect(),
    };
    Ok(Layout { classes, splits, notes, complete: false })
}

/// EMNIST's `emnist-letters-mapping.txt`: on each line a label and the characters (by code) that it stands for.
fn mapping(pair: &Pair) -> Result<Option<Vec<(u8, String)>>, DataError> {
    let path = pair.images.with_file_name(format!("{}mapping.txt", pair.set));
    if pair.set.is_empty() || !path.is_file() {
        return Ok(None);
    }
    let text = small_text(&path)?;
    let line = |line: &str| {
        let mut numbers = line.split_whitespace();
        let label = numbers.next()?.parse().ok()?;
        let letters = numbers.map(|code| char::from_u32(code.parse().ok()?));
        Some((label, letters.collect::<Option<String>>().filter(|name| !name.is_empty())?))
    };
    let names = text.lines().filter(|text| !text.trim().is_empty()).map(line).collect::<Option<Vec<_>>>();
    names.map(Some).ok_or_else(|| {
        DataError::malformed(&path, "a line of it is not a label and codes of characters; copy it again")
    })
}

/// The images of a file.
struct Images {
    /// Bytes of the file.
    length: u64,
    count: usize,
    height: usize,
    width: usize,
    pixels: Pixels,
}

enum Pixels {
    /// In the file, from this byte on.
    InFile(Arc<Path>, u64),
    InMemory(Arc<Held>),
}

impl Images {
    fn read(path: &Path) -> Result<Self, DataError> {
        let mut file = Idx::open(path)?;
        let [count, height, width] = *file.extents.as_slice() else {
            return Err(file.malformed(format!("its shape is {:?}; images have three axes", file.extents)));
        };
        if height == 0 || width == 0 {
            return Err(file.malformed(format!("its images have {width} × {height} pixels")));
        }
        let expected = file.expected();
        let pixels = match file.stored {
            Some(stored) if stored == expected => Pixels::InFile(path.into(), file.header),
            Some(stored) => return Err(file.wrong_length(&stored.to_string())),
            None => {
                let mut budget = Budget::of_file(file.length);
                let bytes = file.values(&mut budget)?;
                Pixels::InMemory(Arc::new(Held::new(bytes, budget)))
            }
        };
        check_size(width, height).map_err(|reason| file.malformed(format!("of its images: {reason}")))?;
        Ok(Images {
            length: file.length,
            count: count as usize,
            height: height as usize,
            width: width as usize,
            pixels,
        })
    }

    fn storage(&self, i: usize) -> Storage {
        let length = self.height * self.width;
        match &self.pixels {
            Pixels::InFile(file, header) => Storage::Range {
                file: file.clone(),
                offset: header + (i * length) as u64,
                length: length as u64,
            },
            Pixels::InMemory(bytes) => Storage::Shared { bytes: bytes.clone(), offset: i * length, length },
        }
    }
}

fn labels(path: &Path) -> Result<Vec<u8>, DataError> {
    let mut file = Idx::open(path)?;
    if file.extents.len() != 1 {
        return Err(file.malformed(format!("its shape is {:?}; labels have one axis", file.extents)));
    }
    file.values(&mut Budget::of_file(file.length))
}

/// A file whose header has been read.
struct Idx {
    path: PathBuf,
    reader: Box<dyn Read>,
    extents: Vec<u32>,
    /// Bytes of the file.
    length: u64,
    /// Bytes of the header.
    header: u64,
    /// Bytes after the header, if the file is not compressed.
    stored: Option<u64>,
}

impl Idx {
    fn open(path: &Path) -> Result<Self, DataError> {
        let file = archaeo_store::open(path).map_err(|error| DataError::read(path, error))?;
        let length = file.metadata().map_err(|error| DataError::read(path, error))?.len();
        let mut start = [0; 2];
        let compressed = (&file).read_exact(&mut start).is_ok() && start == [0x1F, 0x8B];
        let file = archaeo_store::open(path).map_err(|error| DataError::read(path, error))?;
        let reader = BufReader::new(file);
        let reader: Box<dyn Read> =
            if compressed { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
        let mut idx =
            Idx { path: path.to_path_buf(), reader, extents: Vec::new(), length, header: 0, stored: None };
        let unreadable =
            |idx: &Idx, error: io::Error| idx.malformed(format!("its header cannot be read ({error})"));
        let mut magic = [0; 4];
        idx.reader.read_exact(&mut magic).map_err(|error| unreadable(&idx, error))?;
        let [0, 0, 8, axes @ 1..=4] = magic else {
            return Err(idx.malformed("it does not begin as an idx file of 8-bit values".to_string()));
        };
        for _ in 0..axes {
            let mut extent = [0; 4];
            idx.reader.read_exact(&mut extent).map_err(|error| unreadable(&idx, error))?;
            idx.extents.push(u32::from_be_bytes(extent));
        }
        idx.header = 4 + 4 * u64::from(axes);
        idx.stored = (!compressed).then(|| length.saturating_sub(idx.header));
        Ok(idx)
    }

    /// Number of values that the header claims.
    fn expected(&self) -> u64 {
        self.extents.iter().fold(1, |product: u64, &extent| product.saturating_mul(extent.into()))
    }

    /// All values, and memory for one record each, from the budget.
    fn values(&mut self, budget: &mut Budget) -> Result<Vec<u8>, DataError> {
        let expected = self.expected();
        if let Some(stored) = self.stored.filter(|stored| *stored != expected) {
            return Err(self.wrong_length(&stored.to_string()));
        }
        budget.take(expected, 1).map_err(|refused| DataError::malformed(&self.path, refused.to_string()))?;
        let mut values = Vec::with_capacity(expected as usize);
        // One byte more than expected, to detect surplus data.
        let read = (&mut self.reader).take(expected.saturating_add(1)).read_to_end(&mut values);
        read.map_err(|error| self.malformed(format!("it is damaged or cut short ({error})")))?;
        match values.len() as u64 {
            found if found == expected => Ok(values),
            found if found > expected => Err(self.wrong_length("more")),
            found => Err(self.wrong_length(&found.to_string())),
        }
    }

    fn wrong_length(&self, found: &str) -> DataError {
        self.malformed(format!(
            "it should hold {:?} = {} values but holds {found}",
            self.extents,
            self.expected()
        ))
    }

    fn malformed(&self, reason: String) -> DataError {
        DataError::malformed(&self.path, format!("{reason}; copy it again, or give a file of MNIST's form"))
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
