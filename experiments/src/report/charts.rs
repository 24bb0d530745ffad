//! From estimates to the marks of a chart. What is not a number is left out, for a chart cannot show it.

use archaeo_analysis::statistics::Estimate;
use archaeo_plot::{Measure, Point};

/// Colour of what belongs to no model, such as baselines.
pub(crate) const NEUTRAL_SERIES: usize = 5;

fn interval(estimate: &Estimate) -> Option<(f64, f64)> {
    let (low, high) = (estimate.low, estimate.high);
    (low.is_finite() && high.is_finite() && low <= high).then_some((low, high))
}

/// `None` for an undefined value.
pub(crate) fn measure(estimate: &Estimate) -> Option<Measure> {
    let Estimate { value, .. } = *estimate;
    value.is_finite().then(|| Measure { value, interval: interval(estimate) })
}

/// `None` for an undefined value.
pub(crate) fn point(x: f64, estimate: &Estimate) -> Option<Point> {
    let y = estimate.value;
    (x.is_finite() && y.is_finite()).then(|| Point { x, y, interval: interval(estimate) })
}

/// A point without uncertainty; `None` for an undefined value.
pub(crate) fn bare_point(x: f64, y: f64) -> Option<Point> {
    (x.is_finite() && y.is_finite()).then_some(Point { x, y, interval: None })
}
