//! Charts as SVG text. Each kind is plain data and one function; all share the axes and the frame of this folder.

mod axis;
mod bar;
mod dot_interval;
mod frame;
mod histogram;
mod line;
mod matrix;
mod numbers;
mod scatter;
mod svg;
#[cfg(test)]
mod tests;

pub use axis::{Axis, Scale};
pub use bar::{BarChart, BarSeries, bar_chart};
pub use dot_interval::{DotIntervalChart, DotRow, dot_interval_chart};
pub use histogram::{Histogram, HistogramGroup, histogram};
pub use line::{LineChart, LineSeries, Point, Uncertainty, line_chart};
pub use matrix::{MatrixChart, ValueFormat, matrix_chart};
pub use numbers::{Cell as NumberCell, ChartNumbers};
pub use scatter::{Scatter, ScatterSeries, scatter};
pub(crate) use svg::escape;
pub use svg::{THEME_CSS, svg_file};

use crate::{PlotError, Result};

/// A chart that is drawn as SVG.
pub trait Chart {
    /// One `<svg>` element of this width.
    ///
    /// # Errors
    /// As the function of the chart's name, such as [`bar_chart`].
    fn draw(&self, width: Width) -> Result<String>;

    /// What the chart shows, for readers who cannot see it.
    fn description(&self) -> &str;

    /// The numbers that it draws.
    fn numbers(&self) -> ChartNumbers;
}

/// How wide a chart is in its own units. Text is 11 to 14 units high in either, so that one unit should be no less than a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 440 units: for pages and files.
    Wide,
    /// 320 units: for phones, and for two charts next to each other.
    Narrow,
}

impl Width {
    /// Units.
    pub fn units(self) -> f64 {
        match self {
            Self::Wide => 440.0,
            Self::Narrow => 320.0,
        }
    }
}

/// A measured value with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// The point estimate.
    pub value: f64,
    /// Lower and upper end of its interval, where there is one.
    pub interval: Option<(f64, f64)>,
}

impl Measure {
    fn extent(&self) -> impl Iterator<Item = f64> + use<> {
        let ends = self.interval.map_or([None, None], |(low, high)| [Some(low), Some(high)]);
        [Some(self.value)].into_iter().chain(ends).flatten()
    }
}

fn check_interval(what: &str, interval: Option<(f64, f64)>) -> Result<()> {
    match interval {
        Some((low, high)) if low > high => {
            let reason = "the lower end of an interval lies above its upper end";
            Err(PlotError::BadValue { what: what.into(), value: low, reason })
        }
        _ => Ok(()),
    }
}
