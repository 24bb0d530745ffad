//! What a model looks at while it is trained: overlays of its attention and of Grad-CAM, for trackers.

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{Attribution, Evidence, Heatmap, explain_all, method};
use archaeo_data::Image;
use archaeo_models::Classifier;
use archaeo_plot::{Grid, HeatmapStyle, PlotError, enlarge, overlay, to_png};
use archaeo_training::images::to_tensor;
use archaeo_training::{Artist, Drawing};
use burn::tensor::Device;

/// The methods that are drawn where they apply: the last layer's attention, and Grad-CAM for the model's answer.
const METHODS: [&str; 2] = ["attention", "grad-cam"];

/// How much of the image the heatmap hides.
const OPACITY: f32 = 0.5;

/// Least side of a picture, in pixels: smaller images are enlarged.
const LEAST_SIDE: usize = 128;

/// Draws overlays.
#[derive(Clone, Copy, Debug)]
pub struct Painter;

impl Artist for Painter {
    fn draw(
        &self,
        model: &Classifier,
        images: &[Image],
        labels: &[usize],
        device: &Device,
    ) -> Result<Vec<Drawing>, String> {
        let methods: Vec<&dyn Attribution> = METHODS
            .iter()
            .filter_map(|id| method(id))
            .filter(|method| method.applies(model).holds())
            .collect();
        // What is drawn uses no randomness.
        let ids: Vec<u64> = (0..images.len() as u64).collect();
        let evidence = Evidence::new(model, to_tensor(images, device), Keys { seed: 0, images: &ids });
        let classes = &model.card().classes;
        let answers: Vec<usize> = evidence.logits().chunks_exact(classes.len()).map(largest).collect();
        let maps = explain_all(&methods, &evidence, &answers).map_err(|error| error.to_string())?;
        let mut drawings = Vec::new();
        for (method, maps) in methods.iter().zip(&maps) {
            for (place, (image, map)) in images.iter().zip(maps).enumerate() {
                let picture = painted(image, map).map_err(|error| error.to_string())?;
                drawings.push(Drawing {
                    what: method.info().id.to_owned(),
                    image: place,
                    caption: format!(
                        "{} on an image of {}; the answer is {}",
                        method.info().title,
                        classes[labels[place]],
                        classes[answers[place]]
                    ),
                    size: [picture.width(), picture.height()],
                    png: to_png(&picture).map_err(|error| error.to_string())?,
                });
            }
        }
        Ok(drawings)
    }
}

/// Place of the largest value.
fn largest(values: &[f32]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}

fn painted(image: &Image, map: &Heatmap) -> Result<Image, PlotError> {
    let image = enlarge(image, LEAST_SIDE.div_ceil(image.width().min(image.height()).max(1)))?;
    overlay(&image, &Grid::new(&map.values, map.height, map.width)?, OPACITY, &HeatmapStyle::default())
}
