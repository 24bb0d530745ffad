//! Checks that output does not overwrite anything but an ordinary file.

use std::fs;
use std::io;
use std::path::Path;

use crate::StoreError;

/// Refuses a path that is not an ordinary file: a folder, a link, a pipe, a device, a socket. A rename would replace it.
///
/// # Errors
/// One sentence that says what the path is.
pub fn check_destination(path: &Path) -> Result<(), StoreError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(StoreError::io("write", path)(source)),
    };
    if found.is_file() {
        Ok(())
    } else if found.is_dir() {
        Err(StoreError::Folder(path.to_owned()))
    } else if found.is_symlink() {
        Err(StoreError::Link(path.to_owned()))
    } else {
        Err(StoreError::Special { path: path.to_owned(), kind: kind(&found) })
    }
}

#[cfg(unix)]
fn kind(found: &fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match () {
        () if found.is_fifo() => "a pipe",
        () if found.is_socket() => "a socket",
        () => "a device",
    }
}

#[cfg(not(unix))]
fn kind(_: &fs::FileType) -> &'static str {
    "a device"
}

/// Whether two paths refer to the same file: by the same name, through links, or as two names of one file.
pub fn same_file(one: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| {
        // Of a file that does not exist, its folder may still be reached by two ways.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::canonicalize(path)
            .or_else(|_| Ok(fs::canonicalize(folder)?.join(path.file_name().unwrap_or_default())))
    };
    let by_name = |one: io::Result<_>, other: io::Result<_>| matches!((one, other), (Ok(one), Ok(other)) if one == other);
    by_name(canonical(one), canonical(other)) || same_inode(one, other)
}

#[cfg(unix)]
fn same_inode(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

#[cfg(not(unix))]
fn same_inode(_: &Path, _: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_ordinary_file_is_refused_by_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let said = |name: &str| check_destination(&path(name)).unwrap_err().to_string();
        fs::write(path("file"), "").unwrap();
        fs::create_dir(path("folder")).unwrap();
        assert!(check_destination(&path("file")).is_ok() && check_destination(&path("new")).is_ok());
        assert!(said("folder").ends_with("folder is a folder; name a file in it to write to"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
            std::os::unix::fs::symlink(path("nowhere"), path("dangling")).unwrap();
            let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
            assert!(said("link").contains("link is a link; name the file itself"));
            assert!(said("dangling").contains("dangling is a link"));
            assert!(said("socket").contains("socket is a socket, not a file"));
            let device = check_destination(Path::new("/dev/null")).unwrap_err().to_string();
            assert_eq!(device, "/dev/null is a device, not a file; name a file to write to");
        }
    }

    #[test]
    fn one_file_under_two_names_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), "").unwrap();
        fs::write(path("b"), "").unwrap();
        fs::hard_link(path("a"), path("second")).unwrap();
        fs::create_dir(path("inner")).unwrap();
        assert!(same_file(&path("a"), &path("inner/../a")) && same_file(&path("new"), &path("inner/../new")));
        assert!(!same_file(&path("a"), &path("b")) && !same_file(&path("new"), &path("inner/new")));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("a", path("link")).unwrap();
            assert!(same_file(&path("a"), &path("link")) && same_file(&path("second"), &path("a")));
        }
    }
}
