//! How the hub is reached, as the environment says it: the variables of the hub's Python client, with their meanings.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where models are when `HF_ENDPOINT` does not say it.
const ENDPOINT: &str = "https://huggingface.co";

/// How long the hub may be silent, in seconds, when `HF_HUB_ETAG_TIMEOUT` and `HF_HUB_DOWNLOAD_TIMEOUT` do not say it.
const SILENCE: u64 = 10;

/// The hub, as the environment says that it is reached.
pub(super) struct Settings {
    /// Address without a slash at its end.
    pub endpoint: String,
    /// Folder of the repositories.
    pub cache: PathBuf,
    pub token: Option<String>,
    /// Why nothing is fetched, if nothing is to be.
    pub offline: Option<&'static str>,
    /// How long an answer may take.
    pub answer_time: Duration,
    /// How long a transfer may stand still.
    pub silence: Duration,
}

impl Settings {
    /// Reads them; `offline` is what the command line says.
    pub fn from_environment(offline: bool) -> Self {
        let home = folder("HF_HOME").unwrap_or_else(|| {
            let cache = folder("XDG_CACHE_HOME").unwrap_or_else(|| expanded("~/.cache".into()));
            cache.join("huggingface")
        });
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.into());
        let variable = || ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find(|name| is_set(name));
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: folder("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub")),
            token: token(&folder("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"))),
            offline: if offline { Some("--offline is given") } else { variable().map(reason) },
            answer_time: seconds("HF_HUB_ETAG_TIMEOUT"),
            silence: seconds("HF_HUB_DOWNLOAD_TIMEOUT"),
        }
    }
}

fn reason(variable: &'static str) -> &'static str {
    match variable {
        "HF_HUB_OFFLINE" => "HF_HUB_OFFLINE is set",
        _ => "TRANSFORMERS_OFFLINE is set",
    }
}

fn token(file: &Path) -> Option<String> {
    if is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
        return None;
    }
    let stored = || archaeo_store::read_to_string(file).ok();
    let token = text("HF_TOKEN").or_else(stored)?.trim().to_owned();
    (!token.is_empty()).then_some(token)
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn folder(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(|value| expanded(value.into()))
}

/// `~` is the home of the user.
fn expanded(path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

fn is_set(name: &str) -> bool {
    let value = text(name).unwrap_or_default().to_ascii_lowercase();
    matches!(value.as_str(), "1" | "on" | "yes" | "true")
}

/// A time; a hundredth of a second at least, so that it can be kept, and a day at most.
fn seconds(name: &str) -> Duration {
    let given = text(name).and_then(|value| value.trim().parse::<f64>().ok()).filter(|value| *value > 0.0);
    Duration::from_secs_f64(given.unwrap_or(SILENCE as f64).clamp(0.01, 86_400.0))
}
