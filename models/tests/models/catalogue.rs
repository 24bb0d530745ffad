//! Properties of models by name, compared with those that timm and torchvision state for their published checkpoints, and models
//! recognised by their arrays alone (`fixtures/make_catalogue.py`).

use std::collections::BTreeMap;
use std::fs;

use crate::common::fixture_path;
use archaeo_models::{Array, Checkpoint, Described, ModelRequest, NetworkSpec, State, usual};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Row {
    image_size: usize,
    crop: Option<f64>,
    resized: Option<usize>,
    interpolation: String,
    mean: [f32; 3],
    std: [f32; 3],
}

fn rows(library: &str) -> BTreeMap<String, Row> {
    let text = fs::read_to_string(fixture_path("catalogue.json")).unwrap();
    let mut all: serde_json::Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(all[library].take()).unwrap()
}

/// A checkpoint of arrays of which only names and shapes are known.
fn hollow(shapes: impl IntoIterator<Item = (String, Vec<usize>)>) -> Checkpoint {
    let hollow = |(name, shape)| (name, Array { shape, values: Vec::new() });
    let state: State = shapes.into_iter().map(hollow).collect();
    Checkpoint { path: "some.safetensors".into(), state, ..Checkpoint::default() }
}

#[test]
fn names_stand_for_the_preprocessing_that_timm_states() {
    let rows = rows("timm");
    assert_eq!(rows.len(), 56);
    for (name, row) in rows {
        let ours = usual(&name).preprocessing;
        assert_eq!((ours.image_size, Some(ours.crop)), (row.image_size, row.crop), "{name}");
        assert_eq!(format!("{:?}", ours.interpolation).to_lowercase(), row.interpolation, "{name}");
        assert_eq!((ours.mean, ours.std), (row.mean, row.std), "{name}");
    }
}

#[test]
fn torchvisions_arrays_are_prepared_for_as_torchvision_states() {
    for (name, row) in rows("torchvision") {
        let preprocessing = if name.starts_with("resnet") {
            usual(&name).preprocessing
        } else {
            let mark = match name.starts_with("vit") {
                true => "module.conv_proj.weight",
                false => "features.1.0.attn.relative_position_bias_table",
            };
            let request = ModelRequest { model: Some(name.clone()), ..ModelRequest::default() };
            hollow([(mark.into(), vec![1])]).describe(&request).unwrap().preprocessing.values
        };
        let resized = (preprocessing.image_size as f64 / preprocessing.crop).floor() as usize;
        assert_eq!((preprocessing.image_size, Some(resized)), (row.image_size, row.resized), "{name}");
        assert_eq!(format!("{:?}", preprocessing.interpolation).to_lowercase(), row.interpolation, "{name}");
        assert_eq!((preprocessing.mean, preprocessing.std), (row.mean, row.std), "{name}");
    }
}

/// The model recognised from arrays, with its notes; or all candidates.
fn recognised(checkpoint: &Checkpoint) -> Result<Described, String> {
    checkpoint.describe(&ModelRequest::default()).map_err(|error| error.to_string())
}

#[test]
fn every_preset_is_recognised_by_its_arrays_or_told_to_be_ambiguous() {
    let mut ambiguous = Vec::new();
    // A CLIP becomes a classifier through its prompts, which need the model's name as well; the fixed positions of a
    // vit_micro leave no array that would tell the size of its images.
    let told = |name: &String| !name.starts_with("clip_") && name != "vit_micro";
    for name in NetworkSpec::names().into_iter().filter(told) {
        let side = usual(&name).preprocessing.image_size;
        let side = if name.contains("window12") { 384 } else { side };
        let network = NetworkSpec::named(&name, 7, side).unwrap();
        match recognised(&hollow(network.arrays().unwrap())) {
            Ok(Described { card, inferred, .. }) => {
                assert_eq!(card.network, network, "{name}");
                let said = inferred.unwrap();
                let full = if network.image_size().is_some() { format!("{name}_{side}") } else { name };
                let same_preprocessing = card.preprocessing == usual(&full).preprocessing;
                assert!(
                    said.starts_with(&format!("taken for {full} ("))
                        || same_preprocessing
                        || said.contains(&full),
                    "{said}"
                );
            }
            Err(said) => {
                assert!(said.contains(&name), "{name}: {said}");
                ambiguous.push(name);
            }
        }
    }
    // CLIP's two activations have the same arrays.
    assert!(ambiguous.iter().all(|name| name.contains("_clip")), "{ambiguous:?}");
}

#[test]
fn arrays_under_other_libraries_names_are_recognised() {
    let text = fs::read_to_string(fixture_path("shapes.json")).unwrap();
    let models: BTreeMap<String, BTreeMap<String, Vec<usize>>> = serde_json::from_str(&text).unwrap();
    assert_eq!(models.len(), 11);
    for (key, shapes) in models {
        let (_, name) = key.split_once('/').unwrap();
        let wrapped = shapes.into_iter().map(|(name, shape)| (format!("module.{name}"), shape));
        let Described { card, .. } =
            recognised(&hollow(wrapped)).unwrap_or_else(|said| panic!("{key}: {said}"));
        let classes = card.network.classes();
        assert_eq!(classes, if name.contains("dinov2") { 0 } else { 1000 }, "{key}");
        let side = usual(name).preprocessing.image_size;
        assert_eq!(card.network, NetworkSpec::named(name, classes, side).unwrap(), "{key}");
    }
}

#[test]
fn what_has_the_same_arrays_and_other_preprocessing_is_said() {
    let arrays = NetworkSpec::named("deit_small_patch16_224", 1000, 224).unwrap().arrays().unwrap();
    let said = recognised(&hollow(arrays)).unwrap().inferred.unwrap();
    assert_eq!(
        said,
        "taken for vit_small_patch16_224 (Vision Transformer: 12 layers of 6 heads, width 384, patches of 16 px) by its \
         names and shapes; assumed: 6 heads, as no array shows their number (--heads says otherwise); deit_small_patch16_224 has the same arrays but other preprocessing, so say with --model which \
         it is"
    );
    let arrays = NetworkSpec::named("vit_base_patch32_clip_224", 512, 224).unwrap().arrays().unwrap();
    assert_eq!(
        recognised(&hollow(arrays)).unwrap_err(),
        "some.safetensors does not say which model it holds, and its arrays are those of vit_base_patch32_clip_224 and of \
         vit_base_patch32_clip_quickgelu_224; name it with --model"
    );
}
