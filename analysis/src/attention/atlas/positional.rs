//! Does a head look at a place relative to its own, whatever the image shows?

use std::collections::BTreeMap;

use super::Measure;
use super::seen::{Block, Seen};

/// How much of the weights the relative offset explains.
pub(super) fn measure(seen: &Seen) -> Measure {
    Measure { value: seen.offsets.explained, null: seen.shuffled_offsets.explained }
}

/// Mean weight for each relative offset.
pub(super) struct Offsets {
    pub means: BTreeMap<[i64; 2], f64>,
    /// Share of the variance of the weights that their means explain; `None` where they do not vary.
    explained: Option<f64>,
    /// The offset with most weight in all, in rows and columns.
    pub strongest: [i64; 2],
    columns: usize,
}

impl Offsets {
    /// Of patches in reading order on a grid with so many columns.
    pub fn of(blocks: &[Block], columns: usize) -> Self {
        let mut sums = BTreeMap::<[i64; 2], (f64, f64)>::new();
        let (mut n, mut total, mut squares) = (0.0, 0.0, 0.0);
        for (from, to, weight) in blocks.iter().flat_map(Block::pairs) {
            let sum = sums.entry(offset(columns, from, to)).or_default();
            *sum = (sum.0 + 1.0, sum.1 + weight);
            n += 1.0;
            total += weight;
            squares += weight * weight;
        }
        let mean = total / n;
        let variance = squares - n * mean * mean;
        let between: f64 = sums.values().map(|(n, sum)| n * (sum / n - mean).powi(2)).sum();
        // Rounding alone is no variance.
        let explained = (variance > 1e-9 * squares).then(|| (between / variance).clamp(0.0, 1.0));
        // An offset that few pairs have says little: the strongest is the one with most weight in all.
        let strongest =
            sums.iter().max_by(|a, b| a.1.1.total_cmp(&b.1.1)).map_or([0, 0], |(offset, _)| *offset);
        Self {
            means: sums.into_iter().map(|(offset, (n, sum))| (offset, sum / n)).collect(),
            explained,
            strongest,
            columns,
        }
    }

    /// From one patch to another, in rows and columns.
    pub fn between(&self, from: usize, to: usize) -> [i64; 2] {
        offset(self.columns, from, to)
    }
}

fn offset(columns: usize, from: usize, to: usize) -> [i64; 2] {
    let place = |patch: usize| [(patch / columns) as i64, (patch % columns) as i64];
    let (from, to) = (place(from), place(to));
    [to[0] - from[0], to[1] - from[1]]
}
