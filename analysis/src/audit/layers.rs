//! Whole attention matrices of one image, layer by layer, as popular code handles them.

use rayon::prelude::*;

use crate::attention::{AttentionMaps, LayerMaps};
use crate::attribution::{HeadFusion, Heatmap};

/// A square matrix, row by row.
pub(super) struct Matrix {
    pub side: usize,
    pub values: Vec<f64>,
}

impl Matrix {
    /// `of_head(head, entry)` averaged over heads.
    pub fn mean_over_heads(layer: &LayerMaps, of_head: impl Fn(usize, usize) -> f64) -> Self {
        let (side, heads) = (layer.places, layer.heads);
        let mean = |at: usize| (0..heads).map(|head| of_head(head, at)).sum::<f64>() / heads as f64;
        Self { side, values: (0..side * side).map(mean).collect() }
    }

    /// The attention of one image, mean over heads.
    pub fn attention(layer: &LayerMaps, image: usize) -> Self {
        Self::fused(layer, image, HeadFusion::Mean)
    }

    /// The attention of one image, its heads fused.
    pub fn fused(layer: &LayerMaps, image: usize, fusion: HeadFusion) -> Self {
        let weight = |head: usize, at: usize| f64::from(layer.head(image, 0, head)[at]);
        let over_heads = |start: f64, pick: fn(f64, f64) -> f64| {
            let entry = |at: usize| (0..layer.heads).map(|head| weight(head, at)).fold(start, pick);
            Self { side: layer.places, values: (0..layer.places * layer.places).map(entry).collect() }
        };
        match fusion {
            HeadFusion::Mean => Self::mean_over_heads(layer, weight),
            HeadFusion::Max => over_heads(f64::NEG_INFINITY, f64::max),
            HeadFusion::Min => over_heads(f64::INFINITY, f64::min),
        }
    }

    /// The smallest entries of each row set to zero, a share of them; among equal ones the earlier go first.
    pub fn discard_in_rows(&mut self, share: f64) {
        let count = (share * self.side as f64) as usize;
        self.values.chunks_exact_mut(self.side).for_each(|row| discard(row, count, None));
    }

    /// The smallest entries of the whole matrix set to zero, a share of them; one entry may be kept.
    pub fn discard_in_all(&mut self, share: f64, kept: Option<usize>) {
        let count = (share * self.values.len() as f64) as usize;
        discard(&mut self.values, count, kept);
    }

    pub fn add_identity(&mut self) {
        (0..self.side).for_each(|at| self.values[at * self.side + at] += 1.0);
    }

    pub fn row_sums(&self) -> Vec<f64> {
        self.values.chunks_exact(self.side).map(|row| row.iter().sum()).collect()
    }

    /// Each row divided by its sum.
    pub fn normalise_rows(&mut self) {
        let sums = self.row_sums();
        for (row, sum) in self.values.chunks_exact_mut(self.side).zip(sums) {
            row.iter_mut().for_each(|entry| *entry /= sum);
        }
    }

    /// Each column divided by the sum of the row of its number.
    pub fn normalise_columns_by_row_sums(&mut self) {
        let sums = self.row_sums();
        for row in self.values.chunks_exact_mut(self.side) {
            row.iter_mut().zip(&sums).for_each(|(entry, sum)| *entry /= sum);
        }
    }

    /// A row vector times this matrix.
    fn after(&self, row: &[f64]) -> Vec<f64> {
        let mut next = vec![0.0; self.side];
        for (&weight, entries) in row.iter().zip(self.values.chunks_exact(self.side)) {
            next.iter_mut().zip(entries).for_each(|(sum, entry)| *sum += weight * entry);
        }
        next
    }
}

fn discard(entries: &mut [f64], count: usize, kept: Option<usize>) {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by(|&a, &b| entries[a].total_cmp(&entries[b]).then(a.cmp(&b)));
    order[..count].iter().filter(|&&at| Some(at) != kept).for_each(|&at| entries[at] = 0.0);
}

/// For each image, the row of the tokens that are read in the product of the matrices, from the last layer to the first, at the
/// patches.
pub(super) fn rolled_out(
    maps: &AttentionMaps,
    matrix: impl Fn(usize, usize) -> Matrix + Sync,
) -> Vec<Heatmap> {
    let start = maps.layers.last().expect("maps have a layer").site.read_out_weights();
    rolled_out_from(&start, maps, matrix)
}

/// As [`rolled_out`], from other tokens: `matrix(image, layer)`.
pub(super) fn rolled_out_from(
    start: &[f64],
    maps: &AttentionMaps,
    matrix: impl Fn(usize, usize) -> Matrix + Sync,
) -> Vec<Heatmap> {
    let site = maps.layers[0].site;
    let [rows, columns] = site.grid;
    let one = |image: usize| {
        let back = (0..maps.layers.len()).rev();
        let row = back.fold(start.to_vec(), |row, layer| matrix(image, layer).after(&row));
        let patches = row[site.prefix.count()..].iter().map(|&value| value as f32).collect();
        Heatmap::new(rows, columns, patches)
    };
    (0..maps.images).into_par_iter().map(one).collect()
}
