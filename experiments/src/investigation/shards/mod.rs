//! An investigation recorded in shards: processes that each record a share of the images, and one that concludes from all records.
//!
//! In the run folder, `shards/K-of-N` is the run folder of shard K, and `shards/predictions` what models answer on whole splits, which
//! all shards write and read. Models that are trained lie where one process has them: whoever holds the lock of the run folder trains,
//! and the others wait. A shard that is complete says so in a manifest ([`Completed`]); [`merge`] puts what all of them recorded where
//! one process would have, and then does what that does.

mod completed;
mod gathered;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use archaeo_store::run_folder::{RunFolder, RunFolderError};
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use super::opened::Opened;
use super::{InvestigationError, Request, Watcher, concluded};
use crate::findings::Investigation;
use crate::predictions::PREDICTIONS;
use crate::scene::StudyError;
use crate::shard::{Shard, Shared, as_ranges};
use crate::studies::STUDIES;
use crate::study::Applicability;

pub(super) use completed::MadeFrom;
use completed::{COMPLETED, Completed};
pub use gathered::Shards;

/// Folder of the shards in a run folder.
const SHARDS: &str = "shards";

/// How often a folder that another process uses is looked at again.
const POLL: Duration = Duration::from_millis(500);

/// Shards that do not make one investigation.
#[derive(Debug, Error)]
pub enum ShardError {
    /// A folder without one.
    #[error("{folder} holds no shard; record them with `archaeo excavate --out {folder} --shard K/N` for K from 0 to N - 1", folder = .0.display())]
    None(PathBuf),
    /// Some are not complete.
    #[error(
        "of the {of} shards in {}, {} {} missing; {}",
        folder.display(),
        as_ranges(missing),
        if missing.len() == 1 { "is" } else { "are" },
        how(command, missing)
    )]
    Missing {
        /// The run folder.
        folder: PathBuf,
        /// How many shards there are.
        of: usize,
        /// Those that are not complete.
        missing: Vec<usize>,
        /// What makes shard K.
        command: String,
    },
    /// One was not made from the same as the others.
    #[error(
        "shard {shard} in {} was made from something else than the other shards: {difference}; make it again with what the others were \
         made from",
        folder.display()
    )]
    Mixed {
        /// The run folder.
        folder: PathBuf,
        /// Which shard.
        shard: Shard,
        /// What differs, there and in the others.
        difference: String,
    },
    /// What merges was not made from the same as the shards.
    #[error(
        "the shards in {} cannot be merged here: {difference}; merge them with the program, weights and data that made them",
        folder.display()
    )]
    Elsewhere {
        /// The run folder.
        folder: PathBuf,
        /// What differs, in the shards and here.
        difference: String,
    },
    /// A file of a complete shard is not what it was.
    #[error("{} of shard {shard} {reason}; run that shard again, which makes it anew", file.display())]
    Changed {
        /// Which shard.
        shard: Shard,
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Shards of another division.
    #[error(
        "{folder} holds shards of {there}, and {asked} is one of {}; ask for one of {there}, or remove {folder} to divide anew",
        asked.of(),
        folder = folder.display()
    )]
    OtherDivision {
        /// The folder of the shards.
        folder: PathBuf,
        /// In how many the shards there divide.
        there: usize,
        /// What was asked for.
        asked: Shard,
    },
    /// Shards of several divisions.
    #[error("{} holds shards of {one} and of {other}; remove those that are not meant", folder.display())]
    Divisions {
        /// The folder of the shards.
        folder: PathBuf,
        /// In how many some divide.
        one: usize,
        /// In how many others do.
        other: usize,
    },
    /// A manifest that cannot be read.
    #[error("{} is damaged ({reason}); remove it and run its shard again", path.display())]
    Manifest {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// How to make shards that are missing: the end of a sentence.
fn how(command: &str, missing: &[usize]) -> String {
    match missing {
        [one] => format!("make it with `{}`", command.replacen("--shard K/", &format!("--shard {one}/"), 1)),
        _ => format!("make them with `{command}` for each of these K"),
    }
}

/// A shard that is complete.
#[derive(Clone, Debug, Serialize)]
pub struct RecordedShard {
    /// Which, such as `3/7`.
    pub shard: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Files of records, pictures and findings in it.
    pub files: usize,
    /// Whether it was complete before, so that nothing was left to do.
    pub was_complete: bool,
}

/// Records the share of a shard in every study. `asked` is what the front end needs to ask for the same investigation again, which
/// [`Shards::asked`] gives back.
///
/// # Errors
/// As [`excavate`](super::excavate); what was recorded until then is kept, and the same request goes on from there.
pub fn record_shard(
    request: &Request,
    shard: Shard,
    asked: &Value,
    watcher: &dyn Watcher,
) -> Result<RecordedShard, InvestigationError> {
    let shards = request.out.join(SHARDS);
    gathered::refuse_other_division(&shards, shard)?;
    let started = Instant::now();
    let mut opened = Opened::open(request, watcher)?;
    let answers = shards.join(PREDICTIONS);
    let waiting =
        format!("another process prepares or trains the models in {}; waiting", request.out.display());
    {
        let common = wait_for(watcher, &waiting, || opened.folder(request.out))?;
        let mut record = opened.record(&common);
        opened.models(&common, &mut record)?;
        super::make_folder(&shards)?;
        record.clear_predictions(&answers)?;
    }
    let path = shards.join(shard.folder());
    let waiting = format!("another process records shard {shard} in {}; waiting", path.display());
    let own = wait_for(watcher, &waiting, || opened.folder(&path))?;
    let made_from = MadeFrom::of(request, &opened);
    let end = |files: usize, was_complete: bool| RecordedShard {
        shard: shard.to_string(),
        folder: path.clone(),
        files,
        was_complete,
    };
    if let Some(files) = already(&own, shard, &made_from, watcher)? {
        watcher.note(&format!("shard {shard} in {} is complete; nothing is left to do", path.display()));
        return Ok(end(files, true));
    }

    let mut record = opened.record(&own);
    opened.of_models(&mut record);
    let subjects = opened.subjects();
    let scene = opened.scene(own.path(), &subjects, Some(Shared { shard, answers: &answers }));
    for &study in STUDIES.iter().filter(|study| !request.leaves_out(**study)) {
        match study.applies(&scene)? {
            Applicability::Applies => record.share(study, &scene, shard)?,
            Applicability::No(reason) if request.only.is_some() => {
                return Err(InvestigationError::NotApplicable { study: study.id(), reason });
            }
            Applicability::No(_) => {}
        }
    }
    let completed = Completed::of(&own, shard, made_from, asked, request, started.elapsed())?;
    own.write_json(COMPLETED, &completed)?;
    Ok(end(completed.files.len(), false))
}

/// Concludes from the records of all shards, as one process that recorded everything would.
///
/// # Errors
/// Shards of something else than the request or with files that are not what they were, and those of
/// [`excavate`](super::excavate).
pub fn merge(
    request: &Request,
    shards: &Shards,
    watcher: &dyn Watcher,
) -> Result<Investigation, InvestigationError> {
    concluded(request, watcher, |folder, here| {
        if let Some(difference) = shards.made_from().difference(here) {
            return Err(ShardError::Elsewhere { folder: request.out.to_owned(), difference }.into());
        }
        watcher.progress().stage("gathering the records of the shards");
        shards.gather(folder)
    })
}

/// The number of files of a shard that is complete, was made from the same, and is what it was then. Otherwise it is no more said to be
/// complete, and files that are not what they were are removed.
fn already(
    own: &RunFolder,
    shard: Shard,
    made_from: &MadeFrom,
    watcher: &dyn Watcher,
) -> Result<Option<usize>, InvestigationError> {
    let manifest = own.file(COMPLETED);
    let Some(completed) = Completed::read(&manifest).unwrap_or_default() else { return Ok(None) };
    let difference = completed.made_from.difference(made_from);
    let changed = completed.changed(own.path())?;
    if difference.is_none() && changed.is_empty() {
        return Ok(Some(completed.files.len()));
    }
    match (&difference, changed.first()) {
        (Some(difference), _) => {
            watcher.note(&format!(
                "shard {shard} was made from something else ({difference}); it is made again"
            ));
        }
        (None, Some((file, reason))) => {
            watcher.note(&format!("{file} of shard {shard} {reason}; it is made again"));
        }
        (None, None) => {}
    }
    for path in changed.iter().map(|(file, _)| own.file(file)).filter(|path| path.exists()).chain([manifest])
    {
        std::fs::remove_file(&path).map_err(archaeo_store::StoreError::io("remove", &path))?;
    }
    Ok(None)
}

/// Opens a folder as soon as no other process uses it; says once that it waits.
fn wait_for(
    watcher: &dyn Watcher,
    waiting: &str,
    mut open: impl FnMut() -> Result<RunFolder, RunFolderError>,
) -> Result<RunFolder, InvestigationError> {
    let mut said = false;
    loop {
        match open() {
            Err(RunFolderError::InUse(_)) => {
                if !std::mem::replace(&mut said, true) {
                    watcher.note(waiting);
                    watcher.progress().stage("waiting for another process");
                }
                if watcher.progress().interrupted() {
                    return Err(StudyError::Interrupted.into());
                }
                std::thread::sleep(POLL);
            }
            opened => return Ok(opened?),
        }
    }
}

/// The path of a file of a shard within the run folder.
fn of_shard(shard: Shard, file: &str) -> PathBuf {
    Path::new(SHARDS).join(shard.folder()).join(file)
}
