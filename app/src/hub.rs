//! Checkpoints from the Hugging Face hub: `hf:OWNER/NAME[@REVISION]` becomes a folder or a file in the hub's own cache.
//!
//! The hub's official client downloads, resumes and lays out the cache, which other programs share. What is ours: which files
//! are fetched, all of one commit; that what arrived is what the hub said (the client does not look); and what is said where
//! there is no connection. A name that is in the cache is not asked for again: to follow a branch, give its new commit.
//!
//! Here because the program alone knows of a network: everything below takes paths.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use archaeo_models::checkpoint;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use sha1::Digest;

use crate::progress::DownloadBar;

/// What stands before a name on the hub.
const PREFIX: &str = "hf:";

/// What is fetched beside the weights, where it exists: which architecture they are, and how its images are prepared.
const CONFIGS: [&str; 3] = ["config.json", "preprocessor_config.json", "open_clip_config.json"];

/// How often a broken connection is taken up again.
const ATTEMPTS: usize = 4;

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
    Hub::from_environment()?.fetch(&reference)
}

/// A name on the hub.
#[derive(Debug, PartialEq, Eq)]
struct Reference {
    repository: String,
    revision: String,
}

impl Reference {
    fn parse(text: &str) -> Result<Self> {
        let name = text.strip_prefix(PREFIX).unwrap_or(text);
        let (repository, revision) = name.split_once('@').unwrap_or((name, "main"));
        // They become parts of paths and addresses.
        let plain = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            !part.is_empty() && part != "." && part != ".." && part.chars().all(allowed)
        };
        let owner_and_name = repository.split('/').count() == 2 && repository.split('/').all(plain);
        if !owner_and_name || !revision.split('/').all(plain) {
            bail!("{text} is no name on the hub; give hf:OWNER/NAME or hf:OWNER/NAME@REVISION");
        }
        Ok(Self { repository: repository.to_owned(), revision: revision.to_owned() })
    }

    fn repo(&self, revision: &str) -> Repo {
        Repo::with_revision(self.repository.clone(), RepoType::Model, revision.to_owned())
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}{}", self.repository)?;
        if self.revision == "main" { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

/// The hub, as the environment says that it is reached.
struct Hub {
    api: Api,
    cache: Cache,
    endpoint: String,
    offline: bool,
}

impl Hub {
    /// Reads `HF_ENDPOINT`, `HF_HUB_OFFLINE`, `HF_HOME`, `HF_HUB_CACHE` and `HF_TOKEN`, as the hub's Python client does.
    fn from_environment() -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let cache = match variable("HF_HUB_CACHE") {
            Some(folder) => Cache::new(folder.into()),
            None => Cache::from_env(),
        };
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let offline = variable("HF_HUB_OFFLINE")
            .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "on" | "yes" | "true"));
        let token = variable("HF_TOKEN").or_else(|| cache.token());
        let api = ApiBuilder::from_cache(cache.clone())
            .with_endpoint(endpoint.clone())
            .with_token(token)
            .with_user_agent("archaeo", env!("CARGO_PKG_VERSION"))
            .build()
            .context("cannot prepare a connection to the hub")?;
        Ok(Self { api, cache, endpoint, offline })
    }

    fn fetch(&self, reference: &Reference) -> Result<PathBuf> {
        let cached = self.cached(reference);
        if let Some(checkpoint) = &cached
            && (self.offline || checkpoint.with_file_name(CONFIGS[0]).exists())
        {
            return Ok(as_given(checkpoint));
        }
        if self.offline {
            bail!("{reference} is not in the cache and HF_HUB_OFFLINE is set; {}", self.by_hand(reference));
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
        let repository = self.cache.path().join(reference.repo("").folder_name());
        let commit = fs::read_to_string(repository.join("refs").join(&reference.revision))
            .unwrap_or_else(|_| reference.revision.clone());
        let folder = repository.join("snapshots").join(commit.trim());
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
        let info = self.api.repo(reference.repo(&reference.revision)).info().map_err(Failure::of)?;
        if !is_hexadecimal(&info.sha) {
            return Err(Failure::Nonsense(format!("`{}` is no commit", info.sha)));
        }
        let repo = self.api.repo(reference.repo(&info.sha));
        let names = || info.siblings.iter().map(|file| file.rfilename.as_str());
        // Files in folders belong to other frameworks or to earlier steps of the training.
        let chosen = checkpoint::choose(names().filter(|name| !name.contains(['/', '\\'])));
        let chosen = chosen.map_err(Failure::Contents)?;
        for config in CONFIGS.into_iter().filter(|config| names().any(|name| name == *config)) {
            self.file(&repo, config)?;
        }
        let checkpoint = self.file(&repo, chosen)?;
        if chosen.ends_with(".index.json") {
            let parts =
                checkpoint::parts(&checkpoint).map_err(|error| Failure::Contents(error.to_string()))?;
            for part in parts {
                let name = part.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                self.file(&repo, name)?;
            }
        }
        // Only now, so that the name never stands for half of what it means.
        self.cache
            .repo(reference.repo(&reference.revision))
            .create_ref(&info.sha)
            .map_err(|error| Failure::Disk(error.to_string()))?;
        Ok(checkpoint)
    }

    /// One file of a commit, verified.
    fn file(&self, repo: &ApiRepo, name: &str) -> Result<PathBuf, Failure> {
        let metadata = self.api.metadata(&repo.url(name)).map_err(Failure::of)?;
        // The client makes paths of both.
        if !is_hexadecimal(metadata.etag()) || !is_hexadecimal(metadata.commit_hash()) {
            let reason = format!("{name} has the checksum `{}`", metadata.etag());
            return Err(Failure::Nonsense(reason));
        }
        let mut attempt = 1;
        loop {
            let failure = match repo.download_with_progress(name, DownloadBar::new()) {
                Ok(path) => match verify(&path, metadata.etag()) {
                    Ok(()) => return Ok(path),
                    Err(failure) => {
                        // Neither the name nor what it stands for: a later attempt must begin anew.
                        let _ = fs::canonicalize(&path).and_then(fs::remove_file);
                        let _ = fs::remove_file(&path);
                        failure
                    }
                },
                Err(error) => Failure::of(error),
            };
            let again = matches!(failure, Failure::Unreachable(_) | Failure::Damaged(_));
            if !again || attempt == ATTEMPTS {
                return Err(failure);
            }
            // The client goes on where the last attempt left off.
            std::thread::sleep(Duration::from_millis(250 * attempt as u64));
            attempt += 1;
        }
    }

    fn explained(&self, failure: Failure, reference: &Reference) -> anyhow::Error {
        let endpoint = &self.endpoint;
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
                self.cache.path().display()
            ),
        })
    }

    /// What to put where when there is no connection.
    fn by_hand(&self, reference: &Reference) -> String {
        let Reference { repository, revision } = reference;
        format!(
            "put model.safetensors and config.json from {}/{repository}/tree/{revision} into a folder and give that folder, \
             or copy {} from the cache of a machine that has it into {}",
            self.endpoint,
            reference.repo("").folder_name(),
            self.cache.path().display()
        )
    }
}

/// Why a file cannot be had.
enum Failure {
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
    fn of(error: ApiError) -> Self {
        use ureq::Error;
        let request = match error {
            ApiError::RequestError(request) => *request,
            ApiError::IoError(error) if is_of_the_disk(&error) => return Self::Disk(error.to_string()),
            ApiError::IoError(error) => return Self::Unreachable(error.to_string()),
            error @ ApiError::LockAcquisition(_) => {
                return Self::Disk(format!("another process is fetching it: {error}"));
            }
            error => return Self::Nonsense(error.to_string()),
        };
        match request {
            Error::StatusCode(404) => Self::NotFound,
            Error::StatusCode(401 | 403) => Self::Forbidden,
            Error::Json(error) => Self::Nonsense(error.to_string()),
            // Some proxies and servers send such an answer where they send none.
            error => Self::Unreachable(error.to_string()),
        }
    }
}

fn is_of_the_disk(error: &io::Error) -> bool {
    use io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), NotFound | PermissionDenied | ReadOnlyFilesystem | StorageFull)
}

/// The folder of a checkpoint that has one of the usual names, with the configuration in it; else the file.
fn as_given(checkpoint: &Path) -> PathBuf {
    let folder = checkpoint.parent().unwrap_or(checkpoint);
    if folder.join(CONFIGS[0]).exists() { folder.to_owned() } else { checkpoint.to_owned() }
}

fn is_hexadecimal(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// Compares a file with the hub's checksum: SHA-256 of large files, Git's own (SHA-1 of a heading and the file) of small ones.
fn verify(path: &Path, checksum: &str) -> Result<(), Failure> {
    let disk = |error: io::Error| Failure::Disk(error.to_string());
    let found = match checksum.len() {
        64 => digest(sha2::Sha256::new(), path),
        _ => {
            let length = fs::metadata(path).map_err(disk)?.len();
            digest(sha1::Sha1::new().chain_update(format!("blob {length}\0")), path)
        }
    };
    let found = found.map_err(disk)?;
    if found.eq_ignore_ascii_case(checksum) {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().display();
    Err(Failure::Damaged(format!("the checksum of {name} is {found}, not {checksum}")))
}

/// The digest of a file in hexadecimal.
fn digest<D: Digest>(mut digest: D, path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => digest.update(&buffer[..read]),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_the_hub() {
        let parsed = |text: &str| Reference::parse(text).map(|found| (found.repository, found.revision));
        let expected = |repository: &str, revision: &str| (repository.to_owned(), revision.to_owned());
        assert_eq!(parsed("hf:timm/vit_base.augreg").unwrap(), expected("timm/vit_base.augreg", "main"));
        assert_eq!(parsed("hf:a/b@refs/pr/3").unwrap(), expected("a/b", "refs/pr/3"));
        for wrong in [
            "hf:",
            "hf:name",
            "hf:a/b/c",
            "hf:a/",
            "hf:../b",
            "hf:a/b@",
            "hf:a/b@../c",
            "hf:a/b?x",
            "hf:a/b@x y",
        ] {
            let error = parsed(wrong).unwrap_err().to_string();
            assert!(error.contains("give hf:OWNER/NAME or hf:OWNER/NAME@REVISION"), "{error}");
        }
        assert!(is_reference(Path::new("hf:a/b")) && !is_reference(Path::new("a/hf:b")));
    }

    #[test]
    fn checksums_of_both_kinds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "hello\n").unwrap();
        // What `git hash-object` and `sha256sum` say.
        assert!(verify(&path, "ce013625030ba8dba906f756967f9e9ca394464a").is_ok());
        assert!(verify(&path, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03").is_ok());
        assert!(verify(&path, "ce013625030ba8dba906f756967f9e9ca394464b").is_err());
        assert!(verify(&path, &"0".repeat(64)).is_err());
    }
}
