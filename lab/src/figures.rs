//! What figures of heatmaps share: the scale, the picture below, and where they are written.

use std::fs;
use std::path::{Path, PathBuf};

use archaeo_plot::{Figure, Image, to_png};
use archaeo_store::StoreError;

use crate::destination::check_inputs;
use crate::error::LabError;

/// Endings of the files of a figure.
const ENDINGS: [&str; 2] = ["png", "svg"];

/// How much of the picture the heatmap hides.
pub(crate) const OPACITY: f32 = 0.6;

/// Values of a heatmap from which on its scale ends at a quantile: a single pixel would leave all others dark.
const MANY: usize = 1024;

/// Share of the values of such a heatmap that its scale holds.
const HELD: f64 = 0.995;

/// The largest of few values; of many, that which [`HELD`] of them do not exceed, unless it is nothing.
pub(crate) fn largest(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    let Some(&last) = values.last() else { return 0.0 };
    let held = values[((values.len() - 1) as f64 * HELD) as usize];
    if values.len() >= MANY && held > 0.0 { held } else { last }
}

/// The luma of ITU-R BT.601 in the brighter three quarters of grey, so that something is seen of it below dark colours.
pub(crate) fn grey(picture: &Image) -> Image {
    let luma = |pixel: &[u8]| {
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
        (64.0 + 0.75 * (0.299 * red + 0.587 * green + 0.114 * blue)).round() as u8
    };
    let pixels = picture.pixels().chunks_exact(3).flat_map(|pixel| [luma(pixel); 3]).collect();
    Image::new(picture.width(), picture.height(), pixels)
}

/// Files of figures in a folder, each as PNG and as SVG.
pub(crate) struct FigureFolder<'a> {
    folder: &'a Path,
    written: Vec<PathBuf>,
}

impl<'a> FigureFolder<'a> {
    /// The folder for figures of these names, of which none may replace one of `inputs`.
    ///
    /// # Errors
    /// A figure that would.
    pub fn new(folder: &'a Path, names: &[&str], inputs: &[&Path]) -> Result<Self, LabError> {
        for name in names {
            for ending in ENDINGS {
                check_inputs(&folder.join(format!("{name}.{ending}")), inputs)?;
            }
        }
        Ok(Self { folder, written: Vec::new() })
    }

    /// Writes a figure, and makes the folder for the first.
    ///
    /// # Errors
    /// A folder or a file that cannot be written.
    pub fn write(&mut self, name: &str, figure: &Figure) -> Result<(), LabError> {
        fs::create_dir_all(self.folder).map_err(StoreError::io("write", self.folder))?;
        let contents = [to_png(&figure.to_image()?)?, figure.to_svg()?.into_bytes()];
        for (ending, bytes) in ENDINGS.iter().zip(contents) {
            let path = self.folder.join(format!("{name}.{ending}"));
            archaeo_store::write(&path, &bytes)?;
            self.written.push(path);
        }
        Ok(())
    }

    /// What was written.
    pub fn written(self) -> Vec<PathBuf> {
        self.written
    }
}
