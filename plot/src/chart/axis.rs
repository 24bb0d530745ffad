//! Axes: what range of values is shown, where the ticks stand, and how numbers are written.

use crate::{PlotError, Result};

/// How values map to lengths and to words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Plain numbers.
    Linear,
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
        let (low, high, ticks) = if self.scale == Scale::Log10 {
            log_ticks(low, high)
        } else {
            linear_ticks(low, high, target, self.scale)
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

fn log_ticks(low: f64, high: f64) -> (f64, f64, Vec<(f64, String)>) {
    let (first, last) = ((low.log10() + 1e-9).floor(), (high.log10() - 1e-9).ceil());
    let last = if last <= first { first + 1.0 } else { last };
    let decades = (last - first) as i32;
    let multiples: &[f64] = if decades <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let every = (decades / 6).max(1); // at most about seven labels
    let mut ticks = Vec::new();
    for decade in (0..=decades).step_by(every as usize) {
        for multiple in multiples {
            let exponent = first as i32 + decade;
            let value = multiple * 10f64.powi(exponent);
            if decade < decades || *multiple == 1.0 {
                ticks.push((value, log_label(value, exponent)));
            }
        }
    }
    (10f64.powf(first), 10f64.powf(last), ticks)
}

fn log_label(value: f64, exponent_of_ten: i32) -> String {
    if (-4..6).contains(&exponent_of_ten) {
        fixed(value, (-exponent_of_ten).max(0) as usize)
    } else {
        exponent(value)
    }
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

fn exponent(value: f64) -> String {
    format!("{value:e}").replace('-', "−")
}

/// How the value of a mark is written beside it.
pub fn value_label(value: f64, scale: Scale) -> String {
    if scale == Scale::Percent {
        return format!("{}%", fixed(100.0 * value, 1));
    }
    let magnitude = value.abs();
    match magnitude {
        0.0 => "0".into(),
        _ if !(1e-4..1e6).contains(&magnitude) => {
            let text = format!("{value:.2e}");
            text.replace('-', "−")
        }
        // Three significant digits.
        _ => fixed(value, (2 - magnitude.log10().floor() as i32).max(0) as usize),
    }
}
