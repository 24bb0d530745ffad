//! `archaeo attack`: norms, losses, targets, images that are saved, and what an attack does not have.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use archaeo_data::decode;
use archaeo_models::{read_arrays, write_arrays};
use archaeo_store::sha256_file;
use serde_json::Value;
use support::{SHERDS, VIT_CONFIG, archaeo, fail, json, succeed};
use tempfile::TempDir;

/// The weights of a tiny ViT, trained once for all tests.
fn weights() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let mut command =
            archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=2", "--out"]);
        succeed(command.arg(folder.path()));
        folder
    });
    folder.path().join("model.safetensors")
}

fn attack(options: &[&str]) -> Command {
    let mut asked = archaeo(["attack", "--data", SHERDS, "--weights"]);
    asked.arg(weights()).args(options);
    if !options.contains(&"--limit") {
        asked.args(["--limit", "12"]);
    }
    asked
}

#[test]
fn every_norm_has_its_unit_and_its_usual_sizes() {
    for (norm, unit, sizes) in [
        ("linf", "1/255", [0.0, 1.0, 2.0, 4.0, 8.0]),
        ("l2", "1", [0.0, 0.25, 0.5, 1.0, 2.0]),
        ("l1", "1", [0.0, 3.0, 6.0, 12.0, 24.0]),
    ] {
        let result = json(&mut attack(&["--norm", norm, "--steps", "2"]));
        assert_eq!((&result["norm"], &result["unit"]), (&norm.into(), &unit.into()));
        let points = result["points"].as_array().unwrap();
        assert_eq!(points.iter().map(|point| point["epsilon"].as_f64().unwrap()).collect::<Vec<_>>(), sizes);
    }
    let earlier = json(&mut attack(&["--attack", "pgd-l2", "--epsilon", "0.5"]));
    assert_eq!(earlier, json(&mut attack(&["--norm", "l2", "--epsilon", "0.5"])));
}

#[test]
fn what_an_attack_does_not_have_is_said_in_one_sentence() {
    for (options, said) in [
        (&["--norm", "l0"][..], "PGD has no norm l0; it has linf, l2, l1"),
        (&["--attack", "fgsm", "--steps", "3"], "FGSM has no number of steps to choose"),
        (&["--attack", "autoattack", "--loss", "dlr"], "AutoAttack has no choice of a loss such as dlr"),
        (&["--attack", "square", "--restarts", "2"], "Square has no restarts"),
        (&["--attack", "fab-t", "--target", "0"], "--target: FAB-T leads images away from their class"),
        (&["--target", "spoon"], "--target spoon: there is no such class"),
        (&["--attack", "pgd-l2", "--norm", "linf"], "write --attack pgd --norm linf"),
        (&["--cutoff", "0.5"], "PGD has no band of frequencies"),
        (&["--norm", "l1", "--epsilon", "0.001"], "rounding would take the perturbation away"),
        (&["--attack", "patch", "--epsilon", "2.5"], "it must be a whole number, not 2.5"),
        (&["--out", "curves"], "--attack pgd does not take --out; it takes --norm, --epsilon"),
        (
            &["--attack", "doctor", "--norm", "l2"],
            "--attack doctor does not take --norm; it takes --epsilon, --steps",
        ),
        (&["--attack", "doctor", "--export", "all.csv"], "--attack doctor does not take --export"),
        (&["--attack", "doctor", "--add", "a=b"], "--attack doctor does not take --add"),
        (&["--add", "a=b", "--save", "out"], "--attack pgd with --add does not take --save; it takes --norm"),
        (
            &["--attack", "saga", "--norm", "l2"],
            "--attack saga does not take --norm; it takes --epsilon, --steps, --add",
        ),
        (
            &["--attack", "saga"],
            "makes one image for two models, of which one has attention heads, and there is one",
        ),
    ] {
        let sentence = fail(&mut attack(options));
        assert!(sentence.contains(said), "{options:?}: {sentence}");
    }
}

#[test]
fn answers_that_are_no_numbers_are_named_with_their_layer() {
    let folder = TempDir::new().unwrap();
    let broken = folder.path().join("broken.safetensors");
    let (mut arrays, metadata) = read_arrays(&weights()).unwrap();
    arrays.get_mut("head.weight").unwrap().values.fill(1e38);
    write_arrays(&broken, &arrays, metadata).unwrap();
    let mut asked =
        archaeo(["attack", "--data", SHERDS, "--limit", "4", "--attack", "autoattack", "--weights"]);
    let sentence = fail(asked.arg(&broken));
    assert!(sentence.contains("broken.safetensors gives answers that are not finite"), "{sentence}");
}

#[test]
fn a_targeted_attack_leaves_out_the_images_of_its_target() {
    let all = json(&mut attack(&["--epsilon", "8"]));
    let result = json(&mut attack(&[
        "--epsilon",
        "8",
        "--target",
        "disc",
        "--loss",
        "cross-entropy",
        "--steps",
        "20",
    ]));
    assert_eq!(result["target"], "disc");
    assert!(result["n"].as_u64().unwrap() < all["n"].as_u64().unwrap());
    let numbered =
        json(&mut attack(&["--epsilon", "8", "--target", "0", "--loss", "cross-entropy", "--steps", "20"]));
    assert_eq!(numbered, result);
}

const RESNET: &str = r#"
image_size = 16
epochs = 2
batch_size = 32
learning_rate = 1e-2
[model]
architecture = "resnet"
stem = "cifar"
branch = "basic"
blocks = [1, 1, 1, 1]
width = 4
"#;

/// The weights of a tiny residual network next to [`weights`].
fn residual() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let recipe = folder.path().join("resnet.toml");
        fs::write(&recipe, RESNET).unwrap();
        let mut command = archaeo(["train", "--data", SHERDS, "--config"]);
        succeed(command.arg(&recipe).arg("--out").arg(folder.path().join("run")));
        folder
    });
    folder.path().join("run/model.safetensors")
}

fn named(name: &str, weights: &Path) -> String {
    format!("{name}={}", weights.display())
}

/// A model and itself under another name fall to the same images; what it does alone is on the diagonal.
#[test]
fn a_transfer_matrix_has_each_model_on_its_diagonal() {
    let (twin, other) = (named("twin", &weights()), named("other", &residual()));
    let ask = |batch: &str| {
        json(&mut attack(&[
            "--add",
            &twin,
            "--add",
            &other,
            "--epsilon",
            "4,8",
            "--limit",
            "30",
            "--batch-size",
            batch,
        ]))
    };
    let result = ask("30");
    assert_eq!(ask("7"), result);
    assert_eq!(result["models"].as_array().unwrap().len(), 3);
    for point in result["points"].as_array().unwrap() {
        let size = point["epsilon"].as_f64().unwrap().to_string();
        let fooled: Vec<&Value> =
            point["matrix"].as_array().unwrap().iter().map(|of| &of["fooled"]).collect();
        assert_eq!(fooled.len(), 9);
        assert!(fooled[0] == fooled[1] && fooled[0] == fooled[3] && fooled[0] == fooled[4], "{fooled:?}");
        assert_eq!(fooled[2], fooled[5]);
        let alone = json(&mut attack(&["--epsilon", &size, "--limit", "30"]));
        assert_eq!(point["robust"][0]["value"], alone["points"][1]["accuracy"]);
        let alone = json(
            archaeo(["attack", "--data", SHERDS, "--limit", "30", "--epsilon", &size, "--weights"])
                .arg(residual()),
        );
        assert_eq!(point["robust"][2]["value"], alone["points"][1]["accuracy"]);
        let twins = &point["pairs"][0]["robust"];
        assert_eq!((&twins["only_first"], &twins["only_second"]), (&0.into(), &0.into()));
    }
    let same = fail(&mut attack(&["--add", &twin, "--add", &twin]));
    assert!(same.contains("two models are called twin"), "{same}");
    let smallest = fail(&mut attack(&["--attack", "ddn", "--add", &twin]));
    assert!(smallest.contains("DDN looks for the smallest perturbation"), "{smallest}");
    let shrunk = fail(&mut attack(&[
        "--add",
        &other,
        "--limit",
        "4",
        "--add",
        &named("gone", Path::new("no-such-file")),
    ]));
    assert!(shrunk.contains("no-such-file"), "{shrunk}");
}

#[test]
fn one_image_is_made_for_two_models() {
    let other = named("other", &residual());
    let saga = |options: &[&str]| {
        let mut all = vec!["--attack", "saga", "--epsilon", "8,32", "--limit", "30"];
        all.extend(options);
        json(&mut attack(&all))
    };
    let result = saga(&["--add", &other]);
    assert_eq!(result["models"][1], "other");
    for point in result["points"].as_array().unwrap() {
        let share = |of: &Value| of["value"].as_f64().unwrap();
        let [first, second] = [0, 1].map(|of: usize| share(&point["fooled"][of]));
        let both = share(&point["fools_both"]);
        assert!(both <= first.min(second) && both >= first + second - 1.0 - 1e-9, "{point}");
        assert_eq!(point["fooled"][0]["n"], result["both"]);
    }
    // Whichever is named first, the transformer is.
    let twisted = json(
        archaeo([
            "attack",
            "--data",
            SHERDS,
            "--attack",
            "saga",
            "--epsilon",
            "8,32",
            "--limit",
            "30",
            "--weights",
        ])
        .arg(residual())
        .args(["--add", &named("vit", &weights())]),
    );
    assert_eq!(twisted["points"], result["points"]);
    // For a model and itself one image fools both or none.
    let twins = saga(&["--add", &named("twin", &weights()), "--steps", "3"]);
    for point in twins["points"].as_array().unwrap() {
        assert_eq!(point["fooled"][0], point["fools_both"]);
        assert_eq!(point["fooled"][1], point["fools_both"]);
    }
    let network = named("again", &residual());
    let sentence = fail(
        archaeo(["attack", "--data", SHERDS, "--attack", "saga", "--limit", "4", "--weights"])
            .arg(residual())
            .args(["--add", &network]),
    );
    assert!(sentence.contains("and neither has"), "{sentence}");
}

fn pictures(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => found.extend(pictures(&entry)),
            false => drop(found.insert(entry.clone(), fs::read(&entry).unwrap())),
        }
    }
    found
}

/// The images that were saved are what the numbers are about: read as data, they get the answers that were reported.
#[test]
fn saved_images_read_again_get_the_same_answers() {
    let folder = TempDir::new().unwrap();
    let saved = folder.path().join("saved");
    let saved_name = saved.to_str().unwrap();
    let options = ["--attack", "apgd", "--steps", "10", "--epsilon", "2,8", "--save", saved_name];
    let result = json(&mut attack(&options));
    let manifest: Value = serde_json::from_slice(&fs::read(saved.join("attacked.json")).unwrap()).unwrap();
    let images = manifest["images"].as_array().unwrap();
    assert_eq!((images.len(), &manifest["complete"]), (12, &true.into()));
    assert_eq!(manifest["weights_sha256"], sha256_file(&weights()).unwrap());
    for (size, point) in [("2", 1), ("8", 2)] {
        let read = |what: &str| -> f64 {
            let mut asked = archaeo(["evaluate", "--crop", "1", "--data"]);
            asked.arg(saved.join(what)).arg("--weights").arg(weights());
            json(&mut asked)["top1"].as_f64().unwrap()
        };
        let right = |image: &&Value| image["attacked"][size]["success"] == false;
        assert_eq!((read(size) * 12.0).round() as usize, images.iter().filter(right).count(), "{size}");
        let clean = result["points"][0]["accuracy"].as_f64().unwrap();
        assert_eq!(read("clean"), clean);
        assert!(result["points"][point]["accuracy"].as_f64().unwrap() <= clean);
        for image in images {
            let picture =
                |name: &Value| decode(&fs::read(saved.join(name.as_str().unwrap())).unwrap()).unwrap();
            let (clean, attacked) = (picture(&image["clean"]), picture(&image["attacked"][size]["file"]));
            let change =
                clean.pixels().iter().zip(attacked.pixels()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(change <= size.parse().unwrap());
            let lengths = image["attacked"][size]["lengths"].as_array().unwrap();
            assert!((lengths[0].as_f64().unwrap() * 255.0 - f64::from(change)).abs() < 1e-3);
        }
    }
}

/// Stopped after any record and begun again, an attack comes to the same, and does not do again what it has recorded.
#[test]
fn an_attack_that_was_interrupted_goes_on_where_it_stopped() {
    let folder = TempDir::new().unwrap();
    let saved = folder.path().join("saved");
    let ask = || {
        let mut asked = attack(&["--attack", "autoattack", "--epsilon", "1", "--limit", "6"]);
        asked.arg("--save").arg(&saved);
        asked
    };
    let result = json(&mut ask());
    let whole = pictures(&saved);
    let records = fs::read_to_string(saved.join("records.jsonl")).unwrap();
    let lines: Vec<&str> = records.lines().collect();
    assert!(lines.len() > 6, "{}", lines.len());
    // A record that says what no attack would: it is believed, since it is of the same question.
    fs::write(saved.join("records.jsonl"), lines[..4].join("\n") + "\n" + &lines[4][..9]).unwrap();
    assert_eq!(json(&mut ask()), result);
    assert_eq!(pictures(&saved), whole);
    let planted = lines[1].replace("\"queries\":", "\"queries\":1000");
    fs::write(saved.join("records.jsonl"), [lines[0], &planted].join("\n") + "\n").unwrap();
    let queries = |result: &Value| result["points"][1]["queries"].as_f64().unwrap();
    assert!(queries(&json(&mut ask())) > queries(&result));
    // Another question begins anew.
    let other = json(ask().args(["--norm", "l2"]));
    assert_eq!(
        other,
        json(
            attack(&["--attack", "autoattack", "--epsilon", "1", "--limit", "6", "--norm", "l2"])
                .args(["--batch-size", "2"])
        )
    );
    fs::create_dir(folder.path().join("other")).unwrap();
    fs::write(folder.path().join("other/thesis.txt"), "mine").unwrap();
    let refused = fail(&mut attack(&["--save", folder.path().join("other").to_str().unwrap()]));
    assert!(refused.contains("holds no adversarial images of this program"), "{refused}");
}
