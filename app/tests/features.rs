//! `archaeo features` on a model that `train` makes in a second: what it exports and draws, what its results do not depend on, and what it
//! refuses.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use archaeo_plot::{Image, save_png};
use archaeo_store::arrays::{NamedArray, read_export};
use serde_json::Value;
use support::{SHERDS, VIT_CONFIG, archaeo, fail, json, read_json, stderr, succeed};
use tempfile::TempDir;

struct Trained {
    folder: TempDir,
    weights: PathBuf,
}

impl Trained {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        succeed(archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--out"]).arg(&run));
        Self { weights: run.join("model.safetensors"), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ask(&self, data: &str) -> Command {
        let mut asked = archaeo(["features", "--data", data, "--weights"]);
        asked.arg(&self.weights);
        asked
    }

    /// A folder with `count` images of each of two classes.
    fn images(&self, name: &str, count: usize) -> PathBuf {
        let folder = self.path(name);
        for (class, base) in [("light", 200u8), ("dark", 20)] {
            fs::create_dir_all(folder.join(class)).unwrap();
            for image in 0..count {
                let mut picture = Image::filled(16, 16, [base; 3]);
                picture.pixels_mut()[3 * image] = 255 - base;
                save_png(&picture, &folder.join(class).join(format!("{image}.png"))).unwrap();
            }
        }
        folder
    }
}

fn array(path: &Path, name: &str) -> NamedArray {
    let arrays = read_export(path).unwrap();
    arrays.into_iter().find(|array| array.name == name).unwrap_or_else(|| panic!("{name} is missing"))
}

#[test]
fn features_are_exported_in_the_order_of_the_data_and_pictures_drawn() {
    let trained = Trained::new();
    let [first, second, evaluated] =
        ["a.safetensors", "b.safetensors", "e.safetensors"].map(|name| trained.path(name));
    let out = trained.path("out");
    let found = json(trained.ask(SHERDS).args(["--random", "--export"]).arg(&first).arg("--out").arg(&out));
    let again = json(
        trained
            .ask(SHERDS)
            .args(["--random", "--batch-size", "7", "--threads", "1", "--export"])
            .arg(&second),
    );
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap(), "neither batch nor threads matter");
    assert_eq!(found["found"], again["found"]);
    assert_eq!(read_json(&out.join("features.json")), found);
    for name in ["clouds", "cka", "similar-1", "similar-2"] {
        assert!(
            out.join(format!("{name}.png")).is_file() && out.join(format!("{name}.svg")).is_file(),
            "{name}"
        );
    }
    assert!(out.join("layers.svg").is_file() && out.join("few-shot.svg").is_file());

    let mut evaluate = archaeo(["evaluate", "--data", SHERDS, "--weights"]);
    json(evaluate.arg(&trained.weights).arg("--export").arg(&evaluated));
    assert_eq!(array(&first, "labels"), array(&evaluated, "labels"));
    let features = array(&first, "features");
    assert_eq!(features.shape[0], 70);
    assert_eq!(array(&first, "features_2").shape, features.shape);
    assert_ne!(array(&first, "features_2"), features);
    let metadata = String::from_utf8_lossy(&fs::read(&first).unwrap()[8..]).into_owned();
    assert!(metadata.contains("class_names") && metadata.contains("image_names"));

    let models: Vec<&str> =
        found["models"].as_array().unwrap().iter().map(|of| of["called"].as_str().unwrap()).collect();
    assert!(models.len() == 2 && models[1].ends_with(", random"), "{models:?}");
    let of_first = &found["found"]["models"][models[0]];
    assert_eq!(of_first["width"], features.shape[1]);
    assert_eq!(of_first["learned"]["neighbours"][2]["k"], 20);
    assert_eq!(found["found"]["cka"].as_array().unwrap().len(), 3);
    assert_eq!(found["found"]["roles"]["training"]["split"], "train");
}

#[test]
fn the_same_weights_twice_have_the_same_features() {
    let trained = Trained::new();
    let copy = trained.path("copy.safetensors");
    fs::copy(&trained.weights, &copy).unwrap();
    let found = json(trained.ask(SHERDS).arg("--weights").arg(&copy).args(["--limit", "40"]));
    let pair = &found["found"]["pairs"][0];
    assert!(pair["models"][1].as_str().unwrap().ends_with(", copy"), "{pair}");
    assert_eq!((&pair["probe"]["only_first"], &pair["probe"]["only_second"]), (&0.into(), &0.into()));
    assert!((found["found"]["cka"][1]["features"]["value"].as_f64().unwrap() - 1.0).abs() < 1e-6);
}

#[test]
fn one_split_is_divided_and_images_without_labels_teach_nothing() {
    let trained = Trained::new();
    let labelled = trained.images("labelled", 20);
    let output = succeed(trained.ask(labelled.to_str().unwrap()).arg("--json"));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let roles = &found["found"]["roles"];
    assert_eq!(
        [&roles["training"]["n"], &roles["validation"]["n"], &roles["test"]["n"]]
            .map(|n| n.as_u64().unwrap()),
        [28, 4, 8]
    );
    assert!(roles["how"].as_str().unwrap().contains("the training split is learned from"), "{roles}");

    let bare = trained.path("bare");
    fs::create_dir(&bare).unwrap();
    for image in 0..32 {
        fs::copy(
            labelled.join("light").join(format!("{}.png", image % 20)),
            bare.join(format!("{image}.png")),
        )
        .unwrap();
    }
    let export = trained.path("bare.npz");
    let output = succeed(trained.ask(bare.to_str().unwrap()).arg("--json").arg("--export").arg(&export));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["found"]["not_learned"], "the images have no labels");
    assert!(stderr(&output).contains("nothing is learned from the features: the images have no labels"));
    let (_, model) = found["found"]["models"].as_object().unwrap().iter().next().unwrap();
    assert!(model["learned"].is_null() && model["picture"]["labels"].as_array().unwrap().is_empty());
    assert!(export.is_file());
}

#[test]
fn what_cannot_be_asked_is_refused_in_a_sentence() {
    let trained = Trained::new();
    let few = trained.images("few", 2);
    let said = fail(&mut trained.ask(few.to_str().unwrap()));
    assert!(said.contains("a probe takes 2 images of each class") && said.contains("--training"), "{said}");
    fs::write(trained.path("notes.txt"), "mine").unwrap();
    let said = fail(trained.ask(SHERDS).arg("--out").arg(trained.folder.path()));
    assert!(said.contains("holds no features of this program"), "{said}");
    let said = fail(trained.ask(SHERDS).args(["--export", "features.txt"]));
    assert!(said.contains("its ending must be .safetensors"), "{said}");
    let said = fail(trained.ask(SHERDS).args(["--weights", "none.safetensors"]));
    assert!(said.contains("none.safetensors"), "{said}");
}
