//! Two-dimensional convolution of `[batch, channels, height, width]` images (cross-correlation, as usual).
//!
//! 3×3 kernels at stride 1 use [`winograd`]'s algorithm where that is faster, all others the sum itself ([`direct`]). The choice
//! and the order of each sum depend only on the layer, so an image's output does not depend on its batch.

mod direct;
mod filters;
mod input_gradient;
mod patches;
mod shape;
mod weight_gradient;
mod winograd;

pub use filters::{Filters, PackedFilters};
pub use input_gradient::convolution_input_gradient;
pub use shape::Convolution;
pub use weight_gradient::convolution_weight_gradient;

use crate::{Precision, Stored};

/// Epilogue of a convolution's sums before they are stored: times scale, plus bias, plus residual, then ReLU.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConvolutionEpilogue<'a> {
    /// One factor per output channel; only together with a bias.
    pub scale: Option<&'a [f32]>,
    /// One value per output channel.
    pub bias: Option<&'a [f32]>,
    /// Values of the output's shape.
    pub residual: Option<&'a [f32]>,
    /// Replace negative results by zero.
    pub relu: bool,
}

/// y = convolution of `x` by `filters`, followed by `epilogue`.
///
/// # Panics
/// If lengths do not fit.
pub fn convolution_forward<'a, X: Stored, Y: Stored>(
    shape: &Convolution,
    x: &[X],
    filters: impl Into<Filters<'a>>,
    epilogue: ConvolutionEpilogue<'_>,
    y: &mut [Y],
    precision: Precision,
) {
    let filters = filters.into();
    shape.check(x.len(), filters.weight.len(), y.len());
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), shape.out_channels, "a bias has one number for each output channel");
    }
    if let Some(scale) = epilogue.scale {
        assert_eq!(scale.len(), shape.out_channels, "a scale has one number for each output channel");
        assert!(epilogue.bias.is_some(), "a scale comes with a bias");
    }
    if let Some(residual) = epilogue.residual {
        assert_eq!(residual.len(), y.len(), "a residual has the output's shape");
    }
    if y.is_empty() {
        return;
    }
    assert!(shape.in_channels > 0, "a convolution has input channels: {shape:?}");
    if winograd::suits(shape) {
        return winograd::forward(shape, x, filters.weight, &epilogue, y);
    }
    direct::forward(shape, x, filters, epilogue, y, precision);
}

/// y = values + residual, then ReLU if requested.
#[inline(always)]
fn add_residual<Y: Stored>(values: &[f32], residual: &[f32], relu: bool, y: &mut [Y]) {
    for ((y, value), residual) in y.iter_mut().zip(values).zip(residual) {
        let sum = value + residual;
        *y = if relu && 0.0 > sum { 0.0 } else { sum }.into();
    }
}

#[cfg(test)]
mod tests;
