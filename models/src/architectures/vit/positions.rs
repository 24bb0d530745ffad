//! Positions that are computed: fixed sines and cosines, and learned ones resampled to another number of patches.

use burn::tensor::{Device, Tensor, TensorData};

use super::config::{PositionResampling, VitConfig};
use crate::state::Array;

/// Fixed two-dimensional positions: sines and cosines of the row in the first half of the width, of the column in the
/// second, at frequencies 10000^(−i / (width/4)) (Vaswani et al., 2017, section 3.5, on each axis); zeros for prefix
/// tokens.
///
/// # Shapes
/// → `[1, prefix_tokens + rows · columns, width]`; `width` is divisible by 4
pub fn sine_positions(grid: [usize; 2], prefix_tokens: usize, width: usize, device: &Device) -> Tensor<3> {
    let quarter = width / 4;
    let mut values = vec![0f32; prefix_tokens * width];
    for row in 0..grid[0] {
        for column in 0..grid[1] {
            for position in [row, column] {
                let angle = |i: usize| position as f64 / 10_000f64.powf(i as f64 / quarter as f64);
                values.extend((0..quarter).map(|i| angle(i).sin() as f32));
                values.extend((0..quarter).map(|i| angle(i).cos() as f32));
            }
        }
    }
    let tokens = prefix_tokens + grid[0] * grid[1];
    Tensor::from_data(TensorData::new(values, [1, tokens, width]), device)
}

/// The output of [`sine_positions`] for a model of this configuration, as the array `pos_embed` of a checkpoint.
pub(crate) fn fixed_positions(config: &VitConfig) -> Array {
    let positions = sine_positions([config.grid(); 2], config.prefix_tokens(), config.width, &Device::flex());
    let data = positions.into_data();
    let shape = data.shape().to_vec();
    Array { shape, values: data.try_into_vec().expect("positions are 32-bit floats") }
}

/// Whether positions are the fixed ones, of the image size they were made for, whatever that of `config` is.
pub(crate) fn are_fixed(positions: &Array, config: &VitConfig) -> bool {
    let &[.., tokens, _] = positions.shape.as_slice() else { return false };
    let grid = (tokens.saturating_sub(config.prefix_tokens()) as f64).sqrt().round() as usize;
    let made_for = VitConfig { image_size: grid * config.patch_size, ..config.clone() };
    grid > 0 && tokens == grid * grid + config.prefix_tokens() && *positions == fixed_positions(&made_for)
}

/// Resamples learned positions of a square grid to another: `(from · from, width)` → `(to · to, width)`, rows first.
///
/// Cubic convolution on each axis (Keys, 1981), with a as in [`PositionResampling`]; outside the grid, antialiased sampling drops
/// the taps and renormalises the weights, the others repeat the edge.
pub(crate) fn resample_positions(
    values: &[f32],
    width: usize,
    from: usize,
    to: usize,
    resampling: PositionResampling,
) -> Vec<f32> {
    assert_eq!(values.len(), from * from * width, "the positions are those of the grid");
    let taps: Vec<Vec<(usize, f64)>> = (0..to).map(|index| resampling.taps(index, from, to)).collect();
    let mut along_columns = vec![0f64; from * to * width];
    for row in 0..from {
        for (column, taps) in taps.iter().enumerate() {
            let target = &mut along_columns[(row * to + column) * width..][..width];
            for &(source, weight) in taps {
                let source = &values[(row * from + source) * width..][..width];
                target.iter_mut().zip(source).for_each(|(sum, &value)| *sum += weight * f64::from(value));
            }
        }
    }
    let mut resampled = Vec::with_capacity(to * to * width);
    let row_width = to * width;
    for taps in &taps {
        let mut row = vec![0f64; row_width];
        for &(source, weight) in taps {
            let source = &along_columns[source * row_width..][..row_width];
            row.iter_mut().zip(source).for_each(|(sum, &value)| *sum += weight * value);
        }
        resampled.extend(row.into_iter().map(|value| value as f32));
    }
    resampled
}

impl PositionResampling {
    /// Old positions that contribute to a new one, with their weights.
    fn taps(self, index: usize, from: usize, to: usize) -> Vec<(usize, f64)> {
        match self {
            Self::Antialiased => {
                let scale = from as f64 / to as f64;
                let stretch = scale.max(1.0);
                let centre = scale * (index as f64 + 0.5);
                let first = (centre - 2.0 * stretch + 0.5).max(0.0) as usize;
                let end = ((centre + 2.0 * stretch + 0.5) as usize).min(from);
                let weight = |tap: usize| cubic((tap as f64 - centre + 0.5) / stretch, -0.5);
                let sum: f64 = (first..end).map(weight).sum();
                (first..end).map(|tap| (tap, weight(tap) / sum)).collect()
            }
            Self::Offset | Self::Exact => {
                let offset = if self == Self::Offset { 0.1 } else { 0.0 };
                let scale = from as f64 / (to as f64 + offset);
                let centre = scale * (index as f64 + 0.5) - 0.5;
                let below = centre.floor();
                let tap = |step: i64| {
                    let source = (below as i64 + step).clamp(0, from as i64 - 1) as usize;
                    (source, cubic(centre - below - step as f64, -0.75))
                };
                (-1..=2).map(tap).collect()
            }
        }
    }
}

/// Keys (1981), equation 4 for any a.
fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}
