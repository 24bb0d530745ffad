//! Images on their way into a model: brought to its size, decoded ahead on another thread while the model computes.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use archaeo_models::{Interpolation, Preprocessing};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::augment::{AugmentConfig, AugmentKey, augment};
use crate::data::resize::{Filter, center_crop, resize_shorter_side};
use crate::data::{DataError, Image, Split};

/// Batches that wait, decoded, for the model.
const AHEAD: usize = 2;

/// Labelled images as a model takes them: square, all of one size.
pub trait ImageSource: Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// Whether there is no image.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Class index of an image.
    fn label(&self, index: usize) -> usize;

    /// Image `index`. A source that augments does so as `epoch` and `index` say, and nothing else; one that does not
    /// ignores `epoch`.
    ///
    /// # Errors
    /// An image that cannot be decoded.
    fn image(&self, index: usize, epoch: u64) -> Result<Image, DataError>;
}

/// A split as a model is evaluated on it.
#[derive(Clone, Debug)]
pub struct Preprocessed<'a> {
    /// The images.
    pub split: &'a Split,
    /// What the model's card says.
    pub preprocessing: &'a Preprocessing,
}

impl ImageSource for Preprocessed<'_> {
    fn len(&self) -> usize {
        self.split.len()
    }

    fn label(&self, index: usize) -> usize {
        self.split.label(index)
    }

    fn image(&self, index: usize, _: u64) -> Result<Image, DataError> {
        Ok(preprocess(self.split.load(index)?.image, self.preprocessing))
    }
}

/// The shorter side resized to ⌊size / crop⌋, then the middle cut out; an image that has the size already is left as
/// it is.
pub fn preprocess(image: Image, preprocessing: &Preprocessing) -> Image {
    let Preprocessing { image_size, crop, interpolation, .. } = *preprocessing;
    let shorter = (image_size as f64 / crop).floor() as usize;
    let filter = match interpolation {
        Interpolation::Bilinear => Filter::Bilinear,
        Interpolation::Bicubic => Filter::Bicubic,
    };
    let resized = if image.width.min(image.height) == shorter {
        image
    } else {
        resize_shorter_side(&image, shorter, filter)
    };
    if (resized.width, resized.height) == (image_size, image_size) {
        return resized;
    }
    center_crop(&resized, image_size, image_size)
}

/// A split as a model is trained on it: every image changed at random, in each epoch in another way.
#[derive(Clone, Debug)]
pub struct Augmented<'a> {
    /// The images.
    pub split: &'a Split,
    /// What is done to them.
    pub augment: &'a AugmentConfig,
    /// Side of the model's input, in pixels.
    pub image_size: usize,
    /// Seed of the changes.
    pub seed: u64,
}

impl ImageSource for Augmented<'_> {
    fn len(&self) -> usize {
        self.split.len()
    }

    fn label(&self, index: usize) -> usize {
        self.split.label(index)
    }

    fn image(&self, index: usize, epoch: u64) -> Result<Image, DataError> {
        let key = AugmentKey { seed: self.seed, image: index as u64, epoch };
        Ok(augment(&self.split.load(index)?.image, self.augment, self.image_size, key))
    }
}

/// Images that go through a model together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Index of each image in its source.
    pub indices: Vec<usize>,
    /// Class index of each image.
    pub labels: Vec<usize>,
    /// The images, all of one size.
    pub images: Vec<Image>,
}

impl Batch {
    /// Decodes some images of a source, on all threads.
    ///
    /// # Errors
    /// The first of them that cannot be decoded.
    pub fn load(source: &dyn ImageSource, indices: &[usize], epoch: u64) -> Result<Self, DataError> {
        let loaded: Vec<_> = indices.par_iter().map(|&index| source.image(index, epoch)).collect();
        let images = loaded.into_iter().collect::<Result<_, _>>()?;
        let labels = indices.iter().map(|&index| source.label(index)).collect();
        Ok(Self { indices: indices.to_vec(), labels, images })
    }

    /// The images with values in [0, 1], `[batch, 3, height, width]`.
    pub fn tensor(&self, device: &Device) -> Tensor<4> {
        let (height, width) = self.images.first().map_or((0, 0), |image| (image.height, image.width));
        let plane = height * width;
        let mut values = vec![0f32; self.images.len() * 3 * plane];
        values.par_chunks_mut((3 * plane).max(1)).zip(&self.images).for_each(|(values, image)| {
            for (channel, plane) in values.chunks_exact_mut(plane).enumerate() {
                for (value, pixel) in plane.iter_mut().zip(image.pixels.chunks_exact(3)) {
                    *value = f32::from(pixel[channel]) / 255.0;
                }
            }
        });
        Tensor::from_data(TensorData::new(values, [self.images.len(), 3, height, width]), device)
    }
}

/// Decodes batch after batch of `order` on a thread of `scope`, a few ahead of the one that is asked for. Dropping the
/// receiver ends it.
pub fn load_ahead<'scope>(
    scope: &'scope Scope<'scope, '_>,
    source: &'scope dyn ImageSource,
    order: Vec<usize>,
    batch_size: usize,
    epoch: u64,
) -> Receiver<Result<Batch, DataError>> {
    let (sender, receiver) = sync_channel(AHEAD);
    scope.spawn(move || {
        for indices in order.chunks(batch_size) {
            let batch = Batch::load(source, indices, epoch);
            let failed = batch.is_err();
            if sender.send(batch).is_err() || failed {
                return;
            }
        }
    });
    receiver
}
