//! The passes over one channel's plane of one image.

use crate::simd::{Simd, load_ahead, load_some, simd_fn, store_some};

/// y = (x − centre) · scale + shift, then ReLU if requested.
#[derive(Clone, Copy)]
pub(super) struct Affine {
    pub(super) centre: f32,
    pub(super) scale: f32,
    pub(super) shift: f32,
    pub(super) relu: bool,
}

simd_fn! {
    pub(super) fn apply<N: Stored>(simd: S, x: &[N], affine: Affine, residual: Option<&[f32]>, y: &mut [f32]) {
        let (centre, zero) = (simd.splat(affine.centre), simd.splat(0.0));
        let (scale, shift) = (simd.splat(affine.scale), simd.splat(affine.shift));
        for first in (0..x.len()).step_by(S::LANES) {
            let centred = simd.sub(load_some(simd, &x[first..]), centre);
            let mut result = simd.mul_add(centred, scale, shift);
            if let Some(residual) = residual {
                result = simd.add(result, load_ahead(simd, &residual[first..]));
            }
            if affine.relu {
                result = simd.select_gt(zero, result, zero, result);
            }
            store_some(simd, &mut y[first..], result);
        }
    }
}

simd_fn! {
    /// Σ (x − centre)².
    pub(super) fn centred_squares<N: Stored>(simd: S, x: &[N], centre: f32) -> f32 {
        let (whole, rest) = x.split_at(x.len() - x.len() % S::LANES);
        let centre_vector = simd.splat(centre);
        let mut squares = [simd.splat(0.0); 2];
        for (i, x) in whole.chunks(S::LANES).enumerate() {
            let centred = simd.sub(load_some(simd, x), centre_vector);
            squares[i % 2] = simd.mul_add(centred, centred, squares[i % 2]);
        }
        let rest: f32 = rest.iter().map(|&x| x.into() - centre).map(|centred| centred * centred).sum();
        simd.sum(simd.add(squares[0], squares[1])) + rest
    }
}

/// Where the ReLU after the normalisation is active: where its output is positive.
#[derive(Clone, Copy)]
pub(super) enum Passed<'a> {
    /// No ReLU.
    Everywhere,
    /// The stored output of the ReLU.
    Output(&'a [f32]),
    /// No residual before it: its output is recomputed.
    Again(Affine),
}

/// dy where the ReLU is active.
#[inline(always)]
fn masked<S: Simd>(simd: S, passed: Passed<'_>, x: S::Vector, dy: &[f32], first: usize) -> S::Vector {
    let gradient = load_ahead(simd, &dy[first..]);
    let output = match passed {
        Passed::Everywhere => return gradient,
        Passed::Output(output) => load_ahead(simd, &output[first..]),
        Passed::Again(Affine { centre, scale, shift, .. }) => {
            // As `apply` computes it, so that the sign is the same to the last bit.
            simd.mul_add(simd.sub(x, simd.splat(centre)), simd.splat(scale), simd.splat(shift))
        }
    };
    let zero = simd.splat(0.0);
    simd.select_gt(output, zero, gradient, zero)
}

simd_fn! {
    /// (Σ dy, Σ dy · x̂), writing the masked dy to `dresidual`.
    pub(super) fn gradient_sums<N: Stored>(
        simd: S,
        x: &[N],
        mean: f32,
        deviation: f32,
        passed: Passed<'_>,
        dy: &[f32],
        dresidual: Option<&mut [f32]>,
    ) -> (f32, f32) {
        let (mean, deviation) = (simd.splat(mean), simd.splat(deviation));
        let (mut sum, mut projected) = (simd.splat(0.0), simd.splat(0.0));
        let mut dresidual = dresidual;
        for first in (0..x.len()).step_by(S::LANES) {
            let x = load_ahead(simd, &x[first..]);
            let normalised = simd.mul(simd.sub(x, mean), deviation);
            let gradient = masked(simd, passed, x, dy, first);
            sum = simd.add(sum, gradient);
            projected = simd.mul_add(gradient, normalised, projected);
            if let Some(dresidual) = &mut dresidual {
                store_some(simd, &mut dresidual[first..], gradient);
            }
        }
        (simd.sum(sum), simd.sum(projected))
    }
}

/// The numbers of one channel in dx = γ / deviation · (dy − mean(dy) − x̂ · mean(dy · x̂)).
#[derive(Clone, Copy)]
pub(super) struct GradientTerms {
    pub(super) mean: f32,
    pub(super) deviation: f32,
    pub(super) scale: f32,
    pub(super) sum: f32,
    pub(super) projected: f32,
}

simd_fn! {
    pub(super) fn input_gradient<N: Stored>(
        simd: S,
        x: &[N],
        terms: GradientTerms,
        passed: Passed<'_>,
        dy: &[f32],
        dx: &mut [N],
    ) {
        let (mean, deviation) = (simd.splat(terms.mean), simd.splat(terms.deviation));
        let (sum, projected) = (simd.splat(terms.sum), simd.splat(terms.projected));
        let scale = simd.splat(terms.scale);
        for first in (0..x.len()).step_by(S::LANES) {
            let x = load_some(simd, &x[first..]);
            let normalised = simd.mul(simd.sub(x, mean), deviation);
            let gradient = masked(simd, passed, x, dy, first);
            let centred = simd.sub(simd.sub(gradient, sum), simd.mul(normalised, projected));
            store_some(simd, &mut dx[first..], simd.mul(centred, scale));
        }
    }
}

simd_fn! {
    pub(super) fn scaled_gradient(
        simd: S,
        scale: f32,
        passed: Passed<'_>,
        dy: &[f32],
        dx: &mut [f32],
        dresidual: Option<&mut [f32]>,
    ) {
        let scale = simd.splat(scale);
        let mut dresidual = dresidual;
        for first in (0..dy.len()).step_by(S::LANES) {
            let gradient = masked(simd, passed, scale, dy, first);
            if let Some(dresidual) = &mut dresidual {
                store_some(simd, &mut dresidual[first..], gradient);
            }
            store_some(simd, &mut dx[first..], simd.mul(gradient, scale));
        }
    }
}
