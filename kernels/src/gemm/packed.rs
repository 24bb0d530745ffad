//! A right operand packed once for many products.

use super::pack::{LeftLayout, pack_right, steps};
use super::{k_blocks, tile_shape};
use crate::matrix::Matrix;
use crate::parallel::{self, Shared};
use crate::scratch::{Numbers, Scratch};
use crate::{Level, Precision};

/// The panels of a right operand, for left operands whose rows are contiguous.
#[derive(Debug)]
pub(crate) struct PackedRight {
    pub(super) level: Level,
    pub(super) precision: Precision,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Where the panels of each block of k begin.
    starts: Vec<usize>,
    numbers: Memory,
}

/// Owned memory, or scratch memory for the duration of a call.
#[derive(Debug)]
enum Memory {
    Kept(Numbers),
    Lent(Scratch),
}

impl PackedRight {
    pub(crate) fn new(level: Level, right: &Matrix<'_>, precision: Precision) -> Self {
        Self::pack(level, right, precision, |length| Memory::Kept(Numbers::zeros(length)))
    }

    /// The same in scratch memory.
    pub(crate) fn for_now(level: Level, right: &Matrix<'_>, precision: Precision) -> Self {
        Self::pack(level, right, precision, |length| Memory::Lent(Scratch::take(length)))
    }

    fn pack(
        level: Level,
        right: &Matrix<'_>,
        precision: Precision,
        memory: impl FnOnce(usize) -> Memory,
    ) -> Self {
        let Matrix { rows, columns, .. } = *right;
        let shape = tile_shape(level);
        let panels = columns.div_ceil(shape.columns);
        let blocks = k_blocks(rows, LeftLayout::Rows);
        let panel_size = |block: usize| steps(blocks[block].len(), precision) * shape.columns;
        let mut length = 0;
        let mut starts = Vec::new();
        for block in 0..blocks.len() {
            starts.push(length);
            length += panels * panel_size(block);
        }
        let mut numbers = memory(length);
        let shared = Shared::new(match &mut numbers {
            Memory::Kept(numbers) => numbers,
            Memory::Lent(numbers) => numbers,
        });
        parallel::for_each(blocks.len() * panels, |task| {
            let (block, panel) = (task / panels, task % panels);
            let columns = panel * shape.columns..((panel + 1) * shape.columns).min(columns);
            let start = starts[block] + panel * panel_size(block);
            // SAFETY: every task has its own panel.
            let panel = unsafe { shared.slice(start, panel_size(block)) };
            pack_right(level, right, blocks[block].clone(), columns, precision, panel);
        });
        PackedRight { level, precision, rows, columns, starts, numbers }
    }

    fn numbers(&self) -> &[f32] {
        match &self.numbers {
            Memory::Kept(numbers) => numbers,
            Memory::Lent(numbers) => numbers,
        }
    }

    /// The panels of a block of k.
    pub(super) fn block(&self, index: usize) -> &[f32] {
        &self.numbers()[self.starts[index]..]
    }

    /// Memory used by the panels, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.numbers())
    }
}
