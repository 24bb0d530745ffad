//! Attention composed over layers: which patches reach the token that the head reads.
//!
//! Every method here multiplies one n × n matrix a layer, from the last layer to the first, and keeps the row of the token
//! that is read. That row is computed as row vector times matrix, `r ← r · M_l` for l = L … 1, which takes O(L · n²)
//! operations where the product of the matrices takes O(L · n³). It starts as the class token's unit vector, or, for a
//! model that pools, as the mean over all tokens.

use serde::{Deserialize, Serialize};

use crate::attention_maps::AttentionMaps;
use crate::heatmap::Heatmap;

/// How the heads of a layer become one matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadFusion {
    /// Mean over heads, as in the paper.
    #[default]
    Mean,
    /// Largest weight over heads.
    Max,
    /// Smallest weight over heads.
    Min,
}

/// How [`rollout`] treats a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RolloutOptions {
    /// How the heads become one matrix.
    pub fusion: HeadFusion,
    /// Share of each row's entries, the smallest, that are set to zero, in [0, 1). The count is rounded down; among equal
    /// entries the earlier keys go first.
    pub discard: f64,
}

/// Attention rollout (Abnar & Zuidema, 2020, equation 1): `M = (A + I) / 2` with A the fused heads, its rows normalised to
/// sum to one (after discarding, where asked).
///
/// One heatmap an image, over the patch grid. With mean fusion its sum is the share that does not end in prefix tokens.
///
/// # Panics
/// If the discard ratio lies outside [0, 1).
pub fn rollout(maps: &AttentionMaps, options: &RolloutOptions) -> Vec<Heatmap> {
    assert!((0.0..1.0).contains(&options.discard), "a discard ratio lies in [0, 1), not {}", options.discard);
    pull_back(maps, |image, layer| {
        let heads = (0..maps.heads).map(|head| maps.head(layer, image, head));
        let mut fused = fuse(heads, options.fusion);
        for row in fused.chunks_exact_mut(maps.tokens) {
            discard_smallest(row, options.discard);
        }
        with_residual(fused, maps.tokens)
    })
}

/// Gradient rollout: as [`rollout`], with `A = mean over heads of max(weights ⊙ gradients, 0)`, each layer with its own
/// gradients.
pub fn gradient_rollout(weights: &AttentionMaps, gradients: &AttentionMaps) -> Vec<Heatmap> {
    pull_back(weights, |image, layer| {
        with_residual(positive_relevance(weights, gradients, image, layer), weights.tokens)
    })
}

/// Relevance of attention (Chefer et al., ICCV 2021, equations 5 and 6, self-attention): `M = I + A` with
/// `A = mean over heads of max(weights ⊙ gradients, 0)`, rows not normalised.
pub fn attention_relevance(weights: &AttentionMaps, gradients: &AttentionMaps) -> Vec<Heatmap> {
    pull_back(weights, |image, layer| {
        let mut matrix = positive_relevance(weights, gradients, image, layer);
        matrix.iter_mut().step_by(weights.tokens + 1).for_each(|diagonal| *diagonal += 1.0);
        matrix
    })
}

/// The read token's row of `M_L · … · M_1`, patch columns only; `matrix` gives `M` for (image, layer).
fn pull_back(maps: &AttentionMaps, matrix: impl Fn(usize, usize) -> Vec<f64>) -> Vec<Heatmap> {
    let tokens = maps.tokens;
    let one_image = |image: usize| {
        let mut row =
            if maps.prefix_tokens > 0 { vec![0.0; tokens] } else { vec![1.0 / tokens as f64; tokens] };
        if maps.prefix_tokens > 0 {
            row[0] = 1.0;
        }
        for layer in (0..maps.layers.len()).rev() {
            row = row_times_matrix(&row, &matrix(image, layer));
        }
        let patches = row[maps.prefix_tokens..].iter().map(|&value| value as f32).collect();
        Heatmap::new(maps.grid[0], maps.grid[1], patches)
    };
    (0..maps.images).map(one_image).collect()
}

fn row_times_matrix(row: &[f64], matrix: &[f64]) -> Vec<f64> {
    let mut product = vec![0.0; row.len()];
    for (&factor, matrix_row) in row.iter().zip(matrix.chunks_exact(row.len())) {
        if factor != 0.0 {
            product.iter_mut().zip(matrix_row).for_each(|(sum, entry)| *sum += factor * entry);
        }
    }
    product
}

fn fuse<'a>(heads: impl Iterator<Item = &'a [f32]>, fusion: HeadFusion) -> Vec<f64> {
    let mut fused: Vec<f64> = Vec::new();
    let mut count = 0.0;
    for head in heads {
        count += 1.0;
        if fused.is_empty() {
            fused = head.iter().map(|&weight| f64::from(weight)).collect();
            continue;
        }
        for (entry, &weight) in fused.iter_mut().zip(head) {
            let weight = f64::from(weight);
            *entry = match fusion {
                HeadFusion::Mean => *entry + weight,
                HeadFusion::Max => entry.max(weight),
                HeadFusion::Min => entry.min(weight),
            };
        }
    }
    if fusion == HeadFusion::Mean {
        fused.iter_mut().for_each(|entry| *entry /= count);
    }
    fused
}

fn discard_smallest(row: &mut [f64], ratio: f64) {
    let count = (ratio * row.len() as f64) as usize;
    if count == 0 {
        return;
    }
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_unstable_by(|&a, &b| row[a].total_cmp(&row[b]).then(a.cmp(&b)));
    order[..count].iter().for_each(|&key| row[key] = 0.0);
}

/// `(A + I) / 2` with rows normalised, which is `(A + I)` with rows normalised.
fn with_residual(mut matrix: Vec<f64>, tokens: usize) -> Vec<f64> {
    for (query, row) in matrix.chunks_exact_mut(tokens).enumerate() {
        row[query] += 1.0;
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|entry| *entry /= sum);
    }
    matrix
}

fn positive_relevance(
    weights: &AttentionMaps,
    gradients: &AttentionMaps,
    image: usize,
    layer: usize,
) -> Vec<f64> {
    let mut mean = vec![0.0; weights.tokens * weights.tokens];
    for head in 0..weights.heads {
        let pairs = weights.head(layer, image, head).iter().zip(gradients.head(layer, image, head));
        for (sum, (&weight, &gradient)) in mean.iter_mut().zip(pairs) {
            *sum += (f64::from(weight) * f64::from(gradient)).max(0.0) / weights.heads as f64;
        }
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, assert_close, random_attention};

    fn joined(heatmaps: Vec<Heatmap>) -> Vec<f32> {
        heatmaps.into_iter().flat_map(|map| map.values).collect()
    }

    #[test]
    fn every_variant_is_numpys_product_of_matrices() {
        let fixture = Fixture::load();
        let (weights, gradients) = (fixture.attention("attention"), fixture.attention("attention_gradient"));
        for (name, fusion, discard) in [
            ("rollout_mean", HeadFusion::Mean, 0.0),
            ("rollout_max", HeadFusion::Max, 0.0),
            ("rollout_min", HeadFusion::Min, 0.0),
            ("rollout_discard", HeadFusion::Mean, 0.4),
        ] {
            let found = joined(rollout(&weights, &RolloutOptions { fusion, discard }));
            assert_close(&found, fixture.values(name), 1e-6);
        }
        assert_close(
            &joined(gradient_rollout(&weights, &gradients)),
            fixture.values("gradient_rollout"),
            1e-6,
        );
        let relevance = joined(attention_relevance(&weights, &gradients));
        assert_close(&relevance, fixture.values("attention_relevance"), 1e-6);
    }

    /// The whole product, head fusion by mean, in the order of the definition.
    fn naive(maps: &AttentionMaps, image: usize) -> Vec<Vec<f64>> {
        let n = maps.tokens;
        let unit = |i: usize, j: usize| f64::from(u8::from(i == j));
        let mut total: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| unit(i, j)).collect()).collect();
        for layer in 0..maps.layers.len() {
            let entry = |i: usize, j: usize| {
                let sum: f64 =
                    (0..maps.heads).map(|head| f64::from(maps.head(layer, image, head)[i * n + j])).sum();
                (sum / maps.heads as f64 + unit(i, j)) / 2.0
            };
            total = (0..n)
                .map(|i| (0..n).map(|j| (0..n).map(|k| entry(i, k) * total[k][j]).sum::<f64>()).collect())
                .collect();
        }
        total
    }

    #[test]
    fn one_row_times_matrices_is_the_row_of_the_product() {
        for prefix_tokens in [0, 1, 2] {
            let maps = random_attention(2, 3, prefix_tokens);
            let heatmaps = rollout(&maps, &RolloutOptions::default());
            for (image, heatmap) in heatmaps.iter().enumerate() {
                let product = naive(&maps, image);
                let readers = if prefix_tokens > 0 { &product[..1] } else { &product[..] };
                let expected: Vec<f32> = (prefix_tokens..maps.tokens)
                    .map(|j| (readers.iter().map(|row| row[j]).sum::<f64>() / readers.len() as f64) as f32)
                    .collect();
                assert_eq!((heatmap.height, heatmap.width), (2, 3));
                assert_close(&heatmap.values, &expected, 1e-6);
            }
        }
    }

    #[test]
    fn without_a_class_token_nothing_is_lost() {
        let maps = random_attention(2, 3, 0);
        for discard in [0.0, 0.5, 0.9] {
            for heatmap in rollout(&maps, &RolloutOptions { fusion: HeadFusion::Max, discard }) {
                assert!((heatmap.values.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn equal_entries_are_discarded_from_the_front() {
        let mut row = [0.2, 0.1, 0.1, 0.1, 0.5];
        discard_smallest(&mut row, 0.5);
        assert_eq!(row, [0.2, 0.0, 0.0, 0.1, 0.5]);
    }
}
