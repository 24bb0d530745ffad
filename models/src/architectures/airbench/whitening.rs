//! A first layer that makes 2×2 patches of images uncorrelated.

use archaeo_ops::{Convolution, Precision, conv2d};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::layers::zeros;
use crate::state::Array;

/// Side of a patch.
const SIDE: usize = 2;

/// Values of a patch.
const VALUES: usize = 3 * SIDE * SIDE;

/// Added to the variances, so that a component with almost none is not blown up.
const EPSILON: f64 = 5e-4;

/// A convolution whose kernels are the principal components of 2×2 patches of the training images, divided by their standard deviations,
/// and the same negated (Jordan, 2024, section 3.2). The kernels are set before the first step and not trained; the bias is.
#[derive(Module, Debug)]
pub struct Whitening {
    /// `[24, 3, 2, 2]`
    pub weight: Param<Tensor<4>>,
    /// `[24]`
    pub bias: Param<Tensor<1>>,
}

impl Whitening {
    /// Channels.
    pub const WIDTH: usize = 2 * VALUES;

    /// Pixels of training images that the kernels are computed from: 5,000 images of 32 px.
    pub const PIXELS: usize = 5000 * 32 * 32;

    pub(super) fn new(device: &Device) -> Self {
        Self {
            weight: zeros([Self::WIDTH, 3, SIDE, SIDE], device).set_require_grad(false),
            bias: zeros([Self::WIDTH], device),
        }
    }

    /// `[batch, 3, height, width]` → `[batch, 24, height − 1, width − 1]`
    pub(super) fn forward(&self, images: Tensor<4>, precision: Precision) -> Tensor<4> {
        let geometry = Convolution { stride: 1, padding: 0, groups: 1 };
        conv2d(images, self.weight.val(), Some(self.bias.val()), geometry, precision)
    }

    /// The kernels for normalised images, `[n, 3, height, width]`. The sums run in the order of the images.
    pub(super) fn weight_for(images: Tensor<4>) -> Array {
        let [count, channels, height, width] = images.dims();
        let pixels: Vec<f32> = images.into_data().try_into_vec().expect("a tensor of 32-bit floats");
        let plane = height * width;
        let mut products = [[0.0; VALUES]; VALUES];
        let mut patch = [0.0; VALUES];
        for image in pixels.chunks_exact(channels * plane) {
            for (row, column) in
                (0..height - 1).flat_map(|row| (0..width - 1).map(move |column| (row, column)))
            {
                for (at, value) in patch.iter_mut().enumerate() {
                    let [channel, y, x] = [at / (SIDE * SIDE), at / SIDE % SIDE, at % SIDE];
                    *value = f64::from(image[channel * plane + (row + y) * width + column + x]);
                }
                for (products, &value) in products.iter_mut().zip(&patch) {
                    products.iter_mut().zip(&patch).for_each(|(sum, other)| *sum += value * other);
                }
            }
        }
        let patches = (count * (height - 1) * (width - 1)) as f64;
        products.as_flattened_mut().iter_mut().for_each(|sum| *sum /= patches);
        let (variances, components) = eigen(products);
        let kernels = components.iter().zip(variances).flat_map(|(component, variance)| {
            let deviation = (variance.max(0.0) + EPSILON).sqrt();
            component.map(|value| (value / deviation) as f32)
        });
        let kernels: Vec<f32> = kernels.collect();
        let values = kernels.iter().copied().chain(kernels.iter().map(|value| -value)).collect();
        Array { shape: vec![Self::WIDTH, 3, SIDE, SIDE], values }
    }
}

/// Eigenvalues of a symmetric matrix, the largest first, and their eigenvectors of length 1, each with a positive value where it is
/// largest (Jacobi's cyclic rotations; Golub and Van Loan, 2013, section 8.5).
fn eigen<const N: usize>(mut matrix: [[f64; N]; N]) -> ([f64; N], [[f64; N]; N]) {
    // Row i is the i-th eigenvector.
    let mut vectors: [[f64; N]; N] =
        std::array::from_fn(|row| std::array::from_fn(|column| f64::from(u8::from(row == column))));
    let total = |matrix: &[[f64; N]; N]| matrix.as_flattened().iter().map(|value| value * value).sum::<f64>();
    let outside =
        |matrix: &[[f64; N]; N]| total(matrix) - (0..N).map(|at| matrix[at][at].powi(2)).sum::<f64>();
    let small = 1e-28 * total(&matrix);
    // It converges quadratically: a dozen sweeps are more than any matrix takes.
    for _ in 0..50 {
        if outside(&matrix) <= small {
            break;
        }
        for (p, q) in (0..N).flat_map(|p| (p + 1..N).map(move |q| (p, q))) {
            if matrix[p][q] == 0.0 {
                continue;
            }
            let tau = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
            let tangent = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
            let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
            let sine = tangent * cosine;
            let rotated = |a: f64, b: f64| [cosine * a - sine * b, sine * a + cosine * b];
            for row in &mut matrix {
                [row[p], row[q]] = rotated(row[p], row[q]);
            }
            for rows in [&mut matrix, &mut vectors] {
                let [first, second] = rows.get_disjoint_mut([p, q]).expect("p is less than q");
                first.iter_mut().zip(second).for_each(|(a, b)| [*a, *b] = rotated(*a, *b));
            }
        }
    }
    let mut order: [usize; N] = std::array::from_fn(|at| at);
    order.sort_by(|&a, &b| matrix[b][b].total_cmp(&matrix[a][a]));
    let signed = |vector: [f64; N]| {
        let largest = vector
            .into_iter()
            .fold(0.0, |kept: f64, value| if value.abs() > kept.abs() + 1e-9 { value } else { kept });
        vector.map(|value| value * largest.signum())
    };
    (order.map(|at| matrix[at][at]), order.map(|at| signed(vectors[at])))
}

#[cfg(test)]
mod tests {
    use archaeo_random::{keyed_rng, standard_normal};
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn a_matrix_is_made_of_its_eigenvectors() {
        let mut rng = keyed_rng(0, "matrix", 0, 0);
        let root: [[f64; 6]; 6] = std::array::from_fn(|_| std::array::from_fn(|_| standard_normal(&mut rng)));
        let dot = |a: &[f64; 6], b: &[f64; 6]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let matrix: [[f64; 6]; 6] = std::array::from_fn(|i| std::array::from_fn(|j| dot(&root[i], &root[j])));
        let (values, vectors) = eigen(matrix);
        assert!(values.is_sorted_by(|a, b| a >= b) && values[5] > 0.0);
        for (i, j) in (0..6).flat_map(|i| (0..6).map(move |j| (i, j))) {
            let expected = f64::from(u8::from(i == j));
            assert!((dot(&vectors[i], &vectors[j]) - expected).abs() < 1e-12, "orthonormal");
            let sum: f64 = (0..6).map(|k| values[k] * vectors[k][i] * vectors[k][j]).sum();
            assert!((sum - matrix[i][j]).abs() < 1e-10, "{i}, {j}");
        }
        // Closed form: 3 and 1 with (1, 1) / √2 and (1, −1) / √2.
        let (values, vectors) = eigen([[2.0, 1.0], [1.0, 2.0]]);
        assert!((values[0] - 3.0).abs() < 1e-14 && (values[1] - 1.0).abs() < 1e-14);
        let half = 0.5_f64.sqrt();
        assert!(
            vectors.as_flattened().iter().zip([half, half, half, -half]).all(|(a, b)| (a - b).abs() < 1e-14)
        );
        assert_eq!(eigen([[0.0; 3]; 3]).0, [0.0; 3]);
    }

    #[test]
    fn patches_come_out_uncorrelated_and_of_variance_one() {
        let mut rng = keyed_rng(1, "images", 0, 0);
        let (count, side) = (40, 9);
        let plane = side * side;
        // Neighbours and channels go together, as in photographs.
        let mut pixels = Vec::new();
        for _ in 0..count {
            let grey: Vec<f64> = (0..plane).map(|_| standard_normal(&mut rng)).collect();
            for _ in 0..3 {
                let near = |at: usize| grey[at] + if at.is_multiple_of(side) { 0.0 } else { grey[at - 1] };
                pixels.extend((0..plane).map(|at| (near(at) + 0.3 * standard_normal(&mut rng)) as f32));
            }
        }
        let device = Device::flex();
        let images = Tensor::<4>::from_data(TensorData::new(pixels, [count, 3, side, side]), &device);
        let Array { shape, values } = Whitening::weight_for(images.clone());
        let mut layer = Whitening::new(&device);
        let weight = Tensor::<4>::from_data(TensorData::new(values.clone(), [24, 3, 2, 2]), &device);
        layer.weight = Param::from_tensor(weight);
        assert_eq!(shape, [24, 3, 2, 2]);
        assert!(
            values[..144].iter().zip(&values[144..]).all(|(a, b)| *a == -b),
            "the second half is the first negated"
        );
        let map = layer.forward(images, Precision::F32);
        let places = (side - 1) * (side - 1);
        let out: Vec<f32> = map.into_data().try_into_vec().unwrap();
        let of = |channel: usize| {
            (0..count).flat_map(move |image| (0..places).map(move |at| (image * 24 + channel) * places + at))
        };
        for (i, j) in (0..12).flat_map(|i| (0..12).map(move |j| (i, j))) {
            let products = of(i).zip(of(j)).map(|(a, b)| f64::from(out[a]) * f64::from(out[b]));
            let mean = products.sum::<f64>() / (count * places) as f64;
            // The smallest variance is about 0.09, of which EPSILON takes half a per cent.
            let expected = f64::from(u8::from(i == j));
            assert!((mean - expected).abs() < 0.01, "{i}, {j}: {mean}");
        }
    }
}
