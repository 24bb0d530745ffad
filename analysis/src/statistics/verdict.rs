//! Whether something is better than something else: one rule for every sentence, table and picture.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Estimate, Resampling, Result, SignFlipTest, benjamini_hochberg, sign_flip_test};

/// Threshold of p-values, adjusted ones included.
pub const SIGNIFICANCE: f64 = 0.05;

/// Whether something is better than what it is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Better {
    /// It is.
    #[serde(rename = "yes")]
    Yes,
    /// It is worse.
    #[serde(rename = "no")]
    No,
    /// These images do not tell.
    #[serde(rename = "cannot be told")]
    CannotBeTold,
}

impl Better {
    /// What a tested difference says, of which positive values are better. The p-value, adjusted where the test is one of a
    /// family, and the interval have to agree: p below [`SIGNIFICANCE`], and the whole interval on one side of 0. An end that is
    /// not a number decides nothing.
    pub fn of(difference: &Estimate, p_value: f64) -> Self {
        match p_value < SIGNIFICANCE {
            true if difference.low > 0.0 => Self::Yes,
            true if difference.high < 0.0 => Self::No,
            _ => Self::CannotBeTold,
        }
    }
}

impl fmt::Display for Better {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::CannotBeTold => "cannot be told",
        })
    }
}

/// A sign-flip test of each pair of samples, with p-values adjusted over all of them (Benjamini and Hochberg, 1995).
///
/// # Errors
/// As [`sign_flip_test`].
pub fn sign_flip_family(pairs: &[(&[f64], &[f64])], resampling: &Resampling) -> Result<Vec<SignFlipTest>> {
    let test = |(first, second): &(&[f64], &[f64])| sign_flip_test(first, second, resampling);
    let tests = pairs.iter().map(test).collect::<Result<Vec<_>>>()?;
    let adjusted = benjamini_hochberg(&tests.iter().map(|test| test.p_value).collect::<Vec<_>>())?;
    Ok(tests.into_iter().zip(adjusted).map(|(test, p_value)| SignFlipTest { p_value, ..test }).collect())
}

#[cfg(test)]
mod tests {
    use archaeo_random::{Draw, keyed_rng};

    use super::*;
    use crate::statistics::DEFAULT_LEVEL;

    fn estimate(low: f64, high: f64) -> Estimate {
        let value = (low + high) / 2.0;
        Estimate { value, low, high, level: DEFAULT_LEVEL, n: 20, method: String::new() }
    }

    #[test]
    fn p_value_and_interval_have_to_agree() {
        for (low, high, p_value, expected) in [
            (0.1, 0.3, 0.01, Better::Yes),
            (-0.3, -0.1, 0.01, Better::No),
            (-0.1, 0.3, 0.01, Better::CannotBeTold),
            (0.1, 0.3, 0.06, Better::CannotBeTold),
            (0.1, 0.3, SIGNIFICANCE, Better::CannotBeTold),
            (f64::NAN, f64::NAN, 0.01, Better::CannotBeTold),
            (0.1, 0.3, f64::NAN, Better::CannotBeTold),
        ] {
            assert_eq!(Better::of(&estimate(low, high), p_value), expected, "{low} to {high}, p {p_value}");
        }
        assert_eq!(serde_json::to_value(Better::CannotBeTold).unwrap(), "cannot be told");
        assert_eq!(format!("{:<4}|", Better::No), "no  |");
    }

    /// 40 comparisons without a difference: unadjusted, about two are called better or worse.
    #[test]
    fn a_family_is_adjusted_as_a_whole() {
        let sample = |stream: u64| -> Vec<f64> {
            let mut rng = keyed_rng(0, "no difference", stream, 0);
            (0..24).map(|_| f64::from(rng.unit())).collect()
        };
        let samples: Vec<Vec<f64>> = (0..80).map(sample).collect();
        let pairs: Vec<(&[f64], &[f64])> =
            (0..40).map(|pair| (&samples[pair][..], &samples[79 - pair][..])).collect();
        let resampling = Resampling::new(3);
        let family = sign_flip_family(&pairs, &resampling).unwrap();
        let alone: Vec<SignFlipTest> =
            pairs.iter().map(|(a, b)| sign_flip_test(a, b, &resampling).unwrap()).collect();
        assert!(family.iter().zip(&alone).all(|(family, alone)| family.p_value >= alone.p_value));
        assert!(family.iter().zip(&alone).all(|(family, alone)| family.difference == alone.difference));
        let told =
            family.iter().filter(|test| Better::of(&test.difference, test.p_value) != Better::CannotBeTold);
        assert_eq!(told.count(), 0);
    }
}
