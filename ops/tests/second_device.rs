//! Every operation on devices without kernels of ours, where it is composed of Burn's own, against the kernels: values with
//! and without gradients, and the gradient to every input, at sizes that are too large for the finite differences of
//! `operations.rs`.
//!
//! Without one of the features `ndarray` and `vulkan` there is no such device, and this file is empty.
#![cfg(any(feature = "ndarray", feature = "vulkan"))]

mod common;

use archaeo_ops as ops;
use archaeo_ops::Precision::{self, F32};
use archaeo_ops::{ChannelEpilogue, Convolution, MlpActivation};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use common::{Input, input, other_devices};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Sums of a few hundred products in two orders differ by less, relative to the largest value.
const TOLERANCE: f32 = 1e-5;

/// Results of an operation on one device.
struct Outcome {
    /// Its results, with gradients being recorded.
    recorded: Vec<Vec<f32>>,
    /// Its results without.
    unrecorded: Vec<Vec<f32>>,
    /// Gradient of a random mix of the first result to every input.
    gradients: Vec<Vec<f32>>,
}

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.inner().into_data().try_into_vec().expect("a tensor of 32-bit floats")
}

fn outcome(
    device: &Device,
    inputs: &[Input],
    operation: &impl Fn(&[Tensor<1>]) -> Vec<Tensor<1>>,
) -> Outcome {
    let device = device.clone().autodiff();
    let flat = |input: &Input| -> Tensor<1> {
        Tensor::from_data(TensorData::new(input.singles(), [input.values.len()]), &device)
    };
    let leaves: Vec<Tensor<1>> = inputs.iter().map(|input| flat(input).require_grad()).collect();
    let results = operation(&leaves);
    let constants: Vec<Tensor<1>> = leaves.iter().map(|leaf| leaf.clone().inner()).collect();
    let unrecorded = operation(&constants).into_iter().map(values).collect();

    let first = results[0].clone();
    let mix = flat(&input(&first.dims(), 99, 1.0));
    let gradients = (first * mix).sum().backward();
    Outcome {
        recorded: results.into_iter().map(values).collect(),
        unrecorded,
        gradients: leaves.iter().map(|leaf| values(leaf.grad(&gradients).expect("a gradient"))).collect(),
    }
}

#[track_caller]
fn assert_close(what: &str, theirs: &[Vec<f32>], ours: &[Vec<f32>]) {
    assert_eq!(theirs.len(), ours.len(), "{what}");
    for (index, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
        assert_eq!(theirs.len(), ours.len(), "{what} {index}");
        let largest = ours.iter().fold(1e-3f32, |largest, value| largest.max(value.abs()));
        for (place, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
            let difference = (theirs - ours).abs() / largest;
            assert!(difference <= TOLERANCE, "{what} {index}[{place}]: {theirs}, with kernels {ours}");
        }
    }
}

/// Runs `operation` on flat inputs (it reshapes them itself) on all devices; gradients are those of its first result.
#[track_caller]
fn compare(what: &str, inputs: &[Input], operation: impl Fn(&[Tensor<1>]) -> Vec<Tensor<1>>) {
    let ours = outcome(&Device::flex(), inputs, &operation);
    for device in other_devices() {
        let theirs = outcome(&device, inputs, &operation);
        assert_close(&format!("{what} on {device:?}"), &theirs.recorded, &ours.recorded);
        assert_close(
            &format!("{what} on {device:?}, without gradients:"),
            &theirs.unrecorded,
            &ours.unrecorded,
        );
        assert_close(&format!("{what} on {device:?}: gradient of input"), &theirs.gradients, &ours.gradients);
    }
}

/// Several draws of sizes from one to the given largest ones.
fn sizes<const N: usize>(seed: u64, largest: [usize; N]) -> Vec<[usize; N]> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..5).map(|_| largest.map(|largest| rng.random_range(1..=largest))).collect()
}

#[test]
fn linear() {
    for [rows, features, outputs] in sizes(1, [70, 200, 90]) {
        let inputs = [
            input(&[rows, features], 2, 1.0),
            input(&[outputs, features], 3, 1.0),
            input(&[outputs], 4, 1.0),
        ];
        for inputs in [&inputs[..], &inputs[..2]] {
            compare(&format!("linear {rows} × {features} → {outputs}"), inputs, |v| {
                let x = v[0].clone().reshape([1, rows, features]);
                let weight = v[1].clone().reshape([outputs, features]);
                vec![ops::linear(x, weight, v.get(2).cloned(), F32).reshape([-1])]
            });
        }
        let onto = [&inputs[..], &[input(&[rows, outputs], 5, 1.0)]].concat();
        compare("linear onto a residual", &onto, |v| {
            let x = v[0].clone().reshape([rows, features]);
            let weight = v[1].clone().reshape([outputs, features]);
            let residual = v[3].clone().reshape([rows, outputs]);
            vec![ops::linear_onto(residual, x, weight, Some(v[2].clone()), F32).reshape([-1])]
        });
    }
}

#[test]
fn gathered_rows() {
    let sources = [Some(3), None, Some(0), Some(4), None, Some(1)];
    compare("gather_rows", &[input(&[2, 5, 33], 5, 1.0)], |v| {
        vec![ops::gather_rows(v[0].clone().reshape([2, 5, 33]), &sources).reshape([-1])]
    });
}

#[test]
fn mlp() {
    for [rows, width, hidden, outputs] in sizes(5, [50, 70, 150, 70]) {
        let inputs = [
            input(&[rows, width], 6, 1.0),
            input(&[hidden, width], 7, 0.5),
            input(&[hidden], 8, 0.5),
            input(&[outputs, hidden], 9, 0.5),
            input(&[outputs], 10, 0.5),
        ];
        let onto = [&inputs[..], &[input(&[rows, outputs], 11, 1.0)]].concat();
        compare("mlp onto a residual", &onto, |v| {
            let x = v[0].clone().reshape([rows, width]);
            let weights = [v[1].clone().reshape([hidden, width]), v[3].clone().reshape([outputs, hidden])];
            let residual = v[5].clone().reshape([rows, outputs]);
            let biases = [v[2].clone(), v[4].clone()];
            vec![ops::mlp(x, weights, biases, MlpActivation::Gelu, Some(residual), F32).reshape([-1])]
        });
        for activation in [MlpActivation::Gelu, MlpActivation::QuickGelu] {
            compare(
                &format!("{activation:?} mlp {rows} × {width} → {hidden} → {outputs}"),
                &inputs,
                |v| {
                    let x = v[0].clone().reshape([rows, 1, width]);
                    let weights =
                        [v[1].clone().reshape([hidden, width]), v[3].clone().reshape([outputs, hidden])];
                    vec![
                        ops::mlp(x, weights, [v[2].clone(), v[4].clone()], activation, None, F32)
                            .reshape([-1]),
                    ]
                },
            );
        }
    }
}

#[test]
fn activations() {
    for [rows, hidden] in sizes(11, [40, 100]) {
        let inputs = [input(&[rows, 2 * hidden], 12, 6.0)];
        let x = |v: &[Tensor<1>]| v[0].clone().reshape([rows, 1, 2 * hidden]);
        compare("gelu", &inputs, |v| vec![ops::gelu(x(v)).reshape([-1])]);
        compare("quick_gelu", &inputs, |v| vec![ops::quick_gelu(x(v)).reshape([-1])]);
        compare("swiglu", &inputs, |v| vec![ops::swiglu(x(v)).reshape([-1])]);
        compare("relu", &inputs, |v| vec![ops::relu(x(v)).reshape([-1])]);
    }
}

#[test]
fn layer_norm() {
    for [rows, features] in sizes(13, [40, 300]) {
        let inputs =
            [input(&[rows, features], 14, 2.0), input(&[features], 15, 1.5), input(&[features], 16, 1.0)];
        compare(&format!("layer_norm {rows} × {features}"), &inputs, |v| {
            let x = v[0].clone().reshape([1, rows, features]);
            // One feature alone is its own mean: only an epsilon that counts leaves gradients worth comparing.
            vec![ops::layer_norm(x, v[1].clone(), v[2].clone(), 1e-2).reshape([-1])]
        });
    }
}

/// All endings of a normalisation, for `v[at]` as the residual.
fn endings(dims: [usize; 4]) -> impl Iterator<Item = (String, bool, impl Fn(&Tensor<1>) -> ChannelEpilogue)> {
    [(false, false), (false, true), (true, false), (true, true)].into_iter().map(move |(add, relu)| {
        let ending = move |residual: &Tensor<1>| ChannelEpilogue {
            residual: add.then(|| residual.clone().reshape(dims)),
            relu,
        };
        (format!("residual {add}, ReLU {relu}"), add, ending)
    })
}

#[test]
fn batch_norm_at_training() {
    for [batch, channels, height, width] in sizes(17, [6, 20, 12, 12]) {
        let dims = [batch + 1, channels, height + 1, width];
        let (x_dims, kernel_dims) = ([batch + 1, 3, height + 1, width], [channels, 3, 3, 3]);
        // The residual stands first, so that leaving it out leaves the others in place.
        let inputs = [
            input(&dims, 18, 1.0),
            input(&x_dims, 19, 2.0),
            input(&kernel_dims, 22, 1.0),
            input(&[channels], 20, 1.5),
            input(&[channels], 21, 1.0),
        ];
        for (ending, add, then) in endings(dims) {
            let operation = |residual: &Tensor<1>, v: &[Tensor<1>]| {
                let (x, kernel) = (v[0].clone().reshape(x_dims), v[1].clone().reshape(kernel_dims));
                let (affine, then) = ([v[2].clone(), v[3].clone()], then(residual));
                let geometry = Convolution { stride: 1, padding: 1, groups: 1 };
                let (y, moments) = ops::conv2d_batch_norm_train(x, kernel, geometry, affine, 1e-5, then, F32);
                assert_eq!(moments.count, dims[0] * dims[2] * dims[3]);
                vec![y.reshape([-1]), moments.mean, moments.variance]
            };
            let what = format!("conv2d_batch_norm_train {dims:?}, {ending}");
            match add {
                true => compare(&what, &inputs, |v| operation(&v[0], &v[1..])),
                false => compare(&what, &inputs[1..], |v| operation(&v[0], v)),
            }
        }
    }
}

#[test]
fn batch_norm_at_evaluation() {
    for [batch, channels, height, width] in sizes(22, [5, 20, 12, 12]) {
        let dims = [batch, channels, height, width];
        let inputs = [
            input(&dims, 23, 1.0),
            input(&dims, 24, 2.0),
            input(&[channels], 25, 1.5),
            input(&[channels], 26, 1.0),
        ];
        let [affine, moments] = [27, 29].map(|seed| {
            // Between 0.1 and 1.9, so that they serve as variances too.
            [seed, seed + 1]
                .map(|seed| input(&[channels], seed, 0.9).values.iter().map(|x| x + 1.0).collect())
        });
        let constants = |values: &[Vec<f64>; 2], device: &Device| -> [Tensor<1>; 2] {
            values.each_ref().map(|values| {
                let singles: Vec<f32> = values.iter().map(|value| *value as f32).collect();
                Tensor::from_data(TensorData::new(singles, [channels]), device)
            })
        };
        let kernel = input(&[channels, channels, 3, 3], 30, 1.0);
        for (ending, add, then) in endings(dims) {
            let operation = |residual: &Tensor<1>, x: &Tensor<1>, trained: Option<&[Tensor<1>]>| {
                let device = x.device();
                let affine = match trained {
                    Some(trained) => [trained[0].clone(), trained[1].clone()],
                    None => constants(&affine, &device),
                };
                let (x, moments) = (x.clone().reshape(dims), constants(&moments, &device));
                vec![ops::batch_norm(x, affine, moments, 1e-5, then(residual)).reshape([-1])]
            };
            let what = format!("batch_norm {dims:?}, {ending}");
            match add {
                true => compare(&what, &inputs, |v| operation(&v[0], &v[1], Some(&v[2..]))),
                false => compare(&what, &inputs[1..], |v| operation(&v[0], &v[0], Some(&v[1..]))),
            }
            let what = format!("frozen batch_norm {dims:?}, {ending}");
            match add {
                true => compare(&what, &inputs[..2], |v| operation(&v[0], &v[1], None)),
                false => compare(&what, &inputs[1..2], |v| operation(&v[0], &v[0], None)),
            }
            let behind_convolution = |residual: &Tensor<1>, x: &Tensor<1>| {
                let device = x.device();
                let (affine, moments) = (constants(&affine, &device), constants(&moments, &device));
                let kernel = TensorData::new(kernel.singles(), [channels, channels, 3, 3]);
                let (x, kernel) = (x.clone().reshape(dims), Tensor::from_data(kernel, &device));
                let geometry = Convolution { stride: 1, padding: 1, groups: 1 };
                let y =
                    ops::conv2d_batch_norm(x, kernel, geometry, affine, moments, 1e-5, then(residual), F32);
                vec![y.reshape([-1])]
            };
            let what = format!("frozen conv2d_batch_norm {dims:?}, {ending}");
            match add {
                true => compare(&what, &inputs[..2], |v| behind_convolution(&v[0], &v[1])),
                false => compare(&what, &inputs[1..2], |v| behind_convolution(&v[0], &v[0])),
            }
        }
    }
}

#[test]
fn conv2d() {
    for (seed, [batch, inputs, outputs, height, width]) in (0..).zip(sizes(31, [3, 10, 12, 13, 15])) {
        let windows = [
            (3, 1, 1, 1),
            (3, 2, 1, 1),
            (1, 1, 0, 1),
            (1, 2, 0, 1),
            (7, 2, 3, 1),
            (4, 4, 0, 1),
            (3, 1, 1, 2),
        ];
        for (kernel, stride, padding, groups) in windows {
            let (height, width) = (height + kernel, width + kernel);
            let dims = [batch, inputs * groups, height, width];
            let weight_dims = [outputs * groups, inputs, kernel, kernel];
            let all = [
                input(&dims, 32 + seed, 1.0),
                input(&weight_dims, 42 + seed, 1.0),
                input(&[outputs * groups], 52, 1.0),
            ];
            let what = format!(
                "conv2d {dims:?} with {weight_dims:?}, stride {stride}, padding {padding}, {groups} groups"
            );
            for some in [&all[..], &all[..2]] {
                compare(&what, some, |v| {
                    let (x, weight) = (v[0].clone().reshape(dims), v[1].clone().reshape(weight_dims));
                    let geometry = Convolution { stride, padding, groups };
                    vec![ops::conv2d(x, weight, v.get(2).cloned(), geometry, F32).reshape([-1])]
                });
            }
        }
    }
    // One group per channel.
    let (dims, weight_dims) = ([2, 7, 9, 11], [7, 1, 3, 3]);
    compare("depthwise conv2d", &[input(&dims, 53, 1.0), input(&weight_dims, 54, 1.0)], |v| {
        let (x, weight) = (v[0].clone().reshape(dims), v[1].clone().reshape(weight_dims));
        vec![
            ops::conv2d(x, weight, None, Convolution { stride: 2, padding: 1, groups: 7 }, F32).reshape([-1]),
        ]
    });
}

#[test]
fn pooling() {
    for [batch, channels, height, width] in sizes(55, [4, 10, 20, 20]) {
        let dims = [batch, channels, height + 2, width + 2];
        let mut x = input(&dims, 56, 1.0);
        // All below zero, where padding of zeros would win.
        x.values.iter_mut().for_each(|x| *x = f64::from((*x - 1.5) as f32));
        let x = [x];
        for (kernel, stride, padding) in [(3, 2, 1), (2, 2, 0), (3, 1, 1)] {
            compare(&format!("max_pool2d {kernel}, {stride}, {padding} of {dims:?}"), &x, |v| {
                vec![ops::max_pool2d(v[0].clone().reshape(dims), kernel, stride, padding).reshape([-1])]
            });
        }
        compare(&format!("global_mean_pool of {dims:?}"), &x, |v| {
            vec![ops::global_mean_pool(v[0].clone().reshape(dims)).reshape([-1])]
        });
    }
}

#[test]
fn attention_with_and_without_a_mask() {
    for [batch, heads, queries, keys, width] in sizes(57, [4, 3, 20, 30, 40]) {
        let dims = |length| [batch + 2, heads, length, width];
        let inputs =
            [input(&dims(queries), 58, 1.5), input(&dims(keys), 59, 1.5), input(&dims(keys), 60, 1.0)];
        // The first image sees no key at all, the second every other, the others all.
        let sees = |image: usize, key: usize| image > 1 || (image == 1 && key.is_multiple_of(2));
        let mask: Vec<bool> =
            (0..batch + 2).flat_map(|image| (0..keys).map(move |key| sees(image, key))).collect();
        for mask in [None, Some(mask)] {
            let what = format!("{queries} queries, {keys} keys, width {width}, mask {}", mask.is_some());
            let weights = |v: &[Tensor<1>]| {
                let (query, key) = (v[0].clone().reshape(dims(queries)), v[1].clone().reshape(dims(keys)));
                let mask = mask.as_ref().map(|mask| {
                    let mask = TensorData::new(mask.clone(), [batch + 2, 1, 1, keys]);
                    Tensor::<4, Bool>::from_data(mask, &v[0].device())
                });
                ops::attention_weights(query, key, 0.3, mask)
            };
            compare(&format!("attention_weights: {what}"), &inputs[..2], |v| vec![weights(v).reshape([-1])]);
            compare(&format!("attention_context: {what}"), &inputs, |v| {
                let value = v[2].clone().reshape(dims(keys));
                vec![ops::attention_context(weights(v), value).reshape([-1])]
            });
        }
    }
}

#[test]
fn self_attention() {
    for [windows, images, tokens, heads, width] in sizes(61, [3, 2, 40, 3, 40]) {
        let batch = windows * images;
        let dims = [batch, tokens, 3, heads, width];
        let packed = |v: &[Tensor<1>]| v[0].clone().reshape(dims);
        let inputs = [
            input(&dims, 62, 1.5),
            input(&[windows, heads, tokens, tokens], 63, 2.0),
            input(&[batch, heads, tokens, tokens], 64, 1.0),
        ];
        let bias =
            |v: &[Tensor<1>]| v.get(1).map(|bias| bias.clone().reshape([windows, heads, tokens, tokens]));
        for some in [&inputs[..1], &inputs[..2]] {
            let what = format!("of {dims:?}, {} biases", windows * (some.len() - 1));
            compare(&format!("self_attention_weights {what}"), some, |v| {
                vec![ops::self_attention_weights(packed(v), bias(v), 0.3, F32).reshape([-1])]
            });
            compare(&format!("self_attention {what}"), some, |v| {
                vec![ops::self_attention(packed(v), bias(v), 0.3, F32).reshape([-1])]
            });
        }
        let [packed_input, _, weights] = inputs;
        compare(&format!("self_attention_context {dims:?}"), &[packed_input, weights], |v| {
            let weights = v[1].clone().reshape([batch, heads, tokens, tokens]);
            vec![ops::self_attention_context(weights, packed(v), F32).reshape([-1])]
        });
    }
}

#[test]
fn losses() {
    for [batch, classes] in sizes(65, [30, 200]) {
        let logits = |v: &[Tensor<1>]| v[0].clone().reshape([batch, classes]);
        let labels = |v: &[Tensor<1>]| {
            let labels: Vec<i64> = (0..batch).map(|image| (image * 7 % classes) as i64).collect();
            Tensor::<1, Int>::from_data(TensorData::new(labels, [batch]), &v[0].device())
        };
        let inputs = [input(&[batch, classes], 66, 8.0), input(&[batch, classes], 67, 1.0)];
        compare("per_image_cross_entropy", &inputs[..1], |v| {
            vec![ops::per_image_cross_entropy(logits(v), labels(v))]
        });
        compare("cross_entropy", &inputs[..1], |v| vec![ops::cross_entropy(logits(v), labels(v))]);
        compare("soft_cross_entropy", &inputs, |v| {
            vec![ops::soft_cross_entropy(logits(v), v[1].clone().reshape([batch, classes]))]
        });
    }
}

#[test]
fn bfloat16_is_the_kernels_alone() {
    let inputs = [input(&[9, 37], 68, 1.0), input(&[21, 37], 69, 1.0)];
    let operation = |precision| {
        move |v: &[Tensor<1>]| {
            let (x, weight) = (v[0].clone().reshape([9, 37]), v[1].clone().reshape([21, 37]));
            vec![ops::linear(x, weight, None, precision).reshape([-1])]
        }
    };
    for device in other_devices() {
        let [exact, asked] =
            [F32, Precision::Bf16].map(|precision| outcome(&device, &inputs, &operation(precision)));
        assert_eq!(exact.recorded, asked.recorded, "{device:?}");
        assert_eq!(exact.gradients, asked.gradients, "{device:?}");
    }
}
