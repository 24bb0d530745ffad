//! Dividing images into splits by seed, where a source does not say.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::split::Record;

/// For each record whether it belongs to the `share` of its class that comes first in an order fixed by
/// (`seed`, `purpose`, identifier). At least one and at most all but one of a class with two or more images;
/// none of a class with one.
///
/// The order depends on names alone, so an image stays in its part when others are added or when the folder
/// is packed into an archive.
pub(super) fn choose(records: &[Record], share: f64, seed: u64, purpose: &str) -> Vec<bool> {
    let mut classes: BTreeMap<usize, Vec<([u8; 32], usize)>> = BTreeMap::new();
    for (i, record) in records.iter().enumerate() {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(purpose);
        hash.update([0]);
        hash.update(&record.identifier);
        classes.entry(record.label).or_default().push((hash.finalize().into(), i));
    }
    let mut chosen = vec![false; records.len()];
    for mut members in classes.into_values() {
        members.sort_unstable();
        let most = members.len() - 1;
        let count = ((members.len() as f64 * share).round() as usize).max(1).min(most);
        members[..count].iter().for_each(|&(_, i)| chosen[i] = true);
    }
    chosen
}
