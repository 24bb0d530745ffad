//! What each attention head attends to, in numbers: one record an image, so that intervals can be formed over images.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{AttentionMaps, Group, LayerMaps, patch_distances};

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
                "mean over patch queries; weight on tokens without a place, such as the class token, is dropped and each row normalised again"
            }
            Self::Raw => {
                "mean over patch queries; weight on tokens without a place, such as the class token, is dropped and rows are not normalised again"
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
    /// Entropy over ln n with n the query's keys, mean over all queries: 0 for one key, 1 for all alike.
    pub normalised_entropy: f64,
    /// Hoyer's sparsity (Hoyer, 2004, section 3.1) (√n − ‖A_i‖₁ / ‖A_i‖₂) / (√n − 1), mean over all queries: 0 for all
    /// alike, 1 for one key.
    pub hoyer: f64,
    /// Share of weights below 1/n, with n the query's keys.
    pub below_uniform: f64,
    /// Mean weight that patch queries give to the class token; `None` without one.
    pub class_token_mass: Option<f64>,
    /// Mean weight that patch queries give to the distillation token; `None` without one.
    pub distillation_token_mass: Option<f64>,
    /// Mean weight that patch queries give to all registers together; `None` without any.
    pub register_mass: Option<f64>,
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
/// A query's keys are the tokens it may attend to: in a windowed layer those of its window and region, of which there may
/// be fewer than the window has places. Where a map was filled up to whole windows, weight on the filled-up places is left
/// out and rows are normalised again. Queries with a single key, where nothing can be spread, count as zero for normalised
/// entropy and sparsity.
pub fn attention_statistics(
    maps: &AttentionMaps,
    convention: DistanceConvention,
) -> Vec<Vec<LayerStatistics>> {
    let layers: Vec<Layer> = maps.layers.iter().map(|layer| Layer::new(layer, maps.image_size)).collect();
    (0..maps.images)
        .into_par_iter()
        .map(|image| layers.iter().map(|layer| layer.statistics(image, convention)).collect())
        .collect()
}

/// A layer, and what is the same for all images.
struct Layer<'a> {
    maps: &'a LayerMaps,
    groups: Vec<Group>,
    /// Of each group's patches.
    distances: Vec<Vec<f64>>,
}

impl<'a> Layer<'a> {
    fn new(maps: &'a LayerMaps, image_size: [usize; 2]) -> Self {
        let groups = maps.groups();
        let prefix = maps.site.prefix.count();
        let of_group = |group: &Group| {
            let patches: Vec<usize> =
                group.tokens.iter().filter_map(|token| token.checked_sub(prefix)).collect();
            patch_distances(&patches, maps.site.grid, image_size)
        };
        let distances = groups.iter().map(of_group).collect();
        Self { maps, groups, distances }
    }

    fn statistics(&self, image: usize, convention: DistanceConvention) -> LayerStatistics {
        let heads: Vec<Vec<Vec<f64>>> = (0..self.maps.heads).map(|head| self.rows(image, head)).collect();
        LayerStatistics {
            heads: heads.iter().map(|rows| self.head_statistics(rows, convention)).collect(),
            diversity: diversity(&heads),
        }
    }

    /// One head's weights, one row a query, group by group.
    fn rows(&self, image: usize, head: usize) -> Vec<Vec<f64>> {
        let queries =
            self.groups.iter().flat_map(|group| (0..group.tokens.len()).map(move |query| (group, query)));
        queries.map(|(group, query)| self.maps.weights(image, head, group, query)).collect()
    }

    fn head_statistics(&self, rows: &[Vec<f64>], convention: DistanceConvention) -> HeadStatistics {
        let kinds = self.maps.site.prefix;
        let prefix = kinds.count();
        let mut sums = HeadStatistics {
            distance: 0.0,
            entropy: 0.0,
            normalised_entropy: 0.0,
            hoyer: 0.0,
            below_uniform: 0.0,
            class_token_mass: None,
            distillation_token_mass: None,
            register_mass: None,
        };
        let (mut prefix_mass, mut pairs) = (vec![0.0; prefix], 0usize);
        let queries = self.groups.iter().zip(&self.distances).flat_map(|(group, distances)| {
            group.tokens.iter().enumerate().map(move |(query, &token)| (group, distances, query, token))
        });
        for ((group, distances, query, token), row) in queries.zip(rows) {
            let keys = row.len();
            let uniform = 1.0 / keys as f32;
            let own_entropy = entropy(row.iter().copied());
            sums.entropy += own_entropy;
            sums.below_uniform += row.iter().filter(|&&weight| (weight as f32) < uniform).count() as f64;
            pairs += keys;
            if keys > 1 {
                sums.normalised_entropy += own_entropy / (keys as f64).ln();
                sums.hoyer += hoyer(row);
            }
            if token >= prefix {
                // Prefix tokens come first in the only group that has them.
                let before = group.tokens.iter().take_while(|&&token| token < prefix).count();
                let patches = keys - before;
                let distances = &distances[(query - before) * patches..][..patches];
                sums.distance += row_distance(&row[before..], distances, convention);
                prefix_mass.iter_mut().zip(row).for_each(|(sum, weight)| *sum += weight);
            }
        }
        let (queries, patches) = (rows.len() as f64, (rows.len() - prefix) as f64);
        HeadStatistics {
            distance: sums.distance / patches,
            entropy: sums.entropy / queries,
            normalised_entropy: sums.normalised_entropy / queries,
            hoyer: sums.hoyer / queries,
            below_uniform: sums.below_uniform / pairs as f64,
            class_token_mass: kinds.class_token().map(|token| prefix_mass[token] / patches),
            distillation_token_mass: kinds.distillation_token().map(|token| prefix_mass[token] / patches),
            register_mass: (kinds.registers > 0)
                .then(|| prefix_mass[kinds.register_tokens()].iter().sum::<f64>() / patches),
        }
    }
}

fn hoyer(row: &[f64]) -> f64 {
    let root = (row.len() as f64).sqrt();
    let squares: f64 = row.iter().map(|weight| weight * weight).sum();
    if squares > 0.0 { (root - row.iter().sum::<f64>() / squares.sqrt()) / (root - 1.0) } else { 0.0 }
}

fn row_distance(weights: &[f64], distances: &[f64], convention: DistanceConvention) -> f64 {
    let (mut sum, mut weighted) = (0.0, 0.0);
    for (&weight, distance) in weights.iter().zip(distances) {
        sum += weight;
        weighted += weight * distance;
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

/// Mean over queries and pairs of heads.
fn diversity(heads: &[Vec<Vec<f64>>]) -> f64 {
    let sums = divergence_sums(heads);
    let queries = heads.first().map_or(0, Vec::len);
    mean_divergence(&sums, queries)
}

/// Mean over pairs and queries of sums over queries.
pub(super) fn mean_divergence(sums: &[f64], queries: usize) -> f64 {
    match sums.len() {
        0 => 0.0,
        pairs => (sums.iter().sum::<f64>() / (pairs * queries) as f64).max(0.0),
    }
}

/// Sum over queries of `H((p + q) / 2) − (H(p) + H(q)) / 2` for every pair of heads, ordered by the second.
fn divergence_sums(heads: &[Vec<Vec<f64>>]) -> Vec<f64> {
    let flat: Vec<Vec<f64>> = heads.iter().map(|rows| rows.concat()).collect();
    let entropies: Vec<f64> = flat.iter().map(|head| entropy(head.iter().copied())).collect();
    let mut sums = Vec::new();
    for second in 1..flat.len() {
        for first in 0..second {
            let mixture = flat[first].iter().zip(&flat[second]).map(|(p, q)| (p + q) / 2.0);
            sums.push(entropy(mixture) - (entropies[first] + entropies[second]) / 2.0);
        }
    }
    sums
}

/// Mean over queries of the Jensen-Shannon divergence between every pair of heads `(first, second)`, ordered by the second, for
/// each image.
pub(super) fn pair_divergences(maps: &LayerMaps, images: usize, image_size: [usize; 2]) -> Vec<Vec<f64>> {
    let layer = Layer::new(maps, image_size);
    let of_image = |image: usize| {
        let heads: Vec<Vec<Vec<f64>>> = (0..maps.heads).map(|head| layer.rows(image, head)).collect();
        let queries = heads.first().map_or(1, Vec::len) as f64;
        divergence_sums(&heads).into_iter().map(|sum| (sum / queries).max(0.0)).collect()
    };
    (0..images).into_par_iter().map(of_image).collect()
}

#[cfg(test)]
mod tests {
    use archaeo_models::{AttentionSite, PrefixTokens, ReadOut, Window, WindowPadding};

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

    fn constant(prefix: PrefixTokens, matrix: impl Fn(usize, usize) -> f32) -> AttentionMaps {
        let mut maps = random_attention(1, 2, prefix, ReadOut::MeanOfPatches);
        let tokens = maps.layers[0].places;
        maps.layers.truncate(1);
        maps.layers[0].values =
            (0..2 * tokens * tokens).map(|i| matrix(i / tokens % tokens, i % tokens)).collect();
        maps
    }

    #[test]
    fn identity_attention_goes_nowhere() {
        let maps = constant(PrefixTokens::CLASS, |query, key| if query == key { 1.0 } else { 0.0 });
        let layer = &attention_statistics(&maps, DistanceConvention::Renormalised)[0][0];
        let expected = HeadStatistics {
            distance: 0.0,
            entropy: 0.0,
            normalised_entropy: 0.0,
            hoyer: 1.0,
            below_uniform: 6.0 / 7.0,
            class_token_mass: Some(0.0),
            distillation_token_mass: None,
            register_mass: None,
        };
        assert_eq!(layer.heads, [expected; 2]);
        assert_eq!(layer.diversity, 0.0);
    }

    #[test]
    fn uniform_attention_reaches_the_mean_distance() {
        let maps = constant(PrefixTokens::CLASS, |_, _| 1.0 / 7.0);
        let [renormalised, raw] = [DistanceConvention::Renormalised, DistanceConvention::Raw]
            .map(|convention| attention_statistics(&maps, convention)[0][0].heads[0]);
        // Two rows and three columns of 8-pixel patches: of 36 ordered pairs, 14 lie 8 px apart (6 across a column, 8
        // along a row), 4 lie 16 px apart, 8 a diagonal of √128 and 4 one of √320.
        let mean = (14.0 * 8.0 + 4.0 * 16.0 + 8.0 * 128f64.sqrt() + 4.0 * 320f64.sqrt()) / 36.0;
        assert!((renormalised.distance - mean).abs() < 1e-6, "{}", renormalised.distance);
        assert!((maps.layers[0].even_distance(maps.image_size) - mean).abs() < 1e-12);
        assert!((raw.distance - mean * 6.0 / 7.0).abs() < 1e-5, "{}", raw.distance);
        assert!((renormalised.entropy - 7f64.ln()).abs() < 1e-6);
        assert!((renormalised.normalised_entropy - 1.0).abs() < 1e-6);
        assert!(renormalised.hoyer.abs() < 1e-6);
        assert_eq!(renormalised.below_uniform, 0.0);
        assert!((renormalised.class_token_mass.unwrap() - 1.0 / 7.0).abs() < 1e-6);
    }

    /// Windows that do and do not tile their maps, shifted or not, and one of a single patch.
    #[test]
    fn even_attention_within_windows_reaches_the_even_distance_of_every_layer() {
        let even = |grid: [usize; 2], window: usize, shifted: bool| {
            let window = Window::on(grid, window, shifted, WindowPadding::default());
            let (prefix, read_out) = (PrefixTokens::NONE, ReadOut::MeanOfPatches);
            let site = AttentionSite { layer: 0, grid, prefix, read_out, window: Some(window) };
            let places = window.size[0] * window.size[1];
            let windows = window.tokens(grid).len() / places;
            let blank = vec![0.0; windows * places * places];
            let mut layer = LayerMaps { site, heads: 1, windows, places, values: blank };
            let regions: Vec<usize> = window.regions(grid).into_iter().collect();
            for query in 0..windows * places {
                let first = query / places * places;
                let alike = |key: &usize| regions[first + key] == regions[query];
                let keys: Vec<usize> = (0..places).filter(alike).collect();
                for &key in &keys {
                    layer.values[query * places + key] = 1.0 / keys.len() as f32;
                }
            }
            let maps = AttentionMaps { images: 1, image_size: [32, 32], layers: vec![layer] };
            let found = attention_statistics(&maps, DistanceConvention::Renormalised)[0][0].heads[0].distance;
            (found, maps.layers[0].even_distance(maps.image_size))
        };
        let mut distances = Vec::new();
        for (grid, window, shifted) in
            [([8, 8], 4, false), ([8, 8], 4, true), ([7, 7], 3, false), ([7, 7], 3, true), ([2, 2], 2, false)]
        {
            let (found, expected) = even(grid, window, shifted);
            assert!((found / expected - 1.0).abs() < 1e-6, "{grid:?}: {found} of {expected}");
            distances.push(expected);
        }
        assert!(distances[4] > distances[0], "in pixels, even attention reaches further after merging");
        assert_eq!(even([1, 1], 1, false), (0.0, 0.0));
    }

    #[test]
    fn weight_on_each_kind_of_prefix_token_is_reported_under_its_name() {
        // Key k gets k + 1 parts of every query's weight, whatever stands there.
        let with = |prefix: PrefixTokens| {
            let tokens = (prefix.count() + 6) as f32;
            let maps = constant(prefix, |_, key| (key + 1) as f32 / (tokens * (tokens + 1.0) / 2.0));
            let head = attention_statistics(&maps, DistanceConvention::Renormalised)[0][0].heads[0];
            let total = f64::from(tokens * (tokens + 1.0) / 2.0);
            [head.class_token_mass, head.distillation_token_mass, head.register_mass]
                .map(|mass| mass.map(|mass| (mass * total).round()))
        };
        let prefix = |class, distillation, registers| PrefixTokens { class, distillation, registers };
        assert_eq!(with(prefix(false, false, 0)), [None, None, None]);
        assert_eq!(with(prefix(true, false, 0)), [Some(1.0), None, None]);
        assert_eq!(with(prefix(true, true, 0)), [Some(1.0), Some(2.0), None]);
        assert_eq!(with(prefix(false, false, 2)), [None, None, Some(1.0 + 2.0)]);
        assert_eq!(with(prefix(true, false, 2)), [Some(1.0), None, Some(2.0 + 3.0)]);
        assert_eq!(with(prefix(true, true, 2)), [Some(1.0), Some(2.0), Some(3.0 + 4.0)]);
    }

    #[test]
    fn heads_that_share_no_key_differ_by_ln_two() {
        let mut maps = constant(PrefixTokens::NONE, |_, _| 0.0);
        let LayerMaps { places, values, .. } = &mut maps.layers[0];
        for query in 0..*places {
            values[query * *places] = 1.0;
            values[(*places + query) * *places + 1] = 1.0;
        }
        let layer = &attention_statistics(&maps, DistanceConvention::Renormalised)[0][0];
        assert!((layer.diversity - 2f64.ln()).abs() < 1e-12);
        assert_eq!(layer.heads[0].class_token_mass, None);
    }
}
