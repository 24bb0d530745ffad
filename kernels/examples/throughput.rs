//! Prints how fast the kernels run here: `cargo run --release --example throughput`, or with `linear`, `attention`, `convolution`
//! or `passes` after `--` for one group.
//!
//! On a machine with other work, `RAYON_NUM_THREADS=1 PROCESSOR_TIME=1` before the command counts only the processor time of the
//! one thread (Linux).

use archaeo_kernels::{
    Activation, AdamW, BatchNormGradients, BatchStatistics, ChannelEpilogue, ChannelShape, Convolution,
    ConvolutionEpilogue, Heads, HeadsMut, HeadsShape, Level, Precision, ReluMask, Weight, WeightLayout,
    activation_backward, activation_forward, adamw_step, attention_backward, attention_forward,
    batch_norm_backward, batch_norm_forward, convolution_forward, convolution_input_gradient,
    convolution_weight_gradient, layer_norm_backward, layer_norm_forward, linear_forward,
    linear_input_gradient, linear_weight_gradient, multiply_add_burst, softmax_forward,
};
use std::time::Instant;

fn main() {
    println!("{:?}, {} threads", Level::current(), rayon::current_num_threads());
    let mut operations = 0.0;
    let time = best(|| operations = multiply_add_burst(10_000_000));
    println!("multiply-add peak of one core: {:.0} GF/s", operations / time / 1e9);
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let want = |section: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == section);
    for precision in [Precision::F32, Precision::Bf16] {
        if want("linear") {
            linears(precision);
        }
        if want("attention") {
            attention(precision);
        }
        if want("convolution") {
            convolutions(precision);
        }
    }
    if want("passes") {
        elementwise();
    }
}

fn linears(precision: Precision) {
    println!("\nlinear {precision:?}, GF/s                forward  input gradient  weight and bias gradient");
    for (rows, inputs, outputs) in [
        (2048, 2048, 2048),
        (4160, 192, 576),
        (4160, 192, 768),
        (4160, 768, 192),
        (1576, 384, 1536),
        (1576, 1536, 384),
        (197, 768, 3072),
    ] {
        let (x, w, bias) = (numbers(rows * inputs), numbers(inputs * outputs), numbers(outputs));
        let weight = Weight::new(&w, inputs, outputs, WeightLayout::InputOutput);
        let mut y = vec![0.0; rows * outputs];
        let (mut dx, mut dw, mut db) = (x.clone(), w.clone(), bias.clone());
        let forward = best(|| linear_forward(&x, weight, Some(&bias), None, &mut y, precision));
        let input = best(|| linear_input_gradient(&y, weight, None, &mut dx, precision));
        let (shape, layout) = ([inputs, outputs], WeightLayout::InputOutput);
        let gradient =
            best(|| linear_weight_gradient(&x, &y, shape, layout, &mut dw, Some(&mut db), precision));
        let operations = 2.0 * (rows * inputs * outputs) as f64 / 1e9;
        let speeds = [forward, input, gradient].map(|time| operations / time);
        let name = format!("{rows}×{inputs}→{outputs}");
        println!("{name:35} {:8.0} {:15.0} {:25.0}", speeds[0], speeds[1], speeds[2]);
    }
}

fn attention(precision: Precision) {
    println!("\nattention {precision:?}, ms                forward  backward");
    for (batch, heads, tokens, head_dim) in [(64, 3, 65, 64), (8, 6, 197, 64)] {
        let shape = HeadsShape { batch, heads, tokens, head_dim };
        let count = batch * heads * tokens * head_dim;
        let qkv = numbers(3 * count);
        let (mut context, mut dqkv) = (vec![0.0; count], qkv.clone());
        let inputs = Heads::packed(&qkv, shape);
        let forward = best(|| {
            let context = HeadsMut::merged(&mut context, shape);
            attention_forward(inputs, 0.125, &[], context, precision)
        });
        let backward = best(|| {
            let gradients = HeadsMut::packed(&mut dqkv, shape);
            let dcontext = Heads::merged(&context, shape);
            attention_backward(inputs, 0.125, &[], dcontext, None, gradients, precision)
        });
        let name = format!("{batch} images, {heads} heads, {tokens} tokens");
        println!("{name:35} {:8.2} {:9.2}", forward * 1e3, backward * 1e3);
    }
}

fn convolutions(precision: Precision) {
    println!("\nconvolution {precision:?}, GF/s           forward  input gradient  weight gradient");
    for (batch, inputs, outputs, size, kernel, stride) in [
        (64, 64, 64, 32, 3, 1),
        (64, 128, 128, 16, 3, 1),
        (64, 256, 256, 8, 3, 1),
        (64, 512, 512, 4, 3, 1),
        (8, 64, 64, 56, 3, 1),
        (8, 128, 128, 28, 3, 1),
        (8, 256, 256, 14, 3, 1),
        (8, 512, 512, 7, 3, 1),
        (32, 128, 256, 16, 3, 2),
        (8, 3, 64, 112, 7, 2),
        (8, 256, 64, 56, 1, 1),
        (8, 64, 256, 56, 1, 1),
        (8, 512, 128, 28, 1, 1),
        (8, 1024, 256, 14, 1, 1),
        (8, 256, 1024, 14, 1, 1),
        (8, 512, 2048, 7, 1, 1),
    ] {
        let shape = Convolution {
            batch,
            in_channels: inputs,
            out_channels: outputs,
            input_size: [size, size],
            kernel: [kernel, kernel],
            stride: [stride, stride],
            padding: [kernel / 2, kernel / 2],
            groups: 1,
        };
        let (x, weight) = (numbers(shape.input_len()), numbers(shape.weight_len()));
        let (mut y, mut dx, mut dweight) = (vec![0.0; shape.output_len()], x.clone(), weight.clone());
        let epilogue = ConvolutionEpilogue::default();
        let forward = best(|| convolution_forward(&shape, &x, &weight, epilogue, &mut y, precision));
        let input = best(|| convolution_input_gradient(&shape, &y, &weight, &mut dx, precision));
        let gradient = best(|| convolution_weight_gradient(&shape, &x, &y, &mut dweight, None, precision));
        let operations = 2.0 * (shape.output_len() * inputs * kernel * kernel) as f64 / 1e9;
        let speeds = [forward, input, gradient].map(|time| operations / time);
        let name = format!("{kernel}×{kernel}/{stride}, {inputs}→{outputs} at {size}², {batch} images");
        println!("{name:35} {:8.0} {:15.0} {:16.0}", speeds[0], speeds[1], speeds[2]);
    }
}

/// Speeds in gigabytes of input and output per second.
fn elementwise() {
    println!("\nelement-wise, GB/s");
    let report = |name: &str, numbers: usize, time: f64| {
        println!("{name:35} {:8.1}", (numbers * 4) as f64 / time / 1e9);
    };
    let (rows, width) = (4160, 768);
    let count = rows * width;
    let (x, dy) = (numbers(count), numbers(count));
    let (mut y, mut dx) = (x.clone(), x.clone());
    report("GELU", 2 * count, best(|| activation_forward(Activation::Gelu, &x, &mut y)));
    report("GELU gradient", 3 * count, best(|| activation_backward(Activation::Gelu, &x, &dy, &mut dx)));
    report("softmax", 2 * count, best(|| softmax_forward(&x, width, None, &mut y)));

    let (gamma, beta) = (vec![1.0; width], vec![0.0; width]);
    let (mut mean, mut deviation) = (vec![0.0; rows], vec![0.0; rows]);
    let affine = [&gamma[..], &beta];
    let time = best(|| layer_norm_forward(&x, affine, 1e-6, &mut y, [&mut mean, &mut deviation]));
    report("layer norm", 2 * count, time);
    let (mut dgamma, mut dbeta) = (gamma.clone(), beta.clone());
    let time = best(|| {
        let gradients = [&mut dgamma[..], &mut dbeta];
        layer_norm_backward(&x, &gamma, [&mean, &deviation], &dy, None, &mut dx, gradients)
    });
    report("layer norm gradient", 3 * count, time);

    let shape = ChannelShape { batch: 48, channels: 64, positions: 1024 };
    let count = 48 * 64 * 1024;
    let [mut mean, mut variance, mut deviation] = [vec![0.0; 64], vec![0.0; 64], vec![0.0; 64]];
    let epilogue = ChannelEpilogue { residual: None, relu: true };
    let affine = [&gamma[..64], &beta[..64]];
    let time = best(|| {
        let statistics = BatchStatistics {
            mean: &mut mean,
            variance: &mut variance,
            reciprocal_deviation: &mut deviation,
        };
        batch_norm_forward(&shape, &x[..count], affine, 1e-5, epilogue, &mut y[..count], statistics)
    });
    report("batch norm and ReLU", 2 * count, time);
    let time = best(|| {
        let gradients = BatchNormGradients {
            dx: &mut dx[..count],
            dgamma: &mut dgamma[..64],
            dbeta: &mut dbeta[..64],
            dresidual: None,
        };
        let (x, y, dy) = (&x[..count], ReluMask::Output(&y[..count]), &dy[..count]);
        batch_norm_backward(&shape, x, &gamma[..64], [&mean, &deviation], y, dy, gradients)
    });
    report("batch norm and ReLU gradient", 4 * count, time);

    let adamw = AdamW { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.05 };
    let (mut first, mut second) = (vec![0.0; rows * width], vec![0.0; rows * width]);
    let time = best(|| adamw_step(&adamw, 1, &mut y, &dy, &mut first, &mut second));
    report("AdamW", 7 * rows * width, time);
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919) % 97) as f32 * 0.01 - 0.5).collect()
}

/// The best of several runs, in seconds: noise on a shared machine only ever adds.
fn best(mut work: impl FnMut()) -> f64 {
    work();
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        // Short work is repeated, because the processor-time clock is coarse.
        let (start, mut runs) = (seconds(), 0.0);
        while runs == 0.0 || (seconds() - start < 0.02) {
            work();
            runs += 1.0;
        }
        best = best.min((seconds() - start) / runs);
    }
    best
}

fn seconds() -> f64 {
    if std::env::var_os("PROCESSOR_TIME").is_some() {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
        return text.split(' ').next().expect("a number").parse::<f64>().expect("a number") / 1e9;
    }
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}
