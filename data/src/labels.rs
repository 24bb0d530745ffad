//! Classes from labels that are numbers or texts: of the rows of a table, or of the examples of shards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::DataError;
use super::split::{Encoding, Record};
use super::storage::Storage;

/// An image with its label as it is stored.
pub(super) struct Row {
    pub(super) identifier: String,
    pub(super) label: Label,
    pub(super) storage: Storage,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Label {
    Number(usize),
    Text(String),
}

/// A label beyond this is an error, not a class.
pub(super) const MAX_CLASS: usize = 999_999;

/// Records by split.
type Records = BTreeMap<String, Vec<Record>>;

/// Classes, and records with places among them. Texts are classes in the order of `names`, or else sorted: by number, if all of
/// them are whole numbers. Numbers are places in `names`; without names, those that occur are the classes.
pub(super) fn classify(
    shards: &[PathBuf],
    names: Option<Vec<String>>,
    splits: BTreeMap<String, Vec<Row>>,
) -> Result<(Vec<String>, Records), DataError> {
    let origin = || shards.first().map(|path| path.to_path_buf()).unwrap_or_default();
    let rows = || splits.values().flatten();
    let texts: BTreeSet<&str> = rows()
        .filter_map(|row| if let Label::Text(text) = &row.label { Some(text.as_str()) } else { None })
        .collect();
    let numbered =
        rows().filter_map(|row| if let Label::Number(label) = row.label { Some(label) } else { None });
    let numbers: BTreeSet<usize> = numbered.collect();
    let unnamed = names.is_none();
    let classes: Vec<String> = match names {
        _ if !numbers.is_empty() && !texts.is_empty() => {
            return Err(DataError::malformed(
                origin(),
                "some of its files have numbers for labels and others texts; give them labels of one kind",
            ));
        }
        // Names that do not match the texts belong to something else.
        Some(names) if texts.is_subset(&names.iter().map(String::as_str).collect()) => names,
        None if texts.is_empty() => numbers.iter().map(ToString::to_string).collect(),
        _ => {
            let mut texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
            if let Some(mut numbers) = texts
                .iter()
                .map(|text| Some((text.parse::<i64>().ok()?, text.clone())))
                .collect::<Option<Vec<_>>>()
            {
                numbers.sort();
                texts = numbers.into_iter().map(|(_, text)| text).collect();
            }
            texts
        }
    };
    let index: BTreeMap<String, usize> =
        classes.iter().enumerate().map(|(i, class)| (class.clone(), i)).collect();
    let record = |row: Row| Record {
        identifier: row.identifier,
        label: match row.label {
            Label::Number(label) if unnamed => index[&label.to_string()],
            Label::Number(label) => label,
            Label::Text(text) => index[&text],
        },
        storage: row.storage,
        mask: None,
        encoding: Encoding::Compressed,
    };
    let splits =
        splits.into_iter().map(|(split, rows)| (split, rows.into_iter().map(record).collect())).collect();
    Ok((classes, splits))
}
