//! Checkpoints on the command line: where the model is said, what may be missing, and how images are prepared instead.

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use archaeo_models::{Array, State, read_arrays, write_arrays};
use serde_json::{Value, json as value};
use support::{SHERDS, VIT_CONFIG, archaeo, fail, json, stderr, succeed};
use tempfile::TempDir;

/// Run folder of a tiny ViT, trained once for all tests.
fn run_folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = TempDir::new().expect("a temporary folder");
        let mut command =
            archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1", "--out"]);
        succeed(command.arg(folder.path()));
        folder
    });
    folder.path()
}

fn evaluate(weights: &Path) -> Command {
    let mut command = archaeo(["evaluate", "--data", SHERDS, "--limit", "20", "--weights"]);
    command.arg(weights);
    command
}

/// The trained arrays without the card, changed, in a folder of their own with the trained model's config.json or none.
fn foreign(config: bool, change: impl FnOnce(&mut State)) -> (TempDir, PathBuf) {
    let (mut state, _) = read_arrays(&run_folder().join("model.safetensors")).unwrap();
    change(&mut state);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.safetensors");
    write_arrays(&path, &state, HashMap::new()).unwrap();
    if config {
        fs::copy(run_folder().join("config.json"), folder.path().join("config.json")).unwrap();
    }
    (folder, path)
}

/// The scores, without who said how images are prepared.
fn scores(mut result: Value) -> Value {
    result.as_object_mut().unwrap().retain(|key, _| !["preprocessing", "model"].contains(&key.as_str()));
    result
}

#[test]
fn what_training_leaves_describes_itself_with_and_without_its_card() {
    let own = json(&mut evaluate(run_folder()));
    assert_eq!(own["preprocessing"]["mean"], value!({"value": [0.5, 0.5, 0.5], "from": "card"}));
    let (folder, _) = foreign(true, |_| {});
    let configured = json(&mut evaluate(folder.path()));
    assert_eq!(configured["preprocessing"]["mean"], value!({"value": [0.5, 0.5, 0.5], "from": "config"}));
    assert_eq!(scores(configured), scores(own));

    let exported = TempDir::new().unwrap();
    let said = json(archaeo(["export", "--weights"]).arg(folder.path()).arg("--out").arg(exported.path()));
    assert!(said["loaded_by"].as_str().unwrap().starts_with("timm.create_model(\"local-dir:"), "{said}");
    let config = |folder: &Path| support::read_json(&folder.join("config.json"));
    assert_eq!(config(exported.path()), config(run_folder()));
}

#[test]
fn without_card_and_configuration_arrays_are_recognised_or_a_sentence_asks() {
    let (_folder, path) = foreign(false, |_| {});
    let sentence = fail(&mut evaluate(&path));
    let expected =
        "which is not a standard size; no array shows its number of attention heads, so say it with --heads";
    assert!(
        sentence.starts_with(&format!("error: {} holds a Vision Transformer of", path.display())),
        "{sentence}"
    );
    assert!(sentence.contains(expected), "{sentence}");
    // A configuration next to a file with a name of its own may belong to another.
    let (folder, path) = foreign(true, |_| {});
    let renamed = folder.path().join("mine.safetensors");
    fs::rename(path, &renamed).unwrap();
    assert!(fail(&mut evaluate(&renamed)).contains(expected));

    let folder = TempDir::new().unwrap();
    let mut train = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1"]);
    succeed(train.args(["--set", "model=\"resnet20_cifar\"", "--out"]).arg(folder.path()));
    let (state, _) = read_arrays(&folder.path().join("model.safetensors")).unwrap();
    let path = folder.path().join("mine.safetensors");
    write_arrays(&path, &state, HashMap::new()).unwrap();
    let output = succeed(&mut evaluate(&path));
    let said = stderr(&output);
    assert!(said.contains("mine.safetensors is taken for resnet20_cifar (CIFAR residual network"), "{said}");
}

#[test]
fn the_command_line_goes_before_what_a_checkpoint_says() {
    let plain = scores(json(&mut evaluate(run_folder())));
    for (option, text, name, expected) in [
        ("--image-size", "32", "image_size", value!(32)),
        ("--crop", "0.5", "crop", value!(0.5)),
        ("--interpolation", "bilinear", "interpolation", value!("bilinear")),
        ("--fit", "squash", "fit", value!("squash")),
        ("--mean", "0.25, 0.5,0.75", "mean", value!([0.25, 0.5, 0.75])),
        ("--std", "0.25,0.25,0.25", "std", value!([0.25, 0.25, 0.25])),
    ] {
        let result = json(evaluate(run_folder()).args([option, text]));
        let preprocessing = result["preprocessing"].as_object().unwrap();
        assert_eq!(preprocessing[name], value!({"value": expected, "from": "request"}), "{option}");
        let asked = preprocessing.values().filter(|entry| entry["from"] == "request").count();
        assert_eq!(asked, 1, "{option}");
        // Sherds are drawn in the model's own size, so that there is nothing to resize or squash.
        let matters = !["--interpolation", "--fit"].contains(&option);
        assert_eq!(scores(result) != plain, matters, "{option}");
    }
}

#[test]
fn preprocessing_that_cannot_be_gets_a_sentence() {
    for (option, text, expected) in [
        ("--image-size", "15", "patches of 4 px do not tile an image of 15 px"),
        ("--image-size", "0", "image_size must be from 1 to 65536, not 0"),
        ("--crop", "0", "crop must be from 0.1 to 1, not 0"),
        ("--crop", "1.5", "crop must be from 0.1 to 1, not 1.5"),
        ("--crop", "nan", "crop must be from 0.1 to 1, not NaN"),
        ("--mean", "0.5,0.5", "three numbers with commas between them are needed"),
        ("--mean", "inf,0.5,0.5", "must be finite"),
        ("--std", "0,1,1", "must be finite, and std above 0"),
    ] {
        let sentence = fail(evaluate(run_folder()).args([option, text]));
        assert!(sentence.contains(expected), "{option} {text}: {sentence}");
    }
}

#[test]
fn what_is_missing_is_listed_unless_it_is_allowed() {
    let (folder, _) = foreign(true, |state| state.retain(|name, _| !name.starts_with("head.")));
    let output = evaluate(folder.path()).output().unwrap();
    let said = stderr(&output);
    assert!(!output.status.success());
    let start = format!("error: {} does not fit ViT:", folder.path().display());
    for part in [&start, "missing     head.weight", "missing     head.bias"] {
        assert!(said.contains(part), "{said}");
    }
    // What is drawn anew may be looked at, but is not scored.
    let attention = |allowed: &str| {
        let mut command = archaeo(["attention", "--data", SHERDS, "--limit", "20", "--weights"]);
        command.arg(folder.path()).args(["--allow-missing", allowed]);
        command
    };
    assert_eq!(json(&mut attention("head"))["n"], 20);
    let sentence = fail(&mut attention("head.weight"));
    assert!(sentence.contains("does not fit"), "{sentence}");
    let sentence = fail(evaluate(folder.path()).args(["--allow-missing", "head"]));
    assert!(sentence.contains("a randomly initialised head predicts at random"), "{sentence}");
}

#[test]
fn a_head_of_other_classes_is_refused_and_not_replaced_by_one_that_answers_at_random() {
    let (folder, _) = foreign(false, |state| {
        for (name, rows) in [("head.weight", vec![4, 32]), ("head.bias", vec![4])] {
            let array = state.get_mut(name).unwrap();
            array.values.truncate(rows.iter().product());
            array.shape = rows;
        }
    });
    let mut config = support::read_json(&run_folder().join("config.json"));
    config["num_classes"] = 4.into();
    config["label_names"] = value!(["a", "b", "c", "d"]);
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let sentence = fail(&mut evaluate(folder.path()));
    assert!(sentence.contains("it has no output for any of the data's classes"), "{sentence}");
    assert!(sentence.contains("its outputs are a, b, c, d"), "{sentence}");
    let sentence = fail(evaluate(folder.path()).arg("--replace-head"));
    assert!(sentence.contains("a randomly initialised head predicts at random"), "{sentence}");
}

#[test]
fn what_stands_next_to_a_model_is_left_out_and_said() {
    let (_folder, path) = foreign(false, |state| {
        *state =
            std::mem::take(state).into_iter().map(|(name, array)| (format!("net.{name}"), array)).collect();
        state.insert("criterion.weight".into(), Array { shape: vec![10], values: vec![1.0; 10] });
    });
    let own = json(&mut evaluate(run_folder()));
    let mut command = evaluate(&path);
    command.args(["--heads", "2", "--crop", "1", "--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5"]);
    let said = stderr(&succeed(&mut command));
    assert!(said.contains("has `criterion` next to the model; left out"), "{said}");
    assert_eq!(json(&mut command)["nll"], own["nll"]);
    let sentence = fail(evaluate(&path).args(["--heads", "2", "--entry", "teacher"]));
    assert!(sentence.contains("in `teacher`; models are in `net`"), "{sentence}");
}

#[test]
fn attention_needs_no_head_and_scores_do() {
    let (_folder, path) = foreign(false, |state| state.retain(|name, _| !name.starts_with("head.")));
    let ask = |command: &str| {
        let mut command = archaeo([command, "--data", SHERDS, "--limit", "4", "--heads", "2", "--weights"]);
        command.arg(&path);
        command
    };
    assert_eq!(json(&mut ask("attention"))["n"], 4);
    for command in ["evaluate", "attack", "ablate"] {
        let sentence = fail(&mut ask(command));
        assert!(sentence.contains("has no head: it gives features, not answers"), "{command}: {sentence}");
    }
}
