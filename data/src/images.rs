//! Finds the images among files.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::image::{IMAGE_ENDINGS, looks_like_image, undecodable_kind};
use super::listing::Listing;
use super::names::{ending, is_other_ending};
use super::split::Skipped;
use super::storage::Storage;

/// Number of first bytes that identify a file's kind.
const HEAD: usize = 512;

/// The images among the files, in their order.
pub(super) struct Images<'a> {
    pub(super) files: Vec<(&'a str, &'a Storage)>,
    /// Images of unsupported kinds.
    pub(super) undecodable: Vec<Skipped>,
}

enum Kind {
    Image,
    Undecodable(&'static str),
    Other,
}

impl<'a> Images<'a> {
    /// By file extension; if that is not conclusive, by the first bytes.
    pub(super) fn of(listing: &'a Listing) -> Self {
        let kinds: Vec<Kind> = listing.files.par_iter().map(|(path, storage)| kind(path, storage)).collect();
        let mut images = Images { files: Vec::new(), undecodable: Vec::new() };
        for ((path, storage), kind) in listing.files.iter().zip(kinds) {
            match kind {
                Kind::Image => images.files.push((path, storage)),
                Kind::Undecodable(kind) => {
                    images.undecodable.push(Skipped { identifier: path.clone(), reason: kind.to_string() });
                }
                Kind::Other => {}
            }
        }
        images
    }

    /// A note on images of unsupported kinds, if there are any.
    pub(super) fn note(&self) -> Option<String> {
        let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for image in &self.undecodable {
            kinds.entry(&image.reason).or_default().push(&image.identifier);
        }
        let listed: Vec<String> =
            kinds.iter().map(|(kind, names)| format!("{} {kind} ({})", names.len(), few(names))).collect();
        match self.undecodable.len() {
            0 => None,
            1 => Some(format!(
                "1 file is of a format that is not read and was left out: {}; convert it to PNG or JPEG",
                listed.join(", ")
            )),
            n => Some(format!(
                "{n} files are of formats that are not read and were left out: {}; convert them to PNG or JPEG",
                listed.join(", ")
            )),
        }
    }
}

fn kind(path: &str, storage: &Storage) -> Kind {
    let ending = match path.to_lowercase().ends_with(".nii.gz") {
        true => "nii.gz".to_string(),
        false => ending(path).unwrap_or_default(),
    };
    if IMAGE_ENDINGS.contains(&ending.as_str()) {
        return Kind::Image;
    }
    if is_other_ending(&ending) {
        return Kind::Other;
    }
    let head = storage.head(HEAD);
    match undecodable_kind(&head, &ending) {
        Some(kind) => Kind::Undecodable(kind),
        None if looks_like_image(&head) => Kind::Image,
        None => Kind::Other,
    }
}

/// Characters of the longest name that is shown as a whole.
const LONGEST: usize = 200;

/// The first three, and how many more there are.
pub(super) fn few(names: &[impl AsRef<str>]) -> String {
    let shorter = |name: &str| match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_string(),
    };
    let shown: Vec<String> = names.iter().take(3).map(|name| shorter(name.as_ref())).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
