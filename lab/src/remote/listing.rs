//! What there is at an address: the objects that are meant, with their sizes and versions.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::address::{Address, Place, Selection};
use super::failure::Failure;
use super::runtime;

/// Objects below a prefix that are looked through for shards.
const MOST: usize = 1_000_000;

/// Requests for single objects that are made at once.
const AT_ONCE: usize = 8;

/// Endings of shards, as far as they are looked for below a prefix.
const ENDINGS: [&str; 2] = [".tar", ".parquet"];

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Object {
    /// Its key in the store, as the address has it.
    pub key: String,
    /// Its address, for messages and as its identity in the cache.
    pub address: String,
    /// Bytes.
    pub size: u64,
    /// As the store gives it.
    pub etag: Option<String>,
    /// When it was written, as the store says it; with the size, the version where there is no ETag.
    pub modified: String,
}

impl Object {
    fn new(address: &Address, key: &str, meta: &ObjectMeta) -> Self {
        Self {
            key: key.to_owned(),
            address: address.of(key),
            size: meta.size,
            etag: meta.e_tag.clone(),
            modified: meta.last_modified.to_rfc3339(),
        }
    }

    /// What changes when the object is replaced.
    pub fn version(&self) -> String {
        self.etag.clone().unwrap_or_else(|| format!("{} {}", self.modified, self.size))
    }

    /// Whether an answer is about this version.
    pub fn is(&self, meta: &ObjectMeta) -> bool {
        self.size == meta.size
            && match (&self.etag, &meta.e_tag) {
                (Some(ours), Some(theirs)) => ours == theirs,
                _ => self.modified == meta.last_modified.to_rfc3339(),
            }
    }

    pub fn file_name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or(&self.key)
    }

    /// Where it is in its store.
    pub fn location(&self) -> Result<Path, Failure> {
        location(&self.address, &self.key)
    }
}

/// A key as `object_store` knows it. What is escaped in the address of a web server it escapes again.
fn location(address: &str, key: &str) -> Result<Path, Failure> {
    let path = match address.starts_with("http") {
        true => Path::from_url_path(key),
        false => Path::parse(key),
    };
    path.map_err(|error| Failure::Contents(format!("has a name that cannot be asked for: {error}")))
}

/// The objects that an address means, in its order; those below a prefix in that of their keys.
pub(super) fn list(
    address: &Address,
    open: &(dyn Fn() -> Result<Box<dyn ObjectStore>, Failure> + Sync),
) -> Result<Vec<Object>, Failure> {
    match &address.selection {
        Selection::Prefix(prefix) => below(address, prefix, &*open()?, &runtime()?),
        Selection::Key(key) => {
            let (store, runtime) = (open()?, runtime()?);
            match one(address, key, &*store, &runtime) {
                Ok(object) => Ok(vec![object]),
                Err(Failure::NotFound(object)) => {
                    let found = below(address, &format!("{key}/"), &*store, &runtime);
                    match found {
                        // Neither is there.
                        Err(Failure::NotFound(_)) => Err(Failure::NotFound(object)),
                        found => found,
                    }
                }
                Err(failure) => Err(failure),
            }
        }
        Selection::Keys(keys) if matches!(address.place, Place::Web { .. }) || keys.len() == 1 => {
            each(address, keys, open)
        }
        Selection::Keys(keys) => {
            let folders: Vec<&str> = keys.iter().map(|key| folder(key)).collect();
            if folders.iter().any(|folder| *folder != folders[0]) {
                return each(address, keys, open);
            }
            let there: BTreeMap<String, ObjectMeta> = listed(address, folders[0], &*open()?, &runtime()?)?
                .into_iter()
                .map(|meta| (meta.location.to_string(), meta))
                .collect();
            let object = |key: &String| {
                let meta = there.get(key).ok_or_else(|| Failure::NotFound(address.of(key)))?;
                Ok(Object::new(address, key, meta))
            };
            keys.iter().map(object).collect()
        }
    }
}

fn folder(key: &str) -> &str {
    key.rfind('/').map_or("", |end| &key[..end])
}

/// One object.
fn one(address: &Address, key: &str, store: &dyn ObjectStore, runtime: &Runtime) -> Result<Object, Failure> {
    let name = address.of(key);
    let location = location(&name, key)?;
    let meta = match runtime.block_on(store.head(&location)) {
        // A signed address answers to the request that it was signed for, which is to read.
        Err(object_store::Error::PermissionDenied { .. } | object_store::Error::Generic { .. })
            if matches!(address.place, Place::Web { .. }) =>
        {
            let first = GetOptions { range: Some((0..1).into()), ..GetOptions::default() };
            runtime.block_on(store.get_opts(&location, first)).map(|answer| answer.meta)
        }
        answer => answer,
    };
    meta.map(|meta| Object::new(address, key, &meta)).map_err(|error| Failure::of(error, &name))
}

/// Asks for each object by itself, several at once.
fn each(
    address: &Address,
    keys: &[String],
    open: &(dyn Fn() -> Result<Box<dyn ObjectStore>, Failure> + Sync),
) -> Result<Vec<Object>, Failure> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || -> Result<(), Failure> {
        let (store, runtime) = (open()?, runtime()?);
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(key) = keys.get(i) else { return Ok(()) };
            let object = one(address, key, &*store, &runtime);
            let failed = object.is_err();
            found.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(i, object);
            if failed {
                // The others stop where they are.
                next.store(keys.len(), Ordering::Relaxed);
            }
        }
    };
    let ended: Vec<Result<(), Failure>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE.min(keys.len())).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    });
    ended.into_iter().collect::<Result<Vec<()>, _>>()?;
    found.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).into_values().collect()
}

/// Everything below a folder of a bucket, sorted.
fn listed(
    address: &Address,
    folder: &str,
    store: &dyn ObjectStore,
    runtime: &Runtime,
) -> Result<Vec<ObjectMeta>, Failure> {
    let name = address.of(folder);
    let prefix = (!folder.is_empty()).then(|| location(&name, folder.trim_end_matches('/'))).transpose()?;
    let mut stream = store.list(prefix.as_ref());
    let mut found = Vec::new();
    runtime.block_on(async {
        while let Some(meta) = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await {
            found.push(meta.map_err(|error| Failure::of(error, &name))?);
            if found.len() > MOST {
                let reason = format!("holds more than {MOST} objects; name the shards by a pattern");
                return Err(Failure::Contents(reason));
            }
        }
        Ok(())
    })?;
    found.sort_by(|a, b| a.location.as_ref().cmp(b.location.as_ref()));
    Ok(found)
}

/// The shards below a prefix.
fn below(
    address: &Address,
    prefix: &str,
    store: &dyn ObjectStore,
    runtime: &Runtime,
) -> Result<Vec<Object>, Failure> {
    let listed = listed(address, prefix, store, runtime)?;
    if listed.is_empty() {
        return Err(Failure::NotFound(address.of(prefix)));
    }
    let ending = |meta: &ObjectMeta| {
        let name = meta.location.as_ref().to_lowercase();
        ENDINGS.into_iter().find(|ending| name.ends_with(ending))
    };
    let shards: Vec<(&ObjectMeta, &str)> =
        listed.iter().filter_map(|meta| Some((meta, ending(meta)?))).collect();
    let kinds = ENDINGS.map(|ending| shards.iter().filter(|(_, other)| *other == ending).count());
    match (shards.len(), kinds) {
        (0, _) => Err(Failure::Contents(format!(
            "has none of its {} objects in shards; pack the images into tar archives as docs/data.md says, or name one file",
            listed.len()
        ))),
        (all, kinds) if kinds.contains(&all) => {
            Ok(shards.iter().map(|(meta, _)| Object::new(address, meta.location.as_ref(), meta)).collect())
        }
        (_, [tars, tables]) => Err(Failure::Contents(format!(
            "holds {tars} tar archives and {tables} parquet files; name the ones that are meant by a pattern"
        ))),
    }
}
