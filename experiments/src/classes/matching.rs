//! All classes of a data set and the outputs of a model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::data::DataClasses;
use super::map::ClassMap;
use super::names::{number, shortened, wordnet_id_in};
use super::notes::{TEXT_ORDER, name_notes, order_note, prompts_note};
use super::outputs::{Called, Catalogue, Naming, Outputs};
use super::resolve::{Resolved, resolve};
use super::{grouped, imagenet};

/// What classes and outputs were matched by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatchedBy {
    /// Names.
    Name,
    /// WordNet identifiers.
    WordnetId,
    /// Some by name, others by WordNet identifier.
    NameAndWordnetId,
    /// The data's classes are numbers, and these the outputs'.
    Number,
    /// Their order, for want of anything better.
    Order,
    /// A class map.
    Map,
}

/// Which output belongs to each class of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Matching {
    /// Output of each class; `None` for classes without an image and for those that a map leaves out.
    pub output_of: Vec<Option<usize>>,
    /// What decided.
    pub by: MatchedBy,
    /// What the outputs are called.
    pub outputs: Outputs,
    /// What the user should know, each a sentence.
    pub notes: Vec<String>,
    /// Whether it may be wrong: the user should be told how to say what is right.
    pub uncertain: bool,
    /// Classes with images that a map leaves out.
    pub left_out: Vec<usize>,
}

/// Classes that cannot be matched with outputs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unmatched {
    /// Some, or all, have no output of their name.
    #[error("it has no output for {0}")]
    NoOutput(String),
    /// Nobody named the outputs, and their number is another.
    #[error("{0}")]
    OtherCount(String),
    /// A name that several outputs bear.
    #[error("{0}")]
    Ambiguous(String),
    /// Two classes that would be one output.
    #[error("{0}")]
    Twice(String),
    /// A class map with mistakes.
    #[error("{0}")]
    Map(String),
}

/// Finds the output of every class that has images. A class map comes first; then, in this order, names and WordNet
/// identifiers, numbers, and, where nobody named the outputs and there are as many as classes, their order.
///
/// # Errors
/// What cannot be told, as the middle of a sentence about the model.
pub fn match_classes(
    data: &DataClasses,
    outputs: &Outputs,
    map: Option<&ClassMap>,
) -> Result<Matching, Unmatched> {
    let said = match map {
        Some(map) => map.resolve(data.names, outputs).map_err(Unmatched::Map)?,
        None => BTreeMap::new(),
    };
    let open: Vec<usize> =
        (0..data.names.len()).filter(|class| data.present[*class] && !said.contains_key(class)).collect();
    let mut matching = unmapped(data, outputs, &open, map.is_some())?;
    for (class, output) in said {
        matching.output_of[class] = output;
        matching.by = MatchedBy::Map;
        if output.is_none() && data.present[class] {
            matching.left_out.push(class);
        }
    }
    Ok(matching)
}

/// Matches the classes `open`.
fn unmapped(
    data: &DataClasses,
    outputs: &Outputs,
    open: &[usize],
    with_map: bool,
) -> Result<Matching, Unmatched> {
    let matched = |output_of, by, notes| Matching {
        output_of,
        by,
        outputs: outputs.clone(),
        notes,
        uncertain: false,
        left_out: Vec::new(),
    };
    let doubtful = |output_of, by, note| Matching { uncertain: true, ..matched(output_of, by, vec![note]) };
    let numbers: Option<Vec<usize>> = open.iter().map(|&class| number(&data.names[class])).collect();
    let same_count = !with_map && data.names.len() == outputs.len();
    if open.is_empty() {
        return Ok(matched(vec![None; data.names.len()], MatchedBy::Map, Vec::new()));
    }
    if *data.names == outputs.names && (outputs.naming != Naming::None || outputs.len() <= 10) {
        let by = if outputs.naming == Naming::None { MatchedBy::Number } else { MatchedBy::Name };
        let all = data.present.iter().enumerate().map(|(class, present)| present.then_some(class));
        return Ok(matched(all.collect(), by, Vec::new()));
    }
    if outputs.naming == Naming::None {
        if let Some(numbers) = &numbers
            && let Some((output_of, notes)) = by_number(data, outputs, open, numbers)
        {
            // As text, 10 comes before 2.
            let as_text = outputs.len() > 10 && open.len() == outputs.len();
            return Ok(match as_text {
                true => doubtful(output_of, MatchedBy::Number, TEXT_ORDER.to_owned()),
                false => matched(output_of, MatchedBy::Number, notes),
            });
        }
        let known = |&class: &usize| {
            let name = &data.names[class];
            wordnet_id_in(name).and_then(imagenet::index_of).is_some() || !imagenet::called(name).is_empty()
        };
        if outputs.len() == imagenet::COUNT && open.iter().all(known) {
            return unmapped(data, &Outputs::imagenet(), open, with_map);
        }
        if same_count {
            return Ok(doubtful(in_order(data), MatchedBy::Order, order_note(data)));
        }
        return Err(other_count(data, outputs, open));
    }

    let catalogue = Catalogue::new(outputs);
    let called = Called::of(data.names);
    let found: Vec<Resolved> = open
        .iter()
        .map(|&class| resolve(&catalogue, &data.names[class], &called, || data.path_id(class)))
        .collect();
    let nothing = found.iter().all(|found| *found == Resolved::Nothing);
    if nothing
        && let Some(numbers) = &numbers
        && let Some((output_of, notes)) = by_number(data, outputs, open, numbers)
    {
        return Ok(matched(output_of, MatchedBy::Number, notes));
    }
    let in_place = open.iter().zip(&found).all(|(class, found)| match found {
        Resolved::Name(output) | Resolved::Id(output) => output == class,
        Resolved::Nothing => true,
        Resolved::Several(outputs) => outputs.contains(class),
    });
    match outputs.naming {
        Naming::Assumed if nothing && same_count => {
            return Ok(doubtful(in_order(data), MatchedBy::Order, order_note(data)));
        }
        Naming::Prompts if in_place && same_count => {
            let note = prompts_note(data, outputs);
            return Ok(matched(in_order(data), MatchedBy::Order, vec![note]));
        }
        _ => {}
    }
    by_name(data, &catalogue, open, &found).map(|(output_of, by)| {
        let notes = name_notes(data, outputs, open, &output_of, by);
        matched(output_of, by, notes)
    })
}

/// The outputs that were found, if there is exactly one for each class, and for each another.
fn by_name(
    data: &DataClasses,
    catalogue: &Catalogue,
    open: &[usize],
    found: &[Resolved],
) -> Result<(Vec<Option<usize>>, MatchedBy), Unmatched> {
    let outputs = catalogue.outputs;
    let mut output_of = vec![None; data.names.len()];
    let mut owner: BTreeMap<usize, usize> = BTreeMap::new();
    let (mut missing, mut names, mut ids) = (Vec::new(), 0, 0);
    for (&class, found) in open.iter().zip(found) {
        let name = &data.names[class];
        let output = match found {
            Resolved::Nothing => {
                missing.push(class);
                continue;
            }
            Resolved::Several(several) => {
                let several: Vec<String> = several.iter().map(|&output| catalogue.describe(output)).collect();
                let sentence = format!("the class `{name}` may be its {}", several.join(" or its "));
                return Err(Unmatched::Ambiguous(sentence));
            }
            Resolved::Name(output) => {
                names += 1;
                *output
            }
            Resolved::Id(output) => {
                ids += 1;
                *output
            }
        };
        if let Some(other) = owner.insert(output, class) {
            return Err(Unmatched::Twice(format!(
                "the classes `{}` and `{name}` would both be its {}",
                data.names[other],
                catalogue.describe(output)
            )));
        }
        output_of[class] = Some(output);
    }
    if !missing.is_empty() {
        let which = match missing.len() == open.len() {
            true => format!("any of the data's classes ({})", shortened(&data.named(open))),
            false => format!(
                "{} of the data's {} classes ({})",
                grouped(missing.len()),
                grouped(open.len()),
                shortened(&data.named(&missing))
            ),
        };
        return Err(Unmatched::NoOutput(format!("{which}; its outputs are {}", shortened(&outputs.names))));
    }
    let by = match (names, ids) {
        (_, 0) => MatchedBy::Name,
        (0, _) => MatchedBy::WordnetId,
        _ => MatchedBy::NameAndWordnetId,
    };
    Ok((output_of, by))
}

fn in_order(data: &DataClasses) -> Vec<Option<usize>> {
    data.present.iter().enumerate().map(|(class, present)| present.then_some(class)).collect()
}

/// Takes classes that are numbers for the numbers of outputs, from 0 or from 1; `None` where they cannot be.
fn by_number(
    data: &DataClasses,
    outputs: &Outputs,
    open: &[usize],
    numbers: &[usize],
) -> Option<(Vec<Option<usize>>, Vec<String>)> {
    let largest = *numbers.iter().max()?;
    let mut distinct = numbers.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let first = match (largest, numbers.contains(&0)) {
        _ if distinct.len() < numbers.len() => return None,
        (largest, _) if largest < outputs.len() => 0,
        (largest, false) if largest == outputs.len() => 1,
        _ => return None,
    };
    let mut output_of = vec![None; data.names.len()];
    open.iter().zip(numbers).for_each(|(&class, number)| output_of[class] = Some(number - first));
    let (example, output) = (open[0], numbers[0] - first);
    let mut notes = Vec::new();
    let named = outputs.naming != Naming::None;
    let all = open.len() == outputs.len() && first == 0;
    if named || !all {
        let is = if named { outputs.names[output].clone() } else { format!("output {output}") };
        notes.push(format!(
            "The data's classes are numbers; they are taken for the numbers of the model's {} outputs, counted from {first} ({} is {is}).",
            grouped(outputs.len()),
            data.names[example],
        ));
    }
    Some((output_of, notes))
}

fn other_count(data: &DataClasses, outputs: &Outputs, open: &[usize]) -> Unmatched {
    let (count, classes) = (outputs.len(), data.names.len());
    Unmatched::OtherCount(format!(
        "it names no classes, and has {} output{} where the data has {} class{} ({})",
        grouped(count),
        if count == 1 { "" } else { "s" },
        grouped(classes),
        if classes == 1 { "" } else { "es" },
        shortened(&data.named(open))
    ))
}
