//! The files of a folder, a tar or a zip archive, as one list that looks the same for all three.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use super::DataError;
use super::storage::{Storage, ZipPool};

/// Paths with `/` between their parts, without the folder that everything lies in.
pub(super) struct Listing {
    /// Files with their storage: sorted by path for a folder, in the archive's own order for an archive.
    pub(super) files: Vec<(String, Storage)>,
    /// Every folder, also the empty ones.
    pub(super) folders: BTreeSet<String>,
}

impl Listing {
    pub(super) fn of_folder(root: &Path) -> Result<Self, DataError> {
        let mut builder = Builder::default();
        for entry in walkdir::WalkDir::new(root).follow_links(true).min_depth(1).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(root).to_path_buf();
                DataError::read(path, error.into())
            })?;
            let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
            if entry.file_type().is_dir() {
                builder.folder(relative);
            } else {
                builder.file(relative, Storage::File(entry.path().to_path_buf()));
            }
        }
        Ok(builder.finish())
    }

    pub(super) fn of_tar(path: &Path) -> Result<Self, DataError> {
        let broken = |error: std::io::Error| {
            DataError::malformed(
                path,
                format!("the tar archive is damaged or truncated ({error}); make or copy it again"),
            )
        };
        let file = File::open(path).map_err(|error| DataError::read(path, error))?;
        let length = file.metadata().map_err(|error| DataError::read(path, error))?.len();
        // A tar archive consists of blocks; a cut between two members shows nowhere else.
        if length % 512 != 0 {
            return Err(broken(std::io::Error::other("its size is not a multiple of 512 bytes")));
        }
        let shared: Arc<Path> = path.into();
        let mut archive = tar::Archive::new(file);
        let mut builder = Builder::default();
        for entry in archive.entries_with_seek().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let name = entry.path().map_err(broken)?.into_owned();
            let kind = entry.header().entry_type();
            if kind.is_dir() {
                builder.folder(&name);
            } else if kind.is_file() {
                let (offset, size) = (entry.raw_file_position(), entry.size());
                if offset.checked_add(size).is_none_or(|end| end > length) {
                    return Err(broken(std::io::Error::other(format!("it ends within {}", name.display()))));
                }
                builder.file(&name, Storage::Range { file: shared.clone(), offset, length: size });
            }
        }
        Ok(builder.finish())
    }

    pub(super) fn of_zip(path: &Path) -> Result<Self, DataError> {
        let broken = |error: zip::result::ZipError| damaged_zip(path, &error);
        let mut archive = open_zip(path)?;
        let mut members = Vec::with_capacity(archive.len());
        for i in 0..archive.len() {
            let entry = archive.by_index_raw(i).map_err(broken)?;
            members.push((entry.name().map_err(broken)?.replace('\\', "/"), entry.is_dir()));
        }
        let pool = Arc::new(ZipPool::new(path, archive));
        let mut builder = Builder::default();
        for (i, (name, is_folder)) in members.into_iter().enumerate() {
            if is_folder {
                builder.folder(Path::new(&name));
            } else {
                builder.file(Path::new(&name), Storage::Zip { archive: pool.clone(), entry: i });
            }
        }
        Ok(builder.finish())
    }

    /// The text file at `path`, if it is listed.
    pub(super) fn text(&self, path: &str) -> Option<Result<String, DataError>> {
        let (_, storage) = self.files.iter().find(|(name, _)| name == path)?;
        let bytes = storage.read().map_err(|reason| DataError::malformed(path, reason));
        Some(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Reads a zip archive's table of contents.
pub(super) fn open_zip(path: &Path) -> Result<zip::ZipArchive<BufReader<File>>, DataError> {
    let file = File::open(path).map_err(|error| DataError::read(path, error))?;
    zip::ZipArchive::new(BufReader::new(file)).map_err(|error| damaged_zip(path, &error))
}

fn damaged_zip(path: &Path, error: &zip::result::ZipError) -> DataError {
    DataError::malformed(
        path,
        format!("the zip archive is damaged or truncated ({error}); make or copy it again"),
    )
}

#[derive(Default)]
struct Builder {
    files: Vec<(String, Storage)>,
    /// Place of each path in `files`: a later member of an archive replaces an earlier one of its name.
    places: BTreeMap<String, usize>,
    folders: BTreeSet<String>,
}

impl Builder {
    fn folder(&mut self, path: &Path) {
        if let Some(name) = visible(path) {
            self.folders.insert(name);
        }
    }

    fn file(&mut self, path: &Path, storage: Storage) {
        let Some(name) = visible(path) else { return };
        if let Some(&place) = self.places.get(&name) {
            self.files[place].1 = storage;
        } else {
            self.places.insert(name.clone(), self.files.len());
            self.files.push((name, storage));
        }
    }

    /// Drops the leading folders that everything has in common, as long as folders remain below.
    fn finish(self) -> Listing {
        let Builder { mut files, mut folders, .. } = self;
        for (name, _) in &files {
            let mut parent = name.as_str();
            while let Some((shorter, _)) = parent.rsplit_once('/') {
                folders.insert(shorter.to_string());
                parent = shorter;
            }
        }
        while let Some((root, _)) = files.first().and_then(|(name, _)| name.split_once('/')) {
            let prefix = format!("{root}/");
            let all_below = files.iter().all(|(name, _)| name.starts_with(&prefix))
                && folders.iter().all(|name| *name == root || name.starts_with(&prefix));
            let folders_below = folders.iter().any(|name| name.starts_with(&prefix));
            if !(all_below && folders_below) {
                break;
            }
            files.iter_mut().for_each(|(name, _)| *name = name[prefix.len()..].to_string());
            folders =
                folders.iter().filter_map(|name| name.strip_prefix(&prefix).map(str::to_string)).collect();
        }
        Listing { files, folders }
    }
}

/// The path as text, or nothing for hidden files and the droppings of other systems.
fn visible(path: &Path) -> Option<String> {
    let parts: Vec<_> = path
        .components()
        .filter(|part| !matches!(part, std::path::Component::CurDir))
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    let hidden = |part: &String| part.starts_with('.') || part == "__MACOSX";
    (!parts.is_empty() && !parts.iter().any(hidden)).then(|| parts.join("/"))
}
