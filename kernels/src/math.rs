//! Functions of vectors that no instruction computes.

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

/// The standard normal distribution at x: (Φ(x), φ(x)), each within 2e-7.
///
/// Φ(x) = erfc(−x/√2)/2 by Abramowitz and Stegun, 7.1.26.
#[inline(always)]
pub(crate) fn normal<S: Simd>(simd: S, x: S::Vector) -> (S::Vector, S::Vector) {
    let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
    let magnitude = simd.select_gt(zero, x, simd.sub(zero, x), x);
    let z = simd.mul(magnitude, simd.splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = simd.div(one, simd.mul_add(z, simd.splat(0.327_591_1), one));
    let gauss = exp(simd, simd.sub(zero, simd.mul(z, z)));
    let mut polynomial = simd.splat(1.061_405_4);
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        polynomial = simd.mul_add(polynomial, t, simd.splat(coefficient));
    }
    let tail = simd.mul(simd.mul(simd.mul(polynomial, t), gauss), simd.splat(0.5));
    let density = simd.mul(gauss, simd.splat(0.398_942_3));
    (simd.select_gt(zero, x, tail, simd.sub(one, tail)), density)
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let one = simd.splat(1.0);
    simd.div(one, simd.add(one, exp(simd, simd.sub(simd.splat(0.0), x))))
}

#[cfg(test)]
mod tests {
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
