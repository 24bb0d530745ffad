//! Pictures of an image cut into patches, and of what a transformer's stem makes of them: principal components as colours, and t-SNE.

use std::path::Path;

use archaeo_analysis::features::{Features, PERPLEXITY, TRUST_NEIGHBOURS, pca, picture_trust, tsne};
use archaeo_analysis::probes::StreamRecorder;
use archaeo_experiments::profile::PatchPictures;
use archaeo_models::{Classifier, Pass};
use archaeo_plot::{Image, resize_bilinear, save_png};
use archaeo_training::images::to_tensor;

use crate::error::LabError;
use crate::session::Session;

/// Pixels of a picture's side, gaps not counted.
const SIDE: usize = 280;

/// Most pixels between two patches.
const GAP: usize = 6;

/// What shows between patches.
const PAPER: [u8; 3] = [255, 255, 255];

/// Principal components that are shown: one per channel.
const COMPONENTS: usize = 3;

/// Fewest patches of a picture of points.
const FEWEST: usize = 4;

/// Fewest whose trust is asked, of a dozen neighbours.
const FEWEST_TRUSTED: usize = 2 * TRUST_NEIGHBOURS + 6;

/// Pixels of a point's side, and of the margin around all points.
const POINT: usize = 9;
const MARGIN: usize = 10;

impl Session {
    /// Draws the pictures of a model and an image, as the model takes it, into `folder`; `None` where fewer than four patches are there.
    pub(super) fn patch_pictures(
        &self,
        name: &str,
        place: usize,
        model: &Classifier,
        image: &Image,
        folder: &Path,
    ) -> Result<Option<PatchPictures>, LabError> {
        let mut recorder = StreamRecorder::default();
        let device = self.device()?;
        model.logits(to_tensor(std::slice::from_ref(image), &device), &mut Pass::evaluate(&mut recorder));
        let Some((site, stream)) = recorder.finish() else { return Ok(None) };
        let [_, count, width] = stream[0].dims();
        // A stage may merge patches later on; the first block's are those that the image was cut into.
        let patches = count - site.prefix_tokens;
        let rows = (patches as f64).sqrt().round() as usize;
        if patches < FEWEST || rows * rows != patches {
            return Ok(None);
        }
        let values = stream[0].clone().narrow(1, site.prefix_tokens, patches).into_data();
        let values: Vec<f32> = values.iter::<f32>().collect();
        let features = Features::new(width, values);
        let components = pca(&features, COMPONENTS)?;
        let mut go_on = || !self.listener().interrupted();
        let cloud = tsne(&features, PERPLEXITY, &mut go_on)?.ok_or(LabError::Interrupted)?;
        let trust = (patches >= FEWEST_TRUSTED)
            .then(|| picture_trust(&features, &cloud.points, TRUST_NEIGHBOURS))
            .transpose()?;

        let shown = resize_bilinear(image, SIDE, SIDE)?;
        let cut = format!("pictures/patches-{place}-cut.png");
        save_png(&cut_into(&shown, rows), &folder.join(&cut))?;
        let embeddings = format!("pictures/patches-{place}-embeddings.png");
        let colours = colours(&components.scores, components.components);
        save_png(&coloured(&colours, rows), &folder.join(&embeddings))?;
        let points = format!("pictures/patches-{place}-tsne.png");
        save_png(&scattered(&cloud.points, &colours), &folder.join(&points))?;
        Ok(Some(PatchPictures {
            model: name.into(),
            views: [cut, embeddings, points],
            patches,
            trust,
            explained: components.explained.iter().sum(),
        }))
    }
}

/// The image with a gap between its `rows` by `rows` patches.
fn cut_into(image: &Image, rows: usize) -> Image {
    let gap = (SIDE / rows / 4).clamp(1, GAP);
    let side = SIDE + gap * (rows - 1);
    let mut picture = Image::filled(side, side, PAPER);
    for (x, y) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y))) {
        let moved = |at: usize| at + gap * (at * rows / SIDE);
        let start = 3 * (moved(y) * side + moved(x));
        picture.pixels_mut()[start..start + 3].copy_from_slice(&image.pixel(x, y));
    }
    picture
}

/// The colour of each patch: its components, each from its smallest to its largest value.
fn colours(scores: &[f64], components: usize) -> Vec<[u8; 3]> {
    let count = scores.len() / components;
    let channel = |component: usize| -> Vec<u8> {
        if component >= components {
            return vec![128; count];
        }
        let values = || scores.iter().skip(component).step_by(components).copied();
        let (low, high) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let span = if high > low { high - low } else { 1.0 };
        values().map(|value| (255.0 * (value - low) / span).round() as u8).collect()
    };
    let channels = [0, 1, 2].map(channel);
    (0..count).map(|patch| [0, 1, 2].map(|channel: usize| channels[channel][patch])).collect()
}

/// Each patch where it is in the image.
fn coloured(colours: &[[u8; 3]], rows: usize) -> Image {
    let mut picture = Image::filled(SIDE, SIDE, PAPER);
    for (x, y) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y))) {
        let patch = y * rows / SIDE * rows + x * rows / SIDE;
        let start = 3 * (y * SIDE + x);
        picture.pixels_mut()[start..start + 3].copy_from_slice(&colours[patch]);
    }
    picture
}

/// Each patch as a point of the plane, both axes on one scale and y rising.
fn scattered(points: &[[f64; 2]], colours: &[[u8; 3]]) -> Image {
    let mut picture = Image::filled(SIDE, SIDE, PAPER);
    let ends = |axis: usize| {
        let values = points.iter().map(|point| point[axis]);
        [values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max)]
    };
    let [x, y] = [ends(0), ends(1)];
    let span = f64::max(x[1] - x[0], y[1] - y[0]);
    let scale = if span > 0.0 { (SIDE - 2 * MARGIN - POINT) as f64 / span } else { 0.0 };
    let middle = (SIDE - POINT) as f64 / 2.0;
    let at = |value: f64, [low, high]: [f64; 2]| middle + scale * (value - (low + high) / 2.0);
    for (point, colour) in points.iter().zip(colours) {
        let left = at(point[0], x).round() as usize;
        let top = (SIDE - POINT) - at(point[1], y).round() as usize;
        for (x, y) in (0..POINT).flat_map(|y| (0..POINT).map(move |x| (left + x, top + y))) {
            let start = 3 * (y * SIDE + x);
            picture.pixels_mut()[start..start + 3].copy_from_slice(colour);
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_moves_every_patch_and_loses_no_pixel() {
        let pixels = (0..SIDE * SIDE).flat_map(|at| [(at % 251) as u8, (at / SIDE % 251) as u8, 7]).collect();
        let image = Image::new(SIDE, SIDE, pixels);
        let cut = cut_into(&image, 4);
        assert_eq!(cut.width(), SIDE + 3 * GAP);
        assert_eq!(cut.pixel(0, 0), image.pixel(0, 0));
        assert_eq!(cut.pixel(SIDE / 4 + GAP, 0), image.pixel(SIDE / 4, 0));
        assert_eq!(cut.pixel(SIDE / 4 + 1, 5), PAPER);
        assert_eq!(cut.pixel(cut.width() - 1, cut.height() - 1), image.pixel(SIDE - 1, SIDE - 1));
    }

    #[test]
    fn components_become_channels() {
        // Two components of four patches.
        let picture = coloured(&colours(&[0.0, 5.0, 1.0, 5.0, 2.0, 5.0, 4.0, 9.0], 2), 2);
        assert_eq!(picture.pixel(0, 0), [0, 0, 128]);
        assert_eq!(picture.pixel(SIDE - 1, 0), [64, 0, 128]);
        assert_eq!(picture.pixel(SIDE - 1, SIDE - 1), [255, 255, 128]);
    }

    #[test]
    fn points_keep_their_shape_and_colours() {
        let colours = [[1, 2, 3], [4, 5, 6], [7, 8, 9]];
        let picture = scattered(&[[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]], &colours);
        // The longer side fills the picture; the other one is in its middle, on the same scale.
        let (left, right) = (MARGIN, SIDE - MARGIN - 1);
        let length = SIDE - 2 * MARGIN - POINT;
        let lower = SIDE / 2 + length / 4;
        assert_eq!(picture.pixel(left, lower), colours[0]);
        assert_eq!(picture.pixel(right, lower), colours[1]);
        assert_eq!(picture.pixel(left, lower - length / 2), colours[2]);
        assert_eq!(picture.pixel(right, lower - length / 2), PAPER);
        // Nothing but one place is no error.
        assert_eq!(scattered(&[[3.0, 3.0]; 3], &colours).pixel(SIDE / 2, SIDE / 2), colours[2]);
    }
}
