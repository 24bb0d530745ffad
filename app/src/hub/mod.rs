//! Checkpoints from the Hugging Face hub: `hf:OWNER/NAME[@REVISION]` becomes a folder or a file in the hub's own cache, which
//! other programs share.
//!
//! All files are of one commit, and each is what the hub said of it (length and checksum). A name that is in the cache is not
//! asked for again: to follow a branch, give its new commit.
//!
//! `settings.rs` reads the environment; `client.rs` asks, and sees to it that the token stays with the endpoint; `download.rs`
//! fetches one file; `cache.rs` knows where things lie.
//!
//! Here because the program alone knows of a network: everything below takes paths.

mod address;
mod cache;
mod client;
mod download;
mod failure;
mod reference;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use archaeo_models::checkpoint;
use serde::Deserialize;

use address::escaped;
use cache::{Repository, folder_name};
use client::{Client, content_range, text};
use download::{ATTEMPTS, Blob};
use failure::Failure;
use reference::{PREFIX, Reference};
use settings::Settings;

/// What is fetched next to the weights, where it exists: which architecture they are, and how its images are prepared.
const CONFIGS: [&str; 3] = ["config.json", "preprocessor_config.json", "open_clip_config.json"];

/// Whether the command line forbids to ask the network; said once, before any command runs.
static OFFLINE: AtomicBool = AtomicBool::new(false);

/// From now on nothing is fetched.
pub fn stay_offline() {
    OFFLINE.store(true, Ordering::SeqCst);
}

/// Whether a path is really a name on the hub.
pub fn is_reference(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with(PREFIX))
}

/// The files that a name on the hub means, downloaded where they are not in the cache; any other path is left as it is.
///
/// # Errors
/// One sentence for a name that does not exist, a connection that fails, or a file that arrived damaged.
pub fn resolve(path: &Path) -> Result<PathBuf> {
    if !is_reference(path) {
        return Ok(path.to_owned());
    }
    let reference = Reference::parse(path.to_str().unwrap_or_default())?;
    Hub { settings: Settings::from_environment(OFFLINE.load(Ordering::SeqCst)) }.fetch(&reference)
}

struct Hub {
    settings: Settings,
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

impl Hub {
    fn fetch(&self, reference: &Reference) -> Result<PathBuf> {
        let cached = self.cached(reference);
        let offline = self.settings.offline;
        if let Some(checkpoint) = &cached
            && (offline.is_some() || checkpoint.with_file_name(CONFIGS[0]).exists())
        {
            return Ok(as_given(checkpoint));
        }
        if let Some(reason) = offline {
            bail!("{reference} is not in the cache and {reason}; {}", self.by_hand(reference));
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
        let client = Client::new(&self.settings)?;
        let Settings { endpoint, cache, .. } = &self.settings;
        let Reference { repository, revision } = reference;
        let address = format!("{endpoint}/api/models/{repository}/revision/{}", escaped(revision));
        let info: Info = serde_json::from_str(&client.get_text(&address)?)
            .map_err(|error| Failure::Nonsense(error.to_string()))?;
        if !is_hexadecimal(&info.sha) {
            return Err(Failure::Nonsense(format!("`{}` is no commit", shortened(&info.sha))));
        }
        let repository = Repository::new(cache, reference);
        let files = Files { client, repository, endpoint, reference, commit: &info.sha };
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

    fn explained(&self, failure: Failure, reference: &Reference) -> anyhow::Error {
        let Settings { endpoint, cache, .. } = &self.settings;
        anyhow::Error::msg(match failure {
            Failure::NotFound => format!(
                "{endpoint} has no {reference}; check owner, name and revision, or set HF_TOKEN if it is private"
            ),
            Failure::Forbidden => format!(
                "{endpoint} does not give {reference} to everyone; ask for access there and set HF_TOKEN"
            ),
            Failure::Unreachable(reason) => {
                format!("cannot fetch {reference} from {endpoint} ({reason}); {}", self.by_hand(reference))
            }
            Failure::Damaged(reason) => format!(
                "{reference} arrived damaged {ATTEMPTS} times ({reason}); try again later, or {}",
                self.by_hand(reference)
            ),
            Failure::Contents(reason) => format!(
                "{reference} holds no checkpoint that is recognised: {reason}; download the file that is meant and give its path"
            ),
            Failure::Nonsense(reason) => {
                format!("{endpoint} answers as no hub does ({reason}); check HF_ENDPOINT")
            }
            Failure::Disk(reason) => format!(
                "cannot keep {reference} in {}: {reason}; set HF_HOME to a folder with room for it",
                cache.display()
            ),
        })
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
}

impl Files<'_> {
    /// One file, verified; its path in the cache.
    fn fetch(&self, name: &str) -> Result<PathBuf, Failure> {
        let Self { client, repository, endpoint, reference, commit } = self;
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
        Blob { repository, name, address: &address, checksum: &checksum, size }.fetch(client)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_the_prefix_is_a_reference() {
        assert!(is_reference(Path::new("hf:a/b")) && !is_reference(Path::new("a/hf:b")));
    }
}
