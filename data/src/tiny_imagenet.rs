//! Tiny ImageNet's layout, as it is published and with `val` sorted into class folders.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::DataError;
use super::images::{Images, few};
use super::listing::Listing;
use super::lists::compressed;
use super::masks::MaskSource;
use super::open::Layout;
use super::split::Record;
use super::storage::Storage;

/// The list that labels `val`.
pub(super) const ANNOTATIONS: &str = "val/val_annotations.txt";

/// `train/WNID/images/…`, and `val/images/…` labelled by `annotations`, or `val/WNID/…`; `words.txt` gives the names. Classes
/// are in the order of their WordNet identifiers, as in tools that sort folders.
pub(super) fn read(
    origin: &str,
    listing: &Listing,
    images: &Images,
    annotations: &str,
) -> Result<Layout, DataError> {
    let mut wnids: BTreeSet<String> = match listing.text("wnids.txt") {
        Some(text) => text?.split_whitespace().map(str::to_string).collect(),
        None => BTreeSet::new(),
    };
    if wnids.is_empty() {
        wnids.extend(listing.folders.iter().filter_map(|path| class_in("train/", path)).map(str::to_string));
    }
    let index: BTreeMap<&str, usize> = wnids.iter().enumerate().map(|(i, wnid)| (wnid.as_str(), i)).collect();
    let boxes = boxes(listing)?;
    let boxed = |path: &str, record: Record| Record {
        mask: path.rsplit('/').next().and_then(|file| boxes.get(file)).cloned(),
        ..record
    };
    let in_folders = |split: &str| {
        let labelled = images.files.iter().filter_map(|(path, storage)| {
            let label = *index.get(class_in(split, path)?)?;
            Some(boxed(path, compressed(path, label, storage)))
        });
        labelled.collect::<Vec<_>>()
    };
    let mut splits = BTreeMap::from([("train".to_string(), in_folders("train/"))]);
    let mut notes = Vec::new();

    let stored: HashMap<&str, &Storage> = images.files.iter().copied().collect();
    let (mut val, mut missing) = (Vec::new(), Vec::new());
    let mut sorted = false;
    for line in annotations.lines().filter(|line| !line.trim().is_empty()) {
        let mut fields = line.split_whitespace();
        let (Some(file), Some(wnid)) = (fields.next(), fields.next()) else {
            return Err(DataError::malformed(
                ANNOTATIONS,
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
        let places = ["images/".to_string(), format!("{wnid}/images/"), format!("{wnid}/"), String::new()];
        let found = places.iter().enumerate().find_map(|(i, place)| {
            let (path, storage) = stored.get_key_value(format!("val/{place}{file}").as_str())?;
            Some((i, *path, *storage))
        });
        match found {
            Some((place, path, storage)) => {
                sorted |= place == 1 || place == 2;
                let mask = mask_in(fields).map(Arc::new);
                val.push(Record { mask, ..compressed(path, label, storage) });
            }
            None => missing.push(file),
        }
    }
    if val.is_empty() {
        val = in_folders("val/");
        sorted = !val.is_empty();
    } else if !missing.is_empty() {
        notes.push(format!(
            "{} images in {ANNOTATIONS} are not there and were left out: {}",
            missing.len(),
            few(&missing)
        ));
    }
    if sorted {
        notes.push(format!("`val` is sorted into class folders; {ANNOTATIONS} is left in place"));
    }
    if val.is_empty() {
        return Err(DataError::malformed(
            format!("{ANNOTATIONS} of {origin}"),
            format!("none of the images that it lists is there, such as {}; copy val/ again", few(&missing)),
        ));
    }
    splits.insert("val".to_string(), val);

    let words = listing.text("words.txt").transpose()?.unwrap_or_default();
    if images.files.iter().any(|(path, _)| path.starts_with("test/")) {
        notes.push("`test` has no labels and was passed over; `val` takes its part".to_string());
    }
    Ok(Layout { classes: readable_names(&wnids, &words), splits, notes, complete: true })
}

/// The boxes of the training images, by the images' names: `train/WNID/WNID_boxes.txt`.
fn boxes(listing: &Listing) -> Result<HashMap<String, Arc<MaskSource>>, DataError> {
    let mut boxes = HashMap::new();
    let lists = listing.files.iter().map(|(path, _)| path.as_str());
    for list in lists.filter(|path| path.starts_with("train/") && path.ends_with("_boxes.txt")) {
        let text = listing.text(list).transpose()?.unwrap_or_default();
        for line in text.lines() {
            let mut fields = line.split_whitespace();
            if let (Some(file), Some(mask)) = (fields.next(), mask_in(fields)) {
                boxes.insert(file.to_owned(), Arc::new(mask));
            }
        }
    }
    Ok(boxes)
}

/// A box from the rest of a line: left, top, right, bottom, all within; `None` where there is none.
fn mask_in<'a>(fields: impl Iterator<Item = &'a str>) -> Option<MaskSource> {
    let sides: Vec<usize> = fields.take(4).map_while(|field| field.parse().ok()).collect();
    sides.try_into().ok().map(MaskSource::Box)
}

fn class_in<'a>(split: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(split)?.split('/').next()
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
