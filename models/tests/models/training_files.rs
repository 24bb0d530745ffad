//! Checkpoints as training codes write them: the model is found, gives PyTorch's logits (`fixtures/make_training_files.py`), and
//! the choice and the skipped arrays are reported.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::common::{Fixture, fixture_path, largest_difference, values};
use archaeo_models::checkpoint::{self, Checkpoint};
use archaeo_models::{
    Array, Classifier, Described, LoadOptions, ModelRequest, Origin, Pass, ReadOptions, State, state_of,
    write_arrays,
};
use burn::tensor::Device;

fn file(name: &str) -> PathBuf {
    fixture_path("training_files").join(name)
}

/// Two heads, which no array shows and no size of these is standard enough to tell; ImageNet's moments.
fn request() -> ModelRequest {
    let (mean, std) = archaeo_models::IMAGENET_MOMENTS;
    let mut request = ModelRequest::default();
    (request.preprocessing.mean, request.preprocessing.std) = (Some(mean), Some(std));
    request
}

fn two_heads() -> ModelRequest {
    ModelRequest { specification: vec![("heads".into(), "2".into())], ..request() }
}

fn loaded(checkpoint: Checkpoint, request: &ModelRequest) -> Result<(Described, Classifier), String> {
    let described = checkpoint.describe(request).map_err(|error| error.to_string())?;
    let card = described.card.clone();
    let model = checkpoint.into_model(Some(card), &LoadOptions::default(), &Device::flex());
    Ok((described, model.map_err(|error| error.to_string())?))
}

/// Asserts that a model gives the logits stored for `name`.
#[track_caller]
fn assert_logits(name: &str, model: &Classifier) {
    let expected = Fixture::read_from(&file("expected.safetensors"));
    let images = expected.tensor::<4>(&format!("{name}.images"), &Device::flex());
    let logits = values(model.logits(images, &mut Pass::evaluate(&mut ())));
    let difference = largest_difference(&logits, &expected.array(&format!("{name}.logits")).values);
    assert!(difference < 2e-5, "{name}: logits differ by {difference:e}");
}

#[test]
fn the_models_of_training_files_give_the_logits_of_pytorch() {
    for (name, request) in [
        ("shortcut.pth", request()),
        ("shortcut_bottleneck.pth", request()),
        ("option_b.pth", request()),
        ("average.pth", request()),
        ("madry.pth", ModelRequest::default()),
        ("dino.pth", two_heads()),
        ("mae.pth", two_heads()),
        ("mae_finetuned.pth", two_heads()),
        ("deit", ModelRequest::default()),
    ] {
        let (_, model) = loaded(checkpoint::read(&file(name)).unwrap(), &request)
            .unwrap_or_else(|said| panic!("{name}: {said}"));
        assert_logits(name, &model);
    }
}

#[test]
fn what_was_chosen_and_what_was_left_out_is_said() {
    let notes = |name: &str| checkpoint::read(&file(name)).unwrap().notes.join("\n");
    let said = notes("average.pth");
    assert!(
        said.contains("`state_dict`, the weights of the last step; their average over the training (EMA)"),
        "{said}"
    );
    let said = notes("madry.pth");
    assert!(said.contains("`model.module.attacker.model`, a copy that an attacker holds"), "{said}");
    assert!(said.contains("has a normaliser (`model.module.normalizer.new_mean`)"), "{said}");
    let said = notes("dino.pth");
    assert!(said.contains("the student; DINO evaluates the teacher, which is taken"), "{said}");
    assert!(said.contains("`teacher.head` (4 arrays)"), "{said}");
    let said = notes("mae.pth");
    assert!(said.contains("`model.decoder_embed`") && said.contains("`model.mask_token`"), "{said}");
    assert_eq!(notes("shortcut.pth"), "");
}

#[test]
fn an_entry_that_is_named_is_taken() {
    let read =
        |entry: &str| checkpoint::read_with(&file("average.pth"), &ReadOptions { entry: Some(entry.into()) });
    let (_, last) = loaded(read("state_dict").unwrap(), &request()).unwrap();
    assert_logits("average.pth.last", &last);
    let (_, average) = loaded(read("state_dict_ema").unwrap(), &request()).unwrap();
    assert_logits("average.pth", &average);
    let said = read("model").unwrap_err().to_string();
    assert!(
        said.ends_with(
            "holds no model of a known architecture in `model`; models are in `state_dict`, `state_dict_ema`"
        ),
        "{said}"
    );
}

#[test]
fn a_normaliser_in_the_file_is_the_preprocessing_unless_another_is_asked_for() {
    let read = || checkpoint::read(&file("madry.pth")).unwrap();
    let Described { preprocessing, .. } = read().describe(&ModelRequest::default()).unwrap();
    let expected = Fixture::read_from(&file("expected.safetensors"));
    assert_eq!(preprocessing.values.mean.to_vec(), expected.array("madry.pth.mean").values);
    assert_eq!(preprocessing.values.std.to_vec(), expected.array("madry.pth.std").values);
    assert_eq!(preprocessing.origins[4], ("mean", Origin::Checkpoint));
    assert_eq!(preprocessing.origins[5], ("std", Origin::Checkpoint));
    let asked = read().describe(&request()).unwrap().preprocessing;
    assert_eq!(
        (asked.values.mean, asked.origins[4].1),
        (archaeo_models::IMAGENET_MOMENTS.0, Origin::Request)
    );
}

/// The residual network of `shortcut.pth` under torchvision's names.
fn resnet() -> State {
    checkpoint::read(&file("shortcut.pth")).unwrap().state
}

/// A checkpoint of these arrays, as it is read from a file.
fn written(state: &State) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("model.safetensors");
    write_arrays(&path, state, HashMap::new()).unwrap();
    (folder, path)
}

fn renamed(state: &State, name: impl Fn(&str) -> String) -> State {
    state.iter().map(|(old, array)| (name(old), array.clone())).collect()
}

fn array(shape: &[usize]) -> Array {
    Array { shape: shape.to_vec(), values: vec![0.25; shape.iter().product()] }
}

fn read(path: &Path, entry: Option<&str>) -> Result<Checkpoint, String> {
    let options = ReadOptions { entry: entry.map(str::to_owned) };
    checkpoint::read_with(path, &options).map_err(|error| error.to_string())
}

#[test]
fn a_model_is_found_under_any_prefix() {
    for prefix in
        ["net.", "model.", "classifier_model.module.", "_orig_mod.", "_forward_module.module.", "a.b.c."]
    {
        let (_folder, path) = written(&renamed(&resnet(), |name| format!("{prefix}{name}")));
        let (_, model) = loaded(read(&path, None).unwrap(), &request()).unwrap();
        assert_logits("shortcut.pth", &model);
    }
    // Wrappers of parts of the model stand within the names.
    let inner = renamed(&resnet(), |name| name.replace("layer2.0.", "layer2.0._fsdp_wrapped_module."));
    let (_folder, path) = written(&inner);
    let (_, model) = loaded(read(&path, None).unwrap(), &request()).unwrap();
    assert_logits("shortcut.pth", &model);
}

#[test]
fn a_classifier_is_found_under_the_names_that_people_give_it() {
    for head in [
        "fc",
        "fc.1",
        "linear",
        "head.1",
        "heads",
        "heads.head",
        "classifier.3",
        "last_layer",
        "head.fc",
        "output",
    ] {
        let state = renamed(&resnet(), |name| name.replace("fc.", &format!("{head}.")));
        let (_folder, path) = written(&state);
        let (_, model) =
            loaded(read(&path, None).unwrap(), &request()).unwrap_or_else(|said| panic!("{head}: {said}"));
        assert_logits("shortcut.pth", &model);
        // Next to a backbone with a prefix of its own.
        let beside = renamed(&resnet(), |name| match name.strip_prefix("fc.") {
            Some(rest) => format!("net.{head}.{rest}"),
            None => format!("net.backbone.{name}"),
        });
        let (_folder, path) = written(&beside);
        let (_, model) =
            loaded(read(&path, None).unwrap(), &request()).unwrap_or_else(|said| panic!("{head}: {said}"));
        assert_logits("shortcut.pth", &model);
    }
}

#[test]
fn a_classifier_without_bias_gets_zeros() {
    let mut state = resnet();
    let bias = state.remove("fc.bias").unwrap();
    let (_folder, path) = written(&state);
    let (described, model) = loaded(read(&path, None).unwrap(), &request()).unwrap();
    assert_eq!(described.notes, ["has a classifier without bias, `fc`; zeros stand for it"]);
    let with = state_of(&model);
    assert_eq!(with["fc.bias"], Array { values: vec![0.0; bias.values.len()], ..bias });
}

#[test]
fn a_classifier_of_several_layers_is_refused_by_its_name() {
    let mut state = resnet();
    for (name, shape) in [("fc.weight", vec![8, 32]), ("fc.bias", vec![8])] {
        state.insert(name.replace("fc.", "fc.0."), array(&shape));
    }
    state.insert("fc.2.weight".into(), array(&[5, 8]));
    state.insert("fc.2.bias".into(), state["fc.bias"].clone());
    state.retain(|name, _| name != "fc.weight" && name != "fc.bias");
    let (_folder, path) = written(&state);
    let said = read(&path, None).unwrap_err();
    assert!(said.contains("has a classifier `fc` of 2 layers (`fc.0.weight`, `fc.2.weight`)"), "{said}");

    // Layers after the model's output are not part of it either.
    let mut state = renamed(&resnet(), |name| format!("backbone.{name}"));
    state.insert("fc2.weight".into(), array(&[2, 5]));
    let (_folder, path) = written(&state);
    let said = read(&path, None).unwrap_err();
    assert!(said.contains("has `fc2.weight` [2, 5] next to the model"), "{said}");
    assert!(said.contains("--entry backbone"), "{said}");
    let (_, model) = loaded(read(&path, Some("backbone")).unwrap(), &request()).unwrap();
    assert_logits("shortcut.pth", &model);
}

#[test]
fn what_belongs_to_the_training_is_left_out_by_name() {
    let mut state = renamed(&resnet(), |name| format!("model.{name}"));
    for (name, shape) in [
        ("criterion.weight", vec![5]),
        ("loss.centers", vec![5, 32]),
        ("val_accuracy.count", vec![1]),
        ("optimizer.state.0.exp_avg", vec![4, 3, 3, 3]),
    ] {
        state.insert(name.into(), array(&shape));
    }
    let (_folder, path) = written(&state);
    let checkpoint = read(&path, None).unwrap();
    let expected = "has `criterion`, `loss`, `optimizer`, `val_accuracy` next to the model; left out";
    assert_eq!(checkpoint.notes, [expected]);
    let (described, model) = loaded(checkpoint, &request()).unwrap();
    assert_eq!(described.notes, [expected]);
    assert_logits("shortcut.pth", &model);
}

#[test]
fn an_array_inside_of_the_model_that_it_does_not_know_is_still_an_error() {
    let mut state = renamed(&resnet(), |name| format!("model.{name}"));
    state.insert("model.layer1.0.extra.weight".into(), array(&[4]));
    state.insert("model.adapter.weight".into(), array(&[4]));
    let (_folder, path) = written(&state);
    let said = loaded(read(&path, None).unwrap(), &request()).unwrap_err();
    assert!(said.contains("unexpected  adapter.weight"), "{said}");
    assert!(said.contains("unexpected  layer1.0.extra.weight"), "{said}");
}

#[test]
fn copies_are_told_apart_by_what_they_are_called_or_a_choice_is_asked_for() {
    let copies = |names: [&str; 2]| {
        let mut state = renamed(&resnet(), |name| format!("{}.{name}", names[0]));
        let doubled =
            |array: &Array| Array { values: array.values.iter().map(|x| 2.0 * x).collect(), ..array.clone() };
        state.extend(resnet().iter().map(|(name, array)| (format!("{}.{name}", names[1]), doubled(array))));
        written(&state)
    };
    for (taken, other) in [
        ("model_ema.module", "model"),
        ("ema", "net"),
        ("ema_model", "online_model"),
        ("callbacks.EMACallback.state_dict", "state_dict"),
        ("averaged_model.module", "model"),
        ("encoder_q", "encoder_k"),
        ("module.base_encoder", "module.momentum_encoder"),
        ("online_encoder", "target_encoder"),
        ("backbone", "momentum_backbone"),
        ("state_dict", "current_model_state"),
    ] {
        let (_folder, path) = copies([taken, other]);
        let checkpoint = read(&path, None).unwrap_or_else(|said| panic!("{said}"));
        assert!(checkpoint.notes[0].contains(&format!("`{other}`")), "{:?}", checkpoint.notes);
        assert_eq!(checkpoint.state["conv1.weight"], resnet()["conv1.weight"], "{taken}");
    }
    for names in [["student", "teacher"], ["first", "second"], ["net_a.module", "net_b.module"]] {
        let (_folder, path) = copies(names);
        let said = read(&path, None).unwrap_err();
        let both =
            format!("holds 2 models, in `{}`, `{}`; say which is meant with --entry", names[0], names[1]);
        assert!(said.contains(&both), "{said}");
        let chosen = read(&path, Some(names[0])).unwrap();
        assert_eq!(chosen.state["conv1.weight"], resnet()["conv1.weight"]);
        let (_, model) = loaded(chosen, &request()).unwrap();
        assert_logits("shortcut.pth", &model);
    }
}

#[test]
fn normalisers_of_other_codes_are_read_also_for_bytes() {
    let bytes = |values: [f32; 3]| Array { shape: vec![1, 3, 1, 1], values: values.to_vec() };
    for (mean, std, scale) in
        [("mu", "sigma", 1.0), ("normalize.mean", "normalize.std", 1.0), ("pixel_mean", "pixel_std", 255.0)]
    {
        let mut state = renamed(&resnet(), |name| format!("model.{name}"));
        state.insert(mean.into(), bytes([0.5 * scale, 0.25 * scale, 0.75 * scale]));
        state.insert(std.into(), bytes([0.25 * scale, 0.5 * scale, 0.125 * scale]));
        let (_folder, path) = written(&state);
        let (described, _) = loaded(read(&path, None).unwrap(), &ModelRequest::default()).unwrap();
        let values = &described.card.preprocessing;
        assert_eq!((values.mean, values.std), ([0.5, 0.25, 0.75], [0.25, 0.5, 0.125]), "{mean}");
    }
}

#[test]
fn one_output_becomes_two_classes_with_the_same_probabilities() {
    let mut state = resnet();
    for name in ["fc.weight", "fc.bias"] {
        let array = state.get_mut(name).unwrap();
        let row = array.values.len() / array.shape[0];
        array.values.truncate(row);
        array.shape[0] = 1;
    }
    let (_folder, path) = written(&state);
    let request = ModelRequest { class_names: vec!["ill".into(), "well".into()], ..request() };
    let (described, model) = loaded(read(&path, None).unwrap(), &request).unwrap();
    assert_eq!(described.card.classes, ["ill", "well"]);
    let expected =
        "has one output, which is taken for a sigmoid's logit of class 1 (`well`) against class 0 (`ill`)";
    assert_eq!(described.notes, [expected]);
    let fixture = Fixture::read_from(&file("expected.safetensors"));
    let images = fixture.tensor::<4>("shortcut.pth.images", &Device::flex());
    let logits = values(model.logits(images, &mut Pass::evaluate(&mut ())));
    let whole = &fixture.array("shortcut.pth.logits").values;
    for image in 0..2 {
        assert_eq!(logits[2 * image], 0.0);
        assert!((logits[2 * image + 1] - whole[5 * image]).abs() < 2e-5);
    }
}
