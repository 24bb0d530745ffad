//! Layouts made of files: class folders, `images/` with `labels.csv`, and Tiny ImageNet's.

use std::collections::{BTreeMap, BTreeSet};

use super::DataError;
use super::listing::Listing;
use super::open::Layout;
use super::split::{Encoding, Record};
use super::storage::Storage;

/// Reads whichever of the layouts `listing` has.
pub(super) fn read(origin: &str, listing: &Listing) -> Result<Layout, DataError> {
    if let Some(text) = listing.text("labels.csv") {
        return labelled_list(origin, listing, &text?);
    }
    let images: Vec<_> = listing.files.iter().filter(|(path, _)| is_image(path)).collect();
    if images.is_empty() && listing.files.is_empty() {
        return Err(DataError::Empty { origin: origin.to_string(), split: None });
    }
    let unrecognised = |reason: String| DataError::Unrecognised { origin: origin.to_string(), reason };
    if images.is_empty() {
        return Err(unrecognised(format!("none of its {} files is an image", listing.files.len())));
    }
    if let Some(annotations) = listing.text("val/val_annotations.txt") {
        return tiny_imagenet(origin, listing, &annotations?);
    }
    class_folders(origin, listing)
}

/// `CLASS/…/image` or `SPLIT/CLASS/…/image`.
fn class_folders(origin: &str, listing: &Listing) -> Result<Layout, DataError> {
    let top: BTreeSet<&str> =
        listing.folders.iter().filter(|path| !path.contains('/')).map(String::as_str).collect();
    // A folder named `test` among animals is a class; beside `train` it is a split.
    let has_splits = top.iter().any(|folder| split_name(folder) == Some("train"));
    let mut notes = Vec::new();
    let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in &listing.folders {
        let mut parts = path.split('/');
        let split = match (has_splits, parts.clone().next().and_then(split_name)) {
            (false, _) => "all",
            (true, Some(split)) => {
                parts.next();
                folders.entry(split.to_string()).or_default();
                split
            }
            (true, None) => continue,
        };
        if let Some(class) = parts.next() {
            folders.entry(split.to_string()).or_default().insert(class.to_string());
        }
    }
    if has_splits {
        let others: Vec<_> = top.iter().filter(|folder| split_name(folder).is_none()).copied().collect();
        if !others.is_empty() {
            notes.push(format!("these folders are no splits and were passed over: {}", others.join(", ")));
        }
    }
    // A `test` folder without class folders is an unlabelled challenge set.
    folders.retain(|split, classes| {
        let keep = !classes.is_empty() || split == "train" || split == "all";
        if !keep {
            notes.push(format!("`{split}` has no class folders, so no labels, and was passed over"));
        }
        keep
    });
    let classes = same_classes(origin, &folders)?;
    let index: BTreeMap<&str, usize> =
        classes.iter().enumerate().map(|(i, class)| (class.as_str(), i)).collect();

    let mut splits: BTreeMap<String, Vec<Record>> =
        folders.keys().map(|split| (split.clone(), Vec::new())).collect();
    let mut stray = 0;
    for (path, storage) in listing.files.iter().filter(|(path, _)| is_image(path)) {
        let mut parts = path.split('/');
        let split = if has_splits { parts.next().and_then(split_name) } else { Some("all") };
        let class = parts.next().and_then(|class| index.get(class));
        match (split.and_then(|split| splits.get_mut(split)), class, parts.next()) {
            (Some(records), Some(&label), Some(_)) => records.push(compressed(path, label, storage)),
            _ => stray += 1,
        }
    }
    if stray > 0 {
        notes.push(format!("{stray} images lie outside the class folders and were passed over"));
    }
    if classes.len() < 2 {
        return Err(DataError::Unrecognised {
            origin: origin.to_string(),
            reason: match classes.as_slice() {
                [only] => format!("it has one class folder only, `{only}`"),
                _ => "its images do not lie in class folders".to_string(),
            },
        });
    }
    Ok(Layout { classes, splits, notes, complete: true })
}

fn same_classes(
    origin: &str,
    folders: &BTreeMap<String, BTreeSet<String>>,
) -> Result<Vec<String>, DataError> {
    let reference = folders.get("train").or_else(|| folders.get("all")).cloned().unwrap_or_default();
    for (split, classes) in folders {
        let list = |names: BTreeSet<&String>| {
            let shown: Vec<_> = names.iter().take(5).map(|name| format!("`{name}`")).collect();
            let more = if names.len() > 5 { format!(" and {} more", names.len() - 5) } else { String::new() };
            format!("{}{more}", shown.join(", "))
        };
        let missing: BTreeSet<_> = reference.difference(classes).collect();
        let extra: BTreeSet<_> = classes.difference(&reference).collect();
        let difference = match (missing.is_empty(), extra.is_empty()) {
            (true, true) => continue,
            (false, true) => format!("lacks the classes {} that `train` has", list(missing)),
            (true, false) => format!("has the classes {} that `train` lacks", list(extra)),
            (false, false) => format!("lacks the classes {} and has {} instead", list(missing), list(extra)),
        };
        let (origin, split) = (origin.to_string(), split.clone());
        return Err(DataError::ClassMismatch { origin, split, difference });
    }
    Ok(reference.into_iter().collect())
}

/// Tiny ImageNet: `train/WNID/images/…`, and `val/images/…` labelled by `val/val_annotations.txt`; `words.txt`
/// gives the names. Classes are in the order of their WordNet identifiers, as tools that sort folders have it.
fn tiny_imagenet(origin: &str, listing: &Listing, annotations: &str) -> Result<Layout, DataError> {
    let mut wnids: BTreeSet<String> = match listing.text("wnids.txt") {
        Some(text) => text?.split_whitespace().map(str::to_string).collect(),
        None => BTreeSet::new(),
    };
    let train_class =
        |path: &str| path.strip_prefix("train/").and_then(|rest| rest.split('/').next()).map(str::to_string);
    if wnids.is_empty() {
        wnids.extend(listing.folders.iter().filter_map(|path| train_class(path)));
    }
    let index: BTreeMap<&str, usize> = wnids.iter().enumerate().map(|(i, wnid)| (wnid.as_str(), i)).collect();

    let train = listing.files.iter().filter(|(path, _)| is_image(path)).filter_map(|(path, storage)| {
        let label = *index.get(train_class(path)?.as_str())?;
        Some(compressed(path, label, storage))
    });
    let mut splits = BTreeMap::from([("train".to_string(), train.collect::<Vec<_>>())]);

    let stored: BTreeMap<&str, &Storage> =
        listing.files.iter().map(|(path, storage)| (path.as_str(), storage)).collect();
    let mut val = Vec::new();
    for line in annotations.lines().filter(|line| !line.trim().is_empty()) {
        let mut fields = line.split_whitespace();
        let (Some(file), Some(wnid)) = (fields.next(), fields.next()) else {
            return Err(DataError::malformed(
                "val/val_annotations.txt",
                format!("the line `{line}` has no class; correct it"),
            ));
        };
        let Some(&label) = index.get(wnid) else {
            return Err(DataError::ClassMismatch {
                origin: origin.to_string(),
                split: "val".to_string(),
                difference: format!("gives {file} the class `{wnid}`, which is not among those of `train`"),
            });
        };
        let path = format!("val/images/{file}");
        let storage = stored.get(path.as_str()).copied().unwrap_or(&LISTED_ONLY);
        val.push(compressed(&path, label, storage));
    }
    splits.insert("val".to_string(), val);

    let words = listing.text("words.txt").transpose()?.unwrap_or_default();
    let notes = match listing.files.iter().any(|(path, _)| path.starts_with("test/") && is_image(path)) {
        true => vec!["`test` has no labels and was passed over; `val` takes its part".to_string()],
        false => Vec::new(),
    };
    Ok(Layout { classes: readable_names(&wnids, &words), splits, notes, complete: true })
}

/// The first of each class's synonyms, or all of them where the first is shared ("crane" twice).
fn readable_names(wnids: &BTreeSet<String>, words: &str) -> Vec<String> {
    let synonyms: BTreeMap<&str, &str> = words.lines().filter_map(|line| line.split_once('\t')).collect();
    let first = |wnid: &str| {
        let all = synonyms.get(wnid).copied().unwrap_or(wnid);
        all.split(',').next().unwrap_or(all).trim().to_string()
    };
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    wnids.iter().for_each(|wnid| *uses.entry(first(wnid)).or_default() += 1);
    let name = |wnid: &String| {
        let short = first(wnid);
        if uses[&short] == 1 { short } else { format!("{short} ({wnid})") }
    };
    wnids.iter().map(name).collect()
}

/// `labels.csv` with a column of files and a column of classes, as names or as numbers from 0; optionally a
/// column `split`. Images lie in `images/` or where the list says. `classes.txt` beside it names the classes
/// of numbers, one a line.
fn labelled_list(origin: &str, listing: &Listing, text: &str) -> Result<Layout, DataError> {
    let malformed = |reason: String| DataError::malformed(format!("labels.csv of {origin}"), reason);
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header =
        reader.headers().map_err(|error| malformed(format!("it is no table ({error}); correct it")))?.clone();
    let column =
        |names: &[&str]| header.iter().position(|field| names.contains(&field.to_lowercase().as_str()));
    let file_column = column(&["file", "filename", "file_name", "image", "path", "name", "id"]);
    let label_column = column(&["label", "class", "category", "target", "class_index"]);
    let (Some(file_column), Some(label_column)) = (file_column, label_column) else {
        let header: Vec<_> = header.iter().collect();
        return Err(malformed(format!(
            "its first line must name a column `file` and a column `label`, but it is `{}`",
            header.join(",")
        )));
    };
    let split_column = column(&["split", "subset"]);

    struct Row {
        file: String,
        label: String,
        split: &'static str,
    }
    let mut rows = Vec::new();
    for (i, row) in reader.records().enumerate() {
        let line = i + 2;
        let row =
            row.map_err(|error| malformed(format!("line {line} cannot be read ({error}); correct it")))?;
        let field = |column: usize, name: &str| match row.get(column) {
            Some(text) if !text.is_empty() => Ok(text.to_string()),
            _ => Err(malformed(format!("line {line} has no {name}; add it"))),
        };
        let split = match split_column {
            None => "all",
            Some(column) => {
                let name = field(column, "split")?;
                split_name(&name).ok_or_else(|| {
                    malformed(format!("line {line} has the split `{name}`; use train, val or test"))
                })?
            }
        };
        rows.push(Row { file: field(file_column, "file")?, label: field(label_column, "label")?, split });
    }
    let numbers: Option<Vec<i64>> = rows.iter().map(|row| row.label.parse().ok()).collect();
    let listed = listing.text("classes.txt").transpose()?;
    let listed: Option<Vec<String>> = listed.map(|text| {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_string).collect()
    });
    let (classes, labels): (Vec<String>, Vec<i64>) = match (numbers, listed) {
        (Some(numbers), Some(classes)) => (classes, numbers),
        (Some(numbers), None) => {
            let last = numbers.iter().copied().max().unwrap_or(0).clamp(0, MAX_CLASS);
            ((0..=last).map(|label| label.to_string()).collect(), numbers)
        }
        (None, listed) => {
            let classes = listed.unwrap_or_else(|| {
                rows.iter().map(|row| row.label.clone()).collect::<BTreeSet<_>>().into_iter().collect()
            });
            let index = |row: &Row| classes.iter().position(|class| *class == row.label);
            let unknown = |row: &Row| {
                malformed(format!(
                    "{} has the class `{}`, which classes.txt lacks; add it there",
                    row.file, row.label
                ))
            };
            let labels: Result<Vec<i64>, _> =
                rows.iter().map(|row| index(row).map(|i| i as i64).ok_or_else(|| unknown(row))).collect();
            let labels = labels?;
            (classes, labels)
        }
    };

    let stored: BTreeMap<&str, &Storage> =
        listing.files.iter().map(|(path, storage)| (path.as_str(), storage)).collect();
    let mut splits: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    let mut used = BTreeSet::new();
    for (row, label) in rows.iter().zip(labels) {
        let out_of_range = || DataError::LabelOutOfRange {
            origin: origin.to_string(),
            identifier: row.file.clone(),
            label,
            classes: classes.len(),
        };
        let label = usize::try_from(label).map_err(|_| out_of_range())?;
        let within = [format!("images/{}", row.file), row.file.clone()];
        let found = within.iter().find_map(|path| stored.get_key_value(path.as_str()));
        let (path, storage) =
            found.map_or((row.file.as_str(), &LISTED_ONLY), |(path, storage)| (*path, *storage));
        used.insert(path);
        splits.entry(row.split.to_string()).or_default().push(compressed(path, label, storage));
    }
    let unlisted = stored.keys().filter(|path| is_image(path) && !used.contains(*path)).count();
    let notes = match unlisted {
        0 => Vec::new(),
        n => vec![format!("{n} images are not in labels.csv and were passed over")],
    };
    Ok(Layout { classes, splits, notes, complete: false })
}

/// A label beyond this is a slip, not a class.
const MAX_CLASS: i64 = 999_999;

const LISTED_ONLY: Storage = Storage::Missing("it is listed but is not there");

fn compressed(path: &str, label: usize, storage: &Storage) -> Record {
    Record { identifier: path.to_string(), label, storage: storage.clone(), encoding: Encoding::Compressed }
}

/// `train`, `val` or `test` under the names that are in use for them.
pub(super) fn split_name(text: &str) -> Option<&'static str> {
    match text.to_lowercase().as_str() {
        "train" | "training" => Some("train"),
        "val" | "valid" | "validation" | "dev" => Some("val"),
        "test" | "testing" => Some("test"),
        _ => None,
    }
}

/// By its ending; formats that cannot be decoded count too, so that they are named instead of overlooked.
fn is_image(path: &str) -> bool {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    matches!(
        ending.as_deref(),
        Some("png" | "jpg" | "jpeg" | "webp" | "bmp" | "gif" | "tif" | "tiff" | "ppm" | "pgm")
    )
}
