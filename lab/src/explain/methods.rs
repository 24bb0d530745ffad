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
            let found = ids.iter().map(|id| named(id, model)).collect::<Result<Vec<_>, _>>()?;
            let asked = |method: &&&dyn Attribution| found.iter().any(|found| found.info() == method.info());
            applying.extend(methods().iter().filter(asked));
        }
    }
    match applying.is_empty() {
        true => Err(LabError::NoMethod(model.card().name.clone())),
        false => Ok((applying, left_out)),
    }
}

fn named(id: &str, model: &Classifier) -> Result<&'static dyn Attribution, LabError> {
    let refused = |reason: String| LabError::Methods { id: id.into(), reason };
    let found = method(id).ok_or_else(|| {
        let known: Vec<&str> = methods().iter().map(|method| method.info().id).collect();
        refused(format!("there is no such method; there are all, {}", known.join(", ")))
    })?;
    match found.applies(model).reason() {
        None => Ok(found),
        Some(reason) => Err(refused(reason)),
    }
}

/// A note for each reason, with the methods that it leaves out.
pub(super) fn reasons(left_out: &[LeftOut]) -> Vec<String> {
    let mut methods: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    left_out.iter().for_each(|out| methods.entry(&out.reason).or_default().push(out.method));
    methods.into_iter().map(|(reason, ids)| format!("without {}: {reason}", ids.join(", "))).collect()
}
