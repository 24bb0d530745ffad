//! What programs that show many runs next to each other are told of one: names, configuration, and values under the names that all
//! trackers use.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::events::{Event, Happening, Start, Step};
use crate::{EpochRecord, Picture};

/// Project of a run whose recipe names none.
const PROJECT: &str = "archaeo";

/// Bins of a histogram.
const BINS: usize = 16;

/// Importance of heads, where trackers show it.
pub(super) const HEAD_IMPORTANCE: &str = "head_importance";

/// Names of a run, from the first event of its log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Identity {
    /// Eight characters of a to z and 0 to 9, which no other run has.
    pub id: String,
    /// Seconds since 1970.
    pub began: f64,
    /// Name for people, such as `vit_micro seed 0`.
    pub name: String,
    /// The project that it belongs to.
    pub project: String,
}

impl Identity {
    /// That of the run whose log begins with this event.
    pub fn of(first: &Event) -> Self {
        let start = match &first.what {
            Happening::Started(start) => Some(start),
            // The log was lost, and begins with the epochs that the checkpoint had kept.
            _ => None,
        };
        let project = start.and_then(|start| start.recipe.get("project")?.as_str());
        let name = start.map_or("run".to_owned(), |start| format!("{} seed {}", start.model, start.seed));
        let unique = format!("{} {name}", first.time.to_bits());
        Self {
            id: short_hash(unique.as_bytes()),
            began: first.time,
            name,
            project: project.unwrap_or(PROJECT).to_owned(),
        }
    }
}

/// Eight characters of a to z and 0 to 9.
fn short_hash(bytes: &[u8]) -> String {
    let hash = archaeo_store::sha256(bytes);
    let mut number = u64::from_str_radix(&hash[..16], 16).expect("a hash in hexadecimal");
    let mut digit = || {
        let digit = char::from_digit((number % 36) as u32, 36).expect("below 36");
        number /= 36;
        digit
    };
    (0..8).map(|_| digit()).collect()
}

/// Configuration of a run: the recipe, the model, the data, and the machine.
pub(super) fn configuration(start: &Start) -> Map<String, Value> {
    let Start { total_steps, model, parameters, seed, recipe, data, environment, .. } = start;
    let plain = [
        ("model", json!(model)),
        ("parameters", json!(parameters)),
        ("seed", json!(seed)),
        ("total_steps", json!(total_steps)),
        ("recipe", recipe.clone()),
    ];
    let optional = [
        // The names of the classes can be thousands.
        data.as_ref().map(|data| {
            let described = json!({
                "source": data.source,
                "fingerprint": data.fingerprint,
                "classes": data.classes.len(),
                "counts": data.counts,
            });
            ("data", described)
        }),
        environment.as_ref().map(|environment| ("system", json!(environment))),
    ];
    let entries = plain.into_iter().chain(optional.into_iter().flatten());
    entries.map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The configuration without levels: `recipe.optimizer.name` and so on, with numbers and texts alone as values.
pub(super) fn flat_configuration(start: &Start) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    flatten("", &Value::Object(configuration(start)), &mut flat);
    flat
}

fn flatten(name: &str, value: &Value, flat: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(&name, value, flat);
            }
        }
        Value::Array(_) => flat.push((name.to_owned(), value.to_string().into())),
        Value::Null => {}
        _ => flat.push((name.to_owned(), value.clone())),
    }
}

/// Values of an epoch, under the names that trackers show.
pub(super) fn epoch_values(record: &EpochRecord) -> Vec<(&'static str, f64)> {
    let EpochRecord { learning_rate, train_loss, validation_loss, .. } = *record;
    let EpochRecord { validation_accuracy, images_per_second, waiting, exchanging, .. } = *record;
    let always = [
        ("loss/train", train_loss),
        ("loss/validation", validation_loss),
        ("accuracy/validation", validation_accuracy),
        ("learning_rate", learning_rate),
        ("images_per_second", images_per_second),
    ];
    let waited = waiting.map(|share| ("waiting_for_images", share));
    let exchanged = exchanging.map(|share| ("exchanging_with_ranks", share));
    always.into_iter().chain(waited).chain(exchanged).collect()
}

/// Values of a step, under the names that trackers show.
pub(super) fn step_values(step: &Step) -> [(&'static str, f64); 3] {
    let Step { loss, learning_rate, gradient_norm, .. } = *step;
    [("step/loss", loss), ("step/learning_rate", learning_rate), ("step/gradient_norm", gradient_norm)]
}

/// What a picture is called where each has a name of its own: `attention/image 1`.
pub(super) fn picture_name(picture: &Picture) -> String {
    format!("{}/image {}", picture.what, picture.image + 1)
}

/// How often values fall between each two neighbours of some edges: edges, counts.
pub(super) fn histogram(values: &[f64]) -> (Vec<f64>, Vec<u64>) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = if high > low { (high - low) / BINS as f64 } else { 1.0 / BINS as f64 };
    let mut counts = vec![0; BINS];
    for value in values {
        counts[(((value - low) / width) as usize).min(BINS - 1)] += 1;
    }
    ((0..=BINS).map(|edge| low + width * edge as f64).collect(), counts)
}

/// A number as JSON; what JSON has no number for, in words.
pub(super) fn number(value: f64) -> Value {
    match value {
        value if value.is_finite() => json!(value),
        value if value.is_nan() => json!("NaN"),
        value if value > 0.0 => json!("Infinity"),
        _ => json!("-Infinity"),
    }
}

/// A point in time, from seconds since 1970, in UTC and the given format of `strftime`.
pub(super) fn utc(seconds: f64, format: &str) -> String {
    let time = Timestamp::from_microsecond((seconds * 1e6) as i64).unwrap_or_default();
    time.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_lose_their_levels_but_no_value() {
        let value = json!({ "a": 1, "b": { "c": [1, 2], "d": { "e": "x" } }, "f": null });
        let mut flat = Vec::new();
        flatten("", &value, &mut flat);
        let expected = [("a", json!(1)), ("b.c", json!("[1,2]")), ("b.d.e", json!("x"))];
        assert_eq!(flat, expected.map(|(key, value)| (key.to_owned(), value)));
    }

    #[test]
    fn ids_are_eight_characters_and_differ() {
        let ids: std::collections::BTreeSet<String> =
            (0..1000u32).map(|n| short_hash(&n.to_le_bytes())).collect();
        assert_eq!(ids.len(), 1000);
        let plain = |id: &String| {
            id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        assert!(ids.iter().all(plain));
    }

    #[test]
    fn every_value_falls_into_one_bin() {
        let (edges, counts) = histogram(&[0.0, 0.5, 0.5, 16.0, 15.9]);
        assert_eq!((edges.len(), edges[0], edges[16]), (17, 0.0, 16.0));
        assert_eq!((counts[0], counts[15], counts.iter().sum::<u64>()), (3, 2, 5));
        assert_eq!(histogram(&[2.0, 2.0]).1[0], 2);
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(utc(951_827_696.25, "%Y%m%d_%H%M%S"), "20000229_123456");
        assert_eq!(utc(951_827_696.25, "%Y-%m-%dT%H:%M:%S%.6f+00:00"), "2000-02-29T12:34:56.250000+00:00");
        assert_eq!(number(f64::NEG_INFINITY), json!("-Infinity"));
    }
}
