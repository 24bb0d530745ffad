//! Gathering rows.

use burn::tensor::{Int, Tensor, TensorData};

use crate::kernels;

/// Rows of each image by index, zeros for `None`. If gradients are needed, no row may be requested twice, as when windows divide
/// a map and reassemble it.
///
/// # Shapes
/// `x` `[batch, rows, width]` → `[batch, sources, width]`
///
/// # Panics
/// If a source is out of range.
pub fn gather_rows(x: Tensor<3>, sources: &[Option<usize>]) -> Tensor<3> {
    let ([batch, rows, width], device) = (x.dims(), x.device());
    if kernels::serve(&device) {
        return kernels::gather_rows(x, sources.to_vec());
    }
    let x = match sources.contains(&None) {
        true => Tensor::cat(vec![x, Tensor::zeros([batch, 1, width], &device)], 1),
        false => x,
    };
    let indices: Vec<i64> = sources.iter().map(|source| source.unwrap_or(rows) as i64).collect();
    x.select(1, Tensor::<1, Int>::from_data(TensorData::new(indices, [sources.len()]), &device))
}
