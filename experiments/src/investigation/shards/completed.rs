//! The manifest of a shard that is complete: what it was made from, and every file that it made, with its hash.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use archaeo_store::run_folder::{Build, LONGEST, RunFolder, difference_of_configs};
use archaeo_store::{StoreError, read_bytes, sha256, sha256_file};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::opened::Opened;
use super::super::record::RECORDS;
use super::super::{InvestigationError, Request};
use super::ShardError;
use crate::custody::hashes_below;
use crate::shard::Shard;
use crate::studies::STUDIES;

/// Name of the manifest in the folder of a shard. It is written last, and by rename.
pub(super) const COMPLETED: &str = "completed.json";

/// Counted up whenever manifests are written in another way.
const FORMAT: u32 = 1;

/// Folders of a shard of which every file is its own.
const FOLDERS: [&str; 3] = [RECORDS, "pictures", "findings"];

/// Everything that decides what a shard records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MadeFrom {
    /// The program.
    program: Build,
    /// The device that computed.
    device: String,
    /// SHA-256 of everything that determines the data.
    data: String,
    /// SHA-256 of the weights of every run, by model.
    weights: BTreeMap<String, Vec<String>>,
    /// SHA-256 of what the records and findings of every study mean and how they are written.
    schema: String,
    /// SHA-256 of the configuration in force.
    configuration: String,
    /// The configuration in force, to say what differs.
    configuration_text: String,
    /// The one study that was asked for; `None` for all.
    only: Option<String>,
}

impl MadeFrom {
    /// What a request that is opened, with its models, makes its records from.
    pub(crate) fn of(request: &Request, opened: &Opened) -> Self {
        let weights = opened.examined.iter().map(|model| {
            let hashes = model.hashes().map(str::to_owned).collect();
            (model.findings.name.to_string(), hashes)
        });
        let schemas: Vec<String> =
            STUDIES.iter().map(|study| format!("{} {}", study.id(), study.schema())).collect();
        Self {
            program: request.environment.build(),
            device: request.environment.device.clone(),
            data: opened.identity.fingerprint.clone(),
            weights: weights.collect(),
            schema: sha256(schemas.join("\n").as_bytes()),
            configuration: sha256(opened.config_text.as_bytes()),
            configuration_text: opened.config_text.clone(),
            only: request.only.map(str::to_owned),
        }
    }

    /// What of it is not that of `other`, in words; `None` where they are the same.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let short = |hash: &str| hash.chars().take(12).collect::<String>();
        let all = |only: &Option<String>| only.clone().unwrap_or_else(|| "all".into());
        if self.program != other.program {
            return Some(format!("the program is {} there and {} here", self.program, other.program));
        }
        if self.device != other.device {
            return Some(format!("the device is {} there and {} here", self.device, other.device));
        }
        if self.data != other.data {
            let [there, here] = [&self.data, &other.data].map(|data| short(data));
            return Some(format!("the data have the fingerprint {there} there and {here} here"));
        }
        if self.weights != other.weights {
            let named = |weights: &BTreeMap<String, Vec<String>>| -> String {
                let one = |(name, hashes): (&String, &Vec<String>)| {
                    format!("{name} {}", hashes.iter().map(|hash| short(hash)).collect::<Vec<_>>().join(" "))
                };
                weights.iter().map(one).collect::<Vec<_>>().join(", ")
            };
            let [there, here] = [&self.weights, &other.weights].map(named);
            return Some(format!("the weights are those of {there} there and of {here} here"));
        }
        if self.schema != other.schema {
            let [there, here] = [&self.schema, &other.schema].map(|schema| short(schema));
            return Some(format!("the schema of the findings is {there} there and {here} here"));
        }
        if self.configuration != other.configuration {
            let [there, here] = [&self.configuration_text, &other.configuration_text];
            let difference = difference_of_configs(there, here, &[]);
            let difference = difference.unwrap_or_else(|| "it is written in another way".into());
            return Some(format!("the configuration differs ({difference})"));
        }
        (self.only != other.only).then(|| {
            format!("the studies recorded are {} there and {} here", all(&self.only), all(&other.only))
        })
    }
}

/// A shard that is complete.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Completed {
    /// How it is written.
    format: u32,
    /// Which shard.
    pub shard: Shard,
    /// What decides its records.
    pub made_from: MadeFrom,
    /// What the front end needs to ask for the same investigation again.
    pub asked: Value,
    /// The command line.
    pub command: String,
    /// The processor.
    pub processor: String,
    /// Wall-clock seconds of the process that completed it.
    seconds: f64,
    /// SHA-256 of each file, by its path within the folder of the shard.
    pub files: BTreeMap<String, String>,
}

impl Completed {
    /// The manifest of a shard whose folder is complete.
    pub fn of(
        own: &RunFolder,
        shard: Shard,
        made_from: MadeFrom,
        asked: &Value,
        request: &Request,
        elapsed: Duration,
    ) -> Result<Self, InvestigationError> {
        Ok(Self {
            format: FORMAT,
            shard,
            made_from,
            asked: asked.clone(),
            command: request.environment.command.clone(),
            processor: request.environment.processor.clone(),
            seconds: elapsed.as_secs_f64(),
            files: hashes_below(own.path(), &FOLDERS)?,
        })
    }

    /// The manifest at `path`; `None` where there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, InvestigationError> {
        let bytes = match read_bytes(path, LONGEST) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(StoreError::io("read", path))?,
        };
        let damaged = |reason: String| ShardError::Manifest { path: path.to_owned(), reason };
        let completed: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        match completed.format {
            FORMAT => Ok(Some(completed)),
            other => Err(damaged(format!("its format is {other}, and this version knows {FORMAT}")).into()),
        }
    }

    /// Files in the shard's `folder` that are not what they were when it was completed, and what is wrong with each.
    pub fn changed(&self, folder: &Path) -> Result<Vec<(String, String)>, StoreError> {
        let mut changed = Vec::new();
        for (file, sealed) in &self.files {
            let path = folder.join(file);
            if !path.exists() {
                changed.push((file.clone(), "is missing".into()));
            } else if sha256_file(&path)? != *sealed {
                changed.push((file.clone(), "is not what it was when the shard was completed".into()));
            }
        }
        Ok(changed)
    }
}
