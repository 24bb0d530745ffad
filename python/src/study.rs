//! Studies of models in memory.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use archaeo_analysis::attacks;
use archaeo_lab::direct::{DirectModel, StudyAsked, studies};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;

use crate::asked::Asked;
use crate::data::Data;
use crate::model::{Model, all_methods};
use crate::object::object;

/// Asks models, each under its name, one study.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "as Python names them")]
pub fn study<'py>(
    py: Python<'py>,
    id: String,
    models: Vec<(String, Py<Model>)>,
    data: &Data,
    set: Vec<String>,
    quick: bool,
    split: Option<String>,
    limit: Option<NonZeroUsize>,
    folder: PathBuf,
    asked: Asked,
) -> PyResult<Bound<'py, PyDict>> {
    let models: Vec<(String, &DirectModel)> =
        models.iter().map(|(name, model)| (name.clone(), &model.get().0)).collect();
    let question = StudyAsked { id, set, quick, split, limit, folder: &folder };
    let found = asked.of(py, |session| session.study_directly(&question, &models, &data.0))?;
    let answer = PyDict::new(py);
    answer.set_item("id", found.id)?;
    answer.set_item("title", found.title)?;
    answer.set_item("split", &found.split)?;
    answer.set_item("findings", object(py, &found.findings)?)?;
    answer.set_item("claims", found.claims)?;
    answer.set_item("page", found.page)?;
    Ok(answer)
}

/// What there is to choose from: studies, methods of explanation, attacks.
#[pyfunction]
pub fn known(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let studies: Vec<_> = studies()
        .map(|[id, title, question]| json!({ "id": id, "title": title, "question": question }))
        .collect();
    let attacks: Vec<_> = attacks::all().iter().map(|family| json!(family.info)).collect();
    object(py, &json!({ "studies": studies, "methods": all_methods(), "attacks": attacks }))
}
