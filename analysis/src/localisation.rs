//! Whether a heatmap finds the object: scores against the object's true mask, and heatmaps that know nothing.

use archaeo_models::random::keyed_rng;
use rand::RngExt;

use crate::heatmap::Heatmap;

/// Pointing game (Zhang et al., 2018, section 4.2) without tolerance: 1 if the hottest pixel lies on the object, 0 if not.
///
/// Where several pixels are equally hot, the expected score of picking one of them at random: the share of them on the
/// object. A constant heatmap therefore scores the object's share of the image.
///
/// # Panics
/// If mask and heatmap differ in size.
pub fn pointing_score(heatmap: &Heatmap, mask: &[bool]) -> f64 {
    check_size(heatmap, mask);
    let hottest = heatmap.values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut hits, mut ties) = (0usize, 0usize);
    for (&value, &object) in heatmap.values.iter().zip(mask) {
        if value == hottest {
            ties += 1;
            hits += usize::from(object);
        }
    }
    hits as f64 / ties as f64
}

/// Share of the heatmap's positive mass that lies on the object. A heatmap without positive mass says nothing and scores as
/// a constant one: the object's share of the image.
///
/// # Panics
/// If mask and heatmap differ in size.
pub fn mass_in_mask(heatmap: &Heatmap, mask: &[bool]) -> f64 {
    check_size(heatmap, mask);
    let (mut inside, mut total) = (0.0, 0.0);
    for (&value, &object) in heatmap.values.iter().zip(mask) {
        let mass = f64::from(value.max(0.0));
        total += mass;
        inside += if object { mass } else { 0.0 };
    }
    if total > 0.0 { inside / total } else { object_share(mask) }
}

/// Share of the image that the object covers.
pub fn object_share(mask: &[bool]) -> f64 {
    mask.iter().filter(|&&object| object).count() as f64 / mask.len() as f64
}

/// Independent uniform values, from a generator keyed by (seed, image): the heatmap to beat.
pub fn random_heatmap(height: usize, width: usize, seed: u64, image: u64) -> Heatmap {
    let mut rng = keyed_rng(seed, "random heatmap", image, 0);
    Heatmap::new(height, width, (0..height * width).map(|_| rng.random::<f32>()).collect())
}

/// A Gaussian at the centre with a standard deviation of a quarter of each side: what photographers' habit alone gives.
pub fn centre_heatmap(height: usize, width: usize) -> Heatmap {
    let offset = |index: usize, side: usize| ((index as f64 + 0.5) / side as f64 - 0.5) / 0.25;
    let value = |index: usize| {
        let (y, x) = (offset(index / width, height), offset(index % width, width));
        (-(y * y + x * x) / 2.0).exp() as f32
    };
    Heatmap::new(height, width, (0..height * width).map(value).collect())
}

fn check_size(heatmap: &Heatmap, mask: &[bool]) {
    assert_eq!(heatmap.values.len(), mask.len(), "a mask needs one entry for each pixel of the heatmap");
    assert!(!mask.is_empty(), "an image without pixels cannot be scored");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heatmap(values: &[f32]) -> Heatmap {
        Heatmap::new(2, values.len() / 2, values.to_vec())
    }

    const MASK: [bool; 4] = [true, false, false, false];

    #[test]
    fn the_hottest_pixel_decides_and_ties_share() {
        assert_eq!(pointing_score(&heatmap(&[0.9, 0.1, 0.2, 0.3]), &MASK), 1.0);
        assert_eq!(pointing_score(&heatmap(&[0.2, 0.1, 0.2, 0.3]), &MASK), 0.0);
        assert_eq!(pointing_score(&heatmap(&[0.5, 0.1, 0.5, 0.3]), &MASK), 0.5);
        assert_eq!(pointing_score(&heatmap(&[0.0; 4]), &MASK), 0.25);
    }

    #[test]
    fn mass_counts_positive_values_only() {
        assert_eq!(mass_in_mask(&heatmap(&[3.0, 1.0, 0.0, -5.0]), &MASK), 0.75);
        assert_eq!(mass_in_mask(&heatmap(&[0.0, -1.0, 0.0, 0.0]), &MASK), 0.25);
        assert_eq!(mass_in_mask(&heatmap(&[1.0; 4]), &MASK), object_share(&MASK));
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
