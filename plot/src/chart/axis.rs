//! Axes: what range of values is shown, where the ticks stand, and how numbers are written.

use crate::{PlotError, Result};

/// How values map to lengths and to words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Plain numbers.
    Linear,
    /// Layers, epochs and other things that are counted: ticks on whole numbers, and no room beyond the data.
    Count,
    /// Proportions, written as percentages: 0.25 is 25 %.
    Percent,
    /// Positive numbers by their decimal logarithm.
    Log10,
}

/// An axis to be fitted to its data.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Quantity and unit, such as `accuracy` or `mean attention distance (pixels)`.
    pub label: String,
    /// Mapping.
    pub scale: Scale,
    /// Values that the axis must reach whatever the data, such as 0 and 1 of an accuracy.
    pub include: Option<(f64, f64)>,
}

impl Axis {
    /// An axis that just holds its data.
    pub fn new(label: impl Into<String>, scale: Scale) -> Self {
        Self { label: label.into(), scale, include: None }
    }

    /// An axis that also reaches from `low` to `high`.
    pub fn including(mut self, low: f64, high: f64) -> Self {
        self.include = Some((low, high));
        self
    }

    /// Fits the axis to `values` between the pixel positions of its two ends, with about `target` ticks.
    ///
    /// # Errors
    /// A value is not finite, or not positive on a logarithmic axis.
    pub(super) fn fit(
        &self,
        values: impl Iterator<Item = f64>,
        pixels: (f64, f64),
        target: usize,
    ) -> Result<FittedAxis> {
        let included = self.include.map_or([None, None], |(low, high)| [Some(low), Some(high)]);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.chain(included.into_iter().flatten()) {
            let reason = match self.scale {
                _ if !value.is_finite() => "it must be finite",
                Scale::Log10 if value <= 0.0 => "a logarithmic axis needs positive values",
                _ => {
                    (low, high) = (low.min(value), high.max(value));
                    continue;
                }
            };
            return Err(PlotError::BadValue { what: format!("the axis '{}'", self.label), value, reason });
        }
        if low > high {
            (low, high) = (1.0, 1.0); // no data at all: any axis will do
        }
        let (low, high, ticks) = match self.scale {
            Scale::Log10 => log_ticks(low, high),
            Scale::Count => count_ticks(low, high, target),
            Scale::Linear | Scale::Percent => linear_ticks(low, high, target, self.scale),
        };
        Ok(FittedAxis { scale: self.scale, low, high, pixels, ticks })
    }
}

/// An axis with its range and ticks.
pub struct FittedAxis {
    scale: Scale,
    low: f64,
    high: f64,
    pixels: (f64, f64),
    /// Positions in values, with their labels.
    pub ticks: Vec<(f64, String)>,
}

impl FittedAxis {
    /// Where in `[0, 1]` along the axis a value lies.
    pub fn fraction(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Log10 => (value / self.low).log10() / (self.high / self.low).log10(),
            // Halved first: the span of two large finite numbers may overflow.
            _ => (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0),
        }
    }

    /// The value at a fraction of the axis.
    pub fn value(&self, fraction: f64) -> f64 {
        match self.scale {
            Scale::Log10 => self.low * (self.high / self.low).powf(fraction),
            _ => self.low * (1.0 - fraction) + self.high * fraction,
        }
    }

    /// Pixel position of a value.
    pub fn at(&self, value: f64) -> f64 {
        self.pixels.0 + self.fraction(value) * (self.pixels.1 - self.pixels.0)
    }

    /// The same axis between other pixel positions.
    pub fn between(self, pixels: (f64, f64)) -> Self {
        Self { pixels, ..self }
    }

    /// The values at the axis' ends.
    pub fn range(&self) -> (f64, f64) {
        (self.low, self.high)
    }
}

fn linear_ticks(mut low: f64, mut high: f64, target: usize, scale: Scale) -> (f64, f64, Vec<(f64, String)>) {
    // A span too small for its magnitude would give ticks that cannot be told apart.
    if high - low <= 1e-9 * low.abs().max(high.abs()) {
        let margin = if low == 0.0 { 1.0 } else { low.abs() / 2.0 };
        (low, high) = (low - margin, high + margin);
    }
    let rough = (high / 2.0 - low / 2.0) / target as f64 * 2.0;
    let magnitude = 10f64.powf(rough.log10().floor());
    let factor =
        [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|f| f * magnitude >= rough * 0.999).unwrap_or(10.0);
    let step = factor * magnitude;
    // A hair of tolerance keeps 0.30000000000000004 from asking for another step.
    let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
    let shown = if scale == Scale::Percent { step * 100.0 } else { step };
    let ticks = (0..=(last - first) as usize)
        .map(|i| {
            let value = (first + i as f64) * step;
            (value, tick_label(value, shown, scale))
        })
        .collect();
    (first * step, last * step, ticks)
}

/// Every whole number, or every second, fifth, tenth and so on of a long axis.
fn count_ticks(low: f64, high: f64, target: usize) -> (f64, f64, Vec<(f64, String)>) {
    let (_, _, ticks) = linear_ticks(low, high.max(low + target as f64), target, Scale::Count);
    let step = (ticks[1].0 - ticks[0].0).max(1.0);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    let ticks = (first..=last).map(|i| (i as f64 * step, fixed(i as f64 * step, 0))).collect();
    // A single value stands in the middle.
    let margin = if high > low { 0.0 } else { 0.5 };
    (low - margin, high + margin, ticks)
}

fn tick_label(value: f64, step: f64, scale: Scale) -> String {
    let decimals = (0..9).find(|d| {
        let scaled = step * 10f64.powi(*d);
        (scaled - scaled.round()).abs() < 1e-6 * scaled
    });
    match (scale, decimals) {
        (Scale::Percent, Some(d)) => format!("{}%", fixed(value * 100.0, d as usize)),
        (_, Some(d)) if value.abs() < 1e6 => fixed(value, d as usize),
        _ => exponent(value),
    }
}

/// The range snaps to 1, 2 or 5 times a power of ten; these carry the labels, or on a long axis the powers alone.
fn log_ticks(low: f64, high: f64) -> (f64, f64, Vec<(f64, String)>) {
    let (first, last) = (low.log10().floor() as i32 - 1, high.log10().ceil() as i32 + 1);
    let round: Vec<(f64, i32, f64)> = (first..=last)
        .flat_map(|exponent| [1.0, 2.0, 5.0].map(|factor| (factor * 10f64.powi(exponent), exponent, factor)))
        .collect();
    // A hair of tolerance, because powers of ten are not exact.
    let start = round.iter().rposition(|tick| tick.0 <= low * (1.0 + 1e-9)).unwrap_or(0);
    let end = round.iter().position(|tick| tick.0 >= high * (1.0 - 1e-9)).unwrap_or(round.len() - 1);
    let shown = &round[start..=end.max(start + 1)];
    let decades = (shown[shown.len() - 1].0 / shown[0].0).log10();
    let every = (decades / 6.0).ceil().max(1.0) as i32; // at most about seven labels
    let ticks = shown
        .iter()
        .filter(|(_, exponent, factor)| decades <= 2.0 || (*factor == 1.0 && exponent.rem_euclid(every) == 0))
        .map(|&(value, exponent, factor)| (value, log_label(value, exponent, factor)))
        .collect();
    (shown[0].0, shown[shown.len() - 1].0, ticks)
}

fn log_label(value: f64, exponent: i32, factor: f64) -> String {
    if (-3..5).contains(&exponent) {
        return fixed(value, (-exponent).max(0) as usize);
    }
    let digit = |c: char| {
        if c == '-' {
            '⁻'
        } else {
            ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][c as usize - 48]
        }
    };
    let power: String = exponent.to_string().chars().map(digit).collect();
    if factor == 1.0 { format!("10{power}") } else { format!("{factor}·10{power}") }
}

/// A number for a reader: a true minus sign, and never minus zero.
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|byte| matches!(byte, b'0' | b'.')) => digits.into(),
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

/// Three significant digits and a power of ten, for numbers too long to write out.
fn exponent(value: f64) -> String {
    let text = format!("{value:.2e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.')).replace('-', "−")
}

/// How the value of a mark is written next to it.
pub fn value_label(value: f64, scale: Scale) -> String {
    if scale == Scale::Percent {
        return format!("{}%", fixed(100.0 * value, 1));
    }
    let magnitude = value.abs();
    match magnitude {
        0.0 => "0".into(),
        _ if !(1e-4..1e6).contains(&magnitude) => exponent(value),
        // Three significant digits.
        _ => fixed(value, (2 - magnitude.log10().floor() as i32).max(0) as usize),
    }
}
