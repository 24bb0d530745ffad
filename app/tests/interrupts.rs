//! Ctrl-C and a request to terminate: the status, and one line on what is kept and how to go on.
#![cfg(unix)]

mod support;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::{CONFIG, SHERDS, VIT_CONFIG, archaeo, assert_same, excavate, stderr, stdout, succeed};

/// So many epochs that no training is over before it is interrupted.
const LONG: [&str; 2] = ["--set", "epochs=100000"];

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

fn wait_for(child: &mut Child, file: &Path) {
    let begun = Instant::now();
    while !file.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before {} appeared", file.display());
        assert!(begun.elapsed() < Duration::from_secs(120), "{} never appeared", file.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// The one line that begins with `error:`, and the last.
#[track_caller]
fn ended(output: &Output, status: i32) -> String {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert_eq!(stdout(output), "", "{said}");
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "{said}");
    assert_eq!(said.lines().last(), Some(errors[0]), "{said}");
    assert!(
        errors[0].starts_with("error: interrupted; ") && errors[0].contains("run the same command again"),
        "{said}"
    );
    errors[0].to_owned()
}

#[test]
fn an_interrupted_training_keeps_its_epochs_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for (signal, status) in [("-INT", 130), ("-TERM", 143)] {
        let mut command = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS]);
        let mut child = start(command.args(LONG).arg("--out").arg(&out));
        wait_for(&mut child, &out.join("checkpoints/last.safetensors"));
        // Into the middle of an epoch.
        std::thread::sleep(Duration::from_millis(150));
        send(signal, &child);
        let said = ended(&child.wait_with_output().unwrap(), status);
        assert!(said.contains("kept in") && said.contains("run"), "{said}");
        assert!(said.contains("epoch"), "{said}");
    }
}

#[test]
fn an_interrupted_investigation_goes_on_to_the_same_findings() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, out) = (folder.path().join("whole"), folder.path().join("out"));
    succeed(&mut excavate(&whole));
    for (moment, signal, status) in
        [("vit/checkpoints/last.safetensors", "-INT", 130), ("findings/accuracy.json", "-TERM", 143)]
    {
        let mut child = start(&mut excavate(&out));
        wait_for(&mut child, &out.join(moment));
        send(signal, &child);
        let output = child.wait_with_output().unwrap();
        let said = ended(&output, status);
        assert!(said.contains(&format!("what was found until now is kept in {}", out.display())), "{said}");
    }
    succeed(&mut excavate(&out));
    assert_same(&out, &whole);
}

#[test]
fn other_commands_end_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut command = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1"]);
    succeed(command.arg("--out").arg(&run));
    let many = "sherds:size=16,train=8,val=8,test=3000000,aligned=8,conflict=8";
    for (command, signal, status) in [
        ("evaluate", "-INT", 130),
        ("attention", "-TERM", 143),
        ("attack", "-INT", 130),
        ("ablate", "-INT", 130),
    ] {
        let export = folder.path().join(format!("{command}.csv"));
        let mut asked = archaeo([command, "--data", many, "--weights"]);
        asked.arg(run.join("model.safetensors")).arg("--export").arg(&export);
        let mut child = start(&mut asked);
        std::thread::sleep(Duration::from_millis(700));
        assert!(child.try_wait().unwrap().is_none(), "{command} was over before it could be interrupted");
        send(signal, &child);
        let said = ended(&child.wait_with_output().unwrap(), status);
        assert!(said.contains("nothing was written"), "{command}: {said}");
        assert!(!export.exists());
    }
    // Before anything is kept, nothing else is claimed.
    let mut child = start(
        archaeo([
            "excavate",
            "--config",
            CONFIG,
            "--data",
            &many.replace("train=8,val=8", "train=64,val=64"),
            "--out",
        ])
        .arg(folder.path().join("out")),
    );
    std::thread::sleep(Duration::from_millis(300));
    send("-INT", &child);
    let _ = child.try_wait();
    ended(&child.wait_with_output().unwrap(), 130);
}
