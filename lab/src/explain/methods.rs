//! Which methods explain a model.

use std::collections::BTreeMap;

use archaeo_analysis::attribution::{Attribution, method, methods};
use archaeo_models::Classifier;
use serde::Serialize;

use crate::error::LabError;

/// Which methods explain the images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MethodChoice {
    /// Every one that applies to the model, baselines included.
    #[default]
    All,
    /// Those of these IDs.
    These(Vec<String>),
}

/// A method that does not apply to the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its ID.
    pub method: &'static str,
    /// Why it does not.
    pub reason: String,
}

/// The methods, none twice, in the order of the registry; and, of all, those that do not apply.
pub(crate) fn chosen(
    choice: &MethodChoice,
    model: &Classifier,
) -> Result<(Vec<&'static dyn Attribution>, Vec<LeftOut>), LabError> {
    let mut applying: Vec<&'static dyn Attribution> = Vec::new();
    let mut left_out = Vec::new();
    match choice {
        MethodChoice::All => {
            for &method in methods() {
                match method.applies(model).reason() {
                    None => applying.push(method),
                    Some(reason) => left_out.push(LeftOut { method: method.info().id, reason }),
                }
            }
        }
        MethodChoice::These(ids) => {
            let of_id = |id: &String| {
                named(id, model, &["all"]).map_err(|reason| LabError::Methods { id: id.into(), reason })
            };
            let found = ids.iter().map(of_id).collect::<Result<Vec<_>, _>>()?;
            let asked = |method: &&&dyn Attribution| found.iter().any(|found| found.info() == method.info());
            applying.extend(methods().iter().filter(asked));
        }
    }
    match applying.is_empty() {
        true => Err(LabError::NoMethod(model.card().name.clone())),
        false => Ok((applying, left_out)),
    }
}

/// The method of an ID, or why it cannot be asked of the model; `besides` are other words that are understood in its place.
pub(crate) fn named(
    id: &str,
    model: &Classifier,
    besides: &[&str],
) -> Result<&'static dyn Attribution, String> {
    let Some(found) = method(id) else {
        let ids = methods().iter().map(|method| method.info().id);
        let known: Vec<&str> = besides.iter().copied().chain(ids).collect();
        return Err(format!("there is no such method; there are {}", known.join(", ")));
    };
    match found.applies(model).reason() {
        None => Ok(found),
        Some(reason) => Err(reason),
    }
}

/// A note for each reason, with the methods that it leaves out.
pub(super) fn reasons(left_out: &[LeftOut]) -> Vec<String> {
    let mut methods: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    left_out.iter().for_each(|out| methods.entry(&out.reason).or_default().push(out.method));
    methods.into_iter().map(|(reason, ids)| format!("without {}: {reason}", ids.join(", "))).collect()
}
