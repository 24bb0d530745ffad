//! Where the bytes of an image lie until they are needed.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use parquet::data_type::ByteArray;
use zip::ZipArchive;

/// A stored image larger than this is refused: no photograph is, and a hostile archive may be.
pub(super) const MAX_FILE: u64 = 256 << 20;

/// One stored item. Small, whatever the item's size: a data set is a list of these.
#[derive(Debug, Clone)]
pub(super) enum Storage {
    /// A whole file.
    File(PathBuf),
    /// Part of a file: a member of a tar archive, a record of a batch.
    Range { file: Arc<Path>, offset: u64, length: u64 },
    /// A member of a zip archive.
    Zip { archive: Arc<ZipPool>, entry: usize },
    /// A value of a parquet column, a view into its decompressed page.
    Memory(ByteArray),
    /// Part of an array in memory.
    Shared { bytes: Arc<[u8]>, offset: usize, length: usize },
    /// Named by a list, absent from the source; why.
    Missing(&'static str),
}

impl Storage {
    /// The bytes, or what is wrong with them as the end of a sentence.
    pub(super) fn read(&self) -> Result<Cow<'_, [u8]>, String> {
        let unreadable = |error: std::io::Error| format!("it cannot be read ({error})");
        match self {
            Storage::File(path) => {
                let file = archaeo_store::open(path).map_err(unreadable)?;
                read_at_most(file, MAX_FILE).map_err(unreadable).map(Cow::Owned)
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
            Storage::Memory(bytes) => Ok(Cow::Borrowed(bytes.data())),
            Storage::Shared { bytes, offset, length } => {
                Ok(Cow::Borrowed(&bytes[*offset..*offset + *length]))
            }
            Storage::Missing(reason) => Err((*reason).to_string()),
        }
    }

    /// The first bytes, at most `count`; none where they cannot be read.
    pub(super) fn head(&self, count: usize) -> Vec<u8> {
        let start = |reader: &mut dyn Read| {
            let mut bytes = Vec::new();
            // What cannot be read is said when the whole is asked for.
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
            Storage::Memory(_) | Storage::Shared { .. } | Storage::Missing(_) => {
                self.read().map(|bytes| bytes[..bytes.len().min(count)].to_vec()).unwrap_or_default()
            }
        }
    }
}

fn read_at_most(reader: impl Read, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(std::io::Error::other(too_large()));
    }
    Ok(bytes)
}

fn too_large() -> String {
    format!("it is larger than {} MiB", MAX_FILE >> 20)
}

/// A zip archive open several times over, once for each thread that reads it at the same moment.
pub(super) struct ZipPool {
    path: PathBuf,
    idle: Mutex<Vec<ZipArchive<BufReader<File>>>>,
}

impl std::fmt::Debug for ZipPool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ZipPool({})", self.path.display())
    }
}

impl ZipPool {
    pub(super) fn new(path: &Path, archive: ZipArchive<BufReader<File>>) -> Self {
        ZipPool { path: path.to_path_buf(), idle: Mutex::new(vec![archive]) }
    }

    /// A whole member, if it is no longer than `limit`.
    pub(super) fn read(&self, entry: usize, limit: u64) -> Result<Vec<u8>, String> {
        self.with(entry, |file| read_at_most(file, limit))
    }

    /// The first bytes of a member.
    fn head(&self, entry: usize, count: usize) -> Result<Vec<u8>, String> {
        self.with(entry, |file| {
            let mut bytes = Vec::new();
            file.take(count as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    }

    fn with(
        &self,
        entry: usize,
        read: impl FnOnce(&mut dyn Read) -> std::io::Result<Vec<u8>>,
    ) -> Result<Vec<u8>, String> {
        let unreadable =
            |error: &dyn std::fmt::Display| format!("it cannot be read from the archive ({error})");
        let idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        let mut archive = match idle {
            Some(archive) => archive,
            None => {
                let file = archaeo_store::open(&self.path).map_err(|error| unreadable(&error))?;
                ZipArchive::new(BufReader::new(file)).map_err(|error| unreadable(&error))?
            }
        };
        let bytes = archive
            .by_index(entry)
            .map_err(|error| unreadable(&error))
            .and_then(|mut file| read(&mut file).map_err(|error| unreadable(&error)));
        // Also after a bad member: reading the table of contents anew takes as long as it has entries.
        self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(archive);
        bytes
    }
}
