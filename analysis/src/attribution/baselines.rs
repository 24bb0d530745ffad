//! Heatmaps that know nothing of the model: what an explanation has to beat.

use archaeo_random::keyed_rng;
use rand::RngExt;

use super::{Attribution, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution};
use crate::tensors::{per_image, values};
use crate::{AnalysisError, Paper};

/// Independent uniform values, keyed by (seed, image).
#[derive(Clone, Copy, Debug)]
pub struct Random;

/// A Gaussian at the centre with a standard deviation of a quarter of each side: what photographers' habit alone gives.
#[derive(Clone, Copy, Debug)]
pub struct Centre;

/// Edges of the image: the magnitude of Sobel's gradient of its brightness (luma of ITU-R BT.601 of its 8-bit levels), edges
/// repeated. It marks what any image holds, whatever a model makes of it (Adebayo et al., 2018).
#[derive(Clone, Copy, Debug)]
pub struct Edges;

const fn baseline(
    id: &'static str,
    title: &'static str,
    summary: &'static str,
    paper: Option<Paper>,
) -> MethodInfo {
    MethodInfo {
        id,
        title,
        summary,
        kind: Kind::Baseline,
        paper,
        needs: &[],
        depends_on_class: false,
        signed: false,
        resolution: Resolution::Pixels,
        cost: Cost::Shared,
    }
}

impl Attribution for Random {
    fn info(&self) -> &'static MethodInfo {
        const { &baseline("random", "random", "independent uniform values", None) }
    }

    fn explain(&self, evidence: &Evidence, _: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        let [_, _, height, width] = evidence.images().dims();
        let keys = evidence.keys();
        Ok(keys.images.iter().map(|&image| random_heatmap(height, width, keys.seed, image)).collect())
    }
}

impl Attribution for Centre {
    fn info(&self) -> &'static MethodInfo {
        const { &baseline("centre", "centre", "a Gaussian at the image's centre", None) }
    }

    fn explain(&self, evidence: &Evidence, _: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        let [batch, _, height, width] = evidence.images().dims();
        Ok(vec![centre_heatmap(height, width); batch])
    }
}

impl Attribution for Edges {
    fn info(&self) -> &'static MethodInfo {
        const ADEBAYO: Paper =
            Paper { citation: "Adebayo et al., 2018", url: "https://arxiv.org/abs/1810.03292" };
        const { &baseline("edges", "edges", "magnitude of Sobel's gradient of the image", Some(ADEBAYO)) }
    }

    fn explain(&self, evidence: &Evidence, _: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        let [batch, _, height, width] = evidence.images().dims();
        let values = values(evidence.images().clone());
        Ok(per_image(&values, batch).map(|image| edge_heatmap(height, width, &brightness(image))).collect())
    }
}

fn random_heatmap(height: usize, width: usize, seed: u64, image: u64) -> Heatmap {
    let mut rng = keyed_rng(seed, "random heatmap", image, 0);
    Heatmap::new(height, width, (0..height * width).map(|_| rng.random::<f32>()).collect())
}

fn centre_heatmap(height: usize, width: usize) -> Heatmap {
    let offset = |index: usize, side: usize| ((index as f64 + 0.5) / side as f64 - 0.5) / 0.25;
    let value = |index: usize| {
        let (y, x) = (offset(index / width, height), offset(index % width, width));
        (-(y * y + x * x) / 2.0).exp() as f32
    };
    Heatmap::new(height, width, (0..height * width).map(value).collect())
}

/// Luma of an image `(3, height, width)` in levels of 8 bits, one value for each pixel.
fn brightness(image: &[f32]) -> Vec<f32> {
    let plane = image.len() / 3;
    let level = |channel: usize, pixel: usize| (image[channel * plane + pixel] * 255.0).round();
    (0..plane)
        .map(|pixel| 0.299 * level(0, pixel) + 0.587 * level(1, pixel) + 0.114 * level(2, pixel))
        .collect()
}

/// `brightness` has `(height, width)` values, row by row.
fn edge_heatmap(height: usize, width: usize, brightness: &[f32]) -> Heatmap {
    assert_eq!(brightness.len(), height * width, "an image has a brightness for each pixel");
    let at = |y: usize, x: usize, down: isize, along: isize| {
        let [y, x] = [(y, down, height), (x, along, width)]
            .map(|(place, step, side)| place.saturating_add_signed(step).min(side - 1));
        f64::from(brightness[y * width + x])
    };
    let value = |index: usize| {
        let (y, x) = (index / width, index % width);
        let slope = |towards: &dyn Fn(isize, isize) -> (isize, isize)| -> f64 {
            let side = |sign: isize| {
                [(-1, 1.0), (0, 2.0), (1, 1.0)].map(|(across, weight)| {
                    let (down, along) = towards(sign, across);
                    weight * at(y, x, down, along)
                })
            };
            side(1).iter().sum::<f64>() - side(-1).iter().sum::<f64>()
        };
        slope(&|sign, across| (sign, across)).hypot(slope(&|sign, across| (across, sign))) as f32
    };
    Heatmap::new(height, width, (0..height * width).map(value).collect())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    use super::*;
    use crate::faithfulness::{mass_in_mask, pointing_score};
    use crate::testing::{Fixture, assert_close, explained, random_images};

    #[test]
    fn edges_are_scipys_sobel() {
        let written: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/fixtures/localisation.json")).unwrap();
        let edges = &written["edges"];
        let numbers = |key: &str| -> Vec<f32> { serde_json::from_value(edges[key].clone()).unwrap() };
        let found = edge_heatmap(6, 9, &numbers("grey"));
        assert_close(&found.values, &numbers("sobel"), 1e-5);
    }

    /// An image that is dark on the left and bright on the right of column 20.
    #[test]
    fn edges_are_where_the_image_changes() {
        let fixture = Fixture::load();
        let at = |i: usize| if i % 32 < 20 { 10.0 / 255.0 } else { 210.0 / 255.0 };
        let values: Vec<f32> = (0..3 * 32 * 32).map(at).collect();
        let images = Tensor::from_data(TensorData::new(values, [1, 3, 32, 32]), &Device::flex());
        let map = explained(&Edges, &fixture.resnet(), images, None).remove(0);
        for (index, &value) in map.values.iter().enumerate() {
            // Three rows with weights 1, 2 and 1, each of 200 levels.
            let expected = if [19, 20].contains(&(index % 32)) { 800.0 } else { 0.0 };
            assert!((value - expected).abs() < 1e-3, "at {index}: {value}");
        }
    }

    #[test]
    fn a_random_heatmap_belongs_to_its_image_in_any_batch() {
        let (resnet, images) = (Fixture::load().resnet(), random_images(3, 1));
        let all = explained(&Random, &resnet, images, None);
        assert_eq!(all[2], random_heatmap(32, 32, 0, 2));
        assert_eq!(explained(&Random, &resnet, random_images(1, 2), None)[0], all[0]);
    }

    #[test]
    fn random_heatmaps_score_the_objects_share() {
        let mask: Vec<bool> = (0..64).map(|i| i % 8 < 2).collect();
        let images = 4000;
        let (mut pointing, mut mass) = (0.0, 0.0);
        for image in 0..images {
            let heatmap = random_heatmap(8, 8, 5, image);
            pointing += pointing_score(&heatmap, &mask) / images as f64;
            mass += mass_in_mask(&heatmap, &mask) / images as f64;
        }
        // Standard error of the pointing score: √(0.25 · 0.75 / 4000) = 0.007.
        assert!((pointing - 0.25).abs() < 0.03, "{pointing}");
        assert!((mass - 0.25).abs() < 0.005, "{mass}");
        assert_eq!(random_heatmap(8, 8, 5, 1), random_heatmap(8, 8, 5, 1));
        assert_ne!(random_heatmap(8, 8, 5, 1), random_heatmap(8, 8, 5, 2));
        assert_ne!(random_heatmap(8, 8, 5, 1), random_heatmap(8, 8, 6, 1));
    }

    #[test]
    fn the_centre_heatmap_is_a_gaussian_about_the_centre() {
        let map = centre_heatmap(4, 8);
        let mut reversed = map.values.clone();
        reversed.reverse();
        assert_eq!(map.values, reversed);
        // Pixel (1, 2): half a quarter-side up of the centre, three quarters of one left of it.
        let expected = (-(0.5f64.powi(2) + 0.75f64.powi(2)) / 2.0).exp();
        assert!((f64::from(map.values[8 + 2]) - expected).abs() < 1e-7);
    }
}
