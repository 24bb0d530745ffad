//! Names of a model's arrays in other libraries.
//!
//! A model's own names are timm's (transformers) and torchvision's (residual networks). All others are translated to them on
//! reading.

pub(crate) mod rules;

use crate::architectures::NetworkSpec;
use crate::state::State;

/// Prefixes that wrappers add to every name of a model: `DataParallel`, `torch.compile`, training frameworks,
/// self-distillation.
const WRAPPER_PREFIXES: [&str; 7] =
    ["module.", "_orig_mod.", "model.", "student.", "teacher.", "backbone.", "encoder."];

/// Prefixes of a wrapped backbone, next to which its head is stored.
const BACKBONE_PREFIXES: [&str; 2] = ["backbone.", "encoder."];

/// Prefixes of such a head.
const HEAD_PREFIXES: [&str; 4] = ["head.", "fc.", "linear.", "classifier."];

/// The arrays of a checkpoint of `network` under the model's own names. Unrecognised names are left unchanged, for the comparison
/// with the model to list.
pub(crate) fn canonical(state: State, network: &NetworkSpec) -> State {
    let state = unwrapped(state);
    let mut state = network.sizes().canonical(state);
    if network.classes() == 2 {
        ["head", "head_dist", "head.fc", "fc", "linear"]
            .iter()
            .for_each(|head| two_classes(&mut state, head));
    }
    state
}

/// A classifier of one output, a sigmoid's logit z, as one of two classes with the logits 0 and z: the same probabilities.
fn two_classes(state: &mut State, head: &str) {
    let one_row = |name: &str| state.get(name).is_some_and(|array| array.shape.first() == Some(&1));
    let names = [format!("{head}.weight"), format!("{head}.bias")];
    if !names.iter().all(|name| one_row(name)) {
        return;
    }
    for name in names {
        let array = state.get_mut(&name).expect("seen to be there");
        array.shape[0] = 2;
        let zeros = vec![0.0; array.values.len()];
        array.values.splice(0..0, zeros);
    }
}

/// The arrays without the prefixes that wrappers add to all names.
pub(crate) fn unwrapped(mut state: State) -> State {
    while let Some(prefix) = WRAPPER_PREFIXES.into_iter().find(|prefix| wraps(prefix, &state)) {
        state = without_prefix(state, &[prefix]);
    }
    state
}

/// Whether all names, except those of a head, have the prefix.
fn wraps(prefix: &str, state: &State) -> bool {
    let is_head = |name: &str| {
        BACKBONE_PREFIXES.contains(&prefix) && HEAD_PREFIXES.iter().any(|head| name.starts_with(head))
    };
    let collides = |name: &str| name.strip_prefix(prefix).is_some_and(|bare| state.contains_key(bare));
    state.keys().any(|name| name.starts_with(prefix))
        && state.keys().all(|name| (name.starts_with(prefix) || is_head(name)) && !collides(name))
}

/// Removes the first matching one of `prefixes` from each name separately, since heads are often outside the wrapper.
pub(crate) fn without_prefix(state: State, prefixes: &[&str]) -> State {
    let bare = |name: String| match prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        Some(bare) => bare.to_owned(),
        None => name,
    };
    state.into_iter().map(|(name, array)| (bare(name), array)).collect()
}
