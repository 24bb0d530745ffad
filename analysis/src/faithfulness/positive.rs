//! Positive perturbation (Chefer et al., 2021): how long the answer is kept when the most relevant pixels are blackened first.

use super::perturbation::{Alteration, Answers, Explained, Perturbation, TENTHS, kept, replaced};
use super::{Asked, Metric, MetricInfo, Score};
use crate::attribution::Capability;
use crate::statistics::SHARE;
use crate::{AnalysisError, Paper};

pub(super) const CHEFER: Paper =
    Paper { citation: "Chefer et al., 2021", url: "https://arxiv.org/abs/2012.09838" };

/// Area under the curve of top-1 agreement with the explained class over the share of pixels set to 0 before normalisation, 0.1 to
/// 0.9, the most relevant first (section 4.1).
#[derive(Clone, Copy, Debug)]
pub struct PositivePerturbation;

static POSITIVE: MetricInfo = MetricInfo {
    id: "positive-perturbation",
    title: "positive perturbation",
    summary: "how often the class is still the answer while the most relevant pixels are blackened",
    higher_is_better: false,
    range: SHARE,
    judged: true,
    needs_mask: false,
    needs: &[Capability::Classes],
    passes: 9,
    curve: &TENTHS,
    paper: CHEFER,
};

impl Metric for PositivePerturbation {
    fn info(&self) -> &'static MetricInfo {
        &POSITIVE
    }

    fn measure(&self, asked: &Asked) -> Result<Vec<Vec<Score>>, AnalysisError> {
        Ok(blackened(asked.evidence, &asked.explained(), false))
    }
}

pub(super) fn blackened(model: &dyn Answers, explained: &Explained, least_first: bool) -> Vec<Vec<Score>> {
    let altered = |alteration: &Alteration| replaced(alteration, |_, _| 0.0);
    Perturbation { altered: &altered, least_first, ends: false, read: kept }.scores(model, explained)
}
