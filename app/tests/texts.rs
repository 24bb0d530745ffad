//! What the program says, as it says it: help, results on small models, and the usual errors, compared with `snapshots/`.
//!
//! A change that is meant is written there by `INSTA_UPDATE=always cargo test --release --workspace --test texts`, or looked at and
//! accepted with `cargo insta`.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use archaeo_plot::{Image, save_png};
use insta::{Settings, assert_snapshot};
use support::{COMMANDS, CONFIG, SHERDS, VIT_CONFIG, archaeo, stderr, stdout, succeed};

/// What a command is asked, and what it answers on both streams.
fn said(line: &str, command: &mut Command) -> String {
    for variable in [
        "HF_ENDPOINT",
        "HF_HUB_CACHE",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "NO_COLOR",
        "CLICOLOR_FORCE",
    ] {
        command.env_remove(variable);
    }
    let output = command.env("COLUMNS", "80").env("HF_HOME", "cache").output().expect("the program starts");
    let mut text = format!("$ archaeo {line}\n{}", stdout(&output));
    let talk = stderr(&output);
    if !talk.is_empty() {
        text += &format!("--- stderr\n{talk}");
    }
    if let Some(status @ 1..) = output.status.code() {
        text += &format!("--- status {status}\n");
    }
    text
}

/// A session of command lines in a folder. Words are split at spaces; `SHERDS`, `CONFIG` and `VIT_CONFIG` are those of the tests.
fn session(folder: &Path, lines: &[&str]) -> String {
    let answer = |line: &&str| {
        let words = line.split_whitespace().map(|word| match word {
            "SHERDS" => SHERDS,
            "CONFIG" => CONFIG,
            "VIT_CONFIG" => VIT_CONFIG,
            word => word,
        });
        said(line, archaeo(words).current_dir(folder))
    };
    lines.iter().map(answer).collect::<Vec<_>>().join("\n")
}

/// Compares with the snapshot `name`.
fn compare(name: &str, text: &str) {
    let mut settings = Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let text = text.replace(env!("CARGO_MANIFEST_DIR"), "APP");
    settings.bind(|| assert_snapshot!(name, text));
}

/// The text without what another processor computes otherwise: its kernels sum in another order, so that digits differ.
fn without_numbers(text: &str) -> String {
    let lines = text.lines().map(|line| line.split(' ').map(without_digits).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// The text without the spaces of its columns, which depend on how many digits there were.
fn without_columns(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// A word with `#` in place of a number that has a fraction.
fn without_digits(word: &str) -> String {
    let is_part = |character: char| character.is_ascii_digit() || matches!(character, '.' | '-' | 'e');
    let number = word.trim_matches(|character: char| !is_part(character));
    match number.contains('.') && number.parse::<f64>().is_ok() {
        true => word.replace(number, "#"),
        false => word.to_owned(),
    }
}

/// A folder with a trained ViT, `vit.safetensors`.
fn trained() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--out"]).arg(&run));
    fs::copy(run.join("model.safetensors"), folder.path().join("vit.safetensors")).unwrap();
    folder
}

#[test]
fn help() {
    let nowhere = tempfile::tempdir().unwrap();
    for command in COMMANDS {
        let name = if command.is_empty() { "archaeo".into() } else { command.replace(' ', "-") };
        for option in ["-h", "--help"] {
            let line = format!("{command} {option}");
            compare(&format!("help-{name}{option}"), &session(nowhere.path(), &[line.trim()]));
        }
    }
}

#[test]
fn what_is_in_the_program() {
    let nowhere = tempfile::tempdir().unwrap();
    compare("configs", &session(nowhere.path(), &["configs", "configs --json"]));
    let lines = ["init", "init", "init --force", "init sherds-vit --out my.toml --json"];
    compare("init", &session(nowhere.path(), &lines));
    compare("models", &session(nowhere.path(), &["models"]));
    compare(
        "models-show",
        &session(nowhere.path(), &["models show vit_micro", "models show vit_micro --json"]),
    );
}

#[test]
fn results() {
    let folder = trained();
    let session = |line: &str| session(folder.path(), &[line]);
    for (name, line) in [
        ("models-show-checkpoint", "models show vit.safetensors"),
        ("data", "data SHERDS"),
        ("data-json", "data SHERDS --json"),
        ("export", "export --weights vit.safetensors --out exported"),
    ] {
        compare(name, &session(line));
    }
    for (name, line) in [
        ("evaluate", "evaluate --weights vit.safetensors --data SHERDS"),
        ("attention", "attention --weights vit.safetensors --data SHERDS"),
        ("attack", "attack --weights vit.safetensors --data SHERDS --limit 20 --steps 2"),
        ("doctor", "attack --weights vit.safetensors --data SHERDS --attack doctor --limit 12 --steps 2"),
        (
            "corrupt",
            "corrupt --weights vit.safetensors --data SHERDS --limit 12 --corruption fog,jpeg --baseline vit.safetensors",
        ),
        ("ablate", "ablate --weights vit.safetensors --data SHERDS --limit 20"),
        (
            "ablate-more",
            "ablate --weights vit.safetensors --data SHERDS --limit 20 --only 1.1,1.2,2.1 --curve --mlp --layers --pairs 2",
        ),
        (
            "audit",
            "audit --weights vit.safetensors --data SHERDS --images 12 --departures rollout-axis,class-token-row",
        ),
        ("explain", "explain --weights vit.safetensors --data SHERDS --limit 12 --methods rollout,grad-cam"),
    ] {
        compare(name, &without_columns(&without_numbers(&session(line))));
        let json = session(&format!("{line} --json"));
        compare(&format!("{name}-json"), &without_numbers(&json));
    }
    let profile =
        session("profile vit_micro resnet_micro --image-sizes 16,32,48,50 --rounds 6 --batch-size 2");
    // The machine is named in one line.
    let lines: Vec<&str> = profile.lines().filter(|line| !line.starts_with("medians of")).collect();
    compare("profile", &without_columns(&without_numbers(&lines.join("\n"))));
}

/// Without its JSON, which has a point for each image.
#[test]
fn features() {
    let folder = trained();
    let line = "features --weights vit.safetensors --data SHERDS --random --out features";
    compare("features", &without_columns(&without_numbers(&session(folder.path(), &[line]))));
}

#[test]
fn the_usual_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("half/cat")).unwrap();
    fs::create_dir_all(path("half/dog")).unwrap();
    save_png(&Image::filled(8, 8, [90; 3]), &path("half/cat/1.png")).unwrap();
    fs::create_dir(path("empty")).unwrap();
    fs::create_dir(path("thesis")).unwrap();
    fs::write(path("thesis/thesis.txt"), "mine").unwrap();
    fs::write(path("notes.txt"), "no images, no weights").unwrap();
    fs::write(path("slip.toml"), "epocs = 3\n").unwrap();

    let command_lines = session(
        folder.path(),
        &["", "excavte", "data --sheeet x", "attack --weights x --steps 0", "-q -v configs", "configs none"],
    );
    compare("errors-command-line", &command_lines);
    let data = session(
        folder.path(),
        &["data none", "data sherd", "data sherds:sise=8", "data empty", "data notes.txt", "data half"],
    );
    compare("errors-data", &data);
    let weights = session(
        folder.path(),
        &[
            "evaluate --weights none.safetensors --data SHERDS",
            "evaluate --weights notes.txt --data SHERDS",
            "evaluate --weights hf:nobody/nothing --offline --data SHERDS",
            "evaluate --weights none.safetensors --model resnet51 --data SHERDS",
            "models show resnet51",
            "attention --weights none.safetensors --device vulkan --data SHERDS",
        ],
    );
    compare("errors-weights", &weights);
    let runs = session(
        folder.path(),
        &[
            "train --config none.toml --data SHERDS --out out",
            "train --config slip.toml --data SHERDS --out out",
            "train --config CONFIG --data SHERDS --out out",
            "excavate --config CONFIG --data SHERDS --out thesis",
            "excavate --config CONFIG --data SHERDS --set modles.vit.epochs=1 --out out",
            "report thesis",
        ],
    );
    compare("errors-runs", &runs);
    assert!(!path("out").exists());
}
