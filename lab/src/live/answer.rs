//! What a model answers to an image.

use archaeo_analysis::answers::{predicted_classes, probabilities};
use serde::Serialize;

use super::model::LiveModel;
use super::{Live, LiveError, Seen};

/// Answers that are listed first.
const TOP: usize = 5;

/// A class, and what the model gives it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassAnswer {
    /// Number of the output, from 0.
    pub class: usize,
    /// What it is called.
    pub name: String,
    /// Softmax of the logits.
    pub probability: f64,
    /// Its logit.
    pub logit: f32,
}

/// What a model answers to an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveAnswer {
    /// One for each class.
    pub logits: Vec<f32>,
    /// Their softmax.
    pub probabilities: Vec<f64>,
    /// The most probable classes, that of the largest probability first.
    pub top: Vec<ClassAnswer>,
    /// The output of the image's label; `None` where nothing says it.
    pub label: Option<usize>,
}

impl Live {
    /// What a model answers.
    ///
    /// # Errors
    /// A model or an image that is not there, or an image that cannot be read.
    pub fn answer(&self, model: &str, image: &str) -> Result<LiveAnswer, LiveError> {
        let (_, live) = self.model(model)?;
        let seen = self.seen(model, image)?;
        let label = self.images.label(image)?.and_then(|label| live.output_of(label));
        Ok(LiveAnswer::of(live, &seen, label))
    }
}

impl LiveAnswer {
    fn of(model: &LiveModel, seen: &Seen, label: Option<usize>) -> Self {
        let (probabilities, top) = model.ranked(&seen.logits, TOP);
        Self { logits: seen.logits.clone(), probabilities, top, label }
    }
}

impl LiveModel {
    /// Softmax of the logits, and the most probable classes.
    pub(super) fn ranked(&self, logits: &[f32], most: usize) -> (Vec<f64>, Vec<ClassAnswer>) {
        if logits.is_empty() {
            return Default::default();
        }
        let probabilities = probabilities(logits, logits.len());
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        let top = order.into_iter().take(most).map(|class| self.called(class, logits, &probabilities));
        let top = top.collect();
        (probabilities, top)
    }

    /// One class.
    pub(super) fn called(&self, class: usize, logits: &[f32], probabilities: &[f64]) -> ClassAnswer {
        let name = self.names.get(class).cloned().unwrap_or_else(|| class.to_string());
        ClassAnswer { class, name, probability: probabilities[class], logit: logits[class] }
    }
}

/// The class of the largest logit, the first where there are several.
pub(super) fn largest(logits: &[f32]) -> usize {
    predicted_classes(logits, logits.len())[0]
}
