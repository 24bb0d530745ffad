//! How studies draw: small images enlarged, heatmaps laid over them cell by cell. What is said of a picture stands next to it in
//! the report, not in it.

use archaeo_analysis::attribution::Heatmap;
use archaeo_plot::{
    Colormap, Grid, HeatmapStyle, Range, Upsampling, enlarge, heatmap, overlay, resize_bilinear, save_png,
};

use archaeo_data::Image;

use crate::findings::{HeatmapShown, ImageShown};
use crate::scene::{Scene, StudyError};

/// Side of one panel, in pixels: 32-pixel images are enlarged five times.
pub(crate) const PANEL: usize = 160;

/// Colours of every heatmap, from its smallest value to its largest. Cells are drawn as they were computed: a grid of 7 × 7 that is
/// interpolated looks as if it knew more than it does.
pub(crate) const HEAT: HeatmapStyle =
    HeatmapStyle { colormap: Colormap::Inferno, range: Range::MinMax, upsampling: Upsampling::Nearest };

/// How much of a heatmap covers the image below it.
const OPACITY: f32 = 0.55;

/// An image as a panel of about `side` pixels; small images keep their hard pixels.
pub(crate) fn panel(image: &Image, side: usize) -> Result<Image, StudyError> {
    let (width, height) = (image.width(), image.height());
    let longer = width.max(height);
    let scaled = |length: usize| (length * side / longer).max(1);
    Ok(match side / longer {
        0 => resize_bilinear(image, scaled(width), scaled(height))?,
        1 => image.clone(),
        factor => enlarge(image, factor)?,
    })
}

/// A heatmap, stretched to its own range, over an image.
fn heat_panel(image: &Image, heatmap: &Heatmap) -> Result<Image, StudyError> {
    let scaled = heatmap.min_max_scaled();
    let grid = Grid::new(&scaled.values, scaled.height, scaled.width)?;
    Ok(overlay(&panel(image, PANEL)?, &grid, OPACITY, &HEAT)?)
}

/// A heatmap alone, for one that belongs to no single image.
fn map_panel(map: &Heatmap) -> Result<Image, StudyError> {
    let scaled = map.min_max_scaled();
    let grid = Grid::new(&scaled.values, scaled.height, scaled.width)?;
    let longer = map.height.max(map.width);
    let [width, height] = [map.width, map.height].map(|length| (length * PANEL / longer).max(1));
    Ok(heatmap(&grid, width, height, &HEAT)?)
}

impl Scene<'_> {
    /// Saves a picture in the run folder and returns its path within it.
    pub(super) fn save(&self, name: &str, picture: &Image) -> Result<String, StudyError> {
        let (path, relative) = self.picture(name);
        save_png(picture, &path)?;
        Ok(relative)
    }

    /// Saves an image of the main split as it is shown, and says which it is.
    pub(super) fn save_image(
        &self,
        name: &str,
        index: usize,
        shown: &Image,
    ) -> Result<ImageShown, StudyError> {
        let split = self.split()?;
        Ok(ImageShown {
            index,
            identifier: split.identifier(index),
            label: split.label(index),
            picture: self.save(name, &panel(shown, PANEL)?)?,
        })
    }

    /// Saves a heatmap alone and returns its path within the run folder.
    pub(super) fn save_map(&self, name: &str, map: &Heatmap) -> Result<String, StudyError> {
        self.save(name, &map_panel(map)?)
    }

    /// Saves a heatmap over its image.
    pub(super) fn save_heatmap(
        &self,
        name: &str,
        image: &Image,
        heatmap: &Heatmap,
    ) -> Result<HeatmapShown, StudyError> {
        let picture = self.save(name, &heat_panel(image, heatmap)?)?;
        Ok(HeatmapShown { grid: [heatmap.height, heatmap.width], picture })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: usize, height: usize) -> Image {
        Image::new(width, height, (0..width * height * 3).map(|i| (i * 37 % 200) as u8).collect())
    }

    /// Nothing but the image: a margin or a caption in it would be a white slab on a dark page.
    #[test]
    fn a_panel_is_the_image_and_has_no_margin() {
        for (width, height) in [(16, 16), (32, 32), (100, 60), (160, 160), (500, 333), (3, 700)] {
            let image = image(width, height);
            let drawn = panel(&image, PANEL).unwrap();
            let ratio = drawn.width() as f64 / drawn.height() as f64 / (width as f64 / height as f64);
            assert!((0.9..1.7).contains(&ratio), "{width} × {height} became {ratio}");
            assert!(drawn.width().max(drawn.height()) <= PANEL);
            assert!(drawn.pixels().iter().all(|value| *value < 200), "{width} × {height}: a margin");
            assert_eq!(drawn.pixels()[..3], panel(&image, PANEL).unwrap().pixels()[..3]);
        }
    }

    /// A map of 7 × 7 over an image shows 49 squares, and no colour between two of them.
    #[test]
    fn a_heatmap_is_drawn_cell_by_cell() {
        let flat = Image::filled(224, 224, [0; 3]);
        let values: Vec<f32> = (0..49).map(|i| (i * 31 % 49) as f32).collect();
        let drawn = heat_panel(&flat, &Heatmap::new(7, 7, values)).unwrap();
        let mut colors: Vec<&[u8]> = drawn.pixels().chunks(3).collect();
        colors.sort_unstable();
        colors.dedup();
        assert_eq!(colors.len(), 49);
        let side = drawn.width();
        let at = |x: usize, y: usize| &drawn.pixels()[3 * (y * side + x)..][..3];
        // 160 pixels over seven cells: each is 22 or 23 wide.
        assert_eq!(at(1, 1), at(21, 21));
        assert_ne!(at(21, 1), at(24, 1));
    }
}
