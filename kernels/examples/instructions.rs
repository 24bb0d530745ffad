//! Runs one kernel a fixed number of times, for `scripts/check_instructions.py`, which counts what that takes:
//! `cargo run --release --example instructions -- linear_forward`. Without a name it prints all names.

use archaeo_kernels::{
    Activation, AdamW, BatchNormGradients, BatchStatistics, ChannelEpilogue, ChannelShape, Convolution,
    ConvolutionEpilogue, Heads, HeadsMut, HeadsShape, Pooling, Precision, ReluMask, Weight, WeightLayout,
    activation_backward, activation_forward, adamw_step, attention_backward, attention_forward,
    batch_norm_backward, batch_norm_forward, convolution_forward, convolution_input_gradient,
    convolution_weight_gradient, gather_rows, layer_norm_backward, layer_norm_forward, linear_forward,
    linear_input_gradient, linear_weight_gradient, max_pool_forward, softmax_forward,
};

/// Name of a kernel, its repetitions, and the kernel.
type Case = (&'static str, usize, fn());

const CASES: [Case; 20] = [
    ("linear_forward", 2, || linear(Product::Forward, Precision::F32)),
    ("linear_forward_bf16", 2, || linear(Product::Forward, Precision::Bf16)),
    ("linear_input_gradient", 2, || linear(Product::InputGradient, Precision::F32)),
    ("linear_weight_gradient", 2, || linear(Product::WeightGradient, Precision::F32)),
    ("linear_weight_gradient_bf16", 2, || linear(Product::WeightGradient, Precision::Bf16)),
    ("attention", 4, attention),
    ("convolution_3x3_forward", 2, || convolution(3, 1, Product::Forward)),
    ("convolution_3x3_input_gradient", 2, || convolution(3, 1, Product::InputGradient)),
    ("convolution_3x3_weight_gradient", 2, || convolution(3, 1, Product::WeightGradient)),
    ("convolution_1x1_forward", 4, || convolution(1, 1, Product::Forward)),
    ("convolution_3x3_stride_2_forward", 4, || convolution(3, 2, Product::Forward)),
    ("convolution_3x3_stride_2_weight_gradient", 4, || convolution(3, 2, Product::WeightGradient)),
    ("convolution_3x3_stride_2_input_gradient", 4, || convolution(3, 2, Product::InputGradient)),
    ("gelu", 20, gelu),
    ("layer_norm", 20, layer_norm),
    ("softmax", 20, || softmax_forward(&numbers(64 * 197), 197, None, &mut vec![0.0; 64 * 197])),
    ("batch_norm", 10, batch_norm),
    ("max_pool", 10, max_pool),
    ("gather_rows", 40, || {
        gather_rows(&numbers(196 * 96), [196, 96], &[Some(7); 196], &mut numbers(196 * 96))
    }),
    ("adamw", 20, adamw),
];

fn main() {
    let Some(wanted) = std::env::args().nth(1) else {
        CASES.iter().for_each(|(name, ..)| println!("{name}"));
        return;
    };
    let (_, times, run) = CASES.iter().find(|(name, ..)| *name == wanted).expect("the name of a kernel");
    (0..*times).for_each(|_| run());
}

#[derive(Clone, Copy)]
enum Product {
    Forward,
    InputGradient,
    WeightGradient,
}

/// All equal, because generating others would be counted too.
fn numbers(count: usize) -> Vec<f32> {
    vec![0.25; count]
}

fn linear(product: Product, precision: Precision) {
    let (rows, inputs, outputs) = (260, 192, 384);
    let (mut x, mut w, mut y) = (numbers(rows * inputs), numbers(inputs * outputs), numbers(rows * outputs));
    let shape = [inputs, outputs];
    let layout = WeightLayout::OutputInput;
    match product {
        Product::Forward => {
            linear_forward(&x, Weight::new(&w, inputs, outputs, layout), None, None, &mut y, precision)
        }
        Product::InputGradient => {
            linear_input_gradient(&y, Weight::new(&w, inputs, outputs, layout), None, &mut x, precision)
        }
        Product::WeightGradient => {
            let mut bias = vec![0.0; outputs];
            linear_weight_gradient(&x, &y, shape, layout, &mut w, Some(&mut bias), precision)
        }
    }
}

fn attention() {
    let shape = HeadsShape { batch: 1, heads: 3, tokens: 65, head_dim: 64 };
    let count = 3 * 65 * 64;
    let (qkv, mut dqkv) = (numbers(3 * count), vec![0.0; 3 * count]);
    let mut context = vec![0.0; count];
    let inputs = Heads::packed(&qkv, shape);
    let merged = HeadsMut::merged(&mut context, shape);
    attention_forward(inputs, 0.125, &[], merged, Precision::F32);
    let (dcontext, gradients) = (Heads::merged(&context, shape), HeadsMut::packed(&mut dqkv, shape));
    attention_backward(inputs, 0.125, &[], dcontext, None, gradients, Precision::F32);
}

fn convolution(kernel: usize, stride: usize, product: Product) {
    let shape = Convolution {
        batch: 2,
        in_channels: 64,
        out_channels: 64,
        input_size: [14, 14],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        groups: 1,
    };
    let (mut x, mut weight) = (numbers(shape.input_len()), numbers(shape.weight_len()));
    let mut y = numbers(shape.output_len());
    match product {
        Product::Forward => {
            let epilogue = ConvolutionEpilogue::default();
            convolution_forward(&shape, &x, &weight, epilogue, &mut y, Precision::F32)
        }
        Product::InputGradient => convolution_input_gradient(&shape, &y, &weight, &mut x, Precision::F32),
        Product::WeightGradient => {
            convolution_weight_gradient(&shape, &x, &y, &mut weight, None, Precision::F32)
        }
    }
}

fn gelu() {
    let (x, mut y, mut dx) = (numbers(65 * 768), vec![0.0; 65 * 768], vec![0.0; 65 * 768]);
    activation_forward(Activation::Gelu, &x, &mut y);
    activation_backward(Activation::Gelu, &x, &y, &mut dx);
}

fn layer_norm() {
    let (rows, width) = (130, 192);
    let (x, affine) = (numbers(rows * width), numbers(width));
    let (mut y, mut dx) = (x.clone(), x.clone());
    let (mut mean, mut deviation) = (vec![0.0; rows], vec![0.0; rows]);
    layer_norm_forward(&x, [&affine, &affine], 1e-6, &mut y, [&mut mean, &mut deviation]);
    let (mut dgamma, mut dbeta) = (affine.clone(), affine.clone());
    layer_norm_backward(&x, &affine, [&mean, &deviation], &y, None, &mut dx, [&mut dgamma, &mut dbeta]);
}

fn batch_norm() {
    let shape = ChannelShape { batch: 4, channels: 16, positions: 256 };
    let (x, affine) = (numbers(4 * 16 * 256), numbers(16));
    let (mut y, mut dx) = (x.clone(), x.clone());
    let [mut mean, mut variance, mut deviation, mut dgamma, mut dbeta] = [0; 5].map(|_| vec![0.0; 16]);
    let statistics =
        BatchStatistics { mean: &mut mean, variance: &mut variance, reciprocal_deviation: &mut deviation };
    let epilogue = ChannelEpilogue { residual: None, relu: true };
    batch_norm_forward(&shape, &x, [&affine, &affine], 1e-5, epilogue, &mut y, statistics);
    let gradients =
        BatchNormGradients { dx: &mut dx, dgamma: &mut dgamma, dbeta: &mut dbeta, dresidual: None };
    batch_norm_backward(&shape, &x, &affine, [&mean, &deviation], ReluMask::Output(&y), &x, gradients);
}

fn max_pool() {
    let shape = Pooling { input_size: [28; 2], kernel: [3; 2], stride: [2; 2], padding: [1; 2] };
    let (x, mut y, mut indices) = (numbers(16 * 28 * 28), vec![0.0; 16 * 14 * 14], vec![0; 16 * 14 * 14]);
    max_pool_forward(&shape, &x, &mut y, &mut indices);
}

fn adamw() {
    let adamw = AdamW { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.05 };
    let (mut x, dx) = (numbers(50_000), numbers(50_000));
    let (mut first, mut second) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    adamw_step(&adamw, 1, &mut x, &dx, &mut first, &mut second);
}
