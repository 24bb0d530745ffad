//! How far a head looks, how widely, and how much it leaves to tokens without a place.

use super::Measure;
use super::seen::{Block, Seen};

/// Attention distance relative to even attention's.
pub(super) fn distance(seen: &Seen) -> Measure {
    let even: f64 = seen.blocks.iter().map(Block::even_distance).sum();
    let far = |blocks: &[Block]| (even > 0.0).then(|| blocks.iter().map(Block::distance).sum::<f64>() / even);
    Measure { value: far(&seen.blocks), null: far(&seen.shuffled) }
}

/// Mean weight that patches give to prefix tokens; the null is their share of the tokens.
pub(super) fn sink(seen: &Seen) -> Measure {
    let there = |value: f64| (seen.prefix > 0).then_some(value);
    Measure {
        value: there(seen.on_prefix / seen.queries),
        null: there(seen.prefix as f64 / seen.tokens as f64),
    }
}

/// Mean normalised entropy; the null is even attention.
pub(super) fn entropy(seen: &Seen) -> Measure {
    Measure { value: Some(seen.entropy / seen.queries), null: Some(1.0) }
}

impl Block {
    fn distance(&self) -> f64 {
        self.weights.iter().zip(&self.distances).map(|(weight, distance)| weight * distance).sum()
    }

    fn even_distance(&self) -> f64 {
        self.distances.iter().sum::<f64>() / self.patches.len().max(1) as f64
    }
}
