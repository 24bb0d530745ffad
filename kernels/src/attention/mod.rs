//! Scaled dot-product attention (Vaswani et al., 2017): weights = softmax(scale · Q Kᵀ + biases),
//! context = weights · V, in two steps or in one with the same bits.
//!
//! Weights are `[batch, heads, queries, keys]`. Each head of each image is a task.

mod gradient;
mod observed;

pub use gradient::{attention_backward, attention_context_backward, attention_weights_backward};
pub use observed::{AttentionSums, HeadSums, Observation, attention_observed, observe_weights};

use crate::gemm::{Product, Threads};
use crate::heads::{Heads, HeadsMut};
use crate::matrix::Matrix;
use crate::parallel::{self, Shared};
use crate::reduce::add_to;
use crate::scratch::Scratch;
use crate::softmax::softmax_in_place;
use crate::{Level, Precision};
use std::ops::Range;

/// Values added to the scores before the softmax: a mask (0 or −∞), relative position biases.
///
/// `[images, heads, queries, keys]`, where `images` divides the batch and repeats along it (so one mask per Swin window serves
/// every image), and `heads` and `queries` may be 1.
#[derive(Clone, Copy, Debug)]
pub struct ScoreBias<'a> {
    data: &'a [f32],
    shape: [usize; 4],
}

impl<'a> ScoreBias<'a> {
    /// A bias that fills `data`.
    ///
    /// # Panics
    /// If `data` does not have the shape's number of elements.
    pub fn new(data: &'a [f32], shape: [usize; 4]) -> Self {
        assert_eq!(data.len(), shape.iter().product::<usize>(), "a score bias fills its slice: {shape:?}");
        ScoreBias { data, shape }
    }

    fn check(&self, scores: &Scores) {
        let [images, heads, queries, keys] = self.shape;
        assert!(
            images > 0
                && scores.batch.is_multiple_of(images)
                && (heads == 1 || heads == scores.heads)
                && (queries == 1 || queries == scores.queries)
                && keys == scores.keys,
            "a bias of shape {:?} does not fit scores of shape {scores:?}",
            self.shape
        );
    }

    fn row(&self, image: usize, head: usize, query: usize) -> &'a [f32] {
        let [images, heads, queries, keys] = self.shape;
        let row = ((image % images) * heads + head % heads) * queries + query % queries;
        &self.data[row * keys..][..keys]
    }
}

/// The shape of scores and weights.
#[derive(Clone, Copy, Debug)]
struct Scores {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
}

impl Scores {
    fn of(q: &Heads<'_>, k: &Heads<'_>) -> Self {
        let (a, b) = (q.shape, k.shape);
        assert_eq!(
            (a.batch, a.heads, a.head_dim),
            (b.batch, b.heads, b.head_dim),
            "queries and keys agree in images, heads and head_dim"
        );
        Scores { batch: a.batch, heads: a.heads, queries: a.tokens, keys: b.tokens }
    }

    fn check_weights(&self, weights: usize) {
        let expected = self.batch * self.heads * self.queries * self.keys;
        assert_eq!(weights, expected, "weights have the shape of the scores: {self:?}");
    }

    /// Runs `task(image, head, range of the head's weights)` for every head.
    fn for_each_head(&self, task: impl Fn(usize, usize, Range<usize>) + Sync) {
        let size = self.queries * self.keys;
        parallel::for_each(self.batch * self.heads, |i| {
            task(i / self.heads, i % self.heads, i * size..(i + 1) * size);
        });
    }
}

/// A · B, times `scale`, written on this thread.
///
/// # Safety
/// `c` is writable for the product's rows, `stride` apart, and not used elsewhere.
unsafe fn multiply(
    level: Level,
    a: Matrix<'_>,
    b: Matrix<'_>,
    scale: f32,
    (c, stride): (Shared<f32>, usize),
    precision: Precision,
) {
    let product = Product { scale, ..Product::new(level, a, b, precision) };
    // SAFETY: passed on.
    unsafe { product.run(c, stride, Threads::One, &|_, _| {}) }
}

/// Weights of some queries of one head.
struct HeadWeights<'a> {
    level: Level,
    q: Heads<'a>,
    k: Heads<'a>,
    scale: f32,
    biases: &'a [ScoreBias<'a>],
    precision: Precision,
}

impl HeadWeights<'_> {
    fn compute(&self, image: usize, head: usize, queries: Range<usize>, weights: &mut [f32]) {
        let keys = self.k.shape.tokens;
        if keys == 0 {
            return;
        }
        let q = self.q.matrix(image, head).row_range(queries.clone());
        let k = self.k.matrix(image, head).transposed();
        // SAFETY: `weights` is borrowed uniquely and checked to hold the queries' rows.
        unsafe {
            assert_eq!(weights.len(), queries.len() * keys);
            multiply(self.level, q, k, self.scale, (Shared::new(weights), keys), self.precision);
        }
        for bias in self.biases {
            for (query, row) in queries.clone().zip(weights.chunks_mut(keys)) {
                add_to(self.level, bias.row(image, head, query), row);
            }
        }
        softmax_in_place(self.level, weights, keys);
    }
}

/// weights = softmax(scale · Q Kᵀ + biases). A query whose scores are all −∞ has zero weights.
///
/// # Panics
/// If shapes do not fit.
pub fn attention_weights(
    q: Heads<'_>,
    k: Heads<'_>,
    scale: f32,
    biases: &[ScoreBias<'_>],
    weights: &mut [f32],
    precision: Precision,
) {
    let scores = Scores::of(&q, &k);
    scores.check_weights(weights.len());
    biases.iter().for_each(|bias| bias.check(&scores));
    let head_weights = HeadWeights { level: Level::current(), q, k, scale, biases, precision };
    let weights = Shared::new(weights);
    scores.for_each_head(|image, head, range| {
        // SAFETY: heads have disjoint ranges.
        let weights = unsafe { weights.slice(range.start, range.len()) };
        head_weights.compute(image, head, 0..scores.queries, weights);
    });
}

/// context = weights · V.
///
/// # Panics
/// If shapes do not fit.
pub fn attention_context(weights: &[f32], v: Heads<'_>, context: HeadsMut<'_>, precision: Precision) {
    let scores = Scores { queries: context.shape.tokens, ..Scores::of(&v, &v) };
    check_context(&scores, v, context.shape);
    scores.check_weights(weights.len());
    let level = Level::current();
    scores.for_each_head(|image, head, range| {
        let weights = Matrix::new(&weights[range], scores.queries, scores.keys);
        // SAFETY: each head's part of the context is written by its own task, and its shape was checked.
        unsafe {
            multiply(level, weights, v.matrix(image, head), 1.0, context.target(image, head), precision)
        }
    });
}

fn check_context(scores: &Scores, v: Heads<'_>, context: crate::HeadsShape) {
    assert_eq!(
        (v.shape.batch, v.shape.heads, v.shape.tokens),
        (scores.batch, scores.heads, scores.keys),
        "values agree with the keys in images, heads and tokens"
    );
    assert_eq!(
        (context.batch, context.heads, context.tokens, context.head_dim),
        (scores.batch, scores.heads, scores.queries, v.shape.head_dim),
        "the context has the queries' tokens and the values' head_dim"
    );
}

/// Queries whose weights are held at once when they are not kept.
const QUERIES_AT_ONCE: usize = 256;

/// [`attention_weights`] and [`attention_context`] in one pass, with the same bits; the weights are not kept.
///
/// # Panics
/// If shapes do not fit.
pub fn attention_forward(
    [q, k, v]: [Heads<'_>; 3],
    scale: f32,
    biases: &[ScoreBias<'_>],
    context: HeadsMut<'_>,
    precision: Precision,
) {
    let scores = Scores::of(&q, &k);
    check_context(&scores, v, context.shape);
    biases.iter().for_each(|bias| bias.check(&scores));
    let level = Level::current();
    let head_weights = HeadWeights { level, q, k, scale, biases, precision };
    scores.for_each_head(|image, head, _| {
        let mut weights = Scratch::take(scores.queries.min(QUERIES_AT_ONCE) * scores.keys);
        let (context, stride) = context.target(image, head);
        for first in (0..scores.queries).step_by(QUERIES_AT_ONCE) {
            let queries = first..(first + QUERIES_AT_ONCE).min(scores.queries);
            let weights = &mut weights[..queries.len() * scores.keys];
            head_weights.compute(image, head, queries.clone(), weights);
            let rows = Matrix::new(weights, queries.len(), scores.keys);
            // SAFETY: as in `attention_context`.
            unsafe {
                let target = (context.offset(first * stride), stride);
                multiply(level, rows, v.matrix(image, head), 1.0, target, precision);
            }
        }
    });
}

#[cfg(test)]
mod tests;
