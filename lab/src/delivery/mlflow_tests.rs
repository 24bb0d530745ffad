//! Delivery to a small server that keeps what it is sent, and fails as it is told to.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use archaeo_training::Picture;
use archaeo_training::trackers::{KeyValue, Metric, MlflowRequest};
use serde_json::{Value, json};

use super::mlflow::Server;
use super::{Delivered, Destination};

#[path = "../../tests/support/http.rs"]
mod http;

/// What the server does with the next request to `log-batch` that has metrics, or with the next picture.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    /// Answers 500 and keeps nothing.
    Refuses,
    /// Keeps it and answers 500.
    Forgets,
    /// Keeps it and hangs up.
    HangsUp,
}

#[derive(Default)]
struct Kept {
    mood: Option<Mood>,
    requests: Vec<String>,
    runs: Vec<Value>,
    params: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    metrics: Vec<Metric>,
    statuses: Vec<String>,
    /// Where it says that files of the run are, and those that are there.
    artifact_uri: Option<&'static str>,
    files: BTreeMap<String, Vec<u8>>,
}

/// Starts the server; its address, and what it keeps.
fn stub() -> (String, Arc<Mutex<Kept>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let kept = Arc::new(Mutex::new(Kept::default()));
    let of_server = Arc::clone(&kept);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client may hang up.
            let _ = answer(&mut stream.unwrap(), &of_server);
        }
    });
    (address, kept)
}

fn answer(stream: &mut TcpStream, kept: &Mutex<Kept>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    assert!(length < 1_000_000, "MLflow takes no larger request");
    let path = first.split(' ').nth(1).unwrap().strip_prefix("/api/2.0/").unwrap();
    let mut kept = kept.lock().unwrap();
    let answer = match path.strip_prefix("mlflow-artifacts/artifacts/") {
        Some(path) => kept.take_file(path, body),
        None => kept
            .hear(path.strip_prefix("mlflow/").unwrap(), &serde_json::from_slice(&body).unwrap_or_default()),
    };
    drop(kept);
    let Some((status, said)) = answer else { return Ok(()) };
    let said = if said.is_null() { String::new() } else { said.to_string() };
    http::send(stream, status, &[], said.as_bytes())
}

impl Kept {
    fn take_file(&mut self, path: &str, bytes: Vec<u8>) -> Option<(&'static str, Value)> {
        if self.mood.take() == Some(Mood::Refuses) {
            return Some(("503 Service Unavailable", json!({ "message": "no space" })));
        }
        self.files.insert(path.to_owned(), bytes);
        // MLflow's answer to a file is empty.
        Some(("200 OK", Value::Null))
    }

    /// The answer to a request; `None` hangs up.
    fn hear(&mut self, path: &str, body: &Value) -> Option<(&'static str, Value)> {
        self.requests.push(path.to_owned());
        let ok = |value| Some(("200 OK", value));
        match path.split('?').next().unwrap() {
            "experiments/get-by-name" => {
                let missing = json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No Experiment" });
                Some(("404 Not Found", missing))
            }
            "experiments/create" => ok(json!({ "experiment_id": "7" })),
            "runs/search" => {
                let filter = body["filter"].as_str().unwrap();
                let is = |run: &&Value| {
                    filter == format!("tags.`archaeo.run` = '{}'", run["tags"][0]["value"].as_str().unwrap())
                };
                let found = self.runs.iter().find(is).map(|_| json!({ "info": { "run_id": "r1" } }));
                ok(json!({ "runs": found.into_iter().collect::<Vec<_>>() }))
            }
            "runs/create" => {
                self.runs.push(body.clone());
                ok(json!({ "run": { "info": { "run_id": "r1" } } }))
            }
            "runs/update" => {
                self.statuses.push(body["status"].as_str().unwrap().to_owned());
                ok(json!({}))
            }
            "runs/get" => {
                // The latest of each; large integers as texts, as protocol buffers have them.
                let mut latest = BTreeMap::new();
                for Metric { key, step, .. } in &self.metrics {
                    latest.insert(key.clone(), *step);
                }
                let metrics =
                    latest.iter().map(|(key, step)| json!({ "key": key, "step": step.to_string() }));
                let info = json!({ "artifact_uri": self.artifact_uri.unwrap_or("mlflow-artifacts:/7/r1/artifacts") });
                let data = json!({ "metrics": metrics.collect::<Vec<_>>() });
                ok(json!({ "run": { "info": info, "data": data } }))
            }
            "runs/log-batch" => self.log_batch(body),
            other => panic!("{other}"),
        }
    }

    fn log_batch(&mut self, body: &Value) -> Option<(&'static str, Value)> {
        assert_eq!(body["run_id"], "r1");
        let pairs =
            |name: &str| -> Vec<KeyValue> { serde_json::from_value(body[name].clone()).unwrap_or_default() };
        self.params.extend(pairs("params").into_iter().map(|KeyValue { key, value }| (key, value)));
        self.tags.extend(pairs("tags").into_iter().map(|KeyValue { key, value }| (key, value)));
        let metrics: Vec<Metric> = serde_json::from_value(body["metrics"].clone()).unwrap_or_default();
        assert!(metrics.len() <= 1000 && pairs("params").len() <= 100);
        let failure = Some(("500 Internal Server Error", json!({ "message": "database is locked" })));
        match if metrics.is_empty() { Mood::Well } else { self.mood.take().unwrap_or(Mood::Well) } {
            Mood::Refuses => return failure,
            Mood::Well => self.metrics.extend(metrics),
            Mood::Forgets => {
                self.metrics.extend(metrics);
                return failure;
            }
            Mood::HangsUp => {
                self.metrics.extend(metrics);
                return None;
            }
        }
        Some(("200 OK", json!({})))
    }
}

fn metrics(epoch: usize) -> MlflowRequest {
    let metric = |step| Metric { key: "loss".into(), value: json!(1.5), timestamp: 1000, step };
    MlflowRequest::Metrics {
        epoch,
        part: 0,
        metrics: (1..=3).map(|n| metric(3 * (epoch as u64 - 1) + n)).collect(),
    }
}

fn end(status: &str) -> MlflowRequest {
    let tags = vec![KeyValue { key: "archaeo.weights".into(), value: "model.safetensors".into() }];
    MlflowRequest::End { status: status.into(), end_time: 2000, tags }
}

/// Writes a picture, and what the tracker says of it.
fn picture(folder: &Path, image: usize) -> MlflowRequest {
    let (file, png) = (format!("picture-{image}.png"), format!("picture {image}"));
    fs::write(folder.join(&file), &png).unwrap();
    let picture = Picture {
        what: "grad-cam".into(),
        image,
        caption: String::new(),
        file,
        width: 8,
        height: 8,
        bytes: png.len(),
        sha256: archaeo_store::sha256(png.as_bytes()),
    };
    MlflowRequest::Picture { key: format!("grad-cam/image {}", image + 1), timestamp: 1500, step: 3, picture }
}

/// Writes what the tracker writes after these epochs.
fn write(folder: &Path, epochs: usize, end: impl IntoIterator<Item = MlflowRequest>) {
    let run = MlflowRequest::Run {
        id: "abcd1234".into(),
        name: "vit seed 0".into(),
        experiment: "shards".into(),
        start_time: 1,
    };
    let params = vec![KeyValue { key: "seed".into(), value: "0".into() }];
    let all =
        [run, MlflowRequest::Parameters { params }].into_iter().chain((1..=epochs).map(metrics)).chain(end);
    let lines = all.map(|request| serde_json::to_string(&request).unwrap() + "\n");
    fs::write(folder.join("mlflow.jsonl"), lines.collect::<String>()).unwrap();
}

/// The steps that the server has a loss for.
fn steps(kept: &Mutex<Kept>) -> Vec<u64> {
    kept.lock().unwrap().metrics.iter().map(|metric| metric.step).collect()
}

#[test]
fn a_run_is_created_once_and_each_line_is_sent_once() {
    let (folder, (address, kept)) = (tempfile::tempdir().unwrap(), stub());
    let server = Server::at(&address);
    let deliver = || server.deliver(folder.path()).unwrap().lines;
    assert_eq!(deliver(), 0, "nothing is written yet");
    write(folder.path(), 1, None);
    assert_eq!((deliver(), deliver()), (3, 0));
    write(folder.path(), 3, Some(end("KILLED")));
    let Delivered { lines, to, .. } = server.deliver(folder.path()).unwrap();
    assert_eq!((lines, to), (3, format!("{address}#/experiments/7/runs/r1")));
    // It goes on after it was stopped.
    write(folder.path(), 4, Some(end("FINISHED")));
    assert_eq!((deliver(), deliver()), (2, 0));
    assert_eq!(steps(&kept), (1..=12).collect::<Vec<_>>());
    let kept = kept.lock().unwrap();
    assert_eq!(kept.statuses, ["KILLED", "RUNNING", "FINISHED"]);
    let run = &kept.runs[0];
    assert_eq!(
        (kept.runs.len(), &run["experiment_id"], &run["run_name"]),
        (1, &json!("7"), &json!("vit seed 0"))
    );
    assert_eq!(
        (kept.params["seed"].as_str(), kept.tags["archaeo.weights"].as_str()),
        ("0", "model.safetensors")
    );
    assert_eq!(kept.requests[0], "experiments/get-by-name?experiment_name=shards");
}

#[test]
fn a_failed_request_is_repeated_only_if_the_server_did_not_keep_it() {
    for (mood, said) in [
        (Mood::Refuses, "answered 500 to runs/log-batch (database is locked)"),
        (Mood::Forgets, "answered 500 to runs/log-batch (database is locked)"),
        (Mood::HangsUp, "cannot be reached ("),
    ] {
        let (folder, (address, kept)) = (tempfile::tempdir().unwrap(), stub());
        let server = Server::at(&address);
        write(folder.path(), 1, None);
        server.deliver(folder.path()).unwrap();
        write(folder.path(), 3, Some(end("FINISHED")));
        kept.lock().unwrap().mood = Some(mood);
        let error = server.deliver(folder.path()).unwrap_err();
        assert!(error.to_string().contains(said) && error.may_pass(), "{error}");
        // Another process goes on.
        let server = Server::at(&address);
        assert_eq!(server.deliver(folder.path()).unwrap().lines, 3);
        assert_eq!(steps(&kept), (1..=9).collect::<Vec<_>>(), "{said}");
    }
}

#[test]
fn a_run_is_found_again_when_its_progress_is_lost() {
    let (folder, (address, kept)) = (tempfile::tempdir().unwrap(), stub());
    write(folder.path(), 2, None);
    Server::at(&address).deliver(folder.path()).unwrap();
    fs::write(folder.path().join("mlflow.sent.json"), "{\"id\":").unwrap();
    write(folder.path(), 3, None);
    Server::at(&address).deliver(folder.path()).unwrap();
    assert_eq!(steps(&kept), (1..=9).collect::<Vec<_>>());
    assert_eq!(kept.lock().unwrap().runs.len(), 1);
    // Another server gets everything.
    let (address, kept) = stub();
    Server::at(&address).deliver(folder.path()).unwrap();
    assert_eq!(steps(&kept), (1..=9).collect::<Vec<_>>());
}

/// Where a picture lies on the server.
fn place(image: usize, ending: &str) -> String {
    let hash = archaeo_store::sha256(format!("picture {image}").as_bytes());
    let name = format!("grad-cam~image%20{}%2Bstep%2B3%2Btimestamp%2B1500%2B{}", image + 1, &hash[..20]);
    format!("7/r1/artifacts/images/{name}{ending}")
}

fn files(kept: &Mutex<Kept>) -> Vec<String> {
    kept.lock().unwrap().files.keys().cloned().collect()
}

#[test]
fn pictures_arrive_once_under_the_names_of_mlflows_client() {
    let (folder, (address, kept)) = (tempfile::tempdir().unwrap(), stub());
    let server = Server::at(&address);
    let pictures = (0..3).map(|image| picture(folder.path(), image));
    write(folder.path(), 1, pictures.chain([end("FINISHED")]));
    fs::write(folder.path().join("picture-1.png"), "another one").unwrap();
    server.deliver(folder.path()).unwrap();
    let shown = |image| [place(image, "%2Bcompressed.png"), place(image, ".png")];
    assert_eq!(files(&kept), [shown(0), shown(2)].concat(), "one is not what the log names");
    assert_eq!(kept.lock().unwrap().files[&place(2, ".png")], b"picture 2");
    assert_eq!(kept.lock().unwrap().tags["mlflow.loggedImages"], "True");
    let requests = kept.lock().unwrap().requests.len();
    assert_eq!(server.deliver(folder.path()).unwrap().lines, 0);
    assert_eq!(kept.lock().unwrap().requests.len(), requests, "nothing is asked where nothing is new");
}

#[test]
fn nothing_waits_for_a_picture_that_the_server_does_not_take() {
    let (folder, (address, kept)) = (tempfile::tempdir().unwrap(), stub());
    let server = Server::at(&address);
    write(folder.path(), 0, []);
    server.deliver(folder.path()).unwrap();
    write(folder.path(), 0, [picture(folder.path(), 0), end("FINISHED")]);
    kept.lock().unwrap().mood = Some(Mood::Refuses);
    let error = server.deliver(folder.path()).unwrap_err();
    assert!(error.to_string().contains("answered 503 to mlflow-artifacts (no space)"), "{error}");
    let statuses = kept.lock().unwrap().statuses.clone();
    assert_eq!((statuses, files(&kept)), (vec!["FINISHED".to_owned()], Vec::new()));
    assert_eq!((server.deliver(folder.path()).unwrap().lines, files(&kept).len()), (1, 2));

    // A server that keeps files where its clients have to write them.
    for elsewhere in ["s3://bucket/7/r1", "/srv/mlruns/7/r1", "mlflow-artifacts://other:5000/7/r1"] {
        let (folder, (address, kept)) = (tempfile::tempdir().unwrap(), stub());
        kept.lock().unwrap().artifact_uri = Some(elsewhere);
        write(folder.path(), 1, [picture(folder.path(), 0), end("FINISHED")]);
        let Delivered { lines, left_out, .. } = Server::at(&address).deliver(folder.path()).unwrap();
        let sentence = left_out.unwrap();
        assert!(sentence.contains("does not take files of its runs; start it with"), "{sentence}");
        assert!(lines > 0 && steps(&kept) == [1, 2, 3] && files(&kept).is_empty());
    }
}

#[test]
fn what_is_no_server_gets_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1, None);
    let sentence = |address: &str| Server::at(address).deliver(folder.path()).unwrap_err().to_string();
    assert!(sentence("127.0.0.1:5000").contains("MLFLOW_TRACKING_URI is not an address"));
    let password = sentence("http://me:secret@127.0.0.1:5000");
    assert!(password.contains("MLFLOW_TRACKING_PASSWORD") && !password.contains("secret"), "{password}");
    // A port that nobody listens on.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = sentence(&format!("http://{free}"));
    assert!(nobody.starts_with(&format!("the server at http://{free} cannot be reached (")), "{nobody}");
    fs::write(folder.path().join("mlflow.jsonl"), "{}\n").unwrap();
    assert!(sentence(&format!("http://{free}")).contains("mlflow.jsonl is damaged at line 1 ("));
}
