//! Values of a configuration, with a sentence for each invalid one.

use serde_json::Value;

/// A whole number under `key`, if there is one.
pub(crate) fn number(config: &Value, key: &str) -> Result<Option<usize>, String> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("`{key}` must be a whole number, not {value}")),
        },
    }
}

/// A list of whole numbers under `key`, if there is one.
pub(crate) fn numbers(config: &Value, key: &str) -> Result<Option<Vec<usize>>, String> {
    let Some(value) = config.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
    let list = value.as_array().and_then(|list| list.iter().map(number).collect());
    list.map(Some).ok_or_else(|| format!("`{key}` must be a list of whole numbers, not {value}"))
}

/// A whole number that must be present.
pub(crate) fn needed(config: &Value, key: &str) -> Result<usize, String> {
    number(config, key)?.ok_or_else(|| format!("it has no `{key}`"))
}

/// A number under `key`, or `usual`.
pub(crate) fn real(config: &Value, key: &str, usual: f64) -> Result<f64, String> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(usual),
        Some(value) => value.as_f64().ok_or_else(|| format!("`{key}` must be a number, not {value}")),
    }
}

/// The boolean under `key`, or `usual`.
pub(crate) fn truth(config: &Value, key: &str, usual: bool) -> bool {
    config.get(key).and_then(Value::as_bool).unwrap_or(usual)
}

/// A text under `key`.
pub(crate) fn text<'a>(config: &'a Value, key: &str) -> Option<&'a str> {
    config.get(key).and_then(Value::as_str)
}

/// Three numbers under `key`, one per channel.
pub(crate) fn channels(config: &Value, key: &str) -> Result<Option<[f32; 3]>, String> {
    let Some(value) = config.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let numbers: Option<Vec<f32>> =
        value.as_array().map(|list| list.iter().filter_map(Value::as_f64).map(|x| x as f32).collect());
    let numbers = numbers.and_then(|numbers| <[f32; 3]>::try_from(numbers).ok());
    numbers.map(Some).ok_or_else(|| format!("`{key}` must be three numbers, not {value}"))
}
