//! A split: images that are decoded, or drawn, only on request.

use std::sync::Arc;

use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::image::{Refused, decode_within};
use super::kept::Kept;
use super::masks::MaskSource;
use super::sherds::{Sherds, SherdsSplit, Texture};
use super::storage::Storage;
use super::{DataError, Image, Mask, Sample};

/// Encoding of the stored bytes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// A file of any format that [`decode`] reads.
    Compressed,
    /// Bare pixels, one plane after another: 3 × height × width.
    Planar { width: usize, height: usize },
    /// Bare pixels: height × width × channels, with 1 or 3 channels.
    Interleaved { width: usize, height: usize, channels: usize },
}

/// One image of a source: its name, its class, and where and how it is stored.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) identifier: String,
    pub(super) label: usize,
    pub(super) storage: Storage,
    pub(super) encoding: Encoding,
    /// Where its object is, where that is known.
    pub(super) mask: Option<Arc<MaskSource>>,
}

/// What [`Split::verify`] found for an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    /// SHA-256 of the stored bytes.
    pub(super) digest: [u8; 32],
    /// Whether all its pixels have one colour.
    pub(super) blank: bool,
}

impl Record {
    fn content(&self) -> Result<Content, String> {
        self.with_picture(|bytes, image| {
            let blank = image.pixels().chunks_exact(3).all(|pixel| pixel == &image.pixels()[..3]);
            Content { digest: Sha256::digest(bytes).into(), blank }
        })
    }

    /// The decoded picture, if `admit` accepts its memory.
    pub(super) fn picture(&self, bytes: &[u8], mut admit: impl FnMut(u64) -> bool) -> Result<Image, Refused> {
        if let Some((width, height)) = self.bare_dimensions() {
            let needed = 3 * (width as u64).saturating_mul(height as u64);
            if !admit(needed) {
                return Err(Refused::NoRoom(needed));
            }
        }
        match self.encoding {
            Encoding::Compressed => decode_within(bytes, admit),
            Encoding::Planar { width, height } => {
                let plane = width * height;
                let pixels = (0..plane).flat_map(|i| [bytes[i], bytes[plane + i], bytes[2 * plane + i]]);
                let mut interleaved = Vec::with_capacity(3 * plane);
                interleaved.extend(pixels);
                Ok(Image::new(width, height, interleaved))
            }
            Encoding::Interleaved { width, height, channels } => {
                let pixels = match channels {
                    1 => {
                        let mut pixels = Vec::with_capacity(3 * bytes.len());
                        bytes.iter().for_each(|&grey| pixels.extend([grey; 3]));
                        pixels
                    }
                    _ => bytes.to_vec(),
                };
                Ok(Image::new(width, height, pixels))
            }
        }
    }

    /// Width and height of bare pixels.
    pub(super) fn bare_dimensions(&self) -> Option<(usize, usize)> {
        match self.encoding {
            Encoding::Compressed => None,
            Encoding::Planar { width, height } | Encoding::Interleaved { width, height, .. } => {
                Some((width, height))
            }
        }
    }
}

/// A skipped image, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Skipped {
    /// The image.
    pub identifier: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Labelled images in the order of their source.
#[derive(Debug, Clone)]
pub struct Split {
    items: Items,
    skipped: Vec<Skipped>,
    /// Findings for every image, once verified.
    contents: Option<Vec<Content>>,
    kept: Kept,
    /// The new label for each of the source's labels; `None` for the source's own.
    relabelled: Option<Arc<[usize]>>,
}

#[derive(Debug, Clone)]
enum Items {
    Stored(Vec<Record>),
    Drawn { sherds: Arc<Sherds>, split: SherdsSplit },
}

impl Items {
    fn len(&self) -> usize {
        match self {
            Items::Stored(records) => records.len(),
            Items::Drawn { sherds, split } => sherds.len(*split),
        }
    }
}

impl Split {
    pub(super) fn stored(records: Vec<Record>) -> Self {
        Self::new(Items::Stored(records))
    }

    pub(super) fn drawn(sherds: Arc<Sherds>, split: SherdsSplit) -> Self {
        Self::new(Items::Drawn { sherds, split })
    }

    fn new(items: Items) -> Self {
        let kept = Kept::new(items.len());
        Split { items, skipped: Vec::new(), contents: None, kept, relabelled: None }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Class index of image `i`, known without decoding it.
    ///
    /// # Panics
    /// If `i` is not below [`Split::len`], as for every method that takes an index.
    pub fn label(&self, i: usize) -> usize {
        let own = match &self.items {
            Items::Stored(records) => records[i].label,
            Items::Drawn { .. } => Sherds::label(i),
        };
        self.relabelled.as_ref().map_or(own, |labels| labels[own])
    }

    /// The generator that draws these images and the split of it that they are, if they are drawn: image `i` here is image `i`
    /// there.
    pub fn sherds(&self) -> Option<(&Sherds, SherdsSplit)> {
        match &self.items {
            Items::Stored(_) => None,
            Items::Drawn { sherds, split } => Some((sherds, *split)),
        }
    }

    /// What image `i` shows, in words ([`Sherds::caption`]), if that is known.
    pub fn caption(&self, i: usize) -> Option<String> {
        match &self.items {
            Items::Stored(_) => None,
            Items::Drawn { sherds, split } => Some(sherds.caption(*split, i)),
        }
    }

    /// Replaces every label by its entry in `labels`.
    pub(super) fn relabel(&mut self, labels: &[usize]) {
        self.relabelled = Some(labels.into());
    }

    /// Class indices of all images, in order.
    pub fn labels(&self) -> Vec<usize> {
        (0..self.len()).map(|i| self.label(i)).collect()
    }

    /// Name of image `i` in its source: a path within it, or file and record.
    pub fn identifier(&self, i: usize) -> String {
        match &self.items {
            Items::Stored(records) => records[i].identifier.clone(),
            Items::Drawn { split, .. } => format!("{}/{i}", split.name()),
        }
    }

    /// Decodes, or draws, image `i`. It keeps its own size.
    ///
    /// # Errors
    /// [`DataError::BadImage`] if it is damaged.
    pub fn load(&self, i: usize) -> Result<Sample, DataError> {
        match &self.items {
            Items::Stored(_) => {
                let image = self.with_image(i, |image| image)?;
                Ok(Sample { image, label: self.label(i), truth: None })
            }
            Items::Drawn { sherds, split } => Ok(Sample { label: self.label(i), ..sherds.sample(*split, i) }),
        }
    }

    /// Calls `then` with image `i`. Memory for the image is reserved meanwhile, however many threads decode others; the result of
    /// [`Split::load`] is not counted.
    ///
    /// # Errors
    /// [`DataError::BadImage`] if it is damaged, or larger than memory.
    pub fn with_image<T>(&self, i: usize, then: impl FnOnce(Image) -> T) -> Result<T, DataError> {
        match &self.items {
            Items::Stored(records) => {
                let record = &records[i];
                record
                    .with_picture(|_, image| then(image))
                    .map_err(|reason| DataError::BadImage { identifier: record.identifier.clone(), reason })
            }
            Items::Drawn { sherds, split } => Ok(then(sherds.sample(*split, i).image)),
        }
    }

    /// As [`Split::with_image`], for images that will be needed again: the image stays in memory, if those already kept leave
    /// room for it (half a GiB of pixels in all, or less where there is less memory).
    ///
    /// # Errors
    /// As there.
    pub fn with_kept_image<T>(&self, i: usize, then: impl FnOnce(&Image) -> T) -> Result<T, DataError> {
        if let Some(image) = self.kept.get(i) {
            return Ok(then(image));
        }
        self.with_image(i, |image| then(&self.kept.keep(i, image)))
    }

    /// Loads the images at `indices` on all threads, in the order of `indices`, each mapped by `fit`, usually to a smaller size,
    /// because all of them are in memory at once.
    ///
    /// # Errors
    /// [`DataError::BadImage`] for the first damaged one among them.
    pub fn batch(
        &self,
        indices: &[usize],
        fit: impl Fn(Image) -> Image + Sync,
    ) -> Result<Vec<Sample>, DataError> {
        let load = |&i: &usize| match &self.items {
            Items::Stored(_) => {
                Ok(Sample { image: self.with_image(i, &fit)?, label: self.label(i), truth: None })
            }
            Items::Drawn { sherds, split } => {
                let sample = sherds.sample(*split, i);
                Ok(Sample { image: fit(sample.image), label: self.label(i), ..sample })
            }
        };
        let loaded: Vec<_> = indices.par_iter().map(load).collect();
        loaded.into_iter().collect()
    }

    /// The texture of the object on image `i`, if its ground truth is known.
    pub fn texture(&self, i: usize) -> Option<Texture> {
        match &self.items {
            Items::Stored(_) => None,
            Items::Drawn { sherds, split } => Some(sherds.texture(*split, i)),
        }
    }

    /// Whether it is known where the object of image `i` is.
    pub fn has_mask(&self, i: usize) -> bool {
        match &self.items {
            Items::Stored(records) => records[i].mask.is_some(),
            Items::Drawn { .. } => true,
        }
    }

    /// The true mask of image `i`, which was loaded as `sample`, at the image's own size; `None` where it is not known.
    ///
    /// # Errors
    /// [`DataError::BadMask`] if it cannot be decoded or has another size than the image.
    pub fn mask_of(&self, i: usize, sample: &Sample) -> Result<Option<Mask>, DataError> {
        let record = match &self.items {
            Items::Stored(records) => &records[i],
            Items::Drawn { .. } => return Ok(sample.truth.as_ref().map(|truth| truth.mask.clone())),
        };
        let Some(source) = &record.mask else { return Ok(None) };
        let mask = record.dimensions().and_then(|(width, height)| source.mask(width, height));
        mask.map(Some).map_err(|reason| DataError::BadMask {
            mask: source.name().to_owned(),
            identifier: record.identifier.clone(),
            reason,
        })
    }

    /// Images skipped by [`Split::verify`].
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Decodes every image once and drops those that cannot be used; [`Split::skipped`] names them. The rest
    /// keeps its order. `watch` receives the number of further images checked, from any thread.
    pub fn verify(&mut self, watch: &(dyn Fn(usize) + Sync)) {
        let count = self.len();
        let Items::Stored(records) = &mut self.items else {
            watch(count);
            return;
        };
        let checked: Vec<_> = std::mem::take(records)
            .into_par_iter()
            .map(|record| {
                let content = record.content();
                watch(1);
                match content {
                    Ok(content) => Ok((record, content)),
                    Err(reason) => Err(Skipped { identifier: record.identifier, reason }),
                }
            })
            .collect();
        let mut contents = Vec::with_capacity(checked.len());
        for outcome in checked {
            match outcome {
                Ok((record, content)) => {
                    records.push(record);
                    contents.push(content);
                }
                Err(skipped) => self.skipped.push(skipped),
            }
        }
        self.contents = Some(contents);
        self.kept = Kept::new(self.len());
    }

    /// What [`Split::verify`] found for every image, in order; `None` before, and for generated images.
    pub(super) fn contents(&self) -> Option<&[Content]> {
        self.contents.as_deref()
    }

    /// Widths and heights of all images, from their headers; damaged ones are skipped.
    pub(super) fn sizes(&self) -> Vec<(usize, usize)> {
        match &self.items {
            Items::Stored(records) => {
                records.par_iter().filter_map(|record| record.dimensions().ok()).collect()
            }
            Items::Drawn { sherds, .. } => vec![(sherds.config().size, sherds.config().size); self.len()],
        }
    }

    /// Adds everything that determines the images to `hash`: labels and stored bytes, or the generator's parameters.
    pub(super) fn hash_into(&self, hash: &mut Sha256) {
        match &self.items {
            Items::Stored(records) => {
                let digests: Vec<[u8; 32]> = match &self.contents {
                    Some(contents) => contents.iter().map(|content| content.digest).collect(),
                    None => records
                        .par_iter()
                        // An unreadable image is hashed by its error.
                        .map(|record| match record.with_bytes(|bytes| Sha256::digest(bytes).into()) {
                            Ok(digest) => digest,
                            Err(reason) => Sha256::digest(reason.as_bytes()).into(),
                        })
                        .collect(),
                };
                for (record, digest) in records.iter().zip(digests) {
                    hash.update((record.label as u64).to_le_bytes());
                    hash.update(digest);
                    if let Some(mask) = &record.mask {
                        mask.hash_into(hash);
                    }
                }
            }
            Items::Drawn { sherds, .. } => hash.update(sherds.description().as_bytes()),
        }
    }

    /// Moves the images that `choose` flags to a separate split.
    pub(super) fn part(&mut self, choose: impl FnOnce(&[Record]) -> Vec<bool>) -> Split {
        let Items::Stored(records) = &mut self.items else { return Split::stored(Vec::new()) };
        let mut flags = choose(records).into_iter();
        let taken = records.extract_if(.., |_| flags.next().unwrap_or(false)).collect();
        self.contents = None;
        self.kept = Kept::new(self.len());
        Split::stored(taken)
    }
}
