//! Pictures and charts.
//!
//! Two kinds of output, neither of which knows what a tensor is:
//!
//! - Pictures of RGB pixels, as [`Image`]: [`heatmap()`], [`overlay`] and [`contact_sheet`] make them from plain numbers.
//! - SVG text: [`line_chart`], [`bar_chart`], [`matrix_chart`], [`dot_interval_chart`], [`histogram`] and [`scatter`]
//!   describe a chart as plain data and return one self-contained `<svg>` element for a page or a file.
//!
//! The same input always gives the same bytes.

mod chart;
mod colormap;
mod figure;
mod heatmap;
mod picture;
mod sheet;
mod text;

pub use archaeo_raster::Image;
pub use chart::{
    Axis, BarChart, BarSeries, Chart, ChartNumbers, DotIntervalChart, DotRow, Histogram, HistogramGroup,
    LineChart, LineSeries, MatrixChart, Measure, NumberCell, Point, Scale, Scatter, ScatterSeries, THEME_CSS,
    Uncertainty, ValueFormat, Width, bar_chart, dot_interval_chart, histogram, line_chart, matrix_chart,
    scatter, svg_file,
};
pub use colormap::Colormap;
pub use figure::{Axes, Bars, Cloud, CloudFigure, Figure, Heat, Panel};
pub use heatmap::{Grid, HeatmapStyle, Range, Upsampling, heatmap, overlay};
pub use picture::{enlarge, resize_bilinear, save_png, to_png};
pub use sheet::{Cell, SheetLayout, contact_sheet};

/// Why a picture or chart could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// A buffer whose length does not match its stated size.
    #[error("{what} of {width}×{height} needs {expected} values, but {found} were given")]
    WrongLength {
        /// What was to be made.
        what: &'static str,
        /// Stated width.
        width: usize,
        /// Stated height.
        height: usize,
        /// Values needed.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// Nothing to show.
    #[error("{what} has nothing to show: {reason}")]
    Empty {
        /// What was to be made.
        what: &'static str,
        /// What is missing.
        reason: &'static str,
    },
    /// A picture larger than any screen or memory.
    #[error("a picture of {width}×{height} pixels is larger than the limit of 2^28 pixels")]
    TooLarge {
        /// Width asked for.
        width: usize,
        /// Height asked for.
        height: usize,
    },
    /// A value that cannot be drawn.
    #[error("{what} holds the value {value}, which cannot be drawn: {reason}")]
    BadValue {
        /// What was to be made.
        what: String,
        /// The value.
        value: f64,
        /// Why not.
        reason: &'static str,
    },
    /// Encoding a PNG failed.
    #[error("the picture could not be encoded as PNG")]
    Encode(#[source] image::ImageError),
    /// Writing a file failed.
    #[error(transparent)]
    Store(#[from] archaeo_store::StoreError),
}

/// Result of drawing.
pub type Result<T> = std::result::Result<T, PlotError>;
