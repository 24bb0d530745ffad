//! A model that is in memory already, as an object of another library.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::error::{Fault, WeightsError};
use super::{Checkpoint, Search};
use crate::state::{Array, State};

/// An array that somebody else holds.
#[derive(Clone, Debug)]
pub struct ArrayView<'a> {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Values, last axis fastest.
    pub values: &'a [f32],
}

impl Checkpoint {
    /// A checkpoint of the arrays of an object, under the names of its library, as [`read`](super::read) takes them from a file. Only
    /// the arrays of the model are copied. Messages call the object `called`, which, like the name of a file, may identify the model.
    ///
    /// # Errors
    /// Several models of which none is the obvious one, an entry that is not there, or an array whose shape does not fit its length.
    pub fn of_arrays(
        called: &str,
        arrays: &BTreeMap<String, ArrayView>,
        entry: Option<&str>,
        config: Option<Value>,
    ) -> Result<Self, WeightsError> {
        let path = PathBuf::from(called);
        let misfit = |(_, array): &(&String, &ArrayView)| {
            array.shape.iter().try_fold(1usize, |n, &length| n.checked_mul(length))
                != Some(array.values.len())
        };
        if let Some((name, array)) = arrays.iter().find(misfit) {
            let reason =
                format!("holds {} values in `{name}` of shape {:?}", array.values.len(), array.shape);
            return Err(WeightsError::Model { path, reason });
        }
        let shapes = || arrays.iter().map(|(name, array)| (name.clone(), array.shape.clone())).collect();
        let located = Search::Model(entry.map(str::to_owned))
            .in_shapes(&BTreeMap::new(), shapes)
            .map_err(|fault: Fault| fault.of(&path, ""))?;
        let taken = |name: &str| located.as_ref().is_none_or(|located| located.wants(name));
        let state: State = (arrays.iter())
            .filter(|(name, _)| taken(name))
            .map(|(name, array)| {
                (name.clone(), Array { shape: array.shape.clone(), values: array.values.to_vec() })
            })
            .collect();
        Ok(Self { path, config, ..Self::default() }.of_located(state, located))
    }
}
