//! Point estimates with their intervals, one below the other: effects, differences, accuracies.

use super::ChartNumbers;
use super::axis::{Axis, value_label};
use super::frame::{ValueAxisSpec, draw_value_axis, heading};
use super::numbers::ends;
use super::svg::{Anchor, LINE, SMALL, Svg, stroke, text_width, wrap};
use super::{Chart, Width};
use super::{Measure, check_interval};
use crate::{PlotError, Result};

/// One estimate.
#[derive(Clone, Debug)]
pub struct DotRow {
    /// Name at the left.
    pub label: String,
    /// The estimate.
    pub measure: Measure,
    /// Which colour and marker to take: rows of one kind share a number from 0.
    pub series: usize,
}

/// A chart of estimates.
#[derive(Clone, Debug)]
pub struct DotIntervalChart {
    /// Heading, also read aloud.
    pub title: String,
    /// What the chart shows, for readers who cannot see it.
    pub description: String,
    /// The quantity.
    pub value: Axis,
    /// Rows, from the top.
    pub rows: Vec<DotRow>,
    /// A value to compare with and its name, such as `(0.0, "no difference")`.
    pub reference: Option<(f64, String)>,
}

/// Draws point estimates with intervals, each written out at the right.
///
/// # Errors
/// No rows, a value that is not finite (or not positive on a logarithmic axis), or a reversed interval.
pub fn dot_interval_chart(chart: &DotIntervalChart) -> Result<String> {
    chart.draw(Width::Wide)
}

impl Chart for DotIntervalChart {
    fn draw(&self, width: Width) -> Result<String> {
        draw(self, width)
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn numbers(&self) -> ChartNumbers {
        let rows = self.rows.iter().map(|row| {
            let [low, high] = ends(row.measure.interval);
            vec![row.label.as_str().into(), row.measure.value.into(), low, high]
        });
        ChartNumbers {
            kind: "estimates",
            title: self.title.clone(),
            x: self.value.label.clone(),
            y: String::new(),
            columns: &["name", "value", "low", "high"],
            rows: rows.collect(),
        }
    }
}

fn draw(chart: &DotIntervalChart, width: Width) -> Result<String> {
    if chart.rows.is_empty() {
        return Err(PlotError::Empty { what: "a chart of estimates", reason: "it has no rows" });
    }
    chart.rows.iter().try_for_each(|row| check_interval(&row.label, row.measure.interval))?;
    let written = |measure: &Measure| {
        let value = value_label(measure.value, chart.value.scale);
        match measure.interval {
            Some((low, high)) => {
                let [low, high] = [low, high].map(|end| value_label(end, chart.value.scale));
                (value, format!("{low} to {high}"))
            }
            None => (value, String::new()),
        }
    };
    let numbers: Vec<(String, String)> = chart.rows.iter().map(|row| written(&row.measure)).collect();
    let widest = numbers.iter().map(|(value, interval)| text_width(value).max(text_width(interval) * SMALL));
    let number_width = widest.fold(0.0, f64::max);

    let mut svg = Svg::new(width);
    let mut top = heading(&mut svg, &chart.title);
    let names: Vec<Vec<String>> = chart.rows.iter().map(|row| wrap(&row.label, svg.width * 0.3, 3)).collect();
    let name_width = names.iter().flatten().map(|line| text_width(line)).fold(0.0, f64::max);
    let height = |row: usize| (LINE * names[row].len() as f64).max(28.0) + 5.0;
    if chart.reference.is_some() {
        top += LINE;
    }
    let bottom = top + (0..chart.rows.len()).map(height).sum::<f64>();
    let spec = ValueAxisSpec {
        axis: &chart.value,
        values: chart
            .rows
            .iter()
            .flat_map(|row| row.measure.extent())
            .chain(chart.reference.iter().map(|r| r.0))
            .collect(),
        left: name_width + 16.0,
        right: svg.width - number_width - 18.0,
        top,
        bottom,
    };
    let (left, right) = (spec.left, spec.right);
    let (x, end) = draw_value_axis(&mut svg, spec)?;
    if let Some((value, name)) = &chart.reference {
        let half = text_width(name) / 2.0;
        svg.line([x.at(*value), top], [x.at(*value), bottom], "reference");
        let position = x.at(*value).min(right.max(left + half) - half + 12.0).max(half);
        svg.text([position, top - 5.0], Anchor::Middle, "quiet", name);
    }
    let mut row_top = top;
    for (i, row) in chart.rows.iter().enumerate() {
        let middle = row_top + height(i) / 2.0;
        svg.lines(0.0, middle - LINE * names[i].len() as f64 / 2.0 + 11.5, Anchor::Start, "", &names[i]);
        if let Some((low, high)) = row.measure.interval {
            svg.line([x.at(low), middle], [x.at(high), middle], &format!("curve {}", stroke(row.series)));
        }
        svg.marker(row.series, [x.at(row.measure.value), middle], "halo");
        let (value, interval) = &numbers[i];
        if interval.is_empty() {
            svg.text([svg.width, middle + 4.0], Anchor::End, "number", value);
        } else {
            svg.text([svg.width, middle - 2.0], Anchor::End, "number", value);
            svg.text([svg.width, middle + 11.0], Anchor::End, "number quiet small", interval);
        }
        row_top += height(i);
    }
    Ok(svg.finish(end, &chart.title, &chart.description))
}
