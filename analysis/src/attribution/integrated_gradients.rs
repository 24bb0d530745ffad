//! Integrated Gradients (Sundararajan et al., 2017): gradients gathered on the way from an image without content.

use std::f64::consts::PI;

use super::{Attribution, Capability, Cost, Evidence, Fill, Heatmap, Kind, MethodInfo, Resolution, pixels};
use crate::tensors::{per_image, values};
use crate::{AnalysisError, Paper};

/// `(x − x′) · ∫₀¹ ∇f(x′ + α (x − x′)) dα`, f the class's logit, summed over channels (section 3). The integral is taken by
/// Gauss-Legendre quadrature. The sum over pixels is `f(x) − f(x′)`, but for the quadrature's error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntegratedGradients {
    /// Points of the quadrature, at least one.
    pub steps: usize,
    /// The image x′ without content.
    pub baseline: Fill,
}

/// Heatmaps, and how far each is from adding up.
#[derive(Clone, Debug, PartialEq)]
pub struct Integrated {
    /// One for each image.
    pub heatmaps: Vec<Heatmap>,
    /// The completeness gap of each, in logits: the sum of the heatmap minus `f(x) − f(x′)`.
    pub gaps: Vec<f64>,
}

impl IntegratedGradients {
    /// 50 points on the way from black.
    pub const USUAL: Self = Self { steps: 50, baseline: Fill::Black };

    /// The heatmaps with their completeness gaps.
    ///
    /// # Errors
    /// A model without a head.
    ///
    /// # Panics
    /// If `targets` does not name a class for each image, or there are no steps.
    pub fn integrate(&self, evidence: &Evidence, targets: &[usize]) -> Result<Integrated, AnalysisError> {
        self.require(evidence)?;
        assert!(self.steps > 0, "an integral takes a point or more");
        let images = evidence.images();
        let baseline = self.baseline.images(images);
        let way = images.clone() - baseline.clone();
        let mut mean = images.zeros_like();
        for (place, weight) in gauss_legendre(self.steps) {
            let at = baseline.clone() + way.clone() * place;
            mean = mean + evidence.gradients_at(at, targets) * weight;
        }
        let attributions = mean * way;
        let [there, here] = [images.clone(), baseline].map(|at| evidence.target_logits(at, targets));
        let sums: Vec<f64> = per_image(&values(attributions.clone()), targets.len())
            .map(|image| image.iter().map(|&value| f64::from(value)).sum())
            .collect();
        let risen = there.iter().zip(&here).map(|(&there, &here)| f64::from(there) - f64::from(here));
        let gaps = sums.iter().zip(risen).map(|(sum, risen)| sum - risen).collect();
        Ok(Integrated { heatmaps: pixels::over_channels(attributions, pixels::sum), gaps })
    }
}

static INTEGRATED_GRADIENTS: MethodInfo = MethodInfo {
    id: "integrated-gradients",
    title: "Integrated Gradients",
    summary: "gradients of the class's logit gathered on the way from a black image",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Sundararajan et al., 2017", url: "https://arxiv.org/abs/1703.01365" }),
    needs: &[Capability::Gradients],
    depends_on_class: true,
    signed: true,
    resolution: Resolution::Pixels,
    cost: Cost::Dozens,
};

impl Attribution for IntegratedGradients {
    fn info(&self) -> &'static MethodInfo {
        &INTEGRATED_GRADIENTS
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        Ok(self.integrate(evidence, targets)?.heatmaps)
    }
}

/// Points in (0, 1) and their weights, which sum to one: exact for polynomials of degree `2 · count − 1`. The points are the roots
/// of Legendre's polynomial, found by Newton's method from Tricomi's approximation.
fn gauss_legendre(count: usize) -> Vec<(f64, f64)> {
    let of_root = |index: usize| {
        let mut x = (PI * (index as f64 + 0.75) / (count as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (mut before, mut value) = (1.0, x);
            for degree in 2..=count {
                let degree = degree as f64;
                (before, value) =
                    (value, ((2.0 * degree - 1.0) * x * value - (degree - 1.0) * before) / degree);
            }
            slope = count as f64 * (x * value - before) / (x * x - 1.0);
            let step = value / slope;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        // Weights on [−1, 1] are 2 / ((1 − x²) P′(x)²); on [0, 1] half of that.
        ((1.0 - x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..count).map(of_root).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{MethodFixture, with_evidence};

    #[test]
    fn the_quadrature_integrates_polynomials_exactly() {
        for count in [1, 2, 5, 50] {
            let points = gauss_legendre(count);
            for power in 0..2 * count as i32 {
                let found: f64 = points.iter().map(|(at, weight)| weight * at.powi(power)).sum();
                assert!((found - 1.0 / f64::from(power + 1)).abs() < 1e-13, "{count} points, power {power}");
            }
        }
        let beyond: f64 = gauss_legendre(2).iter().map(|(at, weight)| weight * at.powi(4)).sum();
        assert!((beyond - 0.2).abs() > 1e-3, "two points are not exact for the fourth power");
    }

    #[test]
    fn the_gap_is_that_of_the_sum_and_shrinks_with_the_steps() {
        let fixture = MethodFixture::load();
        for subject in fixture.subjects() {
            with_evidence(&subject.model, subject.images.clone(), |evidence| {
                let gap = |steps: usize, baseline: Fill| {
                    let method = IntegratedGradients { steps, baseline };
                    let found = method.integrate(evidence, &subject.targets).unwrap();
                    let risen = |images| evidence.target_logits(images, &subject.targets);
                    let (there, here) =
                        (risen(subject.images.clone()), risen(baseline.images(evidence.images())));
                    let sums = found
                        .heatmaps
                        .iter()
                        .map(|map| map.values.iter().map(|&v| f64::from(v)).sum::<f64>());
                    for (image, (sum, gap)) in sums.zip(&found.gaps).enumerate() {
                        let expected = sum - f64::from(there[image] - here[image]);
                        assert!((gap - expected).abs() < 1e-4, "{}: {gap}, not {expected}", subject.name);
                    }
                    found.gaps.iter().map(|gap| gap.abs()).fold(0.0, f64::max)
                };
                for baseline in [Fill::Black, Fill::Grey, Fill::Mean] {
                    let [few, many] = [3, 100].map(|steps| gap(steps, baseline));
                    assert!(many < 0.05 && many < few, "{}, {baseline:?}: {few} and {many}", subject.name);
                }
            });
        }
    }
}
