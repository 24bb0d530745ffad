//! What `--export` writes, in which format, and what stands in the way of it; answers and sizes that are none.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use archaeo_models::{read_arrays, write_arrays};
use support::{CONFIG, SHERDS, VIT_CONFIG, archaeo, fail, json, succeed};
use tempfile::TempDir;

/// Run folder of a tiny ViT, trained once for all tests.
fn run_folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let mut command =
            archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1", "--out"]);
        succeed(command.arg(folder.path()));
        folder
    });
    folder.path()
}

fn ask(command: &str, weights: &Path) -> Command {
    let mut asked = archaeo([command, "--data", SHERDS, "--limit", "20", "--weights"]);
    asked.arg(weights);
    if command == "attack" {
        asked.args(["--epsilon", "1,8", "--steps", "2"]);
    }
    asked
}

/// A table as rows of fields, the names first.
fn table(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    assert!(!text.contains('"'), "no field needs quotes here: {text}");
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn every_command_writes_what_it_computed_with_names_and_labels() {
    let folder = TempDir::new().unwrap();
    let csv = |command: &str| {
        let file = folder.path().join(format!("{command}.csv"));
        let result = json(ask(command, run_folder()).arg("--export").arg(&file));
        (table(&file), result)
    };
    let column = |table: &[Vec<String>], name: &str| -> Vec<String> {
        let at = table[0]
            .iter()
            .position(|column| column == name)
            .unwrap_or_else(|| panic!("no {name} in {:?}", table[0]));
        table[1..].iter().map(|row| row[at].clone()).collect()
    };

    let (rows, result) = csv("evaluate");
    assert_eq!(rows.len(), 21);
    let right = column(&rows, "correct").iter().filter(|correct| *correct == "true").count();
    assert_eq!(right as f64 / 20.0, result["top1"].as_f64().unwrap());
    for ((name, label), class) in
        column(&rows, "image").iter().zip(column(&rows, "label")).zip(column(&rows, "class"))
    {
        // Sherds' classes take turns.
        let number: usize = name.strip_prefix("test/").unwrap().parse().unwrap();
        assert_eq!((number % 10).to_string(), label, "{name} {class}");
    }

    let (rows, result) = csv("attack");
    let labels = column(&rows, "label");
    for (point, name) in ["predicted_0", "predicted_1", "predicted_8"].into_iter().enumerate() {
        let right = column(&rows, name).iter().zip(&labels).filter(|(answer, label)| answer == label).count();
        assert_eq!(right as f64 / 20.0, result["points"][point]["accuracy"].as_f64().unwrap(), "{name}");
    }

    // Tables and JSON number layers and heads from 1.
    let (rows, result) = csv("ablate");
    assert_eq!(rows.len(), 5);
    for (i, head) in result["ranking"].as_array().unwrap().iter().enumerate() {
        for place in ["layer", "head"] {
            assert_eq!(column(&rows, place)[i].parse::<u64>().unwrap(), head[place].as_u64().unwrap());
        }
        let increase: f64 = column(&rows, "loss_increase_zero")[i].parse().unwrap();
        assert_eq!(increase, head["zero"]["value"].as_f64().unwrap());
        assert!(
            column(&rows, "loss_increase_mean_low")[i] <= column(&rows, "loss_increase_mean_high")[i]
                || increase != 0.0
        );
    }
    let (rows, result) = csv("attention");
    assert_eq!([&rows[1][..2], &rows[4][..2]], [["1", "1"], ["2", "2"]]);
    let distance: f64 = column(&rows, "attention_distance")[2].parse().unwrap();
    assert_eq!(distance, result["attention_distance"][1][0].as_f64().unwrap());

    for command in ["evaluate", "attack", "ablate", "attention"] {
        for (ending, start) in [("npz", &b"PK"[..]), ("parquet", b"PAR1")] {
            let file = folder.path().join(format!("{command}.{ending}"));
            succeed(ask(command, run_folder()).arg("--export").arg(&file));
            assert!(fs::read(&file).unwrap().starts_with(start), "{command}.{ending}");
        }
        let file = folder.path().join(format!("{command}.safetensors"));
        succeed(ask(command, run_folder()).arg("--export").arg(&file));
        let bytes = fs::read(&file).unwrap();
        let header = String::from_utf8_lossy(&bytes);
        assert!(header.contains("image_names") && header.contains("\\\"test/"), "{command}");
        assert!(header.contains("\"labels\""), "{command}");
    }
}

#[test]
fn an_ending_that_says_no_format_is_refused_before_the_work() {
    for command in ["evaluate", "attack", "ablate", "attention"] {
        for file in ["export.json", "export", "export.pt"] {
            let mut asked =
                archaeo([command, "--data", SHERDS, "--weights", "none.safetensors", "--export", file]);
            let sentence = fail(&mut asked);
            let expected = "its ending must be .safetensors, .npz, .csv or .parquet";
            assert!(sentence.contains(file) && sentence.contains(expected), "{sentence}");
        }
    }
}

#[test]
fn a_limit_keeps_the_shares_of_the_classes() {
    let folder = TempDir::new().unwrap();
    let labels = |command: &str, options: &[&str]| {
        let file = folder.path().join("sample.csv");
        succeed(ask(command, run_folder()).args(options).arg("--export").arg(&file));
        let rows = table(&file);
        let mut labels: Vec<String> = rows[1..].iter().map(|row| row[1].clone()).collect();
        labels.sort();
        (labels, rows[1..].iter().map(|row| row[0].clone()).collect::<Vec<_>>())
    };
    let (found, first) = labels("evaluate", &[]);
    let expected: Vec<String> = (0..10).flat_map(|class| [class.to_string(), class.to_string()]).collect();
    assert_eq!(found, expected, "two of each of Sherds' ten shapes");
    assert_eq!(labels("attack", &[]).1, first, "every command asks about the same images");
    assert_ne!(labels("evaluate", &["--seed", "1"]).1, first);
    assert_eq!(labels("evaluate", &["--batch-size", "3", "--threads", "1"]).1, first);
}

/// The trained ViT with an MLP whose activations overflow.
fn overflowing(folder: &Path) -> PathBuf {
    let (mut state, notes) = read_arrays(&run_folder().join("model.safetensors")).unwrap();
    for name in ["blocks.1.mlp.fc1.weight", "blocks.1.mlp.fc2.weight"] {
        state.get_mut(name).unwrap().values.iter_mut().for_each(|value| *value *= 1e30);
    }
    let path = folder.join("overflowing.safetensors");
    write_arrays(&path, &state, notes).unwrap();
    path
}

#[test]
fn answers_that_are_not_finite_are_refused_by_file_and_layer() {
    let folder = TempDir::new().unwrap();
    let weights = overflowing(folder.path());
    let expected =
        ["overflowing.safetensors gives answers that are not finite", "first at the output of block 2 of 2"];
    for command in ["evaluate", "attack", "ablate"] {
        let sentence = fail(&mut ask(command, &weights));
        expected.iter().for_each(|part| assert!(sentence.contains(part), "{command}: {sentence}"));
    }
    let mut investigation = archaeo(["excavate", "--config", CONFIG, "--data", SHERDS, "--vit"]);
    let sentence = fail(investigation.arg(&weights).arg("--out").arg(folder.path().join("out")));
    expected.iter().for_each(|part| assert!(sentence.contains(part), "{sentence}"));

    // Attention may overflow, too.
    let (mut state, notes) = read_arrays(&run_folder().join("model.safetensors")).unwrap();
    let qkv = state.get_mut("blocks.0.attn.qkv.weight").unwrap();
    qkv.values.iter_mut().for_each(|value| *value *= 1e30);
    write_arrays(&weights, &state, notes).unwrap();
    let sentence = fail(&mut ask("attention", &weights));
    assert!(sentence.contains("overflowing.safetensors gives answers that are not finite"), "{sentence}");
    assert!(sentence.contains("first at the attention weights of block 1 of 2"), "{sentence}");
    let rounded = fail(ask("evaluate", &weights).args(["--precision", "bf16"]));
    assert!(rounded.contains("try --precision f32"), "{rounded}");
}

#[test]
fn the_size_of_a_perturbation_has_a_unit() {
    let attack = |options: &[&str]| {
        let mut asked = archaeo(["attack", "--data", SHERDS, "--limit", "4", "--steps", "1", "--weights"]);
        asked.arg(run_folder()).args(options);
        asked
    };
    let sizes = |options: &[&str]| {
        let result = json(&mut attack(options));
        let points =
            result["points"].as_array().unwrap().iter().map(|point| point["epsilon"].as_f64().unwrap());
        (points.collect::<Vec<_>>(), result["unit"].as_str().unwrap().to_owned())
    };
    let unit = |text: &str| text.to_owned();
    assert_eq!(sizes(&["--epsilon", "8/255,2"]), (vec![0.0, 8.0, 2.0], unit("1/255")));
    assert_eq!(sizes(&[]), (vec![0.0, 1.0, 2.0, 4.0, 8.0], unit("1/255")));
    assert_eq!(sizes(&["--attack", "pgd-l2"]), (vec![0.0, 0.25, 0.5, 1.0, 2.0], unit("1")));
    assert_eq!(sizes(&["--attack", "pgd-l2", "--epsilon", "1/4"]), (vec![0.0, 0.25], unit("1")));
    let sentence = fail(&mut attack(&["--epsilon", "0.0314"]));
    for part in
        ["--epsilon 0.0314", "units of 1/255", "below half a level", "did you mean 8 (= 0.0314 × 255)?"]
    {
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[test]
fn shared_keys_of_a_recipe_may_be_called_training() {
    let folder = TempDir::new().unwrap();
    let epochs = |name: &str, set: &str| {
        let run = folder.path().join(name);
        let mut command = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", set, "--out"]);
        json(command.arg(&run))["epochs"].clone()
    };
    assert_eq!((epochs("a", "training.epochs=1"), epochs("b", "epochs=1")), (1.into(), 1.into()));
    let mut command =
        archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "training.epocs=1", "--out"]);
    let sentence = fail(command.arg(folder.path().join("c")));
    assert!(sentence.contains("did you mean `epochs`"), "{sentence}");
}
