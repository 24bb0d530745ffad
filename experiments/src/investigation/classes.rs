//! The classes of models that are brought along: all in one order, the data's classes first.

use std::path::PathBuf;

use crate::classes::{DataClasses, MatchedBy, Matching, Outputs, match_classes, same_outputs};
use archaeo_data::Dataset;
use crate::findings::Role;

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
/// to all: the data's classes, then outputs that several models have, then those of one.
///
/// # Errors
/// Classes that cannot be matched; two models each with outputs that the other lacks.
pub(super) fn arrange(
    dataset: &Dataset,
    given: &[(Role, PathBuf, Outputs)],
) -> Result<Vec<Arranged>, InvestigationError> {
    let mut matchings = Vec::new();
    for (role, path, outputs) in given {
        let matching = match_classes(&DataClasses::all(dataset), outputs, None).map_err(|unmatched| {
            InvestigationError::Classes { path: path.clone(), role: *role, reason: unmatched.to_string() }
        })?;
        matchings.push(matching);
    }
    let mut others: Vec<Vec<usize>> = matchings.iter().map(others).collect();
    // What the second one's further outputs are called: as in the first, where they are the same.
    let mut called: Vec<Vec<String>> = (others.iter().zip(&matchings))
        .map(|(others, matching)| {
            others.iter().map(|&output| matching.outputs.names[output].clone()).collect()
        })
        .collect();
    if let [first, second] = &matchings[..] {
        let shared = same_outputs(&first.outputs, &others[0], &second.outputs, &others[1]);
        if shared.len() < others[0].len() && shared.len() < others[1].len() {
            return Err(InvestigationError::OtherOutputs { paths: [given[0].1.clone(), given[1].1.clone()] });
        }
        let (of_first, of_second): (Vec<usize>, Vec<usize>) = shared.iter().copied().unzip();
        let name = |&output: &usize| first.outputs.names[output].clone();
        let names: Vec<String> = of_first.iter().map(name).collect();
        for (others, (shared, (called, matching))) in
            others.iter_mut().zip([of_first, of_second].into_iter().zip(called.iter_mut().zip(&matchings)))
        {
            let own: Vec<usize> = others.iter().copied().filter(|output| !shared.contains(output)).collect();
            *called = names.clone();
            called.extend(own.iter().map(|&output| matching.outputs.names[output].clone()));
            *others = [shared, own].concat();
        }
    }
    let arranged = matchings.into_iter().zip(others).zip(called).zip(given);
    Ok(arranged
        .map(|(((matching, others), called), (role, ..))| {
            let of_data = matching.output_of.iter().map(|output| output.expect("every class was matched"));
            let order = of_data.chain(others).collect();
            let names = dataset.classes.iter().cloned().chain(called).collect();
            let mut notes = matching.notes;
            if matching.uncertain {
                notes.push(format!(
                    "If that is wrong, name its outputs in order with --{role}-class-names FILE."
                ));
            }
            Arranged { order, names, by: matching.by, notes }
        })
        .collect())
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
        let given = [(Role::Vit, forward), (Role::Cnn, backward)];
        let given = given.map(|(role, names)| (role, PathBuf::from(format!("{role}.pth")), outputs(&names)));
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
