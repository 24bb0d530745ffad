//! The copies on disk, in `CACHE/data/`:
//!
//! - `objects/OBJECT/VERSION/FOLDER/NAME`, a version of an object under its own name and that of its folder, from which splits are told, by
//!   hashes of its address and of its ETag, or else its time; `NAME.incomplete`, what there is of one so far, and `NAME.lock` for the
//!   process that is fetching it;
//! - `sources/SOURCE.json`, the objects that a source was last time, for commands without a network.
//!
//! All of it may be deleted at any time.

use std::path::{Path, PathBuf};

use archaeo_store::{read, sha256};

use super::address::Address;
use super::failure::Failure;
use super::listing::Object;
use crate::incomplete::{check_space, length, make_folder_of};

/// Digits of hashes in names.
const DIGITS: usize = 24;

/// Characters of a name on disk; file systems take 255 bytes.
const LONGEST: usize = 120;

pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.join("data") }
    }

    /// Where a version of an object is, or is to be.
    pub fn path(&self, object: &Object) -> PathBuf {
        let folder = self.folder.join("objects").join(short(&object.address)).join(short(&object.version()));
        let mut parts = object.key.rsplit('/').map(plain);
        let name = parts.next().unwrap_or_default();
        match parts.next().filter(|folder| !folder.is_empty()) {
            Some(within) => folder.join(within).join(name),
            None => folder.join(name),
        }
    }

    /// Whether a version of an object is there. What has its name is complete.
    pub fn has(&self, object: &Object) -> bool {
        let path = self.path(object);
        path.is_file() && length(&path) == object.size
    }

    /// Refuses what there is no room for, before anything of it is fetched.
    pub fn check_space(&self, missing: &[&Object]) -> Result<(), Failure> {
        let incomplete = |object: &&Object| length(&incomplete(&self.path(object)));
        let needed: u64 = missing.iter().map(|object| object.size.saturating_sub(incomplete(object))).sum();
        let place = self.folder.join("objects");
        std::fs::create_dir_all(&place).map_err(|error| Failure::of_disk(&error))?;
        let name = match missing {
            [one] => one.file_name().to_owned(),
            several => format!("{} shards", several.len()),
        };
        check_space(&name, needed, &place.join("any")).map_err(Failure::Disk)
    }

    /// Keeps what a source is now.
    pub fn keep(&self, address: &Address, objects: &[Object]) -> Result<(), Failure> {
        let path = self.record(address);
        make_folder_of(&path)?;
        let text = serde_json::to_vec_pretty(objects).map_err(|error| Failure::Disk(error.to_string()))?;
        Ok(archaeo_store::write(&path, &text)?)
    }

    /// What a source was last time, if all of it is there.
    pub fn known(&self, address: &Address) -> Option<Vec<Object>> {
        let objects: Vec<Object> = serde_json::from_slice(&read(&self.record(address)).ok()?).ok()?;
        objects.iter().all(|object| self.has(object)).then_some(objects)
    }

    fn record(&self, address: &Address) -> PathBuf {
        self.folder.join("sources").join(format!("{}.json", short(&address.name)))
    }
}

/// What there is of a file so far.
pub(super) fn incomplete(path: &Path) -> PathBuf {
    path.with_added_extension("incomplete")
}

fn short(text: &str) -> String {
    sha256(text.as_bytes())[..DIGITS].to_owned()
}

/// A part of a key as the name of a file on any system; of a long one its end, which says the kind of file.
fn plain(part: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '=' | '+' | ' ');
    let plain: String = part.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let surplus = plain.chars().count().saturating_sub(LONGEST);
    let shorter: String = plain.chars().skip(surplus).collect();
    // Hidden names are passed over, and `..` leads out of the folder.
    match shorter.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => shorter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(address: &str, etag: Option<&str>) -> Object {
        let key = address.split_once("://").unwrap().1.split_once('/').unwrap().1.to_owned();
        let (address, etag) = (address.to_owned(), etag.map(str::to_owned));
        Object { key, address, size: 3, etag, modified: "2026-01-01T00:00:00+00:00".into() }
    }

    #[test]
    fn versions_and_objects_of_one_name_have_their_own_places() {
        let cache = Cache::new(Path::new("/cache"));
        let path = |address: &str, etag| cache.path(&object(address, etag));
        let one = path("s3://b/train/0.tar", Some("\"1\""));
        assert!(one.starts_with("/cache/data/objects") && one.ends_with("train/0.tar"), "{}", one.display());
        assert_eq!(one, path("s3://b/train/0.tar", Some("\"1\"")));
        for other in [
            path("s3://b/train/0.tar", Some("\"2\"")),
            path("s3://b/train/0.tar", None),
            path("s3://c/train/0.tar", Some("\"1\"")),
            path("gs://b/train/0.tar", Some("\"1\"")),
        ] {
            assert_ne!(one, other);
        }
        assert!(path("s3://b/0.tar", None).ends_with("0.tar"));
    }

    #[test]
    fn no_key_leads_out_of_the_cache() {
        let cache = Cache::new(Path::new("/cache"));
        for (key, name) in
            [("../..", "_./_."), ("a/.hidden", "a/_hidden"), ("x\\..\\y", "x_.._y"), ("c:con", "c_con")]
        {
            let path = cache.path(&object(&format!("s3://b/{key}"), None));
            assert!(path.ends_with(name), "{}", path.display());
        }
        let long = cache.path(&object(&format!("s3://b/{}.tar", "x".repeat(500)), None));
        assert!(long.file_name().unwrap().len() <= LONGEST && long.extension().unwrap() == "tar");
    }

    #[test]
    fn what_a_source_was_is_known_as_long_as_all_of_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let address = Address::parse("s3://b/x-{0..1}.tar").unwrap();
        let objects = ["s3://b/x-0.tar", "s3://b/x-1.tar"].map(|address| object(address, Some("\"1\"")));
        assert_eq!(cache.known(&address), None);
        cache.keep(&address, &objects).unwrap();
        assert_eq!(cache.known(&address), None);
        for object in &objects {
            make_folder_of(&cache.path(object)).unwrap();
            std::fs::write(cache.path(object), b"abc").unwrap();
        }
        assert_eq!(cache.known(&address).as_deref(), Some(objects.as_slice()));
        std::fs::write(cache.path(&objects[1]), b"ab").unwrap();
        assert_eq!(cache.known(&address), None, "a file of another size is not that object");
    }
}
