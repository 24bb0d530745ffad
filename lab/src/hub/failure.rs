//! Why a file cannot be had.

use std::io;

/// Why a file cannot be had.
#[derive(Debug)]
pub(super) enum Failure {
    /// The hub has nothing of that name.
    NotFound,
    /// The hub wants to know who asks.
    Forbidden,
    /// The connection failed.
    Unreachable(String),
    /// What arrived is not what the hub said.
    Damaged(String),
    /// There is nothing to load.
    Contents(String),
    /// What answered is no hub.
    Nonsense(String),
    /// The cache cannot be written.
    Disk(String),
}

impl Failure {
    /// What a request ended with.
    pub fn of_request(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::Unreachable("it did not answer in time".into()),
            ureq::Error::BadUri(address) => Self::Nonsense(format!("`{address}` is not a valid address")),
            ureq::Error::Http(error) => Self::Nonsense(error.to_string()),
            ureq::Error::LargeResponseHeader(..) => Self::Nonsense("its headers have no end".into()),
            error => Self::Unreachable(error.to_string()),
        }
    }

    /// What reading an answer ended with, after `read` of `length` bytes.
    pub fn of_reading(error: &io::Error, read: u64, length: u64) -> Self {
        let at = format!("after {read} of {length} bytes");
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
        let too_late =
            matches!(inner, Some(ureq::Error::Timeout(_))) || error.kind() == io::ErrorKind::TimedOut;
        Self::Unreachable(match too_late {
            true => format!("nothing more arrived in time {at}"),
            false => format!("{error} {at}"),
        })
    }

    /// What the cache ended with.
    pub fn of_disk(error: &io::Error) -> Self {
        Self::Disk(error.to_string())
    }
}

impl From<archaeo_store::StoreError> for Failure {
    fn from(error: archaeo_store::StoreError) -> Self {
        Self::Disk(error.to_string())
    }
}
