//! Fields of a specification given on the command line, where neither arrays nor a configuration determine them.

use serde_json::{Map, Value};

use super::DescribeError;
use crate::architectures::NetworkSpec;
use crate::nearest::nearest;
use crate::state::State;

/// The tag of a specification, which is not one of its fields.
const TAG: &str = "architecture";

/// `network` with the fields of `changes`, each a key and a value as JSON or a plain word.
///
/// Two keys are understood beyond the fields: `grid`, the patches along each side of the image, and `pooling=mean` of a model
/// with a class token, which the head then does not read.
///
/// # Errors
/// An unknown key, with the nearest and all valid ones; an invalid value.
pub(super) fn changed(
    network: NetworkSpec,
    changes: &[(String, String)],
    state: &State,
) -> Result<NetworkSpec, DescribeError> {
    if changes.is_empty() {
        return Ok(network);
    }
    let mut fields = serde_json::to_value(&network).expect("a specification is plain data");
    for (key, text) in changes {
        let (key, text) = match key.as_str() {
            "grid" => ("image_size".to_owned(), image_size(&fields, text)?),
            "pooling" if text == "mean" && state.contains_key("cls_token") => {
                (key.clone(), "mean-beside-class-token".to_owned())
            }
            _ => (key.clone(), text.clone()),
        };
        let value = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.clone()));
        let known = keys(&fields, "");
        let Some(place) = known.contains(&key).then(|| place(&mut fields, &key)).flatten() else {
            return Err(DescribeError::Specification(format!(
                "a {} has no `{key}`; {}it has {}",
                network.family(),
                nearest(&key, known.iter().map(String::as_str))
                    .map(|near| format!("did you mean `{near}`? "))
                    .unwrap_or_default(),
                known.join(", ")
            )));
        };
        *place = value;
        // One at a time, so that the message names the invalid one.
        serde_json::from_value::<NetworkSpec>(fields.clone())
            .map_err(|error| DescribeError::Specification(format!("`{key}` cannot be {text}: {error}")))?;
    }
    let network: NetworkSpec = serde_json::from_value(fields).expect("each change was tried");
    network.validate()?;
    Ok(network)
}

/// The side in pixels for a number of patches: `14`, or `14x14`.
fn image_size(fields: &Value, text: &str) -> Result<String, DescribeError> {
    let wrong = |reason: String| Err(DescribeError::Specification(reason));
    let sides: Vec<Option<usize>> = text.split(['x', '×']).map(|side| side.trim().parse().ok()).collect();
    let side = match sides.as_slice() {
        [Some(side)] => *side,
        [Some(rows), Some(columns)] if rows == columns => *rows,
        [Some(_), Some(_)] => {
            return wrong(format!("a grid of {text} patches is not square, and models here take squares"));
        }
        _ => return wrong(format!("a grid is given by the patches along a side, such as 14, not by {text}")),
    };
    match fields.get("patch_size").and_then(Value::as_u64) {
        Some(patch) => Ok((side as u64 * patch).to_string()),
        None => wrong("a model without patches has no grid".into()),
    }
}

/// All fields, nested ones joined by dots.
fn keys(fields: &Value, prefix: &str) -> Vec<String> {
    let Some(object) = fields.as_object() else { return Vec::new() };
    let of_field = |(key, value): (&String, &Value)| match value {
        Value::Object(_) => keys(value, &format!("{prefix}{key}.")),
        _ => vec![format!("{prefix}{key}")],
    };
    let mut keys: Vec<String> = object.iter().filter(|(key, _)| *key != TAG).flat_map(of_field).collect();
    keys.sort_unstable();
    keys
}

fn place<'v>(fields: &'v mut Value, key: &str) -> Option<&'v mut Value> {
    let mut at = fields;
    for part in key.split('.') {
        at = at.as_object_mut().and_then(|object: &mut Map<String, Value>| object.get_mut(part))?;
    }
    Some(at)
}
