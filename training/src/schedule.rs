//! The learning rate of every step: linear warm-up, then half a cosine (Loshchilov & Hutter, 2017, equation 5, without
//! restarts).

/// A learning-rate schedule; steps are counted from 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Optimiser steps in an epoch.
    pub steps_per_epoch: u64,
    /// Optimiser steps in all.
    pub total_steps: u64,
    /// Steps of the warm-up.
    pub warmup_steps: u64,
    /// Learning rate at step 0 of the warm-up.
    pub warmup: f64,
    /// Learning rate after the warm-up.
    pub peak: f64,
    /// Learning rate that the cosine ends at.
    pub last: f64,
}

impl Schedule {
    /// The learning rate of a step.
    pub fn learning_rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.warmup + (self.peak - self.warmup) * step as f64 / self.warmup_steps as f64;
        }
        let cosine_steps = self.total_steps.saturating_sub(self.warmup_steps).max(1);
        let progress = ((step - self.warmup_steps) as f64 / cosine_steps as f64).min(1.0);
        self.last + (self.peak - self.last) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_to_the_peak_and_falls_to_the_end() {
        let schedule = Schedule {
            steps_per_epoch: 10,
            total_steps: 100,
            warmup_steps: 20,
            warmup: 1e-6,
            peak: 1e-3,
            last: 1e-5,
        };
        // Reference: timm 1.0's CosineLRScheduler(t_initial=80, lr_min=1e-5, warmup_t=20, warmup_lr_init=1e-6,
        // warmup_prefix=True) on a base rate of 1e-3, by hand from its documented formula.
        let expected = [
            (0, 1e-6),
            (10, 1e-6 + 0.5 * (1e-3 - 1e-6)),
            (20, 1e-3),
            (40, 1e-5 + (1e-3 - 1e-5) * 0.5 * (1.0 + std::f64::consts::FRAC_1_SQRT_2)),
            (60, 1e-5 + 0.5 * (1e-3 - 1e-5)),
            (100, 1e-5),
        ];
        for (step, rate) in expected {
            assert!((schedule.learning_rate(step) - rate).abs() < 1e-12, "step {step}");
        }
    }

    #[test]
    fn a_warmup_as_long_as_the_training_never_divides_by_zero() {
        let schedule = Schedule {
            steps_per_epoch: 5,
            total_steps: 5,
            warmup_steps: 5,
            warmup: 0.0,
            peak: 1.0,
            last: 0.0,
        };
        assert_eq!(schedule.learning_rate(5), 1.0);
        assert!(schedule.learning_rate(9).is_finite());
    }
}
