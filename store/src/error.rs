//! Why a file cannot be written, read or locked: one sentence each, with its remedy.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A file that cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// An I/O error.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(action, source))]
    Io {
        /// The attempted action.
        action: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A folder where a file is to be written.
    #[error("{} is a folder; name a file in it to write to", .0.display())]
    Folder(PathBuf),
    /// A link where a file is to be written: neither the link nor its target is replaced.
    #[error("{} is a link; name the file itself, or one that does not exist yet, to write to", .0.display())]
    Link(PathBuf),
    /// A pipe, a device or a socket where a file is to be written.
    #[error("{} is {kind}, not a file; name a file to write to", path.display())]
    Special {
        /// The path.
        path: PathBuf,
        /// Kind of file, with its article.
        kind: &'static str,
    },
}

impl StoreError {
    /// The error of a failed `action` on `path`, for `map_err`.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

fn remedy(action: &str, error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound if action == "write" => "; create its folder first",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space and run the same command again"
        }
        io::ErrorKind::PermissionDenied if action == "read" => "; change its permissions",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; name a place that can be written to, or change its permissions"
        }
        _ => "",
    }
}
