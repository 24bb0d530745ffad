//! A data set: classes and splits.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::copies;
use super::split::{Skipped, Split};
use super::{DataError, Image};

/// Labelled images in named splits.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The source as given.
    pub name: String,
    /// Class names; a label is an index into them. Empty if the images have no labels; see [`Dataset::has_labels`].
    pub classes: Vec<String>,
    /// Notes on how the source was read, and findings of [`Dataset::verify`], one sentence each.
    pub notes: Vec<String>,
    pub(super) splits: BTreeMap<String, Split>,
    pub(super) strict: bool,
}

impl Dataset {
    /// The splits by name.
    pub fn splits(&self) -> &BTreeMap<String, Split> {
        &self.splits
    }

    /// Whether the images have classes; otherwise their labels are meaningless. See [`Labels`](super::Labels).
    pub fn has_labels(&self) -> bool {
        !self.classes.is_empty()
    }

    /// The split `name`.
    ///
    /// # Errors
    /// [`DataError::NoSplit`], which lists those that exist.
    pub fn split(&self, name: &str) -> Result<&Split, DataError> {
        self.splits.get(name).ok_or_else(|| DataError::NoSplit {
            origin: self.name.clone(),
            split: name.to_string(),
            available: self.splits.keys().cloned().collect::<Vec<_>>().join(", "),
            note: self.notes.iter().find(|note| note.contains("splits")).cloned(),
        })
    }

    /// The split that final numbers are measured on: `test`, else `val`, else `all`.
    pub fn evaluation_split(&self) -> &'static str {
        ["test", "val"].into_iter().find(|name| self.splits.contains_key(*name)).unwrap_or("all")
    }

    /// The split for selecting checkpoints, if one exists besides the evaluation split: `val`, or `holdout` where `val` serves as
    /// the test split.
    pub fn selection_split(&self) -> Option<&'static str> {
        let evaluation = self.evaluation_split();
        ["val", "holdout"].into_iter().find(|name| *name != evaluation && self.splits.contains_key(*name))
    }

    /// Decodes every image of the named splits once (of all of them if `names` is empty), drops the bad ones and returns them;
    /// the others keep their order. Duplicate and single-coloured images are noted.
    ///
    /// # Errors
    /// With `strict`, the first bad image. A split without usable images (if it is named, or the source's own), a class without
    /// usable training images, a split that does not exist.
    pub fn verify(&mut self, names: &[&str]) -> Result<Vec<Skipped>, DataError> {
        self.verify_watched(names, &|_| ())
    }

    /// How many images [`Dataset::verify`] looks at in the named splits, or in all of them.
    pub fn images_to_verify(&self, names: &[&str]) -> usize {
        let named = |name: &String| names.is_empty() || names.contains(&name.as_str());
        self.splits.iter().filter(|(name, _)| named(name)).map(|(_, split)| split.len()).sum()
    }

    /// As [`Dataset::verify`]; `watch` receives the number of further images checked, from any thread.
    ///
    /// # Errors
    /// As [`Dataset::verify`].
    pub fn verify_watched(
        &mut self,
        names: &[&str],
        watch: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Skipped>, DataError> {
        let mut skipped: Vec<Skipped> = Vec::new();
        let mut known: HashSet<Skipped> = HashSet::new();
        let (all_of_them, divided) = (names.is_empty(), self.splits.contains_key("all"));
        let names: Vec<String> = match names {
            [] => self.splits.keys().cloned().collect(),
            names => names.iter().map(ToString::to_string).collect(),
        };
        for name in names {
            self.split(&name)?;
            let Some(split) = self.splits.get_mut(&name) else { continue };
            let before: BTreeSet<usize> = split.labels().into_iter().collect();
            split.verify(watch);
            let after: BTreeSet<usize> = split.labels().into_iter().collect();
            // A part divided here that has no usable image does not invalidate the others.
            if all_of_them && !self.strict && after.is_empty() && name != "all" && divided {
                let count = split.skipped().len();
                self.notes.push(format!("`{name}` is left out: none of its {count} images can be used"));
                skipped.extend(split.skipped().iter().filter(|bad| known.insert((*bad).clone())).cloned());
                self.splits.remove(&name);
                continue;
            }
            if let Some(first) = split.skipped().first().filter(|_| self.strict || after.is_empty()) {
                return Err(DataError::BadImages {
                    origin: self.name.clone(),
                    split: name,
                    count: split.skipped().len(),
                    of: split.skipped().len() + split.len(),
                    identifier: first.identifier.clone(),
                    reason: first.reason.clone(),
                });
            }
            let lost =
                before.difference(&after).next().filter(|_| name == "train" && !self.classes.is_empty());
            if let Some(&lost) = lost {
                let class = self.classes[lost].clone();
                return Err(DataError::ClassWithoutImage { origin: self.name.clone(), split: name, class });
            }
            // An image of `all` is in one of the parts as well.
            for bad in split.skipped() {
                if known.insert(bad.clone()) {
                    skipped.push(bad.clone());
                }
            }
        }
        for note in copies::notes(&self.classes, &self.splits) {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        Ok(skipped)
    }

    /// SHA-256 in hexadecimal of everything that determines the data: class names and, for each split, labels and
    /// stored bytes in order, or the generator's parameters. File names are not included.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        self.classes.iter().for_each(|class| part(class));
        for (name, split) in &self.splits {
            hash.update(name);
            hash.update((split.len() as u64).to_le_bytes());
            split.hash_into(&mut hash);
        }
        hex::encode(hash.finalize())
    }

    /// Counts and sizes, for a table.
    pub fn summary(&self) -> Summary {
        let splits = self.splits.iter().map(|(name, split)| {
            let mut per_class = vec![0; self.classes.len()];
            if self.has_labels() {
                split.labels().into_iter().for_each(|label| per_class[label] += 1);
            }
            let (widths, heights): (Vec<_>, Vec<_>) = split.sizes().into_iter().unzip();
            let summary = SplitSummary {
                images: split.len(),
                per_class,
                width: Spread::of(widths),
                height: Spread::of(heights),
                skipped: split.skipped().to_vec(),
            };
            (name.clone(), summary)
        });
        Summary {
            source: self.name.clone(),
            classes: self.classes.clone(),
            splits: splits.collect(),
            notes: self.notes.clone(),
        }
    }
}

/// Contents of a data set.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The source as given.
    pub source: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Every split by name.
    pub splits: BTreeMap<String, SplitSummary>,
    /// Notes on how the source was read.
    pub notes: Vec<String>,
}

/// Contents of a split.
#[derive(Debug, Clone, Serialize)]
pub struct SplitSummary {
    /// Number of images.
    pub images: usize,
    /// Number of images of each class.
    pub per_class: Vec<usize>,
    /// Widths in pixels.
    pub width: Option<Spread>,
    /// Heights in pixels.
    pub height: Option<Spread>,
    /// Images skipped by [`Dataset::verify`].
    pub skipped: Vec<Skipped>,
}

/// Smallest, middle and largest of some lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: usize,
    /// The upper median.
    pub median: usize,
    /// The largest.
    pub max: usize,
}

impl Spread {
    fn of(mut values: Vec<usize>) -> Option<Self> {
        values.sort_unstable();
        let (&min, &max) = (values.first()?, values.last()?);
        Some(Spread { min, median: values[values.len() / 2], max })
    }
}

/// Limits on the number of examples.
#[derive(Debug, Clone, Copy)]
pub struct ExampleLimits {
    /// Images of each class.
    pub per_class: usize,
    /// Images in all.
    pub images: usize,
}

/// The first usable images of each class of `split`, with the class's name. A class without images gives an empty row; images
/// without labels are one row. `keep` maps an image to the value that is kept.
///
/// # Errors
/// A split that does not exist.
pub fn examples<T>(
    dataset: &Dataset,
    split: &str,
    most: ExampleLimits,
    mut keep: impl FnMut(Image) -> T,
) -> Result<Vec<(String, Vec<T>)>, DataError> {
    let split = dataset.split(split)?;
    let names = if dataset.has_labels() { dataset.classes.clone() } else { vec![String::new()] };
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
    (0..split.len()).for_each(|i| members[split.label(i)].push(i));
    let (mut rows, mut images) = (Vec::new(), 0);
    for (name, members) in names.into_iter().zip(members) {
        if images >= most.images {
            break;
        }
        let usable = members.into_iter().filter_map(|i| split.with_image(i, &mut keep).ok());
        let row: Vec<T> = usable.take(most.per_class.min(most.images - images)).collect();
        images += row.len();
        rows.push((name, row));
    }
    Ok(rows)
}
