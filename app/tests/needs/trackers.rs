//! Runs as the programs read them that they are written for.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

/// Trains with pictures of two images; `set` are variables of the environment.
fn train(folder: &Path, trackers: &str, set: &[(&str, &str)]) -> PathBuf {
    let out = folder.join("run");
    let options = ["--set", "track_images=2", "--track", trackers, "--out"];
    let mut command = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS]);
    succeed(command.args(options).arg(&out).envs(set.iter().copied()));
    out
}

/// The lines of `metrics.jsonl`.
fn epochs(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn wandb_reads_a_run() {
    let root = tempfile::tempdir().unwrap();
    let out = train(root.path(), "wandb,metrics,csv", &[]);
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
    let out = train(root.path(), "trackio,metrics,csv", &[("TRACKIO_DIR", folder.to_str().unwrap())]);
    let steps = std::fs::read_to_string(out.join("steps.csv")).unwrap().lines().count() - 1;
    let imported = import();
    assert_eq!(imported[0], steps, "{imported}");
    assert!(imported[1].as_str().unwrap().ends_with("seed 0"), "{imported}");
    assert_eq!(imported[2]["recipe"]["epochs"], 2);
    let last = imported[3].as_array().unwrap().last().unwrap();
    let epoch = &epochs(&out)[1];
    assert_eq!((&last["step"], &last["loss/validation"]), (&epoch["step"], &epoch["validation_loss"]));
    assert_eq!(last["head_importance"]["_type"], "trackio.histogram");
    // Pictures are where trackio's server looks for them.
    for image in 1..=2 {
        let shown = &last[format!("attention/image {image}")];
        assert_eq!(shown["_type"], "trackio.image", "{last}");
        let png = std::fs::read(folder.join("media").join(shown["file_path"].as_str().unwrap())).unwrap();
        let own = out.join(format!("pictures/epoch-002-attention-{image}.png"));
        assert_eq!(png, std::fs::read(own).unwrap());
    }

    // Everything again, as after the loss of what says that it was delivered.
    std::fs::remove_file(out.join("trackio.sent.json")).unwrap();
    succeed(archaeo(["track", "--to", "trackio"]).arg(&out).env("TRACKIO_DIR", &folder));
    assert_eq!(import()[3], imported[3], "nothing is there twice");
}

pub fn lacks_mlflow() -> Vec<&'static str> {
    let finds = "import importlib.util, sys; sys.exit(importlib.util.find_spec('mlflow.server') is None)";
    lacks("mlflow (scripts/setup)", &["-c", finds])
}

/// A server of MLflow on this machine, until this is dropped.
struct MlflowServer {
    process: Child,
    address: String,
}

impl MlflowServer {
    fn start(folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(python());
        // It starts others, which end with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
            .args(["-m", "mlflow", "server", "--workers", "1", "--port", &port.to_string()])
            .arg("--backend-store-uri")
            .arg(format!("sqlite:///{}", folder.join("mlflow.db").display()))
            .arg("--artifacts-destination")
            .arg(folder.join("artifacts"))
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let server = Self { process: command.spawn().unwrap(), address: format!("127.0.0.1:{port}") };
        let started = Instant::now();
        while !server.is_well() {
            assert!(started.elapsed() < Duration::from_secs(180), "the server of MLflow does not answer");
            std::thread::sleep(Duration::from_millis(300));
        }
        server
    }

    fn is_well(&self) -> bool {
        let asked = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(&self.address)?;
            write!(stream, "GET /health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        asked().is_ok_and(|answer| answer.contains(" 200 ") && answer.ends_with("OK"))
    }
}

impl Drop for MlflowServer {
    fn drop(&mut self) {
        if cfg!(unix) {
            let _ = Command::new("kill").args(["--", &format!("-{}", self.process.id())]).status();
        } else {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// Prints what MLflow's own client finds on a server, and fetches the pictures of the last step into a folder.
const ASK: &str = "
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
[run] = client.search_runs([client.get_experiment_by_name('archaeo').experiment_id])
id, data = run.info.run_id, run.data
files = [file.path for file in client.list_artifacts(id, 'images')]
fetched = {path: client.download_artifacts(id, path, sys.argv[2]) for path in files}
print(json.dumps({
    'name': run.info.run_name, 'status': run.info.status, 'params': data.params, 'tags': data.tags, 'metrics': data.metrics,
    'steps': [metric.step for metric in client.get_metric_history(id, 'step/loss')], 'files': files,
    'fetched': fetched,
}))
";

pub fn mlflow_shows_a_run() {
    let root = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(root.path());
    let address = format!("http://{}", server.address);
    let out = train(root.path(), "mlflow,metrics,csv", &[("MLFLOW_TRACKING_URI", &address)]);
    let fetched = root.path().join("fetched");
    std::fs::create_dir(&fetched).unwrap();
    let ask = || -> Value {
        let mut command = Command::new(python());
        let said = stdout(&succeed(command.args(["-c", ASK, &address]).arg(&fetched)));
        serde_json::from_str(said.lines().last().unwrap()).unwrap()
    };
    let shown = ask();
    assert_eq!((&shown["status"], &shown["params"]["recipe.epochs"]), (&"FINISHED".into(), &"2".into()));
    let steps = std::fs::read_to_string(out.join("steps.csv")).unwrap().lines().count() - 1;
    assert_eq!(shown["steps"], serde_json::json!((1..=steps).collect::<Vec<_>>()));
    let metrics = &shown["metrics"];
    assert_eq!(metrics["accuracy/validation"], epochs(&out)[1]["validation_accuracy"]);
    assert!(metrics["head_importance/layer 1 head 1"].is_f64(), "{metrics}");

    // Each picture of both epochs, and the copy that the page shows.
    assert_eq!(shown["tags"]["mlflow.loggedImages"], "True");
    let files: Vec<&str> =
        shown["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    assert_eq!(files.len(), 16, "{files:?}");
    for epoch in epochs(&out) {
        let (number, step) = (epoch["epoch"].as_u64().unwrap(), &epoch["step"]);
        for (what, image) in [("attention", 1), ("attention", 2), ("grad-cam", 1), ("grad-cam", 2)] {
            let name = format!("images/{what}~image {image}+step+{step}+timestamp+");
            let own = out.join(format!("pictures/epoch-{number:03}-{what}-{image}.png"));
            let own = std::fs::read(own).unwrap();
            let of_it = files.iter().filter(|file| file.starts_with(&name));
            assert!(of_it.clone().any(|file| file.ends_with("+compressed.png")), "{files:?}");
            assert_eq!(of_it.clone().count(), 2);
            let fetched = |file: &&&str| std::fs::read(shown["fetched"][**file].as_str().unwrap()).unwrap();
            assert!(of_it.clone().all(|file| fetched(&file) == own));
        }
    }

    // Everything again, as after the loss of what says that it was delivered.
    std::fs::remove_file(out.join("mlflow.sent.json")).unwrap();
    succeed(archaeo(["track", "--to", "mlflow"]).arg(&out).env("MLFLOW_TRACKING_URI", &address));
    let again = ask();
    assert_eq!(
        (&again["steps"], &again["files"]),
        (&shown["steps"], &shown["files"]),
        "nothing is there twice"
    );
}
