//! Who errs where: the mistakes of two models on the same images, sorted.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Indices of images, ascending, by which of two models errs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorGroups {
    /// Only the first model errs.
    pub only_first: Vec<usize>,
    /// Only the second model errs.
    pub only_second: Vec<usize>,
    /// Both err.
    pub both: Vec<usize>,
    /// Both are right.
    pub neither: Vec<usize>,
}

/// Errors of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassErrorCounts {
    /// Images of the class.
    pub images: usize,
    /// Only the first model errs.
    pub only_first: usize,
    /// Only the second model errs.
    pub only_second: usize,
    /// Both err.
    pub both: usize,
}

/// Sorts images by which model errs.
///
/// # Panics
/// If the three differ in length.
pub fn error_groups(labels: &[usize], first: &[usize], second: &[usize]) -> ErrorGroups {
    assert_eq!(
        (labels.len(), labels.len()),
        (first.len(), second.len()),
        "each image needs a label and two answers"
    );
    let mut groups = ErrorGroups::default();
    for (image, &label) in labels.iter().enumerate() {
        let group = match (first[image] == label, second[image] == label) {
            (false, true) => &mut groups.only_first,
            (true, false) => &mut groups.only_second,
            (false, false) => &mut groups.both,
            (true, true) => &mut groups.neither,
        };
        group.push(image);
    }
    groups
}

impl ErrorGroups {
    /// Of the images both have wrong, for each whether both name the same wrong class.
    pub fn same_wrong_class(&self, first: &[usize], second: &[usize]) -> Vec<bool> {
        self.both.iter().map(|&image| first[image] == second[image]).collect()
    }

    /// Errors of each of `classes` classes.
    pub fn by_class(&self, labels: &[usize], classes: usize) -> Vec<ClassErrorCounts> {
        let mut counts = vec![ClassErrorCounts::default(); classes];
        labels.iter().for_each(|&label| counts[label].images += 1);
        self.only_first.iter().for_each(|&image| counts[labels[image]].only_first += 1);
        self.only_second.iter().for_each(|&image| counts[labels[image]].only_second += 1);
        self.both.iter().for_each(|&image| counts[labels[image]].both += 1);
        counts
    }
}

/// The mistakes among `images` as (truth, predicted, count), most frequent first, equal counts by class.
pub fn confusions(images: &[usize], labels: &[usize], predicted: &[usize]) -> Vec<(usize, usize, usize)> {
    let mut counts = BTreeMap::new();
    for &image in images {
        if predicted[image] != labels[image] {
            *counts.entry((labels[image], predicted[image])).or_insert(0) += 1;
        }
    }
    let mut confusions: Vec<_> =
        counts.into_iter().map(|((truth, predicted), count)| (truth, predicted, count)).collect();
    confusions.sort_by_key(|&(truth, predicted, count)| (Reverse(count), truth, predicted));
    confusions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_falls_into_one_group() {
        let labels = [0, 0, 1, 1, 2, 2];
        let first = [0, 1, 1, 0, 1, 0];
        let second = [0, 0, 0, 0, 1, 1];
        let groups = error_groups(&labels, &first, &second);
        let expected =
            ErrorGroups { only_first: vec![1], only_second: vec![2], both: vec![3, 4, 5], neither: vec![0] };
        assert_eq!(groups, expected);
        assert_eq!(groups.same_wrong_class(&first, &second), [true, true, false]);
        let by_class = groups.by_class(&labels, 3);
        assert_eq!(by_class[0], ClassErrorCounts { images: 2, only_first: 1, only_second: 0, both: 0 });
        assert_eq!(by_class[2], ClassErrorCounts { images: 2, only_first: 0, only_second: 0, both: 2 });
        assert_eq!(confusions(&groups.both, &labels, &second), [(2, 1, 2), (1, 0, 1)]);
        assert_eq!(confusions(&groups.neither, &labels, &second), []);
    }
}
