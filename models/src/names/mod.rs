//! What other libraries call the arrays of a model, apart from the models themselves.
//!
//! A model's own names are timm's (transformers) and torchvision's (residual networks). Everything else is translated to
//! them on its way in.

use crate::spec::NetworkSpec;
use crate::state::State;

/// What wrappers put before every name of the model they wrap: `DataParallel`, training frameworks.
const WRAPPER_PREFIXES: [&str; 2] = ["module.", "model."];

/// The arrays of a checkpoint of `network` under the model's own names. Names that are not recognised stay as they are, for
/// the comparison with the model to list.
pub(crate) fn canonical(state: State, _network: &NetworkSpec) -> State {
    unwrapped(state)
}

fn unwrapped(mut state: State) -> State {
    let shared = |state: &State| {
        WRAPPER_PREFIXES.into_iter().find(|prefix| state.keys().all(|name| name.starts_with(prefix)))
    };
    while let Some(prefix) = shared(&state).filter(|_| !state.is_empty()) {
        state = state.into_iter().map(|(name, array)| (name[prefix.len()..].to_owned(), array)).collect();
    }
    state
}
