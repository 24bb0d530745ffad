//! Deletion (Petsiuk et al., 2018): how fast the class's probability falls when the most relevant pixels are taken away.

use super::insertion::RISE;
use super::perturbation::{
    Alteration, Answers, Explained, Perturbation, TENTHS_AND_ENDS, probability, replaced,
};
use super::{Asked, Metric, MetricInfo, Score};
use crate::AnalysisError;
use crate::attribution::Capability;
use crate::statistics::SHARE;

/// Area under the curve of the class's softmax probability over the share of pixels that are set to the mean colour of the model's
/// preprocessing, the most relevant first (section 3.3; 0 after normalisation, as in the authors' program).
#[derive(Clone, Copy, Debug)]
pub struct Deletion;

static DELETION: MetricInfo = MetricInfo {
    id: "deletion",
    title: "deletion",
    summary: "mean probability of the class while the most relevant pixels are set to the mean colour",
    higher_is_better: false,
    range: SHARE,
    judged: true,
    needs_mask: false,
    needs: &[Capability::Classes],
    passes: 9,
    curve: &TENTHS_AND_ENDS,
    paper: RISE,
};

impl Metric for Deletion {
    fn info(&self) -> &'static MetricInfo {
        &DELETION
    }

    fn measure(&self, asked: &Asked) -> Result<Vec<Vec<Score>>, AnalysisError> {
        let mean = asked.evidence.model().card().preprocessing.mean;
        Ok(scores(mean, asked.evidence, &asked.explained()))
    }
}

pub(super) fn scores(colour: [f32; 3], model: &dyn Answers, explained: &Explained) -> Vec<Vec<Score>> {
    let altered = |alteration: &Alteration| replaced(alteration, |channel, _| colour[channel]);
    let deletion = Perturbation { altered: &altered, least_first: false, ends: true, read: probability };
    deletion.scores(model, explained)
}
