//! Answers without parts of a model.

use archaeo_analysis::ablation::{Instead, Part, PartMeans, intervene};

use super::answers::Rows;
use super::{AT_ONCE, DirectError, DirectModel, Pixels};
use crate::session::Session;

/// What stands in the place of a part's output.
#[derive(Clone, Copy, Debug)]
pub enum RemovedBy<'a> {
    /// Zeros.
    Zero,
    /// Its mean over these images, for each token position.
    Mean(Pixels<'a>),
}

/// Logits with everything in place, and with parts of the model replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Removed {
    /// With everything in place.
    pub before: Rows,
    /// Without the parts.
    pub after: Rows,
}

impl DirectModel {
    /// The answers to images with `parts` replaced, all at once.
    ///
    /// # Errors
    /// No part, or one that the model does not have; a model without a head; answers that are not finite; an interruption.
    pub fn without(
        &self,
        session: &Session,
        pixels: Pixels,
        parts: &[Part],
        by: RemovedBy,
    ) -> Result<Removed, DirectError> {
        let width = self.require_classes()?;
        if parts.is_empty() {
            return Err(DirectError::Asked(
                "there is nothing to take away; name heads, MLPs, layers or blocks".into(),
            ));
        }
        let mut means = PartMeans::default();
        let (instead, means) = match by {
            RemovedBy::Zero => (Instead::Zero, None),
            RemovedBy::Mean(reference) => {
                let work = session.counting("means over reference images", reference.count());
                for range in reference.batches(AT_ONCE) {
                    session.go_on()?;
                    means.add(&self.classifier, self.tensor(reference, range.clone()))?;
                    work.advance(range.len());
                }
                (Instead::Mean, Some(&means))
            }
        };
        let parts: Vec<(Part, Instead)> = parts.iter().map(|part| (*part, instead.clone())).collect();
        let before = self.logits(session, pixels)?;
        let work = session.counting("without some parts", pixels.count());
        let mut after = Vec::with_capacity(before.values.len());
        for range in pixels.batches(1) {
            session.go_on()?;
            after.extend(intervene(&self.classifier, self.tensor(pixels, range), &parts, means)?.logits);
            work.advance(1);
        }
        Ok(Removed { before, after: Rows { values: after, width } })
    }
}
