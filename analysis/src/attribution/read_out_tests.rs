//! Every kind of read-out under every question that starts from it: products of whole matrices, read at tokens that are
//! written down here once more, for models with and without class token, distillation token and registers.

use archaeo_models::{
    BeitConfig, Classifier, NetworkSpec, Pass, Pooling, Position, Probe, TokenPlace, TokenSite, VitConfig,
    clip::ZeroShotConfig,
};
use burn::tensor::{Device, Tensor};

use crate::attention::{AttentionMaps, DistanceConvention, attention_statistics, target_score};
use crate::attribution::{
    AttentionMap, AttentionRelevance, AttentionXGradient, Attribution, GradCam, GradientRollout, Heatmap,
    LeGrad, LogitLens, Rollout,
};
use crate::tensors::values;
use crate::testing::{
    CLASSES, assert_close, explained, random_images, random_values, vit_config, with_evidence,
};

type Matrix = Vec<Vec<f64>>;

const PATCHES: usize = 16;
const TARGETS: [usize; 2] = [1, 3];

/// A model with the prefix tokens that it has, and the share that each of its tokens has in what is read.
struct Kind {
    name: &'static str,
    model: Classifier,
    /// Class token, distillation token, registers.
    prefix: [usize; 3],
    shares: Vec<f64>,
}

fn kinds() -> Vec<Kind> {
    let kind = |name, network: NetworkSpec, prefix: [usize; 3], read: &[f64], patch: f64| Kind {
        name,
        model: random_values(network),
        prefix,
        shares: read.iter().copied().chain([patch; PATCHES]).collect(),
    };
    let vit = |pooling, distilled, registers| {
        NetworkSpec::Vit(VitConfig {
            distilled,
            registers,
            position: if registers > 0 { Position::LearnedOnPatches } else { Position::Learned },
            ..vit_config(pooling)
        })
    };
    let beit = BeitConfig {
        image_size: 32,
        patch_size: 8,
        width: 32,
        depth: 3,
        heads: 4,
        mlp_width: 64,
        classes: CLASSES,
        epsilon: 1e-6,
        drop_path: 0.0,
    };
    let tower = VitConfig { classes: 0, pre_norm: true, ..vit_config(Pooling::ClassToken) };
    let clip = ZeroShotConfig { image: tower, embedding: 8, classes: CLASSES };
    let mean = 1.0 / PATCHES as f64;
    vec![
        kind("class token", vit(Pooling::ClassToken, false, 0), [1, 0, 0], &[1.0], 0.0),
        kind("mean", vit(Pooling::Mean, false, 0), [0, 0, 0], &[], mean),
        kind("unread class token", vit(Pooling::MeanBesideClassToken, false, 0), [1, 0, 0], &[0.0], mean),
        kind(
            "class token and mean",
            vit(Pooling::ClassTokenAndMean, false, 0),
            [1, 0, 0],
            &[0.5],
            mean / 2.0,
        ),
        kind("distilled", vit(Pooling::ClassToken, true, 0), [1, 1, 0], &[0.5, 0.5], 0.0),
        kind("class token, registers", vit(Pooling::ClassToken, false, 2), [1, 0, 2], &[1.0, 0.0, 0.0], 0.0),
        kind("registers alone", vit(Pooling::Mean, false, 2), [0, 0, 2], &[0.0, 0.0], mean),
        kind(
            "unread class token, registers",
            vit(Pooling::MeanBesideClassToken, false, 1),
            [1, 0, 1],
            &[0.0, 0.0],
            mean,
        ),
        kind("BEiT", NetworkSpec::Beit(beit), [1, 0, 0], &[0.0], mean),
        kind("CLIP", NetworkSpec::ZeroShot(clip), [1, 0, 0], &[1.0], 0.0),
    ]
}

/// `M_L · … · M_1` of one image, `matrix(layer, query, key)`, and of it what the shares read at the patches.
fn read(shares: &[f64], layers: usize, matrix: impl Fn(usize, usize, usize) -> f64) -> Vec<f32> {
    let n = shares.len();
    let mut total: Matrix = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for layer in 0..layers {
        let row = |i: usize| {
            (0..n).map(|j| (0..n).map(|k| matrix(layer, i, k) * total[k][j]).sum()).collect::<Vec<f64>>()
        };
        total = (0..n).map(row).collect();
    }
    (n - PATCHES..n).map(|j| (0..n).map(|i| shares[i] * total[i][j]).sum::<f64>() as f32).collect()
}

/// One entry of the matrix of mean attention, or of mean positive relevance.
fn entry(maps: &[&AttentionMaps], layer: usize, image: usize, query: usize, key: usize) -> f64 {
    let (heads, n) = (maps[0].layers[layer].heads, maps[0].layers[layer].places);
    let one = |head: usize| {
        let factors = maps.iter().map(|maps| maps.layers[layer].head(image, 0, head)[query * n + key]);
        factors.map(f64::from).product::<f64>()
    };
    let clamp = |value: f64| if maps.len() > 1 { value.max(0.0) } else { value };
    (0..heads).map(|head| clamp(one(head))).sum::<f64>() / heads as f64
}

fn check(name: &str, found: &Heatmap, expected: &[f32]) {
    let largest = expected.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let scaled = |values: &[f32]| values.iter().map(|value| value / largest).collect::<Vec<_>>();
    println!("{name}");
    assert_close(&scaled(&found.values), &scaled(expected), 1e-5);
}

#[test]
fn rollouts_start_from_the_tokens_that_are_read() {
    let images = random_images(2, 4);
    for Kind { name, model, shares, .. } in kinds() {
        let (weights, gradients) =
            AttentionMaps::record_with_gradients(&model, images.clone(), &TARGETS).unwrap();
        let depth = weights.layers.len();
        let identity = |i: usize, j: usize| f64::from(u8::from(i == j));
        let of = |method: &dyn Attribution| explained(method, &model, images.clone(), Some(&TARGETS));
        let (plain, by_gradient) = (of(&Rollout::USUAL), of(&GradientRollout));
        let relevance = of(&AttentionRelevance);
        let (last_relevance, last_attention) = (of(&AttentionXGradient), of(&AttentionMap::USUAL));
        for image in 0..2 {
            let attention = |l: usize, i: usize, j: usize| entry(&[&weights], l, image, i, j);
            let positive = |l: usize, i: usize, j: usize| entry(&[&weights, &gradients], l, image, i, j);
            let expected = read(&shares, depth, |l, i, j| (attention(l, i, j) + identity(i, j)) / 2.0);
            check(&format!("{name}: rollout"), &plain[image], &expected);
            let expected = read(&shares, depth, |l, i, j| {
                let sum: f64 = (0..shares.len()).map(|key| positive(l, i, key)).sum();
                (positive(l, i, j) + identity(i, j)) / (sum + 1.0)
            });
            check(&format!("{name}: gradient rollout"), &by_gradient[image], &expected);
            let expected = read(&shares, depth, |l, i, j| positive(l, i, j) + identity(i, j));
            check(&format!("{name}: relevance"), &relevance[image], &expected);
            let expected = read(&shares, 1, |_, i, j| positive(depth - 1, i, j));
            check(&format!("{name}: attention x gradient"), &last_relevance[image], &expected);
            let expected = read(&shares, 1, |_, i, j| attention(depth - 1, i, j));
            check(&format!("{name}: attention"), &last_attention[image], &expected);
            for layer in 0..depth {
                let n = shares.len();
                let row = weights.layers[layer].head(image, 0, 2);
                let expected: Vec<f32> = (n - PATCHES..n)
                    .map(|j| (0..n).map(|i| shares[i] * f64::from(row[i * n + j])).sum::<f64>() as f32)
                    .collect();
                let found = weights.readout_map(layer, image, 2);
                check(&format!("{name}: read-out of layer {}", layer + 1), &found, &expected);
            }
        }
    }
}

#[test]
fn masses_are_those_of_the_tokens_that_are_there() {
    for Kind { name, model, prefix: [class, distillation, registers], .. } in kinds() {
        let maps = AttentionMaps::record(&model, random_images(2, 4)).unwrap();
        let before = class + distillation + registers;
        for (image, layers) in
            attention_statistics(&maps, DistanceConvention::Renormalised).iter().enumerate()
        {
            for (layer, found) in layers.iter().enumerate() {
                let n = maps.layers[layer].places;
                let mass = |head: usize, keys: std::ops::Range<usize>| {
                    let rows = maps.layers[layer].head(image, 0, head).chunks(n).skip(before);
                    let sum: f32 = rows.map(|row| row[keys.clone()].iter().sum::<f32>()).sum();
                    f64::from(sum) / PATCHES as f64
                };
                for (head, found) in found.heads.iter().enumerate() {
                    let check = |found: Option<f64>, first: usize, count: usize| match found {
                        Some(found) => {
                            assert!(count > 0 && (found - mass(head, first..first + count)).abs() < 1e-6)
                        }
                        None => assert_eq!(count, 0, "{name}"),
                    };
                    check(found.class_token_mass, 0, class);
                    check(found.distillation_token_mass, class, distillation);
                    check(found.register_mass, class + distillation, registers);
                }
            }
        }
    }
}

/// Keeps the tokens of one place, and lets their gradient be read.
struct At {
    place: (usize, TokenPlace),
    tokens: Option<(Tensor<3>, Tensor<3>)>,
}

impl Probe for At {
    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        if (site.layer, site.place) != self.place {
            return tokens;
        }
        let zeros = tokens.clone().inner().zeros_like().autodiff().require_grad();
        self.tokens = Some((tokens.clone(), zeros.clone()));
        tokens + zeros
    }
}

/// Tokens at one place of one layer and the gradients of the targets' logits at them, `(images, tokens, width)`.
fn tokens_and_gradients(model: &Classifier, layer: usize, place: TokenPlace) -> [Tensor<3>; 2] {
    let mut probe = At { place: (layer, place), tokens: None };
    let logits = model.logits(random_images(2, 4), &mut Pass::evaluate(&mut probe));
    let gradients = target_score(logits, &TARGETS).backward();
    let (tokens, zeros) = probe.tokens.unwrap();
    [tokens.inner(), zeros.grad(&gradients).unwrap()]
}

#[test]
fn grad_cam_looks_at_the_patches_that_enter_the_last_attention() {
    for Kind { name, model, prefix, .. } in kinds() {
        let [tokens, slopes] = tokens_and_gradients(&model, 2, TokenPlace::AttentionInput);
        let [_, n, width] = tokens.dims();
        let before: usize = prefix.iter().sum();
        assert_eq!(n, before + PATCHES);
        let (tokens, slopes) = (values(tokens), values(slopes));
        for (image, found) in
            explained(&GradCam, &model, random_images(2, 4), Some(&TARGETS)).iter().enumerate()
        {
            let at = |of: &[f32], token: usize, c: usize| f64::from(of[(image * n + token) * width + c]);
            let weight = |c: usize| (before..n).map(|t| at(&slopes, t, c)).sum::<f64>() / PATCHES as f64;
            let weights: Vec<f64> = (0..width).map(weight).collect();
            let sum = |t: usize| (0..width).map(|c| weights[c] * at(&tokens, t, c)).sum::<f64>().max(0.0);
            let expected: Vec<f32> = (before..n).map(|t| sum(t) as f32).collect();
            check(&format!("{name}: Grad-CAM"), found, &expected);
        }
    }
}

/// A head that reads any block's tokens reads the last block's as the model does, and a patch alone as in any other batch.
#[test]
fn blocks_and_patches_are_read_as_the_model_reads() {
    let images = random_images(2, 4);
    for Kind { name, model, .. } in kinds() {
        let lens =
            |images| with_evidence(&model, images, |evidence| LogitLens::USUAL.logits(evidence).unwrap());
        let found = with_evidence(&model, images.clone(), |evidence| {
            let after_last: Vec<f32> = values(evidence.answer_after_block(2, &mut ()));
            assert_close(&after_last, evidence.logits(), 1e-4);
            let maps = LeGrad::USUAL.explain(evidence, &TARGETS).unwrap();
            assert!(maps.iter().all(|map| map.values.len() == PATCHES && !map.is_constant()), "{name}");
            LogitLens::USUAL.logits(evidence).unwrap()
        });
        let reversed = lens(images.clone().flip([0]));
        let (first, second) = found.split_at(PATCHES * CLASSES);
        assert_close(first, &reversed[PATCHES * CLASSES..], 1e-3);
        assert_close(second, &reversed[..PATCHES * CLASSES], 1e-3);
        assert_ne!(first, second, "{name}");
    }
}

/// Why the target is the input of the last block's attention: under a head that reads prefix tokens alone, the patches have
/// no gradient after it.
#[test]
fn after_the_last_attention_patches_have_a_gradient_only_where_they_are_read() {
    for Kind { name, model, shares, .. } in kinds() {
        let [_, slopes] = tokens_and_gradients(&model, 2, TokenPlace::BlockOutput);
        let n = shares.len();
        let patches = values(slopes.narrow(1, n - PATCHES, PATCHES));
        assert_eq!(patches.iter().any(|&slope| slope != 0.0), shares[n - 1] > 0.0, "{name}");
    }
}

#[test]
fn tokens_stand_where_the_shares_say() {
    let device = Device::flex();
    for Kind { name, model, shares, .. } in kinds() {
        let maps = AttentionMaps::record(&model, random_images(1, 4).to_device(&device)).unwrap();
        assert!(maps.layers.iter().all(|layer| layer.site.read_out_weights() == shares), "{name}");
    }
}
