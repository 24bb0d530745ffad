//! Images `[batch, channels, height, width]` as networks expect them.

use burn::tensor::{Tensor, TensorData};

use crate::kernels;

/// `(images − mean) / deviation` by channel.
///
/// # Shapes
/// `[batch, C, height, width]` → the same
pub fn standardise<const C: usize>(images: Tensor<4>, mean: [f32; C], deviation: [f32; C]) -> Tensor<4> {
    let device = images.device();
    if kernels::serve(&device) {
        return kernels::standardise(images, mean.to_vec(), deviation.to_vec());
    }
    let channel =
        |values: [f32; C]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), [1, C, 1, 1]), &device);
    (images - channel(mean)) / channel(deviation)
}

/// Non-overlapping square patches in reading order, each as a row of its numbers in the order (channel, row, column).
///
/// # Shapes
/// `[batch, channels, height, width]` → `[batch, height · width / patch², channels · patch²]`
///
/// # Panics
/// If `patch` does not divide height and width.
pub fn patches(images: Tensor<4>, patch: usize) -> Tensor<3> {
    if kernels::serve(&images.device()) {
        return kernels::patches(images, patch);
    }
    let [batch, channels, height, width] = images.dims();
    let (rows, columns) = (height / patch, width / patch);
    let parts = images.reshape([batch, channels, rows, patch, columns, patch]).permute([0, 2, 4, 1, 3, 5]);
    parts.reshape([batch, rows * columns, channels * patch * patch])
}
