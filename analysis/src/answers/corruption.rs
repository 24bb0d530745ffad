//! How much damage to images costs a model, in numbers that can be compared with other models'.

use crate::statistics::{Estimate, Resampling, Result, StatisticsError, check_lengths};

/// A model's errors on damaged images.
#[derive(Clone, Debug, PartialEq)]
pub struct CorruptionErrors {
    /// Whether the answer to each undamaged image is wrong.
    pub clean: Vec<bool>,
    /// For each corruption the share of its severities at which the answer to each image is wrong.
    pub damaged: Vec<Vec<f64>>,
}

/// Mean corruption error (Hendrycks and Dietterich, 2019, section 4.1), a share: the mean over corruptions of the model's summed error
/// over the baseline's. 1 is the baseline itself; a better model is below it. Its interval resamples images, the same for both models
/// and all corruptions.
///
/// # Errors
/// Different images or corruptions, none of them, or a baseline without an error under some corruption.
pub fn mean_corruption_error(
    model: &CorruptionErrors,
    baseline: &CorruptionErrors,
    resampling: &Resampling,
) -> Result<Estimate> {
    ratio(model, baseline, |damaged, _| damaged, resampling)
}

/// The same of the errors that damage adds to those on undamaged images (relative mCE, there): what remains when one model is simply
/// better than another.
///
/// # Errors
/// As [`mean_corruption_error`]; a baseline that a corruption costs nothing.
pub fn relative_corruption_error(
    model: &CorruptionErrors,
    baseline: &CorruptionErrors,
    resampling: &Resampling,
) -> Result<Estimate> {
    // Shares of three severities do not add up to whole images exactly; what rounding leaves of nothing is no cost.
    let added = |damaged: f64, clean: f64| match damaged - clean {
        rounding if rounding.abs() < 1e-9 => 0.0,
        added => added,
    };
    ratio(model, baseline, added, resampling)
}

fn ratio(
    model: &CorruptionErrors,
    baseline: &CorruptionErrors,
    cost: impl Fn(f64, f64) -> f64,
    resampling: &Resampling,
) -> Result<Estimate> {
    let what = "a corruption error";
    check_lengths(what, model.clean.len(), baseline.clean.len())?;
    check_lengths(what, model.damaged.len(), baseline.damaged.len())?;
    for errors in model.damaged.iter().chain(&baseline.damaged) {
        check_lengths(what, errors.len(), model.clean.len())?;
    }
    let costs = |errors: &CorruptionErrors, images: &[usize], damaged: &[f64]| {
        let (mut of_damaged, mut of_clean) = (0.0, 0.0);
        for &image in images {
            of_damaged += damaged[image];
            of_clean += f64::from(u8::from(errors.clean[image]));
        }
        cost(of_damaged, of_clean)
    };
    let mean = |images: &[usize]| {
        let pairs = model.damaged.iter().zip(&baseline.damaged);
        let ratios = pairs.map(|(own, other)| costs(model, images, own) / costs(baseline, images, other));
        ratios.sum::<f64>() / model.damaged.len() as f64
    };
    let all: Vec<usize> = (0..model.clean.len()).collect();
    if !mean(&all).is_finite() {
        let reason = "the baseline loses nothing under one of the corruptions";
        return Err(StatisticsError::Undefined { what, reason });
    }
    resampling.bootstrap(what, all.len(), mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(clean: &[usize], damaged: &[[f64; 4]]) -> CorruptionErrors {
        CorruptionErrors {
            clean: clean.iter().map(|&wrong| wrong == 1).collect(),
            damaged: damaged.iter().map(|of| of.to_vec()).collect(),
        }
    }

    #[test]
    fn errors_are_related_corruption_by_corruption() {
        let resampling = Resampling { resamples: 200, ..Resampling::new(1) };
        let model = errors(&[0, 0, 0, 1], &[[0.2, 0.4, 0.4, 1.0], [0.0, 0.5, 0.0, 1.0]]);
        let baseline = errors(&[0, 0, 1, 1], &[[0.6, 0.8, 1.0, 1.6], [0.5, 0.5, 1.0, 1.0]]);
        // (2 / 4 + 1.5 / 3) / 2, and (1 / 2 + 0.5 / 1) / 2.
        let close =
            |found: Estimate, expected: f64| assert!((found.value - expected).abs() < 1e-12, "{found:?}");
        close(mean_corruption_error(&model, &baseline, &resampling).unwrap(), 0.5);
        close(relative_corruption_error(&model, &baseline, &resampling).unwrap(), 0.5);
        close(mean_corruption_error(&baseline, &baseline, &resampling).unwrap(), 1.0);
        let perfect = errors(&[0; 4], &[[0.0; 4], [0.5; 4]]);
        let refused = mean_corruption_error(&model, &perfect, &resampling).unwrap_err();
        assert!(matches!(refused, StatisticsError::Undefined { .. }));
        // Two errors on damaged images, of three severities, and two on clean ones: nothing was added, though rounding leaves a trace.
        let third = 1.0 / 3.0;
        let damaged = [[0.0, 2.0 * third, 1.0, third], [1.0, third, third, third]];
        assert!(damaged.iter().all(|of| of.iter().sum::<f64>() < 2.0));
        let unharmed = errors(&[1, 1, 0, 0], &damaged);
        let refused = relative_corruption_error(&model, &unharmed, &resampling).unwrap_err();
        assert!(matches!(refused, StatisticsError::Undefined { .. }), "{refused}");
        let few = errors(&[0; 4], &[[0.0; 4]]);
        assert!(mean_corruption_error(&model, &few, &resampling).is_err());
    }
}
