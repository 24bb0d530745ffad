//! What charts have in common: the heading, the legend, and the plane between two axes.

use super::axis::{Axis, FittedAxis};
use super::svg::{Anchor, LINE, Svg, text_width, wrap};
use crate::Result;

/// Draws the title; the y coordinate below it.
pub fn heading(svg: &mut Svg, title: &str) -> f64 {
    // Titles are larger and bolder than the 12 units that `wrap` measures.
    let lines = wrap(title, svg.width / 1.25, 3);
    let mut y = 4.0;
    for line in &lines {
        y += 17.0;
        svg.text([0.0, y - 4.0], Anchor::Start, "title", line);
    }
    y + 4.0
}

/// Draws a row of names with their markers (wrapping where needed); the y coordinate below it.
pub fn legend(svg: &mut Svg, names: &[&str], y: f64) -> f64 {
    let (mut x, mut y) = (0.0, y + 12.0);
    for (series, name) in names.iter().enumerate() {
        let width = 12.0 + text_width(name) + 14.0;
        if x > 0.0 && x + width > svg.width {
            (x, y) = (0.0, y + LINE + 1.0);
        }
        svg.marker(series, [x + 4.0, y - 4.0], "");
        svg.text([x + 12.0, y], Anchor::Start, "", &super::svg::ellipsize(name, svg.width - 16.0));
        x += width;
    }
    y + 8.0
}

/// The plane between a horizontal and a vertical axis, already drawn.
pub struct Plane {
    pub x: FittedAxis,
    pub y: FittedAxis,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// Where the horizontal axis' label ends.
    end: f64,
}

/// Data and space of a [`Plane`].
pub struct PlaneSpec<'a> {
    pub x: &'a Axis,
    pub y: &'a Axis,
    pub x_values: Vec<f64>,
    pub y_values: Vec<f64>,
    /// Where the plane's own drawing may begin.
    pub top: f64,
    /// Space kept free at the right, for labels.
    pub right_margin: f64,
    /// Height of the plane itself.
    pub height: f64,
}

impl Plane {
    /// Fits the axes and draws them: quiet horizontal grid lines, ticks, and labels that are read without turning the
    /// head.
    pub fn draw(svg: &mut Svg, spec: PlaneSpec) -> Result<Self> {
        let label_lines = wrap(&spec.y.label, svg.width, 2);
        let top = svg.lines(0.0, spec.top + 11.0, Anchor::Start, "quiet", &label_lines) - 3.0;
        let bottom = top + spec.height;
        let y = spec.y.fit(spec.y_values.into_iter(), (bottom, top), 5)?;
        let left = 8.0 + y.ticks.iter().map(|(_, label)| text_width(label)).fold(0.0, f64::max);

        let right_limit = svg.width - spec.right_margin;
        let target = ((right_limit - left) / 60.0).clamp(2.0, 6.0) as usize;
        let x = spec.x.fit(spec.x_values.into_iter(), (left, right_limit), target)?;
        // Half of the last tick's label hangs over the axis' end.
        let overhang = x.ticks.last().map_or(0.0, |(_, label)| text_width(label) / 2.0);
        let right = right_limit.min(svg.width - overhang);
        let x = x.between((left, right));

        for (value, label) in &y.ticks {
            let position = y.at(*value);
            svg.line([left, position], [right, position], "grid");
            svg.text([left - 6.0, position + 4.0], Anchor::End, "quiet number", label);
        }
        svg.line([left, bottom], [right, bottom], "axis");
        for (value, label) in &x.ticks {
            let position = x.at(*value);
            svg.line([position, bottom], [position, bottom + 4.0], "axis");
            svg.text([position, bottom + 17.0], Anchor::Middle, "quiet number", label);
        }
        let end = draw_axis_label(svg, &spec.x.label, 0.5 * (left + right), bottom + 34.0);
        Ok(Self { x, y, right, top, bottom, end })
    }

    /// Height of the whole chart: everything down to the x axis' label.
    pub fn chart_height(&self) -> f64 {
        self.end
    }
}

/// Draws the label of a horizontal axis from the baseline `y`, centred unless that would push it over the chart's edge, in two lines
/// where one is too short; the y coordinate below it.
fn draw_axis_label(svg: &mut Svg, label: &str, centre: f64, mut y: f64) -> f64 {
    for line in wrap(label, svg.width, 2) {
        let half = text_width(&line) / 2.0;
        svg.text([centre.min(svg.width - half).max(half), y], Anchor::Middle, "quiet", &line);
        y += LINE;
    }
    y - 8.0
}

/// Data and space of [`draw_value_axis`].
pub struct ValueAxisSpec<'a> {
    pub axis: &'a Axis,
    pub values: Vec<f64>,
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

/// Fits and draws the horizontal axis of charts whose rows are names: vertical grid lines with labels below. The axis, and the y
/// coordinate below its label.
pub fn draw_value_axis(svg: &mut Svg, spec: ValueAxisSpec) -> Result<(FittedAxis, f64)> {
    let target = ((spec.right - spec.left) / 55.0).clamp(2.0, 6.0) as usize;
    let axis = spec.axis.fit(spec.values.into_iter(), (spec.left, spec.right), target)?;
    for (value, label) in &axis.ticks {
        let x = axis.at(*value);
        svg.line([x, spec.top], [x, spec.bottom], "grid");
        svg.text([x, spec.bottom + 15.0], Anchor::Middle, "quiet number", label);
    }
    let end = draw_axis_label(svg, &spec.axis.label, 0.5 * (spec.left + spec.right), spec.bottom + 34.0);
    Ok((axis, end))
}
