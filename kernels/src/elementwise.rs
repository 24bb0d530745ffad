//! Sums and standardised channels, element by element.

use crate::Level;
use crate::parallel::{self, CHUNK};
use crate::simd::{load_some, simd_fn, store_some};
use rayon::prelude::*;

/// y = x + addend, which is repeated to the length of x.
///
/// # Panics
/// If lengths do not fit.
pub fn add(x: &[f32], addend: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "input and output have one length");
    if x.is_empty() {
        return;
    }
    let period = addend.len();
    assert!(period > 0 && x.len().is_multiple_of(period), "{period} numbers repeat in {}", x.len());
    let level = Level::current();
    let chunk = CHUNK.min(period);
    // A repetition is divided into the same chunks every time, the last of which may be shorter.
    x.par_chunks(period).zip(y.par_chunks_mut(period)).for_each(|(x, y)| {
        let chunks = x.par_chunks(chunk).zip(addend.par_chunks(chunk)).zip(y.par_chunks_mut(chunk));
        chunks.for_each(|((x, addend), y)| sum(level, x, addend, y));
    });
}

/// y += x.
///
/// # Panics
/// If lengths differ.
pub fn add_assign(y: &mut [f32], x: &[f32]) {
    assert_eq!(x.len(), y.len(), "both have one length");
    let level = Level::current();
    parallel::map(x, y, |x, y| accumulate(level, x, y));
}

/// The gradient of [`add`] to the addend: the sum of its repetitions, in their order.
///
/// # Panics
/// If the addend's length does not divide that of `dy`.
pub fn add_backward(dy: &[f32], daddend: &mut [f32]) {
    let period = daddend.len();
    if dy.is_empty() {
        return daddend.fill(0.0);
    }
    assert!(period > 0 && dy.len().is_multiple_of(period), "{period} numbers repeat in {}", dy.len());
    let level = Level::current();
    let chunk = CHUNK / 8;
    daddend.par_chunks_mut(chunk).enumerate().for_each(|(i, sums)| {
        sums.fill(0.0);
        let range = i * chunk..i * chunk + sums.len();
        dy.chunks_exact(period).for_each(|dy| accumulate(level, &dy[range.clone()], sums));
    });
}

/// y = (x − mean) / deviation by channel, of images `[batch, channels, positions]`; `mean` and `deviation` hold a number per
/// channel.
///
/// # Panics
/// If lengths do not fit.
pub fn standardise(x: &[f32], positions: usize, [mean, deviation]: [&[f32]; 2], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "input and output have one length");
    let level = Level::current();
    by_channel(x, positions, [mean, deviation], y, |x, [mean, deviation], y| {
        standardised(level, x, mean, deviation, y);
    });
}

/// The gradient of [`standardise`] to x.
///
/// # Panics
/// If lengths do not fit.
pub fn standardise_backward(dy: &[f32], positions: usize, deviation: &[f32], dx: &mut [f32]) {
    assert_eq!(dx.len(), dy.len(), "gradients have one length");
    let level = Level::current();
    by_channel(dy, positions, [deviation; 2], dx, |dy, [deviation, _], dx| {
        scaled(level, dy, 1.0 / deviation, dx);
    });
}

/// Runs `pass` on every channel of every image, with the channel's two numbers.
fn by_channel(
    x: &[f32],
    positions: usize,
    [first, second]: [&[f32]; 2],
    y: &mut [f32],
    pass: impl Fn(&[f32], [f32; 2], &mut [f32]) + Sync,
) {
    if x.is_empty() {
        return;
    }
    let channels = first.len();
    let whole = channels > 0 && second.len() == channels && x.len().is_multiple_of(channels * positions);
    assert!(whole, "{} numbers are images of {channels} channels of {positions}", x.len());
    let planes = x.par_chunks(positions).zip(y.par_chunks_mut(positions)).enumerate();
    planes.for_each(|(plane, (x, y))| {
        let channel = plane % channels;
        pass(x, [first[channel], second[channel]], y);
    });
}

simd_fn! {
    fn sum(simd: S, x: &[f32], addend: &[f32], y: &mut [f32]) {
        for ((x, addend), y) in x.chunks(S::LANES).zip(addend.chunks(S::LANES)).zip(y.chunks_mut(S::LANES)) {
            store_some(simd, y, simd.add(load_some(simd, x), load_some(simd, addend)));
        }
    }
}

simd_fn! {
    /// y += x on this thread.
    fn accumulate(simd: S, x: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
            let total = simd.add(load_some(simd, y), load_some(simd, x));
            store_some(simd, y, total);
        }
    }
}

simd_fn! {
    fn standardised(simd: S, x: &[f32], mean: f32, deviation: f32, y: &mut [f32]) {
        let (mean, deviation) = (simd.splat(mean), simd.splat(deviation));
        for (x, y) in x.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
            store_some(simd, y, simd.div(simd.sub(load_some(simd, x), mean), deviation));
        }
    }
}

simd_fn! {
    fn scaled(simd: S, x: &[f32], factor: f32, y: &mut [f32]) {
        let factor = simd.splat(factor);
        for (x, y) in x.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
            store_some(simd, y, simd.mul(load_some(simd, x), factor));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Random, assert_same_bits, assert_thread_count_is_irrelevant, at_every_level};

    #[test]
    fn an_addend_is_repeated_and_its_gradient_is_the_sum_of_the_repetitions() {
        let mut random = Random(150);
        for _ in 0..60 {
            let (period, times) = (random.between(1, 5000), random.between(0, 9));
            let (x, addend) = (random.numbers(period * times), random.numbers(period));
            let sums: Vec<f32> = x.iter().enumerate().map(|(i, x)| x + addend[i % period]).collect();
            let gradient: Vec<f32> =
                (0..period).map(|i| x.chunks(period).fold(0.0, |total, dy| total + dy[i])).collect();
            at_every_level(|_| {
                let mut y = vec![9.0; x.len()];
                add(&x, &addend, &mut y);
                assert_same_bits("sum", &y, &sums);
                let mut daddend = vec![9.0; period];
                add_backward(&x, &mut daddend);
                assert_same_bits("gradient", &daddend, &gradient);
                if times == 1 {
                    let mut y = x.clone();
                    add_assign(&mut y, &addend);
                    assert_same_bits("in place", &y, &sums);
                }
            });
        }
    }

    #[test]
    fn channels_are_standardised_by_their_own_numbers() {
        let mut random = Random(151);
        for _ in 0..60 {
            let [batch, channels, positions] =
                [random.between(0, 3), random.between(1, 4), random.between(1, 700)];
            let x = random.numbers(batch * channels * positions);
            let (mean, deviation) = (random.numbers(channels), random.numbers(channels));
            let of = |numbers: &[f32], i: usize| numbers[i / positions % channels];
            let values: Vec<f32> =
                x.iter().enumerate().map(|(i, x)| (x - of(&mean, i)) / of(&deviation, i)).collect();
            let gradient: Vec<f32> =
                x.iter().enumerate().map(|(i, dy)| dy * (1.0 / of(&deviation, i))).collect();
            at_every_level(|_| {
                let mut y = vec![9.0; x.len()];
                standardise(&x, positions, [&mean, &deviation], &mut y);
                assert_same_bits("values", &y, &values);
                standardise_backward(&x, positions, &deviation, &mut y);
                assert_same_bits("gradient", &y, &gradient);
            });
        }
    }

    #[test]
    fn threads_do_not_matter() {
        let mut random = Random(152);
        let (x, addend) = (random.numbers(5 * 40_000), random.numbers(40_000));
        assert_thread_count_is_irrelevant("elementwise", || {
            let (mut y, mut daddend, mut z) = (vec![0.0; x.len()], vec![0.0; addend.len()], x.clone());
            add(&x, &addend, &mut y);
            add_backward(&x, &mut daddend);
            add_assign(&mut z, &y);
            standardise(&z, 8_000, [&addend[..5], &addend[5..10]], &mut y);
            [y, daddend].concat()
        });
    }

    #[test]
    #[should_panic(expected = "3 numbers repeat in 4")]
    fn an_addend_that_does_not_fit_is_refused() {
        add(&[0.0; 4], &[0.0; 3], &mut [0.0; 4]);
    }
}
