use super::*;
use crate::convolution::ConvolutionEpilogue;
use crate::convolution::tests::{reference, run};
use crate::reference::{Random, assert_close, assert_same_bits, at_every_level, doubles};

fn shape(channels: [usize; 2], batch: usize, input_size: [usize; 2], padding: [usize; 2]) -> Convolution {
    let [in_channels, out_channels] = channels;
    let (kernel, stride) = ([3, 3], [1, 1]);
    Convolution { batch, in_channels, out_channels, input_size, kernel, stride, padding, groups: 1 }
}

#[test]
fn values_and_gradients_agree_with_double_precision() {
    let mut random = Random(70);
    for case in 0..40 {
        let channels = [random.between(32, 70), random.between(32, 70)];
        let size = [random.between(6, 19), random.between(6, 19)];
        let padding = [random.between(0, 2), random.between(0, 2)];
        let shape = shape(channels, random.between(1, 4), size, padding);
        if !suits(&shape) {
            continue;
        }
        let (x, weight) = (random.numbers(shape.input_len()), random.numbers(shape.weight_len()));
        let dy = random.numbers(shape.output_len());
        let expected = reference(&shape, &x, &weight, &dy);
        at_every_level(|level| {
            let found = run(&shape, &x, &weight, &dy, Precision::F32);
            for (name, (found, expected)) in
                ["y", "dx", "dweight", "dbias"].into_iter().zip(found.iter().zip(&expected))
            {
                assert_close(
                    &format!("case {case}: {name} of {shape:?} at {level:?}"),
                    found,
                    expected,
                    1e-5,
                );
            }
        });
    }
}

/// The root of the mean squared error, by that of the values.
fn relative_error(found: &[f32], expected: &[f64]) -> f64 {
    let squares: f64 = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).powi(2)).sum();
    (squares / expected.iter().map(|e| e * e).sum::<f64>()).sqrt()
}

/// The documented error, on sums of 9 · 256 products.
#[test]
fn the_error_is_within_four_times_that_of_the_direct_sum() {
    let mut random = Random(71);
    let shape = shape([256, 32], 2, [8, 8], [1, 1]);
    let (x, weight) = (random.numbers(shape.input_len()), random.numbers(shape.weight_len()));
    let dy = random.numbers(shape.output_len());
    let expected = reference(&shape, &x, &weight, &dy);
    let found = run(&shape, &x, &weight, &dy, Precision::F32);
    // The same sums one after the other.
    let mut direct = vec![0.0; shape.output_len()];
    for (y, direct) in direct.iter_mut().enumerate() {
        let (plane, position) = (y / 64, y % 64);
        let (image, output) = (plane / 32, plane % 32);
        for input in 0..256 {
            for tap in 0..9 {
                let (row, column) =
                    ((position / 8 + tap / 3).wrapping_sub(1), (position % 8 + tap % 3).wrapping_sub(1));
                if row < 8 && column < 8 {
                    let x = x[(image * 256 + input) * 64 + row * 8 + column];
                    *direct += x * weight[(output * 256 + input) * 9 + tap];
                }
            }
        }
    }
    let (winograd, direct) = (relative_error(&found[0], &expected[0]), relative_error(&direct, &expected[0]));
    assert!(winograd < 4.0 * direct, "{winograd:e} next to {direct:e}");
    for (found, expected) in found.iter().zip(&expected) {
        let error = relative_error(found, expected);
        assert!(error < 3e-6, "relative error {error:e}");
    }
}

#[test]
fn small_layers_and_other_kernels_are_left_to_the_direct_sum() {
    let suitable = shape([32, 32], 1, [7, 7], [1, 1]);
    assert!(suits(&suitable));
    for other in [
        Convolution { in_channels: 31, ..suitable },
        Convolution { stride: [2, 2], ..suitable },
        Convolution { kernel: [1, 1], ..suitable },
        Convolution { groups: 2, ..suitable },
        Convolution { input_size: [2, 2], ..suitable },
    ] {
        assert!(!suits(&other), "{other:?}");
    }
}

#[test]
fn the_epilogue_is_that_of_the_direct_sum() {
    let mut random = Random(72);
    let shape = shape([32, 40], 2, [7, 9], [1, 1]);
    let (x, weight) = (random.numbers(shape.input_len()), random.numbers(shape.weight_len()));
    let [scale, bias] = [0, 0].map(|_| random.numbers(shape.out_channels));
    let residual = random.numbers(shape.output_len());
    let y = |epilogue: ConvolutionEpilogue<'_>| {
        let mut y = vec![0.0; shape.output_len()];
        forward(&shape, &x, &weight, &epilogue, &mut y);
        y
    };
    at_every_level(|_| {
        let plain = doubles(&y(ConvolutionEpilogue::default()));
        for with_residual in [false, true] {
            let residual = with_residual.then_some(&residual[..]);
            let epilogue =
                ConvolutionEpilogue { scale: Some(&scale), bias: Some(&bias), residual, relu: true };
            let expected: Vec<f64> = (0..plain.len())
                .map(|i| {
                    let channel = i / 63 % 40;
                    let sum = plain[i] * f64::from(scale[channel]) + f64::from(bias[channel]);
                    (sum + residual.map_or(0.0, |residual| f64::from(residual[i]))).max(0.0)
                })
                .collect();
            assert_close("after the epilogue", &y(epilogue), &expected, 1e-6);
        }
    });
}

#[test]
fn rounds_and_batches_do_not_matter() {
    // More panels than are held at once, and tiles of several images in one panel.
    let mut random = Random(73);
    let shape = shape([256, 32], 10, [14, 14], [1, 1]);
    let (x, weight) = (random.numbers(shape.input_len()), random.numbers(shape.weight_len()));
    let dy = random.numbers(shape.output_len());
    let [y, dx, ..] = run(&shape, &x, &weight, &dy, Precision::F32);
    let one = Convolution { batch: 1, ..shape };
    for image in 0..10 {
        let (inputs, outputs) = (one.input_len(), one.output_len());
        let (x, dy) = (&x[image * inputs..][..inputs], &dy[image * outputs..][..outputs]);
        let alone = run(&one, x, &weight, dy, Precision::F32);
        assert_same_bits("y", &alone[0], &y[image * outputs..][..outputs]);
        assert_same_bits("dx", &alone[1], &dx[image * inputs..][..inputs]);
    }
}
