//! Between tensors and plain numbers.

use burn::tensor::{Int, Tensor, TensorData};

/// The values of a tensor, last axis fastest.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data_as::<f32>().try_into_vec().expect("the data were just converted to f32")
}

/// `of` each value of `x` and of `y`, which is repeated to the length of `x`: in one pass, outside any gradient graph.
pub(crate) fn combined<const D: usize>(
    x: Tensor<D>,
    y: Tensor<D>,
    of: impl Fn(f32, f32) -> f32,
) -> Tensor<D> {
    let (shape, device) = (x.dims(), x.device());
    let (mut x, y) = (values(x), values(y));
    for x in x.chunks_mut(y.len().max(1)) {
        x.iter_mut().zip(&y).for_each(|(x, y)| *x = of(*x, *y));
    }
    Tensor::from_data(TensorData::new(x, shape), &device)
}

/// `of` each value: in one pass, outside any gradient graph.
pub(crate) fn mapped<const D: usize>(x: Tensor<D>, of: impl Fn(f32) -> f32) -> Tensor<D> {
    let (shape, device) = (x.dims(), x.device());
    let mut x = values(x);
    x.iter_mut().for_each(|x| *x = of(*x));
    Tensor::from_data(TensorData::new(x, shape), &device)
}

/// `x` moved away from zero, zero itself upwards.
pub(crate) fn away_from_zero(x: f32, by: f64) -> f32 {
    x + if x >= 0.0 { by as f32 } else { -(by as f32) }
}

/// The product, value by value.
pub(crate) fn product<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
    combined(x, y, |x, y| x * y)
}

/// Relevance per unit of what is `given`, which is moved away from zero `by` this.
pub(crate) fn share_of<const D: usize>(relevance: Tensor<D>, given: Tensor<D>, by: f64) -> Tensor<D> {
    combined(relevance, given, |relevance, given| relevance / away_from_zero(given, by))
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
