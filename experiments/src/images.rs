//! Images on their way into a model: decoded ahead, on another thread, while the model computes.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use thiserror::Error;

/// Batches that wait, decoded, for the model.
const AHEAD: usize = 2;

/// An image that cannot be used; the sentence names it.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{0}")]
pub struct ImageError(pub String);

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

    /// Side of the images, in pixels.
    fn image_size(&self) -> usize;

    /// Writes image `index`, values in [0, 1], as `3 × image_size × image_size`. A source that augments does so as
    /// `epoch` and `index` say, and nothing else; one that does not ignores `epoch`.
    ///
    /// # Errors
    /// An image that cannot be decoded.
    fn write(&self, index: usize, epoch: u64, pixels: &mut [f32]) -> Result<(), ImageError>;
}

/// Images that go through a model together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Index of each image in its source.
    pub indices: Vec<usize>,
    /// Class index of each image.
    pub labels: Vec<usize>,
    /// `[batch, 3, image_size, image_size]`, values in [0, 1].
    pub pixels: Vec<f32>,
    image_size: usize,
}

impl Batch {
    /// Decodes some images of a source, on all threads.
    ///
    /// # Errors
    /// The first of them that cannot be decoded.
    pub fn load(source: &dyn ImageSource, indices: &[usize], epoch: u64) -> Result<Self, ImageError> {
        let image_size = source.image_size();
        let per_image = 3 * image_size * image_size;
        let mut pixels = vec![0.0; indices.len() * per_image];
        let written: Vec<Result<(), ImageError>> = pixels
            .par_chunks_mut(per_image)
            .zip(indices)
            .map(|(pixels, &index)| source.write(index, epoch, pixels))
            .collect();
        written.into_iter().collect::<Result<(), _>>()?;
        let labels = indices.iter().map(|&index| source.label(index)).collect();
        Ok(Self { indices: indices.to_vec(), labels, pixels, image_size })
    }

    /// The images as a tensor, `[batch, 3, image_size, image_size]`.
    pub fn into_tensor(self, device: &Device) -> Tensor<4> {
        let shape = [self.labels.len(), 3, self.image_size, self.image_size];
        Tensor::from_data(TensorData::new(self.pixels, shape), device)
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
) -> Receiver<Result<Batch, ImageError>> {
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
