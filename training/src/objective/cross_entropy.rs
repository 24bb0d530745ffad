//! Cross-entropy with the targets, softened by label smoothing and mixing.

use archaeo_ops::soft_cross_entropy;

use super::{Examples, Objective, ObjectiveKind, options};
use crate::backward::{Share, Student};
use crate::{NoOptions, TrainError};

pub(super) static CROSS_ENTROPY: ObjectiveKind = ObjectiveKind {
    id: "cross-entropy",
    title: "cross-entropy of the logits with the targets",
    of_features: true,
    weights: &[],
    check: |table| options::<NoOptions>(table).map(drop),
    begin: |_, _, _| Ok(Box::new(CrossEntropy)),
};

pub(super) struct CrossEntropy;

impl Objective for CrossEntropy {
    fn learn(&self, student: Student, examples: Examples) -> Result<Share, TrainError> {
        let Examples { images, targets, .. } = examples;
        Ok(student.learn_from_logits(images, |logits| soft_cross_entropy(logits, targets)))
    }
}
