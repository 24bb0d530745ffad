//! A Swin Transformer under every question about attention: windows that do not tile their maps, shifted ones, patch merging.
//! Compared with whole matrices of all tokens by all tokens (`tests/fixtures/make_swin_attribution.py`).

use archaeo_models::{Classifier, Pass, Probe};
use burn::tensor::Tensor;

use crate::ablation::{HeadMeans, RemovalPoint, Substitute, ablate_heads, gradient_importance};
use crate::attention::{AttentionMaps, DistanceConvention, HeadStatistics, attention_statistics};
use crate::attribution::{AttentionRelevance, Attribution, GradCam, GradientRollout, Heatmap, Rollout};
use crate::statistics::Predictions;
use crate::tensors::values;
use crate::testing::{Fixture, Silenced, assert_close, explained};

const HEADS: [usize; 6] = [2, 2, 2, 2, 4, 4];

fn joined(heatmaps: Vec<Heatmap>) -> Vec<f32> {
    heatmaps.into_iter().flat_map(|map| map.values).collect()
}

fn logits(model: &Classifier, images: Tensor<4>, probe: &mut dyn Probe) -> Vec<f32> {
    values(model.logits(images, &mut Pass::evaluate(probe)))
}

#[test]
fn logits_are_timms() {
    let fixture = Fixture::load_swin();
    let found = logits(&fixture.swin(), fixture.images(), &mut ());
    assert_close(&found, fixture.values("logits"), 1e-5);
}

#[test]
fn statistics_within_windows_are_numpys() {
    let fixture = Fixture::load_swin();
    let maps = AttentionMaps::record(&fixture.swin(), fixture.images()).unwrap();
    let found = attention_statistics(&maps, DistanceConvention::Renormalised);
    let check = |name: &str, get: fn(&HeadStatistics) -> f64| {
        for (layer, &heads) in HEADS.iter().enumerate() {
            let found: Vec<f32> = found
                .iter()
                .flat_map(|image| (0..heads).map(move |head| get(&image[layer].heads[head]) as f32))
                .collect();
            assert_close(&found, fixture.values(&format!("{name}.{layer}")), 2e-5);
        }
    };
    check("distance", |head| head.distance);
    check("entropy", |head| head.entropy);
    check("normalised_entropy", |head| head.normalised_entropy);
    check("hoyer", |head| head.hoyer);
    check("below_uniform", |head| head.below_uniform);
    for (layer, maps) in maps.layers.iter().enumerate() {
        let diversity: Vec<f32> = found.iter().map(|image| image[layer].diversity as f32).collect();
        assert_close(&diversity, fixture.values(&format!("diversity.{layer}")), 2e-5);
        let even = maps.even_distance([28, 28]) as f32;
        assert_close(&[even], fixture.values(&format!("even_distance.{layer}")), 1e-6);
        assert!(found.iter().all(|image| image[layer].heads.iter().all(|h| h.class_token_mass.is_none())));
    }
}

#[test]
fn rollout_through_windows_and_merging_is_the_product_of_whole_matrices() {
    let fixture = Fixture::load_swin();
    let targets = fixture.targets();
    let (swin, images) = (fixture.swin(), fixture.images());
    let of = |method: &dyn Attribution| explained(method, &swin, images.clone(), Some(&targets));
    let plain = of(&Rollout::USUAL);
    assert!(plain.iter().all(|map| (map.height, map.width) == (7, 7)));
    for map in &plain {
        assert!((map.values.iter().sum::<f32>() - 1.0).abs() < 1e-6, "nothing is lost on the way");
    }
    for (name, found) in [
        ("rollout", plain),
        ("gradient_rollout", of(&GradientRollout)),
        ("attention_relevance", of(&AttentionRelevance)),
    ] {
        let (found, expected) = (joined(found), fixture.values(name));
        let scale = expected.iter().copied().fold(0.0, f32::max);
        let scaled = |values: &[f32]| values.iter().map(|value| value / scale).collect::<Vec<_>>();
        assert_close(&scaled(&found), &scaled(expected), 1e-4);
    }
}

#[test]
fn grad_cam_is_captums() {
    let fixture = Fixture::load_swin();
    let maps = explained(&GradCam, &fixture.swin(), fixture.images(), Some(&fixture.targets()));
    let scaled = maps.iter().map(Heatmap::min_max_scaled).collect();
    assert_close(&joined(scaled), fixture.values("grad_cam"), 1e-3);
}

#[test]
fn what_reaches_the_output_at_one_layer_is_on_its_grid() {
    let fixture = Fixture::load_swin();
    let maps = AttentionMaps::record(&fixture.swin(), fixture.images()).unwrap();
    let sides: Vec<_> = (0..6).map(|layer| maps.readout_map(layer, 1, 1)).collect();
    assert_eq!(sides.iter().map(|map| map.height).collect::<Vec<_>>(), [7, 7, 4, 4, 2, 2]);
    // Filled-up places take their part on the first two grids; the last has none.
    let sums: Vec<f32> = sides.iter().map(|map| map.values.iter().sum()).collect();
    assert!(sums[0] < 0.99 && (sums[4] - 1.0).abs() < 1e-6 && (sums[5] - 1.0).abs() < 1e-6, "{sums:?}");
}

#[test]
fn every_head_of_every_stage_is_taken_away() {
    let fixture = Fixture::load_swin();
    let (model, labels, images) = (fixture.swin(), fixture.targets(), fixture.images());
    let mut means = HeadMeans::default();
    means.add(&model, images.clone()).unwrap();
    let found =
        ablate_heads(&model, images.clone(), &labels, &[Substitute::Zero, Substitute::Mean(&means)]).unwrap();
    assert_eq!(found.heads.len(), 2 * HEADS.iter().sum::<usize>());
    for ablated in found.heads.iter().step_by(2) {
        let mut probe = Silenced(ablated.layer, ablated.head);
        let logits = logits(&model, images.clone(), &mut probe);
        let losses = Predictions::new(&logits, 5, &labels).unwrap().nll();
        for (resumed, whole) in ablated.answers.losses.iter().zip(&losses) {
            assert!((resumed - whole).abs() < 1e-5, "layer {}, head {}", ablated.layer, ablated.head);
        }
    }
    let gradients = gradient_importance(&model, images, &labels, RemovalPoint::Output).unwrap();
    assert_eq!(gradients.iter().map(Vec::len).collect::<Vec<_>>(), HEADS);
}
