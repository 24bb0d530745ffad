//! Suggestions for misspelled names.

/// Least similarity of a misspelling.
const LEAST_LIKENESS: f64 = 0.8;

/// The one of `known` that `name` may be a misspelling of; of equally similar ones the shorter.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let name = name.to_lowercase();
    let likeness = |candidate: &str| {
        let edits = strsim::normalized_damerau_levenshtein(&name, candidate);
        strsim::jaro_winkler(&name, candidate).max(edits)
    };
    let scored = known.map(|candidate| (likeness(candidate), candidate));
    let near = scored.filter(|(likeness, _)| *likeness > LEAST_LIKENESS);
    let best = near.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.len().cmp(&a.1.len())).then(b.1.cmp(a.1)));
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let known = ["vit_tiny_patch16", "vit_tiny_patch4", "resnet18", "resnet18_cifar"];
        let near = |name| nearest(name, known.into_iter());
        assert_eq!(near("vit_tny"), Some("vit_tiny_patch4"));
        assert_eq!(near("restnet18"), Some("resnet18"));
        assert_eq!(near("ResNet18"), Some("resnet18"));
        assert_eq!(near("mamba"), None);
    }
}
