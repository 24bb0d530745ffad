//! Detecting the kind of a source from its contents.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::compressed::Compression;
use super::images::Images;
use super::listing::{Listing, is_litter, is_run_folder};
use super::lists::compressed;
use super::names::{Part, split_name};
use super::open::{Labels, Layout, OpenOptions};
use super::pattern::expand;
use super::storage::Storage;
use super::{DataError, cifar, cifar_pickles, folders, idx, image, medmnist, parquet, webdataset};

/// Reads the source at a path, or several files that a pattern names.
pub(super) fn recognise(source: &str, options: &OpenOptions) -> Result<Layout, DataError> {
    let path = Path::new(source);
    if source.contains('{') && !path.exists() {
        let files: Vec<PathBuf> = expand(source)?.into_iter().map(PathBuf::from).collect();
        return of_files(source, &files, options);
    }
    let metadata = archaeo_store::look(path).map_err(|error| DataError::read(path, error))?;
    if metadata.is_dir() {
        let folder = only_folder_within(path)?;
        if let Some(batches) = cifar::batches_in(&folder)? {
            return cifar::read(&batches);
        }
        if let Some(batches) = cifar_pickles::batches_in(&folder)? {
            return cifar_pickles::read(&batches);
        }
        let pairs = idx::pairs_in(&folder)?;
        if !pairs.is_empty() {
            return idx::read(&pairs);
        }
        let shards = parquet_files_in(&folder)?;
        if !shards.is_empty() {
            return parquet::read(&shards);
        }
        let listing = Listing::of_folder(&folder)?;
        let shards = tars_among(&listing);
        if !shards.is_empty() && Images::of(&listing).files.is_empty() {
            return of_files(source, &shards, options);
        }
        let mut layout = folders::read(source, &listing, options)?;
        whole_split(path, &mut layout);
        return Ok(layout);
    }
    of_file(source, path, options)
}

/// Reads several files: the shards of a data set, or its only file.
pub(super) fn of_files(source: &str, files: &[PathBuf], options: &OpenOptions) -> Result<Layout, DataError> {
    if let [file] = files {
        archaeo_store::look(file).map_err(|error| DataError::read(file, error))?;
        return of_file(source, file, options);
    }
    let (mut tars, mut tables) = (0, 0);
    for file in files {
        match look(file)? {
            Look::Tar => tars += 1,
            Look::Parquet => tables += 1,
            Look::Compressed(compression) => {
                let reason = compression.reason(file);
                return Err(DataError::Unrecognised { origin: source.to_string(), reason });
            }
            _ => {}
        }
    }
    match files.len() {
        0 => Err(DataError::Empty { origin: source.to_string(), split: None }),
        all if all == tars => {
            webdataset::read(source, files, files.iter().map(|file| Listing::of_tar(file)), options)
        }
        all if all == tables => parquet::read(files),
        all => Err(DataError::Unrecognised {
            origin: source.to_string(),
            reason: format!(
                "of its {all} files, {tars} are tar archives and {tables} parquet files, where all must be shards of one kind"
            ),
        }),
    }
}

/// Reads a data set that is one file.
fn of_file(source: &str, path: &Path, options: &OpenOptions) -> Result<Layout, DataError> {
    let unrecognised =
        |reason: &str| DataError::Unrecognised { origin: source.to_string(), reason: reason.to_string() };
    match look(path)? {
        Look::Zip if medmnist::is_npz(path)? => medmnist::read(path),
        Look::Zip => folders::read(source, &Listing::of_zip(path)?, options),
        Look::Tar => {
            let listing = Listing::of_tar(path)?;
            match webdataset::has_layout(&listing) {
                true => webdataset::read(source, &[path.to_path_buf()], [Ok(listing)], options),
                false => folders::read(source, &listing, options),
            }
        }
        Look::Parquet => parquet::read(&[path.to_path_buf()]),
        Look::Compressed(_) | Look::Unknown if let Some(pair) = idx::pair(path) => idx::read(&[pair?]),
        Look::Compressed(compression) => Err(unrecognised(&compression.reason(path))),
        Look::Image if options.labels == Labels::Optional => Ok(single_image(path)),
        Look::Image => Err(DataError::Unlabelled {
            origin: source.to_string(),
            reason: "it is a single image".to_string(),
        }),
        Look::Pickle => cifar_pickles::read(&[path.to_path_buf()]),
        Look::Unknown if path.extension().is_some_and(|extension| extension == "bin") => {
            cifar::read(&[path.to_path_buf()])
        }
        Look::Unknown if path.metadata().is_ok_and(|metadata| metadata.len() == 0) => {
            Err(unrecognised("it is an empty file"))
        }
        Look::Unknown => Err(unrecognised("its first bytes belong to none of the known formats")),
    }
}

/// The tar archives of a folder, sorted.
fn tars_among(listing: &Listing) -> Vec<PathBuf> {
    let file = |(path, storage): &(String, Storage)| match storage {
        Storage::File(file) if path.to_lowercase().ends_with(".tar") => Some(file.clone()),
        _ => None,
    };
    listing.files.iter().filter_map(file).collect()
}

/// All parquet files below `folder`, sorted.
fn parquet_files_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut shards = Vec::new();
    for entry in walkdir::WalkDir::new(folder).max_depth(3).sort_by_file_name() {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_path_buf();
            DataError::read(path, error.into())
        })?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|end| end == "parquet") {
            shards.push(entry.into_path());
        }
    }
    Ok(shards)
}

fn single_image(path: &Path) -> Layout {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let record = compressed(&name, 0, &Storage::File(path.to_path_buf()));
    Layout {
        classes: Vec::new(),
        splits: BTreeMap::from([("all".to_string(), vec![record])]),
        notes: Vec::new(),
        complete: false,
    }
}

/// A folder of class folders named `val` or `test`, next to one named `train`, is that whole split.
fn whole_split(path: &Path, layout: &mut Layout) {
    // `.` has a name as well.
    let Ok(path) = std::path::absolute(path).and_then(|path| path.canonicalize().or(Ok(path))) else {
        return;
    };
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let Some(split @ ("val" | "test")) = name(&path).as_deref().and_then(split_name) else { return };
    let siblings =
        path.parent().and_then(|parent| std::fs::read_dir(parent).ok()).into_iter().flatten().flatten();
    let mut names = siblings.filter(|entry| entry.path().is_dir()).filter_map(|entry| name(&entry.path()));
    let is_train = |name: String| Part::of_name(&name).is_some_and(|(part, _)| part == Part::Train);
    if layout.classes.is_empty() || !layout.splits.keys().eq(["all"]) || !names.any(is_train) {
        return;
    }
    if let Some(all) = layout.splits.remove("all") {
        layout.splits.insert(split.to_string(), all);
        layout.notes.push(format!("it is a folder next to one to train on, so all of it is `{split}`"));
    }
}

/// Descends into folders that contain only one folder, as unpacked archives often do, unless it is named like a split.
fn only_folder_within(path: &Path) -> Result<PathBuf, DataError> {
    let mut path = path.to_path_buf();
    loop {
        let mut inner = None;
        for entry in std::fs::read_dir(&path).map_err(|error| DataError::read(&path, error))? {
            let entry = entry.map_err(|error| DataError::read(&path, error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_litter(&name) || is_run_folder(&entry.path()) {
                continue;
            }
            if inner.is_some() || !entry.path().is_dir() || split_name(&name).is_some() {
                return Ok(path);
            }
            inner = Some(entry.path());
        }
        match inner {
            Some(inner) if folders_in(&inner) => path = inner,
            _ => return Ok(path),
        }
    }
}

fn folders_in(path: &Path) -> bool {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    // A lone class folder holds images; a lone data set holds folders or batches.
    entries.into_iter().any(|entry| {
        entry.path().is_dir() || entry.path().extension().is_some_and(|end| end == "bin" || end == "parquet")
    })
}

enum Look {
    Zip,
    Tar,
    Compressed(Compression),
    Parquet,
    Pickle,
    Image,
    Unknown,
}

fn look(path: &Path) -> Result<Look, DataError> {
    let mut start = Vec::new();
    let file = archaeo_store::open(path).map_err(|error| DataError::read(path, error))?;
    file.take(512).read_to_end(&mut start).map_err(|error| DataError::read(path, error))?;
    let named_tar = path.extension().is_some_and(|extension| extension == "tar");
    Ok(if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        Look::Zip
    } else if start.starts_with(b"PAR1") {
        Look::Parquet
    } else if let Some(compression) = Compression::of(&start) {
        Look::Compressed(compression)
    } else if start.get(257..262) == Some(b"ustar") || named_tar {
        Look::Tar
    } else if image::looks_like_image(&start) {
        Look::Image
    } else if cifar_pickles::is_pickle(&start) {
        Look::Pickle
    } else {
        Look::Unknown
    })
}
