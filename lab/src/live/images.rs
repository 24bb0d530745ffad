//! The images on the table: those of the data, those that were added, and those that attacks made.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use archaeo_data::{Dataset, NO_OUTPUT, decode, dimensions};
use archaeo_plot::Image;
use serde::Serialize;

use super::model::LiveModel;
use super::{Live, LiveError};
use crate::error::LabError;

/// Bytes of pixels of added images that are kept; those that were not asked about for longest go first.
const ADDED_BYTES: usize = 384 << 20;

/// Pixels of the largest image that is accepted.
pub(super) const MOST_PIXELS: usize = 40_000_000;

/// An image, without its pixels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageCard {
    /// What it is asked for by.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What the data call it; `None` without a label.
    pub label: Option<String>,
    /// By model the output of that class, where there is one.
    pub label_index: BTreeMap<String, Option<usize>>,
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// SHA-256 of its size and pixels.
    pub hash: String,
}

/// Images of the data, in a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImagePage {
    /// How many there are in all.
    pub count: usize,
    /// Some of them.
    pub images: Vec<ImageName>,
}

/// An image of the data, before it is read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageName {
    /// What it is asked for by.
    pub id: String,
    /// Its name in the data.
    pub name: String,
    /// What the data call it.
    pub label: Option<String>,
}

pub(super) struct Images {
    dataset: Dataset,
    split: String,
    /// Images of the split. One whose class has no output can be looked at all the same.
    count: usize,
    added: Mutex<Vec<Added>>,
}

/// An image that is not of the data, the last one used at the end.
struct Added {
    id: String,
    name: String,
    picture: Arc<Image>,
    /// Of an adversarial image, the image that it was made of.
    made_of: Option<String>,
}

impl Images {
    pub fn new(dataset: Dataset, split: Option<&str>, models: &mut [LiveModel]) -> Result<Self, LabError> {
        let split = split.unwrap_or_else(|| dataset.evaluation_split()).to_owned();
        let count = dataset.split(&split)?.len();
        for model in models {
            model.match_with(&dataset, &split)?;
        }
        match count == 0 {
            true => Err(LabError::NoImage(dataset.name.clone())),
            false => Ok(Self { dataset, split, count, added: Mutex::default() }),
        }
    }

    /// Name of the data, whether they have labels, and how many images there are.
    pub fn about(&self) -> (&str, bool, usize) {
        (&self.dataset.name, self.dataset.has_labels(), self.count)
    }

    /// The data that means are taken from: those that choose between models where there are some, and how many of them.
    pub fn reference(&self, most: usize) -> Result<Vec<Image>, LiveError> {
        let name = self.dataset.selection_split().unwrap_or(&self.split);
        let split = self.dataset.split(name)?;
        let count = split.len().min(most);
        let at = |i: usize| i * split.len() / count;
        (0..count).map(|i| Ok(split.load(at(i))?.image)).collect()
    }

    fn index(&self, id: &str) -> Option<usize> {
        let number: usize = id.strip_prefix('d')?.parse().ok()?;
        number.checked_sub(1).filter(|&index| index < self.count)
    }

    /// An image, and what its random numbers are keyed by: its place in the data, or 0.
    pub fn picture(&self, id: &str) -> Result<(Arc<Image>, u64), LiveError> {
        if let Some(index) = self.index(id) {
            let sample = self.dataset.split(&self.split)?.load(index)?;
            return Ok((Arc::new(sample.image), index as u64));
        }
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        let place = added.iter().position(|added| added.id == id);
        let found = added.remove(place.ok_or_else(|| LiveError::Image(id.into()))?);
        let picture = found.picture.clone();
        let key = found.made_of.as_deref().and_then(|of| self.index(of)).unwrap_or(0);
        added.push(found);
        Ok((picture, key as u64))
    }

    /// The label of an image, as a class of the data: an adversarial image has that of the image that it was made of.
    pub fn label(&self, id: &str) -> Result<Option<usize>, LiveError> {
        if !self.dataset.has_labels() {
            return Ok(None);
        }
        let index = self.index(id).or_else(|| self.index(&self.made_of(id)?));
        let split = self.dataset.split(&self.split)?;
        Ok(index.map(|index| split.label(index)).filter(|&label| label != NO_OUTPUT))
    }

    fn made_of(&self, id: &str) -> Option<String> {
        let added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        added.iter().find(|added| added.id == id)?.made_of.clone()
    }

    /// Whether an attack made an image, at a model's input size.
    pub fn is_made(&self, id: &str) -> bool {
        self.made_of(id).is_some()
    }

    /// The image that an image goes back to: itself, or what attacks made it of.
    pub fn origin(&self, id: &str) -> String {
        self.made_of(id).unwrap_or_else(|| id.to_owned())
    }

    /// Keeps an image under the hash of its pixels.
    pub fn keep(&self, prefix: char, name: String, picture: Image, made_of: Option<String>) -> String {
        let id = format!("{prefix}{}", &hash(&picture)[..16]);
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        added.retain(|added| added.id != id);
        added.push(Added { id: id.clone(), name, picture: Arc::new(picture), made_of });
        let mut bytes: usize = added.iter().map(|added| added.picture.pixels().len()).sum();
        while bytes > ADDED_BYTES && added.len() > 1 {
            bytes -= added.remove(0).picture.pixels().len();
        }
        id
    }

    pub fn name_of(&self, id: &str) -> Result<String, LiveError> {
        if let Some(index) = self.index(id) {
            return Ok(self.dataset.split(&self.split)?.identifier(index));
        }
        let added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        let found = added.iter().find(|added| added.id == id);
        found.map(|added| added.name.clone()).ok_or_else(|| LiveError::Image(id.into()))
    }
}

fn hash(picture: &Image) -> String {
    let mut bytes = format!("{} {} ", picture.width(), picture.height()).into_bytes();
    bytes.extend_from_slice(picture.pixels());
    archaeo_store::sha256(&bytes)
}

impl Live {
    /// `count` images of the data, from number `from` on, counted from 1.
    ///
    /// # Errors
    /// A split that is not there any more.
    pub fn page(&self, from: usize, count: usize) -> Result<ImagePage, LiveError> {
        let Images { dataset, split, count: all, .. } = &self.images;
        let images = dataset.split(split)?;
        let first = from.max(1) - 1;
        let shown = (first..*all).take(count).map(|index| ImageName {
            id: format!("d{}", index + 1),
            name: images.identifier(index),
            label: match dataset.has_labels() {
                true => self.label_name(images.label(index)),
                false => None,
            },
        });
        Ok(ImagePage { count: *all, images: shown.collect() })
    }

    /// What a class of the data is called: as the first model calls it that has an output for it, since data may have numbers alone.
    fn label_name(&self, label: usize) -> Option<String> {
        let of_model = |model: &LiveModel| model.names.get(model.output_of(label)?).cloned();
        let by_data = || self.images.dataset.classes.get(label).cloned();
        self.models.iter().find_map(of_model).or_else(by_data)
    }

    /// What is known of an image.
    ///
    /// # Errors
    /// One that is not there, or cannot be read.
    pub fn image(&self, id: &str) -> Result<ImageCard, LiveError> {
        let (picture, _) = self.images.picture(id)?;
        let label = self.images.label(id)?;
        let of_model =
            |model: &LiveModel| (model.name.clone(), label.and_then(|label| model.output_of(label)));
        Ok(ImageCard {
            id: id.into(),
            name: self.images.name_of(id)?,
            label: label.and_then(|label| self.label_name(label)),
            label_index: self.models.iter().map(of_model).collect(),
            width: picture.width(),
            height: picture.height(),
            hash: hash(&picture),
        })
    }

    /// An image as it is.
    ///
    /// # Errors
    /// As [`Live::image`].
    pub fn picture(&self, id: &str) -> Result<Arc<Image>, LiveError> {
        Ok(self.images.picture(id)?.0)
    }

    /// Adds an image from the bytes of its file, in memory alone.
    ///
    /// # Errors
    /// A file that is damaged, of an unknown format or too large; nothing is decoded before its size is known.
    pub fn add(&self, name: &str, bytes: &[u8]) -> Result<ImageCard, LiveError> {
        let refused = |reason: String| LiveError::Upload { name: name.into(), reason };
        let (width, height) = dimensions(bytes).map_err(refused)?;
        if width.saturating_mul(height) > MOST_PIXELS {
            return Err(refused(format!(
                "it has {width} × {height} pixels, and at most {} million are accepted; make it smaller",
                MOST_PIXELS / 1_000_000
            )));
        }
        let picture = decode(bytes).map_err(refused)?;
        let id = self.images.keep('u', name.into(), picture, None);
        self.image(&id)
    }
}
