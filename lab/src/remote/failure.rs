//! Why an object cannot be had.

use std::error::Error;

use archaeo_store::StoreError;

/// Why an object cannot be had.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no such object or bucket.
    NotFound(String),
    /// The store wants to know who asks, or refuses who does.
    Forbidden(String),
    /// The connection failed, or the store did.
    Unreachable { address: String, reason: String },
    /// It is not what it was when it was listed.
    Changed(String),
    /// The objects of a prefix are no shards; what they are.
    Contents(String),
    /// What the environment says of the store cannot be used.
    Settings(String),
    /// The cache cannot be written.
    Disk(String),
}

impl Failure {
    /// What a request about the object at `address` ended with.
    pub fn of(error: object_store::Error, address: &str) -> Self {
        use object_store::Error as E;
        let address = address.to_owned();
        match error {
            E::NotFound { .. } => Self::NotFound(address),
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => Self::Forbidden(address),
            E::Precondition { .. } | E::NotModified { .. } => Self::Changed(address),
            // What is asked where there is no key is the service that gives keys to machines of a cloud.
            error if asks_for_credentials(&error) => Self::Forbidden(address),
            // Of listings, and of an answer that is gone on with.
            error if has_status(&error, "412") => Self::Changed(address),
            error if has_status(&error, "404") => Self::NotFound(address),
            error if has_status(&error, "403") || has_status(&error, "401") => Self::Forbidden(address),
            error => Self::Unreachable { reason: reason(&error), address },
        }
    }

    pub fn of_disk(error: &std::io::Error) -> Self {
        Self::Disk(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Disk(error.to_string())
    }
}

fn asks_for_credentials(error: &object_store::Error) -> bool {
    let text = error.to_string();
    ["169.254.169.254", "169.254.170.2", "metadata.google.internal", "metadata/computeMetadata"]
        .iter()
        .any(|service| text.contains(service))
}

fn has_status(error: &object_store::Error, status: &str) -> bool {
    error.to_string().contains(&format!("status code: {status}"))
}

/// Whether a store answers to a request for a part with the whole.
pub(super) fn ignores_ranges(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotSupported { .. })
        || error.to_string().contains("non-partial response")
}

/// The innermost cause, in one short line. Where there is an answer of a server, its status, and what its XML says besides.
fn reason(error: &object_store::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let whole = error.to_string();
    let status = whole.split_once("status code: ").map(|(_, rest)| rest);
    let text = match status {
        Some(rest) => {
            let (code, body) = rest.split_once(": ").unwrap_or((rest, ""));
            let said = |tag: &str| {
                let (_, rest) = body.split_once(&format!("<{tag}>"))?;
                Some(rest.split_once(&format!("</{tag}>"))?.0.to_owned())
            };
            match said("Message").or_else(|| said("Code")) {
                Some(message) => format!("it answers {}: {message}", code.trim()),
                None => format!("it answers {}", code.trim()),
            }
        }
        None => innermost.to_string(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}
