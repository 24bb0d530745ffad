//! Bar charts: quantities that start at zero, by category. Horizontal, because names are read horizontally.

use super::ChartNumbers;
use super::axis::{Axis, value_label};
use super::frame::{ValueAxisSpec, draw_value_axis, heading, legend};
use super::numbers::ends;
use super::svg::{Anchor, LINE, Svg, fill, text_width, wrap};
use super::{Chart, Width};
use super::{Measure, check_interval};
use crate::{PlotError, Result};

/// One bar in every category.
#[derive(Clone, Debug)]
pub struct BarSeries {
    /// Shown in the legend when there are several.
    pub name: String,
    /// One for each category; none leaves a gap.
    pub bars: Vec<Option<Measure>>,
}

/// A bar chart.
#[derive(Clone, Debug)]
pub struct BarChart {
    /// Heading, also read aloud.
    pub title: String,
    /// What the chart shows, for readers who cannot see it.
    pub description: String,
    /// The quantity; zero always belongs to the axis.
    pub value: Axis,
    /// Names, from the top.
    pub categories: Vec<String>,
    /// Bars side by side within each category.
    pub series: Vec<BarSeries>,
}

/// Draws a horizontal bar chart with intervals as whiskers and values at the bars' ends.
///
/// # Errors
/// No categories, a series of another length, a logarithmic axis, a value that is not finite, or a reversed interval.
pub fn bar_chart(chart: &BarChart) -> Result<String> {
    chart.draw(Width::Wide)
}

impl Chart for BarChart {
    fn draw(&self, width: Width) -> Result<String> {
        draw(self, width)
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn numbers(&self) -> ChartNumbers {
        let bars = self.categories.iter().enumerate().flat_map(|(place, category)| {
            self.series.iter().filter_map(move |series| {
                let Measure { value, interval } = (*series.bars.get(place)?)?;
                let [low, high] = ends(interval);
                Some(vec![category.as_str().into(), series.name.as_str().into(), value.into(), low, high])
            })
        });
        ChartNumbers {
            kind: "bars",
            title: self.title.clone(),
            x: self.value.label.clone(),
            y: String::new(),
            columns: &["category", "series", "value", "low", "high"],
            rows: bars.collect(),
        }
    }
}

fn draw(chart: &BarChart, width: Width) -> Result<String> {
    check(chart)?;
    let bars = || chart.series.iter().flat_map(|series| series.bars.iter().flatten());
    let label = |bar: &Measure| value_label(bar.value, chart.value.scale);

    let mut svg = Svg::new(width);
    let mut top = heading(&mut svg, &chart.title);
    if chart.series.len() > 1 {
        top = legend(
            &mut svg,
            &chart.series.iter().map(|series| series.name.as_str()).collect::<Vec<_>>(),
            top,
        );
    }
    top += 4.0;
    let names: Vec<Vec<String>> =
        chart.categories.iter().map(|name| wrap(name, svg.width * 0.34, 3)).collect();
    let name_width = names.iter().flatten().map(|line| text_width(line)).fold(0.0, f64::max);
    let (thickness, between) = if chart.series.len() > 1 { (14.0, 10.0) } else { (14.0, 8.0) };
    let bars_height = thickness * chart.series.len() as f64;
    let row_height = |name: &[String]| bars_height.max(LINE * name.len() as f64) + between;
    let bottom = top + names.iter().map(|name| row_height(name)).sum::<f64>();

    let spec = ValueAxisSpec {
        axis: &chart.value,
        values: bars().flat_map(Measure::extent).chain([0.0]).collect(),
        left: name_width + 8.0,
        right: svg.width - bars().map(|bar| text_width(&label(bar))).fold(0.0, f64::max) - 8.0,
        top,
        bottom,
    };
    let (x, end) = draw_value_axis(&mut svg, spec)?;
    let mut row_top = top;
    for (category, name) in names.iter().enumerate() {
        let middle = row_top + row_height(name) / 2.0;
        let baseline = middle - LINE * name.len() as f64 / 2.0 + 11.5;
        svg.lines(name_width, baseline, Anchor::End, "", name);
        for (series, bar) in chart.series.iter().enumerate().filter_map(|(i, s)| Some((i, s.bars[category]?)))
        {
            let y = middle - bars_height / 2.0 + thickness * series as f64;
            let (from, to) = (x.at(bar.value.min(0.0)), x.at(bar.value.max(0.0)));
            svg.rect([from, y + 1.0], [to - from, thickness - 2.0], &format!("bar {}", fill(series)), None);
            let mut reach = to;
            if let Some((low, high)) = bar.interval {
                let (y, low, high) = (y + thickness / 2.0, x.at(low), x.at(high));
                svg.line([low, y], [high, y], "ink");
                svg.line([low, y - 3.0], [low, y + 3.0], "ink");
                svg.line([high, y - 3.0], [high, y + 3.0], "ink");
                reach = reach.max(high);
            }
            svg.text([reach + 6.0, y + thickness / 2.0 + 4.0], Anchor::Start, "number", &label(&bar));
        }
        row_top += row_height(name);
    }
    svg.line([x.at(0.0), top], [x.at(0.0), bottom], "axis");
    Ok(svg.finish(end, &chart.title, &chart.description))
}

fn check(chart: &BarChart) -> Result<()> {
    let what = "a bar chart";
    if chart.categories.is_empty() || chart.series.is_empty() {
        return Err(PlotError::Empty { what, reason: "it has no categories or no series" });
    }
    for series in &chart.series {
        if series.bars.len() != chart.categories.len() {
            let (width, expected, found) = (1, chart.categories.len(), series.bars.len());
            return Err(PlotError::WrongLength {
                what: "a series of bars",
                width,
                height: expected,
                expected,
                found,
            });
        }
        series.bars.iter().flatten().try_for_each(|bar| check_interval(&series.name, bar.interval))?;
    }
    Ok(())
}
