use archaeo_models::{Classifier, Interpolation, PrefixTokens, ReadOut};

use super::attack_success::ATTACK_SUCCESS;
use super::batch_mates::{BatchMates, by_the_sum};
use super::chefer_identity::without_identity;
use super::class_token_row::first_row;
use super::gradient_rollout_order::reversed;
use super::last_iterate::LAST_ITERATE;
use super::layers::Matrix;
use super::min_max_mass::MinMaxMass;
use super::pgd_trace::follow;
use super::plain_resize::taps;
use super::raw_distance::RawDistance;
use super::unrounded_attack::UNROUNDED_ATTACK;
use super::value_similarity::similar;
use super::zero_ablation::ZeroAblation;
use super::*;
use crate::Keys;
use crate::ablation::HeadMeans;
use crate::attacks::{Target, TargetGradient, Threat};
use crate::attention::{AttentionMaps, LayerMaps};
use crate::attribution::{Attribution, HeadFusion, RolloutOptions};
use crate::statistics::Measured;
use crate::testing::{
    Fixture, assert_close, class_token_site, pooled_vit, random_attention, random_images, random_values,
    vit_config,
};
use archaeo_models::{NetworkSpec, Pooling};
use burn::tensor::{Device, Tensor, TensorData};

const RESAMPLING: Resampling = Resampling { resamples: 200, level: 0.95, seed: 3 };

/// One head, one layer after another, over a class token and the patches of a grid.
fn attention(grid: [usize; 2], read_out: ReadOut, layers: &[&[f32]]) -> AttentionMaps {
    let places = 1 + grid[0] * grid[1];
    let layer = |(layer, values): (usize, &&[f32])| LayerMaps {
        site: archaeo_models::AttentionSite { read_out, ..class_token_site(layer, grid) },
        heads: 1,
        windows: 1,
        places,
        values: values.to_vec(),
    };
    let layers = layers.iter().enumerate().map(layer).collect();
    AttentionMaps { images: 1, image_size: [16 * grid[0], 16 * grid[1]], layers }
}

/// A + I of the attention [[0.6, 0.4], [0.1, 0.9]] of which the 0.1 is discarded.
#[test]
fn the_wrong_axis_gives_the_row_sums_that_algebra_gives() {
    let mut matrix = Matrix { side: 2, values: vec![1.6, 0.4, 0.0, 1.9] };
    assert_eq!(matrix.row_sums(), [2.0, 1.9]);
    matrix.normalise_columns_by_row_sums();
    // Row 0: 1.6/2 + 0.4/1.9; row 1: 1.9/1.9.
    let expected = [0.8 + 0.4 / 1.9, 1.0];
    matrix
        .row_sums()
        .iter()
        .zip(expected)
        .for_each(|(sum, expected)| assert!((sum - expected).abs() < 1e-12));
    let mut right = Matrix { side: 2, values: vec![1.6, 0.4, 0.0, 1.9] };
    right.normalise_rows();
    right.row_sums().iter().for_each(|sum| assert!((sum - 1.0).abs() < 1e-12));
}

#[test]
fn without_discarding_the_axis_does_not_matter() {
    let maps = random_attention(1, 2, PrefixTokens::CLASS, ReadOut::ClassToken);
    let wrong = rollout_axis::matrix(&maps.layers[0], 0, 0.0);
    let mut right = Matrix::attention(&maps.layers[0], 0);
    right.add_identity();
    right.normalise_rows();
    wrong.values.iter().zip(&right.values).for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{a} and {b}"));
    let discarded = rollout_axis::matrix(&maps.layers[0], 0, 0.5).row_sums();
    assert!(discarded.iter().any(|sum| (sum - 1.0).abs() > 0.01), "{discarded:?}");
}

#[test]
fn discarding_in_the_whole_matrix_empties_weak_rows_and_spares_the_first_entry() {
    let entries = vec![0.1, 0.2, 0.7, 0.3, 0.3, 0.4, 0.0, 0.5, 0.5];
    let mut flat = Matrix { side: 3, values: entries.clone() };
    flat.discard_in_all(0.7, Some(0));
    assert_eq!(flat.values, [0.1, 0.0, 0.7, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5]);
    let mut rows = Matrix { side: 3, values: entries };
    rows.discard_in_rows(0.7);
    assert_eq!(rows.values, [0.0, 0.0, 0.7, 0.0, 0.0, 0.4, 0.0, 0.0, 0.5]);
}

/// Of the nine entries the four smallest go. A + I then has the row sums 1.8, 1.8 and 1.75.
#[test]
fn the_rollout_of_vit_explain_is_as_by_hand() {
    let layer: &[f32] = &[0.5, 0.3, 0.2, 0.1, 0.8, 0.1, 0.25, 0.25, 0.5];
    let rollout = |discard| VitExplainRollout { fusion: HeadFusion::Mean, discard };
    let once = attention([1, 2], ReadOut::ClassToken, &[layer]);
    assert_close(&rollout(0.5).rolled_out(&once)[0].values, &[0.3 / 1.8, 0.0], 1e-6);
    let twice = attention([1, 2], ReadOut::ClassToken, &[layer, layer]);
    let expected = [(1.5 / 1.8) * (0.3 / 1.8) + 0.3 / 1.8, 0.0];
    assert_close(&rollout(0.5).rolled_out(&twice)[0].values, &expected, 1e-6);
    // With nothing discarded all rows have the same sum, and it is the paper's.
    let maps = random_attention(2, 3, PrefixTokens::CLASS, ReadOut::ClassToken);
    for (own, paper) in rollout(0.0).rolled_out(&maps).iter().zip(paper(&maps)) {
        assert_close(&own.values, &paper.values, 1e-6);
    }
    let fused = |fusion| Matrix::fused(&maps.layers[0], 1, fusion).values;
    let [mean, most, least] = [HeadFusion::Mean, HeadFusion::Max, HeadFusion::Min].map(fused);
    assert!(mean.iter().zip(&most).zip(&least).all(|((mean, most), least)| least <= mean && mean <= most));
    // A model that averages its patches has no row of a class token to read.
    let vit = pooled_vit();
    let refused = rollout(0.9).applies(&vit).reason().unwrap();
    assert!(refused.contains("does not read one class token alone"), "{refused}");
}

fn paper(maps: &AttentionMaps) -> Vec<crate::attribution::Heatmap> {
    crate::attribution::rollout::rollout(maps, &RolloutOptions::USUAL)
}

/// Two layers, the class token reads patch 1 in the last and every patch itself in the first. Gradients that are large in the last
/// layer alone speak for patch 1 there; in reversed order they weight the first layer, and nothing reaches a patch.
#[test]
fn reversed_gradients_weight_the_other_layer() {
    let first: &[f32] = &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    let last: &[f32] = &[0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    let weights = attention([1, 2], ReadOut::ClassToken, &[first, last]);
    let gradients = attention([1, 2], ReadOut::ClassToken, &[&[0.0; 9], &[1.0; 9]]);
    // Paper: half of the class token's row of the last layer goes to patch 1. Reversed: its row there is the identity.
    assert_close(&reversed(&weights, &gradients)[0].values, &[0.0, 0.0], 1e-7);
    let in_order = attention([1, 2], ReadOut::ClassToken, &[&[1.0; 9], &[0.0; 9]]);
    assert_close(&reversed(&weights, &in_order)[0].values, &[0.0, 0.5], 1e-7);
}

/// The class token's row reads patch 1 in the last layer, and both patches in the first.
#[test]
fn without_the_identity_paths_that_skip_a_layer_are_lost() {
    let first: &[f32] = &[0.0, 0.5, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    let last: &[f32] = &[0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    let weights = attention([1, 2], ReadOut::ClassToken, &[first, last]);
    let ones = attention([1, 2], ReadOut::ClassToken, &[&[1.0; 9], &[1.0; 9]]);
    // R = (I + Ā₂)(I + Ā₁): the class token's row reaches patch 0 through layer 1 only; Ā₂·Ā₁ gives (0, 1).
    assert_close(&without_identity(&weights, &ones)[0].values, &[0.0, 1.0], 1e-7);
}

/// The example of the definitions: the class token's row points at patch 0, the patches' rows at patch 3.
#[test]
fn row_zero_is_another_row_than_the_one_that_is_read() {
    let mut values = vec![0.0; 25];
    values[1] = 1.0;
    (1..5).for_each(|row| values[row * 5 + 4] = 1.0);
    let maps = attention([2, 2], ReadOut::MeanOfPatches, &[&values]);
    assert_close(&first_row(&maps)[0].values, &[0.5, 0.0, 0.0, 0.0], 1e-7);
    let read = layers::rolled_out(&maps, |image, layer| {
        let mut matrix = Matrix::attention(&maps.layers[layer], image);
        matrix.add_identity();
        matrix.normalise_rows();
        matrix
    });
    assert_close(&read[0].values, &[0.125, 0.125, 0.125, 0.625], 1e-7);
}

/// Outputs o₀ = (1, 2), o₁ = (0, 1) and values v₀ = (3, 0), v₁ = (1, 1): o₀·v = (3, 3), o₁·v = (0, 1).
#[test]
fn outputs_times_values_are_what_paper_and_pencil_give() {
    let (outputs, of_values) = ([1.0, 2.0, 0.0, 1.0], [3.0, 0.0, 1.0, 1.0]);
    assert_eq!(similar(&outputs, &of_values, 2, &[1.0, 0.0]), [3.0, 3.0]);
    assert_eq!(similar(&outputs, &of_values, 2, &[0.5, 0.5]), [1.5, 2.0]);
}

/// A linear model on one channel: class 1 above a threshold, so that what fools it is known.
struct Threshold(f32);

impl Target for Threshold {
    fn classes(&self) -> usize {
        2
    }

    fn logits(&self, images: Tensor<4>) -> Vec<f32> {
        let values = crate::tensors::values(images.clone());
        let size = values.len() / images.dims()[0];
        values.chunks_exact(size).flat_map(|image| [self.0 * 255.0, image[0] * 255.0]).collect()
    }

    fn gradient(
        &self,
        images: Tensor<4>,
        slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> TargetGradient {
        let logits = self.logits(images.clone());
        let size = crate::tensors::values(images.clone()).len() / images.dims()[0];
        let of_image = |(image, row): (usize, &[f32])| {
            let mut gradient = vec![0.0; size];
            gradient[0] = 255.0 * slopes(image, row)[1];
            gradient
        };
        let gradient = logits.chunks_exact(2).enumerate().flat_map(of_image).collect();
        TargetGradient { logits, gradient }
    }
}

/// Levels 100, 99 and 101, threshold 101.25 levels, attack of 1.5 levels: 100 is fooled at 101.5 and not at the nearest level inside
/// the ball, 101; 99 is out of reach; 102 is wrong before.
#[test]
fn rounding_takes_back_what_lies_between_two_levels() {
    let pixels: Vec<f32> =
        [100u8, 99, 102].iter().flat_map(|&level| [f32::from(level) / 255.0, 0.0, 1.0]).collect();
    let images: Tensor<4> = Tensor::from_data(TensorData::new(pixels, [3, 3, 1, 1]), &Device::flex());
    let keys = Keys { seed: 1, images: &[0, 1, 2] };
    let traces = follow(&Threshold(101.25 / 255.0), &images, &[0, 0, 0], keys, Threat::Linf(EPSILON_OF_TEST));
    let flags: Vec<[bool; 4]> = traces.iter().map(|t| [t.correct, t.best, t.last, t.unrounded]).collect();
    assert_eq!(flags, [[true, false, true, true], [true, false, false, false], [false, true, true, true]]);
}

const EPSILON_OF_TEST: f64 = 1.5 / 255.0;

/// Five images: wrong before; fooled by all; fooled on the way alone; fooled before rounding alone; never fooled.
#[test]
fn attacks_are_counted_as_either_side_counts_them() {
    let records = vec![
        vec![0.0, 1.0, 1.0, 1.0],
        vec![1.0, 1.0, 1.0, 1.0],
        vec![1.0, 1.0, 0.0, 1.0],
        vec![1.0, 0.0, 1.0, 1.0],
        vec![1.0, 0.0, 0.0, 0.0],
    ];
    let numbers = |departure: &dyn Departure| {
        let finding = departure.conclude(&records, &RESAMPLING).unwrap();
        (finding.paper.value, finding.popular.value, finding.flips())
    };
    assert_eq!(numbers(&LAST_ITERATE), (0.2, 0.4, false));
    assert_eq!(numbers(&UNROUNDED_ATTACK), (0.4, 0.2, false));
    assert_eq!(numbers(&ATTACK_SUCCESS), (0.75, 0.8, true));
}

/// Two layers of two heads: [layer, even, renormalised, raw].
#[test]
fn raw_distance_makes_a_head_that_looks_at_the_class_token_look_local() {
    let record =
        vec![0.0, 80.0, 30.0, 29.0, 0.0, 80.0, 70.0, 65.0, 1.0, 80.0, 75.0, 12.0, 1.0, 80.0, 72.0, 9.0];
    let finding = RawDistance.conclude(&[record.clone(), record], &RESAMPLING).unwrap();
    assert_eq!((finding.paper.value, finding.popular.value), (61.75, 28.75));
    let answers: Vec<[&str; 2]> =
        finding.conclusions.iter().map(|c| [c.paper.as_str(), c.popular.as_str()]).collect();
    assert_eq!(answers, [["layer 1", "layer 2"], ["layer 1, head 1", "layer 2, head 2"]]);
    assert_eq!(finding.details, ["1 of 4 heads are local by the paper's distance, 3 by the other"]);
}

#[test]
fn zeros_name_another_head_where_a_head_says_always_the_same() {
    // Layer 1 has one head, layer 2 two: [layer, by mean, by zero].
    let record = vec![0.0, 0.3, 0.4, 1.0, 0.0, 0.9, 1.0, 0.1, 0.2];
    let finding = ZeroAblation.conclude(&[record.clone(), record], &RESAMPLING).unwrap();
    let top = &finding.conclusions[0];
    assert_eq!([top.paper.as_str(), top.popular.as_str()], ["layer 1, head 1", "layer 2, head 1"]);
    assert_eq!(finding.details[0], "the most important head by means is number 2 of 3 by zeros");
}

/// The two pixels around 0.75 of a picture halved: 1/2 each; antialiasing would take four.
#[test]
fn a_plain_filter_skips_pixels() {
    assert_eq!(taps(0, 8, 2, Interpolation::Bilinear), [(1, 0.5), (2, 0.5)]);
    let cubic = taps(0, 8, 2, Interpolation::Bicubic);
    assert_eq!(cubic.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let expected = [-0.09375, 0.59375, 0.59375, -0.09375];
    cubic.iter().zip(expected).for_each(|((_, weight), expected)| assert!((weight - expected).abs() < 1e-12));
    assert_eq!(
        taps(3, 4, 4, Interpolation::Bicubic)[1],
        (3, 1.0),
        "a picture of the right size is left alone"
    );
}

fn originals(count: usize) -> Vec<Original> {
    (0..count).map(|_| Original { width: 32, height: 32, pixels: vec![90; 3 * 32 * 32] }).collect()
}

/// What every departure that applies records of four images, in batches of a size.
fn recorded(model: &Classifier, batch: usize) -> Vec<Vec<Record>> {
    let images = random_images(4, 5);
    let labels = [0, 1, 2, 3];
    let mask: Vec<bool> = (0..32 * 32).map(|at| at % 32 < 12).collect();
    let mut means = HeadMeans::default();
    if model.has_attention() {
        means.add(model, images.clone()).unwrap();
    }
    let mut records = vec![Vec::new(); departures().len()];
    for start in (0..4).step_by(batch) {
        let ids: Vec<u64> = (start as u64..(start + batch) as u64).collect();
        let (masks, originals) = (vec![Some(mask.clone()); batch], originals(batch));
        let bench = Bench::new(
            model,
            images.clone().narrow(0, start, batch),
            &labels[start..start + batch],
            &masks,
            &originals,
            model.has_attention().then_some(&means),
            Keys { seed: 4, images: &ids },
        )
        .unwrap();
        for (departure, records) in departures().iter().zip(&mut records) {
            if departure.lacking(model).is_none() {
                records.extend(departure.record(&bench).unwrap());
            }
        }
    }
    records
}

#[test]
fn every_departure_measures_what_applies_and_says_why_another_does_not() {
    let fixture = Fixture::load();
    let vit = random_values(NetworkSpec::Vit(vit_config(Pooling::ClassToken)));
    for (model, measured) in [(vit, 17), (pooled_vit(), 17), (fixture.resnet(), 6)] {
        let records = recorded(&model, 2);
        let found: Vec<&str> = departures()
            .iter()
            .zip(&records)
            .filter(|(_, records)| !records.is_empty())
            .map(|(departure, records)| {
                assert_eq!(records.len(), 4);
                // Of a model that is never right no success rate is known.
                if let Some(finding) = Measured::of(departure.conclude(records, &RESAMPLING)).unwrap().known()
                {
                    assert!(!finding.conclusions.is_empty());
                    assert!(finding.difference.value.is_finite());
                }
                departure.info().id
            })
            .collect();
        assert_eq!(found.len(), measured, "{}: {found:?}", model.card().name);
    }
    // A residual network is asked about masses, attacks and resizing alone.
    let reason = departure("rollout-axis").unwrap().lacking(&fixture.resnet());
    assert_eq!(reason.as_deref(), Some("tiny has no attention"));
    let reason = departure("class-token-row").unwrap().lacking(&fixture.vit());
    assert_eq!(reason.as_deref(), Some("tiny reads its class token, which stands in row 0"));
    let swin = Fixture::load_swin().swin();
    let reason = departure("last-layer").unwrap().lacking(&swin);
    assert!(reason.unwrap().contains("within windows"));
}

#[test]
fn a_record_depends_on_its_image_alone() {
    let vit = random_values(NetworkSpec::Vit(vit_config(Pooling::ClassToken)));
    let (together, alone) = (recorded(&vit, 4), recorded(&vit, 1));
    for ((departure, together), alone) in departures().iter().zip(&together).zip(&alone) {
        assert_eq!(together.len(), alone.len());
        for (a, b) in together.iter().flatten().zip(alone.iter().flatten()) {
            let close = (a - b).abs() < 1e-4 || (a.is_nan() && b.is_nan());
            assert!(close, "{}: {a} and {b}", departure.info().id);
        }
    }
}

/// Under a class token nothing after the last attention has a gradient at the patches: the popular map is zero everywhere and scores
/// as a random order does, to the bit.
#[test]
fn grad_cam_after_the_last_attention_is_empty_under_a_class_token() {
    let vit = random_values(NetworkSpec::Vit(vit_config(Pooling::ClassToken)));
    let place = departures().iter().position(|departure| departure.info().id == "grad-cam-layer").unwrap();
    for record in &recorded(&vit, 4)[place] {
        assert_eq!((record[1], record[5]), (record[2], 1.0));
    }
    let pooled = &recorded(&pooled_vit(), 4)[place];
    assert!(
        pooled.iter().all(|record| record[5] == 0.0),
        "under a mean the patches have a gradient: {pooled:?}"
    );
}

/// A map with a constant floor: the mass on a quarter of the image, and without the floor.
#[test]
fn stretching_takes_the_floor_away() {
    let map = crate::attribution::Heatmap::new(2, 2, vec![5.0, 3.0, 3.0, 3.0]);
    let mask = [true, false, false, false];
    let mass = |map: &crate::attribution::Heatmap| crate::faithfulness::mass_in_mask(map, &mask);
    assert!((mass(&map) - 5.0 / 14.0).abs() < 1e-6);
    assert!((mass(&map.min_max_scaled().min_max_scaled()) - 1.0).abs() < 1e-6);
    // Two methods of which the sharper one wins only when stretched.
    let record = vec![0.4, 0.5, 0.3, 1.0, f64::NAN, f64::NAN, f64::NAN, f64::NAN, f64::NAN, f64::NAN];
    let finding = MinMaxMass.conclude(&[record.clone(), record], &RESAMPLING).unwrap();
    let most = &finding.conclusions[0];
    assert_eq!([most.paper.as_str(), most.popular.as_str()], ["rollout", "attention"]);
}

/// The margin of class 1 is the sum of the pixels less 22, times 0.2. The gradient of bright images points the wrong way, so that their
/// loss rises from the first step on.
struct Steep;

impl Steep {
    fn of(image: &[f32]) -> (f64, f64) {
        let sum: f64 = image.iter().map(|&x| f64::from(x)).sum();
        match sum / image.len() as f64 > 0.55 {
            true => (0.3 * sum, -0.3),
            false => (0.2 * (sum - 22.0), 0.2),
        }
    }
}

impl Target for Steep {
    fn classes(&self) -> usize {
        2
    }

    fn logits(&self, images: Tensor<4>) -> Vec<f32> {
        let values = crate::tensors::values(images);
        values.chunks_exact(48).flat_map(|image| [0.0, Self::of(image).0 as f32]).collect()
    }

    fn gradient(
        &self,
        images: Tensor<4>,
        slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> TargetGradient {
        let logits = self.logits(images.clone());
        let values = crate::tensors::values(images);
        let gradient = values.chunks_exact(48).enumerate().flat_map(|(image, pixels)| {
            let factor = slopes(image, &logits[2 * image..][..2])[1];
            vec![factor * Self::of(pixels).1 as f32; 48]
        });
        TargetGradient { gradient: gradient.collect(), logits: logits.clone() }
    }
}

#[test]
fn an_image_whose_loss_rises_ends_the_attack_on_its_batch_mates() {
    let (image, mate) = (vec![0.5f32; 48], vec![0.6f32; 48]);
    let like = Tensor::zeros([1, 3, 4, 4], &Device::flex());
    let alone = by_the_sum(&Steep, &[&image], &[1], [4, 4], &like);
    // A sum that is smaller by 2 is 2/√48 away; a step of Adam moves a value by about 0.005.
    let nearest = 2.0 / 48f64.sqrt();
    assert!(alone[0].is_some_and(|length| length >= nearest && length < 1.2 * nearest), "{alone:?}");
    assert_eq!(by_the_sum(&Steep, &[&image, &mate], &[1, 1], [4, 4], &like)[0], None);
    // The finding counts it.
    let records = vec![vec![1.0, 0.3, 0.0], vec![1.0, 0.2, 0.25], vec![1.0, 0.2, 0.2], vec![0.0, 0.0, 0.0]];
    let finding = BatchMates.conclude(&records, &RESAMPLING).unwrap();
    assert_eq!((finding.paper.value, finding.popular.value), (0.75, 0.5));
    assert!(finding.flips());
    assert!(finding.details[0].starts_with("on 2 of 3 images"), "{:?}", finding.details);
    assert!(!BatchMates.conclude(&records[2..], &RESAMPLING).unwrap().flips());
}
