//! The output of one class, by its name or its WordNet identifier.

use std::collections::HashMap;

use super::names::wordnet_id_in;
use super::outputs::{Called, Catalogue, Outputs};

/// What belongs to a class of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resolved {
    /// The output of that name.
    Name(usize),
    /// The output of that WordNet identifier.
    Id(usize),
    /// No output.
    Nothing,
    /// Several outputs, and nothing decides between them.
    Several(Vec<usize>),
}

/// The output of the class `name` among the classes `all` of the data. `path_id` gives the WordNet identifier in the paths of
/// its images, for want of one in its name.
pub(super) fn resolve(
    catalogue: &Catalogue,
    name: &str,
    all: &Called,
    path_id: impl Fn() -> Option<String>,
) -> Resolved {
    if let Some(output) = wordnet_id_in(name).and_then(|id| catalogue.with_id(id)) {
        return Resolved::Id(output);
    }
    let by_path = || path_id().and_then(|id| catalogue.with_id(&id));
    let found = catalogue.called(name);
    match found[..] {
        [] => by_path().map_or(Resolved::Nothing, Resolved::Id),
        [only] => Resolved::Name(only),
        _ => match whole(catalogue, name, &found, all) {
            Some(output) => Resolved::Name(output),
            None => match by_path().filter(|output| found.contains(output)) {
                Some(output) => Resolved::Id(output),
                None => Resolved::Several(found),
            },
        },
    }
}

/// The one output among those `found` that is called `name` as a whole. A name of several synonyms says enough; one alone
/// only where each of the other outputs is another class's by the same token.
fn whole(catalogue: &Catalogue, name: &str, found: &[usize], all: &Called) -> Option<usize> {
    let mut called = found.iter().copied().filter(|&output| catalogue.is_called(output, name));
    let output = called.next().filter(|_| called.next().is_none())?;
    let taken = |rival: usize| catalogue.is_taken(rival, name, all);
    let decided = name.contains(',') || found.iter().all(|&rival| rival == output || taken(rival));
    decided.then_some(output)
}

/// Which of `some` outputs of one model are the same class as which of `others` of another, in the order of `some`. What cannot
/// be told is not the same.
pub fn same_outputs(
    first: &Outputs,
    some: &[usize],
    second: &Outputs,
    others: &[usize],
) -> Vec<(usize, usize)> {
    let catalogue = Catalogue::new(second);
    let called = Called::of(&first.names);
    let mut open: HashMap<usize, usize> = HashMap::new();
    others.iter().for_each(|&other| *open.entry(other).or_default() += 1);
    let mut same = Vec::new();
    for &output in some {
        let found = match resolve(&catalogue, &first.names[output], &called, || None) {
            Resolved::Name(found) | Resolved::Id(found) => found,
            Resolved::Nothing | Resolved::Several(_) => continue,
        };
        if let Some(left) = open.get_mut(&found).filter(|left| **left > 0) {
            *left -= 1;
            same.push((output, found));
        }
    }
    same
}
