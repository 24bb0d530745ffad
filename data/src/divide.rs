//! Dividing images into splits by seed, if the source has none.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::images::few;
use super::split::Record;

/// Images that a class needs for one in each of train, val and test.
const FEWEST: usize = 3;

/// Classes with too few images to be divided.
pub(super) struct FewImages {
    /// Their labels, in order, each with the number of images.
    classes: Vec<(usize, usize)>,
    /// Whether they hold most of the images, so that the rest does not represent the data set.
    pub(super) most: bool,
    /// Whether there are no other classes.
    pub(super) all: bool,
}

/// The classes among `labels` that are too small to be divided.
pub(super) fn few_images(labels: &[usize]) -> FewImages {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    labels.iter().for_each(|&label| *counts.entry(label).or_default() += 1);
    let present = counts.len();
    let classes: Vec<_> = counts.into_iter().filter(|(_, images)| *images < FEWEST).collect();
    let images: usize = classes.iter().map(|(_, images)| images).sum();
    FewImages { most: 2 * images > labels.len(), all: classes.len() == present, classes }
}

impl FewImages {
    /// `chosen` without the images of these classes.
    pub(super) fn spare(&self, records: &[Record], mut chosen: Vec<bool>) -> Vec<bool> {
        let is_few = |label: usize| self.classes.binary_search_by_key(&label, |(few, _)| *few).is_ok();
        chosen.iter_mut().zip(records).for_each(|(chosen, record)| *chosen &= !is_few(record.label));
        chosen
    }

    /// One of the classes, in brackets.
    pub(super) fn example(&self, names: &[String]) -> String {
        let example = self.classes.first();
        example.map_or(String::new(), |&(label, images)| format!(" (class `{}` has {images})", names[label]))
    }

    /// A note on how they are handled, if there are any.
    pub(super) fn note(&self, names: &[String]) -> Option<String> {
        let named: Vec<String> =
            self.classes.iter().map(|&(label, images)| format!("`{}` ({images})", names[label])).collect();
        match named.as_slice() {
            [] => None,
            [one] => Some(format!(
                "class {one} has fewer than {FEWEST} images, too few to be divided: it is in `train` alone, and no score says \
                 anything about it"
            )),
            several => Some(format!(
                "{} classes have fewer than {FEWEST} images each, too few to be divided: they are in `train` alone, and no score \
                 says anything about them: {}",
                several.len(),
                few(several)
            )),
        }
    }
}

/// For each record, whether it is among the first `share` of its class in an order fixed by (`seed`, `purpose`, identifier). At
/// least one and at most all but one image of a class with two or more; none of a class with one.
///
/// The order depends only on names, so an image stays in its part when others are added or the folder is packed into an archive.
pub(super) fn choose(records: &[Record], share: f64, seed: u64, purpose: &str) -> Vec<bool> {
    let mut classes: BTreeMap<usize, Vec<([u8; 32], usize)>> = BTreeMap::new();
    for (i, record) in records.iter().enumerate() {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(purpose);
        hash.update([0]);
        hash.update(&record.identifier);
        classes.entry(record.label).or_default().push((hash.finalize().into(), i));
    }
    let mut chosen = vec![false; records.len()];
    for mut members in classes.into_values() {
        members.sort_unstable();
        let most = members.len() - 1;
        let count = ((members.len() as f64 * share).round() as usize).max(1).min(most);
        members[..count].iter().for_each(|&(_, i)| chosen[i] = true);
    }
    chosen
}
