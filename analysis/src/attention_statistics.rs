//! What each attention head attends to, in numbers: one record an image, so that intervals can be formed over images.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::attention_maps::AttentionMaps;

/// How the attention distance treats weight that goes to tokens without a place (class token, registers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistanceConvention {
    /// Their columns are dropped and each row is normalised again: how far the weight that goes to patches goes.
    #[default]
    Renormalised,
    /// Their columns are dropped and nothing is normalised, as common code does: weight on the class token counts as
    /// distance zero.
    Raw,
}

impl DistanceConvention {
    /// The convention in words, for a report's reader.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Renormalised => {
                "mean over patch queries; the class token's column is dropped and each row normalised again"
            }
            Self::Raw => {
                "mean over patch queries; the class token's column is dropped and rows are not normalised again"
            }
        }
    }
}

/// One head on one image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadStatistics {
    /// Mean attention distance (Dosovitskiy et al., 2021, figure 11): Σ_j A_ij · ‖p_i − p_j‖ between patch centres, in
    /// pixels, mean over patch queries i.
    pub distance: f64,
    /// −Σ_j A_ij ln A_ij in nats over all keys, mean over all queries.
    pub entropy: f64,
    /// `entropy / ln n` with n keys: 0 for one key, 1 for all alike.
    pub normalised_entropy: f64,
    /// Hoyer's sparsity (Hoyer, 2004, section 3.1) (√n − ‖A_i‖₁ / ‖A_i‖₂) / (√n − 1), mean over all queries: 0 for all
    /// alike, 1 for one key.
    pub hoyer: f64,
    /// Share of weights below 1/n.
    pub below_uniform: f64,
    /// Mean weight that patch queries give to the class token; `None` without one.
    pub class_token_mass: Option<f64>,
}

/// One layer on one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerStatistics {
    /// One entry a head.
    pub heads: Vec<HeadStatistics>,
    /// Jensen-Shannon divergence (Lin, 1991) in nats between two heads' weights, mean over queries and pairs of heads: 0
    /// for heads that do the same, at most ln 2. Zero for a single head.
    pub diversity: f64,
}

/// Statistics of every head: for each image, one entry a layer from the input to the output.
///
/// A model of a single token, where nothing can be spread, gets zero for normalised entropy and sparsity.
pub fn attention_statistics(
    maps: &AttentionMaps,
    convention: DistanceConvention,
) -> Vec<Vec<LayerStatistics>> {
    let distances = patch_distances(maps);
    let one_layer = |image: usize, layer: usize| LayerStatistics {
        heads: (0..maps.heads)
            .map(|head| head_statistics(maps, maps.head(layer, image, head), &distances, convention))
            .collect(),
        diversity: diversity(maps, image, layer),
    };
    (0..maps.images)
        .into_par_iter()
        .map(|image| (0..maps.layers.len()).map(|layer| one_layer(image, layer)).collect())
        .collect()
}

/// Distances between the centres of all pairs of patches, in pixels.
fn patch_distances(maps: &AttentionMaps) -> Vec<f64> {
    let [rows, columns] = maps.grid;
    let patch = [maps.image_size[0] as f64 / rows as f64, maps.image_size[1] as f64 / columns as f64];
    let place = |index: usize| [(index / columns) as f64 * patch[0], (index % columns) as f64 * patch[1]];
    let patches = rows * columns;
    let distance = |pair: usize| {
        let ([y1, x1], [y2, x2]) = (place(pair / patches), place(pair % patches));
        (y1 - y2).hypot(x1 - x2)
    };
    (0..patches * patches).map(distance).collect()
}

fn head_statistics(
    maps: &AttentionMaps,
    matrix: &[f32],
    distances: &[f64],
    convention: DistanceConvention,
) -> HeadStatistics {
    let AttentionMaps { tokens, prefix_tokens, .. } = *maps;
    let patches = tokens - prefix_tokens;
    let (mut distance, mut entropy_sum, mut hoyer, mut below, mut class_mass) = (0.0, 0.0, 0.0, 0usize, 0.0);
    let root = (tokens as f64).sqrt();
    let uniform = 1.0 / tokens as f32;
    for (query, row) in matrix.chunks_exact(tokens).enumerate() {
        entropy_sum += entropy(row.iter().map(|&weight| f64::from(weight)));
        below += row.iter().filter(|&&weight| weight < uniform).count();
        let (mut sum, mut squares) = (0.0, 0.0);
        for &weight in row {
            sum += f64::from(weight);
            squares += f64::from(weight).powi(2);
        }
        if tokens > 1 && squares > 0.0 {
            hoyer += (root - sum / squares.sqrt()) / (root - 1.0);
        }
        if let Some(patch) = query.checked_sub(prefix_tokens) {
            class_mass += f64::from(row[0]);
            distance +=
                row_distance(&row[prefix_tokens..], &distances[patch * patches..][..patches], convention);
        }
    }
    let (queries, patches) = (tokens as f64, patches as f64);
    let entropy = entropy_sum / queries;
    HeadStatistics {
        distance: distance / patches,
        entropy,
        normalised_entropy: if tokens > 1 { entropy / queries.ln() } else { 0.0 },
        hoyer: hoyer / queries,
        below_uniform: below as f64 / (queries * queries),
        class_token_mass: (prefix_tokens > 0).then_some(class_mass / patches),
    }
}

fn row_distance(weights: &[f32], distances: &[f64], convention: DistanceConvention) -> f64 {
    let (mut sum, mut weighted) = (0.0, 0.0);
    for (&weight, distance) in weights.iter().zip(distances) {
        sum += f64::from(weight);
        weighted += f64::from(weight) * distance;
    }
    match convention {
        DistanceConvention::Raw => weighted,
        DistanceConvention::Renormalised if sum > 0.0 => weighted / sum,
        // A query that gives nothing to any patch reaches nowhere.
        DistanceConvention::Renormalised => 0.0,
    }
}

/// −Σ p ln p, with 0 ln 0 = 0.
fn entropy(weights: impl Iterator<Item = f64>) -> f64 {
    -weights.filter(|&weight| weight > 0.0).map(|weight| weight * weight.ln()).sum::<f64>()
}

/// Mean over queries and pairs of heads of `H((p + q) / 2) − (H(p) + H(q)) / 2`.
fn diversity(maps: &AttentionMaps, image: usize, layer: usize) -> f64 {
    let heads: Vec<&[f32]> = (0..maps.heads).map(|head| maps.head(layer, image, head)).collect();
    // Divided by the number of queries at the end: sums over all rows of a matrix.
    let entropies: Vec<f64> =
        heads.iter().map(|head| entropy(head.iter().map(|&weight| f64::from(weight)))).collect();
    let (mut sum, mut pairs) = (0.0, 0usize);
    for second in 1..heads.len() {
        for first in 0..second {
            let mixture =
                heads[first].iter().zip(heads[second]).map(|(&p, &q)| (f64::from(p) + f64::from(q)) / 2.0);
            sum += entropy(mixture) - (entropies[first] + entropies[second]) / 2.0;
            pairs += 1;
        }
    }
    if pairs == 0 { 0.0 } else { (sum / (pairs * maps.tokens) as f64).max(0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, random_attention};

    #[test]
    fn statistics_are_numpys() {
        let fixture = Fixture::load();
        let maps = fixture.attention("attention");
        let found = attention_statistics(&maps, DistanceConvention::Renormalised);
        let raw = attention_statistics(&maps, DistanceConvention::Raw);
        // The fixture's arrays are (layers, images, heads).
        let check = |name: &str, all: &[Vec<LayerStatistics>], get: fn(&HeadStatistics) -> f64| {
            let expected = fixture.values(name);
            for layer in 0..3 {
                for image in 0..3 {
                    for head in 0..4 {
                        let (found, expected) =
                            (get(&all[image][layer].heads[head]), expected[(layer * 3 + image) * 4 + head]);
                        let difference = (found - f64::from(expected)).abs();
                        assert!(difference < 1e-5 * found.abs().max(1.0), "{name}: {found}, not {expected}");
                    }
                }
            }
        };
        check("distance", &found, |head| head.distance);
        check("distance_raw", &raw, |head| head.distance);
        check("entropy", &found, |head| head.entropy);
        check("hoyer", &found, |head| head.hoyer);
        check("below_uniform", &found, |head| head.below_uniform);
        check("class_token_mass", &found, |head| head.class_token_mass.unwrap());
        for (index, expected) in fixture.values("diversity").iter().enumerate() {
            let found = found[index % 3][index / 3].diversity;
            assert!((found - f64::from(*expected)).abs() < 1e-6, "diversity {found}, not {expected}");
        }
    }

    fn constant(prefix_tokens: usize, matrix: impl Fn(usize, usize) -> f32) -> AttentionMaps {
        let mut maps = random_attention(1, 2, prefix_tokens);
        let tokens = maps.tokens;
        let values = (0..2 * tokens * tokens).map(|i| matrix(i / tokens % tokens, i % tokens)).collect();
        maps.layers = vec![values];
        maps
    }

    #[test]
    fn identity_attention_goes_nowhere() {
        let maps = constant(1, |query, key| if query == key { 1.0 } else { 0.0 });
        let layer = &attention_statistics(&maps, DistanceConvention::Renormalised)[0][0];
        let expected = HeadStatistics {
            distance: 0.0,
            entropy: 0.0,
            normalised_entropy: 0.0,
            hoyer: 1.0,
            below_uniform: 6.0 / 7.0,
            class_token_mass: Some(0.0),
        };
        assert_eq!(layer.heads, [expected; 2]);
        assert_eq!(layer.diversity, 0.0);
    }

    #[test]
    fn uniform_attention_reaches_the_mean_distance() {
        let maps = constant(1, |_, _| 1.0 / 7.0);
        let [renormalised, raw] = [DistanceConvention::Renormalised, DistanceConvention::Raw]
            .map(|convention| attention_statistics(&maps, convention)[0][0].heads[0]);
        // Two rows and three columns of 8-pixel patches: of 36 ordered pairs, 14 lie 8 px apart (6 across a column, 8
        // along a row), 4 lie 16 px apart, 8 a diagonal of √128 and 4 one of √320.
        let mean = (14.0 * 8.0 + 4.0 * 16.0 + 8.0 * 128f64.sqrt() + 4.0 * 320f64.sqrt()) / 36.0;
        assert!((renormalised.distance - mean).abs() < 1e-6, "{}", renormalised.distance);
        assert!((raw.distance - mean * 6.0 / 7.0).abs() < 1e-5, "{}", raw.distance);
        assert!((renormalised.entropy - 7f64.ln()).abs() < 1e-6);
        assert!((renormalised.normalised_entropy - 1.0).abs() < 1e-6);
        assert!(renormalised.hoyer.abs() < 1e-6);
        assert_eq!(renormalised.below_uniform, 0.0);
        assert!((renormalised.class_token_mass.unwrap() - 1.0 / 7.0).abs() < 1e-6);
    }

    #[test]
    fn heads_that_share_no_key_differ_by_ln_two() {
        let mut maps = constant(0, |_, _| 0.0);
        let tokens = maps.tokens;
        for query in 0..tokens {
            maps.layers[0][query * tokens] = 1.0;
            maps.layers[0][(tokens + query) * tokens + 1] = 1.0;
        }
        let layer = &attention_statistics(&maps, DistanceConvention::Renormalised)[0][0];
        assert!((layer.diversity - 2f64.ln()).abs() < 1e-12);
        assert_eq!(layer.heads[0].class_token_mass, None);
    }
}
