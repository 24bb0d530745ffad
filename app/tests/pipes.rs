//! Pipes and devices where a command reads a file: named at once, and not waited for.
#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use archaeo_plot::{Image, save_png};
use support::{SHERDS, VIT_CONFIG, archaeo, fail, stderr, succeed};

/// A pipe that nobody writes to.
fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn every_input_that_is_a_pipe_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    pipe(&path("PIPE"));
    let run = path("run");
    let mut training = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1"]);
    succeed(training.arg("--out").arg(&run));
    let weights = run.join("model.safetensors").display().to_string();
    fs::create_dir(path("folder")).unwrap();
    pipe(&path("folder/model.safetensors"));
    fs::create_dir(path("out")).unwrap();
    pipe(&path("out/investigation.json"));
    for arguments in [
        &["data", "PIPE"][..],
        &["evaluate", "--weights", "PIPE", "--data", SHERDS],
        &["evaluate", "--weights", "folder", "--data", SHERDS],
        &["evaluate", "--weights", &weights, "--data", "PIPE"],
        &["evaluate", "--weights", &weights, "--data", SHERDS, "--class-map", "PIPE"],
        &["evaluate", "--weights", &weights, "--data", SHERDS, "--class-names", "PIPE"],
        &["attention", "--weights", &weights, "--data", "PIPE"],
        &["export", "--weights", "PIPE", "--out", "exported"],
        &["train", "--config", "PIPE", "--data", SHERDS, "--out", "new"],
        &["train", "--config", VIT_CONFIG, "--data", "PIPE", "--out", "new"],
        &["excavate", "--config", "PIPE", "--out", "new"],
        &["excavate", "--vit", "PIPE", "--out", "new"],
        &["report", "out"],
    ] {
        let said = fail(archaeo(arguments).current_dir(folder.path()));
        assert!(
            said.contains("it is a pipe") && said.contains("to a file and give that"),
            "{arguments:?}: {said}"
        );
    }
    let said = fail(archaeo(["data", "-"]).current_dir(folder.path()));
    assert_eq!(said, "error: -: standard input is not read; save it to a file and give that");
    let said = fail(&mut archaeo(["data", "/dev/null"]));
    assert!(said.contains("/dev/null: it is a device"), "{said}");
}

#[test]
fn bad_images_are_summed_up_by_reason() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["ant", "bee"] {
        let place = folder.path().join(class);
        fs::create_dir(&place).unwrap();
        for number in 0..4u8 {
            let picture = Image::filled(8, 8, [number, 9, 9]);
            save_png(&picture, &place.join(format!("{number}.png"))).unwrap();
        }
        for number in 0..300 {
            fs::write(place.join(format!("x{number}.png")), "bad").unwrap();
        }
    }
    let said = stderr(&succeed(archaeo(["data"]).arg(folder.path())));
    assert!(said.lines().count() < 50, "{said}");
    assert!(said.contains("skipped 580 more: 580 × it is not an image in a supported format"), "{said}");
    assert!(said.contains("600 image(s) could not be used"), "{said}");
}

#[test]
fn a_sheet_shows_as_many_classes_as_fit() {
    let folder = tempfile::tempdir().unwrap();
    save_png(&Image::filled(8, 8, [1, 2, 3]), &folder.path().join("0.png")).unwrap();
    let rows: String = (0..400).map(|class| format!("0.png,class {class}\n")).collect();
    fs::write(folder.path().join("labels.csv"), format!("file,label\n{rows}")).unwrap();
    let sheet = folder.path().join("sheet.png");
    let mut command = archaeo(["data", "--per-class", "1", "--sheet"]);
    let output = succeed(command.arg(&sheet).arg(folder.path()));
    assert!(String::from_utf8_lossy(&output.stdout).contains("400 classes"));
    let said = stderr(&output);
    assert!(said.contains("of the 400 classes with images, as many as fit"), "{said}");
    let header = fs::read(&sheet).unwrap();
    let height = u32::from_be_bytes(header[20..24].try_into().unwrap());
    assert!((60_000..=65_000).contains(&height), "{height}");
}
