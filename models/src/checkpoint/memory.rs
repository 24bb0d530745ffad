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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::architectures::NetworkSpec;
    use crate::checkpoint::LoadOptions;
    use crate::classifier::{Classifier, ModelCard};
    use crate::describe::ModelRequest;
    use crate::preprocessing::Preprocessing;
    use crate::state::state_of;

    fn model() -> Classifier {
        let card = ModelCard {
            name: "vit_micro".into(),
            network: NetworkSpec::named("vit_micro", 3, 32).unwrap(),
            preprocessing: Preprocessing::plain(32),
            classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
        };
        Classifier::new(card, 1, &Device::flex()).unwrap()
    }

    /// The model's arrays, as a wrapper of another library would name them.
    fn views(state: &State) -> BTreeMap<String, ArrayView<'_>> {
        let named = state.iter().map(|(name, array)| {
            (format!("module.{name}"), ArrayView { shape: array.shape.clone(), values: &array.values })
        });
        named.collect()
    }

    #[test]
    fn an_objects_arrays_become_its_model() {
        let state = state_of(&model());
        let checkpoint = Checkpoint::of_arrays("VisionTransformer", &views(&state), None, None).unwrap();
        let request = ModelRequest {
            model: Some("vit_micro".into()),
            class_names: vec!["x".into(), "y".into(), "z".into()],
            ..ModelRequest::default()
        };
        let card = checkpoint.describe(&request).unwrap().card;
        assert_eq!(card.classes, ["x", "y", "z"]);
        let loaded = checkpoint.into_model(Some(card), &LoadOptions::default(), &Device::flex()).unwrap();
        assert_eq!(state_of(&loaded), state);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let state = state_of(&model());
        let mut arrays = views(&state);
        arrays.insert("module.head.bias".into(), ArrayView { shape: vec![4], values: &[0.0; 3] });
        let error = Checkpoint::of_arrays("MyViT", &arrays, None, None).unwrap_err().to_string();
        assert_eq!(error, "MyViT holds 3 values in `module.head.bias` of shape [4]");
        let error = Checkpoint::of_arrays("MyViT", &views(&state), Some("teacher"), None).unwrap_err();
        assert!(
            error.to_string().starts_with("MyViT holds no model of a known architecture in `teacher`"),
            "{error}"
        );
    }
}
