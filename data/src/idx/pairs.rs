//! Pairing files by their names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::DataError;

/// Most files and folders that are searched for such files.
const MOST_ENTRIES: usize = 2000;

/// A file of images with its file of labels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(super) images: PathBuf,
    pub(super) labels: PathBuf,
    pub(super) split: &'static str,
    /// Prefix of their names: `emnist-letters-`, usually empty.
    pub(super) set: String,
}

/// The pairs of files in `folder`, or in the one folder below it that has some, such as `MNIST/raw`.
pub(crate) fn pairs_in(folder: &Path) -> Result<Vec<Pair>, DataError> {
    let mut sets: BTreeMap<(PathBuf, String), BTreeMap<&str, Pair>> = BTreeMap::new();
    let mut alone = None;
    let entries = walkdir::WalkDir::new(folder).max_depth(3).sort_by_file_name().into_iter().flatten();
    for entry in entries.take(MOST_ENTRIES).filter(|entry| entry.file_type().is_file()) {
        let path = entry.path();
        match pair(path) {
            None => {}
            Some(Err(error)) => alone = alone.or(Some(error)),
            Some(Ok(pair)) => {
                let set = sets.entry((place(path).to_path_buf(), pair.set.clone())).or_default();
                // Of two copies, the uncompressed one.
                if has_ending(path, "gz") && set.contains_key(pair.split) {
                    continue;
                }
                set.insert(pair.split, pair);
            }
        }
    }
    if sets.len() > 1 {
        let several: Vec<_> =
            sets.keys().map(|(place, set)| format!("`{}`", place.join(set).display())).collect();
        return Err(DataError::malformed(
            folder,
            format!(
                "it holds {} sets of idx files: {}; give a folder with one of them alone",
                several.len(),
                several.join(" and ")
            ),
        ));
    }
    match (sets.into_values().next(), alone) {
        (Some(set), _) => Ok(set.into_values().collect()),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(Vec::new()),
    }
}

/// Folder of a file, or its parent if the file was unpacked into a folder of the same name.
fn place(path: &Path) -> &Path {
    let folder = path.parent().unwrap_or(Path::new(""));
    match (folder.file_name(), folder.parent()) {
        (Some(name), Some(above)) if Some(name) == path.file_name() => above,
        _ => folder,
    }
}

/// The pair that a file of images belongs to, if it is one by its name.
///
/// # Errors
/// Images without their labels.
pub(crate) fn pair(path: &Path) -> Option<Result<Pair, DataError>> {
    let name = path.file_name()?.to_str()?;
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let stem = [IMAGES, ".idx3-ubyte"].iter().find_map(|end| plain.strip_suffix(end))?;
    let start = stem.strip_suffix("images")?;
    const SPLITS: [(&str, &str); 6] = [
        ("train", "train"),
        ("t10k", "test"),
        ("test", "test"),
        ("validation", "val"),
        ("valid", "val"),
        ("val", "val"),
    ];
    let before = start.trim_end_matches(['-', '_', '.']);
    let named = SPLITS.iter().find_map(|(word, split)| Some((before.strip_suffix(word)?, *split)));
    let (set, split) = named.unwrap_or((before, "all"));
    let candidates = ["-", "."].iter().flat_map(|dot| {
        let name = format!("{start}labels{dot}idx1-ubyte");
        let (alone, compressed) = (place(path).join(&name), place(path).join(format!("{name}.gz")));
        [path.with_file_name(&name), alone.clone(), alone.join(&name), compressed]
    });
    let labels = candidates.into_iter().find(|labels| labels.is_file()).ok_or_else(|| {
        let wanted = format!("{start}labels{}", IMAGES.replace('3', "1"));
        DataError::malformed(
            path,
            format!("its labels are missing: put `{wanted}` (or `{wanted}.gz`) next to it"),
        )
    });
    Some(labels.map(|labels| Pair { images: path.to_path_buf(), labels, split, set: set.to_string() }))
}

/// Suffix of a file of images.
const IMAGES: &str = "-idx3-ubyte";

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|extension| extension == ending)
}
