//! Which statements an interval supports. Every conditional sentence of the report is decided here.

use archaeo_analysis::statistics::{Better, Estimate};

pub use archaeo_analysis::statistics::SIGNIFICANCE;

/// Where a number lies relative to another, as far as the data show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The whole interval is larger.
    Above,
    /// The whole interval is smaller.
    Below,
    /// The interval allows both.
    Undecided,
}

/// Side of `reference` on which the whole interval lies. An interval with a NaN end decides nothing.
pub fn side(estimate: &Estimate, reference: f64) -> Side {
    if estimate.low > reference {
        Side::Above
    } else if estimate.high < reference {
        Side::Below
    } else {
        Side::Undecided
    }
}

/// Side of zero on which a tested difference lies, by the rule of [`Better`]: test and interval have to agree, so that no sentence
/// contradicts the interval printed next to it.
pub fn tested(difference: &Estimate, p_value: f64) -> Side {
    match Better::of(difference, p_value) {
        Better::Yes => Side::Above,
        Better::No => Side::Below,
        Better::CannotBeTold => Side::Undecided,
    }
}

/// Where `first` lies relative to `second` when their intervals do not touch.
///
/// Two 95 % intervals that do not touch mean a difference at a stricter level than 95 %: a cautious comparison, used
/// only where no paired one was made.
pub fn apart(first: &Estimate, second: &Estimate) -> Side {
    if first.low > second.high {
        Side::Above
    } else if first.high < second.low {
        Side::Below
    } else {
        Side::Undecided
    }
}
