//! CLIP against open_clip and transformers (`fixtures/make_clip_tokens.py`, `fixtures/make_clip.py`).

use crate::common;
use std::path::Path;

use crate::common::{
    Fixture, card, compare_with_library, fixture_path, largest, largest_difference, random_images, values,
};
use archaeo_models::clip::{self, Clip, ClipConfig, PromptError, Prompts, TextConfig};
use archaeo_models::{
    Array, Classifier, FeedForward, IMAGENET_MOMENTS, ModelCard, NetworkSpec, Pass, VitConfig, checkpoint,
    load, save, state_of, with_state, write_arrays,
};
use archaeo_ops::Precision;
use burn::tensor::Device;
use tempfile::TempDir;

const EMBEDDING: usize = 12;

/// Classes, templates and texts of `make_clip.py`.
const CLASSES: [&str; 4] = ["cat", "Golden Retriever", "fire engine, fire truck", "3 wheels"];
const TEMPLATES: &str = "a photo of a {}.\n\n  a blurry photo of the {}.  \nitap of my {}.\n{}\n";

fn texts() -> Vec<Vec<u32>> {
    ["", "a photo of a cat.", "two dogs & three cats", &"it's ".repeat(60)].map(clip::tokenize).to_vec()
}

fn tiny(feed_forward: FeedForward) -> ClipConfig {
    let image = VitConfig {
        width: 16,
        mlp_width: 32,
        classes: 0,
        pre_norm: true,
        epsilon: 1e-5,
        feed_forward,
        ..common::tiny_vit()
    };
    ClipConfig {
        image,
        text: TextConfig { width: 16, depth: 2, heads: 2, mlp_width: 32 },
        embedding: EMBEDDING,
    }
}

/// Name, activation, and what the library calls the token embedding.
const LIBRARIES: [(&str, FeedForward, &str); 3] = [
    ("open_clip_quickgelu", FeedForward::QuickGelu, "token_embedding.weight"),
    ("open_clip_gelu", FeedForward::Gelu, "token_embedding.weight"),
    ("transformers_clip", FeedForward::QuickGelu, "text_model.embeddings.token_embedding.weight"),
];

/// Writes a fixture's state as a checkpoint; tokens that do not occur have embeddings of zero.
fn checkpoint_of(fixture: &Fixture, embedding: &str, path: &Path) {
    let mut state = fixture.part("state");
    let kept = &state[embedding];
    let width = kept.shape[1];
    let mut dense =
        Array { shape: vec![clip::VOCABULARY, width], values: vec![0.0; clip::VOCABULARY * width] };
    for (row, &token) in kept.values.chunks(width).zip(&fixture.array("tokens").values) {
        dense.values[token as usize * width..][..width].copy_from_slice(row);
    }
    state.insert(embedding.into(), dense);
    write_arrays(path, &state, Default::default()).unwrap();
}

fn load_clip(path: &Path, feed_forward: FeedForward) -> Clip {
    checkpoint::read(path).unwrap().into_clip("tiny", &tiny(feed_forward), &Device::flex()).unwrap()
}

fn zero_shot_card(config: &ClipConfig) -> ModelCard {
    let classes = CLASSES.map(str::to_owned).to_vec();
    ModelCard { classes, ..card(NetworkSpec::ZeroShot(config.zero_shot(CLASSES.len())), 16) }
}

fn zero_shot(path: &Path, feed_forward: FeedForward) -> Classifier {
    let prompts = Prompts::parse(TEMPLATES).unwrap();
    let clip = load_clip(path, feed_forward);
    clip.classifier(zero_shot_card(&tiny(feed_forward)), &prompts, Precision::F32, &mut |_| {}).unwrap()
}

fn assert_close(name: &str, what: &str, ours: &[f32], theirs: &[f32]) {
    let difference = largest_difference(ours, theirs) / largest(theirs);
    assert!(difference <= 1e-5, "{name}: {what} differs by {difference:e} of its largest value");
}

#[test]
fn texts_become_the_tokens_of_open_clip() {
    let json = std::fs::read_to_string(fixture_path("clip_tokens.json")).unwrap();
    let rows: Vec<(String, Vec<u32>)> = serde_json::from_str(&json).unwrap();
    assert!(rows.len() > 800);
    let differing: Vec<_> = rows.iter().filter(|(text, tokens)| clip::tokenize(text) != *tokens).collect();
    assert!(differing.is_empty(), "{} differ, such as {:?}", differing.len(), differing[0]);
}

#[test]
fn an_image_tower_loads_from_a_whole_clip_as_timms_does() {
    // Features, blocks, attention and gradient; timm's tower has CLIP's projection as its head.
    for (name, feed_forward, _) in LIBRARIES {
        let config = VitConfig { classes: EMBEDDING, ..tiny(feed_forward).image };
        compare_with_library(name, NetworkSpec::Vit(config), 16);
    }
}

#[test]
fn both_towers_give_the_features_of_their_library() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("clip.safetensors");
    let (mean, std) = IMAGENET_MOMENTS;
    let device = Device::flex();
    for (name, feed_forward, embedding) in LIBRARIES {
        let fixture = Fixture::read(name);
        checkpoint_of(&fixture, embedding, &path);
        let clip = load_clip(&path, feed_forward);
        let channel =
            |values: [f32; 3]| burn::tensor::Tensor::<1>::from_floats(values, &device).reshape([1, 3, 1, 1]);
        let images = (fixture.tensor::<4>("images", &device) - channel(mean)) / channel(std);
        let ours = values(clip.image_features(images, &mut Pass::evaluate(&mut ())));
        assert_close(name, "image features", &ours, &fixture.array("logits").values);
        let ours = values(clip.text_features(&texts(), Precision::F32));
        assert_close(name, "text features", &ours, &fixture.array("text_features").values);
    }
}

#[test]
fn zero_shot_logits_and_gradients_are_those_of_the_library() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("clip.safetensors");
    for (name, feed_forward, embedding) in LIBRARIES {
        let fixture = Fixture::read(name);
        checkpoint_of(&fixture, embedding, &path);
        let model = zero_shot(&path, feed_forward);
        let prototypes = &state_of(&model)["prototypes"].values;
        assert_close(name, "prototypes", prototypes, &fixture.array("zero_shot.prototypes").values);
        let features =
            model.features(fixture.tensor("images", &Device::flex()), &mut Pass::evaluate(&mut ()));
        let embedded = fixture.array("logits").values.chunks(EMBEDDING);
        let unit = embedded.flat_map(|row| {
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter().map(move |x| x / length)
        });
        assert_close(name, "features", &values(features), &unit.collect::<Vec<_>>());
        let device = Device::flex().autodiff();
        let images = fixture.tensor::<4>("images", &device).require_grad();
        let logits = model.logits(images.clone(), &mut Pass::evaluate(&mut ()));
        assert_close(name, "logits", &values(logits.clone()), &fixture.array("zero_shot.logits").values);
        let gradients = (logits * fixture.tensor("zero_shot.cotangent", &device)).sum().backward();
        let gradient = values(images.grad(&gradients).unwrap());
        assert_close(name, "gradient", &gradient, &fixture.array("zero_shot.gradient").values);
    }
}

#[test]
fn a_zero_shot_classifier_is_saved_and_loaded_like_any_other() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("clip.safetensors");
    let (name, feed_forward, embedding) = LIBRARIES[0];
    checkpoint_of(&Fixture::read(name), embedding, &path);
    let model = zero_shot(&path, feed_forward);
    let saved = folder.path().join("zero_shot.safetensors");
    save(&saved, &model, &[]).unwrap();
    let device = Device::flex();
    let loaded = load(&saved, None, &device).unwrap();
    assert_eq!(loaded.card(), model.card());
    let logits = |model: &Classifier| {
        values(model.logits(random_images(&[1, 2], 16, &device), &mut Pass::evaluate(&mut ())))
    };
    assert_eq!(logits(&loaded), logits(&model));
}

#[test]
fn a_feature_of_zero_is_like_no_class() {
    let card = zero_shot_card(&tiny(FeedForward::Gelu));
    let fresh = Classifier::new(card, 0, &Device::flex()).unwrap();
    let mut state = state_of(&fresh);
    state.get_mut("visual.norm.weight").unwrap().values.fill(0.0);
    let model = with_state(fresh, state).unwrap();
    let images = random_images(&[1], 16, &Device::flex().autodiff()).require_grad();
    let logits = model.logits(images.clone(), &mut Pass::evaluate(&mut ()));
    assert_eq!(values(logits.clone()), [0.0; 4]);
    let gradient = values(images.grad(&logits.sum().backward()).unwrap());
    assert_eq!(largest_difference(&gradient, &vec![0.0; gradient.len()]), 0.0);
}

#[test]
fn a_prompt_needs_a_place_for_the_name() {
    assert_eq!(Prompts::parse(" \n\n"), Err(PromptError::Empty));
    let error = Prompts::parse("a {}\n\na photo\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 3, `a photo`, has no {} where a class's name would go; write it as in `a photo of a {}.`"
    );
    let prompts = Prompts::parse(TEMPLATES).unwrap();
    assert_eq!(prompts.of("x y")[..2], ["a photo of a x y.", "a blurry photo of the x y."]);
    let count = |name: &str| Prompts::built_in(name).map(|prompts| prompts.templates().len());
    assert_eq!((count("imagenet"), count("cifar"), count("other")), (Some(80), Some(18), None));
}

#[test]
fn sizes_that_do_not_fit_get_a_sentence() {
    let config = ClipConfig::named("clip_vit_base_patch32", 224).unwrap();
    assert_eq!((config.embedding, config.text.heads, config.image.classes), (512, 8, 0));
    let error = ClipConfig::named("vit_base_patch32_clip", 224).unwrap_err().to_string();
    assert!(error.starts_with("no model is called `vit_base_patch32_clip`"), "{error}");
    let text = TextConfig { heads: 7, ..config.text };
    let error = Clip::new(&ClipConfig { text, ..config.clone() }, &Device::flex()).unwrap_err().to_string();
    assert_eq!(error, "7 heads do not divide a width of 512");
    let image = VitConfig { classes: 3, ..config.image.clone() };
    let error = ClipConfig { image, ..config }.validate().unwrap_err().to_string();
    assert_eq!(error, "the image tower of CLIP has no head of 3 classes");
}
