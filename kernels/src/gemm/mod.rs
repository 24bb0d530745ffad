//! Matrix products: C = A · B with bias, residual and a final pass over the finished rows.
//!
//! The loops are those of Goto and van de Geijn ("Anatomy of high-performance matrix multiplication",
//! 2008): k in blocks, B packed into panels that stay in the second-level cache, and a register tile
//! ([`micro`]). Every element of C is summed over k in one order: within a block a chain of fused
//! multiply-adds from zero, the blocks' sums added in ascending order. Block sizes depend on k (and on whether A's rows are
//! contiguous) only.

pub(crate) mod micro;
pub(crate) mod pack;
pub(crate) mod packed;

use crate::matrix::{Matrix, MatrixMut};
use crate::parallel::{self, Shared};
use crate::scratch::Scratch;
use crate::simd::{MAX_TILE_VECTORS, WHOLE, simd_fn};
use crate::{Level, Precision};
use micro::{Finish, Left, Panel, Target, multiply_panel};
use pack::{LeftLayout, LeftOperand, pack_left, pack_right, steps};
use packed::PackedRight;
use std::ops::Range;

/// Terms added to a product before it is stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// One value per column.
    pub bias: Option<&'a [f32]>,
    /// A matrix of the product's shape with contiguous rows.
    pub residual: Option<Matrix<'a>>,
    /// Adds the product to C rather than replacing it.
    pub accumulate: bool,
}

/// C = A · B, followed by `epilogue`.
///
/// Operands are transposed by their view ([`Matrix::transposed`]). With k = 0 the product is zero.
///
/// # Panics
/// If shapes do not fit.
pub fn gemm(a: Matrix<'_>, b: Matrix<'_>, c: MatrixMut<'_>, epilogue: Epilogue<'_>, precision: Precision) {
    assert_eq!((c.rows, c.columns), (a.rows, b.columns), "the product is A's rows by B's columns");
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), c.columns, "a bias has one number for each column");
    }
    if let Some(residual) = epilogue.residual {
        assert_eq!((residual.rows, residual.columns), (c.rows, c.columns), "a residual has C's shape");
        assert!(residual.column_stride == 1 || c.columns <= 1, "a residual's rows are contiguous");
    }
    let product = Product {
        scale: 1.0,
        column_bias: epilogue.bias,
        residual: epilogue.residual,
        accumulate: epilogue.accumulate,
        ..Product::new(Level::current(), a, b, precision)
    };
    // SAFETY: C's view was checked when it was made and is borrowed uniquely.
    unsafe { product.run(Shared::new(c.data), c.row_stride, Threads::Pool, &|_, _| {}) }
}

/// Whether a product may be shared among threads. The result does not depend on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// On this thread: the caller is one of many tasks.
    One,
    /// On the pool, if there is enough work.
    Pool,
}

/// A product to be computed.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) level: Level,
    pub(crate) a: LeftOperand<'a>,
    pub(crate) b: Matrix<'a>,
    /// B's panels, if they have been packed before.
    pub(crate) packed_b: Option<&'a PackedRight>,
    pub(crate) precision: Precision,
    pub(crate) scale: f32,
    pub(crate) column_bias: Option<&'a [f32]>,
    pub(crate) residual: Option<Matrix<'a>>,
    pub(crate) accumulate: bool,
}

/// Multiply-adds below which starting threads does not pay.
pub(crate) const WORTH_THREADS: usize = 1 << 18;
/// Longest block of k where A's rows are read in place.
const K_BLOCK_ROWS: usize = 1024;
/// The longest block of k where A is packed from columns: strips of all rows share the cache with a panel.
const K_BLOCK_COLUMNS: usize = 512;
/// Strips of the register tile in one task.
const STRIPS_PER_TASK: usize = 16;

/// Properties of a level that determine how work is divided among tasks.
#[derive(Clone, Copy)]
pub(crate) struct TileShape {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) lanes: usize,
}

impl TileShape {
    /// The mask of a vector's first `count` lanes.
    pub(crate) fn mask(self, count: usize) -> u32 {
        if count >= self.lanes { WHOLE } else { (1 << count) - 1 }
    }
}

simd_fn! {
    pub(crate) fn tile_shape(simd: S) -> TileShape {
        let _ = simd;
        TileShape { rows: S::TILE_ROWS, columns: S::TILE_COLUMNS, lanes: S::LANES }
    }
}

impl<'a> Product<'a> {
    /// A · B without an epilogue.
    pub(crate) fn new(level: Level, a: Matrix<'a>, b: Matrix<'a>, precision: Precision) -> Self {
        Self::of(level, LeftOperand::Numbers(a), b, precision)
    }

    /// The same for A in any form.
    pub(crate) fn of(level: Level, a: LeftOperand<'a>, b: Matrix<'a>, precision: Precision) -> Self {
        assert_eq!(a.columns(), b.rows, "A has as many columns as B has rows");
        if let LeftOperand::Words { words, rows, columns } = a {
            assert_eq!(precision, Precision::Bf16, "words are bfloat16");
            assert!(words.len() >= rows * steps(columns, precision), "words are A's rows");
        }
        Product {
            level,
            a,
            b,
            packed_b: None,
            precision,
            scale: 1.0,
            column_bias: None,
            residual: None,
            accumulate: false,
        }
    }

    /// Writes the product to `c`, and calls `finished(rows, columns)` on the thread that completed that part.
    ///
    /// # Safety
    /// `c` is writable for A's rows, `c_stride` apart, by B's columns, and not used elsewhere meanwhile.
    pub(crate) unsafe fn run(
        &self,
        c: Shared<f32>,
        c_stride: usize,
        threads: Threads,
        finished: &(dyn Fn(Range<usize>, Range<usize>) + Sync),
    ) {
        let (m, n, k) = (self.a.rows(), self.b.columns, self.a.columns());
        if m == 0 || n == 0 {
            return;
        }
        if let Some(packed) = self.packed_b {
            assert_eq!(
                (packed.level, packed.precision, packed.rows, packed.columns),
                (self.level, self.precision, k, n),
                "what was packed is B"
            );
            let layout = self.a.layout(self.precision);
            assert!(layout != LeftLayout::Columns, "A's rows are contiguous where B was packed before");
        }
        let pooled = threads == Threads::Pool && m * n * k.max(1) >= WORTH_THREADS;
        match pooled {
            true => parallel::enter(|| self.run_blocks(c, c_stride, true, finished)),
            false => self.run_blocks(c, c_stride, false, finished),
        }
    }

    /// Block after block of k, each in two phases: operands are packed, then multiplied.
    fn run_blocks(
        &self,
        c: Shared<f32>,
        c_stride: usize,
        pooled: bool,
        finished: &(dyn Fn(Range<usize>, Range<usize>) + Sync),
    ) {
        let (m, n, k) = (self.a.rows(), self.b.columns, self.a.columns());
        let for_each = |tasks: usize, task: &(dyn Fn(usize) + Sync)| {
            if pooled { parallel::for_each(tasks, task) } else { (0..tasks).for_each(task) }
        };
        let shape = tile_shape(self.level);
        let layout = self.a.layout(self.precision);
        let panels = n.div_ceil(shape.columns);
        let row_block = STRIPS_PER_TASK * shape.rows;
        let row_blocks = m.div_ceil(row_block);
        // Enough tasks for every thread, of a size that lets them end at about the same time.
        let threads = if pooled { rayon::current_num_threads() } else { 1 };
        let wanted = if pooled { 4 * threads } else { 1 };
        let most = panels.div_ceil(wanted.div_ceil(row_blocks));
        let until_the_last_ends = |panels_per_task: &usize| {
            (row_blocks * panels.div_ceil(*panels_per_task)).div_ceil(threads) * panels_per_task
        };
        let panels_per_task = (most.div_ceil(2)..=most).rev().min_by_key(until_the_last_ends).unwrap_or(1);
        let column_tasks = panels.div_ceil(panels_per_task);

        let blocks = k_blocks(k, layout);
        let longest = blocks.iter().map(|block| steps(block.len(), self.precision)).max().unwrap_or(0);
        let right_tasks = if self.packed_b.is_some() { 0 } else { panels };
        let mut right = Scratch::take(longest * right_tasks * shape.columns);
        let left_size = if layout == LeftLayout::InPlace { 0 } else { row_blocks * row_block * longest };
        let mut left = Scratch::take(left_size);
        for (index, block) in blocks.iter().enumerate() {
            let depth = steps(block.len(), self.precision);
            let (panel_size, strips_size) = (depth * shape.columns, depth * row_block);
            let (right_shared, left_shared) = (Shared::new(&mut right), Shared::new(&mut left));
            let left_tasks = if layout == LeftLayout::InPlace { 0 } else { row_blocks };
            for_each(right_tasks + left_tasks, &|task| {
                if let Some(row) = task.checked_sub(right_tasks) {
                    let rows = row * row_block..(row * row_block + row_block).min(m);
                    // SAFETY: every task has its own strips.
                    let strips = unsafe { left_shared.slice(row * strips_size, strips_size) };
                    if let LeftOperand::Numbers(a) = &self.a {
                        pack_left(self.level, a, rows, block.clone(), self.precision, strips);
                    }
                } else {
                    let columns = task * shape.columns..(task * shape.columns + shape.columns).min(n);
                    // SAFETY: every task has its own panel.
                    let panel = unsafe { right_shared.slice(task * panel_size, panel_size) };
                    pack_right(self.level, &self.b, block.clone(), columns, self.precision, panel);
                }
            });
            // SAFETY of the block: the caller ensures that C is writable, and the tasks below write disjoint parts of it.
            let work = Block {
                product: self,
                k: block.clone(),
                layout,
                left: &left,
                right: self.packed_b.map_or(&right, |packed| packed.block(index)),
                c,
                c_stride,
                first: index == 0,
                last: index + 1 == blocks.len(),
            };
            for_each(row_blocks * column_tasks, &|task| {
                let row = task / column_tasks * row_block;
                let panel = task % column_tasks * panels_per_task;
                let rows = row..(row + row_block).min(m);
                let panels = panel..(panel + panels_per_task).min(panels);
                work.multiply(shape, rows.clone(), panels.clone());
                if work.last {
                    finished(rows, panels.start * shape.columns..(panels.end * shape.columns).min(n));
                }
            });
        }
    }
}

/// Splits k into blocks of about equal length; one empty block where k is zero.
fn k_blocks(k: usize, layout: LeftLayout) -> Vec<Range<usize>> {
    let longest = match layout {
        LeftLayout::InPlace | LeftLayout::Rows => K_BLOCK_ROWS,
        LeftLayout::Columns => K_BLOCK_COLUMNS,
    };
    let count = k.div_ceil(longest).max(1);
    // A multiple of 32 keeps transposed packing, also of pairs, in whole blocks.
    let length = if count == 1 { k } else { k.div_ceil(count).next_multiple_of(32) };
    (0..count).map(|i| (i * length).min(k)..((i + 1) * length).min(k)).collect()
}

/// One block of k with its packed operands. The creator must ensure that `c` is writable for the product, and that tasks get
/// disjoint parts of it.
struct Block<'a> {
    product: &'a Product<'a>,
    k: Range<usize>,
    layout: LeftLayout,
    left: &'a [f32],
    right: &'a [f32],
    c: Shared<f32>,
    c_stride: usize,
    first: bool,
    last: bool,
}

impl Block<'_> {
    /// Multiplies the rows `rows` of A (from a multiple of a task's) by the panels `panels`.
    fn multiply(&self, shape: TileShape, rows: Range<usize>, panels: Range<usize>) {
        let product = self.product;
        let n = product.b.columns;
        let depth = steps(self.k.len(), product.precision);
        let strip = |row_stride, k_stride| {
            (
                Left { pointer: self.left[rows.start * depth..].as_ptr(), row_stride, k_stride },
                shape.rows * depth,
            )
        };
        let in_place =
            |pointer, row_stride| (Left { pointer, row_stride, k_stride: 1 }, shape.rows * row_stride);
        let (left, strip_stride) = match (self.layout, product.a) {
            (LeftLayout::InPlace, LeftOperand::Numbers(a)) => {
                in_place(a.at(rows.start, self.k.start), a.row_stride)
            }
            (LeftLayout::InPlace, LeftOperand::Words { words, columns, .. }) => {
                let row_stride = steps(columns, product.precision);
                in_place(words[rows.start * row_stride + self.k.start / 2..].as_ptr(), row_stride)
            }
            (LeftLayout::Rows, _) => strip(depth, 1),
            (LeftLayout::Columns, _) => strip(1, shape.rows),
        };
        for panel in panels.clone() {
            let column = panel * shape.columns;
            let width = (n - column).min(shape.columns);
            let mut target = Target {
                pointer: self.c.pointer().wrapping_add(rows.start * self.c_stride + column),
                row_stride: self.c_stride,
                offsets: std::array::from_fn(|v| v * shape.lanes),
                masks: [0; MAX_TILE_VECTORS],
                accumulate: !self.first || product.accumulate,
                bf16: false,
            };
            let upcoming = (panel + 1).min(panels.end - 1);
            let vectors = width.div_ceil(shape.lanes);
            for (v, mask) in target.masks[..vectors].iter_mut().enumerate() {
                *mask = shape.mask(width - v * shape.lanes);
            }
            multiply_panel(
                product.level,
                &Panel {
                    rows: rows.len(),
                    vectors,
                    depth,
                    precision: product.precision,
                    left,
                    strip_stride,
                    right: self.right[panel * depth * shape.columns..].as_ptr(),
                    upcoming: self.right[upcoming * depth * shape.columns..].as_ptr(),
                    target,
                    finish: self.finish(rows.start, column),
                },
            );
        }
    }

    /// The epilogue of the panel's tiles from (`row`, `column`).
    fn finish(&self, row: usize, column: usize) -> Finish {
        if !self.last {
            return Finish::NOTHING;
        }
        Finish {
            scale: self.product.scale,
            column_bias: self.product.column_bias.map(|bias| bias[column..].as_ptr()),
            residual: self.product.residual.map(|matrix| (matrix.at(row, column), matrix.row_stride)),
            ..Finish::NOTHING
        }
    }
}

#[cfg(test)]
mod tests;
