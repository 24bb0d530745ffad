//! What is written never takes the place of what is read, nor of a pipe, a device or what a link leads to.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use archaeo_plot::{Image, save_png};
use support::{SHERDS, VIT_CONFIG, archaeo, fail, succeed};

fn train(folder: &Path) -> PathBuf {
    let mut command =
        archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1", "--out"]);
    succeed(command.arg(folder.join("run")));
    folder.join("run/model.safetensors")
}

fn evaluate(weights: &Path, export: &Path) -> Command {
    let mut command = archaeo(["evaluate", "--data", SHERDS, "--limit", "8", "--weights"]);
    command.arg(weights).arg("--export").arg(export);
    command
}

/// Asserts that a command is refused with a sentence that holds `expected`, and that `file` stays as it is.
#[track_caller]
fn refused(command: &mut Command, expected: &str, file: &Path) {
    let before = fs::read(file).unwrap();
    let sentence = fail(command);
    assert!(sentence.contains(expected), "{command:?}\nsaid   {sentence}\nwanted {expected}");
    assert!(fs::read(file).unwrap() == before, "{} was changed", file.display());
}

const READ: &str = "would be written over what this command reads";

#[test]
fn exports_do_not_replace_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let weights = train(folder.path());
    let run = folder.path().join("run");
    let path = |name: &str| folder.path().join(name);
    refused(&mut evaluate(&weights, &weights), READ, &weights);
    refused(&mut evaluate(&weights, &run.join("../run/model.safetensors")), READ, &weights);
    // The folder stands for the weights and the configuration in it.
    refused(&mut evaluate(&run, &weights), READ, &weights);
    refused(&mut evaluate(&run, &run.join("config.json")), READ, &weights);
    refused(&mut evaluate(&weights, &run.join("config.json")), READ, &weights);
    // The same file under another name.
    fs::hard_link(&weights, path("second.safetensors")).unwrap();
    refused(&mut evaluate(&weights, &path("second.safetensors")), READ, &weights);
    fs::write(path("names.txt"), "a\nb").unwrap();
    let mut prompted = evaluate(&weights, &path("names.txt"));
    prompted.args(["--prompts", "cifar", "--class-names"]).arg(path("names.txt"));
    refused(&mut prompted, READ, &path("names.txt"));
    for command in ["attention", "attack"] {
        let mut command = archaeo([command, "--data", SHERDS, "--weights"]);
        refused(command.arg(&weights).arg("--export").arg(&weights), READ, &weights);
    }
    let mut export = archaeo(["export", "--weights"]);
    refused(export.arg(&weights).arg("--out").arg(&run), READ, &weights);

    // What is not read may be replaced, in the same folder too, and again.
    for _ in 0..2 {
        succeed(&mut evaluate(&run, &run.join("logits.safetensors")));
    }
    succeed(archaeo(["export", "--weights"]).arg(&weights).arg("--out").arg(path("exported")));
}

#[test]
fn a_contact_sheet_does_not_replace_an_image() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        fs::create_dir(folder.path().join(class)).unwrap();
        for i in 0..4 {
            let picture = Image::filled(8, 8, [40 * i, 9, 200]);
            save_png(&picture, &folder.path().join(format!("{class}/{i}.png"))).unwrap();
        }
    }
    let image = folder.path().join("a/0.png");
    refused(archaeo(["data"]).arg(folder.path()).arg("--sheet").arg(&image), READ, &image);
    // Without a name nothing is written.
    succeed(archaeo(["data", "."]).current_dir(folder.path()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    succeed(archaeo(["data", "."]).args(["--sheet", "a/sheet.png"]).current_dir(folder.path()));
    assert!(folder.path().join("a/sheet.png").is_file());
}

#[cfg(unix)]
#[test]
fn links_pipes_and_devices_are_refused_before_the_work() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let small = "sherds:train=20,test=20,val=10,aligned=10,conflict=10";
    fs::write(path("victim"), "precious").unwrap();
    symlink("victim", path("link.png")).unwrap();
    let sheet = |file: &Path| {
        let mut command = archaeo(["data", small, "--sheet"]);
        command.arg(file);
        command
    };
    refused(&mut sheet(&path("link.png")), "link.png is a link; name the file itself", &path("victim"));
    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    refused(
        &mut sheet(&path("pipe")),
        "pipe is a pipe, not a file; name a file to write to",
        &path("victim"),
    );
    assert!(path("pipe").symlink_metadata().unwrap().file_type().is_fifo());
    refused(&mut sheet(Path::new("/dev/null")), "/dev/null is a device", &path("victim"));
    // What somebody has laid out under the names that temporaries once had is not followed.
    symlink("victim", path("sheet.png.tmp")).unwrap();
    succeed(&mut sheet(&path("sheet.png")));
    assert_eq!(fs::read(path("victim")).unwrap(), b"precious");
    let left = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".archaeo-");
    assert!(!fs::read_dir(folder.path()).unwrap().flatten().any(|entry| left(&entry)));
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_work() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join(OsStr::from_bytes(b"out\xff"));
    let mut command =
        archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1", "--out"]);
    succeed(command.arg(&out));
    let weights = out.join("model.safetensors");
    succeed(&mut evaluate(&weights, &folder.path().join(OsStr::from_bytes(b"\xfe.safetensors"))));
    let said = fs::read_to_string(out.join("environment.json")).unwrap();
    assert!(said.contains("out\u{fffd}"), "{said}");
}

#[test]
fn an_out_that_is_a_file_names_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "text").unwrap();
    for out in [file.clone(), file.join("run")] {
        let mut command = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--out"]);
        refused(command.arg(&out), "file is a file; give --out a new or an empty folder", &file);
    }
}
