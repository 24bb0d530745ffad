//! Why a source in a bucket or on a web server gives nothing, each as one sentence with its remedy.

use std::path::PathBuf;

use thiserror::Error;

use super::address::{Address, Place};
use super::failure::Failure;
use super::settings::RemoteSettings;

/// Data that cannot be fetched.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// It is not an address of data.
    #[error("{data} is not an address of data: {reason}")]
    Address {
        /// As it was given.
        data: String,
        /// Why not.
        reason: String,
    },
    /// It was never fetched, and no network may be asked.
    #[error("{data} is not in the cache {} and {reason}; run the command once without that, or give a folder with its files", cache.display())]
    Offline {
        /// As it was given.
        data: String,
        /// Folder of the cache.
        cache: PathBuf,
        /// Who forbids it.
        reason: &'static str,
    },
    /// There is no such object.
    #[error("there is no {address}; check {check}")]
    NotFound {
        /// Its address.
        address: String,
        /// What may be wrong.
        check: &'static str,
    },
    /// The store wants to know who asks.
    #[error("{address} is not given to everyone; {remedy}")]
    Forbidden {
        /// Its address.
        address: String,
        /// How the store is told who asks.
        remedy: &'static str,
    },
    /// The connection failed.
    #[error("cannot fetch {address} ({reason}); run the command again to go on from what has arrived")]
    Unreachable {
        /// The address of the object.
        address: String,
        /// What failed.
        reason: String,
    },
    /// It was replaced while it was read.
    #[error("{address} changed while it was read; run the command again when nobody writes it any more")]
    Changed {
        /// The address of the object.
        address: String,
    },
    /// There is nothing to read.
    #[error("{data} {reason}")]
    Contents {
        /// As it was given.
        data: String,
        /// What there is, and the remedy.
        reason: String,
    },
    /// What the environment says of the store cannot be used.
    #[error("{data} cannot be opened: {reason}")]
    Settings {
        /// As it was given.
        data: String,
        /// What is wrong.
        reason: String,
    },
    /// The cache cannot be written.
    #[error("cannot keep {data} in {}: {reason}; set ARCHAEO_CACHE to a folder with room for it", cache.display())]
    Disk {
        /// As it was given.
        data: String,
        /// Folder of the cache.
        cache: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl RemoteError {
    pub(super) fn of(failure: Failure, address: &Address, settings: &RemoteSettings) -> Self {
        let data = address.name.clone();
        match failure {
            Failure::NotFound(object) => Self::NotFound { address: object, check: check(&address.place) },
            Failure::Forbidden(object) => Self::Forbidden { address: object, remedy: remedy(&address.place) },
            Failure::Unreachable { address, reason } => Self::Unreachable { address, reason },
            Failure::Changed(address) => Self::Changed { address },
            Failure::Contents(reason) => Self::Contents { data, reason },
            Failure::Settings(reason) => Self::Settings { data, reason },
            Failure::Disk(reason) => Self::Disk { data, cache: settings.cache.clone(), reason },
        }
    }
}

/// What may be wrong where nothing is found.
fn check(place: &Place) -> &'static str {
    match place {
        Place::S3(_) => "bucket and key, and AWS_ENDPOINT if the bucket is not Amazon's",
        Place::Gcs(_) => "bucket and key",
        Place::Web { .. } => "the address, and the range if it is a pattern",
    }
}

/// How a store is told who asks.
fn remedy(place: &Place) -> &'static str {
    match place {
        Place::S3(_) => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, AWS_REGION) to keys that may read it, or \
             AWS_SKIP_SIGNATURE=true if it is public"
        }
        Place::Gcs(_) => {
            "set GOOGLE_APPLICATION_CREDENTIALS to the file of an account that may read it, or GOOGLE_SKIP_SIGNATURE=true if it is \
             public"
        }
        Place::Web { .. } => "give an address that answers without a password, such as a signed one",
    }
}
