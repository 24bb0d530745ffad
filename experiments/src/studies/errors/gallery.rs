//! The errors that a model was surest of, each with what both models look at.

use std::collections::BTreeMap;

use super::super::explained::{explain, save_heatmaps};
use super::super::{Laboratory, StudyError};
use archaeo_training::evaluate::Evaluation;
use crate::findings::{ErrorGroup, ExplainedImage, Role};

/// Images shown of each group.
const SHOWN: usize = 18;

/// The images among `members` whose wrong answer has the largest probability, the largest first: of the model that errs, or of
/// either where both do.
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
    lab: &Laboratory,
    group: ErrorGroup,
    members: &[usize],
    predicted: &BTreeMap<Role, (&Evaluation, &[usize])>,
) -> Result<Vec<ExplainedImage>, StudyError> {
    let answer = |role: &Role, image: usize| {
        let (evaluation, answers) = &predicted[role];
        (answers[image], evaluation.probabilities(image)[answers[image]])
    };
    let (erring, file): (&[Role], _) = match group {
        ErrorGroup::VitOnly => (&[Role::Vit], "errors-vit-only"),
        ErrorGroup::CnnOnly => (&[Role::Cnn], "errors-cnn-only"),
        ErrorGroup::Both => (&[Role::Vit, Role::Cnn], "errors-both"),
    };
    let chosen = surest(members, |image| {
        erring.iter().map(|role| answer(role, image).1).fold(f64::NEG_INFINITY, f64::max)
    });
    let mut found = Vec::new();
    if chosen.is_empty() {
        return Ok(found);
    }
    lab.for_each_batch("errors explained", &chosen, lab.vit, |batch, samples, for_vit| {
        for (&image, explained) in batch.iter().zip(explain(lab, samples, for_vit)?) {
            let name = format!("{file}-{:02}", found.len() + 1);
            found.push(ExplainedImage {
                image: lab.save_image(&name, image, &explained[&Role::Vit].seen)?,
                predictions: predicted.keys().map(|role| (*role, answer(role, image))).collect(),
                heatmaps: save_heatmaps(lab, &name, &explained)?,
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
