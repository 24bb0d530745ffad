//! How numbers are written: the same way everywhere, with their uncertainty.

use archaeo_analysis::statistics::{Estimate, Measured};

use crate::document::Text;

/// Between a number and its unit, so that no line breaks there.
const SPACE: char = '\u{a0}';

/// Text for an undefined value.
const UNDEFINED: &str = "n/a";

/// Unit in which a quantity is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share.
    Percent,
    /// A difference of shares.
    Points,
    /// A length in the image.
    Pixels,
    /// Loss, entropy, divergence.
    Nats,
    /// A coefficient without unit.
    Coefficient,
}

impl Unit {
    fn scale(self) -> f64 {
        match self {
            Self::Percent | Self::Points => 100.0,
            Self::Pixels | Self::Nats | Self::Coefficient => 1.0,
        }
    }

    fn digits(self) -> usize {
        match self {
            Self::Percent | Self::Points | Self::Pixels => 1,
            Self::Nats => 3,
            Self::Coefficient => 2,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Percent => "%",
            Self::Points => "points",
            Self::Pixels => "px",
            Self::Nats => "nats",
            Self::Coefficient => "",
        }
    }

    /// The number without its unit: `93.1`.
    pub fn bare(self, value: f64) -> String {
        decimal(value * self.scale(), self.digits())
    }

    /// The number with its unit: `93.1 %`.
    pub fn value(self, value: f64) -> String {
        let bare = self.bare(value);
        if self.name().is_empty() || bare == UNDEFINED {
            bare
        } else {
            format!("{bare}{SPACE}{}", self.name())
        }
    }

    /// Both ends of the interval: `91.7 to 94.3`.
    pub fn range(self, estimate: &Estimate) -> String {
        if estimate.low.is_finite() && estimate.high.is_finite() {
            format!("{} to {}", self.bare(estimate.low), self.bare(estimate.high))
        } else {
            UNDEFINED.into()
        }
    }

    /// For sentences: `8.9 points (95 % interval 7.1 to 10.7)`.
    pub fn sentence(self, estimate: &Estimate) -> String {
        format!("{} ({})", self.value(estimate.value), self.interval_phrase(estimate))
    }

    /// For sentences that follow one with a whole interval phrase: `8.9 points (7.1 to 10.7)`.
    pub fn brief(self, estimate: &Estimate) -> String {
        format!("{} ({})", self.value(estimate.value), self.range(estimate))
    }

    /// Both ends with the unit: `7.1 to 10.7 points`.
    pub fn span(self, estimate: &Estimate) -> String {
        format!("{} to {}", self.bare(estimate.low), self.value(estimate.high))
    }

    /// For sentences: `95 % interval 7.1 to 10.7`.
    pub fn interval_phrase(self, estimate: &Estimate) -> String {
        format!("{}{SPACE}% interval {}", decimal(100.0 * estimate.level, 0), self.range(estimate))
    }

    /// For tables: as [`Unit::cell`], or the reason why there is nothing to show.
    pub fn measured(self, measured: &Measured) -> Text {
        match measured {
            Measured::Known(known) => self.cell(known),
            Measured::Undefined { undefined } => format!("{UNDEFINED}: {undefined}").into(),
        }
    }

    /// For tables: the number, its unit if it is a percent sign, and the interval in small brackets.
    pub fn cell(self, estimate: &Estimate) -> Text {
        let value =
            if self == Self::Percent { self.value(estimate.value) } else { self.bare(estimate.value) };
        if value == UNDEFINED || !(estimate.low.is_finite() && estimate.high.is_finite()) {
            return value.into();
        }
        Text::from(value).interval(format!("[{}, {}]", self.bare(estimate.low), self.bare(estimate.high)))
    }
}

/// `digits` decimals, a true minus sign, no negative zero; `n/a` for NaN.
pub fn decimal(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return UNDEFINED.into();
    }
    let text = format!("{:.digits$}", value.abs());
    let zero = text.chars().all(|c| matches!(c, '0' | '.'));
    if value < 0.0 && !zero { format!("\u{2212}{text}") } else { text }
}

/// Text for an undefined number: `cannot be computed, because both models are right on every image`.
pub fn cannot(reason: &str) -> String {
    format!("cannot be computed, because {reason}")
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    Unit::Percent.value(share)
}

/// A number with as many decimals as it needs, at most three: sizes of attacks and the like.
pub fn short(value: f64) -> String {
    let text = decimal(value, 3);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// A count with its thousands set apart.
pub fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 image`, `2,000 images`.
pub fn counted(n: usize, noun: &str) -> String {
    if n == 1 {
        return format!("1{SPACE}{noun}");
    }
    let plural = match noun.strip_suffix("ss") {
        Some(stem) => format!("{stem}sses"),
        None => format!("{noun}s"),
    };
    format!("{}{SPACE}{plural}", count(n))
}

/// `p = 0.034`, or `p < 0.001`.
pub fn p_value(p: f64) -> String {
    if !p.is_finite() {
        format!("p{SPACE}{UNDEFINED}")
    } else if p < 0.001 {
        format!("p{SPACE}<{SPACE}0.001")
    } else {
        format!("p{SPACE}={SPACE}{}", decimal(p, 3))
    }
}

/// Wall-clock time in the unit that suits it.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return UNDEFINED.into();
    }
    if seconds < 10.0 {
        return format!("{}{SPACE}s", decimal(seconds, 1));
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}{SPACE}s"),
        (0, _) => format!("{minutes}{SPACE}min {rest}{SPACE}s"),
        _ => format!("{hours}{SPACE}h {minutes}{SPACE}min"),
    }
}

/// Size of an attack: `8/255`.
pub fn epsilon(in_255ths: f64) -> String {
    format!("{}/255", short(in_255ths))
}

#[cfg(test)]
mod tests;
