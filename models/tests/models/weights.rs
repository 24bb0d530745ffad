//! Checkpoints: a round trip preserves them, and unreadable ones get one sentence.

use crate::common;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{card, random_images, random_model, tiny_cifar_resnet, tiny_resnet, tiny_vit, values};
use archaeo_models::{
    Array, BranchKind, Classifier, ModelCard, NetworkSpec, Pass, Pooling, Preprocessing, State, Stem,
    VitConfig, load, read_arrays, read_card, save, state_of, with_state, write_arrays,
};
use burn::tensor::{Device, bf16, f16};
use rand::RngExt;
use safetensors::{Dtype, tensor::TensorView};
use tempfile::TempDir;

fn scratch() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.safetensors");
    (folder, path)
}

fn vit() -> Classifier {
    random_model(NetworkSpec::Vit(tiny_vit()), 16, 0, &Device::flex())
}

fn load_error(path: &Path, card: Option<ModelCard>) -> String {
    load(path, card, &Device::flex()).expect_err("must not load").to_string()
}

/// A file with one array, written by the format's own crate.
fn foreign(path: &Path, name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) {
    let view = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
    fs::write(path, safetensors::serialize([(name, view)], None).unwrap()).unwrap();
}

#[test]
fn what_is_saved_is_loaded_to_the_last_bit() {
    let device = Device::flex();
    let specs = [
        NetworkSpec::Vit(VitConfig { pooling: Pooling::Mean, drop_path: 0.1, ..tiny_vit() }),
        tiny_resnet(Stem::Imagenet, BranchKind::Bottleneck),
        tiny_cifar_resnet(),
    ];
    for spec in specs {
        let (folder, path) = scratch();
        let model = random_model(spec, 16, 0, &device);
        save(&path, &model, &[("epoch", "3"), ("data", "sherds")]).unwrap();
        let again = load(&path, None, &device).unwrap();
        assert_eq!(again.card(), model.card());
        assert_eq!(read_card(&path).unwrap().as_ref(), Some(model.card()));
        assert_eq!(state_of(&again), state_of(&model));
        let images = random_images(&[1, 2], 16, &device);
        let logits = |model: &Classifier| values(model.logits(images.clone(), &mut Pass::evaluate(&mut ())));
        assert_eq!(logits(&again), logits(&model));
        assert_eq!(read_arrays(&path).unwrap().1["epoch"], "3");

        let first = fs::read(&path).unwrap();
        save(&path, &again, &[("data", "sherds"), ("epoch", "3")]).unwrap();
        assert_eq!(first, fs::read(&path).unwrap(), "equal contents must give equal bytes");
        let files: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(files.len(), 1, "nothing temporary is left: {files:?}");
    }
}

#[test]
fn our_files_are_read_by_the_formats_own_crate() {
    let (_folder, path) = scratch();
    let state = State::from([
        (
            "matrix".to_owned(),
            Array { shape: vec![2, 3], values: vec![0.0, 1.5, -2.0, 3.0, f32::MIN, 1e-40] },
        ),
        ("empty".to_owned(), Array { shape: vec![0, 4], values: vec![] }),
        ("scalar".to_owned(), Array { shape: vec![], values: vec![7.0] }),
    ]);
    write_arrays(&path, &state, HashMap::from([("key \"quoted\"".into(), "value\n".into())])).unwrap();
    let bytes = fs::read(&path).unwrap();
    let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for (name, array) in &state {
        let view = theirs.tensor(name).unwrap();
        assert_eq!((view.dtype(), view.shape()), (Dtype::F32, array.shape.as_slice()));
        assert_eq!(view.data(), array.values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    }
    assert_eq!(read_arrays(&path).unwrap().0, state);
}

#[test]
fn loading_for_training_gives_parameters_that_learn_and_buffers_that_do_not() {
    let (_folder, path) = scratch();
    let model = random_model(tiny_cifar_resnet(), 16, 0, &Device::flex());
    save(&path, &model, &[]).unwrap();
    let device = Device::flex().autodiff();
    let model = load(&path, None, &device).unwrap();
    let images = random_images(&[1, 2], 16, &device);
    let gradients = model.logits(images, &mut Pass::evaluate(&mut ())).sum().backward();
    let found = common::gradients_by_name(&model, &gradients);
    let expected: Vec<_> = state_of(&model).into_keys().filter(|name| !name.contains("running_")).collect();
    assert_eq!(found.into_keys().collect::<Vec<_>>(), expected);
}

#[test]
fn every_float_width_is_widened() {
    let numbers = [0.0f32, -1.5, 65504.0, 6.1035156e-5, 5.9604645e-8];
    let (_folder, path) = scratch();
    let f16s: Vec<u8> = numbers.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
    foreign(&path, "x", Dtype::F16, &[5], &f16s);
    assert_eq!(read_arrays(&path).unwrap().0["x"].values, numbers, "all five are exact in half precision");
    let bf16s: Vec<u8> = numbers.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect();
    foreign(&path, "x", Dtype::BF16, &[5], &bf16s);
    let rounded: Vec<f32> = numbers.iter().map(|x| bf16::from_f32(*x).to_f32()).collect();
    assert_eq!(read_arrays(&path).unwrap().0["x"].values, rounded);
    let f64s: Vec<u8> = numbers.iter().flat_map(|x| f64::from(*x).to_le_bytes()).collect();
    foreign(&path, "x", Dtype::F64, &[5], &f64s);
    assert_eq!(read_arrays(&path).unwrap().0["x"].values, numbers);
}

#[test]
fn integers_are_left_out_and_quantised_weights_refused() {
    let (_folder, path) = scratch();
    foreign(&path, "bn1.num_batches_tracked", Dtype::I64, &[], &[0; 8]);
    assert!(read_arrays(&path).unwrap().0.is_empty());
    foreign(&path, "relative_position_index", Dtype::I64, &[2], &[0; 16]);
    assert!(read_arrays(&path).unwrap().0.is_empty());
    foreign(&path, "weight", Dtype::I8, &[2], &[0; 2]);
    let error = read_arrays(&path).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{} holds `weight` as I8; export it with 16-, 32- or 64-bit floats", path.display())
    );
}

#[test]
fn wrapper_prefixes_are_taken_off_when_all_names_have_them() {
    let (_folder, path) = scratch();
    let model = vit();
    let prefixed = |prefix: &str| -> State {
        state_of(&model).into_iter().map(|(name, array)| (format!("{prefix}{name}"), array)).collect()
    };
    for prefix in ["module.", "model.", "module.model."] {
        write_arrays(&path, &prefixed(prefix), HashMap::new()).unwrap();
        let loaded = load(&path, Some(model.card().clone()), &Device::flex()).unwrap();
        assert_eq!(state_of(&loaded), state_of(&model));
    }
    let mut mixed = prefixed("module.");
    let head = mixed.remove("module.head.bias").unwrap();
    mixed.insert("head.bias".into(), head);
    write_arrays(&path, &mixed, HashMap::new()).unwrap();
    assert!(load_error(&path, Some(model.card().clone())).contains("has `head.bias` apart from the rest"));
}

#[test]
fn a_state_that_does_not_fit_is_listed_whole() {
    let model = vit();
    let mut state = state_of(&model);
    // A classifier may lack a bias, which zeros replace.
    let bias = state.remove("head.bias").unwrap();
    state.remove("blocks.1.norm2.weight");
    state.insert("head_dist.bias".into(), bias);
    state.insert("pos_embed".into(), Array { shape: vec![1, 6, 32], values: vec![0.0; 192] });
    let mismatch = with_state(model.clone(), state.clone()).unwrap_err();
    assert_eq!(mismatch.missing, ["blocks.1.norm2.weight", "head.bias"]);
    assert_eq!(mismatch.unexpected, ["head_dist.bias"]);
    assert_eq!(mismatch.misshapen, [("pos_embed".to_owned(), vec![1, 17, 32], vec![1, 6, 32])]);

    let (_folder, path) = scratch();
    write_arrays(&path, &state, HashMap::new()).unwrap();
    let expected = format!(
        "{} does not fit tiny:
  missing     blocks.1.norm2.weight
  unexpected  head_dist.bias
  misshapen   pos_embed: expected [1, 17, 32], found [1, 6, 32]
hint: --model may name another architecture or class count than the file holds",
        path.display()
    );
    assert_eq!(load_error(&path, Some(model.card().clone())), expected);
    assert!(
        load_error(&path, None)
            .ends_with("does not say which model it holds; name it with --model (see `archaeo models`)")
    );
}

#[test]
fn a_value_that_is_not_finite_is_named() {
    let (_folder, path) = scratch();
    for value in [f32::NAN, f32::INFINITY] {
        let mut state = state_of(&vit());
        state.get_mut("blocks.0.mlp.fc1.weight").unwrap().values[17] = value;
        write_arrays(&path, &state, HashMap::new()).unwrap();
        let error = load_error(&path, Some(vit().card().clone()));
        assert_eq!(
            error,
            format!(
                "{} holds a value that is not finite in `blocks.0.mlp.fc1.weight`; the training that wrote it diverged, \
                 take an earlier checkpoint",
                path.display()
            )
        );
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let (_folder, path) = scratch();
    save(&path, &vit(), &[]).unwrap();
    let whole = fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for length in
        [0, 1, 7, 8, 9, header / 2, header - 1, header, header + 1, whole.len() / 2, whole.len() - 1]
    {
        fs::write(&path, &whole[..length]).unwrap();
        let error = load_error(&path, None);
        assert!(
            error.starts_with(&format!("{} is not a readable safetensors file (", path.display())),
            "{error}"
        );
        assert!(error.ends_with("; download or export it again") && error.lines().count() == 1, "{error}");
    }
    fs::write(&path, [whole.as_slice(), b"more"].concat()).unwrap();
    let error = load_error(&path, None);
    let reason = format!("(it should have {} bytes but has {})", whole.len(), whole.len() + 4);
    assert!(error.contains(&reason), "{error}");
}

#[test]
fn a_header_that_lies_is_refused() {
    let (_folder, path) = scratch();
    for announced in [1u64 << 60, u64::MAX, 1 << 30, 100] {
        fs::write(&path, [announced.to_le_bytes().as_slice(), b"{}      "].concat()).unwrap();
        let error = load_error(&path, None);
        assert!(
            error.contains(&format!("it announces a header of {announced} bytes but has 16 in all")),
            "{error}"
        );
    }
    for header in [
        r#"{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#,
        r#"{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,18446744073709551615]}}"#,
        r#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
        r#"{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
        r#"{"x":{"dtype":"Q9","shape":[1],"data_offsets":[0,4]}}"#,
        r#"{"__metadata__":{"a":1}}"#,
        "not json",
        "",
    ] {
        let length = (header.len() as u64).to_le_bytes();
        fs::write(&path, [length.as_slice(), header.as_bytes(), &[0; 4]].concat()).unwrap();
        let error = load_error(&path, None);
        assert!(
            error.contains("is not a readable safetensors file") && error.lines().count() == 1,
            "{error}"
        );
    }
}

#[test]
fn a_card_that_asks_for_the_impossible_is_refused_before_anything_is_allocated() {
    let (_folder, path) = scratch();
    let model = vit();
    let json = serde_json::to_string(model.card()).unwrap();
    let cards = [
        (r#""width":32"#, r#""width":1099511627776"#, "width must be from 1 to 65536, not 1099511627776"),
        (r#""depth":2"#, r#""depth":1000000000"#, "depth must be from 1 to 1024, not 1000000000"),
        (r#""heads":2"#, r#""heads":5"#, "5 heads do not divide a width of 32"),
        (
            r#""mlp_width":64"#,
            r#""mlp_width":65536"#,
            "misshapen   blocks.0.mlp.fc1.bias: expected [65536], found [64]",
        ),
        (r#""drop_path":0.0"#, r#""drop_path":1.0"#, "drop_path must be at least 0 and below 1, not 1"),
        (r#""crop":1.0"#, r#""crop":0.0"#, "crop must be from 0.1 to 1, not 0"),
        (r#""std":[0.229,"#, r#""std":[0.0,"#, "must be finite, and std above 0"),
        (r#""class 4""#, r#""class 4","class 5""#, "the head has 5 outputs but 6 class names are given"),
        (r#""depth":2"#, r#""height":2"#, "its model card does not parse"),
    ];
    for (old, new, expected) in cards {
        let hostile = json.replace(old, new);
        assert_ne!(hostile, json, "{old} must occur in {json}");
        let metadata = HashMap::from([("archaeo.model".to_owned(), hostile)]);
        write_arrays(&path, &state_of(&model), metadata).unwrap();
        let error = load_error(&path, None);
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn a_preprocessing_of_another_size_than_the_model_is_refused() {
    let card =
        ModelCard { preprocessing: Preprocessing::plain(32), ..card(NetworkSpec::Vit(tiny_vit()), 16) };
    let error = Classifier::new(card, 0, &Device::flex()).unwrap_err().to_string();
    assert_eq!(error, "tiny is built for images of 16 px but the preprocessing makes them 32 px");
}

#[test]
fn corrupted_files_never_panic() {
    let (_folder, path) = scratch();
    save(&path, &vit(), &[]).unwrap();
    let whole = fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let mut rng = archaeo_random::keyed_rng(0, "corruption", 0, 0);
    let mut refused = 0;
    for _ in 0..500 {
        let mut bytes = whole.clone();
        for _ in 0..rng.random_range(1..4) {
            bytes[rng.random_range(0..header)] = rng.random();
        }
        fs::write(&path, bytes).unwrap();
        refused += usize::from(load(&path, None, &Device::flex()).is_err());
    }
    assert!(refused > 375, "{refused} of 500 corruptions of the header were noticed");
}

#[test]
fn what_the_file_system_refuses_names_the_path() {
    let (folder, path) = scratch();
    assert!(load_error(&path, None).starts_with(&format!("cannot read {}: ", path.display())));
    assert!(load_error(folder.path(), None).contains(&folder.path().display().to_string()));
    let nowhere = folder.path().join("missing/model.safetensors");
    let error = save(&nowhere, &vit(), &[]).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot write {}: ", nowhere.display())), "{error}");
    // A folder in the way: the write succeeds, the renaming does not, and nothing is left behind.
    fs::create_dir(&path).unwrap();
    assert!(save(&path, &vit(), &[]).is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
