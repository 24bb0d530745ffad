//! Grids of numbers as colours, alone or over the picture that they explain.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};

use crate::picture::filled;
use crate::{Colormap, Image, PlotError, Result};

/// A checked grid of finite values, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Grid<'a> {
    values: &'a [f32],
    height: usize,
    width: usize,
}

impl<'a> Grid<'a> {
    /// A grid of `height` rows and `width` columns.
    ///
    /// # Errors
    /// The grid is empty, `values` is not `height · width` long, or a value is NaN or infinite.
    pub fn new(values: &'a [f32], height: usize, width: usize) -> Result<Self> {
        if Some(values.len()) != height.checked_mul(width) {
            let (expected, found) = (height.saturating_mul(width), values.len());
            return Err(PlotError::WrongLength { what: "a grid", width, height, expected, found });
        }
        if values.is_empty() {
            return Err(PlotError::Empty { what: "a grid", reason: "it has no cells" });
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            let reason = "every cell must be finite";
            return Err(PlotError::BadValue { what: "a grid".into(), value: f64::from(*value), reason });
        }
        Ok(Self { values, height, width })
    }

    /// Number of rows.
    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// Number of columns.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Smallest and largest value.
    pub(crate) fn bounds(&self) -> [f32; 2] {
        let bound = |start: f32, pick: fn(f32, f32) -> f32| self.values.iter().copied().fold(start, pick);
        [bound(f32::INFINITY, f32::min), bound(f32::NEG_INFINITY, f32::max)]
    }

    pub(crate) fn value(&self, row: usize, column: usize) -> f32 {
        self.values[row * self.width + column]
    }
}

/// Which values take the ends of the colour map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// The smallest and the largest value of the grid itself. A constant grid takes the lower end throughout.
    MinMax,
    /// Minus and plus the largest magnitude, so that zero is in the middle: for diverging colour maps.
    Symmetric,
    /// These two, whatever the grid holds: for pictures that are compared with each other.
    Fixed(f32, f32),
}

/// How a grid grows to pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upsampling {
    /// Smooth: linear between the cells' centres.
    Bilinear,
    /// Sharp cells: what was computed and nothing else.
    Nearest,
}

/// How a grid is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeatmapStyle {
    /// Colours.
    pub colormap: Colormap,
    /// Values at the ends of the colours.
    pub range: Range,
    /// Interpolation.
    pub upsampling: Upsampling,
}

impl Default for HeatmapStyle {
    fn default() -> Self {
        Self { colormap: Colormap::Inferno, range: Range::MinMax, upsampling: Upsampling::Bilinear }
    }
}

/// The grid as a picture of `width` × `height` pixels.
///
/// # Errors
/// A side is 0 or the picture is too large.
pub fn heatmap(grid: &Grid, width: usize, height: usize, style: &HeatmapStyle) -> Result<Image> {
    let mut picture = filled(width, height, [0; 3])?;
    if width * height == 0 {
        return Err(PlotError::Empty { what: "a heatmap", reason: "one of its sides is 0" });
    }
    for (pixel, value) in picture.pixels_mut().chunks_exact_mut(3).zip(upsample(grid, width, height, style)) {
        pixel.copy_from_slice(&style.colormap.color(value));
    }
    Ok(picture)
}

/// The grid's colours over `image`: `opacity` 0 shows the image alone, 1 the heatmap alone.
///
/// # Errors
/// The image has no pixels or `opacity` lies outside `[0, 1]`.
pub fn overlay(image: &Image, grid: &Grid, opacity: f32, style: &HeatmapStyle) -> Result<Image> {
    if !(0.0..=1.0).contains(&opacity) {
        let reason = "the opacity must lie in [0, 1]";
        return Err(PlotError::BadValue { what: "an overlay".into(), value: f64::from(opacity), reason });
    }
    let mut picture = heatmap(grid, image.width(), image.height(), style)?;
    for (heat, original) in picture.pixels_mut().iter_mut().zip(image.pixels()) {
        let blended = opacity * f32::from(*heat) + (1.0 - opacity) * f32::from(*original);
        *heat = blended.round() as u8;
    }
    Ok(picture)
}

/// Values scaled to `[0, 1]` and interpolated, row by row.
fn upsample(grid: &Grid, width: usize, height: usize, style: &HeatmapStyle) -> Vec<f32> {
    let (low, high) = match style.range {
        Range::MinMax => {
            grid.values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| {
                (low.min(value), high.max(value))
            })
        }
        Range::Symmetric => {
            let largest = grid.values.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
            (-largest, largest)
        }
        Range::Fixed(low, high) => (low, high),
    };
    let scaled = grid.values.iter().map(|value| match style.range {
        // Halved first: the span of two large finite numbers may overflow.
        _ if high > low => ((value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)).clamp(0.0, 1.0),
        Range::Symmetric => 0.5,
        _ => 0.0,
    });
    let cells = ImageBuffer::<Luma<f32>, _>::from_raw(
        grid.width as u32,
        grid.height as u32,
        scaled.collect::<Vec<_>>(),
    )
    .expect("a grid's length was checked when it was made");
    let filter = match style.upsampling {
        Upsampling::Bilinear => FilterType::Triangle,
        Upsampling::Nearest => FilterType::Nearest,
    };
    imageops::resize(&cells, width as u32, height as u32, filter).into_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS: HeatmapStyle =
        HeatmapStyle { colormap: Colormap::Viridis, range: Range::MinMax, upsampling: Upsampling::Nearest };

    fn pixel(picture: &Image, x: usize, y: usize) -> [u8; 3] {
        let at = 3 * (y * picture.width() + x);
        picture.pixels()[at..at + 3].try_into().unwrap()
    }

    #[test]
    fn cells_keep_their_place_and_color() {
        // Not square, so that swapped axes show.
        let grid = Grid::new(&[0.0, 1.0, 2.0, 4.0, 3.0, 2.0], 2, 3).unwrap();
        let picture = heatmap(&grid, 30, 20, &CELLS).unwrap();
        assert_eq!(pixel(&picture, 5, 5), Colormap::Viridis.color(0.0));
        assert_eq!(pixel(&picture, 25, 5), Colormap::Viridis.color(0.5));
        assert_eq!(pixel(&picture, 5, 15), Colormap::Viridis.color(1.0));
        assert_eq!(pixel(&picture, 10, 19), Colormap::Viridis.color(0.75));
    }

    #[test]
    fn bilinear_is_linear_between_cell_centres() {
        let grid = Grid::new(&[0.0, 1.0], 1, 2).unwrap();
        let style = HeatmapStyle { upsampling: Upsampling::Bilinear, ..CELLS };
        let values = upsample(&grid, 8, 1, &style);
        let expected = [0.0, 0.0, 0.125, 0.375, 0.625, 0.875, 1.0, 1.0];
        assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?}");
    }

    #[test]
    fn ranges() {
        let grid = Grid::new(&[-1.0, 0.0, 4.0], 1, 3).unwrap();
        let scaled = |range| upsample(&grid, 3, 1, &HeatmapStyle { range, ..CELLS });
        assert_eq!(scaled(Range::MinMax), [0.0, 0.2, 1.0]);
        assert_eq!(scaled(Range::Symmetric), [0.375, 0.5, 1.0]);
        assert_eq!(scaled(Range::Fixed(0.0, 2.0)), [0.0, 0.0, 1.0]);
        let constant = Grid::new(&[7.0; 4], 2, 2).unwrap();
        assert_eq!(upsample(&constant, 2, 2, &CELLS), [0.0; 4]);
        let zero = Grid::new(&[0.0; 4], 2, 2).unwrap();
        assert_eq!(upsample(&zero, 2, 2, &HeatmapStyle { range: Range::Symmetric, ..CELLS }), [0.5; 4]);
        let extreme = Grid::new(&[f32::MIN, f32::MAX], 1, 2).unwrap();
        assert_eq!(upsample(&extreme, 2, 1, &CELLS), [0.0, 1.0]);
    }

    #[test]
    fn overlay_blends() {
        let image = Image::filled(6, 4, [200, 100, 0]);
        let grid = Grid::new(&[1.0; 4], 2, 2).unwrap();
        assert_eq!(overlay(&image, &grid, 0.0, &CELLS).unwrap(), image);
        assert_eq!(overlay(&image, &grid, 1.0, &CELLS).unwrap(), heatmap(&grid, 6, 4, &CELLS).unwrap());
        let [r, g, b] = Colormap::Viridis.color(0.0).map(f32::from);
        let half = overlay(&image, &grid, 0.5, &CELLS).unwrap();
        let expected = [0.5 * (r + 200.0), 0.5 * (g + 100.0), 0.5 * b].map(|v| v.round() as u8);
        assert_eq!(pixel(&half, 3, 2), expected);
        assert!(overlay(&image, &grid, f32::NAN, &CELLS).is_err());
    }

    #[test]
    fn bad_grids_are_refused() {
        assert!(Grid::new(&[1.0; 5], 2, 3).is_err());
        assert!(Grid::new(&[], 0, 3).is_err());
        let error = Grid::new(&[1.0, f32::NAN], 1, 2).unwrap_err().to_string();
        assert_eq!(error, "a grid holds the value NaN, which cannot be drawn: every cell must be finite");
        assert!(heatmap(&Grid::new(&[1.0], 1, 1).unwrap(), 0, 5, &CELLS).is_err());
    }
}
