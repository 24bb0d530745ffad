//! The model that arrays belong to, from names and shapes; remaining doubts are reported.

use super::{DescribeError, foreign};
use crate::architectures::{ALL, NetworkSpec};
use crate::checkpoint::TrainingCode;
use crate::state::{Array, State};

/// Information about a checkpoint besides its arrays.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hints<'a> {
    /// Number of attention heads, as given by the user.
    pub(crate) heads: Option<usize>,
    /// Training code that wrote it.
    pub(crate) code: Option<TrainingCode>,
    /// Name of the file.
    pub(crate) file: &'a str,
}

/// Models that match the arrays.
#[derive(Debug, PartialEq)]
pub(super) struct Inferred {
    /// The model's name; further names are of equivalent models with the same arrays.
    pub(super) names: Vec<String>,
    pub(super) network: NetworkSpec,
    /// Whether the name of the file decided.
    pub(super) by_file_name: bool,
    /// What no array shows and was assumed.
    pub(super) assumed: Vec<String>,
    /// What should be settled before measuring with this model; the end of a sentence.
    pub(super) doubt: Option<String>,
}

/// An architecture determined from the arrays.
pub(crate) struct Found {
    pub(crate) network: NetworkSpec,
    /// As [`Inferred::assumed`].
    pub(crate) assumed: Vec<String>,
    /// As [`Inferred::doubt`].
    pub(crate) doubt: Option<Doubt>,
}

/// The end of a sentence about a file, given the name of a model that the file may hold, if any.
pub(crate) type Doubt = Box<dyn Fn(Option<&str>) -> String>;

impl Found {
    pub(crate) fn certain(network: NetworkSpec) -> Self {
        Self { network, assumed: Vec::new(), doubt: None }
    }
}

/// The model that has these arrays. Names of libraries other than timm are recognised where it matters.
///
/// # Errors
/// An unknown or unsupported architecture, or an invalid variant, which the error names.
pub(super) fn network(state: &State, hints: &Hints) -> Result<Inferred, DescribeError> {
    // The values do not matter, and could fill the memory.
    let hollow = |array: &Array| Array { shape: array.shape.clone(), values: Vec::new() };
    let state = state.iter().map(|(name, array)| (name.clone(), hollow(array))).collect();
    let state = &crate::names::unwrapped(state);
    if let Some(what) = foreign::by_arrays(state) {
        return Err(DescribeError::Foreign { what: what.into() });
    }
    let mut found = None;
    for architecture in ALL.iter().rev() {
        found = (architecture.found_in)(state, hints)?;
        if found.is_some() {
            break;
        }
    }
    let Found { network: found, mut assumed, doubt } = found.ok_or(DescribeError::Unknown)?;

    let side = found.image_size().unwrap_or(224);
    let (mut names, mut networks) = (Vec::new(), Vec::new());
    for name in NetworkSpec::names() {
        let Ok(network) = NetworkSpec::named(&name, found.classes(), side) else { continue };
        if shaped_alike(network.clone()) == shaped_alike(found.clone()) {
            let pixels = network.image_size().map(|side| format!("_{side}")).unwrap_or_default();
            names.push(name + &pixels);
            networks.push(network);
        }
    }
    let by_file_name = named_by_file(&names, hints.file);
    if let Some(chosen) = by_file_name {
        (names, networks) = (vec![names.swap_remove(chosen)], vec![networks.swap_remove(chosen)]);
    }
    let Some(first) = networks.first() else {
        let name = found.sizes().unnamed();
        let doubt = doubt.map(|doubt| doubt(None));
        return Ok(Inferred { names: vec![name], network: found, by_file_name: false, assumed, doubt });
    };
    if !networks.iter().all(|network| network == first) {
        return Err(DescribeError::Ambiguous(names));
    }
    // A file named after a model identifies the model.
    let doubt = doubt.filter(|_| by_file_name.is_none()).map(|doubt| doubt(Some(&names[0])));
    if by_file_name.is_some() {
        assumed.clear();
    }
    let mut network = first.clone();
    network.as_written(&found);
    Ok(Inferred { names, network, by_file_name: by_file_name.is_some(), assumed, doubt })
}

/// The longest of `names` that a file's name contains.
fn named_by_file(names: &[String], file: &str) -> Option<usize> {
    let file = file.to_lowercase().replace('-', "_");
    let stem = |name: &String| match name.rsplit_once('_') {
        Some((stem, pixels)) if pixels.parse::<usize>().is_ok() => stem.to_owned(),
        _ => name.clone(),
    };
    let holds = |(_, name): &(usize, &String)| {
        let stem = stem(name);
        file.match_indices(&stem).any(|(at, _)| {
            let ends = |character: Option<char>| character.is_none_or(|it| !it.is_ascii_alphanumeric());
            ends(file[..at].chars().next_back()) && ends(file[at + stem.len()..].chars().next())
        })
    };
    let held = names.iter().enumerate().filter(holds);
    held.max_by_key(|(_, name)| name.len()).map(|(index, _)| index)
}

/// The same network without the values that no array shows.
fn shaped_alike(mut network: NetworkSpec) -> NetworkSpec {
    network.sizes_mut().forget_what_no_array_shows();
    network
}

/// The shape of an array.
pub(crate) fn shape<'a>(state: &'a State, name: &str) -> Option<&'a [usize]> {
    state.get(name).map(|array| array.shape.as_slice())
}

/// Numbers that follow `prefix` in some name, from 0 without a gap.
pub(crate) fn count(state: &State, prefix: &str) -> usize {
    let exists = |index: &usize| {
        let start = format!("{prefix}{index}.");
        state.range(start.clone()..).next().is_some_and(|(name, _)| name.starts_with(&start))
    };
    (0..).take_while(exists).count()
}

/// The side of a square of `count` places, if it is one.
pub(crate) fn square(count: usize) -> Option<usize> {
    Some(count.isqrt()).filter(|side| side * side == count)
}

/// Number of outputs of the layer `name`; 0 without such a layer.
pub(crate) fn outputs(state: &State, name: &str) -> usize {
    shape(state, name).and_then(|shape| shape.first().copied()).unwrap_or(0)
}

/// Refuses a first layer without three input channels.
pub(crate) fn check_channels(first_layer: &str, shape: &[usize]) -> Result<(), DescribeError> {
    match *shape {
        [_, 3, _, _] => Ok(()),
        [_, channels, _, _] => Err(DescribeError::Unusable(format!(
            "cannot be used: its first layer (`{first_layer}`) takes {channels} channel{}, and models here take the 3 of colour \
             images",
            if channels == 1 { "" } else { "s" }
        ))),
        _ => Err(DescribeError::Unusable(format!(
            "cannot be used: its first layer (`{first_layer}`, {shape:?}) is none for images, as of a model of videos or volumes"
        ))),
    }
}
