//! Layouts of image files: class folders, images with lists, Tiny ImageNet's, and images without labels.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::DataError;
use super::images::{Images, few};
use super::listing::Listing;
use super::lists::{self, Outcome, classes_in_order, compressed};
pub(super) use super::names::split_name;
use super::open::{Labels, Layout, OpenOptions};
use super::split::{Record, Skipped};
use super::storage::Storage;
use super::tree::{Arrangement, Folder, Order, arrangement};
use super::{masks, split_lists, tiny_imagenet};

/// Reads whichever of the layouts `listing` has.
pub(super) fn read(origin: &str, listing: &Listing, options: &OpenOptions) -> Result<Layout, DataError> {
    let mut images = Images::of(listing);
    if options.strict {
        refuse_left_out(origin, listing, &images)?;
    }
    let masks = masks::taken(&mut images);
    let without_masks;
    let listing = match masks.is_empty() {
        true => listing,
        false => {
            without_masks = masks::without(listing);
            &without_masks
        }
    };
    if images.files.is_empty() {
        return Err(no_images(origin, listing, &images));
    }
    let mut layout = labelled(origin, listing, &images, options.labels)?;
    masks::given(&mut layout, &masks);
    layout.notes.extend(listing.notes.iter().cloned());
    layout.notes.extend(left_out(&listing.left_out));
    layout.notes.extend(images.note());
    Ok(layout)
}

fn labelled(origin: &str, listing: &Listing, images: &Images, labels: Labels) -> Result<Layout, DataError> {
    let arranged = arrangement(&Folder::of(images.files.iter().map(|(path, _)| *path)));
    let explicit: Vec<&str> =
        listing.files.iter().map(|(path, _)| path.as_str()).filter(|path| lists::is_explicit(path)).collect();
    let mut notes = Vec::new();
    if !explicit.is_empty() {
        match (lists::labelled(origin, listing, images, &explicit[..1])?, &arranged) {
            (Outcome::Found(layout), _) => return Ok(layout),
            (Outcome::None(Some(error)), Ok(_)) => {
                notes.push(format!("{error}; the classes are those of the folders"))
            }
            (Outcome::None(Some(error)), Err(_)) if labels == Labels::Required => return Err(error),
            (Outcome::None(_), _) => {}
        }
    }
    if let Some(annotations) = listing.text(tiny_imagenet::ANNOTATIONS) {
        return tiny_imagenet::read(origin, listing, images, &annotations?);
    }
    let reason = match arranged {
        Ok(arranged) => {
            let mut layout = class_folders(origin, listing, images, arranged)?;
            layout.notes.splice(0..0, notes);
            return Ok(layout);
        }
        Err(reason) => reason,
    };
    let candidates: Vec<&str> =
        lists::candidates(listing).into_iter().filter(|path| !explicit.contains(path)).collect();
    let unclear = match lists::labelled(origin, listing, images, &candidates)? {
        Outcome::Found(layout) => return Ok(layout),
        Outcome::None(unclear) => unclear,
    };
    if let Some(error) = class_without_image(origin, listing, images) {
        return match labels {
            Labels::Required => Err(error),
            Labels::Optional => Ok(unlabelled(images, reason)),
        };
    }
    match (labels, unclear) {
        (Labels::Optional, _) => Ok(unlabelled(images, reason)),
        (Labels::Required, Some(error)) => Err(error),
        (Labels::Required, None) => {
            let lists = listing.left_out.iter().find(|item| lists::is_list(&item.identifier));
            let reason = match lists {
                Some(list) => format!("{reason}, and {} was left out: {}", list.identifier, list.reason),
                None => reason,
            };
            Err(DataError::Unlabelled { origin: origin.to_string(), reason })
        }
    }
}

/// All images in one split, of no class.
fn unlabelled(images: &Images, reason: String) -> Layout {
    let records = images.files.iter().map(|(path, storage)| compressed(path, 0, storage)).collect();
    Layout {
        classes: Vec::new(),
        splits: BTreeMap::from([("all".to_string(), records)]),
        notes: vec![format!("no labels are used: {reason}")],
        complete: false,
    }
}

/// With one class folder that has images and one that has none, the second is what is missing.
fn class_without_image(origin: &str, listing: &Listing, images: &Images) -> Option<DataError> {
    let top = |path: &str| path.split_once('/').map(|(folder, _)| folder.to_string());
    let with: BTreeSet<String> = images.files.iter().filter_map(|(path, _)| top(path)).collect();
    let without = listing.folders.iter().find(|path| !path.contains('/') && !with.contains(*path))?;
    let is_class = with.len() == 1 && images.files.iter().all(|(path, _)| path.contains('/'));
    is_class.then(|| DataError::ClassWithoutImage {
        origin: origin.to_string(),
        split: "all".into(),
        class: without.clone(),
    })
}

fn no_images(origin: &str, listing: &Listing, images: &Images) -> DataError {
    let unrecognised = |reason: String| DataError::Unrecognised { origin: origin.to_string(), reason };
    match (images.note(), left_out(&listing.left_out).first(), listing.files.len()) {
        (Some(note), _, _) => unrecognised(format!("it holds no image that is read ({note})")),
        (None, Some(note), _) => unrecognised(format!("it holds no image that can be read ({note})")),
        (None, None, 0) => DataError::Empty { origin: origin.to_string(), split: None },
        (None, None, files) => unrecognised(format!("none of its {files} files is an image")),
    }
}

/// Files that cannot be read, grouped by reason.
fn left_out(items: &[Skipped]) -> Vec<String> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for item in items {
        reasons.entry(&item.reason).or_default().push(&item.identifier);
    }
    let note = |(reason, names): (&str, Vec<&str>)| match names.as_slice() {
        [one] => format!("{} was left out: {reason}", few(&[one])),
        several => format!("{} files or folders were left out ({reason}): {}", several.len(), few(several)),
    };
    reasons.into_iter().map(note).collect()
}

fn refuse_left_out(origin: &str, listing: &Listing, images: &Images) -> Result<(), DataError> {
    let kind = |image: &Skipped| (image.identifier.clone(), format!("{} images are not read", image.reason));
    let first = listing.left_out.iter().map(|item| (item.identifier.clone(), item.reason.clone()));
    match first.chain(images.undecodable.iter().map(kind)).next() {
        None => Ok(()),
        Some((identifier, reason)) => Err(DataError::LeftOut {
            origin: origin.to_string(),
            count: listing.left_out.len() + images.undecodable.len(),
            identifier,
            reason,
        }),
    }
}

/// `CLASS/…/image` with or without splits.
fn class_folders(
    origin: &str,
    listing: &Listing,
    images: &Images,
    arranged: Arrangement,
) -> Result<Layout, DataError> {
    let Arrangement { order, passed_over, visited, mut notes } = arranged;
    let passed_over: HashSet<String> = passed_over.into_iter().collect();
    let bases: HashMap<&str, &'static str> = match &order {
        Order::Classes(bases) => bases.iter().map(|(split, base)| (base.as_str(), *split)).collect(),
        Order::SplitsWithin(_) => HashMap::new(),
    };
    let place = |path: &str| match &order {
        Order::Classes(_) => ancestors(path).find_map(|base| {
            let (class, _) = below(path, base)?.split_once('/')?;
            Some((*bases.get(base)?, class.to_string()))
        }),
        Order::SplitsWithin(base) => {
            let mut parts = below(path, base)?.split('/');
            let (class, part) = (parts.next()?, parts.next()?);
            parts.next()?;
            Some((split_name(part)?, class.to_string()))
        }
    };
    // The same folder name is kept once for all its images.
    let mut folders: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    let mut placed = Vec::new();
    let mut stray = 0;
    for (i, (path, _)) in images.files.iter().enumerate() {
        match place(path) {
            Some((split, class)) => {
                folders.entry(split).or_default().insert(class.clone());
                placed.push((i, split, class));
            }
            None if ancestors(path).any(|folder| passed_over.contains(folder)) => {}
            None => stray += 1,
        }
    }
    match stray {
        0 => {}
        1 => notes.push("1 image lies outside the class folders and was passed over".into()),
        n => notes.push(format!("{n} images lie outside the class folders and were passed over")),
    }
    let empty = without_images(listing, images, &visited);
    let classes = same_classes(origin, &folders, &empty, &mut notes)?;
    let names: HashSet<&str> = classes.iter().map(String::as_str).collect();
    let present = |folder: &String| folder.rsplit('/').next().is_some_and(|name| names.contains(name));
    let empty: Vec<String> = empty.into_iter().filter(|folder| !present(folder)).collect();
    match (classes.as_slice(), empty.as_slice()) {
        ([_], [class, ..]) => {
            return Err(DataError::ClassWithoutImage {
                origin: origin.to_string(),
                split: folders.keys().next().copied().unwrap_or("all").to_string(),
                class: class.rsplit('/').next().unwrap_or(class).to_string(),
            });
        }
        ([only], []) => {
            return Err(DataError::Unlabelled {
                origin: origin.to_string(),
                reason: format!("it has one class folder only, `{only}`"),
            });
        }
        (_, []) => {}
        (_, [one]) => notes.push(format!("the folder {one} holds no image and is not a class")),
        (_, several) => {
            notes.push(format!(
                "{} folders hold no image and are not classes: {}",
                several.len(),
                few(several)
            ));
        }
    }
    if !classes.is_sorted() {
        notes.push(format!(
            "the class folders are numbers and stand in the order of numbers: {}",
            few(&classes)
        ));
    }
    let index: BTreeMap<&str, usize> =
        classes.iter().enumerate().map(|(i, class)| (class.as_str(), i)).collect();

    // Folders of a single split may be divided by lists next to them.
    let listed = match &order {
        Order::Classes(bases) if bases.iter().all(|(split, _)| *split == "all") => {
            split_lists::splits(listing, images, &placed, &mut notes)
        }
        _ => None,
    };
    let mut splits: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for (i, split, class) in placed {
        let (path, storage): (&str, &Storage) = images.files[i];
        let split = match &listed {
            None => split,
            Some(listed) => match listed[i] {
                Some(split) => split,
                None => continue,
            },
        };
        splits.entry(split.to_string()).or_default().push(compressed(path, index[class.as_str()], storage));
    }
    Ok(Layout { classes, splits, notes, complete: true })
}

/// The folders that contain a path, starting at the root, which is empty.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::once("").chain(path.match_indices('/').map(|(at, _)| &path[..at]))
}

/// The rest of a path below a folder.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() { Some(path) } else { path.strip_prefix(folder)?.strip_prefix('/') }
}

/// Folders without images directly below those visited.
fn without_images(listing: &Listing, images: &Images, visited: &[String]) -> Vec<String> {
    let mut with: BTreeSet<&str> = BTreeSet::new();
    for (path, _) in &images.files {
        let mut parent = *path;
        while let Some((shorter, _)) = parent.rsplit_once('/') {
            if !with.insert(shorter) {
                break;
            }
            parent = shorter;
        }
    }
    let visited: HashSet<&str> = visited.iter().map(String::as_str).collect();
    let parent = |path: &str| path.rsplit_once('/').map_or(0, |(parent, _)| parent.len());
    let is_beside = |path: &&String| !with.contains(path.as_str()) && visited.contains(&path[..parent(path)]);
    listing.folders.iter().filter(is_beside).cloned().collect()
}

/// The classes of `train`, or of all splits without one; no other split may have more.
fn same_classes(
    origin: &str,
    folders: &BTreeMap<&'static str, BTreeSet<String>>,
    empty: &[String],
    notes: &mut Vec<String>,
) -> Result<Vec<String>, DataError> {
    let (name, reference) = match ["train", "all"].into_iter().find_map(|name| folders.get_key_value(name)) {
        Some((name, reference)) => (*name, reference.clone()),
        None => ("others", folders.values().flatten().cloned().collect()),
    };
    let list = |names: &BTreeSet<&String>| {
        let shown: Vec<_> = names.iter().take(5).map(|name| format!("`{name}`")).collect();
        let more = if names.len() > 5 { format!(" and {} more", names.len() - 5) } else { String::new() };
        format!("{}{more}", shown.join(", "))
    };
    let empty: HashSet<&str> = empty.iter().filter_map(|folder| folder.rsplit('/').next()).collect();
    for (split, classes) in folders {
        let missing: BTreeSet<_> = reference.difference(classes).collect();
        let extra: BTreeSet<_> = classes.difference(&reference).collect();
        let in_empty = |class: &&&String| empty.contains(class.as_str());
        if let Some(class) = extra.iter().find(in_empty) {
            let (split, class) = (name.to_string(), class.to_string());
            return Err(DataError::ClassWithoutImage { origin: origin.to_string(), split, class });
        }
        let difference = match (missing.is_empty(), extra.is_empty()) {
            (true, true) => continue,
            (false, true) => {
                let classes = if missing.len() == 1 { "class" } else { "classes" };
                notes.push(format!("`{split}` has no image of the {classes} {}", list(&missing)));
                continue;
            }
            (true, false) => format!("has the classes {} that `{name}` lacks", list(&extra)),
            (false, false) => {
                format!("lacks the classes {} and has {} instead", list(&missing), list(&extra))
            }
        };
        let (origin, split) = (origin.to_string(), split.to_string());
        return Err(DataError::ClassMismatch { origin, split, difference });
    }
    Ok(classes_in_order(reference))
}
