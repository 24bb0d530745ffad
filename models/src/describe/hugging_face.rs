//! The `config.json` of Hugging Face `transformers`.

use serde_json::Value;

use super::foreign::listed;
use super::json::{number, text};
use super::{Configured, FromConfig, processor};
use crate::architectures::ALL;
use crate::preprocessing::PreprocessingChoice;

pub(super) fn read(config: &Value) -> Result<Configured, String> {
    let kind = text(config, "model_type")
        .ok_or("it has neither `architecture` (timm) nor `model_type` (transformers)")?;
    let Some(architecture) = ALL.iter().find(|architecture| architecture.model_types.contains(&kind)) else {
        let known: Vec<&str> =
            ALL.iter().flat_map(|architecture| architecture.model_types).copied().collect();
        return Err(format!("its model_type, `{kind}`, is not known here; known are {}", listed(&known)));
    };
    let FromConfig { network, known_as, image_size } = (architecture.from_transformers)(config, kind)?;
    network.validate().map_err(|error| error.to_string())?;
    if network.classes() == 1 && text(config, "problem_type") != Some("multi_label_classification") {
        return Err(
            "it has one label, which transformers trains as a regression; models here tell classes apart"
                .into(),
        );
    }
    let preprocessing = match config.get("preprocessor") {
        Some(preprocessor) => processor::read(preprocessor, kind)?,
        None => {
            let image_size =
                image_size.map_or_else(|| number(config, "image_size"), |side| Ok(Some(side)))?;
            PreprocessingChoice { image_size, ..Default::default() }
        }
    };
    if let Some(name) = known_as {
        return Ok(Configured {
            catalogue_name: name.clone(),
            name,
            class_names: None,
            network,
            preprocessing,
        });
    }
    let name = text(config, "_name_or_path").filter(|name| !name.is_empty()).unwrap_or(kind).to_owned();
    let class_names = class_names(config);
    Ok(Configured { name, catalogue_name: kind.to_owned(), class_names, network, preprocessing })
}

/// Whether the saved architecture ends in a classifier.
pub(crate) fn classifies(config: &Value) -> bool {
    let named = |list: &Vec<Value>| {
        list.iter().filter_map(Value::as_str).any(|name| name.contains("ForImageClassification"))
    };
    config.get("architectures").and_then(Value::as_array).is_none_or(named)
}

/// Number of classes of the classifier, 0 where there is none.
pub(crate) fn classes(config: &Value) -> Result<usize, String> {
    if !classifies(config) {
        return Ok(0);
    }
    let named = config.get("id2label").and_then(Value::as_object).map(serde_json::Map::len);
    // transformers omits the names of two unnamed classes.
    Ok(named.or(number(config, "num_labels")?).unwrap_or(2))
}

fn class_names(config: &Value) -> Option<Vec<String>> {
    let names = config.get("id2label")?.as_object()?;
    let name = |class: usize| names.get(&class.to_string())?.as_str().map(str::to_owned);
    (0..names.len()).map(name).collect()
}
