//! Whether weights and data are those that were investigated, and whether the parts of a folder say the same of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use archaeo_data::{Copies, OpenOptions};
use archaeo_store::run_folder::{Build, LONGEST, sha256_checkpoint};
use archaeo_store::{RecordLog, StoreError, read_bytes, read_text};
use archaeo_training::{LearningData, open_to_learn};
use serde::Deserialize;
use serde_json::Value;

use super::compared::Compared;
use super::manifest::{Manifest, SealedWeights};
use super::{Check, CustodyError, Part};
use crate::findings::Investigation;
use crate::investigation::record::{RECORDS, Stamp};
use crate::investigation::{InvestigationConfig, weights_path};
use crate::scene::{Progress, opened};

/// A file of `findings/`.
#[derive(Debug, Deserialize)]
pub(super) struct Finding {
    pub made_by: Stamp,
    pub findings: Value,
}

impl Finding {
    /// That of a part, or why it cannot be read.
    pub fn read(folder: &Path, part: &str) -> Result<Self, String> {
        let path = folder.join(format!("findings/{part}.json"));
        let bytes = read_bytes(&path, LONGEST).map_err(|error| format!("it cannot be read ({error})"))?;
        serde_json::from_slice(&bytes).map_err(|error| format!("it is damaged ({error})"))
    }
}

/// The findings of every part of an investigation, by name.
fn parts(folder: &Path, investigation: &Investigation) -> BTreeMap<String, Result<Finding, String>> {
    let names =
        ["data", "models"].map(str::to_owned).into_iter().chain(investigation.studies.keys().cloned());
    names.map(|part| (part.clone(), Finding::read(folder, &part))).collect()
}

/// Whether what the report was rendered from is what `findings/` and `config.toml` hold, and whether records say that they were made
/// from the same as the findings.
pub(super) fn consistent(folder: &Path, investigation: &Investigation) -> Result<Vec<Check>, CustodyError> {
    let whole = read_bytes(&folder.join("investigation.json"), LONGEST)
        .map_err(StoreError::io("read", folder.join("investigation.json")))?;
    let whole: Value = serde_json::from_slice(&whole).expect("it was read before");
    let mut checks = Vec::new();
    let mut numbers = 0;
    for (part, finding) in parts(folder, investigation) {
        let name = format!("findings/{part}.json");
        match finding {
            Err(reason) => checks.push(Check::differs(Part::Findings, name, reason)),
            Ok(finding) => {
                let compared = Compared::of(&whole[&part], &finding.findings, &|one, other| one == other);
                numbers += compared.numbers;
                checks.extend(compared.differences.first().map(|first| {
                    let rest = compared.differences.len() - 1;
                    let detail = format!(
                        "investigation.json, which the report is written from, says something else: {}/{}{}",
                        part,
                        first.said().trim_start_matches('/'),
                        others(rest)
                    );
                    Check::differs(Part::Findings, name, detail)
                }));
                checks.extend(other_records(folder, &part, &finding.made_by)?);
            }
        }
    }
    if checks.is_empty() {
        let detail = format!("it holds the {numbers} numbers of findings/");
        checks.push(Check::agrees(Part::Findings, "investigation.json", detail));
    }
    let written = read_text(&folder.join("config.toml"), LONGEST).unwrap_or_default();
    let wrong = (written != investigation.provenance.config)
        .then(|| "investigation.json names another configuration".to_owned());
    checks.push(Check::of(
        Part::Configuration,
        "investigation.json",
        "it names the same configuration",
        wrong,
    ));
    Ok(checks)
}

/// How many more there are, as the end of a sentence.
pub(super) fn others(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => ", and another place differs".into(),
        count => format!(", and {count} other places differ"),
    }
}

/// Logs of a study that were made from something else than its findings.
fn other_records(folder: &Path, study: &str, made_by: &Stamp) -> Result<Vec<Check>, CustodyError> {
    let logs = folder.join(RECORDS).join(study);
    let mut checks = Vec::new();
    for entry in fs::read_dir(&logs).into_iter().flatten() {
        let path = entry.map_err(StoreError::io("read", &logs))?.path();
        let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if own.starts_with('.') || path.extension().is_none_or(|ending| ending != "jsonl") {
            continue;
        }
        let Some((header, _)) = RecordLog::read(&path)? else { continue };
        if serde_json::from_str::<Stamp>(&header).ok().as_ref() != Some(made_by) {
            let reason =
                format!("it was made by another build or from something else than findings/{study}.json");
            checks.push(Check::differs(Part::Records, format!("{RECORDS}/{study}/{own}"), reason));
        }
    }
    Ok(checks)
}

/// What other builds than the one that sealed the folder found.
pub(super) fn made_by_others(folder: &Path, sealed_by: &Build) -> Result<Vec<String>, CustodyError> {
    let findings = folder.join("findings");
    let mut parts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in fs::read_dir(&findings).into_iter().flatten() {
        let path = entry.map_err(StoreError::io("read", &findings))?.path();
        let part = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if let Ok(Finding { made_by, .. }) = Finding::read(folder, &part)
            && made_by.build != *sealed_by
        {
            parts.entry(made_by.build.to_string()).or_default().push(part);
        }
    }
    Ok(parts
        .into_iter()
        .map(|(build, mut parts)| {
            parts.sort();
            format!("findings of {} were made by another build, {build}, than the report", parts.join(", "))
        })
        .collect())
}

/// Whether the weights are those that were investigated.
pub(super) fn weights(folder: &Path, manifest: &Manifest, investigation: &Investigation) -> Vec<Check> {
    let known: Vec<(&str, &str)> = investigation
        .models
        .iter()
        .flat_map(|model| {
            let first = (model.weights.as_str(), model.weights_sha256.as_str());
            std::iter::once(first)
                .chain(model.more_runs.iter().map(|run| (run.weights.as_str(), run.weights_sha256.as_str())))
        })
        .collect();
    let of_file = |SealedWeights { file, sha256, .. }: &SealedWeights| {
        let check = |wrong| Check::of(Part::Weights, file, "their SHA-256 is that of the manifest", wrong);
        if !known.contains(&(file, sha256)) {
            return check(Some("the findings name other weights than the manifest".into()));
        }
        let path = weights_path(folder, file);
        let is_here = Path::new(file).is_relative() && folder.join(file).parent().is_some_and(Path::is_dir);
        match (path.exists(), is_here) {
            (true, _) => match sha256_checkpoint(&path) {
                Ok(now) if now == *sha256 => check(None),
                Ok(now) => check(Some(format!("their SHA-256 is {now}, and the manifest says {sha256}"))),
                Err(error) => Check::unchecked(Part::Weights, file, error.to_string()),
            },
            (false, true) => check(Some("is missing".into())),
            (false, false) => Check::unchecked(
                Part::Weights,
                file,
                "they were brought along and are not there now; put them back, or run the check where `excavate` ran",
            ),
        }
    };
    let mut checks: Vec<Check> = manifest.weights.iter().map(of_file).collect();
    if manifest.weights.len() != known.len() {
        let (sealed, found) = (manifest.weights.len(), known.len());
        let detail = format!("the manifest names {sealed} files of weights and the findings {found}");
        checks.push(Check::differs(Part::Weights, "manifest.json", detail));
    }
    checks
}

/// Opens the images and compares their fingerprint; the data are given where they are those of the manifest.
pub(super) fn data(
    manifest: &Manifest,
    investigation: &Investigation,
    copies: &dyn Fn(&str) -> Result<Option<Copies>, String>,
    progress: &dyn Progress,
) -> (Result<LearningData, String>, Check) {
    let sealed = &manifest.data;
    let unchecked = |reason: String| {
        (
            Err(format!("the images could not be checked: {reason}")),
            Check::unchecked(Part::Data, &sealed.source, reason),
        )
    };
    let differs = |reason: String| {
        (
            Err("the images are not those of the manifest".into()),
            Check::differs(Part::Data, &sealed.source, reason),
        )
    };
    let found = (&investigation.data.source, &investigation.data.fingerprint);
    if found != (&sealed.source, &sealed.fingerprint) {
        return differs("the findings name other images than the manifest".into());
    }
    let copies = match copies(&sealed.source) {
        Ok(copies) => copies,
        Err(reason) => return unchecked(reason),
    };
    let options = OpenOptions { copies, ..options(&investigation.provenance.config) };
    match open_to_learn(&sealed.source, &options, &|opening| opened(progress, opening)) {
        Err(error) => unchecked(error.to_string()),
        Ok(data) if data.identity.fingerprint != sealed.fingerprint => {
            let now = data.identity.fingerprint;
            differs(format!("their fingerprint is {now}, and the manifest says {}", sealed.fingerprint))
        }
        Ok(data) => {
            let check =
                Check::agrees(Part::Data, &sealed.source, "their fingerprint is that of the manifest");
            (Ok(data), check)
        }
    }
}

/// How the images were opened.
fn options(config: &str) -> OpenOptions {
    InvestigationConfig::in_force(config).map(|(config, _)| config.data().options(false)).unwrap_or_default()
}
