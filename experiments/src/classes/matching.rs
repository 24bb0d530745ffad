//! All classes of a data set and the outputs of a model.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::map::ClassMap;
use super::names::{number, shortened, wordnet_id_in};
use super::outputs::{Catalogue, Naming, Outputs};
use super::resolve::{Resolved, resolve};
use super::{grouped, imagenet};
use crate::data::{DataError, Dataset};

/// The classes of a data set.
pub struct DataClasses<'a> {
    /// Their names; a label is an index into them.
    pub names: &'a [String],
    /// Whether there is an image of each.
    pub present: Vec<bool>,
    path_ids: Box<dyn Fn() -> Vec<Option<String>> + 'a>,
    found: OnceCell<Vec<Option<String>>>,
}

impl<'a> DataClasses<'a> {
    /// The classes of `dataset`, of which those count that have images in the named `splits` (in any, if none is named).
    ///
    /// # Errors
    /// A split that does not exist.
    pub fn of(dataset: &'a Dataset, splits: &[&str]) -> Result<Self, DataError> {
        let splits: Vec<&str> = match splits {
            [] => dataset.splits().keys().map(String::as_str).collect(),
            splits => splits.to_vec(),
        };
        let mut present = vec![false; dataset.classes.len()];
        for split in splits {
            dataset.split(split)?.labels().into_iter().for_each(|label| present[label] = true);
        }
        Ok(Self::new(&dataset.classes, present, move || path_ids(dataset)))
    }

    /// All classes of `dataset`, whether there are images of them or not.
    pub fn all(dataset: &'a Dataset) -> Self {
        Self::new(&dataset.classes, vec![true; dataset.classes.len()], move || path_ids(dataset))
    }

    pub(super) fn new(
        names: &'a [String],
        present: Vec<bool>,
        path_ids: impl Fn() -> Vec<Option<String>> + 'a,
    ) -> Self {
        Self { names, present, path_ids: Box::new(path_ids), found: OnceCell::new() }
    }

    /// The WordNet identifier in the paths of a class's images.
    fn path_id(&self, class: usize) -> Option<String> {
        self.found.get_or_init(|| (self.path_ids)())[class].clone()
    }

    fn named(&self, classes: &[usize]) -> Vec<String> {
        classes.iter().map(|&class| self.names[class].clone()).collect()
    }
}

/// For each class the one WordNet identifier that folders on the way to its images bear, as in Tiny ImageNet.
fn path_ids(dataset: &Dataset) -> Vec<Option<String>> {
    let mut ids: Vec<Option<Option<String>>> = vec![None; dataset.classes.len()];
    for split in dataset.splits().values() {
        for image in 0..split.len() {
            let identifier = split.identifier(image);
            let Some((folders, _)) = identifier.rsplit_once('/') else { continue };
            let Some(id) = folders.split('/').rev().find_map(wordnet_id_in) else { continue };
            let known = &mut ids[split.label(image)];
            match known {
                None => *known = Some(Some(id.to_owned())),
                Some(Some(other)) if other != id => *known = Some(None),
                Some(_) => {}
            }
        }
    }
    ids.into_iter().map(Option::flatten).collect()
}

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
    let found: Vec<Resolved> = open
        .iter()
        .map(|&class| resolve(&catalogue, &data.names[class], data.names, || data.path_id(class)))
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
            return Ok(matched(in_order(data), MatchedBy::Order, Vec::new()));
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

/// What to say of numbers that may have been sorted in another way in training.
const TEXT_ORDER: &str = "The data's classes are numbers, which are taken for the numbers of the model's outputs; \
     torchvision's ImageFolder would have sorted such folders as text (0, 1, 10, 11, …, 2).";

fn order_note(data: &DataClasses) -> String {
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

/// What to say of classes that were matched by name; nothing where outputs and classes are the same in the same order.
fn name_notes(
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
