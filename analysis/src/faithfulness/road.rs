//! ROAD, remove and debias (Rong et al., 2022): pixels are replaced by what their surroundings suggest, so that neither the colour nor
//! the outline of what is removed tells the model where it was.

use archaeo_random::{keyed_rng, standard_normal};

use super::perturbation::{Alteration, Answers, Explained, Perturbation, TENTHS, probability};
use super::{Asked, Metric, MetricInfo, Score};
use crate::attribution::Capability;
use crate::statistics::SHARE;
use crate::{AnalysisError, Paper};

/// Standard deviation of the noise on a replaced value.
const NOISE: f64 = 0.01;

/// Weight of a neighbour at a side, and of one at a corner (section 4.2).
const WEIGHTS: [(isize, isize, f64); 8] = [
    (0, 1, 1.0 / 6.0),
    (0, -1, 1.0 / 6.0),
    (1, 0, 1.0 / 6.0),
    (-1, 0, 1.0 / 6.0),
    (1, 1, 1.0 / 12.0),
    (1, -1, 1.0 / 12.0),
    (-1, 1, 1.0 / 12.0),
    (-1, -1, 1.0 / 12.0),
];

/// Residual, relative to the right side, at which a solution is good enough: far below the noise.
const TOLERANCE: f64 = 1e-6;

/// Mean of the class's softmax probability while 10 to 90 % of the pixels, the most relevant first, are replaced by noisy linear
/// imputation (MoRF order).
///
/// Each replaced value equals the weighted mean of its neighbours, 1/6 at the sides and 1/12 at the corners, replaced or not; at the
/// image's edge the weights of the neighbours that exist are scaled to sum to one. Gaussian noise is added afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Road;

static ROAD: MetricInfo = MetricInfo {
    id: "road",
    title: "ROAD",
    summary: "mean probability of the class while the most relevant pixels are imputed from their neighbours",
    higher_is_better: false,
    range: SHARE,
    judged: true,
    needs_mask: false,
    needs: &[Capability::Classes],
    passes: 9,
    curve: &TENTHS,
    paper: Paper { citation: "Rong et al., 2022", url: "https://arxiv.org/abs/2202.00449" },
};

impl Metric for Road {
    fn info(&self) -> &'static MetricInfo {
        &ROAD
    }

    fn measure(&self, asked: &Asked) -> Result<Vec<Vec<Score>>, AnalysisError> {
        Ok(scores(asked.evidence, &asked.explained()))
    }
}

pub(super) fn scores(model: &dyn Answers, explained: &Explained) -> Vec<Vec<Score>> {
    let altered = |alteration: &Alteration| imputed(alteration, NOISE);
    Perturbation { altered: &altered, least_first: false, ends: false, read: probability }
        .scores(model, explained)
}

/// One image for each count of removed pixels; each solution starts from the one before. The noise of a pixel belongs to the image
/// and the pixel.
pub(super) fn imputed(alteration: &Alteration, noise: f64) -> Vec<Vec<f32>> {
    let Alteration { original, size, order, counts, seed, image } = *alteration;
    let plane = size[0] * size[1];
    let mut rng = keyed_rng(seed, "ROAD noise", image, 0);
    let noise: Vec<f64> = (0..original.len()).map(|_| noise * standard_normal(&mut rng)).collect();
    let mut values: Vec<f64> = original.iter().map(|&value| f64::from(value)).collect();
    let mut removed = vec![false; plane];
    let (mut variants, mut done) = (Vec::with_capacity(counts.len()), 0);
    for &count in counts {
        order[done..count].iter().for_each(|&pixel| removed[pixel] = true);
        done = count;
        let system = System::new(size, &removed);
        values.chunks_exact_mut(plane).for_each(|channel| system.solve(channel));
        let value = |(place, &value): (usize, &f64)| match removed[place % plane] {
            true => (value + noise[place]) as f32,
            false => original[place],
        };
        variants.push(values.iter().enumerate().map(value).collect());
    }
    variants
}

/// The equations of the removed pixels: Σ over neighbours j of w_ij (x_i − x_j) = 0.
struct System {
    unknowns: Vec<usize>,
    /// Of each unknown the neighbouring unknowns, by their places in `unknowns`, and weights.
    among: Vec<Vec<(usize, f64)>>,
    /// The neighbouring pixels that are known.
    known: Vec<Vec<(usize, f64)>>,
    /// Sum of the weights of each unknown's neighbours.
    diagonal: Vec<f64>,
}

impl System {
    fn new([height, width]: [usize; 2], removed: &[bool]) -> Self {
        let unknowns: Vec<usize> = (0..removed.len()).filter(|pixel| removed[*pixel]).collect();
        let mut place = vec![usize::MAX; removed.len()];
        unknowns.iter().enumerate().for_each(|(i, &pixel)| place[pixel] = i);
        let (mut among, mut known, mut diagonal) = (Vec::new(), Vec::new(), Vec::new());
        for &pixel in &unknowns {
            let (row, column) = (pixel / width, pixel % width);
            let (mut unknown_here, mut known_here, mut sum) = (Vec::new(), Vec::new(), 0.0);
            for (down, right, weight) in WEIGHTS {
                let (Some(row), Some(column)) =
                    (row.checked_add_signed(down), column.checked_add_signed(right))
                else {
                    continue;
                };
                if row >= height || column >= width {
                    continue;
                }
                let neighbour = row * width + column;
                sum += weight;
                match removed[neighbour] {
                    true => unknown_here.push((place[neighbour], weight)),
                    false => known_here.push((neighbour, weight)),
                }
            }
            among.push(unknown_here);
            known.push(known_here);
            diagonal.push(sum);
        }
        Self { unknowns, among, known, diagonal }
    }

    /// Solves for one channel in place, by conjugate gradients from the values that are there, scaled by the diagonal (Hestenes &
    /// Stiefel, 1952). The matrix is symmetric, and positive definite as long as one pixel is known.
    fn solve(&self, channel: &mut [f64]) {
        let right: Vec<f64> = self
            .known
            .iter()
            .map(|near| near.iter().map(|&(pixel, weight)| weight * channel[pixel]).sum())
            .collect();
        let mut x: Vec<f64> = self.unknowns.iter().map(|&pixel| channel[pixel]).collect();
        let mut residual: Vec<f64> = self.times(&x).iter().zip(&right).map(|(ax, b)| b - ax).collect();
        let scaled = |residual: &[f64]| -> Vec<f64> {
            residual.iter().zip(&self.diagonal).map(|(r, diagonal)| r / diagonal).collect()
        };
        let mut z = scaled(&residual);
        let mut direction = z.clone();
        let mut product = dot(&residual, &z);
        let enough = TOLERANCE.powi(2) * dot(&right, &right);
        for _ in 0..self.unknowns.len() {
            if dot(&residual, &residual) <= enough {
                break;
            }
            let image = self.times(&direction);
            let step = product / dot(&direction, &image);
            for i in 0..x.len() {
                x[i] += step * direction[i];
                residual[i] -= step * image[i];
            }
            z = scaled(&residual);
            let next = dot(&residual, &z);
            let turn = next / product;
            product = next;
            direction.iter_mut().zip(&z).for_each(|(direction, z)| *direction = z + turn * *direction);
        }
        self.unknowns.iter().zip(x).for_each(|(&pixel, value)| channel[pixel] = value);
    }

    fn times(&self, x: &[f64]) -> Vec<f64> {
        let rows = self.among.iter().zip(&self.diagonal).zip(x);
        rows.map(|((near, diagonal), own)| {
            diagonal * own - near.iter().map(|&(place, weight)| weight * x[place]).sum::<f64>()
        })
        .collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(size: [usize; 2]) -> Vec<f32> {
        let plane = size[0] * size[1];
        (0..3 * plane).map(|i| (i % plane % size[1]) as f32 * 0.1 + (i / plane) as f32 * 0.05).collect()
    }

    fn without_noise(original: &[f32], size: [usize; 2], order: &[usize], counts: &[usize]) -> Vec<Vec<f32>> {
        imputed(&Alteration { original, size, order, counts, seed: 0, image: 0 }, 0.0)
    }

    /// A linear ramp is its own weighted mean away from the edges.
    #[test]
    fn a_ramp_is_restored() {
        let size = [9, 9];
        let original = ramp(size);
        let inner: Vec<usize> =
            (0..81).filter(|i| (2..7).contains(&(i / 9)) && (2..7).contains(&(i % 9))).collect();
        for variant in without_noise(&original, size, &inner, &[3, 12, 25]) {
            for (found, expected) in variant.iter().zip(&original) {
                assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
            }
        }
    }

    /// One pixel in a corner, one at a side: their neighbours' weights, scaled to sum to one.
    #[test]
    fn single_pixels_are_means_of_their_neighbours() {
        let size = [3, 3];
        let original: Vec<f32> = (0..27).map(|i| (i * i % 11) as f32 / 11.0).collect();
        let variants = without_noise(&original, size, &[0, 5], &[1]);
        let [side, corner] = [1.0 / 6.0, 1.0 / 12.0];
        let expected = (side * (original[1] + original[3]) + corner * original[4]) / (2.0 * side + corner);
        assert!((variants[0][0] - expected).abs() < 1e-6);
        assert_eq!(variants[0][1..9], original[1..9]);
        let variants = without_noise(&original, size, &[5], &[1]);
        let expected = (side * (original[2] + original[8] + original[4])
            + corner * (original[1] + original[7]))
            / (3.0 * side + 2.0 * corner);
        assert!((variants[0][5] - expected).abs() < 1e-6);
    }

    #[test]
    fn noise_belongs_to_its_pixel_and_has_its_size() {
        let size = [16, 16];
        let original = vec![0.5; 3 * 256];
        let order: Vec<usize> = (0..256).collect();
        let noisy = |counts: &[usize]| {
            imputed(
                &Alteration { original: &original, size, order: &order, counts, seed: 1, image: 7 },
                NOISE,
            )
        };
        let [few, many] = &noisy(&[100, 200])[..] else { panic!("two variants") };
        assert!(few[..100].iter().zip(&many[..100]).all(|(a, b)| (a - b).abs() < 1e-6));
        assert_eq!(few[100..256], original[100..256]);
        let spread = many[..200].iter().map(|v| f64::from(v - 0.5).powi(2)).sum::<f64>() / 200.0;
        assert!((spread.sqrt() - NOISE).abs() < 0.002, "{spread}");
    }
}
