//! Training from the outside: it learns, it is the same for any number of threads, and stopping it changes nothing.

use std::path::Path;

use crate::common::{Halves, RESNET, StopAt, VIT, bits, finish, recipe, run};
use archaeo_models::{Array, State, load, read_arrays, write_arrays};
use archaeo_training::EpochRecord;
use archaeo_training::evaluate::evaluate;
use archaeo_training::events::LOG;
use archaeo_training::{Observer, Outcome, StepReport, TrainError, strata};
use burn::tensor::Device;

/// A history without its clocks.
fn losses(history: &[EpochRecord]) -> Vec<(usize, u64, u64, u64, u64)> {
    let bits = |r: &EpochRecord| {
        let [train, validation, accuracy] =
            [r.train_loss, r.validation_loss, r.validation_accuracy].map(f64::to_bits);
        (r.epoch, r.step, train, validation, accuracy)
    };
    history.iter().map(bits).collect()
}

/// Everything with a state or randomness.
const EVERYTHING: [&str; 5] =
    ["accumulation=2", "ema_decay=0.9", "label_smoothing=0.1", "augment.mixup=0.8", "augment.cutmix=1.0"];

#[test]
fn small_models_learn() {
    for text in [VIT, RESNET] {
        let root = tempfile::tempdir().unwrap();
        let trained = finish(&recipe(text, &["epochs=16"]), root.path());
        let (first, last) = (&trained.history[0], trained.history.last().unwrap());
        assert!(last.train_loss < 0.5 * first.train_loss, "{first:?} {last:?}");
        assert!(last.validation_accuracy > 0.9, "{last:?}");
        assert_eq!((last.epoch, last.step), (16, 16 * 12));
    }
}

#[test]
fn a_run_folder_holds_a_model_that_loads_and_a_history() {
    let root = tempfile::tempdir().unwrap();
    let trained = finish(&recipe(RESNET, &["ema_decay=0.9"]), root.path());
    let device = Device::flex();
    let validation = Halves { count: 60, seed: 2 };
    let answers = |path: &Path, batch_size| {
        let model = load(path, None, &device).unwrap();
        evaluate(&model, &validation, batch_size, &device, &mut |_| ()).unwrap()
    };
    let loaded = answers(&trained.weights, 60);
    let last = trained.history.last().unwrap();
    assert_eq!(loaded.accuracy(), last.validation_accuracy);
    assert!((loaded.loss() - last.validation_loss).abs() < 1e-6);
    let single = answers(&trained.weights, 1);
    for (a, b) in loaded.logits.iter().zip(&single.logits) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }

    let best = trained.history.iter().map(|record| record.validation_accuracy).fold(0.0, f64::max);
    assert_eq!(answers(&root.path().join("checkpoints/best.safetensors"), 60).accuracy(), best);
    let metrics = std::fs::read_to_string(root.path().join("metrics.jsonl")).unwrap();
    let records: Vec<EpochRecord> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), trained.history.len());
    for (read, kept) in records.iter().zip(&trained.history) {
        assert_eq!((read.epoch, read.step), (kept.epoch, kept.step));
        assert!((read.train_loss - kept.train_loss).abs() < 1e-12, "{read:?} {kept:?}");
    }
}

#[test]
fn resuming_gives_the_bits_of_never_having_stopped() {
    for (text, more) in [(VIT, &["drop_path=0.2", "dropout=0.1"][..]), (RESNET, &[][..])] {
        let kept = ["keep_checkpoints=[1,3]"];
        let recipe = recipe(text, &[&EVERYTHING[..], more, &kept].concat());
        let (straight, resumed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let whole = finish(&recipe, straight.path());

        // 200 images and 32 per step are 6 steps per epoch: in the middle of the third, and again in the fourth.
        for (stop, kept) in [(14, 2), (19, 3)] {
            let outcome = run(&recipe, resumed.path(), &mut StopAt(stop, 0)).unwrap();
            assert!(matches!(outcome, Outcome::Stopped { epochs } if epochs == kept), "{outcome:?}");
        }
        // As a kill between two writes would leave it.
        std::fs::write(resumed.path().join("metrics.jsonl"), "{\"epoch\":").unwrap();
        let rest = finish(&recipe, resumed.path());

        assert_eq!(losses(&whole.history), losses(&rest.history));
        for file in [
            "model.safetensors",
            "checkpoints/last.safetensors",
            "checkpoints/best.safetensors",
            "checkpoints/epoch-01.safetensors",
            "checkpoints/epoch-03.safetensors",
        ] {
            let (whole, rest) = (bits(&straight.path().join(file)), bits(&resumed.path().join(file)));
            assert!(whole == rest, "{file} differs");
        }
        let lines = std::fs::read_to_string(resumed.path().join("metrics.jsonl")).unwrap();
        assert_eq!(lines.lines().count(), 4);
    }
}

#[test]
fn kept_epochs_are_the_model_as_it_was_evaluated() {
    let root = tempfile::tempdir().unwrap();
    let kept = recipe(VIT, &["ema_decay=0.9", "keep_checkpoints=[1,3]"]);
    let trained = finish(&kept, root.path());
    let found = strata(root.path()).unwrap();
    assert_eq!(found.iter().map(|stratum| stratum.epoch).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(found[2].weights, trained.weights);
    let (device, validation) = (Device::flex(), Halves { count: 60, seed: 2 });
    for stratum in &found {
        let record = &trained.history[stratum.epoch - 1];
        assert_eq!(stratum.validation_accuracy, Some(record.validation_accuracy));
        let model = load(&stratum.weights, None, &device).unwrap();
        let answers = evaluate(&model, &validation, 60, &device, &mut |_| ()).unwrap();
        assert!((answers.loss() - record.validation_loss).abs() < 1e-6, "{stratum:?} {record:?}");
    }
    // Which epochs are kept changes no result, so that a run may go on with others.
    let plain = tempfile::tempdir().unwrap();
    finish(&recipe(VIT, &["ema_decay=0.9"]), plain.path());
    assert!(bits(&plain.path().join("model.safetensors")) == bits(&trained.weights));
    let refused = strata(plain.path()).unwrap_err().to_string();
    assert!(refused.contains("keep_checkpoints = [1, 2, 5]"), "{refused}");
    finish(&recipe(VIT, &["ema_decay=0.9", "keep_checkpoints=[4]"]), plain.path());
    let several = tempfile::tempdir().unwrap();
    std::fs::create_dir(several.path().join("run-0")).unwrap();
    assert!(strata(several.path()).unwrap_err().to_string().contains("give the folder of one of them"));
}

#[test]
fn gradient_checkpointing_changes_no_bit_of_a_training_stopped_or_not() {
    for precision in ["precision=f32", "precision=bf16"] {
        let overrides = [&EVERYTHING[..], &["drop_path=0.2", "dropout=0.1", precision]].concat();
        let ordinary = recipe(VIT, &overrides);
        let checkpointed = recipe(VIT, &[&overrides[..], &["gradient_checkpointing=true"]].concat());
        let (kept, recomputed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let whole = finish(&ordinary, kept.path());
        let outcome = run(&checkpointed, recomputed.path(), &mut StopAt(14, 0)).unwrap();
        assert!(matches!(outcome, Outcome::Stopped { epochs: 2 }), "{outcome:?}");
        let rest = finish(&checkpointed, recomputed.path());

        assert_eq!(losses(&whole.history), losses(&rest.history));
        for file in ["model.safetensors", "checkpoints/last.safetensors"] {
            let (whole, rest) = (bits(&kept.path().join(file)), bits(&recomputed.path().join(file)));
            assert!(whole == rest, "{file} differs");
        }
    }
}

#[test]
fn a_finished_run_is_not_trained_again() {
    struct NoStep;
    impl Observer for NoStep {
        fn step(&mut self, report: &StepReport) {
            panic!("trained again: {report:?}");
        }
    }
    let root = tempfile::tempdir().unwrap();
    let recipe = recipe(VIT, &["epochs=1"]);
    let first = finish(&recipe, root.path());
    let Outcome::Finished(again) = run(&recipe, root.path(), &mut NoStep).unwrap() else { panic!("stopped") };
    assert_eq!(first.history, again.history);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for text in [VIT, RESNET] {
        let recipe = recipe(text, &[&EVERYTHING[..], &["epochs=1"]].concat());
        let with_threads = |threads| {
            let root = tempfile::tempdir().unwrap();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let trained = pool.install(|| finish(&recipe, root.path()));
            (losses(&trained.history), bits(&root.path().join("checkpoints/last.safetensors")))
        };
        let one = with_threads(1);
        assert!(one == with_threads(2), "2 threads differ from 1");
        assert!(one == with_threads(3), "3 threads differ from 1");
    }
}

#[test]
fn accumulated_batches_are_one_large_batch() {
    // Without batch norm, whose moments are those of a batch.
    let after = |overrides: &[&str]| {
        let root = tempfile::tempdir().unwrap();
        let sgd = ["optimizer.name=sgd", "learning_rate=0.05", "epochs=1"];
        let text = VIT.replace("[model]", "[optimizer]\nname = \"sgd\"\n[model]");
        finish(&recipe(&text, &[&sgd[1..], overrides].concat()), root.path());
        read_arrays(&root.path().join("model.safetensors")).unwrap().0
    };
    let (large, accumulated): (State, State) =
        (after(&["batch_size=40"]), after(&["batch_size=10", "accumulation=4"]));
    for (name, array) in &large {
        for (a, b) in array.values.iter().zip(&accumulated[name].values) {
            assert!((a - b).abs() < 1e-5, "{name}: {a} {b}");
        }
    }
}

#[test]
fn a_training_that_diverges_says_so_and_where() {
    let root = tempfile::tempdir().unwrap();
    let error =
        run(&recipe(VIT, &["learning_rate=1e30", "warmup_epochs=0"]), root.path(), &mut ()).unwrap_err();
    let TrainError::Diverged(divergence) = &error else { panic!("{error}") };
    assert_eq!((divergence.epoch, divergence.kept.clone()), (1, None));
    assert!(error.to_string().contains("Train again with a lower learning_rate"), "{error}");
    assert!(!root.path().join("model.safetensors").exists());
}

#[test]
fn a_divergence_names_the_first_array_that_is_not_finite() {
    let root = tempfile::tempdir().unwrap();
    let recipe = recipe(VIT, &[]);
    run(&recipe, root.path(), &mut StopAt(13, 0)).unwrap();
    let checkpoint = root.path().join("checkpoints/last.safetensors");
    let (mut arrays, metadata) = read_arrays(&checkpoint).unwrap();
    for name in ["model.head.weight", "model.blocks.1.mlp.fc1.weight"] {
        arrays.get_mut(name).unwrap().values[3] = f32::NAN;
    }
    write_arrays(&checkpoint, &arrays, metadata).unwrap();

    let error = run(&recipe, root.path(), &mut ()).unwrap_err();
    let TrainError::Diverged(divergence) = &error else { panic!("{error}") };
    assert_eq!((divergence.epoch, divergence.step), (2, 13));
    assert_eq!(divergence.kept.as_deref(), Some(&*checkpoint));
    let sentence = error.to_string();
    assert!(sentence.contains("the loss is NaN"), "{sentence}");
    assert!(sentence.contains("the parameter `blocks.1.mlp.fc1.weight`"), "{sentence}");
}

#[test]
fn a_damaged_checkpoint_gets_a_sentence() {
    let root = tempfile::tempdir().unwrap();
    let recipe = recipe(VIT, &[]);
    run(&recipe, root.path(), &mut StopAt(13, 0)).unwrap();
    let checkpoint = root.path().join("checkpoints/last.safetensors");
    let bytes = std::fs::read(&checkpoint).unwrap();
    std::fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    let error = run(&recipe, root.path(), &mut ()).unwrap_err().to_string();
    assert!(error.contains("last.safetensors") && error.contains("remove it to start afresh"), "{error}");
    assert!(!error.contains("download"), "{error}");

    let (mut arrays, metadata) = {
        std::fs::write(&checkpoint, &bytes).unwrap();
        read_arrays(&checkpoint).unwrap()
    };
    arrays.remove("model.head.weight");
    write_arrays(&checkpoint, &arrays, metadata).unwrap();
    let error = run(&recipe, root.path(), &mut ()).unwrap_err().to_string();
    assert!(
        error.contains("missing     head.weight") && error.contains("remove it to start afresh"),
        "{error}"
    );
}

#[test]
fn optimizer_and_average_must_be_those_of_the_model() {
    for (text, prefix) in [(VIT, "optimizer.second."), (RESNET, "optimizer.first."), (VIT, "average.")] {
        let root = tempfile::tempdir().unwrap();
        let recipe = recipe(text, &["ema_decay=0.9"]);
        run(&recipe, root.path(), &mut StopAt(13, 0)).unwrap();
        let checkpoint = root.path().join("checkpoints/last.safetensors");
        let (arrays, metadata) = read_arrays(&checkpoint).unwrap();
        let name = arrays.keys().find(|name| name.starts_with(prefix)).unwrap().clone();
        type Damage<'a> = &'a dyn Fn(&mut State);
        let damage: [(&str, Damage); 3] = [
            ("misshapen", &|arrays| {
                arrays.insert(name.clone(), Array { shape: vec![1], values: vec![0.0] });
            }),
            ("missing", &|arrays| drop(arrays.remove(&name))),
            ("unexpected", &|arrays| {
                let array = arrays[&name].clone();
                arrays.insert(format!("{prefix}nobody"), array);
            }),
        ];
        for (expected, damage) in damage {
            let mut arrays = arrays.clone();
            damage(&mut arrays);
            write_arrays(&checkpoint, &arrays, metadata.clone()).unwrap();
            let error = run(&recipe, root.path(), &mut ()).unwrap_err().to_string();
            assert!(error.contains("last.safetensors cannot be resumed from"), "{error}");
            assert!(error.contains(expected) && error.contains("remove it to start afresh"), "{error}");
        }
        write_arrays(&checkpoint, &arrays, metadata).unwrap();
        finish(&recipe, root.path());
    }
}

#[test]
fn a_long_training_keeps_its_checkpoint_small_and_its_history_whole() {
    // Two steps per epoch, of which the checkpoint keeps the last hundred.
    let recipe = recipe(VIT, &["epochs=104", "batch_size=100", "model.depth=1", "model.width=8"]);
    let (straight, resumed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = finish(&recipe, straight.path());
    let outcome = run(&recipe, resumed.path(), &mut StopAt(205, 0)).unwrap();
    assert!(matches!(outcome, Outcome::Stopped { epochs: 102 }), "{outcome:?}");
    let checkpoint = resumed.path().join("checkpoints/last.safetensors");
    let (_, metadata) = read_arrays(&checkpoint).unwrap();
    assert_eq!(metadata["archaeo.progress"].matches("[[history]]").count(), 100);

    let log = resumed.path().join(LOG);
    let lines = std::fs::read_to_string(&log).unwrap();
    let second = lines.find("\"event\":\"epoch\",\"epoch\":2").unwrap();
    let without_first = &lines[lines[..second].rfind('\n').unwrap() + 1..];
    for damaged in ["", &lines[..20], without_first] {
        std::fs::write(&log, damaged).unwrap();
        let error = run(&recipe, resumed.path(), &mut ()).unwrap_err().to_string();
        assert!(error.contains("events.jsonl lacks epoch 1") && error.contains("to start afresh"), "{error}");
    }
    // Half a line at the end is what a kill leaves; the checkpoint has that epoch.
    let last = lines.rfind("\"event\":\"epoch\"").unwrap();
    std::fs::write(&log, &lines[..last + 30]).unwrap();
    let rest = finish(&recipe, resumed.path());
    assert_eq!(losses(&whole.history), losses(&rest.history));
    for root in [&straight, &resumed] {
        let lines = std::fs::read_to_string(root.path().join("metrics.jsonl")).unwrap();
        let epochs: Vec<usize> =
            lines.lines().map(|line| serde_json::from_str::<EpochRecord>(line).unwrap().epoch).collect();
        assert!(epochs.into_iter().eq(1..=104));
    }
}

#[test]
fn too_few_images_for_one_step_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let error = run(&recipe(VIT, &["batch_size=201"]), root.path(), &mut ()).unwrap_err().to_string();
    assert!(error.contains("the training split holds 200 images, but at least 201 are needed"), "{error}");
}
