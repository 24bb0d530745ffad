//! `train` with several seeds and other trackers, and `track`.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use archaeo_plot::{Image, save_png};
use support::{SHERDS, VIT_CONFIG, archaeo, fail, json, read_json, stderr, stdout, succeed};

fn train(out: &Path, options: &[&str]) -> Command {
    let mut command = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--out"]);
    command.arg(out).args(options);
    command
}

/// A model that is scored again would overwrite what is kept of it.
#[test]
fn a_comparison_that_goes_on_scores_no_finished_model_again() {
    let folder = tempfile::tempdir().unwrap();
    let (config, out) = (folder.path().join("regimes.toml"), folder.path().join("out"));
    let tiny = fs::read_to_string(VIT_CONFIG).unwrap();
    let (shared, model) = tiny.split_once("[model]").unwrap();
    let regimes = format!(
        "{shared}epochs = 1\n[models.one.model]{model}\n[models.two]\nseed = 3\n[models.two.model]{model}"
    );
    fs::write(&config, regimes.replacen("epochs = 2\n", "", 1)).unwrap();
    let compare = || {
        let mut command = archaeo(["compare", "--data", SHERDS, "--config"]);
        let mut found = json(command.arg(&config).arg("--out").arg(&out));
        found.as_object_mut().unwrap().remove("environment");
        found
    };
    let first = compare();
    assert_eq!(compare(), first, "nothing has changed");
    let scored = out.join("one/share-100/scored.json");
    let text = fs::read_to_string(&scored).unwrap();
    fs::write(&scored, text.replace("true", "false")).unwrap();
    let again = compare();
    assert_eq!(again["regimes"][0]["runs"][0]["accuracy"]["value"], 0.0);
    assert_eq!(again["regimes"][1], first["regimes"][1]);
    // Other weights are scored.
    fs::write(&scored, text.replace("\"made_from\":\"", "\"made_from\":\"0")).unwrap();
    assert_eq!(compare(), first);
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_run_folder_holds_what_it_always_held_and_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let said = stdout(&succeed(&mut train(&out, &[])));
    assert_eq!(said, format!("Model: {}\n", out.join("model.safetensors").display()));
    let expected = [
        "checkpoints",
        "config.json",
        "config.toml",
        "data.json",
        "environment.json",
        "events.jsonl",
        "events.out.tfevents.archaeo",
        "lock",
        "metrics.jsonl",
        "model.safetensors",
    ];
    assert_eq!(names(&out), expected.map(String::from).into());
    let recipe = fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(!["objective", "trackers", "seeds"].iter().any(|key| recipe.contains(key)), "{recipe}");
}

#[test]
fn several_seeds_end_with_how_much_they_differ() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("runs");
    let seeds = ["--seeds", "3", "--seed", "4"];
    let result = json(&mut train(&out, &seeds));
    assert_eq!(read_json(&out.join("runs.json")), result);

    let runs = result["runs"].as_array().unwrap();
    let losses: Vec<f64> =
        runs.iter().map(|run| run["validation"]["validation_loss"].as_f64().unwrap()).collect();
    for (index, run) in runs.iter().enumerate() {
        assert_eq!(run["seed"], 4 + index);
        let model = out.join(format!("run-{index}/model.safetensors"));
        assert_eq!(run["model"], model.display().to_string());
        assert!(model.exists() && model.with_file_name("metrics.jsonl").exists());
    }
    let spread = &result["spread"]["validation_loss"];
    let mean = losses.iter().sum::<f64>() / 3.0;
    let deviation = (losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    let number = |name: &str| spread["mean"][name].as_f64().unwrap();
    assert!((number("value") - mean).abs() < 1e-12 && deviation > 0.0, "{spread}");
    assert!((spread["standard_deviation"].as_f64().unwrap() - deviation).abs() < 1e-12, "{spread}");
    // The 97.5th percentile of Student's t with two degrees of freedom.
    assert!((number("high") - mean - 4.302_652_729_9 * deviation / 3f64.sqrt()).abs() < 1e-9, "{spread}");
    assert_eq!(spread["mean"]["n"], 3);

    // All of it is there already; the data of the first run is that of the others.
    let said = stdout(&succeed(&mut train(&out, &seeds)));
    assert!(said.contains("over 3 runs that differ in their seed"), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[3].starts_with("validation accuracy  ") && lines[3].contains("95 % interval"), "{said}");
    assert!(lines[4].starts_with(&format!("validation loss      {mean:.4}")), "{said}");
    let data = |run: &str| read_json(&out.join(run).join("data.json"));
    assert_eq!(data("run-0"), data("run-2"));

    // A fourth run, without another training of the first three.
    let more = json(&mut train(&out, &["--seeds", "4", "--seed", "4"]));
    assert_eq!(more["runs"].as_array().unwrap()[..3], runs[..]);
    let sentence = fail(&mut train(&out, &["--seed", "4"]));
    assert!(sentence.contains("seeds is 4 there and not set here"), "{sentence}");
}

#[cfg(unix)]
#[test]
fn killed_runs_go_on_to_the_same_models() {
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let options = ["--seeds", "2", "--set", "epochs=40"];
    succeed(&mut train(&whole, &options));
    // Within the first run, and within the second.
    for run in ["run-0", "run-1"] {
        let mut child = train(&killed, &options).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while !killed.join(run).join("checkpoints/last.safetensors").exists() {
            assert!(begun.elapsed() < Duration::from_secs(120), "{run} never began");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    succeed(&mut train(&killed, &options));
    for run in ["run-0", "run-1"] {
        let model = |of: &Path| fs::read(of.join(run).join("model.safetensors")).unwrap();
        assert!(model(&whole) == model(&killed), "{run} differs");
    }
}

#[test]
fn trackers_are_chosen_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("runs");
    succeed(&mut train(&out, &["--seeds", "2", "--track", "csv"]));
    let tables = ["run-0/metrics.csv", "run-0/steps.csv", "run-1/metrics.csv", "run-1/steps.csv"];
    let read = || tables.map(|table| fs::read(out.join(table)).unwrap());
    let live = read();
    assert!(!out.join("run-0/metrics.jsonl").exists());

    tables.iter().for_each(|table| fs::remove_file(out.join(table)).unwrap());
    let mut command = archaeo(["track", "--to", "csv,metrics"]);
    let result = json(command.arg(&out));
    assert_eq!(result["files"].as_array().unwrap().len(), 6);
    assert_eq!(read(), live);
    assert_eq!(fs::read_to_string(out.join("run-1/metrics.jsonl")).unwrap().lines().count(), 2);

    // Trackers decide no result, so that a folder goes on with others.
    succeed(&mut train(&out, &["--seeds", "2"]));
    assert!(out.join("run-0/events.out.tfevents.archaeo").exists());

    let sentence = fail(archaeo(["track", "--tracker", "csv"]).arg(folder.path()));
    assert!(sentence.contains("holds no events.jsonl"), "{sentence}");
    let sentence = fail(&mut train(&folder.path().join("other"), &["--set", "trackers=[\"tensorbord\"]"]));
    assert!(
        sentence.contains("`trackers` cannot be `tensorbord`; did you mean `tensorboard`?"),
        "{sentence}"
    );
    let output = train(&folder.path().join("other"), &["--tracker", "cvs"]).output().unwrap();
    assert!(
        output.status.code() == Some(2) && stderr(&output).contains("tensorboard"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn programs_that_are_not_there_stop_no_training_and_get_everything_later() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    // A port that nobody listens on, and an inbox that cannot be made.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let uri = format!("http://{address}");
    fs::write(folder.path().join("trackio"), "a file").unwrap();
    let elsewhere = |mut command: Command| {
        command.env("MLFLOW_TRACKING_URI", &uri).env("TRACKIO_DIR", folder.path().join("trackio"));
        command
    };
    let output = succeed(&mut elsewhere(train(&out, &["--track", "mlflow,trackio,csv"])));
    let said = stderr(&output);
    for (id, reason) in [("mlflow", "cannot be reached ("), ("trackio", "cannot create ")] {
        let told: Vec<&str> =
            said.lines().filter(|line| line.contains(&format!("nothing reaches {id}"))).collect();
        assert_eq!(told.len(), 1, "{said}");
        assert!(told[0].contains(reason) && told[0].contains(&format!("--to {id}`")), "{said}");
    }
    assert!(out.join("model.safetensors").exists() && out.join("metrics.csv").exists());

    let track = |to: &str| {
        let mut command = archaeo(["track", "--to", to]);
        command.arg(&out);
        elsewhere(command)
    };
    let sentence = fail(&mut track("mlflow"));
    assert!(
        sentence.contains("cannot be reached (") && sentence.contains("goes on from there"),
        "{sentence}"
    );
    let sentence = fail(archaeo(["track", "--to", "mlflow"]).arg(&out).env_remove("MLFLOW_TRACKING_URI"));
    assert!(sentence.contains("MLFLOW_TRACKING_URI is not set"), "{sentence}");
    let sentence = fail(track("mlflow").arg("--offline"));
    assert!(sentence.contains("--offline is given"), "{sentence}");

    fs::remove_file(folder.path().join("trackio")).unwrap();
    let steps = fs::read_to_string(out.join("steps.csv")).unwrap().lines().count() - 1;
    let result = json(&mut track("trackio"));
    assert_eq!(result["delivered"][0]["lines"], steps, "{result}");
    assert_eq!(json(&mut track("trackio"))["delivered"][0]["lines"], 0);
}

#[test]
fn a_model_learns_new_classes_from_the_weights_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first");
    succeed(&mut train(&first, &[]));
    let weights = first.join("model.safetensors");
    let recipe = folder.path().join("recipe.toml");
    fs::write(&recipe, "epochs = 3\nbatch_size = 16\nlearning_rate = 1e-3\n").unwrap();
    let data = folder.path().join("data");
    for number in 0..60 {
        let class = ["dark", "bright"][number % 2];
        let pixels = (0..16 * 16 * 3).map(|place| ((place * 7 + number * 13) % 100 + number % 2 * 100) as u8);
        let file = data.join(class).join(format!("{number}.png"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        save_png(&Image::new(16, 16, pixels.collect()), &file).unwrap();
    }
    let out = folder.path().join("second");
    let again = |options: &[&str]| {
        let mut command = archaeo(["train", "--config"]);
        command.arg(&recipe).arg("--data").arg(&data).arg("--init").arg(&weights);
        command.args(["--freeze", "backbone", "--json", "--out"]).arg(&out).args(options);
        command
    };
    let output = succeed(&mut again(&[]));
    assert!(stderr(&output).contains("gets a new head for the 2 classes of the data"), "{}", stderr(&output));
    let hash = archaeo_store::sha256_file(&weights).unwrap();
    let recorded = fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(recorded.contains(&format!("init_sha256 = \"{hash}\"")) && recorded.contains("image_size = 16"));
    assert_eq!(
        names(&out.join("features")),
        ["train-0.safetensors", "validation-0.safetensors"].map(String::from).into()
    );
    let error = fail(&mut again(&["--set", "init_sha256=0123456789abcdef"]));
    assert!(error.contains("has changed: its SHA-256 is "), "{error}");

    let other = folder.path().join("other");
    for (options, expected) in [
        (&["--freeze", "9"][..], "`freeze` is 9, but "),
        (&["--freeze", "blocks.9,norm"], "`freeze` names `blocks.9`, which "),
        (&["--set", "image_size=17"], "do not tile an image of 17 px"),
        (&["--set", "model=vit_micro"], "holds another model ("),
    ] {
        let mut command = archaeo(["train", "--config"]);
        command
            .arg(&recipe)
            .args(["--data", SHERDS, "--init"])
            .arg(&weights)
            .arg("--out")
            .arg(&other)
            .args(options);
        let error = fail(&mut command);
        assert!(error.contains(expected), "{error}");
        assert!(!other.exists(), "nothing is written");
    }
    let mut command = train(&other, &["--freeze", "backbone"]);
    assert!(fail(&mut command).contains("`freeze` keeps the values of other weights"));
}

/// Ranks that do not know of one another would all train the same.
#[test]
#[cfg(not(feature = "mpi"))]
fn ranks_of_mpi_need_the_feature() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let train = || train(&run, &["--set", "epochs=1"]);
    let sentence = fail(train().env("OMPI_COMM_WORLD_SIZE", "4"));
    assert!(sentence.contains("MPI started 4 ranks") && sentence.contains("--features mpi"), "{sentence}");
    assert!(!run.exists());
    succeed(train().env("OMPI_COMM_WORLD_SIZE", "1"));
}
