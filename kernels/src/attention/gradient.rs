//! The gradients of attention, in two steps or in one.

use super::{HeadWeights, ScoreBias, Scores, check_context, multiply};
use crate::heads::{Heads, HeadsMut};
use crate::matrix::Matrix;
use crate::parallel::Shared;
use crate::scratch::Scratch;
use crate::softmax::softmax_backward_in_place;
use crate::{Level, Precision};
use std::ops::Range;

/// The gradients of [`attention_context`](super::attention_context): dweights = dcontext · Vᵀ and dV = weightsᵀ · dcontext.
///
/// # Panics
/// If shapes do not fit.
pub fn attention_context_backward(
    weights: &[f32],
    v: Heads<'_>,
    dcontext: Heads<'_>,
    dweights: &mut [f32],
    dv: HeadsMut<'_>,
    precision: Precision,
) {
    let scores = Scores { queries: dcontext.shape.tokens, ..Scores::of(&v, &v) };
    check_context(&scores, v, dcontext.shape);
    scores.check_weights(weights.len());
    scores.check_weights(dweights.len());
    assert_eq!(dv.shape, v.shape, "a gradient has its vectors' shape");
    let level = Level::current();
    let dweights = Shared::new(dweights);
    scores.for_each_head(|image, head, range| {
        let dweights = dweights.offset(range.start);
        let weights = Matrix::new(&weights[range], scores.queries, scores.keys);
        let (v, dcontext) = (v.matrix(image, head), dcontext.matrix(image, head));
        // SAFETY: each head's part of either gradient is written by its own task, and shapes were checked.
        unsafe {
            multiply(level, dcontext, v.transposed(), 1.0, (dweights, scores.keys), precision);
            multiply(level, weights.transposed(), dcontext, 1.0, dv.target(image, head), precision);
        }
    });
}

/// The gradients of [`attention_weights`](super::attention_weights) to queries and keys, and to the scores (before the biases) if
/// requested: a bias's gradient is their sum over what it was repeated along.
///
/// # Panics
/// If shapes do not fit.
pub fn attention_weights_backward(
    weights: &[f32],
    dweights: &[f32],
    [q, k]: [Heads<'_>; 2],
    scale: f32,
    dscores: Option<&mut [f32]>,
    [dq, dk]: [HeadsMut<'_>; 2],
    precision: Precision,
) {
    let scores = Scores::of(&q, &k);
    scores.check_weights(weights.len());
    scores.check_weights(dweights.len());
    let gradient = ScoreGradient::new(&scores, [q, k], scale, dscores, [dq, dk], precision);
    scores.for_each_head(|image, head, range| {
        let dweights = &dweights[range.clone()];
        gradient.propagate(image, head, range.clone(), &weights[range], |scores| {
            scores.copy_from_slice(dweights)
        });
    });
}

/// The gradients of [`attention_forward`](super::attention_forward) to queries, keys, values and, if requested, scores, with the bits
/// of [`attention_context_backward`] followed by [`attention_weights_backward`]. The weights are recomputed head by head: storing
/// them would take a fifth of what a Vision Transformer of 197 tokens keeps for its gradients, recomputing takes a fiftieth of
/// its time.
///
/// # Panics
/// If shapes do not fit.
pub fn attention_backward(
    [q, k, v]: [Heads<'_>; 3],
    scale: f32,
    biases: &[ScoreBias<'_>],
    dcontext: Heads<'_>,
    dscores: Option<&mut [f32]>,
    [dq, dk, dv]: [HeadsMut<'_>; 3],
    precision: Precision,
) {
    let scores = Scores::of(&q, &k);
    check_context(&scores, v, dcontext.shape);
    biases.iter().for_each(|bias| bias.check(&scores));
    assert_eq!(dv.shape, v.shape, "a gradient has its vectors' shape");
    let gradient = ScoreGradient::new(&scores, [q, k], scale, dscores, [dq, dk], precision);
    let level = gradient.level;
    let head_weights = HeadWeights { level, q, k, scale, biases, precision };
    scores.for_each_head(|image, head, range| {
        let mut weights = Scratch::take(range.len());
        head_weights.compute(image, head, 0..scores.queries, &mut weights);
        let dcontext = dcontext.matrix(image, head);
        let by_query = Matrix::new(&weights, scores.queries, scores.keys);
        // SAFETY: as in `attention_context_backward`.
        unsafe { multiply(level, by_query.transposed(), dcontext, 1.0, dv.target(image, head), precision) }
        gradient.propagate(image, head, range, &weights, |dweights| {
            let target = (Shared::new(dweights), scores.keys);
            // SAFETY: `dweights` is borrowed uniquely and holds the head's queries by keys.
            unsafe { multiply(level, dcontext, v.matrix(image, head).transposed(), 1.0, target, precision) }
        });
    });
}

/// From the gradient of one head's weights to those of its scores, queries and keys.
struct ScoreGradient<'a> {
    level: Level,
    q: Heads<'a>,
    k: Heads<'a>,
    scale: f32,
    dscores: Option<Shared<f32>>,
    dq: HeadsMut<'a>,
    dk: HeadsMut<'a>,
    precision: Precision,
}

impl<'a> ScoreGradient<'a> {
    fn new(
        scores: &Scores,
        [q, k]: [Heads<'a>; 2],
        scale: f32,
        dscores: Option<&'a mut [f32]>,
        [dq, dk]: [HeadsMut<'a>; 2],
        precision: Precision,
    ) -> Self {
        assert!(dq.shape == q.shape && dk.shape == k.shape, "a gradient has its vectors' shape");
        let dscores = dscores.map(|dscores| {
            scores.check_weights(dscores.len());
            Shared::new(dscores)
        });
        ScoreGradient { level: Level::current(), q, k, scale, dscores, dq, dk, precision }
    }

    /// `fill` writes the gradient of the head's weights. Called once for each head.
    fn propagate(
        &self,
        image: usize,
        head: usize,
        range: Range<usize>,
        weights: &[f32],
        fill: impl FnOnce(&mut [f32]),
    ) {
        let (queries, keys) = (self.q.shape.tokens, self.k.shape.tokens);
        if queries == 0 || keys == 0 {
            return self.zero(image, head);
        }
        let mut scratch = Scratch::take(if self.dscores.is_some() { 0 } else { range.len() });
        let gradient = match self.dscores {
            // SAFETY: heads have disjoint ranges, and `ScoreGradient::new` has checked the length.
            Some(dscores) => unsafe { dscores.slice(range.start, range.len()) },
            None => &mut scratch[..],
        };
        fill(gradient);
        softmax_backward_in_place(self.level, weights, gradient, keys);
        let gradient = Matrix::new(gradient, queries, keys);
        let (q, k) = (self.q.matrix(image, head), self.k.matrix(image, head));
        let (dq, dk) = (self.dq.target(image, head), self.dk.target(image, head));
        // SAFETY: each head's part of either gradient is written by its own task; its shape was checked.
        unsafe {
            multiply(self.level, gradient, k, self.scale, dq, self.precision);
            multiply(self.level, gradient.transposed(), q, self.scale, dk, self.precision);
        }
    }

    /// Without queries or keys the gradient of the other is zero.
    fn zero(&self, image: usize, head: usize) {
        for heads in [&self.dq, &self.dk] {
            let (target, stride) = heads.target(image, head);
            for token in 0..heads.shape.tokens {
                // SAFETY: as in `propagate`.
                unsafe { target.slice(token * stride, heads.shape.head_dim) }.fill(0.0);
            }
        }
    }
}
