//! Selects one of several models in a file: the one that the code that wrote it evaluates, or that timm takes; otherwise none.

use super::roots::Root;
use super::{Shapes, TrainingCode};

/// Role of a copy of a model in training, according to its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Average of the weights over the training.
    Average,
    /// The current weights next to an average, in Lightning's `WeightAveraging`.
    Current,
    /// A momentum copy that provides the targets of self-supervision.
    Momentum,
    /// DINO's teacher, or a distillation teacher.
    Teacher,
    /// Its student.
    Student,
    /// A copy of the model in an attacker of Madry's library.
    Attacker,
    /// None of these.
    Plain,
}

impl Part {
    fn of(root: &Root) -> Self {
        root.prefix.split('.').map(Self::of_segment).find(|part| *part != Self::Plain).unwrap_or(Self::Plain)
    }

    fn of_segment(segment: &str) -> Self {
        let lower = segment.to_lowercase();
        let has = |word: &str| lower.split(['_', '-']).any(|part| part == word);
        let average = ["ema", "average", "averaged", "avg", "swa", "polyak", "shadow"];
        if average.iter().any(|word| has(word)) || lower.starts_with("ema") {
            Self::Average
        } else if lower == "current_model_state" {
            Self::Current
        } else if has("momentum") || has("target") || ["encoder_k", "key_encoder"].contains(&lower.as_str()) {
            Self::Momentum
        } else if has("teacher") {
            Self::Teacher
        } else if has("student") {
            Self::Student
        } else if has("attacker") {
            Self::Attacker
        } else {
            Self::Plain
        }
    }
}

/// Copies that are skipped where another is present.
struct Step {
    /// Restricted to files of this code; `None` for all files.
    code: Option<TrainingCode>,
    leaves: Part,
    stays: &'static [Part],
    /// Text of the note.
    why: &'static str,
}

const STEPS: [Step; 5] = [
    Step {
        code: None,
        leaves: Part::Attacker,
        stays: &[Part::Plain, Part::Average, Part::Current, Part::Teacher, Part::Student],
        why: "a copy that an attacker holds",
    },
    Step {
        code: None,
        leaves: Part::Current,
        stays: &[Part::Plain, Part::Average],
        why: "the weights of the last step, next to their average",
    },
    Step {
        code: None,
        leaves: Part::Plain,
        stays: &[Part::Average],
        why: "the weights of the last step; their average over the training (EMA) is taken, as timm does",
    },
    Step {
        code: None,
        leaves: Part::Momentum,
        stays: &[Part::Plain, Part::Average, Part::Student],
        why: "the momentum copy that gave the targets of the training",
    },
    Step {
        code: Some(TrainingCode::SelfDistillation),
        leaves: Part::Student,
        stays: &[Part::Teacher],
        why: "the student; DINO evaluates the teacher, which is taken",
    },
];

/// The root that `entry` names: its prefix, or one or more segments of it. Among several copies below it, the usual choice is
/// made.
pub(super) fn by_entry<'r>(roots: &'r [Root], entry: &str) -> Option<&'r Root> {
    let entry = entry.trim_matches('.');
    let wanted = if entry.is_empty() { ".".to_owned() } else { format!(".{entry}.") };
    let place = |root: &Root| format!(".{}", root.prefix).find(&wanted);
    // Below the shortest way to it: `model` is `model.…`, not `attacker.model.…`.
    let nearest = roots.iter().filter_map(place).min()?;
    let below: Vec<Root> = roots.iter().filter(|root| place(root) == Some(nearest)).cloned().collect();
    let chosen = choose(&below, None, &mut Vec::new()).ok()?.prefix.clone();
    roots.iter().find(|root| root.prefix == chosen)
}

/// The selected root; the reason goes to `notes`.
pub(super) fn choose<'r>(
    roots: &'r [Root],
    code: Option<TrainingCode>,
    notes: &mut Vec<String>,
) -> Result<&'r Root, String> {
    let mut left: Vec<(&Root, Part)> = roots.iter().map(|root| (root, Part::of(root))).collect();
    let steps = STEPS.iter().filter(|step| step.code.is_none() || step.code == code);
    for Step { leaves, stays, why, .. } in steps {
        for (root, part) in left.clone() {
            let twin =
                |other: &&(&Root, Part)| stays.contains(&other.1) && other.0.signature == root.signature;
            let same_kind = left.iter().any(|other| twin(&other));
            if *leaves == part && same_kind && left.len() > 1 {
                left.retain(|(other, _)| other.prefix != root.prefix);
                notes.push(format!(
                    "has {}, {why} (take it with --entry {})",
                    root.called(),
                    root.prefix.trim_end_matches('.')
                ));
            }
        }
    }
    match left.as_slice() {
        [(root, _)] => {
            if Part::of(root) == Part::Average && notes.is_empty() {
                notes.push(format!(
                    "has its weights in {}, an average over the training (EMA)",
                    root.called()
                ));
            }
            Ok(root)
        }
        several => {
            let names: Vec<String> = several.iter().map(|(root, _)| root.called()).collect();
            let first = several.iter().find(|(root, _)| !root.prefix.is_empty());
            let example = first.map_or("model", |(root, _)| root.prefix.trim_end_matches('.'));
            Err(format!(
                "holds {} models, in {}; say which is meant with --entry, such as --entry {example}",
                several.len(),
                names.join(", ")
            ))
        }
    }
}

/// Whether arrays next to the model belong to self-supervised training.
pub(super) fn is_self_supervised(names: &Shapes) -> bool {
    const MARKS: [&str; 9] = [
        "predictor",
        "projector",
        "projection_head",
        "prototypes",
        "queue",
        "encoder_q",
        "encoder_k",
        "momentum_encoder",
        "online_encoder",
    ];
    names.keys().flat_map(|name| name.split('.')).any(|segment| MARKS.contains(&segment))
}
