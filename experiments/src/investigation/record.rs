//! What is kept of an investigation as it goes on: one file a part, and who made it from what.
//!
//! A finding is taken over only where it was made from the same configuration, data and weights, under the same schema; any other is
//! made again. It keeps the build that made it, so that every number of a report is led back to one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use archaeo_store::{StoreError, read_bytes};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{InvestigationError, Watcher};
use crate::scene::{Scene, StudyError};
use crate::shard::Shard;
use crate::study::AnyStudy;
use crate::subjects::Subject;
use crate::units::Keep;
use archaeo_store::run_folder::{Build, Environment, LONGEST, RunFolder, RunFolderError};

/// Who made a finding, and from what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// The build of the program.
    #[serde(flatten)]
    pub(crate) build: Build,
    /// SHA-256 over configuration, data and, once they are there, weights.
    pub(crate) inputs: String,
    /// What the findings mean and how they are written: a study counts it up when that changes.
    #[serde(default)]
    pub(crate) schema: u32,
    /// What was chosen of the study.
    #[serde(default)]
    pub(crate) options: String,
}

impl Stamp {
    /// Whether findings under the other stamp are those that would be made under this one.
    fn agrees(&self, other: &Self) -> bool {
        (&self.inputs, self.schema, &self.options) == (&other.inputs, other.schema, &other.options)
    }
}

/// [`Stamp::inputs`] of what depends on these, too.
pub(crate) fn inputs_with(earlier: &str, inputs: &[&str]) -> String {
    inputs.iter().fold(earlier.to_owned(), |earlier, input| {
        archaeo_store::sha256(format!("{earlier}\n{}\n{input}", input.len()).as_bytes())
    })
}

/// A part's findings and how long they took: what a file under `findings/` holds.
#[derive(Serialize, Deserialize)]
struct Finding<T> {
    seconds: f64,
    made_by: Stamp,
    findings: T,
}

/// As much of a finding as is read before it is known to be of this build.
#[derive(Deserialize)]
struct Origin {
    made_by: Option<Stamp>,
}

/// Of what is found of data and models, and of what models answer.
const SCHEMA: u32 = 1;

/// What studies record image by image, one folder each.
pub(crate) const RECORDS: &str = "records";

/// What each model answered on each split is stamped once, for all files of the folder.
const MADE_BY: &str = "made_by.json";

/// An error that names the file of the model whose answers are not finite, from the models' names and files.
fn naming_file(error: StudyError, weights: &[(String, String)]) -> StudyError {
    let StudyError::NotFinite(error) = error else { return error };
    let file = weights.iter().find(|(name, _)| *name == error.model).map(|(_, file)| file.clone());
    StudyError::NotFinite(match file {
        Some(file) => error.of(file),
        None => error,
    })
}

/// The run folder, and the time that each part took.
pub(super) struct Record<'a> {
    folder: &'a RunFolder,
    watcher: &'a dyn Watcher,
    stamp: Stamp,
    /// Whether it was said that findings are made again.
    said: bool,
    pub(super) seconds: Vec<(String, f64)>,
    /// Name and file of each model, for what is said of answers that are not finite.
    pub(super) weights: Vec<(String, String)>,
    /// Parts that another build made, and which.
    pub(super) taken_over: Vec<(String, Build)>,
}

impl<'a> Record<'a> {
    /// The record of an investigation by `build` that depends on `inputs`.
    pub(super) fn new(
        folder: &'a RunFolder,
        watcher: &'a dyn Watcher,
        build: Build,
        inputs: &[&str],
    ) -> Self {
        let stamp = Stamp { build, inputs: String::new(), schema: SCHEMA, options: String::new() };
        let mut record = Self {
            folder,
            watcher,
            stamp,
            said: false,
            seconds: Vec::new(),
            weights: Vec::new(),
            taken_over: Vec::new(),
        };
        record.depends_on(inputs);
        record
    }

    /// What is found from here on depends on these, too.
    pub(super) fn depends_on(&mut self, inputs: &[&str]) {
        self.stamp.inputs = inputs_with(&self.stamp.inputs, inputs);
    }

    /// The findings of `part`: those on disk, or what `find` finds now.
    pub(super) fn part<T: Serialize + DeserializeOwned>(
        &mut self,
        part: &str,
        find: impl FnOnce() -> Result<T, InvestigationError>,
    ) -> Result<T, InvestigationError> {
        self.part_of(part, SCHEMA, "", |_| true, find)
    }

    fn part_of<T: Serialize + DeserializeOwned>(
        &mut self,
        part: &str,
        schema: u32,
        options: &str,
        can_be_told: impl Fn(&T) -> bool,
        find: impl FnOnce() -> Result<T, InvestigationError>,
    ) -> Result<T, InvestigationError> {
        let file = format!("findings/{part}.json");
        let stamp = Stamp { schema, options: options.into(), ..self.stamp.clone() };
        if let Some(Origin { made_by }) = self.folder.read_json(&file)? {
            let agreeing = made_by.as_ref().filter(|made_by| stamp.agrees(made_by));
            let there = agreeing.map(|made_by| Ok::<_, RunFolderError>((made_by, self.read::<T>(&file)?)));
            if let Some((made_by, Finding { seconds, findings, .. })) = there.transpose()?
                && can_be_told(&findings)
            {
                if made_by.build != stamp.build {
                    self.taken_over.push((part.into(), made_by.build.clone()));
                }
                self.seconds.push((part.into(), seconds));
                self.watcher.finished(part, None);
                return Ok(findings);
            }
            self.say_made_again(made_by.as_ref());
        }
        let started = Instant::now();
        let findings = find()?;
        let seconds = started.elapsed().as_secs_f64();
        self.folder.write_json(&file, &Finding { seconds, made_by: stamp, findings })?;
        self.seconds.push((part.into(), seconds));
        self.watcher.finished(part, Some(seconds));
        // Read back, so that a run that goes on from here computes with the very same digits.
        Ok(self.read(&file)?.findings)
    }

    fn read<T: DeserializeOwned>(&self, file: &str) -> Result<Finding<T>, RunFolderError> {
        let path = self.folder.file(file);
        let reason = "it was removed while it was read".into();
        self.folder.read_json(file)?.ok_or(RunFolderError::Damaged { path, reason })
    }

    fn say_made_again(&mut self, made_by: Option<&Stamp>) {
        if std::mem::replace(&mut self.said, true) {
            return;
        }
        let reason = match made_by {
            Some(Stamp { build, .. }) if *build != self.stamp.build => {
                format!("were made by {build} and this is {}", self.stamp.build)
            }
            Some(_) => "were made from other weights or settings".into(),
            None => "do not say which version made them".into(),
        };
        self.watcher
            .note(&format!("findings in {} {reason}; they are made again", self.folder.path().display()));
    }

    /// As [`Record::part`], of a study.
    pub(super) fn study(&mut self, study: &dyn AnyStudy, scene: &Scene) -> Result<Value, InvestigationError> {
        let weights = self.weights.clone();
        let options = scene.options.text_of(study);
        let (records, made_from) = self.records(study, &options);
        self.part_of(
            study.id(),
            study.schema(),
            &options,
            |findings| study.reads(findings),
            || {
                let keep = Keep { folder: &records, made_from: &made_from };
                study.run(scene, Some(keep)).map_err(|error| naming_file(error, &weights).into())
            },
        )
    }

    /// Records the share of a shard in a study; a study that cannot be divided is that of one shard as a whole.
    pub(super) fn share(
        &mut self,
        study: &dyn AnyStudy,
        scene: &Scene,
        shard: Shard,
    ) -> Result<(), InvestigationError> {
        let (records, made_from) = self.records(study, &scene.options.text_of(study));
        let (keep, started) = (Keep { folder: &records, made_from: &made_from }, Instant::now());
        let divided = study.record_share(scene, keep, shard);
        if divided.map_err(|error| naming_file(error, &self.weights))? {
            let seconds = started.elapsed().as_secs_f64();
            self.seconds.push((study.id().into(), seconds));
            self.watcher.finished(study.id(), Some(seconds));
        } else if shard.holds(study.id()) {
            self.study(study, scene)?;
        }
        Ok(())
    }

    /// What a study found in an earlier run, where it would find the same now.
    pub(super) fn found_before(
        &self,
        study: &dyn AnyStudy,
        scene: &Scene,
    ) -> Result<Option<Value>, InvestigationError> {
        let file = format!("findings/{}.json", study.id());
        let (schema, options) = (study.schema(), scene.options.text_of(study));
        let stamp = Stamp { schema, options, ..self.stamp.clone() };
        let made_by = self.folder.read_json::<Origin>(&file)?.and_then(|origin| origin.made_by);
        if !made_by.is_some_and(|made_by| stamp.agrees(&made_by)) {
            return Ok(None);
        }
        Ok(Some(self.read::<Value>(&file)?.findings).filter(|findings| study.reads(findings)))
    }

    /// The folder of a study's records, and what they are made from. Unlike findings, records of another build are made again: findings
    /// are made by one.
    fn records(&self, study: &dyn AnyStudy, options: &str) -> (PathBuf, String) {
        let stamp = Stamp { schema: study.schema(), options: options.into(), ..self.stamp.clone() };
        let made_from = serde_json::to_string(&stamp).expect("plain data");
        (self.folder.file(&format!("{RECORDS}/{}", study.id())), made_from)
    }

    /// Removes what other models answered from `folder`, where it is to be kept.
    pub(super) fn clear_predictions(&self, folder: &Path) -> Result<(), InvestigationError> {
        let path = folder.join(MADE_BY);
        let there = read_bytes(&path, LONGEST).ok();
        let there = there.and_then(|bytes| serde_json::from_slice::<Stamp>(&bytes).ok());
        if there.is_some_and(|there| self.stamp.agrees(&there)) {
            return Ok(());
        }
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(StoreError::io("remove", folder))?;
        }
        super::make_folder(folder)?;
        let mut stamp = serde_json::to_vec_pretty(&self.stamp).expect("plain data");
        stamp.push(b'\n');
        Ok(archaeo_store::write(&path, &stamp)?)
    }

    /// Other builds that were at work in the folder or in those of its models: models that one of them trained are kept, and so are
    /// findings under the same schema.
    pub(super) fn earlier_builds(&self, subjects: &[Subject]) -> Result<Vec<Build>, RunFolderError> {
        let mut builds = Vec::new();
        let of_models = subjects.iter().map(|subject| format!("{}/environment.json", subject.name));
        for file in std::iter::once("environment.json".to_owned()).chain(of_models) {
            let starts: Vec<Environment> = self.folder.read_json(&file)?.unwrap_or_default();
            for build in starts.iter().map(Environment::build) {
                if build != self.stamp.build && !builds.contains(&build) {
                    builds.push(build);
                }
            }
        }
        Ok(builds)
    }
}
