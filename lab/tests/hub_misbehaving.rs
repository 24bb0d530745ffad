//! Hubs that misbehave, each a server of a few lines on the loopback device: every one ends in a sentence, soon, with nothing
//! given away and nothing left that is not what was announced.

#[path = "support/http.rs"]
mod http;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use archaeo_lab::{HubSettings, Session, SessionOptions, Silent};
use archaeo_store::sha256;
use http::send;
use serde_json::json;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a server is asked.
#[derive(Clone, Debug)]
struct Request {
    path: String,
    range: Option<String>,
    token: Option<String>,
    /// The server's own address.
    here: String,
}

type Requests = Arc<Mutex<Vec<Request>>>;

/// A server that answers every request, each on a thread of its own; its address, and what it was asked.
fn serve(
    answer: impl Fn(&Request, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (requests, answer) = (Requests::default(), Arc::new(answer));
    let (asked, here) = (requests.clone(), address.clone());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (answer, asked, here) = (answer.clone(), asked.clone(), here.clone());
            thread::spawn(move || {
                let Some(request) = read_request(&stream, here) else { return };
                asked.lock().unwrap().push(request.clone());
                let _ = answer(&request, &mut stream);
            });
        }
    });
    (address, requests)
}

fn read_request(stream: &TcpStream, here: String) -> Option<Request> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let (mut range, mut token) = (None, None);
    for line in lines {
        let line = line.ok()?;
        let header = |name: &str| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        };
        range = header("range").or(range);
        token = header("authorization").or(token);
        if line.is_empty() {
            break;
        }
    }
    Some(Request { path, range, token, here })
}

/// Weights that no test here needs to load.
fn weights() -> Vec<u8> {
    (0..300_000u32).map(|i| (i * 7 / 3) as u8).collect()
}

/// First and last byte that a request asks for.
fn span(request: &Request, length: usize) -> (usize, usize) {
    let range = request.range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let (first, last) = range.unwrap_or(("0", ""));
    (first.parse().unwrap_or(0), last.parse().unwrap_or(length - 1).min(length - 1))
}

/// What an honest hub says with a part of the weights.
fn honest_headers(request: &Request) -> Vec<(&'static str, String)> {
    let body = weights();
    let (first, last) = span(request, body.len());
    vec![
        ("etag", format!("\"{}\"", sha256(&body))),
        ("x-repo-commit", COMMIT.into()),
        ("content-range", format!("bytes {first}-{last}/{}", body.len())),
        ("content-length", (last + 1 - first).to_string()),
    ]
}

/// The list of files; whether it was asked for.
fn listed(request: &Request, stream: &mut TcpStream) -> std::io::Result<bool> {
    let asked = request.path.starts_with("/api/models/owner/tiny/revision/");
    if asked {
        let body = json!({ "sha": COMMIT, "siblings": [{ "rfilename": "model.safetensors" }] }).to_string();
        send(stream, "200 OK", &[("content-length", body.len().to_string())], body.as_bytes())?;
    }
    Ok(asked)
}

/// Whether only a file's length and checksum are asked for.
fn only_asks(request: &Request) -> bool {
    request.range.as_deref() == Some("bytes=0-0")
}

fn honest(request: &Request, stream: &mut TcpStream) -> std::io::Result<()> {
    if listed(request, stream)? {
        return Ok(());
    }
    let body = weights();
    let (first, last) = span(request, body.len());
    send(stream, "206 Partial Content", &honest_headers(request), &body[first..=last])
}

/// A hub at `endpoint`, with its cache in `home`, that may be silent for half a second.
fn hub(endpoint: &str, home: &Path) -> HubSettings {
    let patience = Duration::from_millis(500);
    HubSettings {
        endpoint: endpoint.into(),
        cache: home.join("hub"),
        token: None,
        offline: None,
        answer_time: patience,
        silence: patience,
    }
}

/// What `hf:owner/tiny` becomes, or the sentence that says why it becomes nothing.
fn ask(hub: HubSettings) -> Result<PathBuf, String> {
    resolve(SessionOptions { hub: Some(hub), ..SessionOptions::default() })
}

fn resolve(options: SessionOptions) -> Result<PathBuf, String> {
    let session = Session::new(options, Arc::new(Silent)).unwrap();
    session.resolve(Path::new("hf:owner/tiny")).map_err(|error| error.to_string())
}

/// Whether the whole file is in the cache.
fn arrived(home: &Path) -> bool {
    let snapshot = home.join("hub/models--owner--tiny/snapshots").join(COMMIT);
    fs::read(snapshot.join("model.safetensors")).is_ok_and(|found| found == weights())
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
            _ => entry.path().symlink_metadata().map_or(0, |found| found.len()),
        })
        .sum()
}

/// Asserts that a hub ends in a sentence with all of `expected`, within ten seconds and without the file in the cache.
#[track_caller]
fn ends_with_a_sentence(
    answer: impl Fn(&Request, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    expected: &[&str],
) -> (Vec<Request>, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    let (endpoint, requests) = serve(answer);
    let started = Instant::now();
    let sentence = ask(hub(&endpoint, home.path())).unwrap_err();
    for part in expected {
        assert!(sentence.contains(part), "{sentence}\nlacks: {part}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert!(!arrived(home.path()) && !home.path().join("hub/models--owner--tiny/refs/main").exists());
    assert!(bytes_below(home.path()) < 1 << 20, "{} bytes are left", bytes_below(home.path()));
    let asked = requests.lock().unwrap().clone();
    (asked, home)
}

#[test]
fn the_token_stays_with_the_endpoint() {
    let home = tempfile::tempdir().unwrap();
    let (other, asked_of_other) = serve(honest);
    let elsewhere = other.clone();
    let (endpoint, asked) = serve(move |request, stream| {
        if listed(request, stream)? {
            return Ok(());
        }
        // First within the hub, as for a model that was renamed, then away from it.
        let (location, status) = match request.path.contains("/renamed/") {
            false => (request.path.replace("/tiny/", "/renamed/"), "307 Temporary Redirect"),
            true => (format!("{elsewhere}/cdn/model.safetensors"), "302 Found"),
        };
        let linked = format!("\"{}\"", sha256(&weights()));
        let headers = [
            ("location", location),
            ("x-repo-commit", COMMIT.into()),
            ("x-linked-etag", linked),
            ("x-linked-size", weights().len().to_string()),
            ("content-length", "0".into()),
        ];
        send(stream, status, &headers, b"")
    });
    // The name of the host alone is no excuse: both are on this machine.
    ask(HubSettings { token: Some("hf_secret".into()), ..hub(&endpoint, home.path()) }).unwrap();
    assert!(arrived(home.path()));
    let (asked, of_other) = (asked.lock().unwrap(), asked_of_other.lock().unwrap());
    assert!(
        asked.len() >= 5 && asked.iter().all(|request| request.token.as_deref() == Some("Bearer hf_secret")),
        "{asked:?}"
    );
    assert!(of_other.len() >= 2 && of_other.iter().all(|request| request.token.is_none()), "{of_other:?}");
}

#[test]
fn a_token_is_one_line() {
    let home = tempfile::tempdir().unwrap();
    let (endpoint, requests) = serve(honest);
    let wrong = HubSettings { token: Some("two\nlines".into()), ..hub(&endpoint, home.path()) };
    let sentence = ask(wrong).unwrap_err();
    assert!(sentence.contains("correct HF_TOKEN"), "{sentence}");
    assert!(requests.lock().unwrap().is_empty());
}

#[test]
fn redirects_end() {
    let in_a_circle = |request: &Request, stream: &mut TcpStream| {
        let location = request.path.clone();
        send(stream, "302 Found", &[("location", location), ("content-length", "0".into())], b"")
    };
    let (asked, _) =
        ends_with_a_sentence(in_a_circle, &["it redirects more than 10 times", "check HF_ENDPOINT"]);
    assert_eq!(asked.len(), 11);
    // Ever further away, each time to another address.
    let on_and_on = |request: &Request, stream: &mut TcpStream| {
        let location = format!("{}{}x", request.here, request.path);
        send(stream, "301 Moved Permanently", &[("location", location), ("content-length", "0".into())], b"")
    };
    ends_with_a_sentence(on_and_on, &["it redirects more than 10 times"]);
    for location in [None, Some(""), Some("file:///etc/passwd"), Some("ftp://127.0.0.1/x"), Some("http://")] {
        let to_nowhere = move |_: &Request, stream: &mut TcpStream| {
            let location = location.map(|location| ("location", location.to_owned()));
            let headers: Vec<_> = location.into_iter().chain([("content-length", "0".into())]).collect();
            send(stream, "302 Found", &headers, b"")
        };
        ends_with_a_sentence(to_nowhere, &["answers as no hub does", "check HF_ENDPOINT"]);
    }
}

#[test]
fn silence_ends() {
    let mute = |_: &Request, _: &mut TcpStream| {
        thread::sleep(Duration::from_secs(30));
        Ok(())
    };
    ends_with_a_sentence(
        mute,
        &["cannot fetch hf:owner/tiny from http://127.0.0.1", "did not answer in time"],
    );
    let mute_later = |request: &Request, stream: &mut TcpStream| {
        if !listed(request, stream)? {
            thread::sleep(Duration::from_secs(30));
        }
        Ok(())
    };
    ends_with_a_sentence(mute_later, &["did not answer in time"]);
    let stalls = |request: &Request, stream: &mut TcpStream| {
        if listed(request, stream)? {
            return Ok(());
        }
        if only_asks(request) {
            return honest(request, stream);
        }
        let body = weights();
        let (first, last) = span(request, body.len());
        let some = (first + 1000).min(last);
        send(stream, "206 Partial Content", &honest_headers(request), &body[first..some])?;
        thread::sleep(Duration::from_secs(30));
        Ok(())
    };
    let (asked, _) =
        ends_with_a_sentence(stalls, &["nothing more arrived in time after 4000 of 300000 bytes"]);
    assert_eq!(asked.iter().filter(|request| request.range.as_deref() == Some("bytes=3000-")).count(), 1);
    let drips_headers = |_: &Request, stream: &mut TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        for _ in 0..300 {
            stream.write_all(b"x-more: more\r\n")?;
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    };
    ends_with_a_sentence(drips_headers, &["did not answer in time"]);
}

#[test]
fn slow_but_steady_arrives() {
    let home = tempfile::tempdir().unwrap();
    let (endpoint, _) = serve(|request, stream| {
        if listed(request, stream)? || only_asks(request) {
            return if only_asks(request) { honest(request, stream) } else { Ok(()) };
        }
        send(stream, "206 Partial Content", &honest_headers(request), b"")?;
        // Two seconds in all, where half a second of silence is the most.
        for piece in weights().chunks(15_000) {
            stream.write_all(piece)?;
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    });
    ask(hub(&endpoint, home.path())).unwrap();
    assert!(arrived(home.path()));
}

#[test]
fn no_more_is_written_than_was_announced() {
    let endless = |request: &Request, stream: &mut TcpStream| {
        if listed(request, stream)? {
            return Ok(());
        }
        if only_asks(request) {
            return honest(request, stream);
        }
        let headers: Vec<_> =
            honest_headers(request).into_iter().filter(|(name, _)| *name != "content-length").collect();
        send(stream, "206 Partial Content", &headers, b"")?;
        for _ in 0..2000 {
            stream.write_all(&[0; 1 << 16])?;
        }
        Ok(())
    };
    ends_with_a_sentence(
        endless,
        &["hf:owner/tiny arrived damaged 4 times", "the checksum of model.safetensors is"],
    );
    // The list of files has no end either.
    let endless_list = |_: &Request, stream: &mut TcpStream| {
        send(stream, "200 OK", &[], b"{\"sha\": \"")?;
        for _ in 0..2000 {
            stream.write_all(&[b'0'; 1 << 16])?;
        }
        Ok(())
    };
    ends_with_a_sentence(endless_list, &["hf:owner/tiny"]);
}

#[test]
fn headers_that_make_no_sense() {
    /// A hub that says one thing otherwise, in what is asked first or in what is then fetched.
    fn with(
        only_at_first: bool,
        name: &'static str,
        value: &'static str,
    ) -> impl Fn(&Request, &mut TcpStream) -> std::io::Result<()> + Send + Sync {
        move |request, stream| {
            if listed(request, stream)? {
                return Ok(());
            }
            let mut headers = honest_headers(request);
            if only_at_first == only_asks(request) {
                headers.retain(|(key, _)| *key != name);
                headers.push((name, value.to_owned()));
            }
            let body = weights();
            let (first, last) = span(request, body.len());
            send(stream, "206 Partial Content", &headers, &body[first..=last])
        }
    }
    let nonsense = "answers as no hub does";
    ends_with_a_sentence(with(true, "etag", "\"../../../../evil\""), &[nonsense, "has the checksum"]);
    ends_with_a_sentence(with(true, "etag", ""), &[nonsense, "has the checksum"]);
    ends_with_a_sentence(with(true, "x-repo-commit", "ffff"), &[nonsense, "of another commit"]);
    ends_with_a_sentence(
        with(true, "content-range", "bytes 0-0/*"),
        &[nonsense, "how long model.safetensors is"],
    );
    ends_with_a_sentence(
        with(true, "content-range", "lines 0-0/5"),
        &[nonsense, "how long model.safetensors is"],
    );
    let enormous = [
        "set HF_HOME to a folder with room for it",
        "model.safetensors needs 4611686018.4 GB more",
        "are free",
    ];
    ends_with_a_sentence(with(true, "x-linked-size", "4611686018427387904"), &enormous);
    ends_with_a_sentence(with(true, "x-linked-size", "5"), &["arrived damaged 4 times"]);
    ends_with_a_sentence(
        with(false, "content-range", "bytes 7-299999/300000"),
        &["was sent from byte 7 on, not from 0"],
    );
    ends_with_a_sentence(
        with(false, "content-range", "bytes 0-299999/300001"),
        &["has 300000 bytes, and another time 300001"],
    );
    ends_with_a_sentence(
        with(false, "content-length", "299999"),
        &["was sent with 299999 bytes where 300000 are missing"],
    );
    let large = |_: &Request, stream: &mut TcpStream| {
        let long = "x".repeat(1000);
        let headers: Vec<_> = (0..500).map(|_| ("x-long", long.clone())).collect();
        send(stream, "200 OK", &headers, b"{}")
    };
    ends_with_a_sentence(large, &["http://127.0.0.1"]);
    let no_list = |_: &Request, stream: &mut TcpStream| {
        send(stream, "200 OK", &[("content-length", "2".into())], b"{}")
    };
    ends_with_a_sentence(no_list, &[nonsense, "missing field `sha`"]);
    let broken = |_: &Request, stream: &mut TcpStream| {
        send(stream, "503 Service Unavailable", &[("content-length", "0".into())], b"")
    };
    ends_with_a_sentence(broken, &["cannot fetch", "http status 503"]);
    let home = tempfile::tempdir().unwrap();
    for endpoint in ["huggingface.co", "file:///etc", "http://", "http://a b"] {
        let sentence = ask(hub(endpoint, home.path())).unwrap_err();
        assert!(
            sentence.contains("is not a valid address") && sentence.contains("check HF_ENDPOINT"),
            "{sentence}"
        );
    }
}

#[test]
fn a_server_that_knows_no_parts_is_read_from_the_beginning() {
    let home = tempfile::tempdir().unwrap();
    let blobs = home.path().join("hub/models--owner--tiny/blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{}.incomplete", sha256(&weights()))), &weights()[..1000]).unwrap();
    let (endpoint, requests) = serve(|request, stream| {
        if listed(request, stream)? {
            return Ok(());
        }
        let body = weights();
        let headers =
            [("etag", format!("W/\"{}\"", sha256(&body))), ("content-length", body.len().to_string())];
        send(stream, "200 OK", &headers, &body)
    });
    ask(hub(&endpoint, home.path())).unwrap();
    assert!(arrived(home.path()));
    let asked = requests.lock().unwrap();
    assert_eq!(asked.last().unwrap().range.as_deref(), Some("bytes=1000-"));
    assert_eq!(fs::read_dir(&blobs).unwrap().count(), 1, "nothing incomplete is left");
}

#[test]
fn two_at_once_fetch_one_file_once() {
    let home = tempfile::tempdir().unwrap();
    let (endpoint, requests) = serve(|request, stream| {
        if listed(request, stream)? {
            return Ok(());
        }
        if !only_asks(request) {
            thread::sleep(Duration::from_millis(300));
        }
        honest(request, stream)
    });
    let both = [(); 2].map(|()| {
        let hub = hub(&endpoint, home.path());
        thread::spawn(move || ask(hub).unwrap())
    });
    let [one, other] = both.map(|thread| thread.join().unwrap());
    assert_eq!(one, other);
    assert!(arrived(home.path()));
    let fetched = |request: &&Request| request.range.as_deref() == Some("bytes=0-");
    assert_eq!(requests.lock().unwrap().iter().filter(fetched).count(), 1);
}

#[test]
fn offline_asks_nobody() {
    let home = tempfile::tempdir().unwrap();
    let (endpoint, requests) = serve(honest);
    let reached = || hub(&endpoint, home.path());
    let offline =
        || resolve(SessionOptions { offline: true, hub: Some(reached()), ..SessionOptions::default() });
    let sentence = offline().unwrap_err();
    assert!(sentence.contains("hf:owner/tiny is not in the cache and --offline is given"), "{sentence}");
    let forbidden = HubSettings { offline: Some("HF_HUB_OFFLINE is set"), ..reached() };
    let sentence = ask(forbidden).unwrap_err();
    assert!(sentence.contains("HF_HUB_OFFLINE is set"), "{sentence}");
    assert!(requests.lock().unwrap().is_empty());
    let fetched = ask(reached()).unwrap();
    let asked = requests.lock().unwrap().len();
    assert_eq!(offline().unwrap(), fetched);
    assert!(fetched.to_str().unwrap().contains(COMMIT) && requests.lock().unwrap().len() == asked);
}
