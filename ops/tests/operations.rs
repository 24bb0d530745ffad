//! Every operation against its definition, written here as plain loops in double precision: the value, and the gradient
//! to every input against central differences of that definition; on the CPU, and on every other device that the build
//! has.
//!
//! Nothing here depends on how an operation is implemented. Sizes are odd, so that vector code reaches its tails.

mod common;

use archaeo_ops as ops;
use archaeo_ops::Precision::{self, F32};
use archaeo_ops::{ChannelEpilogue, Convolution, MlpActivation};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use common::{Input, devices, input};

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    let values: Vec<f32> = tensor.inner().into_data().try_into_vec().expect("a tensor of 32-bit floats");
    values.into_iter().map(f64::from).collect()
}

fn assert_close(what: &str, ours: &[f64], exact: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), exact.len(), "{what}: the lengths differ");
    let largest = exact.iter().fold(1e-3f64, |largest, value| value.abs().max(largest));
    for (index, (ours, exact)) in ours.iter().zip(exact).enumerate() {
        let difference = (ours - exact).abs() / largest;
        assert!(difference <= tolerance, "{what}[{index}]: {ours}, exactly {exact}");
    }
}

/// Runs `operation` on flat leaves (it reshapes them itself) and compares value and gradients with `definition`.
fn check(
    what: &str,
    inputs: &[Input],
    operation: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    definition: impl Fn(&[Vec<f64>]) -> Vec<f64>,
) {
    let exact_inputs: Vec<Vec<f64>> = inputs.iter().map(|input| input.values.clone()).collect();
    let exact = definition(&exact_inputs);
    // A random mix of the outputs, so that no two of their gradients can cancel unnoticed.
    let mix = input(&[exact.len()], 99, 1.0);
    let objective = |inputs: &[Vec<f64>]| {
        definition(inputs).iter().zip(&mix.values).map(|(value, weight)| value * weight).sum::<f64>()
    };
    let differences: Vec<Vec<f64>> = (0..inputs.len())
        .map(|position| {
            let mut shifted = exact_inputs.clone();
            let mut slope = |index: usize| {
                let (at, step) = (exact_inputs[position][index], 1e-5);
                let mut value_at = |value| {
                    shifted[position][index] = value;
                    objective(&shifted)
                };
                let difference = (value_at(at + step) - value_at(at - step)) / (2.0 * step);
                value_at(at);
                difference
            };
            (0..exact_inputs[position].len()).map(&mut slope).collect()
        })
        .collect();

    for device in devices() {
        let what = format!("{what} on {device:?}");
        let device = device.autodiff();
        let leaf = |input: &Input| {
            Tensor::from_data(TensorData::new(input.singles(), [input.values.len()]), &device).require_grad()
        };
        let leaves: Vec<Tensor<1>> = inputs.iter().map(leaf).collect();
        let output = operation(&leaves);
        assert_close(&what, &values(output.clone()), &exact, 2e-6);

        let unwatched: Vec<Tensor<1>> = leaves.iter().map(|leaf| leaf.clone().inner()).collect();
        assert_close(&format!("{what} without gradients"), &values(operation(&unwatched)), &exact, 2e-6);

        let mixed = output * Tensor::from_data(TensorData::new(mix.singles(), [exact.len()]), &device);
        let gradients = mixed.sum().backward();
        for (position, leaf) in leaves.iter().enumerate() {
            let gradient =
                leaf.grad(&gradients).unwrap_or_else(|| panic!("{what}: input {position} has no gradient"));
            let label = format!("{what}: gradient of input {position} {:?}", inputs[position].shape);
            assert_close(&label, &values(gradient), &differences[position], 1e-5);
        }
    }
}

fn shape<const D: usize>(input: &Input) -> [usize; D] {
    input.shape.clone().try_into().expect("the rank is D")
}

#[test]
fn linear_is_x_times_weight_transposed_plus_bias() {
    for (rows, features, outputs) in [(1, 1, 1), (5, 37, 19), (6, 16, 33)] {
        let inputs = [
            input(&[rows, features], 1, 1.0),
            input(&[outputs, features], 2, 1.0),
            input(&[outputs], 3, 1.0),
        ];
        let product = |v: &[Vec<f64>], bias: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let dot = |row: usize, out: usize| -> f64 {
                (0..features).map(|i| v[0][row * features + i] * v[1][out * features + i]).sum()
            };
            (0..rows * outputs).map(|at| dot(at / outputs, at % outputs) + bias(at % outputs)).collect()
        };
        check(
            "linear",
            &inputs,
            |v| {
                let x = v[0].clone().reshape([rows, features]);
                let weight = v[1].clone().reshape([outputs, features]);
                ops::linear(x, weight, Some(v[2].clone()), F32).reshape([-1])
            },
            |v| product(v, &|out| v[2][out]),
        );
        check(
            "linear without bias",
            &inputs[..2],
            |v| {
                let x = v[0].clone().reshape([1, rows, features]);
                ops::linear(x, v[1].clone().reshape([outputs, features]), None, F32).reshape([-1])
            },
            |v| product(v, &|_| 0.0),
        );
        let onto: Vec<Input> = inputs.iter().cloned().chain([input(&[rows, outputs], 4, 1.0)]).collect();
        check(
            "linear onto a residual",
            &onto,
            |v| {
                let x = v[0].clone().reshape([rows, features]);
                let weight = v[1].clone().reshape([outputs, features]);
                let residual = v[3].clone().reshape([rows, outputs]);
                ops::linear_onto(residual, x, weight, Some(v[2].clone()), F32).reshape([-1])
            },
            |v| product(v, &|out| v[2][out]).iter().zip(&v[3]).map(|(y, residual)| y + residual).collect(),
        );
    }
}

/// A weight without gradients is packed once and kept, which must not affect results.
#[test]
fn a_constant_weight_is_followed_wherever_it_goes() {
    let (rows, inputs, outputs) = (5, 37, 70);
    let numbers = |seed, shape: &[usize]| input(shape, seed, 1.0).values;
    for device in devices() {
        let x: Tensor<2> = tensor(&numbers(1, &[rows, inputs]), [rows, inputs], &device);
        let weight = |seed| tensor::<2>(&numbers(seed, &[outputs, inputs]), [outputs, inputs], &device);
        let product = |weight: &Tensor<2>| values(ops::linear(x.clone(), weight.clone(), None, F32));
        // Memory is freed and reused for other weights, each of which is multiplied often enough to be kept.
        for seed in 2..40 {
            let mut weight = weight(seed);
            let expected = values(x.clone().matmul(weight.clone().transpose()));
            for time in 0..3 {
                assert_close(&format!("weight {seed}, product {time}"), &product(&weight), &expected, 2e-6);
            }
            weight = weight * 2.0;
            let doubled: Vec<f64> = expected.iter().map(|y| 2.0 * y).collect();
            for time in 0..3 {
                assert_close(
                    &format!("weight {seed} doubled, product {time}"),
                    &product(&weight),
                    &doubled,
                    2e-6,
                );
            }
            // Some of its rows are other memory of the same tensor.
            let part = weight.clone().narrow(0, 3, outputs - 3);
            let columns = tensor::<2>(&doubled, [rows, outputs], &device).narrow(1, 3, outputs - 3);
            for time in 0..3 {
                let what = format!("rows of weight {seed}, product {time}");
                assert_close(&what, &product(&part), &values(columns.clone()), 2e-6);
            }
        }

        // Through an input's gradient, too.
        let device = device.autodiff();
        let weight = tensor::<2>(&numbers(2, &[outputs, inputs]), [outputs, inputs], &device);
        let gradients: Vec<Vec<f64>> = (0..3)
            .map(|_| {
                let x: Tensor<2> =
                    tensor(&numbers(1, &[rows, inputs]), [rows, inputs], &device).require_grad();
                let gradients = ops::linear(x.clone(), weight.clone(), None, F32).sum().backward();
                values(x.grad(&gradients).expect("a gradient"))
            })
            .collect();
        let column_sums = values(weight.clone().sum_dim(0));
        for gradient in gradients {
            assert_close("gradient", &gradient, &column_sums.repeat(rows), 2e-6);
        }
    }
}

#[test]
fn gathered_rows_come_from_their_sources_and_their_gradients_go_back() {
    let [batch, rows, width] = [2, 5, 7];
    let sources = [Some(3), None, Some(0), Some(4), None, Some(1)];
    check(
        "gather_rows",
        &[input(&[batch, rows, width], 5, 1.0)],
        |v| ops::gather_rows(v[0].clone().reshape([batch, rows, width]), &sources).reshape([-1]),
        |v| {
            let row = |image: usize, source: Option<usize>| match source {
                Some(source) => v[0][(image * rows + source) * width..][..width].to_vec(),
                None => vec![0.0; width],
            };
            let places = (0..batch).flat_map(|image| sources.map(|source| (image, source)));
            places.flat_map(|(image, source)| row(image, source)).collect()
        },
    );
}

/// The normal distribution function, by Simpson's rule on its density.
fn normal_cdf(x: f64) -> f64 {
    let density = |t: f64| (-t * t / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let intervals = 400;
    let width = x / f64::from(intervals);
    let inner: f64 =
        (1..intervals).map(|i| density(f64::from(i) * width) * if i % 2 == 0 { 2.0 } else { 4.0 }).sum();
    0.5 + width / 3.0 * (density(0.0) + inner + density(x))
}

#[test]
fn gelu_is_x_times_the_normal_distribution_function() {
    let x = input(&[203], 4, 6.0);
    check("gelu", &[x], |v| ops::gelu(v[0].clone()), |v| v[0].iter().map(|x| x * normal_cdf(*x)).collect());
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn quick_gelu_is_x_times_the_sigmoid_of_1_702_x() {
    let exact = |v: &[Vec<f64>]| v[0].iter().map(|x| x * sigmoid(1.702 * x)).collect();
    check("quick gelu", &[input(&[53], 5, 4.0)], |v| ops::quick_gelu(v[0].clone()), exact);
}

#[test]
fn swiglu_is_the_silu_of_the_first_half_times_the_second() {
    let (rows, hidden) = (3, 21);
    let exact = |v: &[Vec<f64>]| {
        let at = |row: usize, i: usize| (v[0][2 * row * hidden + i], v[0][(2 * row + 1) * hidden + i]);
        let product = |(gate, value): (f64, f64)| gate * sigmoid(gate) * value;
        (0..rows * hidden).map(|k| product(at(k / hidden, k % hidden))).collect()
    };
    let operation = |v: &[Tensor<1>]| ops::swiglu(v[0].clone().reshape([1, rows, 2 * hidden])).reshape([-1]);
    check("swiglu", &[input(&[rows, 2 * hidden], 6, 3.0)], operation, exact);
}

/// Inputs of an MLP: `x`, weights and biases of both layers.
fn mlp_inputs([rows, width, hidden, out]: [usize; 4]) -> [Input; 5] {
    [
        input(&[rows, width], 11, 1.0),
        input(&[hidden, width], 12, 0.5),
        input(&[hidden], 13, 0.5),
        input(&[out, hidden], 14, 0.5),
        input(&[out], 15, 0.5),
    ]
}

#[test]
fn mlp_has_the_bits_of_its_parts_and_the_gradients_of_its_definition() {
    let [rows, width, hidden, out] = [5, 19, 37, 23];
    let inputs = mlp_inputs([rows, width, hidden, out]);
    let parts = |v: &[Tensor<1>]| {
        let x = v[0].clone().reshape([1, rows, width]);
        let weights = [v[1].clone().reshape([hidden, width]), v[3].clone().reshape([out, hidden])];
        (x, weights, [v[2].clone(), v[4].clone()])
    };
    let exact = |v: &[Vec<f64>], activation: &dyn Fn(f64) -> f64| {
        let layer = |x: &[f64], w: &[f64], b: &[f64]| -> Vec<f64> {
            let width = w.len() / b.len();
            let dot = |i: usize| x.iter().zip(&w[i * width..]).map(|(x, w)| x * w).sum::<f64>() + b[i];
            (0..b.len()).map(dot).collect()
        };
        let row = |x: &[f64]| {
            let hidden: Vec<f64> = layer(x, &v[1], &v[2]).into_iter().map(activation).collect();
            layer(&hidden, &v[3], &v[4])
        };
        v[0].chunks(width).flat_map(row).collect::<Vec<f64>>()
    };
    let mlp = |v: &[Tensor<1>], activation| {
        let (x, weights, biases) = parts(v);
        ops::mlp(x, weights, biases, activation, None, F32).reshape([-1])
    };
    let gelu = |x: f64| x * normal_cdf(x);
    check("mlp", &inputs, |v| mlp(v, MlpActivation::Gelu), |v| exact(v, &gelu));
    let quick = |x: f64| x * sigmoid(1.702 * x);
    check("quick mlp", &inputs, |v| mlp(v, MlpActivation::QuickGelu), |v| exact(v, &quick));
    let onto: Vec<Input> = inputs.iter().cloned().chain([input(&[rows, out], 16, 1.0)]).collect();
    check(
        "mlp onto a residual",
        &onto,
        |v| {
            let (x, weights, biases) = parts(v);
            let residual = v[5].clone().reshape([1, rows, out]);
            ops::mlp(x, weights, biases, MlpActivation::Gelu, Some(residual), F32).reshape([-1])
        },
        |v| exact(v, &gelu).iter().zip(&v[5]).map(|(y, residual)| y + residual).collect(),
    );

    let device = Device::flex();
    let leaves: Vec<Tensor<1>> =
        inputs.iter().map(|i| tensor(&i.values, [i.values.len()], &device)).collect();
    let (x, [first, second], [first_bias, second_bias]) = parts(&leaves);
    let separate =
        ops::linear(ops::gelu(ops::linear(x, first, Some(first_bias), F32)), second, Some(second_bias), F32);
    assert_eq!(values(mlp(&leaves, MlpActivation::Gelu)), values(separate));
}

#[test]
fn bfloat16_rounds_operands_of_values_and_gradients_and_nothing_else() {
    let device = Device::flex().autodiff();
    let [rows, width, hidden, out] = [5, 19, 37, 23];
    let inputs = mlp_inputs([rows, width, hidden, out]);
    let run = |precision: Precision| {
        let leaves: Vec<Tensor<1>> =
            inputs.iter().map(|i| tensor::<1>(&i.values, [i.values.len()], &device).require_grad()).collect();
        let x = leaves[0].clone().reshape([rows, width]);
        let weights = [leaves[1].clone().reshape([hidden, width]), leaves[3].clone().reshape([out, hidden])];
        let biases = [leaves[2].clone(), leaves[4].clone()];
        let y = ops::mlp(x, weights, biases, MlpActivation::Gelu, None, precision);
        let gradients = y.clone().powi_scalar(2).sum().backward();
        let gradients = leaves.iter().map(|leaf| values(leaf.grad(&gradients).unwrap())).collect::<Vec<_>>();
        (values(y), gradients)
    };
    let (exact, exact_gradients) = run(F32);
    let (rounded, rounded_gradients) = run(Precision::Bf16);
    let relative = |ours: &[f64], exact: &[f64]| {
        let largest = exact.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        ours.iter().zip(exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
    };
    // Eight bits round by 2^-9 at most; a wrong kernel is off by far more than a few such roundings, and a product that
    // did not round would be closer than 1e-5.
    let within =
        |what: &str, difference: f64| assert!((1e-5..2e-2).contains(&difference), "{what}: {difference:e}");
    within("values", relative(&rounded, &exact));
    for (index, (ours, exact)) in rounded_gradients.iter().zip(&exact_gradients).enumerate() {
        within(&format!("gradient of input {index}"), relative(ours, exact));
    }
}

#[test]
fn relu_is_the_positive_part_with_no_gradient_at_zero() {
    let x = input(&[67], 5, 1.0);
    check("relu", &[x], |v| ops::relu(v[0].clone()), |v| v[0].iter().map(|x| x.max(0.0)).collect());
    for device in devices() {
        let zero = Tensor::<1>::zeros([3], &device.autodiff()).require_grad();
        let gradient = zero.grad(&ops::relu(zero.clone()).sum().backward()).unwrap();
        assert_eq!(values(gradient), [0.0; 3]);
    }
}

fn normalised(x: &[f64], epsilon: f64) -> Vec<f64> {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    x.iter().map(|x| (x - mean) / (variance + epsilon).sqrt()).collect()
}

#[test]
fn layer_norm_normalises_the_last_axis() {
    for (rows, features, epsilon) in [(5, 37, 1e-6), (3, 16, 1e-2), (4, 1, 1e-1)] {
        let inputs =
            [input(&[rows, features], 6, 2.0), input(&[features], 7, 1.5), input(&[features], 8, 1.0)];
        check(
            "layer_norm",
            &inputs,
            |v| {
                let x = v[0].clone().reshape([1, rows, features]);
                ops::layer_norm(x, v[1].clone(), v[2].clone(), epsilon).reshape([-1])
            },
            |v| {
                let rows = v[0].chunks(features).flat_map(|row| normalised(row, epsilon));
                rows.enumerate().map(|(at, x)| x * v[1][at % features] + v[2][at % features]).collect()
            },
        );
    }
}

#[test]
fn add_repeats_what_is_of_one_image() {
    let [batch, rows, width] = [3, 5, 7];
    for images in [1, batch] {
        let inputs = [input(&[batch, rows, width], 40, 1.0), input(&[images, rows, width], 41, 1.0)];
        check(
            &format!("add {images} of {batch}"),
            &inputs,
            |v| {
                let addend = v[1].clone().reshape([images, rows, width]);
                ops::add(v[0].clone().reshape([batch, rows, width]), addend).reshape([-1])
            },
            |v| v[0].iter().enumerate().map(|(at, x)| x + v[1][at % v[1].len()]).collect(),
        );
    }
    let leaf = |values: &[f32]| {
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), [1, 2]), &Device::flex().autodiff())
            .require_grad()
    };
    let x = leaf(&[1.0, 2.0]);
    let gradients = ops::add(x.clone(), x.clone()).sum().backward();
    assert_eq!(values(x.grad(&gradients).expect("a gradient")), [2.0, 2.0], "both are the same");
}

#[test]
#[should_panic(expected = "an addend of shape [2, 1] fits [2, 3]")]
fn add_refuses_other_shapes() {
    let device = Device::flex();
    ops::add(Tensor::<2>::zeros([2, 3], &device), Tensor::zeros([2, 1], &device));
}

#[test]
fn standardise_is_by_channel() {
    let dims = [2, 3, 5, 7];
    let (mean, deviation) = ([0.485, 0.5, 0.25], [0.229, 0.5, 2.0]);
    check(
        "standardise",
        &[input(&dims, 42, 1.0)],
        |v| ops::standardise(v[0].clone().reshape(dims), mean, deviation).reshape([-1]),
        |v| {
            let channel = |at: usize| at / 35 % 3;
            let value = |(at, x): (usize, &f64)| {
                (x - f64::from(mean[channel(at)])) / f64::from(deviation[channel(at)])
            };
            v[0].iter().enumerate().map(value).collect()
        },
    );
}

#[test]
fn patches_are_in_reading_order() {
    let ([batch, channels, rows, columns], patch) = ([2, 3, 2, 5], 3);
    let dims = [batch, channels, rows * patch, columns * patch];
    check(
        "patches",
        &[input(&dims, 43, 1.0)],
        |v| {
            let patches = ops::patches(v[0].clone().reshape(dims), patch);
            assert_eq!(patches.dims(), [batch, rows * columns, channels * patch * patch]);
            patches.reshape([-1])
        },
        |v| {
            let mut patches = Vec::new();
            for image in v[0].chunks(v[0].len() / batch) {
                for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                    for line in image.chunks(columns * patch).enumerate() {
                        let (at, line) = line;
                        if at % (rows * patch) / patch == row {
                            patches.extend_from_slice(&line[column * patch..][..patch]);
                        }
                    }
                }
            }
            patches
        },
    );
}

/// The gradients of a value come from operations with kernels and from Burn's own, in either order.
#[test]
fn gradients_of_a_value_that_several_operations_read_are_added() {
    let (rows, width, epsilon) = (4, 6, 1e-3);
    let inputs = [
        input(&[rows, width], 44, 1.0),
        input(&[width, width], 45, 1.0),
        input(&[width], 46, 1.0),
        input(&[width], 47, 1.0),
    ];
    // `stream` plus a branch that begins at `x`.
    let block = |stream: Tensor<2>, x: Tensor<2>, v: &[Tensor<1>]| {
        let normed = ops::layer_norm(x, v[2].clone(), v[3].clone(), epsilon);
        ops::linear_onto(stream, normed, v[1].clone().reshape([width, width]), None, F32)
    };
    let branch = |x: &[f64], v: &[Vec<f64>]| -> Vec<f64> {
        let of_row = |row: &[f64]| -> Vec<f64> {
            let normed: Vec<f64> =
                normalised(row, epsilon).iter().enumerate().map(|(i, x)| x * v[2][i] + v[3][i]).collect();
            v[1].chunks(width).map(|weights| weights.iter().zip(&normed).map(|(w, x)| w * x).sum()).collect()
        };
        x.chunks(width).flat_map(of_row).collect()
    };
    type Network<'a> = &'a dyn Fn(Tensor<2>, &[Tensor<1>]) -> Tensor<2>;
    type Definition<'a> = &'a dyn Fn(f64, f64) -> f64;
    // Each with its definition in terms of a value and the branch that begins there.
    let cases: [(&str, Network, Definition); 4] = [
        ("a block", &|x, v| block(x.clone(), x, v), &|x, branch| x + branch),
        ("a block with a tap", &|x, v| block(x.clone(), x.clone() + x.zeros_like(), v), &|x, branch| {
            x + branch
        }),
        ("a block and Burn", &|x, v| block(x.clone(), x.clone(), v) + x.clone() * x, &|x, branch| {
            x + branch + x * x
        }),
        (
            "three branches",
            &|x, v| {
                let y = block(x.clone(), x.clone(), v);
                ops::add(block(block(y.clone(), x.clone(), v), x, v), y)
            },
            &|x, branch| 2.0 * x + 4.0 * branch,
        ),
    ];
    for (what, network, definition) in cases {
        check(
            what,
            &inputs,
            |v| network(v[0].clone().reshape([rows, width]) * 2.0, v).reshape([-1]),
            |v| {
                let x: Vec<f64> = v[0].iter().map(|x| 2.0 * x).collect();
                x.iter().zip(branch(&x, v)).map(|(x, branch)| definition(*x, branch)).collect()
            },
        );
    }
}

/// The values of one channel of `[batch, channels, positions]`, image after image.
fn channel(x: &[f64], channels: usize, positions: usize, channel: usize) -> Vec<f64> {
    x.chunks(channels * positions)
        .flat_map(|image| image[channel * positions..][..positions].to_vec())
        .collect()
}

fn tensor<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let singles: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    Tensor::from_data(TensorData::new(singles, shape), device)
}

/// Whether a residual is added and whether a ReLU follows.
const EPILOGUES: [(bool, bool); 4] = [(false, false), (false, true), (true, true), (true, false)];

fn epilogue(residual: Option<&Tensor<1>>, dims: [usize; 4], relu: bool) -> ChannelEpilogue {
    ChannelEpilogue { residual: residual.map(|residual| residual.clone().reshape(dims)), relu }
}

fn after(y: Vec<f64>, residual: Option<&Vec<f64>>, relu: bool) -> Vec<f64> {
    let ending = |(at, y): (usize, f64)| {
        let y = y + residual.map_or(0.0, |residual| residual[at]);
        if relu { y.max(0.0) } else { y }
    };
    y.into_iter().enumerate().map(ending).collect()
}

/// A 1×1 convolution: every position's channels by the matrix `kernel` `[outputs, inputs]`.
fn pointwise(x: &[f64], kernel: &[f64], inputs: usize, outputs: usize, positions: usize) -> Vec<f64> {
    let value = |at: usize| {
        let (image, to, position) = (at / positions / outputs, at / positions % outputs, at % positions);
        let from = |c: usize| kernel[to * inputs + c] * x[(image * inputs + c) * positions + position];
        (0..inputs).map(from).sum()
    };
    (0..x.len() / inputs * outputs).map(value).collect()
}

#[test]
fn batch_norm_at_training_uses_and_reports_the_batchs_moments() {
    let (dims, inputs, epsilon) = ([3, 5, 4, 3], 4, 1e-5);
    let [batch, channels, height, width] = dims;
    let positions = height * width;
    let (x_dims, kernel_dims) = ([batch, inputs, height, width], [channels, inputs, 1, 1]);
    let mut x = input(&x_dims, 9, 2.0);
    x.values.iter_mut().for_each(|x| *x = f64::from((*x + 3.0) as f32)); // a mean well away from zero
    let kernel = input(&kernel_dims, 23, 1.0);
    let geometry = Convolution { stride: 1, padding: 0, groups: 1 };
    let by_channel: Vec<Vec<f64>> = {
        let mixed = pointwise(&x.values, &kernel.values, inputs, channels, positions);
        (0..channels).map(|c| channel(&mixed, channels, positions, c)).collect()
    };

    let mean_of = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let means: Vec<f64> = by_channel.iter().map(|x| mean_of(x)).collect();
    let spread =
        |(x, mean): (&Vec<f64>, &f64)| x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    let variances: Vec<f64> = by_channel.iter().zip(&means).map(spread).collect();
    for device in devices().into_iter().map(Device::autodiff) {
        let (_, moments) = ops::conv2d_batch_norm_train(
            tensor(&x.values, x_dims, &device),
            tensor(&kernel.values, kernel_dims, &device),
            geometry,
            [Tensor::ones([channels], &device), Tensor::zeros([channels], &device)],
            epsilon,
            ChannelEpilogue::default(),
            F32,
        );
        assert_eq!(moments.count, batch * positions);
        assert_close("mean", &values(moments.mean), &means, 1e-6);
        assert_close("biased variance", &values(moments.variance), &variances, 1e-6);
    }

    let all = [x, kernel, input(&[channels], 10, 1.5), input(&[channels], 11, 1.0), input(&dims, 12, 1.0)];
    for (with_residual, relu) in EPILOGUES {
        check(
            &format!("conv2d_batch_norm_train, residual {with_residual}, ReLU {relu}"),
            if with_residual { &all } else { &all[..4] },
            |v| {
                let (x, kernel) = (v[0].clone().reshape(x_dims), v[1].clone().reshape(kernel_dims));
                let (affine, then) = ([v[2].clone(), v[3].clone()], epilogue(v.get(4), dims, relu));
                let (y, _) = ops::conv2d_batch_norm_train(x, kernel, geometry, affine, epsilon, then, F32);
                y.reshape([-1])
            },
            |v| {
                let mixed = pointwise(&v[0], &v[1], inputs, channels, positions);
                let by_channel: Vec<Vec<f64>> = (0..channels)
                    .map(|c| normalised(&channel(&mixed, channels, positions, c), epsilon))
                    .collect();
                let value = |at: usize| {
                    let (image, c) = (at / positions / channels, at / positions % channels);
                    by_channel[c][image * positions + at % positions] * v[2][c] + v[3][c]
                };
                after((0..mixed.len()).map(value).collect(), v.get(4), relu)
            },
        );
    }
    // Without a convolution.
    let all = [
        input(&dims, 13, 1.0),
        input(&[channels], 10, 1.5),
        input(&[channels], 11, 1.0),
        input(&dims, 12, 1.0),
    ];
    for (with_residual, relu) in EPILOGUES {
        check(
            &format!("batch_norm_train, residual {with_residual}, ReLU {relu}"),
            if with_residual { &all } else { &all[..3] },
            |v| {
                let (affine, then) = ([v[1].clone(), v[2].clone()], epilogue(v.get(3), dims, relu));
                let (y, moments) = ops::batch_norm_train(v[0].clone().reshape(dims), affine, epsilon, then);
                assert_eq!(moments.count, batch * positions);
                y.reshape([-1])
            },
            |v| {
                let of_channel = |c| normalised(&channel(&v[0], channels, positions, c), epsilon);
                let by_channel: Vec<Vec<f64>> = (0..channels).map(of_channel).collect();
                let value = |at: usize| {
                    let (image, c) = (at / positions / channels, at / positions % channels);
                    by_channel[c][image * positions + at % positions] * v[1][c] + v[2][c]
                };
                after((0..v[0].len()).map(value).collect(), v.get(3), relu)
            },
        );
    }
}

#[test]
fn what_a_bfloat16_convolution_hands_to_its_batch_norm_is_rounded_and_no_more() {
    let device = Device::flex().autodiff();
    let (x_dims, kernel_dims, dims) = ([2, 6, 9, 8], [20, 6, 3, 3], [2, 20, 9, 8]);
    let geometry = Convolution { stride: 1, padding: 1, groups: 1 };
    let inputs = [
        input(&x_dims, 24, 1.0),
        input(&kernel_dims, 25, 1.0),
        input(&[20], 26, 1.5),
        input(&[20], 27, 1.0),
        input(&dims, 28, 1.0),
    ];
    let towards = input(&dims, 29, 1.0).values;
    for (with_residual, relu) in EPILOGUES {
        let inputs = if with_residual { &inputs[..] } else { &inputs[..4] };
        // The output, then the gradients.
        let [exact, rounded] = [F32, Precision::Bf16].map(|precision| {
            let leaves: Vec<Tensor<1>> = inputs
                .iter()
                .map(|i| tensor::<1>(&i.values, [i.values.len()], &device).require_grad())
                .collect();
            let (x, kernel) = (leaves[0].clone().reshape(x_dims), leaves[1].clone().reshape(kernel_dims));
            let affine = [leaves[2].clone(), leaves[3].clone()];
            let then = epilogue(leaves.get(4), dims, relu);
            let (y, _) = ops::conv2d_batch_norm_train(x, kernel, geometry, affine, 1e-5, then, precision);
            let gradients = (y.clone() * tensor(&towards, dims, &device)).sum().backward();
            let gradients = leaves.iter().map(|leaf| values(leaf.grad(&gradients).unwrap()));
            std::iter::once(values(y.reshape([-1]))).chain(gradients).collect::<Vec<_>>()
        });
        let norm =
            |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
        for (index, (exact, rounded)) in exact.iter().zip(&rounded).enumerate() {
            let difference =
                norm(&mut exact.iter().zip(rounded).map(|(a, b)| a - b)) / norm(&mut exact.iter().copied());
            let what = format!("residual {with_residual}, ReLU {relu}, {index}: {difference:e}");
            match index {
                // Sums of what comes from behind, and that itself.
                4 | 5 if !relu => assert_eq!(difference, 0.0, "{what}"),
                // A few roundings of 2^-9 at most.
                _ if index == 0 || !relu => assert!((5e-4..8e-3).contains(&difference), "{what}"),
                // Where the ReLU switches between active and inactive, a whole gradient is lost or gained.
                _ => assert!(difference < 0.08, "{what}"),
            }
        }
    }
}

#[test]
fn batch_norm_at_evaluation_uses_the_moments_it_is_given() {
    let (dims, epsilon) = ([2, 5, 3, 3], 1e-5);
    let channels = dims[1];
    let [x, residual] = [12, 17].map(|seed| input(&dims, seed, 2.0));
    let [weight, bias] = [13, 14].map(|seed| input(&[channels], seed, 1.5));
    let mean = input(&[channels], 15, 1.0).values;
    let variance: Vec<f64> =
        input(&[channels], 16, 0.9).values.iter().map(|v| f64::from((1.0 + v) as f32)).collect();
    let definition = |x: &[f64], weight: &[f64], bias: &[f64]| -> Vec<f64> {
        let value = |(at, x): (usize, &f64)| {
            let c = at / (dims[2] * dims[3]) % channels;
            (x - mean[c]) / (variance[c] + epsilon).sqrt() * weight[c] + bias[c]
        };
        x.iter().enumerate().map(value).collect()
    };
    let moments = |device: &Device| [&mean, &variance].map(|values| tensor(values, [channels], device));
    let frozen = [weight.values.clone(), bias.values.clone()];
    let kernel = input(&[channels, channels], 22, 1.0).values;
    let mixed = |x: &[f64]| pointwise(x, &kernel, channels, channels, dims[2] * dims[3]);

    let all = [x, residual, weight, bias];
    for (with_residual, relu) in EPILOGUES {
        check(
            &format!("frozen conv2d_batch_norm, residual {with_residual}, ReLU {relu}"),
            &all[..1 + usize::from(with_residual)],
            |v| {
                let device = v[0].device();
                let affine = [0, 1].map(|i| tensor(&frozen[i], [channels], &device));
                let (x, then) = (v[0].clone().reshape(dims), epilogue(v.get(1), dims, relu));
                let kernel = tensor(&kernel, [channels, channels, 1, 1], &device);
                let geometry = Convolution { stride: 1, padding: 0, groups: 1 };
                let y =
                    ops::conv2d_batch_norm(x, kernel, geometry, affine, moments(&device), epsilon, then, F32);
                y.reshape([-1])
            },
            |v| after(definition(&mixed(&v[0]), &frozen[0], &frozen[1]), v.get(1), relu),
        );
    }
    for relu in [false, true] {
        check(
            &format!("batch_norm, ReLU {relu}"),
            &all,
            |v| {
                let (x, then) = (v[0].clone().reshape(dims), epilogue(Some(&v[1]), dims, relu));
                let affine = [v[2].clone(), v[3].clone()];
                ops::batch_norm(x, affine, moments(&v[0].device()), epsilon, then).reshape([-1])
            },
            |v| after(definition(&v[0], &v[2], &v[3]), Some(&v[1]), relu),
        );
    }
}

/// The value at a place of `[batch, channels, height, width]`, or `None` in the padding.
fn pixel(x: &[f64], dims: [usize; 4], n: usize, c: usize, row: isize, column: isize) -> Option<f64> {
    let [_, channels, height, width] = dims;
    let (row, column) = (usize::try_from(row).ok()?, usize::try_from(column).ok()?);
    (row < height && column < width).then(|| x[((n * channels + c) * height + row) * width + column])
}

fn output_length(length: usize, kernel: usize, stride: usize, padding: usize) -> usize {
    (length + 2 * padding - kernel) / stride + 1
}

#[test]
fn conv2d_is_cross_correlation() {
    let cases = [
        // in, out, kernel, stride, padding, groups
        (3, 5, 3, 1, 1, 1),
        (3, 5, 3, 2, 1, 1),
        (5, 3, 1, 1, 0, 1),
        (4, 6, 1, 2, 0, 1),
        (3, 4, 7, 2, 3, 1),
        (4, 6, 3, 1, 0, 2),
        (4, 4, 3, 1, 1, 4),
    ];
    for (inputs, outputs, kernel, stride, padding, groups) in cases {
        let dims = [2, inputs, 7, 6];
        let weight_dims = [outputs, inputs / groups, kernel, kernel];
        let [rows, columns] = [7, 6].map(|length| output_length(length, kernel, stride, padding));
        let definition = |v: &[Vec<f64>]| {
            let mut y = Vec::new();
            for at in 0..2 * outputs * rows * columns {
                let (n, out) = (at / columns / rows / outputs, at / columns / rows % outputs);
                let (row, column) = (at / columns % rows, at % columns);
                let mut sum = v.get(2).map_or(0.0, |bias| bias[out]);
                for within in 0..inputs / groups {
                    let c = out / (outputs / groups) * (inputs / groups) + within;
                    for (i, j) in (0..kernel * kernel).map(|tap| (tap / kernel, tap % kernel)) {
                        let place =
                            |output: usize, tap: usize| (output * stride + tap) as isize - padding as isize;
                        let x = pixel(&v[0], dims, n, c, place(row, i), place(column, j)).unwrap_or(0.0);
                        sum += x * v[1][((out * (inputs / groups) + within) * kernel + i) * kernel + j];
                    }
                }
                y.push(sum);
            }
            y
        };
        let operation = |v: &[Tensor<1>]| {
            let (x, weight) = (v[0].clone().reshape(dims), v[1].clone().reshape(weight_dims));
            ops::conv2d(x, weight, v.get(2).cloned(), Convolution { stride, padding, groups }, F32)
                .reshape([-1])
        };
        let all = [input(&dims, 17, 1.0), input(&weight_dims, 18, 1.0), input(&[outputs], 19, 1.0)];
        let name = format!("conv2d {kernel}×{kernel} stride {stride} padding {padding} groups {groups}");
        check(&name, &all[..2], operation, definition);
        check(&format!("{name} with bias"), &all, operation, definition);
    }
}

#[test]
fn max_pool2d_takes_the_largest_and_never_the_padding() {
    for (kernel, stride, padding) in [(3, 2, 1), (2, 2, 0), (3, 1, 1)] {
        let dims = [2, 3, 7, 6];
        let [rows, columns] = [7, 6].map(|length| output_length(length, kernel, stride, padding));
        // All below zero, because a padding of zeros would win; in disorder, and no two close enough for a difference to
        // change the winner.
        let mut x = input(&dims, 20, 1.0);
        x.values.iter_mut().enumerate().for_each(|(i, x)| *x = -0.125 * (1 + i * 101 % 252) as f64);
        check(
            "max_pool2d",
            &[x],
            |v| ops::max_pool2d(v[0].clone().reshape(dims), kernel, stride, padding).reshape([-1]),
            |v| {
                let value = |at: usize| {
                    let (n, c) = (at / columns / rows / 3, at / columns / rows % 3);
                    let (row, column) = (at / columns % rows, at % columns);
                    let place =
                        |output: usize, tap: usize| (output * stride + tap) as isize - padding as isize;
                    let taps = (0..kernel * kernel).map(|tap| (tap / kernel, tap % kernel));
                    taps.filter_map(|(i, j)| pixel(&v[0], dims, n, c, place(row, i), place(column, j)))
                        .fold(f64::NEG_INFINITY, f64::max)
                };
                (0..2 * 3 * rows * columns).map(value).collect()
            },
        );
    }
}

#[test]
fn global_mean_pool_is_the_mean_of_each_map() {
    let dims = [2, 3, 5, 7];
    check(
        "global_mean_pool",
        &[input(&dims, 21, 1.0)],
        |v| ops::global_mean_pool(v[0].clone().reshape(dims)).reshape([-1]),
        |v| v[0].chunks(35).map(|map| map.iter().sum::<f64>() / 35.0).collect(),
    );
}

/// Softmax of the scores whose keys may be attended to; zeros where none may.
fn softmax(scores: &[f64], allowed: &[bool]) -> Vec<f64> {
    let kept = |(score, allowed): (&f64, &bool)| if *allowed { score.exp() } else { 0.0 };
    let exponentials: Vec<f64> = scores.iter().zip(allowed).map(kept).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|e| if sum > 0.0 { e / sum } else { 0.0 }).collect()
}

#[test]
fn attention_is_softmax_of_scaled_products_with_masked_keys_left_out() {
    let (batch, heads, queries, keys, width, scale) = (3, 2, 5, 7, 9, 0.4);
    let inputs = [
        input(&[batch, heads, queries, width], 22, 1.5),
        input(&[batch, heads, keys, width], 23, 1.5),
        input(&[batch, heads, keys, width], 24, 1.0),
    ];
    // The first image sees all keys, the second every other, the third none.
    let masked: Vec<bool> = [|_| true, |key| key % 2 == 0, |_| false]
        .iter()
        .flat_map(|rule: &fn(usize) -> bool| (0..keys).map(rule))
        .collect();
    for mask in [None, Some(masked)] {
        let weights = |v: &[Vec<f64>]| -> Vec<f64> {
            let row = |at: usize| {
                let (matrix, image) = (at / queries, at / queries / heads);
                let query = &v[0][at * width..][..width];
                let score = |key: usize| {
                    let key = &v[1][(matrix * keys + key) * width..][..width];
                    scale * query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>()
                };
                let scores: Vec<f64> = (0..keys).map(score).collect();
                let allowed =
                    mask.as_ref().map_or(vec![true; keys], |mask| mask[image * keys..][..keys].to_vec());
                softmax(&scores, &allowed)
            };
            (0..batch * heads * queries).flat_map(row).collect()
        };
        let operation = |v: &[Tensor<1>]| {
            let [query, key] = [0, 1].map(|i| v[i].clone().reshape(shape::<4>(&inputs[i])));
            let mask = mask.as_ref().map(|mask| {
                Tensor::<4, Bool>::from_data(
                    TensorData::new(mask.clone(), [batch, 1, 1, keys]),
                    &v[0].device(),
                )
            });
            ops::attention_weights(query, key, scale, mask)
        };
        check("attention_weights", &inputs[..2], |v| operation(v).reshape([-1]), weights);
        check(
            "attention",
            &inputs,
            |v| {
                let value = v[2].clone().reshape(shape::<4>(&inputs[2]));
                ops::attention_context(operation(v), value).reshape([-1])
            },
            |v| {
                let weights = weights(v);
                let gathered = |at: usize| -> f64 {
                    let (row, feature) = (at / width, at % width);
                    let value = |key: usize| v[2][(row / queries * keys + key) * width + feature];
                    (0..keys).map(|key| weights[row * keys + key] * value(key)).sum()
                };
                (0..batch * heads * queries * width).map(gathered).collect()
            },
        );
    }
}

#[test]
fn self_attention_is_attention_over_the_parts_of_a_packed_projection() {
    for (batch, tokens, heads, width) in [(2, 7, 3, 5), (1, 17, 2, 16), (2, 1, 1, 3)] {
        let scale = 0.4;
        let packed_shape = [batch, tokens, 3, heads, width];
        let packed = || input(&packed_shape, 27, 1.5);
        let part = |v: &[f64], image: usize, token: usize, part: usize, head: usize| -> Vec<f64> {
            v[(((image * tokens + token) * 3 + part) * heads + head) * width..][..width].to_vec()
        };
        // `bias` is empty or of a period that its length tells.
        let row = |v: &[f64], bias: &[f64], image: usize, head: usize, query: usize| -> Vec<f64> {
            let of_query = part(v, image, query, 0, head);
            let period = bias.len() / (heads * tokens * tokens);
            let score = |key: usize| {
                let product =
                    of_query.iter().zip(part(v, image, key, 1, head)).map(|(q, k)| q * k).sum::<f64>();
                match period {
                    0 => scale * product,
                    _ => {
                        let row = ((image % period) * heads + head) * tokens + query;
                        scale * product + bias[row * tokens + key]
                    }
                }
            };
            softmax(&(0..tokens).map(score).collect::<Vec<_>>(), &vec![true; tokens])
        };
        let weights = |v: &[f64], bias: &[f64]| -> Vec<f64> {
            let rows = 0..batch * heads * tokens;
            rows.flat_map(|at| row(v, bias, at / tokens / heads, at / tokens % heads, at % tokens)).collect()
        };
        let context = |v: &[f64], weights: &[f64]| -> Vec<f64> {
            let gathered = |at: usize| -> f64 {
                let (image, token) = (at / width / heads / tokens, at / width / heads % tokens);
                let (head, feature) = (at / width % heads, at % width);
                let row = &weights[((image * heads + head) * tokens + token) * tokens..][..tokens];
                (0..tokens).map(|key| row[key] * part(v, image, key, 2, head)[feature]).sum()
            };
            (0..batch * tokens * heads * width).map(gathered).collect()
        };
        check(
            "self_attention_weights",
            &[packed()],
            |v| {
                ops::self_attention_weights(v[0].clone().reshape(packed_shape), None, scale, F32)
                    .reshape([-1])
            },
            |v| weights(&v[0], &[]),
        );
        check(
            "self_attention_context",
            &[packed(), input(&[batch, heads, tokens, tokens], 28, 1.0)],
            |v| {
                let weights = v[1].clone().reshape([batch, heads, tokens, tokens]);
                ops::self_attention_context(weights, v[0].clone().reshape(packed_shape), F32).reshape([-1])
            },
            |v| context(&v[0], &v[1]),
        );
        check(
            "self_attention",
            &[packed()],
            |v| ops::self_attention(v[0].clone().reshape(packed_shape), None, scale, F32).reshape([-1]),
            |v| context(&v[0], &weights(&v[0], &[])),
        );
        for period in [1, batch] {
            let bias_shape = [period, heads, tokens, tokens];
            let inputs = [packed(), input(&bias_shape, 29, 2.0)];
            let both =
                |v: &[Tensor<1>]| (v[0].clone().reshape(packed_shape), v[1].clone().reshape(bias_shape));
            check(
                "biased self_attention_weights",
                &inputs,
                |v| {
                    let (packed, bias) = both(v);
                    ops::self_attention_weights(packed, Some(bias), scale, F32).reshape([-1])
                },
                |v| weights(&v[0], &v[1]),
            );
            check(
                "biased self_attention",
                &inputs,
                |v| {
                    let (packed, bias) = both(v);
                    ops::self_attention(packed, Some(bias), scale, F32).reshape([-1])
                },
                |v| context(&v[0], &weights(&v[0], &v[1])),
            );
        }

        let device = Device::flex();
        let packed = tensor(&packed().values, packed_shape, &device);
        let bias = tensor(
            &input(&[batch, heads, tokens, tokens], 29, 2.0).values,
            [batch, heads, tokens, tokens],
            &device,
        );
        for bias in [None, Some(bias)] {
            let weights = ops::self_attention_weights(packed.clone(), bias.clone(), scale, F32);
            let seen = values(ops::self_attention_context(weights, packed.clone(), F32));
            let unseen = values(ops::self_attention(packed.clone(), bias, scale, F32));
            assert_eq!(unseen, seen, "watching must not change a bit");
        }
    }
}

fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let normaliser = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
    logits.iter().map(|logit| logit - normaliser).collect()
}

#[test]
fn cross_entropy_is_the_negative_log_probability() {
    let (batch, classes) = (4, 7);
    let labels = [3usize, 0, 6, 3];
    let logits = || [input(&[batch, classes], 25, 5.0)];
    let indices = |device: &Device| Tensor::<1, Int>::from_data(labels.map(|label| label as i64), device);
    let per_image = |v: &[Vec<f64>]| -> Vec<f64> {
        v[0].chunks(classes).zip(labels).map(|(row, label)| -log_softmax(row)[label]).collect()
    };
    let tensor = |v: &[Tensor<1>]| v[0].clone().reshape([batch, classes]);
    check(
        "per_image_cross_entropy",
        &logits(),
        |v| ops::per_image_cross_entropy(tensor(v), indices(&v[0].device())),
        per_image,
    );
    check(
        "cross_entropy",
        &logits(),
        |v| ops::cross_entropy(tensor(v), indices(&v[0].device())),
        |v| vec![per_image(v).iter().sum::<f64>() / batch as f64],
    );

    let targets: Vec<f64> = input(&[batch, classes], 26, 1.0)
        .values
        .chunks(classes)
        .flat_map(|row| softmax(row, &[true; 7]))
        .map(|share| f64::from(share as f32))
        .collect();
    let [logits] = logits();
    check(
        "soft_cross_entropy",
        &[logits, Input { shape: vec![batch, classes], values: targets }],
        |v| ops::soft_cross_entropy(tensor(v), v[1].clone().reshape([batch, classes])),
        |v| {
            let log_probabilities = v[0].chunks(classes).flat_map(log_softmax);
            vec![-log_probabilities.zip(&v[1]).map(|(log, share)| log * share).sum::<f64>() / batch as f64]
        },
    );
}

#[test]
fn extreme_scores_stay_finite() {
    for device in devices().into_iter().map(Device::autodiff) {
        let logits =
            Tensor::<2>::from_data([[1e4f32, -1e4, 0.0], [-1e4, -1e4, -1e4]], &device).require_grad();
        let labels = Tensor::<1, Int>::from_data([1, 2], &device);
        let losses = ops::per_image_cross_entropy(logits.clone(), labels);
        assert_close("losses", &values(losses.clone()), &[2e4, 3f64.ln()], 1e-6);
        let gradient = values(logits.grad(&losses.sum().backward()).unwrap());
        let third = 1.0 / 3.0;
        assert_close("gradient", &gradient, &[1.0, -1.0, 0.0, third, third, third - 1.0], 1e-6);

        let query = Tensor::<4>::full([1, 1, 1, 1], 1e4, &device);
        let key = Tensor::<4>::from_data([[[[1e4f32], [-1e4], [1e4]]]], &device);
        assert_close(
            "weights",
            &values(ops::attention_weights(query, key, 1.0, None)),
            &[0.5, 0.0, 0.5],
            1e-6,
        );
    }
}
