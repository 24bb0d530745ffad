//! Where the object is on stored images: pictures of masks in a folder `masks/`, and boxes from lists.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::image::{Mask, decode};
use super::images::{Images, few};
use super::listing::Listing;
use super::open::Layout;
use super::storage::Storage;

/// The folder of masks, next to the images.
pub(super) const FOLDER: &str = "masks/";

/// A folder of images, whose own name the names of masks may leave out.
const IMAGES: &str = "images/";

/// Where an image's object is.
#[derive(Debug, Clone)]
pub(super) enum MaskSource {
    /// A picture of the image's size: what is not black is object.
    Picture {
        /// Its path.
        name: String,
        /// Its bytes.
        storage: Storage,
    },
    /// First and last column and row, all of them inside: left, top, right, bottom.
    Box([usize; 4]),
}

impl MaskSource {
    /// The mask of an image of that size, or what is wrong with it as the end of a sentence.
    pub(super) fn mask(&self, width: usize, height: usize) -> Result<Mask, String> {
        match self {
            Self::Box([left, top, right, bottom]) => {
                let within = |place: usize| {
                    let (row, column) = (place / width, place % width);
                    (*top..=*bottom).contains(&row) && (*left..=*right).contains(&column)
                };
                Ok(Mask { width, height, inside: (0..width * height).map(within).collect() })
            }
            Self::Picture { storage, .. } => {
                let bytes = storage.read()?;
                let picture = decode(&bytes)?;
                if (picture.width(), picture.height()) != (width, height) {
                    return Err(format!(
                        "it is {} × {} px and the image {width} × {height} px",
                        picture.width(),
                        picture.height()
                    ));
                }
                let inside =
                    picture.pixels().chunks_exact(3).map(|pixel| pixel.iter().any(|&value| value > 0));
                Ok(Mask { width, height, inside: inside.collect() })
            }
        }
    }

    /// What it is called in a sentence.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Picture { name, .. } => name,
            Self::Box(_) => "the box",
        }
    }

    /// Adds what determines the mask.
    pub(super) fn hash_into(&self, hash: &mut Sha256) {
        match self {
            Self::Box(sides) => sides.iter().for_each(|side| hash.update((*side as u64).to_le_bytes())),
            // An unreadable mask is hashed by its error.
            Self::Picture { storage, .. } => match storage.read() {
                Ok(bytes) => hash.update(Sha256::digest(&bytes)),
                Err(reason) => hash.update(Sha256::digest(reason.as_bytes())),
            },
        }
    }
}

/// Takes the masks out of the images: those of the folder `masks/`, if one of them has the relative name of an image.
pub(super) fn taken<'a>(images: &mut Images<'a>) -> HashMap<String, (&'a str, &'a Storage)> {
    if !images.files.iter().any(|(path, _)| path.starts_with(FOLDER)) {
        return HashMap::new();
    }
    let of_folder = |path: &str| path.strip_prefix(FOLDER).map(stem);
    let names: HashSet<String> = images
        .files
        .iter()
        .filter(|(path, _)| !path.starts_with(FOLDER))
        .flat_map(|(path, _)| keys(path))
        .collect();
    if !images.files.iter().filter_map(|(path, _)| of_folder(path)).any(|name| names.contains(&name)) {
        return HashMap::new();
    }
    let (masks, others) =
        std::mem::take(&mut images.files).into_iter().partition(|(path, _)| path.starts_with(FOLDER));
    images.files = others;
    masks.into_iter().filter_map(|(path, storage)| Some((of_folder(path)?, (path, storage)))).collect()
}

/// Gives every image its mask, and says how many have none.
pub(super) fn given(layout: &mut Layout, masks: &HashMap<String, (&str, &Storage)>) {
    if masks.is_empty() {
        return;
    }
    let (mut without, mut count) = (Vec::new(), 0);
    for record in layout.splits.values_mut().flatten() {
        count += 1;
        match keys(&record.identifier).iter().find_map(|key| masks.get(key)) {
            Some((name, storage)) => {
                let (name, storage) = ((*name).to_owned(), (*storage).clone());
                record.mask = Some(Arc::new(MaskSource::Picture { name, storage }));
            }
            None => without.push(record.identifier.as_str()),
        }
    }
    if !without.is_empty() {
        layout.notes.push(format!(
            "{} of {count} images have no mask of their name in {FOLDER} and are not held against one: {}",
            without.len(),
            few(&without)
        ));
    }
}

/// The names that an image's mask may have, without ending.
fn keys(path: &str) -> Vec<String> {
    let inner = path.strip_prefix(IMAGES).map(stem);
    [stem(path)].into_iter().chain(inner).collect()
}

fn stem(path: &str) -> String {
    let start = path.rfind('/').map_or(0, |slash| slash + 1);
    let end = path[start..].rfind('.').filter(|dot| *dot > 0).map_or(path.len(), |dot| start + dot);
    path[..end].to_owned()
}

/// A listing without the folder of masks.
pub(super) fn without(listing: &Listing) -> Listing {
    let mut other = listing.clone();
    other.files.retain(|(path, _)| !path.starts_with(FOLDER));
    other.folders.retain(|path| path != FOLDER.trim_end_matches('/') && !path.starts_with(FOLDER));
    other
}
