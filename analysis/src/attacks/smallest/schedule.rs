//! Step sizes that fall along a cosine, and Adam.

use std::f64::consts::PI;

/// From `first` at step 0 to `last` at step `steps`, along half a cosine.
pub(in super::super) fn cosine(first: f64, last: f64, step: usize, steps: usize) -> f64 {
    last + (first - last) * (1.0 + (PI * step as f64 / steps as f64).cos()) / 2.0
}

/// Moments of the gradients so far (Kingma and Ba, 2015, algorithm 1), with β₁ = 0.9, β₂ = 0.999 and ε = 1e-8.
#[derive(Clone, Debug)]
pub(crate) struct Adam {
    first: Vec<f64>,
    second: Vec<f64>,
    step: i32,
}

impl Adam {
    pub fn new(values: usize) -> Self {
        Self { first: vec![0.0; values], second: vec![0.0; values], step: 0 }
    }

    /// Takes a gradient. For each value the corrected mean, and the root of the corrected mean square plus ε: the step is their
    /// ratio times the rate.
    pub fn moments(&mut self, gradient: &[f64]) -> impl Iterator<Item = (f64, f64)> {
        self.step += 1;
        let (keep_first, keep_second) = (0.9f64, 0.999f64);
        let corrections = (1.0 - keep_first.powi(self.step), 1.0 - keep_second.powi(self.step));
        let moments = self.first.iter_mut().zip(&mut self.second).zip(gradient);
        moments.map(move |((first, second), gradient)| {
            *first = keep_first * *first + (1.0 - keep_first) * gradient;
            *second = keep_second * *second + (1.0 - keep_second) * gradient * gradient;
            (*first / corrections.0, (*second / corrections.1).sqrt() + 1e-8)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cosine_falls_from_the_first_to_the_last() {
        assert_eq!(cosine(1.0, 0.01, 0, 10), 1.0);
        assert!((cosine(1.0, 0.01, 5, 10) - 0.505).abs() < 1e-12);
        assert!((cosine(1.0, 0.01, 10, 10) - 0.01).abs() < 1e-12);
    }

    /// PyTorch's Adam at rate 0.1 on gradients 1, −2 and 0.5: worked by hand from the definition.
    #[test]
    fn adam_corrects_both_moments() {
        let mut adam = Adam::new(1);
        let mut steps = Vec::new();
        for gradient in [1.0, -2.0, 0.5] {
            let (mean, root) = adam.moments(&[gradient]).next().unwrap();
            steps.push(mean / root);
        }
        // Moments 0.1, −0.11, −0.049 and 0.001, 0.004999, 0.005244001.
        let expected = [
            1.0,
            (-0.11f64 / 0.19) / (0.004_999f64 / 0.001_999).sqrt(),
            (-0.049 / 0.271) / (0.005_244_001f64 / 0.002_997_001).sqrt(),
        ];
        for (step, expected) in steps.iter().zip(expected) {
            assert!((step - expected).abs() < 1e-6, "{step}, not {expected}");
        }
    }
}
