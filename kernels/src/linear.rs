//! The fully connected layer: y = x · W + bias, and its gradients.

use crate::activation::{Activation, scale_by_derivative};
use crate::gemm::packed::PackedRight;
use crate::gemm::{Product, Threads};
use crate::matrix::Matrix;
use crate::parallel::Shared;
use crate::reduce::column_sums;
use crate::{Level, Precision};

/// The order of a weight matrix's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightLayout {
    /// `[inputs, outputs]`, as in Burn.
    InputOutput,
    /// `[outputs, inputs]`, as in PyTorch.
    OutputInput,
}

/// A weight matrix.
#[derive(Clone, Copy, Debug)]
pub struct Weight<'a> {
    data: &'a [f32],
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    layout: WeightLayout,
    packed: Option<&'a PackedWeight>,
}

/// The operand that a weight is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightUse {
    /// Inputs, in [`linear_forward`] and [`mlp_forward`](crate::mlp_forward).
    Forward,
    /// Gradients, in [`linear_input_gradient`].
    InputGradient,
}

/// A weight matrix rearranged for one use at the processor's [`Level`] of the time, once for many products.
#[derive(Debug)]
pub struct PackedWeight {
    right: PackedRight,
    weight_use: WeightUse,
}

impl PackedWeight {
    /// Rearranges `weight`.
    pub fn new(weight: Weight<'_>, weight_use: WeightUse, precision: Precision) -> Self {
        let right = match weight_use {
            WeightUse::Forward => weight.matrix(),
            WeightUse::InputGradient => weight.matrix().transposed(),
        };
        PackedWeight { right: PackedRight::new(Level::current(), &right, precision), weight_use }
    }

    /// Memory used, in bytes.
    pub fn bytes(&self) -> usize {
        self.right.bytes()
    }
}

impl<'a> Weight<'a> {
    /// A weight matrix that fills `data`.
    ///
    /// # Panics
    /// If `data` does not have `inputs · outputs` elements.
    pub fn new(data: &'a [f32], inputs: usize, outputs: usize, layout: WeightLayout) -> Self {
        assert_eq!(data.len(), inputs * outputs, "a weight has inputs · outputs elements");
        Weight { data, inputs, outputs, layout, packed: None }
    }

    /// The same weight with its [`PackedWeight`], which products read instead. Results are bit-identical.
    pub fn packed(self, packed: &'a PackedWeight) -> Self {
        Weight { packed: Some(packed), ..self }
    }

    pub(crate) fn packed_for(&self, weight_use: WeightUse) -> Option<&'a PackedRight> {
        let packed = self.packed?;
        assert_eq!(packed.weight_use, weight_use, "a weight is used as it was packed for");
        Some(&packed.right)
    }

    /// As `[inputs, outputs]`.
    pub(crate) fn matrix(&self) -> Matrix<'a> {
        match self.layout {
            WeightLayout::InputOutput => Matrix::new(self.data, self.inputs, self.outputs),
            WeightLayout::OutputInput => Matrix::new(self.data, self.outputs, self.inputs).transposed(),
        }
    }

    /// The number of rows of `x` and `y`, after checking their lengths.
    fn rows(&self, x: &[f32], y: &[f32]) -> usize {
        let rows = x.len().checked_div(self.inputs).or(y.len().checked_div(self.outputs)).unwrap_or(0);
        assert_eq!(x.len(), rows * self.inputs, "x is whole rows of {} inputs", self.inputs);
        assert_eq!(y.len(), rows * self.outputs, "y has {rows} rows of {} outputs", self.outputs);
        rows
    }
}

/// y = x · W + bias + residual, for rows of `x`.
///
/// # Panics
/// If lengths do not fit.
pub fn linear_forward(
    x: &[f32],
    weight: Weight<'_>,
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    y: &mut [f32],
    precision: Precision,
) {
    let rows = weight.rows(x, y);
    if let Some(bias) = bias {
        assert_eq!(bias.len(), weight.outputs, "a bias has one number for each output");
    }
    let product = Product {
        packed_b: weight.packed_for(WeightUse::Forward),
        column_bias: bias,
        residual: residual.map(|residual| Matrix::new(residual, rows, weight.outputs)),
        ..Product::new(Level::current(), Matrix::new(x, rows, weight.inputs), weight.matrix(), precision)
    };
    // SAFETY: `y` is borrowed uniquely and has the product's shape.
    unsafe { product.run(Shared::new(y), weight.outputs, Threads::Pool, &|_, _| {}) }
}

/// dx = dy · Wᵀ, times activation′(pre_activation) where x came from an activation.
///
/// # Panics
/// If lengths do not fit.
pub fn linear_input_gradient(
    dy: &[f32],
    weight: Weight<'_>,
    activation: Option<(Activation, &[f32])>,
    dx: &mut [f32],
    precision: Precision,
) {
    let rows = weight.rows(dx, dy);
    if let Some((_, input)) = activation {
        assert_eq!(input.len(), dx.len(), "the activation's input is as long as dx");
    }
    let stride = weight.inputs;
    let dy = Matrix::new(dy, rows, weight.outputs);
    let product = Product {
        packed_b: weight.packed_for(WeightUse::InputGradient),
        ..Product::new(Level::current(), dy, weight.matrix().transposed(), precision)
    };
    let dx = Shared::new(dx);
    // SAFETY: `dx` is borrowed uniquely and has the product's shape; each finished part is passed on once.
    unsafe {
        product.run(dx, stride, Threads::Pool, &|rows, columns| {
            let Some((activation, input)) = activation else { return };
            for row in rows {
                let start = row * stride + columns.start;
                let part = dx.slice(start, columns.len());
                scale_by_derivative(product.level, activation, &input[start..start + columns.len()], part);
            }
        })
    }
}

/// dW = xᵀ · dy in `layout`, and the bias's gradient, the sum of dy's rows.
///
/// # Panics
/// If lengths do not fit.
pub fn linear_weight_gradient(
    x: &[f32],
    dy: &[f32],
    [inputs, outputs]: [usize; 2],
    layout: WeightLayout,
    dweight: &mut [f32],
    dbias: Option<&mut [f32]>,
    precision: Precision,
) {
    let rows = Weight::new(dweight, inputs, outputs, layout).rows(x, dy);
    let (x, y) = (Matrix::new(x, rows, inputs), Matrix::new(dy, rows, outputs));
    let (a, b) = match layout {
        WeightLayout::InputOutput => (x.transposed(), y),
        WeightLayout::OutputInput => (y.transposed(), x),
    };
    let level = Level::current();
    let product = Product::new(level, a, b, precision);
    // SAFETY: `dweight` is borrowed uniquely and has the product's shape.
    unsafe { product.run(Shared::new(dweight), b.columns, Threads::Pool, &|_, _| {}) }
    if let Some(dbias) = dbias {
        assert_eq!(dbias.len(), outputs, "a bias has one number for each output");
        column_sums(level, dy, dbias);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::activation_backward;
    use crate::reference::{
        Random, assert_close, assert_same_bits, assert_thread_count_is_irrelevant, at_every_level,
    };

    const LAYOUTS: [WeightLayout; 2] = [WeightLayout::InputOutput, WeightLayout::OutputInput];

    fn at(layout: WeightLayout, [inputs, outputs]: [usize; 2], input: usize, output: usize) -> usize {
        match layout {
            WeightLayout::InputOutput => input * outputs + output,
            WeightLayout::OutputInput => output * inputs + input,
        }
    }

    #[test]
    fn forward_and_gradients_agree_with_double_precision() {
        let mut random = Random(10);
        for case in 0..150 {
            let (rows, inputs, outputs) =
                (random.between(0, 70), random.between(1, 60), random.between(0, 70));
            let layout = LAYOUTS[case % 2];
            let shape = [inputs, outputs];
            let (x, w) = (random.numbers(rows * inputs), random.numbers(inputs * outputs));
            let (bias, dy) = (random.numbers(outputs), random.numbers(rows * outputs));
            let residual = random.numbers(rows * outputs);
            let w_at = |i, o| f64::from(w[at(layout, shape, i, o)]);
            let mut y_reference = vec![0.0; rows * outputs];
            let mut dx_reference = vec![0.0; rows * inputs];
            let mut dw_reference = vec![0.0; inputs * outputs];
            let mut db_reference = vec![0.0; outputs];
            for r in 0..rows {
                for o in 0..outputs {
                    let d = f64::from(dy[r * outputs + o]);
                    let y = &mut y_reference[r * outputs + o];
                    *y = f64::from(bias[o]) + f64::from(residual[r * outputs + o]);
                    db_reference[o] += d;
                    for i in 0..inputs {
                        *y += f64::from(x[r * inputs + i]) * w_at(i, o);
                        dx_reference[r * inputs + i] += d * w_at(i, o);
                        dw_reference[at(layout, shape, i, o)] += d * f64::from(x[r * inputs + i]);
                    }
                }
            }
            at_every_level(|level| {
                let what = format!("{rows}×{inputs}→{outputs} {layout:?} at {level:?}");
                let weight = Weight::new(&w, inputs, outputs, layout);
                let (mut y, mut dx) = (vec![0.0; rows * outputs], vec![0.0; rows * inputs]);
                let (mut dw, mut db) = (vec![0.0; inputs * outputs], vec![0.0; outputs]);
                linear_forward(&x, weight, Some(&bias), Some(&residual), &mut y, Precision::F32);
                linear_input_gradient(&dy, weight, None, &mut dx, Precision::F32);
                linear_weight_gradient(&x, &dy, shape, layout, &mut dw, Some(&mut db), Precision::F32);
                assert_close(&what, &y, &y_reference, 3e-6);
                assert_close(&what, &dx, &dx_reference, 3e-6);
                assert_close(&what, &dw, &dw_reference, 3e-6);
                assert_close(&what, &db, &db_reference, 3e-6);
            });
        }
    }

    #[test]
    fn a_fused_derivative_has_the_bits_of_a_separate_one() {
        let (rows, inputs, outputs) = (70, 33, 150);
        let mut random = Random(11);
        let (x, dy) = (random.numbers(rows * inputs), random.numbers(rows * outputs));
        let w = random.numbers(inputs * outputs);
        at_every_level(|_| {
            let (weight, precision) =
                (Weight::new(&w, inputs, outputs, WeightLayout::InputOutput), Precision::F32);
            let (mut dx, mut separate) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            linear_input_gradient(&dy, weight, Some((Activation::Gelu, &x)), &mut dx, precision);
            linear_input_gradient(&dy, weight, None, &mut separate, precision);
            let mut expected = vec![0.0; x.len()];
            activation_backward(Activation::Gelu, &x, &separate, &mut expected);
            assert_same_bits("gradient", &dx, &expected);
        });
    }

    #[test]
    fn a_weight_packed_before_makes_no_difference() {
        let mut random = Random(13);
        // The second is longer than one block of k.
        for (rows, inputs, outputs) in [(70, 33, 150), (9, 2100, 50), (3, 1, 1), (0, 5, 7)] {
            let (x, w) = (random.numbers(rows * inputs), random.numbers(inputs * outputs));
            let (bias, dy) = (random.numbers(outputs), random.numbers(rows * outputs));
            let cases =
                LAYOUTS.iter().flat_map(|layout| [Precision::F32, Precision::Bf16].map(|p| (*layout, p)));
            for (layout, precision) in cases {
                at_every_level(|level| {
                    let what = format!("{rows}×{inputs}→{outputs} {layout:?} {precision:?} at {level:?}");
                    let weight = Weight::new(&w, inputs, outputs, layout);
                    let forward = PackedWeight::new(weight, WeightUse::Forward, precision);
                    let gradient = PackedWeight::new(weight, WeightUse::InputGradient, precision);
                    assert!(forward.bytes() >= inputs * outputs * 2);
                    let run = |forward: Weight<'_>, gradient: Weight<'_>| {
                        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
                        linear_forward(&x, forward, Some(&bias), None, &mut y, precision);
                        linear_input_gradient(&dy, gradient, None, &mut dx, precision);
                        [y, dx].concat()
                    };
                    let found = run(weight.packed(&forward), weight.packed(&gradient));
                    assert_same_bits(&what, &found, &run(weight, weight));
                });
            }
        }
    }

    #[test]
    #[should_panic(expected = "as it was packed for")]
    fn a_weight_packed_for_another_use_is_refused() {
        let w = [0.0; 9];
        let weight = Weight::new(&w, 3, 3, WeightLayout::OutputInput);
        let packed = PackedWeight::new(weight, WeightUse::InputGradient, Precision::F32);
        linear_forward(&[0.0; 3], weight.packed(&packed), None, None, &mut [0.0; 3], Precision::F32);
    }

    #[test]
    fn the_number_of_threads_is_irrelevant() {
        let (rows, inputs, outputs) = (700, 40, 90);
        let mut random = Random(12);
        let (x, dy) = (random.numbers(rows * inputs), random.numbers(rows * outputs));
        for layout in LAYOUTS {
            assert_thread_count_is_irrelevant("weight gradient", || {
                let mut all = vec![0.0; inputs * outputs + outputs];
                let (dw, db) = all.split_at_mut(inputs * outputs);
                linear_weight_gradient(&x, &dy, [inputs, outputs], layout, dw, Some(db), Precision::F32);
                all
            });
        }
    }
}
