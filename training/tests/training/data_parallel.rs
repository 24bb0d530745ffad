//! Training in shards and on several ranks: the same bits on 1, 2 and 4 of them, whichever stops, and after one is lost.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::{Halves, RESNET, StopAt, VIT, bits, finish, identity, recipe, run};
use archaeo_data::{DataError, Image};
use archaeo_store::run_folder::RunFolder;
use archaeo_training::images::ImageSource;
use archaeo_training::ranks::{RankError, Ranks, Threads};
use archaeo_training::{Freeze, Job, Observer, Outcome, Recipe, TrainError, Transfer, train_on};
use burn::tensor::Device;

/// Everything with a state or randomness.
const EVERYTHING: [&str; 7] = [
    "shards=4",
    "accumulation=2",
    "ema_decay=0.9",
    "label_smoothing=0.1",
    "augment.mixup=0.8",
    "augment.cutmix=1.0",
    "epochs=2",
];

/// Images of which one cannot be decoded from an epoch on.
struct Breaking {
    halves: Halves,
    from: u64,
}

impl ImageSource for Breaking {
    fn len(&self) -> usize {
        self.halves.len()
    }

    fn label(&self, index: usize) -> usize {
        self.halves.label(index)
    }

    fn image(&self, index: usize, epoch: u64) -> Result<Image, DataError> {
        match epoch >= self.from {
            true => Err(DataError::BadImage { identifier: "7.png".into(), reason: "it is empty".into() }),
            false => self.halves.image(index, epoch),
        }
    }
}

/// Trains on one of these ranks.
fn on(
    ranks: &dyn Ranks,
    recipe: &Recipe,
    transfer: Option<&Transfer>,
    images: &dyn ImageSource,
    path: &Path,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let (data, environment) = identity();
    let folder = match ranks.writes() {
        true => recipe.runs()[0].open(path, &data, &environment)?,
        false => RunFolder::of_another(path),
    };
    ranks.meet()?;
    let job = Job {
        recipe,
        classes: &data.classes,
        images,
        validation: &Halves { count: 61, seed: 2 },
        transfer,
        folder: &folder,
        device: &Device::flex(),
        artist: None,
    };
    train_on(ranks, &job, observer)
}

/// How the training ended on each rank: its error, or the epochs it kept.
fn on_all(
    ranks: usize,
    recipe: &Recipe,
    path: &Path,
    stops: impl Fn(usize) -> u64 + Sync,
    breaks: impl Fn(usize) -> u64 + Sync,
) -> Vec<Result<usize, String>> {
    Threads::run(ranks, |ranks| {
        let images = Breaking { halves: Halves { count: 200, seed: 1 }, from: breaks(ranks.rank()) };
        let outcome = on(ranks, recipe, None, &images, path, &mut StopAt(stops(ranks.rank()), 0));
        match outcome.map_err(|error| error.to_string())? {
            Outcome::Finished(trained) => Ok(trained.history.len()),
            Outcome::Stopped { epochs } => Ok(epochs),
        }
    })
}

fn never(_: usize) -> u64 {
    u64::MAX
}

const FILES: [&str; 3] =
    ["model.safetensors", "checkpoints/last.safetensors", "checkpoints/best.safetensors"];

fn files(path: &Path) -> Vec<BTreeMap<String, Vec<u32>>> {
    FILES.iter().map(|file| bits(&path.join(file))).collect()
}

/// Losses and accuracy of every epoch, as written.
fn losses(path: &Path) -> Vec<[u64; 3]> {
    let metrics = std::fs::read_to_string(path.join("metrics.jsonl")).unwrap();
    let record = |line: &str| {
        let record: archaeo_training::EpochRecord = serde_json::from_str(line).unwrap();
        [record.train_loss, record.validation_loss, record.validation_accuracy].map(f64::to_bits)
    };
    metrics.lines().map(record).collect()
}

#[test]
fn one_two_and_four_ranks_give_the_same_bits() {
    let simclr = ["shards=4", "epochs=2", "objective=simclr"];
    for (text, overrides) in [
        (VIT, [&EVERYTHING[..], &["drop_path=0.2", "dropout=0.1", "gradient_checkpointing=true"]].concat()),
        (RESNET, EVERYTHING.to_vec()),
        (VIT, simclr.to_vec()),
    ] {
        let recipe = recipe(text, &overrides);
        let alone = tempfile::tempdir().unwrap();
        finish(&recipe, alone.path());
        for ranks in [1, 2, 4] {
            let root = tempfile::tempdir().unwrap();
            assert_eq!(on_all(ranks, &recipe, root.path(), never, never), vec![Ok(2); ranks]);
            // Validation images of `run` are others in number, so that its losses are not compared.
            let (own, expected) = (files(root.path()), files(alone.path()));
            assert!(own[..2] == expected[..2], "{ranks} ranks, {overrides:?}");
        }
    }
}

#[test]
fn ranks_that_validate_together_measure_what_one_does() {
    let recipe = recipe(RESNET, &["shards=2", "epochs=2"]);
    let folders = [1, 2].map(|ranks| {
        let root = tempfile::tempdir().unwrap();
        on_all(ranks, &recipe, root.path(), never, never);
        root
    });
    assert_eq!(losses(folders[0].path()), losses(folders[1].path()));
    assert_eq!(losses(folders[0].path()).len(), 2);
}

/// Accumulated batches of half the size are summed as two shards are; only batch norm's running moments follow another rule.
#[test]
fn two_shards_are_two_accumulated_batches() {
    for text in [VIT, RESNET] {
        let plain = ["epochs=2", "gradient_clip=0.5"];
        let [sharded, accumulated] = [&["shards=2"][..], &["batch_size=8", "accumulation=2"]].map(|more| {
            let root = tempfile::tempdir().unwrap();
            finish(&recipe(text, &[&plain[..], more].concat()), root.path());
            bits(&root.path().join("model.safetensors"))
        });
        let mut moved = 0;
        for (name, values) in sharded {
            match name.contains("running_") {
                true => moved += usize::from(values != accumulated[&name]),
                false => assert!(values == accumulated[&name], "{name}"),
            }
        }
        assert_eq!(moved > 0, text == RESNET, "running moments follow the batch, not each shard");
    }
}

/// One step of plain gradient descent with rate 1, on 16 images.
fn stepped(text: &str, shards: usize) -> BTreeMap<String, Vec<f32>> {
    let shards = format!("shards={shards}");
    let step = ["epochs=1", "learning_rate=1", "weight_decay=0", "warmup_epochs=0", &shards];
    let recipe = recipe(text, &[&step[..], &["optimizer={name='sgd'}", "gradient_clip=1e9"]].concat());
    let root = tempfile::tempdir().unwrap();
    let images = Halves { count: 16, seed: 1 };
    Threads::run(1, |ranks| on(ranks, &recipe, None, &images, root.path(), &mut ()).map(drop).unwrap());
    let floats = |bits: Vec<u32>| bits.into_iter().map(f32::from_bits).collect();
    bits(&root.path().join("model.safetensors"))
        .into_iter()
        .map(|(name, bits)| (name, floats(bits)))
        .collect()
}

#[test]
fn the_gradient_of_shards_is_that_of_the_batch() {
    let whole = stepped(VIT, 1);
    for shards in [2, 4, 16] {
        for (name, values) in stepped(VIT, shards) {
            for (sharded, whole) in values.iter().zip(&whole[&name]) {
                assert!(
                    (sharded - whole).abs() < 2e-5 * (1.0 + whole.abs()),
                    "{name}: {sharded}, not {whole}"
                );
            }
        }
    }
    // Batch norm sees shards, and its running means move by their mean: that of the batch where the input is.
    let (whole, sharded) = (stepped(RESNET, 1), stepped(RESNET, 4));
    let far = |name: &str| {
        let distance = |(a, b): (&f32, &f32)| (a - b).abs() / (1e-3 + b.abs());
        sharded[name].iter().zip(&whole[name]).map(distance).fold(0.0, f32::max)
    };
    assert!(far("bn1.running_mean") < 1e-4, "{}", far("bn1.running_mean"));
    assert_ne!(
        sharded["bn1.running_var"], whole["bn1.running_var"],
        "variance within shards is not that of the batch"
    );
    let apart = whole.keys().map(|name| far(name)).fold(0.0, f32::max);
    assert!(apart > 1e-2, "every shard has its own moments: {apart}");
}

#[test]
fn a_rank_that_stops_stops_all_and_they_go_on_together() {
    let recipe = recipe(VIT, &EVERYTHING);
    let (straight, resumed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    on_all(1, &recipe, straight.path(), never, never);
    let stops = |rank| if rank == 3 { 9 } else { u64::MAX };
    assert_eq!(on_all(4, &recipe, resumed.path(), stops, never), vec![Ok(1); 4]);
    assert_eq!(on_all(2, &recipe, resumed.path(), never, never), vec![Ok(2); 2]);
    assert!(files(straight.path()) == files(resumed.path()));
    assert_eq!(losses(straight.path()), losses(resumed.path()));
}

#[test]
fn a_rank_that_fails_ends_all_and_they_resume() {
    let recipe = recipe(RESNET, &EVERYTHING);
    let (straight, resumed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    on_all(1, &recipe, straight.path(), never, never);
    let breaks = |rank| if rank == 1 { 1 } else { u64::MAX };
    let ended = on_all(4, &recipe, resumed.path(), never, breaks);
    assert_eq!(ended[1], Err("7.png cannot be used: it is empty; replace or remove it".into()));
    assert_eq!(ended[0], Err(RankError::Lost(1).to_string()));
    assert!(ended[2..].iter().all(|ended| ended.as_ref().unwrap_err().contains("no longer answers")));
    assert!(!resumed.path().join("model.safetensors").exists());
    // On one machine, as it happens.
    run(&recipe, resumed.path(), &mut ()).unwrap();
    assert!(files(straight.path())[..2] == files(resumed.path())[..2]);
}

#[test]
fn ranks_that_do_not_belong_together_say_so() {
    let said = |ranks: usize, of: &(dyn Fn(usize) -> Recipe + Sync)| {
        let root = tempfile::tempdir().unwrap();
        let images = Halves { count: 200, seed: 1 };
        Threads::run(ranks, |ranks| {
            let recipe = of(ranks.rank());
            on(ranks, &recipe, None, &images, root.path(), &mut ()).map(drop).unwrap_err().to_string()
        })
    };
    let seeds = |rank| recipe(VIT, &["shards=4", &format!("seed={}", u8::from(rank == 2))]);
    assert_eq!(said(4, &seeds), vec![RankError::OtherBeginning(2).to_string(); 4]);
    let one = |_| recipe(VIT, &[]);
    assert_eq!(said(2, &one), vec![RankError::Shares { ranks: 2, shards: 1 }.to_string(); 2]);
}

#[test]
fn ranks_share_the_features_of_a_frozen_backbone() {
    let root = tempfile::tempdir().unwrap();
    let init = finish(&recipe(VIT, &["epochs=1"]), root.path()).weights;
    let text = VIT.split("[model]").next().unwrap();
    let from = format!("init={init:?}");
    let recipe = recipe(text, &["epochs=3", "shards=4", "freeze=backbone", &from]);
    assert_eq!(recipe.freeze, Freeze::Backbone);
    let trained = [1, 2].map(|ranks| {
        let root = tempfile::tempdir().unwrap();
        let finished = Threads::run(ranks, |ranks| {
            let transfer = Transfer::read(&recipe, &init, &identity().0.classes, &Device::flex()).unwrap();
            let images = Still(Halves { count: 200, seed: 1 });
            on(ranks, transfer.recipe(), Some(&transfer), &images, root.path(), &mut ()).map(drop)
        });
        assert!(finished.iter().all(Result::is_ok), "{finished:?}");
        assert!(root.path().join("features/train-0.safetensors").exists());
        files(root.path())
    });
    assert!(trained[0] == trained[1]);
}

/// The same images in every epoch.
struct Still(Halves);

impl ImageSource for Still {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn label(&self, index: usize) -> usize {
        self.0.label(index)
    }

    fn image(&self, index: usize, _: u64) -> Result<Image, DataError> {
        self.0.image(index, 0)
    }

    fn variants(&self) -> Option<usize> {
        Some(1)
    }
}
