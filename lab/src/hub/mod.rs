//! Checkpoints from the Hugging Face hub: `hf:OWNER/NAME[@REVISION]` becomes a folder or a file in the hub's own cache, which
//! other programs share.
//!
//! All files are of one commit, and each is what the hub said of it (length and checksum). A name that is in the cache is not
//! asked for again: to follow a branch, give its new commit.
//!
//! `settings.rs` reads the environment; `client.rs` asks, and sees to it that the token stays with the endpoint; `download.rs`
//! fetches one file; `cache.rs` knows where things lie.
//!
//! Everything else takes paths.

mod address;
mod cache;
mod client;
mod download;
mod error;
mod failure;
mod reference;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};

use archaeo_models::checkpoint;
use serde::Deserialize;

use address::escaped;
use cache::{Repository, folder_name};
use client::{Client, content_range, text};
use download::Blob;
use failure::Failure;
use reference::Reference;

use crate::listener::Listener;

pub use error::HubError;
pub use settings::HubSettings;

/// What is fetched next to the weights, where it exists: which architecture they are, and how its images are prepared.
const CONFIGS: [&str; 3] = ["config.json", "preprocessor_config.json", "open_clip_config.json"];

/// The files that a name on the hub means, downloaded where they are not in the cache.
///
/// # Errors
/// See [`HubError`].
pub(crate) fn resolve(
    path: &Path,
    settings: &HubSettings,
    listener: &dyn Listener,
) -> Result<PathBuf, HubError> {
    let reference = Reference::parse(path.to_str().unwrap_or_default())?;
    Hub { settings, listener }.fetch(&reference)
}

struct Hub<'a> {
    settings: &'a HubSettings,
    listener: &'a dyn Listener,
}

/// What the hub says of a revision.
#[derive(Deserialize)]
struct Info {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Hub<'_> {
    fn fetch(&self, reference: &Reference) -> Result<PathBuf, HubError> {
        let cached = self.cached(reference);
        let offline = self.settings.offline;
        if let Some(checkpoint) = &cached
            && (offline.is_some() || checkpoint.with_file_name(CONFIGS[0]).exists())
        {
            return Ok(as_given(checkpoint));
        }
        if let Some(reason) = offline {
            let by_hand = self.by_hand(reference);
            return Err(HubError::Offline { reference: reference.to_string(), reason, by_hand });
        }
        match (self.download(reference), cached) {
            (Ok(checkpoint), _) => Ok(as_given(&checkpoint)),
            // Without a connection, weights without a configuration are still weights.
            (Err(Failure::Unreachable(_)), Some(checkpoint)) => Ok(as_given(&checkpoint)),
            (Err(failure), _) => Err(self.explained(failure, reference)),
        }
    }

    /// The checkpoint in the cache, if all of it is there.
    fn cached(&self, reference: &Reference) -> Option<PathBuf> {
        let folder = Repository::new(&self.settings.cache, reference).snapshot_of(&reference.revision);
        let names: Vec<String> = fs::read_dir(&folder)
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        let checkpoint = folder.join(checkpoint::choose(names.iter().map(String::as_str)).ok()?);
        // A link whose file was removed does not exist; neither does the part of an index that was never fetched.
        let parts = checkpoint::parts(&checkpoint).ok()?;
        parts.iter().all(|part| part.exists()).then_some(checkpoint)
    }

    /// Fetches the checkpoint and its configuration, all of the commit that the revision is now.
    fn download(&self, reference: &Reference) -> Result<PathBuf, Failure> {
        let client = Client::new(self.settings)?;
        let HubSettings { endpoint, cache, .. } = self.settings;
        let Reference { repository, revision } = reference;
        let address = format!("{endpoint}/api/models/{repository}/revision/{}", escaped(revision));
        let info: Info = serde_json::from_str(&client.get_text(&address)?)
            .map_err(|error| Failure::Nonsense(error.to_string()))?;
        if !is_hexadecimal(&info.sha) {
            return Err(Failure::Nonsense(format!("`{}` is not a commit", shortened(&info.sha))));
        }
        let repository = Repository::new(cache, reference);
        let commit = &info.sha;
        let files = Files { client, repository, endpoint, reference, commit, listener: self.listener };
        let names = || info.siblings.iter().map(|file| file.rfilename.as_str());
        // Files in folders belong to other frameworks or to earlier steps of the training.
        let chosen = checkpoint::choose(names().filter(|name| !name.contains(['/', '\\'])));
        let chosen = chosen.map_err(Failure::Contents)?;
        for config in CONFIGS.into_iter().filter(|config| names().any(|name| name == *config)) {
            files.fetch(config)?;
        }
        let checkpoint = files.fetch(chosen)?;
        if chosen.ends_with(".index.json") {
            let parts =
                checkpoint::parts(&checkpoint).map_err(|error| Failure::Contents(error.to_string()))?;
            for part in parts {
                files.fetch(part.file_name().and_then(|name| name.to_str()).unwrap_or_default())?;
            }
        }
        // Only now, so that the name never stands for half of what it means.
        files.repository.keep_reference(revision, &info.sha)?;
        Ok(checkpoint)
    }

    fn explained(&self, failure: Failure, reference: &Reference) -> HubError {
        let HubSettings { endpoint, cache, .. } = self.settings;
        let (endpoint, by_hand) = (endpoint.clone(), self.by_hand(reference));
        let reference = reference.to_string();
        match failure {
            Failure::NotFound => HubError::NotFound { endpoint, reference },
            Failure::Forbidden => HubError::Forbidden { endpoint, reference },
            Failure::Unreachable(reason) => HubError::Unreachable { reference, endpoint, reason, by_hand },
            Failure::Damaged(reason) => HubError::Damaged { reference, reason, by_hand },
            Failure::Contents(reason) => HubError::Contents { reference, reason },
            Failure::Nonsense(reason) => HubError::NoHub { endpoint, reason },
            Failure::Disk(reason) => HubError::Disk { reference, cache: cache.clone(), reason },
        }
    }

    /// What to put where when there is no connection.
    fn by_hand(&self, reference: &Reference) -> String {
        let Reference { repository, revision } = reference;
        format!(
            "put model.safetensors and config.json from {}/{repository}/tree/{revision} into a folder and give that folder, \
             or copy {} from the cache of a machine that has it into {}",
            self.settings.endpoint,
            folder_name(reference),
            self.settings.cache.display()
        )
    }
}

/// The files of one commit.
struct Files<'a> {
    client: Client,
    repository: Repository,
    endpoint: &'a str,
    reference: &'a Reference,
    commit: &'a str,
    listener: &'a dyn Listener,
}

impl Files<'_> {
    /// One file, verified; its path in the cache.
    fn fetch(&self, name: &str) -> Result<PathBuf, Failure> {
        let Self { client, repository, endpoint, reference, commit, listener } = self;
        let address = format!("{endpoint}/{}/resolve/{commit}/{}", reference.repository, escaped(name));
        // Its first byte alone: not all that answers to GET does so to HEAD.
        let answer = client.get(&address, Some("bytes=0-0"))?;
        let checksum = answer.told.checksum.unwrap_or_default();
        // A path is made of it.
        if !is_hexadecimal(&checksum) {
            return Err(Failure::Nonsense(format!("{name} has the checksum `{}`", shortened(&checksum))));
        }
        if answer.told.commit.as_deref().is_some_and(|other| other != *commit) {
            return Err(Failure::Nonsense(format!("{name} is of another commit than was asked for")));
        }
        let headers = answer.response.headers();
        let size = answer.told.size.or_else(|| match answer.response.status().as_u16() {
            200 => text(headers, "content-length")?.parse().ok(),
            _ => content_range(headers)?.1,
        });
        let size = size.ok_or_else(|| Failure::Nonsense(format!("it does not say how long {name} is")))?;
        drop(answer.response);
        Blob { repository, name, address: &address, checksum: &checksum, size, listener: *listener }
            .fetch(client)?;
        Ok(repository.link(commit, name, &checksum)?)
    }
}

/// The folder of a checkpoint that has one of the usual names, with the configuration in it; else the file.
fn as_given(checkpoint: &Path) -> PathBuf {
    let folder = checkpoint.parent().unwrap_or(checkpoint);
    if folder.join(CONFIGS[0]).exists() { folder.to_owned() } else { checkpoint.to_owned() }
}

fn is_hexadecimal(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// What a stranger says, as far as it is shown.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
