//! Line charts: curves over a quantity, such as accuracy against ε.

use super::ChartNumbers;
use super::axis::Axis;
use super::check_interval;
use super::frame::{Plane, PlaneSpec, heading};
use super::numbers::ends;
use super::svg::{Anchor, LINE, Svg, fill, stroke, text_width, wrap};
use super::{Chart, Width};
use crate::{PlotError, Result};

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Position along the horizontal axis.
    pub x: f64,
    /// Value.
    pub y: f64,
    /// Lower and upper end of the value's interval, where there is one.
    pub interval: Option<(f64, f64)>,
}

/// A named curve.
#[derive(Clone, Debug)]
pub struct LineSeries {
    /// Written at the curve's right end.
    pub name: String,
    /// In any order; connected by increasing x.
    pub points: Vec<Point>,
}

/// How intervals are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncertainty {
    /// A band around the curve: for many points.
    Band,
    /// A whisker at every point: for few.
    Whiskers,
}

/// A line chart.
#[derive(Clone, Debug)]
pub struct LineChart {
    /// Heading, also read aloud.
    pub title: String,
    /// What the chart shows, for readers who cannot see it.
    pub description: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// Curves.
    pub series: Vec<LineSeries>,
    /// Appearance of the intervals.
    pub uncertainty: Uncertainty,
}

/// More points than this make markers run into each other.
const MOST_MARKERS: usize = 24;

/// Draws a line chart; every curve is labelled at its end.
///
/// # Errors
/// No points, a value that is not finite (or not positive on a logarithmic axis), or a reversed interval.
pub fn line_chart(chart: &LineChart) -> Result<String> {
    chart.draw(Width::Wide)
}

impl Chart for LineChart {
    fn draw(&self, width: Width) -> Result<String> {
        draw(self, width)
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn numbers(&self) -> ChartNumbers {
        let points = self.series.iter().flat_map(|series| {
            series.points.iter().map(|point| {
                let [low, high] = ends(point.interval);
                vec![series.name.as_str().into(), point.x.into(), point.y.into(), low, high]
            })
        });
        ChartNumbers {
            kind: "lines",
            title: self.title.clone(),
            x: self.x.label.clone(),
            y: self.y.label.clone(),
            columns: &["series", "x", "y", "low", "high"],
            rows: points.collect(),
        }
    }
}

fn draw(chart: &LineChart, width: Width) -> Result<String> {
    let points = || chart.series.iter().flat_map(|series| &series.points);
    if points().next().is_none() {
        return Err(PlotError::Empty { what: "a line chart", reason: "its series have no points" });
    }
    for series in &chart.series {
        series.points.iter().try_for_each(|point| check_interval(&series.name, point.interval))?;
    }
    let mut svg = Svg::new(width);
    let top = heading(&mut svg, &chart.title);

    let label_width = svg.width * 0.26;
    let labels: Vec<Vec<String>> =
        chart.series.iter().map(|series| wrap(&series.name, label_width, 3)).collect();
    let longest = labels.iter().flatten().map(|line| text_width(line)).fold(0.0, f64::max);
    let spec = PlaneSpec {
        x: &chart.x,
        y: &chart.y,
        x_values: points().map(|point| point.x).collect(),
        y_values: points()
            .flat_map(|point| {
                let (low, high) = point.interval.unwrap_or((point.y, point.y));
                [low, point.y, high]
            })
            .collect(),
        top,
        right_margin: longest + 24.0,
        height: 190.0,
    };
    let plane = Plane::draw(&mut svg, spec)?;

    let mut curves: Vec<Vec<Point>> = chart.series.iter().map(|series| series.points.clone()).collect();
    curves.iter_mut().for_each(|curve| curve.sort_by(|a, b| a.x.total_cmp(&b.x)));
    // All intervals first, so that no band covers another series' curve.
    for (series, curve) in curves.iter().enumerate() {
        draw_uncertainty(&mut svg, &plane, series, curve, chart.uncertainty);
    }
    for (series, curve) in curves.iter().enumerate() {
        let positions: Vec<[f64; 2]> = curve.iter().map(|p| [plane.x.at(p.x), plane.y.at(p.y)]).collect();
        svg.path(&positions, false, &format!("curve {}", stroke(series)));
        if positions.len() <= MOST_MARKERS {
            positions.iter().for_each(|&position| svg.marker(series, position, "halo"));
        }
    }
    draw_labels(&mut svg, &plane, &curves, &labels);
    Ok(svg.finish(plane.chart_height(), &chart.title, &chart.description))
}

fn draw_uncertainty(svg: &mut Svg, plane: &Plane, series: usize, curve: &[Point], uncertainty: Uncertainty) {
    let ends: Vec<(f64, f64, f64)> = curve
        .iter()
        .filter_map(|p| p.interval.map(|(low, high)| (plane.x.at(p.x), plane.y.at(low), plane.y.at(high))))
        .collect();
    match uncertainty {
        Uncertainty::Band if ends.len() > 1 => {
            let upper = ends.iter().map(|&(x, _, high)| [x, high]);
            let lower = ends.iter().rev().map(|&(x, low, _)| [x, low]);
            svg.path(&upper.chain(lower).collect::<Vec<_>>(), true, &format!("band {}", fill(series)));
        }
        _ => {
            let class = format!("whisker {}", stroke(series));
            for (x, low, high) in ends {
                svg.line([x, low], [x, high], &class);
                svg.line([x - 3.0, low], [x + 3.0, low], &class);
                svg.line([x - 3.0, high], [x + 3.0, high], &class);
            }
        }
    }
}

/// Names next to the curves' last points, pushed apart where they would overlap.
fn draw_labels(svg: &mut Svg, plane: &Plane, curves: &[Vec<Point>], labels: &[Vec<String>]) {
    let mut blocks: Vec<(f64, usize)> = curves
        .iter()
        .enumerate()
        .filter_map(|(series, curve)| Some((plane.y.at(curve.last()?.y), series)))
        .collect();
    blocks.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let heights: Vec<f64> = blocks.iter().map(|(_, series)| LINE * labels[*series].len() as f64).collect();
    let centres =
        spread(&blocks.iter().map(|(y, _)| *y).collect::<Vec<_>>(), &heights, plane.top, plane.bottom);
    for (((_, series), centre), height) in blocks.iter().zip(centres).zip(&heights) {
        let x = plane.right + 10.0;
        let baseline = centre - height / 2.0 + 11.5;
        svg.marker(*series, [x, baseline - 4.0], "");
        svg.lines(x + 8.0, baseline, Anchor::Start, &fill(*series), &labels[*series]);
    }
}

/// Centres of blocks of these heights as near as possible to where they want to be (sorted), without overlap and above
/// `bottom` and, if there is room, below `top`.
fn spread(wanted: &[f64], heights: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut centres = Vec::with_capacity(wanted.len());
    let mut edge = top - LINE / 2.0;
    for (centre, height) in wanted.iter().zip(heights) {
        let placed = centre.max(edge + height / 2.0);
        edge = placed + height / 2.0;
        centres.push(placed);
    }
    let mut edge = bottom + LINE / 2.0;
    for (centre, height) in centres.iter_mut().zip(heights).rev() {
        *centre = centre.min(edge - height / 2.0);
        edge = *centre - height / 2.0;
    }
    centres
}
