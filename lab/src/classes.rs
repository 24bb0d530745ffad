//! Classes of the data and outputs of the model: what is said of them, and what was found.

use std::path::Path;

use archaeo_data::{Dataset, NO_OUTPUT};
use archaeo_experiments::classes::{
    ClassMap, DataClasses, MatchedBy, Matching, Naming, Outputs, Unmatched, match_classes, shortened,
};
use archaeo_models::Classifier;
use serde::Serialize;

use crate::error::LabError;
use crate::session::Session;
use crate::subject::Subject;

/// Bytes of the longest list of names or of templates that is read.
const LONGEST_LIST: u64 = 16 << 20;

/// How classes were matched with outputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassesMatched {
    /// What decided.
    pub matched_by: MatchedBy,
    /// Classes that have an output.
    pub n: usize,
    /// Outputs.
    pub outputs: usize,
    /// Classes with images that a class map leaves out.
    pub left_out: usize,
    /// Whether it may be wrong.
    pub uncertain: bool,
    /// What the user should know, each a sentence.
    pub notes: Vec<String>,
}

impl ClassesMatched {
    pub(crate) fn of(matching: &Matching) -> Self {
        Self {
            matched_by: matching.by,
            n: matching.output_of.iter().flatten().count(),
            outputs: matching.outputs.len(),
            left_out: matching.left_out.len(),
            uncertain: matching.uncertain,
            notes: matching.notes.clone(),
        }
    }
}

/// A short text file.
pub(crate) fn read_list(path: &Path) -> Result<String, LabError> {
    archaeo_store::read_text(path, LONGEST_LIST)
        .map_err(|source| LabError::Read { path: path.to_owned(), source })
}

/// Names, one per line.
///
/// # Errors
/// A file that cannot be read, or without a name.
pub(crate) fn read_names(path: &Path) -> Result<Vec<String>, LabError> {
    let text = read_list(path)?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let names: Vec<String> = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if names.is_empty() { Err(LabError::NoName(path.to_owned())) } else { Ok(names) }
}

/// What the model's outputs are called; `own` where the checkpoint carries this program's card.
///
/// # Errors
/// A model without outputs, or a list of names that cannot be read or has another length.
pub(crate) fn outputs(subject: &Subject, model: &Classifier, own: bool) -> Result<Outputs, LabError> {
    let source = &subject.model;
    let weights = || source.weights.clone();
    let count = model.card().classes.len();
    if count == 0 {
        return Err(LabError::NoHead(weights()));
    }
    if source.prompts.is_some() {
        return Ok(Outputs { names: model.card().classes.clone(), naming: Naming::Prompts });
    }
    let Some(path) = &source.class_names else { return Ok(Outputs::of(model.card(), own)) };
    let names = read_names(path)?;
    match names.len() == count {
        true => Ok(Outputs::named(names)),
        false => {
            Err(LabError::OtherNames { path: path.clone(), names: names.len(), weights: weights(), count })
        }
    }
}

/// Finds the output of every class that has images in `split`.
///
/// # Errors
/// The outer for a file that cannot be read; the inner is the sentence that says what cannot be matched.
pub(crate) fn matched(
    subject: &Subject,
    dataset: &Dataset,
    split: &str,
    outputs: &Outputs,
) -> Result<Result<Matching, String>, LabError> {
    let map = subject.class_map.as_deref().map(read_map).transpose()?;
    let classes = DataClasses::of(dataset, &[split])?;
    Ok(match_classes(&classes, outputs, map.as_ref()).map_err(|unmatched| {
        if let Unmatched::Map(sentence) = unmatched {
            return sentence;
        }
        let names = match (&subject.model.prompts, &unmatched) {
            (None, Unmatched::NoOutput(_) | Unmatched::OtherCount(_)) => {
                ", or name the outputs in order with --class-names FILE"
            }
            _ => "",
        };
        format!(
            "the classes of {} cannot be told among those of {}: {unmatched}. Say which is which with --class-map FILE (a line for \
             each class: the data's class, a comma, and the model's class or its number, or nothing to leave it out){names}",
            dataset.name,
            subject.model.weights.display()
        )
    }))
}

fn read_map(path: &Path) -> Result<ClassMap, LabError> {
    ClassMap::parse(&path.display().to_string(), &read_list(path)?).map_err(LabError::Classes)
}

impl Session {
    /// Makes the labels outputs of the model, and says how that was done.
    pub(crate) fn relabel(
        &self,
        matching: &Matching,
        dataset: &mut Dataset,
        split: &str,
    ) -> Result<(), LabError> {
        for note in &matching.notes {
            match matching.uncertain {
                true => self.warning(note),
                false => self.note(note),
            }
        }
        if matching.uncertain {
            self.hint(
                "if that is wrong, name its outputs in order with --class-names FILE, or say which class is which with --class-map FILE",
            );
        }
        let left_out: Vec<String> =
            matching.left_out.iter().map(|&class| dataset.classes[class].clone()).collect();
        dataset.relabel(&matching.output_of, matching.outputs.names.clone());
        if !left_out.is_empty() {
            let labels = dataset.split(split)?.labels();
            let images = labels.iter().filter(|&&label| label == NO_OUTPUT).count();
            self.note(format!(
                "the class map leaves out {} of the data's classes ({}), with {images} of {} images",
                left_out.len(),
                shortened(&left_out),
                labels.len()
            ));
        }
        Ok(())
    }
}
