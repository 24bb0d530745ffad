//! Do patches of one colour attend to one another?

use std::collections::BTreeMap;

use super::seen::{Block, Seen};
use super::{Measure, PatchContent, pearson};

/// Correlation of weights and likeness of colour, each without its mean at the same offset; the null has the patches of `moved`.
pub(super) fn measure(seen: &Seen, content: &PatchContent, moved: &PatchContent) -> Measure {
    Measure { value: correlation(seen, content), null: correlation(seen, moved) }
}

fn correlation(seen: &Seen, content: &PatchContent) -> Option<f64> {
    let likeness = |from: usize, to: usize| -> f64 {
        let [a, b] = [content.colour[from], content.colour[to]];
        -a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    let pairs = || seen.blocks.iter().flat_map(Block::pairs);
    let mut alike = BTreeMap::<[i64; 2], (f64, f64)>::new();
    for (from, to, _) in pairs() {
        let sum = alike.entry(seen.offsets.between(from, to)).or_default();
        *sum = (sum.0 + 1.0, sum.1 + likeness(from, to));
    }
    let (mut weights, mut colours) = (Vec::new(), Vec::new());
    for (from, to, weight) in pairs() {
        let offset = seen.offsets.between(from, to);
        let (n, sum) = alike[&offset];
        weights.push(weight - seen.offsets.means[&offset]);
        colours.push(likeness(from, to) - sum / n);
    }
    pearson(&weights, &colours)
}
