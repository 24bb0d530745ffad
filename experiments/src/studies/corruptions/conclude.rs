//! From answers to damaged images to what damage costs.

use archaeo_analysis::answers::{CorruptionErrors, mean_corruption_error, relative_corruption_error};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Measured, Resampling, StatisticsError, benjamini_hochberg, mean_bootstrap, sign_flip_test,
    wilson,
};
use archaeo_data::corruptions::Corruption;

use super::findings::{CorruptionPair, CorruptionScore, CorruptionScores};

/// What one model answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Damage {
    /// Whether the answer to each undamaged image is wrong.
    pub clean: Vec<bool>,
    /// For each image, corruption and severity whether the answer is wrong.
    pub wrong: Vec<Vec<Vec<bool>>>,
}

impl Damage {
    fn severities(&self) -> usize {
        self.wrong.first().and_then(|of| of.first()).map_or(0, Vec::len)
    }

    /// For each image the share of right answers over what is chosen of (corruption, severity).
    fn right(&self, chosen: impl Fn(usize, usize) -> bool) -> Vec<f64> {
        let of_image = |of: &Vec<Vec<bool>>| {
            let all = of.iter().enumerate().flat_map(|(corruption, of)| {
                of.iter().enumerate().map(move |(severity, &wrong)| (corruption, severity, wrong))
            });
            let chosen: Vec<bool> = all
                .filter(|&(corruption, severity, _)| chosen(corruption, severity))
                .map(|(.., wrong)| wrong)
                .collect();
            chosen.iter().filter(|wrong| !**wrong).count() as f64 / chosen.len().max(1) as f64
        };
        self.wrong.iter().map(of_image).collect()
    }

    fn clean_right(&self) -> Vec<f64> {
        self.clean.iter().map(|&wrong| f64::from(u8::from(!wrong))).collect()
    }

    fn errors(&self, corruptions: usize) -> CorruptionErrors {
        let of = |corruption: usize| -> Vec<f64> {
            self.right(|of, _| of == corruption).into_iter().map(|right| 1.0 - right).collect()
        };
        CorruptionErrors { clean: self.clean.clone(), damaged: (0..corruptions).map(of).collect() }
    }
}

/// Accuracy of one model.
///
/// # Errors
/// No images.
pub fn corruption_scores(
    damage: &Damage,
    corruptions: &[Corruption],
    resampling: &Resampling,
) -> Result<CorruptionScores, StatisticsError> {
    let (n, severities) = (damage.clean.len(), damage.severities());
    let right = damage.clean.iter().filter(|wrong| !**wrong).count();
    let score = |(place, &corruption): (usize, &Corruption)| {
        let at = |severity: usize| {
            let right = damage.wrong.iter().filter(|of| !of[place][severity]).count();
            wilson(right, n, DEFAULT_LEVEL)
        };
        Ok(CorruptionScore { corruption, accuracy: (0..severities).map(at).collect::<Result<_, _>>()? })
    };
    let by_severity = |severity: usize| mean_bootstrap(&damage.right(|_, of| of == severity), resampling);
    Ok(CorruptionScores {
        clean: wilson(right, n, DEFAULT_LEVEL)?,
        damaged: mean_bootstrap(&damage.right(|_, _| true), resampling)?,
        by_severity: (0..severities).map(by_severity).collect::<Result<_, _>>()?,
        corruptions: corruptions.iter().enumerate().map(score).collect::<Result<_, StatisticsError>>()?,
    })
}

/// The first model next to the second; the first is the baseline of the corruption errors.
///
/// # Errors
/// Fewer than two images.
pub fn corruption_pair(
    first: &Damage,
    second: &Damage,
    corruptions: &[Corruption],
    resampling: &Resampling,
) -> Result<CorruptionPair, StatisticsError> {
    let [own, other] = [first, second].map(|of| of.right(|_, _| true));
    let lost = |damage: &Damage, damaged: &[f64]| -> Vec<f64> {
        damage.clean_right().iter().zip(damaged).map(|(clean, damaged)| clean - damaged).collect()
    };
    let (lost_first, lost_second) = (lost(first, &own), lost(second, &other));
    let mut by_corruption = Vec::with_capacity(corruptions.len());
    for corruption in 0..corruptions.len() {
        let [own, other] = [first, second].map(|of| of.right(|of, _| of == corruption));
        by_corruption.push(sign_flip_test(&own, &other, resampling)?);
    }
    let p_values: Vec<f64> = by_corruption.iter().map(|test| test.p_value).collect();
    for (test, adjusted) in by_corruption.iter_mut().zip(benjamini_hochberg(&p_values)?) {
        test.p_value = adjusted;
    }
    let [baseline, errors] = [first, second].map(|of| of.errors(corruptions.len()));
    Ok(CorruptionPair {
        difference: sign_flip_test(&own, &other, resampling)?,
        lost: sign_flip_test(&lost_first, &lost_second, resampling)?,
        by_corruption,
        mce: Measured::of(mean_corruption_error(&errors, &baseline, resampling))?,
        relative_mce: Measured::of(relative_corruption_error(&errors, &baseline, resampling))?,
    })
}
