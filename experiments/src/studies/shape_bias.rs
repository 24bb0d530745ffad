//! Which cue decides when shape and texture disagree? (Geirhos et al., 2019)

use std::collections::BTreeMap;

use archaeo_analysis::answers::{CueDecisions, Decision, bias_difference, decisions, texture_following};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Estimate, Measured, proportion_difference, wilson};

use super::{Laboratory, ROLES, StudyError};
use crate::findings::{Role, ShapeBias, ShapeBiasFindings};

/// Split of images whose texture is another class's.
const CONFLICT_SPLIT: &str = "conflict";

/// Split of images whose texture is their class's own.
const ALIGNED_SPLIT: &str = "aligned";

/// Most training images looked at to see how far texture and class go together there.
const TRAINING_IMAGES: usize = 1000;

/// Counts both models' decisions on cue-conflict images, and holds them against what the models answer where the cues agree
/// or are independent; `None` where the data has no such images.
///
/// # Errors
/// Data that cannot be read.
pub fn shape_bias(lab: &Laboratory) -> Result<Option<ShapeBiasFindings>, StudyError> {
    let Some(split) = lab.dataset.splits().get(CONFLICT_SPLIT) else { return Ok(None) };
    let Some(textures) = textures(lab, CONFLICT_SPLIT, split.len())? else { return Ok(None) };
    let (mut models, mut decided) = (BTreeMap::new(), Vec::new());
    for role in ROLES {
        let predicted = lab.predicted(CONFLICT_SPLIT, role)?;
        let answers = predicted.scores()?.predicted();
        let of_model = decisions(&answers, &predicted.labels, &textures);
        let following = texture_following(&answers, &predicted.labels, &textures, &lab.resampling());
        models.insert(role, of_one(lab, role, &of_model, Measured::of(following)?)?);
        decided.push(of_model);
    }
    let difference = bias_difference(&decided[0], &decided[1], &lab.resampling());
    let never = ROLES.into_iter().find(|role| models[role].bias.known().is_none());
    let difference = match never {
        Some(role) => Measured::undefined(format!(
            "the {} never decides for either cue",
            lab.model(role).card().network.family()
        )),
        None => Measured::of(difference)?,
    };
    let training_correlation = training_correlation(lab)?;
    Ok(Some(ShapeBiasFindings { n: textures.len(), models, difference, training_correlation }))
}

fn of_one(
    lab: &Laboratory,
    role: Role,
    decided: &[Option<Decision>],
    texture_following: Measured<archaeo_analysis::statistics::AnswerAgreement>,
) -> Result<ShapeBias, StudyError> {
    let decisions = CueDecisions::count(decided);
    let CueDecisions { shape, texture, other } = decisions;
    let bias = match decisions.cue_decisions() {
        0 => Measured::undefined("it never decides for either cue"),
        either => Measured::Known(wilson(shape, either, DEFAULT_LEVEL)?),
    };
    let mut right = BTreeMap::new();
    for name in [ALIGNED_SPLIT, lab.main_split, CONFLICT_SPLIT] {
        if lab.dataset.splits().contains_key(name) {
            let predicted = lab.predicted(name, role)?;
            let correct = predicted.scores()?.correct(1);
            right
                .insert(name.to_owned(), (correct.iter().filter(|&&correct| correct).count(), correct.len()));
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
fn textures(lab: &Laboratory, split: &str, count: usize) -> Result<Option<Vec<usize>>, StudyError> {
    let split = lab.dataset.split(split)?;
    let all: Vec<usize> = (0..count.min(split.len())).collect();
    let mut textures = Vec::with_capacity(all.len());
    for batch in all.chunks(lab.sizes.batch_size) {
        for sample in split.batch(batch)? {
            let Some(truth) = sample.truth else { return Ok(None) };
            textures.push(truth.texture as usize);
        }
    }
    Ok(Some(textures))
}

/// How often the texture was the class's own in what the models of this run learn from.
fn training_correlation(lab: &Laboratory) -> Result<Option<Estimate>, StudyError> {
    let Some(training) = lab.dataset.splits().get("train").filter(|split| !split.is_empty()) else {
        return Ok(None);
    };
    let Some(textures) = textures(lab, "train", TRAINING_IMAGES)? else { return Ok(None) };
    let own =
        textures.iter().enumerate().filter(|(index, texture)| training.label(*index) == **texture).count();
    Ok(Some(wilson(own, textures.len(), DEFAULT_LEVEL)?))
}
