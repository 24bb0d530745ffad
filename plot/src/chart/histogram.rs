//! Histograms: how a quantity is distributed, in one group or several.

use super::ChartNumbers;
use super::axis::{Axis, Scale};
use super::frame::{Plane, PlaneSpec, heading, legend};
use super::svg::{Svg, fill, stroke};
use super::{Chart, Width};
use crate::{PlotError, Result};

/// A named sample.
#[derive(Clone, Debug)]
pub struct HistogramGroup {
    /// Shown in the legend when there are several.
    pub name: String,
    /// The sample.
    pub values: Vec<f64>,
}

/// A histogram.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Heading, also read aloud.
    pub title: String,
    /// What the chart shows, for readers who cannot see it.
    pub description: String,
    /// The quantity.
    pub x: Axis,
    /// Number of bins of equal length between the axis' ends (of equal ratio on a logarithmic axis).
    pub bins: usize,
    /// One group is shown by its counts, several by their shares, so that unequal sizes compare.
    pub groups: Vec<HistogramGroup>,
}

/// Draws a histogram. A value on a boundary belongs to the bin above it, the largest to the last bin.
///
/// # Errors
/// No values, no bins, or a value that is not finite (or not positive on a logarithmic axis).
pub fn histogram(chart: &Histogram) -> Result<String> {
    chart.draw(Width::Wide)
}

impl Chart for Histogram {
    fn draw(&self, width: Width) -> Result<String> {
        draw(self, width)
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn numbers(&self) -> ChartNumbers {
        let values = self.groups.iter().flat_map(|group| {
            group.values.iter().map(|&value| vec![group.name.as_str().into(), value.into()])
        });
        ChartNumbers {
            kind: "histogram",
            title: self.title.clone(),
            x: self.x.label.clone(),
            y: String::new(),
            columns: &["series", "value"],
            rows: values.collect(),
        }
    }
}

fn draw(chart: &Histogram, width: Width) -> Result<String> {
    let what = "a histogram";
    let values = || chart.groups.iter().flat_map(|group| group.values.iter().copied());
    if values().next().is_none() {
        return Err(PlotError::Empty { what, reason: "its groups have no values" });
    }
    if chart.bins == 0 {
        return Err(PlotError::Empty { what, reason: "it has no bins" });
    }
    let several = chart.groups.len() > 1;
    let bin_axis = chart.x.fit(values(), (0.0, 1.0), 6)?;
    let heights: Vec<Vec<f64>> = chart
        .groups
        .iter()
        .map(|group| {
            let mut counts = vec![0.0; chart.bins];
            for &value in &group.values {
                // A hair of tolerance puts a value that is meant to be on a boundary there.
                let bin = (bin_axis.fraction(value) * chart.bins as f64 + 1e-9) as usize;
                counts[bin.min(chart.bins - 1)] += 1.0;
            }
            let whole = if several { group.values.len().max(1) as f64 } else { 1.0 };
            counts.into_iter().map(|count| count / whole).collect()
        })
        .collect();

    let mut svg = Svg::new(width);
    let mut top = heading(&mut svg, &chart.title);
    if several {
        top =
            legend(&mut svg, &chart.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), top);
    }
    let y_axis = if several {
        Axis::new("share of each group", Scale::Percent)
    } else {
        Axis::new("count", Scale::Linear)
    };
    let spec = PlaneSpec {
        x: &Axis { include: Some(bin_axis.range()), ..chart.x.clone() },
        y: &y_axis.including(0.0, 0.0),
        x_values: values().collect(),
        y_values: heights.iter().flatten().copied().collect(),
        top,
        right_margin: 8.0,
        height: 170.0,
    };
    let plane = Plane::draw(&mut svg, spec)?;
    let edge = |bin: usize| plane.x.at(bin_axis.value(bin as f64 / chart.bins as f64));
    for (group, heights) in heights.iter().enumerate() {
        if !several {
            for (bin, &height) in heights.iter().enumerate().filter(|(_, height)| **height > 0.0) {
                let (left, right, y) = (edge(bin), edge(bin + 1), plane.y.at(height));
                let gap = if right - left > 4.0 { 1.0 } else { 0.0 };
                svg.rect(
                    [left, y],
                    [right - left - gap, plane.bottom - y],
                    &format!("bar {}", fill(group)),
                    None,
                );
            }
            continue;
        }
        let mut outline = vec![[edge(0), plane.bottom]];
        for (bin, &height) in heights.iter().enumerate() {
            let y = plane.y.at(height);
            outline.extend([[edge(bin), y], [edge(bin + 1), y]]);
        }
        outline.push([edge(chart.bins), plane.bottom]);
        svg.path(&outline, true, &format!("soft {}", fill(group)));
        svg.path(&outline, false, &format!("outline {}", stroke(group)));
    }
    Ok(svg.finish(plane.chart_height(), &chart.title, &chart.description))
}
