//! How well predicted masks of an object agree with true ones.

use serde::Serialize;

use crate::statistics::{Estimate, Resampling, StatisticsError, mean_bootstrap};

/// Pixels of one image, counted by what is true and what was predicted of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Pixels of the object that were predicted to be.
    pub both: usize,
    /// Pixels predicted to belong to the object.
    pub predicted: usize,
    /// Pixels that do.
    pub object: usize,
    /// Pixels of the image.
    pub pixels: usize,
}

impl Overlap {
    /// Of the logits of the object at each pixel, which belong to it above 0, and its true mask.
    ///
    /// # Panics
    /// If the two differ in length.
    pub fn of(logits: &[f32], mask: &[bool]) -> Self {
        assert_eq!(logits.len(), mask.len(), "a mask has the size of its image");
        let count = |belongs: &dyn Fn(f32, bool) -> bool| {
            logits.iter().zip(mask).filter(|(logit, object)| belongs(**logit, **object)).count()
        };
        Self {
            both: count(&|logit, object| logit > 0.0 && object),
            predicted: count(&|logit, _| logit > 0.0),
            object: count(&|_, object| object),
            pixels: mask.len(),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            both: self.both + other.both,
            predicted: self.predicted + other.predicted,
            object: self.object + other.object,
            pixels: self.pixels + other.pixels,
        }
    }

    /// Intersection over union of the object; 1 where neither mask has a pixel.
    pub fn of_object(&self) -> f64 {
        share(self.both, self.predicted + self.object - self.both)
    }

    /// Intersection over union of everything else.
    pub fn of_background(&self) -> f64 {
        let neither = self.pixels + self.both - self.predicted - self.object;
        share(neither, self.pixels - self.both)
    }

    /// Mean of the two.
    fn mean(&self) -> f64 {
        (self.of_object() + self.of_background()) / 2.0
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// Agreement of the masks of some images, each with an interval from resampled images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MaskScores {
    /// Mean IoU of object and background, pixels of all images counted together (Everingham et al., 2015, section 4.3).
    pub mean_iou: Estimate,
    /// IoU of the object, counted in the same way.
    pub object_iou: Estimate,
    /// IoU of the object in each image, averaged over images.
    pub per_image_iou: Estimate,
}

/// The scores of some images.
///
/// # Errors
/// No images.
pub fn mask_scores(overlaps: &[Overlap], resampling: &Resampling) -> Result<MaskScores, StatisticsError> {
    let pooled = |what, score: fn(&Overlap) -> f64| {
        let of_sample = |images: &[usize]| {
            score(&images.iter().map(|&image| overlaps[image]).fold(Overlap::default(), Overlap::plus))
        };
        resampling.bootstrap(what, overlaps.len(), of_sample)
    };
    let per_image: Vec<f64> = overlaps.iter().map(Overlap::of_object).collect();
    Ok(MaskScores {
        mean_iou: pooled("mean IoU", Overlap::mean)?,
        object_iou: pooled("IoU of the object", Overlap::of_object)?,
        per_image_iou: mean_bootstrap(&per_image, resampling)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2 × 3 pixels, of which two belong to the object.
    const MASK: [bool; 6] = [true, true, false, false, false, false];

    #[test]
    fn overlaps_are_counted_by_hand() {
        let overlap = Overlap::of(&[1.0, -1.0, 2.0, 0.0, -3.0, 0.5], &MASK);
        assert_eq!(overlap, Overlap { both: 1, predicted: 3, object: 2, pixels: 6 });
        assert_eq!(overlap.of_object(), 1.0 / 4.0);
        assert_eq!(overlap.of_background(), 2.0 / 5.0);
        let nothing = Overlap::of(&[-1.0; 6], &[false; 6]);
        assert_eq!((nothing.of_object(), nothing.of_background()), (1.0, 1.0));
    }

    #[test]
    fn pixels_of_all_images_count_together_and_images_alike() {
        let right = Overlap::of(&[1.0, 1.0, -1.0, -1.0, -1.0, -1.0], &MASK);
        // The largest image decides the pooled score, and not the mean over images.
        let wrong = Overlap { both: 0, predicted: 50, object: 50, pixels: 600 };
        let scores = mask_scores(&[right, wrong], &Resampling::new(0)).unwrap();
        assert_eq!(scores.per_image_iou.value, 0.5);
        assert_eq!(scores.object_iou.value, 2.0 / 102.0);
        assert_eq!(scores.mean_iou.value, (2.0 / 102.0 + 504.0 / 604.0) / 2.0);
        assert!(scores.mean_iou.low < scores.mean_iou.value && scores.mean_iou.value < scores.mean_iou.high);
        assert!(mask_scores(&[], &Resampling::new(0)).is_err());
    }
}
