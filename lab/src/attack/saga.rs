//! One adversarial image for a transformer and another network (SAGA).

use archaeo_analysis::Keys;
use archaeo_analysis::attacks::{self, Batch as AttackedBatch, Norm, Outcome, Saga, robust};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Estimate, Measured, wilson};
use serde::Serialize;

use super::transfer::alike;
use super::work::Asked;
use crate::error::LabError;
use crate::opened::Opened;
use crate::session::Session;

/// What the command line calls it.
pub const SAGA: &str = "saga";

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SagaOptions {
    /// Sizes in L∞, in units of 1/255; the usual ones when empty.
    pub sizes: Vec<f64>,
    /// Steps, at least 1; its own where nothing is chosen.
    pub steps: Option<usize>,
}

/// What one image does to two models.
#[derive(Clone, Debug, Serialize)]
pub struct SagaFound {
    /// The transformer, and the other network.
    pub models: [String; 2],
    /// What sizes are measured in.
    pub unit: &'static str,
    /// Steps.
    pub steps: usize,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// Images.
    pub n: usize,
    /// Those that both classify correctly without an attack: the ones attacked.
    pub both: usize,
    /// Under each size.
    pub points: Vec<SagaPoint>,
}

/// Under one size.
#[derive(Clone, Debug, Serialize)]
pub struct SagaPoint {
    /// The size in L∞, in units of 1/255.
    pub epsilon: f64,
    /// Of the images attacked, the share that fools the transformer, and the other network.
    pub fooled: [Measured; 2],
    /// The share that fools both at once.
    pub fools_both: Measured,
    /// Mean number of queries of both together.
    pub queries: f64,
}

impl Session {
    /// Makes each image that two models classify correctly into one that is to fool both.
    ///
    /// # Errors
    /// Other than two models, none with attention, models that do not take the same images in the same way, answers that are not finite.
    pub fn saga(&self, models: &[(String, &Opened)], options: &SagaOptions) -> Result<SagaFound, LabError> {
        let [first, second] = models else { return Err(LabError::SagaModels { found: models.len() }) };
        alike(models)?;
        // The one with attention is the transformer, the first of two.
        let models = match (first.1.model.has_attention(), second.1.model.has_attention()) {
            (true, _) => [first, second],
            (false, true) => [second, first],
            (false, false) => return Err(LabError::SagaModels { found: 2 }),
        };
        let opened = models.map(|(_, opened)| *opened);
        let mut right: Vec<Vec<bool>> = Vec::new();
        let mut asked = Vec::new();
        for opened in opened {
            let of = Asked::of(opened, None)?;
            let clean = self.unattacked(opened, &of, None)?;
            right.push(robust(&clean, &clean, &of.labels));
            asked.push(of);
        }
        let n = right[0].len();
        let places: Vec<usize> = (0..n).filter(|&place| right[0][place] && right[1][place]).collect();
        let usual = Norm::Linf.usual();
        let sizes = if options.sizes.is_empty() { usual.as_slice() } else { &options.sizes };
        let saga = |size: f64| {
            let usual = Saga::usual(Norm::Linf.threat(size));
            Saga { steps: options.steps.unwrap_or(usual.steps), ..usual }
        };
        let mut points = Vec::new();
        for &size in sizes.iter().filter(|size| **size > 0.0) {
            points.push(self.saga_of(opened, &asked, &places, &saga(size), size)?);
        }
        Ok(SagaFound {
            models: models.map(|(name, _)| name.clone()),
            unit: Norm::Linf.unit(),
            steps: saga(1.0).steps,
            precision: self.precision_name(),
            n,
            both: places.len(),
            points,
        })
    }

    fn saga_of(
        &self,
        opened: [&Opened; 2],
        asked: &[Asked],
        places: &[usize],
        saga: &Saga,
        size: f64,
    ) -> Result<SagaPoint, LabError> {
        let work = self.counting(&format!("SAGA at {size}"), places.len());
        let mut outcomes: [Vec<Outcome>; 2] = [Vec::new(), Vec::new()];
        for batch in asked[0].batches(places.to_vec(), opened[0].batch_size()) {
            let images = asked[0].load(opened[0], &batch)?.tensor(&opened[0].device);
            let labels = [0, 1].map(|of: usize| -> Vec<usize> {
                batch.iter().map(|&place| asked[of].labels[place]).collect()
            });
            let [of_first, of_second] =
                labels.each_ref().map(|labels| AttackedBatch::new(images.clone(), labels));
            let ids: Vec<u64> = batch.iter().map(|&place| asked[0].indices[place] as u64).collect();
            let keys = Keys { seed: self.seed(), images: &ids };
            let [one, other] =
                saga.run([&opened[0].model, &opened[1].model], [&of_first, &of_second], &keys)?;
            for ((opened, asked), found) in opened.into_iter().zip(asked).zip([&one, &other]) {
                let logits: Vec<f32> = found.iter().flat_map(|of| of.logits.iter().copied()).collect();
                let image = |row: usize| attacks::images(&found[row..=row], &images);
                self.check_finite(opened, asked, &batch, &logits, image)?;
            }
            outcomes[0].extend(one);
            outcomes[1].extend(other);
            work.advance(batch.len());
        }
        let count = |holds: &dyn Fn(usize) -> bool| (0..places.len()).filter(|&image| holds(image)).count();
        let share = |count: usize| -> Result<Measured<Estimate>, LabError> {
            Ok(Measured::of(wilson(count, places.len(), DEFAULT_LEVEL))?)
        };
        let fools = |of: usize, image: usize| outcomes[of][image].success;
        let queries: usize = outcomes.iter().flatten().map(|of| of.queries).sum();
        Ok(SagaPoint {
            epsilon: size,
            fooled: [share(count(&|image| fools(0, image)))?, share(count(&|image| fools(1, image)))?],
            fools_both: share(count(&|image| fools(0, image) && fools(1, image)))?,
            queries: queries as f64 / places.len().max(1) as f64,
        })
    }
}
