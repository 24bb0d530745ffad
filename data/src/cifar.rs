//! CIFAR-10 and CIFAR-100 in their binary layout (Krizhevsky 2009): records of one label byte (CIFAR-10) or
//! two, coarse and fine (CIFAR-100), then 3 × 32 × 32 planar pixels.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::DataError;
use super::open::Layout;
use super::split::{Encoding, Record};
use super::storage::Storage;
use super::text::small_text;

pub(super) const SIDE: usize = 32;
pub(super) const PIXELS: usize = 3 * SIDE * SIDE;
pub(super) const CIFAR10: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The batches in `folder`, sorted, if any.
pub(super) fn batches_in(folder: &Path) -> Result<Option<Vec<PathBuf>>, DataError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| DataError::read(folder, error))? {
        let path = entry.map_err(|error| DataError::read(folder, error))?.path();
        if batch(&path).is_some() {
            found.push(path);
        }
    }
    found.sort();
    Ok((!found.is_empty()).then_some(found))
}

/// Split and number of classes, by the file's name.
fn batch(path: &Path) -> Option<(&'static str, usize)> {
    let name = path.file_name()?.to_str()?;
    match name {
        "test_batch.bin" => Some(("test", 10)),
        "train.bin" => Some(("train", 100)),
        "test.bin" => Some(("test", 100)),
        _ if name.starts_with("data_batch_") && name.ends_with(".bin") => Some(("train", 10)),
        _ => None,
    }
}

/// Reads the labels of `batches`; the pixels stay in their files.
pub(super) fn read(batches: &[PathBuf]) -> Result<Layout, DataError> {
    let mut splits: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    let mut count = None;
    for path in batches {
        let unreadable = |error| DataError::read(path, error);
        let file = archaeo_store::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let (split, classes) = match batch(path) {
            Some(known) => known,
            // A lone file with another name is identified by its size, unless that is a multiple of both record sizes.
            None => ("all", if length % (PIXELS as u64 + 1) == 0 { 10 } else { 100 }),
        };
        let header = if classes == 10 { 1 } else { 2 };
        let size = header + PIXELS;
        if length == 0 || length % size as u64 != 0 {
            return Err(DataError::malformed(
                path,
                format!(
                    "{} bytes are not a whole number of CIFAR-{classes} records of {} bytes; the file is truncated \
                     or something else, so copy it again",
                    length, size
                ),
            ));
        }
        if *count.get_or_insert(classes) != classes {
            return Err(DataError::malformed(
                path,
                "CIFAR-10 and CIFAR-100 batches lie in one folder; separate them",
            ));
        }
        let mut reader = BufReader::new(file);
        let file: Arc<Path> = path.as_path().into();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let records = splits.entry(split.to_string()).or_default();
        // Record by record: only the labels stay in memory.
        let mut record = vec![0; size];
        for i in 0..length / size as u64 {
            reader.read_exact(&mut record).map_err(unreadable)?;
            let label = usize::from(record[header - 1]);
            let identifier = format!("{name}#{i}");
            if label >= classes {
                let origin = path.display().to_string();
                return Err(DataError::LabelOutOfRange { origin, identifier, label: label as i64, classes });
            }
            let offset = i * size as u64 + header as u64;
            records.push(Record {
                identifier,
                label,
                storage: Storage::Range { file: file.clone(), offset, length: PIXELS as u64 },
                encoding: Encoding::Planar { width: SIDE, height: SIDE },
                mask: None,
            });
        }
    }
    let folder = batches.first().and_then(|path| path.parent()).unwrap_or(Path::new("."));
    let classes = class_names(folder, count.unwrap_or(10));
    Ok(Layout { classes, splits, notes: Vec::new(), complete: false })
}

fn class_names(folder: &Path, count: usize) -> Vec<String> {
    let list = if count == 10 { "batches.meta.txt" } else { "fine_label_names.txt" };
    let text = small_text(&folder.join(list)).unwrap_or_default();
    let names: Vec<String> = text.split_whitespace().map(str::to_string).collect();
    match (names.len() == count, count) {
        (true, _) => names,
        (false, 10) => CIFAR10.map(str::to_string).to_vec(),
        (false, _) => (0..count).map(|class| class.to_string()).collect(),
    }
}
