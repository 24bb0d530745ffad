//! Between tensors and plain numbers.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// The values of a tensor, last axis fastest.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data_as::<f32>().try_into_vec().expect("the data were just converted to f32")
}

/// Class indices as a tensor, `[batch]`.
pub(crate) fn class_indices(classes: &[usize], device: &Device) -> Tensor<1, Int> {
    let indices: Vec<i64> = classes.iter().map(|&class| class as i64).collect();
    Tensor::from_data(TensorData::new(indices, [classes.len()]), &device.clone().inner())
}

/// Splits values into equal rows, one an image.
pub(crate) fn per_image(values: &[f32], images: usize) -> impl Iterator<Item = &[f32]> {
    values.chunks_exact((values.len() / images.max(1)).max(1))
}
