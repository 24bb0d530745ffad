//! The only function that writes files.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::temporary::Temporary;
use crate::{StoreError, check_destination};

/// Writes a file atomically: it is complete or unchanged, even if the process is killed or the disk is full.
///
/// # Errors
/// An I/O error, with the path; a path that is not an ordinary file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    write_with(path, |file| file.write_all(bytes))
}

/// As [`write()`], of contents that are written piece by piece.
///
/// # Errors
/// As [`write()`].
pub fn write_with(
    path: &Path,
    contents: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), StoreError> {
    open_with(path, contents).map(drop)
}

/// As [`write_with`]; gives the file, open for reading and writing at its end.
pub(crate) fn open_with(
    path: &Path,
    contents: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<File, StoreError> {
    check_destination(path)?;
    let written = || {
        let (temporary, file) = Temporary::beside(path)?;
        let mut file = BufWriter::new(file);
        contents(&mut file)?;
        let file = file.into_inner()?;
        file.sync_all()?;
        temporary.persist(path)?;
        // It is not temporary any more, and readers may need their own lock.
        let _ = file.unlock();
        Ok(file)
    };
    written().map_err(StoreError::io("write", path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old").unwrap();
        let full = |file: &mut BufWriter<File>| {
            file.write_all(b"half of the new")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        let error = write_with(&path, full).unwrap_err().to_string();
        assert!(
            error.contains("file: ") && error.ends_with("; free some space and run the same command again"),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = write(&folder.path().join("none/file"), b"").unwrap_err().to_string();
        assert!(error.starts_with("cannot write") && error.contains("none/file"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed_and_names_of_old_temporaries_mean_nothing() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("victim"), "precious").unwrap();
        // What another could have laid out under the names of earlier versions.
        symlink("victim", path("file.tmp")).unwrap();
        symlink("victim", path(&format!("file.{}.tmp", std::process::id()))).unwrap();
        write(&path("file"), b"new").unwrap();
        symlink("victim", path("link")).unwrap();
        assert!(write(&path("link"), b"new").unwrap_err().to_string().contains("is a link"));
        assert!(path("link").symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read(path("victim")).unwrap(), b"precious");
        // Another name of the same file keeps what was in it.
        fs::hard_link(path("victim"), path("second")).unwrap();
        write(&path("second"), b"new").unwrap();
        assert_eq!(fs::read(path("victim")).unwrap(), b"precious");
    }

    #[cfg(unix)]
    #[test]
    fn files_have_the_permissions_of_any_other_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| folder.path().join(name).metadata().unwrap().permissions().mode();
        write(&folder.path().join("ours"), b"").unwrap();
        fs::write(folder.path().join("plain"), b"").unwrap();
        assert_eq!(mode("ours"), mode("plain"));
    }
}
