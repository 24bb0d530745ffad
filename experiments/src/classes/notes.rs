//! What the user is told of a matching.

use super::data::DataClasses;
use super::grouped;
use super::matching::MatchedBy;
use super::names::{number, shortened};
use super::outputs::{Naming, Outputs};

/// What to say of numbers that may have been sorted in another way in training.
pub(super) const TEXT_ORDER: &str = "The data's classes are numbers, which are taken for the numbers of the model's outputs; \
     torchvision's ImageFolder would have sorted such folders as text (0, 1, 10, 11, …, 2).";

/// What to say where nothing but the order decides.
pub(super) fn order_note(data: &DataClasses) -> String {
    let mut as_text = data.names.to_vec();
    as_text.sort();
    let numeric = data.names.iter().all(|name| number(name).is_some());
    let sorted = match numeric && as_text != *data.names {
        true => format!(
            " (numbers are sorted as numbers here; torchvision's ImageFolder sorts folders as text: {})",
            shortened(&as_text)
        ),
        false => String::new(),
    };
    format!(
        "The model names no classes: its outputs are taken in the order of the data's classes, {}{sorted}.",
        shortened(data.names)
    )
}

/// What to say where prompts call the classes by other names.
pub(super) fn prompts_note(data: &DataClasses, outputs: &Outputs) -> String {
    let pairs: Vec<String> =
        data.names.iter().zip(&outputs.names).map(|(class, name)| format!("{class} is {name}")).collect();
    format!("The names in the prompts are taken in the order of the data's classes: {}.", shortened(&pairs))
}

/// What to say of classes that were matched by name; nothing where outputs and classes are the same in the same order.
pub(super) fn name_notes(
    data: &DataClasses,
    outputs: &Outputs,
    open: &[usize],
    output_of: &[Option<usize>],
    by: MatchedBy,
) -> Vec<String> {
    let mut notes = Vec::new();
    if outputs.naming == Naming::Assumed {
        notes.push("The model's 1,000 classes are taken to be ImageNet-1k's.".to_owned());
    }
    let by = match by {
        MatchedBy::WordnetId => "WordNet identifier",
        MatchedBy::NameAndWordnetId => "name and WordNet identifier",
        _ => "name",
    };
    let in_place = open.iter().all(|&class| output_of[class] == Some(class));
    if data.names.len() < outputs.len() || open.len() < outputs.len() && !in_place {
        notes.push(format!(
            "The data's {} classes are matched with the model's outputs by {by}; an answer may be any of its {} classes.",
            grouped(open.len()),
            grouped(outputs.len())
        ));
    } else if !in_place {
        notes.push(format!(
            "The model's outputs are in another order than the data's classes ({}); they are matched by {by}.",
            shortened(&outputs.names)
        ));
    }
    notes
}
