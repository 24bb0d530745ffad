//! Eight lessons on Vision Transformers, one per week of a course: texts that come with the program, and exercises that it checks.
//!
//! A lesson's notebook and page are made from one source in `lessons/`, whose title, question, sections and tasks are read from the
//! page here. Each lesson's exercises are one file of this folder: what an answer looks like, and how it is judged.

mod answer;
mod archaeology;
mod arithmetic;
mod attention;
mod comparison;
mod judge;
mod patches;
mod project;
mod self_supervision;
mod training;
mod windows;

use std::path::{Path, PathBuf};

use serde::Serialize;

use self::answer::Form;
use self::judge::Verdict;
use crate::error::LabError;
use crate::live::BUNDLED_MODELS;

/// Every lesson, in order.
static LESSONS: [&Lesson; 8] = [
    &attention::LESSON,
    &patches::LESSON,
    &training::LESSON,
    &windows::LESSON,
    &self_supervision::LESSON,
    &archaeology::LESSON,
    &comparison::LESSON,
    &project::LESSON,
];

/// What notebooks import.
const COURSE: &str = include_str!("../../../lessons/files/course.py");

/// A lesson.
pub struct Lesson {
    number: usize,
    /// Computing time of its notebook or its commands on two cores, minutes.
    minutes: u32,
    notebook: &'static str,
    page: &'static str,
    /// Further files by the place they get next to the notebook.
    files: &'static [(&'static str, &'static [u8])],
    exercises: &'static [Exercise],
}

/// A lesson's texts, and files that lie in `lessons/`: recipes and pictures.
macro_rules! texts {
    ($number:literal, $minutes:literal, [$($file:literal),*], $exercises:expr) => {
        Lesson {
            number: $number,
            minutes: $minutes,
            notebook: include_str!(concat!("../../../lessons/lesson-", $number, ".ipynb")),
            page: include_str!(concat!("../../../lessons/lesson-", $number, ".md")),
            files: &[$(($file, include_bytes!(concat!("../../../lessons/", $file)))),*],
            exercises: $exercises,
        }
    };
}
use texts;

/// A task whose answer is one array or a few numbers.
struct Exercise {
    /// Name of the file without its ending.
    answer: &'static str,
    form: Form,
    judge: fn(&[f64]) -> Verdict,
}

/// What a lesson is about and what it asks, without its text.
#[derive(Clone, Debug, Serialize)]
pub struct LessonPlan {
    /// From 1 to 8.
    pub number: usize,
    /// What it is about.
    pub title: String,
    /// What it answers.
    pub question: String,
    /// Computing time of its notebook or its commands on two cores, minutes.
    pub minutes: u32,
    /// Headings, in order.
    pub sections: Vec<String>,
    /// Tasks, in order.
    pub exercises: Vec<ExercisePlan>,
}

/// A task.
#[derive(Clone, Debug, Serialize)]
pub struct ExercisePlan {
    /// Name of the file with the answer; an array may have another ending.
    pub answer: String,
    /// What the file holds.
    pub form: String,
    /// The task in words.
    pub task: String,
}

/// How the answers of a lesson were judged.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedLesson {
    /// From 1 to 8.
    pub number: usize,
    /// What it is about.
    pub title: String,
    /// How many answers are right.
    pub right: usize,
    /// Every exercise, in order.
    pub exercises: Vec<CheckedExercise>,
}

/// How an answer was judged.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedExercise {
    /// Name of the file with the answer, without its ending.
    pub answer: &'static str,
    /// Outcome.
    pub outcome: CheckOutcome,
    /// One sentence: what is right, or what is off and a hint.
    pub sentence: String,
}

/// Outcome of an exercise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckOutcome {
    /// The answer is right.
    Right,
    /// There is an answer, and it is not right.
    Wrong,
    /// There is no answer yet.
    Open,
}

/// What was written of a lesson.
#[derive(Clone, Debug, Serialize)]
pub struct WrittenLesson {
    /// From 1 to 8.
    pub number: usize,
    /// Where.
    pub folder: PathBuf,
    /// Files that were written, relative to the folder.
    pub written: Vec<String>,
    /// Files that were there already, and stay as they are.
    pub kept: Vec<String>,
}

/// What every lesson is about, in order.
pub fn lesson_plans() -> Vec<LessonPlan> {
    LESSONS.iter().map(|lesson| lesson.plan()).collect()
}

/// The lesson with this number.
///
/// # Errors
/// Another number than 1 to 8.
pub fn lesson(number: usize) -> Result<&'static Lesson, LabError> {
    LESSONS.iter().find(|lesson| lesson.number == number).copied().ok_or(LabError::NoLesson(number))
}

impl Lesson {
    /// What it is about and what it asks.
    pub fn plan(&self) -> LessonPlan {
        let exercises =
            self.exercises.iter().zip(tasks(self.page)).map(|(exercise, (_, task))| ExercisePlan {
                answer: exercise.form.file(exercise.answer),
                form: exercise.form.to_string(),
                task,
            });
        LessonPlan {
            number: self.number,
            title: title(self.page),
            question: question(self.page),
            minutes: self.minutes,
            sections: self
                .page
                .lines()
                .filter_map(|line| line.strip_prefix("## "))
                .map(str::to_owned)
                .collect(),
            exercises: exercises.collect(),
        }
    }

    /// Judges the answers in a folder.
    ///
    /// # Errors
    /// A folder that is not there. A file that cannot be read is a wrong answer that says why.
    pub fn check(&self, answers: &Path) -> Result<CheckedLesson, LabError> {
        if !answers.is_dir() {
            return Err(LabError::NoAnswers { folder: answers.to_owned(), number: self.number });
        }
        let exercises: Vec<CheckedExercise> = self.exercises.iter().map(|one| one.check(answers)).collect();
        let right = exercises.iter().filter(|one| one.outcome == CheckOutcome::Right).count();
        Ok(CheckedLesson { number: self.number, title: title(self.page), right, exercises })
    }

    /// Writes notebook, page, the two small models, and a template for each answer. What is there already stays as it is: it may be
    /// somebody's work.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<WrittenLesson, LabError> {
        let mut files = vec![
            (format!("lesson-{}.ipynb", self.number), self.notebook.as_bytes().to_vec()),
            (format!("lesson-{}.md", self.number), self.page.as_bytes().to_vec()),
            ("course.py".to_owned(), COURSE.as_bytes().to_vec()),
        ];
        let place = |name: &str| name.strip_prefix("files/").unwrap_or(name).to_owned();
        files.extend(self.files.iter().map(|(name, bytes)| (place(name), bytes.to_vec())));
        files.extend(
            BUNDLED_MODELS.iter().map(|(name, bytes)| (format!("models/{name}.safetensors"), bytes.to_vec())),
        );
        let template =
            |one: &Exercise| (format!("answers/{}.json", one.answer), one.form.template().into_bytes());
        files.extend(self.exercises.iter().map(template));

        let (mut written, mut kept) = (Vec::new(), Vec::new());
        for (name, bytes) in files {
            let file = folder.join(&name);
            if file.exists() {
                kept.push(name);
                continue;
            }
            let parent = file.parent().unwrap_or(folder);
            std::fs::create_dir_all(parent).map_err(archaeo_store::StoreError::io("create", parent))?;
            archaeo_store::write(&file, &bytes)?;
            written.push(name);
        }
        Ok(WrittenLesson { number: self.number, folder: folder.to_owned(), written, kept })
    }
}

impl Exercise {
    fn check(&self, answers: &Path) -> CheckedExercise {
        let (outcome, sentence) = match self.form.read(answers, self.answer) {
            Ok(None) => {
                let (file, form) = (self.form.file(self.answer), &self.form);
                (CheckOutcome::Open, format!("not answered yet: {file} is to hold {form}"))
            }
            Err(reason) => (CheckOutcome::Wrong, reason),
            Ok(Some(values)) if values.iter().any(|value| !value.is_finite()) => (
                CheckOutcome::Wrong,
                "it holds NaN or infinity: look for 0/0 in a softmax whose row is wholly masked, or a logarithm of 0".into(),
            ),
            Ok(Some(values)) => match (self.judge)(&values) {
                Verdict::Right(sentence) => (CheckOutcome::Right, sentence),
                Verdict::Wrong(sentence) => (CheckOutcome::Wrong, sentence),
            },
        };
        CheckedExercise { answer: self.answer, outcome, sentence }
    }
}

fn title(page: &str) -> String {
    let first = page.lines().next().unwrap_or_default();
    first.split_once(": ").map_or(first, |(_, title)| title).to_owned()
}

/// The paragraph that begins with `**Question.**`.
fn question(page: &str) -> String {
    let after = page.split_once("**Question.** ").map_or("", |(_, after)| after);
    joined(after.split("\n\n").next().unwrap_or_default())
}

/// The numbered tasks of the section “Exercises”: the name of each answer, and its words.
fn tasks(page: &str) -> impl Iterator<Item = (&str, String)> {
    let section = page.split_once("\n## Exercises\n").map_or("", |(_, after)| after);
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut items: Vec<String> = Vec::new();
    let mut names = Vec::new();
    for line in section.lines() {
        let named = line.split_once(". `").filter(|(number, _)| number.parse::<usize>().is_ok());
        if let Some((name, task)) = named.and_then(|(_, rest)| rest.split_once("`: ")) {
            names.push(name.trim_end_matches(".json"));
            items.push(task.to_owned());
        } else if let (Some(item), Some(more)) = (items.last_mut(), line.strip_prefix("   ")) {
            *item += "\n";
            *item += more;
        }
    }
    names.into_iter().zip(items.into_iter().map(|item| joined(&item)))
}

fn joined(lines: &str) -> String {
    lines.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
