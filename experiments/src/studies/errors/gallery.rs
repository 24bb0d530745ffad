//! The errors that a model was surest of, each with what every model looks at.

use super::Answered;
use crate::findings::ExplainedImage;
use crate::scene::{Scene, StudyError};
use crate::studies::explained::{explain, save_heatmaps};
use crate::subjects::{ByModel, ModelName};

/// Images shown of each group.
pub(super) const SHOWN: usize = 18;

/// The images among `members` whose wrong answer has the largest probability, the largest first: of the model that errs, or of
/// any of those that do.
fn surest(members: &[usize], probability: impl Fn(usize) -> f64) -> Vec<usize> {
    let mut ordered: Vec<(f64, usize)> = members.iter().map(|&image| (probability(image), image)).collect();
    ordered.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ordered.into_iter().take(SHOWN).map(|(_, image)| image).collect()
}

/// The surest errors of a group, with their pictures.
///
/// # Errors
/// Data that cannot be read.
pub(super) fn gallery(
    scene: &Scene,
    erring: &[ModelName],
    members: &[usize],
    answered: &ByModel<Answered>,
) -> Result<Vec<ExplainedImage>, StudyError> {
    let answer = |name: ModelName, image: usize| {
        let Answered { evaluation, answers } = &answered[name];
        (answers[image], evaluation.probabilities(image)[answers[image]])
    };
    let chosen = surest(members, |image| {
        erring.iter().map(|name| answer(*name, image).1).fold(f64::NEG_INFINITY, f64::max)
    });
    let mut found = Vec::new();
    if chosen.is_empty() {
        return Ok(found);
    }
    let erring: Vec<&str> = erring.iter().map(|name| name.as_str()).collect();
    let file = format!("errors-{}", erring.join("-"));
    let first = scene.subjects[0].model;
    scene.for_each_batch("errors explained", &chosen, first, |batch, _, _| {
        for (&image, explained) in batch.iter().zip(explain(scene, batch)?) {
            let name = format!("{file}-{:02}", found.len() + 1);
            let seen = &explained.values().next().expect("a scene has a model").seen;
            found.push(ExplainedImage {
                image: scene.save_image(&name, image, seen)?,
                predictions: answered.names().map(|name| (name, answer(name, image))).collect(),
                heatmaps: save_heatmaps(scene, &name, &explained)?,
            });
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_errors_come_first_and_equal_ones_in_their_order() {
        let probability = |image: usize| [0.2, 0.9, 0.5, 0.9, 0.7, 0.1][image];
        assert_eq!(surest(&[0, 1, 2, 3, 5], probability), [1, 3, 2, 0, 5]);
        assert!(surest(&[], probability).is_empty());
        let many: Vec<usize> = (0..100).collect();
        let found = surest(&many, |image| image as f64 / 100.0);
        assert_eq!(found, (82..100).rev().collect::<Vec<_>>());
    }
}
