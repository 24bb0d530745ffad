//! JSON values as YAML that people read: one entry per line, strings as JSON writes them, which YAML reads alike.

use serde_json::Value;

/// A document.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text
}

fn write(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                text.push_str(&format!("{indent}{key}:"));
                nested(value, depth + 1, text);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut inner = String::new();
                match is_nested(item) {
                    true => write(item, depth + 1, &mut inner),
                    false => inner = format!("{indent}  {item}\n"),
                }
                // The first line of an item begins with its hyphen.
                text.push_str(&format!("{indent}- {}", &inner[indent.len() + 2..]));
            }
        }
        plain => text.push_str(&format!("{indent}{plain}\n")),
    }
}

fn nested(value: &Value, depth: usize, text: &mut String) {
    match is_nested(value) {
        true => {
            text.push('\n');
            write(value, depth, text);
        }
        false => text.push_str(&format!(" {value}\n")),
    }
}

/// Whether a value takes lines of its own.
fn is_nested(value: &Value) -> bool {
    match value {
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_laid_out() {
        let value = serde_json::json!({
            "kind": "Job",
            "spec": { "n": 3, "none": [], "rules": [{ "action": "Ignore", "on": [1, 2] }, { "action": "Count" }] },
        });
        let expected = "kind: \"Job\"\nspec:\n  n: 3\n  none: []\n  rules:\n    - action: \"Ignore\"\n      on:\n        - 1\n        - 2\n    - action: \"Count\"\n";
        assert_eq!(document(&value), expected);
    }
}
