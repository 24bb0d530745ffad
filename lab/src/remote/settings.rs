//! Where copies are kept, and how long a store may be silent. Credentials are read by `object_store` from the environment.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How data are fetched from buckets and web servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSettings {
    /// Folder of the copies: `ARCHAEO_CACHE`, or else `archaeo` in the user's folder for caches.
    pub cache: PathBuf,
    /// Why nothing is fetched, if nothing is to be, as the middle of a sentence.
    pub offline: Option<&'static str>,
    /// How long a connection and an answer may take, and how long a transfer may stand still.
    pub patience: Duration,
}

/// How long a store may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

impl RemoteSettings {
    /// As the environment says it.
    pub fn from_environment() -> Self {
        Self::read(&|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn read(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let folder = |name: &str| variable(name).map(PathBuf::from);
        let caches = || {
            let home = || std::env::home_dir().unwrap_or_default().join(".cache");
            folder("XDG_CACHE_HOME").unwrap_or_else(home).join("archaeo")
        };
        let cache = folder("ARCHAEO_CACHE").unwrap_or_else(caches);
        let seconds = variable("ARCHAEO_CACHE_TIMEOUT")
            .and_then(|value| value.to_str()?.trim().parse::<f64>().ok())
            .filter(|seconds| *seconds > 0.0)
            .map(|seconds| Duration::from_secs_f64(seconds.clamp(0.01, 86_400.0)));
        Self { cache, offline: None, patience: seconds.unwrap_or(PATIENCE) }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_environment_names_the_cache() {
        let read = |variables: &[(&str, &str)]| {
            let value = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            };
            RemoteSettings::read(&value)
        };
        assert_eq!(read(&[("XDG_CACHE_HOME", "/cache")]).cache, Path::new("/cache/archaeo"));
        let found = read(&[
            ("XDG_CACHE_HOME", "/cache"),
            ("ARCHAEO_CACHE", "/scratch"),
            ("ARCHAEO_CACHE_TIMEOUT", "0.5"),
        ]);
        assert_eq!(
            (found.cache.as_path(), found.patience),
            (Path::new("/scratch"), Duration::from_millis(500))
        );
        assert_eq!(read(&[("ARCHAEO_CACHE_TIMEOUT", "-1")]).patience, PATIENCE);
    }
}
