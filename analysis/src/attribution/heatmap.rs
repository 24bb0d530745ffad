//! Heatmaps: one number a place, and how they are scaled, resized and compared.

use serde::{Deserialize, Serialize};

use crate::statistics::rank_coefficient;

/// Relative difference below which two values of a heatmap are the same: what sums over all tokens leave of equal ones in 32
/// bits.
const ROUNDING: f32 = 1e-6;

/// One number a place, larger where a method sees more relevance. The scale is the method's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heatmap {
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
    /// `(height, width)` values, row by row.
    pub values: Vec<f32>,
}

impl Heatmap {
    /// # Panics
    /// If there are not `height · width` values, or one of them is not finite.
    pub fn new(height: usize, width: usize, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), height * width, "a {height} × {width} heatmap needs as many values");
        assert!(values.iter().all(|value| value.is_finite()), "a heatmap needs finite values");
        Self { height, width, values }
    }

    /// The mean of several of one size; `None` of none.
    ///
    /// # Panics
    /// If they differ in size.
    pub fn mean<'a>(maps: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut maps = maps.into_iter();
        let first = maps.next()?;
        let (height, width) = (first.height, first.width);
        let mut sums: Vec<f64> = first.values.iter().copied().map(f64::from).collect();
        let mut count = 1.0;
        for map in maps {
            assert_eq!((map.height, map.width), (height, width), "heatmaps of one size are averaged");
            sums.iter_mut().zip(&map.values).for_each(|(sum, value)| *sum += f64::from(*value));
            count += 1.0;
        }
        Some(Self { height, width, values: sums.into_iter().map(|sum| (sum / count) as f32).collect() })
    }

    /// Divided by the mean over its places: 1 is what each place has when all have the same. Zeros stay zeros.
    pub fn over_even(&self) -> Self {
        let sum: f64 = self.values.iter().copied().map(f64::from).sum();
        let even = sum / self.values.len() as f64;
        let share = |value: &f32| if even > 0.0 { (f64::from(*value) / even) as f32 } else { 0.0 };
        Self { values: self.values.iter().map(share).collect(), ..*self }
    }

    /// Stretched from 0 to (almost) 1: `(v − min) / (1e-7 + max(v − min))`; a constant heatmap becomes zeros.
    pub fn min_max_scaled(&self) -> Self {
        let min = self.values.iter().copied().fold(f32::INFINITY, f32::min);
        let range = self.values.iter().map(|value| value - min).fold(0.0, f32::max);
        let values = self.values.iter().map(|value| (value - min) / (1e-7 + range)).collect();
        Self { values, ..*self }
    }

    /// As a distribution over places: negative values to zero, the rest divided by its sum. The minimum is not subtracted,
    /// for that would take away what a method gives to all places alike. `None` without any positive value.
    pub fn unit_mass(&self) -> Option<Vec<f64>> {
        let positive = || self.values.iter().map(|&value| f64::from(value.max(0.0)));
        let sum: f64 = positive().sum();
        (sum > 0.0).then(|| positive().map(|value| value / sum).collect())
    }

    /// Whether all places have the same value but for rounding: such a heatmap ranks nothing.
    pub fn is_constant(&self) -> bool {
        let bound = |start: f32, pick: fn(f32, f32) -> f32| self.values.iter().copied().fold(start, pick);
        let (low, high) = (bound(f32::INFINITY, f32::min), bound(f32::NEG_INFINITY, f32::max));
        high - low <= ROUNDING * low.abs().max(high.abs())
    }

    /// Bilinear interpolation between the centres of pixels, edges extended: PyTorch's `interpolate(mode="bilinear",
    /// align_corners=False)`. It does not smooth when it shrinks.
    pub fn resized(&self, height: usize, width: usize) -> Self {
        let rows: Vec<_> = (0..height).map(|y| neighbours(y, height, self.height)).collect();
        let columns: Vec<_> = (0..width).map(|x| neighbours(x, width, self.width)).collect();
        let at = |row: usize, column: usize| f64::from(self.values[row * self.width + column]);
        let mut values = Vec::with_capacity(height * width);
        for &(top, bottom, down) in &rows {
            for &(left, right, along) in &columns {
                let upper = at(top, left) * (1.0 - along) + at(top, right) * along;
                let lower = at(bottom, left) * (1.0 - along) + at(bottom, right) * along;
                values.push((upper * (1.0 - down) + lower * down) as f32);
            }
        }
        Self { height, width, values }
    }
}

/// The two source pixels around the centre of target pixel `index`, and the weight of the second.
fn neighbours(index: usize, target: usize, source: usize) -> (usize, usize, f64) {
    let position = ((index as f64 + 0.5) * source as f64 / target as f64 - 0.5).max(0.0);
    let first = (position as usize).min(source - 1);
    (first, (first + 1).min(source - 1), position - first as f64)
}

/// Spearman's rank correlation of two heatmaps of one size; `None` where one of them is constant and ranks nothing.
/// Neighbouring pixels are no independent observations, so there is neither an interval nor a p-value: form those over
/// images.
///
/// # Panics
/// If the heatmaps differ in size.
pub fn rank_correlation(first: &Heatmap, second: &Heatmap) -> Option<f64> {
    assert_eq!(
        (first.height, first.width),
        (second.height, second.width),
        "heatmaps of one size are compared"
    );
    if first.is_constant() || second.is_constant() {
        return None;
    }
    let numbers = |map: &Heatmap| map.values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    rank_coefficient(&numbers(first), &numbers(second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, assert_close};

    #[test]
    fn resizing_is_pytorchs() {
        let fixture = Fixture::load();
        let source = Heatmap::new(3, 5, fixture.values("resize_input").to_vec());
        for (height, width) in [(7, 10), (2, 2), (12, 5)] {
            let expected = fixture.values(&format!("resize_{height}_{width}"));
            assert_close(&source.resized(height, width).values, expected, 1e-6);
        }
        assert_eq!(source.resized(3, 5), source);
    }

    #[test]
    fn scaling_goes_from_zero_to_one_and_leaves_a_constant_at_zero() {
        let scaled = Heatmap::new(1, 3, vec![-2.0, 0.0, 6.0]).min_max_scaled();
        assert_close(&scaled.values, &[0.0, 0.25, 1.0], 1e-6);
        assert_eq!(Heatmap::new(1, 2, vec![7.0; 2]).min_max_scaled().values, [0.0; 2]);
    }

    #[test]
    fn means_are_over_maps_and_shares_over_places() {
        let maps = [[1.0, 2.0], [3.0, 6.0]].map(|values| Heatmap::new(1, 2, values.to_vec()));
        let mean = Heatmap::mean(&maps).unwrap();
        assert_eq!((mean.height, mean.width, &mean.values[..]), (1, 2, &[2.0, 4.0][..]));
        assert!(Heatmap::mean([]).is_none());
        assert_eq!(Heatmap::new(1, 4, vec![0.0, 0.5, 0.5, 1.0]).over_even().values, [0.0, 1.0, 1.0, 2.0]);
        assert_eq!(Heatmap::new(1, 2, vec![0.0; 2]).over_even().values, [0.0; 2]);
    }

    #[test]
    fn agreement_sees_order_alone() {
        let map = Heatmap::new(2, 3, vec![0.1, 0.5, 0.2, 0.9, 0.4, 0.3]);
        let squared = Heatmap::new(2, 3, map.values.iter().map(|v| v * v).collect());
        let negated = Heatmap::new(2, 3, map.values.iter().map(|v| -v).collect());
        assert!((rank_correlation(&map, &squared).unwrap() - 1.0).abs() < 1e-12);
        assert!((rank_correlation(&map, &negated).unwrap() + 1.0).abs() < 1e-12);
        let constant = Heatmap::new(2, 3, vec![1.0; 6]);
        assert_eq!(rank_correlation(&map, &constant), None);
        assert!(constant.is_constant() && !map.is_constant());
        let rounded = Heatmap::new(2, 3, vec![1.0, 1.0, 1.0 + f32::EPSILON, 1.0, 1.0 - f32::EPSILON, 1.0]);
        assert_eq!(rank_correlation(&map, &rounded), None, "rounding ranks nothing");
    }
}
