//! The event log of a training, and the trackers' files: live, resumed and rebuilt.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::{StopAt, VIT, bits, finish, recipe, run};
use archaeo_training::events::{self, Event, Happening, LOG};
use archaeo_training::trackers::{self, MlflowRequest, TrackerKind, track};
use archaeo_training::{EpochRecord, Observer, Outcome, Recipe, Sight, TrainError, Trained};

/// A recipe with every tracker.
fn every_tracker(overrides: &[&str]) -> Recipe {
    let ids: Vec<&str> = trackers::all().iter().map(|kind| kind.id).collect();
    recipe(VIT, &[overrides, &[&format!("trackers={ids:?}")]].concat())
}

fn log(folder: &Path) -> Vec<Event> {
    events::read(&folder.join(LOG)).unwrap().map(Result::unwrap).collect()
}

/// The log, one letter per event.
fn letters(folder: &Path) -> String {
    let letter = |event: &Event| match event.what {
        Happening::Started(_) => 'S',
        Happening::Note { .. } => 'N',
        Happening::Step(_) => '.',
        Happening::Sight(_) => 'V',
        Happening::Epoch(_) => 'E',
        Happening::Finished { .. } => 'F',
        Happening::Stopped { .. } => '!',
        Happening::Failed { .. } => 'X',
    };
    log(folder).iter().map(letter).collect()
}

/// Every file of every tracker, by its path within the run folder.
fn tracked(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (name, _) in trackers::all().iter().flat_map(|kind| kind.files) {
        match name.ends_with('/') {
            true => add_files(folder, name.trim_end_matches('/'), &mut files),
            false => drop(files.insert((*name).into(), fs::read(folder.join(name)).unwrap_or_default())),
        }
    }
    files
}

/// The files of a folder of the run folder.
fn add_files(folder: &Path, name: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder.join(name)).into_iter().flatten() {
        let name = format!("{name}/{}", entry.unwrap().file_name().to_str().unwrap());
        match folder.join(&name).is_dir() {
            true => add_files(folder, &name, files),
            false => drop(files.insert(name.clone(), fs::read(folder.join(&name)).unwrap())),
        }
    }
}

/// Removes what trackers wrote, and writes it again from the log.
#[track_caller]
fn assert_rebuilt_alike(folder: &Path) {
    let live = tracked(folder);
    assert!(live.values().all(|bytes| !bytes.is_empty()), "every tracker wrote something");
    live.keys().for_each(|name| fs::remove_file(folder.join(name)).unwrap());
    let written = track(folder, trackers::all()).unwrap();
    assert_eq!(written.len(), live.len());
    let rebuilt = tracked(folder);
    for (name, bytes) in &live {
        assert!(rebuilt[name] == *bytes, "{name} differs");
    }
}

/// Rows of a table, without its clocks (the last two columns of epochs).
fn rows(folder: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let columns = if name == "metrics.csv" { 6 } else { 5 };
    text.lines().map(|line| line.split(',').take(columns).collect::<Vec<_>>().join(",")).collect()
}

fn read(trained: &Trained) -> &EpochRecord {
    trained.history.last().unwrap()
}

#[test]
fn the_log_tells_what_happened_and_tables_follow_from_it() {
    let root = tempfile::tempdir().unwrap();
    let recipe = every_tracker(&["epochs=2", "batch_size=100"]);
    let trained = finish(&recipe, root.path());
    assert_eq!(letters(root.path()), "S..E..EF");

    let events = log(root.path());
    assert!(events.is_sorted_by(|a, b| a.time <= b.time), "{events:#?}");
    let Happening::Started(start) = &events[0].what else { panic!("{events:#?}") };
    assert_eq!((start.epochs_done, start.total_steps, start.seed), (0, 4, recipe.seed));
    assert_eq!(start.parameters, trained.model.parameter_count());
    assert_eq!(start.recipe["learning_rate"], recipe.learning_rate);
    assert_eq!(start.data.as_ref().unwrap().source, "halves");
    assert_eq!(start.environment.as_ref().unwrap().command, "test");
    let epochs = events.iter().filter_map(|event| match &event.what {
        Happening::Epoch(record) => Some(record.clone()),
        _ => None,
    });
    assert_eq!(epochs.collect::<Vec<_>>(), trained.history, "to the last bit");
    let steps = events.iter().filter_map(|event| match &event.what {
        Happening::Step(step) if step.epoch == 2 => Some(step.loss),
        _ => None,
    });
    let mean = steps.sum::<f64>() / 2.0;
    assert!((mean - read(&trained).train_loss).abs() < 1e-12, "{mean}");

    let table = rows(root.path(), "metrics.csv");
    assert!(table[0].starts_with("epoch,step,learning_rate,train_loss,validation_loss,validation_accuracy"));
    let last: Vec<f64> = table[2].split(',').map(|number| number.parse().unwrap()).collect();
    let EpochRecord { learning_rate, train_loss, validation_loss, validation_accuracy, .. } = *read(&trained);
    assert_eq!(last, [2.0, 4.0, learning_rate, train_loss, validation_loss, validation_accuracy]);
    assert_eq!(table.len(), 3);
    assert_eq!(rows(root.path(), "steps.csv").len(), 5);
}

#[test]
fn live_and_rebuilt_files_are_the_same_bytes_stopped_or_not() {
    // Six steps per epoch, four epochs.
    let recipe = every_tracker(&[]);
    let (straight, resumed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    finish(&recipe, straight.path());
    assert_eq!(letters(straight.path()), "S............E............E............E............EF");
    assert_rebuilt_alike(straight.path());

    // In the middle of the second epoch: lost steps stay in the log until they are repeated.
    let outcome = run(&recipe, resumed.path(), &mut StopAt(15, 0)).unwrap();
    assert!(matches!(outcome, Outcome::Stopped { epochs: 1 }), "{outcome:?}");
    assert_eq!(letters(resumed.path()), "S............E...!");
    assert_rebuilt_alike(resumed.path());
    // As a kill leaves it: half a line, and trackers that are behind.
    let mut text = fs::read_to_string(resumed.path().join(LOG)).unwrap();
    text.truncate(text.len() - 7);
    fs::write(resumed.path().join(LOG), text).unwrap();
    fs::write(resumed.path().join("steps.csv"), "epo").unwrap();
    assert_eq!(letters(resumed.path()), "S............E...");
    finish(&recipe, resumed.path());
    assert_eq!(letters(resumed.path()), "S............ES............E............E............EF");
    assert_rebuilt_alike(resumed.path());

    // Clocks aside, a run that was stopped leaves what one leaves that was not.
    for name in ["metrics.csv", "steps.csv"] {
        assert_eq!(rows(straight.path(), name), rows(resumed.path(), name), "{name}");
    }
    let weights = |root: &tempfile::TempDir| bits(&root.path().join("model.safetensors"));
    assert!(weights(&straight) == weights(&resumed));
}

#[test]
fn a_finished_run_stays_as_it_is_and_takes_a_tracker_more() {
    let root = tempfile::tempdir().unwrap();
    let first = recipe(VIT, &["epochs=1"]);
    finish(&first, root.path());
    let files = || tracked(root.path());
    let (log, before) = (fs::read(root.path().join(LOG)).unwrap(), files());
    assert!(before["metrics.csv"].is_empty() && !before["metrics.jsonl"].is_empty(), "not by default");
    finish(&first, root.path());
    let weights = || fs::read(root.path().join("model.safetensors")).unwrap();
    let model = weights();
    finish(&every_tracker(&["epochs=1", "project=shards"]), root.path());
    assert!(weights() == model, "who follows a training does not change its file");
    assert!(fs::read(root.path().join(LOG)).unwrap() == log, "nothing happened");
    assert!(files()["metrics.jsonl"] == before["metrics.jsonl"]);
    assert_rebuilt_alike(root.path());
}

#[test]
fn a_run_of_before_there_was_a_log_goes_on() {
    let recipe = recipe(VIT, &[]);
    let (straight, resumed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    finish(&recipe, straight.path());
    run(&recipe, resumed.path(), &mut StopAt(26, 0)).unwrap();
    fs::remove_file(resumed.path().join(LOG)).unwrap();
    finish(&recipe, resumed.path());
    assert_eq!(letters(resumed.path()), "EES............E............EF");
    let weights = |root: &tempfile::TempDir| bits(&root.path().join("model.safetensors"));
    assert!(weights(&straight) == weights(&resumed));
    let metrics = fs::read_to_string(resumed.path().join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 4);
}

#[test]
fn a_training_that_fails_says_so_in_its_log() {
    let root = tempfile::tempdir().unwrap();
    let error = run(&recipe(VIT, &["learning_rate=1e30", "warmup_epochs=0"]), root.path(), &mut ());
    let said = error.unwrap_err().to_string();
    assert!(letters(root.path()).ends_with('X'));
    let last = log(root.path()).pop().unwrap();
    assert_eq!(last.what, Happening::Failed { reason: said });
}

/// A line for trackio that shows pictures.
struct Shown {
    step: u64,
    /// Names and bytes.
    pictures: Vec<(String, Vec<u8>)>,
    /// How many heads fall into each bin.
    bins: Vec<u64>,
}

fn shown_by_trackio(files: &BTreeMap<String, Vec<u8>>) -> Vec<Shown> {
    let lines = std::str::from_utf8(&files["trackio.jsonl"]).unwrap().lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let shown = lines.map(|line| {
        let metrics = line["metrics"].as_object().unwrap();
        let of_type = |of: &'static str| metrics.iter().filter(move |(_, value)| value["_type"] == of);
        let pictures = of_type("trackio.image").map(|(key, value)| {
            let path = format!("trackio/{}", value["file_path"].as_str().unwrap());
            (key.clone(), files[&path].clone())
        });
        let bins = of_type("trackio.histogram").flat_map(|(_, value)| value["values"].as_array().unwrap());
        let bins = bins.map(|count| count.as_u64().unwrap());
        Shown { step: line["step"].as_u64().unwrap(), pictures: pictures.collect(), bins: bins.collect() }
    });
    shown.filter(|shown| !shown.pictures.is_empty()).collect()
}

#[test]
fn what_the_model_looks_at_is_shown_every_few_epochs_and_follows_from_the_log() {
    let root = tempfile::tempdir().unwrap();
    let looks = ["epochs=3", "batch_size=100", "track_images=2", "track_every=2"];
    finish(&every_tracker(&looks), root.path());
    assert_eq!(letters(root.path()), "S..E..VE..VEF", "the last epoch always has a look");
    let sights: Vec<Sight> = log(root.path())
        .into_iter()
        .filter_map(|event| match event.what {
            Happening::Sight(sight) => Some(sight),
            _ => None,
        })
        .collect();
    assert_eq!(sights.iter().map(|sight| (sight.epoch, sight.step)).collect::<Vec<_>>(), [(2, 4), (3, 6)]);
    let of_heads = |sight: &Sight| sight.heads.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(of_heads(&sights[0]), [2, 2], "two layers of two heads");
    assert!(sights[0].heads.iter().flatten().all(|importance| *importance > 0.0));

    // Each picture is in the file for TensorBoard, a file of its own for W&B and for trackio, and a request for MLflow.
    let files = tracked(root.path());
    let events = &files["events.out.tfevents.archaeo"];
    let media: Vec<&Vec<u8>> = files
        .iter()
        .filter(|(name, _)| name.contains("/files/media/images/copy_"))
        .map(|(_, bytes)| bytes)
        .collect();
    for picture in sights.iter().flat_map(|sight| &sight.pictures) {
        let png = fs::read(root.path().join(&picture.file)).unwrap();
        assert_eq!((png.len(), archaeo_store::sha256(&png)), (picture.bytes, picture.sha256.clone()));
        assert!(events.windows(png.len()).any(|window| window == png) && media.contains(&&png));
    }
    let of_trackio = shown_by_trackio(&files);
    assert_eq!(of_trackio.iter().map(|shown| shown.step).collect::<Vec<_>>(), [4, 6]);
    let requests: Vec<MlflowRequest> = std::str::from_utf8(&files["mlflow.jsonl"])
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of_mlflow = requests.iter().filter_map(|request| match request {
        MlflowRequest::Picture { key, step, picture, .. } => Some((*step, key.as_str(), picture)),
        _ => None,
    });
    let expected = sights.iter().flat_map(|sight| sight.pictures.iter().map(|picture| (sight.step, picture)));
    for ((step, key, sent), (of, picture)) in of_mlflow.clone().zip(expected) {
        let name = format!("copy/image {}", picture.image + 1);
        assert_eq!((step, key, sent), (of, name.as_str(), picture));
    }
    assert_eq!(of_mlflow.count(), 4);
    for (sight, Shown { pictures, bins, .. }) in sights.iter().zip(&of_trackio) {
        assert_eq!(bins.iter().sum::<u64>(), 4, "every head is in the histogram");
        let expected = sight.pictures.iter().map(|picture| {
            (format!("copy/image {}", picture.image + 1), fs::read(root.path().join(&picture.file)).unwrap())
        });
        assert_eq!(*pictures, expected.collect::<Vec<_>>());
    }
    // MLflow, which has no histograms, is told the importance of each head.
    let last = requests.iter().filter_map(|request| match request {
        MlflowRequest::Metrics { epoch: 3, metrics, .. } => Some(metrics),
        _ => None,
    });
    let heads = last.flatten().filter(|metric| metric.key.starts_with("head_importance/layer "));
    let heads: Vec<f64> = heads.map(|metric| metric.value.as_f64().unwrap()).collect();
    assert_eq!(heads, sights[1].heads.concat());
    assert_eq!((sights[1].pictures.len(), media.len()), (2, 4));
    assert_rebuilt_alike(root.path());

    // A picture that was changed is not shown as what the log names.
    fs::write(root.path().join(&sights[0].pictures[0].file), "another").unwrap();
    fs::remove_dir_all(root.path().join("wandb")).unwrap();
    track(root.path(), trackers::all()).unwrap();
    assert_eq!(tracked(root.path()).keys().filter(|name| name.contains("/media/")).count(), 3);
}

/// Hears warnings.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Observer for Warnings {
    fn warn(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
}

#[test]
fn a_tracker_that_cannot_write_stops_nothing_and_is_told_once() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    run(&recipe(VIT, &[]), root.path(), &mut StopAt(15, 0)).unwrap();
    // No file can be written where a folder is, and no folder made where a file is.
    fs::create_dir(at("steps.csv")).unwrap();
    fs::write(at("wandb"), "a file").unwrap();
    let mut told = Warnings::default();
    let outcome = run(&every_tracker(&[]), root.path(), &mut told).unwrap();
    assert!(matches!(outcome, Outcome::Finished(_)) && letters(root.path()).ends_with("EF"));
    assert_eq!(told.0.len(), 2, "{:?}", told.0);
    for (sentence, id) in told.0.iter().zip(["csv", "wandb"]) {
        let expected = format!("the tracker {id} stopped, the training goes on: ");
        assert!(sentence.starts_with(&expected) && sentence.contains(&format!("--to {id}`")), "{sentence}");
    }
    assert_eq!(fs::read_to_string(at("wandb")).unwrap(), "a file");
    assert_eq!(fs::read_to_string(at("metrics.jsonl")).unwrap().lines().count(), 4);
    let sentence = track(root.path(), trackers::all()).unwrap_err().to_string();
    assert!(sentence.contains("wandb"), "{sentence}");

    fs::remove_dir(at("steps.csv")).unwrap();
    fs::remove_file(at("wandb")).unwrap();
    track(root.path(), trackers::all()).unwrap();
    assert_rebuilt_alike(root.path());
}

#[test]
fn what_is_no_log_gets_a_sentence() {
    let root = tempfile::tempdir().unwrap();
    let sentence = |kinds: &[&'static TrackerKind]| track(root.path(), kinds).unwrap_err().to_string();
    assert!(sentence(trackers::all()).contains("holds no events.jsonl"));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "a stranger's folder is left as it is");

    let folder = root.path().join("run");
    finish(&recipe(VIT, &["epochs=1"]), &folder);
    let path = folder.join(LOG);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"event\":\"step\"", "\"event\":\"leap\"", 1)).unwrap();
    let error = track(&folder, trackers::all()).unwrap_err();
    assert!(matches!(error, TrainError::Event { line: 2, .. }), "{error}");
    assert!(error.to_string().contains("events.jsonl is damaged at line 2 ("), "{error}");
}
