//! Classifiers under their common names.

use super::Shapes;

/// How the names of classifiers begin.
const HEADS: [&str; 18] = [
    "head",
    "heads",
    "fc",
    "linear",
    "classifier",
    "last_layer",
    "last_linear",
    "linear_head",
    "cls_head",
    "cls_classifier",
    "classification_head",
    "classifier_head",
    "output",
    "output_layer",
    "out",
    "final",
    "logits",
    "online_classifier",
];

/// Those of a distillation token, each next to one of the others.
const DISTILLED: [&str; 2] = ["head_dist", "distillation_classifier"];

/// What is found under the name of a classifier.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Head {
    /// One linear layer: its weight, its bias, and the shape of the weight.
    Linear { weight: String, bias: Option<String>, outputs: usize, inputs: usize },
    /// No matrix, hence no classifier: the comparison with the model lists these arrays.
    Nothing,
    /// Anything else, described for a message.
    Other(String),
}

/// Whether `segment` begins the name of a classifier.
pub(super) fn is_head(segment: &str) -> bool {
    HEADS.contains(&segment)
}

/// Whether `segment` begins the name of a classifier over a distillation token.
pub(super) fn is_distilled(segment: &str) -> bool {
    DISTILLED.contains(&segment)
}

/// What the arrays `names`, all of one classifier, make up.
pub(super) fn head(names: &[String], shapes: &Shapes) -> Head {
    let matrices: Vec<&String> = names.iter().filter(|name| shapes[*name].len() == 2).collect();
    let listed =
        |names: &[&String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let weight = match matrices.as_slice() {
        [weight] => *weight,
        [] => return Head::Nothing,
        several => return Head::Other(format!("{} layers ({})", several.len(), listed(several))),
    };
    let Some(stem) = weight.strip_suffix(".weight") else {
        return Head::Other(format!("an array that is not a plain weight (`{weight}`)"));
    };
    let bias = format!("{stem}.bias");
    let own = |name: &&String| *name != weight && **name != bias;
    if let Some(other) = names.iter().find(own) {
        return Head::Other(format!("more than a linear layer (`{other}`)"));
    }
    let &[outputs, inputs] = shapes[weight].as_slice() else { unreachable!("seen to be a matrix") };
    let bias = shapes.get(&bias).filter(|shape| ***shape == [outputs]).map(|_| bias.clone());
    Head::Linear { weight: weight.clone(), bias, outputs, inputs }
}
