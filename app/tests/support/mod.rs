//! What the tests of the command line share: running the program, and an investigation small enough for a test.

// Every test file compiles this for itself, and none uses all of it.
#![allow(dead_code)]

#[path = "../../../lab/tests/support/http.rs"]
pub mod http;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use archaeo_store::run_folder::sha256_file;
use serde_json::Value;

/// Sherds of a few images of 16 px, to go with [`CONFIG`].
pub const SHERDS: &str = "sherds:size=16,train=256,val=64,test=70,aligned=32,conflict=32";

/// Two tiny models and small studies.
pub const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tiny.toml");

/// The ViT of [`CONFIG`] alone.
pub const VIT_CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tiny-vit.toml");

/// Every command and command below one.
pub const COMMANDS: [&str; 33] = [
    "",
    "excavate",
    "study",
    "merge",
    "submit",
    "train",
    "compare",
    "track",
    "evaluate",
    "explain",
    "lab",
    "figure",
    "features",
    "prompts",
    "attention",
    "attack",
    "corrupt",
    "ablate",
    "benchmark",
    "audit",
    "profile",
    "lesson",
    "data",
    "models",
    "models show",
    "configs",
    "init",
    "export",
    "card",
    "report",
    "verify",
    "completions",
    "man",
];

/// The program, about to be run.
pub fn archaeo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_archaeo"));
    command.args(arguments).stdin(Stdio::null()).env_remove("RUST_BACKTRACE");
    command
}

/// `excavate` on tiny data into `out`.
pub fn excavate(out: &Path) -> Command {
    let mut command = archaeo(["excavate", "--config", CONFIG, "--data", SHERDS, "--out"]);
    command.arg(out);
    command
}

/// What was printed on stdout.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// What was said on stderr.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{command:?}\n{}", stderr(&output));
    output
}

/// Runs a command that must succeed, and reads its stdout as JSON.
pub fn json(command: &mut Command) -> Value {
    let output = succeed(command.arg("--json"));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(&output)))
}

/// Runs a command that must fail as the brief of every command says: nothing on stdout, no panic, and one sentence
/// starting with `error:`, which is returned. What was said before, such as progress, is left out.
pub fn fail(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    let said = stderr(&output);
    assert!(
        matches!(output.status.code(), Some(1 | 2 | 75)),
        "{command:?} ended with {}\n{said}",
        output.status
    );
    assert_eq!(stdout(&output), "", "{command:?} failed, so its stdout must be empty");
    assert!(!said.contains("panicked"), "{said}");
    let sentences: Vec<&str> = said.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(sentences.len(), 1, "{command:?} must say one sentence, not\n{said}");
    // A usage error ends with where to find help, and arrays that do not fit are listed.
    let may_go_on = output.status.code() == Some(2) || sentences[0].ends_with(':');
    assert!(said.trim_end().ends_with(sentences[0]) || may_go_on, "{said}");
    sentences[0].to_owned()
}

/// Everything that an investigation found, by file: findings without what measures time, hashes of weights,
/// predictions and pictures.
pub fn found(folder: &Path) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for part in ["findings", "pictures", "predictions"] {
        for entry in std::fs::read_dir(folder.join(part)).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            let name = format!("{part}/{}", path.file_name().expect("a name").to_string_lossy());
            let value = match part {
                "findings" => without_time(read_json(&path)),
                _ => sha256_file(&path).expect("it can be read").into(),
            };
            found.insert(name, value);
        }
    }
    for role in ["vit", "cnn"] {
        let name = format!("{role}/model.safetensors");
        let hash = sha256_file(&folder.join(&name)).expect("it can be read");
        found.insert(name, hash.into());
    }
    found
}

/// What `investigation.json` says besides where, when and how fast it was found.
pub fn investigation(folder: &Path) -> Value {
    let mut all = without_time(read_json(&folder.join("investigation.json")));
    all.as_object_mut().expect("an object").remove("provenance");
    all
}

/// Asserts that two folders hold the same findings, to the last bit; says where they differ.
#[track_caller]
pub fn assert_same(one: &Path, other: &Path) {
    let whole = |folder: &Path| {
        let mut all = found(folder);
        all.insert("investigation.json".into(), investigation(folder));
        serde_json::to_value(all).expect("plain data")
    };
    assert_equal(&whole(one), &whole(other));
}

/// Asserts that two values are the same, to the last bit; says where they differ.
#[track_caller]
pub fn assert_equal(one: &Value, other: &Value) {
    let mut differences = Vec::new();
    compare(one, other, "", &mut differences);
    let (count, shown) = (differences.len(), differences.iter().take(20).cloned().collect::<Vec<_>>());
    assert_eq!(count, 0, "these differ:\n{}", shown.join("\n"));
}

fn compare(one: &Value, other: &Value, path: &str, differences: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().for_each(|(key, value)| compare(value, &b[key], &format!("{path}/{key}"), differences));
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.for_each(|(i, (a, b))| compare(a, b, &format!("{path}/{i}"), differences));
        }
        (a, b) if a == b => {}
        (a, b) => differences.push(format!("{path}: {a:.60} and {b:.60}")),
    }
}

/// A JSON file.
pub fn read_json(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn without_time(mut value: Value) -> Value {
    match &mut value {
        Value::Object(entries) => {
            entries.remove("seconds");
            entries.remove("images_per_second");
            entries.remove("waiting");
            entries.values_mut().for_each(|entry| *entry = without_time(entry.take()));
        }
        Value::Array(entries) => entries.iter_mut().for_each(|entry| *entry = without_time(entry.take())),
        _ => {}
    }
    value
}
