//! What other libraries call the arrays of a model, apart from the models themselves.
//!
//! A model's own names are timm's (transformers) and torchvision's (residual networks). Everything else is translated to
//! them on its way in.

mod beit;
mod google;
mod rules;
mod swin;
mod vit;

use crate::spec::NetworkSpec;
use crate::state::State;

/// What wrappers put before every name of the model they wrap: `DataParallel`, training frameworks.
const WRAPPER_PREFIXES: [&str; 2] = ["module.", "model."];

/// The arrays of a checkpoint of `network` under the model's own names. Names that are not recognised stay as they are, for
/// the comparison with the model to list.
pub(crate) fn canonical(state: State, network: &NetworkSpec) -> State {
    let state = unwrapped(state);
    match network {
        NetworkSpec::Vit(config) => vit::canonical(state, config),
        NetworkSpec::Beit(config) => beit::canonical(state, config),
        NetworkSpec::Swin(config) => swin::canonical(state, config),
        NetworkSpec::Resnet(_) | NetworkSpec::CifarResnet(_) => state,
    }
}

/// The arrays without what wrappers put before all of their names.
pub(crate) fn unwrapped(mut state: State) -> State {
    let shared = |state: &State| {
        WRAPPER_PREFIXES.into_iter().find(|prefix| state.keys().all(|name| name.starts_with(prefix)))
    };
    while let Some(prefix) = shared(&state).filter(|_| !state.is_empty()) {
        state = without_prefix(state, &[prefix]);
    }
    state
}

/// Takes off the first of `prefixes` that a name has, name by name: heads often stand outside of what is wrapped.
fn without_prefix(state: State, prefixes: &[&str]) -> State {
    let bare = |name: String| match prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        Some(bare) => bare.to_owned(),
        None => name,
    };
    state.into_iter().map(|(name, array)| (bare(name), array)).collect()
}
