//! The data's side of a matching.

use std::cell::OnceCell;

use super::names::wordnet_id_in;
use archaeo_data::{DataError, Dataset};

/// The classes of a data set.
pub struct DataClasses<'a> {
    /// Their names; a label is an index into them.
    pub names: &'a [String],
    /// Whether there is an image of each.
    pub present: Vec<bool>,
    path_ids: Box<dyn Fn() -> Vec<Option<String>> + 'a>,
    found: OnceCell<Vec<Option<String>>>,
}

impl<'a> DataClasses<'a> {
    /// The classes of `dataset`, of which those count that have images in the named `splits` (in any, if none is named).
    ///
    /// # Errors
    /// A split that does not exist.
    pub fn of(dataset: &'a Dataset, splits: &[&str]) -> Result<Self, DataError> {
        let splits: Vec<&str> = match splits {
            [] => dataset.splits().keys().map(String::as_str).collect(),
            splits => splits.to_vec(),
        };
        let mut present = vec![false; dataset.classes.len()];
        for split in splits {
            dataset.split(split)?.labels().into_iter().for_each(|label| present[label] = true);
        }
        Ok(Self::new(&dataset.classes, present, move || path_ids(dataset)))
    }

    /// All classes of `dataset`, whether there are images of them or not.
    pub fn all(dataset: &'a Dataset) -> Self {
        Self::new(&dataset.classes, vec![true; dataset.classes.len()], move || path_ids(dataset))
    }

    pub(super) fn new(
        names: &'a [String],
        present: Vec<bool>,
        path_ids: impl Fn() -> Vec<Option<String>> + 'a,
    ) -> Self {
        Self { names, present, path_ids: Box::new(path_ids), found: OnceCell::new() }
    }

    /// The WordNet identifier in the paths of a class's images.
    pub(super) fn path_id(&self, class: usize) -> Option<String> {
        self.found.get_or_init(|| (self.path_ids)())[class].clone()
    }

    /// Names of some classes.
    pub(super) fn named(&self, classes: &[usize]) -> Vec<String> {
        classes.iter().map(|&class| self.names[class].clone()).collect()
    }
}

/// For each class the one WordNet identifier that folders on the way to its images bear, as in Tiny ImageNet.
fn path_ids(dataset: &Dataset) -> Vec<Option<String>> {
    let mut ids: Vec<Option<Option<String>>> = vec![None; dataset.classes.len()];
    for split in dataset.splits().values() {
        for image in 0..split.len() {
            let identifier = split.identifier(image);
            let Some((folders, _)) = identifier.rsplit_once('/') else { continue };
            let Some(id) = folders.split('/').rev().find_map(wordnet_id_in) else { continue };
            let known = &mut ids[split.label(image)];
            match known {
                None => *known = Some(Some(id.to_owned())),
                Some(Some(other)) if other != id => *known = Some(None),
                Some(_) => {}
            }
        }
    }
    ids.into_iter().map(Option::flatten).collect()
}
