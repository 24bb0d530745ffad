//! A model requested by name, completed from the checkpoint's arrays.

use super::{Basis, DescribeError, ModelRequest, head_outputs};
use crate::architectures::NetworkSpec;
use crate::catalogue::usual_of;
use crate::preprocessing::{Origin, PreprocessingChoice, SourcedPreprocessing};
use crate::spec::with_pixels;
use crate::state::State;

/// The model called `name`, for the number of classes that the arrays have; `choice` is the preprocessing of a configuration.
pub(super) fn named(
    name: &str,
    choice: PreprocessingChoice,
    state: &State,
    request: &ModelRequest,
) -> Result<Basis, DescribeError> {
    let base = usual_of(name, state);
    let mut sourced =
        SourcedPreprocessing::new(base.preprocessing, Origin::Catalogue).with(&choice, Origin::Config);
    let classes = head_outputs(state).unwrap_or(0);
    let asked = request.preprocessing.image_size.or(choice.image_size);
    let usual = NetworkSpec::named(name, classes, sourced.values.image_size)?;
    let states_pixels = with_pixels(name).is_some();
    let side_of_positions = || usual.sizes().side_of_positions(name, state).filter(|_| !states_pixels);
    let side = asked.or(side_of_positions()).unwrap_or(sourced.values.image_size);
    let mut network = NetworkSpec::named(name, classes, side)?;
    network.sizes_mut().as_arrays_show(state);
    if let Some(built_for) = network.image_size()
        && built_for != sourced.values.image_size
    {
        sourced.values.image_size = built_for;
    }
    Ok(Basis::new(name.to_owned(), network, sourced))
}
