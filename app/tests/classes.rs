//! Which output of a model is which class of the data, through every command: by name, number or map, or not at all.

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use archaeo_models::{State, read_arrays, write_arrays};
use archaeo_plot::{Image, save_png};
use archaeo_store::arrays::{NamedArray, Values, read_export};
use serde_json::{Value, json as value};
use support::{SHERDS, VIT_CONFIG, archaeo, excavate, fail, json, stderr, succeed};
use tempfile::TempDir;

/// Where the metadata of a checkpoint has its card.
const CARD: &str = "archaeo.model";

/// The sentence that goes with what is uncertain.
const REMEDY: &str =
    "name its outputs in order with --class-names FILE, or say which class is which with --class-map FILE";

/// Four classes of pictures in plain colours, which are learnt in no time.
const COLOURS: [(&str, [u8; 3]); 4] =
    [("amber", [220, 160, 20]), ("blue", [20, 40, 220]), ("green", [20, 200, 40]), ("rose", [230, 80, 130])];

/// Pictures in folders `names`, in the order of [`COLOURS`].
fn pictures(folder: &Path, names: [&str; 4]) -> PathBuf {
    let data = folder.join("data");
    for ((_, colour), name) in COLOURS.iter().zip(names) {
        for (split, count) in [("train", 16), ("test", 6)] {
            let class = data.join(split).join(name);
            fs::create_dir_all(&class).unwrap();
            for image in 0..count {
                let shade =
                    |i: usize| usize::from(colour[i % 3]).saturating_sub((i * (image + 3)) % 23) as u8;
                let pixels = (0..16 * 16 * 3).map(shade).collect();
                save_png(&Image::new(16, 16, pixels), &class.join(format!("{image:02}.png"))).unwrap();
            }
        }
    }
    data
}

/// A residual network that tells the four colours apart, trained once for all tests; it is recognised by its arrays.
fn colourist() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let data = pictures(folder.path(), COLOURS.map(|(name, _)| name));
        let mut command =
            archaeo(["train", "--config", VIT_CONFIG, "--set", "model=\"resnet20_cifar\"", "--data"]);
        command.arg(data).args([
            "--set",
            "epochs=20",
            "--set",
            "batch_size=8",
            "--set",
            "data.validation=0.2",
            "--out",
        ]);
        succeed(command.arg(folder.path().join("run")));
        folder
    });
    folder.path()
}

/// The same weights without their card, so that nobody names the outputs; the outputs in `order`.
fn nameless(folder: &Path, order: [usize; 4]) -> PathBuf {
    let (mut state, _) = read_arrays(&colourist().join("run/model.safetensors")).unwrap();
    permute(&mut state, &order);
    let path = folder.join("nameless.safetensors");
    write_arrays(&path, &state, HashMap::new()).unwrap();
    path
}

/// Puts the rows of the head in another order.
fn permute(state: &mut State, order: &[usize]) {
    let heads: Vec<String> = state
        .keys()
        .filter(|name| ["head.", "fc.", "linear."].iter().any(|head| name.starts_with(head)))
        .cloned()
        .collect();
    assert_eq!(heads.len(), 2, "{heads:?}");
    for name in heads {
        let array = state.get_mut(&name).unwrap();
        let row = array.values.len() / order.len();
        array.values =
            order.iter().flat_map(|&output| array.values[output * row..][..row].to_vec()).collect();
    }
}

fn ask(command: &str, weights: &Path, data: &Path) -> Command {
    let mut asked = archaeo([command, "--weights"]);
    asked.arg(weights).arg("--data").arg(data);
    asked
}

/// Scores and what was said.
fn scored(command: &mut Command) -> (Value, String) {
    let output = succeed(command.arg("--json"));
    (serde_json::from_slice(&output.stdout).unwrap(), stderr(&output))
}

#[test]
fn a_model_with_its_outputs_in_another_order_answers_the_same() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let trained = path("trained");
    succeed(&mut excavate(&trained));
    let order = [3, 7, 0, 9, 1, 2, 8, 4, 6, 5];
    let mut weights = Vec::new();
    for role in ["vit", "cnn"] {
        let (mut state, mut notes) = read_arrays(&trained.join(role).join("model.safetensors")).unwrap();
        permute(&mut state, &order);
        let mut card: Value = serde_json::from_str(&notes[CARD]).unwrap();
        card["classes"] = order.iter().map(|&output| card["classes"][output].clone()).collect();
        notes.insert(CARD.into(), card.to_string());
        let file = path(&format!("{role}.safetensors"));
        write_arrays(&file, &state, notes).unwrap();
        weights.push((trained.join(role).join("model.safetensors"), file));
    }

    let sherds = Path::new(SHERDS);
    for command in [
        &["evaluate"][..],
        &["attack", "--attack", "fgsm", "--epsilon", "2,8", "--limit", "30"],
        &["ablate", "--limit", "20"],
    ] {
        let [(mut own, nothing), (mut moved, said)] = [&weights[0].0, &weights[0].1]
            .map(|weights| scored(ask(command[0], weights, sherds).args(&command[1..])));
        assert!(!nothing.contains("matched"), "{nothing}");
        assert!(
            said.contains("in another order than the data's classes") && said.contains("by name"),
            "{said}"
        );
        assert_eq!(moved["classes"]["matched_by"], "name", "{command:?}");
        for result in [&mut own, &mut moved] {
            result.as_object_mut().unwrap().remove("classes");
        }
        // A head's rows are summed in the same order wherever they stand; softmax is not, in the last digit.
        assert_close(&own, &moved, command[0]);
    }

    let [own, moved] = ["own", "moved"].map(path);
    succeed(excavate(&own).arg("--vit").arg(&weights[0].0).arg("--cnn").arg(&weights[1].0));
    let said =
        stderr(&succeed(excavate(&moved).arg("--vit").arg(&weights[0].1).arg("--cnn").arg(&weights[1].1)));
    assert_eq!(said.matches("in another order than the data's classes").count(), 2, "{said}");
    // Once the outputs are in the data's order the models are the same to the last bit.
    let without_models = |folder: &Path| {
        let mut all = support::investigation(folder);
        all.as_object_mut().unwrap().remove("models");
        // Of weights in their run folder it is known how they were trained; those in another order lie elsewhere.
        all["not_applicable"].as_object_mut().unwrap().remove("regimes");
        all
    };
    support::assert_equal(&without_models(&own), &without_models(&moved));
    assert_eq!(support::investigation(&moved)["models"][0]["classes_matched_by"], "name");
}

fn assert_close(one: &Value, other: &Value, path: &str) {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()), "{path}");
            a.iter().for_each(|(key, value)| assert_close(value, &b[key], &format!("{path}/{key}")));
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().for_each(|(i, (a, b))| assert_close(a, b, &format!("{path}/{i}")));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-6 * (1.0 + a.abs()), "{path}: {a} and {b}");
        }
        (a, b) => assert_eq!(a, b, "{path}"),
    }
}

#[test]
fn without_names_the_order_of_the_folders_is_taken_and_said() {
    let folder = TempDir::new().unwrap();
    let data = pictures(folder.path(), COLOURS.map(|(name, _)| name));
    let weights = nameless(folder.path(), [0, 1, 2, 3]);
    let (result, said) = scored(&mut ask("evaluate", &weights, &data));
    assert_eq!((&result["top1"], &result["classes"]["matched_by"]), (&value!(1.0), &value!("order")));
    assert!(said.contains("The model names no classes: its outputs are taken in the order of the data's classes, amber, blue"), "{said}");
    assert!(said.contains(REMEDY), "{said}");

    // In another order nothing is right, until a file says what the outputs are.
    let weights = nameless(folder.path(), [2, 3, 0, 1]);
    assert_eq!(scored(&mut ask("evaluate", &weights, &data)).0["top1"], 0.0);
    let names = folder.path().join("names.txt");
    fs::write(&names, "green\nrose\namber\nBlue\n").unwrap();
    for command in ["evaluate", "attack"] {
        let mut asked = ask(command, &weights, &data);
        asked.arg("--class-names").arg(&names);
        if command == "attack" {
            asked.args(["--attack", "fgsm", "--epsilon", "1"]);
        }
        let (result, said) = scored(&mut asked);
        let accuracy = if command == "attack" { &result["points"][0]["accuracy"] } else { &result["top1"] };
        assert_eq!((accuracy, &result["classes"]["matched_by"]), (&value!(1.0), &value!("name")), "{said}");
    }
    fs::write(&names, "green\nrose\n").unwrap();
    let sentence = fail(ask("evaluate", &weights, &data).arg("--class-names").arg(&names));
    assert!(
        sentence.contains("names.txt names 2 classes, but") && sentence.contains("has 4 outputs"),
        "{sentence}"
    );

    // The investigation says the same, and takes the same remedy.
    let cnn = |out: &str, names: Option<&Path>| {
        let mut command = archaeo(["excavate", "--config", support::CONFIG, "--set", "batch_size=8"]);
        command.arg("--cnn");
        command.arg(&weights).arg("--data").arg(&data).arg("--out").arg(folder.path().join(out));
        command.args(names.map(|_| "--cnn-class-names")).args(names);
        let said = stderr(&succeed(&mut command));
        let all = support::investigation(&folder.path().join(out));
        (all["accuracy"]["splits"][0]["models"]["cnn"]["top1"]["value"].clone(), said)
    };
    let (top1, said) = cnn("guessed", None);
    assert_eq!(top1, 0.0);
    assert!(
        said.contains("If that is wrong, name its outputs in order with --class-names cnn=FILE"),
        "{said}"
    );
    fs::write(&names, "green\nrose\namber\nblue\n").unwrap();
    assert_eq!(cnn("named", Some(&names)).0, 1.0);
}

#[test]
fn a_map_says_which_class_is_which() {
    let folder = TempDir::new().unwrap();
    let data = pictures(folder.path(), ["bernstein", "blau", "green", "other"]);
    let weights = colourist().join("run/model.safetensors");
    let sentence = fail(&mut ask("evaluate", &weights, &data));
    for part in [
        "it has no output for 3 of the data's 4 classes (bernstein, blau, other)",
        "its outputs are amber, blue, green, rose",
        "--class-map FILE (a line for each class: the data's class, a comma, and the model's class or its number",
        "--class-names FILE",
    ] {
        assert!(sentence.contains(part), "{sentence}\nlacks {part}");
    }
    let map = folder.path().join("map.csv");
    let with_map = |text: &str, command: &str| {
        fs::write(&map, text).unwrap();
        let mut asked = ask(command, &weights, &data);
        asked.arg("--class-map").arg(&map);
        asked
    };
    let (result, said) = scored(&mut with_map("bernstein,amber\nblau,1\nother,\n", "evaluate"));
    assert_eq!((&result["n"], &result["top1"]), (&value!(18), &value!(1.0)));
    assert_eq!(result["classes"]["left_out"], 1);
    assert!(said.contains("leaves out 1 of the data's classes (other), with 6 of 24 images"), "{said}");
    let (result, _) = scored(with_map("bernstein\tamber\nblau\tblue\nother\trose\n", "attack").args([
        "--epsilon",
        "1",
        "--steps",
        "1",
    ]));
    assert_eq!((&result["n"], &result["points"][0]["accuracy"]), (&value!(24), &value!(1.0)));

    let sentence = fail(&mut with_map("bernstien,amber\nblau,bleu\n", "evaluate"));
    for part in [
        "map.csv cannot be used as a class map",
        "line 1: the data has no class `bernstien` (did you mean `bernstein`?)",
        "line 2: the model has no class `bleu` (did you mean `blue`?)",
    ] {
        assert!(sentence.contains(part), "{sentence}\nlacks {part}");
    }
    let all = "bernstein,\nblau,\ngreen,-\nother,\n";
    assert!(fail(&mut with_map(all, "evaluate")).contains("no image of"), "nothing is left");
    fs::remove_file(&map).unwrap();
    let sentence = fail(ask("evaluate", &weights, &data).arg("--class-map").arg(&map));
    assert!(sentence.contains("cannot read") && sentence.contains("map.csv"), "{sentence}");
}

#[test]
fn logits_can_be_had_where_nothing_can_be_scored() {
    let folder = TempDir::new().unwrap();
    let data = pictures(folder.path(), ["a", "b", "c", "d"]);
    let weights = colourist().join("run/model.safetensors");
    let export = folder.path().join("logits.safetensors");
    let sentence = fail(ask("evaluate", &weights, &data).arg("--export").arg(&export));
    assert!(
        sentence.contains("logits.safetensors holds the logits, but nothing was scored: the classes of"),
        "{sentence}"
    );
    let arrays = read_export(&export).unwrap();
    let names: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
    assert_eq!(names, ["logits", "predicted", "top_k"], "no labels, for there are none");
    // They are those of the same pictures under names that are known.
    let known = TempDir::new().unwrap();
    let data = pictures(known.path(), COLOURS.map(|(name, _)| name));
    let export = known.path().join("logits.safetensors");
    json(ask("evaluate", &weights, &data).arg("--export").arg(&export));
    assert_eq!(named(&read_export(&export).unwrap(), "logits"), named(&arrays, "logits"));
}

fn named<'a>(arrays: &'a [NamedArray], name: &str) -> &'a Values {
    &arrays.iter().find(|array| array.name == name).unwrap().values
}

#[test]
fn sherds_are_the_data_of_models_that_were_trained_on_them_alone() {
    let folder = TempDir::new().unwrap();
    let foreign = nameless(folder.path(), [0, 1, 2, 3]);
    for command in ["evaluate", "attack", "ablate", "attention"] {
        let sentence = fail(archaeo([command, "--weights"]).arg(&foreign));
        assert!(sentence.contains("nameless.safetensors was not trained on Sherds"), "{sentence}");
        assert!(sentence.contains("say which images to use with --data SOURCE"), "{sentence}");
    }
    let sentence =
        fail(archaeo(["excavate", "--cnn"]).arg(&foreign).arg("--out").arg(folder.path().join("out")));
    assert!(sentence.contains("was not trained on Sherds"), "{sentence}");

    let run = folder.path().join("run");
    let mut train =
        archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "training.epochs=1", "--out"]);
    succeed(train.arg(&run));
    let result = json(archaeo(["evaluate", "--limit", "10", "--weights"]).arg(&run));
    assert_eq!((&result["n"], &result["data"]), (&value!(10), &value!("sherds")));
}

#[test]
fn a_head_that_is_drawn_anew_is_not_scored() {
    let folder = TempDir::new().unwrap();
    let data = pictures(folder.path(), COLOURS.map(|(name, _)| name));
    let weights = colourist().join("run/model.safetensors");
    for command in ["evaluate", "attack", "ablate"] {
        for options in [&["--replace-head"][..], &["--allow-missing", "linear.bias"]] {
            let sentence = fail(ask(command, &weights, &data).args(options));
            assert!(
                sentence.contains(options[0]) && sentence.contains("initialised head predicts at random"),
                "{sentence}"
            );
        }
    }
}

#[test]
fn attention_needs_no_head_and_no_known_classes() {
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("run");
    let mut train =
        archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1", "--out"]);
    succeed(train.arg(&run));
    let data = pictures(folder.path(), ["a", "b", "c", "d"]);
    let whole = json(ask("attention", &run, &data).args(["--limit", "6"]));
    let (mut state, mut notes) = read_arrays(&run.join("model.safetensors")).unwrap();
    state.retain(|name, _| !name.starts_with("head."));
    let mut card: Value = serde_json::from_str(&notes[CARD]).unwrap();
    card["classes"] = value!([]);
    card["network"]["classes"] = 0.into();
    notes.insert(CARD.into(), card.to_string());
    let backbone = folder.path().join("backbone.safetensors");
    write_arrays(&backbone, &state, notes).unwrap();
    let result = json(ask("attention", &backbone, &data).args(["--limit", "6"]));
    assert_eq!(result["attention_distance"], whole["attention_distance"]);
    let sentence = fail(&mut ask("evaluate", &backbone, &data));
    assert!(sentence.contains("backbone.safetensors has no head"), "{sentence}");
}

#[test]
fn numbers_name_outputs_and_are_sorted_as_numbers() {
    let folder = TempDir::new().unwrap();
    let weights = nameless(folder.path(), [0, 1, 2, 3]);
    let data = pictures(folder.path(), ["0", "1", "2", "3"]);
    let (result, said) = scored(&mut ask("evaluate", &weights, &data));
    assert_eq!((&result["top1"], &result["classes"]["matched_by"]), (&value!(1.0), &value!("number")));
    assert!(!said.contains("output"), "{said}");
    // Counted from 1.
    let folder = TempDir::new().unwrap();
    let data = pictures(folder.path(), ["1", "2", "3", "4"]);
    let (result, said) = scored(&mut ask("evaluate", &weights, &data));
    assert_eq!(result["top1"], 1.0);
    assert!(said.contains("counted from 1 (1 is output 0)"), "{said}");
    // A model that names its outputs takes numbers, too.
    let own = colourist().join("run/model.safetensors");
    let folder = TempDir::new().unwrap();
    let data = pictures(folder.path(), ["0", "1", "2", "3"]);
    let (result, said) = scored(&mut ask("evaluate", &own, &data));
    assert_eq!(result["top1"], 1.0);
    assert!(said.contains("counted from 0 (0 is amber)"), "{said}");
}
