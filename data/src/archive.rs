//! The members of tar and zip archives.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use archaeo_store::memory::{Budget, TooMuch};
use archaeo_store::{Allowance, Metered, NotAFile};

use super::DataError;
use super::listing::{Builder, Listing, Node};
use super::places::Origin;
use super::storage::{Archive, Held, MAX_FILE, Reopened, Storage, ZipPool};

/// Longest link target; no system accepts longer paths.
const LONGEST_TARGET: u64 = 4096;

/// Most bytes read of a tar member before its contents: its header, a long name or link target, and extended headers.
const LONGEST_HEADER: u64 = 1 << 20;

/// Bytes in memory per member besides its name, which exists several times while names are parsed.
const NODE: u64 = 256;

impl Listing {
    pub(super) fn of_tar(path: &Path) -> Result<Self, DataError> {
        let broken = |error: std::io::Error| {
            DataError::malformed(
                path,
                format!("the tar archive is damaged or truncated ({error}); make or copy it again"),
            )
        };
        let file = archaeo_store::open(path).map_err(|error| DataError::read(path, error))?;
        let length = file.metadata().map_err(|error| DataError::read(path, error))?.len();
        // A tar archive consists of blocks; truncation between two members shows nowhere else.
        if length % 512 != 0 {
            return Err(broken(std::io::Error::other("its size is not a multiple of 512 bytes")));
        }
        let shared: Arc<Path> = path.into();
        let allowance = Allowance::of(LONGEST_HEADER);
        let mut archive = tar::Archive::new(Metered::new(file, allowance.clone(), "the name of a member"));
        let mut builder = Builder::default();
        let mut budget = Budget::of_file(length);
        let large = |refused: TooMuch| {
            DataError::malformed(path, format!("the names of its members are many: {refused}"))
        };
        let mut entries = archive.entries_with_seek().map_err(broken)?;
        loop {
            allowance.set(LONGEST_HEADER);
            let Some(entry) = entries.next() else { break };
            let mut entry = entry.map_err(broken)?;
            let name = entry.path_bytes().into_owned();
            budget.take(NODE + 4 * name.len() as u64, 1).map_err(large)?;
            let kind = entry.header().entry_type();
            let node = if kind.is_dir() {
                Node::Folder
            } else if kind.is_hard_link() || kind.is_symlink() {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                Node::Link { target, hard: kind.is_hard_link() }
            } else if kind.is_gnu_sparse() {
                // Its holes are not stored, so it is assembled here.
                let size = entry.size();
                if size > MAX_FILE {
                    Node::Unusable("larger than any image")
                } else {
                    let mut budget = Budget::of_file(length);
                    budget.take(size, 1).map_err(|refused| {
                        let name = String::from_utf8_lossy(&name);
                        DataError::malformed(path, format!("its member {name} has holes: {refused}"))
                    })?;
                    allowance.set(size);
                    let mut bytes = Vec::with_capacity(size as usize);
                    entry.by_ref().take(size).read_to_end(&mut bytes).map_err(broken)?;
                    let length = bytes.len();
                    let bytes = Arc::new(Held::new(bytes, budget));
                    Node::File(Storage::Shared { bytes, offset: 0, length })
                }
            } else if kind.is_file() || kind.is_contiguous() {
                let (offset, size) = (entry.raw_file_position(), entry.size());
                if offset.checked_add(size).is_none_or(|end| end > length) {
                    let name = String::from_utf8_lossy(&name);
                    return Err(broken(std::io::Error::other(format!("it ends within {name}"))));
                }
                if is_pax_sparse(&mut entry) {
                    Node::Unusable("stored with holes, in a way that is not read")
                } else {
                    Node::File(Storage::Range { file: shared.clone(), offset, length: size })
                }
            } else if kind.is_fifo() {
                Node::Unusable(NotAFile::Pipe.kind())
            } else if kind.is_character_special() || kind.is_block_special() {
                Node::Unusable(NotAFile::Device.kind())
            } else {
                continue;
            };
            builder.add(name, node);
        }
        Ok(builder.finish(Origin::Tar))
    }

    pub(super) fn of_zip(path: &Path) -> Result<Self, DataError> {
        let broken = |error: zip::result::ZipError| damaged_zip(path, &error);
        let (archive, budget) = open_zip(path)?;
        let mut members = Vec::with_capacity(archive.len());
        for i in 0..archive.len() {
            let entry = archive.by_index_data(i).map_err(broken)?;
            members.push((entry.name_raw().to_vec(), entry.is_symlink()));
        }
        // The library keeps only the last of them, as unpacking would.
        let repeats = archive.has_duplicate_names();
        let pool = Arc::new(ZipPool::new(path, archive, budget));
        let mut builder = Builder::default();
        for (i, (name, is_link)) in members.into_iter().enumerate() {
            let node = match is_link {
                true => match pool.read(i, LONGEST_TARGET) {
                    Ok(target) => Node::Link { target, hard: false },
                    Err(_) => Node::Unusable("a link that cannot be read"),
                },
                // A name that ends with a separator denotes a folder.
                false => Node::File(Storage::Zip { archive: pool.clone(), entry: i }),
            };
            builder.add(name, node);
        }
        let mut listing = builder.finish(Origin::Zip);
        if repeats {
            listing.notes.push("some names are there more than once; the last of each counts".into());
        }
        Ok(listing)
    }
}

/// Whether a member's content is a map of data and holes followed by the data, as its extended header says.
fn is_pax_sparse<R: Read>(entry: &mut tar::Entry<'_, R>) -> bool {
    let extensions = entry.pax_extensions().ok().flatten();
    extensions
        .into_iter()
        .flatten()
        .flatten()
        .any(|extension| extension.key_bytes().starts_with(b"GNU.sparse."))
}

/// Reads a zip archive's table of contents; also returns the budget of the file, from which its memory was taken.
pub(super) fn open_zip(path: &Path) -> Result<(Archive, Budget), DataError> {
    let unreadable = |error| DataError::read(path, error);
    let mut file = archaeo_store::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut budget = Budget::of_file(length);
    let contents = archaeo_store::zip_contents(&mut file, length)
        .map_err(|error| DataError::malformed(path, error.to_string()))?;
    budget.take(contents, 1).map_err(|refused| {
        DataError::malformed(path, format!("its table of contents is large: {refused}"))
    })?;
    let reader = Reopened::open(path).map_err(unreadable)?;
    let archive = zip::ZipArchive::new(reader).map_err(|error| damaged_zip(path, &error))?;
    Ok((archive, budget))
}

fn damaged_zip(path: &Path, error: &zip::result::ZipError) -> DataError {
    DataError::malformed(
        path,
        format!("the zip archive is damaged or truncated ({error}); make or copy it again"),
    )
}
