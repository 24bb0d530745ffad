//! The numbers that decide whether a model can be trusted, as fields of a result.

use archaeo_analysis::statistics::{Estimate, Measured};
use archaeo_experiments::findings::Trust;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

/// The headline numbers of a model, with the names of its classes. Serialises to fields such as `sensitivity` and
/// `sensitivity_interval`; a number that does not exist is `null`, with the reason under `..._undefined`.
#[derive(Clone, Debug)]
pub struct Headlines {
    /// The numbers.
    pub trust: Trust,
    /// What the classes are called, in the order of the outputs.
    pub classes: Vec<String>,
}

impl Headlines {
    /// Name of a class, or its number.
    pub fn name(&self, class: usize) -> String {
        let name = self.classes.get(class).filter(|name| !name.trim().is_empty());
        name.cloned().unwrap_or_else(|| class.to_string())
    }

    fn fields(&self) -> Map<String, Value> {
        let Self { trust, .. } = self;
        let mut fields = Map::new();
        let mut add = |key: &str, measured: &Measured| match measured {
            Measured::Known(Estimate { value, low, high, .. }) => {
                fields.insert(key.into(), json!(value));
                fields.insert(format!("{key}_interval"), json!([low, high]));
            }
            Measured::Undefined { undefined } => {
                fields.insert(key.into(), Value::Null);
                fields.insert(format!("{key}_undefined"), json!(undefined));
            }
        };
        add("balanced_accuracy", &trust.balanced);
        add("confident_answers_wrong", &trust.confident.wrong);
        if let Some(binary) = &trust.binary {
            add("sensitivity", &binary.sensitivity);
            add("specificity", &binary.specificity);
            add("auc", &binary.auc);
            fields.insert("positive_class".into(), json!(self.name(binary.positive)));
        }
        let constant = &trust.constant;
        fields.insert(
            "majority_class".into(),
            json!({
                "class": self.name(constant.class),
                "accuracy": constant.share,
                "gain": constant.gain.value,
                "gain_interval": [constant.gain.low, constant.gain.high],
                "p": constant.p_value,
            }),
        );
        let worst = trust.classes.first().map(|worst| {
            json!({
                "class": self.name(worst.class),
                "n": worst.accuracy.n,
                "accuracy": worst.accuracy.value,
                "accuracy_interval": [worst.accuracy.low, worst.accuracy.high],
                "taken_for": worst.taken_for.as_ref().map(|taken| self.name(taken.predicted)),
            })
        });
        fields.insert("worst_class".into(), json!(worst));
        let usual = &trust.usual;
        fields.insert(
            "most_frequent_answer".into(),
            json!({ "class": self.name(usual.class), "share": usual.share.value, "truth": usual.truth }),
        );
        fields
    }
}

impl Serialize for Headlines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields().serialize(serializer)
    }
}
