//! Which class of the data is which output of a model.
//!
//! A label is an index into the data's classes, in an order that the data set has (folders by name, say); a model's output
//! is an index into the classes it was trained on, in an order of its own. [`match_classes`] finds out what belongs together
//! from names, WordNet identifiers or numbers, says how, and refuses what cannot be told. [`Dataset::relabel`] then makes
//! labels of outputs.
//!
//! [`Dataset::relabel`]: archaeo_data::Dataset::relabel

mod data;
pub mod imagenet;
mod map;
mod matching;
mod names;
mod notes;
mod outputs;
mod resolve;

pub use data::DataClasses;
pub use map::ClassMap;
pub use matching::{MatchedBy, Matching, Unmatched, match_classes};
pub use names::{are_wordnet_ids, shortened};
pub use outputs::{Naming, Outputs};
pub use resolve::same_outputs;

/// A count as prose has it: `1,000`.
pub(crate) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let first = digits.len() % 3;
    let mut groups: Vec<&str> = if first > 0 { vec![&digits[..first]] } else { Vec::new() };
    groups.extend((first..digits.len()).step_by(3).map(|start| &digits[start..start + 3]));
    groups.join(",")
}

#[cfg(test)]
mod tests;
