//! The factors of one image, as the model sees it.

use std::collections::BTreeMap;

use archaeo_analysis::attacks::spectrum::Spectrum;
use archaeo_data::sherds::{Change, Sherds, SherdsSplit};
use archaeo_data::{Image, Sample, Split};
use archaeo_models::Classifier;
use archaeo_training::images::preprocess_mask;
use serde::{Deserialize, Serialize};

use super::Factor;
use super::training::Training;
use crate::scene::{Scene, StudyError};
use crate::units::{Batch, Unit};

/// What is recorded of one image and model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The factors that are known of it.
    pub factors: BTreeMap<Factor, f64>,
}

/// Measures the images of one model.
pub struct Instruments<'a> {
    split: &'a Split,
    model: &'a Classifier,
    spectrum: Spectrum,
    training: Option<Training>,
}

impl<'a> Instruments<'a> {
    /// Takes the features of the training images, where there are any to be near to.
    ///
    /// # Errors
    /// Data that cannot be read, features that are not finite, an interruption.
    pub fn of(scene: &'a Scene, unit: &Unit, training_images: usize) -> Result<Self, StudyError> {
        let model = scene.model(unit.model);
        let side = model.card().preprocessing.image_size;
        Ok(Self {
            split: scene.split()?,
            model,
            spectrum: Spectrum::new(side, side),
            training: Training::of(scene, unit.model, training_images)?,
        })
    }

    /// Measures a batch.
    ///
    /// # Errors
    /// A mask that cannot be read.
    pub fn measure(&self, scene: &Scene, batch: &Batch) -> Result<Vec<ImageRecord>, StudyError> {
        let near = match &self.training {
            Some(training) => training.near(scene, self.model, batch)?,
            None => Vec::new(),
        };
        let record = |(place, sample): (usize, &Sample)| {
            let mut factors = seen(&sample.image, &self.spectrum);
            factors.extend(self.of_object(batch.indices[place], sample)?);
            factors.extend(near.get(place).into_iter().flatten().copied());
            Ok(ImageRecord { factors })
        };
        batch.samples.iter().enumerate().map(record).collect()
    }

    /// What is known of the object by its mask, and by the generator where the image was drawn.
    fn of_object(&self, index: usize, sample: &Sample) -> Result<Vec<(Factor, f64)>, StudyError> {
        let mut factors = Vec::new();
        if let Some(mask) = self.split.mask_of(index, sample)? {
            factors.extend(object(&sample.image, &preprocess_mask(&mask, &self.model.card().preprocessing)));
        }
        if let Some((sherds, split)) = self.split.sherds() {
            let visible = sample.truth.as_ref().map_or(0, |truth| truth.mask.area());
            factors.extend(drawn(sherds, split, index, visible));
        }
        Ok(factors)
    }
}

/// Luminance of every pixel in [0, 1]: Rec. 601.
fn luminance(image: &Image) -> Vec<f64> {
    let of = |pixel: &[u8]| {
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(f64::from);
        (0.299 * red + 0.587 * green + 0.114 * blue) / 255.0
    };
    image.pixels().chunks_exact(3).map(of).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0usize);
    values.for_each(|value| (sum, count) = (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// What every image has. One without any contrast has no frequency.
fn seen(image: &Image, spectrum: &Spectrum) -> BTreeMap<Factor, f64> {
    let luminance = luminance(image);
    let brightness = mean(luminance.iter().copied()).unwrap_or(0.0);
    let centred: Vec<f32> = luminance.iter().map(|value| (value - brightness) as f32).collect();
    let variance = mean(luminance.iter().map(|value| (value - brightness).powi(2))).unwrap_or(0.0);
    let mut factors = BTreeMap::from([(Factor::Brightness, brightness), (Factor::Contrast, variance.sqrt())]);
    if image.pixels().chunks_exact(3).any(|pixel| pixel != &image.pixels()[..3]) {
        factors.extend(spectrum.mean_frequency(&centred).map(|frequency| (Factor::Frequency, frequency)));
    }
    factors
}

/// Size, and contrast to what surrounds it; nothing of an object that the model does not see, or alone.
fn object(image: &Image, mask: &[bool]) -> Vec<(Factor, f64)> {
    let luminance = luminance(image);
    let of = |wanted: bool| {
        mean(luminance.iter().zip(mask).filter(|(_, inside)| **inside == wanted).map(|(value, _)| *value))
    };
    let (Some(inside), Some(outside)) = (of(true), of(false)) else { return Vec::new() };
    let covered = mask.iter().filter(|inside| **inside).count();
    vec![
        (Factor::ObjectSize, covered as f64 / mask.len() as f64),
        (Factor::ObjectContrast, (inside - outside).abs()),
    ]
}

/// How much of an object of so many visible pixels is hidden, and whether its texture is another class's.
fn drawn(sherds: &Sherds, split: SherdsSplit, index: usize, visible: usize) -> Vec<(Factor, f64)> {
    let whole = sherds.draw_changed(split, index, &[0, 1].map(Change::WithoutOccluder)).mask.area();
    let foreign = sherds.texture(split, index) as usize != Sherds::label(index);
    let mut factors = vec![(Factor::ForeignTexture, f64::from(foreign))];
    if whole > 0 {
        factors.push((Factor::Occlusion, 1.0 - visible as f64 / whole as f64));
    }
    factors
}

#[cfg(test)]
mod tests {
    use archaeo_data::sherds::SherdsConfig;

    use super::*;

    fn grey(width: usize, height: usize, of: impl Fn(usize, usize) -> u8) -> Image {
        let pixels =
            (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| [of(x, y); 3]);
        Image::new(width, height, pixels.collect())
    }

    #[test]
    fn brightness_contrast_and_frequency_of_patterns_are_known() {
        let spectrum = Spectrum::new(16, 16);
        // Half of the pixels 51 and half 204: mean 0.5, deviation 0.3.
        let wide = seen(&grey(16, 16, |x, _| if x < 8 { 51 } else { 204 }), &spectrum);
        assert!(
            (wide[&Factor::Brightness] - 0.5).abs() < 1e-12 && (wide[&Factor::Contrast] - 0.3).abs() < 1e-12
        );
        let fine = seen(&grey(16, 16, |x, _| if x % 2 == 0 { 51 } else { 204 }), &spectrum);
        assert!((fine[&Factor::Contrast] - 0.3).abs() < 1e-12);
        assert!(fine[&Factor::Frequency] > 0.8 && wide[&Factor::Frequency] < 0.2, "{fine:?} {wide:?}");
        // A cosine of the transform itself has its own frequency: 4 half waves over 16 pixels.
        let wave = |x: usize| {
            (127.5 + 100.0 * (std::f64::consts::PI * (x as f64 + 0.5) * 4.0 / 16.0).cos()).round() as u8
        };
        assert!((seen(&grey(16, 16, |x, _| wave(x)), &spectrum)[&Factor::Frequency] - 0.25).abs() < 0.01);
        let flat = seen(&grey(16, 16, |_, _| 77), &spectrum);
        assert!(flat[&Factor::Contrast] < 1e-12 && !flat.contains_key(&Factor::Frequency));
    }

    #[test]
    fn an_object_has_a_size_and_a_contrast_where_there_is_something_else() {
        let image = grey(4, 4, |x, _| if x == 0 { 204 } else { 51 });
        let mask: Vec<bool> = (0..16).map(|pixel| pixel % 4 == 0).collect();
        let found = object(&image, &mask);
        assert_eq!(found[0], (Factor::ObjectSize, 0.25));
        assert!(found[1].0 == Factor::ObjectContrast && (found[1].1 - 0.6).abs() < 1e-12);
        // Darker than its surroundings stands out as much.
        let inverse: Vec<bool> = mask.iter().map(|inside| !inside).collect();
        assert!((object(&image, &inverse)[1].1 - 0.6).abs() < 1e-12);
        assert!(object(&image, &[true; 16]).is_empty() && object(&image, &[false; 16]).is_empty());
    }

    fn drawn(sherds: &Sherds, split: SherdsSplit, index: usize) -> BTreeMap<Factor, f64> {
        let visible = sherds.sample(split, index).truth.unwrap().mask.area();
        super::drawn(sherds, split, index, visible).into_iter().collect()
    }

    #[test]
    fn occlusion_is_what_clutter_in_front_hides() {
        let hidden = |occlusion: f32| {
            let sherds = Sherds::new(SherdsConfig { occlusion, ..SherdsConfig::default() }).unwrap();
            let of = |index| drawn(&sherds, SherdsSplit::Test, index)[&Factor::Occlusion];
            let all: Vec<f64> = (0..60).map(of).collect();
            assert!(all.iter().all(|share| (0.0..=1.0).contains(share)), "{all:?}");
            all.iter().sum::<f64>() / 60.0
        };
        let [none, some, much] = [0.0, 0.3, 0.6].map(hidden);
        assert!(none == 0.0 && some > 0.02 && much > 2.0 * some, "{none} {some} {much}");
        let sherds = Sherds::new(SherdsConfig::default()).unwrap();
        let foreign = |split| {
            let of = |index| drawn(&sherds, split, index)[&Factor::ForeignTexture];
            (0..100).map(of).sum::<f64>()
        };
        assert_eq!(
            [SherdsSplit::Aligned, SherdsSplit::Test, SherdsSplit::Conflict].map(foreign),
            [0.0, 90.0, 100.0]
        );
    }
}
