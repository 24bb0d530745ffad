//! Between tensors and plain numbers.

use burn::tensor::{Int, Tensor, TensorData};

/// The values of a tensor, last axis fastest.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data_as::<f32>().try_into_vec().expect("the data were just converted to f32")
}

/// One class an image as a tensor, `[batch]`, to go with `logits`.
///
/// # Panics
/// If there is not one class for each row of `logits`, or a class has no logit.
pub(crate) fn class_indices(classes: &[usize], logits: &Tensor<2>) -> Tensor<1, Int> {
    let [batch, count] = logits.dims();
    assert_eq!(classes.len(), batch, "one class an image is needed");
    assert!(classes.iter().all(|&class| class < count), "a class is not among the model's {count}");
    let indices: Vec<i64> = classes.iter().map(|&class| class as i64).collect();
    Tensor::from_data(TensorData::new(indices, [batch]), &logits.device().inner())
}

/// Splits values into equal rows, one an image.
pub(crate) fn per_image(values: &[f32], images: usize) -> impl Iterator<Item = &[f32]> {
    values.chunks_exact((values.len() / images.max(1)).max(1))
}
