//! A head is not called important for being the luckiest of many.

use archaeo_analysis::ablation::Answers;
use archaeo_random::{keyed_rng, standard_normal};

use super::*;

fn ablations(heads: usize, images: usize, loss: impl Fn(usize, usize) -> f64) -> HeadAblations {
    let answers =
        |losses: Vec<f64>| Answers { correct: losses.iter().map(|loss| *loss < 1.0).collect(), losses };
    let head = |head: usize| AblatedHead {
        layer: head / 4,
        head: head % 4,
        replacement: Replacement::Mean,
        answers: answers((0..images).map(|image| 0.5 + loss(head, image)).collect()),
    };
    HeadAblations { baseline: answers(vec![0.5; images]), heads: (0..heads).map(head).collect() }
}

#[test]
fn the_most_important_head_is_measured_on_images_that_did_not_choose_it() {
    let resampling = Resampling::new(3);
    // Nothing but noise: the largest of 48 means over 60 images is far above 0 on them, and is not on others.
    let (mut biased, mut fair) = (0.0, 0.0);
    for trial in 0..20 {
        let noise = |head: usize, image: usize| {
            0.1 * standard_normal(&mut keyed_rng(trial, "noise", head as u64, image as u64))
        };
        let found = ablations(48, 60, noise);
        let largest = found.heads.iter().map(|entry| entry.answers.losses.iter().sum::<f64>() / 60.0 - 0.5);
        biased += largest.fold(f64::MIN, f64::max) / 20.0;
        let selected = selected(&found, &Resampling { seed: trial, ..resampling }).unwrap().unwrap();
        assert_eq!((selected.chosen_on, selected.mean.n, selected.accuracy_drop.n), (30, 30, 30));
        fair += selected.mean.value / 20.0;
    }
    // A mean over 30 images has a deviation of 0.018, and over 20 trials one of 0.004.
    assert!(biased > 0.02 && fair.abs() < 0.015, "on the same images {biased}, on others {fair}");

    // A head that matters is found, and its worth is right.
    let found = ablations(12, 40, |head, image| {
        let noise = 0.01 * standard_normal(&mut keyed_rng(1, "noise", head as u64, image as u64));
        noise + if head == 6 { 0.7 } else { 0.0 }
    });
    let selected = selected(&found, &resampling).unwrap().unwrap();
    assert_eq!((selected.layer, selected.head), (1, 2));
    assert!((selected.mean.value - 0.7).abs() < 0.01 && selected.p_value < 0.001, "{selected:?}");
    assert_eq!(selected.accuracy_drop.value, 1.0);
}

#[test]
fn too_few_images_choose_no_head() {
    let few = |images| selected(&ablations(3, images, |head, _| head as f64), &Resampling::new(0)).unwrap();
    assert!(few(2).is_none() && few(3).is_none());
    assert_eq!(few(4).map(|selected| (selected.layer, selected.head)), Some((0, 2)));
}

#[test]
fn rankings_that_cannot_be_compared_are_a_result() {
    let estimate =
        |value: f64| Estimate { value, low: value, high: value, level: 0.95, n: 9, method: String::new() };
    let head = |head: usize, mean: f64| HeadAblation {
        layer: 0,
        head,
        mean: estimate(mean),
        zero: estimate(mean),
        resample: estimate(mean),
        accuracy_drop: estimate(0.0),
        gradient: estimate(head as f64),
        adjusted_p: 1.0,
    };
    let of = |means: &[f64]| {
        let heads: Vec<HeadAblation> = means.iter().enumerate().map(|(i, mean)| head(i, *mean)).collect();
        agreement(&heads, &Resampling::new(0)).unwrap().map(|estimate| estimate.value)
    };
    assert_eq!(of(&[0.1]), None);
    assert_eq!(of(&[0.0; 6]), None);
    assert!((of(&[0.1, 0.2, 0.3, 0.4, 0.5]).unwrap() - 1.0).abs() < 1e-12);
}
