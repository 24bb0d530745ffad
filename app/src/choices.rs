//! What the command line lets one choose from, as the libraries list it.

use archaeo_analysis::attribution;
use clap::builder::{PossibleValue, PossibleValuesParser};

/// Every method that makes heatmaps.
pub fn methods() -> PossibleValuesParser {
    let listed = attribution::methods().iter().map(|method| method.info());
    listed
        .map(|info| choice(info.id, info.summary, info.paper.map(|paper| paper.citation)))
        .collect::<Vec<_>>()
        .into()
}

fn choice(id: &'static str, summary: &str, citation: Option<&str>) -> PossibleValue {
    let mut words = summary.to_owned();
    let mut letters = summary.chars();
    if let Some(first) = letters.next() {
        words = first.to_uppercase().chain(letters).collect();
    }
    if let Some(citation) = citation {
        words += &format!(" ({citation})");
    }
    PossibleValue::new(id).help(words)
}
