//! What the program says about data as people have it, and images that need no labels.

mod support;

use std::fs;
use std::path::Path;

use archaeo_plot::{Image, save_png};
use support::{CONFIG, SHERDS, VIT_CONFIG, archaeo, fail, json, stderr, stdout, succeed};

/// A picture of 20 × 16 pixels that no other number gives.
fn photograph(path: &Path, number: usize) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixels = (0..20 * 16 * 3).map(|i| (i * (number + 3) % 251) as u8).collect();
    save_png(&Image::new(20, 16, pixels), path).unwrap();
}

#[test]
fn a_contact_sheet_is_written_where_one_is_asked_for_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    succeed(archaeo(["data", SHERDS]).current_dir(folder.path()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was asked for");
    for option in [["--per-class", "3"], ["--split", "train"]] {
        let output = archaeo(["data", SHERDS]).args(option).current_dir(folder.path()).output().unwrap();
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""));
        assert!(stderr(&output).contains("--sheet"), "{}", stderr(&output));
    }
    let sheet = folder.path().join("sheet.png");
    succeed(archaeo(["data", SHERDS, "--split", "train", "--sheet"]).arg(&sheet));
    assert!(fs::read(&sheet).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn many_classes_are_summed_up_with_the_largest_and_the_smallest() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = String::from("file,label\n");
    for class in 0..60 {
        let images = match class {
            7 => 9,
            50 => 1,
            _ => 4,
        };
        for image in 0..images {
            photograph(&folder.path().join(format!("images/{class}-{image}.png")), 10 * class + image);
            rows += &format!("{class}-{image}.png,c{class:02}\n");
        }
    }
    fs::write(folder.path().join("labels.csv"), rows).unwrap();
    let said = stdout(&succeed(archaeo(["data"]).arg(folder.path())));
    assert!(said.lines().count() < 30, "{said}");
    let numbers = |title: &str| -> Vec<usize> {
        let line =
            said.lines().find(|line| line.starts_with(title)).unwrap_or_else(|| panic!("{title}: {said}"));
        line[title.len()..].split_whitespace().map(|number| number.parse().unwrap()).collect()
    };
    // all, test, train, val
    assert_eq!(numbers("classes with images"), [60, 59, 60, 59]);
    assert_eq!(numbers("classes with none"), [0, 1, 0, 1]);
    assert_eq!(
        (numbers("fewest per class")[0], numbers("median per class")[0], numbers("most per class")[0]),
        (1, 4, 9)
    );
    assert!(said.contains("all: the largest classes are c07 (9), c00 (4)"), "{said}");
    assert!(said.contains("c59 (4), c50 (1)\n"), "{said}");
}

#[test]
fn notes_are_said_once_and_are_part_of_the_json() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["cat", "dog"] {
        for image in 0..4 {
            photograph(&folder.path().join(format!("train/{class}/{image}.png")), 10 * class.len() + image);
        }
        fs::create_dir_all(folder.path().join("test").join(class)).unwrap();
        photograph(&folder.path().join(format!("test/{class}/new.png")), 90 + usize::from(class == "cat"));
        fs::copy(folder.path().join("train/cat/0.png"), folder.path().join("test/cat/copy.png")).unwrap();
    }
    let mut command = archaeo(["data"]);
    let output = succeed(command.arg(folder.path()).arg("--json"));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let notes: Vec<&str> =
        summary["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
    assert!(notes.iter().any(|note| note.contains("of `test` is also in `train`")), "{notes:?}");
    let said = stderr(&output);
    for note in notes {
        assert_eq!(said.matches(note).count(), 1, "{said}");
    }
}

#[test]
fn attention_needs_no_labels_and_scores_do() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    json(archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--out"]).arg(&run));
    let one = folder.path().join("one.png");
    photograph(&one, 5);
    for image in 0..3 {
        photograph(&folder.path().join(format!("flat/{image}.png")), 5 + image);
    }
    let ask = |command: &str, source: &Path| {
        let mut asked = archaeo([command, "--data"]);
        asked.arg(source).arg("--weights").arg(run.join("model.safetensors"));
        asked
    };
    let single = json(&mut ask("attention", &one));
    let flat = json(&mut ask("attention", &folder.path().join("flat")));
    assert_eq!((&single["n"], &flat["n"]), (&1.into(), &3.into()));
    // The first of the three is that image.
    assert_eq!(
        json(ask("attention", &folder.path().join("flat")).args(["--limit", "1"]))["attention_distance"],
        single["attention_distance"]
    );
    for command in ["evaluate", "attack", "ablate"] {
        for source in [&one, &folder.path().join("flat")] {
            let said = fail(&mut ask(command, source));
            assert!(said.contains("has no labels, which are needed to train or to score a model"), "{said}");
        }
    }
}

#[test]
fn a_class_too_rare_to_be_divided_keeps_nothing_from_being_investigated() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("animals");
    for (class, images) in [("cat", 40), ("dog", 40), ("yak", 2)] {
        for image in 0..images {
            photograph(
                &source.join(class).join(format!("{image:02}.png")),
                50 * images + 2 * image + class.len(),
            );
        }
    }
    let out = folder.path().join("out");
    let mut command = archaeo(["excavate", "--config", CONFIG, "--set", "batch_size=8", "--data"]);
    let said = stderr(&succeed(command.arg(&source).arg("--out").arg(&out)));
    let note = "class `yak` (2) has fewer than 3 images, too few to be divided: it is in `train` alone";
    assert_eq!(said.matches(note).count(), 1, "{said}");
    assert!(fs::read_to_string(out.join("report.md")).unwrap().contains(note), "the report says so too");
}
