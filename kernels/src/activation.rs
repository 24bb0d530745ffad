//! Activation functions and their gradients, element by element.

use crate::Level;
use crate::math::{gelu, gelu_derivative, sigmoid};
use crate::parallel::{self, CHUNK};
use crate::simd::{Simd, load_some, simd_fn, store_some};
use rayon::prelude::*;

/// An activation function. Results are within 1e-6 (absolute below 1, relative above) of the definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x · Φ(x) with the exact normal distribution (Hendrycks and Gimpel, 2016).
    Gelu,
    /// x · σ(1.702 x), the approximation that OpenAI's CLIP was trained with.
    QuickGelu,
    /// x · σ(x), also called swish.
    Silu,
}

const QUICK_GELU_SLOPE: f32 = 1.702;

impl Activation {
    #[inline(always)]
    fn value<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        match self {
            Activation::Relu => {
                let zero = simd.splat(0.0);
                // This order keeps NaN.
                simd.select_gt(zero, x, zero, x)
            }
            Activation::Gelu => gelu(simd, x),
            Activation::QuickGelu => simd.mul(x, sigmoid(simd, simd.mul(x, simd.splat(QUICK_GELU_SLOPE)))),
            Activation::Silu => simd.mul(x, sigmoid(simd, x)),
        }
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, simd: S, x: S::Vector) -> S::Vector {
        match self {
            Activation::Relu => simd.select_gt(x, simd.splat(0.0), simd.splat(1.0), simd.splat(0.0)),
            Activation::Gelu => gelu_derivative(simd, x),
            Activation::QuickGelu => sigmoid_gate_derivative(simd, x, QUICK_GELU_SLOPE),
            Activation::Silu => sigmoid_gate_derivative(simd, x, 1.0),
        }
    }
}

/// The derivative of x · σ(a x): σ + a x σ (1 − σ).
#[inline(always)]
fn sigmoid_gate_derivative<S: Simd>(simd: S, x: S::Vector, slope: f32) -> S::Vector {
    let z = simd.mul(x, simd.splat(slope));
    let gate = sigmoid(simd, z);
    let slope_term = simd.mul(simd.mul(z, gate), simd.sub(simd.splat(1.0), gate));
    simd.add(gate, slope_term)
}

/// y = activation(x).
///
/// # Panics
/// If lengths differ.
pub fn activation_forward(activation: Activation, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "input and output have one length");
    let level = Level::current();
    parallel::map(x, y, |x, y| apply(level, activation, x, y));
}

/// dx = dy · activation′(x).
///
/// # Panics
/// If lengths differ.
pub fn activation_backward(activation: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert!(x.len() == dy.len() && x.len() == dx.len(), "input and gradients have one length");
    let level = Level::current();
    let chunks = x.par_chunks(CHUNK).zip(dy.par_chunks(CHUNK)).zip(dx.par_chunks_mut(CHUNK));
    chunks.for_each(|((x, dy), dx)| {
        dx.copy_from_slice(dy);
        scale_by_derivative(level, activation, x, dx);
    });
}

/// y = silu(gate) · value, where each row of `x` is the gate (`hidden` numbers) and then the value
/// (SwiGLU: Shazeer, "GLU variants improve Transformer", 2020).
///
/// # Panics
/// If `x` is not twice as long as `y`, or `y` not a whole number of rows.
pub fn swiglu_forward(x: &[f32], hidden: usize, y: &mut [f32]) {
    assert!(x.len() == 2 * y.len(), "the input holds a gate and a value for each output");
    if y.is_empty() {
        return;
    }
    assert!(hidden > 0 && y.len().is_multiple_of(hidden), "the output is whole rows of {hidden}");
    let level = Level::current();
    let rows = x.par_chunks(2 * hidden).zip(y.par_chunks_mut(hidden));
    rows.for_each(|(x, y)| {
        let (gate, value) = x.split_at(hidden);
        apply(level, Activation::Silu, gate, y);
        multiply(level, value, y);
    });
}

/// The gradient of [`swiglu_forward`] to `x`, in `dx`.
///
/// # Panics
/// As [`swiglu_forward`].
pub fn swiglu_backward(x: &[f32], hidden: usize, dy: &[f32], dx: &mut [f32]) {
    assert!(x.len() == 2 * dy.len() && x.len() == dx.len(), "the input holds a gate and a value each");
    if dy.is_empty() {
        return;
    }
    assert!(hidden > 0 && dy.len().is_multiple_of(hidden), "the output is whole rows of {hidden}");
    let level = Level::current();
    let rows = x.par_chunks(2 * hidden).zip(dy.par_chunks(hidden)).zip(dx.par_chunks_mut(2 * hidden));
    rows.for_each(|((x, dy), dx)| {
        let (gate, value) = x.split_at(hidden);
        let (dgate, dvalue) = dx.split_at_mut(hidden);
        apply(level, Activation::Silu, gate, dvalue);
        multiply(level, dy, dvalue);
        dgate.copy_from_slice(dy);
        multiply(level, value, dgate);
        scale_by_derivative(level, Activation::Silu, gate, dgate);
    });
}

simd_fn! {
    /// y = activation(x) on this thread.
    pub(crate) fn apply(simd: S, activation: Activation, x: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
            store_some(simd, y, activation.value(simd, load_some(simd, x)));
        }
    }
}

simd_fn! {
    /// y = activation(y) on this thread.
    pub(crate) fn apply_in_place(simd: S, activation: Activation, y: &mut [f32]) {
        for y in y.chunks_mut(S::LANES) {
            let value = activation.value(simd, load_some(simd, y));
            store_some(simd, y, value);
        }
    }
}

simd_fn! {
    /// activation(x) in bfloat16 words, on this thread.
    pub(crate) fn apply_to_words(simd: S, activation: Activation, x: &[f32], words: &mut [f32]) {
        for (x, words) in x.chunks(2 * S::LANES).zip(words.chunks_mut(S::LANES)) {
            let (low, high) = x.split_at(x.len().min(S::LANES));
            let [low, high] = [low, high].map(|x| load_some(simd, x));
            let [low, high] = [activation.value(simd, low), activation.value(simd, high)];
            store_some(simd, words, simd.narrow_bf16(low, high));
        }
    }
}

simd_fn! {
    /// gradient ← gradient · activation′(x) on this thread.
    pub(crate) fn scale_by_derivative(simd: S, activation: Activation, x: &[f32], gradient: &mut [f32]) {
        for (x, gradient) in x.chunks(S::LANES).zip(gradient.chunks_mut(S::LANES)) {
            let derivative = activation.derivative(simd, load_some(simd, x));
            let product = simd.mul(load_some(simd, gradient), derivative);
            store_some(simd, gradient, product);
        }
    }
}

simd_fn! {
    fn multiply(simd: S, x: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
            let product = simd.mul(load_some(simd, x), load_some(simd, y));
            store_some(simd, y, product);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Random, assert_same_bits, assert_thread_count_is_irrelevant, at_every_level};

    const ALL: [Activation; 4] =
        [Activation::Relu, Activation::Gelu, Activation::QuickGelu, Activation::Silu];

    /// erf by its Taylor series, or one minus the continued fraction of erfc: a different method from the kernel's.
    fn erf(x: f64) -> f64 {
        if x.abs() < 3.0 {
            let (mut term, mut sum) = (x, x);
            for n in 1..200 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            sum * std::f64::consts::FRAC_2_SQRT_PI
        } else {
            let fraction = (1..200).rev().fold(0.0, |f, n| f64::from(n) / 2.0 / (x.abs() + f));
            let erfc = (-x * x).exp() / ((x.abs() + fraction) * std::f64::consts::PI.sqrt());
            x.signum() * (1.0 - erfc)
        }
    }

    fn reference(activation: Activation, x: f64) -> f64 {
        match activation {
            Activation::Relu => x.max(0.0),
            Activation::Gelu => 0.5 * x * (1.0 + erf(x / 2.0_f64.sqrt())),
            Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
            Activation::Silu => x / (1.0 + (-x).exp()),
        }
    }

    fn inputs() -> Vec<f32> {
        (-12_000..=12_003).map(|i| i as f32 * 1e-3 + 3e-4).chain([50.0, -50.0, 0.0, -200.0]).collect()
    }

    #[test]
    fn values_agree_with_double_precision() {
        let x = inputs();
        at_every_level(|level| {
            for activation in ALL {
                let mut y = vec![0.0; x.len()];
                activation_forward(activation, &x, &mut y);
                for (x, y) in x.iter().zip(&y) {
                    let expected = reference(activation, f64::from(*x));
                    let error = (f64::from(*y) - expected).abs() / expected.abs().max(1.0);
                    assert!(error < 1e-6, "{activation:?}({x}) = {y}, not {expected}, at {level:?}");
                }
                let mut in_place = x.clone();
                apply_in_place(level, activation, &mut in_place);
                assert_same_bits("in place", &in_place, &y);
            }
        });
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let x = inputs();
        let dy: Vec<f32> = x.iter().map(|x| 0.5 + 0.1 * x.sin()).collect();
        at_every_level(|level| {
            for activation in ALL {
                let mut dx = vec![0.0; x.len()];
                activation_backward(activation, &x, &dy, &mut dx);
                for ((x, dy), dx) in x.iter().zip(&dy).zip(&dx) {
                    let (x, step) = (f64::from(*x), 1e-5);
                    if activation == Activation::Relu && x.abs() <= step {
                        continue;
                    }
                    let slope = reference(activation, x + step) - reference(activation, x - step);
                    let expected = f64::from(*dy) * slope / (2.0 * step);
                    let error = (f64::from(*dx) - expected).abs();
                    assert!(error < 2e-6, "{activation:?}′({x}): {dx}, not {expected}, at {level:?}");
                }
            }
        });
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        at_every_level(|_| {
            for activation in ALL {
                let mut y = [0.0; 3];
                activation_forward(activation, &[1.0, f32::NAN, -1.0], &mut y);
                assert!(y[1].is_nan() && !y[0].is_nan() && !y[2].is_nan(), "{activation:?}: {y:?}");
            }
        });
    }

    #[test]
    fn swiglu_is_silu_of_the_gate_times_the_value() {
        let mut random = Random(5);
        for (rows, hidden) in [(0, 4), (1, 1), (3, 37), (5, 64)] {
            let x = random.numbers(rows * 2 * hidden);
            let dy = random.numbers(rows * hidden);
            at_every_level(|level| {
                let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
                swiglu_forward(&x, hidden, &mut y);
                swiglu_backward(&x, hidden, &dy, &mut dx);
                for i in 0..rows * hidden {
                    let (gate, value) =
                        (i / hidden * 2 * hidden + i % hidden, i / hidden * 2 * hidden + hidden + i % hidden);
                    let silu = |x: f64| reference(Activation::Silu, x);
                    let (g, v, d) = (f64::from(x[gate]), f64::from(x[value]), f64::from(dy[i]));
                    let slope = (silu(g + 1e-5) - silu(g - 1e-5)) / 2e-5;
                    assert!((f64::from(y[i]) - silu(g) * v).abs() < 1e-6, "{level:?}");
                    assert!((f64::from(dx[gate]) - d * v * slope).abs() < 2e-6, "{level:?}");
                    assert!((f64::from(dx[value]) - d * silu(g)).abs() < 1e-6, "{level:?}");
                }
            });
        }
    }

    #[test]
    fn the_number_of_threads_is_irrelevant() {
        let x = Random(6).numbers(3 * CHUNK + 5);
        assert_thread_count_is_irrelevant("GELU", || {
            let mut y = vec![0.0; x.len()];
            activation_forward(Activation::Gelu, &x, &mut y);
            y
        });
    }
}
