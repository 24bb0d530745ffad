//! Figures for papers and pages: heatmaps over a picture, with titles and colour bars. A figure is laid out once and drawn twice, as
//! pixels and as SVG, so that both show the same.

mod clouds;
mod dots;
mod layout;
mod pixels;
mod svg;

pub use clouds::{Cloud, CloudFigure};

use crate::{Colormap, Grid, Image, PlotError, Result};

/// The most CSS pixels of a picture's side, and the most pictures.
const WIDEST: usize = 1 << 14;

/// Pictures side by side under one title.
#[derive(Clone, Debug)]
pub struct Figure<'a> {
    /// First line.
    pub title: String,
    /// Lines below it, smaller; a line that is too long is broken once.
    pub lines: Vec<String>,
    /// Pictures, row by row.
    pub panels: Vec<Panel<'a>>,
    /// Pictures in a row.
    pub columns: usize,
    /// Longer side of a picture, in CSS pixels. The PNG has twice as many.
    pub side: usize,
    /// Where the colours are explained.
    pub bars: Bars,
}

/// One picture of a figure.
#[derive(Clone, Debug)]
pub struct Panel<'a> {
    /// Line above the picture; cut where it does not fit.
    pub title: String,
    /// Line below it; empty for none.
    pub note: String,
    /// What is below the heatmap.
    pub picture: &'a Image,
    /// What is laid over it.
    pub heat: Option<Heat<'a>>,
    /// What the rows and columns of a heatmap are called.
    pub axes: Option<Axes>,
}

/// Names of rows and columns, spread evenly over the height and the width of a picture; where they would overlap, some are left
/// out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Axes {
    /// From the top, to the left of the picture.
    pub rows: Vec<String>,
    /// From the left, above the picture.
    pub columns: Vec<String>,
}

/// A grid of numbers as colours. Every cell is drawn as it is, without interpolation.
#[derive(Clone, Copy, Debug)]
pub struct Heat<'a> {
    /// The numbers.
    pub grid: Grid<'a>,
    /// Colours.
    pub colormap: Colormap,
    /// Values at the two ends of the colours; others take the nearest end.
    pub range: [f32; 2],
    /// From 0, the picture alone, to 1, the heatmap alone.
    pub opacity: f32,
}

/// Where the colours are explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bars {
    /// Below every picture with a heatmap: each has a scale of its own.
    Each,
    /// To the right of all: they have one scale, that of the first; this is what the numbers are.
    Shared(String),
}

impl Figure<'_> {
    /// The figure as a picture, with two pixels to each CSS pixel.
    ///
    /// # Errors
    /// As [`Figure::to_svg`].
    pub fn to_image(&self) -> Result<Image> {
        pixels::drawn(&layout::laid_out(self)?)
    }

    /// The figure as an SVG file of its own: text as text, grids of up to 32 × 32 cells as rectangles, colour bars as gradients, and
    /// pictures embedded as PNG.
    ///
    /// # Errors
    /// A figure without panels or columns, a picture without pixels, an opacity outside of `[0, 1]`, a range that is not finite, or
    /// a figure that would be too large.
    pub fn to_svg(&self) -> Result<String> {
        svg::drawn(&layout::laid_out(self)?)
    }

    fn check(&self) -> Result<()> {
        let what = "a figure";
        let empty = |reason| Err(PlotError::Empty { what, reason });
        if self.panels.is_empty() {
            return empty("there are no pictures");
        }
        if self.columns == 0 || self.side == 0 {
            return empty("columns and side must be 1 or more");
        }
        if self.side > WIDEST || self.panels.len() > WIDEST {
            return Err(PlotError::TooLarge { width: self.side, height: self.side });
        }
        if self.panels.iter().any(|panel| panel.picture.pixels().is_empty()) {
            return empty("one of its pictures has no pixels");
        }
        for Heat { range, opacity, .. } in self.panels.iter().filter_map(|panel| panel.heat) {
            let bad = |value: f32, reason| {
                Err(PlotError::BadValue { what: what.into(), value: f64::from(value), reason })
            };
            if !(0.0..=1.0).contains(&opacity) {
                return bad(opacity, "the opacity must lie in [0, 1]");
            }
            if let Some(value) = range.into_iter().find(|value| !value.is_finite()) {
                return bad(value, "the ends of the colours must be finite");
            }
        }
        Ok(())
    }
}

impl Heat<'_> {
    /// Cells in a row and rows.
    fn cells(&self) -> [usize; 2] {
        [self.grid.width(), self.grid.height()]
    }

    /// Colour of a cell; of a range without extent, that of its lower end, and of its middle where the colours diverge.
    fn color(&self, column: usize, row: usize) -> [u8; 3] {
        let [low, high] = self.range;
        let value = self.grid.value(row, column);
        // Halved first: the span of two large finite numbers may overflow.
        let place = match high > low {
            true => (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0),
            false if self.colormap == Colormap::BlueRed => 0.5,
            false => 0.0,
        };
        self.colormap.color(place)
    }
}

/// A number at the end of a colour bar, with two to three digits that count.
fn number(value: f32) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".into(),
        _ if !(1e-3..1e4).contains(&size) => format!("{value:.1e}").replace('-', "−"),
        _ => {
            let decimals = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
            let text = format!("{value:.decimals$}");
            let text =
                if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            text.replace('-', "−")
        }
    }
}

#[cfg(test)]
mod tests;
