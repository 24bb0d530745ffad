//! The meaning of folders with images: splits, classes, or neither.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::images::few;
use super::names::{Part, are_parts, is_auxiliary, is_container};

/// A folder with images somewhere below it.
#[derive(Default)]
pub(super) struct Folder<'a> {
    /// Images in the folder itself.
    direct: usize,
    folders: BTreeMap<&'a str, Folder<'a>>,
}

impl<'a> Folder<'a> {
    /// The folders of images at `paths`.
    pub(super) fn of(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut root = Folder::default();
        for path in paths {
            let mut folder = &mut root;
            let Some((parents, _)) = path.rsplit_once('/') else {
                root.direct += 1;
                continue;
            };
            for part in parents.split('/') {
                folder = folder.folders.entry(part).or_default();
            }
            folder.direct += 1;
        }
        root
    }

    fn is_flat(&self) -> bool {
        self.folders.is_empty()
    }

    /// The only folder in it that contains class folders, or images of all classes, if everything next to it is auxiliary.
    fn container(&self) -> Option<(&'a str, &Folder<'a>)> {
        let named = self.folders.iter().find(|(name, _)| is_container(name));
        let mut rest = self.folders.iter().filter(|(name, _)| !is_auxiliary(name));
        // With any name, if it holds folders and its neighbours do not.
        let only = rest.next().filter(|(_, folder)| rest.next().is_none() && !folder.is_flat());
        let (name, folder) = named.or(only.filter(|_| self.folders.len() > 1))?;
        let rest_describes = self.folders.keys().all(|other| other == name || is_auxiliary(other));
        (self.direct == 0 && rest_describes).then_some((*name, folder))
    }
}

/// Location of labelled images.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrangement {
    pub(super) order: Order,
    /// Folders with images that belong to no split and no class.
    pub(super) passed_over: Vec<String>,
    /// The visited folders, whose other contents are noted.
    pub(super) visited: Vec<String>,
    pub(super) notes: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `BASE/CLASS/…/image`, each base with its split; one base of `all` where there are no splits.
    Classes(Vec<(&'static str, String)>),
    /// `BASE/CLASS/SPLIT/…/image`.
    SplitsWithin(String),
}

const NO_CLASSES: &str = "its images do not lie in class folders";

/// Location of the classes.
///
/// # Errors
/// Why there are none, as part of a sentence.
pub(super) fn arrangement(root: &Folder) -> Result<Arrangement, String> {
    let (mut folder, mut path) = (root, String::new());
    let mut found = Arrangement {
        order: Order::Classes(Vec::new()),
        passed_over: Vec::new(),
        visited: Vec::new(),
        notes: Vec::new(),
    };
    loop {
        found.visited.push(path.clone());
        if folder.is_flat() {
            return Err(NO_CLASSES.to_string());
        }
        if let Some(bases) = splits(folder, &path, &mut found)? {
            found.order = Order::Classes(bases);
            return Ok(found);
        }
        let inner = match folder.container() {
            Some(container) => {
                let beside = folder.folders.keys().filter(|name| **name != container.0);
                found.passed_over.extend(beside.map(|name| join(&path, name)));
                container
            }
            None if folder.folders.len() == 1 => {
                let (name, only) = folder.folders.first_key_value().expect("there is one");
                if only.is_flat() || only.folders.len() == 1 && only.direct > 0 {
                    return Err(match Part::of_name(name) {
                        None => format!("it has one class folder only, `{name}`"),
                        Some(_) => NO_CLASSES.to_string(),
                    });
                }
                (*name, only)
            }
            None => break,
        };
        path = join(&path, inner.0);
        folder = inner.1;
    }
    let names = || folder.folders.keys().copied();
    if are_parts(names()) {
        let first = names().next().unwrap_or_default();
        return Err(format!("its images lie in numbered parts (`{first}`, …), not in class folders"));
    }
    if names().all(|name| is_container(name) || is_auxiliary(name)) {
        return Err(NO_CLASSES.to_string());
    }
    let parts = |class: &Folder| -> Option<BTreeSet<Part>> {
        let parts: Option<_> =
            class.folders.keys().map(|name| Part::of_name(name).map(|(part, _)| part)).collect();
        parts.filter(|_| class.direct == 0 && !class.is_flat())
    };
    let within: Option<Vec<_>> = folder.folders.values().map(parts).collect();
    found.order = match within {
        Some(within) if within.iter().any(|parts| parts.len() > 1) => Order::SplitsWithin(path),
        _ => Order::Classes(vec![("all", path)]),
    };
    Ok(found)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}/{name}") }
}

/// The bases of the splits, where the folders in `folder` are such.
fn splits(
    folder: &Folder,
    path: &str,
    found: &mut Arrangement,
) -> Result<Option<Vec<(&'static str, String)>>, String> {
    let named: BTreeMap<&str, (Part, String)> =
        folder.folders.keys().filter_map(|name| Some((*name, Part::of_name(name)?))).collect();
    let mut parts: HashMap<&str, BTreeSet<Part>> = HashMap::new();
    for (part, besides) in named.values() {
        parts.entry(besides).or_default().insert(*part);
    }
    // `cars_train` is a split next to `cars_test`, not by itself.
    let is_split = |name: &str| {
        named.get(name).is_some_and(|(_, besides)| besides.is_empty() || parts[besides.as_str()].len() > 1)
    };
    let (splits, others): (Vec<_>, Vec<_>) = folder.folders.iter().partition(|(name, _)| is_split(name));
    let mut bases = Vec::new();
    let mut unlabelled = Vec::new();
    for (name, split) in &splits {
        let part = named[*name].0;
        let place = join(path, name);
        match base(name, split, &place).filter(|_| part != Part::Unlabelled) {
            Some(base) => bases.push((part, base)),
            None => unlabelled.push(place),
        }
    }
    if bases.is_empty() {
        // Images in folders named train and test are neither classes nor labelled.
        return if others.is_empty() { Err(NO_CLASSES.to_string()) } else { Ok(None) };
    }
    let has_train = bases.iter().any(|(part, _)| *part == Part::Train);
    let described = others.iter().all(|(name, _)| is_auxiliary(name));
    // A folder named `test` among animals is a class, as is `train` among vehicles.
    let among_likes = splits.len() == 1
        && others.len() > 1
        && others.iter().all(|(_, other)| other.direct == 0 && !other.is_flat());
    if !described && (!has_train || among_likes) {
        return Ok(None);
    }
    if !others.is_empty() {
        let names: Vec<String> = others.iter().map(|(name, _)| join(path, name)).collect();
        found.notes.push(format!("these folders are not splits and were passed over: {}", few(&names)));
        found.passed_over.extend(names);
    }
    match unlabelled.as_slice() {
        [] => {}
        [place] => {
            found.notes.push(format!("`{place}` has no class folders, so no labels, and was passed over"));
        }
        several => found.notes.push(format!(
            "{} folders have no class folders, so no labels, and were passed over: {}",
            several.len(),
            few(several)
        )),
    }
    found.passed_over.extend(unlabelled);
    bases.sort();
    if bases.iter().any(|(part, base)| part.name() != base.as_str()) {
        let names: Vec<String> =
            bases.iter().map(|(part, base)| format!("`{base}` is `{}`", part.name())).collect();
        found.notes.push(format!("the splits by their folders: {}", few(&names)));
    }
    found.visited.extend(bases.iter().map(|(_, base)| base.clone()));
    Ok(Some(bases.into_iter().map(|(part, base)| (part.name(), base)).collect()))
}

/// The folder that holds a split's class folders: `seg_train/seg_train`, `train/images`; nothing if there are none.
fn base(name: &str, split: &Folder, place: &str) -> Option<String> {
    let (mut folder, mut path) = (split, place.to_string());
    loop {
        if folder.is_flat() {
            return None;
        }
        let only =
            folder.folders.first_key_value().filter(|_| folder.folders.len() == 1 && folder.direct == 0);
        let inner = match (folder.container(), only) {
            (Some(container), _) => container,
            (None, Some((inner, within))) if Part::of_name(inner).is_some() || *inner == name => {
                (*inner, within)
            }
            (None, Some((inner, within))) if within.folders.len() > 1 => (*inner, within),
            _ => return Some(path),
        };
        path = join(&path, inner.0);
        folder = inner.1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(paths: &[&str]) -> Result<Order, String> {
        let images: Vec<String> =
            paths.iter().flat_map(|path| [format!("{path}/1.png"), format!("{path}/2.png")]).collect();
        arrangement(&Folder::of(images.iter().map(String::as_str))).map(|found| found.order)
    }

    fn classes(bases: &[(&'static str, &str)]) -> Result<Order, String> {
        Ok(Order::Classes(bases.iter().map(|(split, base)| (*split, base.to_string())).collect()))
    }

    #[test]
    fn splits_and_classes_are_found_wherever_they_lie() {
        for (paths, expected) in [
            (&["cat", "dog"][..], &[("all", "")][..]),
            (&["train/cat", "train/dog", "test/cat", "test/dog"], &[("train", "train"), ("test", "test")]),
            (
                &[
                    "seg_train/seg_train/sea",
                    "seg_train/seg_train/ice",
                    "seg_test/seg_test/sea",
                    "seg_pred/seg_pred",
                ],
                &[("train", "seg_train/seg_train"), ("test", "seg_test/seg_test")],
            ),
            (
                &["a/dataset/Train/x", "a/dataset/Train/y", "a/dataset/VALID/x"],
                &[("train", "a/dataset/Train"), ("val", "a/dataset/VALID")],
            ),
            (
                &["chest_xray/train/a", "chest_xray/train/b", "test/a", "train/a", "train/b"],
                &[("train", "train"), ("test", "test")],
            ),
            (&["images/pie", "images/soup"], &[("all", "images")]),
            (&["images/pie", "images/soup", "segmentations/pie", "segmentations/soup"], &[("all", "images")]),
            (&["CUB/images/001.a", "CUB/images/002.b", "segmentations/001.a"], &[("all", "CUB/images")]),
            (
                &["cars_train/vw", "cars_train/bmw", "cars_test/vw"],
                &[("train", "cars_train"), ("test", "cars_test")],
            ),
            (
                &["train/images/a", "train/images/b", "val/images/a"],
                &[("train", "train/images"), ("val", "val/images")],
            ),
            // Tiny ImageNet's `images` in each class is not a container.
            (&["train/a/images", "train/b/images", "val/a/images"], &[("train", "train"), ("val", "val")]),
            (&["val/a", "val/b"], &[("val", "val")]),
            (&["bird", "cat", "test", "tube"], &[("all", "")]),
            (&["bus", "car", "train"], &[("all", "")]),
            (&["bus/red", "bus/blue", "car/red", "train/red", "train/blue"], &[("all", "")]),
            (&["c0", "c1"], &[("all", "")]),
        ] {
            assert_eq!(order(paths), classes(expected), "{paths:?}");
        }
        assert_eq!(
            order(&["set/cat/train", "set/cat/test", "set/dog/train", "set/dog/test"]),
            Ok(Order::SplitsWithin("set".into()))
        );
    }

    #[test]
    fn where_there_are_no_classes_it_is_said_why() {
        for (paths, expected) in [
            (&["train", "test"][..], NO_CLASSES),
            (&["images"], NO_CLASSES),
            (&["images", "masks"], NO_CLASSES),
            (&["images/train", "images/val", "labels/train"], NO_CLASSES),
            (&["val"], NO_CLASSES),
            (&["cat"], "it has one class folder only, `cat`"),
            (
                &["images_001", "images_002"],
                "its images lie in numbered parts (`images_001`, …), not in class folders",
            ),
        ] {
            assert_eq!(order(paths), Err(expected.to_string()), "{paths:?}");
        }
    }
}
