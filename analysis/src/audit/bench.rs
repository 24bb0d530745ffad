//! What departures look at: one batch of images, and what several of them need of it.

use std::cell::OnceCell;

use archaeo_models::Classifier;

use super::pgd_trace::{Trace, traces};
use crate::ablation::HeadMeans;
use crate::answers::probabilities;
use crate::attribution::{Evidence, Heatmap};
use crate::{AnalysisError, Keys};
use burn::tensor::Tensor;

/// A picture before it was resized for the model.
#[derive(Clone, Debug)]
pub struct Original {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `(height, width, 3)` values, row by row.
    pub pixels: Vec<u8>,
}

/// One model and one batch of images, with what was computed of them so far.
pub struct Bench<'a> {
    /// The passes.
    pub evidence: Evidence<'a>,
    /// The right answer to each image; the model's own where nobody knows another.
    pub labels: &'a [usize],
    /// Where the object is, `(height, width)` of the model's input; `None` where that is not known.
    pub masks: &'a [Option<Vec<bool>>],
    /// The pictures before they were resized.
    pub originals: &'a [Original],
    /// What heads say on average, over the images of the whole audit; `None` of a model without attention.
    pub means: Option<&'a HeadMeans>,
    targets: Vec<usize>,
    before: Vec<f64>,
    ignorant: OnceCell<Vec<f64>>,
    traces: OnceCell<Vec<Trace>>,
}

impl<'a> Bench<'a> {
    /// Of `images`, `[batch, 3, height, width]` in [0, 1].
    ///
    /// # Errors
    /// A model without a head.
    ///
    /// # Panics
    /// If there is not one label, mask, original and key for each image.
    pub fn new(
        model: &'a Classifier,
        images: Tensor<4>,
        labels: &'a [usize],
        masks: &'a [Option<Vec<bool>>],
        originals: &'a [Original],
        means: Option<&'a HeadMeans>,
        keys: Keys<'a>,
    ) -> Result<Self, AnalysisError> {
        let batch = images.dims()[0];
        assert_eq!((labels.len(), masks.len(), originals.len()), (batch, batch, batch), "one per image");
        let evidence = Evidence::new(model, images, keys);
        let targets = evidence.predicted()?;
        let classes = model.card().classes.len();
        let all = probabilities(evidence.logits(), classes);
        let before = targets.iter().enumerate().map(|(image, &class)| all[image * classes + class]).collect();
        let (ignorant, traces) = (OnceCell::new(), OnceCell::new());
        Ok(Self { evidence, labels, masks, originals, means, targets, before, ignorant, traces })
    }

    /// The class of each image that is explained: the predicted one.
    pub fn targets(&self) -> &[usize] {
        &self.targets
    }

    /// What each image's probability of its class loses when places are taken in random order, on the one grid that heatmaps of the
    /// model have here.
    pub(super) fn lost_at_random(&self, [rows, columns]: [usize; 2]) -> &[f64] {
        self.ignorant.get_or_init(|| {
            let nothing = Heatmap::new(rows, columns, vec![0.0; rows * columns]);
            super::maps::lost(self, &vec![nothing; self.targets.len()])
        })
    }

    /// The probability of each image's class.
    pub(super) fn before(&self) -> &[f64] {
        &self.before
    }

    /// What PGD met on its way, image by image.
    pub(super) fn traces(&self) -> &[Trace] {
        self.traces.get_or_init(|| traces(self))
    }
}
