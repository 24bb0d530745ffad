//! How the hub is reached. The environment says it by the variables of the hub's Python client, with their meanings.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where models are when `HF_ENDPOINT` does not say it.
const ENDPOINT: &str = "https://huggingface.co";

/// How long the hub may be silent, in seconds, when `HF_HUB_ETAG_TIMEOUT` and `HF_HUB_DOWNLOAD_TIMEOUT` do not say it.
const SILENCE: u64 = 10;

/// How the hub is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct HubSettings {
    /// Address without a slash at its end.
    pub endpoint: String,
    /// Folder of the repositories.
    pub cache: PathBuf,
    /// What says who asks; it goes to the endpoint alone.
    pub token: Option<String>,
    /// Why nothing is fetched, if nothing is to be, as the middle of a sentence.
    pub offline: Option<&'static str>,
    /// How long an answer may take.
    pub answer_time: Duration,
    /// How long a transfer may stand still.
    pub silence: Duration,
}

impl std::fmt::Debug for HubSettings {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubSettings")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

impl HubSettings {
    /// As the environment says it.
    pub fn from_environment() -> Self {
        Self::read(&Environment(&|name| std::env::var_os(name)))
    }

    fn read(environment: &Environment) -> Self {
        let home = environment.folder("HF_HOME").unwrap_or_else(|| {
            let cache = environment.folder("XDG_CACHE_HOME").unwrap_or_else(|| expanded("~/.cache".into()));
            cache.join("huggingface")
        });
        let endpoint = environment.text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.into());
        let forbids =
            ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find(|name| environment.is_set(name));
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: environment.folder("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub")),
            token: environment
                .token(&environment.folder("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"))),
            offline: forbids.map(|variable| match variable {
                "HF_HUB_OFFLINE" => "HF_HUB_OFFLINE is set",
                _ => "TRANSFORMERS_OFFLINE is set",
            }),
            answer_time: environment.seconds("HF_HUB_ETAG_TIMEOUT"),
            silence: environment.seconds("HF_HUB_DOWNLOAD_TIMEOUT"),
        }
    }
}

/// The values of variables.
struct Environment<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl Environment<'_> {
    fn token(&self, file: &Path) -> Option<String> {
        if self.is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            return None;
        }
        let stored = || archaeo_store::read_to_string(file).ok();
        let token = self.text("HF_TOKEN").or_else(stored)?.trim().to_owned();
        (!token.is_empty()).then_some(token)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0(name)?.into_string().ok().filter(|value| !value.is_empty())
    }

    fn folder(&self, name: &str) -> Option<PathBuf> {
        self.0(name).filter(|value| !value.is_empty()).map(|value| expanded(value.into()))
    }

    fn is_set(&self, name: &str) -> bool {
        let value = self.text(name).unwrap_or_default().to_ascii_lowercase();
        matches!(value.as_str(), "1" | "on" | "yes" | "true")
    }

    /// A time; a hundredth of a second at least, so that it can be kept, and a day at most.
    fn seconds(&self, name: &str) -> Duration {
        let given =
            self.text(name).and_then(|value| value.trim().parse::<f64>().ok()).filter(|value| *value > 0.0);
        Duration::from_secs_f64(given.unwrap_or(SILENCE as f64).clamp(0.01, 86_400.0))
    }
}

/// `~` is the home of the user.
fn expanded(path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> HubSettings {
        let value =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        HubSettings::read(&Environment(&value))
    }

    #[test]
    fn variables_mean_what_they_mean_to_other_clients() {
        let found = settings(&[
            ("HF_HOME", "/models"),
            ("HF_ENDPOINT", "http://mirror/"),
            ("HF_HUB_ETAG_TIMEOUT", "0.5"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "-1"),
        ]);
        assert_eq!(
            (found.endpoint.as_str(), found.cache.as_path()),
            ("http://mirror", Path::new("/models/hub"))
        );
        assert_eq!((found.answer_time, found.silence), (Duration::from_millis(500), Duration::from_secs(10)));
        assert_eq!((found.offline, found.token), (None, None));
        let found = settings(&[("XDG_CACHE_HOME", "/cache"), ("HF_HUB_OFFLINE", "TRUE")]);
        assert_eq!(found.endpoint, ENDPOINT);
        assert_eq!(found.cache, Path::new("/cache/huggingface/hub"));
        assert_eq!(found.offline, Some("HF_HUB_OFFLINE is set"));
        assert_eq!(settings(&[("TRANSFORMERS_OFFLINE", "yes")]).offline, Some("TRANSFORMERS_OFFLINE is set"));
        assert_eq!(settings(&[("HF_HUB_OFFLINE", "0")]).offline, None);
        assert_eq!(settings(&[("HF_HOME", "/a"), ("HF_HUB_CACHE", "/b")]).cache, Path::new("/b"));
    }

    #[test]
    fn the_token_may_be_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::fs::write(folder.path().join("token"), "hf_stored\n").unwrap();
        std::fs::write(&elsewhere, "hf_elsewhere").unwrap();
        let token = |more: &[(&str, &str)]| settings(&[&[("HF_HOME", home)], more].concat()).token;
        assert_eq!(token(&[]).as_deref(), Some("hf_stored"));
        assert_eq!(token(&[("HF_TOKEN_PATH", elsewhere.to_str().unwrap())]).as_deref(), Some("hf_elsewhere"));
        assert_eq!(token(&[("HF_TOKEN", "hf_given")]).as_deref(), Some("hf_given"));
        assert_eq!(token(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"), ("HF_TOKEN", "hf_given")]), None);
        assert!(!format!("{:?}", settings(&[("HF_TOKEN", "hf_given")])).contains("hf_given"));
    }
}
