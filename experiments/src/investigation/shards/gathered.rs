//! The shards of an investigation together: whether all are there and made from the same, and their records in one place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use archaeo_store::run_folder::{Environment, LONGEST, RunFolder};
use archaeo_store::{RecordLog, StoreError, read_bytes};
use serde_json::Value;

use super::super::{InvestigationError, make_folder};
use super::completed::{COMPLETED, Completed, MadeFrom};
use super::{SHARDS, ShardError, of_shard};
use crate::investigation::record::RECORDS;
use crate::predictions::{PREDICTIONS, is_whole};
use crate::shard::Shard;

/// All shards of an investigation, each complete, and all made from the same.
#[derive(Debug)]
pub struct Shards {
    completed: Vec<Completed>,
}

/// Which shards of a folder are complete.
struct Found {
    of: usize,
    completed: Vec<Completed>,
    /// Those that were begun and are not complete.
    begun: Vec<Shard>,
}

impl Shards {
    /// Those of the run folder `folder`.
    ///
    /// # Errors
    /// One sentence: none, some that are missing, or one that was made from something else than the others.
    pub fn read(folder: &Path) -> Result<Self, InvestigationError> {
        let found = Found::of(folder)?;
        let missing = found.missing();
        if !missing.is_empty() {
            let command = found.command(folder);
            return Err(ShardError::Missing { folder: folder.into(), of: found.of, missing, command }.into());
        }
        let shards = Self { completed: found.completed };
        // What most were made from is what was meant.
        let most = shards.completed.iter().max_by_key(|shard| {
            let same = shards.completed.iter().filter(|other| other.made_from == shard.made_from).count();
            (same, std::cmp::Reverse(shard.shard))
        });
        let most = &most.expect("a division has a part").made_from;
        for completed in &shards.completed {
            if let Some(difference) = completed.made_from.difference(most) {
                let (folder, shard) = (folder.into(), completed.shard);
                return Err(ShardError::Mixed { folder, shard, difference }.into());
            }
        }
        Ok(shards)
    }

    /// The shards of the run folder `folder` that are not complete, in ascending order.
    ///
    /// # Errors
    /// A folder without shards.
    pub fn missing(folder: &Path) -> Result<Vec<usize>, InvestigationError> {
        Ok(Found::of(folder)?.missing())
    }

    /// What the front end was asked for, as it gave it to [`record_shard`](super::record_shard).
    pub fn asked(&self) -> &Value {
        &self.completed[0].asked
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.completed.len()
    }

    /// The kinds of processors that recorded them.
    pub fn processors(&self) -> BTreeSet<&str> {
        self.completed.iter().map(|completed| completed.processor.as_str()).collect()
    }

    pub(super) fn made_from(&self) -> &MadeFrom {
        &self.completed[0].made_from
    }

    /// Puts what the shards recorded where one process would have.
    pub(super) fn gather(&self, folder: &RunFolder) -> Result<(), InvestigationError> {
        let mut logs: BTreeMap<&String, Vec<Shard>> = BTreeMap::new();
        for completed in &self.completed {
            let shard = completed.shard;
            let own = folder.path().join(SHARDS).join(shard.folder());
            if let Some((file, reason)) = completed.changed(&own)?.into_iter().next() {
                return Err(ShardError::Changed { shard, file: file.into(), reason }.into());
            }
            for file in completed.files.keys() {
                match file.starts_with(RECORDS) {
                    true => logs.entry(file).or_default().push(shard),
                    false => copy(&own.join(file), &folder.file(file))?,
                }
            }
        }
        for (file, shards) in logs {
            join(folder, file, &shards)?;
        }
        let answers = folder.path().join(SHARDS).join(PREDICTIONS);
        for entry in fs::read_dir(&answers).map_err(StoreError::io("read", &answers))? {
            let path = entry.map_err(StoreError::io("read", &answers))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if is_whole(&name) {
                copy(&path, &folder.file(PREDICTIONS).join(name))?;
            }
        }
        Ok(())
    }
}

impl Found {
    fn of(folder: &Path) -> Result<Self, InvestigationError> {
        let shards = folder.join(SHARDS);
        let there = divisions(&shards)?;
        let of = match there
            .iter()
            .map(|shard| shard.of())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()[..]
        {
            [] => return Err(ShardError::None(folder.into()).into()),
            [of] => of,
            [one, other, ..] => return Err(ShardError::Divisions { folder: shards, one, other }.into()),
        };
        let (mut completed, mut begun) = (Vec::new(), Vec::new());
        for shard in there {
            match Completed::read(&folder.join(of_shard(shard, COMPLETED)))? {
                Some(found) => completed.push(found),
                None => begun.push(shard),
            }
        }
        Ok(Self { of, completed, begun })
    }

    fn missing(&self) -> Vec<usize> {
        let complete: BTreeSet<usize> = self.completed.iter().map(|found| found.shard.index()).collect();
        (0..self.of).filter(|index| !complete.contains(index)).collect()
    }

    /// The command that made one of the shards, for shard `K`.
    fn command(&self, folder: &Path) -> String {
        let begun = || {
            let path = folder.join(of_shard(*self.begun.first()?, "environment.json"));
            let starts: Vec<Environment> = serde_json::from_slice(&read_bytes(&path, LONGEST).ok()?).ok()?;
            Some(starts.last()?.command.clone())
        };
        let command = self.completed.first().map(|found| found.command.clone()).or_else(begun);
        let usual = || format!("archaeo excavate --out {} --shard K/{}", folder.display(), self.of);
        command.and_then(|command| with_shard(&command, &format!("K/{}", self.of))).unwrap_or_else(usual)
    }
}

/// A command line that asks for another shard; `None` where it asks for none.
fn with_shard(command: &str, shard: &str) -> Option<String> {
    let mut words: Vec<String> = command.split(' ').map(str::to_owned).collect();
    let place = words.iter().position(|word| word == "--shard" || word.starts_with("--shard="))?;
    if words[place] == "--shard" {
        words.drain(place + 1..words.len().min(place + 2));
    }
    words[place] = format!("--shard {shard}");
    // A program is called by its name, wherever it lies.
    let name = words[0].rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    words[0] = name;
    Some(words.join(" "))
}

/// The shards that were begun in the folder of the shards, in ascending order.
fn divisions(shards: &Path) -> Result<Vec<Shard>, InvestigationError> {
    let entries = match fs::read_dir(shards) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(StoreError::io("read", shards))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(StoreError::io("read", shards))?.file_name();
        found.extend(name.to_str().and_then(Shard::of_folder));
    }
    found.sort_unstable();
    Ok(found)
}

/// Refuses a shard of another division than that of the shards which are there: it could never be merged with them.
pub(super) fn refuse_other_division(shards: &Path, asked: Shard) -> Result<(), InvestigationError> {
    match divisions(shards)?.into_iter().find(|shard| shard.of() != asked.of()) {
        None => Ok(()),
        Some(other) => {
            Err(ShardError::OtherDivision { folder: shards.into(), there: other.of(), asked }.into())
        }
    }
}

/// Writes the records that several shards made of one unit as one log, in the order of the shards.
fn join(folder: &RunFolder, file: &str, shards: &[Shard]) -> Result<(), InvestigationError> {
    let changed = |shard: Shard, reason: &str| ShardError::Changed {
        shard,
        file: PathBuf::from(file),
        reason: reason.into(),
    };
    let mut text = String::new();
    let mut first: Option<String> = None;
    for &shard in shards {
        let path = folder.path().join(of_shard(shard, file));
        let (header, lines) = RecordLog::read(&path)?.ok_or_else(|| changed(shard, "is missing"))?;
        let expected = first.get_or_insert_with(|| {
            text = format!("{header}\n");
            header.clone()
        });
        if *expected != header {
            return Err(changed(shard, "was made from something else than that of another shard").into());
        }
        lines.iter().for_each(|line| text.extend([line, "\n"]));
    }
    let path = folder.file(file);
    if let Some(parent) = path.parent() {
        make_folder(parent)?;
    }
    Ok(archaeo_store::write(&path, text.as_bytes())?)
}

fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let bytes = archaeo_store::read(from).map_err(StoreError::io("read", from))?;
    archaeo_store::write(to, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_a_missing_shard_is_that_of_another() {
        let of = |command: &str| with_shard(command, "K/7");
        let expected = Some("archaeo excavate --out a --shard K/7 --quick".to_owned());
        assert_eq!(of("/usr/bin/archaeo excavate --out a --shard 3/7 --quick"), expected);
        assert_eq!(of("archaeo excavate --out a --shard=auto/7 --quick"), expected);
        assert_eq!(of("archaeo excavate --shard"), Some("archaeo excavate --shard K/7".into()));
        assert_eq!(of("archaeo excavate --out a"), None);
    }
}
