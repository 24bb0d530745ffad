//! Rows moved from place to place.

use burn::tensor::{Int, Tensor, TensorData};

use crate::kernels;

/// Rows of each image by their numbers, zeros where there is none. Where gradients are wanted, no row may be asked for twice:
/// windows cut a map into parts, and put it together again.
///
/// # Shapes
/// `x` `[batch, rows, width]` → `[batch, sources, width]`
///
/// # Panics
/// If a source is no row.
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
