//! The one-dimensional transforms of F(4, 3) and their transposes, and the two-dimensional ones built from them.
//!
//! The points of interpolation are 0, ±2/3, ±3/2 and ∞. Neighbouring powers of these are of similar size, which loses less than
//! half as many digits as the usual 0, ±1, ±2, ∞ (Barabasz et al., "Error analysis and improving the accuracy of Winograd
//! convolution for deep neural networks", 2020, on the choice of points).

use crate::simd::Simd;

/// Elements of a transformed tile's side.
pub(super) const SIDE: usize = 6;
/// Elements of a transformed tile.
pub(super) const ELEMENTS: usize = SIDE * SIDE;
/// Outputs of a tile's side.
pub(super) const OUTPUTS: usize = 4;

/// The points a, and b = 1 / a.
const A: f64 = 2.0 / 3.0;
const B: f64 = 3.0 / 2.0;
/// a² + b², of the polynomial (x² − a²)(x² − b²) = x⁴ − (a² + b²) x² + 1.
const SQUARES: f64 = A * A + B * B;
/// 1 / ∏ (p − q) over the other points q: of p = ±a and p = ±b; of 0 it is 1.
const WEIGHT_A: f64 = 1.0 / (2.0 * A * A * (A * A - B * B));
const WEIGHT_B: f64 = 1.0 / (2.0 * B * B * (B * B - A * A));

macro_rules! transforms {
    ($($(#[$meta:meta])* fn $name:ident<$inputs:literal, $outputs:literal>($simd:ident, $x:ident, $c:ident) $body:block)*) => {
        $(
            $(#[$meta])*
            #[inline(always)]
            pub(super) fn $name<S: Simd>($simd: S, $x: [S::Vector; $inputs]) -> [S::Vector; $outputs] {
                macro_rules! $c {
                    ($number:expr) => { $simd.splat(($number) as f32) };
                }
                $body
            }
        )*
    };
}

transforms! {
    /// Bᵀ · x: of the input.
    fn input<6, 6>(simd, x, number) {
        let [x0, x1, x2, x3, x4, x5] = x;
        let even_a = simd.mul_add(number!(-B * B), x2, x4);
        let odd_a = simd.sub(simd.mul(number!(A), x3), simd.mul(number!(B), x1));
        let even_b = simd.mul_add(number!(-A * A), x2, x4);
        let odd_b = simd.sub(simd.mul(number!(B), x3), simd.mul(number!(A), x1));
        [
            simd.mul_add(number!(-SQUARES), x2, simd.add(x0, x4)),
            simd.add(even_a, odd_a),
            simd.sub(even_a, odd_a),
            simd.add(even_b, odd_b),
            simd.sub(even_b, odd_b),
            simd.mul_add(number!(-SQUARES), x3, simd.add(x1, x5)),
        ]
    }

    /// Aᵀ · m: of the products, to outputs.
    fn output<6, 4>(simd, m, number) {
        let [m0, m1, m2, m3, m4, m5] = m;
        let (sum_a, difference_a) = (simd.add(m1, m2), simd.sub(m1, m2));
        let (sum_b, difference_b) = (simd.add(m3, m4), simd.sub(m3, m4));
        [
            simd.add(m0, simd.add(sum_a, sum_b)),
            simd.mul_add(number!(A), difference_a, simd.mul(number!(B), difference_b)),
            simd.mul_add(number!(A * A), sum_a, simd.mul(number!(B * B), sum_b)),
            simd.mul_add(
                number!(A * A * A),
                difference_a,
                simd.mul_add(number!(B * B * B), difference_b, m5),
            ),
        ]
    }

    /// A · y: of the outputs' gradient, to the products'.
    fn output_gradient<4, 6>(simd, y, number) {
        let [y0, y1, y2, y3] = y;
        let even_a = simd.mul_add(number!(A * A), y2, y0);
        let odd_a = simd.mul_add(number!(A * A * A), y3, simd.mul(number!(A), y1));
        let even_b = simd.mul_add(number!(B * B), y2, y0);
        let odd_b = simd.mul_add(number!(B * B * B), y3, simd.mul(number!(B), y1));
        [
            y0,
            simd.add(even_a, odd_a),
            simd.sub(even_a, odd_a),
            simd.add(even_b, odd_b),
            simd.sub(even_b, odd_b),
            y3,
        ]
    }

    /// G · g: of the filter.
    fn filter<3, 6>(simd, g, number) {
        let [g0, g1, g2] = g;
        let even_a = simd.mul(number!(WEIGHT_A), simd.mul_add(number!(A * A), g2, g0));
        let odd_a = simd.mul(number!(WEIGHT_A * A), g1);
        let even_b = simd.mul(number!(WEIGHT_B), simd.mul_add(number!(B * B), g2, g0));
        let odd_b = simd.mul(number!(WEIGHT_B * B), g1);
        [
            g0,
            simd.add(even_a, odd_a),
            simd.sub(even_a, odd_a),
            simd.add(even_b, odd_b),
            simd.sub(even_b, odd_b),
            g2,
        ]
    }

    /// Gᵀ · u: of the transformed filter's gradient, to the filter's.
    fn filter_gradient<6, 3>(simd, u, number) {
        let [u0, u1, u2, u3, u4, u5] = u;
        let (sum_a, difference_a) = (simd.add(u1, u2), simd.sub(u1, u2));
        let (sum_b, difference_b) = (simd.add(u3, u4), simd.sub(u3, u4));
        [
            simd.mul_add(number!(WEIGHT_A), sum_a, simd.mul_add(number!(WEIGHT_B), sum_b, u0)),
            simd.mul_add(
                number!(WEIGHT_A * A),
                difference_a,
                simd.mul(number!(WEIGHT_B * B), difference_b),
            ),
            simd.mul_add(
                number!(WEIGHT_A * A * A),
                sum_a,
                simd.mul_add(number!(WEIGHT_B * B * B), sum_b, u5),
            ),
        ]
    }
}

/// Applies a one-dimensional transform to the columns of a matrix of vectors, then to its rows. A macro, because a function
/// passed as an argument would be called rather than inlined, without the level's instructions.
macro_rules! both_ways {
    ($simd:ident, $transform:path, $x:expr, $inputs:literal, $outputs:literal) => {{
        let x = $x;
        let zero = $simd.splat(0.0);
        let mut columns = [[zero; $inputs]; $outputs];
        for j in 0..$inputs {
            let mut column = [zero; $inputs];
            for i in 0..$inputs {
                column[i] = x[i][j];
            }
            let column = $transform($simd, column);
            for i in 0..$outputs {
                columns[i][j] = column[i];
            }
        }
        let mut result = [[zero; $outputs]; $outputs];
        for i in 0..$outputs {
            result[i] = $transform($simd, columns[i]);
        }
        result
    }};
}
pub(super) use both_ways;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::portable::Portable;

    fn first(vectors: &[<Portable as Simd>::Vector]) -> Vec<f32> {
        vectors.iter().map(|vector| vector[0]).collect()
    }

    fn splat<const N: usize>(numbers: [f32; N]) -> [<Portable as Simd>::Vector; N] {
        numbers.map(|number| Portable.splat(number))
    }

    #[test]
    fn a_row_of_outputs_is_the_correlation_of_six_inputs_with_three_weights() {
        let (x, g) = ([0.3, -1.0, 0.7, 2.0, 0.1, -0.4], [0.5, -0.25, 1.5]);
        let (v, u) = (input(Portable, splat(x)), filter(Portable, splat(g)));
        let mut products = [Portable.splat(0.0); 6];
        for i in 0..6 {
            products[i] = Portable.mul(v[i], u[i]);
        }
        for (i, y) in first(&output(Portable, products)).into_iter().enumerate() {
            let expected: f32 = (0..3).map(|tap| x[i + tap] * g[tap]).sum();
            assert!((y - expected).abs() < 2e-6, "output {i}: {y} instead of {expected}");
        }
    }

    #[test]
    fn gradients_are_the_transposes() {
        // ⟨T x, y⟩ = ⟨x, Tᵀ y⟩ for every pair of unit vectors.
        let unit = |n: usize, i: usize| -> Vec<f32> { (0..n).map(|j| f32::from(u8::from(i == j))).collect() };
        for i in 0..6 {
            for j in 0..4 {
                let m = splat(unit(6, i).try_into().expect("six"));
                let y = splat(unit(4, j).try_into().expect("four"));
                let (there, back) = (first(&output(Portable, m))[j], first(&output_gradient(Portable, y))[i]);
                assert!((there - back).abs() < 1e-6);
            }
            for j in 0..3 {
                let u = splat(unit(6, i).try_into().expect("six"));
                let g = splat(unit(3, j).try_into().expect("three"));
                let (there, back) = (first(&filter(Portable, g))[i], first(&filter_gradient(Portable, u))[j]);
                assert!((there - back).abs() < 1e-6);
            }
        }
    }
}
