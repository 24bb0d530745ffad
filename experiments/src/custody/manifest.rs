//! The manifest of a run folder: what its report was made from, each file with its hash.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use archaeo_store::run_folder::{Build, LONGEST};
use archaeo_store::{StoreError, is_temporary, read_bytes, sha256_file};
use serde::{Deserialize, Serialize};

use super::CustodyError;
use crate::findings::Investigation;

/// Name of the manifest in a run folder.
pub const MANIFEST: &str = "manifest.json";

/// Counted up whenever a manifest is written in another way.
const FORMAT: u32 = 1;

/// Files at the top of a run folder that are sealed.
const FILES: [&str; 3] = ["config.toml", "data.json", "investigation.json"];

/// What of them a report is, in all its forms: files that are written whenever it is rendered.
const REPORT: [&str; 8] = [
    "report.html",
    "report.md",
    "report.typ",
    "report.json",
    "report.pdf",
    "report.ipynb",
    "references.bib",
    "tables.tex",
];

/// The folder of its charts.
const CHARTS: &str = "charts";

/// Folders of which every file is sealed.
const FOLDERS: [&str; 5] = ["findings", "records", "predictions", "pictures", CHARTS];

/// What a run folder held when its report was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// How it is written.
    format: u32,
    /// The build that wrote the report.
    pub build: Build,
    /// Title of the report, where one was given.
    pub title: Option<String>,
    /// The images.
    pub data: SealedData,
    /// The weights of every run of every model.
    pub weights: Vec<SealedWeights>,
    /// SHA-256 of each file, by its path within the folder.
    pub files: BTreeMap<String, String>,
}

/// The images of an investigation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedData {
    /// As given on the command line.
    pub source: String,
    /// SHA-256 of everything that determines the data.
    pub fingerprint: String,
}

/// A file of weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedWeights {
    /// The model's name in the investigation.
    pub model: String,
    /// The file, within the run folder or as given.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl Manifest {
    /// Of a run folder as it is now, in which `build` wrote the report.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of(folder: &Path, investigation: &Investigation, build: Build) -> Result<Self, CustodyError> {
        let sealed = |model: &str, file: &str, sha256: &str| SealedWeights {
            model: model.into(),
            file: file.into(),
            sha256: sha256.into(),
        };
        let weights = investigation.models.iter().flat_map(|model| {
            let name = model.name.as_str();
            let first = sealed(name, &model.weights, &model.weights_sha256);
            let more = model.more_runs.iter().map(move |run| sealed(name, &run.weights, &run.weights_sha256));
            std::iter::once(first).chain(more)
        });
        Ok(Self {
            format: FORMAT,
            build,
            title: investigation.title.clone(),
            data: SealedData {
                source: investigation.data.source.clone(),
                fingerprint: investigation.data.fingerprint.clone(),
            },
            weights: weights.collect(),
            files: hashes(folder)?,
        })
    }

    /// Of a run folder in which `build` has just written the report again. What was sealed before and is no part of the report stays
    /// sealed as it was; where nothing was, the folder is sealed as it is now.
    ///
    /// # Errors
    /// A file that cannot be read, a manifest of another format.
    pub fn rendered_again(
        folder: &Path,
        investigation: &Investigation,
        build: Build,
    ) -> Result<Self, CustodyError> {
        let now = Self::of(folder, investigation, build)?;
        let earlier = match Self::read(folder) {
            Err(CustodyError::NoManifest(_)) => return Ok(now),
            read => read?,
        };
        let is_rendered = |file: &String| is_report(file);
        let mut files = earlier.files;
        files.retain(|file, _| !is_rendered(file));
        files.extend(now.files.into_iter().filter(|(file, _)| is_rendered(file)));
        Ok(Self { build: now.build, title: now.title, files, ..earlier })
    }

    /// Writes it into the folder.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), CustodyError> {
        let mut json = serde_json::to_vec_pretty(self).expect("plain data");
        json.push(b'\n');
        Ok(archaeo_store::write(&folder.join(MANIFEST), &json)?)
    }

    /// Reads that of a folder.
    ///
    /// # Errors
    /// A folder without one, a file that is none, one of a later version.
    pub fn read(folder: &Path) -> Result<Self, CustodyError> {
        let path = folder.join(MANIFEST);
        let bytes = match read_bytes(&path, LONGEST) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(CustodyError::NoManifest(folder.to_owned()));
            }
            read => read.map_err(StoreError::io("read", &path))?,
        };
        let manifest: Self = serde_json::from_slice(&bytes)
            .map_err(|error| CustodyError::Manifest { path: path.clone(), reason: error.to_string() })?;
        match manifest.format {
            FORMAT => Ok(manifest),
            other => {
                let reason = format!("its format is {other}, and this version knows {FORMAT}");
                Err(CustodyError::Manifest { path, reason })
            }
        }
    }
}

/// Whether a sealed file is one of the report.
pub(super) fn is_report(file: &str) -> bool {
    REPORT.contains(&file) || file.split_once('/').is_some_and(|(folder, _)| folder == CHARTS)
}

/// The hash of each file of a folder that a manifest seals, as they are now.
pub(super) fn hashes(folder: &Path) -> Result<BTreeMap<String, String>, CustodyError> {
    let mut files = BTreeMap::new();
    for file in FILES.into_iter().chain(REPORT) {
        let path = folder.join(file);
        if path.exists() {
            files.insert(file.to_owned(), sha256_file(&path)?);
        }
    }
    files.extend(hashes_below(folder, &FOLDERS)?);
    Ok(files)
}

/// The hash of every file in some folders within `folder`, by its path there.
pub(crate) fn hashes_below(folder: &Path, inner: &[&str]) -> Result<BTreeMap<String, String>, CustodyError> {
    let mut files = BTreeMap::new();
    for inner in inner {
        gather(&folder.join(inner), inner, &mut files)?;
    }
    Ok(files)
}

/// Adds the files below a folder, except hidden ones, which file managers leave, and those that are being written.
fn gather(folder: &Path, name: &str, files: &mut BTreeMap<String, String>) -> Result<(), CustodyError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(StoreError::io("read", folder))?,
    };
    for entry in entries {
        let path = entry.map_err(StoreError::io("read", folder))?.path();
        let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let inner = format!("{name}/{own}");
        if path.is_dir() {
            gather(&path, &inner, files)?;
        } else if !own.starts_with('.') && !is_temporary(&path) {
            files.insert(inner, sha256_file(&path)?);
        }
    }
    Ok(())
}
