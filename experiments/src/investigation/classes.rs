//! The classes of models that are brought along: all in one order, the data's classes first.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::classes::{DataClasses, MatchedBy, Matching, Outputs, match_classes, same_outputs};
use crate::subjects::ModelName;
use archaeo_data::Dataset;

use super::InvestigationError;

/// The outputs of a given model and how they belong to the data's classes.
pub(super) struct Arranged {
    /// The output that comes first, second and so on.
    pub(super) order: Vec<usize>,
    /// What they are called, in that order.
    pub(super) names: Vec<String>,
    /// What classes were matched by.
    pub(super) by: MatchedBy,
    /// What the user should know.
    pub(super) notes: Vec<String>,
}

/// Matches the outputs of each given model with the data's classes, and puts them in an order in which an index means the same
/// to all: the data's classes, then outputs that all models have, then those of fewer and fewer.
///
/// # Errors
/// Classes that cannot be matched; two models each with outputs that the other lacks.
pub(super) fn arrange(
    dataset: &Dataset,
    given: &[(ModelName, PathBuf, Outputs)],
) -> Result<Vec<Arranged>, InvestigationError> {
    let mut matchings = Vec::new();
    for (name, path, outputs) in given {
        let matching = match_classes(&DataClasses::all(dataset), outputs, None).map_err(|unmatched| {
            InvestigationError::Classes { path: path.clone(), name: *name, reason: unmatched.to_string() }
        })?;
        matchings.push(matching);
    }
    let further = further(&matchings);
    // Each model's further outputs begin with all of those of any model that has fewer.
    let mut by_number: Vec<usize> = (0..given.len()).collect();
    by_number.sort_by_key(|&model| further.of_models[model].len());
    let mut order: Vec<usize> = Vec::new();
    for (place, &model) in by_number.iter().enumerate() {
        let own = &further.of_models[model];
        if order.iter().any(|class| !own.contains_key(class)) {
            let paths = [by_number[place - 1], model].map(|model| given[model].1.clone());
            return Err(InvestigationError::OtherOutputs { paths });
        }
        let mut new: Vec<usize> = own.keys().copied().filter(|class| !order.contains(class)).collect();
        new.sort_unstable();
        order.extend(new);
    }
    let arranged = matchings.into_iter().zip(&further.of_models).zip(given);
    Ok(arranged
        .map(|((matching, own), (name, ..))| {
            let of_data = matching.output_of.iter().map(|output| output.expect("every class was matched"));
            let own_order = order.iter().filter(|class| own.contains_key(class));
            let called = own_order.clone().map(|&class| further.names[class].clone());
            let names = dataset.classes.iter().cloned().chain(called).collect();
            let order = of_data.chain(own_order.map(|class| own[class])).collect();
            let mut notes = matching.notes;
            if matching.uncertain {
                notes.push(format!(
                    "If that is wrong, name its outputs in order with --class-names {name}=FILE."
                ));
            }
            Arranged { order, names, by: matching.by, notes }
        })
        .collect())
}

/// Classes that models know and the data does not, numbered as they are met.
struct Further {
    /// What each is called by the first model that has it.
    names: Vec<String>,
    /// Of each model: which class is which of its outputs.
    of_models: Vec<BTreeMap<usize, usize>>,
}

fn further(matchings: &[Matching]) -> Further {
    let mut names: Vec<String> = Vec::new();
    let mut of_models: Vec<BTreeMap<usize, usize>> = Vec::new();
    for matching in matchings {
        let mut open = others(matching);
        let mut own = BTreeMap::new();
        for (earlier, known) in matchings.iter().zip(&of_models) {
            let theirs: Vec<usize> = known.values().copied().collect();
            for (output, same) in same_outputs(&earlier.outputs, &theirs, &matching.outputs, &open) {
                let class = known.iter().find(|(_, known)| **known == output).map(|(class, _)| *class);
                own.insert(class.expect("it is one of theirs"), same);
                open.retain(|output| *output != same);
            }
        }
        for output in open {
            own.insert(names.len(), output);
            names.push(matching.outputs.names[output].clone());
        }
        of_models.push(own);
    }
    Further { names, of_models }
}

/// Outputs that belong to none of the data's classes, ascending.
fn others(matching: &Matching) -> Vec<usize> {
    let taken: Vec<bool> = matching.output_of.iter().flatten().fold(
        vec![false; matching.outputs.len()],
        |mut taken, &output| {
            taken[output] = true;
            taken
        },
    );
    (0..taken.len()).filter(|&output| !taken[output]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use archaeo_data::{OpenOptions, open};

    fn outputs(names: &[&str]) -> Outputs {
        Outputs::named(names.iter().map(|&name| name.to_owned()).collect())
    }

    /// Sherds know ten shapes; these models know them in another order, and other things besides.
    fn two(first: &[&str], second: &[&str]) -> Result<Vec<Arranged>, InvestigationError> {
        let dataset = open("sherds:train=10,val=10,test=10", &OpenOptions::default()).unwrap();
        let mut shapes: Vec<&str> = dataset.classes.iter().map(String::as_str).collect();
        let forward = [first, &shapes].concat();
        shapes.reverse();
        let backward = [&shapes[..3], second, &shapes[3..]].concat();
        let given = [("vit", forward), ("cnn", backward)];
        let given = given.map(|(name, names)| {
            (ModelName::new(name), PathBuf::from(format!("{name}.pth")), outputs(&names))
        });
        arrange(&dataset, &given)
    }

    #[test]
    fn an_index_means_the_same_to_both_models() {
        let dataset = open("sherds", &OpenOptions::default()).unwrap();
        let arranged = two(&["lamp", "cup"], &["cup", "vase", "lamp"]).unwrap();
        assert_eq!(arranged[0].names[..10], dataset.classes[..]);
        assert_eq!(arranged[0].names[10..], ["lamp", "cup"]);
        assert_eq!(arranged[1].names[..12], arranged[0].names[..]);
        assert_eq!(arranged[1].names[12..], ["vase"]);
        // The first model has its shapes after two others; the second has them from last to first, three others in between.
        assert_eq!(arranged[0].order, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1]);
        assert_eq!(arranged[1].order, [12, 11, 10, 9, 8, 7, 6, 2, 1, 0, 5, 3, 4]);
    }

    #[test]
    fn outputs_that_an_index_cannot_tell_apart_are_refused() {
        let Err(error) = two(&["lamp"], &["cup"]) else { panic!("must be refused") };
        let said = error.to_string();
        assert!(said.contains("vit.pth and cnn.pth"), "{said}");
    }
}
