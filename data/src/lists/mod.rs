//! Lists of images and their classes, in common forms: `labels.csv`, `metadata.jsonl`, `train.csv` and `test.csv`.

mod classes;
mod columns;
mod crowd;
mod files;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use self::classes::classes;
pub(super) use self::classes::in_order as classes_in_order;
use self::columns::{Columns, Label, Unfit, is_one};
pub(super) use self::files::{Index, Match};
pub(super) use self::table::Table;
use super::DataError;
use super::images::{Images, few};
use super::listing::Listing;
use super::names::{Part, ending, split_name};
use super::open::Layout;
use super::split::{Encoding, Record};
use super::storage::Storage;
use super::text;

/// Most lists that are read, and their greatest depth in folders.
const MOST_LISTS: usize = 50;
const DEEPEST: usize = 3;

/// Words in the names of lists that do not indicate which images they cover.
const LIST_WORDS: &[&str] = &[
    "label",
    "labels",
    "annotation",
    "annotations",
    "metadata",
    "meta",
    "list",
    "gt",
    "groundtruth",
    "info",
    "df",
    "file",
    "files",
    "class",
    "classes",
    "classification",
];

/// Result of reading the lists.
pub(super) enum Outcome {
    Found(Layout),
    /// Nothing usable; the error of the likeliest list, if there is one.
    None(Option<DataError>),
}

/// Whether a file is the preferred list: `labels.csv` next to the images.
pub(super) fn is_explicit(path: &str) -> bool {
    let lower = path.to_lowercase();
    ["labels", "label"].iter().any(|stem| {
        ["csv", "tsv", "txt", "jsonl"]
            .iter()
            .any(|ending| lower.strip_prefix(stem) == Some(&format!(".{ending}")))
    })
}

/// Whether a file is named like a list, in any folder.
pub(super) fn is_list(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    is_explicit(file) || ending(file).is_some_and(|ending| matches!(ending.as_str(), "csv" | "tsv" | "jsonl"))
}

/// Files that may be lists.
pub(super) fn candidates(listing: &Listing) -> Vec<&str> {
    let is_list = |path: &&str| {
        let stem = stem(path).to_lowercase();
        let ends =
            ending(path).is_some_and(|ending| matches!(ending.as_str(), "csv" | "tsv" | "txt" | "jsonl"));
        let other =
            ["readme", "license", "licence", "requirements", "submission", "wnids", "words", "changelog"];
        ends && path.split('/').count() <= DEEPEST
            && !other.iter().any(|word| stem.contains(word))
            && !is_class_list(path)
    };
    listing.files.iter().map(|(path, _)| path.as_str()).filter(is_list).take(MOST_LISTS).collect()
}

fn is_class_list(path: &str) -> bool {
    matches!(path.to_lowercase().as_str(), "classes.txt" | "class_names.txt")
}

fn stem(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A list that can be used.
struct List<'a> {
    path: &'a str,
    table: Table,
    columns: Columns,
    /// The split that all its images are in, by its name or its folder's.
    part: Option<Part>,
}

impl List<'_> {
    fn rows(&self) -> &[(u64, Vec<String>)] {
        &self.table.rows[usize::from(self.columns.names.is_some())..]
    }

    /// Which columns were taken.
    fn describe(&self) -> String {
        let Columns { file, label, split, names } = &self.columns;
        let name = |column: usize| match names {
            Some(names) => format!("`{}`", names.get(column).map_or("", String::as_str)),
            None => format!("{}", column + 1),
        };
        let classes = match label {
            Label::Column(column) => format!("{} the classes", name(*column)),
            Label::OneHot(columns) => {
                let names: Vec<String> = columns.iter().map(|&column| name(column)).collect();
                format!("the columns {}, which hold 0 or 1, are the classes", few(&names))
            }
        };
        let splits = split.map(|column| format!(", {} the splits", name(column))).unwrap_or_default();
        let header = if names.is_none() { ", which has no header" } else { "" };
        format!("{}{header}: column {} names the images, {classes}{splits}", self.path, name(*file))
    }
}

/// The text of the list at `path`.
fn read(origin: &str, listing: &Listing, path: &str, notes: &mut Vec<String>) -> Result<Table, DataError> {
    let malformed = |reason: String| DataError::malformed(format!("{path} of {origin}"), reason);
    let storage = listing.file(path).ok_or_else(|| malformed("it is not there".into()))?;
    let text = text::read(storage).map_err(malformed)?;
    if let Some(encoding) = text.encoding {
        notes.push(format!("{path} is not in UTF-8 and was read as {encoding}"));
    }
    Table::parse(&text.text, &ending(path).unwrap_or_default()).map_err(malformed)
}

/// The part of the data that a list of this name covers.
pub(super) fn part(path: &str) -> Option<Part> {
    let by_name = Part::of_name(stem(path))
        .filter(|(_, besides)| besides.split(' ').all(|word| word.is_empty() || LIST_WORDS.contains(&word)));
    let by_folder = || {
        folder(path).rsplit('/').find_map(|folder| Part::of_name(folder).filter(|(_, rest)| rest.is_empty()))
    };
    by_name.or_else(by_folder).map(|(part, _)| part)
}

/// Reads the lists at `paths` that name existing images.
pub(super) fn labelled(
    origin: &str,
    listing: &Listing,
    images: &Images,
    paths: &[&str],
) -> Result<Outcome, DataError> {
    let index = Index::of(images.files.iter().map(|(path, _)| *path));
    let (mut lists, mut notes) = (Vec::new(), Vec::new());
    let (mut unclear, mut unrelated) = (None, None);
    for &path in paths {
        let mut said = Vec::new();
        let table = match read(origin, listing, path, &mut said) {
            Ok(table) => table,
            Err(error) => {
                unclear.get_or_insert(error);
                continue;
            }
        };
        let malformed = |reason: String| DataError::malformed(format!("{path} of {origin}"), reason);
        match Columns::of(&table, &index, folder(path)) {
            Ok(columns) => {
                notes.append(&mut said);
                lists.push(List { path, table, columns, part: part(path) });
            }
            Err(Unfit::Unclear(reason)) => _ = unclear.get_or_insert(malformed(reason)),
            Err(Unfit::Unrelated(reason)) => _ = unrelated.get_or_insert(malformed(reason)),
            Err(Unfit::Unlabelled) => notes.push(format!("{path} has no labels and was passed over")),
        }
    }
    let parts: BTreeSet<_> = lists.iter().filter_map(|list| list.part).collect();
    if parts.len() > 1 {
        // A list of everything next to those of the splits adds nothing.
        lists.retain(|list| list.part.is_some());
    } else if lists.len() > 1 && lists.iter().any(|list| stem(list.path).eq_ignore_ascii_case("metadata")) {
        lists.retain(|list| stem(list.path).eq_ignore_ascii_case("metadata"));
    }
    if parts.len() < 2 && lists.len() > 1 {
        let paths: Vec<&str> = lists.iter().map(|list| list.path).collect();
        return Ok(Outcome::None(Some(DataError::Unrecognised {
            origin: origin.to_string(),
            reason: format!(
                "several lists name its images ({}); keep one of them, or call it labels.csv",
                few(&paths)
            ),
        })));
    }
    if lists.is_empty() {
        return Ok(Outcome::None(unclear.or(unrelated)));
    }
    notes.extend(lists.iter().map(List::describe));
    layout(origin, listing, images, &index, &lists, notes).map(Outcome::Found)
}

/// A line of a list whose image exists.
struct Row<'a> {
    image: usize,
    label: &'a str,
    split: &'static str,
}

fn layout(
    origin: &str,
    listing: &Listing,
    images: &Images,
    index: &Index,
    lists: &[List],
    mut notes: Vec<String>,
) -> Result<Layout, DataError> {
    let mut rows = Vec::new();
    let mut used = BTreeSet::new();
    for list in lists {
        rows.extend(rows_of(origin, index, list, &mut used, &mut notes)?);
    }
    if lists.iter().all(|list| list.columns.split.is_none() && list.part.is_none()) {
        splits_by_folder(&mut rows, images, &mut notes);
    }
    let names: Vec<&str> = lists.iter().map(|list| list.path).collect();
    let names = names.join(" or ");
    match images.files.len() - used.len() {
        0 => {}
        1 => notes.push(format!("1 image is not in {names} and was passed over")),
        n => notes.push(format!("{n} images are not in {names} and were passed over")),
    }
    let (classes, labels) = classes(origin, listing, images, &rows, &names, &mut notes)?;
    let mut splits: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for (row, label) in rows.iter().zip(labels) {
        let (path, storage) = images.files[row.image];
        splits.entry(row.split.to_string()).or_default().push(compressed(path, label, storage));
    }
    Ok(Layout { classes, splits, notes, complete: false })
}

pub(super) fn compressed(path: &str, label: usize, storage: &Storage) -> Record {
    let (storage, encoding) = (storage.clone(), Encoding::Compressed);
    Record { identifier: path.to_string(), label, storage, encoding, mask: None }
}

/// The rows of a list whose images exist, in order, each once; rows of missing images are counted.
fn rows_of<'a>(
    origin: &str,
    index: &Index,
    list: &'a List,
    used: &mut BTreeSet<usize>,
    notes: &mut Vec<String>,
) -> Result<Vec<Row<'a>>, DataError> {
    let malformed = |reason: String| DataError::malformed(format!("{} of {origin}", list.path), reason);
    let Columns { file, label, split, names } = &list.columns;
    let mut rows = Vec::new();
    let (mut missing, mut several, mut repeated) = (Vec::new(), Vec::new(), 0usize);
    let mut texts: HashMap<usize, &str> = HashMap::new();
    let mut seen = BTreeSet::new();
    for (line, row) in list.rows() {
        let field = |column: usize, name: &str| match Table::field(row, column) {
            "" => Err(malformed(format!("line {line} has no {name}; add it"))),
            text => Ok(text),
        };
        let file = field(*file, "file")?;
        let label = match label {
            Label::Column(column) => field(*column, "label")?,
            Label::OneHot(columns) => {
                let column =
                    columns.iter().find(|&&column| is_one(Table::field(row, column))).unwrap_or(&columns[0]);
                names.as_ref().and_then(|names| names.get(*column)).map_or("", String::as_str)
            }
        };
        let split = match split {
            None => list.part.map_or("all", Part::name),
            Some(column) => {
                let name = field(*column, "split")?;
                split_name(name).ok_or_else(|| {
                    malformed(format!("line {line} has the split `{name}`; use train, val or test"))
                })?
            }
        };
        match index.find(file, folder(list.path)) {
            Match::None => missing.push(file),
            Match::Several => several.push(file),
            Match::One(image) => {
                // Different texts mean different images, or one of them means a missing image.
                let other = *texts.entry(image).or_insert(file);
                if other != file && !same_path(other, file) {
                    return Err(malformed(format!(
                        "`{other}` and `{file}` (line {line}) both fit one image; correct the list or add the missing image"
                    )));
                }
                used.insert(image);
                match seen.insert((image, label, split)) {
                    true => rows.push(Row { image, label, split }),
                    false => repeated += 1,
                }
            }
        }
    }
    let all = list.rows().len();
    if !missing.is_empty() {
        let verbs = if missing.len() == 1 { "is not there and was" } else { "are not there and were" };
        notes.push(format!(
            "{} of the {all} images in {} {verbs} left out: {}",
            missing.len(),
            list.path,
            few(&missing)
        ));
    }
    if !several.is_empty() {
        notes.push(format!(
            "{} of the {all} names in {} left out, because more than one image fits: {}",
            several.len(),
            list.path,
            few(&several)
        ));
    }
    if repeated > 0 {
        notes.push(format!(
            "{repeated} of the {all} lines in {} left out, because they repeat another",
            list.path
        ));
    }
    Ok(rows)
}

/// Whether two texts are the same path up to irrelevant differences.
fn same_path(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.replace('\\', "/").trim_start_matches("./").to_lowercase();
    plain(a) == plain(b)
}

/// Splits of a list without a split column whose images all lie in folders named after splits.
fn splits_by_folder(rows: &mut [Row], images: &Images, notes: &mut Vec<String>) {
    let split = |row: &Row| {
        let (folders, _) = images.files[row.image].0.rsplit_once('/')?;
        folders.split('/').find_map(split_name)
    };
    let Some(splits) = rows.iter().map(split).collect::<Option<Vec<_>>>() else { return };
    if splits.iter().collect::<BTreeSet<_>>().len() > 1 {
        rows.iter_mut().zip(splits).for_each(|(row, split)| row.split = split);
        notes.push("the splits are those of the images' folders".into());
    }
}
