//! The chain of custody of an investigation: a manifest of everything that its report was made from, and the check that a folder
//! still is what the manifest says, that the report says what the findings are, and that the findings follow from their records.

mod compared;
mod files;
mod manifest;
mod numbers;
mod rendering;
mod signature;
mod sources;

use std::path::{Path, PathBuf};

use archaeo_data::Copies;
use archaeo_store::StoreError;
use archaeo_store::run_folder::{Build, Environment};
use burn::tensor::Device;
use serde::Serialize;
use thiserror::Error;

use crate::investigation::{InvestigationError, read_investigation};
use crate::scene::Progress;

pub(crate) use manifest::hashes_below;
pub use manifest::{MANIFEST, Manifest};
pub use signature::{PublicKey, SIGNATURE, SecretKey};

/// Why a folder cannot be checked at all.
#[derive(Debug, Error)]
pub enum CustodyError {
    /// A folder that was never sealed.
    #[error(
        "{} has no {MANIFEST}, so that there is nothing to check it against; `archaeo excavate` writes one, and `archaeo report {}` \
         seals a folder of an earlier version as it is now",
        .0.display(),
        .0.display()
    )]
    NoManifest(PathBuf),
    /// A manifest that cannot be read.
    #[error("{} is no manifest that this version can read ({reason})", path.display())]
    Manifest {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key.
    #[error("{name} {reason}")]
    Key {
        /// Which one.
        name: String,
        /// What is wrong, and what to do, as the end of a sentence.
        reason: String,
    },
    /// A file that cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is as it was.
    Agrees,
    /// It is not.
    Differs,
    /// It cannot be told, for the reason that the check gives.
    Unchecked,
}

/// What was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Who signed the manifest.
    Signature,
    /// The configuration in force.
    Configuration,
    /// The images.
    Data,
    /// The models' weights.
    Weights,
    /// `findings/` and `investigation.json`.
    Findings,
    /// `records/`.
    Records,
    /// `predictions/`.
    Predictions,
    /// `pictures/`.
    Pictures,
    /// The report and its charts.
    Report,
    /// Numbers of findings, concluded from their records.
    Numbers,
    /// What models say of images, asked once more.
    Images,
}

impl Part {
    /// What to call it in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Configuration => "configuration",
            Self::Data => "data",
            Self::Weights => "weights",
            Self::Findings => "findings",
            Self::Records => "records",
            Self::Predictions => "predictions",
            Self::Pictures => "pictures",
            Self::Report => "report",
            Self::Numbers => "numbers",
            Self::Images => "images",
        }
    }
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What kind of thing.
    pub part: Part,
    /// Which one: a file, a number of a file.
    pub name: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What was compared; where it does not agree, what is wrong.
    pub detail: String,
}

impl Check {
    fn agrees(part: Part, name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { part, name: name.into(), outcome: Outcome::Agrees, detail: detail.into() }
    }

    fn differs(part: Part, name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { part, name: name.into(), outcome: Outcome::Differs, detail: detail.into() }
    }

    fn unchecked(part: Part, name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { part, name: name.into(), outcome: Outcome::Unchecked, detail: detail.into() }
    }

    /// Agrees where `wrong` has nothing to say.
    fn of(part: Part, name: impl Into<String>, agreeing: impl Into<String>, wrong: Option<String>) -> Self {
        match wrong {
            None => Self::agrees(part, name, agreeing),
            Some(wrong) => Self::differs(part, name, wrong),
        }
    }
}

/// Everything that was checked of a folder.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The folder.
    pub folder: String,
    /// The build that sealed it.
    pub sealed_by: Build,
    /// The build that checks.
    pub checked_by: Build,
    /// Checks that agree.
    pub agree: usize,
    /// Checks that differ.
    pub differ: usize,
    /// What could not be checked.
    pub unchecked: usize,
    /// What to know besides, a sentence each.
    pub notes: Vec<String>,
    /// The checks, those of one part next to each other.
    pub checks: Vec<Check>,
}

impl Verification {
    /// The checks of one outcome.
    pub fn of(&self, outcome: Outcome) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| check.outcome == outcome)
    }
}

/// What is to be checked, and how thoroughly.
pub struct Request<'a> {
    /// The folder of an investigation.
    pub folder: &'a Path,
    /// Key of every choice of what is checked.
    pub seed: u64,
    /// Numbers that are concluded again.
    pub sample: usize,
    /// Whether models are asked about images again.
    pub deep: bool,
    /// Who should have signed.
    pub public_key: Option<&'a PublicKey>,
    /// Where to compute.
    pub device: &'a Device,
    /// What runs this.
    pub environment: &'a Environment,
    /// Finds the files of data that lie elsewhere, by their name, or says why they cannot be had.
    pub copies: &'a dyn Fn(&str) -> Result<Option<Copies>, String>,
}

/// Checks a folder against its manifest, its report against its findings, and some of its findings against their records.
///
/// # Errors
/// A folder without a manifest, and an interruption. What cannot be checked is said in the [`Verification`].
pub fn verify(request: &Request, progress: &dyn Progress) -> Result<Verification, InvestigationError> {
    let folder = request.folder;
    let manifest = Manifest::read(folder)?;
    let checked_by = request.environment.build();
    let (mut checks, mut notes) = (Vec::new(), Vec::new());
    progress.stage("comparing hashes");
    checks.extend(signature::check(folder, request.public_key)?);
    checks.extend(files::check(folder, &manifest)?);
    match read_investigation(folder) {
        Err(error) => {
            let reason = format!("investigation.json cannot be read: {error}");
            for part in [Part::Weights, Part::Data, Part::Report, Part::Numbers] {
                checks.push(Check::unchecked(part, part.name(), reason.clone()));
            }
        }
        Ok(mut investigation) => {
            investigation.title = manifest.title.clone();
            checks.extend(sources::consistent(folder, &investigation)?);
            notes.extend(sources::made_by_others(folder, &manifest.build)?);
            progress.stage("writing the report once more");
            checks.extend(rendering::check(folder, &investigation, &manifest, &checked_by));
            checks.extend(sources::weights(folder, &manifest, &investigation));
            let (data, check) = sources::data(&manifest, &investigation, request.copies, progress);
            checks.push(check);
            checks.extend(numbers::check(request, &manifest, &investigation, data, progress)?);
        }
    }
    checks.sort_by_key(|check| check.part);
    let count = |outcome| checks.iter().filter(|check: &&Check| check.outcome == outcome).count();
    Ok(Verification {
        folder: folder.display().to_string(),
        sealed_by: manifest.build,
        checked_by,
        agree: count(Outcome::Agrees),
        differ: count(Outcome::Differs),
        unchecked: count(Outcome::Unchecked),
        notes,
        checks,
    })
}
