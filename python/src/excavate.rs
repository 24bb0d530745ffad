//! The whole investigation.

use std::path::{Path, PathBuf};

use archaeo_experiments::investigation::Kind;
use archaeo_lab::{Excavation, LabError, NamedModel, Toml};
use pyo3::prelude::*;

use crate::asked::Asked;
use crate::object::object;

/// What is investigated when no configuration is named.
const USUAL: &str = include_str!("../../configs/excavate.toml");

/// Investigates models on data, and writes the report; what is known in the end, as one object.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "as Python names them")]
pub fn excavate<'py>(
    py: Python<'py>,
    data: Option<String>,
    models: Vec<(String, PathBuf)>,
    train: Vec<String>,
    out: PathBuf,
    config: Option<PathBuf>,
    set: Vec<String>,
    quick: bool,
    strict: bool,
    title: Option<String>,
    asked: Asked,
) -> PyResult<Bound<'py, PyAny>> {
    let models = models.into_iter().map(|(name, weights)| NamedModel {
        kind: match name.as_str() {
            "vit" => Some(Kind::Transformer),
            "cnn" => Some(Kind::ConvolutionalNetwork),
            _ => None,
        },
        name,
        weights,
        model: None,
        class_names: None,
    });
    let models: Vec<NamedModel> = models.collect();
    let answer = asked.of(py, |session| {
        let toml = config.as_deref().map_or(Toml::Text(USUAL), |path: &Path| Toml::File(path));
        let config = session.configuration(toml, &set, quick).map_err(LabError::from)?;
        let found = session.excavate(&Excavation { data, strict, config, models, train, out, title })?;
        Ok(serde_json::json!({
            "report": found.report,
            "findings": found.findings,
            "trust": found.trust,
            "headlines": found.headlines,
            "investigation": found.investigation,
        }))
    })?;
    object(py, &answer)
}
