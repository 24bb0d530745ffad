//! How studies draw: small images enlarged, heatmaps laid over them.

use archaeo_analysis::attribution::Heatmap;
use archaeo_plot::{Grid, HeatmapStyle, Picture, overlay};

use super::{Laboratory, StudyError};
use archaeo_data::Image;

/// Side of one panel, in pixels: 32-pixel images are enlarged five times.
pub(super) const PANEL: usize = 160;

/// An image as a panel; small images keep their hard pixels.
pub(super) fn panel(image: &Image) -> Result<Picture, StudyError> {
    let picture = Picture::from_rgb(image.width, image.height, image.pixels.clone())?;
    let side = image.width.max(image.height);
    Ok(match PANEL / side {
        0 => picture.resize_bilinear(image.width * PANEL / side, image.height * PANEL / side)?,
        1 => picture,
        factor => picture.enlarge(factor)?,
    })
}

/// A heatmap, stretched to its own range, over an image.
pub(super) fn heat_panel(image: &Image, heatmap: &Heatmap) -> Result<Picture, StudyError> {
    let scaled = heatmap.min_max_scaled();
    let grid = Grid::new(&scaled.values, scaled.height, scaled.width)?;
    Ok(overlay(&panel(image)?, &grid, 0.55, &HeatmapStyle::default())?)
}

/// Panels in a row with a narrow gap.
pub(super) fn row(panels: &[Picture]) -> Result<Picture, StudyError> {
    const GAP: usize = 4;
    let width = panels.iter().map(|panel| panel.width() + GAP).sum::<usize>().saturating_sub(GAP);
    let height = panels.iter().map(Picture::height).max().unwrap_or(0);
    let mut joined = Picture::filled(width, height, [255; 3])?;
    let mut x = 0;
    for panel in panels {
        joined.blit(panel, x, 0);
        x += panel.width() + GAP;
    }
    Ok(joined)
}

impl Laboratory<'_> {
    /// Saves a picture in the run folder and returns its path within it.
    pub(super) fn save(&self, name: &str, picture: &Picture) -> Result<String, StudyError> {
        let (path, relative) = self.picture(name);
        picture.save_png(&path)?;
        Ok(relative)
    }
}
