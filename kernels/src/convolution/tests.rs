use super::*;
use crate::Bf16;
use crate::reference::{
    Random, assert_close, assert_same_bits, assert_thread_count_is_irrelevant, at_every_level, doubles,
};

const F32: Precision = Precision::F32;

/// (y, dx, dweight, dbias) by the definition, in double precision.
pub(super) fn reference(shape: &Convolution, x: &[f32], weight: &[f32], dy: &[f32]) -> [Vec<f64>; 4] {
    let (x, weight, dy) = (doubles(x), doubles(weight), doubles(dy));
    let ([height, width], [rows, columns]) = (shape.input_size, shape.output_size());
    let zeros = |n: usize| vec![0.0; n];
    let mut r = [zeros(dy.len()), zeros(x.len()), zeros(weight.len()), zeros(shape.out_channels)];
    let (inputs, outputs) = (shape.in_channels / shape.groups, shape.out_channels / shape.groups);
    for image in 0..shape.batch {
        for output in 0..shape.out_channels {
            for row in 0..rows {
                for column in 0..columns {
                    let y = ((image * shape.out_channels + output) * rows + row) * columns + column;
                    r[3][output] += dy[y];
                    for input in 0..inputs {
                        for tap in 0..shape.kernel[0] * shape.kernel[1] {
                            let i = (row * shape.stride[0] + tap / shape.kernel[1])
                                .wrapping_sub(shape.padding[0]);
                            let j = (column * shape.stride[1] + tap % shape.kernel[1])
                                .wrapping_sub(shape.padding[1]);
                            if i >= height || j >= width {
                                continue;
                            }
                            let channel = image * shape.in_channels + output / outputs * inputs + input;
                            let element = (channel * height + i) * width + j;
                            let w = (output * inputs + input) * shape.kernel[0] * shape.kernel[1] + tap;
                            r[0][y] += x[element] * weight[w];
                            r[1][element] += dy[y] * weight[w];
                            r[2][w] += dy[y] * x[element];
                        }
                    }
                }
            }
        }
    }
    r
}

fn random_shape(random: &mut Random) -> Convolution {
    let kernel = [[1, 1], [3, 3], [3, 3], [7, 7], [2, 2], [3, 1]][random.between(0, 5)];
    let groups = if random.between(0, 3) == 0 { random.between(1, 4) } else { 1 };
    Convolution {
        batch: random.between(1, 3),
        in_channels: groups * random.between(1, 9),
        out_channels: groups * random.between(1, 20),
        input_size: [random.between(7, 13), random.between(7, 13)],
        kernel,
        stride: [random.between(1, 2), random.between(1, 2)],
        padding: [random.between(0, kernel[0] / 2 + 1), random.between(0, kernel[1] / 2 + 1)],
        groups,
    }
}

/// (y, dx, dweight, dbias) by the kernels.
pub(super) fn run(
    shape: &Convolution,
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    precision: Precision,
) -> [Vec<f32>; 4] {
    let (mut y, mut dx) = (vec![9.0; dy.len()], vec![9.0; x.len()]);
    let (mut dweight, mut dbias) = (vec![9.0; weight.len()], vec![9.0; shape.out_channels]);
    convolution_forward(shape, x, weight, ConvolutionEpilogue::default(), &mut y, precision);
    convolution_input_gradient(shape, dy, weight, &mut dx, precision);
    convolution_weight_gradient(shape, x, dy, &mut dweight, Some(&mut dbias), precision);
    [y, dx, dweight, dbias]
}

#[test]
fn values_and_gradients_agree_with_double_precision() {
    let mut random = Random(50);
    for _ in 0..250 {
        let shape = random_shape(&mut random);
        let (x, weight) = (random.numbers(shape.input_len()), random.numbers(shape.weight_len()));
        let dy = random.numbers(shape.output_len());
        let expected = reference(&shape, &x, &weight, &dy);
        at_every_level(|level| {
            let found = run(&shape, &x, &weight, &dy, F32);
            for (name, (found, expected)) in
                ["y", "dx", "dweight", "dbias"].into_iter().zip(found.iter().zip(&expected))
            {
                assert_close(&format!("{name} of {shape:?} at {level:?}"), found, expected, 5e-6);
            }
        });
    }
}

/// Shapes whose sums are longer than a block, one of them Winograd's.
fn long_shapes() -> [Convolution; 4] {
    let shape = Convolution {
        batch: 2,
        in_channels: 150,
        out_channels: 70,
        input_size: [5, 6],
        kernel: [3, 3],
        stride: [1, 1],
        padding: [1, 1],
        groups: 1,
    };
    let strided = Convolution { stride: [2, 2], padding: [0, 0], ..shape };
    let pointwise = Convolution { kernel: [1, 1], padding: [0, 0], ..shape };
    [shape, strided, Convolution { groups: 2, ..strided }, pointwise]
}

#[test]
fn long_sums_and_bfloat16_agree_with_double_precision() {
    for shape in long_shapes() {
        let mut random = Random(51);
        let (x, weight) = (random.numbers(shape.input_len()), random.numbers(shape.weight_len()));
        let dy = random.numbers(shape.output_len());
        let expected = reference(&shape, &x, &weight, &dy);
        at_every_level(|level| {
            for (precision, tolerance) in [(F32, 5e-6), (Precision::Bf16, 5e-3)] {
                let found = run(&shape, &x, &weight, &dy, precision);
                for (found, expected) in found.iter().zip(&expected) {
                    assert_close(
                        &format!("{shape:?} {precision:?} at {level:?}"),
                        found,
                        expected,
                        tolerance,
                    );
                }
            }
        });
    }
}

#[test]
fn images_stored_in_bfloat16_are_computed_with_as_their_values_are() {
    let mut random = Random(54);
    let mut shapes: Vec<_> = (0..60).map(|_| random_shape(&mut random)).collect();
    shapes.extend(long_shapes());
    shapes.push(Convolution { kernel: [1, 1], padding: [0, 0], in_channels: 700, ..long_shapes()[0] });
    for shape in shapes {
        let narrow = |numbers: &[f32]| numbers.iter().map(|x| Bf16::from(*x)).collect::<Vec<_>>();
        let wide = |numbers: &[Bf16]| numbers.iter().map(|x| f32::from(*x)).collect::<Vec<_>>();
        let (x, weight) = (narrow(&random.numbers(shape.input_len())), random.numbers(shape.weight_len()));
        let (dy, residual) =
            (narrow(&random.numbers(shape.output_len())), random.numbers(shape.output_len()));
        at_every_level(|level| {
            for precision in [F32, Precision::Bf16] {
                let what = format!("{shape:?} {precision:?} at {level:?}");
                let expected = run(&shape, &wide(&x), &weight, &wide(&dy), precision);
                for residual in [None, Some(&residual[..])] {
                    let epilogue = ConvolutionEpilogue { residual, relu: true, ..Default::default() };
                    let (mut y, mut exact) = (vec![Bf16::default(); dy.len()], vec![9.0; dy.len()]);
                    convolution_forward(&shape, &x, &weight, epilogue, &mut y, precision);
                    convolution_forward(&shape, &wide(&x), &weight, epilogue, &mut exact, precision);
                    assert_eq!(y, narrow(&exact), "{what}");
                }
                let (mut dx, mut dweight) = (vec![9.0; x.len()], vec![9.0; weight.len()]);
                let mut dbias = vec![9.0; shape.out_channels];
                convolution_input_gradient(&shape, &dy, &weight, &mut dx, precision);
                assert_same_bits(&what, &dx, &expected[1]);
                let (x, dbias_room) = (wide(&x), Some(&mut dbias[..]));
                convolution_weight_gradient(&shape, &x, &dy, &mut dweight, dbias_room, precision);
                assert_same_bits(&what, &dbias, &expected[3]);
                match precision {
                    // By Winograd's algorithm only where both are stored in full.
                    F32 => assert_close(&what, &dweight, &doubles(&expected[2]), 5e-6),
                    Precision::Bf16 => assert_same_bits(&what, &dweight, &expected[2]),
                }
            }
        });
    }
}

#[test]
fn filters_packed_before_make_no_difference() {
    let mut random = Random(53);
    let mut packed_at_all = 0;
    for _ in 0..40 {
        let shape = random_shape(&mut random);
        let (x, weight) = (random.numbers(shape.input_len()), random.numbers(shape.weight_len()));
        at_every_level(|level| {
            let Some(packed) = PackedFilters::new(&shape, &weight) else { return };
            packed_at_all += 1;
            assert!(packed.bytes() >= weight.len() * 2);
            for precision in [F32, Precision::Bf16] {
                let run = |filters: Filters<'_>| {
                    let mut y = vec![9.0; shape.output_len()];
                    convolution_forward(
                        &shape,
                        &x,
                        filters,
                        ConvolutionEpilogue::default(),
                        &mut y,
                        precision,
                    );
                    y
                };
                let found = run(Filters::from(&weight).packed(&packed));
                let what = format!("{shape:?} {precision:?} at {level:?}");
                assert_same_bits(&what, &found, &run(Filters::from(&weight)));
            }
        });
    }
    assert!(packed_at_all > 40, "most shapes are not Winograd's: {packed_at_all}");
}

#[test]
fn the_epilogue_scales_adds_bias_and_residual_and_cuts_at_zero() {
    let mut random = Random(52);
    for _ in 0..30 {
        let shape = random_shape(&mut random);
        let (x, weight) = (random.numbers(shape.input_len()), random.numbers(shape.weight_len()));
        let [scale, bias] = [0, 0].map(|_| random.numbers(shape.out_channels));
        let residual = random.numbers(shape.output_len());
        at_every_level(|level| {
            let mut plain = vec![0.0; residual.len()];
            convolution_forward(&shape, &x, &weight, ConvolutionEpilogue::default(), &mut plain, F32);
            let positions: usize = shape.output_size().iter().product();
            let run = |shape: &Convolution, x: &[f32], scale, residual| {
                let epilogue = ConvolutionEpilogue { scale, bias: Some(&bias), residual, relu: true };
                let mut y = vec![0.0; shape.output_len()];
                convolution_forward(shape, x, &weight, epilogue, &mut y, F32);
                y
            };
            let unscaled = run(&shape, &x, None, Some(&residual));
            let scaled = run(&shape, &x, Some(&scale[..]), Some(&residual));
            for i in 0..plain.len() {
                let channel = i / positions % shape.out_channels;
                let sum = plain[i] + bias[channel] + residual[i];
                assert_eq!(unscaled[i], sum.max(0.0), "element {i} at {level:?}");
                // Not every level rounds once where it multiplies and adds.
                let sum = plain[i].mul_add(scale[channel], bias[channel]) + residual[i];
                assert!((scaled[i] - sum.max(0.0)).abs() <= 1e-6, "element {i} at {level:?}");
            }
            let one = Convolution { batch: 1, ..shape };
            let (x, residual) = (&x[..one.input_len()], &residual[..one.output_len()]);
            let alone = run(&one, x, Some(&scale[..]), Some(residual));
            assert_same_bits("one image", &alone, &scaled[..one.output_len()]);
        });
    }
}

#[test]
fn neither_threads_nor_other_images_matter() {
    let mut random = Random(53);
    for stride in [1, 2] {
        let shape = Convolution {
            batch: 5,
            in_channels: 80,
            out_channels: 40,
            input_size: [7, 7],
            kernel: [3, 3],
            stride: [stride, stride],
            padding: [1, 1],
            groups: 1,
        };
        let (x, weight) = (random.numbers(shape.input_len()), random.numbers(shape.weight_len()));
        let dy = random.numbers(shape.output_len());
        for precision in [F32, Precision::Bf16] {
            assert_thread_count_is_irrelevant("convolution", || {
                run(&shape, &x, &weight, &dy, precision).concat()
            });
            at_every_level(|_| {
                let [y, dx, ..] = run(&shape, &x, &weight, &dy, precision);
                let (input, output) = (x.len() / 5, y.len() / 5);
                let one = Convolution { batch: 1, ..shape };
                for image in 0..5 {
                    let (inputs, outputs) =
                        (image * input..(image + 1) * input, image * output..(image + 1) * output);
                    let alone = run(&one, &x[inputs.clone()], &weight, &dy[outputs.clone()], precision);
                    assert_same_bits("y", &alone[0], &y[outputs]);
                    assert_same_bits("dx", &alone[1], &dx[inputs]);
                }
            });
        }
    }
}

#[test]
#[should_panic(expected = "does not fit into the padded input")]
fn a_kernel_larger_than_the_input_is_refused() {
    let shape = Convolution {
        batch: 1,
        in_channels: 1,
        out_channels: 1,
        input_size: [2, 2],
        kernel: [3, 3],
        stride: [1, 1],
        padding: [0, 0],
        groups: 1,
    };
    shape.output_size();
}
