//! Vision Transformers of timm, torchvision, transformers, DINOv2's hub and the original release, read under the names that
//! each of them uses: logits, every block's output, every attention matrix and the gradient at the images, compared with
//! what the library itself computes in double precision (`fixtures/make_vits.py`).

use crate::common;
use crate::common::{Fixture, card, compare_with_library, largest_difference};
use archaeo_models::{
    Array, BeitConfig, Classifier, FeedForward, LoadOptions, ModelRequest, NetworkSpec, Pooling, Position,
    PositionResampling, PreprocessingChoice, State, VitConfig, checkpoint, load, save, state_of,
    write_arrays,
};
use burn::tensor::Device;

fn tiny() -> VitConfig {
    VitConfig { width: 16, mlp_width: 32, ..common::tiny_vit() }
}

fn compare(fixture: &str, config: VitConfig) {
    compare_with_library(fixture, NetworkSpec::Vit(config), 16);
}

#[test]
fn timm_with_the_norm_after_pooling() {
    let config = VitConfig { pooling: Pooling::MeanBesideClassToken, norm_after_pooling: true, ..tiny() };
    compare("timm_vit_norm_after_pooling", config);
}

#[test]
fn timm_with_registers_and_layer_scale() {
    let position = Position::LearnedOnPatches;
    compare(
        "timm_vit_registers",
        VitConfig { pooling: Pooling::Mean, position, registers: 3, layer_scale: true, ..tiny() },
    );
}

#[test]
fn timm_deit_with_a_distillation_token() {
    compare("timm_deit_distilled", VitConfig { distilled: true, ..tiny() });
}

#[test]
fn timm_image_tower_of_clip() {
    let feed_forward = FeedForward::QuickGelu;
    compare("timm_vit_clip", VitConfig { pre_norm: true, feed_forward, epsilon: 1e-5, ..tiny() });
}

#[test]
fn timm_dinov2_as_a_backbone() {
    compare("timm_dinov2", VitConfig { classes: 0, layer_scale: true, ..tiny() });
}

#[test]
fn hub_dinov2_with_registers_and_swiglu() {
    let config = VitConfig {
        classes: 0,
        layer_scale: true,
        registers: 2,
        position: Position::LearnedOnPatches,
        feed_forward: FeedForward::SwiGlu,
        ..tiny()
    };
    compare("dinov2_hub_registers_swiglu", config);
}

#[test]
fn original_release() {
    compare("google_vit", tiny());
}

#[test]
fn torchvision() {
    compare("torchvision_vit", tiny());
}

#[test]
fn transformers_vit() {
    let config = VitConfig { epsilon: 1e-12, ..tiny() };
    compare("transformers_vit", config.clone());
    compare("transformers_vit_version_5", config);
}

#[test]
fn transformers_deit() {
    compare("transformers_deit", VitConfig { epsilon: 1e-12, distilled: true, ..tiny() });
}

#[test]
fn transformers_dinov2() {
    compare(
        "transformers_dinov2",
        VitConfig { pooling: Pooling::ClassTokenAndMean, layer_scale: true, ..tiny() },
    );
}

#[test]
fn transformers_dinov2_with_registers_and_swiglu() {
    // transformers rounds two thirds of the width up to a multiple of 8.
    let config = VitConfig {
        pooling: Pooling::ClassTokenAndMean,
        position: Position::LearnedOnPatches,
        layer_scale: true,
        registers: 3,
        feed_forward: FeedForward::SwiGlu,
        mlp_width: 24,
        ..tiny()
    };
    compare("transformers_dinov2_registers", config.clone());
    compare("transformers_dinov2_registers_version_5", config);
}

#[test]
fn beit_of_timm_and_transformers() {
    let config = |epsilon| {
        NetworkSpec::Beit(BeitConfig {
            image_size: 16,
            patch_size: 4,
            width: 16,
            depth: 2,
            heads: 2,
            mlp_width: 32,
            classes: common::CLASSES,
            epsilon,
            drop_path: 0.0,
        })
    };
    compare_with_library("timm_beit", config(1e-6), 16);
    compare_with_library("transformers_beit", config(1e-12), 16);
    compare_with_library("transformers_beit_version_5", config(1e-12), 16);
}

#[test]
fn positions_of_another_grid_are_resampled_as_timm_dinov2_and_transformers_do_it() {
    let fixture = Fixture::read("resampled_positions");
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("vit.safetensors");
    for (resampling, name) in [
        (PositionResampling::Antialiased, "antialiased"),
        (PositionResampling::Offset, "offset"),
        (PositionResampling::Exact, "exact"),
    ] {
        for side in [2, 3, 7] {
            let config = |grid: usize| VitConfig {
                image_size: 4 * grid,
                width: 6,
                mlp_width: 8,
                resampling,
                ..common::tiny_vit()
            };
            let trained = common::random_model(NetworkSpec::Vit(config(4)), 16, 0, &Device::flex());
            let mut state: State = state_of(&trained);
            state.insert("pos_embed".into(), fixture.array("grid_4").clone());
            write_arrays(&path, &state, Default::default()).unwrap();
            let larger = card(NetworkSpec::Vit(config(side)), 4 * side);
            let model = load(&path, Some(larger), &Device::flex()).unwrap();
            let Array { shape, values } = &state_of(&model)["pos_embed"];
            assert_eq!(shape, &[1, 1 + side * side, 6]);
            let expected = fixture.array(&format!("{name}_{side}"));
            let difference = largest_difference(values, &expected.values);
            assert!(difference < 2e-6, "{name} to {side}: differs by {difference:e}");
        }
    }
}

/// What is written for libraries without fixed positions is recognised whatever images the model is loaded for.
#[test]
fn fixed_positions_are_computed_for_other_images() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vit.safetensors");
    let network = NetworkSpec::named("vit_micro", 10, 32).unwrap();
    let card = card(network, 32);
    save(&file, &Classifier::new(card, 0, &Device::flex()).unwrap(), &[]).unwrap();
    let checkpoint = checkpoint::read(&file).unwrap();
    assert!(checkpoint.state.contains_key("pos_embed"), "vit_micro has fixed positions");
    let preprocessing = PreprocessingChoice { image_size: Some(16), ..PreprocessingChoice::default() };
    let described = checkpoint.describe(&ModelRequest { preprocessing, ..ModelRequest::default() }).unwrap();
    let loaded =
        checkpoint.into_model(Some(described.card), &LoadOptions::default(), &Device::flex()).unwrap();
    assert_eq!(loaded.card().network.image_size(), Some(16));
}
