//! The files of a folder, a tar or a zip archive, as one list with the same form for all three.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, hash_map};
use std::path::{Path, PathBuf};

use archaeo_store::NotAFile;

pub(super) use super::archive::open_zip;

use super::DataError;
use super::images::few;
use super::links::{CIRCLE, Entry, MOST_LINKS, NOWHERE, TOO_MANY_LINKS, resolve};
use super::names::split_name;
use super::places::{Origin, TOO_DEEP, is_too_deep, path_within};
use super::split::Skipped;
use super::storage::Storage;
use super::text::{self, decode_names};

/// Paths with `/` between their parts, without the common root folder.
#[derive(Clone)]
pub(super) struct Listing {
    /// Files with their storage, sorted by the parts of their paths, independent of the stored order.
    pub(super) files: Vec<(String, Storage)>,
    /// Every folder, also the empty ones.
    pub(super) folders: BTreeSet<String>,
    /// Names without content: broken links, unreadable folders.
    pub(super) left_out: Vec<Skipped>,
    /// Notes on how the names were read.
    pub(super) notes: Vec<String>,
}

impl Listing {
    /// Everything below `root`, also through links.
    ///
    /// # Errors
    /// A folder that cannot be read at all.
    pub(super) fn of_folder(root: &Path) -> Result<Self, DataError> {
        let mut builder = Builder::default();
        let walk = walkdir::WalkDir::new(root).follow_links(true).min_depth(1).sort_by_file_name();
        // Links to folders containing links to folders could multiply without bound, even without a cycle.
        let links: RefCell<HashMap<PathBuf, usize>> = RefCell::default();
        let many: RefCell<Vec<Vec<u8>>> = RefCell::default();
        let is_one_too_many = |entry: &walkdir::DirEntry| {
            if !(entry.path_is_symlink() && entry.file_type().is_dir()) {
                return false;
            }
            let Ok(real) = entry.path().canonicalize() else { return false };
            let mut links = links.borrow_mut();
            let count = links.entry(real).or_default();
            *count += 1;
            if *count > MOST_LINKS {
                many.borrow_mut().push(within(root, entry.path()));
            }
            *count > MOST_LINKS
        };
        // The root may have any name.
        let wanted = |entry: &walkdir::DirEntry| {
            entry.depth() == 0
                || !(is_litter(&entry.file_name().to_string_lossy())
                    || is_run_folder(entry.path())
                    || is_one_too_many(entry))
        };
        for entry in walk.into_iter().filter_entry(wanted) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.depth() == 0 => return Err(DataError::read(root, error.into())),
                Err(error) => {
                    let path = error.path().unwrap_or(root).to_path_buf();
                    builder.add(within(root, &path), Node::Unusable(why_unreadable(&error)));
                    continue;
                }
            };
            let node = if entry.file_type().is_dir() {
                Node::Folder
            } else if entry.file_type().is_file() {
                Node::File(Storage::File(entry.path().to_path_buf()))
            } else {
                Node::Unusable(NotAFile::of_type(entry.file_type()).kind())
            };
            builder.add(within(root, entry.path()), node);
        }
        many.take().into_iter().for_each(|name| builder.add(name, Node::Unusable(TOO_MANY_LINKS)));
        Ok(builder.finish(Origin::Folder))
    }

    /// The storage of the file at `path`.
    pub(super) fn file(&self, path: &str) -> Option<&Storage> {
        let found = self.files.binary_search_by(|(name, _)| name.split('/').cmp(path.split('/')));
        found.ok().map(|place| &self.files[place].1)
    }

    /// The text file at `path`, if it is listed.
    pub(super) fn text(&self, path: &str) -> Option<Result<String, DataError>> {
        let storage = self.file(path)?;
        let short = |length: u64| match length {
            0..=text::LONGEST_LIST => Ok(()),
            _ => Err(format!("it has {} MiB, more than any list of names", length >> 20)),
        };
        let text = storage.length().and_then(short).and_then(|()| text::read(storage)).map(|text| text.text);
        Some(text.map_err(|reason| DataError::malformed(path, reason)))
    }
}

/// Whether a folder is a run folder of this program: its pictures are not data, even if `--out` lies among the images.
pub(super) fn is_run_folder(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    has("lock") && ["config.toml", "data.json", "environment.json"].into_iter().any(has)
}

fn within(root: &Path, path: &Path) -> Vec<u8> {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<&[u8]> = relative.components().map(|part| part.as_os_str().as_encoded_bytes()).collect();
    parts.join(&b'/')
}

fn why_unreadable(error: &walkdir::Error) -> &'static str {
    let io = error.io_error().map(std::io::Error::kind);
    match (error.loop_ancestor(), io) {
        (Some(_), _) => CIRCLE,
        (None, Some(std::io::ErrorKind::NotFound)) => NOWHERE,
        (None, Some(std::io::ErrorKind::PermissionDenied)) => "permission to read it is missing",
        _ => "the system cannot read it",
    }
}

/// What a name refers to.
pub(super) enum Node {
    Folder,
    File(Storage),
    /// A link: in a tar archive, a hard link's target is relative to the archive's root, a symbolic one's to the link's folder.
    Link {
        target: Vec<u8>,
        hard: bool,
    },
    /// A skipped entry, with the reason.
    Unusable(&'static str),
}

/// Collects names as bytes, because their encoding is determined from all of them together.
#[derive(Default)]
pub(super) struct Builder {
    names: Vec<Vec<u8>>,
    nodes: Vec<Node>,
}

impl Builder {
    /// A later entry replaces an earlier one of its name, as unpacking would.
    pub(super) fn add(&mut self, name: Vec<u8>, node: Node) {
        self.names.push(name);
        self.nodes.push(node);
    }

    pub(super) fn finish(self, origin: Origin) -> Listing {
        let Builder { mut names, nodes } = self;
        let count = names.len();
        names.extend(nodes.iter().map(|node| match node {
            Node::Link { target, .. } => target.clone(),
            _ => Vec::new(),
        }));
        let (mut names, encoding) = decode_names(&names, origin == Origin::Zip);
        let targets = names.split_off(count);
        let mut notes: Vec<String> = encoding
            .map(|encoding| format!("names that are not in UTF-8 were read as {encoding}"))
            .into_iter()
            .collect();

        let (mut left_out, mut repeated) = (Vec::new(), Vec::new());
        let mut known: HashMap<String, Entry> = HashMap::with_capacity(count);
        for ((name, node), target) in names.into_iter().zip(nodes).zip(targets) {
            let path = match path_within(&name, origin) {
                Ok(path) => path,
                Err(reason) => {
                    left_out.push(Skipped { identifier: name, reason: reason.to_string() });
                    continue;
                }
            };
            if path.is_empty() || path.split('/').any(is_litter) {
                continue;
            }
            let entry = match node {
                Node::File(_) if name.ends_with('/') => Entry::Folder,
                Node::Folder => Entry::Folder,
                Node::File(storage) => Entry::File(storage),
                Node::Link { hard, .. } => Entry::Link { target, hard },
                Node::Unusable(reason) => Entry::Unusable(reason),
            };
            let is_folder = matches!(entry, Entry::Folder);
            match known.entry(path) {
                hash_map::Entry::Vacant(place) => _ = place.insert(entry),
                hash_map::Entry::Occupied(mut place) => {
                    if !(is_folder && matches!(place.get(), Entry::Folder)) {
                        repeated.push(place.key().clone());
                    }
                    place.insert(entry);
                }
            }
        }
        repeated.sort_unstable();
        repeated.dedup();
        match repeated.as_slice() {
            [] => {}
            [one] => notes.push(format!("{one} is there more than once; the last one counts")),
            several => notes.push(format!(
                "{} names are there more than once; the last of each counts: {}",
                several.len(),
                few(several)
            )),
        }
        let (linked, broken) = resolve(&known);
        left_out.extend(broken);

        let mut files = linked;
        let mut folders = BTreeSet::new();
        for (path, entry) in known {
            match entry {
                Entry::File(storage) => files.push((path, storage)),
                Entry::Folder => _ = folders.insert(path),
                Entry::Unusable(reason) => {
                    left_out.push(Skipped { identifier: path, reason: reason.to_string() });
                }
                Entry::Link { .. } => {}
            }
        }
        files.sort_unstable_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
        // A link to a folder may produce a name that already exists.
        files.dedup_by(|(a, _), (b, _)| a == b);

        let root = common_root(&files, &folders);
        if root > 0 {
            files.iter_mut().for_each(|(path, _)| *path = below(path, root).to_string());
            folders = folders
                .iter()
                .map(|path| below(path, root))
                .filter(|path| !path.is_empty())
                .map(str::to_string)
                .collect();
        }
        for (path, _) in files.extract_if(.., |(path, _)| is_too_deep(path)) {
            left_out.push(Skipped { identifier: path, reason: TOO_DEEP.to_string() });
        }
        folders.retain(|path| !is_too_deep(path));
        left_out.sort_unstable_by(|a, b| a.identifier.cmp(&b.identifier));
        for (path, _) in &files {
            let mut parent = path.as_str();
            while let Some((shorter, _)) = parent.rsplit_once('/') {
                // The parents of a known folder are known.
                if !folders.insert(shorter.to_string()) {
                    break;
                }
                parent = shorter;
            }
        }
        for path in folders.clone() {
            let mut parent = path.as_str();
            while let Some((shorter, _)) = parent.rsplit_once('/') {
                folders.insert(shorter.to_string());
                parent = shorter;
            }
        }
        Listing { files, folders, left_out, notes }
    }
}

/// Number of leading folders common to all paths, as long as folders remain below and none is named like a split.
fn common_root(files: &[(String, Storage)], folders: &BTreeSet<String>) -> usize {
    let Some((first, _)) = files.first() else { return 0 };
    let parts: Vec<&str> = first.split('/').collect();
    let mut common = parts.len() - 1;
    let shared = |path: &str| path.split('/').zip(&parts).take_while(|(a, b)| a == *b).count();
    let mut deepest = 0;
    for (path, _) in files {
        common = common.min(shared(path)).min(path.split('/').count() - 1);
        deepest = deepest.max(path.split('/').count() - 1);
    }
    for folder in folders {
        let depth = folder.split('/').count();
        let shared = shared(folder);
        // Files above the common folder do not affect it.
        if shared < depth {
            common = common.min(shared);
        }
        deepest = deepest.max(depth);
    }
    let common = if deepest > common { common } else { common.saturating_sub(1) };
    parts[..common].iter().position(|part| split_name(part).is_some()).unwrap_or(common)
}

/// The path without its first `count` parts.
fn below(path: &str, count: usize) -> &str {
    path.splitn(count + 1, '/').nth(count).unwrap_or_default()
}

/// Hidden files and folders, and leftovers of systems, drives and programs.
pub(super) fn is_litter(part: &str) -> bool {
    part.starts_with('.')
        || part.starts_with("@eaDir")
        || matches!(
            part.to_lowercase().as_str(),
            "__macosx"
                | "_ds_store"
                | "thumbs.db"
                | "ehthumbs.db"
                | "desktop.ini"
                | "lost+found"
                | "#recycle"
                | "#snapshot"
                | "@recycle"
                | "@recently-snapshot"
                | "@tmp"
                | "$recycle.bin"
                | "recycler"
                | "system volume information"
                | "network trash folder"
                | "temporary items"
                | "__pycache__"
        )
}
