//! What each quantity is, as computed here, with the paper it comes from: folded from the chapters.

use archaeo_report::document::{Block, Column, Section, Table, Text};

use crate::study::{AnyStudy, Chapter};

pub(super) fn section(chapters: &[(&dyn AnyStudy, Chapter)]) -> Section {
    let mut terms: Vec<(String, Text)> = Vec::new();
    for (term, meaning) in chapters.iter().flat_map(|(_, chapter)| &chapter.definitions) {
        // Two chapters may speak of the same quantity.
        if terms.iter().all(|(known, _)| known != term) {
            terms.push((term.clone(), meaning.clone()));
        }
    }
    terms.push(definition(
        "How sentences are chosen",
        "The summary's sentences are picked by intervals and p-values: a difference is stated only where the interval \
         excludes none (and, for accuracy, p < 0.05). Where no paired comparison exists, two intervals must not touch, which \
         is stricter. Statements about heads and attacks rest on p-values corrected for all heads, or all sizes and attacks. \
         The summary makes several statements without correcting for their number.",
        &[],
    ));
    let mut blocks = vec![Block::Definitions(terms)];
    blocks.extend(intervals(chapters));
    Section { id: "method", title: "Method", blocks }
}

/// A definition and its source: label and address of the paper, where there is one on the web.
pub(crate) fn definition(term: &str, meaning: &str, sources: &[(&str, &str)]) -> (String, Text) {
    let mut text = Text::from(meaning);
    for (i, (label, url)) in sources.iter().enumerate() {
        text = text.plain(if i == 0 { " Source: " } else { "; " }).link(*label, *url);
    }
    (term.into(), if sources.is_empty() { text } else { text.plain(".") })
}

/// How each kind of interval was computed, in the words of the statistic itself.
fn intervals(chapters: &[(&dyn AnyStudy, Chapter)]) -> Option<Block> {
    let found = chapters.iter().flat_map(|(_, chapter)| &chapter.intervals);
    let rows: Vec<Vec<Text>> = found
        .map(|(name, estimate)| {
            vec![
                Text::from(*name),
                format!("{:.0} %", 100.0 * estimate.level).into(),
                estimate.method.clone().into(),
            ]
        })
        .collect();
    (!rows.is_empty()).then(|| {
        Block::Appendix(Table {
            caption: "How the intervals are computed.".into(),
            columns: vec![Column::words("Quantity"), Column::numbers("Level"), Column::prose("Method")],
            rows,
        })
    })
}
