use super::*;
use crate::HeadsShape;
use crate::reference::{
    Random, assert_close, assert_same_bits, assert_thread_count_is_irrelevant, at_every_level, doubles,
};

const F32: Precision = Precision::F32;

/// Attention in double precision on plain layouts: weights, context, and the gradients of Σ context · dcontext.
struct Reference {
    weights: Vec<f64>,
    context: Vec<f64>,
    dq: Vec<f64>,
    dk: Vec<f64>,
    dv: Vec<f64>,
    dscores: Vec<f64>,
}

fn reference(
    [q, k, v, dcontext]: [&[f32]; 4],
    (queries, keys, dim): (usize, usize, usize),
    scale: f64,
    bias: impl Fn(usize, usize, usize) -> f64,
) -> Reference {
    let [q, k, v, dcontext] = [q, k, v, dcontext].map(doubles);
    let heads = q.len() / (queries * dim);
    let zeros = |tokens: usize, width: usize| vec![0.0; heads * tokens * width];
    let mut r = Reference {
        weights: zeros(queries, keys),
        context: zeros(queries, dim),
        dq: zeros(queries, dim),
        dk: zeros(keys, dim),
        dv: zeros(keys, dim),
        dscores: zeros(queries, keys),
    };
    for head in 0..heads {
        for i in 0..queries {
            let query = (head * queries + i) * dim;
            let key = |j: usize| (head * keys + j) * dim;
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let scores: Vec<f64> = (0..keys)
                .map(|j| scale * dot(&q[query..query + dim], &k[key(j)..key(j) + dim]) + bias(head, i, j))
                .collect();
            let total: f64 = scores.iter().map(|s| s.exp()).sum();
            let weights: Vec<f64> =
                scores.iter().map(|s| if total > 0.0 { s.exp() / total } else { 0.0 }).collect();
            let dweights: Vec<f64> =
                (0..keys).map(|j| dot(&dcontext[query..query + dim], &v[key(j)..key(j) + dim])).collect();
            let mean = dot(&weights, &dweights);
            for j in 0..keys {
                let dscore = weights[j] * (dweights[j] - mean);
                r.weights[(head * queries + i) * keys + j] = weights[j];
                r.dscores[(head * queries + i) * keys + j] = dscore;
                for d in 0..dim {
                    r.context[query + d] += weights[j] * v[key(j) + d];
                    r.dv[key(j) + d] += weights[j] * dcontext[query + d];
                    r.dq[query + d] += scale * dscore * k[key(j) + d];
                    r.dk[key(j) + d] += scale * dscore * q[query + d];
                }
            }
        }
    }
    r
}

#[test]
fn values_and_gradients_agree_with_double_precision() {
    let mut random = Random(40);
    for case in 0..60 {
        let (batch, heads) = (2 * random.between(1, 2), random.between(1, 3));
        let (queries, keys, head_dim) = (random.between(1, 40), random.between(1, 40), random.between(1, 36));
        let q_shape = HeadsShape { batch, heads, tokens: queries, head_dim };
        let k_shape = HeadsShape { tokens: keys, ..q_shape };
        let (q, dcontext) = (random.numbers(q_shape_len(q_shape)), random.numbers(q_shape_len(q_shape)));
        let (k, v) = (random.numbers(q_shape_len(k_shape)), random.numbers(q_shape_len(k_shape)));
        // A mask of keys for each of two images in turn, one wholly masked, and a bias of heads and positions.
        let mut mask = random.numbers(2 * keys);
        mask.iter_mut().for_each(|x| *x = if *x > 0.0 { f32::NEG_INFINITY } else { 0.0 });
        if case % 3 == 0 {
            mask[..keys].fill(f32::NEG_INFINITY);
        }
        let position = random.numbers(heads * queries * keys);
        let biases =
            [ScoreBias::new(&mask, [2, 1, 1, keys]), ScoreBias::new(&position, [1, heads, queries, keys])];
        let biases = &biases[..case % 3];
        let scale = 0.7;
        let expected = reference([&q, &k, &v, &dcontext], (queries, keys, head_dim), 0.7, |head, i, j| {
            let image_mask = f64::from(mask[head / heads % 2 * keys + j]);
            let here = f64::from(position[(head % heads * queries + i) * keys + j]);
            [0.0, image_mask, image_mask + here][case % 3]
        });
        at_every_level(|level| {
            let what = format!("{q_shape:?}, {keys} keys, at {level:?}");
            let inputs = [Heads::plain(&q, q_shape), Heads::plain(&k, k_shape), Heads::plain(&v, k_shape)];
            let mut weights = vec![9.0; batch * heads * queries * keys];
            let mut context = vec![9.0; q.len()];
            let target = HeadsMut::plain(&mut context, q_shape);
            attention_weights(inputs[0], inputs[1], scale, biases, &mut weights, F32);
            attention_forward(inputs, scale, biases, target, F32);
            assert_close(&what, &weights, &expected.weights, 3e-6);
            assert_close(&what, &context, &expected.context, 3e-6);

            let (mut dq, mut dk, mut dv) = (vec![9.0; q.len()], vec![9.0; k.len()], vec![9.0; k.len()]);
            let mut dscores = vec![9.0; weights.len()];
            let gradients = [
                HeadsMut::plain(&mut dq, q_shape),
                HeadsMut::plain(&mut dk, k_shape),
                HeadsMut::plain(&mut dv, k_shape),
            ];
            let dcontext = Heads::plain(&dcontext, q_shape);
            attention_backward(inputs, scale, biases, dcontext, Some(&mut dscores), gradients, F32);
            for (found, expected) in
                [(&dq, &expected.dq), (&dk, &expected.dk), (&dv, &expected.dv), (&dscores, &expected.dscores)]
            {
                assert_close(&what, found, expected, 5e-6);
            }
        });
    }
}

fn q_shape_len(shape: HeadsShape) -> usize {
    shape.batch * shape.heads * shape.tokens * shape.head_dim
}

/// Everything the one-pass functions compute on a packed buffer: context, weights and dqkv.
fn fused(qkv: &[f32], shape: HeadsShape, dcontext: &[f32], precision: Precision) -> [Vec<f32>; 3] {
    let inputs = Heads::packed(qkv, shape);
    let mut weights = vec![0.0; shape.batch * shape.heads * shape.tokens * shape.tokens];
    let (mut context, mut dqkv) = (vec![0.0; dcontext.len()], vec![0.0; qkv.len()]);
    let target = HeadsMut::merged(&mut context, shape);
    attention_weights(inputs[0], inputs[1], 0.3, &[], &mut weights, precision);
    attention_forward(inputs, 0.3, &[], target, precision);
    let (dcontext, gradients) = (Heads::merged(dcontext, shape), HeadsMut::packed(&mut dqkv, shape));
    attention_backward(inputs, 0.3, &[], dcontext, None, gradients, precision);
    [context, weights, dqkv]
}

#[test]
fn one_pass_has_the_bits_of_two_steps() {
    let mut random = Random(41);
    for tokens in [5, 65, 300] {
        let shape = HeadsShape { batch: 2, heads: 2, tokens, head_dim: 24 };
        let qkv = random.numbers(3 * q_shape_len(shape));
        let dcontext = random.numbers(q_shape_len(shape));
        at_every_level(|_| {
            for precision in [F32, Precision::Bf16] {
                let [context, weights, dqkv] = fused(&qkv, shape, &dcontext, precision);
                let [q, k, v] = Heads::packed(&qkv, shape);
                let mut steps = vec![0.0; weights.len()];
                attention_weights(q, k, 0.3, &[], &mut steps, precision);
                assert_same_bits("weights", &steps, &weights);
                let mut stepped = vec![0.0; context.len()];
                attention_context(&weights, v, HeadsMut::merged(&mut stepped, shape), precision);
                assert_same_bits("context", &stepped, &context);

                let mut two = vec![0.0; qkv.len()];
                let [dq, dk, dv] = HeadsMut::packed(&mut two, shape);
                let mut dweights = vec![0.0; weights.len()];
                let dcontext = Heads::merged(&dcontext, shape);
                attention_context_backward(&weights, v, dcontext, &mut dweights, dv, precision);
                attention_weights_backward(&weights, &dweights, [q, k], 0.3, None, [dq, dk], precision);
                assert_same_bits("gradients", &two, &dqkv);
            }
        });
    }
}

#[test]
fn packed_and_plain_layouts_have_the_same_bits() {
    let shape = HeadsShape { batch: 2, heads: 3, tokens: 17, head_dim: 8 };
    let mut random = Random(42);
    let qkv = random.numbers(3 * q_shape_len(shape));
    let plain = |part: usize| -> Vec<f32> {
        let mut data = Vec::new();
        for image in 0..2 {
            for head in 0..3 {
                for token in 0..17 {
                    let start = (((image * 17 + token) * 3 + part) * 3 + head) * 8;
                    data.extend_from_slice(&qkv[start..start + 8]);
                }
            }
        }
        data
    };
    let (q, k) = (plain(0), plain(1));
    at_every_level(|_| {
        let [packed_q, packed_k, _] = Heads::packed(&qkv, shape);
        let (mut a, mut b) = (vec![0.0; 2 * 3 * 17 * 17], vec![0.0; 2 * 3 * 17 * 17]);
        attention_weights(packed_q, packed_k, 1.0, &[], &mut a, F32);
        attention_weights(Heads::plain(&q, shape), Heads::plain(&k, shape), 1.0, &[], &mut b, F32);
        assert_same_bits("layouts", &a, &b);
    });
}

#[test]
fn neither_threads_nor_other_images_matter() {
    let shape = HeadsShape { batch: 3, heads: 2, tokens: 50, head_dim: 16 };
    let mut random = Random(43);
    let qkv = random.numbers(3 * q_shape_len(shape));
    let dcontext = random.numbers(q_shape_len(shape));
    assert_thread_count_is_irrelevant("attention", || fused(&qkv, shape, &dcontext, F32).concat());
    at_every_level(|_| {
        let (third, one) = (qkv.len() / 3, HeadsShape { batch: 1, ..shape });
        let whole = fused(&qkv, shape, &dcontext, F32);
        let alone = fused(&qkv[third..2 * third], one, &dcontext[third / 3..2 * third / 3], F32);
        for (whole, alone) in whole.iter().zip(&alone) {
            assert_same_bits("one image", alone, &whole[alone.len()..2 * alone.len()]);
        }
    });
}

#[test]
fn nothing_to_attend_to_gives_zeros() {
    let some = HeadsShape { batch: 1, heads: 1, tokens: 3, head_dim: 2 };
    let none = HeadsShape { tokens: 0, ..some };
    let q = [1.0; 6];
    let mut context = [7.0; 6];
    let inputs = [Heads::plain(&q, some), Heads::plain(&[], none), Heads::plain(&[], none)];
    attention_forward(inputs, 1.0, &[], HeadsMut::plain(&mut context, some), F32);
    assert_eq!(context, [0.0; 6]);
}
