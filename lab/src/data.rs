//! Data sets: opened, checked image by image, looked at.

use std::collections::BTreeMap;
use std::path::Path;

use archaeo_data::{Dataset, OpenOptions, Skipped, Summary, sherds};
use archaeo_experiments::investigation::save_sheet_of_classes;

use crate::error::LabError;
use crate::session::Session;

/// Skipped images that are named; the rest is counted.
const MOST_NAMED: usize = 20;

/// Reasons that are named; the rest is counted.
const MOST_REASONS: usize = 3;

impl Session {
    /// Opens the data set that `source` names: `sherds`, `sherds:size=64`, a path, or an address such as
    /// `s3://bucket/shards/`. Its images are listed, not decoded:
    /// [`Session::verify`] finds the bad ones.
    ///
    /// # Errors
    /// As [`archaeo_data::open`]; an address from which nothing can be fetched.
    pub fn open_data(&self, source: &str, options: &OpenOptions) -> Result<Dataset, LabError> {
        let options = OpenOptions { copies: self.copies(source)?, ..options.clone() };
        let _stage = self.stage("reading the data");
        Ok(archaeo_data::open(source, &options)?)
    }

    /// Decodes every image of these splits, or of all, once; says which cannot be used and leaves them out.
    ///
    /// # Errors
    /// As [`Dataset::verify`].
    pub fn verify(&self, dataset: &mut Dataset, splits: &[&str]) -> Result<(), LabError> {
        let work = self.counting("checking images", dataset.images_to_verify(splits));
        let skipped = dataset.verify_watched(splits, &|images| work.advance(images))?;
        drop(work);
        let skipped: Vec<_> =
            skipped.into_iter().map(|Skipped { identifier, reason }| (identifier, reason)).collect();
        self.say_skipped(&skipped);
        dataset.notes.iter().for_each(|note| self.note(note));
        Ok(())
    }

    /// Classes, counts and sizes of a data set.
    pub fn summary(&self, dataset: &Dataset) -> Summary {
        let _stage = self.stage("measuring the images");
        dataset.summary()
    }

    /// Draws images of each class of a split into the PNG `file`, a row per class; gives the number of rows, which is smaller
    /// than that of the classes where a picture does not hold them all.
    ///
    /// # Errors
    /// A split that does not exist, an image that cannot be read, or a file that cannot be written.
    pub fn contact_sheet(
        &self,
        dataset: &Dataset,
        split: &str,
        per_class: usize,
        file: &Path,
    ) -> Result<usize, LabError> {
        let _stage = self.stage("drawing the contact sheet");
        Ok(save_sheet_of_classes(dataset, split, per_class, file)?)
    }

    /// Says which images were left out, and why.
    pub(crate) fn say_skipped(&self, skipped: &[(String, String)]) {
        for (image, reason) in skipped.iter().take(MOST_NAMED) {
            self.warning(format!("skipped {image}: {reason}"));
        }
        if let Some(rest) = skipped.get(MOST_NAMED..).filter(|rest| !rest.is_empty()) {
            self.warning(format!("skipped {} more: {}", rest.len(), reasons(rest)));
        }
        if !skipped.is_empty() {
            self.warning(format!("{} image(s) could not be used and were left out", skipped.len()));
        }
    }
}

/// Why images were left out, the most common reasons first.
fn reasons(skipped: &[(String, String)]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    skipped.iter().for_each(|(_, reason)| *counts.entry(reason).or_default() += 1);
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let named: Vec<String> =
        counts.iter().take(MOST_REASONS).map(|(reason, count)| format!("{count} × {reason}")).collect();
    let more: usize = counts.iter().skip(MOST_REASONS).map(|(_, count)| count).sum();
    match more {
        0 => named.join(", "),
        more => format!("{}, {more} for other reasons", named.join(", ")),
    }
}

/// Refuses to take Sherds for the data of a model with other classes.
///
/// # Errors
/// One sentence that asks for the data.
pub(crate) fn require_sherds_classes(weights: &Path, classes: &[String]) -> Result<(), LabError> {
    match *classes == sherds::class_names() {
        true => Ok(()),
        false => Err(LabError::NotOfSherds(weights.to_owned())),
    }
}
