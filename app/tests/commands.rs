//! Every command but `excavate` on models that `train` makes in a second: what it prints, exports, and depends on.

mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use archaeo_store::arrays::{NamedArray, Values, read_export};
use serde_json::{Value, json as value};
use support::{SHERDS, VIT_CONFIG, archaeo, fail, json, stderr, stdout, succeed};
use tempfile::TempDir;

/// A folder with a trained ViT.
struct Trained {
    folder: TempDir,
    weights: PathBuf,
}

fn train() -> Trained {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let result = json(archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--out"]).arg(&run));
    let weights = run.join("model.safetensors");
    assert_eq!(result["model"], weights.display().to_string());
    assert_eq!(result["epochs"], 2);
    assert!(result["validation"]["validation_accuracy"].as_f64().unwrap() >= 0.0);
    Trained { folder, weights }
}

impl Trained {
    /// A command about this model on Sherds.
    fn ask(&self, command: &str) -> Command {
        let mut asked = archaeo([command, "--data", SHERDS, "--weights"]);
        asked.arg(&self.weights);
        asked
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn arrays(path: &Path) -> HashMap<String, NamedArray> {
    read_export(path).unwrap().into_iter().map(|array| (array.name.clone(), array)).collect()
}

fn floats(array: &NamedArray) -> &[f32] {
    match &array.values {
        Values::F32(values) => values,
        Values::I64(_) => panic!("{} must hold 32-bit floats", array.name),
    }
}

fn integers(array: &NamedArray) -> &[i64] {
    match &array.values {
        Values::I64(values) => values,
        Values::F32(_) => panic!("{} must hold 64-bit integers", array.name),
    }
}

#[test]
fn evaluate_scores_and_exports_in_the_order_of_the_source() {
    let trained = train();
    let export = trained.path("one.safetensors");
    let scores = json(trained.ask("evaluate").arg("--export").arg(&export));
    assert_eq!(scores["n"], 70);
    let arrays_ = arrays(&export);
    let (logits, labels) = (&arrays_["logits"], integers(&arrays_["labels"]));
    assert_eq!(logits.shape, [70, 10]);
    assert_eq!(labels.len(), 70);
    // Sherds' classes take turns.
    assert!(labels.iter().enumerate().all(|(i, &label)| label == i as i64 % 10), "{labels:?}");

    // The printed numbers follow from the exported arrays.
    let rows: Vec<&[f32]> = floats(logits).chunks(10).collect();
    let rank = |row: &[f32], label: usize| row.iter().filter(|&&logit| logit > row[label]).count();
    let within = |k: usize| {
        let hits = rows.iter().zip(labels).filter(|(row, label)| rank(row, **label as usize) < k).count();
        hits as f64 / 70.0
    };
    assert_eq!(scores["top1"].as_f64().unwrap(), within(1));
    assert_eq!(scores["top5"].as_f64().unwrap(), within(5));
    let loss = |(row, label): (&&[f32], &i64)| {
        let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
        sum.ln() - f64::from(row[*label as usize])
    };
    let nll = rows.iter().zip(labels).map(loss).sum::<f64>() / 70.0;
    assert!((scores["nll"].as_f64().unwrap() - nll).abs() < 1e-9, "{scores} {nll}");
    let [low, high] = [0, 1].map(|end| scores["top1_interval"][end].as_f64().unwrap());
    assert!(0.0 <= low && low <= within(1) && within(1) <= high && high <= 1.0, "{scores}");
    let recall = |class: usize| {
        let of_class = || rows.iter().zip(labels).filter(move |(_, label)| **label as usize == class);
        of_class().filter(|(row, _)| rank(row, class) == 0).count() as f64 / of_class().count() as f64
    };
    let recalls: Vec<f64> = (0..10).map(recall).collect();
    let balanced = scores["balanced_accuracy"].as_f64().unwrap();
    assert!((balanced - recalls.iter().sum::<f64>() / 10.0).abs() < 1e-12, "{scores}");
    assert_eq!(scores["majority_class"]["accuracy"], 0.1);
    assert!(scores["worst_class"].is_null(), "seven images of a class say nothing of it: {scores}");
    assert!(scores.get("auc").is_none(), "ten classes have no single curve");
    let ece = scores["ece"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&ece), "{scores}");
}

#[test]
fn logits_do_not_depend_on_batch_size_or_threads() {
    let trained = train();
    let logits = |name: &str, options: &[&str]| {
        let export = trained.path(name);
        succeed(trained.ask("evaluate").args(options).arg("--export").arg(&export));
        floats(&arrays(&export)["logits"]).iter().map(|logit| logit.to_bits()).collect::<Vec<u32>>()
    };
    let one = logits("b1.safetensors", &["--batch-size", "1"]);
    assert_eq!(one.len(), 700);
    assert_eq!(one, logits("b64.safetensors", &["--batch-size", "64"]));
    assert_eq!(one, logits("b7.safetensors", &["--batch-size", "7", "--threads", "1"]));
    assert_eq!(one, logits("b64t3.safetensors", &["--threads", "3"]));
}

#[test]
fn a_precision_is_taken_up_by_training_and_by_questions() {
    let trained = train();
    let logits = |precision: &str| {
        let export = trained.path(&format!("{precision}.safetensors"));
        let command = &mut trained.ask("evaluate");
        let result = json(command.args(["--precision", precision, "--export"]).arg(&export));
        assert_eq!(result["precision"], precision);
        floats(&arrays(&export)["logits"]).to_vec()
    };
    let [exact, rounded] = ["f32", "bf16"].map(logits);
    let largest = exact.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest > 0.0 && largest < 0.05, "bf16 moves logits a little, here by {largest}");

    for question in ["attention", "attack", "ablate"] {
        let result = json(trained.ask(question).args(["--limit", "8", "--precision", "bf16"]));
        assert_eq!(result["precision"], "bf16", "{question}");
    }

    let run = trained.path("rounded");
    let mut command = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--precision", "bf16"]);
    succeed(command.arg("--out").arg(&run));
    let recipe = std::fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(recipe.contains("precision = \"bf16\""), "{recipe}");
    let weights =
        [run.join("model.safetensors"), trained.weights.clone()].map(|path| std::fs::read(path).unwrap());
    assert_ne!(weights[0], weights[1]);
}

#[test]
fn a_limit_takes_images_of_as_many_classes_as_it_can() {
    let trained = train();
    let export = trained.path("limited.safetensors");
    let scores = json(trained.ask("evaluate").args(["--limit", "7", "--export"]).arg(&export));
    assert_eq!(scores["n"], 7);
    let mut labels = integers(&arrays(&export)["labels"]).to_vec();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), 7, "of ten classes one image each");
    assert_eq!(json(trained.ask("evaluate").args(["--split", "conflict"]))["n"], 32);
}

#[test]
fn attention_has_intervals_classes_and_another_checkpoint() {
    let trained = train();
    let ask = || trained.ask("attention");
    let all = json(ask().args(["--limit", "12", "--by-class"]));
    let [low, high] = [0, 1].map(|end| all["intervals"]["attention_distance"][1][0][end].as_f64().unwrap());
    let mean = all["attention_distance"][1][0].as_f64().unwrap();
    assert!(low < mean && mean < high, "{low} {mean} {high}");
    let classes = all["classes"].as_array().unwrap();
    let (mut images, mut sum) = (0.0, 0.0);
    for class in classes {
        let n = class["n"].as_f64().unwrap();
        images += n;
        sum += n * class["attention_distance"][1][0].as_f64().unwrap();
    }
    assert!(classes.len() > 1 && images == 12.0 && (sum / images - mean).abs() < 1e-9);
    let compared = &all["heads_compared"][0];
    let divergence = compared["diversity"].as_f64().unwrap();
    let similarity = compared["similarity"][0][1].as_f64().unwrap();
    assert!((1.0 - divergence / std::f64::consts::LN_2 - similarity).abs() < 1e-9, "two heads are one pair");

    let tested = json(ask().args(["--limit", "12", "--registers-test"]));
    assert!(tested["artefacts"]["summary"].as_str().unwrap().contains("artefact tokens"));
    let said = fail(ask().args(["--limit", "12", "--registers-test", "--method", "saliency"]));
    assert!(said.contains("rollout alone"), "{said}");

    // A checkpoint against itself changes nothing.
    let own = &trained.weights;
    let same = json(ask().args(["--limit", "8", "--against"]).arg(own));
    let head = &same["heads"][1][1];
    assert_eq!(head["distance"]["difference"]["value"], 0.0);
    assert_eq!((&head["entropy"]["adjusted"], &head["map_divergence"]["value"]), (&1.0.into(), &0.0.into()));
    assert!(head["between_images"]["value"].as_f64().unwrap() > 0.0);
    assert!(same.get("pictures").is_none(), "nothing is written where no folder is given");
    let figures = trained.path("against");
    let said =
        stdout(&succeed(ask().args(["--limit", "8", "--out"]).arg(&figures).arg("--against").arg(own)));
    for name in ["against-maps.png", "against-maps.svg", "against-heads.png", "against-heads.svg"] {
        assert!(figures.join(name).is_file() && said.contains(name), "{name}: {said}");
    }
    let svg = std::fs::read_to_string(figures.join("against-maps.svg")).unwrap();
    // Two images, before and after: two layers and rollout.
    assert_eq!(svg.matches(">layer 2</text>").count(), 4);
    assert_eq!(svg.matches(">rollout</text>").count(), 4);
    let refused = ask().arg("--out").arg(&figures).output().unwrap();
    assert!(!refused.status.success() && stderr(&refused).contains("--against"), "{}", stderr(&refused));
}

#[test]
fn strata_are_the_epochs_that_a_training_kept() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut training = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set"]);
    succeed(training.args(["keep_checkpoints=[1]", "--out"]).arg(&run));
    let ask = |weights: &Path| {
        let mut asked = archaeo(["attention", "--data", SHERDS, "--limit", "12", "--weights"]);
        asked.arg(weights);
        asked
    };
    let figures = folder.path().join("figures");
    let found = json(ask(&run).args(["--strata", "--out"]).arg(&figures));
    assert_eq!((&found["n"], &found["layers"]), (&12.into(), &value!([1, 2])));
    let strata = found["strata"].as_array().unwrap();
    assert_eq!(strata.iter().map(|of| of["epoch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    // Each is what the same question says of that checkpoint alone.
    for stratum in strata {
        assert!(stratum["validation_accuracy"].as_f64().unwrap() >= 0.0);
        let alone = json(&mut ask(Path::new(stratum["weights"].as_str().unwrap())));
        for name in ["attention_distance", "attention_entropy", "class_token_mass"] {
            assert_eq!(stratum[name], alone[name], "{name}");
        }
    }
    assert_ne!(strata[0]["attention_entropy"], strata[1]["attention_entropy"]);
    for ending in ["png", "svg"] {
        assert!(figures.join("strata").with_extension(ending).is_file());
    }
    let svg = std::fs::read_to_string(figures.join("strata.svg")).unwrap();
    assert_eq!((svg.matches(">epoch 1</text>").count(), svg.matches(">epoch 2</text>").count()), (2, 2));
    let said = stdout(&succeed(ask(&run).arg("--strata")));
    assert!(said.contains("at 2 epochs of") && said.contains("weight on the class token"), "{said}");

    let plain = train();
    let refused = fail(ask(plain.weights.parent().unwrap()).arg("--strata"));
    assert!(refused.contains("keep_checkpoints = [1, 2, 5]"), "{refused}");
}

#[test]
fn attention_exports_rollouts_and_statistics() {
    let trained = train();
    let export = trained.path("attention.safetensors");
    let result = json(trained.ask("attention").args(["--limit", "9", "--export"]).arg(&export));
    assert_eq!(result["n"], 9);
    let arrays = arrays(&export);
    assert_eq!(arrays["rollout"].shape, [9, 4, 4]);
    assert!(floats(&arrays["rollout"]).iter().all(|value| value.is_finite() && *value >= 0.0));
    for name in ["attention_distance", "attention_entropy"] {
        assert_eq!(arrays[name].shape, [2, 2], "(layers, heads)");
        for (i, &value) in floats(&arrays[name]).iter().enumerate() {
            assert_eq!(value, result[name][i / 2][i % 2].as_f64().unwrap() as f32, "{name}");
        }
    }
    // 16 patches and the class token: entropy is at most ln 17, distance at most the diagonal between outer patches.
    assert!(floats(&arrays["attention_entropy"]).iter().all(|&nats| 0.0 < nats && nats <= 17f32.ln() + 1e-5));
    assert!(floats(&arrays["attention_distance"]).iter().all(|&pixels| 0.0 < pixels && pixels < 17.0));

    // One class token and no other token without a place.
    assert_eq!(result["read_out"], "the class token");
    assert_eq!(result["class_token_mass"].as_array().unwrap().len(), 2);
    assert!(result["distillation_token_mass"].is_null() && result["register_mass"].is_null());

    let small = trained.path("batch-of-2.safetensors");
    succeed(trained.ask("attention").args(["--limit", "9", "--batch-size", "2", "--export"]).arg(&small));
    assert_eq!(floats(&self::arrays(&small)["rollout"]), floats(&arrays["rollout"]));
}

#[test]
fn attacks_start_at_the_clean_accuracy_and_are_reproducible() {
    let trained = train();
    let clean = json(trained.ask("evaluate").args(["--limit", "30"]));
    for attack in ["fgsm", "pgd", "pgd-l2"] {
        let ask = || {
            let mut asked = trained.ask("attack");
            asked.args(["--attack", attack, "--epsilon", "1,8", "--limit", "30"]);
            if attack != "fgsm" {
                asked.args(["--steps", "3"]);
            }
            asked
        };
        let result = json(&mut ask());
        let points = result["points"].as_array().unwrap();
        let sizes: Vec<f64> = points.iter().map(|point| point["epsilon"].as_f64().unwrap()).collect();
        assert_eq!(sizes, [0.0, 1.0, 8.0]);
        assert_eq!(points[0]["accuracy"], clean["top1"], "{attack}");
        assert_eq!(json(ask().args(["--batch-size", "4", "--threads", "1"])), result, "{attack}");
    }
}

#[test]
fn ablation_ranks_every_head() {
    let trained = train();
    let result = json(trained.ask("ablate").args(["--limit", "20"]));
    let ranking = result["ranking"].as_array().unwrap();
    let mut heads: Vec<[u64; 2]> =
        ranking.iter().map(|head| ["layer", "head"].map(|key| head[key].as_u64().unwrap())).collect();
    heads.sort_unstable();
    assert_eq!(heads, [[1, 1], [1, 2], [2, 1], [2, 2]]);
    let losses: Vec<f64> = ranking.iter().map(|head| head["mean"]["value"].as_f64().unwrap()).collect();
    assert!(losses.is_sorted_by(|a, b| a >= b), "{losses:?}");
    assert_eq!(json(trained.ask("ablate").args(["--limit", "20", "--batch-size", "3"])), result);
}

#[test]
fn ablation_goes_beyond_single_heads_where_it_is_asked_to() {
    let trained = train();
    let all = ["--limit", "20", "--curve", "--mlp", "--layers", "--pairs", "3"];
    let result = json(trained.ask("ablate").args(all));
    let plain = json(trained.ask("ablate").args(["--limit", "20"]));
    assert_eq!((&result["ranking"], &plain["together"]), (&plain["ranking"], &Value::Null));
    let together = &result["together"];
    assert_eq!((&together["n"], &together["chosen_on"]), (&10.into(), &10.into()));
    let curve = &together["curve"];
    assert_eq!(curve["removed"], serde_json::json!([0, 1, 2, 3, 4]));
    for order in ["most_first", "least_first", "gradient_first", "random"] {
        assert_eq!(curve[order].as_array().unwrap().len(), 5, "{order}");
    }
    let ends = |order: &str| [0, 4].map(|point| curve[order][point]["value"].clone());
    assert_eq!(ends("most_first"), ends("least_first"));
    let branches: Vec<_> =
        together["branches"].as_array().unwrap().iter().map(|of| (&of["layer"], &of["branch"])).collect();
    let expected =
        [(1, "mlp"), (1, "layer"), (2, "mlp"), (2, "layer")].map(|(layer, kind)| (layer.into(), kind.into()));
    assert_eq!(branches, expected.iter().map(|(layer, kind)| (layer, kind)).collect::<Vec<(&Value, _)>>());
    assert_eq!(together["pairs"].as_array().unwrap().len(), 3);
    assert_eq!(json(trained.ask("ablate").args(all).args(["--batch-size", "3"])), result);

    let some = json(trained.ask("ablate").args(["--limit", "20", "--only", "2.1"]));
    let head = plain["ranking"]
        .as_array()
        .unwrap()
        .iter()
        .find(|head| (&head["layer"], &head["head"]) == (&2.into(), &1.into()));
    assert_eq!(some["ranking"].as_array().unwrap().len(), 1);
    assert_eq!(some["ranking"][0]["mean"], head.unwrap()["mean"]);

    let folder = tempfile::tempdir().unwrap();
    let arrays = folder.path().join("all.npz");
    succeed(trained.ask("ablate").args(all).arg("--export").arg(&arrays));
}

#[test]
fn data_counts_and_draws() {
    let folder = tempfile::tempdir().unwrap();
    let sheet = folder.path().join("sheet.png");
    let summary = json(archaeo(["data", SHERDS, "--per-class", "2", "--sheet"]).arg(&sheet));
    assert_eq!(summary["classes"].as_array().unwrap().len(), 10);
    assert_eq!(summary["splits"]["train"]["images"], 256);
    assert_eq!(summary["splits"]["test"]["per_class"][3], 7);
    assert!(std::fs::read(&sheet).unwrap().starts_with(b"\x89PNG"));
    let table = stdout(&succeed(archaeo(["data", SHERDS, "--sheet"]).arg(&sheet)));
    assert!(table.contains("10 classes") && table.contains("crescent"), "{table}");
}

#[test]
fn models_are_listed_and_shown_by_name_and_by_file() {
    let listed = json(&mut archaeo(["models"]));
    // Multiply-adds in units of 1e7.
    for (name, family, side, tens_of_millions) in [
        ("vit_micro", "ViT", 32, None),
        ("vit_tiny_patch16", "ViT", 224, Some(125)),
        ("swin_tiny_patch4_window7", "Swin", 224, Some(449)),
        ("resnet50", "ResNet", 224, Some(408)),
        ("resnet20_cifar", "ResNet", 32, None),
    ] {
        let row = listed.as_array().unwrap().iter().find(|row| row["name"] == name);
        let row = row.unwrap_or_else(|| panic!("{name} is not in {listed}"));
        assert_eq!((&row["family"], &row["image_size"]), (&family.into(), &side.into()), "{row}");
        if let Some(expected) = tens_of_millions {
            assert_eq!(row["multiply_adds"].as_u64().unwrap() / 10_000_000, expected, "{row}");
        }
    }
    // As timm and torchvision count them.
    for (name, parameters) in [("vit_tiny_patch16_224", 5_717_416), ("resnet18", 11_689_512)] {
        assert_eq!(json(&mut archaeo(["models", "show", name]))["parameters"], parameters, "{name}");
    }
    let trained = train();
    let shown = json(archaeo(["models", "show"]).arg(&trained.weights));
    assert_eq!(shown["preprocessing"]["image_size"], value!({"value": 16, "from": "card"}));
    assert_eq!(shown["classes"].as_array().unwrap().len(), 10);
    let elements = |array: &Value| {
        array[1].as_array().unwrap().iter().map(|length| length.as_u64().unwrap()).product::<u64>()
    };
    let total: u64 = shown["arrays"].as_array().unwrap().iter().map(elements).sum();
    assert_eq!(shown["parameters"].as_u64().unwrap(), total, "a ViT has no array but its parameters");
}

#[test]
fn help_names_every_command_and_gives_examples() {
    let help = stdout(&succeed(&mut archaeo(["--help"])));
    for command in [
        "excavate",
        "train",
        "evaluate",
        "attention",
        "attack",
        "ablate",
        "data",
        "models",
        "export",
        "report",
    ] {
        assert!(help.contains(&format!("  {command} ")), "{help}");
        let own = stdout(&succeed(&mut archaeo([command, "--help"])));
        for option in ["--json", "--device", "--seed", "--threads"] {
            assert!(own.contains(option), "{command} --help lacks {option}");
        }
    }
}

#[test]
fn a_profile_counts_as_models_show_does_and_times_every_size_that_a_model_takes() {
    let trained = train();
    let page = trained.path("cost");
    let mut asked = archaeo(["profile", "vit_micro", "resnet_micro", "--image-sizes", "64,16,32,50"]);
    asked
        .args(["--rounds", "6", "--batch-size", "2", "--data", SHERDS, "--out"])
        .arg(&page)
        .arg(&trained.weights);
    let profile = json(&mut asked);
    let [vit, resnet, own] = [0, 1, 2].map(|place| profile["models"][place].clone());
    assert_eq!(vit["multiply_adds"], json(&mut archaeo(["models", "show", "vit_micro"]))["multiply_adds"]);
    assert_eq!((&vit["tokens"], &resnet["tokens"]), (&value!(65), &Value::Null));
    let sizes = |model: &Value| -> Vec<u64> {
        model["sizes"].as_array().unwrap().iter().map(|size| size["image_size"].as_u64().unwrap()).collect()
    };
    assert_eq!((sizes(&vit), sizes(&resnet)), (vec![16, 32, 64], vec![16, 32, 50, 64]));
    assert!(vit["not_taken"][0][1].as_str().unwrap().contains("do not tile an image of 50 px"));
    // Depth 4, width 96: 2 n² d in each layer.
    assert_eq!(vit["sizes"][2]["attention_multiply_adds"], 4 * 2 * 257 * 257 * 96);
    for size in vit["sizes"].as_array().unwrap() {
        let latency = &size["latency"];
        let [low, value, high] = ["low", "value", "high"].map(|key| latency[key].as_f64().unwrap());
        assert!(0.0 < low && low <= value && value <= high, "{latency}");
        assert!(size["memory"].as_u64().unwrap() > 3 * 4 * 16 * 16, "{size}");
    }
    assert!(vit["sizes"][2]["memory"].as_u64() > vit["sizes"][0]["memory"].as_u64());
    assert_eq!((&vit["accuracy"], &vit["random_weights"]), (&Value::Null, &value!(true)));
    assert_eq!((&own["random_weights"], &own["accuracy"]["n"]), (&value!(false), &value!(70)));
    for file in ["report.html", "report.md", "profile.json"] {
        assert!(page.join(file).is_file(), "{file}");
    }
    let refused = fail(&mut archaeo(["profile", "vit_micro", "--rounds", "3"]));
    assert!(refused.contains("--rounds 3 is too few") && refused.contains("give 6 or more"), "{refused}");
    assert!(fail(&mut archaeo(["profile", "vit_nano"])).contains("no model is called `vit_nano`"));
}
