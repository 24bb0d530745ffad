//! Shards of the webdataset layout (Aizman, Maltby and Breuel, 2019, *High Performance I/O for Large Scale Deep Learning*): tar archives in
//! which the files of an example share their name up to the first dot, such as `000017.jpg` and `000017.cls` or `000017.json`.
//!
//! A `.cls` holds the class, as a number or a text; a `.json` is an object with it, which may name the class as well. Nothing is unpacked:
//! images are read from their places in the shards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::DataError;
use super::image::IMAGE_ENDINGS;
use super::images::few;
use super::labels::{Label, MAX_CLASS, Row, classify};
use super::listing::Listing;
use super::lists::compressed;
use super::names::Part;
use super::open::{Labels, Layout, OpenOptions};
use super::storage::Storage;

/// Keys under which an object of an example has its class, the likeliest first.
const CLASS: [&str; 6] = ["cls", "label", "class", "target", "class_id", "category"];

/// Keys under which it has the name of a class that is a number.
const NAME: [&str; 3] = ["class_name", "label_name", "category_name"];

/// Longest file that says a class.
const LONGEST_CLASS: u64 = 1 << 20;

/// Whether the files of an archive are examples with classes of this layout. An archive of class folders may hold a description next to
/// each image as well, so that one is looked at.
pub(super) fn has_layout(shard: &Listing) -> bool {
    let examples = examples(shard);
    let with_image = || examples.values().filter(|example| example.image.is_some());
    let described =
        || with_image().find_map(|example| example.json).is_some_and(|json| class_in(json).is_ok());
    with_image().any(|example| example.cls.is_some()) || described()
}

/// Reads the examples of all shards, whose files `listings` gives one after another; a shard belongs to the split that its name, or else
/// its folder's, says.
pub(super) fn read(
    source: &str,
    shards: &[PathBuf],
    listings: impl IntoIterator<Item = Result<Listing, DataError>>,
    options: &OpenOptions,
) -> Result<Layout, DataError> {
    let mut found = Found::default();
    let names = names(shards);
    for ((path, name), shard) in shards.iter().zip(&names).zip(listings) {
        let shard = shard?;
        if let Some(first) = shard.left_out.first().filter(|_| options.strict) {
            return Err(DataError::LeftOut {
                origin: path.display().to_string(),
                count: shard.left_out.len(),
                identifier: first.identifier.clone(),
                reason: first.reason.clone(),
            });
        }
        found.add(path, name, &shard)?;
    }
    found.layout(source, shards, options.labels)
}

/// What the shards hold so far.
#[derive(Default)]
struct Found {
    splits: BTreeMap<String, Vec<Row>>,
    /// Images without a class, by split, and the first of them.
    without: BTreeMap<String, Vec<(String, Storage)>>,
    /// Names of classes that are numbers.
    named: BTreeMap<usize, String>,
    several: Vec<String>,
    notes: Vec<String>,
}

impl Found {
    fn add(&mut self, path: &Path, name: &str, shard: &Listing) -> Result<(), DataError> {
        let split = split_of(path).to_string();
        for note in &shard.notes {
            self.notes.push(format!("{name}: {note}"));
        }
        for left_out in &shard.left_out {
            self.notes.push(format!("{name}: {} was left out: {}", left_out.identifier, left_out.reason));
        }
        for (key, example) in examples(shard) {
            let Some((member, storage)) = example.image else { continue };
            let identifier = format!("{name}/{member}");
            if example.more_images {
                self.several.push(identifier.clone());
            }
            let wrong = |(member, reason): (&str, String)| {
                DataError::malformed(
                    path,
                    format!("its member {member} {reason}; correct it or remove {key}.*"),
                )
            };
            let class = match (example.cls, example.json) {
                (Some(cls), _) => Some((class_of_text(cls).map_err(|reason| wrong((cls.0, reason)))?, None)),
                (None, Some(json)) => Some(class_in(json).map_err(|reason| wrong((json.0, reason)))?),
                (None, None) => None,
            };
            match class {
                Some((label, class_name)) => {
                    if let (Label::Number(number), Some(class_name)) = (&label, class_name) {
                        self.name(path, *number, class_name)?;
                    }
                    let storage = storage.clone();
                    self.splits.entry(split.clone()).or_default().push(Row { identifier, label, storage });
                }
                None => self.without.entry(split.clone()).or_default().push((identifier, storage.clone())),
            }
        }
        Ok(())
    }

    /// One number has one name, in all shards.
    fn name(&mut self, path: &Path, number: usize, name: String) -> Result<(), DataError> {
        let known = self.named.entry(number).or_insert_with(|| name.clone());
        match *known == name {
            true => Ok(()),
            false => Err(DataError::malformed(
                path,
                format!(
                    "it calls the class {number} `{name}`, and another example calls it `{known}`; give each class one name"
                ),
            )),
        }
    }

    fn layout(self, source: &str, shards: &[PathBuf], labels: Labels) -> Result<Layout, DataError> {
        let Found { splits, without, named, several, mut notes } = self;
        if !several.is_empty() {
            let (count, shown) = (several.len(), few(&several));
            notes.push(format!(
                "{count} examples have several images, of which the first by name is used: {shown}"
            ));
        }
        let first = without.values().flatten().next().map(|(identifier, _)| identifier.as_str());
        let reason =
            |first: &str| format!("{first} has neither a .cls nor a .json next to it that says its class");
        match (first, labels) {
            (None, _) if splits.is_empty() => {
                return Err(DataError::Empty { origin: source.to_string(), split: None });
            }
            (None, _) => {}
            (Some(first), _) if !splits.is_empty() => {
                let count: usize = without.values().map(Vec::len).sum();
                let reason = format!(
                    "{count} of its images have no class, the first is {first}; add them or remove the images"
                );
                return Err(DataError::malformed(source, reason));
            }
            (Some(first), Labels::Required) => {
                return Err(DataError::Unlabelled { origin: source.to_string(), reason: reason(first) });
            }
            (Some(first), Labels::Optional) => {
                notes.push(format!("no labels are used: {}", reason(first)));
                let records = without
                    .values()
                    .flatten()
                    .map(|(identifier, storage)| compressed(identifier, 0, storage));
                let splits = BTreeMap::from([("all".to_string(), records.collect())]);
                return Ok(Layout { classes: Vec::new(), splits, notes, complete: false });
            }
        }
        let numbers: BTreeSet<usize> = (splits.values().flatten())
            .filter_map(|row| if let Label::Number(number) = row.label { Some(number) } else { None })
            .collect();
        // Names of some of the classes would leave the others without.
        let has_names = !numbers.is_empty() && numbers.iter().all(|number| named.contains_key(number));
        let (mut classes, splits) = classify(shards, None, splits)?;
        if has_names {
            classes = numbers.iter().map(|number| named[number].clone()).collect();
        }
        Ok(Layout { classes, splits, notes, complete: false })
    }
}

/// A file of an example: its path in the shard, and where it lies.
type Member<'a> = (&'a str, &'a Storage);

/// What belongs to one image.
#[derive(Default)]
struct Example<'a> {
    image: Option<Member<'a>>,
    more_images: bool,
    cls: Option<Member<'a>>,
    json: Option<Member<'a>>,
}

/// The examples of a shard by what their files' names have in common.
fn examples(shard: &Listing) -> BTreeMap<&str, Example<'_>> {
    let mut examples: BTreeMap<&str, Example> = BTreeMap::new();
    for (path, storage) in &shard.files {
        let file = path.rfind('/').map_or(0, |slash| slash + 1);
        // A name that begins with a dot is litter, which is not listed.
        let Some(dot) = path[file..].find('.') else { continue };
        let (key, ending) = (&path[..file + dot], path[file + dot + 1..].to_lowercase());
        let example = examples.entry(key).or_default();
        match ending.as_str() {
            "cls" => example.cls = Some((path, storage)),
            "json" => example.json = Some((path, storage)),
            // `seg.png` and the like describe the image.
            ending if IMAGE_ENDINGS.contains(&ending) => match example.image {
                None => example.image = Some((path, storage)),
                Some(_) => example.more_images = true,
            },
            _ => {}
        }
    }
    examples
}

/// The bytes of a file that says a class, or what is wrong with it as the end of a sentence.
fn read_short(storage: &Storage) -> Result<Vec<u8>, String> {
    match storage.length()? {
        0..=LONGEST_CLASS => Ok(storage.read()?.into_owned()),
        longer => Err(format!("has {longer} bytes, too many for a class")),
    }
}

fn number(number: i64) -> Result<Label, String> {
    match usize::try_from(number) {
        Ok(number) if number <= MAX_CLASS => Ok(Label::Number(number)),
        _ => Err(format!("has the class {number}, but classes count from 0 to {MAX_CLASS} at most")),
    }
}

fn class_of_text((_, storage): Member) -> Result<Label, String> {
    let bytes = read_short(storage)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not text in UTF-8".to_string())?.trim();
    match text.parse::<i64>() {
        Ok(class) => number(class),
        Err(_) if text.is_empty() => Err("is empty where it should hold a class".into()),
        Err(_) => Ok(Label::Text(text.to_string())),
    }
}

/// The class that an object has, and its name if the class is a number.
fn class_in((_, storage): Member) -> Result<(Label, Option<String>), String> {
    let object: Value =
        serde_json::from_slice(&read_short(storage)?).map_err(|error| format!("is not JSON ({error})"))?;
    let value = CLASS.iter().map(|key| &object[*key]).find(|value| value.is_i64() || value.is_string());
    let name = || NAME.iter().find_map(|key| object[*key].as_str()).map(str::to_string);
    match value {
        Some(Value::String(text)) if !text.trim().is_empty() => {
            Ok((Label::Text(text.trim().to_string()), None))
        }
        Some(value) if value.is_i64() => Ok((number(value.as_i64().unwrap_or(-1))?, name())),
        _ => match name() {
            Some(name) => Ok((Label::Text(name), None)),
            None => Err(format!("says no class; give it one under `{}`", CLASS[1])),
        },
    }
}

/// The split that a shard belongs to.
fn split_of(path: &Path) -> &'static str {
    let part = |name: Option<&std::ffi::OsStr>| {
        let (part, _) = Part::of_name(&name?.to_string_lossy())?;
        (part != Part::Unlabelled).then(|| part.name())
    };
    part(path.file_stem()).or_else(|| part(path.parent()?.file_name())).unwrap_or("all")
}

/// Names of shards: those of their files, with the folder where two are the same.
fn names(shards: &[PathBuf]) -> Vec<String> {
    let file = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let distinct: BTreeSet<String> = shards.iter().map(|path| file(path)).collect();
    let within = |path: &PathBuf| match path.parent() {
        Some(folder) if distinct.len() < shards.len() => format!("{}/{}", file(folder), file(path)),
        _ => file(path),
    };
    shards.iter().map(within).collect()
}
