//! Every lesson: its texts, and its exercises against answers that numpy computed.

use std::fs;

use serde_json::Value;

use super::*;

/// Answers by `lab/tests/fixtures/make_lessons.py`.
fn answers() -> Value {
    serde_json::from_str(include_str!("../../tests/fixtures/lessons.json")).unwrap()
}

/// What is said of one answer.
fn judged(lesson: &Lesson, answer: &str, value: &Value) -> CheckedExercise {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(format!("{answer}.json")), value.to_string()).unwrap();
    let checked = lesson.check(folder.path()).unwrap();
    checked.exercises.into_iter().find(|one| one.answer == answer).expect("an exercise of this name")
}

#[test]
fn right_answers_are_right() {
    for lesson in LESSONS {
        let right = &answers()[lesson.number.to_string()]["right"];
        for exercise in lesson.exercises {
            let value = &right[exercise.answer];
            assert!(!value.is_null(), "lesson {}: no answer to {}", lesson.number, exercise.answer);
            let checked = judged(lesson, exercise.answer, value);
            assert_eq!(checked.outcome, CheckOutcome::Right, "lesson {}: {checked:?}", lesson.number);
        }
    }
}

#[test]
fn each_slip_gets_its_hint() {
    for lesson in LESSONS {
        for slip in answers()[lesson.number.to_string()]["slips"].as_array().unwrap() {
            let checked = judged(lesson, slip["answer"].as_str().unwrap(), &slip["value"]);
            let hint = slip["hint"].as_str().unwrap();
            assert_eq!(checked.outcome, CheckOutcome::Wrong, "lesson {}, {hint}: {checked:?}", lesson.number);
            assert!(checked.sentence.contains(hint), "lesson {}, {hint}: {checked:?}", lesson.number);
        }
    }
}

/// The page is where tasks are read from, and the notebook is made from the same source.
#[test]
fn texts_and_exercises_belong_together() {
    for lesson in LESSONS {
        let number = lesson.number;
        assert!(lesson.page.starts_with(&format!("# Lesson {number}: ")), "{number}");
        let plan = lesson.plan();
        assert!(plan.question.ends_with('?'), "{number}: {}", plan.question);
        let asked: Vec<&str> = tasks(lesson.page).map(|(name, _)| name).collect();
        assert!(asked.iter().eq(lesson.exercises.iter().map(|one| &one.answer)), "{number}: {asked:?}");
        assert!(plan.exercises.iter().all(|one| one.task.len() > 30), "{number}: {:?}", plan.exercises);
        for section in ["Often misunderstood", "Exercises", "Check yourself", "Sources"] {
            assert!(plan.sections.iter().any(|heading| heading == section), "{number}: no section {section}");
        }
        let notebook: Value = serde_json::from_str(lesson.notebook).unwrap();
        assert_eq!((&notebook["nbformat"], &notebook["nbformat_minor"]), (&4.into(), &5.into()), "{number}");
        let cells = notebook["cells"].as_array().unwrap();
        assert!(cells.iter().all(|cell| cell["outputs"].as_array().is_none_or(Vec::is_empty)), "{number}");
        for (picture, _) in lesson.files.iter().filter(|(file, _)| file.starts_with("images/")) {
            assert!(lesson.page.contains(picture), "{number}: {picture}");
        }
    }
}

#[test]
fn a_lesson_is_written_whole_and_never_over_anybodys_work() {
    let folder = tempfile::tempdir().unwrap();
    let lesson = lesson(1).unwrap();
    let first = lesson.write(folder.path()).unwrap();
    assert!(first.kept.is_empty());
    assert!(first.written.iter().all(|file| folder.path().join(file).is_file()));
    for file in ["lesson-1.ipynb", "lesson-1.md", "course.py", "models/vit.safetensors", "answers/cost.json"]
    {
        assert!(first.written.iter().any(|written| written == file), "{file}");
    }
    let open = lesson.check(&folder.path().join("answers")).unwrap();
    assert!(open.exercises.iter().all(|one| one.outcome == CheckOutcome::Open), "{open:?}");

    let answer = folder.path().join("answers/cost.json");
    fs::write(&answer, "{\"one_head\": 1, \"twelve_heads\": 2}").unwrap();
    fs::remove_file(folder.path().join("course.py")).unwrap();
    let again = lesson.write(folder.path()).unwrap();
    assert_eq!(again.written, ["course.py"]);
    assert!(fs::read_to_string(&answer).unwrap().contains("one_head\": 1"));
}

#[test]
fn what_is_not_there_is_said() {
    let message = lesson(9).err().unwrap().to_string();
    assert!(message.contains("no lesson 9") && message.contains("1 to 8"), "{message}");
    let message = lesson(1).unwrap().check(Path::new("nowhere")).unwrap_err().to_string();
    assert!(message.contains("nowhere") && message.contains("--out"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("attention.npy"), "no array").unwrap();
    let checked = lesson(1).unwrap().check(folder.path()).unwrap();
    assert_eq!(checked.exercises[0].outcome, CheckOutcome::Wrong);
    assert!(checked.exercises[0].sentence.contains("not a NumPy array"), "{}", checked.exercises[0].sentence);
}
