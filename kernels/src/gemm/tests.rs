use super::*;
use crate::reference::{
    Random, assert_close, assert_same_bits, assert_thread_count_is_irrelevant, at_every_level,
};
use crate::simd::round_to_bf16;

/// A matrix with random strides in its own memory.
struct Stored {
    data: Vec<f32>,
    shape: [usize; 2],
    strides: [usize; 2],
}

impl Stored {
    fn random(random: &mut Random, rows: usize, columns: usize) -> Stored {
        let strides = match random.between(0, 4) {
            0 | 1 => [columns + random.between(0, 5), 1],
            2 | 3 => [1, rows + random.between(0, 5)],
            _ => [2 * columns + 3, 2],
        };
        let length = (rows * strides[0] + columns * strides[1]).max(1);
        Stored { data: random.numbers(length), shape: [rows, columns], strides }
    }

    fn view(&self) -> Matrix<'_> {
        Matrix::strided(&self.data, self.shape, self.strides)
    }

    fn get(&self, row: usize, column: usize, precision: Precision) -> f64 {
        let x = self.data[row * self.strides[0] + column * self.strides[1]];
        f64::from(match precision {
            Precision::F32 => x,
            Precision::Bf16 => f32::from_bits(round_to_bf16(x) << 16),
        })
    }
}

#[test]
fn products_of_any_shape_agree_with_double_precision() {
    let mut random = Random(1);
    for case in 0..1200 {
        let limit = if case % 40 == 0 { 150 } else { 40 };
        let (m, n) = (random.between(0, limit), random.between(0, limit));
        let k = if case % 60 == 0 { random.between(1000, 2300) } else { random.between(0, limit) };
        let precision = if random.coin() { Precision::F32 } else { Precision::Bf16 };
        let (a, b) = (Stored::random(&mut random, m, k), Stored::random(&mut random, k, n));
        let bias = random.numbers(n);
        let residual = random.numbers(m * n);
        let c_stride = n + random.between(0, 3);
        let before = random.numbers(m * c_stride);
        let epilogue = Epilogue {
            bias: random.coin().then_some(&bias[..]),
            residual: random.coin().then(|| Matrix::new(&residual, m, n)),
            accumulate: random.coin(),
        };
        let mut expected: Vec<f64> = before.iter().map(|x| f64::from(*x)).collect();
        for row in 0..m {
            for column in 0..n {
                let c = &mut expected[row * c_stride + column];
                *c = if epilogue.accumulate { *c } else { 0.0 };
                *c += (0..k).map(|k| a.get(row, k, precision) * b.get(k, column, precision)).sum::<f64>();
                *c += epilogue.bias.map_or(0.0, |bias| f64::from(bias[column]));
                *c += epilogue.residual.map_or(0.0, |r| f64::from(r.data[row * n + column]));
            }
        }
        at_every_level(|level| {
            let mut c = before.clone();
            gemm(a.view(), b.view(), MatrixMut::strided(&mut c, [m, n], c_stride), epilogue, precision);
            let what = format!("{m}×{n}×{k} {precision:?} at {level:?}");
            assert_close(&what, &c, &expected, 3e-6 * (k as f64).sqrt().max(1.0));
        });
    }
}

#[test]
fn the_number_of_threads_is_irrelevant() {
    let mut random = Random(2);
    for (m, n, k) in [(197, 300, 130), (65, 530, 1100), (9, 2000, 40), (600, 7, 300)] {
        let (a, b) = (random.numbers(m * k), random.numbers(k * n));
        for precision in [Precision::F32, Precision::Bf16] {
            assert_thread_count_is_irrelevant("product", || {
                let mut c = vec![0.0; 2 * m * n];
                let (first, second) = c.split_at_mut(m * n);
                let b = Matrix::new(&b, k, n);
                let c = |c| MatrixMut::new(c, m, n);
                gemm(Matrix::new(&a, m, k), b, c(first), Epilogue::default(), precision);
                gemm(Matrix::new(&a, k, m).transposed(), b, c(second), Epilogue::default(), precision);
                [first, second].concat()
            });
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_rows_beside_it() {
    let (m, n, k) = (83, 100, 1300);
    let mut random = Random(3);
    let (a, b) = (random.numbers(m * k), random.numbers(k * n));
    at_every_level(|level| {
        for precision in [Precision::F32, Precision::Bf16] {
            let product = |rows: Range<usize>| {
                let mut c = vec![0.0; rows.len() * n];
                let a = Matrix::new(&a[rows.start * k..rows.end * k], rows.len(), k);
                let target = MatrixMut::new(&mut c, rows.len(), n);
                gemm(a, Matrix::new(&b, k, n), target, Epilogue::default(), precision);
                c
            };
            let whole = product(0..m);
            for rows in [0..1, 7..8, 82..83, 5..30, 40..83] {
                let part = &whole[rows.start * n..rows.end * n];
                assert_same_bits(&format!("rows {rows:?} at {level:?}"), &product(rows), part);
            }
        }
    });
}

#[test]
fn bfloat16_products_have_the_same_bits_at_every_level() {
    let (m, n, k) = (19, 61, 77);
    let mut random = Random(4);
    let (a, b) = (random.numbers(m * k), random.numbers(k * n));
    let mut results = Vec::new();
    at_every_level(|_| {
        let mut c = vec![0.0; m * n];
        let target = MatrixMut::new(&mut c, m, n);
        gemm(Matrix::new(&a, m, k), Matrix::new(&b, k, n), target, Epilogue::default(), Precision::Bf16);
        results.push(c);
    });
    for result in &results {
        assert_same_bits("bfloat16", result, &results[0]);
    }
}

#[test]
fn bfloat16_rounds_to_nearest_even() {
    for (number, expected) in [
        (1.0, 0x3f80),
        (f32::from_bits(0x3f80_8000), 0x3f80),
        (f32::from_bits(0x3f81_8000), 0x3f82),
        (f32::from_bits(0x3f80_8001), 0x3f81),
        (f32::MAX, 0x7f80),
        (-0.0, 0x8000),
        (1e-40, 0),
        (f32::NEG_INFINITY, 0xff80),
    ] {
        assert_eq!(round_to_bf16(number), expected, "{number}");
    }
    assert!(f32::from_bits(round_to_bf16(f32::NAN) << 16).is_nan());
}

#[test]
#[should_panic(expected = "A has as many columns as B has rows")]
fn operands_that_do_not_fit_are_refused() {
    let (a, b) = ([0.0; 6], [0.0; 8]);
    let c = &mut [0.0; 8];
    gemm(
        Matrix::new(&a, 2, 3),
        Matrix::new(&b, 2, 4),
        MatrixMut::new(c, 2, 4),
        Epilogue::default(),
        Precision::F32,
    );
}
