//! Whether the files of a folder are those that were sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::manifest::{Manifest, hashes, is_report};
use super::{Check, CustodyError, Part};

/// What a sealed file is.
fn part_of(file: &str) -> Part {
    if is_report(file) {
        return Part::Report;
    }
    match file.split_once('/').map_or(file, |(folder, _)| folder) {
        "config.toml" => Part::Configuration,
        "data.json" => Part::Data,
        "records" => Part::Records,
        "predictions" => Part::Predictions,
        "pictures" => Part::Pictures,
        _ => Part::Findings,
    }
}

/// Compares the hash of every file. Those of one part that agree are one check, and each other is one.
pub(super) fn check(folder: &Path, manifest: &Manifest) -> Result<Vec<Check>, CustodyError> {
    let now = hashes(folder)?;
    let names: BTreeSet<&String> = manifest.files.keys().chain(now.keys()).collect();
    let mut agreeing: BTreeMap<Part, Vec<&str>> = BTreeMap::new();
    let mut checks = Vec::new();
    for name in names {
        let part = part_of(name);
        let wrong = match (manifest.files.get(name), now.get(name)) {
            (Some(sealed), Some(now)) if sealed == now => {
                agreeing.entry(part).or_default().push(name);
                continue;
            }
            (Some(sealed), Some(now)) => {
                format!("its SHA-256 is {now}, and the manifest says {sealed}")
            }
            (Some(_), None) => "is missing".into(),
            (None, _) => "is not in the manifest".into(),
        };
        checks.push(Check::differs(part, name, wrong));
    }
    for (part, files) in agreeing {
        let (name, hashes) = match files[..] {
            [one] => (one.to_owned(), "its SHA-256 is that of the manifest".to_owned()),
            _ => (format!("{} files", files.len()), "their SHA-256 are those of the manifest".into()),
        };
        checks.push(Check::agrees(part, name, hashes));
    }
    Ok(checks)
}
