//! Opening ordinary files for reading. Opening a pipe would block until another process writes to it, and a device has no end.

use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read};
use std::path::Path;

use thiserror::Error;

/// A path that is not a file; the end of a sentence about it, with the remedy.
///
/// Carried by the [`io::Error`] of [`open`] and related functions: see [`NotAFile::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAFile {
    /// A named pipe, or one that a shell made.
    #[error("it is a pipe, which is not read; save what comes through it to a file and give that")]
    Pipe,
    /// Standard input, under any name.
    #[error("standard input is not read; save it to a file and give that")]
    StandardInput,
    /// A socket.
    #[error("it is a socket, not a file; give a file")]
    Socket,
    /// A device, or any other kind of file.
    #[error("it is a device, not a file; copy what is to be read to a file and give that")]
    Device,
    /// A folder.
    #[error("it is a folder, not a file; give a file")]
    Folder,
}

impl NotAFile {
    /// The kind of path, if the error is about that.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }

    /// Description with its article.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Pipe | Self::StandardInput => "a pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
            Self::Folder => "a folder",
        }
    }

    /// The kind for a type that is not a file.
    pub fn of_type(found: FileType) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            if found.is_fifo() {
                return Self::Pipe;
            }
            if found.is_socket() {
                return Self::Socket;
            }
        }
        if found.is_dir() { Self::Folder } else { Self::Device }
    }
}

impl From<NotAFile> for io::Error {
    fn from(what: NotAFile) -> Self {
        io::Error::new(io::ErrorKind::InvalidInput, what)
    }
}

/// The type of `path`, following links: a file or a folder.
///
/// # Errors
/// I/O errors, and [`NotAFile`] for anything else.
pub fn look(path: &Path) -> io::Result<Metadata> {
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path == Path::new("-") => {
            return Err(NotAFile::StandardInput.into());
        }
        found => found?,
    };
    if found.is_file() || found.is_dir() {
        return Ok(found);
    }
    let is_standard_input = path == Path::new("/dev/stdin") || path == Path::new("/proc/self/fd/0");
    Err(if is_standard_input { NotAFile::StandardInput } else { NotAFile::of_type(found.file_type()) }.into())
}

/// Opens the file at `path`, following links, for reading.
///
/// # Errors
/// I/O errors, and [`NotAFile`], without blocking, for a pipe, a socket, a device or a folder.
pub fn open(path: &Path) -> io::Result<File> {
    // Checked first, because opening a device may have side effects.
    if look(path)?.is_dir() {
        return Err(NotAFile::Folder.into());
    }
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Without effect on a file; does not block on a pipe that replaced it meanwhile.
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits() as i32);
    }
    let file = options.open(path)?;
    let found = file.metadata()?.file_type();
    if found.is_file() { Ok(file) } else { Err(NotAFile::of_type(found).into()) }
}

/// The contents of a file, as [`std::fs::read`] of an ordinary one.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut contents = Vec::new();
    let length = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
    contents.try_reserve_exact(length)?;
    file.read_to_end(&mut contents)?;
    Ok(contents)
}

/// The contents of a text file, as [`std::fs::read_to_string`] of an ordinary one.
///
/// # Errors
/// As [`open`], and bytes that are not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    let mut contents = String::new();
    open(path)?.read_to_string(&mut contents)?;
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_also_through_links() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "text").unwrap();
        assert_eq!(
            (read(&path("file")).unwrap(), read_to_string(&path("file")).unwrap()),
            (b"text".into(), "text".into())
        );
        assert_eq!(read(&path("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(NotAFile::of(&open(folder.path()).unwrap_err()), Some(NotAFile::Folder));
        assert!(look(folder.path()).unwrap().is_dir());
        assert_eq!(NotAFile::of(&open(Path::new("-")).unwrap_err()), Some(NotAFile::StandardInput));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("file", path("link")).unwrap();
            assert_eq!(read(&path("link")).unwrap(), b"text");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_file_is_named_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // No process writes to it, so an ordinary open would never return.
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), mode).unwrap();
        std::os::unix::fs::symlink("pipe", path("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        for (name, expected) in [
            (path("pipe"), NotAFile::Pipe),
            (path("link"), NotAFile::Pipe),
            (path("socket"), NotAFile::Socket),
            ("/dev/null".into(), NotAFile::Device),
            ("/dev/zero".into(), NotAFile::Device),
        ] {
            for error in [open(&name).unwrap_err(), look(&name).unwrap_err(), read(&name).unwrap_err()] {
                assert_eq!(NotAFile::of(&error), Some(expected), "{}", name.display());
            }
        }
        let (reader, _writer) = io::pipe().unwrap();
        let descriptor = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        assert_eq!(NotAFile::of(&open(Path::new(&descriptor)).unwrap_err()), Some(NotAFile::Pipe));
        assert_eq!(
            open(&path("pipe")).unwrap_err().to_string(),
            "it is a pipe, which is not read; save what comes through it to a file and give that"
        );
    }
}
