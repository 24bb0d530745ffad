//! Numbers of any width, widened to 32-bit floats within a budget.

use archaeo_store::memory::Budget;
use burn::tensor::{bf16, f16};

use super::error::Fault;

/// Element type of a stored array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// 64-bit floats.
    F64,
    /// 32-bit floats.
    F32,
    /// 16-bit floats of IEEE 754.
    F16,
    /// 16-bit floats with the exponent of 32-bit ones.
    Bf16,
    /// Integers or booleans of this many bytes: counters, indices and masks, never weights.
    Integer(usize),
    /// Elements of this many bytes that are not plain numbers, such as complex or quantised values.
    Foreign(usize, &'static str),
}

impl Element {
    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Integer(size) | Self::Foreign(size, _) => size,
        }
    }

    /// Appends little-endian floats to `values`; trailing bytes that are not a whole element are ignored.
    pub(super) fn widen(self, bytes: &[u8], values: &mut Vec<f32>) {
        fn each<const N: usize>(bytes: &[u8], values: &mut Vec<f32>, value: impl Fn([u8; N]) -> f32) {
            values.extend(bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)));
        }
        match self {
            Self::F64 => each(bytes, values, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => each(bytes, values, f32::from_le_bytes),
            Self::F16 => each(bytes, values, |b| f16::from_le_bytes(b).to_f32()),
            Self::Bf16 => each(bytes, values, |b| bf16::from_le_bytes(b).to_f32()),
            Self::Integer(_) | Self::Foreign(..) => {}
        }
    }

    /// The elements of `bytes` that `strides` (in elements) give for every index of `shape`, last axis fastest. The
    /// largest index must lie inside.
    pub(super) fn gather(self, bytes: &[u8], shape: &[usize], strides: &[usize], values: &mut Vec<f32>) {
        let (Some((&length, outer)), Some((&stride, outer_strides))) =
            (shape.split_last(), strides.split_last())
        else {
            return self.widen(&bytes[..self.size()], values);
        };
        let size = self.size();
        let mut index = vec![0; outer.len()];
        for _ in 0..outer.iter().product() {
            let start: usize = index.iter().zip(outer_strides).map(|(i, stride)| i * stride).sum();
            for i in 0..length {
                let at = (start + i * stride) * size;
                self.widen(&bytes[at..at + size], values);
            }
            for (axis, i) in index.iter_mut().enumerate().rev() {
                *i += 1;
                if *i < outer[axis] {
                    break;
                }
                *i = 0;
            }
        }
    }
}

/// Number of elements of an array; `None` on overflow.
pub(super) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length))
}

/// Memory for the values of an array of `shape`, taken from the budget of its file, and their number.
///
/// Weights hardly compress and are rarely shared, so legitimate arrays are at most a few times as large as their file. A compressed
/// run of zeros or one array under a million names may be a thousand times as large: it is refused before any memory is
/// allocated.
///
/// # Errors
/// If the budget does not allow it.
pub(super) fn room_for(budget: &mut Budget, shape: &[usize]) -> Result<(Vec<f32>, usize), Fault> {
    let count = element_count(shape).unwrap_or(usize::MAX);
    budget.take(count as u64, size_of::<f32>() as u64)?;
    Ok((Vec::with_capacity(count), count))
}
