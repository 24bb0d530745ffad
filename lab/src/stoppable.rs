//! Attacks that end where somebody asks to stop: an attack itself asks nobody.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use archaeo_analysis::Keys;
use archaeo_analysis::attacks::{Attack, Batch, Outcome, Target, TargetGradient};
use archaeo_models::Classifier;
use burn::tensor::Tensor;

/// Payload of the unwinding that ends an attack.
struct Stop;

/// A model that, before it answers, asks whether to stop.
pub(crate) struct Stoppable<'a> {
    pub model: &'a Classifier,
    pub stopped: &'a dyn Fn() -> bool,
}

impl Stoppable<'_> {
    fn check(&self) {
        if (self.stopped)() {
            resume_unwind(Box::new(Stop));
        }
    }
}

impl Target for Stoppable<'_> {
    fn classes(&self) -> usize {
        self.model.classes()
    }

    fn logits(&self, images: Tensor<4>) -> Vec<f32> {
        self.check();
        Target::logits(self.model, images)
    }

    fn gradient(
        &self,
        images: Tensor<4>,
        slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> TargetGradient {
        self.check();
        self.model.gradient(images, slopes)
    }

    fn classifier(&self) -> Option<&Classifier> {
        Some(self.model)
    }
}

/// What an attack makes of a target that answers through a [`Stoppable`]; `None` where it was stopped.
pub(crate) fn run(
    attack: &dyn Attack,
    target: &dyn Target,
    batch: &Batch,
    keys: &Keys,
) -> Option<Vec<Outcome>> {
    match catch_unwind(AssertUnwindSafe(|| attack.run(target, batch, keys))) {
        Ok(outcomes) => Some(outcomes),
        Err(payload) if payload.is::<Stop>() => None,
        Err(payload) => resume_unwind(payload),
    }
}
