//! Negative perturbation (Chefer et al., 2021): how long the answer is kept when the least relevant pixels are blackened first.

use super::perturbation::TENTHS;
use super::positive::{CHEFER, blackened};
use super::{Asked, Metric, MetricInfo, Score};
use crate::AnalysisError;
use crate::attribution::Capability;
use crate::statistics::SHARE;

/// As [`PositivePerturbation`](super::PositivePerturbation), the least relevant first.
#[derive(Clone, Copy, Debug)]
pub struct NegativePerturbation;

static NEGATIVE: MetricInfo = MetricInfo {
    id: "negative-perturbation",
    title: "negative perturbation",
    summary: "how often the class is still the answer while the least relevant pixels are blackened",
    higher_is_better: true,
    range: SHARE,
    judged: true,
    needs_mask: false,
    needs: &[Capability::Classes],
    passes: 9,
    curve: &TENTHS,
    paper: CHEFER,
};

impl Metric for NegativePerturbation {
    fn info(&self) -> &'static MetricInfo {
        &NEGATIVE
    }

    fn measure(&self, asked: &Asked) -> Result<Vec<Vec<Score>>, AnalysisError> {
        Ok(blackened(asked.evidence, &asked.explained(), true))
    }
}
