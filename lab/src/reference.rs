//! Which of the paths that models are given by are names on the hub.

use std::path::Path;

/// What stands before a name on the hub.
pub(crate) const PREFIX: &str = "hf:";

/// Whether a path is really a name on the hub.
pub fn is_reference(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with(PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_the_prefix_is_a_reference() {
        assert!(is_reference(Path::new("hf:a/b")) && !is_reference(Path::new("a/hf:b")));
    }
}
