//! Checkpoints from a hub, which here is a server of a few lines that the test starts and makes misbehave.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use archaeo_store::{sha256, sha256_path};
use serde_json::json;
use support::http::send;
use support::{
    CONFIG, SHERDS, VIT_CONFIG, archaeo, fail, investigation, json as json_of, read_json, succeed,
};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server does wrong.
#[derive(Default)]
struct Behaviour {
    /// Break the connection after so many bytes of each answer that has a body longer than that.
    cut: Option<usize>,
    /// Ignore which part of a file was asked for.
    whole: bool,
    /// Say this is every file's checksum.
    checksum: Option<String>,
    /// Send these bytes wrong.
    flip: bool,
}

/// Path and range of every request.
type Requests = Mutex<Vec<(String, Option<String>)>>;

struct Server {
    address: String,
    behaviour: Arc<Mutex<Behaviour>>,
    requests: Arc<Requests>,
}

impl Server {
    fn start(files: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let behaviour = Arc::new(Mutex::new(Behaviour::default()));
        let requests = Arc::new(Requests::default());
        let (behaviour_there, requests_there) = (behaviour.clone(), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &files, &behaviour_there.lock().unwrap(), &requests_there);
            }
        });
        Self { address, behaviour, requests }
    }

    fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// Ranges that were asked of a file since the last call, those that only asked for its size left out.
    fn ranges_of(&self, file: &str) -> Vec<String> {
        let requests = std::mem::take(&mut *self.requests.lock().unwrap());
        let of_file = requests.into_iter().filter(|(path, _)| path.ends_with(file));
        of_file.filter_map(|(_, range)| range).filter(|range| range != "bytes=0-0").collect()
    }
}

fn answer(
    mut stream: TcpStream,
    files: &BTreeMap<String, Vec<u8>>,
    behaviour: &Behaviour,
    requests: &Requests,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: ") {
            range = Some(value.to_owned());
        }
    }
    requests.lock().unwrap().push((path.clone(), range.clone()));

    let revisions = ["main", "v1", COMMIT];
    if revisions.iter().any(|revision| path == format!("/api/models/owner/tiny/revision/{revision}")) {
        let names: Vec<_> = files.keys().map(|name| json!({ "rfilename": name })).collect();
        let body = json!({ "siblings": names, "sha": COMMIT }).to_string();
        let kind = ("content-type", "application/json".into());
        return send_whole(&mut stream, "200 OK", &[kind], body.as_bytes());
    }
    let file = path.strip_prefix(&format!("/owner/tiny/resolve/{COMMIT}/")).and_then(|name| files.get(name));
    let Some(file) = file else { return send_whole(&mut stream, "404 Not Found", &[], b"nothing here") };
    let mut contents = file.clone();
    if behaviour.flip {
        *contents.last_mut().expect("no file is empty") ^= 1;
    }
    let (start, end) = match range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    {
        Some((start, end)) if !(behaviour.whole && end.is_empty()) => (
            start.parse().unwrap_or(0),
            end.parse().map_or(contents.len(), |end: usize| contents.len().min(end + 1)),
        ),
        _ => (0, contents.len()),
    };
    if start >= contents.len() {
        return send_whole(&mut stream, "416 Range Not Satisfiable", &[], b"");
    }
    let checksum = behaviour.checksum.clone().unwrap_or_else(|| sha256(file));
    let headers = [
        ("etag", format!("\"{checksum}\"")),
        ("x-repo-commit", COMMIT.to_owned()),
        ("content-range", format!("bytes {start}-{}/{}", end - 1, contents.len())),
        ("content-length", (end - start).to_string()),
    ];
    let body = &contents[start..end];
    let sent = behaviour.cut.map_or(body.len(), |cut| cut.min(body.len()));
    send(&mut stream, "206 Partial Content", &headers, &body[..sent])
}

/// As [`send`], with the length of the body announced.
fn send_whole(
    stream: &mut TcpStream,
    status: &str,
    headers: &[(&str, String)],
    body: &[u8],
) -> std::io::Result<()> {
    send(stream, status, &[headers, &[("content-length", body.len().to_string())]].concat(), body)
}

/// A checkpoint of a trained model, as `archaeo train` writes it.
fn checkpoint(folder: &Path) -> Vec<u8> {
    let run = folder.join("run");
    let mut command =
        archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1", "--out"]);
    succeed(command.arg(&run));
    fs::read(run.join("model.safetensors")).unwrap()
}

fn files(weights: &[u8]) -> BTreeMap<String, Vec<u8>> {
    [
        ("model.safetensors", weights),
        ("config.json", b"{}"),
        ("README.md", b"text"),
        ("onnx/model.safetensors", b"another"),
        ("flax_model.msgpack", b"another"),
    ]
    .map(|(name, contents)| (name.to_owned(), contents.to_vec()))
    .into()
}

/// A command that finds the hub at `endpoint` and its cache in `home`.
fn asking(endpoint: &str, home: &Path, arguments: &[&str]) -> Command {
    let mut command = archaeo(arguments);
    for name in
        ["HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
    {
        command.env_remove(name);
    }
    command.env("HF_ENDPOINT", endpoint).env("HF_HOME", home);
    command
}

const SHOW: [&str; 3] = ["models", "show", "hf:owner/tiny"];

#[test]
fn a_checkpoint_is_fetched_once_and_then_found_in_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let weights = checkpoint(folder.path());
    let server = Server::start(files(&weights));
    let home = folder.path().join("home");
    let evaluate = ["evaluate", "--data", SHERDS, "--limit", "8", "--weights", "hf:owner/tiny"];
    let fetched = json_of(&mut asking(&server.address, &home, &evaluate));
    let local = folder.path().join("run/model.safetensors");
    let mut command = archaeo(["evaluate", "--data", SHERDS, "--limit", "8", "--weights"]);
    assert_eq!(fetched["nll"], json_of(command.arg(local))["nll"]);
    assert_eq!(server.ranges_of("/model.safetensors"), ["bytes=0-"]);

    // The standard layout, which other programs share, and nothing fetched that is not needed.
    let repository = home.join("hub/models--owner--tiny");
    let snapshot = repository.join("snapshots").join(COMMIT);
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(fs::read(snapshot.join("model.safetensors")).unwrap(), weights);
    assert_eq!(fs::read(repository.join("blobs").join(sha256(&weights))).unwrap(), weights);
    assert_eq!(fs::read_dir(&snapshot).unwrap().count(), 2);

    succeed(&mut asking(&server.address, &home, &SHOW));
    assert!(server.requests.lock().unwrap().is_empty(), "what is in the cache is not asked for");
    succeed(asking("http://127.0.0.1:9", &home, &SHOW).env("HF_HUB_OFFLINE", "1"));
    let at_commit = format!("hf:owner/tiny@{COMMIT}");
    succeed(asking("http://127.0.0.1:9", &home, &["models", "show", &at_commit]).env("HF_HUB_OFFLINE", "1"));
    succeed(&mut asking(&server.address, &home, &["models", "show", "hf:owner/tiny@v1"]));
    assert_eq!(fs::read_to_string(repository.join("refs/v1")).unwrap(), COMMIT);
    // A file of the cache that has gone is fetched again.
    fs::remove_file(repository.join("blobs").join(sha256(&weights))).unwrap();
    fs::remove_file(snapshot.join("model.safetensors")).unwrap();
    succeed(&mut asking(&server.address, &home, &SHOW));
    assert_eq!(fs::read(snapshot.join("model.safetensors")).unwrap(), weights);
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let weights = checkpoint(folder.path());
    let server = Server::start(files(&weights));
    let home = folder.path().join("home");
    // Within one run, the connection is taken up again a few times.
    let cut = weights.len() / 3 + 1;
    server.behave(Behaviour { cut: Some(cut), ..Behaviour::default() });
    succeed(&mut asking(&server.address, &home, &SHOW));
    let expected = [0, cut, 2 * cut].map(|start| format!("bytes={start}-"));
    assert_eq!(server.ranges_of("/model.safetensors"), expected);

    // Where that is not enough, the next run goes on.
    let home = folder.path().join("second");
    let cut = weights.len() / 6 + 1;
    server.behave(Behaviour { cut: Some(cut), ..Behaviour::default() });
    let sentence = fail(&mut asking(&server.address, &home, &SHOW));
    assert!(sentence.contains("cannot fetch hf:owner/tiny from http://127.0.0.1:"), "{sentence}");
    assert!(!home.join("hub/models--owner--tiny/refs/main").exists(), "half a model has no name");
    assert_eq!(server.ranges_of("/model.safetensors").len(), 4);
    server.behave(Behaviour::default());
    succeed(&mut asking(&server.address, &home, &SHOW));
    assert_eq!(server.ranges_of("/model.safetensors"), [format!("bytes={}-", 4 * cut)]);

    // A server that cannot go on sends the beginning again; the checksum notices, and the file is fetched anew.
    let home = folder.path().join("third");
    server.behave(Behaviour { cut: Some(cut), ..Behaviour::default() });
    fail(&mut asking(&server.address, &home, &SHOW));
    server.ranges_of("");
    server.behave(Behaviour { whole: true, ..Behaviour::default() });
    succeed(&mut asking(&server.address, &home, &SHOW));
    assert_eq!(
        server.ranges_of("/model.safetensors"),
        [format!("bytes={}-", 4 * cut), "bytes=0-".to_owned()]
    );
}

#[test]
fn what_cannot_be_fetched_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(files(b"not really weights"));
    let home = folder.path().join("home");
    let said = |endpoint: &str, name: &str, offline: bool| {
        let mut command = asking(endpoint, &home, &["models", "show", name]);
        if offline {
            command.env("HF_HUB_OFFLINE", "1");
        }
        fail(&mut command)
    };
    let has = |sentence: String, parts: &[&str]| {
        for part in parts {
            assert!(sentence.contains(part), "{sentence}\nlacks: {part}");
        }
    };
    let address = server.address.as_str();
    has(
        said(address, "hf:owner/none", false),
        &[address, "has no hf:owner/none; check owner, name and revision"],
    );
    has(said(address, "hf:owner/tiny@none", false), &["has no hf:owner/tiny@none"]);
    has(
        said(address, "hf:tiny", false),
        &["hf:tiny is not a name of a model on the hub; give hf:OWNER/NAME"],
    );

    server.behave(Behaviour { flip: true, ..Behaviour::default() });
    let damaged = said(address, "hf:owner/tiny", false);
    has(
        damaged,
        &["hf:owner/tiny arrived damaged 4 times (the checksum of config.json is ", "try again later"],
    );
    server.behave(Behaviour { checksum: Some("../../../../evil".into()), ..Behaviour::default() });
    has(said(address, "hf:owner/tiny", false), &["answers as no hub does", "check HF_ENDPOINT"]);
    let blobs = fs::read_dir(home.join("hub/models--owner--tiny/blobs")).map(Iterator::count).unwrap_or(0);
    assert!(blobs <= 1, "nothing damaged is kept but a lock");

    let put = "put model.safetensors and config.json from";
    let copy = format!(
        "copy models--owner--tiny from the cache of a machine that has it into {}",
        home.join("hub").display()
    );
    has(
        said("http://127.0.0.1:9", "hf:owner/tiny", false),
        &["cannot fetch hf:owner/tiny from http://127.0.0.1:9 (", put],
    );
    let offline = fail(asking(address, &home, &SHOW).arg("--offline"));
    has(offline, &["hf:owner/tiny is not in the cache and --offline is given"]);
    let offline = said(address, "hf:owner/tiny", true);
    has(
        offline,
        &[
            "hf:owner/tiny is not in the cache and HF_HUB_OFFLINE is set",
            put,
            "/owner/tiny/tree/main into a folder",
            &copy,
        ],
    );
}

/// What a model of an investigation starts from, and who teaches one, may be on the hub.
#[test]
fn an_investigation_fetches_what_its_recipes_name() {
    let folder = tempfile::tempdir().unwrap();
    let (weights, out) = (checkpoint(folder.path()), folder.path().join("out"));
    let server = Server::start(files(&weights));
    let home = folder.path().join("home");
    let taught = "models.cnn.objective={kind=\"distillation\",teacher=\"hf:owner/tiny\"}";
    let arguments = [
        "excavate",
        "--config",
        CONFIG,
        "--data",
        SHERDS,
        "--set",
        "epochs=1",
        "--set",
        "models.vit.init=hf:owner/tiny",
        "--set",
        taught,
        "--out",
        out.to_str().unwrap(),
    ];
    succeed(&mut asking(&server.address, &home, &arguments));
    assert_eq!(server.ranges_of("/model.safetensors"), ["bytes=0-"], "it is fetched once for both");

    let snapshot = home.join("hub/models--owner--tiny/snapshots").join(COMMIT);
    let (hash, of_folder) = (sha256(&weights), sha256_path(&snapshot).unwrap());
    let models = &investigation(&out)["models"];
    let started = &models[0]["started_from"];
    assert_eq!(
        (&started["weights"], &started["weights_sha256"]),
        (&json!("hf:owner/tiny"), &json!(of_folder))
    );
    assert!(models[1]["started_from"].is_null());
    let teacher = read_json(&out.join("cnn/teacher.json"));
    assert_eq!((&teacher["teacher"], &teacher["sha256"]), (&json!("hf:owner/tiny"), &json!(hash)));
    // The same investigation elsewhere: its recipes hold the names, not where the files were.
    succeed(asking("http://127.0.0.1:9", &home, &arguments).env("HF_HUB_OFFLINE", "1"));
}

#[test]
fn repositories_of_several_parts_and_of_none() {
    let folder = tempfile::tempdir().unwrap();
    let weights = checkpoint(folder.path());
    let index = json!({ "weight_map": { "x": "model-00001-of-00001.safetensors" } }).to_string();
    let parts = [
        ("model.safetensors.index.json", index.as_bytes()),
        ("model-00001-of-00001.safetensors", weights.as_slice()),
    ];
    let server = Server::start(parts.map(|(name, contents)| (name.to_owned(), contents.to_vec())).into());
    let home = folder.path().join("home");
    succeed(&mut asking(&server.address, &home, &SHOW));
    succeed(asking(&server.address, &home, &SHOW).env("HF_HUB_OFFLINE", "yes"));

    let server = Server::start([("README.md".to_owned(), b"text".to_vec())].into());
    let sentence = fail(&mut asking(&server.address, &folder.path().join("empty"), &SHOW));
    assert!(
        sentence.contains("hf:owner/tiny holds no checkpoint that is recognised: no file in it"),
        "{sentence}"
    );
}
