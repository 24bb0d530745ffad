//! Location of the bytes of an image.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use archaeo_store::memory::Budget;
use zip::ZipArchive;
use zip::result::ZipError;

use super::parquet;

/// Largest stored image: no photograph is larger, but a hostile archive may be.
pub(super) const MAX_FILE: u64 = 256 << 20;

/// One stored item. Kept small, because a data set is a list of these.
#[derive(Debug, Clone)]
pub(super) enum Storage {
    /// A whole file.
    File(PathBuf),
    /// Part of a file: a member of a tar archive, a record of a batch.
    Range { file: Arc<Path>, offset: u64, length: u64 },
    /// A member of a zip archive.
    Zip { archive: Arc<ZipPool>, entry: usize },
    /// A value of a parquet column, with the memory budget that all of them share.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "nothing else is made of it"))]
    Memory { bytes: parquet::Bytes, _budget: Arc<Budget> },
    /// Part of an array in memory.
    Shared { bytes: Arc<Held>, offset: usize, length: usize },
    /// A row without an image, with the reason.
    #[cfg_attr(
        not(feature = "parquet"),
        expect(dead_code, reason = "only Parquet has rows without an image")
    )]
    Missing(&'static str),
}

/// Bytes that stay in memory, and the budget they take.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    _budget: Budget,
}

impl Held {
    pub(super) fn new(bytes: Vec<u8>, budget: Budget) -> Self {
        Held { bytes, _budget: budget }
    }
}

impl Storage {
    /// Number of bytes that [`Storage::read`] returns at most, or what is wrong as the end of a sentence.
    pub(super) fn length(&self) -> Result<u64, String> {
        match self {
            Storage::File(path) => {
                let metadata = std::fs::metadata(path);
                metadata.map(|metadata| metadata.len().min(MAX_FILE)).map_err(unreadable)
            }
            Storage::Range { length, .. } => Ok((*length).min(MAX_FILE)),
            Storage::Zip { archive, entry } => archive.length(*entry).map(|length| length.min(MAX_FILE)),
            Storage::Memory { .. } | Storage::Shared { .. } | Storage::Missing(_) => Ok(0),
        }
    }

    /// The bytes, or what is wrong with them as the end of a sentence.
    pub(super) fn read(&self) -> Result<Cow<'_, [u8]>, String> {
        match self {
            Storage::File(path) => {
                let file = archaeo_store::open(path).map_err(unreadable)?;
                let length = file.metadata().map_err(unreadable)?.len();
                read_at_most(file, MAX_FILE, length).map_err(unreadable).map(Cow::Owned)
            }
            Storage::Range { file, offset, length } => {
                if *length > MAX_FILE {
                    return Err(too_large());
                }
                let mut file = archaeo_store::open(file).map_err(unreadable)?;
                file.seek(SeekFrom::Start(*offset)).map_err(unreadable)?;
                let mut bytes = vec![0; *length as usize];
                file.read_exact(&mut bytes).map_err(unreadable)?;
                Ok(Cow::Owned(bytes))
            }
            Storage::Zip { archive, entry } => archive.read(*entry, MAX_FILE).map(Cow::Owned),
            Storage::Memory { bytes, .. } => Ok(Cow::Borrowed(bytes.data())),
            Storage::Shared { bytes, offset, length } => {
                Ok(Cow::Borrowed(&bytes.bytes[*offset..*offset + *length]))
            }
            Storage::Missing(reason) => Err((*reason).to_string()),
        }
    }

    /// The first bytes, at most `count`; empty if they cannot be read.
    pub(super) fn head(&self, count: usize) -> Vec<u8> {
        let start = |reader: &mut dyn Read| {
            let mut bytes = Vec::new();
            // Errors are reported when the whole is read.
            _ = reader.take(count as u64).read_to_end(&mut bytes);
            bytes
        };
        match self {
            Storage::File(path) => {
                archaeo_store::open(path).map(|mut file| start(&mut file)).unwrap_or_default()
            }
            Storage::Range { file, offset, length } => archaeo_store::open(file)
                .and_then(|mut file| {
                    file.seek(SeekFrom::Start(*offset))?;
                    Ok(start(&mut file.take(*length)))
                })
                .unwrap_or_default(),
            Storage::Zip { archive, entry } => archive.head(*entry, count).unwrap_or_default(),
            Storage::Memory { .. } | Storage::Shared { .. } | Storage::Missing(_) => {
                self.read().map(|bytes| bytes[..bytes.len().min(count)].to_vec()).unwrap_or_default()
            }
        }
    }
}

fn unreadable(error: std::io::Error) -> String {
    format!("it cannot be read ({error})")
}

/// Everything, if that is at most `limit`; usually `expected` bytes.
fn read_at_most(mut reader: impl Read, limit: u64, expected: u64) -> std::io::Result<Vec<u8>> {
    if expected > limit {
        return Err(std::io::Error::other(too_large()));
    }
    let mut bytes = Vec::with_capacity(expected as usize);
    (&mut reader).take(limit).read_to_end(&mut bytes)?;
    // The check for surplus data must not grow the vector to twice its size.
    if bytes.len() as u64 == limit && reader.read(&mut [0])? > 0 {
        return Err(std::io::Error::other(too_large()));
    }
    Ok(bytes)
}

fn too_large() -> String {
    format!("it is larger than {} MiB", MAX_FILE >> 20)
}

/// An archive as a thread reads it.
pub(super) type Archive = ZipArchive<Reopened>;

/// A zip archive opened once per concurrent reader, with a shared table of contents.
pub(super) struct ZipPool {
    path: PathBuf,
    idle: Mutex<Vec<Archive>>,
    first: Archive,
    /// What the table of contents takes.
    _budget: Budget,
}

impl std::fmt::Debug for ZipPool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ZipPool({})", self.path.display())
    }
}

impl ZipPool {
    pub(super) fn new(path: &Path, archive: Archive, budget: Budget) -> Self {
        ZipPool { path: path.to_path_buf(), idle: Mutex::default(), first: archive, _budget: budget }
    }

    /// A whole member, if it is at most `limit` bytes long.
    pub(super) fn read(&self, entry: usize, limit: u64) -> Result<Vec<u8>, String> {
        self.archive(|archive| {
            let mut file = archive.by_index(entry)?;
            // The reader fails if there is more data than the member claims.
            let claimed = file.size();
            Ok(read_at_most(&mut file, limit, claimed)?)
        })
    }

    /// Claimed size of a member; reading it fails if it is larger.
    fn length(&self, entry: usize) -> Result<u64, String> {
        self.archive(|archive| Ok(archive.by_index_raw(entry)?.size()))
    }

    /// The first bytes of a member.
    fn head(&self, entry: usize, count: usize) -> Result<Vec<u8>, String> {
        self.archive(|archive| {
            let mut bytes = Vec::new();
            archive.by_index(entry)?.take(count as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    }

    fn archive<T>(&self, with: impl FnOnce(&mut Archive) -> Result<T, ZipError>) -> Result<T, String> {
        let idle = || self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let waiting = idle().pop();
        let mut archive = waiting.unwrap_or_else(|| self.first.clone());
        let made =
            with(&mut archive).map_err(|error| format!("it cannot be read from the archive ({error})"));
        idle().push(archive);
        made
    }
}

/// A file whose clones are reopened on first use.
#[derive(Debug)]
pub(super) struct Reopened {
    path: Arc<Path>,
    reader: Option<BufReader<File>>,
}

impl Reopened {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let file = archaeo_store::open(path)?;
        Ok(Reopened { path: path.into(), reader: Some(BufReader::new(file)) })
    }

    fn reader(&mut self) -> std::io::Result<&mut BufReader<File>> {
        if self.reader.is_none() {
            self.reader = Some(BufReader::new(archaeo_store::open(&self.path)?));
        }
        Ok(self.reader.as_mut().expect("it was opened"))
    }
}

impl Clone for Reopened {
    fn clone(&self) -> Self {
        Reopened { path: self.path.clone(), reader: None }
    }
}

impl Read for Reopened {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reader()?.read(buffer)
    }
}

impl Seek for Reopened {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        self.reader()?.seek(position)
    }

    fn stream_position(&mut self) -> std::io::Result<u64> {
        self.reader()?.stream_position()
    }
}
