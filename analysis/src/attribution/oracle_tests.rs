//! Methods against other programs: captum, pytorch-grad-cam, networkx, and short PyTorch transcriptions of the papers' equations
//! (`tests/fixtures/make_methods.py`), on a ViT that reads its class token, one that reads the mean of its patches, a distilled one,
//! a Swin Transformer and a residual network.

use std::collections::BTreeSet;

use archaeo_models::{NetworkSpec, Pooling, state_of, with_state};

use super::*;
use crate::testing::{
    MethodFixture, assert_close, assert_relative, explained, joined, random_images, random_values, vit_config,
};

/// With a coarse window that does not tile the image.
const WINDOWS: Occlusion = Occlusion { window: Some([7, 5]), fill: Fill::Black };

static COMPARED: &[(&str, &dyn Attribution)] = &[
    ("saliency", &Saliency),
    ("input_x_gradient", &InputXGradient),
    ("integrated_gradients", &IntegratedGradients::USUAL),
    ("occlusion", &WINDOWS),
    ("attention", &AttentionMap::USUAL),
    ("attention_x_gradient", &AttentionXGradient),
    ("chefer", &AttentionRelevance),
    ("chefer_lrp", &CheferLrp),
    ("legrad", &LeGrad::USUAL),
    ("attention_flow", &AttentionFlow),
    ("logit_lens_0", &LogitLens { layer: Some(0) }),
    ("logit_lens_1", &LogitLens { layer: Some(1) }),
    ("logit_lens", &LogitLens::USUAL),
    ("grad_cam", &GradCam),
    ("grad_cam_plus_plus", &GradCamPlusPlus),
    ("hirescam", &HiResCam),
    ("layercam", &LayerCam),
    ("eigencam", &EigenCam),
    ("scorecam", &ScoreCam),
];

#[test]
fn every_method_is_what_other_programs_say() {
    let fixture = MethodFixture::load();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for subject in fixture.subjects() {
        for &(name, method) in COMPARED {
            let key = format!("{}.{name}", subject.name);
            let Some(expected) = fixture.find(&key) else { continue };
            seen.insert(name);
            let found = explained(method, &subject.model, subject.images.clone(), Some(&subject.targets));
            let found = joined(&found);
            // Sums that cancel, of which relevance is shared by the terms, make rounding to 32 bits count.
            let tolerance = if name == "chefer_lrp" { 1e-3 } else { 1e-4 };
            let compared = std::panic::catch_unwind(|| assert_relative(&found, expected, tolerance));
            wrong.extend(compared.err().map(|_| key));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(seen.len(), COMPARED.len(), "every method is compared somewhere: {seen:?}");
}

/// Queries and keys of zeros: every token gathers from all n tokens alike. With U the matrix of 1/n, `((I + U) / 2)^L` is
/// `U + (I − U) / 2^L`.
#[test]
fn even_attention_spreads_evenly() {
    let model = random_values(NetworkSpec::Vit(vit_config(Pooling::ClassToken)));
    let mut state = state_of(&model);
    for (name, array) in state.iter_mut().filter(|(name, _)| name.contains("attn.qkv")) {
        let of_queries_and_keys = array.values.len() / 3 * 2;
        assert!(name.ends_with("weight") || name.ends_with("bias"));
        array.values[..of_queries_and_keys].fill(0.0);
    }
    let even = with_state(model, state).unwrap();
    let n = 17.0;
    for (method, expected) in
        [(&AttentionMap::USUAL as &dyn Attribution, 1.0 / n), (&Rollout::USUAL, (1.0 - 0.125) / n)]
    {
        for map in explained(method, &even, random_images(2, 3), None) {
            assert_close(&map.values, &[expected as f32; 16], 1e-6);
        }
    }
}
