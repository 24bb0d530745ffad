//! Noise of the size of an attack: the null of what adversarial images do.

use archaeo_random::{Draw, keyed_rng};
use burn::tensor::{Tensor, TensorData};

use super::threat::into_box;
use super::{Clean, Threat};
use crate::Keys;
use crate::tensors::{per_image, values};

/// Images `[batch, 3, height, width]` with noise as large as the threat allows, rounded to 8 bits: in L∞ every value moved up or down by the
/// size at random, elsewhere a random place of the ball.
pub fn noise(images: &Tensor<4>, threat: &Threat, keys: &Keys) -> Tensor<4> {
    let (shape, device) = (images.dims(), images.device());
    if keys.images.is_empty() {
        return images.clone();
    }
    let plain = values(images.clone());
    let noisy = per_image(&plain, keys.images.len()).zip(keys.images).flat_map(|(image, &id)| {
        let mut rng = keyed_rng(keys.seed, "noise", id, 0);
        let clean = Clean::new(image.to_vec());
        let mut moved = match *threat {
            Threat::Linf(size) => {
                let mut end = |&value: &f32| f64::from(value) + if rng.below(2) == 0 { size } else { -size };
                image.iter().map(|value| into_box(end(value))).collect()
            }
            _ => threat.start(&clean, &mut rng),
        };
        threat.round(&mut moved, &clean);
        moved
    });
    Tensor::from_data(TensorData::new(noisy.collect::<Vec<f32>>(), shape), &device)
}
