//! What an answer costs: time and memory of forward passes.
//!
//! Times are of the machine at hand, so that nothing else here is compared with them. What several models take is measured in turns
//! ([`times`]): whatever else the machine does in the meantime then meets all of them.

use std::time::Instant;

use archaeo_models::Classifier;
use archaeo_ops::peak_memory;
use archaeo_random::keyed_rng;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use crate::answers::logits;

/// Passes before those that are timed: they fill caches, and pack weights.
const WARM_UP: usize = 2;

/// Images of noise, `[batch, 3, side, side]` in [0, 1]: the time of a pass does not depend on what they show.
pub fn noise(seed: u64, batch: usize, side: usize, device: &Device) -> Tensor<4> {
    let mut rng = keyed_rng(seed, "cost", side as u64, 0);
    let values: Vec<f32> = (0..batch * 3 * side * side).map(|_| rng.random()).collect();
    Tensor::from_data(TensorData::new(values, [batch, 3, side, side]), device)
}

/// Seconds of `rounds` forward passes of each model on its images, `[model][round]`; in every round each model has its turn.
/// `keep_on` is asked before each round, and `None` returned where it says no.
pub fn times(
    models: &[(&Classifier, Tensor<4>)],
    rounds: usize,
    mut keep_on: impl FnMut() -> bool,
) -> Option<Vec<Vec<f64>>> {
    let pass = |(model, images): &(&Classifier, Tensor<4>)| {
        let started = Instant::now();
        std::hint::black_box(logits(model, images.clone()));
        started.elapsed().as_secs_f64()
    };
    for model in models {
        if !keep_on() {
            return None;
        }
        for _ in 0..WARM_UP {
            pass(model);
        }
    }
    let mut seconds = vec![Vec::with_capacity(rounds); models.len()];
    for _ in 0..rounds {
        if !keep_on() {
            return None;
        }
        for (model, seconds) in models.iter().zip(&mut seconds) {
            seconds.push(pass(model));
        }
    }
    Some(seconds)
}

/// The most bytes that a forward pass has in use at once besides weights and images; `None` where the program's allocator does not
/// count ([`peak_memory`]).
pub fn memory(model: &Classifier, images: Tensor<4>) -> Option<usize> {
    // What the first passes pack is kept.
    (0..WARM_UP).for_each(|_| drop(logits(model, images.clone())));
    peak_memory(|| logits(model, images)).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    #[test]
    fn every_model_is_timed_in_every_round_and_stops_when_asked_to() {
        let fixture = Fixture::load();
        let (vit, resnet) = (fixture.vit(), fixture.resnet());
        let models = [(&vit, fixture.images()), (&resnet, fixture.images())];
        let mut asked = 0;
        let found = times(&models, 4, || {
            asked += 1;
            true
        });
        let found = found.unwrap();
        assert_eq!((found.len(), found[0].len(), found[1].len(), asked), (2, 4, 4, 2 + 4));
        assert!(found.iter().flatten().all(|&seconds| seconds > 0.0));
        let mut left = 4;
        let stopped = times(&models, 4, || {
            left -= 1;
            left > 0
        });
        assert_eq!(stopped, None);
    }
}
