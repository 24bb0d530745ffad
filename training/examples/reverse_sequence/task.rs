//! One attention layer learns to write a sequence backwards.
//!
//! Attention treats its tokens as a set: what a token gathers does not depend on the order of the others. Without
//! positions the layer cannot know which token is the mirror image of which, and the best it can do is to answer with
//! the mean of the other nine, whose squared error is 8/9 of the variance of the data. With positions on queries and
//! keys it can look at the mirrored place and copy what stands there. Positions on the values as well do harm:
//! the layer would copy the position along with the value.

use archaeo_models::{Linear, scaled_dot_product_attention, state_of, with_state};
use archaeo_ops::Precision::F32;
use archaeo_random::{keyed_rng, standard_normal};
use archaeo_training::{Algorithm, NamedGradients, Optimizer};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

/// Sequences in a batch.
pub const BATCH: usize = 32;
/// Tokens in a sequence.
pub const LENGTH: usize = 10;
/// Numbers in a token.
pub const WIDTH: usize = 64;
const HEADS: usize = 4;
const STEPS: u64 = 500;
const LEARNING_RATE: f64 = 1e-3;

/// Where positions are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// Nowhere.
    None,
    /// Queries and keys.
    QueriesAndKeys,
    /// Queries, keys and values.
    Everywhere,
}

/// Distribution of a token's numbers.
#[derive(Clone, Copy, Debug)]
pub enum Numbers {
    /// The standard normal distribution, of variance 1.
    Normal,
    /// Uniform from 0 to 1, of variance 1/12.
    Uniform,
}

/// Result of a training.
pub struct Outcome {
    /// Mean squared error, mean of the last ten steps.
    pub loss: f64,
    /// Attention weights of the last step, mean over batch and heads, `[LENGTH, LENGTH]`: queries by keys.
    pub attention: Vec<f32>,
}

#[derive(Module, Debug)]
struct Reverser {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    /// `[1, LENGTH, WIDTH]`
    position: Param<Tensor<3>>,
}

impl Reverser {
    /// Linear layers uniform within `1 / √WIDTH`, positions from the standard normal distribution.
    fn new(seed: u64, device: &Device) -> Self {
        let linear = || Linear::new(WIDTH, WIDTH, true, device);
        let position = Param::from_tensor(Tensor::zeros([1, LENGTH, WIDTH], device));
        let blank = Self { query: linear(), key: linear(), value: linear(), output: linear(), position };
        let mut state = state_of(&blank);
        for (name, array) in &mut state {
            let mut rng = keyed_rng(seed, name, 0, 0);
            array.values.fill_with(|| match name.as_str() {
                "position" => standard_normal(&mut rng) as f32,
                _ => (2.0 * rng.random::<f32>() - 1.0) / (WIDTH as f32).sqrt(),
            });
        }
        with_state(blank, state).expect("the names are the layer's own")
    }

    /// `[BATCH, LENGTH, WIDTH]` → the same, and the attention weights `[BATCH, HEADS, LENGTH, LENGTH]`
    fn forward(&self, x: Tensor<3>, positions: Positions) -> (Tensor<3>, Tensor<4>) {
        let placed = x.clone() + self.position.val();
        let (for_keys, for_values) = match positions {
            Positions::None => (x.clone(), x),
            Positions::QueriesAndKeys => (placed, x),
            Positions::Everywhere => (placed.clone(), placed),
        };
        let heads = |x: Tensor<3>| x.reshape([BATCH, LENGTH, HEADS, WIDTH / HEADS]).swap_dims(1, 2);
        let (context, weights) = scaled_dot_product_attention(
            heads(self.query.forward(for_keys.clone(), F32)),
            heads(self.key.forward(for_keys, F32)),
            heads(self.value.forward(for_values, F32)),
            None,
        );
        (self.output.forward(context.swap_dims(1, 2).reshape([BATCH, LENGTH, WIDTH]), F32), weights)
    }
}

/// Trains a fresh layer, every step on sequences it has not seen.
pub fn train(positions: Positions, numbers: Numbers, seed: u64) -> Outcome {
    let device = Device::flex().autodiff();
    let mut model = Reverser::new(seed, &device);
    let mut adam = Optimizer::new(Algorithm::default(), 0.0);
    let mut losses = Vec::new();
    let mut attention = Vec::new();
    for step in 0..STEPS {
        let x = sequences(numbers, seed, step, &device);
        let (reversed, weights) = model.forward(x.clone(), positions);
        let error = reversed - x.flip([1]);
        let loss = (error.clone() * error).mean();
        losses.push(f64::from(loss.clone().into_scalar::<f32>()));
        let gradients = NamedGradients::take(&model, &mut loss.backward());
        model = adam.step(model, &gradients, LEARNING_RATE);
        if step + 1 == STEPS {
            let mean = weights.inner().mean_dim(0).mean_dim(1);
            attention = mean.into_data().try_into_vec().expect("weights are 32-bit floats");
        }
    }
    let last = &losses[losses.len() - 10..];
    Outcome { loss: last.iter().sum::<f64>() / last.len() as f64, attention }
}

fn sequences(numbers: Numbers, seed: u64, step: u64, device: &Device) -> Tensor<3> {
    let mut rng = keyed_rng(seed, "sequences", 0, step);
    let draw = || match numbers {
        Numbers::Normal => standard_normal(&mut rng) as f32,
        Numbers::Uniform => rng.random(),
    };
    let values: Vec<f32> = std::iter::repeat_with(draw).take(BATCH * LENGTH * WIDTH).collect();
    Tensor::from_data(TensorData::new(values, [BATCH, LENGTH, WIDTH]), device)
}
