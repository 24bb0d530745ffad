//! Matrices as shaded cells: layers × heads, confusion matrices, models × attacks.

use super::ChartNumbers;
use super::axis::fixed;
use super::frame::heading;
use super::svg::{Anchor, LINE, SMALL, Svg, ellipsize, text_width, wrap};
use super::{Chart, Width};
use crate::{PlotError, Result};

/// How the numbers in the cells are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFormat {
    /// With this many decimals.
    Decimals(usize),
    /// A proportion as a percentage with this many decimals and no sign, so that it fits.
    Percent(usize),
}

/// A matrix chart.
#[derive(Clone, Debug)]
pub struct MatrixChart {
    /// Heading, also read aloud.
    pub title: String,
    /// What the chart shows, for readers who cannot see it.
    pub description: String,
    /// What the rows are, such as `layer` or `true class`.
    pub row_label: String,
    /// What the columns are.
    pub column_label: String,
    /// What the values are, with their unit; next to the colour scale.
    pub value_label: String,
    /// Names of the rows, from the top.
    pub rows: Vec<String>,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// `rows · columns` values, row by row; none is drawn as an empty cell.
    pub values: Vec<Option<f64>>,
    /// Writing of the values.
    pub format: ValueFormat,
    /// Values of no and of full colour. Without it: from the smallest value (or 0, if that is nearer to 0 than to the
    /// largest) to the largest; where there are negative values, zero has no colour and either sign its own.
    pub range: Option<(f64, f64)>,
}

/// Above this many cells the numbers are unreadable anyway, and naming each would only make the file large.
const MOST_NAMED_CELLS: usize = 1024;

/// Above this opacity a cell is dark enough (in the light theme) or bright enough (in the dark) for reversed text. The theme's
/// colours are chosen so that black and white text can both be read on a cell of just this opacity.
pub(super) const REVERSED_ABOVE: f64 = 0.77;

/// Draws a matrix; values are written into the cells where they fit.
///
/// # Errors
/// No cells, `values` of the wrong length, or a value or range end that is not finite.
pub fn matrix_chart(chart: &MatrixChart) -> Result<String> {
    chart.draw(Width::Wide)
}

impl Chart for MatrixChart {
    fn draw(&self, width: Width) -> Result<String> {
        draw(self, width)
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn numbers(&self) -> ChartNumbers {
        let cells = self.rows.iter().enumerate().flat_map(|(row, name)| {
            self.columns.iter().enumerate().map(move |(column, other)| {
                let value = self.values.get(row * self.columns.len() + column).copied().flatten();
                vec![name.as_str().into(), other.as_str().into(), value.into()]
            })
        });
        ChartNumbers {
            kind: "matrix",
            title: self.title.clone(),
            x: self.column_label.clone(),
            y: self.row_label.clone(),
            columns: &["row", "column", "value"],
            rows: cells.collect(),
        }
    }
}

fn draw(chart: &MatrixChart, width: Width) -> Result<String> {
    let shading = Shading::new(chart)?;
    let (rows, columns) = (chart.rows.len(), chart.columns.len());
    let mut svg = Svg::new(width);
    let heading_end = heading(&mut svg, &chart.title);

    let row_names: Vec<String> = chart.rows.iter().map(|name| ellipsize(name, svg.width * 0.28)).collect();
    let left =
        8.0 + row_names.iter().map(|name| text_width(name)).fold(text_width(&chart.row_label), f64::max);
    let left = left.min(svg.width * 0.4);
    // Column names lie flat where all fit, and otherwise rise to the right, the last beyond its column.
    let column_names: Vec<String> = chart.columns.iter().map(|name| ellipsize(name, 96.0)).collect();
    let longest = column_names.iter().map(|name| text_width(name)).fold(0.0, f64::max);
    let full_width = ((svg.width - left) / columns as f64).min(64.0);
    let flat = longest <= full_width - 3.0;
    let overhang = if flat { 0.0 } else { 0.72 * column_names.last().map_or(0.0, |name| text_width(name)) };
    let cell_width = full_width.min((svg.width - left - 4.0 - overhang) / (columns as f64 - 0.5));
    let cell_height = (cell_width * 0.8).clamp(13.0, 28.0).min((600.0 / rows as f64).max(2.0));

    let rise = if flat { LINE } else { longest * 0.72 + 9.0 };
    svg.text(
        [left, heading_end + 10.0],
        Anchor::Start,
        "quiet",
        &ellipsize(&chart.column_label, svg.width - left),
    );
    let top = heading_end + LINE + rise;
    svg.text([left - 8.0, top - 5.0], Anchor::End, "quiet", &ellipsize(&chart.row_label, left - 7.0));

    let every_column = (13.0 / cell_width).ceil().max(1.0) as usize;
    for (column, name) in column_names.iter().enumerate().step_by(every_column) {
        let middle = left + (column as f64 + 0.5) * cell_width;
        if flat {
            svg.text([middle, top - 5.0], Anchor::Middle, "", name);
        } else {
            // Names near the right edge must not leave the chart.
            let room = (svg.width - middle) / 0.72;
            svg.rising_text([middle + 4.0, top - 4.0], "", &ellipsize(name, room.max(24.0)));
        }
    }
    let every_row = (12.0 / cell_height).ceil().max(1.0) as usize;
    for (row, name) in row_names.iter().enumerate().step_by(every_row) {
        let middle = top + (row as f64 + 0.5) * cell_height;
        svg.text([left - 8.0, middle + 4.0], Anchor::End, "", name);
    }
    let bottom = top + rows as f64 * cell_height;
    let geometry = Geometry { left, top, cell_width, cell_height };
    draw_cells(&mut svg, chart, &shading, &geometry);
    let end = shading.draw_scale(&mut svg, chart, left, bottom + 12.0);
    Ok(svg.finish(end, &chart.title, &chart.description))
}

struct Geometry {
    left: f64,
    top: f64,
    cell_width: f64,
    cell_height: f64,
}

fn draw_cells(svg: &mut Svg, chart: &MatrixChart, shading: &Shading, geometry: &Geometry) {
    let &Geometry { left, top, cell_width, cell_height } = geometry;
    let columns = chart.columns.len();
    let widest = chart
        .values
        .iter()
        .flatten()
        .map(|&value| text_width(&write(value, chart.format)))
        .fold(0.0, f64::max);
    let (normal, small) = (widest <= cell_width - 5.0, widest * SMALL <= cell_width - 3.0);
    let numbers = (normal || small) && cell_height >= 13.0;
    let class = if normal { "number" } else { "number small" };
    let named = chart.values.len() <= MOST_NAMED_CELLS;
    let gap = if cell_width.min(cell_height) > 8.0 { 1.0 } else { 0.0 };
    for (i, value) in chart.values.iter().enumerate() {
        let (row, column) = (i / columns, i % columns);
        let at = [left + column as f64 * cell_width, top + row as f64 * cell_height];
        let size = [cell_width - gap, cell_height - gap];
        let Some(value) = *value else {
            svg.rect(at.map(|edge| edge + 0.5), size.map(|side| side - 1.0), "missing", None);
            continue;
        };
        let (tone, opacity) = shading.of(value);
        let text = write(value, chart.format);
        if named {
            let title = format!("{}, {}: {text}", chart.rows[row], chart.columns[column]);
            svg.titled_rect(at, size, tone, Some(opacity), &title);
        } else {
            svg.rect(at, size, tone, Some(opacity));
        }
        if numbers {
            let ground = if opacity > REVERSED_ABOVE { "full" } else { "faint" };
            let class = format!("{class} {ground}");
            svg.text([at[0] + size[0] / 2.0, at[1] + size[1] / 2.0 + 4.0], Anchor::Middle, &class, &text);
        }
    }
}

fn write(value: f64, format: ValueFormat) -> String {
    match format {
        ValueFormat::Decimals(decimals) => fixed(value, decimals),
        ValueFormat::Percent(decimals) => fixed(100.0 * value, decimals),
    }
}

/// From values to a tone and its opacity.
struct Shading {
    low: f64,
    high: f64,
}

impl Shading {
    fn new(chart: &MatrixChart) -> Result<Self> {
        let what = "a matrix chart";
        let (height, width, found) = (chart.rows.len(), chart.columns.len(), chart.values.len());
        if height * width == 0 {
            return Err(PlotError::Empty { what, reason: "it has no rows or no columns" });
        }
        if found != height * width {
            return Err(PlotError::WrongLength { what, width, height, expected: height * width, found });
        }
        let ends = chart.range.map_or([None, None], |(low, high)| [Some(low), Some(high)]);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for &value in chart.values.iter().chain(&ends).flatten() {
            if !value.is_finite() {
                return Err(PlotError::BadValue { what: what.into(), value, reason: "it must be finite" });
            }
            (low, high) = (low.min(value), high.max(value));
        }
        if let Some(range) = chart.range {
            return Ok(Self { low: range.0, high: range.1 });
        }
        if low > high {
            return Ok(Self { low: 0.0, high: 1.0 }); // every cell is empty
        }
        if low < 0.0 {
            let largest = high.max(-low);
            return Ok(Self { low: -largest, high: largest });
        }
        Ok(Self { low: if low < high - low { 0.0 } else { low }, high })
    }

    fn diverging(&self) -> bool {
        self.low < 0.0 && self.high > 0.0
    }

    /// Class of the tone and its opacity in `[0, 1]`.
    fn of(&self, value: f64) -> (&'static str, f64) {
        let ratio = |part: f64, whole: f64| if whole > 0.0 { (part / whole).clamp(0.0, 1.0) } else { 0.0 };
        if self.diverging() {
            let tone = if value < 0.0 { "low" } else { "high" };
            (tone, ratio(value.abs(), self.high.max(-self.low)))
        } else {
            ("high", ratio(value / 2.0 - self.low / 2.0, self.high / 2.0 - self.low / 2.0))
        }
    }

    /// Draws the colour scale with its two ends and the values' name; the y coordinate below it.
    fn draw_scale(&self, svg: &mut Svg, chart: &MatrixChart, left: f64, top: f64) -> f64 {
        const STEPS: usize = 24;
        let end = |value: f64| match chart.format {
            ValueFormat::Percent(decimals) => format!("{}%", fixed(100.0 * value, decimals)),
            ValueFormat::Decimals(decimals) => fixed(value, decimals),
        };
        let (low, high) = (end(self.low), end(self.high));
        let start = left + text_width(&low) + 6.0;
        let width = 96.0;
        for step in 0..STEPS {
            let fraction = (step as f64 + 0.5) / STEPS as f64;
            let (tone, opacity) = self.of(self.low * (1.0 - fraction) + self.high * fraction);
            let step_width = width / STEPS as f64;
            svg.rect([start + step as f64 * step_width, top], [step_width, 9.0], tone, Some(opacity));
        }
        svg.text([start - 6.0, top + 9.0], Anchor::End, "quiet number", &low);
        svg.text([start + width + 6.0, top + 9.0], Anchor::Start, "quiet number", &high);
        let after = start + width + 6.0 + text_width(&high) + 12.0;
        if after + text_width(&chart.value_label) <= svg.width {
            svg.text([after, top + 9.0], Anchor::Start, "quiet", &chart.value_label);
            return top + 16.0;
        }
        let lines = wrap(&chart.value_label, svg.width - left, 2);
        svg.lines(left, top + 26.0, Anchor::Start, "quiet", &lines) - 8.0
    }
}
