//! Preprocessing by a `preprocessor_config.json`, compared with the processors of transformers
//! (`fixtures/make_processors.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use archaeo_data::Image;
use archaeo_models::{Array, ModelRequest, Origin, checkpoint, read_arrays, write_arrays};
use archaeo_training::images::preprocess;
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A configuration of `model_type` whose own values do not matter here.
fn config(model_type: &str) -> Value {
    json!({
        "model_type": model_type, "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 1, "image_size": 8,
        "patch_size": 4, "intermediate_size": 8, "embed_dim": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1],
        "window_size": 2, "embedding_size": 4, "id2label": {"0": "a", "1": "b"},
    })
}

#[test]
fn images_are_prepared_as_the_processors_of_transformers_do_it() {
    let text = fs::read_to_string(fixture("processors.json")).unwrap();
    let files: Value = serde_json::from_str(&text).unwrap();
    let files: BTreeMap<String, Value> = serde_json::from_value(files["files"].clone()).unwrap();
    let (arrays, _) = read_arrays(&fixture("processors.safetensors")).unwrap();
    let Array { shape, values } = &arrays["image"];
    let pixels = values.iter().map(|&value| value as u8).collect();
    let image = Image::new(shape[1], shape[0], pixels);

    for (name, file) in files {
        let folder = tempfile::TempDir::new().unwrap();
        let write =
            |name: &str, value: &Value| fs::write(folder.path().join(name), value.to_string()).unwrap();
        write_arrays(&folder.path().join("model.safetensors"), &arrays, Default::default()).unwrap();
        // CLIP's own configuration is read elsewhere; its processor is that of other models as well.
        let model_type = Some(file["model_type"].as_str().unwrap()).filter(|kind| *kind != "clip");
        write("config.json", &config(model_type.unwrap_or("vit")));
        write("preprocessor_config.json", &file["preprocessor"]);
        let read = checkpoint::read(folder.path()).unwrap();
        let found = read.describe(&ModelRequest::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found.preprocessing.origins.iter().all(|(_, origin)| *origin == Origin::Config), "{name}");

        let preprocessing = found.preprocessing.values;
        let ours = preprocess(image.clone(), &preprocessing);
        let theirs = &arrays[&name];
        let step = if name == "resnet_large" { 16 } else { 1 };
        let side = preprocessing.image_size / step;
        assert_eq!(theirs.shape, [3, side, side], "{name}");
        let (mut unequal, mut largest) = (0, 0.0f32);
        for channel in 0..3 {
            let (mean, std) = (preprocessing.mean[channel], preprocessing.std[channel]);
            for (place, theirs) in theirs.values[channel * side * side..][..side * side].iter().enumerate() {
                let (row, column) = (place / side * step, place % side * step);
                let ours = ours.pixels()[(row * ours.width() + column) * 3 + channel];
                let theirs = (theirs * std + mean) * 255.0;
                let difference = (f32::from(ours) - theirs).abs();
                largest = largest.max(difference);
                unequal += usize::from(difference > 0.5);
            }
        }
        println!("{name}: {unequal} of {} values differ, at most by {largest:.2}", theirs.values.len());
        assert!(largest < 1.01, "{name}: a value differs by {largest} grey levels");
    }
}

#[test]
fn a_processor_that_does_something_else_is_refused() {
    let (arrays, _) = read_arrays(&fixture("processors.safetensors")).unwrap();
    for (file, expected) in [
        (
            json!({"image_processor_type": "SamImageProcessor"}),
            "its image processor, `SamImageProcessor`, is not known here; known are those of ViT, DeiT, Beit, CLIP, Bit, \
             ConvNext",
        ),
        (json!({"do_resize": false}), "its images are not resized, which is not known here"),
        (
            json!({"rescale_factor": 0.0078}),
            "its images are not brought to values from 0 to 1, which is not known here",
        ),
        (
            json!({"size": {"height": 24, "width": 32}}),
            "its `size` is not square, and only models for square images are supported",
        ),
        (json!({"size": {"longest_edge": 24}}), "its `size`, {\"longest_edge\":24}, is not known here"),
        (json!({"resample": 0}), "its `resample`, 0, is neither Lanczos (1), bilinear (2) nor bicubic (3)"),
        (json!({"size": 24, "crop_size": 32, "do_center_crop": true}), "32 px cannot be cut out of 24 px"),
    ] {
        let folder = tempfile::TempDir::new().unwrap();
        write_arrays(&folder.path().join("model.safetensors"), &arrays, Default::default()).unwrap();
        fs::write(folder.path().join("config.json"), config("vit").to_string()).unwrap();
        fs::write(folder.path().join("preprocessor_config.json"), file.to_string()).unwrap();
        let read = checkpoint::read(folder.path()).unwrap();
        let complaint = read.describe(&ModelRequest::default()).unwrap_err().to_string();
        assert!(complaint.contains(expected), "{complaint}\n{expected}");
    }
}
