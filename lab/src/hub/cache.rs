//! The hub's cache on disk, which other programs share: `models--OWNER--NAME/` with
//!
//! - `blobs/CHECKSUM`, the files, and `blobs/CHECKSUM.incomplete`, what there is of one so far;
//! - `snapshots/COMMIT/NAME`, links to them;
//! - `refs/REVISION`, the commit that a branch or a tag was when it was asked for;
//!
//! and `.locks/models--OWNER--NAME/CHECKSUM.lock` for the process that is fetching it.

use std::fs;
use std::path::{Path, PathBuf};

use archaeo_store::{Lock, StoreError};

use super::failure::Failure;
use super::reference::Reference;
use crate::incomplete::{self, make_folder_of};

/// One repository in the cache.
pub(super) struct Repository {
    folder: PathBuf,
    locks: PathBuf,
}

/// Name of a repository's folder.
pub(super) fn folder_name(reference: &Reference) -> String {
    format!("models--{}", reference.repository.replace('/', "--"))
}

impl Repository {
    pub fn new(cache: &Path, reference: &Reference) -> Self {
        let name = folder_name(reference);
        Self { folder: cache.join(&name), locks: cache.join(".locks").join(name) }
    }

    /// The folder of what a revision is known to be.
    pub fn snapshot_of(&self, revision: &str) -> PathBuf {
        let commit = archaeo_store::read_to_string(&self.folder.join("refs").join(revision));
        self.snapshot(commit.as_deref().unwrap_or(revision).trim())
    }

    /// The folder of a commit.
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    pub fn blob(&self, checksum: &str) -> PathBuf {
        self.folder.join("blobs").join(checksum)
    }

    /// Keeps which commit a revision is.
    pub fn keep_reference(&self, revision: &str, commit: &str) -> Result<(), StoreError> {
        let path = self.folder.join("refs").join(revision);
        make_folder_of(&path)?;
        archaeo_store::write(&path, commit.as_bytes())
    }

    /// Lets a name in a commit stand for a blob, and gives the path of that name.
    pub fn link(&self, commit: &str, name: &str, checksum: &str) -> Result<PathBuf, StoreError> {
        let path = self.snapshot(commit).join(name);
        make_folder_of(&path)?;
        let blob = self.blob(checksum);
        if path.exists() && archaeo_store::same_file(&path, &blob) {
            return Ok(path);
        }
        // What was there leads nowhere, or to a file that this commit never had.
        let _ = fs::remove_file(&path);
        let target = Path::new("../../blobs").join(checksum);
        symbolic_link(&target, &path)
            .or_else(|_| fs::hard_link(&blob, &path))
            .or_else(|_| fs::copy(&blob, &path).map(drop))
            .map_err(StoreError::io("write", &path))?;
        Ok(path)
    }

    /// Takes the lock of a blob, waiting while another process fetches it.
    pub fn lock(&self, checksum: &str, incomplete: &Path) -> Result<Lock, Failure> {
        let path = self.locks.join(format!("{checksum}.lock"));
        incomplete::lock(&path, incomplete).map_err(Failure::Disk)
    }
}

#[cfg(unix)]
fn symbolic_link(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symbolic_link(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}
