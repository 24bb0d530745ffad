//! Which of the paths that models are given by are names on the hub.

use std::path::Path;

/// What stands before a name on the hub.
pub(crate) const PREFIX: &str = "hf:";

/// Whether a path is really a name on the hub.
pub fn is_reference(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with(PREFIX))
}

/// Whether a source of data is an address, as `s3://bucket/key` is, and no path.
pub(crate) fn is_remote(source: &str) -> bool {
    let is_scheme = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
    source.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) && !Path::new(source).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_the_prefix_is_a_reference() {
        assert!(is_reference(Path::new("hf:a/b")) && !is_reference(Path::new("a/hf:b")));
    }

    #[test]
    fn addresses_are_not_paths() {
        assert!(["s3://b/k", "https://h/x.tar", "ftp://h/x"].into_iter().all(is_remote));
        assert!(!["sherds", "sherds:size=64", "a/b://c", "://x", "folder"].into_iter().any(is_remote));
    }
}
