//! Which spatial frequencies fool each model, and which does it need?

mod chapter;
mod claims;
pub mod findings;
#[cfg(test)]
pub(super) mod tests;

use archaeo_analysis::Keys;
use archaeo_analysis::answers::{logits, predicted_classes};
use archaeo_analysis::attacks::spectrum::Spectrum;
use archaeo_analysis::attacks::{Attack, Batch, Norm, Pgd};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Measured, StatisticsError, mean_t, sign_flip_test, wilson,
};
use archaeo_models::Classifier;
use archaeo_training::RecipeError;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use self::findings::{Cutoff, FrequencyFindings, FrequencyPair, ModelFrequencies};
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::ByModel;
use crate::units::{Recorded, Recorder, Unit};

/// Bands of a spectrum.
const BANDS: usize = 8;

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrequencyOptions {
    /// Images, at least 2.
    pub images: usize,
    /// Size of the attack, in units of 1/255.
    pub epsilon: f64,
    /// Steps of PGD.
    pub steps: usize,
    /// Frequencies at which images are cut in two, in units of the Nyquist frequency.
    pub cutoffs: Vec<f64>,
}

impl Default for FrequencyOptions {
    fn default() -> Self {
        Self { images: 96, epsilon: 4.0, steps: 10, cutoffs: vec![0.125, 0.25, 0.5, 0.75] }
    }
}

impl Options for FrequencyOptions {
    fn quick() -> Self {
        Self { images: 32, cutoffs: vec![0.25, 0.5], ..Self::default() }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.frequency.images", 2, "at least 2", self.images)?;
        at_least("studies.frequency.steps", 1, "at least 1", self.steps)?;
        if !Norm::Linf.check(self.epsilon).is_ok_and(|size| size > 0.0) {
            return Err(RecipeError::Range {
                key: "studies.frequency.epsilon",
                allowed: "a size from 1 to 255 (in units of 1/255)",
                found: self.epsilon.to_string(),
            });
        }
        match self.cutoffs.iter().find(|cutoff| !(**cutoff > 0.0 && **cutoff < std::f64::consts::SQRT_2)) {
            None => Ok(()),
            Some(cutoff) => Err(RecipeError::Range {
                key: "studies.frequency.cutoffs",
                allowed: "frequencies above 0 and below 1.41, the finest (1 is the Nyquist frequency along an axis)",
                found: cutoff.to_string(),
            }),
        }
    }
}

/// The spectrum of what PGD adds to images, and accuracy on images without their high or without their low frequencies.
pub struct FrequencyStudy;

/// The share of a perturbation's power in each band, and its mean frequency.
type Perturbation = (Vec<f64>, f64);

/// One image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrequencyRecord {
    /// Of the perturbation: the share of its power in each band, and its mean frequency; `None` where the image is wrong without one.
    perturbation: Option<Perturbation>,
    /// Whether the answer is right on what lies below each cut-off, and above it.
    low: Vec<bool>,
    high: Vec<bool>,
}

impl Study for FrequencyStudy {
    const ID: &'static str = "frequency";
    const TITLE: &'static str = "Fine and coarse";
    const FAILURE: bool = true;
    const QUESTION: &'static str = "which spatial frequencies {it} needs, and which fool it";
    type Options = FrequencyOptions;
    type Record = FrequencyRecord;
    type Findings = FrequencyFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let enough = scene.sample(Self::ID, 2)?.len() >= 2;
        Ok(Applicability::only_if(enough, "it takes two images"))
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let images = scene.sample(Self::ID, scene.options.of::<Self>().images)?;
        let unit = |name| Unit::whole(name, format!("frequencies of {name}"), images.clone());
        Ok(scene.names().into_iter().map(unit).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, FrequencyRecord>, StudyError> {
        let options = scene.options.of::<Self>();
        let model = scene.model(unit.model);
        let attack = Pgd::usual(Norm::Linf.threat(options.epsilon), options.steps);
        Ok(Box::new(move |batch| {
            let (labels, ids) = (batch.labels(), batch.ids());
            let keys = Keys { seed: scene.seed, images: &ids };
            let [count, _, height, width] = batch.images.dims();
            let spectrum = Spectrum::new(height, width);
            let clean = values(&batch.images);
            let before = right(model, &batch.images, &labels);
            let outcomes = attack.run(model, &Batch::new(batch.images.clone(), &labels), &keys);
            let perturbations = outcomes.iter().zip(clean.chunks_exact(clean.len() / count)).zip(before);
            let mut records: Vec<FrequencyRecord> = perturbations
                .map(|((outcome, clean), right)| {
                    let change: Vec<f32> = outcome.image.iter().zip(clean).map(|(a, b)| a - b).collect();
                    let mean = spectrum.mean_frequency(&change).filter(|_| right);
                    let perturbation = mean.map(|mean| (spectrum.power(&change, BANDS), mean));
                    FrequencyRecord { perturbation, low: Vec::new(), high: Vec::new() }
                })
                .collect();
            for &cutoff in &options.cutoffs {
                let cut = |keep: &(dyn Fn(f64) -> bool + Sync)| {
                    let filtered = TensorData::new(spectrum.filtered(&clean, keep), batch.images.dims());
                    right(model, &Tensor::from_data(filtered, &batch.images.device()), &labels)
                };
                let (low, high) =
                    (cut(&|frequency| frequency < cutoff), cut(&|frequency| frequency >= cutoff));
                for (record, (low, high)) in records.iter_mut().zip(low.into_iter().zip(high)) {
                    record.low.push(low);
                    record.high.push(high);
                }
            }
            Ok(records)
        }))
    }

    fn conclude(
        scene: &Scene,
        recorded: Vec<Recorded<FrequencyRecord>>,
    ) -> Result<FrequencyFindings, StudyError> {
        let options = scene.options.of::<Self>();
        let mut models = ByModel::default();
        for Recorded { unit, records } in &recorded {
            models.insert(unit.model, of_model(records, &options.cutoffs)?);
        }
        let mut pairs = Vec::new();
        for names in scene.pairs() {
            let of = |name| {
                &recorded.iter().find(|of| of.unit.model == name).expect("every model is a unit").records
            };
            let both = of(names[0]).iter().zip(of(names[1]));
            let both: Vec<(f64, f64)> = both
                .filter_map(|(a, b)| Some((a.perturbation.as_ref()?.1, b.perturbation.as_ref()?.1)))
                .collect();
            let (first, second): (Vec<f64>, Vec<f64>) = both.into_iter().unzip();
            let finer = Measured::of(sign_flip_test(&first, &second, &scene.resampling()))?;
            pairs.push(FrequencyPair { models: names, finer });
        }
        let size = |name| {
            let size = scene.model(name).card().preprocessing.image_size;
            Spectrum::new(size, size).white(BANDS)
        };
        Ok(FrequencyFindings {
            n: recorded.first().map_or(0, |of| of.records.len()),
            epsilon: options.epsilon,
            unit: "1/255".into(),
            white: scene.names().into_iter().map(|name| (name, size(name))).collect(),
            models,
            pairs,
        })
    }

    fn chapter(findings: &FrequencyFindings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

fn of_model(records: &[FrequencyRecord], cutoffs: &[f64]) -> Result<ModelFrequencies, StatisticsError> {
    let perturbations: Vec<&Perturbation> =
        records.iter().filter_map(|record| record.perturbation.as_ref()).collect();
    let mean = |of: &dyn Fn(&Perturbation) -> f64| {
        Measured::of(mean_t(&perturbations.iter().map(|found| of(found)).collect::<Vec<_>>(), DEFAULT_LEVEL))
    };
    let share = |right: &dyn Fn(&FrequencyRecord) -> bool| {
        wilson(records.iter().filter(|record| right(record)).count(), records.len(), DEFAULT_LEVEL)
    };
    let cutoff = |(place, &cutoff): (usize, &f64)| {
        Ok(Cutoff { cutoff, low: share(&|of| of.low[place])?, high: share(&|of| of.high[place])? })
    };
    Ok(ModelFrequencies {
        attacked: perturbations.len(),
        bands: (0..BANDS).map(|band| mean(&|of| of.0[band])).collect::<Result<_, _>>()?,
        mean_frequency: mean(&|of| of.1)?,
        cutoffs: cutoffs.iter().enumerate().map(cutoff).collect::<Result<_, StatisticsError>>()?,
    })
}

fn right(model: &Classifier, images: &Tensor<4>, labels: &[usize]) -> Vec<bool> {
    let answers = predicted_classes(&logits(model, images.clone()), model.card().classes.len());
    answers.iter().zip(labels).map(|(answer, label)| answer == label).collect()
}

fn values(images: &Tensor<4>) -> Vec<f32> {
    images.clone().into_data_as::<f32>().try_into_vec().expect("the data were just converted to f32")
}
