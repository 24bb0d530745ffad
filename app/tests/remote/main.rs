//! Data from buckets and web servers, which here are servers of a few lines that the tests start and make misbehave.

mod shards;
mod store;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use shards::{parquet, shard};
use store::{Behaviour, KEY, Request, SECRET, Store};
use support::{archaeo, fail, json, succeed};

/// Two shards to train on and one to test on, of six images each.
fn store() -> Store {
    Store::start(&[
        ("toy/train-000000.tar", shard(0..6)),
        ("toy/train-000001.tar", shard(6..12)),
        ("toy/test-000000.tar", shard(12..18)),
        ("toy/README.md", b"what this is".to_vec()),
        ("tables/train-00000-of-00002.parquet", parquet(0..6)),
        ("tables/train-00001-of-00002.parquet", parquet(6..12)),
        ("tables/test-00000-of-00001.parquet", parquet(12..18)),
        ("toy/train-000002.tar.txt", b"no shard".to_vec()),
    ])
}

/// A command that finds the bucket's service at `endpoint` and its cache in `cache`.
fn asking(endpoint: &str, cache: &Path, arguments: &[&str]) -> Command {
    let mut command = archaeo(arguments);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_uppercase();
        if text.starts_with("AWS_") || text.starts_with("GOOGLE_") || text.ends_with("_PROXY") {
            command.env_remove(&name);
        }
    }
    command
        .envs([("AWS_ENDPOINT", endpoint), ("AWS_ALLOW_HTTP", "true"), ("AWS_ACCESS_KEY_ID", KEY)])
        .envs([("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_REGION", "us-east-1")])
        .envs([
            ("GOOGLE_BASE_URL", endpoint),
            ("GOOGLE_ALLOW_HTTP", "true"),
            ("GOOGLE_SKIP_SIGNATURE", "true"),
        ])
        .env("ARCHAEO_CACHE", cache)
        .env("ARCHAEO_CACHE_TIMEOUT", "5");
    command
}

/// What `archaeo data` finds: images by split, and the notes.
fn found(endpoint: &str, cache: &Path, source: &str) -> (Vec<(String, u64)>, Vec<String>) {
    let summary = json(&mut asking(endpoint, cache, &["data", source]));
    assert_eq!(summary["classes"], serde_json::json!(["0", "1", "2"]), "{source}");
    let splits = summary["splits"].as_object().expect("splits").iter();
    let splits =
        splits.map(|(name, split)| (name.clone(), split["images"].as_u64().expect("a number"))).collect();
    let note = |note: &Value| note.as_str().expect("a sentence").to_owned();
    (splits, summary["notes"].as_array().expect("notes").iter().map(note).collect())
}

fn both() -> Vec<(String, u64)> {
    vec![("test".into(), 6), ("train".into(), 12)]
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    found.sort();
    found
}

fn named(folder: &Path, ending: &str) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|path| path.to_string_lossy().ends_with(ending)).collect()
}

#[track_caller]
fn has(sentence: &str, parts: &[&str]) {
    for part in parts {
        assert!(sentence.contains(part), "{sentence}\nlacks: {part}");
    }
}

#[test]
fn shards_of_a_bucket_are_fetched_once() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cache) = (store(), folder.path().join("cache"));
    store.behave(Behaviour { signed: true, ..Behaviour::default() });
    for (source, shards) in [("s3://bucket/toy/", ".tar"), ("s3://bucket/tables", ".parquet")] {
        let (splits, notes) = found(&store.address, &cache, source);
        assert_eq!(splits, both());
        let note =
            notes.iter().find(|note| note.starts_with("it is 3 files (")).expect("which versions these are");
        has(note, &[&format!("of {source}, whose sizes and ETags have the SHA-256 ")]);
        assert_eq!(named(&cache, shards).len(), 3);
        // The order of keys; each as a whole.
        let fetched = store.fetched();
        assert_eq!(fetched.len(), 3, "{fetched:?}");
        assert!(fetched.iter().all(|(_, start)| *start == 0) && fetched.is_sorted(), "{fetched:?}");

        // The second time, the bucket is asked what there is, page by page, and nothing is fetched.
        assert_eq!(found(&store.address, &cache, source), (splits, notes));
        let requests = store.requests();
        assert!(
            requests.iter().all(|request| request.query.contains("list-type=2") || request.method == "HEAD"),
            "{requests:?}"
        );
        assert!(requests.iter().any(|request| request.query.contains("continuation-token")), "{requests:?}");
    }
    // Objects are shared by all sources that have them.
    let pattern = "s3://bucket/toy/train-{000000..000001}.tar";
    let (splits, _) = found(&store.address, &cache, pattern);
    assert_eq!(splits.iter().find(|(name, _)| name == "all"), Some(&("all".into(), 12)));
    assert_eq!(store.fetched(), []);
    assert!(named(&cache, ".incomplete").is_empty());

    // Without a network, what was there last time is there.
    let offline = |source: &str| asking("http://127.0.0.1:9", &cache, &["data", source, "--offline"]);
    succeed(&mut offline(pattern));
    has(
        &fail(&mut offline("s3://bucket/other/")),
        &["s3://bucket/other/ is not in the cache", "and --offline is given"],
    );
    let output = succeed(&mut asking("http://127.0.0.1:9", &cache, &["data", pattern]));
    has(&support::stderr(&output), &["cannot fetch s3://bucket/toy", "the copy in the cache is used"]);
}

#[test]
fn what_a_bucket_holds_is_what_the_same_files_here_are() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cache) = (store(), folder.path().join("cache"));
    let here = folder.path().join("toy");
    fs::create_dir(&here).unwrap();
    for (name, images) in [("train-000000", 0..6), ("train-000001", 6..12), ("test-000000", 12..18)] {
        fs::write(here.join(format!("{name}.tar")), shard(images)).unwrap();
    }
    let recipe = |data: &str, out: &Path| {
        let mut command =
            asking(&store.address, &cache, &["train", "--config", support::VIT_CONFIG, "--data", data]);
        succeed(command.args(["--set", "epochs=1", "--set", "batch_size=4", "--out"]).arg(out));
        support::read_json(&out.join("data.json"))
    };
    let local = recipe(here.to_str().unwrap(), &folder.path().join("local"));
    let remote = recipe("s3://bucket/toy/", &folder.path().join("remote"));
    assert_eq!(remote["source"], "s3://bucket/toy/");
    for key in ["fingerprint", "classes", "counts"] {
        assert_eq!(local[key], remote[key], "{key}");
    }
    let weights = |run: &str| fs::read(folder.path().join(run).join("model.safetensors")).unwrap();
    assert_eq!(weights("local"), weights("remote"));
}

#[test]
fn other_stores_are_read_in_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cache) = (store(), folder.path().join("cache"));
    assert_eq!(found(&store.address, &cache, "gs://bucket/toy").0, both());
    let web = format!("{}/bucket/toy/{{train-000000,train-000001,test-000000}}.tar", store.address);
    store.requests();
    assert_eq!(found(&store.address, &cache, &web).0, both());
    assert_eq!(store.fetched().len(), 3);
    // A signed address answers to nothing but the request that it was signed for, and its signature stays out of what is written.
    store.behave(Behaviour { no_head: true, ..Behaviour::default() });
    let signed =
        format!("{}/bucket/tables/train-00000-of-00002.parquet?X-Amz-Signature=secret", store.address);
    let summary = json(&mut asking(&store.address, &cache, &["data", &signed]));
    assert_eq!(summary["source"].as_str(), signed.split('?').next());
    let requests = store.requests();
    assert!(
        requests.iter().all(|request: &Request| request.query == "X-Amz-Signature=secret"),
        "{requests:?}"
    );
    assert!(!summary.to_string().contains("secret"));
}

#[test]
fn a_store_that_fails_for_a_moment_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cache) = (store(), folder.path().join("cache"));
    store.behave(Behaviour { errors: 2, ..Behaviour::default() });
    assert_eq!(found(&store.address, &cache, "s3://bucket/toy/").0, both());
    // For ever: a transient failure, so that an engine tries the command again.
    store.requests();
    store.behave(Behaviour { status: Some("503 Service Unavailable"), ..Behaviour::default() });
    let mut command = asking(&store.address, &folder.path().join("other"), &["data", "s3://bucket/toy/"]);
    assert_eq!(command.output().unwrap().status.code(), Some(75));
    assert_eq!(store.requests().len(), 5, "a failing store is not asked for ever");
    has(
        &fail(&mut command),
        &[
            "cannot fetch s3://bucket/toy",
            "it answers 503 Service Unavailable: It is so",
            "run the command again",
        ],
    );
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (store, source) = (store(), "s3://bucket/toy/train-000000.tar");
    let length = shard(0..6).len() as u64;
    let behave = |behaviour: Behaviour| store.behave(behaviour);
    let run = |cache: &str| asking(&store.address, &folder.path().join(cache), &["data", source]);

    // Within one command, the transfer is taken up again.
    behave(Behaviour { cut: Some(length as usize / 3 + 1), ..Behaviour::default() });
    succeed(&mut run("one"));
    let starts: Vec<u64> = store.fetched().into_iter().map(|(_, start)| start).collect();
    assert_eq!(starts, [0, length / 3 + 1, 2 * (length / 3 + 1)]);

    // Where that is not enough, the next command goes on; nothing is kept under the shard's name meanwhile.
    behave(Behaviour { cut: Some(600), ..Behaviour::default() });
    let sentence = fail(&mut run("two"));
    has(
        &sentence,
        &[
            "cannot fetch s3://bucket/toy/train-000000.tar (",
            &format!("of {length} bytes"),
            "run the command again",
        ],
    );
    let cache = folder.path().join("two");
    assert!(named(&cache, ".tar").is_empty());
    let arrived = fs::metadata(&named(&cache, ".incomplete")[0]).unwrap().len();
    assert!(arrived > 600 && arrived < length, "{arrived}");
    store.fetched();
    behave(Behaviour::default());
    succeed(&mut run("two"));
    assert_eq!(store.fetched(), [("toy/train-000000.tar".to_owned(), arrived)]);
    assert_eq!(fs::read(&named(&cache, ".tar")[0]).unwrap(), shard(0..6));

    // A server that knows no ranges sends all of it again; one that names no versions is gone on with by size and time.
    for behaviour in [
        Behaviour { whole: true, ..Behaviour::default() },
        Behaviour { no_etag: true, ..Behaviour::default() },
    ] {
        let cache = folder.path().join(format!("web-{}", behaviour.whole));
        let source = format!("{}/bucket/toy/train-000001.tar", store.address);
        let run = || asking(&store.address, &cache, &["data", &source]);
        behave(Behaviour { cut: Some(600), ..behaviour.clone() });
        fail(&mut run());
        store.fetched();
        behave(behaviour.clone());
        succeed(&mut run());
        assert_eq!(fs::read(&named(&cache, ".tar")[0]).unwrap(), shard(6..12));
        assert!(store.fetched()[0].1 > 0, "it is asked for the rest");
    }
}

#[test]
fn a_command_that_was_killed_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cache) = (store(), folder.path().join("cache"));
    store.behave(Behaviour { slow: Some(Duration::from_millis(60)), ..Behaviour::default() });
    let mut command = asking(&store.address, &cache, &["data", "s3://bucket/toy/"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    let partial = || {
        named(&cache, ".incomplete").first().map_or(0, |path| fs::metadata(path).map_or(0, |file| file.len()))
    };
    while partial() < 1024 && started.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (incomplete, arrived) = (named(&cache, ".incomplete"), partial());
    assert_eq!(incomplete.len(), 1, "one shard after the other");
    assert!(arrived >= 1024);
    store.behave(Behaviour::default());
    store.fetched();
    assert_eq!(found(&store.address, &cache, "s3://bucket/toy/").0, both());
    let fetched = store.fetched();
    assert_eq!(fetched.iter().filter(|(_, start)| *start > 0).count(), 1, "{fetched:?}");
    assert!(fetched.iter().any(|(_, start)| *start == arrived), "{fetched:?} and {arrived}");
}

#[test]
fn two_commands_at_once_fetch_each_shard_once() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cache) = (store(), folder.path().join("cache"));
    store.behave(Behaviour { slow: Some(Duration::from_millis(10)), ..Behaviour::default() });
    let spawn = || {
        let mut command = asking(&store.address, &cache, &["data", "s3://bucket/toy/"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for child in [spawn(), spawn()] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let mut fetched: Vec<String> = store.fetched().into_iter().map(|(key, _)| key).collect();
    fetched.sort();
    assert_eq!(fetched, ["toy/test-000000.tar", "toy/train-000000.tar", "toy/train-000001.tar"]);
}

#[test]
fn an_object_that_is_replaced_is_another_object() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cache, source) = (store(), folder.path().join("cache"), "s3://bucket/toy/");
    let (_, notes) = found(&store.address, &cache, source);
    store.put("toy/train-000001.tar", shard(20..29));
    store.fetched();
    let (splits, other) = found(&store.address, &cache, source);
    assert_eq!(splits, [("test".into(), 6), ("train".into(), 15)]);
    assert_eq!(store.fetched(), [("toy/train-000001.tar".to_owned(), 0)]);
    let version = |notes: &[String]| notes.iter().find(|note| note.contains("SHA-256")).cloned();
    assert_ne!(version(&notes), version(&other));

    // While it is read.
    let (store, cache) = (self::store(), folder.path().join("replaced"));
    store.behave(Behaviour { cut: Some(1000), replace_after: Some(1), ..Behaviour::default() });
    let sentence = fail(&mut asking(&store.address, &cache, &["data", "s3://bucket/toy/train-000000.tar"]));
    has(&sentence, &["s3://bucket/toy/train-000000.tar changed while it was read", "run the command again"]);
    assert!(named(&cache, ".incomplete").is_empty(), "half of a version that is gone is not kept");

    // Between two commands, where the size alone tells.
    let (no_etag, cache) = (true, folder.path().join("sizes"));
    let source = format!("{}/bucket/toy/test-000000.tar", store.address);
    store.behave(Behaviour { cut: Some(1000), no_etag, ..Behaviour::default() });
    fail(&mut asking(&store.address, &cache, &["data", &source]));
    store.put("toy/test-000000.tar", shard(0..7));
    store.behave(Behaviour { no_etag, ..Behaviour::default() });
    succeed(&mut asking(&store.address, &cache, &["data", &source]));
    assert_eq!(fs::read(&named(&cache, ".tar")[0]).unwrap(), shard(0..7));
}

#[test]
fn what_cannot_be_fetched_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cache) = (store(), folder.path().join("cache"));
    let run = |source: &str| asking(&store.address, &cache, &["data", source]);
    let said = |source: &str| fail(&mut run(source));
    has(
        &said("s3://bucket/none.tar"),
        &["there is no s3://bucket/none.tar; check bucket and key, and AWS_ENDPOINT"],
    );
    has(
        &said("s3://bucket/toy/train-{000000..000003}.tar"),
        &["there is no s3://bucket/toy/train-000002.tar"],
    );
    has(&said("s3://bucket/toy/README.md"), &["toy/README.md is not a data set that is recognised"]);
    has(&said("s3://bucket/nothing/"), &["there is no s3://bucket/nothing/"]);
    has(
        &said("s3://bucket/"),
        &["s3://bucket/ holds 3 tar archives and 3 parquet files; name the ones that are meant"],
    );
    has(&said("s3://"), &["s3:// is not an address of data: there is no name of a bucket in it"]);
    has(
        &said("ftp://host/x.tar"),
        &["ftp://host/x.tar is not an address of data: data are read from s3://, gs://"],
    );
    let web = format!("{}/bucket/toy/none.tar", store.address);
    has(&said(&web), &[&format!("there is no {web}; check the address")]);
    has(&said(&format!("{}/bucket/toy/", store.address)), &["a web server does not say what a folder holds"]);

    store.behave(Behaviour { status: Some("403 Forbidden"), ..Behaviour::default() });
    has(&said("s3://bucket/toy/"), &["s3://bucket/toy", "is not given to everyone; set AWS_ACCESS_KEY_ID"]);
    has(&said("gs://bucket/toy/x.tar"), &["is not given to everyone; set GOOGLE_APPLICATION_CREDENTIALS"]);
    has(&said(&web), &["is not given to everyone; give an address that answers without a password"]);
    assert_eq!(run("s3://bucket/toy/").output().unwrap().status.code(), Some(1), "who asks is refused again");
    store.behave(Behaviour { signed: true, ..Behaviour::default() });
    let mut wrong = run("s3://bucket/toy/");
    has(&fail(wrong.env("AWS_SECRET_ACCESS_KEY", "another")), &["is not given to everyone"]);
    let mut plain = run("s3://bucket/toy/");
    has(
        &fail(plain.env_remove("AWS_ALLOW_HTTP")),
        &["its address is not encrypted; set AWS_ALLOW_HTTP=true"],
    );

    store.behave(Behaviour { silent: true, ..Behaviour::default() });
    let started = Instant::now();
    let mut silent = run("s3://bucket/toy/");
    has(
        &fail(silent.env("ARCHAEO_CACHE_TIMEOUT", "0.2")),
        &["it did not answer in time", "run the command again"],
    );
    assert!(started.elapsed() < Duration::from_secs(30));
    has(
        &fail(&mut asking("http://127.0.0.1:9", &cache, &["data", "s3://bucket/toy/"])),
        &["cannot fetch s3://bucket/toy"],
    );
    assert!(named(&cache, ".incomplete").is_empty());

    // No room, or no right, to keep anything.
    store.behave(Behaviour::default());
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let mut nowhere = run("s3://bucket/toy/");
    has(
        &fail(nowhere.env("ARCHAEO_CACHE", &file)),
        &["cannot keep s3://bucket/toy/ in", "set ARCHAEO_CACHE to a folder"],
    );
}

#[test]
fn an_investigation_of_a_bucket_is_sealed_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cache) = (store(), folder.path().join("cache"));
    let out = folder.path().join("out");
    let mut command = asking(
        &store.address,
        &cache,
        &[
            "study",
            "attention",
            "--config",
            support::CONFIG,
            "--data",
            "s3://bucket/toy/",
            "--set",
            "batch_size=4",
            "--out",
        ],
    );
    succeed(command.arg(&out));
    let manifest = support::read_json(&out.join("manifest.json"));
    assert_eq!(manifest["data"]["source"], "s3://bucket/toy/");
    let data = support::read_json(&out.join("investigation.json"))["data"].clone();
    assert!(data["notes"].to_string().contains("whose sizes and ETags have the SHA-256"), "{data}");
    let verify = |endpoint: &str, cache: &Path| {
        let found = json(asking(endpoint, cache, &["verify"]).arg(&out));
        let checks = found["checks"].as_array().unwrap().clone();
        let is_source =
            |check: &Value| check["part"] == "data" && check.to_string().contains("s3://bucket/toy");
        checks.into_iter().find(is_source).expect("the data are checked")
    };
    assert_eq!(verify(&store.address, &cache)["outcome"], "agrees");
    // Another cache fetches them again; without either, the sentence is in the check.
    assert_eq!(verify(&store.address, &folder.path().join("another"))["outcome"], "agrees");
    let unchecked = verify("http://127.0.0.1:9", &folder.path().join("empty"));
    assert_eq!(unchecked["outcome"], "unchecked");
    has(&unchecked.to_string(), &["cannot fetch s3://bucket/toy"]);
}
