//! Two fully connected layers with an activation between them.

use crate::activation::{Activation, apply, apply_in_place, apply_to_words};
use crate::gemm::pack::{LeftOperand, steps};
use crate::gemm::packed::PackedRight;
use crate::gemm::{Product, Threads, WORTH_THREADS, tile_shape};
use crate::linear::{Weight, WeightUse};
use crate::matrix::Matrix;
use crate::parallel::{self, Shared};
use crate::scratch::Scratch;
use crate::{Level, Precision};

/// Strips of the register tile in one task, at most.
const STRIPS_PER_TASK: usize = 8;

/// A fully connected layer.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Its weight.
    pub weight: Weight<'a>,
    /// One value per output.
    pub bias: &'a [f32],
}

/// y = activation(x · W₁ + bias₁) · W₂ + bias₂ + residual for rows of `x`, with the bits of three separate steps; the
/// activation's input is stored in `before` if the gradient needs it.
///
/// Some rows at a time pass through both layers, so that the hidden values, the largest array, stay in the second-level cache.
///
/// # Panics
/// If lengths do not fit.
pub fn mlp_forward(
    x: &[f32],
    layers: [Layer<'_>; 2],
    activation: Activation,
    residual: Option<&[f32]>,
    before: Option<&mut [f32]>,
    y: &mut [f32],
    precision: Precision,
) {
    let [first, second] = layers.map(|layer| layer.weight);
    let (width, hidden, outputs) = (first.inputs, first.outputs, second.outputs);
    assert_eq!(second.inputs, hidden, "the second layer's inputs are the first one's outputs");
    let rows = x.len().checked_div(width).or(y.len().checked_div(outputs)).unwrap_or(0);
    assert!(x.len() == rows * width && y.len() == rows * outputs, "x and y have the same rows");
    for layer in layers {
        assert_eq!(layer.bias.len(), layer.weight.outputs, "a bias has one number for each output");
    }
    if let Some(before) = &before {
        assert_eq!(before.len(), rows * hidden, "the activation's input is as long as its output");
    }
    let level = Level::current();
    let strips = rows.div_ceil(tile_shape(level).rows);
    let threads = rayon::current_num_threads();
    // The same number for each thread, of about equal size.
    let tasks = match rows * hidden * (width + outputs) < WORTH_THREADS {
        true => 1,
        false => threads * strips.div_ceil(threads * STRIPS_PER_TASK),
    };
    let first_row = |task: usize| (task * strips / tasks * tile_shape(level).rows).min(rows);
    parallel::enter(|| {
        let packed_now = layers.map(|Layer { weight, .. }| match weight.packed_for(WeightUse::Forward) {
            Some(_) => None,
            None => Some(PackedRight::for_now(level, &weight.matrix(), precision)),
        });
        let packed =
            [0, 1].map(|i| layers[i].weight.packed_for(WeightUse::Forward).or(packed_now[i].as_ref()));
        let residual = residual.map(|residual| Matrix::new(residual, rows, outputs));
        let mlp = Mlp { level, layers, packed, activation, precision };
        let (y, before) = (Shared::new(y), before.map(Shared::new));
        parallel::for_each(tasks, |task| {
            let rows = first_row(task)..first_row(task + 1);
            let x = &x[rows.start * width..rows.end * width];
            // SAFETY: every task has its own rows.
            let (y, before) = unsafe {
                (
                    y.slice(rows.start * outputs, rows.len() * outputs),
                    before.map(|before| before.slice(rows.start * hidden, rows.len() * hidden)),
                )
            };
            mlp.run(rows.len(), x, residual.map(|residual| residual.row_range(rows)), before, y);
        });
    });
}

struct Mlp<'a> {
    level: Level,
    layers: [Layer<'a>; 2],
    packed: [Option<&'a PackedRight>; 2],
    activation: Activation,
    precision: Precision,
}

impl Mlp<'_> {
    /// Both layers for `rows` rows, on this thread.
    fn run(
        &self,
        rows: usize,
        x: &[f32],
        residual: Option<Matrix<'_>>,
        before: Option<&mut [f32]>,
        y: &mut [f32],
    ) {
        let [first, second] = self.layers.map(|layer| layer.weight);
        let hidden = first.outputs;
        let (in_place, words_per_row) = (before.is_none(), steps(hidden, Precision::Bf16));
        let mut own = Scratch::take(if in_place { rows * hidden } else { 0 });
        let mut apart = Scratch::take(match self.precision {
            Precision::F32 if in_place => 0,
            Precision::F32 => rows * hidden,
            Precision::Bf16 => rows * words_per_row,
        });
        let before = before.unwrap_or(&mut own);
        let product = self.product(0, LeftOperand::Numbers(Matrix::new(x, rows, first.inputs)), None);
        // SAFETY: it is borrowed uniquely and has the product's shape.
        unsafe { product.run(Shared::new(before), hidden, Threads::One, &|_, _| {}) }
        let after = match self.precision {
            Precision::F32 if in_place => {
                apply_in_place(self.level, self.activation, before);
                LeftOperand::Numbers(Matrix::new(before, rows, hidden))
            }
            Precision::F32 => {
                apply(self.level, self.activation, before, &mut apart);
                LeftOperand::Numbers(Matrix::new(&apart, rows, hidden))
            }
            Precision::Bf16 => {
                let words = apart.chunks_mut(words_per_row.max(1));
                for (numbers, words) in before.chunks(hidden.max(1)).zip(words) {
                    apply_to_words(self.level, self.activation, numbers, words);
                }
                LeftOperand::Words { words: &apart, rows, columns: hidden }
            }
        };
        let product = self.product(1, after, residual);
        // SAFETY: it is borrowed uniquely and has the product's shape.
        unsafe { product.run(Shared::new(y), second.outputs, Threads::One, &|_, _| {}) }
    }

    /// The product with one of the layers' weights, plus bias.
    fn product<'a>(
        &'a self,
        layer: usize,
        left: LeftOperand<'a>,
        residual: Option<Matrix<'a>>,
    ) -> Product<'a> {
        let Layer { weight, bias } = &self.layers[layer];
        Product {
            packed_b: self.packed[layer],
            column_bias: Some(bias),
            residual,
            ..Product::of(self.level, left, weight.matrix(), self.precision)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::activation_forward;
    use crate::linear::{PackedWeight, WeightLayout, WeightUse, linear_forward};
    use crate::reference::{Random, assert_same_bits, assert_thread_count_is_irrelevant, at_every_level};

    #[test]
    fn it_has_the_bits_of_its_three_steps() {
        let mut random = Random(40);
        for [rows, width, hidden, outputs] in
            [[70, 33, 150, 40], [3, 5, 1, 2], [130, 64, 2100, 48], [0, 4, 6, 3], [9, 20, 97, 1]]
        {
            let (x, residual) = (random.numbers(rows * width), random.numbers(rows * outputs));
            let (w1, w2) = (random.numbers(width * hidden), random.numbers(hidden * outputs));
            let (b1, b2) = (random.numbers(hidden), random.numbers(outputs));
            let layout = WeightLayout::OutputInput;
            let (w1, w2) =
                (Weight::new(&w1, width, hidden, layout), Weight::new(&w2, hidden, outputs, layout));
            for precision in [Precision::F32, Precision::Bf16] {
                at_every_level(|level| {
                    let what = format!("{rows}×{width}→{hidden}→{outputs} {precision:?} at {level:?}");
                    let mut plain = vec![0.0; rows * hidden];
                    linear_forward(&x, w1, Some(&b1), None, &mut plain, precision);
                    let (mut activated, mut expected) = (plain.clone(), residual.clone());
                    activation_forward(Activation::Gelu, &plain, &mut activated);
                    linear_forward(&activated, w2, Some(&b2), Some(&residual), &mut expected, precision);

                    let packed = [w1, w2].map(|w| PackedWeight::new(w, WeightUse::Forward, precision));
                    let (mut y, mut before) = (vec![0.0; expected.len()], vec![0.0; plain.len()]);
                    let mut run = |w1, w2, before: Option<&mut [f32]>| {
                        let layers = [Layer { weight: w1, bias: &b1 }, Layer { weight: w2, bias: &b2 }];
                        y.fill(0.0);
                        mlp_forward(&x, layers, Activation::Gelu, Some(&residual), before, &mut y, precision);
                        assert_same_bits(&what, &y, &expected);
                    };
                    run(w1, w2, None);
                    run(w1.packed(&packed[0]), w2.packed(&packed[1]), None);
                    run(w1, w2, Some(&mut before));
                    assert_same_bits(&format!("{what}, kept"), &before, &plain);
                });
            }
        }
    }

    #[test]
    fn the_number_of_threads_is_irrelevant() {
        let [rows, width, hidden, outputs] = [700, 40, 300, 20];
        let mut random = Random(41);
        let x = random.numbers(rows * width);
        let (w1, w2) = (random.numbers(width * hidden), random.numbers(hidden * outputs));
        let (b1, b2) = (random.numbers(hidden), random.numbers(outputs));
        let layout = WeightLayout::OutputInput;
        for precision in [Precision::F32, Precision::Bf16] {
            assert_thread_count_is_irrelevant("mlp", || {
                let first = Layer { weight: Weight::new(&w1, width, hidden, layout), bias: &b1 };
                let second = Layer { weight: Weight::new(&w2, hidden, outputs, layout), bias: &b2 };
                let mut y = vec![0.0; rows * outputs];
                mlp_forward(&x, [first, second], Activation::Gelu, None, None, &mut y, precision);
                y
            });
        }
    }
}
