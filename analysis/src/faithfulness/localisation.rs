//! Whether a heatmap finds the object: scores against the object's true mask.
//!
//! Methods have scales of their own, so that masses are compared only after one normalisation, the same for every heatmap
//! ([`Heatmap::unit_mass`]): negative values to zero, the minimum not subtracted, everything divided by the sum. A shift of a
//! heatmap still moves its mass; the scores by rank, [`auroc`] and [`average_precision`], do not change with any shift or
//! stretch.

use serde::{Deserialize, Serialize};

use crate::attribution::Heatmap;
use crate::statistics::average_ranks;

/// How one heatmap agrees with a mask.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskScores {
    /// Whether the heatmap is constant, so that it ranks nothing and scores as chance.
    pub constant: bool,
    /// [`mass_in_mask`].
    pub mass: f64,
    /// [`auroc`].
    pub auroc: f64,
    /// [`average_precision`].
    pub average_precision: f64,
    /// [`pointing_score`].
    pub pointing: f64,
}

impl MaskScores {
    /// Of a heatmap of any grid, brought to the mask's `[height, width]` bilinearly; `None` where the object covers all or
    /// nothing.
    ///
    /// # Panics
    /// If the mask has another size.
    pub fn of(heatmap: &Heatmap, mask: &[bool], [height, width]: [usize; 2]) -> Option<Self> {
        let heatmap = heatmap.resized(height, width);
        Some(Self {
            constant: heatmap.is_constant(),
            mass: mass_in_mask(&heatmap, mask),
            auroc: auroc(&heatmap, mask)?,
            average_precision: average_precision(&heatmap, mask)?,
            pointing: pointing_score(&heatmap, mask),
        })
    }
}

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

/// Share of the heatmap's mass ([`Heatmap::unit_mass`]) that lies on the object. A heatmap without positive values says
/// nothing and scores as a constant one: the object's share of the image.
///
/// # Panics
/// If mask and heatmap differ in size.
pub fn mass_in_mask(heatmap: &Heatmap, mask: &[bool]) -> f64 {
    check_size(heatmap, mask);
    let Some(masses) = heatmap.unit_mass() else { return object_share(mask) };
    masses.into_iter().zip(mask).filter(|(_, object)| **object).map(|(mass, _)| mass).sum()
}

/// Area under the ROC curve over pixels: the probability that a pixel of the object is hotter than one off it, equal ones
/// counting half (Mann & Whitney, 1947). 0.5 for a heatmap that knows nothing, constant ones included; `None` where the
/// object covers all or nothing.
///
/// # Panics
/// If mask and heatmap differ in size.
pub fn auroc(heatmap: &Heatmap, mask: &[bool]) -> Option<f64> {
    check_size(heatmap, mask);
    let objects = mask.iter().filter(|&&object| object).count() as f64;
    let others = mask.len() as f64 - objects;
    let values: Vec<f64> = heatmap.values.iter().map(|&value| f64::from(value)).collect();
    let ranks = average_ranks(&values).into_iter().zip(mask);
    let sum: f64 = ranks.filter(|(_, object)| **object).map(|(rank, _)| rank).sum();
    (objects > 0.0 && others > 0.0).then(|| (sum - objects * (objects + 1.0) / 2.0) / (objects * others))
}

/// Average precision over pixels: Σ (Rₖ − Rₖ₋₁) · Pₖ over the distinct values as thresholds, from the hottest, with precision
/// Pₖ and recall Rₖ of the pixels that are at least as hot; equal pixels enter together. The object's share for a constant
/// heatmap; `None` where the object covers all or nothing.
///
/// # Panics
/// If mask and heatmap differ in size.
pub fn average_precision(heatmap: &Heatmap, mask: &[bool]) -> Option<f64> {
    check_size(heatmap, mask);
    let objects = mask.iter().filter(|&&object| object).count();
    if objects == 0 || objects == mask.len() {
        return None;
    }
    let mut pixels: Vec<(f32, bool)> = heatmap.values.iter().copied().zip(mask.iter().copied()).collect();
    pixels.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut sum, mut hits, mut marked) = (0.0, 0usize, 0usize);
    // Compared with ==, so that 0 and −0 tie although `total_cmp` orders them.
    for tied in pixels.chunk_by(|a, b| a.0 == b.0) {
        let gained = tied.iter().filter(|(_, object)| *object).count();
        (hits, marked) = (hits + gained, marked + tied.len());
        sum += gained as f64 * hits as f64 / marked as f64;
    }
    Some(sum / objects as f64)
}

/// Share of the image that the object covers.
pub fn object_share(mask: &[bool]) -> f64 {
    mask.iter().filter(|&&object| object).count() as f64 / mask.len() as f64
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
    fn scores_are_those_of_brute_force_and_scipy_with_all_ties() {
        let written: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/fixtures/localisation.json")).unwrap();
        for case in written["cases"].as_array().unwrap() {
            let numbers = |key: &str| -> Vec<f32> { serde_json::from_value(case[key].clone()).unwrap() };
            let mask: Vec<bool> = serde_json::from_value(case["mask"].clone()).unwrap();
            let [height, width] = ["height", "width"].map(|key| case[key].as_u64().unwrap() as usize);
            let map = Heatmap::new(height, width, numbers("values"));
            for (name, found) in [
                ("auroc", auroc(&map, &mask).unwrap()),
                ("average_precision", average_precision(&map, &mask).unwrap()),
                ("mass", mass_in_mask(&map, &mask)),
            ] {
                let expected = case[name].as_f64().unwrap();
                assert!((found - expected).abs() < 1e-12, "{name}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn no_shift_or_stretch_changes_a_rank_and_a_shift_moves_mass() {
        let map = heatmap(&[3.0, 1.0, 0.5, 0.0, 2.0, 0.25]);
        let mask = [true, false, false, false, true, true];
        let moved = heatmap(&map.values.iter().map(|value| 4.0 * value + 8.0).collect::<Vec<_>>());
        assert_eq!(auroc(&map, &mask), auroc(&moved, &mask));
        assert_eq!(average_precision(&map, &mask), average_precision(&moved, &mask));
        assert!(mass_in_mask(&moved, &mask) < mass_in_mask(&map, &mask) - 0.1);
        // That is why a map is not stretched before its mass is measured.
        assert_ne!(mass_in_mask(&moved.min_max_scaled(), &mask), mass_in_mask(&moved, &mask));
        assert!((moved.unit_mass().unwrap().iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_heatmap_that_says_nothing_scores_as_chance_and_an_object_that_covers_all_is_not_scored() {
        let flat = heatmap(&[0.7; 4]);
        assert_eq!((auroc(&flat, &MASK), average_precision(&flat, &MASK)), (Some(0.5), Some(0.25)));
        for mask in [[true; 4], [false; 4]] {
            assert_eq!((auroc(&flat, &mask), average_precision(&flat, &mask)), (None, None));
        }
        assert_eq!(heatmap(&[0.0, -1.0, 0.0, 0.0]).unit_mass(), None);
    }
}
