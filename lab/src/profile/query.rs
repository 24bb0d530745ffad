//! Pictures of what one patch attends to in the first two blocks of each transformer, and what has reached it after both.

use std::path::Path;

use archaeo_analysis::Keys;
use archaeo_analysis::attention::{QueryLayer, query_attention};
use archaeo_analysis::attribution::Evidence;
use archaeo_data::OpenOptions;
use archaeo_experiments::profile::QueryPictures;
use archaeo_models::Classifier;
use archaeo_plot::{Grid, HeatmapStyle, Image, Upsampling, overlay, resize_bilinear, save_png};
use archaeo_training::images::{preprocess, to_tensor};
use burn::tensor::Device;

use crate::error::LabError;
use crate::session::Session;

/// Where the patch lies, as shares of height and width: a little above and left of the middle, where the borders of windows meet.
const AT: [f64; 2] = [0.45, 0.45];

/// Blocks that are shown: one with windows, one with shifted windows.
pub(super) const BLOCKS: usize = 2;

/// Pixels of a picture's side.
const SIDE: usize = 280;

/// How much of the picture the heatmap hides.
const OPACITY: f32 = 0.65;

/// The patch that is asked about, and the borders of windows.
const MARK: [u8; 3] = [0, 200, 255];
const BORDER: [u8; 3] = [255, 255, 255];

impl Session {
    /// The first image of `data`, or of Sherds, as a model takes it.
    pub(super) fn example(&self, model: &Classifier, data: Option<&str>) -> Result<Image, LabError> {
        let preprocessing = &model.card().preprocessing;
        let sherds = format!(
            "sherds:size={},train=16,val=16,test=16,aligned=16,conflict=16",
            preprocessing.image_size
        );
        let dataset = self.open_data(data.unwrap_or(&sherds), &OpenOptions::default())?;
        let split = dataset.split(dataset.evaluation_split())?;
        Ok(split.with_image(0, |image| preprocess(image, preprocessing))?)
    }

    /// Draws the pictures of a model and an image, as the model takes it, into `folder`.
    pub(super) fn query_pictures(
        &self,
        name: &str,
        place: usize,
        model: &Classifier,
        image: &Image,
        folder: &Path,
        device: &Device,
    ) -> Result<QueryPictures, LabError> {
        let keys = [0];
        let pixels = to_tensor(std::slice::from_ref(image), device);
        let evidence = Evidence::new(model, pixels, Keys { seed: self.seed(), images: &keys });
        let layers = query_attention(evidence.attention()?, 0, AT, BLOCKS);

        let shown = resize_bilinear(image, SIDE, SIDE)?;
        let mut views = Vec::new();
        let mut add = |what: &str, picture: &Image| -> Result<(), LabError> {
            let path = format!("pictures/query-{place}-{what}.png");
            save_png(picture, &folder.join(&path))?;
            views.push(path);
            Ok(())
        };
        let first = &layers[0];
        let mut input = shown.clone();
        mark(&mut input, first.grid, first.query, MARK);
        add("input", &input)?;
        for (number, layer) in (1..).zip(&layers) {
            add(&format!("block-{number}"), &over(&shown, &layer.weights, layer.grid, layer)?)?;
        }
        let last = layers.last().expect("a transformer has a block");
        // What a patch keeps of itself along the residual path would leave all others dark.
        let own = first.query[0] * first.grid[1] + first.query[1];
        let others =
            last.reach.iter().enumerate().map(|(patch, &share)| if patch == own { 0.0 } else { share });
        add("reached", &over(&shown, &others.collect::<Vec<f64>>(), last.first_grid, last)?)?;
        let seen = layers.iter().map(|layer| layer.weights.iter().filter(|&&weight| weight > 0.0).count());
        Ok(QueryPictures {
            model: name.into(),
            views,
            patches: first.grid[0] * first.grid[1],
            seen: seen.collect(),
            reached: last.reach.iter().filter(|&&share| share > 0.0).count(),
        })
    }
}

/// Values over the image, with the windows' borders where they are on the layer's own grid.
fn over(image: &Image, values: &[f64], grid: [usize; 2], layer: &QueryLayer) -> Result<Image, LabError> {
    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    let style = HeatmapStyle { upsampling: Upsampling::Nearest, ..HeatmapStyle::default() };
    let mut picture = overlay(image, &Grid::new(&values, grid[0], grid[1])?, OPACITY, &style)?;
    if grid == layer.grid {
        borders(&mut picture, layer);
        mark(&mut picture, layer.grid, layer.query, MARK);
    }
    Ok(picture)
}

/// Lines between patches that do not attend to one another.
fn borders(picture: &mut Image, layer: &QueryLayer) {
    let (width, height) = (picture.width(), picture.height());
    let [rows, columns] = layer.grid;
    let region = |x: usize, y: usize| layer.regions[y * rows / height * columns + x * columns / width];
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
        let right = x + 1 < width && region(x, y) != region(x + 1, y);
        let below = y + 1 < height && region(x, y) != region(x, y + 1);
        if right || below {
            paint(picture, x, y, BORDER);
        }
    }
}

/// A frame around one patch.
fn mark(picture: &mut Image, [rows, columns]: [usize; 2], [row, column]: [usize; 2], colour: [u8; 3]) {
    let (width, height) = (picture.width(), picture.height());
    let (left, right) = (column * width / columns, ((column + 1) * width / columns).min(width) - 1);
    let (top, bottom) = (row * height / rows, ((row + 1) * height / rows).min(height) - 1);
    for x in left..=right {
        [top, bottom].into_iter().for_each(|y| paint(picture, x, y, colour));
    }
    for y in top..=bottom {
        [left, right].into_iter().for_each(|x| paint(picture, x, y, colour));
    }
}

fn paint(picture: &mut Image, x: usize, y: usize, colour: [u8; 3]) {
    let start = 3 * (y * picture.width() + x);
    picture.pixels_mut()[start..start + 3].copy_from_slice(&colour);
}
