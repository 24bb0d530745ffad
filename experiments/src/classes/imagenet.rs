//! The classes of ImageNet-1k (ILSVRC 2012): WordNet identifiers and names, in the order of the outputs of models trained
//! on it.
//!
//! `imagenet_1k.txt` has a line for each class: its identifier and its synonyms, as in `imagenet_synsets.txt` and
//! `imagenet_synset_to_lemma.txt` of huggingface/pytorch-image-models (Apache-2.0); the names are WordNet's.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use super::names::{key, synonyms};

/// Number of classes.
pub const COUNT: usize = 1000;

/// One class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synset {
    /// WordNet identifier, such as `n01440764`.
    pub id: &'static str,
    /// Synonyms with commas between them, such as `tench, Tinca tinca`.
    pub names: &'static str,
}

static SYNSETS: LazyLock<Vec<Synset>> = LazyLock::new(|| {
    let lines = include_str!("imagenet_1k.txt").lines();
    lines.filter_map(|line| line.split_once(' ')).map(|(id, names)| Synset { id, names }).collect()
});

/// The classes that bear each name, under its [`key`].
static BY_NAME: LazyLock<HashMap<String, Vec<usize>>> = LazyLock::new(|| {
    let mut classes: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, synset) in SYNSETS.iter().enumerate() {
        for name in synonyms(synset.names) {
            let bearers = classes.entry(key(name)).or_default();
            if !bearers.contains(&index) {
                bearers.push(index);
            }
        }
    }
    classes
});

/// All classes, in the order of the outputs.
pub fn synsets() -> &'static [Synset] {
    &SYNSETS
}

/// Output of the class with this WordNet identifier.
pub fn index_of(id: &str) -> Option<usize> {
    static BY_ID: LazyLock<HashMap<&str, usize>> =
        LazyLock::new(|| SYNSETS.iter().enumerate().map(|(index, synset)| (synset.id, index)).collect());
    BY_ID.get(id).copied()
}

/// The classes that are called `name`, all of whose synonyms must be theirs.
pub(super) fn called(name: &str) -> Vec<usize> {
    let mut bearers = synonyms(name).map(|name| BY_NAME.get(&key(name)).cloned().unwrap_or_default());
    let first = bearers.next().unwrap_or_default();
    let rest: Vec<Vec<usize>> = bearers.collect();
    first.into_iter().filter(|index| rest.iter().all(|others| others.contains(index))).collect()
}

/// A name for each class: its first synonym, with the identifier where another class has the same one (`crane
/// (n02012849)`).
pub fn short_names() -> Vec<String> {
    let first = |synset: &Synset| synonyms(synset.names).next().unwrap_or(synset.names);
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    SYNSETS.iter().for_each(|synset| *uses.entry(first(synset)).or_default() += 1);
    let name = |synset: &Synset| match uses[first(synset)] {
        1 => first(synset).to_owned(),
        _ => format!("{} ({})", first(synset), synset.id),
    };
    SYNSETS.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ilsvrc_2012s() {
        assert_eq!(synsets().len(), COUNT);
        assert!(synsets().is_sorted_by(|a, b| a.id < b.id), "outputs are in the order of the identifiers");
        // The ends, and the two classes that share their only name, as published.
        for (index, id, names) in [
            (0, "n01440764", "tench, Tinca tinca"),
            (134, "n02012849", "crane"),
            (517, "n03126707", "crane"),
            (999, "n15075141", "toilet tissue, toilet paper, bathroom tissue"),
        ] {
            assert_eq!(synsets()[index], Synset { id, names });
            assert_eq!(index_of(id), Some(index));
        }
        let names = short_names();
        assert_eq!((names[0].as_str(), names[517].as_str()), ("tench", "crane (n03126707)"));
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), COUNT);
        assert_eq!(called("great_white_shark"), [2]);
        assert_eq!(called("crane"), [134, 517]);
        assert_eq!(called("maillot, tank suit"), [639]);
    }
}
