//! The papers that reports refer to, by their address, and those of one report in BibTeX.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::document::{Block, Document, Span};

/// What the file is called.
pub const FILE: &str = "references.bib";

/// Address without `https://`, key, authors, title and year, separated by tabs; in the order of the authors.
const PAPERS: &str = include_str!("bibliography/papers.tsv");

/// A paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Where it is, without `https://`.
    pub place: &'static str,
    /// What BibTeX calls it.
    pub key: &'static str,
    /// Its authors as BibTeX takes them.
    pub authors: &'static str,
    /// Its title.
    pub title: &'static str,
    /// When it came out.
    pub year: &'static str,
}

/// All papers.
fn references() -> impl Iterator<Item = Reference> {
    PAPERS.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        Some(Reference { place: next()?, key: next()?, authors: next()?, title: next()?, year: next()? })
    })
}

/// The paper at an address.
pub fn reference(url: &str) -> Option<Reference> {
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    references().find(|reference| reference.place == place)
}

/// Every address that the definitions of a document lead to, with what it is called there.
pub fn cited(document: &Document) -> BTreeSet<(String, String)> {
    let blocks = document.sections.iter().flat_map(|section| &section.blocks);
    let definitions = blocks.filter_map(|block| match block {
        Block::Definitions(terms) => Some(terms),
        _ => None,
    });
    let spans = definitions.flatten().flat_map(|(_, meaning)| &meaning.0);
    let links = spans.filter_map(|span| match span {
        Span::Link { label, url } => Some((label.clone(), url.clone())),
        _ => None,
    });
    links.collect()
}

/// What a document refers to, in BibTeX.
pub fn bibtex(document: &Document) -> String {
    let mut out = String::from("% What the report refers to.\n");
    let mut known = BTreeSet::new();
    for (label, url) in cited(document) {
        let line = match reference(&url) {
            Some(Reference { place, key, authors, title, year }) => {
                if !known.insert(place) {
                    continue;
                }
                format!(
                    "@misc{{{key},\n  author = {{{authors}}},\n  title = {{{{{title}}}}},\n  year = {{{year}}},\n  url = {{{url}}},\n}}"
                )
            }
            None => format!("@misc{{{},\n  note = {{{label}}},\n  url = {{{url}}},\n}}", key(&label)),
        };
        write!(out, "\n{line}\n").expect("a string takes everything");
    }
    out
}

fn key(label: &str) -> String {
    label.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_in_order() {
        let all: Vec<Reference> = references().collect();
        assert_eq!(all.len(), PAPERS.lines().count());
        let keys: BTreeSet<&str> = all.iter().map(|reference| reference.key).collect();
        assert_eq!(keys.len(), all.len(), "no two have one key");
        for Reference { place, key, authors, title, year } in &all {
            assert!(year.len() == 4 && key.contains(*year), "{key}: {year}");
            assert!(!authors.is_empty() && title.len() > 5 && !place.starts_with("http"), "{key}");
            assert!(!title.contains(['{', '}', '\\']), "{key}");
        }
        assert_eq!(reference("https://arxiv.org/abs/2005.00928").unwrap().key, "abnar2020");
    }
}
