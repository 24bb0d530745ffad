//! Names on the hub.

use super::error::HubError;
use crate::reference::PREFIX;

/// A name on the hub.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub repository: String,
    pub revision: String,
}

impl Reference {
    pub fn parse(text: &str) -> Result<Self, HubError> {
        let name = text.strip_prefix(PREFIX).unwrap_or(text);
        let (repository, revision) = name.split_once('@').unwrap_or((name, "main"));
        // They become parts of paths and addresses.
        let plain = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            !part.is_empty() && part != "." && part != ".." && part.chars().all(allowed)
        };
        let owner_and_name = repository.split('/').count() == 2 && repository.split('/').all(plain);
        if !owner_and_name || !revision.split('/').all(plain) {
            return Err(HubError::Name(text.into()));
        }
        Ok(Self { repository: repository.to_owned(), revision: revision.to_owned() })
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}{}", self.repository)?;
        if self.revision == "main" { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_the_hub() {
        let parsed = |text: &str| Reference::parse(text).map(|found| (found.repository, found.revision));
        let expected = |repository: &str, revision: &str| (repository.to_owned(), revision.to_owned());
        assert_eq!(parsed("hf:timm/vit_base.augreg").unwrap(), expected("timm/vit_base.augreg", "main"));
        assert_eq!(parsed("hf:a/b@refs/pr/3").unwrap(), expected("a/b", "refs/pr/3"));
        for wrong in [
            "hf:",
            "hf:name",
            "hf:a/b/c",
            "hf:a/",
            "hf:../b",
            "hf:a/b@",
            "hf:a/b@../c",
            "hf:a/b?x",
            "hf:a/b@x y",
        ] {
            let error = parsed(wrong).unwrap_err().to_string();
            assert!(error.contains("give hf:OWNER/NAME or hf:OWNER/NAME@REVISION"), "{error}");
        }
    }
}
