//! Where results may be written: to an ordinary file that the question does not read itself.

use std::fs;
use std::path::{Path, PathBuf};

use archaeo_models::checkpoint;
use archaeo_store::{StoreError, same_file};

use crate::error::LabError;

/// Refuses a file that could not be written once the work is done, or that is one of those that are read.
///
/// # Errors
/// Something else than a file in the file's place, no folder to put it in, or one of `inputs`.
pub fn check_destination(file: &Path, inputs: &[&Path]) -> Result<(), LabError> {
    archaeo_store::check_destination(file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match folder.is_dir() {
        true => check_inputs(file, inputs),
        false => Err(LabError::NoFolder { file: file.to_owned(), folder: folder.to_owned() }),
    }
}

/// Refuses to write over what is read.
///
/// # Errors
/// A file that is one of `inputs`, one next to it that is read with it, or one that is read from a folder among them.
pub fn check_inputs(file: &Path, inputs: &[&Path]) -> Result<(), LabError> {
    match inputs.iter().find(|input| reads(input, file)) {
        None => Ok(()),
        Some(input) => Err(LabError::Overwrites { file: file.to_owned(), input: input.to_path_buf() }),
    }
}

/// Refuses a folder that is there, is not empty and does not hold this program's `record`, or a file in its place.
///
/// # Errors
/// What `refused` makes of the folder; one that cannot be read.
pub(crate) fn check_own_folder(
    path: &Path,
    record: &str,
    refused: impl Fn(PathBuf) -> LabError,
) -> Result<(), LabError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_dir() && !path.is_dir() => Err(refused(path.to_owned())),
        Ok(_) => {
            let mut entries = fs::read_dir(path).map_err(StoreError::io("read", path))?;
            match entries.next().is_some() && !path.join(record).is_file() {
                true => Err(refused(path.to_owned())),
                false => Ok(()),
            }
        }
        Err(_) => Ok(()),
    }
}

/// Whether a question about `input` reads `file`.
fn reads(input: &Path, file: &Path) -> bool {
    if same_file(input, file) {
        return true;
    }
    // Next to weights lie the configurations that describe them, and the parts of an index.
    let folder = if input.is_dir() { Some(input) } else { input.parent().filter(|_| input.is_file()) };
    let Some(folder) = folder else { return false };
    let in_folder = |name: &str| folder.join(name);
    let described = ["config.json", "preprocessor_config.json", "open_clip_config.json"].map(in_folder);
    let names: Vec<String> = match input.is_dir() {
        true => fs::read_dir(input)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect(),
        false => Vec::new(),
    };
    let chosen = match input.is_dir() {
        true => checkpoint::choose(names.iter().map(String::as_str)).ok().map(in_folder),
        false => Some(input.to_owned()),
    };
    let parts = chosen.and_then(|chosen| checkpoint::parts(&chosen).ok()).unwrap_or_default();
    if described.iter().filter(|file| file.exists()).chain(&parts).any(|read| same_file(read, file)) {
        return true;
    }
    // Of a folder of data, whatever is there may be read, but no arrays.
    let arrays = file.extension().is_some_and(|extension| extension == "safetensors");
    let inside = || Some(fs::canonicalize(file).ok()?.starts_with(fs::canonicalize(input).ok()?));
    input.is_dir() && !arrays && inside().unwrap_or(false)
}
