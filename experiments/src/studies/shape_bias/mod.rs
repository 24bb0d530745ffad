//! Which cue decides when shape and texture disagree? (Geirhos et al., 2019)

mod chapter;
mod claims;
pub mod findings;

use std::collections::BTreeMap;

use archaeo_analysis::answers::{CueDecisions, Decision, bias_difference, decisions, texture_following};
use archaeo_analysis::statistics::{
    AnswerAgreement, DEFAULT_LEVEL, Estimate, Measured, proportion_difference, wilson,
};

use self::findings::{ShapeBias, ShapeBiasDifference, ShapeBiasFindings};
use crate::findings::Investigation;
use crate::options::NoOptions;
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, ModelName};
use crate::units::{NoRecord, Recorded};

/// Split of images whose texture is another class's.
const CONFLICT_SPLIT: &str = "conflict";

/// Split of images whose texture is their class's own.
const ALIGNED_SPLIT: &str = "aligned";

/// Most training images looked at to see how far texture and class go together there.
const TRAINING_IMAGES: usize = 1000;

/// Counts every model's decisions on cue-conflict images, and holds them against what it answers where the cues agree or are
/// independent.
pub struct ShapeBiasStudy;

impl Study for ShapeBiasStudy {
    const ID: &'static str = "shape_bias";
    const TITLE: &'static str = "Shape or texture";
    const QUESTION: &'static str = "whether shape or texture decides";
    type Options = NoOptions;
    type Record = NoRecord;
    type Findings = ShapeBiasFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let knows = scene.dataset.splits().contains_key(CONFLICT_SPLIT)
            && textures(scene, CONFLICT_SPLIT, 1)?.is_some();
        Ok(Applicability::only_if(
            knows,
            "the data has no images whose shape and texture are known to disagree",
        ))
    }

    fn conclude(scene: &Scene, _: Vec<Recorded<NoRecord>>) -> Result<ShapeBiasFindings, StudyError> {
        let split = scene.dataset.split(CONFLICT_SPLIT)?;
        let textures = textures(scene, CONFLICT_SPLIT, split.len())?.unwrap_or_default();
        let (mut models, mut decided) = (ByModel::default(), ByModel::default());
        for name in scene.names() {
            let predicted = scene.predicted(CONFLICT_SPLIT, name)?;
            let answers = predicted.scores()?.predicted();
            let of_model = decisions(&answers, &predicted.labels, &textures);
            let following = texture_following(&answers, &predicted.labels, &textures, &scene.resampling());
            models.insert(name, of_one(scene, name, &of_model, Measured::of(following)?)?);
            decided.insert(name, of_model);
        }
        let compare = |pair: [ModelName; 2]| -> Result<ShapeBiasDifference, StudyError> {
            let [first, second] = pair.map(|name| decided[name].as_slice());
            let difference = bias_difference(first, second, &scene.resampling());
            let never = pair.into_iter().find(|name| models[*name].bias.known().is_none());
            let difference = match never {
                Some(name) => {
                    Measured::undefined(format!("{} never decides for either cue", scene.called(name)))
                }
                None => Measured::of(difference)?,
            };
            Ok(ShapeBiasDifference { models: pair, difference })
        };
        let pairs = scene.pairs().into_iter().map(compare).collect::<Result<_, _>>()?;
        let training_correlation = training_correlation(scene)?;
        Ok(ShapeBiasFindings { n: textures.len(), models, pairs, training_correlation })
    }

    fn chapter(findings: &ShapeBiasFindings, investigation: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, investigation, names)
    }
}

fn of_one(
    scene: &Scene,
    name: ModelName,
    decided: &[Option<Decision>],
    texture_following: Measured<AnswerAgreement>,
) -> Result<ShapeBias, StudyError> {
    let decisions = CueDecisions::count(decided);
    let CueDecisions { shape, texture, other } = decisions;
    let bias = match decisions.cue_decisions() {
        0 => Measured::undefined("it never decides for either cue"),
        either => Measured::Known(wilson(shape, either, DEFAULT_LEVEL)?),
    };
    let mut right = BTreeMap::new();
    for split in [ALIGNED_SPLIT, scene.main_split, CONFLICT_SPLIT] {
        if scene.dataset.splits().contains_key(split) {
            let predicted = scene.predicted(split, name)?;
            let correct = predicted.scores()?.correct(1);
            right.insert(
                split.to_owned(),
                (correct.iter().filter(|&&correct| correct).count(), correct.len()),
            );
        }
    }
    let aligned_gain = match (right.get(ALIGNED_SPLIT), right.get(CONFLICT_SPLIT)) {
        (Some(&aligned), Some(&conflict)) => Some(proportion_difference(aligned, conflict, DEFAULT_LEVEL)?),
        _ => None,
    };
    let share = |(name, (right, n))| Ok((name, wilson(right, n, DEFAULT_LEVEL)?));
    let accuracy = right.into_iter().map(share).collect::<Result<_, StudyError>>()?;
    Ok(ShapeBias { shape, texture, other, bias, texture_following, accuracy, aligned_gain })
}

/// Texture of the first `count` images of a split; `None` where the data does not know it.
fn textures(scene: &Scene, split: &str, count: usize) -> Result<Option<Vec<usize>>, StudyError> {
    let split = scene.dataset.split(split)?;
    let mut textures = Vec::new();
    for index in 0..count.min(split.len()) {
        let Some(texture) = split.texture(index) else { return Ok(None) };
        textures.push(texture as usize);
    }
    Ok(Some(textures))
}

/// How often the texture was the class's own in what the models of this run learn from.
fn training_correlation(scene: &Scene) -> Result<Option<Estimate>, StudyError> {
    let Some(training) = scene.dataset.splits().get("train").filter(|split| !split.is_empty()) else {
        return Ok(None);
    };
    let Some(textures) = textures(scene, "train", TRAINING_IMAGES)? else { return Ok(None) };
    let own =
        textures.iter().enumerate().filter(|(index, texture)| training.label(*index) == **texture).count();
    Ok(Some(wilson(own, textures.len(), DEFAULT_LEVEL)?))
}

#[cfg(test)]
mod tests;
