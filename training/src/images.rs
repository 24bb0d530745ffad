//! Loading images for a model: resized to its input, decoded ahead on another thread while the model computes.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use archaeo_models::{Fit, Preprocessing};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use archaeo_data::augment::{AugmentConfig, AugmentKey, augment, mirrored};
use archaeo_data::resize::{center_crop, resize_and_center_crop, with_shorter_side};
use archaeo_data::{DataError, Image, Mask, Split};

/// Number of batches decoded ahead.
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

    /// Image `index`. Augmentation depends only on `epoch` and `index`; a source without augmentation ignores `epoch`.
    ///
    /// # Errors
    /// An image that cannot be decoded.
    fn image(&self, index: usize, epoch: u64) -> Result<Image, DataError>;

    /// Number of different images that [`ImageSource::image`] returns for one index over all epochs; `None` where no two epochs
    /// are alike, or nobody counts.
    fn variants(&self) -> Option<usize> {
        None
    }

    /// Number of images behind the indices: fewer than these where images repeat.
    fn originals(&self) -> usize {
        self.len()
    }

    /// The image behind an index.
    fn original(&self, index: usize) -> usize {
        index
    }

    /// Which of the variants it returns in an epoch.
    fn variant(&self, _index: usize, _epoch: u64) -> usize {
        0
    }

    /// All variants of an original, from one reading of the image.
    ///
    /// # Errors
    /// As [`ImageSource::image`].
    fn all_variants(&self, original: usize) -> Result<Vec<Image>, DataError> {
        Ok(vec![self.image(original, 0)?])
    }

    /// What image `index` shows, in words; `None` where nobody has said it.
    fn caption(&self, _index: usize) -> Option<String> {
        None
    }

    /// Whether each pixel of [`ImageSource::image`] belongs to the object, row by row; `None` where that is not known.
    ///
    /// # Errors
    /// An image or a mask that cannot be decoded.
    fn mask(&self, _index: usize, _epoch: u64) -> Result<Option<Vec<bool>>, DataError> {
        Ok(None)
    }
}

/// A split with a model's evaluation preprocessing.
#[derive(Clone, Debug)]
pub struct Preprocessed<'a> {
    /// The images.
    pub split: &'a Split,
    /// Preprocessing from the model's card.
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
        self.split.with_image(index, |image| preprocess(image, self.preprocessing))
    }

    fn variants(&self) -> Option<usize> {
        Some(1)
    }

    fn mask(&self, index: usize, _: u64) -> Result<Option<Vec<bool>>, DataError> {
        let sample = self.split.load(index)?;
        let mask = self.split.mask_of(index, &sample)?;
        Ok(mask.map(|mask| preprocess_mask(&mask, self.preprocessing)))
    }
}

/// An image resized and cropped to the model's input by [`Fit`]; one of that size is left unchanged.
pub fn preprocess(image: Image, preprocessing: &Preprocessing) -> Image {
    let Preprocessing { image_size, crop, fit, interpolation, .. } = *preprocessing;
    let side = (image_size as f64 / crop).floor() as usize;
    let size = match fit {
        Fit::Crop => with_shorter_side(&image, side),
        Fit::Squash => (side, side),
    };
    match (image.width(), image.height()) {
        current if current == size && size == (image_size, image_size) => image,
        current if current == size => center_crop(&image, image_size, image_size),
        _ => resize_and_center_crop(&image, size, image_size, interpolation),
    }
}

/// An object mask under the same resize and crop as [`preprocess`] gives the image: whether each pixel of the model's
/// input is at least half object, row by row.
pub fn preprocess_mask(mask: &Mask, preprocessing: &Preprocessing) -> Vec<bool> {
    let pixels = mask.inside.iter().flat_map(|&inside| [if inside { 255 } else { 0 }; 3]).collect();
    let fitted = preprocess(Image::new(mask.width, mask.height, pixels), preprocessing);
    fitted.pixels().iter().step_by(3).map(|&value| value >= 128).collect()
}

/// A split with training augmentation, different for every image and epoch.
#[derive(Clone, Debug)]
pub struct Augmented<'a> {
    /// The images.
    pub split: &'a Split,
    /// The augmentation.
    pub augment: &'a AugmentConfig,
    /// Preprocessing from the model's card. A random resized crop replaces its resize and crop.
    pub preprocessing: &'a Preprocessing,
    /// Seed of the augmentation.
    pub seed: u64,
}

impl Augmented<'_> {
    fn key(&self, index: usize, epoch: u64) -> AugmentKey {
        AugmentKey { seed: self.seed, image: index as u64, epoch }
    }
}

impl ImageSource for Augmented<'_> {
    fn len(&self) -> usize {
        self.split.len()
    }

    fn label(&self, index: usize) -> usize {
        self.split.label(index)
    }

    fn image(&self, index: usize, epoch: u64) -> Result<Image, DataError> {
        let (key, side) = (self.key(index, epoch), self.preprocessing.image_size);
        self.split.with_kept_image(index, |image| match self.augment.random_resized_crop {
            Some(_) => augment(image, self.augment, side, key),
            None => augment(&preprocess(image.clone(), self.preprocessing), self.augment, side, key),
        })
    }

    fn variants(&self) -> Option<usize> {
        self.augment.variants()
    }

    fn variant(&self, index: usize, epoch: u64) -> usize {
        usize::from(self.augment.mirrors(self.key(index, epoch)))
    }

    fn all_variants(&self, index: usize) -> Result<Vec<Image>, DataError> {
        let plain = self.split.with_image(index, |image| preprocess(image, self.preprocessing))?;
        Ok(match self.variants() {
            Some(2) => vec![plain.clone(), mirrored(plain)],
            _ => vec![plain],
        })
    }

    fn caption(&self, index: usize) -> Option<String> {
        self.split.caption(index)
    }

    fn mask(&self, index: usize, epoch: u64) -> Result<Option<Vec<bool>>, DataError> {
        if !self.augment.keeps_places() {
            return Ok(None);
        }
        let plain = Preprocessed { split: self.split, preprocessing: self.preprocessing };
        let mask = plain.mask(index, epoch)?;
        Ok(mask.map(|mut mask| {
            if self.augment.mirrors(self.key(index, epoch)) {
                mask.chunks_exact_mut(self.preprocessing.image_size).for_each(<[bool]>::reverse);
            }
            mask
        }))
    }
}

/// Some images of a source, in the order of `indices`.
#[derive(Clone, Debug)]
pub struct Subset<S> {
    /// All images.
    pub images: S,
    /// The selected indices.
    pub indices: Vec<usize>,
}

impl<S: ImageSource> ImageSource for Subset<S> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn label(&self, index: usize) -> usize {
        self.images.label(self.indices[index])
    }

    fn image(&self, index: usize, epoch: u64) -> Result<Image, DataError> {
        self.images.image(self.indices[index], epoch)
    }

    fn variants(&self) -> Option<usize> {
        self.images.variants()
    }

    fn variant(&self, index: usize, epoch: u64) -> usize {
        self.images.variant(self.indices[index], epoch)
    }

    fn all_variants(&self, index: usize) -> Result<Vec<Image>, DataError> {
        self.images.all_variants(self.indices[index])
    }

    fn caption(&self, index: usize) -> Option<String> {
        self.images.caption(self.indices[index])
    }

    fn mask(&self, index: usize, epoch: u64) -> Result<Option<Vec<bool>>, DataError> {
        self.images.mask(self.indices[index], epoch)
    }
}

/// A source whose epoch goes through the images of another several times, each time as in an epoch of its own.
#[derive(Clone, Debug)]
pub struct Repeated<S> {
    /// The images.
    pub images: S,
    /// How often.
    pub times: usize,
}

impl<S: ImageSource> Repeated<S> {
    /// The image and its epoch in the other source.
    fn inner(&self, index: usize, epoch: u64) -> (usize, u64) {
        let count = self.images.len();
        (index % count, epoch * self.times as u64 + (index / count) as u64)
    }
}

impl<S: ImageSource> ImageSource for Repeated<S> {
    fn len(&self) -> usize {
        self.images.len() * self.times
    }

    fn label(&self, index: usize) -> usize {
        self.images.label(index % self.images.len())
    }

    fn image(&self, index: usize, epoch: u64) -> Result<Image, DataError> {
        let (index, epoch) = self.inner(index, epoch);
        self.images.image(index, epoch)
    }

    fn variants(&self) -> Option<usize> {
        self.images.variants()
    }

    fn variant(&self, index: usize, epoch: u64) -> usize {
        let (index, epoch) = self.inner(index, epoch);
        self.images.variant(index, epoch)
    }

    fn originals(&self) -> usize {
        self.images.originals()
    }

    fn original(&self, index: usize) -> usize {
        self.images.original(index % self.images.len())
    }

    fn all_variants(&self, original: usize) -> Result<Vec<Image>, DataError> {
        self.images.all_variants(original)
    }

    fn caption(&self, index: usize) -> Option<String> {
        self.images.caption(index % self.images.len())
    }

    fn mask(&self, index: usize, epoch: u64) -> Result<Option<Vec<bool>>, DataError> {
        let (index, epoch) = self.inner(index, epoch);
        self.images.mask(index, epoch)
    }
}

/// A batch of images of one size.
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
        to_tensor(&self.images, device)
    }
}

/// Images of one size with values in [0, 1], `[batch, 3, height, width]`.
pub fn to_tensor(images: &[Image], device: &Device) -> Tensor<4> {
    let (height, width) = images.first().map_or((0, 0), |image| (image.height(), image.width()));
    let plane = height * width;
    let mut values = vec![0f32; images.len() * 3 * plane];
    values.par_chunks_mut((3 * plane).max(1)).zip(images).for_each(|(values, image)| {
        for (channel, plane) in values.chunks_exact_mut(plane).enumerate() {
            for (value, pixel) in plane.iter_mut().zip(image.pixels().chunks_exact(3)) {
                *value = f32::from(pixel[channel]) / 255.0;
            }
        }
    });
    Tensor::from_data(TensorData::new(values, [images.len(), 3, height, width]), device)
}

/// Decodes the batches of `order` in sequence on a thread of `scope`, a few ahead of the consumer. Dropping the
/// receiver ends it.
///
/// Decoding runs on rayon's global threads, so the caller must not be one of them: it would wait for itself.
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

#[cfg(test)]
mod tests {
    use super::*;
    use archaeo_data::resize::resize;
    use archaeo_data::{Interpolation, OpenOptions, open};

    /// Four one-pixel images, of which the third is damaged.
    struct Four;

    impl ImageSource for Four {
        fn len(&self) -> usize {
            4
        }

        fn label(&self, index: usize) -> usize {
            index % 2
        }

        fn image(&self, index: usize, _: u64) -> Result<Image, DataError> {
            match index {
                2 => Err(DataError::BadImage { identifier: "2.png".into(), reason: "it is empty".into() }),
                _ => Ok(Image::new(2, 1, vec![0, 51, 102, 153, 204, 255])),
            }
        }
    }

    #[test]
    fn batches_come_in_order_until_one_fails() {
        let seen: Vec<Result<Vec<usize>, String>> = std::thread::scope(|scope| {
            let batches = load_ahead(scope, &Four, vec![3, 1, 0, 2, 1], 2, 0);
            batches.iter().map(|batch| Ok(batch.map_err(|error| error.to_string())?.indices)).collect()
        });
        let complaint = "2.png cannot be used: it is empty; replace or remove it".to_owned();
        assert_eq!(seen, [Ok(vec![3, 1]), Err(complaint)]);
    }

    #[test]
    fn a_consumer_that_stops_asking_is_not_waited_for() {
        std::thread::scope(|scope| {
            let batches = load_ahead(scope, &Four, vec![0; 1000], 1, 0);
            assert_eq!(batches.recv().unwrap().unwrap().labels, [0]);
        });
    }

    #[test]
    fn a_tensor_holds_channel_after_channel() {
        let batch = Batch::load(&Four, &[0, 1], 0).unwrap();
        let tensor = batch.tensor(&Device::flex());
        assert_eq!(tensor.dims(), [2, 3, 1, 2]);
        let values = tensor.into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(values[..6], [0.0, 0.6, 0.2, 0.8, 0.4, 1.0]);
        assert_eq!(values[..6], values[6..]);
    }

    #[test]
    fn preprocessing_resizes_the_shorter_side_and_crops() {
        let card = |image_size, crop| Preprocessing { crop, ..Preprocessing::plain(image_size) };
        let mut image = Image::filled(40, 20, [0; 3]);
        image.pixels_mut()[20 * 3..21 * 3].fill(255);
        assert_eq!(preprocess(image.clone(), &card(20, 1.0)), center_crop(&image, 20, 20));
        // ⌊18 / 0.875⌋ = 20: the image is cropped without a resize.
        assert_eq!(preprocess(image.clone(), &card(18, 0.875)), center_crop(&image, 18, 18));
        // ⌊10 / 0.9⌋ = 11.
        let expected = center_crop(&resize(&image, 22, 11, Interpolation::Bicubic), 10, 10);
        assert_eq!(preprocess(image, &card(10, 0.9)), expected);
    }

    #[test]
    fn an_augmented_image_depends_on_seed_index_and_epoch_alone() {
        let sherds = open("sherds:train=40", &OpenOptions::default()).unwrap();
        let split = sherds.split("train").unwrap();
        let augment = AugmentConfig { pad_crop: 4, flip: 0.5, ..AugmentConfig::default() };
        let plain = Preprocessing::plain(32);
        let images = |seed, indices: &[usize], epoch| {
            let source = Augmented { split, augment: &augment, preprocessing: &plain, seed };
            Batch::load(&source, indices, epoch).unwrap().images
        };
        let all: Vec<usize> = (0..40).collect();
        let reference = images(1, &all, 3);
        assert!(reference[7] == images(1, &[7], 3)[0], "the batch matters");
        for (seed, epoch) in [(2, 3), (1, 4)] {
            // Crop and flip have 162 outcomes, so that a few may be alike.
            let alike = images(seed, &all, epoch).iter().zip(&reference).filter(|(a, b)| a == b).count();
            assert!(alike < 5, "seed {seed}, epoch {epoch}: {alike} of 40 are alike");
        }
        let plain = Preprocessed { split, preprocessing: &plain };
        assert!(plain.image(7, 0).unwrap() == split.load(7).unwrap().image, "it has the size already");
    }

    #[test]
    fn masks_are_mirrored_with_their_images() {
        let sherds = open("sherds:train=24,size=40", &OpenOptions::default()).unwrap();
        let split = sherds.split("train").unwrap();
        let preprocessing = Preprocessing::plain(32);
        let plain = Preprocessed { split, preprocessing: &preprocessing };
        let augment = AugmentConfig { flip: 0.5, color_jitter: 0.4, ..AugmentConfig::default() };
        let source = Augmented { split, augment: &augment, preprocessing: &preprocessing, seed: 3 };
        let mut mirrored = 0;
        for index in 0..24 {
            let expected = plain.mask(index, 0).unwrap().unwrap();
            let found = source.mask(index, 5).unwrap().unwrap();
            let reversed: Vec<bool> =
                expected.chunks_exact(32).flat_map(|row| row.iter().rev()).copied().collect();
            // The image of the same epoch without the jitter says which of the two it is.
            let flip = AugmentConfig { color_jitter: 0.0, ..augment.clone() };
            let image = Augmented { augment: &flip, ..source.clone() }.image(index, 5).unwrap();
            let is_mirrored = image != plain.image(index, 0).unwrap();
            assert!(found == if is_mirrored { reversed } else { expected }, "image {index}");
            mirrored += usize::from(is_mirrored);
        }
        assert!((1..24).contains(&mirrored));
        let moving = AugmentConfig { pad_crop: 2, ..augment.clone() };
        assert_eq!(Augmented { augment: &moving, ..source }.mask(0, 0).unwrap(), None);
    }

    #[test]
    fn a_repeated_source_augments_every_pass_anew() {
        let sherds = open("sherds:train=6", &OpenOptions::default()).unwrap();
        let split = sherds.split("train").unwrap();
        let (augment, preprocessing) =
            (AugmentConfig { pad_crop: 4, ..AugmentConfig::default() }, Preprocessing::plain(32));
        let images = Augmented { split, augment: &augment, preprocessing: &preprocessing, seed: 1 };
        let repeated = Repeated { images: images.clone(), times: 3 };
        assert_eq!((repeated.len(), repeated.label(6 + 4)), (18, images.label(4)));
        for (index, epoch) in [(4, 0), (10, 0), (16, 0), (4, 1)] {
            let passes = 3 * epoch + index as u64 / 6;
            assert!(repeated.image(index, epoch).unwrap() == images.image(4, passes).unwrap());
        }
        assert!(repeated.image(4, 0).unwrap() != repeated.image(10, 0).unwrap());
    }

    #[test]
    fn images_that_are_mirrored_at_most_have_the_variants_that_epochs_show() {
        let sherds = open("sherds:train=12,size=40", &OpenOptions::default()).unwrap();
        let split = sherds.split("train").unwrap();
        let preprocessing = Preprocessing { crop: 0.8, ..Preprocessing::plain(32) };
        for (flip, variants) in [(0.0, 1), (0.5, 2)] {
            let augment = AugmentConfig { flip, ..AugmentConfig::default() };
            let source = Augmented { split, augment: &augment, preprocessing: &preprocessing, seed: 3 };
            assert_eq!(source.variants(), Some(variants));
            let mut shown = [0; 2];
            for (index, epoch) in (0..12).flat_map(|index| (0..4).map(move |epoch| (index, epoch))) {
                let variant = source.variant(index, epoch);
                let all = source.all_variants(index).unwrap();
                assert_eq!(all.len(), variants);
                assert!(all[variant] == source.image(index, epoch).unwrap(), "image {index}, epoch {epoch}");
                shown[variant] += 1;
            }
            assert_eq!(shown[1] > 0, flip > 0.0);
            let plain = Preprocessed { split, preprocessing: &preprocessing };
            assert!(
                plain.image(5, 0).unwrap() == source.all_variants(5).unwrap()[0],
                "the card decides the crop"
            );
        }
        for endless in [
            AugmentConfig { pad_crop: 1, ..AugmentConfig::default() },
            AugmentConfig { mixup: 0.5, ..AugmentConfig::default() },
            AugmentConfig { random_resized_crop: Some(Default::default()), ..AugmentConfig::default() },
        ] {
            assert_eq!(endless.variants(), None);
        }
    }
}
