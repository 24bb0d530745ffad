//! Stores on the loopback device: a web server, and buckets that speak as Amazon's and Google's do, with pages, signatures and mistakes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Result};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use archaeo_store::{Digest, Sha256, sha256};

use crate::support::http::send;

/// Whose requests are answered, where requests are signed.
pub const KEY: &str = "AKIDEXAMPLE";
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// Keys on a page of a listing.
const PAGE: usize = 2;

/// What a store does besides answering.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// Answer so many requests with an error of its own.
    pub errors: usize,
    /// Answer every request with this status.
    pub status: Option<&'static str>,
    /// Break the connection after so many bytes of each body that is longer.
    pub cut: Option<usize>,
    /// Answer to a request for a part with the whole.
    pub whole: bool,
    /// Say nothing about versions.
    pub no_etag: bool,
    /// Refuse requests for the head alone.
    pub no_head: bool,
    /// Replace every object after so many answers with a body.
    pub replace_after: Option<usize>,
    /// Only answer to who signs with [`SECRET`].
    pub signed: bool,
    /// Answer nothing.
    pub silent: bool,
    /// Send a piece of each body only every so often.
    pub slow: Option<Duration>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: BTreeMap<String, String>,
}

struct State {
    objects: BTreeMap<String, Vec<u8>>,
    behaviour: Behaviour,
    requests: Vec<Request>,
    bodies: usize,
}

pub struct Store {
    pub address: String,
    state: Arc<Mutex<State>>,
}

impl Store {
    /// Serves objects under `/bucket/`.
    pub fn start(objects: &[(&str, Vec<u8>)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let objects = objects.iter().map(|(key, bytes)| (format!("/bucket/{key}"), bytes.clone())).collect();
        let state = State { objects, behaviour: Behaviour::default(), requests: Vec::new(), bodies: 0 };
        let state = Arc::new(Mutex::new(state));
        let there = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let there = there.clone();
                thread::spawn(move || {
                    let _ = answer(stream, &there);
                });
            }
        });
        Self { address, state }
    }

    pub fn behave(&self, behaviour: Behaviour) {
        let mut state = self.state.lock().unwrap();
        (state.behaviour, state.bodies) = (behaviour, 0);
    }

    pub fn put(&self, key: &str, bytes: Vec<u8>) {
        self.state.lock().unwrap().objects.insert(format!("/bucket/{key}"), bytes);
    }

    /// The requests since the last call.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// First bytes that were asked for of each object since the last call, in the order of the requests.
    pub fn fetched(&self) -> Vec<(String, u64)> {
        let start = |request: &Request| {
            let range = request.headers.get("range").and_then(|range| range.strip_prefix("bytes="));
            range.and_then(|range| range.split('-').next()?.parse().ok()).unwrap_or(0)
        };
        let is_object = |request: &Request| request.method == "GET" && request.path.matches('/').count() > 1;
        let requests = self.requests();
        let fetched =
            requests.iter().filter(|request| is_object(request) && !request.query.contains("list-type"));
        fetched
            .map(|request| (request.path.trim_start_matches("/bucket/").to_owned(), start(request)))
            .collect()
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> Result<()> {
    let Some(request) = read(&stream) else { return Ok(()) };
    let (behaviour, object, objects) = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        let behaviour = state.behaviour.clone();
        state.behaviour.errors = behaviour.errors.saturating_sub(1);
        (behaviour, state.objects.get(&request.path).cloned(), state.objects.clone())
    };
    if behaviour.silent {
        thread::sleep(Duration::from_secs(30));
        return Ok(());
    }
    let refuse = |stream: &mut TcpStream, status: &str, text: &str| {
        let body = format!("<Error><Code>Code</Code><Message>{text}</Message></Error>");
        let length = ("content-length", body.len().to_string());
        send(stream, status, &[length], if request.method == "HEAD" { b"" } else { body.as_bytes() })
    };
    if behaviour.errors > 0 {
        return refuse(&mut stream, "500 Internal Server Error", "We encountered an internal error");
    }
    if let Some(status) = behaviour.status {
        return refuse(&mut stream, status, "It is so");
    }
    if behaviour.signed && !is_signed(&request) {
        return refuse(&mut stream, "403 Forbidden", "The request signature we calculated does not match");
    }
    if request.query.contains("list-type=2") {
        return list(&mut stream, &request, &objects);
    }
    let Some(object) = object else { return refuse(&mut stream, "404 Not Found", "There is no such key") };
    if behaviour.no_head && request.method == "HEAD" {
        return refuse(&mut stream, "403 Forbidden", "Signed for another method");
    }
    let etag = format!("\"{}\"", &sha256(&object)[..32]);
    if request.headers.get("if-match").is_some_and(|wanted| *wanted != etag) {
        return refuse(&mut stream, "412 Precondition Failed", "It is another one");
    }
    let range = request.headers.get("range").filter(|_| !behaviour.whole);
    let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let (first, last) = range.map_or((0, object.len()), |(first, last)| {
        (
            first.parse().unwrap_or(0),
            last.parse().map_or(object.len(), |last: usize| object.len().min(last + 1)),
        )
    });
    let mut headers = vec![
        ("content-length", (last - first).to_string()),
        ("last-modified", "Mon, 02 Nov 2026 10:00:00 GMT".to_owned()),
    ];
    if !behaviour.no_etag {
        headers.push(("etag", etag));
    }
    let mut status = "200 OK";
    if range.is_some() {
        status = "206 Partial Content";
        headers.push(("content-range", format!("bytes {first}-{}/{}", last - 1, object.len())));
    }
    if request.method == "HEAD" {
        return send(&mut stream, status, &headers, b"");
    }
    let body = &object[first..last];
    let body = &body[..behaviour.cut.map_or(body.len(), |cut| cut.min(body.len()))];
    if let Some(pause) = behaviour.slow {
        send(&mut stream, status, &headers, b"")?;
        for piece in body.chunks(512) {
            thread::sleep(pause);
            std::io::Write::write_all(&mut stream, piece)?;
        }
        return Ok(());
    }
    send(&mut stream, status, &headers, body)?;
    let mut state = state.lock().unwrap();
    state.bodies += 1;
    if behaviour.replace_after == Some(state.bodies) {
        state.objects.values_mut().for_each(|object| object.reverse());
    }
    Ok(())
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let line = lines.next()?.ok()?;
    let (method, rest) = line.split_once(' ')?;
    let target = rest.split(' ').next()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let path = decoded(path);
    Some(Request { method: method.into(), path, query: query.into(), headers })
}

/// A path without the escapes with which Google's keys are one part of it.
fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| match u8::from_str_radix(part.get(..2).unwrap_or_default(), 16) {
        Ok(byte) => format!("{text}{}{}", char::from(byte), &part[2..]),
        Err(_) => format!("{text}%{part}"),
    })
}

/// A page of the keys below a prefix, as of version 2 of the listing of buckets.
fn list(stream: &mut TcpStream, request: &Request, objects: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let parameter = |name: &str| {
        let found = request.query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        found.unwrap_or_default().replace("%2F", "/")
    };
    let (prefix, after) = (parameter("prefix"), parameter("continuation-token"));
    let keys: Vec<(&str, &Vec<u8>)> = objects
        .iter()
        .map(|(path, bytes)| (path.trim_start_matches("/bucket/"), bytes))
        .filter(|(key, _)| key.starts_with(&prefix) && *key > after.as_str())
        .collect();
    let page: String = keys
        .iter()
        .take(PAGE)
        .map(|(key, bytes)| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-11-02T10:00:00.000Z</LastModified>\
                 <ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
                &sha256(bytes)[..32],
                bytes.len()
            )
        })
        .collect();
    let more = match keys.get(PAGE) {
        Some(_) => format!(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>",
            keys[PAGE - 1].0
        ),
        None => "<IsTruncated>false</IsTruncated>".into(),
    };
    let body = format!("<?xml version=\"1.0\"?><ListBucketResult>{more}{page}</ListBucketResult>");
    send(stream, "200 OK", &[("content-length", body.len().to_string())], body.as_bytes())
}

/// Whether a request carries the signature that AWS's documentation defines (Signature Version 4), with [`SECRET`].
fn is_signed(request: &Request) -> bool {
    signature(request).is_some_and(|(expected, given)| expected == given)
}

/// The signature of a request as it is and as it should be.
fn signature(request: &Request) -> Option<(String, String)> {
    let authorization = request.headers.get("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let part = |name: &str| {
        authorization.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let scope = part("Credential")?.strip_prefix(KEY)?.strip_prefix('/')?;
    let signed = part("SignedHeaders")?;
    let headers: String = signed
        .split(';')
        .map(|name| Some(format!("{name}:{}\n", request.headers.get(name)?)))
        .collect::<Option<_>>()?;
    let mut query: Vec<String> =
        request.query.split('&').filter(|pair| !pair.is_empty()).map(str::to_owned).collect();
    query.sort();
    let canonical = format!(
        "{}\n{}\n{}\n{headers}\n{signed}\n{}",
        request.method,
        request.path,
        query.join("&"),
        request.headers.get("x-amz-content-sha256")?
    );
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
        request.headers.get("x-amz-date")?,
        sha256(canonical.as_bytes())
    );
    let key =
        scope.split('/').fold(format!("AWS4{SECRET}").into_bytes(), |key, part| hmac(&key, part.as_bytes()));
    let expected: String = hmac(&key, to_sign.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    Some((expected, part("Signature")?.to_owned()))
}

/// HMAC (RFC 2104) with SHA-256.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = match key.len() {
        0..=64 => key.to_vec(),
        _ => Sha256::digest(key).to_vec(),
    };
    block.resize(64, 0);
    let padded = |pad: u8| block.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

#[test]
fn the_stores_own_signatures_are_those_of_the_documentation() {
    // RFC 4231, case 2.
    let mac: String =
        hmac(b"Jefe", b"what do ya want for nothing?").iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    // “Example: GET Object” of “Authenticating Requests (AWS Signature Version 4)” in the API reference of Amazon S3.
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let signature_there = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    let headers = [
        ("host", "examplebucket.s3.amazonaws.com"),
        ("range", "bytes=0-9"),
        ("x-amz-content-sha256", empty),
        ("x-amz-date", "20130524T000000Z"),
        (
            "authorization",
            &format!(
                "AWS4-HMAC-SHA256 Credential={KEY}/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature={signature_there}"
            ),
        ),
    ];
    let request = Request {
        method: "GET".into(),
        path: "/test.txt".into(),
        query: String::new(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    };
    assert_eq!(signature(&request).unwrap().0, signature_there);
}
