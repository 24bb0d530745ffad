//! Numbers that may not exist.

use serde::{Deserialize, Serialize};

use super::{Estimate, Result, StatisticsError};

/// A number, or the reason why there is none: for some data some statistics have no value, and that is a result, too.
///
/// In JSON it is the number itself, or `{"undefined": "both models are right on every image"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Measured<T = Estimate> {
    /// The number.
    Known(T),
    /// There is none.
    Undefined {
        /// Why, in words that can follow “because”.
        undefined: String,
    },
}

impl<T> Measured<T> {
    /// No number, for a reason that can follow “because”.
    pub fn undefined(reason: impl Into<String>) -> Self {
        Self::Undefined { undefined: reason.into() }
    }

    /// What a statistic gave: data for which it has no value are a result.
    ///
    /// # Errors
    /// What is wrong with the input rather than with the statistic: lengths, entries that are not finite, parameters.
    pub fn of(result: Result<T>) -> Result<Self> {
        match result {
            Ok(known) => Ok(Self::Known(known)),
            Err(StatisticsError::Undefined { reason, .. }) => Ok(Self::undefined(reason)),
            Err(StatisticsError::TooFew { needed, found, .. }) => {
                let are = if found == 1 { "is" } else { "are" };
                Ok(Self::undefined(format!("it takes {needed} or more observations and there {are} {found}")))
            }
            Err(error) => Err(error),
        }
    }

    /// The number, where there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(known) => Some(known),
            Self::Undefined { .. } => None,
        }
    }

    /// Why there is no number, where there is none; it can follow “because”.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Undefined { undefined } => Some(undefined),
        }
    }

    /// The number changed, the reason kept.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Measured<U> {
        match self {
            Self::Known(known) => Measured::Known(change(known)),
            Self::Undefined { undefined } => Measured::Undefined { undefined },
        }
    }
}

impl Measured {
    /// For findings that hold an estimate in any case: value and interval are not numbers, and the reason stands where the
    /// method would.
    pub fn or_not_a_number(self) -> Estimate {
        match self {
            Self::Known(known) => known,
            Self::Undefined { undefined } => {
                let nothing = f64::NAN;
                let level = super::DEFAULT_LEVEL;
                Estimate { value: nothing, low: nothing, high: nothing, level, n: 0, method: undefined }
            }
        }
    }
}

impl<T> From<T> for Measured<T> {
    fn from(known: T) -> Self {
        Self::Known(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_value_is_a_result_and_what_is_wrong_an_error() {
        let nothing =
            StatisticsError::Undefined { what: "κ", reason: "both models are right on every image" };
        let undefined = Measured::<Estimate>::of(Err(nothing)).unwrap();
        assert_eq!(
            (undefined.known(), undefined.reason()),
            (None, Some("both models are right on every image"))
        );
        let few = StatisticsError::TooFew { what: "ρ", needed: 4, found: 1 };
        let few = Measured::<Estimate>::of(Err(few)).unwrap();
        assert_eq!(few.reason(), Some("it takes 4 or more observations and there is 1"));
        let wrong = StatisticsError::LengthMismatch { what: "κ", first: 1, second: 2 };
        assert!(Measured::<Estimate>::of(Err(wrong)).is_err());
    }

    #[test]
    fn both_kinds_survive_json_and_an_estimate_looks_like_one() {
        let known = Measured::from(super::super::wilson(3, 7, 0.95).unwrap());
        let undefined = Measured::<Estimate>::undefined("there is no error");
        for measured in [&known, &undefined] {
            let text = serde_json::to_string(measured).unwrap();
            assert_eq!(&serde_json::from_str::<Measured>(&text).unwrap(), measured);
        }
        assert_eq!(serde_json::to_string(&undefined).unwrap(), r#"{"undefined":"there is no error"}"#);
        let text = serde_json::to_string(&known).unwrap();
        assert_eq!(&serde_json::from_str::<Estimate>(&text).unwrap(), known.known().unwrap());
        let blank = undefined.or_not_a_number();
        let read: Estimate = serde_json::from_str(&serde_json::to_string(&blank).unwrap()).unwrap();
        assert!(read.value.is_nan() && read.low.is_nan() && read.high.is_nan());
        assert_eq!(read.method, "there is no error");
    }
}
