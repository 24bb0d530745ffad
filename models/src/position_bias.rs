//! Tables of relative position biases for windows, or images, of another size.

use crate::architectures::vit::{PositionResampling, resample_positions};
use crate::state::Array;

/// A table of biases by relative offset, for a window, or a grid, with `side` tokens along each side: the offsets, `(2 · side − 1)²`
/// rows of one bias per head in reading order, are resampled by cubic convolution as in the code of the Swin paper (and timm's
/// `resize_rel_pos_bias_table_simple`); `others` further rows at the end, such as BEiT's for the class token, are unchanged. A
/// table that already fits, or is none, is returned as it is.
pub(crate) fn fitted_table(table: Array, side: usize, others: usize) -> Array {
    let &[rows, heads] = table.shape.as_slice() else { return table };
    let offsets = rows.saturating_sub(others);
    let (from, to) = (offsets.isqrt(), 2 * side - 1);
    if from == to || offsets == 0 || from * from != offsets || from.is_multiple_of(2) {
        return table;
    }
    let (resampled, kept) = table.values.split_at(offsets * heads);
    let mut values = resample_positions(resampled, heads, from, to, PositionResampling::Exact);
    values.extend_from_slice(kept);
    Array { shape: vec![to * to + others, heads], values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    #[test]
    fn tables_are_resampled_as_by_torch() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/position_tables.safetensors");
        let (state, _): (State, _) = crate::read_arrays(path.as_ref()).unwrap();
        for (from, to, others) in [(7, 4, 0), (3, 5, 0), (4, 6, 3)] {
            let found = fitted_table(state[&format!("from.{from}.{others}")].clone(), to, others);
            let expected = &state[&format!("to.{from}.{to}.{others}")];
            assert_eq!(found.shape, expected.shape);
            for (a, b) in found.values.iter().zip(&expected.values) {
                assert!((a - b).abs() < 1e-5, "{from} to {to}: {a} {b}");
            }
            assert_eq!(fitted_table(found.clone(), to, others), found, "it fits");
        }
    }
}
