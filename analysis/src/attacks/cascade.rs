//! Attacks in turn, each on the images that those before it have left standing.

use burn::tensor::{Tensor, TensorData};

use super::{Attack, Batch, Outcome, Target};
use crate::Keys;

/// What attacks make of each image in turn, and the place of the last that was tried on it: the one that fooled, or the last of all.
///
/// # Panics
/// No attack; as [`Attack::run`].
pub fn in_turn(
    attacks: &[Box<dyn Attack>],
    target: &dyn Target,
    batch: &Batch,
    keys: &Keys,
) -> Vec<(Outcome, usize)> {
    let mut outcomes: Vec<Option<(Outcome, usize)>> = keys.images.iter().map(|_| None).collect();
    for (stage, attack) in attacks.iter().enumerate() {
        let standing: Vec<usize> = (0..outcomes.len())
            .filter(|&place| outcomes[place].as_ref().is_none_or(|(outcome, _)| !outcome.success))
            .collect();
        if standing.is_empty() {
            break;
        }
        let part = Part::of(batch, keys, &standing);
        for (place, outcome) in
            standing.into_iter().zip(attack.run(target, &part.batch(), &part.keys(keys.seed)))
        {
            let earlier = outcomes[place].take().map(|(outcome, _)| outcome);
            outcomes[place] = Some((outcome.after(earlier), stage));
        }
    }
    outcomes.into_iter().map(|of| of.expect("the first attack is for every image")).collect()
}

impl Outcome {
    /// The outcome of an attack on an image that an earlier attack has left standing: what both took.
    #[must_use]
    pub fn after(self, earlier: Option<Self>) -> Self {
        let Some(earlier) = earlier else { return self };
        Self {
            queries: earlier.queries + self.queries,
            zero_gradient: earlier.zero_gradient,
            best_step: earlier.best_step + self.best_step,
            ..self
        }
    }
}

/// Some images of a batch.
struct Part {
    images: Tensor<4>,
    labels: Vec<usize>,
    targets: Option<Vec<usize>>,
    ids: Vec<u64>,
}

impl Part {
    fn of(batch: &Batch, keys: &Keys, places: &[usize]) -> Self {
        let device = batch.images.device();
        let indices = places.iter().map(|&place| place as i64).collect();
        let indices = Tensor::from_data(TensorData::new::<i64, _>(indices, [places.len()]), &device);
        Self {
            images: batch.images.clone().select(0, indices),
            labels: places.iter().map(|&place| batch.labels[place]).collect(),
            targets: batch.targets.map(|targets| places.iter().map(|&place| targets[place]).collect()),
            ids: places.iter().map(|&place| keys.images[place]).collect(),
        }
    }

    fn batch(&self) -> Batch<'_> {
        Batch { images: self.images.clone(), labels: &self.labels, targets: self.targets.as_deref() }
    }

    fn keys(&self, seed: u64) -> Keys<'_> {
        Keys { seed, images: &self.ids }
    }
}
