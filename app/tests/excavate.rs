//! The investigation through the program itself: what it leaves behind, resuming, and what its results do not depend on.

mod support;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use support::{
    CONFIG, SHERDS, VIT_CONFIG, archaeo, assert_same, excavate, fail, found, investigation, json, stderr,
    stdout, succeed,
};

/// Parts in the order in which they are found.
const PARTS: [&str; 21] = [
    "data",
    "models",
    "trust",
    "accuracy",
    "attention",
    "atlas",
    "features",
    "comparisons",
    "heads",
    "patching",
    "attacks",
    "worst_case",
    "doctor",
    "autopsy",
    "frequency",
    "corruptions",
    "errors",
    "faithfulness",
    "localisation",
    "causal",
    "shape_bias",
];

#[test]
fn an_investigation_leaves_a_report_with_everything_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = succeed(&mut excavate(&out));
    let printed = stdout(&output);
    assert!(printed.starts_with("Can it be trusted, and when does it fail?\n- The ViT "), "{printed}");
    assert!(printed.contains("\n\nWhat was found:\n- "), "{printed}");
    assert!(printed.lines().filter(|line| line.starts_with("- ")).count() >= 5, "{printed}");
    let end = format!(
        "Report: {}\nBy hand: archaeo lab --run {}\n",
        out.join("report.html").display(),
        out.display()
    );
    assert!(printed.ends_with(&end), "{printed}");

    let findings = found(&out);
    for part in PARTS {
        assert!(findings.contains_key(&format!("findings/{part}.json")), "{part} is missing");
    }
    assert!(findings.keys().filter(|name| name.starts_with("pictures/")).count() >= 12, "{findings:?}");
    let html = std::fs::read_to_string(out.join("report.html")).unwrap();
    let markdown = std::fs::read_to_string(out.join("report.md")).unwrap();
    let all = investigation(&out);
    for role in [0, 1] {
        let hash = all["models"][role]["weights_sha256"].as_str().unwrap();
        let name = all["models"][role]["weights"].as_str().unwrap();
        assert_eq!(findings[name], hash, "the report must name the hash of the file itself");
        assert!(html.contains(&hash[..12]) && markdown.contains(&hash[..12]), "{hash}");
    }
    assert_eq!(all["accuracy"]["splits"][0]["n"], 70);
    assert_eq!(all["comparisons"]["items"].as_array().unwrap().len(), 8);
    assert_eq!(all["heads"]["vit"]["ranking"].as_array().unwrap().len(), 4);
    for (group, role) in ["vit", "cnn"].into_iter().enumerate() {
        let group = &all["errors"]["groups"][group];
        assert_eq!(group["erring"], serde_json::json!([role]));
        let surest = group["surest"].as_array().unwrap();
        let probabilities: Vec<f64> =
            surest.iter().map(|shown| shown["predictions"][role][1].as_f64().unwrap()).collect();
        assert!(probabilities.is_sorted_by(|one, next| one >= next), "{group}: {probabilities:?}");
        for shown in surest {
            assert_ne!(shown["predictions"][role][0], shown["image"]["label"], "{group}: {shown}");
            assert_eq!(shown["heatmaps"].as_object().unwrap().len(), 2, "{shown}");
        }
    }
    // Each with its numbers next to it.
    let files = std::fs::read_dir(out.join("charts")).unwrap().count();
    let charts = files / 2;
    assert_eq!((markdown.matches("](<charts/").count(), files % 2), (charts, 0));
    assert!(charts >= 15, "{charts}");
    assert_no_temporary_file(&out);

    let title = |file: &str| {
        let text = std::fs::read_to_string(out.join(file)).unwrap();
        text.split("<title>").nth(1).unwrap_or(&text).split(['<', '\n']).next().unwrap().to_owned()
    };
    assert_eq!(title("report.html"), format!("custom and custom on {SHERDS}"));
    succeed(archaeo(["report", "--title", "Kiln 7"]).arg(&out));
    assert_eq!((title("report.html"), title("report.md")), ("Kiln 7".into(), "# Kiln 7".into()));
    succeed(excavate(&out).args(["--title", "Kiln 8"]));
    assert_eq!(title("report.html"), "Kiln 8");
    succeed(archaeo(["report"]).arg(&out));
    assert_eq!(title("report.html"), "Kiln 8", "the title belongs to the investigation");
    for bad in ["", "  ", "two\nlines"] {
        let sentence = fail(archaeo(["report", "--title", bad]).arg(&out));
        assert!(sentence.contains("--title"), "{sentence}");
    }
}

/// What cannot be computed from one image is said, and is no error.
#[test]
fn a_single_test_image_still_gives_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let data = "sherds:size=16,train=256,val=64,test=1,aligned=32,conflict=32";
    let mut command = archaeo(["excavate", "--config", CONFIG, "--data", data, "--set", "epochs=1", "--out"]);
    succeed(command.arg(&out));
    let all = investigation(&out);
    assert_eq!((&all["attention"]["vit"]["n"], &all["localisation"]["n"]), (&1.into(), &1.into()));
    assert!(
        all["comparisons"]["pairs"][0]["agreement"]["undefined"]
            .as_str()
            .unwrap()
            .contains("two or more images")
    );
    assert!(all["localisation"]["methods"][3]["over_centre"].is_null());
    let report = std::fs::read_to_string(out.join("report.md")).unwrap();
    for sentence in [
        "No trend of attention distance with depth can be tested, because it takes 5 or more layers",
        "agree cannot be computed, because it takes two or more images",
        "Whether an explanation finds the object better than chance cannot be tested on 1",
    ] {
        assert!(report.contains(sentence), "{sentence}\n{report}");
    }
}

/// Two ways of training one ViT, and a CNN.
fn regimes_config(folder: &Path, init: &Path) -> std::path::PathBuf {
    let tiny = std::fs::read_to_string(CONFIG).unwrap();
    let (shared, rest) = tiny.split_once("[models.vit.model]").unwrap();
    let (vit, rest) = rest.split_once("[models.cnn.model]").unwrap();
    let config = folder.join("regimes.toml");
    let text = format!(
        "{shared}\n[models.tuned]\ninit = {init:?}\nepochs = 1\n[models.scratch.model]{vit}\n[models.cnn.model]{rest}\n\
         [studies.regimes]\nattention_images = 12\n"
    );
    std::fs::write(&config, text).unwrap();
    config
}

#[test]
fn models_that_differ_in_their_training_are_compared_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (start, out) = (path("start"), path("out"));
    let mut train = archaeo([
        "train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1", "--seed", "5", "--out",
    ]);
    succeed(train.arg(&start));
    let init = start.join("model.safetensors");
    let config = regimes_config(folder.path(), &init);
    let into = |out: &Path| {
        let mut command = archaeo(["excavate", "--data", SHERDS, "--config"]);
        command.arg(&config).arg("--out").arg(out);
        command
    };
    succeed(&mut into(&out));
    let all = investigation(&out);
    let found = &all["regimes"];
    let kinds: Vec<[&str; 2]> = found["regimes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|regime| ["name", "kind"].map(|key| regime[key].as_str().unwrap()))
        .collect();
    assert_eq!(kinds, [["scratch", "scratch"], ["tuned", "fine-tuned"]]);
    for (place, epochs) in [(0, 2), (1, 1)] {
        let run = &found["regimes"][place]["runs"][0];
        assert_eq!((&run["images"], run["history"].as_array().unwrap().len()), (&256.into(), epochs));
        let name = found["regimes"][place]["name"].as_str().unwrap();
        assert_eq!(run["accuracy"], all["accuracy"]["splits"][0]["models"][name]["top1"]);
        assert!(run["correct"].is_null());
    }
    let shift = &found["attention"][0];
    assert_eq!((&shift["regime"], &shift["n"]), (&"tuned".into(), &12.into()));
    let layers = shift["layers"].as_array().unwrap();
    assert_eq!(
        layers.iter().map(|layer| layer["heads"].as_array().unwrap().len()).collect::<Vec<_>>(),
        [2, 2]
    );
    assert_eq!(found["left_out"][0], serde_json::json!(["cnn", "it has another architecture"]));
    let report = std::fs::read_to_string(out.join("report.md")).unwrap();
    for part in ["## Which training pays", "Which regime when: take ", "Attention of tuned"] {
        assert!(report.contains(part), "{part}");
    }

    // The same of models that are given: their run folders say how they were trained.
    let again = path("again");
    let mut given = archaeo(["excavate", "--config", CONFIG, "--data", SHERDS, "--out"]);
    given.arg(&again).args(["--set", "studies.regimes.attention_images=12"]);
    for name in ["tuned", "scratch", "cnn"] {
        given.arg("--add").arg(format!("{name}={}", out.join(name).join("model.safetensors").display()));
    }
    succeed(&mut given);
    let of_given = investigation(&again)["regimes"].clone();
    assert_eq!((&of_given["regimes"], &of_given["pairs"]), (&found["regimes"], &found["pairs"]));
    assert_eq!(of_given["attention"], found["attention"]);
}

#[test]
fn a_second_run_finds_the_same_without_doing_anything_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let first = json(&mut excavate(&out));
    let (findings, all) = (found(&out), investigation(&out));
    assert!(!first["headlines"].as_array().unwrap().is_empty());

    let output = succeed(excavate(&out).arg("--json"));
    let said = stderr(&output);
    for part in PARTS {
        let before = |line: &str| line.trim_start().starts_with(part) && line.ends_with("found before");
        assert!(said.lines().any(before), "{part} was done again:\n{said}");
    }
    assert!(!said.contains("epoch"), "nothing is trained again:\n{said}");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), first);
    assert_eq!(found(&out), findings);
    // Also what went through a file in between is the same to the last bit.
    assert_eq!(investigation(&out), all);

    let written = json(archaeo(["report"]).arg(&out));
    assert_eq!(written["html"], out.join("report.html").display().to_string());

    let sentence = fail(excavate(&out).args(["--set", "epochs=3"]));
    assert!(sentence.contains("another configuration"), "{sentence}");
    assert!(sentence.contains("epochs is 2 there and 3 here"), "{sentence}");
    assert!(sentence.contains("use another --out"), "{sentence}");
    let other = ["excavate", "--config", CONFIG, "--data", "sherds:size=16,train=64", "--out"];
    let sentence = fail(archaeo(other).arg(&out));
    assert!(sentence.contains("other data") && sentence.contains("use another --out"), "{sentence}");
    assert_eq!(found(&out), findings, "what is refused changes nothing");

    // What was chosen of one study concerns that one alone.
    let said = stderr(&succeed(excavate(&out).args(["--set", "studies.attacks.images=12"])));
    for part in PARTS {
        let done = said.lines().find(|line| line.trim_start().starts_with(part)).unwrap();
        assert_eq!(done.ends_with("found before"), part != "attacks", "{said}");
    }
    assert!(!said.contains("epoch"), "nothing is trained again:\n{said}");
    let now = investigation(&out);
    assert_eq!((&all["attacks"]["n"], &now["attacks"]["n"]), (&16.into(), &12.into()));
    assert_eq!(all["heads"], now["heads"]);
    let config = std::fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(config.contains("[studies.attacks]\nepsilons = [1.0, 4.0]\nimages = 12\n"), "{config}");

    // Trackers concern no finding, and catch up with trainings that are done.
    let trackio = folder.path().join("trackio");
    let options = ["--set", "studies.attacks.images=12", "--track", "csv,trackio"];
    let said = stderr(&succeed(excavate(&out).args(options).env("TRACKIO_DIR", &trackio)));
    for part in PARTS {
        let done = said.lines().find(|line| line.trim_start().starts_with(part)).unwrap();
        assert!(done.ends_with("found before"), "{said}");
    }
    for model in ["vit", "cnn"] {
        let table = std::fs::read_to_string(out.join(model).join("metrics.csv")).unwrap();
        assert_eq!(table.lines().count(), 3, "{table}");
    }
    assert_eq!(std::fs::read_dir(trackio.join("inbox")).unwrap().count(), 2, "each training is a run");
}

#[test]
fn a_killed_run_goes_on_to_the_same_findings() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    succeed(&mut excavate(&whole));
    // In the ViT's training, between the two trainings, between two studies, and inside one.
    for moment in [
        "vit/checkpoints/last.safetensors",
        "cnn/config.toml",
        "findings/accuracy.json",
        "records/attacks/vit.pgd-4.jsonl",
    ] {
        let out = folder.path().join(moment.replace('/', "-"));
        let killed = run_until(&out, &out.join(moment));
        let said = stderr(&succeed(&mut excavate(&out)));
        assert!(killed, "the run was over before it could be killed; this test saw nothing");
        assert!(said.contains("found before"), "{moment}: nothing was kept:\n{said}");
        assert_same(&out, &whole);
        assert_no_temporary_file(&out);
    }
}

#[test]
fn findings_of_another_build_are_made_again_and_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    succeed(&mut excavate(&out));
    let before = investigation(&out);
    let edit = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut value = support::read_json(&out.join(name));
        change(&mut value);
        std::fs::write(out.join(name), value.to_string()).unwrap();
    };
    let earlier = |value: &mut Value| {
        value["version"] = "9.9.9".into();
        value["commit"] = "f00d".into();
    };
    edit("environment.json", &|starts| earlier(&mut starts[0]));
    edit("vit/environment.json", &|starts| earlier(&mut starts[0]));
    edit("findings/accuracy.json", &|finding| {
        earlier(&mut finding["made_by"]);
        // A number that this build does not find, in a form that it would not even read.
        finding["findings"] = "42".into();
    });
    // One that this build would find, too: it is taken over, and the report names who made it.
    edit("findings/attacks.json", &|finding| earlier(&mut finding["made_by"]));
    edit("predictions/made_by.json", &earlier);
    edit("findings/heads.json", &|finding| drop(finding.as_object_mut().unwrap().remove("made_by")));

    let said = stderr(&succeed(&mut excavate(&out)));
    assert_eq!(said.matches("they are made again").count(), 1, "{said}");
    assert!(said.contains("were made by version 9.9.9 (commit f00d) and this is version "), "{said}");
    for (part, again) in [("accuracy", true), ("heads", true), ("attacks", false), ("data", false)] {
        let line = said.lines().find(|line| line.trim_start().starts_with(part)).unwrap();
        assert_eq!(!line.ends_with("found before"), again, "{line}");
    }
    assert!(!said.contains("epoch"), "nothing is trained again:\n{said}");
    assert_eq!(investigation(&out), before);
    let markdown = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(markdown.contains("9.9.9, commit `f00d`; it made the findings attacks, and"), "{markdown}");
    let said = stderr(&succeed(&mut excavate(&out)));
    assert!(!said.contains("made again"), "{said}");
}

/// Runs until `file` appears, then kills as `kill -9` does. Whether it was the kill that ended the run.
fn run_until(out: &Path, file: &Path) -> bool {
    let quiet = [Stdio::null(), Stdio::null()];
    let [stdout, stderr] = quiet;
    let mut child = excavate(out).stdout(stdout).stderr(stderr).spawn().unwrap();
    while !file.exists() {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("ended with {status} before {} appeared", file.display());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

fn assert_no_temporary_file(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => assert_no_temporary_file(&path),
            false => assert!(path.extension().is_none_or(|end| end != "tmp"), "{} was left", path.display()),
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, three] = ["1", "2", "3"].map(|threads| {
        let out = folder.path().join(threads);
        succeed(excavate(&out).args(["--threads", threads]));
        out
    });
    assert_same(&one, &two);
    assert_same(&one, &three);
}

#[test]
fn a_seed_decides_and_another_seed_differs() {
    let folder = tempfile::tempdir().unwrap();
    let hash = |name: &str, seed: &str| {
        let out = folder.path().join(name);
        succeed(excavate(&out).args(["--seed", seed, "--set", "epochs=1"]));
        found(&out)["vit/model.safetensors"].clone()
    };
    let (first, again, other) = (hash("a", "1"), hash("b", "1"), hash("c", "2"));
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn trained_models_can_be_brought_along() {
    let folder = tempfile::tempdir().unwrap();
    let (trained, loaded) = (folder.path().join("trained"), folder.path().join("loaded"));
    succeed(&mut excavate(&trained));
    let [vit, cnn] = ["vit", "cnn"].map(|role| trained.join(role).join("model.safetensors"));
    succeed(excavate(&loaded).arg("--vit").arg(&vit).arg("--cnn").arg(&cnn));
    let (trained, loaded) = (found(&trained), {
        let mut all = investigation(&loaded);
        all.as_object_mut().unwrap().remove("models");
        all
    });
    for part in ["accuracy", "heads", "attacks", "localisation", "causal", "shape_bias"] {
        assert_eq!(trained[&format!("findings/{part}.json")]["findings"], loaded[part], "{part}");
    }

    // Found out before the other model is trained, and nothing is left of it.
    let out = folder.path().join("swapped");
    let sentence = fail(excavate(&out).arg("--cnn").arg(&vit));
    assert!(sentence.contains("model.safetensors holds a vision transformer"), "{sentence}");
    assert!(sentence.contains("--cnn needs a convolutional network"), "{sentence}");
    assert!(!out.exists(), "a refused request must not take the folder");
    let sentence = fail(excavate(&out).args(["--train", "swin"]));
    assert!(sentence.contains("describes no model `swin`; it has cnn, vit"), "{sentence}");
    let sentence =
        fail(excavate(&out).arg("--vit").arg(&vit).arg("--add").arg(format!("vit={}", cnn.display())));
    assert!(sentence.contains("holds another network") && sentence.contains("--add NAME="), "{sentence}");
    let sentence = fail(excavate(&out).arg("--vit").arg(&vit).args(["--train", "vit"]));
    assert!(sentence.contains("`vit` cannot name a model"), "{sentence}");
    assert!(!out.exists());
}

/// Runs from several seeds, trained here or brought along, are held against one another; what else is found is of the first.
#[test]
fn a_model_may_have_several_runs() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, given] = ["one", "two", "given"].map(|name| folder.path().join(name));
    succeed(&mut excavate(&one));
    succeed(excavate(&two).args(["--set", "models.vit.seeds=2"]));
    let (of_one, of_two) = (investigation(&one), investigation(&two));
    assert!(of_one["not_applicable"]["seeds"].as_str().unwrap().contains("one seed"));
    let runs = &of_two["seeds"]["models"]["vit"]["runs"];
    assert_eq!(
        (&runs[0]["seed"], &runs[1]["seed"], runs.as_array().unwrap().len()),
        (&0.into(), &1.into(), 2)
    );
    assert!(
        of_two["seeds"]["models"].get("cnn").is_none() && of_two["seeds"]["pairs"] == serde_json::json!([])
    );
    for part in ["accuracy", "heads", "attacks"] {
        assert_eq!(of_one[part], of_two[part], "{part}");
    }
    let report = std::fs::read_to_string(two.join("report.md")).unwrap();
    assert!(report.contains("From seed to seed, the accuracy of the ViT ranges from"), "{report}");
    assert!(report.contains("2, seeds 0, 1"), "{report}");

    let weights = [0, 1].map(|run| two.join(format!("vit/run-{run}/model.safetensors")));
    let mut command = excavate(&given);
    for file in &weights {
        command.arg("--add").arg(format!("vit={}", file.display()));
    }
    succeed(&mut command);
    let given = investigation(&given);
    for (run, file) in weights.iter().enumerate() {
        let evaluated = json(archaeo(["evaluate", "--data", SHERDS, "--weights"]).arg(file));
        for found in [runs, &given["seeds"]["models"]["vit"]["runs"]] {
            assert_eq!(evaluated["top1"], found[run]["accuracy"]["value"], "run {run}");
        }
    }
}

#[test]
fn one_model_or_three_are_investigated_as_two_are() {
    let folder = tempfile::tempdir().unwrap();
    let trained = folder.path().join("trained");
    succeed(&mut excavate(&trained));
    let [vit, cnn] = ["vit", "cnn"].map(|name| trained.join(name).join("model.safetensors"));

    // A model alone, of either kind: what takes attention or a second model is said not to apply, or is not there.
    for (option, weights, has_attention) in [("--vit", &vit, true), ("--cnn", &cnn, false)] {
        let out = folder.path().join(&option[2..]);
        let result = json(excavate(&out).arg(option).arg(weights));
        let all = investigation(&out);
        assert_eq!(all["models"].as_array().unwrap().len(), 1);
        assert_eq!(all["accuracy"]["splits"][0]["pairs"], serde_json::json!([]));
        assert!(all["heads"].get(&option[2..]).is_some(), "heads of a ViT, blocks of a ResNet");
        for study in ["attention", "patching"] {
            assert_eq!(all.get(study).is_some(), has_attention, "{study} of {option}");
            let reason = all["not_applicable"].get(study);
            assert_eq!(reason.is_some(), !has_attention, "{study} of {option}");
        }
        let report = std::fs::read_to_string(out.join("report.md")).unwrap();
        for word in ["both models", "the other model", "neither model", "either model"] {
            assert!(!report.to_lowercase().contains(word), "{option}: {word}\n{report}");
        }
        assert_eq!(report.contains("no model here has attention heads"), !has_attention);
        assert!(!result["trust"].as_array().unwrap().is_empty());
    }

    // Three, one of them twice under another name: pairs of all, and the same numbers for the same weights.
    let out = folder.path().join("three");
    let again = format!("again={}", vit.display());
    let mut command = excavate(&out);
    succeed(command.arg("--vit").arg(&vit).arg("--add").arg(&again).arg("--cnn").arg(&cnn));
    let all = investigation(&out);
    let names: Vec<_> = all["models"].as_array().unwrap().iter().map(|model| &model["name"]).collect();
    assert_eq!(names, ["vit", "again", "cnn"], "models with attention come first");
    let split = &all["accuracy"]["splits"][0];
    assert_eq!(split["pairs"].as_array().unwrap().len(), 3);
    assert_eq!(split["models"]["vit"], split["models"]["again"]);
    assert_eq!(split["pairs"][0]["difference"]["value"], 0.0);
    assert_eq!(all["attention"].as_object().unwrap().keys().collect::<Vec<_>>(), ["vit", "again"]);
    assert_eq!(all["heads"].as_object().unwrap().keys().collect::<Vec<_>>(), ["vit", "again", "cnn"]);
    let two = investigation(&trained);
    for model in ["vit", "cnn"] {
        assert_eq!(two["accuracy"]["splits"][0]["models"][model], split["models"][model]);
    }
    assert_eq!(two["attention"]["vit"]["layers"], all["attention"]["vit"]["layers"]);
}

/// What an investigation says of a model is what `evaluate` says of it.
#[test]
fn accuracy_in_the_findings_is_that_of_evaluate() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    succeed(&mut excavate(&out));
    let all = investigation(&out);
    for name in ["vit", "cnn"] {
        let weights = out.join(name).join("model.safetensors");
        for split in all["accuracy"]["splits"].as_array().unwrap() {
            let mut command =
                archaeo(["evaluate", "--data", SHERDS, "--split", split["split"].as_str().unwrap()]);
            let result = json(command.arg("--weights").arg(&weights));
            let found = &split["models"][name];
            assert_eq!(result["n"], split["n"], "{name} on {}", split["split"]);
            assert_eq!(result["top1"], found["top1"]["value"], "{name} on {}", split["split"]);
        }
    }
}

/// Dark and light squares, which any model tells apart: `count` images of each class for a split.
fn squares(folder: &Path, split: &str, count: usize) {
    for (class, level) in [("dark", 20u8), ("light", 220)] {
        let class = folder.join(split).join(class);
        std::fs::create_dir_all(&class).unwrap();
        for image in 0..count {
            let pixels =
                (0..16 * 16 * 3).map(|i| level + ((i * (2 * image + 5) + image) % 31) as u8).collect();
            let picture = archaeo_plot::Image::new(16, 16, pixels);
            archaeo_plot::save_png(&picture, &class.join(format!("{image:02}.png"))).unwrap();
        }
    }
}

#[test]
fn two_perfect_models_end_in_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("squares"), folder.path().join("out"));
    [("train", 64), ("val", 16), ("test", 20)]
        .iter()
        .for_each(|(split, count)| squares(&data, split, *count));
    let mut command = archaeo(["excavate", "--config", CONFIG, "--set", "epochs=4", "--data"]);
    let result = json(command.arg(&data).arg("--out").arg(&out));
    let all = investigation(&out);
    let pair = &all["accuracy"]["splits"][0]["pairs"][0];
    assert_eq!(
        (&pair["both_right"], &pair["both_wrong"]),
        (&40.into(), &0.into()),
        "the test needs perfect models"
    );
    assert_eq!(pair["kappa"]["undefined"], "both models are right on every image");
    let said = |list: &str, words: &str| {
        result[list].as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains(words))
    };
    assert!(said("trust", "On images like these, the ViT made no error in 40."), "{result}");
    let undefined = "same images cannot be computed, because both models are right on every image.";
    assert!(said("headlines", undefined), "{result}");
    assert!(std::fs::read_to_string(out.join("report.md")).unwrap().contains(undefined));

    let mut command = archaeo(["evaluate", "--data"]);
    let scores = json(command.arg(&data).arg("--weights").arg(out.join("vit/model.safetensors")));
    for (key, value) in
        [("top1", 1.0), ("balanced_accuracy", 1.0), ("sensitivity", 1.0), ("specificity", 1.0), ("auc", 1.0)]
    {
        assert_eq!(scores[key], value, "{key}: {scores}");
    }
    let low = scores["auc_interval"][0].as_f64().unwrap();
    assert!(low > 0.7 && low < 1.0, "40 images do not prove a perfect ranking: {scores}");
    assert_eq!(
        (&scores["positive_class"], &scores["majority_class"]["class"]),
        (&"light".into(), &"dark".into())
    );
}

/// A model of the configuration may start from other weights; the report says which, and only with these the run goes on.
#[test]
fn a_model_may_start_from_other_weights() {
    let folder = tempfile::tempdir().unwrap();
    let [first, out] = ["first", "out"].map(|name| folder.path().join(name));
    let train = |seed: &str| {
        let mut command =
            archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--seed", seed, "--out"]);
        succeed(command.arg(first.join(seed)));
        first.join(seed).join("model.safetensors")
    };
    let weights = folder.path().join("weights.safetensors");
    std::fs::copy(train("3"), &weights).unwrap();
    let start = format!("models.vit.init={:?}", weights.display().to_string());
    let again = || {
        let mut command = excavate(&out);
        command.args(["--train", "vit", "--set", &start, "--set", "models.vit.freeze=backbone"]);
        command.args(["--set", "augment.pad_crop=0"]);
        command
    };
    let said = stderr(&succeed(&mut again()));
    assert!(said.contains("vit: the checkpoint that it starts from keeps its head"), "{said}");
    let hash = archaeo_store::sha256_file(&weights).unwrap();
    for file in ["config.toml", "vit/config.toml", "report.md"] {
        let text = std::fs::read_to_string(out.join(file)).unwrap();
        assert!(text.contains(&format!("init_sha256 = \"{hash}\"")), "{file}: {text}");
    }
    let report = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(report.contains("SHA-256 of the initial weights of "), "{report}");
    assert!(report.contains(", everything but its head frozen"), "{report}");
    assert!(out.join("vit/features/train-0.safetensors").exists());
    std::fs::copy(train("4"), &weights).unwrap();
    let error = fail(&mut again());
    assert!(error.contains("another configuration (models.vit.init_sha256 is "), "{error}");
}
