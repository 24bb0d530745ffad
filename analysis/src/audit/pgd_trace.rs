//! What PGD meets on its way, kept apart by how it may be counted.

use archaeo_random::keyed_rng;
use burn::tensor::{Tensor, TensorData};

use super::{Bench, Departure, DepartureInfo, Finding, Record};
use crate::AnalysisError;
use crate::attacks::{Aim, Clean, Loss, Target, Threat};
use crate::statistics::{Resampling, Result as Counted, first_largest};
use crate::tensors::{per_image, values};

/// Size of the attack: half a level of 8 bits, of which nothing is left after rounding, and with which models that were not trained
/// against attacks still answer some images.
pub(super) const EPSILON: f64 = 0.5 / 255.0;

const STEPS: usize = 10;

/// What became of one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trace {
    /// Right before the attack.
    pub correct: bool,
    /// Some iterate fools the model after rounding to 8 bits.
    pub best: bool,
    /// The last one does before rounding.
    pub last: bool,
    /// Some iterate fools the model before rounding.
    pub unrounded: bool,
}

/// A departure in how the images that PGD meets are counted.
pub(super) struct PgdDeparture {
    pub info: DepartureInfo,
    /// What follows from what [`record`] gives of each image.
    pub conclude: fn(&[Record], &Resampling) -> Counted<Finding>,
}

impl Departure for PgdDeparture {
    fn info(&self) -> &DepartureInfo {
        &self.info
    }

    fn record(&self, bench: &Bench) -> Result<Vec<Record>, AnalysisError> {
        Ok(bench.traces().iter().map(record).collect())
    }

    fn conclude(&self, records: &[Record], resampling: &Resampling) -> Counted<Finding> {
        (self.conclude)(records, resampling)
    }
}

/// PGD in L∞ (Madry et al., 2018) of [`EPSILON`] on every image, with 10 steps of a quarter of it from a random start; no image stops
/// early. The loss is that of [`crate::attacks::Pgd`].
pub(super) fn traces(bench: &Bench) -> Vec<Trace> {
    let model = bench.evidence.model();
    follow(model, bench.evidence.images(), bench.labels, bench.evidence.keys(), Threat::Linf(EPSILON))
}

pub(super) fn follow(
    target: &dyn Target,
    images: &Tensor<4>,
    labels: &[usize],
    keys: crate::Keys,
    threat: Threat,
) -> Vec<Trace> {
    let shape = images.dims();
    let tensor = |versions: &[Vec<f32>]| -> Tensor<4> {
        Tensor::from_data(TensorData::new(versions.concat(), shape), &images.device())
    };
    let fooled = |logits: &[f32]| -> Vec<bool> {
        let answers = logits.chunks_exact(target.classes()).map(first_largest);
        answers.zip(labels).map(|(answer, &label)| answer != label).collect()
    };
    let all = values(images.clone());
    let clean: Vec<Clean> = per_image(&all, shape[0]).map(|image| Clean::new(image.to_vec())).collect();
    let start = |(clean, &image): (&Clean, &u64)| {
        threat.start(clean, &mut keyed_rng(keys.seed, "audit attack start", image, 0))
    };
    let mut current: Vec<Vec<f32>> = clean.iter().zip(keys.images).map(start).collect();
    let before = fooled(&target.logits(images.clone()));
    let mut traces: Vec<Trace> =
        before.into_iter().map(|wrong| Trace { correct: !wrong, ..Trace::default() }).collect();
    let slopes = |image: usize, logits: &[f32]| Loss::Margin.slopes(logits, Aim::Away(labels[image]));
    let step = 2.5 * threat.size() / STEPS as f64;
    for taken in 0..=STEPS {
        let rounded: Vec<Vec<f32>> = current
            .iter()
            .zip(&clean)
            .map(|(version, clean)| {
                let mut version = version.clone();
                threat.round(&mut version, clean);
                version
            })
            .collect();
        let after_rounding = fooled(&target.logits(tensor(&rounded)));
        let found = target.gradient(tensor(&current), &slopes);
        for (trace, (rounded, plain)) in
            traces.iter_mut().zip(after_rounding.into_iter().zip(fooled(&found.logits)))
        {
            trace.best |= rounded;
            trace.last = plain;
            trace.unrounded |= plain;
        }
        if taken < STEPS {
            let ways = current.iter_mut().zip(&clean).zip(per_image(&found.gradient, shape[0]));
            ways.for_each(|((version, clean), slope)| threat.ascend(version, clean, slope, step));
        }
    }
    traces
}

/// A trace as numbers: right before, fooled by the best rounded iterate, by the last one, by the best one.
fn record(trace: &Trace) -> Vec<f64> {
    [trace.correct, trace.best, trace.last, trace.unrounded].map(|flag| f64::from(u8::from(flag))).to_vec()
}

/// For each record whether the image stays right, 1 or 0, where `place` says what fools it.
pub(super) fn robust(records: &[Vec<f64>], place: usize) -> Vec<f64> {
    records.iter().map(|record| record[0] * (1.0 - record[place])).collect()
}

/// Whether more than half of the images stay right.
pub(super) fn most_stay(robust: &[f64]) -> String {
    let kept = robust.iter().sum::<f64>();
    if 2.0 * kept > robust.len() as f64 { "yes".into() } else { "no".into() }
}
