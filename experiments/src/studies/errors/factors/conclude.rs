//! Which factors set errors apart, and more in one model than in another.

use archaeo_analysis::answers::{Suspicion, suspected_labels};
use archaeo_analysis::statistics::{
    Enrichment, Measured, Resampling, SignFlipTest, benjamini_hochberg, enrichment, enrichment_difference,
};
use rayon::prelude::*;

use super::super::Answered;
use super::super::findings::{ErrorFactors, FactorEffect, FactorFinding, FactorPair};
use super::examples::{doubted, kinds};
use super::{Factor, ImageRecord, training};
use crate::scene::{Scene, StudyError};
use crate::subjects::{ByModel, ModelName, pairs};
use crate::units::Recorded;

/// What is known of the images that were measured.
pub(super) struct Images {
    /// Indices into the main split.
    pub indices: Vec<usize>,
    /// Class of each.
    pub classes: Vec<usize>,
    /// Each model.
    pub models: ByModel<OfModel>,
}

/// One model on these images.
pub(super) struct OfModel {
    /// Whether its answer to each is wrong.
    pub errors: Vec<bool>,
    /// What it answers to each.
    pub answers: Vec<usize>,
    /// Probability of each class, image by image.
    pub probabilities: Vec<Vec<f64>>,
    /// What was recorded of each.
    pub records: Vec<ImageRecord>,
}

impl OfModel {
    /// The value of each image that has one.
    fn values(&self, factor: Factor) -> Vec<Option<f64>> {
        match factor {
            Factor::Confidence => {
                self.probabilities.iter().zip(&self.answers).map(|(of, &answer)| Some(of[answer])).collect()
            }
            _ => self.records.iter().map(|record| record.factors.get(&factor).copied()).collect(),
        }
    }
}

/// Concludes from what was recorded of the images and what was answered to them.
///
/// # Errors
/// Data that cannot be read.
pub(in super::super) fn conclude(
    scene: &Scene,
    answered: &ByModel<Answered>,
    recorded: Vec<Recorded<ImageRecord>>,
    training_images: usize,
) -> Result<ErrorFactors, StudyError> {
    let images = images(answered, recorded);
    let resampling = scene.resampling();
    let doubts = doubts(&images, scene.main_split);
    let values = |factor: Factor| -> ByModel<Vec<Option<f64>>> {
        let of = |(name, model): (ModelName, &OfModel)| match factor {
            Factor::LabelDoubt => (name, doubts.by_others.get(name).cloned().unwrap_or_default()),
            _ => (name, model.values(factor)),
        };
        images.models.iter().map(of).collect()
    };
    let (known, unknown): (Vec<_>, Vec<_>) = (Factor::ALL.into_iter().map(|factor| (factor, values(factor))))
        .partition(|(_, values)| values.values().any(|values| values.iter().any(Option::is_some)));
    scene.progress.stage("what sets errors apart");
    let tested: Vec<Result<Tested, StudyError>> =
        known.par_iter().map(|(factor, values)| test(*factor, values, &images, &resampling)).collect();
    let factors = adjusted(tested.into_iter().collect::<Result<_, _>>()?)?;
    let no_training = training::missing(scene);
    let left_out = unknown.into_iter().map(|(factor, _)| {
        let reason = match factor {
            Factor::LabelDoubt => doubts.missing.unwrap_or("no image has it"),
            Factor::Distance | Factor::OtherNeighbours => no_training.unwrap_or("no image has it"),
            Factor::ObjectSize | Factor::ObjectContrast => "no mask says where the object is",
            Factor::Occlusion | Factor::ForeignTexture => "it is known of Sherds alone",
            _ => "no image has it",
        };
        (factor, reason.to_owned())
    });
    let left_out = left_out.collect();
    let kinds = kinds(scene, &images, &factors, &known)?;
    Ok(ErrorFactors {
        images: images.indices.len(),
        training_images: match no_training {
            Some(reason) => Measured::undefined(reason),
            None => Measured::Known(training::sample(scene, training_images).len()),
        },
        factors,
        left_out,
        kinds,
        doubted: match doubts.missing_for_all {
            Some(reason) => Measured::undefined(reason),
            None => Measured::Known(doubted(scene, &images, &doubts.by_all)?),
        },
    })
}

fn images(answered: &ByModel<Answered>, recorded: Vec<Recorded<ImageRecord>>) -> Images {
    let indices = recorded.first().map_or_else(Vec::new, |of| of.unit.images.clone());
    let labels = &answered.values().next().expect("a scene has a model").evaluation.labels;
    let of_model = |Recorded { unit, records }: Recorded<ImageRecord>| {
        let Answered { evaluation, answers } = &answered[unit.model];
        let answers: Vec<usize> = indices.iter().map(|&image| answers[image]).collect();
        let errors = indices.iter().zip(&answers).map(|(&image, &answer)| answer != labels[image]).collect();
        let probabilities = indices.iter().map(|&image| evaluation.probabilities(image)).collect();
        (unit.model, OfModel { errors, answers, probabilities, records })
    };
    let models = recorded.into_iter().map(of_model).collect();
    Images { classes: indices.iter().map(|&image| labels[image]).collect(), models, indices }
}

/// Labels that confident learning doubts.
struct Doubts {
    /// Of each model, whether the others doubt the label of each image.
    by_others: ByModel<Vec<Option<f64>>>,
    /// Why nothing is known of that.
    missing: Option<&'static str>,
    /// What all models together doubt.
    by_all: Vec<Suspicion>,
    /// Why nothing is known of that.
    missing_for_all: Option<&'static str>,
}

fn doubts(images: &Images, main_split: &str) -> Doubts {
    // Confident learning reads probabilities that were not fitted to the labels in question.
    let learned = (main_split == "train").then_some("the models may have learned these labels");
    let alone = "a model that is asked alone doubts its own errors";
    let missing = learned.or((images.models.len() < 2).then_some(alone));
    let n = images.classes.len();
    let by = |models: &[&OfModel]| {
        let classes = models.first().and_then(|model| model.probabilities.first()).map_or(0, Vec::len);
        let mean = |image: usize, class: usize| {
            models.iter().map(|model| model.probabilities[image][class]).sum::<f64>() / models.len() as f64
        };
        let probabilities: Vec<f64> = (0..n)
            .flat_map(|image| (0..classes).map(move |class| (image, class)))
            .map(|(i, c)| mean(i, c))
            .collect();
        suspected_labels(&probabilities, &images.classes, classes)
    };
    let by_others = match missing {
        Some(_) => ByModel::default(),
        None => {
            let of = |name: ModelName| {
                let others: Vec<&OfModel> = images
                    .models
                    .iter()
                    .filter(|(other, _)| *other != name)
                    .map(|(_, model)| model)
                    .collect();
                let mut doubted = vec![Some(0.0); n];
                by(&others).iter().for_each(|suspicion| doubted[suspicion.image] = Some(1.0));
                (name, doubted)
            };
            images.models.names().map(of).collect()
        }
    };
    let all: Vec<&OfModel> = images.models.values().collect();
    let by_all = if learned.is_some() { Vec::new() } else { by(&all) };
    Doubts { by_others, missing, by_all, missing_for_all: learned }
}

/// One factor, before p-values are adjusted.
struct Tested {
    factor: Factor,
    models: Vec<(ModelName, Measured<Enrichment>)>,
    pairs: Vec<([ModelName; 2], Measured<SignFlipTest>)>,
}

fn test(
    factor: Factor,
    values: &ByModel<Vec<Option<f64>>>,
    images: &Images,
    resampling: &Resampling,
) -> Result<Tested, StudyError> {
    const NOTHING: &str = "no image has it";
    let mut models = Vec::new();
    for (name, values) in values.iter() {
        let known: Vec<usize> = (0..values.len()).filter(|&image| values[image].is_some()).collect();
        let own = &images.models[name];
        let found = match known.is_empty() {
            true => Measured::undefined(NOTHING),
            false => Measured::of(enrichment(
                &at(values, &known),
                &known.iter().map(|&image| own.errors[image]).collect::<Vec<_>>(),
                &known.iter().map(|&image| images.classes[image]).collect::<Vec<_>>(),
                resampling,
            ))?,
        };
        models.push((name, found));
    }
    let mut compared = Vec::new();
    for pair in pairs(&values.names().collect::<Vec<_>>()) {
        let own = pair.map(|name| &values[name]);
        let known: Vec<usize> = (0..own[0].len().min(own[1].len()))
            .filter(|&image| own.iter().all(|values| values[image].is_some()))
            .collect();
        let errors =
            pair.map(|name| known.iter().map(|&image| images.models[name].errors[image]).collect::<Vec<_>>());
        let classes: Vec<usize> = known.iter().map(|&image| images.classes[image]).collect();
        let [first, second] = own.map(|values| at(values, &known));
        let found = match known.is_empty() {
            true => Measured::undefined(NOTHING),
            false => Measured::of(enrichment_difference(
                (&first, &errors[0]),
                (&second, &errors[1]),
                &classes,
                resampling,
            ))?,
        };
        compared.push((pair, found));
    }
    Ok(Tested { factor, models, pairs: compared })
}

fn at(values: &[Option<f64>], images: &[usize]) -> Vec<f64> {
    images.iter().filter_map(|&image| values[image]).collect()
}

/// P-values adjusted over all factors and models, and over all factors and pairs.
fn adjusted(tested: Vec<Tested>) -> Result<Vec<FactorFinding>, StudyError> {
    let of_models =
        tested.iter().flat_map(|of| &of.models).filter_map(|(_, found)| Some(found.known()?.p_value));
    let of_pairs =
        tested.iter().flat_map(|of| &of.pairs).filter_map(|(_, found)| Some(found.known()?.p_value));
    let mut of_models = benjamini_hochberg(&of_models.collect::<Vec<_>>())?.into_iter();
    let mut of_pairs = benjamini_hochberg(&of_pairs.collect::<Vec<_>>())?.into_iter();
    let mut next = || of_models.next().expect("each known effect has a p-value");
    let mut next_of_pairs = || of_pairs.next().expect("each known difference has a p-value");
    let found = tested.into_iter().map(|Tested { factor, models, pairs }| FactorFinding {
        factor,
        models: (models.into_iter())
            .map(|(name, found)| {
                (name, found.map(|enrichment| FactorEffect { enrichment, adjusted_p: next() }))
            })
            .collect(),
        pairs: (pairs.into_iter())
            .map(|(models, difference)| FactorPair {
                models,
                adjusted_p: difference.known().map(|_| next_of_pairs()),
                difference,
            })
            .collect(),
    });
    Ok(found.collect())
}
