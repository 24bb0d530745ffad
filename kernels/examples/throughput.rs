//! Prints how fast the kernels run here: `cargo run --release -p archaeo-kernels --example throughput`.

use archaeo_kernels::{Epilogue, Level, Matrix, MatrixMut, Precision, gemm, multiply_add_burst};
use std::time::Instant;

/// Seconds of processor time of this thread where the system tells (other programs then do not count, but
/// neither do other threads), else of the clock.
fn seconds() -> f64 {
    if std::env::var_os("PROCESSOR_TIME").is_some() {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
        return text.split(' ').next().expect("a number").parse::<f64>().expect("a number") / 1e9;
    }
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// The best of several runs, in seconds: noise on a shared machine only ever adds.
fn best(mut work: impl FnMut()) -> f64 {
    work();
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let start = seconds();
        work();
        best = best.min(seconds() - start);
    }
    best
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919) % 97) as f32 * 0.01 - 0.5).collect()
}

fn main() {
    println!("{:?}, {} threads", Level::current(), rayon::current_num_threads());
    let mut operations = 0.0;
    let time = best(|| operations = multiply_add_burst(2_000_000));
    println!("multiply-add peak of one core: {:.0} GF/s", operations / time / 1e9);
    for precision in [Precision::F32, Precision::Bf16] {
        for (rows, inputs, outputs) in [
            (2048, 2048, 2048),
            (4160, 192, 768),
            (4160, 768, 192),
            (1576, 384, 1536),
            (1576, 1536, 384),
            (197, 768, 3072),
        ] {
            let (x, w) = (numbers(rows * inputs), numbers(inputs * outputs));
            let (mut y, mut dx, mut dw) =
                (vec![0.0; rows * outputs], vec![0.0; rows * inputs], vec![0.0; inputs * outputs]);
            let flops = 2.0 * (rows * inputs * outputs) as f64 / 1e9;
            let (xm, wm) = (Matrix::new(&x, rows, inputs), Matrix::new(&w, inputs, outputs));
            let none = Epilogue::default();
            let forward = best(|| gemm(xm, wm, MatrixMut::new(&mut y, rows, outputs), none, precision));
            let ym = Matrix::new(&y, rows, outputs);
            let input =
                best(|| gemm(ym, wm.transposed(), MatrixMut::new(&mut dx, rows, inputs), none, precision));
            let weight =
                best(|| gemm(xm.transposed(), ym, MatrixMut::new(&mut dw, inputs, outputs), none, precision));
            println!(
                "linear {rows}×{inputs}→{outputs} {precision:?}: forward {:.0}, input gradient {:.0}, weight gradient {:.0} GF/s",
                flops / forward,
                flops / input,
                flops / weight
            );
        }
    }
}
