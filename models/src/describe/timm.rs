//! timm's `config.json`: `architecture`, `num_classes`, `model_args` and `pretrained_cfg`.

use serde_json::Value;

use super::Configured;
use super::json::{channels, number, real, text};
use crate::architectures::NetworkSpec;
use crate::catalogue::usual;
use crate::preprocessing::{Fit, Interpolation, PreprocessingChoice};

/// `head` is the number of classes that the arrays themselves show, which overrides the file's.
pub(super) fn read(config: &Value, head: Option<usize>) -> Result<Configured, String> {
    let name = text(config, "architecture").ok_or("it has no `architecture`")?.to_owned();
    let pretrained = config.get("pretrained_cfg").unwrap_or(config);
    let preprocessing = preprocessing(pretrained)?;
    let classes = match (head, number(config, "num_classes")?) {
        (Some(outputs), _) => outputs,
        (None, stated) => stated.unwrap_or(0),
    };
    let arguments = config.get("model_args").filter(|arguments| arguments.is_object());
    let side = arguments.and_then(|arguments| side_of(arguments.get("img_size")?));
    let side = side.or(preprocessing.image_size).unwrap_or_else(|| usual(&name).preprocessing.image_size);
    let mut network = NetworkSpec::named(&name, classes, side).map_err(|error| error.to_string())?;
    network.sizes_mut().apply_timm(config, arguments, side)?;
    let label_names = config.get("label_names").or(pretrained.get("label_names")).and_then(Value::as_array);
    let class_names = label_names
        .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
    let own_name = name_of(&name, &network, side);
    Ok(Configured { name: own_name, catalogue_name: name, network, preprocessing, class_names })
}

/// The architecture's name, or, if its arguments change the model, the name of that model or of its family.
fn name_of(architecture: &str, network: &NetworkSpec, side: usize) -> String {
    let is_this =
        |name: &str| NetworkSpec::named(name, network.classes(), side).is_ok_and(|named| named == *network);
    if is_this(architecture) {
        return architecture.to_owned();
    }
    let found = NetworkSpec::names().into_iter().find(|name| is_this(name));
    found.unwrap_or_else(|| network.family().to_owned())
}

/// A side, or height and width of a square.
fn side_of(value: &Value) -> Option<usize> {
    let side = value.as_u64().or_else(|| value.as_array()?.last()?.as_u64())?;
    usize::try_from(side).ok()
}

fn preprocessing(config: &Value) -> Result<PreprocessingChoice, String> {
    let interpolation = text(config, "interpolation").map(|name| {
        Interpolation::named(name).ok_or_else(|| format!("its interpolation, `{name}`, is not known here"))
    });
    let fit = text(config, "crop_mode").map(|mode| match mode {
        "center" => Ok(Fit::Crop),
        "squash" => Ok(Fit::Squash),
        other => Err(format!("its crop_mode, `{other}`, is not known here")),
    });
    let crop = config.get("crop_pct").filter(|crop| !crop.is_null());
    Ok(PreprocessingChoice {
        image_size: config.get("input_size").and_then(side_of),
        crop: crop.map(|_| real(config, "crop_pct", 1.0)).transpose()?,
        fit: fit.transpose()?,
        interpolation: interpolation.transpose()?,
        mean: channels(config, "mean")?,
        std: channels(config, "std")?,
    })
}
