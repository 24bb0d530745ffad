//! `archaeo lesson`: the course, and whether answers to its exercises are right.

use std::path::Path;

use anyhow::{Result, bail};
use archaeo_lab::lessons::{
    CheckOutcome, CheckedLesson, ExercisePlan, LessonPlan, WrittenLesson, lesson, lesson_plans,
};

use crate::cli::Lesson;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A lesson that there is not, a folder that cannot be read or written, and answers that are not all right.
pub fn run(arguments: &Lesson, printer: &Printer) -> Result<()> {
    let Some(number) = arguments.number else {
        return printer.result(&lesson_plans(), |plans| list(plans));
    };
    let lesson = lesson(number)?;
    match (&arguments.out, &arguments.check) {
        (Some(folder), _) => printer.result(&lesson.write(folder)?, written),
        (None, Some(answers)) => check(&lesson.check(answers)?, answers, printer),
        (None, None) => printer.result(&lesson.plan(), plan),
    }
}

fn list(plans: &[LessonPlan]) -> String {
    let row = |plan: &LessonPlan| {
        let LessonPlan { number, title, minutes, exercises, .. } = plan;
        format!("{number}  {title} ({minutes} min, {} exercises)\n", exercises.len())
    };
    let rows: String = plans.iter().map(row).collect();
    rows + "\n`archaeo lesson N` shows the plan of one, `archaeo lesson N --out DIR` writes it"
}

fn plan(plan: &LessonPlan) -> String {
    let LessonPlan { number, title, question, minutes, sections, exercises } = plan;
    let mut lines = format!(
        "Lesson {number}: {title}\n\n{question}\n\nabout {minutes} min of computing on two cores\n\n"
    );
    for section in sections {
        lines += &format!("  {section}\n");
    }
    lines += "\nexercises\n";
    for ExercisePlan { answer, form, task } in exercises {
        lines += &format!("- {answer}: {task} ({form})\n");
    }
    lines
        + &format!(
            "\n`archaeo lesson {number} --out DIR` writes it, `archaeo lesson {number} --check DIR/answers` checks answers\n"
        )
}

fn written(written: &WrittenLesson) -> String {
    let WrittenLesson { number, folder, written, kept } = written;
    let mut lines: String = written.iter().map(|file| format!("{}\n", folder.join(file).display())).collect();
    if !kept.is_empty() {
        lines += &format!("{} files were there already and stay as they are\n", kept.len());
    }
    lines
        + &format!(
            "\nopen lesson-{number}.ipynb, or follow lesson-{number}.md; then `archaeo lesson {number} --check {}`\n",
            folder.join("answers").display()
        )
}

fn check(checked: &CheckedLesson, answers: &Path, printer: &Printer) -> Result<()> {
    printer.result(checked, lines)?;
    let (right, all) = (checked.right, checked.exercises.len());
    if right < all {
        bail!("{right} of {all} answers in {} are right", answers.display());
    }
    Ok(())
}

fn lines(checked: &CheckedLesson) -> String {
    let width = checked.exercises.iter().map(|one| one.answer.len()).max().unwrap_or(0);
    let mut lines = format!("Lesson {}: {}\n", checked.number, checked.title);
    for one in &checked.exercises {
        let outcome = match one.outcome {
            CheckOutcome::Right => "right",
            CheckOutcome::Wrong => "WRONG",
            CheckOutcome::Open => "open",
        };
        lines += &format!("{:width$}  {outcome:5}  {}\n", one.answer, one.sentence);
    }
    lines
}
