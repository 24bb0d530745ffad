//! Checkpoints of every format, as written by the libraries, and malicious ones.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{card, random_model, tiny_cifar_resnet, tiny_vit};
use archaeo_models::checkpoint::{self, Checkpoint};
use archaeo_models::{
    Array, Classifier, LoadOptions, NetworkSpec, State, load, read_card, save, state_of, write_arrays,
};
use burn::tensor::Device;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints").join(name)
}

fn error_of(path: &Path) -> String {
    let error = checkpoint::read(path).expect_err(&path.display().to_string()).to_string();
    assert!(error.contains(&path.display().to_string()), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[track_caller]
fn assert_error(path: &Path, part: &str) {
    let error = error_of(path);
    assert!(error.contains(part), "{error}\nlacks: {part}");
}

/// Contents of each file of `make_checkpoints.py`.
fn expected() -> BTreeMap<String, State> {
    let mut files: BTreeMap<String, State> = BTreeMap::new();
    for (name, array) in checkpoint::read(&fixture("expected.safetensors")).unwrap().state {
        let (file, array_name) = name.split_once('/').unwrap();
        files.entry(file.to_owned()).or_default().insert(array_name.to_owned(), array);
    }
    files
}

#[test]
fn what_torch_and_numpy_write_is_read() {
    let files = expected();
    assert_eq!(files.len(), 19);
    for (file, expected) in files {
        let mut found = checkpoint::read(&fixture(&file)).unwrap().state;
        if file == "dino.pth" {
            // DINO evaluates the teacher; it is stored with its wrapper.
            assert!(found.keys().all(|name| name.starts_with("backbone.")));
        }
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{file}");
        for (name, array) in expected {
            assert_eq!(found.remove(&name), Some(array), "{name} of {file}");
        }
    }
}

#[test]
fn what_stands_beside_the_model_is_kept_as_text() {
    for file in ["training.pth", "training_legacy.pth"] {
        let metadata = checkpoint::read(&fixture(file)).unwrap().metadata;
        let expected = [("arch", "tiny"), ("best_acc1", "91.25"), ("epoch", "7")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(metadata, BTreeMap::from(expected), "{file}");
    }
}

#[test]
fn a_pickle_that_would_run_something_is_refused_and_runs_nothing() {
    let mark = Path::new("/tmp/archaeo-ran-a-pickle");
    for (file, function) in [
        ("malicious.pth", "posix.system"),
        ("malicious_legacy.pth", "__builtin__.eval"),
        ("malicious.pkl", "builtins.exec"),
    ] {
        let path = fixture(file);
        let expected = format!(
            "{} would run `{function}` on the machine of anyone who loads it with Python; nothing of it was run here, but do \
             not trust the file",
            path.display()
        );
        assert_eq!(error_of(&path), expected);
    }
    assert!(!mark.exists(), "the pickle was run");
}

#[test]
fn tensors_that_are_no_plain_floats_are_refused_by_name() {
    assert_error(
        &fixture("sparse.pth"),
        "`weight` is a tensor of a kind that is not read (`_rebuild_sparse_tensor`)",
    );
    assert_error(
        &fixture("quantised.pth"),
        "`weight` is a tensor of a kind that is not read (`_rebuild_qtensor`)",
    );
    assert_error(
        &fixture("complex.pth"),
        "holds `weight` as complex numbers; export it with 16-, 32- or 64-bit floats",
    );
    assert_error(&fixture("int8.pth"), "holds `weight` as 8-bit integers; export it");
    assert_error(&fixture("no_tensors.pth"), "it holds no tensors by name");
    assert_error(&fixture("text.npz"), "holds `weight` as <U1; export it with 16-, 32- or 64-bit floats");
}

fn scratch(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

#[test]
fn what_is_no_checkpoint_says_what_it_is_instead() {
    let (folder, path) = scratch("file.pth");
    for (contents, part) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"[..], "`git lfs pull` fetches that"),
        (b"<!DOCTYPE html><html>", "it is a web page"),
        (b"", "it is empty"),
        (b"some text that is no checkpoint", "it begins like none of the known formats"),
        (b"GGUF\x03\0\0\0", "it is a GGUF file"),
        (b"\x89HDF\r\n\x1a\n\0\0", "it is an HDF5 file, as Keras"),
        (b"\x1c\0\0\0TFL3", "it is a TensorFlow Lite model"),
        (b"\x1f\x8b\x08\0", "it is compressed with gzip"),
        (b"PK\x03\x04 and no archive", "is not a readable zip archive"),
        (b"\x80\x02}q\x00.", "it is a pickle, but torch.save did not write it"),
        (b"\x80\x02}", "its pickle is broken: it is cut short"),
        (b"{\"a\": 1}", "is not a readable list of checkpoint files (it has no `weight_map`)"),
        (b"{\"a\": ", "is not a readable list of checkpoint files (it does not parse: "),
    ] {
        fs::write(&path, contents).unwrap();
        assert_error(&path, part);
    }
    assert_error(&folder.path().join("missing.pth"), "No such file or folder; check the path");
    let onnx = folder.path().join("model.onnx");
    fs::write(&onnx, b"\x08\x07\x12\x07pytorch").unwrap();
    assert_error(&onnx, "it is an ONNX model");
    fs::remove_file(&path).unwrap();
    assert_error(folder.path(), "model.onnx is one of another library, which is not read");
    fs::remove_file(&onnx).unwrap();
    assert_error(folder.path(), "no file in it is one by its name");
}

#[test]
fn files_cut_anywhere_are_refused() {
    let (_folder, path) = scratch("cut");
    for file in ["plain.pth", "legacy.pth", "arrays.npz", "compressed.npz", "expected.safetensors"] {
        let whole = fs::read(fixture(file)).unwrap();
        for length in (0..whole.len()).step_by(37).chain([whole.len() - 1]) {
            fs::write(&path, &whole[..length]).unwrap();
            error_of(&path);
        }
    }
}

#[test]
fn a_changed_byte_of_an_archived_array_is_noticed() {
    let (_folder, path) = scratch("changed");
    for (file, array) in [("plain.pth", "norm.weight"), ("arrays.npz", "cls")] {
        let mut bytes = fs::read(fixture(file)).unwrap();
        let values = &checkpoint::read(&fixture(file)).unwrap().state[array].values;
        let wanted: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let at = bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_error(&path, "the checksum of `");
    }
}

#[test]
fn a_folder_is_its_checkpoint_with_the_configuration_beside_it() {
    let (folder, _) = scratch("");
    let copy = |from: &str, to: &str| fs::copy(fixture(from), folder.path().join(to)).unwrap();
    copy("plain.pth", "weights.pth");
    let lone = checkpoint::read(folder.path()).unwrap();
    assert!(lone.config.is_none() && lone.state.contains_key("conv.weight"));
    copy("legacy.pth", "other.pth");
    assert_error(folder.path(), "are both there, so one has to be named");

    copy("views.pth", "pytorch_model.bin");
    fs::write(folder.path().join("config.json"), r#"{"architectures": ["ViTForImageClassification"]}"#)
        .unwrap();
    let Checkpoint { state, config, path, .. } = checkpoint::read(folder.path()).unwrap();
    assert!(state.contains_key("transposed"));
    assert_eq!(config.unwrap()["architectures"][0], "ViTForImageClassification");
    assert_eq!(path, folder.path());
    // safetensors come before pickles, and next to a file of another name the configuration may be anything's.
    copy("expected.safetensors", "model.safetensors");
    let preferred = checkpoint::read(folder.path()).unwrap();
    assert!(preferred.state.contains_key("plain.pth/conv.weight") && preferred.config.is_some());
    assert!(checkpoint::read(&folder.path().join("weights.pth")).unwrap().config.is_none());

    fs::write(folder.path().join("config.json"), "{").unwrap();
    let error = checkpoint::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("config.json is not a readable configuration (it does not parse: "), "{error}");
}

#[test]
fn arrays_over_several_files_are_joined_by_their_index() {
    let (folder, path) = scratch("model.safetensors.index.json");
    let model = random_model(NetworkSpec::Vit(tiny_vit()), 16, 1, &Device::flex());
    let whole = state_of(&model);
    let (mut first, mut second, mut map) = (State::new(), State::new(), serde_json::Map::new());
    for (i, (name, array)) in whole.iter().enumerate() {
        let shard = if i % 3 == 0 { &mut first } else { &mut second };
        shard.insert(name.clone(), array.clone());
        let file =
            if i % 3 == 0 { "model-00001-of-00002.safetensors" } else { "model-00002-of-00002.safetensors" };
        map.insert(name.clone(), file.into());
    }
    let shard = |number: usize| folder.path().join(format!("model-0000{number}-of-00002.safetensors"));
    write_arrays(&shard(1), &first, HashMap::new()).unwrap();
    write_arrays(&shard(2), &second, HashMap::new()).unwrap();
    let index = |map: &serde_json::Map<String, serde_json::Value>| {
        fs::write(&path, serde_json::to_vec(&serde_json::json!({ "weight_map": map })).unwrap()).unwrap();
    };
    index(&map);
    assert_eq!(checkpoint::read(&path).unwrap().state, whole);
    assert_eq!(checkpoint::read(folder.path()).unwrap().state, whole);

    for elsewhere in ["../model.safetensors", "/etc/passwd", "..", "", "a/b"] {
        let mut hostile = map.clone();
        hostile.insert("head.bias".into(), elsewhere.into());
        index(&hostile);
        assert_error(&path, "`head.bias` is in no file next to it");
    }
    index(&map);
    fs::remove_file(shard(2)).unwrap();
    let error = checkpoint::read(&path).unwrap_err().to_string();
    assert_eq!(error, format!("cannot read {}: No such file or folder; check the path", shard(2).display()));
}

#[test]
fn wrapped_names_load_from_every_kind_of_checkpoint() {
    let files = expected();
    let plain = &files["plain.pth"];
    assert_eq!(
        files["training.pth"].keys().map(|name| name.trim_start_matches("module.")).collect::<Vec<_>>(),
        files["module.pth"].keys().collect::<Vec<_>>()
    );
    assert_eq!(plain.len(), 9, "counters are left out");

    let (_folder, path) = scratch("wrapped.safetensors");
    let model = random_model(tiny_cifar_resnet(), 16, 0, &Device::flex());
    let wrapped = |wrap: &dyn Fn(&str) -> String| -> State {
        state_of(&model).into_iter().map(|(name, array)| (wrap(&name), array)).collect()
    };
    let beside_head = |name: &str| {
        if name.starts_with("linear.") { name.to_owned() } else { format!("backbone.{name}") }
    };
    for state in [
        wrapped(&|name| format!("_orig_mod.{name}")),
        wrapped(&|name| format!("student.module.backbone.{name}")),
        wrapped(&beside_head),
    ] {
        write_arrays(&path, &state, HashMap::new()).unwrap();
        let loaded = load(&path, Some(model.card().clone()), &Device::flex()).unwrap();
        assert_eq!(state_of(&loaded), state_of(&model));
    }
    // Arrays outside of the model's entry, or there twice, are not part of it.
    let outside =
        wrapped(&|name| if name.starts_with("bn1.") { name.to_owned() } else { format!("backbone.{name}") });
    let mut twice = wrapped(&|name| format!("backbone.{name}"));
    twice.insert("linear.bias".into(), Array { shape: vec![1], values: vec![0.0] });
    for (state, expected) in
        [(outside, "missing     bn1.weight"), (twice, "has `linear.bias` apart from the rest")]
    {
        write_arrays(&path, &state, HashMap::new()).unwrap();
        let error = load(&path, Some(model.card().clone()), &Device::flex()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

fn read_with(path: &Path, network: NetworkSpec, options: &LoadOptions) -> Result<Classifier, String> {
    let checkpoint = checkpoint::read(path).unwrap();
    checkpoint
        .into_model(Some(card(network, 16)), options, &Device::flex())
        .map_err(|error| error.to_string())
}

#[test]
fn only_what_was_named_may_be_missing() {
    let (_folder, path) = scratch("partial.safetensors");
    let model = random_model(NetworkSpec::Vit(tiny_vit()), 16, 0, &Device::flex());
    let mut state = state_of(&model);
    state.retain(|name, _| !name.starts_with("head") && name != "blocks.1.norm2.bias");
    write_arrays(&path, &state, HashMap::new()).unwrap();
    let network = || NetworkSpec::Vit(tiny_vit());
    let allowing = |names: &[&str]| LoadOptions {
        allow_missing: names.iter().map(|name| name.to_string()).collect(),
        ..LoadOptions::default()
    };
    let error = read_with(&path, network(), &allowing(&["head"])).unwrap_err();
    assert!(error.contains("missing     blocks.1.norm2.bias") && !error.contains("head."), "{error}");
    let error = read_with(&path, network(), &allowing(&["hea", "blocks.1.norm2"])).unwrap_err();
    assert!(error.contains("missing     head.bias") && !error.contains("norm2"), "{error}");

    let loaded = read_with(&path, network(), &allowing(&["head", "blocks.1"])).unwrap();
    let fresh = state_of(&Classifier::new(card(network(), 16), 0, &Device::flex()).unwrap());
    for (name, array) in state_of(&loaded) {
        let expected = state.get(&name).unwrap_or(&fresh[&name]);
        assert_eq!(&array, expected, "{name}");
    }
    // Listed arrays may be missing; surplus arrays are still an error.
    state.insert("extra".into(), Array { shape: vec![1], values: vec![0.0] });
    write_arrays(&path, &state, HashMap::new()).unwrap();
    let error = read_with(&path, network(), &allowing(&["head", "blocks.1"])).unwrap_err();
    assert!(error.contains("unexpected  extra"), "{error}");
}

#[test]
fn a_head_of_other_classes_is_replaced_only_when_asked() {
    let (_folder, path) = scratch("head.safetensors");
    let model = random_model(NetworkSpec::Vit(tiny_vit()), 16, 0, &Device::flex());
    save(&path, &model, &[]).unwrap();
    let network = |classes| NetworkSpec::Vit(archaeo_models::VitConfig { classes, ..tiny_vit() });
    let replace = LoadOptions { replace_head: true, ..LoadOptions::default() };
    let error = read_with(&path, network(7), &LoadOptions::default()).unwrap_err();
    assert!(error.contains("misshapen   head.weight: expected [7, 32], found [5, 32]"), "{error}");
    let allowed = LoadOptions { allow_missing: vec!["head".into()], ..LoadOptions::default() };
    assert!(read_with(&path, network(7), &allowed).is_err(), "a head that is there is not missing");

    let replaced = state_of(&read_with(&path, network(7), &replace).unwrap());
    let fresh = state_of(&Classifier::new(card(network(7), 16), 0, &Device::flex()).unwrap());
    for (name, array) in state_of(&model) {
        let expected = if name.starts_with("head.") { &fresh[&name] } else { &array };
        assert_eq!(&replaced[&name], expected, "{name}");
    }
    // A head that fits is kept.
    assert_eq!(state_of(&read_with(&path, network(5), &replace).unwrap()), state_of(&model));
    assert!(read_card(&path).unwrap().is_some() && read_card(&fixture("plain.pth")).unwrap().is_none());
}
