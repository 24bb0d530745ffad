//! CIFAR-10 and CIFAR-100 as Python's pickles (Krizhevsky 2009), the version that torchvision and Keras use: dictionaries of
//! `data`, an array (n, 3072) of planar pixels, and `labels` or `fine_labels`; `batches.meta` or `meta` names the classes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archaeo_pickle::PickledDictionary;
use archaeo_store::memory::Budget;
use archaeo_store::read_bytes;

use super::DataError;
use super::cifar::{CIFAR10, PIXELS, SIDE};
use super::open::Layout;
use super::split::{Encoding, Record};
use super::storage::{Held, Storage};

/// Largest size of a batch; CIFAR-100's training batch has 155 MB.
const MAX_BATCH: u64 = 512 << 20;

/// Most files and folders that are searched for batches: these data sets have a dozen, folders of images a million.
const MOST_ENTRIES: usize = 2000;

/// The batches in `folder`, or in the one folder below it that has some, sorted.
pub(super) fn batches_in(folder: &Path) -> Result<Option<Vec<PathBuf>>, DataError> {
    let mut found: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let entries = walkdir::WalkDir::new(folder).max_depth(3).sort_by_file_name().into_iter().flatten();
    for entry in entries.take(MOST_ENTRIES) {
        let path = entry.path();
        if entry.file_type().is_file() && split_of(path).is_some() && begins_as_pickle(path) {
            found.entry(path.parent().unwrap_or(folder).to_path_buf()).or_default().push(path.to_path_buf());
        }
    }
    match found.len() {
        0 => Ok(None),
        1 => Ok(found.into_values().next()),
        _ => {
            let folders: Vec<_> = found.keys().map(|path| format!("`{}`", path.display())).collect();
            Err(DataError::malformed(
                folder,
                format!(
                    "several folders in it hold CIFAR batches: {}; give one of them",
                    folders.join(" and ")
                ),
            ))
        }
    }
}

/// The split of a batch, by its file's name, which has no ending.
fn split_of(path: &Path) -> Option<&'static str> {
    match path.file_name()?.to_str()? {
        "train" => Some("train"),
        "test" | "test_batch" => Some("test"),
        name => name.strip_prefix("data_batch_").filter(|rest| !rest.contains('.')).map(|_| "train"),
    }
}

/// `PROTO` and a number, the first opcode of every protocol from 2.
pub(super) fn begins_as_pickle(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0; 2];
    let read = archaeo_store::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && is_pickle(&start)
}

/// Whether a file that starts with `start` may be a pickle.
pub(super) fn is_pickle(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, ..])
}

/// Reads the labels of `batches`; the pixels stay in their files if stored there verbatim.
pub(super) fn read(batches: &[PathBuf]) -> Result<Layout, DataError> {
    let mut splits: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    let mut notes = Vec::new();
    let mut fine = None;
    for path in batches {
        let batch = Batch::read(path)?;
        if *fine.get_or_insert(batch.fine) != batch.fine {
            return Err(DataError::malformed(
                path,
                "CIFAR-10 and CIFAR-100 batches lie in one folder; separate them",
            ));
        }
        splits.entry(split_of(path).unwrap_or("all").to_string()).or_default().extend(batch.records);
    }
    let fine = fine.unwrap_or(false);
    if fine {
        notes.push("the classes are CIFAR-100's fine labels; its 20 coarse ones are not used".to_string());
    }
    let last = splits.values().flatten().map(|record| record.label).max().unwrap_or(0);
    let folder = batches.first().and_then(|path| path.parent()).unwrap_or(Path::new("."));
    let classes = match class_names(folder, fine)? {
        Some(names) => names,
        None if !fine && last < 10 => CIFAR10.map(str::to_string).to_vec(),
        None => (0..(last + 1).max(if fine { 100 } else { 10 })).map(|class| class.to_string()).collect(),
    };
    Ok(Layout { classes, splits, notes, complete: false })
}

fn class_names(folder: &Path, fine: bool) -> Result<Option<Vec<String>>, DataError> {
    let (file, key) = if fine { ("meta", "fine_label_names") } else { ("batches.meta", "label_names") };
    let path = folder.join(file);
    if !path.is_file() {
        return Ok(None);
    }
    let (bytes, _budget) = whole(&path)?;
    let meta = PickledDictionary::read(&bytes).map_err(|reason| unreadable(&path, &reason))?;
    let names =
        meta.texts(key).ok_or_else(|| unreadable(&path, &format!("it has no list of texts `{key}`")))?;
    Ok(Some(names.into_iter().map(Cow::into_owned).collect()))
}

/// Contents of one file.
struct Batch {
    records: Vec<Record>,
    /// Whether the labels are the fine ones of CIFAR-100.
    fine: bool,
}

impl Batch {
    fn read(path: &Path) -> Result<Self, DataError> {
        let (file, mut budget) = whole(path)?;
        let batch = PickledDictionary::read(&file).map_err(|reason| unreadable(path, &reason))?;
        let wrong = |reason: String| unreadable(path, &reason);
        let fine = batch.keys().iter().any(|key| key == "fine_labels");
        let key = if fine { "fine_labels" } else { "labels" };
        let (Some(data), Some(labels)) = (batch.array("data"), batch.integers(key)) else {
            let keys: Vec<_> = batch.keys().iter().take(8).map(|key| format!("`{key}`")).collect();
            return Err(wrong(format!(
                "it needs an array `data` of 8-bit integers and a list `labels` or `fine_labels` of integers, and has {}",
                if keys.is_empty() { "nothing".to_string() } else { keys.join(", ") }
            )));
        };
        let images = labels.len();
        budget.take(images as u64, RECORD).map_err(|refused| wrong(refused.to_string()))?;
        let expected = images.checked_mul(PIXELS);
        let plain = matches!(data.shape.as_slice(), [n, 3072] | [n, 3, 32, 32] if *n == images);
        if data.dtype != "u1" || !plain || data.fortran || Some(data.bytes.len()) != expected {
            return Err(wrong(format!(
                "`data` is an array {:?} of `{}` with {} bytes; for {images} labels it must be ({images}, {PIXELS}) of `u1`, row by \
                 row",
                data.shape,
                data.dtype,
                data.bytes.len()
            )));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let shared: Arc<Path> = path.into();
        let stored: Box<dyn Fn(usize) -> Storage> = match data.bytes {
            // Pixels stored verbatim in the file: their position.
            Cow::Borrowed(bytes) => {
                let start = bytes.as_ptr().addr() - file.as_ptr().addr();
                Box::new(move |i| Storage::Range {
                    file: shared.clone(),
                    offset: (start + i * PIXELS) as u64,
                    length: PIXELS as u64,
                })
            }
            Cow::Owned(bytes) => {
                let bytes = Arc::new(Held::new(bytes, budget));
                Box::new(move |i| Storage::Shared {
                    bytes: bytes.clone(),
                    offset: i * PIXELS,
                    length: PIXELS,
                })
            }
        };
        let record = |(i, label): (usize, &i64)| {
            let label = usize::try_from(*label).ok().filter(|label| *label < MAX_CLASSES);
            Ok::<_, DataError>(Record {
                identifier: format!("{name}#{i}"),
                label: label.ok_or_else(|| wrong(format!("image {i} has the label {}", labels[i])))?,
                storage: stored(i),
                encoding: Encoding::Planar { width: SIDE, height: SIDE },
                mask: None,
            })
        };
        let records = labels.iter().enumerate().map(record).collect::<Result<_, _>>()?;
        Ok(Batch { records, fine })
    }
}

/// A label beyond this is an error, not a class.
const MAX_CLASSES: usize = 100_000;

/// Bytes of a record in memory, including its name.
const RECORD: u64 = 192;

/// The whole file, and the memory taken for it and for its unpacked contents.
fn whole(path: &Path) -> Result<(Vec<u8>, Budget), DataError> {
    let length = archaeo_store::look(path).map_err(|error| DataError::read(path, error))?.len();
    if length > MAX_BATCH {
        return Err(unreadable(path, &format!("it is larger than {} MiB", MAX_BATCH >> 20)));
    }
    let mut budget = Budget::of_file(length);
    budget.take(length, 2).map_err(|refused| unreadable(path, &refused.to_string()))?;
    let bytes = read_bytes(path, MAX_BATCH).map_err(|error| DataError::read(path, error))?;
    Ok((bytes, budget))
}

fn unreadable(path: &Path, reason: &str) -> DataError {
    DataError::malformed(
        path,
        format!("it cannot be read as a CIFAR batch of the Python version: {reason}; copy it again"),
    )
}

#[cfg(test)]
mod tests;
