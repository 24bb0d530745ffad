//! The layout of a convolution's tiles.

use super::transforms::{OUTPUTS, SIDE};
use crate::convolution::Convolution;
use std::ops::Range;

/// The tiles of a convolution's outputs: image by image, row by row.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    shape: Convolution,
    rows: usize,
    columns: usize,
}

/// The position of a tile.
#[derive(Clone, Copy)]
pub(super) struct TilePlace {
    /// Offset of its upper left input in channel 0, which may lie in the padding.
    pub(super) input: isize,
    /// Its input rows that lie in the image, and a mask of the columns that do.
    pub(super) input_rows: (usize, usize),
    pub(super) input_columns: u32,
    /// Offset of its upper left output in channel 0.
    pub(super) output: usize,
    pub(super) output_rows: usize,
    pub(super) output_columns: usize,
}

impl Tiles {
    pub(super) fn of(shape: &Convolution) -> Self {
        let [rows, columns] = shape.output_size().map(|length| length.div_ceil(OUTPUTS));
        Tiles { shape: *shape, rows, columns }
    }

    /// Tiles of one image.
    pub(super) fn of_image(&self) -> usize {
        self.rows * self.columns
    }

    pub(super) fn count(&self) -> usize {
        self.shape.batch * self.of_image()
    }

    pub(super) fn places(&self, tiles: Range<usize>) -> Vec<TilePlace> {
        tiles.map(|tile| self.place(tile)).collect()
    }

    fn place(&self, tile: usize) -> TilePlace {
        let shape = &self.shape;
        let (image, within) = (tile / self.of_image(), tile % self.of_image());
        let corner = [within / self.columns * OUTPUTS, within % self.columns * OUTPUTS];
        let [height, width] = shape.output_size();
        // The part of the tile's six rows or columns that lies in the image.
        let inside = |axis: usize| {
            let first = shape.padding[axis].saturating_sub(corner[axis]).min(SIDE);
            let end = (shape.input_size[axis] + shape.padding[axis]).saturating_sub(corner[axis]);
            (first, end.min(SIDE).max(first))
        };
        let (first, end) = inside(1);
        let start = (image * shape.in_channels * shape.input_positions()) as isize;
        let from_padding = |axis: usize| corner[axis] as isize - shape.padding[axis] as isize;
        TilePlace {
            input: start + from_padding(0) * shape.input_size[1] as isize + from_padding(1),
            input_rows: inside(0),
            input_columns: (1 << end) - (1 << first),
            output: image * shape.out_channels * shape.positions() + corner[0] * width + corner[1],
            output_rows: OUTPUTS.min(height - corner[0]),
            output_columns: OUTPUTS.min(width - corner[1]),
        }
    }
}
