//! Classes of the data and outputs of the model: what a command line says of them, and what was found.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use archaeo_data::Dataset;
use archaeo_experiments::classes::{ClassMap, DataClasses, Matching, Outputs, Unmatched, match_classes};
use serde_json::{Value, json};

use super::LONGEST_LIST;
use crate::cli::Subject;

/// Names, one a line.
///
/// # Errors
/// A file that cannot be read, or without a name.
pub fn read_names(path: &Path) -> Result<Vec<String>> {
    let text = archaeo_store::read_text(path, LONGEST_LIST)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let names: Vec<String> = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
    ensure!(!names.is_empty(), "{} names no class; write one name a line", path.display());
    Ok(names)
}

/// The names in a file, which must be as many as `weights` has outputs.
///
/// # Errors
/// As [`read_names`], and another number of names.
pub fn output_names(path: &Path, count: usize, weights: &Path) -> Result<Vec<String>> {
    let names = read_names(path)?;
    ensure!(
        names.len() == count,
        "{} names {} classes, but {} has {count} outputs; write one name a line, in the order of the outputs",
        path.display(),
        names.len(),
        weights.display()
    );
    Ok(names)
}

/// Finds the output of every class that has images in `split`.
///
/// # Errors
/// The outer for a file that cannot be read; the inner is the sentence that says what cannot be matched.
pub fn matched(
    subject: &Subject,
    dataset: &Dataset,
    split: &str,
    outputs: &Outputs,
) -> Result<Result<Matching, String>> {
    let map = subject.class_map.as_deref().map(read_map).transpose()?;
    let classes = DataClasses::of(dataset, &[split])?;
    Ok(match_classes(&classes, outputs, map.as_ref()).map_err(|unmatched| {
        if let Unmatched::Map(sentence) = unmatched {
            return sentence;
        }
        let names = match (&subject.prompts, &unmatched) {
            (None, Unmatched::NoOutput(_) | Unmatched::OtherCount(_)) => {
                ", or name the outputs in order with --class-names FILE"
            }
            _ => "",
        };
        format!(
            "the classes of {} cannot be told among those of {}: {unmatched}. Say which is which with --class-map FILE (a line for \
             each class: the data's class, a comma, and the model's class or its number, or nothing to leave it out){names}",
            dataset.name,
            subject.weights.display()
        )
    }))
}

fn read_map(path: &Path) -> Result<ClassMap> {
    let text = archaeo_store::read_text(path, LONGEST_LIST)
        .with_context(|| format!("cannot read {}", path.display()))?;
    match ClassMap::parse(&path.display().to_string(), &text) {
        Ok(map) => Ok(map),
        Err(sentence) => bail!(sentence),
    }
}

/// How classes were matched, as JSON.
pub fn described(matching: &Matching) -> Value {
    let matched = matching.output_of.iter().flatten().count();
    json!({
        "matched_by": matching.by,
        "n": matched,
        "outputs": matching.outputs.len(),
        "left_out": matching.left_out.len(),
        "uncertain": matching.uncertain,
        "notes": matching.notes,
    })
}
