//! `archaeo attack --attack minimal`: distances, their median and curve, figures, images, and entries of RobustBench.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use archaeo_models::read_arrays;
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

fn minimal(options: &[&str]) -> Command {
    let mut asked = archaeo(["attack", "--attack", "minimal", "--steps", "8", "--limit", "10"]);
    asked.args(["--data", SHERDS, "--weights"]).arg(weights()).args(options);
    asked
}

#[test]
fn distances_median_and_curve_tell_one_story() {
    let folder = TempDir::new().unwrap();
    let export = folder.path().join("distances.safetensors");
    let out = folder.path().join("curves");
    let result = json(&mut minimal(&[
        "--export",
        export.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
        "--batch-size",
        "3",
    ]));
    assert_eq!(result["n"], 10);
    let norms = result["norms"].as_array().unwrap();
    let ids: Vec<&Value> = norms.iter().map(|of| &of["norm"]).collect();
    assert_eq!(ids, ["l2", "linf"]);
    let (arrays, _) = read_arrays(&export).unwrap();
    for (of, unit) in norms.iter().zip(["1", "1/255"]) {
        assert_eq!(of["unit"], unit);
        let distances: Vec<f64> = of["distances"]
            .as_array()
            .unwrap()
            .iter()
            .map(|of| of.as_f64().unwrap_or(f64::INFINITY))
            .collect();
        // Wrong without an attack is a distance of 0; the others are longer.
        let right = distances.iter().filter(|distance| **distance > 0.0).count();
        assert_eq!(result["correct"], right);
        assert_eq!(of["median"]["n"], right);
        for point in of["curve"].as_array().unwrap() {
            let at = point["at"].as_f64().unwrap();
            let share = distances.iter().filter(|distance| **distance > at).count() as f64 / 10.0;
            assert!((point["share"].as_f64().unwrap() - share).abs() < 1e-12);
            let end = |of: &str, place: usize| point[of][place].as_f64().unwrap();
            assert!(end("band", 0) <= share && share <= end("band", 1));
            assert!(end("interval", 0) <= share + 1e-12 && share <= end("interval", 1) + 1e-12);
        }
        let id = of["norm"].as_str().unwrap();
        let exported = &arrays[&format!("distances_{id}")].values;
        for (exported, distance) in exported.iter().zip(&distances) {
            assert!(
                (f64::from(*exported) - distance).abs() <= 1e-5 * distance.min(1e9) || distance.is_infinite()
            );
        }
        // The pool is as near as the nearest of its attacks.
        let nearest: Vec<u64> = of["attacks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|attack| attack["nearest"].as_u64().unwrap())
            .collect();
        assert!(nearest.iter().sum::<u64>() >= of["fooled"].as_u64().unwrap());
        for ending in ["svg", "png"] {
            let picture = fs::read(out.join(format!("minimal-{id}.{ending}"))).unwrap();
            assert!(
                picture.starts_with(if ending == "png" { b"\x89PNG" } else { b"<?xm" }) || ending == "svg"
            );
        }
    }
    // The same in any batches.
    let again = json(&mut minimal(&["--batch-size", "10"]));
    for of in ["l2", "linf"] {
        let distances = |result: &Value| {
            result["norms"].as_array().unwrap().iter().find(|norm| norm["norm"] == of).unwrap()["distances"]
                .clone()
        };
        assert_eq!(distances(&result), distances(&again));
    }
}

/// Images of the smallest perturbations are read as data, and get the answers that the manifest says.
#[test]
fn saved_images_of_smallest_perturbations_fool_when_they_are_read_again() {
    let folder = TempDir::new().unwrap();
    let saved = folder.path().join("saved");
    json(&mut minimal(&["--norm", "l2", "--save", saved.to_str().unwrap()]));
    for attack in ["ddn", "fmn"] {
        let of = saved.join("l2").join(attack);
        let manifest: Value = serde_json::from_slice(&fs::read(of.join("attacked.json")).unwrap()).unwrap();
        let images = manifest["images"].as_array().unwrap();
        assert_eq!(images.len(), 10);
        let right = images.iter().filter(|image| image["attacked"]["smallest"]["success"] == false).count();
        let data = of.join("smallest");
        let read =
            json(archaeo(["evaluate", "--crop", "1", "--data"]).arg(data).arg("--weights").arg(weights()));
        let accuracy = read["top1"].as_f64().unwrap();
        assert!((accuracy - right as f64 / 10.0).abs() < 1e-9, "{attack}: {accuracy}, not {right} of 10");
    }
}

#[test]
fn an_entry_of_robustbench_is_of_one_size() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("entry.json");
    let name = file.to_str().unwrap();
    let result = json(&mut minimal(&["--norm", "linf", "--epsilon", "1", "--robustbench-json", name]));
    let entry: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!((&entry["eps"], &entry["unreliable"]), (&"1/255".into(), &true.into()));
    let clean = result["correct"].as_f64().unwrap() * 10.0;
    assert_eq!(entry["clean_acc"], format!("{clean:.2}"));
    let distances = result["norms"][0]["distances"].as_array().unwrap();
    let robust = distances.iter().filter(|of| of.as_f64().is_none_or(|of| of > 1.0)).count() as f64 * 10.0;
    assert_eq!(entry["reported"], format!("{robust:.2}"));
    assert!(entry["autoattack_acc"].is_null());
    let two = ["--norm", "linf", "--epsilon", "1,2", "--robustbench-json", name];
    assert!(fail(&mut minimal(&two)).contains("an entry is of one size, and 2 are given"));
    for (options, said) in [
        (&["--epsilon", "1"][..], "give --norm too"),
        (
            &["--restarts", "2"],
            "--attack minimal does not take --restarts; it takes --norm, --epsilon, --steps, --target",
        ),
        (&["--norm", "linf", "--epsilon", "0.1"], "below half a level"),
    ] {
        let sentence = fail(&mut minimal(options));
        assert!(sentence.contains(said), "{sentence}");
    }
}
