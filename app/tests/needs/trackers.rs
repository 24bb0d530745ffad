//! Runs as the programs read them that they are written for.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{SHERDS, VIT_CONFIG, archaeo, stderr, stdout, succeed};

/// The Python that has the programs: that of `scripts/setup`, or the first on the PATH.
fn python() -> PathBuf {
    crate::python(&["wandb", "trackio"]).unwrap_or_else(|| "python3".into())
}

/// What the test needs and does not find: a program that answers to these arguments of Python.
pub fn lacks(what: &'static str, arguments: &[&str]) -> Vec<&'static str> {
    let there = Command::new(python()).args(arguments).output().is_ok_and(|output| output.status.success());
    if there { Vec::new() } else { vec![what] }
}

/// W&B as it has been since 0.31; earlier ones read the same files, but have no such command.
pub fn lacks_wandb() -> Vec<&'static str> {
    lacks("wandb (scripts/setup)", &["-m", "wandb", "leet", "inspect", "--help"])
}

/// The one folder in `folder`.
fn only(folder: &Path) -> PathBuf {
    let mut entries = std::fs::read_dir(folder).unwrap();
    let path = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none(), "{} has more than one entry", folder.display());
    path
}

fn train(folder: &Path, trackers: &str) -> PathBuf {
    let out = folder.join("run");
    let options = ["--set", "track_images=2", "--track", trackers, "--out"];
    let mut command = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS]);
    succeed(command.args(options).arg(&out));
    out
}

/// The lines of `metrics.jsonl`.
fn epochs(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn wandb_reads_a_run() {
    let root = tempfile::tempdir().unwrap();
    let out = train(root.path(), "wandb,metrics,csv");
    let wandb = |arguments: &[&str], path: &Path| {
        let mut command = Command::new(python());
        command.args(["-m", "wandb"]).args(arguments).arg(path).current_dir(root.path());
        stdout(&succeed(command.env("WANDB_MODE", "offline").env("WANDB_SILENT", "false")))
    };
    let run = only(&out.join("wandb"));
    let lines = wandb(&["leet", "inspect", "--json"], &run);
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| -> Vec<&Value> {
        records.iter().filter(|record| record["type"] == kind).map(|record| &record[kind]).collect()
    };
    assert_eq!((of("header").len(), of("run").len(), of("exit").len()), (1, 1, 1), "{lines}");
    assert_eq!(records.last().unwrap()["exit"]["exit_code"], 0);
    let described = of("run")[0];
    assert!(run.to_str().unwrap().ends_with(described["run_id"].as_str().unwrap()), "{described}");
    let config = &described["config"]["update"];
    let recipe = &config["recipe"];
    assert_eq!((&described["project"], &recipe["epochs"]), (&"archaeo".into(), &2.into()), "{described}");
    assert!(config["system"]["threads"].is_u64() && config["system"]["processor"].is_string(), "{config}");

    // One record per step, and what an epoch gave in that of its last step.
    let steps = std::fs::read_to_string(out.join("steps.csv")).unwrap();
    let history = of("history");
    assert_eq!(history.len(), steps.lines().count() - 1);
    for (row, record) in steps.lines().skip(1).zip(&history) {
        let row: Vec<f64> = row.split(',').map(|value| value.parse().unwrap()).collect();
        let item = &record["item"];
        let read = ["epoch", "_step", "step/loss", "step/learning_rate", "step/gradient_norm"];
        assert_eq!(read.map(|key| item[key].as_f64().unwrap()).to_vec(), row);
    }
    let told: Vec<&&Value> =
        history.iter().filter(|record| !record["item"]["accuracy/validation"].is_null()).collect();
    assert_eq!(told.len(), 2);
    for (epoch, record) in epochs(&out).iter().zip(&told) {
        assert_eq!(record["item"]["accuracy/validation"], epoch["validation_accuracy"]);
        assert_eq!(record["item"]["loss/validation"], epoch["validation_loss"]);
        assert_eq!(record["step"]["num"], epoch["step"]);
    }
    // Pictures are files that the run points to.
    for item in told.iter().map(|record| &record["item"]) {
        let names = item["attention"]["filenames"].as_array().unwrap();
        let files = names.iter().map(|name| run.join("files").join(name.as_str().unwrap()));
        assert_eq!(files.filter(|file| file.is_file()).count(), 2, "{item}");
        assert_eq!(
            (&item["attention"]["_type"], &item["attention"]["count"]),
            (&"images/separated".into(), &2.into())
        );
        assert_eq!(
            item["head_importance"]["values"]
                .as_array()
                .unwrap()
                .iter()
                .map(|n| n.as_u64().unwrap())
                .sum::<u64>(),
            4
        );
    }
    assert!(!of("files").is_empty());
    let summary = &of("summary").pop().unwrap()["update"];
    assert_eq!(summary["accuracy/validation"], epochs(&out)[1]["validation_accuracy"]);
    assert_eq!(summary["weights"], "model.safetensors");

    // It speaks on stderr.
    let mut sync = Command::new(python());
    sync.args(["-m", "wandb", "sync", "--dry-run"]).arg(&run).current_dir(root.path());
    let listed = stderr(&succeed(&mut sync));
    assert!(listed.contains(run.file_name().unwrap().to_str().unwrap()), "{listed}");
    // The state that a sync would send.
    let state: Value =
        serde_json::from_str(&wandb(&["leet", "inspect", "--summary", "--json"], &run)).unwrap();
    assert_eq!((&state["state"], &state["step"]), (&"finished".into(), &epochs(&out)[1]["step"]), "{state}");
}

pub fn lacks_trackio() -> Vec<&'static str> {
    lacks("trackio (scripts/setup)", &["-c", "from trackio import fragments"])
}

/// Imports the inbox as trackio's dashboard does, and prints the project.
const IMPORT: &str = "
import json, sys
from trackio import fragments
from trackio.sqlite_storage import SQLiteStorage as Storage
imported = fragments.import_inbox_dir()
[run] = Storage.get_runs('archaeo')
print(json.dumps([imported, run, Storage.get_run_config('archaeo', run), Storage.get_logs('archaeo', run)]))
";

pub fn trackio_imports_a_run_once() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("trackio");
    let import = || -> Value {
        let mut command = Command::new(python());
        command
            .args(["-c", IMPORT])
            .env("TRACKIO_DIR", &folder)
            .env("HF_HUB_OFFLINE", "1")
            .current_dir(root.path());
        let said = stdout(&succeed(&mut command));
        serde_json::from_str(said.lines().last().unwrap()).unwrap()
    };
    let out = root.path().join("run");
    let mut command = archaeo([
        "train",
        "--config",
        VIT_CONFIG,
        "--data",
        SHERDS,
        "--track",
        "trackio,metrics,csv",
        "--out",
    ]);
    succeed(command.arg(&out).env("TRACKIO_DIR", &folder));
    let steps = std::fs::read_to_string(out.join("steps.csv")).unwrap().lines().count() - 1;
    let imported = import();
    assert_eq!(imported[0], steps, "{imported}");
    assert!(imported[1].as_str().unwrap().ends_with("seed 0"), "{imported}");
    assert_eq!(imported[2]["recipe"]["epochs"], 2);
    let last = imported[3].as_array().unwrap().last().unwrap();
    let epoch = &epochs(&out)[1];
    assert_eq!((&last["step"], &last["loss/validation"]), (&epoch["step"], &epoch["validation_loss"]));

    // Everything again, as after the loss of what says that it was delivered.
    std::fs::remove_file(out.join("trackio.sent.json")).unwrap();
    succeed(archaeo(["track", "--to", "trackio"]).arg(&out).env("TRACKIO_DIR", &folder));
    assert_eq!(import()[3], imported[3], "nothing is there twice");
}
