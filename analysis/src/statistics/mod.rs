//! The statistics behind every reported number.
//!
//! Plain slices in, plain numbers out. A reported number is an [`Estimate`]: a value with its interval, the
//! number of observations, and the method by its name. Everything is a pure function of its arguments: random
//! resampling takes its seed from [`Resampling`], runs in one fixed order, and therefore gives the same bits
//! whatever the number of threads.
//!
//! | question | function |
//! |---|---|
//! | how accurate is a model? | [`wilson`], [`Predictions::correct`] |
//! | what is the mean of a score, and how much does it vary? | [`mean_t`], [`mean_bootstrap`], [`standard_deviation`] |
//! | do two models differ on the same images? | [`mcnemar`], [`matched_difference`], [`accuracy_difference`], [`mean_difference`], [`sign_flip_test`] |
//! | do they fail on the same images, and in the same way? | [`error_consistency`], [`answer_agreement`] |
//! | is every class recognised, and is one ranked before the other? | [`balanced_accuracy`], [`wilson_of_family`], [`roc_auc`] |
//! | do two sets of images differ? | [`proportion_difference`] |
//! | what sets errors apart from right answers of the same classes, and more in one model than in another? | [`enrichment`], [`enrichment_difference`] |
//! | do two recipes differ over their seeds? | [`welch`] |
//! | how long does it take, and how fast does that grow? | [`median`], [`power_law`] |
//! | how far away is what may never be reached, and what is left on the way? | [`median_with_infinite`], [`survival`] |
//! | do two rankings agree, does a number rise along an order? | [`spearman`], [`rank_trend`] |
//! | do two descriptions of one thing agree more than of two? | [`pairing_test`] |
//! | does a ratio differ between two models? | [`exchange_test`] |
//! | does a model know when it is right? | [`expected_calibration_error`], [`Predictions::nll`] |
//! | which of many p-values survive? | [`benjamini_hochberg`], [`sign_flip_family`] |
//! | is one better than the other: yes, no, cannot be told? | [`Better`] |
//!
//! What has no value for some data is a [`Measured`] with the reason in words.

mod agreement;
mod balanced;
mod calibration;
mod consistency;
mod cosine;
mod enrichment;
mod exchange;
mod mcnemar;
mod mean;
mod measured;
mod median;
mod moments;
mod multiple;
mod pairing;
mod permutation;
mod power_law;
mod predictions;
mod proportion;
mod ranks;
mod resampling;
mod roc;
mod special;
mod survival;
#[cfg(test)]
mod tests;
mod trend;
#[cfg(test)]
mod trust_tests;
mod verdict;
mod welch;

use serde::{Deserialize, Serialize};

pub use agreement::{AnswerAgreement, answer_agreement};
pub use balanced::balanced_accuracy;
pub use calibration::{Calibration, ReliabilityBin, expected_calibration_error};
pub use consistency::error_consistency;
pub use cosine::cosine;
pub use enrichment::{Enrichment, FEWEST_ENRICHED, enrichment, enrichment_difference};
pub use exchange::exchange_test;
pub use mcnemar::{McNemar, mcnemar};
pub use mean::{
    CORRELATION, NOT_NEGATIVE, SHARE, accuracy_difference, mean_bootstrap, mean_difference, mean_t,
    mean_within, standard_deviation,
};
pub use measured::Measured;
pub use median::{FEWEST_FOR_A_MEDIAN, median, median_with_infinite};
pub use moments::Moments;
pub use multiple::benjamini_hochberg;
pub use pairing::{Pairing, pairing_test};
pub use permutation::{SignFlipTest, sign_flip_test};
pub use power_law::{PowerLaw, power_law};
pub use predictions::{ConfusionMatrix, Predictions};
pub(crate) use predictions::{first_largest, softmax};
pub use proportion::{matched_difference, proportion_difference, wilson, wilson_of_family};
pub(crate) use ranks::average_ranks;
pub use ranks::{RankCorrelation, rank_coefficient, spearman};
pub use resampling::Resampling;
pub use roc::roc_auc;
pub(crate) use special::student_t_two_sided;
pub use survival::{SurvivalPoint, survival};
pub use trend::{FEWEST_FOR_A_TREND, RankTrend, rank_trend};
pub use verdict::{Better, SIGNIFICANCE, sign_flip_family};
pub use welch::{Welch, welch};

/// The confidence level of every interval unless a caller says otherwise.
pub const DEFAULT_LEVEL: f64 = 0.95;

/// A number with its uncertainty: what a report prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The point estimate, in the unit of the quantity (proportions lie in `[0, 1]`).
    #[serde(deserialize_with = "number_or_null")]
    pub value: f64,
    /// Lower end of the interval; not a number where there is none, which JSON writes as `null`.
    #[serde(deserialize_with = "number_or_null")]
    pub low: f64,
    /// Upper end of the interval; as `low`.
    #[serde(deserialize_with = "number_or_null")]
    pub high: f64,
    /// Confidence level of the interval, for example 0.95.
    pub level: f64,
    /// Number of independent observations (usually images) behind the value.
    pub n: usize,
    /// How value and interval were computed, in words for a report's reader.
    pub method: String,
}

impl Estimate {
    /// A value seen once: nothing says how much it would vary, so that it has no interval.
    pub fn of_one(value: f64, level: f64) -> Self {
        let method = "one observation, which gives no interval".into();
        Self { value, low: f64::NAN, high: f64::NAN, level, n: 1, method }
    }
}

/// JSON knows no number that is none and writes `null`.
fn number_or_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Why a statistic could not be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StatisticsError {
    /// Fewer observations than the statistic needs.
    #[error("{what} needs at least {needed} observation(s), but there are {found}")]
    TooFew {
        /// The statistic.
        what: &'static str,
        /// The smallest number that makes sense.
        needed: usize,
        /// What was given.
        found: usize,
    },
    /// Two inputs that belong together differ in length.
    #[error("{what} needs inputs of one length, but they have {first} and {second} entries")]
    LengthMismatch {
        /// The statistic.
        what: &'static str,
        /// Length of the first input.
        first: usize,
        /// Length of the second input.
        second: usize,
    },
    /// A NaN or infinite entry.
    #[error("{what} holds the value {value} at position {index}; every entry must be finite")]
    NotFinite {
        /// The input.
        what: &'static str,
        /// Position of the first such entry.
        index: usize,
        /// Its value (NaN or an infinity).
        value: f64,
    },
    /// A parameter outside its domain.
    #[error("{what} is {value}, outside {allowed}")]
    OutOfRange {
        /// The parameter.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The domain, in words.
        allowed: &'static str,
    },
    /// The statistic has no value for these data, such as a correlation with a constant.
    #[error("{what} is undefined: {reason}")]
    Undefined {
        /// The statistic.
        what: &'static str,
        /// Why, in words that can follow “because”.
        reason: &'static str,
    },
}

/// Result of a statistic.
pub type Result<T> = std::result::Result<T, StatisticsError>;

pub(crate) fn check_count(what: &'static str, needed: usize, found: usize) -> Result<()> {
    if found < needed { Err(StatisticsError::TooFew { what, needed, found }) } else { Ok(()) }
}

pub(crate) fn check_lengths(what: &'static str, first: usize, second: usize) -> Result<()> {
    if first == second { Ok(()) } else { Err(StatisticsError::LengthMismatch { what, first, second }) }
}

fn check_finite(what: &'static str, values: &[f64]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(StatisticsError::NotFinite { what, index, value: values[index] }),
        None => Ok(()),
    }
}

pub(crate) fn check_level(level: f64) -> Result<()> {
    if level > 0.0 && level < 1.0 {
        Ok(())
    } else {
        Err(StatisticsError::OutOfRange { what: "the confidence level", value: level, allowed: "(0, 1)" })
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
