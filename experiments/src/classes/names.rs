//! How names of classes are compared.

use super::grouped;

/// What two spellings of a name have in common: case, white space, underscores, hyphens, apostrophes and full stops do not
/// count, nor does an article before the name.
pub(super) fn key(name: &str) -> String {
    let lower = name.to_lowercase();
    let separates = |c: char| c.is_whitespace() || matches!(c, '_' | '-' | '\'' | '’' | '.' | '‐' | '–');
    let mut words: Vec<&str> = lower.split(separates).filter(|word| !word.is_empty()).collect();
    if words.len() > 1 && ["a", "an", "the"].contains(&words[0]) {
        words.remove(0);
    }
    if words.is_empty() { lower } else { words.concat() }
}

/// The names in a list with commas.
pub(super) fn synonyms(names: &str) -> impl Iterator<Item = &str> {
    names.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// A WordNet identifier such as `n01440764`.
pub(super) fn is_wordnet_id(text: &str) -> bool {
    text.len() == 9 && text.starts_with('n') && text[1..].bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether classes are called by WordNet identifiers and nothing else.
pub fn are_wordnet_ids(names: &[String]) -> bool {
    names.iter().all(|name| is_wordnet_id(name))
}

/// The one WordNet identifier that is a word of `text`, as in `n02012849`, `n02012849-crane` or `crane (n02012849)`.
pub(super) fn wordnet_id_in(text: &str) -> Option<&str> {
    let mut ids = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| is_wordnet_id(word));
    ids.next().filter(|first| ids.all(|other| other == *first))
}

/// `name` without a WordNet identifier and what joins it.
pub(super) fn without_wordnet_id(name: &str) -> &str {
    let Some(id) = wordnet_id_in(name) else { return name };
    let joins = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '_' | '-' | ':' | ',' | '.');
    let name = name.strip_prefix(id).unwrap_or(name);
    let name = name.trim_end_matches(joins);
    name.strip_suffix(id).unwrap_or(name).trim_matches(joins)
}

/// A class that is called by a number.
pub(super) fn number(name: &str) -> Option<usize> {
    let name = name.trim();
    name.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.parse().ok()).flatten()
}

/// A few of `names`, and how many there are.
pub fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len() > SHOWN {
        true => format!("{shown} and {} more", grouped(names.len() - SHOWN)),
        false => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_alike() {
        for (one, other) in [
            ("Great White Shark", "great_white_shark"),
            ("AnnualCrop", "annual crop"),
            ("the cat", "Cat"),
            ("T-shirt", "t shirt"),
            ("St. Bernard", "saint_bernard"),
        ] {
            assert_eq!(key(one) == key(other), one != "St. Bernard", "{one} {other}");
        }
        // An article alone is a name; so is what only separates.
        assert_eq!(["a", "A", "_"].map(key), ["a", "a", "_"]);
        assert_ne!(key("c++"), key("c"));
    }

    #[test]
    fn identifiers_are_found_in_names() {
        assert_eq!(wordnet_id_in("n02085620-Chihuahua"), Some("n02085620"));
        assert_eq!(without_wordnet_id("n02085620-Chihuahua"), "Chihuahua");
        assert_eq!(without_wordnet_id("crane (n02012849)"), "crane");
        assert_eq!(without_wordnet_id("n02012849"), "");
        assert_eq!(wordnet_id_in("n0208562"), None);
        assert_eq!(wordnet_id_in("n02012849 or n03126707"), None);
        assert_eq!((number("007"), number("n7"), number("")), (Some(7), None, None));
    }
}
