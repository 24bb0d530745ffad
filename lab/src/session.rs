//! What stays the same from question to question.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use archaeo_data::Copies;
use archaeo_experiments::investigation::InvestigationConfig;
use archaeo_ops::{Precision, return_freed_memory};
use archaeo_store::memory::{DEFAULT_MEMORY, memory};
use archaeo_store::run_folder::Environment;
use archaeo_training::{RecipeError, RecipeFile};
use burn::tensor::Device;

use crate::device::{self, DeviceError};
use crate::error::LabError;
#[cfg(feature = "hub")]
use crate::hub::HubSettings;
use crate::listener::{Amount, Kind, Listener, Unit, Work};
use crate::reference::is_remote;
#[cfg(feature = "cloud")]
use crate::remote::{self, RemoteSettings};

/// What can be chosen of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Where to compute: `cpu`, or what this was built with.
    pub device: String,
    /// Precision of matrix products and convolutions on the CPU; by default the recipe's, or f32.
    pub precision: Option<Precision>,
    /// Seed of every random choice; by default the recipe's, or 0.
    pub seed: Option<u64>,
    /// Number of threads, for the whole process; by default all processors.
    pub threads: Option<usize>,
    /// Bytes that what is read may take, in the whole process; [`memory`]'s own rule when not given.
    pub memory: Option<u64>,
    /// Whether no network is asked, whatever `hub` says.
    pub offline: bool,
    /// Connection to the hub; by default from the environment.
    #[cfg(feature = "hub")]
    pub hub: Option<HubSettings>,
    /// How data are fetched; by default from the environment.
    #[cfg(feature = "cloud")]
    pub remote: Option<RemoteSettings>,
    /// What asks, for the record of run folders: a command line, say.
    pub command: String,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            device: "cpu".into(),
            precision: None,
            seed: None,
            threads: None,
            memory: None,
            offline: false,
            #[cfg(feature = "hub")]
            hub: None,
            #[cfg(feature = "cloud")]
            remote: None,
            command: String::new(),
        }
    }
}

/// A TOML text, or the file that holds it.
#[derive(Clone, Copy, Debug)]
pub enum Toml<'a> {
    /// The text.
    Text(&'a str),
    /// The file.
    File(&'a Path),
}

/// Device, precision, seed, network and listener of every question.
#[derive(Clone)]
pub struct Session {
    options: SessionOptions,
    listener: Arc<dyn Listener>,
}

impl Session {
    /// Begins a session. Threads and memory are of the whole process: the first number of threads stays.
    ///
    /// # Errors
    /// Another number of threads than that which computes already.
    pub fn new(options: SessionOptions, listener: Arc<dyn Listener>) -> Result<Self, LabError> {
        if let Some(bytes) = options.memory {
            memory().allow(bytes);
            if bytes < DEFAULT_MEMORY {
                return_freed_memory();
            }
        }
        if let Some(threads) = options.threads {
            let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
            if built.is_err() && rayon::current_num_threads() != threads {
                return Err(LabError::Threads { asked: threads, running: rayon::current_num_threads() });
            }
        }
        Ok(Self { options, listener })
    }

    /// The same session, followed by another listener.
    pub fn heard_by(&self, listener: Arc<dyn Listener>) -> Self {
        Self { options: self.options.clone(), listener }
    }

    /// The device. It is opened when a question needs it, so that what needs none works where there is none.
    ///
    /// # Errors
    /// A device that is not there, or that does not compute in the session's precision.
    pub fn device(&self) -> Result<Device, DeviceError> {
        self.device_for(&[self.precision()])
    }

    /// The device, to compute in each of `precisions`.
    pub(crate) fn device_for(&self, precisions: &[Precision]) -> Result<Device, DeviceError> {
        device::by_name(&self.options.device, precisions)
    }

    /// How matrix products and convolutions are computed.
    pub fn precision(&self) -> Precision {
        self.options.precision.unwrap_or(Precision::F32)
    }

    /// `f32` or `bf16`.
    pub fn precision_name(&self) -> &'static str {
        match self.precision() {
            Precision::Bf16 => "bf16",
            Precision::F32 => "f32",
        }
    }

    /// What computes: `cpu`, or what was asked for.
    pub fn device_name(&self) -> &str {
        &self.options.device
    }

    /// Key of every random choice.
    pub fn seed(&self) -> u64 {
        self.options.seed.unwrap_or(0)
    }

    /// A recipe with the session's seed and precision, where it has its own.
    ///
    /// # Errors
    /// A file that cannot be read, or entries that are not known or do not fit.
    pub fn recipe(&self, toml: Toml, set: &[String]) -> Result<RecipeFile, RecipeError> {
        let overrides: Vec<String> = set.iter().cloned().chain(self.overrides()).collect();
        match toml {
            Toml::Text(text) => RecipeFile::parse(text, &overrides),
            Toml::File(path) => RecipeFile::read(path, &overrides),
        }
    }

    /// The configuration of an investigation with the session's seed and precision, where it has its own; `quick` takes the
    /// short training and the small samples.
    ///
    /// # Errors
    /// As [`Session::recipe`].
    pub fn configuration(
        &self,
        toml: Toml,
        set: &[String],
        quick: bool,
    ) -> Result<InvestigationConfig, RecipeError> {
        let overrides = set.iter().cloned().chain(self.overrides());
        let overrides: Vec<String> = overrides.chain(self.precision_as("studies.precision")).collect();
        match toml {
            Toml::Text(text) => InvestigationConfig::parse(text, &overrides, quick),
            Toml::File(path) => InvestigationConfig::read(path, &overrides, quick),
        }
    }

    /// What was asked for, as overrides of a recipe's entries.
    pub(crate) fn overrides(&self) -> impl Iterator<Item = String> {
        let seed = self.options.seed.map(|seed| format!("seed={seed}"));
        seed.into_iter().chain(self.precision_as("precision"))
    }

    fn precision_as(&self, key: &str) -> Option<String> {
        self.options.precision.map(|_| format!("{key}=\"{}\"", self.precision_name()))
    }

    /// The files that a path means: a name on the hub is downloaded where it is not in the cache, any other path is left as it is.
    ///
    /// # Errors
    /// A name that does not exist, a connection that fails, or a file that arrived damaged.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf, LabError> {
        if !crate::is_reference(path) {
            return Ok(path.to_owned());
        }
        #[cfg(feature = "hub")]
        return Ok(crate::hub::resolve(path, &self.hub(), self.listener())?);
        #[cfg(not(feature = "hub"))]
        return Err(LabError::NoHub(path.to_owned()));
    }

    /// The files of data in a bucket or on a web server, fetched where they are not in the cache; nothing of data that are here.
    ///
    /// # Errors
    /// An address that names nothing, a connection that fails, or an object that changes while it is read.
    pub(crate) fn copies(&self, source: &str) -> Result<Option<Copies>, LabError> {
        if !is_remote(source) {
            return Ok(None);
        }
        #[cfg(feature = "cloud")]
        return Ok(Some(remote::fetch(source, &self.remote(), self.listener())?));
        #[cfg(not(feature = "cloud"))]
        return Err(LabError::NoCloud(source.to_owned()));
    }

    #[cfg(feature = "cloud")]
    fn remote(&self) -> RemoteSettings {
        let mut remote = self.options.remote.clone().unwrap_or_else(RemoteSettings::from_environment);
        if self.options.offline {
            remote.offline = Some("--offline is given");
        }
        remote
    }

    #[cfg(feature = "hub")]
    fn hub(&self) -> HubSettings {
        let mut hub = self.options.hub.clone().unwrap_or_else(HubSettings::from_environment);
        if self.options.offline {
            hub.offline = Some("--offline is given");
        }
        hub
    }

    /// Whether nothing may use the network.
    pub(crate) fn is_offline(&self) -> bool {
        self.options.offline
    }

    /// Where and with what this runs, for run folders.
    pub(crate) fn environment(&self) -> Environment {
        let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("ARCHAEO_COMMIT"));
        let SessionOptions { command, device, .. } = &self.options;
        Environment::here(version, commit, command, device, rayon::current_num_threads())
    }

    /// Who hears of what is done.
    pub fn listener(&self) -> &dyn Listener {
        &*self.listener
    }

    /// Says something that was decided or noticed.
    pub fn note(&self, text: impl AsRef<str>) {
        self.listener.say(Kind::Note, text.as_ref());
    }

    /// Says something that makes the result worse or narrower than was asked for.
    pub(crate) fn warning(&self, text: impl AsRef<str>) {
        self.listener.say(Kind::Warning, text.as_ref());
    }

    /// Says what to do about what was said just before.
    pub(crate) fn hint(&self, text: impl AsRef<str>) {
        self.listener.say(Kind::Hint, text.as_ref());
    }

    /// Says what was decided, to those who want to know all of it.
    pub(crate) fn detail(&self, text: impl AsRef<str>) {
        self.listener.say(Kind::Detail, text.as_ref());
    }

    /// Work that nobody counts, until it is dropped.
    pub(crate) fn stage(&self, what: &str) -> Work<'_> {
        Work::begin(self.listener(), what, None)
    }

    /// Work on so many images, until it is dropped.
    pub(crate) fn counting(&self, what: &str, images: usize) -> Work<'_> {
        Work::begin(self.listener(), what, Some(Amount { total: images as u64, unit: Unit::Images }))
    }
}
