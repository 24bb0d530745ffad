//! The numbers that decide whether a model can be trusted, as `evaluate` prints them.

use archaeo_analysis::statistics::{Estimate, Measured};
use archaeo_experiments::findings::Trust;
use serde_json::{Map, Value, json};

/// Name of a class, or its number.
fn name(classes: &[String], class: usize) -> String {
    classes.get(class).filter(|name| !name.trim().is_empty()).cloned().unwrap_or_else(|| class.to_string())
}

/// Fields of a JSON result, as `top1` and `top1_interval`; a number that does not exist is `null`, with the reason under
/// `..._undefined`.
pub fn json(trust: &Trust, classes: &[String]) -> Map<String, Value> {
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
        fields.insert("positive_class".into(), json!(name(classes, binary.positive)));
    }
    let constant = &trust.constant;
    fields.insert(
        "majority_class".into(),
        json!({
            "class": name(classes, constant.class),
            "accuracy": constant.share,
            "gain": constant.gain.value,
            "gain_interval": [constant.gain.low, constant.gain.high],
            "p": constant.p_value,
        }),
    );
    let worst = trust.classes.first().map(|worst| {
        json!({
            "class": name(classes, worst.class),
            "n": worst.accuracy.n,
            "accuracy": worst.accuracy.value,
            "accuracy_interval": [worst.accuracy.low, worst.accuracy.high],
            "taken_for": worst.taken_for.as_ref().map(|taken| name(classes, taken.predicted)),
        })
    });
    fields.insert("worst_class".into(), json!(worst));
    let usual = &trust.usual;
    fields.insert(
        "most_frequent_answer".into(),
        json!({ "class": name(classes, usual.class), "share": usual.share.value, "truth": usual.truth }),
    );
    fields
}

/// Lines for a person.
pub fn lines(trust: &Trust, classes: &[String]) -> String {
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let interval = |estimate: &Estimate| match estimate.low.is_finite() {
        true => format!(
            "{}  (95 % interval {} to {})",
            percent(estimate.value),
            percent(estimate.low),
            percent(estimate.high)
        ),
        false => percent(estimate.value),
    };
    let measured = |measured: &Measured| match measured {
        Measured::Known(known) => interval(known),
        Measured::Undefined { undefined } => format!("none, because {undefined}"),
    };
    let mut lines = vec![
        format!("always `{}`  {}", name(classes, trust.constant.class), percent(trust.constant.share)),
        format!("balanced accuracy  {}", measured(&trust.balanced)),
    ];
    if let Some(worst) = trust.classes.first() {
        let (class, n) = (name(classes, worst.class), worst.accuracy.n);
        let taken = worst.taken_for.as_ref().map_or_else(String::new, |taken| {
            format!(
                ", {} called `{}`",
                percent(taken.count as f64 / n as f64),
                name(classes, taken.predicted)
            )
        });
        lines.push(format!("worst class  `{class}` ({n} images)  {}{taken}", interval(&worst.accuracy)));
    }
    if let Some(binary) = &trust.binary {
        lines.push(format!(
            "sensitivity for `{}`  {}",
            name(classes, binary.positive),
            measured(&binary.sensitivity)
        ));
        lines.push(format!("specificity  {}", measured(&binary.specificity)));
        lines.push(match &binary.auc {
            Measured::Known(auc) => {
                format!(
                    "area under the ROC curve  {:.4}  (95 % interval {:.4} to {:.4})",
                    auc.value, auc.low, auc.high
                )
            }
            Measured::Undefined { undefined } => {
                format!("area under the ROC curve  none, because {undefined}")
            }
        });
    }
    if trust.usual.share.value >= 1.0 {
        lines.push(format!("every answer is `{}`", name(classes, trust.usual.class)));
    }
    lines.join("\n")
}
