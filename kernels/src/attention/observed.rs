//! Attention that reduces its weights to a few sums while they are in the cache, and never writes them.
//!
//! The context is [`attention_forward`](super::attention_forward)'s to the last bit. Rows are reduced in vectors of `f32`; sums
//! over rows are `f64`, each query after the other within a block of queries, blocks in order, so that no result depends on
//! threads or batch.

use super::{HeadWeights, Scores, check_context, multiply};
use crate::heads::{Heads, HeadsMut};
use crate::math::x_ln_x;
use crate::matrix::Matrix;
use crate::parallel::{self, Shared};
use crate::scratch::Scratch;
use crate::simd::{load_some, simd_fn, store_some};
use crate::{Level, Precision, ScoreBias};
use std::ops::Range;

/// What is gathered of weights over tokens of which the first `prefix` have no place.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Tokens before the first patch.
    pub prefix: usize,
    /// Distance of each patch (row) to each other one, `[patches, patches]`, in any unit.
    pub distances: Vec<f32>,
    /// Share of each token, as a query, in what is read of the weights, `[tokens]`.
    pub shares: Vec<f32>,
    /// Whether the mean over heads is written, `[batch, tokens, tokens]`.
    pub mean: bool,
}

impl Observation {
    fn tokens(&self) -> usize {
        self.shares.len()
    }

    fn patches(&self) -> usize {
        self.tokens() - self.prefix
    }

    /// Numbers that are summed for each head.
    fn width(&self) -> usize {
        PREFIX + self.prefix
    }

    fn check(&self) {
        let patches = self.tokens().checked_sub(self.prefix).expect("prefix tokens are among the tokens");
        assert_eq!(self.distances.len(), patches * patches, "distances are those of {patches} patches");
    }
}

/// Places of a head's sums; those of prefix tokens follow from [`PREFIX`].
const ENTROPY: usize = 0;
const HOYER: usize = 1;
const BELOW: usize = 2;
const DISTANCE: usize = 3;
const RAW: usize = 4;
const PREFIX: usize = 5;

/// What was gathered of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionSums {
    /// Heads of each image.
    pub heads: usize,
    /// Tokens of each image.
    pub tokens: usize,
    prefix: usize,
    /// `[batch, heads, PREFIX + prefix]`
    sums: Vec<f64>,
    /// `[batch, pairs of heads]`
    pairs: Vec<f64>,
    /// `[batch, heads, tokens]`
    read: Vec<f32>,
    /// `[batch, tokens, tokens]`; empty unless asked for.
    pub mean: Vec<f32>,
}

/// Sums over the queries of one head on one image, `a` being a query's weights and `n` their number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadSums<'a> {
    /// Σ over queries of −Σ a ln a.
    pub entropy: f64,
    /// Σ over queries of (√n − Σ a / √(Σ a²)) / (√n − 1); zero for one token.
    pub hoyer: f64,
    /// Number of weights below 1/n.
    pub below_uniform: f64,
    /// Σ over patches of Σ a·d / Σ a, both over patches as keys.
    pub distance: f64,
    /// Σ over patches of Σ a·d over patches as keys.
    pub raw_distance: f64,
    /// Σ over patches of the weight on each prefix token.
    pub prefix: &'a [f64],
}

impl AttentionSums {
    fn zeros(observation: &Observation, batch: usize, heads: usize) -> Self {
        let tokens = observation.tokens();
        Self {
            heads,
            tokens,
            prefix: observation.prefix,
            sums: vec![0.0; batch * heads * observation.width()],
            pairs: vec![0.0; batch * pairs(heads)],
            read: vec![0.0; batch * heads * tokens],
            mean: if observation.mean { crate::unspecified(batch * tokens * tokens) } else { Vec::new() },
        }
    }

    /// The sums of one head on one image.
    pub fn head(&self, image: usize, head: usize) -> HeadSums<'_> {
        let width = PREFIX + self.prefix;
        let sums = &self.sums[(image * self.heads + head) * width..][..width];
        HeadSums {
            entropy: sums[ENTROPY],
            hoyer: sums[HOYER],
            below_uniform: sums[BELOW],
            distance: sums[DISTANCE],
            raw_distance: sums[RAW],
            prefix: &sums[PREFIX..],
        }
    }

    /// Σ over queries of the Jensen-Shannon divergence, in nats, between two heads, for every pair `(first, second)` with
    /// `first < second`, ordered by the second.
    pub fn divergences(&self, image: usize) -> &[f64] {
        let pairs = pairs(self.heads);
        &self.pairs[image * pairs..][..pairs]
    }

    /// Σ over queries of share · weights, `[tokens]`.
    pub fn read(&self, image: usize, head: usize) -> &[f32] {
        &self.read[(image * self.heads + head) * self.tokens..][..self.tokens]
    }
}

fn pairs(heads: usize) -> usize {
    heads * heads.saturating_sub(1) / 2
}

/// Numbers of all heads' weights that are held at once: half of a second-level cache.
const HELD: usize = 96 * 1024;

/// Queries of a block.
fn block(heads: usize, tokens: usize) -> usize {
    (HELD / (heads * tokens).max(1)).clamp(8, 256).min(tokens.max(1))
}

/// Sums of one block of queries of one image.
struct Part<'a> {
    sums: &'a mut [f64],
    pairs: &'a mut [f64],
    read: &'a mut [f32],
    mean: &'a mut [f32],
}

/// [`attention_forward`](super::attention_forward), and what `observation` asks of the weights.
///
/// # Panics
/// If shapes do not fit.
pub fn attention_observed(
    [q, k, v]: [Heads<'_>; 3],
    scale: f32,
    biases: &[ScoreBias<'_>],
    context: HeadsMut<'_>,
    precision: Precision,
    observation: &Observation,
) -> AttentionSums {
    let scores = Scores::of(&q, &k);
    check_context(&scores, v, context.shape);
    biases.iter().for_each(|bias| bias.check(&scores));
    assert_eq!([scores.queries, scores.keys], [observation.tokens(); 2], "tokens attend to one another");
    let level = Level::current();
    let head_weights = HeadWeights { level, q, k, scale, biases, precision };
    gather(observation, scores.batch, scores.heads, |image, queries, weights, part| {
        for head in 0..scores.heads {
            let weights = &mut weights[head * queries.len() * scores.keys..][..queries.len() * scores.keys];
            head_weights.compute(image, head, queries.clone(), weights);
            let (target, stride) = context.target(image, head);
            let rows = Matrix::new(weights, queries.len(), scores.keys);
            // SAFETY: each block of queries of each head is written by its own task, and the context's shape was checked.
            unsafe {
                let target = (target.offset(queries.start * stride), stride);
                multiply(level, rows, v.matrix(image, head), 1.0, target, precision);
            }
        }
        observe(level, weights, queries, scores.heads, observation, part);
    })
}

/// What `observation` asks of weights that are written, `[batch, heads, tokens, tokens]`: the same bits as
/// [`attention_observed`] gathers.
///
/// # Panics
/// If shapes do not fit.
pub fn observe_weights(
    weights: &[f32],
    [batch, heads]: [usize; 2],
    observation: &Observation,
) -> AttentionSums {
    let tokens = observation.tokens();
    assert_eq!(weights.len(), batch * heads * tokens * tokens, "weights are those of {tokens} tokens");
    let level = Level::current();
    gather(observation, batch, heads, |image, queries, held, part| {
        let rows = queries.len() * tokens;
        for (head, held) in held.chunks_mut(rows).enumerate() {
            let first = ((image * heads + head) * tokens + queries.start) * tokens;
            held.copy_from_slice(&weights[first..][..rows]);
        }
        observe(level, held, queries, heads, observation, part);
    })
}

/// Runs `task(image, queries, room for all heads' weights, sums)` for every block, and adds the sums up in the blocks' order.
fn gather(
    observation: &Observation,
    batch: usize,
    heads: usize,
    task: impl Fn(usize, Range<usize>, &mut [f32], Part<'_>) + Sync,
) -> AttentionSums {
    observation.check();
    let (tokens, block) = (observation.tokens(), block(heads, observation.tokens()));
    let blocks = tokens.div_ceil(block);
    let mut found = AttentionSums::zeros(observation, batch, heads);
    let widths = [heads * observation.width(), pairs(heads), heads * tokens];
    let mut sums = vec![0.0; batch * blocks * widths[0]];
    let mut divergences = vec![0.0; batch * blocks * widths[1]];
    let mut read = vec![0.0; batch * blocks * widths[2]];
    let shared = (Shared::new(&mut sums), Shared::new(&mut divergences), Shared::new(&mut read));
    let mean = Shared::new(&mut found.mean);
    parallel::for_each(batch * blocks, |index| {
        let (image, first) = (index / blocks, index % blocks * block);
        let queries = first..(first + block).min(tokens);
        let mut weights = Scratch::take(heads * queries.len() * tokens);
        // SAFETY: each block has its own part of every array.
        let part = unsafe {
            Part {
                sums: shared.0.slice(index * widths[0], widths[0]),
                pairs: shared.1.slice(index * widths[1], widths[1]),
                read: shared.2.slice(index * widths[2], widths[2]),
                mean: match observation.mean {
                    true => mean.slice((image * tokens + first) * tokens, queries.len() * tokens),
                    false => &mut [],
                },
            }
        };
        task(image, queries, &mut weights, part);
    });
    add_up(&sums, &mut found.sums, widths[0], blocks);
    add_up(&divergences, &mut found.pairs, widths[1], blocks);
    add_up(&read, &mut found.read, widths[2], blocks);
    found
}

/// Parts of `width` numbers, `blocks` of each image in a row, as one of each image.
fn add_up<N: Copy + std::ops::AddAssign>(parts: &[N], sums: &mut [N], width: usize, blocks: usize) {
    for (index, part) in parts.chunks(width.max(1)).enumerate() {
        let sums = &mut sums[index / blocks * width..][..width];
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += *part);
    }
}

simd_fn! {
    /// Reduces a block of queries; `weights` are `[heads, queries, tokens]`.
    fn observe(
        simd: S,
        weights: &[f32],
        queries: Range<usize>,
        heads: usize,
        observation: &Observation,
        part: Part<'_>,
    ) {
        let Part { sums, pairs, read, mean } = part;
        let (tokens, prefix, patches) = (observation.tokens(), observation.prefix, observation.patches());
        let (width, count) = (observation.width(), queries.len());
        let uniform = simd.splat(1.0 / tokens as f32);
        let root = (tokens as f64).sqrt();
        let mut entropies = vec![0.0f64; heads];
        let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
        for query in queries.clone() {
            let row_of = |head: usize| &weights[(head * count + query - queries.start) * tokens..][..tokens];
            for (head, entropy) in entropies.iter_mut().enumerate() {
                let (row, sums) = (row_of(head), &mut sums[head * width..][..width]);
                let (mut logs, mut squares, mut total, mut below) = (zero, zero, zero, zero);
                for x in row.chunks(S::LANES) {
                    let x = load_some(simd, x);
                    logs = simd.add(logs, x_ln_x(simd, x));
                    squares = simd.mul_add(x, x, squares);
                    total = simd.add(total, x);
                    below = simd.add(below, simd.select_gt(uniform, x, one, zero));
                }
                // Lanes beyond the row's end are zero, and below everything.
                let beyond = tokens.next_multiple_of(S::LANES) - tokens;
                *entropy = -f64::from(simd.sum(logs));
                sums[ENTROPY] += *entropy;
                sums[BELOW] += f64::from(simd.sum(below)) - beyond as f64;
                let squares = f64::from(simd.sum(squares));
                if tokens > 1 && squares > 0.0 {
                    sums[HOYER] += (root - f64::from(simd.sum(total)) / squares.sqrt()) / (root - 1.0);
                }
                if query >= prefix {
                    let distances = &observation.distances[(query - prefix) * patches..][..patches];
                    let (mut weighted, mut total) = (zero, zero);
                    for (x, d) in row[prefix..].chunks(S::LANES).zip(distances.chunks(S::LANES)) {
                        let x = load_some(simd, x);
                        weighted = simd.mul_add(x, load_some(simd, d), weighted);
                        total = simd.add(total, x);
                    }
                    let (weighted, total) = (f64::from(simd.sum(weighted)), f64::from(simd.sum(total)));
                    sums[RAW] += weighted;
                    if total > 0.0 {
                        sums[DISTANCE] += weighted / total;
                    }
                    for (sum, weight) in sums[PREFIX..].iter_mut().zip(row) {
                        *sum += f64::from(*weight);
                    }
                }
                let share = observation.shares[query];
                if share != 0.0 {
                    let read = &mut read[head * tokens..][..tokens];
                    for (x, sum) in row.chunks(S::LANES).zip(read.chunks_mut(S::LANES)) {
                        let next = simd.mul_add(simd.splat(share), load_some(simd, x), load_some(simd, sum));
                        store_some(simd, sum, next);
                    }
                }
            }
            let half = simd.splat(0.5);
            let mut pairs = pairs.iter_mut();
            for second in 1..heads {
                for first in 0..second {
                    let (p, q) = (row_of(first), row_of(second));
                    let mut logs = zero;
                    for (p, q) in p.chunks(S::LANES).zip(q.chunks(S::LANES)) {
                        let mixed = simd.mul(half, simd.add(load_some(simd, p), load_some(simd, q)));
                        logs = simd.add(logs, x_ln_x(simd, mixed));
                    }
                    let mixed = -f64::from(simd.sum(logs));
                    let pair = pairs.next().expect("one sum for each pair");
                    *pair += mixed - (entropies[first] + entropies[second]) / 2.0;
                }
            }
            if observation.mean {
                let target = &mut mean[(query - queries.start) * tokens..][..tokens];
                let scale = simd.splat(1.0 / heads as f32);
                for (place, target) in target.chunks_mut(S::LANES).enumerate() {
                    let mut sum = zero;
                    for head in 0..heads {
                        let row = &row_of(head)[place * S::LANES..];
                        sum = simd.add(sum, load_some(simd, &row[..target.len()]));
                    }
                    store_some(simd, target, simd.mul(sum, scale));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{attention_forward, attention_weights};
    use super::*;
    use crate::HeadsShape;
    use crate::reference::{Random, assert_same_bits, assert_thread_count_is_irrelevant, at_every_level};

    fn observation(random: &mut Random, tokens: usize, prefix: usize) -> Observation {
        let patches = tokens - prefix;
        let distances = random.numbers(patches * patches).iter().map(|d| d.abs()).collect();
        let shares = (0..tokens).map(|i| if i % 3 == 1 { 0.0 } else { 0.1 }).collect();
        Observation { prefix, distances, shares, mean: true }
    }

    #[test]
    fn sums_are_those_of_written_weights_and_the_context_does_not_change() {
        let mut random = Random(77);
        for case in 0..24 {
            let (batch, heads, head_dim) =
                (random.between(1, 3), random.between(1, 4), random.between(1, 20));
            // The last cases take more than one block of queries.
            let tokens = if case > 20 { 300 } else { random.between(3, 60) };
            let shape = HeadsShape { batch, heads, tokens, head_dim };
            let packed = random.numbers(3 * batch * heads * tokens * head_dim);
            let bias = random.numbers(heads * tokens * tokens);
            let biases = [ScoreBias::new(&bias, [1, heads, tokens, tokens])];
            let biases = &biases[..case % 2];
            let prefix = random.between(0, 2);
            let asked = observation(&mut random, tokens, prefix);
            at_every_level(|level| {
                let inputs = Heads::packed(&packed, shape);
                let (mut expected, mut context) = (vec![9.0; packed.len() / 3], vec![8.0; packed.len() / 3]);
                let mut weights = vec![9.0; batch * heads * tokens * tokens];
                let precision = Precision::F32;
                attention_forward(inputs, 0.7, biases, HeadsMut::merged(&mut expected, shape), precision);
                attention_weights(inputs[0], inputs[1], 0.7, biases, &mut weights, precision);
                let target = HeadsMut::merged(&mut context, shape);
                let found = attention_observed(inputs, 0.7, biases, target, precision, &asked);
                assert_same_bits(&format!("context at {level:?}"), &context, &expected);
                assert_eq!(found, observe_weights(&weights, [batch, heads], &asked));
                check(&found, &weights, batch, &asked);
            });
        }
    }

    /// Against the definitions, in double precision.
    fn check(found: &AttentionSums, weights: &[f32], batch: usize, asked: &Observation) {
        let (tokens, prefix, heads) = (found.tokens, asked.prefix, found.heads);
        let patches = tokens - prefix;
        let close = |what: &str, found: f64, expected: f64| {
            let error = (found - expected).abs();
            assert!(error < 1e-6 * expected.abs().max(tokens as f64), "{what}: {found}, not {expected}");
        };
        let entropy = |row: &mut dyn Iterator<Item = f64>| -> f64 {
            -row.filter(|a| *a > 0.0).map(|a| a * a.ln()).sum::<f64>()
        };
        for image in 0..batch {
            let rows = |head: usize| {
                weights[(image * heads + head) * tokens * tokens..][..tokens * tokens].chunks(tokens)
            };
            for head in 0..heads {
                let sums = found.head(image, head);
                let (mut entropies, mut hoyer, mut below, mut distance, mut raw) = (0.0, 0.0, 0.0, 0.0, 0.0);
                let (mut read, mut masses) = (vec![0.0; tokens], vec![0.0; prefix]);
                for (query, row) in rows(head).enumerate() {
                    let row: Vec<f64> = row.iter().map(|a| f64::from(*a)).collect();
                    entropies += entropy(&mut row.iter().copied());
                    let (n, squares) = ((tokens as f64).sqrt(), row.iter().map(|a| a * a).sum::<f64>());
                    hoyer += (n - row.iter().sum::<f64>() / squares.sqrt()) / (n - 1.0);
                    below += row.iter().filter(|a| (**a as f32) < 1.0 / tokens as f32).count() as f64;
                    let share = f64::from(asked.shares[query]);
                    read.iter_mut().zip(&row).for_each(|(sum, a)| *sum += share * a);
                    if query >= prefix {
                        let distances = &asked.distances[(query - prefix) * patches..][..patches];
                        let far: f64 =
                            row[prefix..].iter().zip(distances).map(|(a, d)| a * f64::from(*d)).sum();
                        raw += far;
                        distance += far / row[prefix..].iter().sum::<f64>();
                        masses.iter_mut().zip(&row).for_each(|(sum, a)| *sum += a);
                    }
                }
                close("entropy", sums.entropy, entropies);
                close("hoyer", sums.hoyer, hoyer);
                assert_eq!(sums.below_uniform, below);
                close("distance", sums.distance, distance);
                close("raw distance", sums.raw_distance, raw);
                masses.iter().zip(sums.prefix).for_each(|(mass, found)| close("mass", *found, *mass));
                for (found, read) in found.read(image, head).iter().zip(&read) {
                    close("read", f64::from(*found), *read);
                }
            }
            let mut divergences = found.divergences(image).iter();
            for second in 1..heads {
                for first in 0..second {
                    let mut expected = 0.0;
                    for (p, q) in rows(first).zip(rows(second)) {
                        let wide = |row: &[f32]| row.iter().map(|a| f64::from(*a)).collect::<Vec<_>>();
                        let (p, q) = (wide(p), wide(q));
                        let mixed = entropy(&mut p.iter().zip(&q).map(|(p, q)| (p + q) / 2.0));
                        expected +=
                            mixed - (entropy(&mut p.iter().copied()) + entropy(&mut q.iter().copied())) / 2.0;
                    }
                    close("divergence", *divergences.next().unwrap(), expected);
                }
            }
            for place in 0..tokens * tokens {
                let weight =
                    |head: usize| f64::from(weights[(image * heads + head) * tokens * tokens + place]);
                let mean = (0..heads).map(weight).sum::<f64>() / heads as f64;
                let found = f64::from(found.mean[image * tokens * tokens + place]);
                assert!((found - mean).abs() < 1e-7, "mean {found}, not {mean}");
            }
        }
    }

    #[test]
    fn uniform_and_identity_weights_have_known_sums() {
        let tokens = 17;
        let mut asked =
            Observation { prefix: 1, distances: vec![2.0; 256], shares: vec![0.0; tokens], mean: false };
        asked.shares[0] = 1.0;
        // Heads: uniform, identity.
        let even = vec![1.0 / tokens as f32; tokens * tokens];
        let own = (0..tokens * tokens).map(|i| if i % (tokens + 1) == 0 { 1.0 } else { 0.0 });
        let weights: Vec<f32> = even.into_iter().chain(own).collect();
        at_every_level(|_| {
            let found = observe_weights(&weights, [1, 2], &asked);
            let n = tokens as f64;
            let [uniform, identity] = [0, 1].map(|head| found.head(0, head));
            assert!((uniform.entropy / n - n.ln()).abs() < 1e-6);
            assert!(uniform.hoyer.abs() < 1e-5 && uniform.below_uniform == 0.0);
            assert!((uniform.distance / 16.0 - 2.0).abs() < 1e-6);
            assert!((uniform.raw_distance / 16.0 - 2.0 * 16.0 / n).abs() < 1e-6);
            assert!((uniform.prefix[0] / 16.0 - 1.0 / n).abs() < 1e-6);
            assert_eq!((identity.entropy, identity.below_uniform), (0.0, n * (n - 1.0)));
            assert!((identity.hoyer / n - 1.0).abs() < 1e-6);
            assert_eq!((identity.prefix[0], identity.distance), (0.0, 32.0));
            assert_eq!(found.read(0, 1)[..3], [1.0, 0.0, 0.0]);
            assert!(found.mean.is_empty());
        });
    }

    #[test]
    fn neither_threads_nor_batch_matter() {
        let (tokens, heads, head_dim) = (300, 3, 16);
        let mut random = Random(5);
        let packed = random.numbers(2 * 3 * heads * tokens * head_dim);
        let asked = observation(&mut random, tokens, 1);
        let run = |packed: &[f32], batch: usize| {
            let shape = HeadsShape { batch, heads, tokens, head_dim };
            let mut context = vec![0.0; packed.len() / 3];
            let target = HeadsMut::merged(&mut context, shape);
            attention_observed(Heads::packed(packed, shape), 0.3, &[], target, Precision::F32, &asked)
        };
        let numbers = |found: &AttentionSums, image: usize| -> Vec<f32> {
            // Both halves of every double.
            let halves = |x: &f64| [(x.to_bits() >> 32) as u32, x.to_bits() as u32].map(f32::from_bits);
            let sums = &found.sums[image * heads * 6..][..heads * 6];
            let all = sums.iter().chain(found.divergences(image)).flat_map(halves);
            all.chain(found.read(image, 1).iter().copied()).collect()
        };
        assert_thread_count_is_irrelevant("sums", || numbers(&run(&packed, 2), 1));
        at_every_level(|_| {
            let alone = run(&packed[packed.len() / 2..], 1);
            assert_same_bits("an image alone", &numbers(&alone, 0), &numbers(&run(&packed, 2), 1));
        });
    }
}
