//! Why the hub gives nothing, each as one sentence with its remedy.

use std::path::PathBuf;

use thiserror::Error;

use super::download::ATTEMPTS;

/// A name on the hub that became no files.
#[derive(Debug, Error)]
pub enum HubError {
    /// It cannot be a name on the hub.
    #[error("{0} is not a name of a model on the hub; give hf:OWNER/NAME or hf:OWNER/NAME@REVISION")]
    Name(String),
    /// It was never downloaded, and no network may be asked.
    #[error("{reference} is not in the cache and {reason}; {by_hand}")]
    Offline {
        /// Its name.
        reference: String,
        /// Who forbids it.
        reason: &'static str,
        /// What to put where.
        by_hand: String,
    },
    /// The hub has nothing of that name.
    #[error(
        "{endpoint} has no {reference}; check owner, name and revision, or set HF_TOKEN if it is private"
    )]
    NotFound {
        /// Address of the hub.
        endpoint: String,
        /// The name.
        reference: String,
    },
    /// The hub wants to know who asks.
    #[error("{endpoint} does not give {reference} to everyone; ask for access there and set HF_TOKEN")]
    Forbidden {
        /// Address of the hub.
        endpoint: String,
        /// The name.
        reference: String,
    },
    /// The connection failed.
    #[error("cannot fetch {reference} from {endpoint} ({reason}); {by_hand}")]
    Unreachable {
        /// The name.
        reference: String,
        /// Address of the hub.
        endpoint: String,
        /// What failed.
        reason: String,
        /// What to put where.
        by_hand: String,
    },
    /// What arrived is not what the hub said.
    #[error("{reference} arrived damaged {ATTEMPTS} times ({reason}); try again later, or {by_hand}")]
    Damaged {
        /// The name.
        reference: String,
        /// What is wrong.
        reason: String,
        /// What to put where.
        by_hand: String,
    },
    /// There is nothing to load.
    #[error(
        "{reference} holds no checkpoint that is recognised: {reason}; download the file that is meant and give its path"
    )]
    Contents {
        /// The name.
        reference: String,
        /// What there is.
        reason: String,
    },
    /// What answered is no hub.
    #[error("{endpoint} answers as no hub does ({reason}); check HF_ENDPOINT")]
    NoHub {
        /// The address.
        endpoint: String,
        /// What it answered.
        reason: String,
    },
    /// The cache cannot be written.
    #[error("cannot keep {reference} in {}: {reason}; set HF_HOME to a folder with room for it", cache.display())]
    Disk {
        /// The name.
        reference: String,
        /// Folder of the cache.
        cache: PathBuf,
        /// Why not.
        reason: String,
    },
}
