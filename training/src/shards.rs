//! Logical shards: equal parts of a batch, each a batch of its own whose contribution to the gradient is summed in a fixed tree.
//!
//! A shard sees nothing of the others: batch norm normalises each by its own moments ("ghost batch norm", Hoffer et al., 2017, algorithm 1),
//! and mixup and contrastive objectives look for partners within it. So the result does not depend on where a shard is computed. The running
//! moments of batch norm move by the mean over the shards of a batch. There are as many shards as a power of two: dividing by their
//! number is exact, and the tree is the same for all.

use std::ops::Range;

use archaeo_models::LayerMoments;
use burn::tensor::{Tensor, TensorData};

use crate::backward::Share;
use crate::ranks::{RankError, Ranks, sum};
use crate::{Recipe, RecipeError};

/// Most shards of a batch.
const MOST: usize = 1024;

/// Refuses shards that do not divide a batch, or whose number is not a power of two.
pub(super) fn check(shards: usize, batch_size: usize) -> Result<(), RecipeError> {
    if !shards.is_power_of_two() || shards > MOST {
        let (key, allowed) = ("shards", "a power of two from 1 to 1024");
        return Err(RecipeError::Range { key, allowed, found: shards.to_string() });
    }
    match batch_size % shards {
        0 => Ok(()),
        _ => Err(RecipeError::Value(format!(
            "the {batch_size} images of `batch_size` cannot be divided into {shards} equal shards; change `batch_size` or `shards`"
        ))),
    }
}

/// The shards of a batch that a rank computes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Images of a shard.
    pub size: usize,
    /// Shards of this rank.
    pub here: usize,
    /// Images of a batch.
    batch: usize,
    /// The first image of this rank within a batch.
    first: usize,
}

impl Layout {
    /// # Errors
    /// Ranks that do not divide the shards.
    pub fn new(recipe: &Recipe, ranks: &dyn Ranks) -> Result<Self, RankError> {
        ranks.fit(recipe)?;
        let size = recipe.shard_images();
        let here = recipe.shards / ranks.size();
        Ok(Self { size, here, batch: recipe.batch_size, first: ranks.rank() * here * size })
    }

    /// Those of the images, whole batches of them, that this rank looks at.
    pub fn of_this_rank(&self, order: &[usize]) -> Vec<usize> {
        let own: Range<usize> = self.first..self.first + self.here * self.size;
        order.chunks_exact(self.batch).flat_map(|batch| &batch[own.clone()]).copied().collect()
    }
}

/// What one shard, or several together, contribute to a batch: sums over shards.
#[derive(Debug)]
pub(super) struct Contribution {
    /// As in [`Share`].
    pub share: Share,
    /// One entry per batch norm, in the order of the forward pass.
    pub moments: Vec<LayerMoments>,
}

impl Contribution {
    /// The sum of this contribution and the one to its right in the tree.
    fn plus(mut self, right: Self) -> Self {
        self.share.loss += right.share.loss;
        self.share.gradients.add(right.share.gradients);
        self.share.own.add(right.share.own);
        for (left, right) in self.moments.iter_mut().zip(right.moments) {
            left.batch.mean = left.batch.mean.clone() + right.batch.mean;
            left.batch.variance = left.batch.variance.clone() + right.batch.variance;
        }
        self
    }

    /// The sum over all ranks, to the same bits on each.
    pub fn over(mut self, ranks: &dyn Ranks) -> Result<Self, RankError> {
        if ranks.size() == 1 {
            return Ok(self);
        }
        let mut values = Vec::new();
        let Self { share: Share { loss, gradients, own }, moments } = &mut self;
        gradients.append_to(&mut values);
        own.append_to(&mut values);
        let moved = moments.iter_mut().flat_map(|layer| [&mut layer.batch.mean, &mut layer.batch.variance]);
        let mut moved: Vec<&mut Tensor<1>> = moved.collect();
        for moment in &moved {
            let data = moment.to_data();
            values.extend(data.as_slice::<f32>().expect("moments are 32-bit floats"));
        }
        *loss = sum_of_losses(ranks, *loss, values.len())?;
        sum(ranks, &mut values)?;
        let mut rest = values.as_slice();
        gradients.take_from(&mut rest);
        own.take_from(&mut rest);
        for moment in &mut moved {
            let values = rest.split_off(..moment.dims()[0]).expect("all that was appended is there");
            **moment = Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &moment.device());
        }
        Ok(self)
    }

    /// The moments of the whole batch: means over its shards.
    pub fn mean_moments(moments: Vec<LayerMoments>, shards: usize) -> Vec<LayerMoments> {
        if shards == 1 {
            return moments;
        }
        let mean = |mut layer: LayerMoments| {
            layer.batch.mean = layer.batch.mean / shards as f64;
            layer.batch.variance = layer.batch.variance / shards as f64;
            layer
        };
        moments.into_iter().map(mean).collect()
    }
}

/// The sum of the losses of all ranks in double precision, in the same tree, where each exchanges so many numbers next.
fn sum_of_losses(ranks: &dyn Ranks, loss: f64, numbers: usize) -> Result<f64, RankError> {
    let mut loss = loss;
    for level in 0..ranks.size().trailing_zeros() {
        let other = ranks.rank() ^ (1 << level);
        let mut received = [0f32; 4];
        let [[a, b], [c, d]] = [words(loss.to_bits()), words(numbers as u64)];
        ranks.exchange(other, &[a, b, c, d], &mut received)?;
        let [a, b, c, d] = received;
        if number([c, d]) != numbers as u64 {
            return Err(RankError::OtherExchange(other));
        }
        loss += f64::from_bits(number([a, b]));
    }
    Ok(loss)
}

/// 64 bits as those of two numbers, which nothing computes with.
fn words(bits: u64) -> [f32; 2] {
    [f32::from_bits((bits >> 32) as u32), f32::from_bits(bits as u32)]
}

fn number([high, low]: [f32; 2]) -> u64 {
    u64::from(high.to_bits()) << 32 | u64::from(low.to_bits())
}

/// Adds up contributions in a binary tree by their number, and keeps no more of them than the tree has levels.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Sums that wait for their right neighbour, with the number of shards in each: powers of two that decrease.
    waiting: Vec<(usize, Contribution)>,
}

impl Tree {
    /// Adds the contribution of the next shard.
    pub fn add(&mut self, shard: Contribution) {
        let (mut shards, mut sum) = (1, shard);
        while let Some((_, left)) = self.waiting.pop_if(|(waiting, _)| *waiting == shards) {
            sum = left.plus(sum);
            shards *= 2;
        }
        self.waiting.push((shards, sum));
    }

    /// The sum, if it is that of so many shards, a power of two; the tree is empty afterwards.
    pub fn sum_of(&mut self, shards: usize) -> Option<Contribution> {
        self.waiting.pop_if(|(waiting, _)| *waiting == shards).map(|(_, sum)| sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecipeFile;
    use crate::optimizer::NamedGradients;
    use crate::ranks::{Alone, Threads};

    fn of_loss(loss: f64) -> Contribution {
        let (gradients, own) = (NamedGradients::default(), NamedGradients::default());
        Contribution { share: Share { loss, gradients, own }, moments: Vec::new() }
    }

    #[test]
    fn contributions_are_summed_as_a_tree_wherever_they_are_computed() {
        // No other order of additions gives this sum.
        let losses = [1e16, 1.0, -1e16, 3.0, 1e8, 1e-8, 1e8, 7.0];
        let expected = ((losses[0] + losses[1]) + (losses[2] + losses[3]))
            + ((losses[4] + losses[5]) + (losses[6] + losses[7]));
        for ranks in [1, 2, 4, 8] {
            let sums = Threads::run(ranks, |ranks| {
                let here = ranks.portion(8);
                let mut tree = Tree::default();
                for (done, &loss) in losses[here.clone()].iter().enumerate() {
                    assert!(tree.sum_of(here.len()).is_none(), "{done} shards are not all");
                    tree.add(of_loss(loss));
                }
                let sum = tree.sum_of(here.len()).expect("all shards are there");
                assert!(tree.waiting.is_empty());
                sum.over(ranks).unwrap().share.loss
            });
            assert!(sums.iter().all(|sum| sum.to_bits() == f64::to_bits(expected)), "{ranks}: {sums:?}");
        }
        assert_ne!(expected, losses.iter().sum::<f64>());
    }

    #[test]
    fn ranks_that_exchange_different_numbers_say_so() {
        let said = Threads::run(2, |ranks| sum_of_losses(ranks, 0.5, 10 + ranks.rank()));
        assert_eq!(said, [Err(RankError::OtherExchange(1)), Err(RankError::OtherExchange(0))]);
    }

    fn recipe(lines: &str) -> Result<Recipe, String> {
        let text =
            format!("model = \"vit_micro\"\nimage_size = 32\nepochs = 2\nlearning_rate = 1e-3\n{lines}");
        let file = RecipeFile::parse(&text, &[]).map_err(|error| error.to_string())?;
        Ok(file.recipe(None).unwrap())
    }

    #[test]
    fn every_image_of_a_batch_is_on_one_rank_in_the_order_of_one_machine() {
        let recipe = recipe("batch_size = 8\nshards = 4").unwrap();
        let order: Vec<usize> = (100..124).collect();
        let alone = Layout::new(&recipe, &Alone).unwrap();
        assert_eq!((alone.size, alone.here, alone.of_this_rank(&order)), (2, 4, order.clone()));
        let of_ranks = Threads::run(2, |ranks| Layout::new(&recipe, ranks).unwrap().of_this_rank(&order));
        let expected =
            |first: usize| (0..24).filter(move |place| place % 8 / 4 == first).map(|place| 100 + place);
        assert!(of_ranks[0].iter().copied().eq(expected(0)) && of_ranks[1].iter().copied().eq(expected(1)));
        let said = Threads::run(8, |ranks| Layout::new(&recipe, ranks).map(drop));
        assert_eq!(said[5], Err(RankError::Shares { ranks: 8, shards: 4 }));
    }

    #[test]
    fn shards_that_cannot_be_are_refused() {
        for (lines, expected) in [
            ("batch_size = 12\nshards = 6", "`shards` must be a power of two from 1 to 1024, not 6"),
            ("batch_size = 12\nshards = 0", "`shards` must be a power of two from 1 to 1024, not 0"),
            ("batch_size = 4096\nshards = 2048", "not 2048"),
            (
                "batch_size = 12\nshards = 8",
                "the 12 images of `batch_size` cannot be divided into 8 equal shards",
            ),
        ] {
            let sentence = recipe(lines).unwrap_err();
            assert!(sentence.contains(expected), "{lines}: {sentence}");
        }
        assert!(
            !recipe("batch_size = 8").unwrap().to_toml().contains("shards"),
            "earlier recipes are the same"
        );
    }
}
