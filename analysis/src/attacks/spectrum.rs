//! Which spatial frequencies a perturbation is made of, and what is left of an image when some are taken away.
//!
//! Frequencies are those of the discrete cosine transform (DCT-II, orthonormal), which needs no periodic edges. Coefficient (u, v) of a plane
//! of `height` × `width` has the radial frequency hypot(u / height, v / width), in units of the Nyquist frequency along an axis: 0 is the
//! mean, 1 the finest stripes, √2 the finest checks (Yin et al., 2019, with Fourier's transform).

use rayon::prelude::*;

use super::cosine::Cosine;

/// Finest frequency.
const FINEST: f64 = std::f64::consts::SQRT_2;

/// The transform of planes of one size.
#[derive(Clone, Debug)]
pub struct Spectrum {
    height: usize,
    width: usize,
    rows: Cosine,
    columns: Cosine,
}

impl Spectrum {
    /// Of planes of this size.
    ///
    /// # Panics
    /// A size of 0.
    pub fn new(height: usize, width: usize) -> Self {
        let [rows, columns] = [height, width].map(|size| Cosine::first(size, size));
        Self { height, width, rows, columns }
    }

    /// Share of the power of the planes in `values` in each of `bands` bands of equal width from 0 to √2; nothing everywhere for
    /// values that are all 0.
    ///
    /// # Panics
    /// Values that are not whole planes.
    pub fn power(&self, values: &[f32], bands: usize) -> Vec<f64> {
        let mut power = vec![0.0; bands];
        for plane in self.planes(values) {
            for (place, coefficient) in self.forward(plane).into_iter().enumerate() {
                let band = (self.frequency(place) / FINEST * bands as f64) as usize;
                power[band.min(bands - 1)] += coefficient * coefficient;
            }
        }
        let total: f64 = power.iter().sum();
        if total > 0.0 {
            power.iter_mut().for_each(|share| *share /= total);
        }
        power
    }

    /// The power of white noise, whose coefficients are all alike: what [`Spectrum::power`] is compared with.
    pub fn white(&self, bands: usize) -> Vec<f64> {
        let mut counts = vec![0.0; bands];
        for place in 0..self.height * self.width {
            let band = (self.frequency(place) / FINEST * bands as f64) as usize;
            counts[band.min(bands - 1)] += 1.0 / (self.height * self.width) as f64;
        }
        counts
    }

    /// Mean frequency, weighted by power; `None` for values that are all 0.
    ///
    /// # Panics
    /// As [`Spectrum::power`].
    pub fn mean_frequency(&self, values: &[f32]) -> Option<f64> {
        let (mut sum, mut total) = (0.0, 0.0);
        for plane in self.planes(values) {
            for (place, coefficient) in self.forward(plane).into_iter().enumerate() {
                sum += self.frequency(place) * coefficient * coefficient;
                total += coefficient * coefficient;
            }
        }
        (total > 0.0).then(|| sum / total)
    }

    /// The planes with the frequencies that `keep` says, and their means in any case; values are cut to [0, 1].
    ///
    /// # Panics
    /// As [`Spectrum::power`].
    pub fn filtered(&self, values: &[f32], keep: impl Fn(f64) -> bool + Sync) -> Vec<f32> {
        let planes: Vec<&[f32]> = self.planes(values).collect();
        let filtered = planes.into_par_iter().flat_map_iter(|plane| {
            let mut coefficients = self.forward(plane);
            for (place, coefficient) in coefficients.iter_mut().enumerate().skip(1) {
                if !keep(self.frequency(place)) {
                    *coefficient = 0.0;
                }
            }
            let plane = self.backward(&coefficients);
            plane.into_iter().map(|value| value.clamp(0.0, 1.0) as f32)
        });
        filtered.collect()
    }

    fn planes<'a>(&self, values: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        let size = self.height * self.width;
        assert!(values.len().is_multiple_of(size), "values of whole planes are needed");
        values.chunks_exact(size)
    }

    /// Radial frequency of a coefficient.
    fn frequency(&self, place: usize) -> f64 {
        let (row, column) = (place / self.width, place % self.width);
        (row as f64 / self.height as f64).hypot(column as f64 / self.width as f64)
    }

    fn forward(&self, plane: &[f32]) -> Vec<f64> {
        let plane: Vec<f64> = plane.iter().map(|&value| f64::from(value)).collect();
        let (height, width) = (self.height, self.width);
        let mut across = vec![0.0; height * width];
        for (values, found) in plane.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
            for (wave, found) in self.columns.waves().zip(found) {
                *found = wave.iter().zip(values).map(|(wave, value)| wave * value).sum();
            }
        }
        let mut found = vec![0.0; height * width];
        for (wave, found) in self.rows.waves().zip(found.chunks_exact_mut(width)) {
            for (weight, values) in wave.iter().zip(across.chunks_exact(width)) {
                found.iter_mut().zip(values).for_each(|(found, value)| *found += weight * value);
            }
        }
        found
    }

    fn backward(&self, coefficients: &[f64]) -> Vec<f64> {
        let (height, width) = (self.height, self.width);
        let mut down = vec![0.0; height * width];
        for (wave, coefficients) in self.rows.waves().zip(coefficients.chunks_exact(width)) {
            for (weight, found) in wave.iter().zip(down.chunks_exact_mut(width)) {
                found.iter_mut().zip(coefficients).for_each(|(found, value)| *found += weight * value);
            }
        }
        let mut found = vec![0.0; height * width];
        for (coefficients, found) in down.chunks_exact(width).zip(found.chunks_exact_mut(width)) {
            for (wave, coefficient) in self.columns.waves().zip(coefficients) {
                found.iter_mut().zip(wave).for_each(|(found, wave)| *found += coefficient * wave);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use archaeo_random::{keyed_rng, standard_normal};

    use super::*;

    fn noise(count: usize) -> Vec<f32> {
        let mut rng = keyed_rng(2, "spectrum", 0, 0);
        (0..count).map(|_| 0.1 * standard_normal(&mut rng) as f32).collect()
    }

    /// A stripe of one frequency has all its power there, and power is that of the values (Parseval).
    #[test]
    fn a_wave_has_one_frequency() {
        let spectrum = Spectrum::new(16, 24);
        for (down, across) in [(0, 6), (4, 0), (8, 12), (15, 23)] {
            let wave = |y: usize, x: usize| {
                let cosine = |k: usize, at: usize, n: usize| {
                    (std::f64::consts::PI * k as f64 * (at as f64 + 0.5) / n as f64).cos()
                };
                (cosine(down, y, 16) * cosine(across, x, 24)) as f32
            };
            let values: Vec<f32> =
                (0..16).flat_map(|y| (0..24).map(move |x| (y, x))).map(|(y, x)| wave(y, x)).collect();
            let frequency = (down as f64 / 16.0).hypot(across as f64 / 24.0);
            assert!((spectrum.mean_frequency(&values).unwrap() - frequency).abs() < 1e-6);
            let power = spectrum.power(&values, 8);
            assert!(power[((frequency / FINEST * 8.0) as usize).min(7)] > 1.0 - 1e-9, "{power:?}");
        }
        let values = noise(16 * 24);
        let own: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
        let of_coefficients: f64 = spectrum.forward(&values).iter().map(|value| value * value).sum();
        assert!((own - of_coefficients).abs() < 1e-9 * own);
        assert_eq!(spectrum.mean_frequency(&vec![0.0; 16 * 24]), None);
    }

    #[test]
    fn white_noise_is_white() {
        let spectrum = Spectrum::new(32, 32);
        let found = spectrum.power(&noise(30 * 32 * 32), 8);
        for (found, expected) in found.iter().zip(spectrum.white(8)) {
            assert!((found - expected).abs() < 0.01, "{found} {expected}");
        }
        assert!((spectrum.white(8).iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_low_and_what_is_high_make_the_image() {
        let spectrum = Spectrum::new(16, 16);
        let image: Vec<f32> = noise(3 * 256).iter().map(|value| 0.5 + value / 4.0).collect();
        let all = spectrum.filtered(&image, |_| true);
        assert!(all.iter().zip(&image).all(|(a, b)| (a - b).abs() < 1e-6));
        let (low, high) = (spectrum.filtered(&image, |f| f < 0.5), spectrum.filtered(&image, |f| f >= 0.5));
        for plane in 0..3 {
            let of = |values: &[f32]| values[plane * 256..][..256].to_vec();
            let mean = of(&image).iter().sum::<f32>() / 256.0;
            for ((low, high), image) in of(&low).iter().zip(of(&high)).zip(of(&image)) {
                assert!((low + high - mean - image).abs() < 1e-5);
            }
        }
        assert!(spectrum.mean_frequency(&low.iter().map(|v| v - 0.5).collect::<Vec<_>>()).unwrap() < 0.5);
    }
}
