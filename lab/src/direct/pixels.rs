//! Images as a model takes them, held by whoever asks.

use std::ops::Range;
use std::path::Path;

use archaeo_data::{Image, MAX_PIXELS, decode, dimensions};
use archaeo_store::read_bytes;
use archaeo_training::images::{preprocess, to_tensor};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::{DirectError, DirectModel};
use crate::error::LabError;
use crate::session::Session;

/// Images of a model's input size with values in [0, 1], `(images, 3, side, side)`, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a> {
    values: &'a [f32],
    side: usize,
}

impl<'a> Pixels<'a> {
    /// Number of images.
    pub fn count(self) -> usize {
        self.values.len() / self.image_length()
    }

    fn image_length(self) -> usize {
        3 * self.side * self.side
    }

    /// Some of the images.
    fn part(self, range: Range<usize>) -> &'a [f32] {
        &self.values[range.start * self.image_length()..range.end * self.image_length()]
    }

    /// Ranges of at most `most` images, in their order.
    pub(super) fn batches(self, most: usize) -> impl Iterator<Item = Range<usize>> {
        let count = self.count();
        (0..count).step_by(most).map(move |start| start..(start + most).min(count))
    }
}

impl DirectModel {
    /// Takes values that somebody else holds for images, after a look at all of them.
    ///
    /// # Errors
    /// Another shape than `[n, 3, side, side]`, no image, or a value that is not in [0, 1].
    pub fn pixels<'a>(&self, shape: &[usize], values: &'a [f32]) -> Result<Pixels<'a>, DirectError> {
        let side = self.card().preprocessing.image_size;
        let fits = matches!(*shape, [count, 3, height, width]
            if height == side && width == side && values.len() == count * 3 * side * side);
        if !fits {
            return Err(DirectError::Shape { model: self.card().name.clone(), side, shape: shape.to_vec() });
        }
        if values.is_empty() {
            return Err(DirectError::NoImage);
        }
        let pixels = Pixels { values, side };
        match values.par_iter().position_first(|value| !(0.0..=1.0).contains(value)) {
            None => Ok(pixels),
            Some(at) => Err(DirectError::Range { image: at / pixels.image_length(), value: values[at] }),
        }
    }

    /// Pictures resized and cropped as the model's images are, as values for [`DirectModel::pixels`]: `(images, 3, side, side)`.
    pub fn prepared(&self, pictures: Vec<Image>) -> Vec<f32> {
        let preprocessing = &self.card().preprocessing;
        let fitted = pictures.into_par_iter().map(|picture| preprocess(picture, preprocessing));
        let fitted: Vec<Image> = fitted.collect();
        match fitted.is_empty() {
            true => Vec::new(),
            false => values(to_tensor(&fitted, &Device::flex())),
        }
    }

    /// Some of the images as a tensor on the model's device, `[images, 3, side, side]`.
    pub(super) fn tensor(&self, pixels: Pixels, range: Range<usize>) -> Tensor<4> {
        let shape = [range.len(), 3, pixels.side, pixels.side];
        Tensor::from_data(TensorData::new(pixels.part(range).to_vec(), shape), &self.device)
    }
}

/// Bytes of the longest file that is read for one picture.
const LONGEST_FILE: u64 = 1 << 30;

/// The picture that a file holds, of any kind that data sets may have.
///
/// # Errors
/// A file that cannot be read, or that is no picture or a damaged one.
pub fn read_picture(file: &Path) -> Result<Image, DirectError> {
    let bytes =
        read_bytes(file, LONGEST_FILE).map_err(|source| LabError::Read { path: file.to_owned(), source })?;
    let refused = |reason: String| DirectError::Asked(format!("{} cannot be used: {reason}", file.display()));
    let (width, height) = dimensions(&bytes).map_err(refused)?;
    if width.saturating_mul(height) > usize::try_from(MAX_PIXELS).unwrap_or(usize::MAX) {
        return Err(refused(format!("it has {width} × {height} pixels; make it smaller")));
    }
    decode(&bytes).map_err(refused)
}

/// The values of a tensor, row by row.
pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("32-bit floats")
}

impl Session {
    /// Refuses to go on where the listener asks to stop.
    pub(super) fn go_on(&self) -> Result<(), DirectError> {
        match self.listener().interrupted() {
            true => Err(DirectError::Interrupted),
            false => Ok(()),
        }
    }
}
