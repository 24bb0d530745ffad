//! What a checkpoint holds, determined by its card, a name, the `config.json` of timm or transformers, or its arrays alone.

use crate::common;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::common::{Fixture, card, random_model, tiny_vit};
use archaeo_models::{
    Checkpoint, Classifier, Described, Fit, Interpolation, ModelRequest, NetworkSpec, Origin, Pooling,
    Position, PreprocessingChoice, State, VitConfig, checkpoint, configuration, export, save, state_of,
    usual, write_arrays,
};
use burn::tensor::Device;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with a checkpoint of `state` and the configuration files given.
fn folder(state: &State, files: &[(&str, Value)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    write_arrays(&folder.path().join("model.safetensors"), state, HashMap::new()).unwrap();
    for (name, contents) in files {
        fs::write(folder.path().join(name), contents.to_string()).unwrap();
    }
    folder
}

fn read(path: &Path) -> Checkpoint {
    checkpoint::read(path).unwrap_or_else(|error| panic!("{error}"))
}

fn described(path: &Path) -> Described {
    read(path).describe(&ModelRequest::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn complaint(path: &Path) -> String {
    read(path).describe(&ModelRequest::default()).unwrap_err().to_string()
}

/// `config.json` as transformers 5 writes it for the fixtures, but for what is not read.
fn hugging_face(kind: &str, class: &str, more: Value) -> Value {
    let mut config = json!({
        "architectures": [class], "model_type": kind, "hidden_act": "gelu", "hidden_size": 16, "image_size": 16,
        "num_attention_heads": 2, "num_hidden_layers": 2, "patch_size": 4, "qkv_bias": true,
        "id2label": {"0": "a", "1": "b", "2": "c", "3": "d", "4": "e"},
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

#[test]
fn transformers_configurations_describe_what_their_fixtures_hold() {
    let cases = [
        (
            "transformers_vit",
            "vit",
            "ViTForImageClassification",
            json!({"intermediate_size": 32, "layer_norm_eps": 1e-12}),
        ),
        (
            "transformers_deit",
            "deit",
            "DeiTForImageClassificationWithTeacher",
            json!({"intermediate_size": 32, "layer_norm_eps": 1e-12}),
        ),
        (
            "transformers_dinov2",
            "dinov2",
            "Dinov2ForImageClassification",
            json!({"mlp_ratio": 2, "layer_norm_eps": 1e-6}),
        ),
        (
            "transformers_dinov2_registers",
            "dinov2_with_registers",
            "Dinov2WithRegistersForImageClassification",
            json!({"mlp_ratio": 2, "layer_norm_eps": 1e-6, "num_register_tokens": 3, "use_swiglu_ffn": true}),
        ),
        (
            "transformers_beit",
            "beit",
            "BeitForImageClassification",
            json!({"intermediate_size": 32, "layer_norm_eps": 1e-12}),
        ),
    ];
    for (name, kind, class, more) in cases {
        let fixture = Fixture::read(name);
        let preprocessor = json!({
            "do_resize": true, "do_center_crop": false, "size": {"height": 16, "width": 16}, "resample": 2,
            "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
        });
        let files =
            [("config.json", hugging_face(kind, class, more)), ("preprocessor_config.json", preprocessor)];
        let folder = folder(&fixture.part("state"), &files);
        let Described { card, preprocessing, inferred, .. } = described(folder.path());
        assert_eq!(inferred, None);
        assert_eq!(card.classes, ["a", "b", "c", "d", "e"]);
        let values = &preprocessing.values;
        assert_eq!((values.fit, values.interpolation), (Fit::Squash, Interpolation::Bilinear));
        assert_eq!(preprocessing.origins[4], ("mean", Origin::Config));
        // The model that it describes gives the library's own numbers.
        for (what, difference) in common::differences_from_library(&fixture, card) {
            assert!(difference <= 1e-5, "{name}: {what} differs by {difference:e}");
        }
    }
}

#[test]
fn transformers_clip_goes_by_the_name_of_its_sizes() {
    let state = Fixture::read("transformers_vit").part("state");
    let config = |vision: Value| json!({"model_type": "clip", "vision_config": vision});
    for (vision, name) in [
        (json!({}), "clip_vit_base_patch32"),
        (json!({"patch_size": 16}), "clip_vit_base_patch16"),
        (json!({"patch_size": 16, "hidden_act": "gelu"}), "clip_vit_base_patch16_gelu"),
        (json!({"patch_size": 14, "hidden_size": 1024, "num_hidden_layers": 24}), "clip_vit_large_patch14"),
    ] {
        let folder = folder(&state, &[("config.json", config(vision))]);
        let Described { card, preprocessing, .. } = described(folder.path());
        assert_eq!(card.name, name);
        assert_eq!(preprocessing.values.mean, archaeo_models::CLIP_MOMENTS.0);
    }
    let folder = folder(&state, &[("config.json", config(json!({"hidden_size": 7})))]);
    let expected = "no CLIP with an image tower of width 7 and patches of 32 px is known here";
    assert!(complaint(folder.path()).ends_with(expected));
}

#[test]
fn a_shorter_side_and_a_crop_become_the_share_that_gives_them_back() {
    let state = Fixture::read("transformers_vit").part("state");
    for (resized, cropped) in [(256, 224), (248, 224), (232, 224), (333, 224), (224, 224)] {
        let preprocessor =
            json!({"size": {"shortest_edge": resized}, "crop_size": {"height": cropped, "width": cropped}});
        let config = hugging_face("vit", "ViTForImageClassification", json!({"intermediate_size": 32}));
        let folder = folder(&state, &[("config.json", config), ("preprocessor_config.json", preprocessor)]);
        let values = described(folder.path()).preprocessing.values;
        assert_eq!((values.image_size, values.fit), (cropped, Fit::Crop));
        assert_eq!((cropped as f64 / values.crop).floor() as usize, resized);
    }
}

#[test]
fn what_is_exported_describes_itself_to_us_as_well() {
    let device = Device::flex();
    let variants = [
        NetworkSpec::Vit(tiny_vit()),
        NetworkSpec::Vit(VitConfig {
            pooling: Pooling::Mean,
            registers: 2,
            position: Position::LearnedOnPatches,
            ..tiny_vit()
        }),
        NetworkSpec::Vit(VitConfig {
            pooling: Pooling::MeanBesideClassToken,
            norm_after_pooling: true,
            ..tiny_vit()
        }),
        NetworkSpec::Vit(VitConfig { distilled: true, layer_scale: true, ..tiny_vit() }),
        NetworkSpec::Vit(VitConfig { position: Position::None, ..tiny_vit() }),
    ];
    for network in variants {
        let model = random_model(network, 16, 0, &device);
        let folder = TempDir::new().unwrap();
        export(folder.path(), &model).unwrap();
        let again = read(folder.path());
        // Without the card, as timm would see it.
        let described = Checkpoint { metadata: Default::default(), ..again.clone() };
        let described = described.describe(&ModelRequest::default()).unwrap();
        assert_eq!(described.card.network, model.card().network);
        assert_eq!(described.card.classes, model.card().classes);
        assert_eq!(described.preprocessing.values, model.card().preprocessing);
        let loaded = again.into_model(Some(described.card), &Default::default(), &device).unwrap();
        assert_eq!(state_of(&loaded), state_of(&model));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing temporary is left");
    }
}

#[test]
fn arrays_alone_are_recognised_where_they_leave_no_doubt() {
    let device = Device::flex();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("some.safetensors");
    for name in [
        "vit_tiny_patch16_224",
        "deit_tiny_distilled_patch16_224",
        "resnet_micro",
        "resnet18",
        "resnet18_cifar",
        "resnet20_cifar",
    ] {
        let side = usual(name).preprocessing.image_size;
        let network = NetworkSpec::named(name, 7, side).unwrap();
        let model = Classifier::new(card(network.clone(), side), 0, &device).unwrap();
        write_arrays(&path, &state_of(&model), HashMap::new()).unwrap();
        let Described { card, inferred, .. } = described(&path);
        assert_eq!(card.network, network, "{name}");
        assert!(inferred.unwrap().starts_with("taken for "), "{name}");
    }
    // Shapes do not show the number of heads, and this is not a standard size.
    let odd = random_model(NetworkSpec::Vit(tiny_vit()), 16, 0, &device);
    write_arrays(&path, &state_of(&odd), HashMap::new()).unwrap();
    let said = complaint(&path);
    assert!(said.contains("2 layers, width 32 and MLP width 64, which is not a standard size"), "{said}");
    assert!(said.contains("say it with --heads"), "{said}");
}

#[test]
fn a_name_goes_before_a_configuration_and_the_request_before_all() {
    let device = Device::flex();
    let network = NetworkSpec::named("vit_micro", 3, 32).unwrap();
    let model = Classifier::new(card(network, 32), 0, &device).unwrap();
    let config = json!({
        "architecture": "resnet18",
        "pretrained_cfg": {"input_size": [3, 32, 32], "mean": [0.1, 0.2, 0.3], "crop_pct": 0.8},
    });
    let folder = folder(&state_of(&model), &[("config.json", config)]);
    let request = ModelRequest {
        model: Some("vit_micro".into()),
        preprocessing: PreprocessingChoice { crop: Some(0.5), image_size: Some(64), ..Default::default() },
        class_names: ["x", "y", "z"].map(str::to_owned).to_vec(),
        ..ModelRequest::default()
    };
    let Described { card, preprocessing, .. } = read(folder.path()).describe(&request).unwrap();
    assert_eq!(card.classes, ["x", "y", "z"]);
    assert_eq!(
        card.network.image_size(),
        Some(64),
        "positions will be resampled to the size that was asked for"
    );
    let expected = [
        ("image_size", Origin::Request),
        ("crop", Origin::Request),
        ("fit", Origin::Catalogue),
        ("interpolation", Origin::Catalogue),
        ("mean", Origin::Config),
        ("std", Origin::Catalogue),
    ];
    assert_eq!(preprocessing.origins, expected);
    assert_eq!((preprocessing.values.crop, preprocessing.values.mean), (0.5, [0.1, 0.2, 0.3]));
}

#[test]
fn a_card_is_believed_before_a_configuration() {
    let device = Device::flex();
    let model = random_model(NetworkSpec::Vit(tiny_vit()), 16, 0, &device);
    let folder = TempDir::new().unwrap();
    save(&folder.path().join("model.safetensors"), &model, &[]).unwrap();
    fs::write(folder.path().join("config.json"), json!({"architecture": "resnet18"}).to_string()).unwrap();
    let Described { card, preprocessing, .. } = described(folder.path());
    assert_eq!(&card, model.card());
    assert!(preprocessing.origins.iter().all(|(_, origin)| *origin == Origin::Card));
}

#[test]
fn a_configuration_that_cannot_be_used_gets_a_sentence() {
    let state = Fixture::read("transformers_vit").part("state");
    let good = hugging_face("vit", "ViTForImageClassification", json!({"intermediate_size": 32}));
    let with = |key: &str, value: Value| {
        let mut config = good.clone();
        config[key] = value;
        config
    };
    let cases = [
        (json!({"model_type": "mamba"}), "its model_type, `mamba`, is not known here; known are vit, deit"),
        (json!({}), "it has neither `architecture` (timm) nor `model_type` (transformers)"),
        (json!({"architecture": "tinynet_a"}), "no model is called `tinynet_a`"),
        (with("hidden_size", json!("wide")), "`hidden_size` must be a whole number, not \"wide\""),
        (with("hidden_size", json!(-3)), "`hidden_size` must be a whole number, not -3"),
        (with("hidden_size", json!(null)), "it has no `hidden_size`"),
        (with("num_attention_heads", json!(3)), "3 heads do not divide a width of 16"),
        (with("num_hidden_layers", json!(4_000_000_000_u64)), "depth must be from 1 to 1024"),
        (with("hidden_act", json!("relu")), "its hidden_act, `relu`, is not known here"),
        (
            json!({"architecture": "vit_tiny_patch16_224", "model_args": {"qk_norm": true}}),
            "its model_args hold `qk_norm`, which is not known here",
        ),
        (
            json!({"architecture": "resnet18", "pretrained_cfg": {"interpolation": "hamming"}}),
            "its interpolation, `hamming`, is not known here",
        ),
        (
            json!({"architecture": "resnet18", "pretrained_cfg": {"mean": [0.5]}}),
            "`mean` must be three numbers, not [0.5]",
        ),
    ];
    for (config, expected) in cases {
        let folder = folder(&state, &[("config.json", config)]);
        let complaint = complaint(folder.path());
        let start = format!("{} has a config.json that cannot be used: ", folder.path().display());
        assert!(complaint.starts_with(&start) && complaint.contains(expected), "{complaint}\n{expected}");
    }
}

#[test]
fn exported_names_say_who_builds_the_model() {
    let made = |network: NetworkSpec| configuration(&card(network, 224)).1["architecture"].clone();
    assert_eq!(made(NetworkSpec::named("resnet50", 10, 224).unwrap()), "resnet50");
    assert_eq!(made(NetworkSpec::named("resnet18_cifar", 10, 32).unwrap()), "resnet18_cifar");
    assert_eq!(made(NetworkSpec::named("vit_base_patch16_224", 10, 224).unwrap()), "vit_tiny_patch16_224");
}

#[test]
fn architectures_that_are_not_here_are_named_by_their_arrays() {
    let text = fs::read_to_string(common::fixture_path("unsupported.json")).unwrap();
    let rows: Vec<(String, String, std::collections::BTreeMap<String, Vec<usize>>)> =
        serde_json::from_str(&text).unwrap();
    assert!(rows.len() > 50);
    let mut wrong = Vec::new();
    for (name, word, shapes) in rows {
        for prefix in ["", "module."] {
            let state = shapes
                .iter()
                .map(|(name, shape)| {
                    (
                        format!("{prefix}{name}"),
                        archaeo_models::Array { shape: shape.clone(), values: Vec::new() },
                    )
                })
                .collect();
            let checkpoint = Checkpoint { path: "some.pth".into(), state, ..Checkpoint::default() };
            match checkpoint.describe(&ModelRequest::default()) {
                Ok(described) => wrong.push(format!("{name}: taken for {}", described.card.name)),
                Err(said)
                    if said.to_string().contains(&word) && said.to_string().contains("not supported") => {}
                Err(said) => wrong.push(format!("{name} ({word}): {said}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn architectures_that_are_not_here_are_named_by_their_configuration() {
    let state = Fixture::read("transformers_vit").part("state");
    for (config, word) in [
        (json!({"architecture": "convnext_tiny", "num_classes": 10}), "a ConvNeXt"),
        (json!({"architecture": "swinv2_base_window8_256"}), "a Swin Transformer V2"),
        (json!({"architecture": "vit_base_patch16_siglip_224"}), "a SigLIP"),
        (json!({"architecture": "resnext50_32x4d"}), "a ResNeXt"),
        (json!({"model_type": "dinov3_vit"}), "a DINOv3"),
        (json!({"model_type": "convnextv2"}), "a ConvNeXt V2"),
    ] {
        let folder = folder(&state, &[("config.json", config)]);
        let said = complaint(folder.path());
        let expected = format!("holds {word}, which is not supported; supported are Vision Transformers");
        assert!(said.contains(&expected), "{said}");
    }
}

#[test]
fn open_clips_configuration_is_read_next_to_its_weights() {
    let state = Fixture::read("transformers_vit").part("state");
    let folder = TempDir::new().unwrap();
    write_arrays(&folder.path().join("open_clip_model.safetensors"), &state, HashMap::new()).unwrap();
    let write =
        |config: Value| fs::write(folder.path().join("open_clip_config.json"), config.to_string()).unwrap();
    let config = |quick: bool, vision: Value| {
        json!({
            "model_cfg": {"embed_dim": 512, "quick_gelu": quick, "vision_cfg": vision},
            "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "interpolation": "bicubic", "resize_mode": "squash"},
        })
    };
    let base = json!({"image_size": 224, "layers": 12, "width": 768, "patch_size": 32});
    for (quick, name) in [(true, "clip_vit_base_patch32"), (false, "clip_vit_base_patch32_gelu")] {
        write(config(quick, base.clone()));
        // Another library's configuration next to it speaks of other files.
        fs::write(folder.path().join("config.json"), json!({"model_type": "mamba"}).to_string()).unwrap();
        let Described { card, preprocessing, .. } = described(folder.path());
        assert_eq!(card.name, name);
        let values = preprocessing.values;
        assert_eq!((values.mean, values.std, values.fit), ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6], Fit::Squash));
        assert_eq!(preprocessing.origins[4], ("mean", Origin::Config));
    }
    write(config(false, json!({"timm_model_name": "vit_base_patch16_siglip_224"})));
    assert!(complaint(folder.path()).contains("`vit_base_patch16_siglip_224` of timm, is not known here"));
}

/// A ViT-S of random arrays in a file of this name.
fn vit_small(file: &str, prefix: &str) -> Checkpoint {
    let network = NetworkSpec::named("vit_small_patch16", 7, 64).unwrap();
    let arrays = network.arrays().unwrap().into_iter();
    let hollow =
        |(name, shape)| (format!("{prefix}{name}"), archaeo_models::Array { shape, values: Vec::new() });
    Checkpoint { path: file.into(), state: arrays.map(hollow).collect(), ..Checkpoint::default() }
}

#[test]
fn heads_that_published_models_do_not_agree_on_are_asked_for() {
    let describe = |checkpoint: &Checkpoint, specification: &[(&str, &str)]| {
        let specification =
            specification.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let request = ModelRequest { specification, ..ModelRequest::default() };
        checkpoint.describe(&request).map_err(|error| error.to_string())
    };
    let heads = |described: &Described| match &described.card.network {
        NetworkSpec::Vit(vit) => vit.heads,
        other => panic!("{other:?}"),
    };
    let plain = describe(&vit_small("model.pth", ""), &[]).unwrap();
    assert!(plain.inferred.as_ref().unwrap().contains("assumed: 6 heads"), "{:?}", plain.inferred);
    let said = plain.decided(Path::new("model.pth")).unwrap_err().to_string();
    assert!(
        said.contains("published models of these shapes have 6 (timm, DeiT, DINO) or 12 (MoCo v3)"),
        "{said}"
    );
    assert!(said.contains("--heads 6 or --model vit_small_patch16_64"), "{said}");

    // It is settled by the command line, a name, or the name of the file.
    let asked = describe(&vit_small("model.pth", ""), &[("heads", "12")]).unwrap();
    assert_eq!((heads(&asked), &asked.doubt), (12, &None));
    let named = ModelRequest { model: Some("vit_small_patch16".into()), ..ModelRequest::default() };
    let named = vit_small("model.pth", "").describe(&named).unwrap();
    assert_eq!((heads(&named), &named.doubt, named.card.network.image_size()), (6, &None, Some(64)));
    let by_file = describe(&vit_small("deit_small_patch16_224-cd65a155.pth", ""), &[]).unwrap();
    assert_eq!(
        (heads(&by_file), &by_file.doubt, by_file.card.name.as_str()),
        (6, &None, "deit_small_patch16_64")
    );
    // MoCo v3 is known by its arrays.
    let moco = Checkpoint { code: Some(archaeo_models::TrainingCode::MocoV3), ..vit_small("model.pth", "") };
    let moco = describe(&moco, &[]).unwrap();
    assert_eq!((heads(&moco), &moco.doubt), (12, &None));
}

#[test]
fn fields_of_the_specification_are_changed_and_unknown_ones_named() {
    let describe = |key: &str, value: &str| {
        let request = ModelRequest {
            specification: vec![("heads".into(), "6".into()), (key.into(), value.into())],
            ..ModelRequest::default()
        };
        vit_small("model.pth", "").describe(&request).map_err(|error| error.to_string())
    };
    let vit = |described: Described| match described.card.network {
        NetworkSpec::Vit(vit) => vit,
        other => panic!("{other:?}"),
    };
    assert_eq!(vit(describe("epsilon", "1e-5").unwrap()).epsilon, 1e-5);
    assert_eq!(vit(describe("pooling", "mean").unwrap()).pooling, Pooling::MeanBesideClassToken);
    let larger = describe("grid", "14").unwrap();
    assert_eq!(
        (larger.card.preprocessing.image_size, larger.preprocessing.origins[0].1),
        (224, Origin::Request)
    );
    assert_eq!(vit(larger).image_size, 224);
    for (key, value, expected) in [
        ("hedas", "6", "a ViT has no `hedas`; did you mean `heads`? it has attention_dropout, classes"),
        ("heads", "six", "`heads` cannot be six"),
        ("heads", "5", "5 heads do not divide a width of 384"),
        ("pooling", "max", "`pooling` cannot be max"),
        ("grid", "14x7", "a grid of 14x7 patches is not square"),
        ("architecture", "swin", "a ViT has no `architecture`"),
    ] {
        let said = describe(key, value).unwrap_err();
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn what_a_vision_transformer_here_cannot_be_is_said() {
    let with = |name: &str, shape: &[usize]| {
        let mut checkpoint = vit_small("model.pth", "module.");
        checkpoint.state.get_mut(&format!("module.{name}")).unwrap().shape = shape.to_vec();
        checkpoint.describe(&ModelRequest::default()).unwrap_err().to_string()
    };
    for (channels, said) in
        [(1, "takes 1 channel, and"), (13, "takes 13 channels, and models here take the 3")]
    {
        let complaint = with("patch_embed.proj.weight", &[384, channels, 16, 16]);
        assert!(complaint.contains(said), "{complaint}");
    }
    let complaint = with("patch_embed.proj.weight", &[384, 3, 2, 16, 16]);
    assert!(complaint.contains("as of a model of videos or volumes"), "{complaint}");
    let complaint = with("pos_embed", &[1, 99, 384]);
    assert!(complaint.contains("its 98 positions of patches form no square"), "{complaint}");
}
