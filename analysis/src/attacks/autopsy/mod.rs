//! Where in a model an attack happens: what changes on the way from an image to its adversarial version, layer by layer and head by head,
//! and what has to be put back for the answer to return.
//!
//! What changes is read from two passes, over the image and over the attacked one (`drift`). What restores the answer is read from
//! activation patching (`restore`; Vig et al., 2020): the pass over the attacked image with one part taken from the pass over the
//! clean one. A part that carries the attack restores the answer; a part that is merely disturbed by it does not. As a null, the same
//! part is taken from the pass over an unrelated clean image: what that restores, any replacement would.
//!
//! A transformer's parts are its heads and the attention of whole layers, a residual network's the branches of its blocks: what reaches
//! a block over the shortcut stays as the attack left it.

mod drift;
mod restore;
#[cfg(test)]
mod tests;

use archaeo_models::Classifier;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::AnalysisError;
use crate::statistics::first_largest;

pub use drift::{Drift, HeadDrift, LayerDrift, head_divergences};

/// A batch before and after an attack, `[batch, 3, height, width]` in [0, 1] each.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// Before.
    pub clean: Tensor<4>,
    /// After.
    pub attacked: Tensor<4>,
    /// A clean image for each, that has nothing to do with it.
    pub unrelated: Tensor<4>,
    /// The class of each image.
    pub labels: &'a [usize],
}

/// What an attack did to one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Autopsy {
    /// The answer to the attacked image.
    pub answer: usize,
    /// The label's logit less that of `answer`, before and after the attack.
    pub margins: [f64; 2],
    /// On a straight line from the clean image to the attacked one.
    pub path: Vec<PathPoint>,
    /// What changed between its ends.
    pub drift: Drift,
    /// Number of heads of each layer; none of a residual network.
    pub heads: Vec<usize>,
    /// What each part gives back of the margin: every head, layer by layer, then the attention of every layer; or every block.
    pub parts: Vec<Restored>,
}

/// A point on the way to the attacked image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathPoint {
    /// Share of the perturbation.
    pub share: f64,
    /// The label's logit less that of the attack's answer.
    pub margin: f64,
    /// How far each layer has drifted: the mean over heads of the Jensen-Shannon divergence of their attention, in nats; of a
    /// residual network's block one less the cosine of its feature maps.
    pub drift: Vec<f64>,
}

/// What one part gives back when it is taken from another pass, in logits of the margin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    /// From the pass over the clean image.
    pub clean: f64,
    /// From the pass over an unrelated one.
    pub unrelated: f64,
}

/// Shares of the perturbation at which the path is looked at.
const PATH: [f64; 4] = [0.25, 0.5, 0.75, 1.0];

/// An autopsy of each image.
///
/// # Errors
/// A model that has neither attention nor residual blocks, or a logit that is not finite.
///
/// # Panics
/// If there is not one label and one image of each kind for each image, or a label is not among the classes.
pub fn autopsy(model: &Classifier, case: &Case) -> Result<Vec<Autopsy>, AnalysisError> {
    let batch = case.labels.len();
    for images in [&case.clean, &case.attacked, &case.unrelated] {
        assert_eq!(images.dims()[0], batch, "one image of each kind for each label is needed");
    }
    let classes = model.card().classes.len();
    let before = finite(model, crate::answers::logits(model, case.clean.clone()))?;
    let after = finite(model, crate::answers::logits(model, case.attacked.clone()))?;
    let answers: Vec<usize> = after.chunks_exact(classes).map(first_largest).collect();
    let margins = |logits: &[f32]| -> Vec<f64> {
        let rows = logits.chunks_exact(classes).zip(case.labels.iter().zip(&answers));
        rows.map(|(row, (&label, &answer))| f64::from(row[label]) - f64::from(row[answer])).collect()
    };
    let path = path(model, case, &margins)?;
    let drifts = drift::drifts(model, &case.clean, &case.attacked, case.labels, &answers)?;
    let (heads, parts) = restore::restored(model, case, &margins)?;
    let (before, after) = (margins(&before), margins(&after));
    let images = drifts.into_iter().zip(path).zip(parts).enumerate();
    Ok(images
        .map(|(image, ((drift, path), parts))| Autopsy {
            answer: answers[image],
            margins: [before[image], after[image]],
            path,
            drift,
            heads: heads.clone(),
            parts,
        })
        .collect())
}

/// The points of every image's path.
fn path(
    model: &Classifier,
    case: &Case,
    margins: &dyn Fn(&[f32]) -> Vec<f64>,
) -> Result<Vec<Vec<PathPoint>>, AnalysisError> {
    let mut points: Vec<Vec<PathPoint>> = vec![Vec::new(); case.labels.len()];
    for share in PATH {
        let change = (case.attacked.clone() - case.clean.clone()) * share;
        let images = case.clean.clone() + change;
        let margins = margins(&finite(model, crate::answers::logits(model, images.clone()))?);
        let drifts = drift::by_layer(model, &case.clean, &images)?;
        for ((points, margin), drift) in points.iter_mut().zip(margins).zip(drifts) {
            points.push(PathPoint { share, margin, drift });
        }
    }
    Ok(points)
}

fn finite(model: &Classifier, logits: Vec<f32>) -> Result<Vec<f32>, AnalysisError> {
    match logits.iter().all(|logit| logit.is_finite()) {
        true => Ok(logits),
        false => Err(AnalysisError::NotFinite { model: model.card().name.clone() }),
    }
}
