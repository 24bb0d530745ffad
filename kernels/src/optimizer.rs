//! Optimizer steps in place, one pass over the parameters.

use crate::Level;
use crate::parallel::CHUNK;
use crate::simd::{load_some, simd_fn, store_some};
use rayon::prelude::*;

/// AdamW: Adam (Kingma and Ba, 2015) with decoupled weight decay (Loshchilov and Hutter, 2019), in PyTorch's
/// order of operations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the mean square.
    pub epsilon: f64,
    /// Fraction of the parameters, times the learning rate, taken away at each step.
    pub weight_decay: f64,
}

/// One step of [`AdamW`], the `step`th (from 1). The moments begin as zeros.
///
/// # Panics
/// If lengths differ or `step` is 0.
pub fn adamw_step(
    adamw: &AdamW,
    step: u32,
    parameters: &mut [f32],
    gradients: &[f32],
    first_moment: &mut [f32],
    second_moment: &mut [f32],
) {
    assert!(step > 0, "steps count from 1");
    let count = parameters.len();
    assert!(
        gradients.len() == count && first_moment.len() == count && second_moment.len() == count,
        "parameters, gradients and moments have one length"
    );
    let level = Level::current();
    let step = step.min(i32::MAX as u32) as i32;
    let factors = AdamWFactors {
        decay: (1.0 - adamw.learning_rate * adamw.weight_decay) as f32,
        beta2: adamw.beta2 as f32,
        first_weight: (1.0 - adamw.beta1) as f32,
        second_weight: (1.0 - adamw.beta2) as f32,
        step_size: (adamw.learning_rate / (1.0 - adamw.beta1.powi(step))) as f32,
        root_scale: (1.0 / (1.0 - adamw.beta2.powi(step)).sqrt()) as f32,
        epsilon: adamw.epsilon as f32,
    };
    let moments = first_moment.par_chunks_mut(CHUNK).zip(second_moment.par_chunks_mut(CHUNK));
    parameters.par_chunks_mut(CHUNK).zip(gradients.par_chunks(CHUNK)).zip(moments).for_each(
        |((parameters, gradients), (first, second))| {
            adamw_pass(level, factors, parameters, gradients, first, second)
        },
    );
}

#[derive(Clone, Copy)]
struct AdamWFactors {
    decay: f32,
    beta2: f32,
    first_weight: f32,
    second_weight: f32,
    step_size: f32,
    root_scale: f32,
    epsilon: f32,
}

simd_fn! {
    fn adamw_pass(
        simd: S,
        factors: AdamWFactors,
        parameters: &mut [f32],
        gradients: &[f32],
        first_moment: &mut [f32],
        second_moment: &mut [f32],
    ) {
        let (decay, beta2) = (simd.splat(factors.decay), simd.splat(factors.beta2));
        let (first_weight, second_weight) =
            (simd.splat(factors.first_weight), simd.splat(factors.second_weight));
        let (step_size, root_scale) = (simd.splat(-factors.step_size), simd.splat(factors.root_scale));
        let epsilon = simd.splat(factors.epsilon);
        for i in (0..parameters.len()).step_by(S::LANES) {
            let gradient = load_some(simd, &gradients[i..]);
            let first = load_some(simd, &first_moment[i..]);
            let first = simd.mul_add(simd.sub(gradient, first), first_weight, first);
            let square = simd.mul(simd.mul(gradient, gradient), second_weight);
            let second = simd.mul_add(load_some(simd, &second_moment[i..]), beta2, square);
            let root = simd.mul_add(simd.sqrt(second), root_scale, epsilon);
            let kept = simd.mul(load_some(simd, &parameters[i..]), decay);
            store_some(simd, &mut parameters[i..], simd.mul_add(step_size, simd.div(first, root), kept));
            store_some(simd, &mut first_moment[i..], first);
            store_some(simd, &mut second_moment[i..], second);
        }
    }
}

/// Stochastic gradient descent with momentum, in PyTorch's order of operations (no dampening).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the sum of gradients.
    pub momentum: f64,
    /// Look ahead along the momentum (Nesterov).
    pub nesterov: bool,
    /// Fraction of the parameters added to their gradients.
    pub weight_decay: f64,
}

/// One step of [`Sgd`]. The velocity begins as zeros.
///
/// # Panics
/// If lengths differ.
pub fn sgd_step(sgd: &Sgd, parameters: &mut [f32], gradients: &[f32], velocity: &mut [f32]) {
    let count = parameters.len();
    assert!(
        gradients.len() == count && velocity.len() == count,
        "parameters, gradients and velocity have one length"
    );
    let (level, sgd) = (Level::current(), *sgd);
    parameters
        .par_chunks_mut(CHUNK)
        .zip(gradients.par_chunks(CHUNK))
        .zip(velocity.par_chunks_mut(CHUNK))
        .for_each(|((parameters, gradients), velocity)| {
            sgd_pass(level, sgd, parameters, gradients, velocity)
        });
}

simd_fn! {
    fn sgd_pass(simd: S, sgd: Sgd, parameters: &mut [f32], gradients: &[f32], velocity: &mut [f32]) {
        let (momentum, decay) = (simd.splat(sgd.momentum as f32), simd.splat(sgd.weight_decay as f32));
        let step_size = simd.splat(-sgd.learning_rate as f32);
        for i in (0..parameters.len()).step_by(S::LANES) {
            let parameter = load_some(simd, &parameters[i..]);
            let gradient = simd.mul_add(parameter, decay, load_some(simd, &gradients[i..]));
            let speed = simd.mul_add(load_some(simd, &velocity[i..]), momentum, gradient);
            let direction = if sgd.nesterov { simd.mul_add(speed, momentum, gradient) } else { speed };
            store_some(simd, &mut parameters[i..], simd.mul_add(direction, step_size, parameter));
            store_some(simd, &mut velocity[i..], speed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{
        Random, assert_close, assert_thread_count_is_irrelevant, at_every_level, doubles,
    };

    const ADAMW: AdamW =
        AdamW { learning_rate: 3e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1 };

    /// Ten steps from zeros, each with its own gradients.
    fn ten_adamw_steps(parameters: &[f32], gradients: &[Vec<f32>]) -> [Vec<f32>; 3] {
        let zeros = vec![0.0; parameters.len()];
        let mut state = [parameters.to_vec(), zeros.clone(), zeros];
        for (step, gradients) in gradients.iter().enumerate() {
            let [parameters, first, second] = &mut state;
            adamw_step(&ADAMW, step as u32 + 1, parameters, gradients, first, second);
        }
        state
    }

    #[test]
    fn adamw_follows_the_paper() {
        let mut random = Random(80);
        for count in [0, 1, 5, 16, 100] {
            let parameters = random.numbers(count);
            let gradients: Vec<_> = (0..10).map(|_| random.numbers(count)).collect();
            let mut expected = [doubles(&parameters), vec![0.0; count], vec![0.0; count]];
            for (step, gradients) in gradients.iter().enumerate() {
                for (i, gradient) in doubles(gradients).into_iter().enumerate() {
                    let [parameters, first, second] = &mut expected;
                    first[i] = ADAMW.beta1 * first[i] + (1.0 - ADAMW.beta1) * gradient;
                    second[i] = ADAMW.beta2 * second[i] + (1.0 - ADAMW.beta2) * gradient * gradient;
                    let steps = step as i32 + 1;
                    let mean = first[i] / (1.0 - ADAMW.beta1.powi(steps));
                    let square: f64 = second[i] / (1.0 - ADAMW.beta2.powi(steps));
                    let decayed = ADAMW.weight_decay * parameters[i];
                    parameters[i] -= ADAMW.learning_rate * (mean / (square.sqrt() + ADAMW.epsilon) + decayed);
                }
            }
            at_every_level(|level| {
                let found = ten_adamw_steps(&parameters, &gradients);
                for (found, expected) in found.iter().zip(&expected) {
                    assert_close(&format!("AdamW of {count} at {level:?}"), found, expected, 2e-6);
                }
            });
        }
    }

    #[test]
    fn sgd_follows_its_definition() {
        let mut random = Random(81);
        for (nesterov, momentum) in [(false, 0.0), (false, 0.9), (true, 0.9)] {
            let sgd = Sgd { learning_rate: 0.1, momentum, nesterov, weight_decay: 5e-2 };
            let start = random.numbers(77);
            let gradients: Vec<_> = (0..10).map(|_| random.numbers(77)).collect();
            let (mut expected, mut speed) = (doubles(&start), vec![0.0; 77]);
            for gradients in &gradients {
                for (i, gradient) in doubles(gradients).into_iter().enumerate() {
                    let gradient = gradient + sgd.weight_decay * expected[i];
                    speed[i] = momentum * speed[i] + gradient;
                    let direction = if nesterov { gradient + momentum * speed[i] } else { speed[i] };
                    expected[i] -= sgd.learning_rate * direction;
                }
            }
            at_every_level(|level| {
                let (mut parameters, mut velocity) = (start.clone(), vec![0.0; 77]);
                gradients.iter().for_each(|g| sgd_step(&sgd, &mut parameters, g, &mut velocity));
                assert_close(&format!("{sgd:?} at {level:?}"), &parameters, &expected, 2e-6);
                assert_close("velocity", &velocity, &speed, 2e-6);
            });
        }
    }

    #[test]
    fn the_number_of_threads_is_irrelevant() {
        let mut random = Random(82);
        let count = 3 * CHUNK + 7;
        let (parameters, gradients) = (random.numbers(count), vec![random.numbers(count)]);
        assert_thread_count_is_irrelevant("AdamW", || ten_adamw_steps(&parameters, &gradients).concat());
    }
}
