//! Data where clusters keep it: `s3://BUCKET/…`, `gs://BUCKET/…` and `https://HOST/…` become files in a cache, shard by shard.
//!
//! Every command asks what there is now (one listing of a bucket, or a request without a body per file of a web server) and fetches only
//! what the cache lacks. A file in the cache belongs to one version of an object, its ETag and size: an object that is replaced is another
//! file, and one that is replaced while it is read is an error. Without a network, what a source was last time is what it is.
//!
//! `address.rs` reads addresses; `stores.rs` opens buckets with the credentials of the environment; `connection.rs` lets `object_store` ask
//! through the client of HTTP that the hub uses; `listing.rs` asks what there is; `download.rs` fetches one object; `cache.rs` knows where
//! things lie.

mod address;
mod cache;
mod connection;
mod download;
mod error;
mod failure;
mod listing;
mod settings;
mod stores;

use archaeo_data::Copies;
use archaeo_store::sha256;
use object_store::ObjectStore;
use tokio::runtime::Runtime;

use address::Address;
use cache::Cache;
use download::{Download, Fetching};
use failure::Failure;
use listing::{Object, list};

use crate::incomplete::in_units;
use crate::listener::{Amount, Kept, Kind, Listener, Unit, Work};

pub use error::RemoteError;
pub use settings::RemoteSettings;

/// The files of a source in the cache, fetched where they are not.
///
/// # Errors
/// See [`RemoteError`].
pub(crate) fn fetch(
    source: &str,
    settings: &RemoteSettings,
    listener: &dyn Listener,
) -> Result<Copies, RemoteError> {
    let address = Address::parse(source)?;
    let cache = Cache::new(&settings.cache);
    if let Some(reason) = settings.offline {
        let known = cache.known(&address);
        return known.map(|objects| copies(&address, &cache, &objects)).ok_or_else(|| RemoteError::Offline {
            data: address.name.clone(),
            cache: settings.cache.clone(),
            reason,
        });
    }
    match online(&address, &cache, settings, listener) {
        Ok(objects) => Ok(copies(&address, &cache, &objects)),
        Err(failure) => match (cache.known(&address), &failure) {
            (Some(objects), Failure::Unreachable { .. }) => {
                let error = RemoteError::of(failure, &address, settings);
                listener.say(Kind::Warning, &format!("{error}; the copy in the cache is used"));
                Ok(copies(&address, &cache, &objects))
            }
            _ => Err(RemoteError::of(failure, &address, settings)),
        },
    }
}

/// Asks what there is and fetches what the cache lacks.
fn online(
    address: &Address,
    cache: &Cache,
    settings: &RemoteSettings,
    listener: &dyn Listener,
) -> Result<Vec<Object>, Failure> {
    let runtime = runtime()?;
    let store = stores::open(address, settings)?;
    listener.begin(&format!("looking at {}", address.name), None);
    let listed = list(address, &|| stores::open(address, settings));
    listener.end();
    let objects = listed?;
    fetch_all(&runtime, &*store, &objects, cache, listener)?;
    // Only now, so that the source never stands for half of what it is.
    cache.keep(address, &objects)?;
    Ok(objects)
}

fn fetch_all(
    runtime: &Runtime,
    store: &dyn ObjectStore,
    objects: &[Object],
    cache: &Cache,
    listener: &dyn Listener,
) -> Result<(), Failure> {
    let missing: Vec<&Object> = objects.iter().filter(|object| !cache.has(object)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let total = missing.iter().map(|object| object.size).sum();
    cache.check_space(&missing)?;
    listener.keeps(Kept::Download);
    let what = match missing.as_slice() {
        [one] => format!("fetching {}", one.file_name()),
        several => format!("fetching {} shards", several.len()),
    };
    let work = Work::begin(listener, &what, Some(Amount { total, unit: Unit::Bytes }));
    let fetching = Fetching { runtime, store, cache, work: &work };
    missing.into_iter().try_for_each(|object| Download { object, fetching: &fetching }.fetch())
}

/// What waits for the answers of `object_store`. All of its requests block the thread that asks.
fn runtime() -> Result<Runtime, Failure> {
    let built = tokio::runtime::Builder::new_current_thread().enable_time().build();
    built.map_err(|error| Failure::Settings(error.to_string()))
}

/// The files of a source, and what says which versions they are: a hash of the names, sizes and versions of all its objects.
fn copies(address: &Address, cache: &Cache, objects: &[Object]) -> Copies {
    let versions: Vec<String> = objects
        .iter()
        .map(|object| format!("{} {} {}\n", object.key, object.size, object.version()))
        .collect();
    let (bytes, version) =
        (objects.iter().map(|object| object.size).sum(), sha256(versions.concat().as_bytes()));
    let files = if objects.len() == 1 { "file" } else { "files" };
    Copies {
        source: address.name.clone(),
        files: objects.iter().map(|object| cache.path(object)).collect(),
        note: format!(
            "it is {} {files} ({}) of {}, whose sizes and ETags have the SHA-256 {}",
            objects.len(),
            in_units(bytes),
            address.name,
            &version[..16]
        ),
    }
}
