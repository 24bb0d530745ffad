//! Several seeds: runs that differ only in their seed, each of which resumes like any other.

use crate::common;
use std::path::Path;

use crate::common::{StopAt, VIT, bits, finish, recipe, run_one};
use archaeo_training::{EpochRecord, Outcome, Recipe, Spread, open_runs, run_folders};

/// Trains the runs one after the other, as far as step `stop` of run `last`.
fn train(recipe: &Recipe, folder: &Path, last: usize, stop: u64) -> Vec<EpochRecord> {
    let mut ends = Vec::new();
    for (index, run) in recipe.runs().iter().enumerate().take(last + 1) {
        let stop = if index == last { stop } else { u64::MAX };
        match run_one(run, folder, &mut StopAt(stop, 0)).unwrap() {
            Outcome::Finished(trained) => ends.extend(trained.history.last().cloned()),
            Outcome::Stopped { .. } => break,
        }
    }
    ends
}

#[test]
fn each_run_is_that_of_its_seed_alone_and_resumes_to_its_bits() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let several = recipe(VIT, &["seeds=3", "seed=5", "epochs=2", "dropout=0.1"]);
    let whole = train(&several, &path("whole"), 2, u64::MAX);

    // Inside the second run, between its epochs; then between the second and the third.
    assert_eq!(train(&several, &path("stopped"), 1, 15).len(), 1);
    assert_eq!(train(&several, &path("stopped"), 1, u64::MAX).len(), 2);
    let stopped = train(&several, &path("stopped"), 2, u64::MAX);

    let file = |of: &str, run: usize| path(of).join(format!("run-{run}/model.safetensors"));
    for run in 0..3 {
        let weights = bits(&file("whole", run));
        assert!(weights == bits(&file("stopped", run)), "run {run} differs where it was stopped");
        let alone = recipe(VIT, &[&format!("seed={}", 5 + run), "epochs=2", "dropout=0.1"]);
        let trained = finish(&alone, &path(&format!("alone-{run}")));
        assert!(weights == bits(&trained.weights), "run {run} is not that of its seed");
        assert_eq!(whole[run].validation_loss, trained.history[1].validation_loss);
        assert_eq!(whole[run].validation_loss, stopped[run].validation_loss);
    }
    assert!(bits(&file("whole", 0)) != bits(&file("whole", 1)), "the seed does nothing");
    let spread = Spread::of(&whole).unwrap();
    assert_eq!(spread, Spread::of(&stopped).unwrap());
    assert!(spread.validation_loss.standard_deviation > 0.0);
    assert_eq!(run_folders(&path("whole")), [0, 1, 2].map(|run| path("whole").join(format!("run-{run}"))));
    assert_eq!(run_folders(&path("alone-0")), [path("alone-0")]);
}

#[test]
fn more_runs_may_follow_but_a_single_run_is_not_the_first_of_several() {
    let root = tempfile::tempdir().unwrap();
    let (data, environment) = common::identity();
    let open = |recipe: &Recipe, name: &str| {
        open_runs(recipe, &root.path().join(name), &data, &environment)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let [two, four, single] =
        ["seeds=2", "seeds=4", "seeds=1"].map(|seeds| recipe(VIT, &[seeds, "epochs=1"]));
    open(&two, "runs").unwrap();
    open(&four, "runs").unwrap();
    let other = open(&recipe(VIT, &["seeds=2", "epochs=3"]), "runs").unwrap_err();
    assert!(other.contains("epochs is 1 there and 3 here"), "{other}");
    let error = common::run(&single, &root.path().join("runs"), &mut ()).unwrap_err().to_string();
    assert!(error.contains("seeds is 4 there and not set here"), "{error}");

    finish(&single, &root.path().join("single"));
    let error = open(&two, "single").unwrap_err();
    assert!(error.contains("single holds a single run; give --out another folder"), "{error}");
}
