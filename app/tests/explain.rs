//! `archaeo explain`: what it reads, writes, prints and refuses.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use archaeo_plot::{Image, save_png};
use archaeo_store::arrays::{Values, read_export};
use support::{SHERDS, VIT_CONFIG, archaeo, fail, json, stderr, stdout, succeed};
use tempfile::TempDir;

/// Weights of a tiny ViT, trained once for all tests.
fn weights() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = TempDir::new().expect("a temporary folder");
        let mut command =
            archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1", "--out"]);
        succeed(command.arg(folder.path()));
        folder
    });
    folder.path().join("model.safetensors")
}

fn explain(folder: &Path, words: &[&str]) -> Command {
    let mut command = archaeo(["explain"]);
    command.args(words).arg("--weights").arg(weights()).current_dir(folder);
    command
}

fn photo(file: &Path, level: u8) {
    let pixels = (0..40 * 30 * 3).map(|i| (i * usize::from(level) % 251) as u8).collect();
    save_png(&Image::new(40, 30, pixels), file).unwrap();
}

#[test]
fn files_and_folders_are_explained_with_names() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("photos")).unwrap();
    for (name, level) in [("one.png", 7), ("photos/two.png", 11), ("photos/three.png", 13)] {
        photo(&path(name), level);
    }
    let words =
        ["one.png", "photos", "--methods", "rollout,random", "--target", "disc", "--export", "maps.npz"];
    let found = json(&mut explain(folder.path(), &words));
    let written: serde_json::Value =
        serde_json::from_slice(&fs::read(path("archaeo-explained/explained.json")).unwrap()).unwrap();
    assert_eq!(found, written);
    let images = found["images"].as_array().unwrap();
    let names: Vec<&str> = images.iter().map(|image| image["image"].as_str().unwrap()).collect();
    assert_eq!(names, ["one.png", "three.png", "two.png"]);
    for image in images {
        assert_eq!(image["target"]["name"], "disc");
        assert_eq!(image["predictions"].as_array().unwrap().len(), 5);
        assert!(image["label"].is_null() && image["localisation"].is_null());
        let pictures = path("archaeo-explained").join(image["folder"].as_str().unwrap());
        for picture in ["methods.png", "method-rollout.svg", "layers.svg", "input.png"] {
            assert!(pictures.join(picture).is_file(), "{picture}");
        }
        let svg = fs::read_to_string(pictures.join("method-rollout.svg")).unwrap();
        assert!(
            svg.contains(">Rollout</text>")
                && svg.contains(&format!(">{}</text>", image["image"].as_str().unwrap()))
        );
    }
    assert!(path("maps.npz").is_file());

    let output = succeed(&mut explain(folder.path(), &["one.png", "--methods", "rollout"]));
    let said = stdout(&output);
    assert!(
        said.starts_with("vit on 1 image: rollout\none.png  ")
            || said.contains("on 1 image: rollout\none.png  "),
        "{said}"
    );
    assert!(said.contains("pictures are in archaeo-explained"), "{said}");
}

#[test]
fn labels_are_explained_where_there_are_some() {
    let folder = TempDir::new().unwrap();
    let words = ["--data", SHERDS, "--limit", "12", "--methods", "rollout", "--target", "label"];
    let found = json(&mut explain(folder.path(), &words));
    assert_eq!(found["n"], 12);
    for image in found["images"].as_array().unwrap() {
        assert_eq!(image["target"]["name"], image["label"]);
    }
    let verdict = &found["localisation"]["methods"]["rollout"]["over_centre"]["better"];
    assert!(["yes", "no", "cannot be told"].iter().any(|word| verdict == word), "{verdict}");

    photo(&folder.path().join("one.png"), 7);
    let sentence = fail(&mut explain(folder.path(), &["one.png", "--target", "label", "--out", "none"]));
    assert!(sentence.contains("one.png") && sentence.contains("single image"), "{sentence}");
    assert!(!folder.path().join("none").exists());
}

#[test]
fn what_is_wrong_is_one_sentence_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    photo(&path("one.png"), 7);
    let whole = fs::read(path("one.png")).unwrap();
    fs::write(path("cut.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(path("notes.txt"), "no image").unwrap();
    fs::create_dir(path("thesis")).unwrap();
    fs::write(path("thesis/thesis.txt"), "mine").unwrap();
    for (words, expected) in [
        (&["one.png", "cut.png"][..], "cut.png"),
        (&["none.png"], "none.png"),
        (&["notes.txt"], "notes.txt"),
        (&["one.png", "--target", "disk"], "did you mean `disc`?"),
        (&["one.png", "--layer", "9"], "--layer 9"),
        (&["one.png", "--layer", "0"], "layers are numbered from 1"),
        (&["one.png", "--methods", "rolout"], "rolout"),
        (&["one.png", "--out", "thesis"], "give --out a new or an empty folder"),
        (&["one.png", "--out", "one.png"], "give --out a new or an empty folder"),
        (&["one.png", "--export", "maps.txt"], "its ending must be"),
    ] {
        let sentence = fail(&mut explain(folder.path(), words));
        assert!(sentence.contains(expected), "{words:?}\n{sentence}");
    }
    let mut left: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["cut.png", "notes.txt", "one.png", "thesis"]);
}

#[test]
fn a_residual_network_is_explained_without_attention() {
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("cnn");
    let mut train = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1"]);
    succeed(train.args(["--set", "model=resnet_micro", "--out"]).arg(&run));
    let ask = |words: &[&str]| {
        let mut command = archaeo(["explain", "--data", SHERDS, "--limit", "2", "--weights"]);
        command.arg(run.join("model.safetensors")).args(words).current_dir(folder.path());
        command
    };
    let output = succeed(&mut ask(&[]));
    let said = stderr(&output);
    assert!(said.contains("note: without rollout") && said.contains("no attention heads"), "{said}");
    let sentence = fail(&mut ask(&["--methods", "rollout"]));
    assert!(
        sentence.contains("--methods rollout: ") && sentence.contains("no attention heads"),
        "{sentence}"
    );
}

/// The rollout of `explain` is that of `attention`, whichever is asked for.
#[test]
fn rollout_is_the_same_for_both_commands() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (flags, array, said) in [
        (
            &["--fusion", "max", "--discard", "0.5"][..],
            "rollout",
            "largest over heads, 50 % of each row discarded",
        ),
        (&["--start-layer", "2"], "rollout", "from layer 2"),
        (
            &["--impl", "vit-explain"],
            "rollout_vit_explain",
            "as vit-explain computes it, 90 % of each matrix discarded",
        ),
    ] {
        let shared = |command: &str, method: &str, export: &str| {
            let mut asked =
                archaeo([command, "--data", SHERDS, "--limit", "3", method, "rollout", "--export", export]);
            asked.args(flags).arg("--weights").arg(weights()).current_dir(folder.path());
            asked
        };
        let found = json(&mut shared("explain", "--methods", "explained.safetensors"));
        assert_eq!(found["rollout"], said);
        succeed(&mut shared("attention", "--method", "attended.safetensors"));
        let maps = |name: &str| {
            let arrays = read_export(&path(name)).unwrap();
            let found = arrays.into_iter().find(|found| found.name == array).expect("its name");
            let Values::F32(values) = found.values else { panic!("numbers") };
            values
        };
        assert_eq!(maps("explained.safetensors"), maps("attended.safetensors"), "{flags:?}");
    }
    let words = ["--data", SHERDS, "--impl", "vit-explain", "--start-layer", "2"];
    assert!(fail(&mut explain(folder.path(), &words)).contains("leave out --start-layer"));
    let words = ["--data", SHERDS, "--start-layer", "3"];
    assert!(fail(&mut explain(folder.path(), &words)).contains("--start-layer 3"));
}
