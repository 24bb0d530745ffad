use super::*;
use crate::Bf16;
use crate::reference::{
    Random, assert_close, assert_same_bits, assert_thread_count_is_irrelevant, at_every_level, doubles,
};

struct Case {
    shape: ChannelShape,
    x: Vec<f32>,
    residual: Option<Vec<f32>>,
    relu: bool,
    dy: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

impl Case {
    fn new(random: &mut Random, shape: ChannelShape, with_residual: bool, relu: bool) -> Case {
        let count = shape.batch * shape.channels * shape.positions;
        let offset = 3.0 * random.number();
        let x = random.numbers(count).iter().map(|x| x + offset).collect();
        let residual = with_residual.then(|| random.numbers(count));
        let (gamma, beta) = (random.numbers(shape.channels), random.numbers(shape.channels));
        Case { shape, x, residual, relu, dy: random.numbers(count), gamma, beta }
    }

    /// y, mean, variance, dx, dγ, dβ, dresidual.
    fn run(&self) -> [Vec<f32>; 7] {
        self.run_on(&self.x)
    }

    /// The same for other numbers.
    fn run_on<N: Stored>(&self, x: &[N]) -> [Vec<f32>; 7] {
        let zeros = |n: usize| vec![0.0; n];
        let (n, c) = (self.x.len(), self.shape.channels);
        let (mut y, mut mean, mut variance, mut deviation) = (zeros(n), zeros(c), zeros(c), zeros(c));
        let statistics = BatchStatistics {
            mean: &mut mean,
            variance: &mut variance,
            reciprocal_deviation: &mut deviation,
        };
        let epilogue = ChannelEpilogue { residual: self.residual.as_deref(), relu: self.relu };
        let affine = [&self.gamma[..], &self.beta];
        batch_norm_forward(&self.shape, x, affine, 1e-3, epilogue, &mut y, statistics);
        let (mut dx, mut dgamma) = (vec![N::default(); n], zeros(c));
        let (mut dbeta, mut dresidual) = (zeros(c), zeros(n));
        let gradients = BatchNormGradients {
            dx: &mut dx,
            dgamma: &mut dgamma,
            dbeta: &mut dbeta,
            dresidual: Some(&mut dresidual),
        };
        let output = match (self.relu, &self.residual) {
            (false, _) => ReluMask::Absent,
            (true, Some(_)) => ReluMask::Output(&y),
            (true, None) => ReluMask::Beta(&self.beta),
        };
        let saved = [&mean[..], &deviation];
        batch_norm_backward(&self.shape, x, &self.gamma, saved, output, &self.dy, gradients);
        let dx = dx.into_iter().map(Into::into).collect();
        [y, mean, variance, dx, dgamma, dbeta, dresidual]
    }

    /// The same in double precision; the gradients by the chain rule through mean and variance.
    fn reference(&self) -> [Vec<f64>; 7] {
        let (x, dy) = (doubles(&self.x), doubles(&self.dy));
        let count = (self.shape.batch * self.shape.positions) as f64;
        let (n, c) = (x.len(), self.shape.channels);
        let zeros = |n: usize| vec![0.0; n];
        let mut r = [zeros(n), zeros(c), zeros(c), zeros(n), zeros(c), zeros(c), zeros(n)];
        for channel in 0..c {
            let elements: Vec<usize> = self.shape.planes(channel).flatten().collect();
            let (gamma, beta) = (f64::from(self.gamma[channel]), f64::from(self.beta[channel]));
            let mean = elements.iter().map(|i| x[*i]).sum::<f64>() / count;
            let variance = elements.iter().map(|i| (x[*i] - mean).powi(2)).sum::<f64>() / count;
            let deviation = (variance + f64::from(1e-3_f32)).sqrt();
            let (mut dvariance, mut dmean) = (0.0, 0.0);
            for &i in &elements {
                let hat = (x[i] - mean) / deviation;
                let sum = hat * gamma + beta + self.residual.as_ref().map_or(0.0, |r| f64::from(r[i]));
                r[0][i] = if self.relu { sum.max(0.0) } else { sum };
                let gradient = if self.relu && sum <= 0.0 { 0.0 } else { dy[i] };
                r[4][channel] += gradient * hat;
                r[5][channel] += gradient;
                r[6][i] = gradient;
                dmean -= gradient * gamma / deviation;
                dvariance -= 0.5 * gradient * gamma * (x[i] - mean) / deviation.powi(3);
            }
            for &i in &elements {
                r[3][i] =
                    r[6][i] * gamma / deviation + dvariance * 2.0 * (x[i] - mean) / count + dmean / count;
            }
            (r[1][channel], r[2][channel]) = (mean, variance);
        }
        r
    }
}

#[test]
fn values_and_gradients_agree_with_double_precision() {
    let mut random = Random(60);
    for case in 0..120 {
        let shape = ChannelShape {
            batch: random.between(1, 5),
            channels: random.between(1, 6),
            positions: random.between(2, 70),
        };
        let case = Case::new(&mut random, shape, case % 2 == 0, case % 3 != 0);
        let expected = case.reference();
        at_every_level(|level| {
            for (i, (found, expected)) in case.run().iter().zip(&expected).enumerate() {
                assert_close(&format!("result {i} of {shape:?} at {level:?}"), found, expected, 2e-5);
            }
        });
    }
}

#[test]
fn images_stored_in_bfloat16_are_computed_with_as_their_values_are() {
    let mut random = Random(63);
    for case in 0..40 {
        let shape = ChannelShape { batch: 2, channels: 3, positions: random.between(2, 700) };
        let case = Case::new(&mut random, shape, case % 2 == 0, case % 3 != 0);
        let narrow: Vec<Bf16> = case.x.iter().map(|x| Bf16::from(*x)).collect();
        let wide: Vec<f32> = narrow.iter().map(|x| f32::from(*x)).collect();
        at_every_level(|level| {
            let (found, mut expected) = (case.run_on(&narrow), case.run_on(&wide));
            expected[3].iter_mut().for_each(|dx| *dx = Bf16::from(*dx).into());
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_same_bits(&format!("result {i} of {shape:?} at {level:?}"), found, expected);
            }
        });
    }
}

#[test]
fn the_number_of_threads_is_irrelevant() {
    let shape = ChannelShape { batch: 7, channels: 13, positions: 81 };
    let case = Case::new(&mut Random(61), shape, true, true);
    assert_thread_count_is_irrelevant("batch norm", || case.run().concat());
}

#[test]
fn gradients_of_scale_and_shift_pass_where_the_relu_let_through() {
    let shape = ChannelShape { batch: 3, channels: 4, positions: 37 };
    let case = Case::new(&mut Random(62), shape, true, true);
    // Only the sign of the output matters.
    let y = &case.x;
    at_every_level(|level| {
        let (mut dx, mut dresidual) = (y.clone(), y.clone());
        scale_shift_backward(&shape, &case.gamma, Some(y), &case.dy, &mut dx, Some(&mut dresidual));
        for i in 0..y.len() {
            let gradient = if y[i] > 0.0 { case.dy[i] } else { 0.0 };
            assert_eq!(dx[i], gradient * case.gamma[i / 37 % 4], "{level:?}");
            assert_eq!(dresidual[i], gradient, "{level:?}");
        }
    });
}
