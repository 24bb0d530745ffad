//! Scatter plots: two quantities against each other.

use super::ChartNumbers;
use super::axis::Axis;
use super::frame::{Plane, PlaneSpec, heading, legend};
use super::svg::Svg;
use super::{Chart, Width};
use crate::{PlotError, Result};

/// A named cloud of points.
#[derive(Clone, Debug)]
pub struct ScatterSeries {
    /// Shown in the legend when there are several.
    pub name: String,
    /// Points `(x, y)`.
    pub points: Vec<(f64, f64)>,
}

/// A scatter plot.
#[derive(Clone, Debug)]
pub struct Scatter {
    /// Heading, also read aloud.
    pub title: String,
    /// What the chart shows, for readers who cannot see it.
    pub description: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// Clouds.
    pub series: Vec<ScatterSeries>,
    /// Whether to draw the line y = x where both axes share values.
    pub identity: bool,
}

/// Draws a scatter plot.
///
/// # Errors
/// No points, or a value that is not finite (or not positive on a logarithmic axis).
pub fn scatter(chart: &Scatter) -> Result<String> {
    chart.draw(Width::Wide)
}

impl Chart for Scatter {
    fn draw(&self, width: Width) -> Result<String> {
        draw(self, width)
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn numbers(&self) -> ChartNumbers {
        let points = self.series.iter().flat_map(|series| {
            series.points.iter().map(|&(x, y)| vec![series.name.as_str().into(), x.into(), y.into()])
        });
        ChartNumbers {
            kind: "scatter",
            title: self.title.clone(),
            x: self.x.label.clone(),
            y: self.y.label.clone(),
            columns: &["series", "x", "y"],
            rows: points.collect(),
        }
    }
}

fn draw(chart: &Scatter, width: Width) -> Result<String> {
    let points = || chart.series.iter().flat_map(|series| series.points.iter().copied());
    if points().next().is_none() {
        return Err(PlotError::Empty { what: "a scatter plot", reason: "its series have no points" });
    }
    let mut svg = Svg::new(width);
    let mut top = heading(&mut svg, &chart.title);
    if chart.series.len() > 1 {
        top = legend(
            &mut svg,
            &chart.series.iter().map(|series| series.name.as_str()).collect::<Vec<_>>(),
            top,
        );
    }
    let spec = PlaneSpec {
        x: &chart.x,
        y: &chart.y,
        x_values: points().map(|(x, _)| x).collect(),
        y_values: points().map(|(_, y)| y).collect(),
        top,
        right_margin: 12.0,
        height: 240.0,
    };
    let plane = Plane::draw(&mut svg, spec)?;
    if chart.identity {
        let ((x_low, x_high), (y_low, y_high)) = (plane.x.range(), plane.y.range());
        let (low, high) = (x_low.max(y_low), x_high.min(y_high));
        if low < high {
            let at = |value| [plane.x.at(value), plane.y.at(value)];
            svg.line(at(low), at(high), "reference");
        }
    }
    for (series, cloud) in chart.series.iter().enumerate() {
        for &(x, y) in &cloud.points {
            svg.marker(series, [plane.x.at(x), plane.y.at(y)], "dots");
        }
    }
    Ok(svg.finish(plane.chart_height(), &chart.title, &chart.description))
}
