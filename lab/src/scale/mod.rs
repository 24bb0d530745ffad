//! An investigation on many machines: recorded in shards, merged, and given to the engines that start processes on clusters.

mod shard;
mod submit;

use std::env;
use std::path::{Path, PathBuf};

use archaeo_experiments::investigation::{
    InvestigationConfig, InvestigationError, RecordedShard, ShardError, Shards, merge, record_shard,
};
use archaeo_experiments::shard::{Shard, as_ranges};
use archaeo_experiments::studies::STUDIES;
use serde::{Deserialize, Serialize};

pub use shard::{ShardChoice, ShardChoiceError};
pub use submit::{Engine, Submission, SubmitError, Submitted};

use crate::error::LabError;
use crate::excavate::{Excavated, Excavation, NamedModel};
use crate::session::Session;

/// A study of an investigation.
#[derive(Clone, Debug, Serialize)]
pub struct KnownStudy {
    /// Its name.
    pub name: &'static str,
    /// What it asks.
    pub question: String,
}

/// Every study, in the order in which they run.
pub fn studies() -> Vec<KnownStudy> {
    let known = STUDIES
        .iter()
        .map(|study| KnownStudy { name: study.id(), question: study.question().replace("{it}", "a model") });
    known.collect()
}

/// The name of a study.
pub(crate) fn known_study(name: &str) -> Result<&'static str, LabError> {
    let found = STUDIES.iter().map(|study| study.id()).find(|id| *id == name);
    found.ok_or_else(|| LabError::UnknownStudy(name.into()))
}

/// What an excavation asks for, as the manifest of a shard keeps it.
#[derive(Serialize, Deserialize)]
struct Asked {
    data: Option<String>,
    strict: bool,
    configuration: String,
    models: Vec<NamedModel>,
    train: Vec<String>,
    title: Option<String>,
    only: Option<String>,
    /// Where names of files are looked up from.
    directory: PathBuf,
}

impl Asked {
    fn of(excavation: &Excavation, only: Option<&str>) -> Result<Self, LabError> {
        let Excavation { data, strict, config, models, train, title, .. } = excavation.clone();
        Ok(Self {
            data,
            strict,
            configuration: config.to_toml(&[], &[])?,
            models,
            train,
            title,
            only: only.map(str::to_owned),
            directory: env::current_dir().unwrap_or_default(),
        })
    }

    fn excavation(&self, out: &Path) -> Result<Excavation, LabError> {
        Ok(Excavation {
            data: self.data.clone(),
            strict: self.strict,
            config: InvestigationConfig::parse(&self.configuration, &[], false)?,
            models: self.models.clone(),
            train: self.train.clone(),
            out: out.to_owned(),
            title: self.title.clone(),
        })
    }
}

impl Session {
    /// Records the share of a shard in an investigation, or in the one study `only`.
    ///
    /// # Errors
    /// As [`Session::excavate`]; a folder with shards of another division.
    pub fn excavate_shard(
        &self,
        excavation: &Excavation,
        only: Option<&str>,
        shard: Shard,
    ) -> Result<RecordedShard, LabError> {
        let only = only.map(known_study).transpose()?;
        let asked = serde_json::to_value(Asked::of(excavation, only)?).expect("plain data");
        self.asking(excavation, only, |request, watcher| Ok(record_shard(request, shard, &asked, watcher)?))
    }

    /// Concludes from the records of all shards in a folder, as one process would that had recorded everything.
    ///
    /// # Errors
    /// Shards that are missing, or were made from something else than the others or than what is here; and those of
    /// [`Session::excavate`].
    pub fn merge(&self, folder: &Path) -> Result<Excavated, LabError> {
        let shards = Shards::read(folder)?;
        let asked: Asked = serde_json::from_value(shards.asked().clone()).map_err(|error| {
            let (path, reason) = (folder.join("shards"), error.to_string());
            InvestigationError::from(ShardError::Manifest { path, reason })
        })?;
        let here = env::current_dir().unwrap_or_default();
        if here != asked.directory {
            self.note(format!(
                "the shards were recorded in {}; files that their command names are looked for from here",
                asked.directory.display()
            ));
        }
        if shards.processors().len() > 1 {
            let kinds = shards.processors().into_iter().collect::<Vec<_>>().join("; ");
            self.note(format!(
                "the shards were recorded on several kinds of processors ({kinds}), whose last digits may differ"
            ));
        }
        self.note(format!("merging {} shards", shards.count()));
        let excavation = asked.excavation(folder)?;
        self.excavated(&excavation, asked.only.as_deref(), |request, watcher| {
            Ok(merge(request, &shards, watcher)?)
        })
    }

    /// The shards of a folder that are not complete, as Slurm's `--array` takes them, such as `3,7-9`; nothing where all are.
    ///
    /// # Errors
    /// A folder without shards.
    pub fn missing_shards(&self, folder: &Path) -> Result<String, LabError> {
        Ok(as_ranges(&Shards::missing(folder)?))
    }
}
