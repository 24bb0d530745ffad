//! Vector functions without an instruction.

use crate::simd::Simd;

/// eˣ, within 2 ulp; zero below −87.3 and at most e^88.
///
/// Range reduction by ln 2 in two parts and the polynomial of Cephes' `expf`.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let smallest = simd.splat(-87.3);
    let clamped = simd.min(simd.splat(88.0), simd.max(smallest, x));
    let n = simd.round(simd.mul(clamped, simd.splat(std::f32::consts::LOG2_E)));
    let r = simd.mul_add(n, simd.splat(-0.693_359_4), clamped);
    let r = simd.mul_add(n, simd.splat(2.121_944_4e-4), r);
    let mut polynomial = simd.splat(1.987_569_1e-4);
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.0e-1] {
        polynomial = simd.mul_add(polynomial, r, simd.splat(coefficient));
    }
    let fraction = simd.mul_add(polynomial, simd.mul(r, r), simd.add(r, simd.splat(1.0)));
    simd.select_gt(smallest, x, simd.splat(0.0), simd.mul(fraction, simd.exp2_integral(n)))
}

/// x ln x within 2e-7 for x in [0, 1]; zero below the smallest normal number.
///
/// The polynomial of Cephes' `logf`.
#[inline(always)]
pub(crate) fn x_ln_x<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let (exponent, m) = (simd.exponent(x), simd.sub(simd.mantissa(x), simd.splat(1.0)));
    let square = simd.mul(m, m);
    let mut polynomial = simd.splat(7.037_683_6e-2);
    for coefficient in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_4e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        polynomial = simd.mul_add(polynomial, m, simd.splat(coefficient));
    }
    let ln = simd.mul_add(simd.mul(polynomial, m), square, simd.mul(exponent, simd.splat(-2.121_944_4e-4)));
    let ln = simd.add(m, simd.mul_add(square, simd.splat(-0.5), ln));
    let ln = simd.mul_add(exponent, simd.splat(0.693_359_4), ln);
    simd.select_gt(simd.splat(f32::MIN_POSITIVE), x, simd.splat(0.0), simd.mul(x, ln))
}

/// x · Φ(x) with the standard normal distribution Φ, within 5e-7 (absolute below 1, relative above).
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    const LIMIT: f32 = 5.4;
    const POLYNOMIAL: [f32; 15] = [
        3.156_384_6e-4,
        -9.620_160_6e-4,
        1.099_287_5e-3,
        -1.373_294e-3,
        3.408_044_8e-3,
        -6.515_197e-3,
        9.786_758e-3,
        -1.406_482_9e-2,
        1.960_878_6e-2,
        -2.572_182_8e-2,
        3.212_103e-2,
        -3.920_932_5e-2,
        4.849_94e-2,
        -6.532_799e-2,
        1.309_281_1e-1,
    ];
    let distribution = half_plus_odd(simd, x, LIMIT, POLYNOMIAL);
    simd.select_gt(simd.splat(-LIMIT), x, simd.splat(0.0), simd.mul(x, distribution))
}

/// The derivative of [`gelu`], Φ(x) + x · φ(x), within 5e-7.
#[inline(always)]
pub(crate) fn gelu_derivative<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    const LIMIT: f32 = 5.6;
    const POLYNOMIAL: [f32; 17] = [
        3.167_118_6e-3,
        -8.000_636e-3,
        4.184_615e-3,
        -2.595_318e-3,
        2.042_312_4e-2,
        -3.816_176e-2,
        4.266_033_7e-2,
        -5.165_327_7e-2,
        6.661_072_4e-2,
        -7.375_117_4e-2,
        7.162_958_4e-2,
        -6.488_23e-2,
        5.668_487_8e-2,
        -5.097_242_4e-2,
        5.180_796e-2,
        -6.428_230_6e-2,
        1.264_166_4e-1,
    ];
    half_plus_odd(simd, x, LIMIT, POLYNOMIAL)
}

/// ½ + x · P(2 (x / limit)² − 1), x limited to ±`limit`. The polynomials, their highest power first, are fitted by
/// `scripts/gelu_polynomial.py`; they avoid an exponential, which would take twice the time.
#[inline(always)]
fn half_plus_odd<S: Simd, const N: usize>(
    simd: S,
    x: S::Vector,
    limit: f32,
    polynomial: [f32; N],
) -> S::Vector {
    // NaN passes both.
    let clamped = simd.min(simd.splat(limit), simd.max(simd.splat(-limit), x));
    let scale = (2.0 / (f64::from(limit) * f64::from(limit))) as f32;
    let t = simd.mul_add(simd.mul(clamped, clamped), simd.splat(scale), simd.splat(-1.0));
    let mut sum = simd.splat(polynomial[0]);
    for coefficient in &polynomial[1..] {
        sum = simd.mul_add(sum, t, simd.splat(*coefficient));
    }
    simd.mul_add(sum, clamped, simd.splat(0.5))
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let one = simd.splat(1.0);
    simd.div(one, simd.add(one, exp(simd, simd.sub(simd.splat(0.0), x))))
}

#[cfg(test)]
mod tests {
    use std::f32::consts::FRAC_1_SQRT_2;

    use super::*;
    use crate::reference::at_every_level;
    use crate::simd::{load_some, simd_fn, store_some};

    simd_fn! {
        fn exp_of(simd: S, x: &[f32], y: &mut [f32]) {
            for (x, y) in x.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
                store_some(simd, y, exp(simd, load_some(simd, x)));
            }
        }
    }

    simd_fn! {
        fn x_ln_x_of(simd: S, x: &[f32], y: &mut [f32]) {
            for (x, y) in x.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
                store_some(simd, y, x_ln_x(simd, load_some(simd, x)));
            }
        }
    }

    #[test]
    fn x_ln_x_is_accurate_from_end_to_end() {
        let mut x: Vec<f32> = (0..=20_000).map(|i| i as f32 / 20_000.0).collect();
        x.extend((0..380).map(|i| (10f32).powf(-i as f32 / 10.0)));
        x.extend([1e-44, FRAC_1_SQRT_2, FRAC_1_SQRT_2.next_down(), 1.0 - f32::EPSILON / 2.0]);
        at_every_level(|level| {
            let mut y = vec![9.0; x.len()];
            x_ln_x_of(level, &x, &mut y);
            for (x, y) in x.iter().zip(&y) {
                let wide = f64::from(*x);
                let expected = if *x < f32::MIN_POSITIVE { 0.0 } else { wide * wide.ln() };
                let error = (f64::from(*y) - expected).abs();
                assert!(
                    error <= 2e-7 * wide.max(expected.abs()),
                    "{x} ln {x} = {y}, not {expected}, at {level:?}"
                );
            }
        });
    }

    #[test]
    fn exp_is_accurate_from_end_to_end() {
        let mut x: Vec<f32> = (-8730..8800).map(|i| i as f32 * 0.01).collect();
        x.extend([f32::NEG_INFINITY, -1e30, -87.4, 0.0, f32::NAN]);
        at_every_level(|level| {
            let mut y = vec![0.0; x.len()];
            exp_of(level, &x, &mut y);
            for (x, y) in x.iter().zip(&y) {
                let expected = f64::from(*x).exp();
                if *x < -87.3 {
                    assert_eq!(*y, 0.0, "{x}");
                } else if x.is_nan() {
                    assert!(y.is_nan());
                } else {
                    assert!((f64::from(*y) / expected - 1.0).abs() < 2.5e-7, "exp({x}) = {y} at {level:?}");
                }
            }
        });
    }
}
