//! Distillation: the student learns from a trained model, the teacher, next to the labels.
//!
//! With a share `α` for the teacher, the loss is `(1 − α) · CE(student, labels) + α · taught(student, teacher)`, where the teacher's
//! part is one of two:
//!
//! | mode | teacher's part |
//! |---|---|
//! | `soft` (Hinton et al., 2015, section 2) | `τ² · KL(softmax(teacher / τ) ‖ softmax(student / τ))` |
//! | `hard` (Touvron et al., 2021, section 4, equation 3) | `CE(student, argmax teacher)` |
//!
//! A student with a distillation token has two heads: that of the class token learns from the labels, that of the distillation
//! token from the teacher, and at test its answer is the mean of both (Touvron et al., 2021, section 4). Any other student learns
//! both with its one head.
//!
//! The teacher sees what the student sees, crop, flip and blend included (Beyer et al., 2022, "consistent teaching"), resized to its
//! own input and normalised by its own moments.

use archaeo_models::Classifier;
use archaeo_ops::{cross_entropy, soft_cross_entropy};
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::teacher::Teacher;
use super::{Begun, Examples, Objective, ObjectiveKind, options, positive};
use crate::backward::{Share, Student};
use crate::{Job, RecipeError, TrainError};

pub(super) static DISTILLATION: ObjectiveKind = ObjectiveKind {
    id: "distillation",
    title: "cross-entropy with the targets and with the answers of a trained model",
    of_features: true,
    weights: &["teacher"],
    check: |table| Options::read(table).map(drop),
    begin,
};

/// What the student takes from the teacher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// Its probabilities.
    Soft,
    /// Its answer.
    Hard,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Weights of the teacher: a file, a run folder, or a name on the hub.
    teacher: String,
    mode: Mode,
    /// τ, of the soft mode.
    temperature: f64,
    /// The teacher's share of the loss.
    alpha: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { teacher: String::new(), mode: Mode::Soft, temperature: 3.0, alpha: 0.5 }
    }
}

impl Options {
    fn read(table: &Table) -> Result<Self, RecipeError> {
        let options: Self = options(table)?;
        let Self { temperature, alpha, mode, .. } = options;
        if options.teacher.is_empty() {
            return Err(RecipeError::Value(
                "the objective `distillation` needs a teacher, such as objective.teacher = \"runs/teacher\""
                    .into(),
            ));
        }
        positive("objective.temperature", temperature)?;
        if !(0.0..=1.0).contains(&alpha) {
            let (key, allowed) = ("objective.alpha", "from 0 to 1");
            return Err(RecipeError::Range { key, allowed, found: alpha.to_string() });
        }
        if mode == Mode::Hard && table.contains_key("temperature") {
            return Err(RecipeError::Value(
                "`objective.temperature` softens probabilities, and the mode `hard` has none; leave it out"
                    .into(),
            ));
        }
        Ok(options)
    }
}

struct Distillation {
    options: Options,
    teacher: Teacher,
}

fn begin(table: &Table, job: &Job, _: &Classifier) -> Begun {
    let options = Options::read(table)?;
    let path = job.recipe.objective.file(&options.teacher);
    let teacher = Teacher::load(&options.teacher, &path, job)?;
    Ok(Box::new(Distillation { options, teacher }))
}

impl Objective for Distillation {
    fn learn(&self, student: Student, examples: Examples) -> Result<Share, TrainError> {
        let taught = Tensor::from_inner(self.teacher.logits(&examples));
        let Examples { images, targets, .. } = examples;
        let Options { mode, temperature, alpha, .. } = self.options;
        Ok(student.learn_from_features(images, |model, features| {
            let heads = model.logits_by_head(features);
            let (of_labels, of_teacher) = (heads[0].clone(), heads[heads.len() - 1].clone());
            let by_teacher = match mode {
                Mode::Soft => soft(of_teacher, taught, temperature),
                Mode::Hard => hard(of_teacher, taught),
            };
            soft_cross_entropy(of_labels, targets) * (1.0 - alpha) + by_teacher * alpha
        }))
    }

    /// A teacher that is sure of its answers.
    fn guessing(&self, classes: usize) -> f64 {
        let Options { mode, temperature, alpha, .. } = self.options;
        let of_teacher = if mode == Mode::Soft { temperature.powi(2) } else { 1.0 };
        (1.0 - alpha + alpha * of_teacher.max(1.0)) * (classes.max(2) as f64).ln()
    }

    fn note(&self) -> Option<String> {
        Some(self.teacher.note().to_owned())
    }

    fn keep(&self) -> Result<(), TrainError> {
        self.teacher.keep()
    }
}

/// `τ² · KL(softmax(teacher / τ) ‖ softmax(student / τ))`, a mean over images, in nats.
///
/// # Shapes
/// `student` and `teacher` `[batch, classes]` → `[1]`
fn soft(student: Tensor<2>, teacher: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [batch, _] = student.dims();
    let [student, teacher] = [student, teacher].map(|logits| log_softmax(logits / temperature, 1));
    (teacher.clone().exp() * (teacher - student)).sum() * (temperature.powi(2) / batch as f64)
}

/// Cross-entropy with the teacher's answers, a mean over images, in nats.
///
/// # Shapes
/// `student` and `teacher` `[batch, classes]` → `[1]`
fn hard(student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    let [batch, _] = student.dims();
    cross_entropy(student, teacher.argmax(1).reshape([batch]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecipeFile;
    use crate::objective::reference::references;

    #[test]
    fn losses_and_gradients_are_pytorchs() {
        for case in references("soft") {
            let (student, teacher) = (case.leaf("student"), case.leaf::<2>("teacher").detach());
            case.check(&soft(student.clone(), teacher, case.temperature), "student", &student);
        }
        for case in references("hard") {
            let (student, teacher) = (case.leaf("student"), case.leaf::<2>("teacher").detach());
            case.check(&hard(student.clone(), teacher), "student", &student);
        }
    }

    #[test]
    fn slips_get_a_sentence() {
        let said = |options: &str| {
            let text = format!(
                "model = \"vit_micro\"\nimage_size = 32\nepochs = 2\nbatch_size = 8\nlearning_rate = 1e-3\n\
                 [objective]\nkind = \"distillation\"\n{options}"
            );
            RecipeFile::parse(&text, &[]).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(said("teacher = \"runs/a\""), Ok(()));
        assert_eq!(said("teacher = \"runs/a\"\nmode = \"hard\"\nalpha = 1"), Ok(()));
        for (options, expected) in [
            ("alpha = 0.5", "needs a teacher, such as objective.teacher ="),
            ("teacher = \"a\"\ntemperature = 0", "`objective.temperature` must be above 0, not 0"),
            ("teacher = \"a\"\nalpha = 1.5", "`objective.alpha` must be from 0 to 1, not 1.5"),
            ("teacher = \"a\"\nmode = \"hard\"\ntemperature = 2", "the mode `hard` has none"),
            ("teacher = \"a\"\nmode = \"tepid\"", "`objective.mode` does not fit"),
            (
                "teachers = \"a\"",
                "no recipe has a key `objective.teachers`; did you mean `objective.teacher`",
            ),
        ] {
            let sentence = said(options).unwrap_err();
            assert!(sentence.contains(expected), "{options}: {sentence}");
        }
    }
}
