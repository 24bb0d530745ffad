//! Zero-shot classification by the command line, with a CLIP of random weights.

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use archaeo_models::clip::{Clip, ClipConfig, Prompts};
use archaeo_models::{ModelCard, NetworkSpec, checkpoint, save, state_of, usual, write_arrays};
use archaeo_ops::Precision;
use archaeo_random::{keyed_rng, standard_normal};
use archaeo_store::arrays::{Values, read_export};
use burn::tensor::Device;
use support::{archaeo, fail, json};
use tempfile::TempDir;

const NAME: &str = "clip_vit_micro_patch4";
const SHERDS: &str = "sherds:size=32,train=32,val=32,test=40,aligned=32,conflict=32";
const CLASSES: [&str; 10] = ["cat", "dog", "bird", "fish", "tree", "house", "car", "ship", "moon", "shoe"];

struct World {
    folder: TempDir,
    weights: PathBuf,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("clip.safetensors");
        let model = Clip::new(&ClipConfig::named(NAME, 32).unwrap(), &Device::flex()).unwrap();
        let mut state = state_of(&model);
        for (name, array) in state.iter_mut().filter(|(_, array)| array.shape.len() > 1) {
            let mut rng = keyed_rng(0, name, 0, 0);
            array.values.iter_mut().for_each(|value| *value = (0.3 * standard_normal(&mut rng)) as f32);
        }
        write_arrays(&weights, &state, HashMap::new()).unwrap();
        Self { folder, weights }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, lines: &[&str]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, lines.join("\n")).unwrap();
        path
    }

    fn ask(&self, command: &str) -> Command {
        self.ask_as(command, NAME)
    }

    fn ask_as(&self, command: &str, model: &str) -> Command {
        let mut asked = archaeo([command, "--data", SHERDS, "--model", model, "--weights"]);
        asked.arg(&self.weights);
        asked
    }

    /// Logits of the images with these prompts and class names, a row an image.
    fn logits(&self, prompts: &Path, classes: &[&str]) -> Vec<Vec<f32>> {
        let names = self.file("names.txt", classes);
        let export = self.path("logits.safetensors");
        let mut command = self.ask("evaluate");
        command.arg("--prompts").arg(prompts).arg("--class-names").arg(names).arg("--export").arg(&export);
        assert_eq!(json(&mut command)["n"], 40);
        rows(&export)
    }
}

fn rows(export: &Path) -> Vec<Vec<f32>> {
    let logits = read_export(export).unwrap().into_iter().find(|array| array.name == "logits").unwrap();
    assert_eq!(logits.shape, [40, 10]);
    let Values::F32(values) = logits.values else { panic!("logits are 32-bit floats") };
    values.chunks(10).map(<[f32]>::to_vec).collect()
}

#[test]
fn logits_follow_the_names_and_are_those_of_the_library() {
    let world = World::new();
    let prompts = world.file("prompts.txt", &["a photo of a {}.", "", "one {} in the rain"]);
    let logits = world.logits(&prompts, &CLASSES);
    assert!(logits.iter().any(|row| row.iter().any(|logit| (logit - row[0]).abs() > 0.1)), "{:?}", logits[0]);

    // A class's logit is that of its name, wherever it stands.
    let mut reversed = CLASSES;
    reversed.reverse();
    for (mut row, expected) in world.logits(&prompts, &reversed).into_iter().zip(&logits) {
        row.reverse();
        assert_eq!(&row, expected);
    }

    // A classifier that the library made and saved answers the same without prompts.
    let config = ClipConfig::named(NAME, 32).unwrap();
    let clip = checkpoint::read(&world.weights).unwrap().into_clip(NAME, &config, &Device::flex()).unwrap();
    let card = ModelCard {
        name: NAME.into(),
        network: NetworkSpec::ZeroShot(config.zero_shot(10)),
        preprocessing: usual(NAME).preprocessing,
        classes: CLASSES.map(str::to_owned).to_vec(),
    };
    let templates = Prompts::parse(&fs::read_to_string(&prompts).unwrap()).unwrap();
    let model = clip.classifier(card, &templates, Precision::F32, &mut |_| {}).unwrap();
    let saved = world.path("saved.safetensors");
    save(&saved, &model, &[]).unwrap();
    let export = world.path("saved-logits.safetensors");
    let mut command = archaeo(["evaluate", "--data", SHERDS, "--weights"]);
    // Its classes are not Sherds', so that nothing can be scored; the logits are there all the same.
    let sentence = fail(command.arg(saved).arg("--export").arg(&export));
    assert!(sentence.contains("holds the logits, but nothing was scored"), "{sentence}");
    assert_eq!(rows(&export), logits);
}

#[test]
fn every_question_takes_prompts() {
    let world = World::new();
    let asked = |command: &str, options: &[&str]| {
        let mut asked = world.ask(command);
        json(asked.args(["--prompts", "cifar", "--limit", "8"]).args(options))
    };
    assert_eq!(asked("evaluate", &[])["n"], 8);
    assert_eq!(asked("attention", &[])["attention_distance"].as_array().unwrap().len(), 4);
    asked("attack", &["--attack", "fgsm", "--epsilon", "2"]);
    asked("ablate", &[]);
}

#[test]
fn prompts_are_scored_alone_together_and_left_out() {
    let world = World::new();
    let templates = ["a photo of a {}.", "one {} in the rain", "{} {}"];
    let top1 = |lines: &[&str]| {
        let file = world.file("some.txt", lines);
        json(world.ask("evaluate").arg("--prompts").arg(file))["top1"].clone()
    };
    let (file, out) = (world.file("all.txt", &templates), world.path("out"));
    let found = json(world.ask("prompts").arg("--prompts").arg(&file).arg("--out").arg(&out));
    assert_eq!(found["ensemble"]["value"], top1(&templates));
    assert_eq!((&found["n"], &found["pairs"]), (&40.into(), &3.into()));
    for (place, template) in templates.iter().enumerate() {
        assert_eq!(found["templates"][place], *template);
        let scores = &found["scores"][place];
        assert_eq!(scores["alone"]["value"], top1(&[template]), "{template}");
        let others: Vec<&str> = templates.iter().copied().filter(|other| other != template).collect();
        assert_eq!(scores["left_out"]["value"], top1(&others), "{template}");
    }
    assert_eq!(found["similarity"].as_array().unwrap().len(), 100);
    for name in ["similarity.png", "similarity.svg", "attention.png", "attention.svg", "prompts.json"] {
        assert!(out.join(name).is_file(), "{name}");
    }
    // Rollout towards a prompt is that of the class's logit, which is the cosine times one number.
    let towards = found["towards"].as_array().unwrap();
    assert_eq!(towards.len(), 4);
    for shown in towards {
        let [own, other] = [0, 1].map(|which| shown["classes"][which].as_u64().unwrap() as usize);
        assert_ne!(own, other);
        let [rows, columns] = [0, 1].map(|axis| shown["grid"][axis].as_u64().unwrap() as usize);
        let similarities = [0, 1].map(|which| shown["similarities"][which].as_f64().unwrap());
        assert!(similarities.iter().all(|cosine| cosine.abs() <= 1.0), "{similarities:?}");
        let maps = [0, 1].map(|which| shown["maps"][which].as_array().unwrap());
        assert!(maps.iter().all(|map| map.len() == rows * columns));
        assert_ne!(maps[0], maps[1], "another text, another map");
    }
    let said = fail(world.ask("prompts").arg("--prompts").arg(&file).arg("--out").arg(world.folder.path()));
    assert!(said.contains("holds no scores of prompts of this program"), "{said}");
    assert!(fail(&mut world.ask("prompts")).contains("whose classes are what prompts say"));
}

#[test]
fn features_of_images_need_no_prompts() {
    let world = World::new();
    let (with, without) = (world.path("with.safetensors"), world.path("without.safetensors"));
    json(world.ask("features").args(["--prompts", "imagenet", "--export"]).arg(&with));
    let found = json(world.ask("features").arg("--export").arg(&without));
    assert_eq!(found["found"]["roles"]["test"]["n"], 40);
    let features = |path: &Path| {
        let arrays = read_export(path).unwrap();
        arrays.into_iter().find(|array| array.name == "features").unwrap()
    };
    let plain = features(&without);
    assert_eq!(plain, features(&with));
    let Values::F32(values) = plain.values else { panic!("features are 32-bit floats") };
    for row in values.chunks(plain.shape[1]) {
        let length = row.iter().map(|value| value * value).sum::<f32>();
        assert!((length - 1.0).abs() < 1e-5, "CLIP's features have unit length: {length}");
    }
}

#[test]
fn prompts_that_cannot_be_used() {
    let world = World::new();
    let refused = |options: &[&str], paths: &[(&str, &Path)], expected: &str| {
        let mut command = world.ask("evaluate");
        command.args(options);
        for (option, path) in paths {
            command.arg(option).arg(path);
        }
        let said = fail(&mut command);
        assert!(said.contains(expected), "said   {said}\nwanted {expected}");
    };
    refused(&[], &[], "whose classes are what prompts say; give them with --prompts");
    refused(&["--prompts", "none.txt"], &[], "cannot read none.txt");
    let empty = world.file("empty.txt", &["", " "]);
    refused(&[], &[("--prompts", &empty)], "empty.txt holds no prompt templates");
    let placeless = world.file("placeless.txt", &["a {}", "a photo"]);
    refused(&[], &[("--prompts", &placeless)], "placeless.txt line 2, `a photo`, has no {}");
    let names = world.file("few.txt", &["cat", "dog"]);
    refused(
        &["--prompts", "cifar"],
        &[("--class-names", &names)],
        "it has no output for any of the data's classes (disc",
    );
    for (model, expected) in [
        ("vit_micro", "--prompts goes with CLIP, but vit_micro is none"),
        ("clip_vit_base_patch32", "does not fit clip_vit_base_patch32"),
    ] {
        let said = fail(world.ask_as("evaluate", model).args(["--prompts", "cifar"]));
        assert!(said.contains(expected), "{said}");
    }
}
