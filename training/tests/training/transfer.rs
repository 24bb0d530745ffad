//! Trainings that start from other weights: what they keep, what moves, and what they read.

use crate::common;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{Halves, RESNET, StopAt, VIT, bits, recipe, run_from};
use archaeo_data::augment::mirrored;
use archaeo_data::{DataError, Image};
use archaeo_models::{Classifier, NetworkSpec, Pass, Preprocessing, is_head, load, save, state_of};
use archaeo_training::images::{Batch, ImageSource, Repeated};
use archaeo_training::{Observer, Outcome, Recipe, RecipeFile, StepReport, Transfer, TransferError};
use burn::module::Module;
use burn::tensor::Device;

const SWIN: &str = r#"
    image_size = 16
    epochs = 4
    batch_size = 16
    learning_rate = 5e-3
    [model]
    architecture = "swin"
    patch_size = 2
    window_size = 4
    width = 8
    depths = [2, 1]
    heads = [2, 2]
    mlp_ratio = 2
"#;

/// The image tower of CLIP, whose classes are prototypes; the model is named.
const CLIP: &str = r#"
    model = "clip_vit_micro_patch4"
    image_size = 32
    epochs = 4
    batch_size = 16
    learning_rate = 5e-3
"#;

/// A checkpoint of a freshly initialised model with other classes than [`Halves`].
fn checkpoint(folder: &Path, text: &str, classes: &[&str]) -> PathBuf {
    let classes: Vec<String> = classes.iter().map(ToString::to_string).collect();
    let model = recipe(text, &["seed=5"]).build(&classes, &Device::flex()).unwrap();
    let path = folder.join("weights.safetensors");
    save(&path, &model, &[]).unwrap();
    path
}

/// A recipe without its model that starts from the weights at `path`.
fn starting(text: &str, path: &Path, overrides: &[&str]) -> Recipe {
    let without = text.split("[model]").next().unwrap();
    let rest = text.split_once("[optimizer]").map_or(String::new(), |(_, rest)| format!("[optimizer]{rest}"));
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let text = format!("init = {:?}\n{without}{rest}", path.display().to_string());
    RecipeFile::parse(&text, &overrides).unwrap().recipe(None).unwrap()
}

fn halves() -> Vec<String> {
    common::identity().0.classes
}

fn read(recipe: &Recipe, path: &Path) -> Result<Transfer, TransferError> {
    Transfer::read(recipe, path, &halves(), &Device::flex())
}

fn features(model: &Classifier, side: usize) -> Vec<u32> {
    struct Sized(usize);
    impl ImageSource for Sized {
        fn len(&self) -> usize {
            5
        }
        fn label(&self, _: usize) -> usize {
            0
        }
        fn image(&self, index: usize, _: u64) -> Result<Image, DataError> {
            let mut image = Image::filled(self.0, self.0, [0; 3]);
            let values = image.pixels_mut().iter_mut().enumerate();
            values.for_each(|(place, value)| *value = ((place * 31 + index * 97) % 251) as u8);
            Ok(image)
        }
    }
    let images = Batch::load(&Sized(side), &[0, 1, 2, 3, 4], 0).unwrap().tensor(&Device::flex());
    let features = model.features(images, &mut Pass::evaluate(&mut ())).into_data();
    features.try_into_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

fn arrays(model: &Classifier) -> BTreeMap<String, Vec<u32>> {
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    state_of(model).into_iter().map(|(name, array)| (name, bits(array.values))).collect()
}

/// [`Halves`] that are the same in every epoch, mirrored in some where `mirrors`, and how often they were read.
struct Counted {
    halves: Halves,
    mirrors: bool,
    counted: bool,
    reads: AtomicUsize,
}

impl Counted {
    fn new(count: usize, mirrors: bool, counted: bool) -> Self {
        Self { halves: Halves { count, seed: 1 }, mirrors, counted, reads: AtomicUsize::new(0) }
    }

    fn read(&self, index: usize) -> Result<Image, DataError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.halves.image(index, 0)
    }
}

impl ImageSource for Counted {
    fn len(&self) -> usize {
        self.halves.count
    }

    fn label(&self, index: usize) -> usize {
        self.halves.label(index)
    }

    fn image(&self, index: usize, epoch: u64) -> Result<Image, DataError> {
        let image = self.read(index)?;
        Ok(if self.variant(index, epoch) == 1 { mirrored(image) } else { image })
    }

    fn variants(&self) -> Option<usize> {
        self.counted.then_some(if self.mirrors { 2 } else { 1 })
    }

    fn variant(&self, index: usize, epoch: u64) -> usize {
        usize::from(self.mirrors && (index as u64 + epoch).is_multiple_of(3))
    }

    fn all_variants(&self, index: usize) -> Result<Vec<Image>, DataError> {
        let image = self.read(index)?;
        Ok(if self.mirrors { vec![image.clone(), mirrored(image)] } else { vec![image] })
    }
}

#[test]
fn before_its_first_step_a_model_has_the_features_of_its_weights() {
    for (text, side) in [(VIT, 8), (RESNET, 8), (SWIN, 16), (CLIP, 32)] {
        let root = tempfile::tempdir().unwrap();
        let path = checkpoint(root.path(), text, &["a", "b", "c", "d", "e"]);
        let expected = load(&path, None, &Device::flex()).unwrap();
        let transfer = read(&starting(text, &path, &["freeze=1"]), &path).unwrap();
        assert_eq!(transfer.card().classes, halves());
        for seed in [0, 7] {
            let model = transfer.begin(seed).unwrap().valid();
            assert_eq!(features(&model, side), features(&expected, side));
            for (name, values) in arrays(&model) {
                if !is_head(&name) {
                    assert_eq!(values, arrays(&expected)[&name], "{name}");
                }
            }
        }
        let head = |seed| {
            let head = arrays(&transfer.begin(seed).unwrap()).into_iter().filter(|(name, _)| is_head(name));
            head.collect::<BTreeMap<_, _>>()
        };
        assert!(head(0) == head(0) && head(0) != head(1), "the seed decides the new head");
    }
}

#[test]
fn the_same_classes_keep_their_head_in_any_order() {
    let root = tempfile::tempdir().unwrap();
    let path = checkpoint(root.path(), VIT, &["none", "left", "top"]);
    let transfer = read(&starting(VIT, &path, &[]), &path).unwrap();
    let (found, before) = (transfer.begin(3).unwrap().valid(), load(&path, None, &Device::flex()).unwrap());
    let batch = Batch::load(&Halves { count: 3, seed: 1 }, &[0, 1, 2], 0).unwrap().tensor(&Device::flex());
    let logits = |model: &Classifier| {
        let logits = model.logits(batch.clone(), &mut Pass::evaluate(&mut ())).into_data();
        logits.try_into_vec::<f32>().unwrap()
    };
    let reordered =
        logits(&before).chunks_exact(3).flat_map(|row| [row[1], row[2], row[0]]).collect::<Vec<_>>();
    assert_eq!(logits(&found), reordered);
    assert_eq!(found.card().classes, halves());
}

#[test]
fn positions_and_preprocessing_follow_from_the_weights() {
    let root = tempfile::tempdir().unwrap();
    let classes = ["a".to_owned(), "b".to_owned()];
    let mut card = recipe(VIT, &[]).card(&classes).unwrap();
    card.preprocessing = Preprocessing { crop: 0.8, mean: [0.1, 0.2, 0.3], ..card.preprocessing };
    let path = root.path().join("weights.safetensors");
    save(&path, &Classifier::new(card.clone(), 1, &Device::flex()).unwrap(), &[]).unwrap();
    let transfer = read(&starting(VIT, &path, &["image_size=12"]), &path).unwrap();
    assert_eq!(transfer.card().preprocessing, Preprocessing { image_size: 12, ..card.preprocessing.clone() });
    let positions = |model: &Classifier| state_of(model)["pos_embed"].shape.clone();
    assert_eq!(positions(&transfer.begin(0).unwrap()), [1, 37, 16]);

    let without_size = VIT.replace("image_size = 8", "");
    let transfer = read(&starting(&without_size, &path, &[]), &path).unwrap();
    assert_eq!((transfer.recipe().image_size, &transfer.card().preprocessing), (8, &card.preprocessing));

    // Windows of 4 tokens in maps of 8 and 4 tokens become windows of 3 in maps of 6 and 3.
    let path = checkpoint(root.path(), SWIN, &["a", "b"]);
    let transfer = read(&starting(SWIN, &path, &["image_size=12"]), &path).unwrap();
    let table = &state_of(&transfer.begin(0).unwrap())["layers.1.blocks.0.attn.relative_position_bias_table"];
    assert_eq!(table.shape, [25, 2]);
}

#[test]
fn what_is_frozen_does_not_move_by_a_bit() {
    type Frozen = fn(&str) -> bool;
    let first_block: Frozen =
        |name| !name.starts_with("blocks.1") && !name.starts_with("norm") && !is_head(name);
    let cases: [(&str, &str, Frozen); 6] = [
        (VIT, "freeze=backbone", |name| !is_head(name)),
        (VIT, "freeze=1", first_block),
        (VIT, "freeze=[\"blocks.1\"]", |name| name.starts_with("blocks.1.")),
        (RESNET, "freeze=backbone", |name| !is_head(name)),
        (RESNET, "freeze=2", |name| {
            ["conv1", "bn1", "layer1", "layer2"].iter().any(|module| name.starts_with(module))
        }),
        (SWIN, "freeze=2", |name| name.starts_with("patch_embed") || name.starts_with("layers.0.")),
    ];
    for (text, freeze, frozen) in cases {
        let root = tempfile::tempdir().unwrap();
        let path = checkpoint(root.path(), text, &["a", "b"]);
        // Values on which an average that moves them at all shows.
        let overrides =
            [freeze, "ema_decay=0.9", "weight_decay=0.1", "epochs=2", "accumulation=2", "image_size=8"];
        let transfer = read(&starting(text, &path, &overrides), &path).unwrap();
        let sources: [&dyn ImageSource; 2] =
            [&Halves { count: 200, seed: 1 }, &Halves { count: 60, seed: 2 }];
        let out = root.path().join("out");
        run_from(&transfer, sources, &out, &mut ()).unwrap();
        let before = arrays(&transfer.begin(0).unwrap());
        let last = bits(&out.join("checkpoints/last.safetensors"));
        let saved = bits(&out.join("model.safetensors"));
        for (name, values) in before {
            for (file, found) in [
                ("model.safetensors", &saved[&name]),
                ("the model of last.safetensors", &last[&format!("model.{name}")]),
                ("the average of last.safetensors", &last[&format!("average.{name}")]),
            ] {
                assert_eq!(*found == values, frozen(&name), "{freeze}: {name} in {file}");
            }
            let moment = ["first", "second"]
                .iter()
                .any(|moment| last.contains_key(&format!("optimizer.{moment}.{name}")));
            assert!(!(frozen(&name) && moment), "{freeze}: the optimiser keeps something of {name}");
        }
    }
}

#[test]
fn a_frozen_backbone_reads_each_image_once_and_learns_the_same() {
    for (text, mirrors) in [(VIT, false), (VIT, true), (RESNET, true)] {
        let root = tempfile::tempdir().unwrap();
        let path = checkpoint(root.path(), text, &["a", "b"]);
        let overrides =
            ["freeze=backbone", "ema_decay=0.9", "label_smoothing=0.1", "accumulation=2", "seeds=2"];
        let transfer = || read(&starting(text, &path, &overrides), &path).unwrap();
        let validation = || Counted::new(60, false, false);
        let out = |name: &str| root.path().join(name);

        let (recomputed, tested) = (Counted::new(200, mirrors, false), validation());
        run_from(&transfer(), [&recomputed, &tested], &out("recomputed"), &mut ()).unwrap();
        assert!(recomputed.reads.into_inner() >= 2 * 4 * 192);

        let (kept, tested) = (Counted::new(200, mirrors, true), validation());
        let once = transfer().keeping_features_in(out("kept"));
        run_from(&once, [&kept, &tested], &out("kept"), &mut ()).unwrap();
        assert_eq!((kept.reads.into_inner(), tested.reads.into_inner()), (200, 60));

        // Stopped in the second run, whose features are there.
        let (resumed, tested) = (Counted::new(200, mirrors, true), validation());
        let again = || transfer().keeping_features_in(out("resumed"));
        struct Second(usize);
        impl Observer for Second {
            fn step(&mut self, _: &StepReport) {
                self.0 += 1;
            }
            fn should_stop(&self) -> bool {
                self.0 == 33
            }
        }
        let stopped = run_from(&again(), [&resumed, &tested], &out("resumed"), &mut Second(0)).unwrap();
        assert!(matches!(stopped, Outcome::Stopped { epochs: 1 }), "{stopped:?}");
        run_from(&again(), [&resumed, &tested], &out("resumed"), &mut ()).unwrap();
        assert_eq!((resumed.reads.into_inner(), tested.reads.into_inner()), (200, 60));

        for file in
            ["run-0/model.safetensors", "run-1/model.safetensors", "run-1/checkpoints/last.safetensors"]
        {
            let expected = bits(&out("recomputed").join(file));
            assert!(expected == bits(&out("kept").join(file)), "{file} differs");
            assert!(expected == bits(&out("resumed").join(file)), "{file} differs when resumed");
        }
    }
}

#[test]
fn an_image_that_repeats_within_an_epoch_is_read_once_too() {
    let root = tempfile::tempdir().unwrap();
    let path = checkpoint(root.path(), VIT, &["a", "b"]);
    let learned = |counted: bool| {
        let transfer = read(&starting(VIT, &path, &["freeze=backbone", "epochs=2"]), &path).unwrap();
        let images = Repeated { images: Counted::new(100, true, counted), times: 3 };
        let out = tempfile::tempdir().unwrap();
        run_from(&transfer, [&images, &Counted::new(60, false, false)], out.path(), &mut ()).unwrap();
        (images.images.reads.into_inner(), bits(&out.path().join("model.safetensors")))
    };
    let ((once, kept), (often, recomputed)) = (learned(true), learned(false));
    assert_eq!(once, 100);
    assert!(often >= 2 * 288 && kept == recomputed, "{often}");
}

#[test]
fn a_pass_over_the_images_goes_on_where_it_was_stopped() {
    struct StopInFeatures(usize, usize);
    impl Observer for StopInFeatures {
        fn features(&mut self, done: usize, total: usize) {
            assert!(done >= self.1 && done <= total && total == 1260, "{done} after {} of {total}", self.1);
            self.1 = done;
        }
        fn should_stop(&self) -> bool {
            self.1 >= self.0
        }
    }
    let root = tempfile::tempdir().unwrap();
    let path = checkpoint(root.path(), VIT, &["a", "b"]);
    let transfer = || read(&starting(VIT, &path, &["freeze=backbone", "epochs=1"]), &path).unwrap();
    let (images, validation) = (Counted::new(1200, true, true), Counted::new(60, false, true));
    let out = root.path().join("out");
    let stopped = run_from(&transfer(), [&images, &validation], &out, &mut StopInFeatures(1050, 0)).unwrap();
    assert!(matches!(stopped, Outcome::Stopped { epochs: 0 }), "{stopped:?}");
    assert!(!out.join("model.safetensors").exists());
    let before = images.reads.load(Ordering::Relaxed);
    assert!((1024..=1200).contains(&before), "{before}");
    // A part that was damaged, or made of something else, is made again; the rest is read.
    run_from(&transfer(), [&images, &validation], &out, &mut ()).unwrap();
    assert_eq!(images.reads.load(Ordering::Relaxed), before + 1200 - 1024);
    let expected = bits(&out.join("model.safetensors"));
    let parts = out.join("features");
    fs::write(parts.join("train-1.safetensors"), "damaged").unwrap();
    for file in ["model.safetensors", "checkpoints/last.safetensors", "events.jsonl"] {
        fs::remove_file(out.join(file)).unwrap();
    }
    run_from(&transfer(), [&images, &validation], &out, &mut ()).unwrap();
    assert_eq!(images.reads.load(Ordering::Relaxed), before + 2 * (1200 - 1024));
    assert!(expected == bits(&out.join("model.safetensors")));
}

#[test]
fn a_finished_head_is_not_computed_again() {
    let root = tempfile::tempdir().unwrap();
    let path = checkpoint(root.path(), VIT, &["a", "b"]);
    let transfer = || read(&starting(VIT, &path, &["freeze=backbone", "epochs=1"]), &path).unwrap();
    let (images, validation) = (Counted::new(200, false, true), Counted::new(60, false, true));
    let out = root.path().join("out");
    for _ in 0..2 {
        let ended = run_from(&transfer(), [&images, &validation], &out, &mut ()).unwrap();
        assert!(matches!(ended, Outcome::Finished(_)));
        fs::remove_dir_all(out.join("features")).ok();
    }
    assert_eq!(images.reads.into_inner(), 200);
}

#[test]
fn gradient_checkpointing_ends_above_frozen_blocks_with_the_same_bits() {
    let root = tempfile::tempdir().unwrap();
    let path = checkpoint(root.path(), VIT, &["a", "b"]);
    for freeze in ["freeze=0", "freeze=1", "freeze=2", "freeze=[\"patch_embed\", \"blocks.1\"]"] {
        let result = |checkpointing: &str| {
            let overrides = [freeze, checkpointing, "epochs=1", "drop_path=0.2", "dropout=0.1"];
            let transfer = read(&starting(VIT, &path, &overrides), &path).unwrap();
            let sources: [&dyn ImageSource; 2] =
                [&Halves { count: 200, seed: 1 }, &Halves { count: 60, seed: 2 }];
            let out = tempfile::tempdir().unwrap();
            run_from(&transfer, sources, out.path(), &mut ()).unwrap();
            bits(&out.path().join("model.safetensors"))
        };
        assert!(result("gradient_checkpointing=false") == result("gradient_checkpointing=true"), "{freeze}");
    }
}

/// A step of plain SGD moves every array in proportion to its rate.
#[test]
fn backbone_and_layers_learn_at_their_own_rates() {
    let root = tempfile::tempdir().unwrap();
    let text = VIT.replace("[model]", "[optimizer]\nname = \"sgd\"\n[model]");
    let path = checkpoint(root.path(), &text, &["a", "b"]);
    let moved = |overrides: &[&str]| {
        let one_step =
            ["epochs=1", "batch_size=200", "warmup_epochs=0", "gradient_clip=1e9", "learning_rate=0.5"];
        let optimizer = ["weight_decay=0.1", "optimizer={name='sgd'}"];
        let overrides = [&one_step[..], &optimizer[..], overrides].concat();
        let transfer = read(&starting(VIT, &path, &overrides), &path).unwrap();
        let out = tempfile::tempdir().unwrap();
        let sources: [&dyn ImageSource; 2] =
            [&Halves { count: 200, seed: 1 }, &Halves { count: 60, seed: 2 }];
        run_from(&transfer, sources, out.path(), &mut ()).unwrap();
        let before = state_of(&transfer.begin(0).unwrap());
        let after = state_of(&load(&out.path().join("model.safetensors"), None, &Device::flex()).unwrap());
        let difference = |(name, array): (&String, &archaeo_models::Array)| {
            let by = after[name].values.iter().zip(&array.values).map(|(after, before)| after - before);
            (name.clone(), by.collect::<Vec<f32>>())
        };
        before.iter().map(difference).collect::<BTreeMap<_, _>>()
    };
    let usual = moved(&[]);
    let layers: [(&str, i32); 5] = [
        ("cls_token", 3),
        ("blocks.0.attn.qkv.weight", 2),
        ("blocks.1.mlp.fc1.bias", 1),
        ("norm.weight", 1),
        ("head.weight", 0),
    ];
    for (overrides, of_backbone, decay) in [
        (&["layer_decay=0.5"][..], 1.0, 0.5f32),
        (&["backbone_learning_rate=0.05"], 0.1, 1.0),
        (&["layer_decay=0.5", "backbone_learning_rate=0.05"], 0.1, 0.5),
    ] {
        let found = moved(overrides);
        for (name, below_head) in layers {
            let scale = if is_head(name) { 1.0 } else { of_backbone } * decay.powi(below_head);
            assert!(usual[name].iter().any(|by| by.abs() > 1e-5), "{name} does not move");
            for (found, usual) in found[name].iter().zip(&usual[name]) {
                assert!((found - scale * usual).abs() < 2e-7, "{overrides:?} {name}: {found} {usual}");
            }
        }
    }
}

#[test]
fn a_run_goes_on_only_with_the_weights_that_it_started_from() {
    let root = tempfile::tempdir().unwrap();
    let path = checkpoint(root.path(), VIT, &["a", "b"]);
    let sources: [&dyn ImageSource; 2] = [&Halves { count: 200, seed: 1 }, &Halves { count: 60, seed: 2 }];
    let recipe = starting(VIT, &path, &[]);
    let out = root.path().join("out");
    let transfer = read(&recipe, &path).unwrap();
    run_from(&transfer, sources, &out, &mut StopAt(14, 0)).unwrap();
    let of_run = fs::read_to_string(out.join("config.toml")).unwrap();
    let hash = archaeo_store::sha256_file(&path).unwrap();
    assert!(of_run.contains(&format!("init_sha256 = \"{hash}\"")), "{of_run}");

    checkpoint(root.path(), VIT, &["a", "b", "c", "d"]);
    let changed = read(&recipe, &path).unwrap();
    let error = run_from(&changed, sources, &out, &mut ()).unwrap_err().to_string();
    assert!(error.contains("another configuration (init_sha256 is "), "{error}");
    let error = read(transfer.recipe(), &path).err().unwrap().to_string();
    assert!(error.contains("weights.safetensors has changed: its SHA-256 is "), "{error}");
}

#[test]
fn what_cannot_start_gets_one_sentence() {
    let root = tempfile::tempdir().unwrap();
    let path = checkpoint(root.path(), VIT, &["a", "b"]);
    let said = |recipe: &Recipe| {
        let sentence = read(recipe, &path).err().unwrap().to_string();
        assert!(!sentence.contains('\n'), "{sentence}");
        sentence
    };
    for (overrides, expected) in [
        (
            &["freeze=3"][..],
            "`freeze` is 3, but custom has 2 blocks; give no more than these, or \"backbone\"",
        ),
        (&["freeze=[\"blocks.2\"]"], "`freeze` names `blocks.2`, which custom does not have"),
        (
            &["freeze=[\"blocks\", \"norm\", \"patch_embed\", \"pos_embed\", \"cls_token\", \"head\"]"],
            "leaves nothing of custom",
        ),
        (&["model=vit_micro"], "holds another model (Vision Transformer: 2 layers of 2 heads, width 16"),
        (&["model=resnet_micro"], "leave `model` out of the recipe"),
        (&["image_size=9"], "patches of 2 px do not tile an image of 9 px"),
    ] {
        let sentence = said(&starting(VIT, &path, overrides));
        assert!(sentence.contains(expected), "{overrides:?}: {sentence}");
    }
    let of_resnet = checkpoint(root.path(), RESNET, &["a", "b"]);
    for key in ["drop_path=0.1", "dropout=0.1", "gradient_checkpointing=true"] {
        let sentence = said(&starting(RESNET, &of_resnet, &[key]));
        assert!(sentence.contains("the model of `init`"), "{sentence}");
    }

    // Arrays without a card, of no model or of part of one.
    let bare = root.path().join("bare.safetensors");
    let write = |names: &[(&str, &[usize])]| {
        let array = |shape: &[usize]| archaeo_models::Array {
            shape: shape.to_vec(),
            values: vec![0.5; shape.iter().product()],
        };
        let state = names.iter().map(|(name, shape)| ((*name).to_owned(), array(shape))).collect();
        archaeo_models::write_arrays(&bare, &state, Default::default()).unwrap();
    };
    let sentence = |overrides: &[&str]| {
        let sentence = read(&starting(VIT, &bare, overrides), &bare).err().unwrap().to_string();
        assert!(!sentence.contains('\n'), "{sentence}");
        sentence
    };
    write(&[("something", &[3, 4])]);
    assert!(sentence(&[]).contains("does not say which model it holds"), "{}", sentence(&[]));
    let none = sentence(&["model=vit_micro", "image_size=32"]);
    assert!(none.contains("has no array of vit_micro"), "{none}");
    let arrays = NetworkSpec::named("vit_micro", 2, 32).unwrap().arrays().unwrap();
    let half = arrays.iter().step_by(2).map(|(name, shape)| (name.as_str(), shape.as_slice()));
    write(&half.collect::<Vec<_>>());
    let part = sentence(&["model=vit_micro", "image_size=32"]);
    assert!(part.contains("of its arrays are missing or have another shape, the first of them `"), "{part}");
    let missing = root.path().join("nowhere.safetensors");
    let sentence = read(&starting(VIT, &missing, &[]), &missing).err().unwrap().to_string();
    assert!(sentence.contains("nowhere.safetensors"), "{sentence}");
}

#[test]
fn recipes_without_weights_have_nothing_to_freeze() {
    let parse = |lines: &str, overrides: &[&str]| {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        let text = format!("epochs = 1\nbatch_size = 8\nlearning_rate = 1e-3\n{lines}");
        RecipeFile::parse(&text, &overrides).map(drop).map_err(|error| error.to_string())
    };
    let from_init = "init = \"w.safetensors\"";
    let scratch = "model = \"vit_micro\"\nimage_size = 32";
    for (lines, overrides, expected) in [
        (scratch, &["freeze=backbone"][..], "`freeze` keeps the values of other weights, and there are none"),
        (
            scratch,
            &["freeze=head"],
            "`freeze` does not fit: it must be \"backbone\", \"none\", a number of blocks",
        ),
        (scratch, &["init_sha256=abc"], "`init_sha256` belongs to the weights of `init`"),
        (scratch, &["layer_decay=1.5"], "`layer_decay` must be above 0 and at most 1, not 1.5"),
        (scratch, &["backbone_learning_rate=0"], "`backbone_learning_rate` must be above 0, not 0"),
        (
            from_init,
            &["freeze=backbone", "layer_decay=0.7"],
            "trains the head alone, so that `layer_decay` does nothing",
        ),
        (from_init, &["freeze=backbone", "dropout=0.1"], "so that `dropout` does nothing"),
        (from_init, &["image_size=70000"], "`image_size` must be from 1 to 65536, not 70000"),
        ("image_size = 32", &[], "missing field `model`"),
        ("model = \"vit_micro\"", &[], "missing field `image_size`"),
    ] {
        let sentence = parse(lines, overrides).unwrap_err();
        assert!(sentence.contains(expected), "{lines} {overrides:?}: {sentence}");
    }
    assert_eq!(parse(from_init, &["freeze=backbone"]), Ok(()));
    assert_eq!(parse(scratch, &["freeze=none", "layer_decay=0.8"]), Ok(()));
}
