//! One of several equal parts in which an investigation is recorded, each by a process of its own, on any machine.
//!
//! An item falls to a part by the hash of its identity, never by its place in a list: images that are added or left out move no other
//! image to another part.

use std::fmt;
use std::path::Path;

use archaeo_store::{Digest, Sha256};
use serde::{Deserialize, Serialize};

/// Part `index`, counted from 0, of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    index: usize,
    of: usize,
}

impl Shard {
    /// Part `index` of `of`; `None` where there is no such part.
    pub fn new(index: usize, of: usize) -> Option<Self> {
        (index < of).then_some(Self { index, of })
    }

    /// Which part, counted from 0.
    pub fn index(self) -> usize {
        self.index
    }

    /// How many parts there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// Whether the item of this identity is in this part: exactly one part of each division holds it.
    pub fn holds(self, identity: &str) -> bool {
        let hash = Sha256::digest(identity.as_bytes());
        let first = hash[..8].try_into().expect("SHA-256 has 32 bytes");
        u64::from_be_bytes(first) % self.of as u64 == self.index as u64
    }

    /// Name of the folder of the part.
    pub(crate) fn folder(self) -> String {
        format!("{}-of-{}", self.index, self.of)
    }

    /// The part of the folder of that name.
    pub(crate) fn of_folder(name: &str) -> Option<Self> {
        let (index, of) = name.split_once("-of-")?;
        let shard = Self::new(index.parse().ok()?, of.parse().ok()?)?;
        (shard.folder() == name).then_some(shard)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// What several processes that record one investigation share.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    /// The part that this process records.
    pub shard: Shard,
    /// Folder of what models answer on whole splits; all processes write there and read what others have written.
    pub answers: &'a Path,
}

/// Numbers in ascending order as Slurm's `--array` takes them, such as `3,7-9`.
pub fn as_ranges(numbers: &[usize]) -> String {
    let mut ranges: Vec<[usize; 2]> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some([_, last]) if *last + 1 == number => *last = number,
            _ => ranges.push([number; 2]),
        }
    }
    let text = |[first, last]: [usize; 2]| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    ranges.into_iter().map(text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_in_one_part_and_parts_are_about_equal() {
        let items: Vec<String> = (0..4000).map(|item| format!("test/cup/{item}.png")).collect();
        for of in [1, 2, 7, 100] {
            let mut counts = vec![0_usize; of];
            for item in &items {
                let parts: Vec<usize> =
                    (0..of).filter(|&index| Shard::new(index, of).unwrap().holds(item)).collect();
                assert_eq!(parts.len(), 1, "{item} in parts of {of}");
                counts[parts[0]] += 1;
            }
            // Six standard deviations of a binomial count.
            let (expected, share) = (4000.0 / of as f64, 1.0 / of as f64);
            let allowed = 6.0 * (4000.0 * share * (1.0 - share)).sqrt();
            assert!(counts.iter().all(|&count| (count as f64 - expected).abs() <= allowed), "{counts:?}");
        }
    }

    /// Where an image falls is part of what shards on disk mean, so it stays from version to version: the first eight bytes of its
    /// SHA-256, as `python3 -c "import hashlib; print(int(hashlib.sha256(b'test/1').hexdigest()[:16], 16) % 7)"` computes it.
    #[test]
    fn where_an_item_falls_is_fixed() {
        let of_seven = |item: &str| (0..7).find(|&index| Shard::new(index, 7).unwrap().holds(item)).unwrap();
        assert_eq!(["test/1", "test/2", "attacks", ""].map(of_seven), [3, 5, 6, 1]);
    }

    #[test]
    fn folders_are_named_after_their_part() {
        let shard = Shard::new(3, 7).unwrap();
        assert_eq!((shard.to_string(), shard.folder()), ("3/7".into(), "3-of-7".into()));
        assert_eq!(Shard::of_folder("3-of-7"), Some(shard));
        for other in ["7-of-7", "03-of-7", "3-of-", "predictions", "-of-", "3-of-7.json", "+3-of-7"] {
            assert_eq!(Shard::of_folder(other), None, "{other}");
        }
        assert_eq!(Shard::new(0, 0), None);
    }

    #[test]
    fn ranges_are_as_short_as_they_can_be() {
        assert_eq!(as_ranges(&[3, 7, 8, 9]), "3,7-9");
        assert_eq!(as_ranges(&[0, 1, 2, 3, 4]), "0-4");
        assert_eq!(as_ranges(&[5]), "5");
        assert_eq!(as_ranges(&[0, 2, 4, 5]), "0,2,4-5");
        assert_eq!(as_ranges(&[]), "");
    }
}
