//! Attention composed over layers: which patches reach the token that the head reads.
//!
//! Every method here multiplies one n × n matrix a layer, from the last layer to the first, and keeps the rows of the
//! tokens that are read, each by its share. That is one row, computed as row vector times matrix, `r ← r · M_l` for
//! l = L … 1, which takes O(L · n²) operations where the product of the matrices takes O(L · n³). It starts as the shares
//! that the model hands over with its sites ([`ReadOut`](archaeo_models::ReadOut)): the class token's unit vector, the mean
//! over the patches, or both.
//!
//! Windowed attention (Swin) is such a matrix too, with nothing outside of the windows: only what is inside is ever touched,
//! each key under the number of its token, which undoes partition and cyclic shift. Between two grids the row passes
//! through patch merging, where each of the (up to) four tokens that were merged takes an equal share of what the merged
//! one has: the heatmap is on the first grid. Where a map was filled up to whole windows, weight on the filled-up places is
//! left out and rows are normalised again.

use archaeo_models::merged_tokens;
use serde::{Deserialize, Serialize};

use super::Heatmap;
use super::{Attribution, Capability, Cost, Evidence, Kind, MethodInfo, Resolution};
use crate::attention::{AttentionMaps, Group, LayerMaps};
use crate::{AnalysisError, Paper};

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

/// How [`Rollout`] treats a layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RolloutOptions {
    /// How the heads become one matrix.
    pub fusion: HeadFusion,
    /// Share of each row's entries, the smallest, that are set to zero, in [0, 1). The count is rounded down; among equal
    /// entries the earlier keys go first.
    pub discard: f64,
    /// The first layer whose attention counts, numbered from 1; those before it are left out, as if every token kept to itself.
    pub start_layer: usize,
}

impl RolloutOptions {
    /// As in the paper: the mean over heads of every layer, with nothing discarded.
    pub const USUAL: Self = Self { fusion: HeadFusion::Mean, discard: 0.0, start_layer: 1 };

    /// What is not usual, in words: `largest over heads, 50 % of each row discarded, from layer 2`; `None` where nothing is.
    pub fn describe(&self) -> Option<String> {
        let Self { fusion, discard, start_layer } = *self;
        let fused = match fusion {
            HeadFusion::Mean => None,
            HeadFusion::Max => Some("largest over heads".to_owned()),
            HeadFusion::Min => Some("smallest over heads".to_owned()),
        };
        let discarded = (discard > 0.0).then(|| format!("{:.0} % of each row discarded", 100.0 * discard));
        let from = (start_layer > 1).then(|| format!("from layer {start_layer}"));
        let said: Vec<String> = [fused, discarded, from].into_iter().flatten().collect();
        (!said.is_empty()).then(|| said.join(", "))
    }
}

impl Default for RolloutOptions {
    fn default() -> Self {
        Self::USUAL
    }
}

/// Attention rollout (Abnar & Zuidema, 2020, equation 1): `M = (A + I) / 2` with A the fused heads, its rows normalised to
/// sum to one (after discarding, where asked).
///
/// With mean fusion the sum of a heatmap is the share that does not end in prefix tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rollout {
    /// How layers are treated. The discard ratio lies in [0, 1) and the start layer among the model's; others panic.
    pub options: RolloutOptions,
}

impl Rollout {
    /// With [`RolloutOptions::USUAL`].
    pub const USUAL: Self = Self { options: RolloutOptions::USUAL };

    /// One heatmap for each image of a pass whose attention is known already, of a model that the method applies to.
    ///
    /// # Panics
    /// If the options do not fit the model.
    pub fn of_maps(&self, maps: &AttentionMaps) -> Vec<Heatmap> {
        rollout(maps, &self.options)
    }
}

/// Gradient rollout: as [`Rollout`], with `A = mean over heads of max(weights ⊙ gradients, 0)`, each layer with its own
/// gradients.
#[derive(Clone, Copy, Debug)]
pub struct GradientRollout;

/// Relevance of attention (Chefer et al., ICCV 2021, equations 5 and 6, self-attention): `M = I + A` with
/// `A = mean over heads of max(weights ⊙ gradients, 0)`, rows not normalised.
#[derive(Clone, Copy, Debug)]
pub struct AttentionRelevance;

static ROLLOUT: MethodInfo = MethodInfo {
    id: "rollout",
    title: "rollout",
    summary: "attention multiplied through all layers, half of it for the residual path",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Abnar and Zuidema, 2020", url: "https://arxiv.org/abs/2005.00928" }),
    needs: &[Capability::Attention, Capability::AttentionAlone],
    depends_on_class: false,
    signed: false,
    resolution: Resolution::Patches,
    cost: Cost::Shared,
};

static GRADIENT_ROLLOUT: MethodInfo = MethodInfo {
    id: "gradient-rollout",
    title: "gradient rollout",
    summary: "rollout of the attention that raises the class's logit",
    kind: Kind::Explanation,
    paper: None,
    needs: &[Capability::Attention, Capability::AttentionAlone, Capability::Gradients],
    depends_on_class: true,
    signed: false,
    resolution: Resolution::Patches,
    cost: Cost::Shared,
};

static RELEVANCE: MethodInfo = MethodInfo {
    id: "chefer",
    title: "attention relevance",
    summary: "attention that raises the class's logit, added up along the residual path",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Chefer et al., 2021", url: "https://arxiv.org/abs/2103.15679" }),
    needs: &[Capability::Attention, Capability::AttentionAlone, Capability::Gradients],
    depends_on_class: true,
    signed: false,
    resolution: Resolution::Patches,
    cost: Cost::Shared,
};

impl Attribution for Rollout {
    fn info(&self) -> &'static MethodInfo {
        &ROLLOUT
    }

    fn explain(&self, evidence: &Evidence, _: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        self.require(evidence)?;
        Ok(rollout(evidence.attention()?, &self.options))
    }
}

impl Attribution for GradientRollout {
    fn info(&self) -> &'static MethodInfo {
        &GRADIENT_ROLLOUT
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        self.require(evidence)?;
        let gradients = evidence.attention_gradients(targets)?;
        Ok(gradient_rollout(evidence.attention()?, &gradients))
    }
}

impl Attribution for AttentionRelevance {
    fn info(&self) -> &'static MethodInfo {
        &RELEVANCE
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        self.require(evidence)?;
        let gradients = evidence.attention_gradients(targets)?;
        Ok(attention_relevance(evidence.attention()?, &gradients))
    }
}

pub(crate) fn rollout(maps: &AttentionMaps, options: &RolloutOptions) -> Vec<Heatmap> {
    assert!((0.0..1.0).contains(&options.discard), "a discard ratio lies in [0, 1), not {}", options.discard);
    let layers = 1..=maps.layers.len();
    assert!(
        layers.contains(&options.start_layer),
        "a rollout starts at a layer in {layers:?}, not {}",
        options.start_layer
    );
    pull_back(maps, 0, |Place { image, layer, group, query }| {
        if layer + 1 < options.start_layer {
            let mut row = vec![0.0; group.tokens.len()];
            row[query] = 1.0;
            return row;
        }
        let heads = 0..maps.layers[layer].heads;
        let mut row =
            fuse(heads.map(|head| maps.layers[layer].weights(image, head, group, query)), options.fusion);
        discard_smallest(&mut row, options.discard);
        with_residual(row, query)
    })
}

fn gradient_rollout(weights: &AttentionMaps, gradients: &AttentionMaps) -> Vec<Heatmap> {
    pull_back(weights, 0, |place| with_residual(positive_relevance(weights, gradients, &place), place.query))
}

fn attention_relevance(weights: &AttentionMaps, gradients: &AttentionMaps) -> Vec<Heatmap> {
    pull_back(weights, 0, |place| relevance_with_residual(weights, gradients, place))
}

/// [`attention_relevance`] of `weights` on one grid, without what the identities alone leave at each patch, the patch's own share in
/// what is read.
pub(super) fn gained_relevance(weights: &AttentionMaps, gradients: &AttentionMaps) -> Vec<Heatmap> {
    let site = &weights.layers[0].site;
    let own = site.read_out_weights().split_off(site.prefix.count());
    let [rows, columns] = site.grid;
    let heatmap = |row: Vec<f64>| {
        let gained = row.iter().zip(&own).map(|(sum, own)| (sum - own).max(0.0) as f32);
        Heatmap::new(rows, columns, gained.collect())
    };
    let all = rows_at_patches(weights, 0, |place| relevance_with_residual(weights, gradients, place));
    all.into_iter().map(heatmap).collect()
}

/// A row of `I + mean over heads of max(weights ⊙ gradients, 0)`.
fn relevance_with_residual(weights: &AttentionMaps, gradients: &AttentionMaps, place: Place) -> Vec<f64> {
    let mut row = positive_relevance(weights, gradients, &place);
    row[place.query] += 1.0;
    row
}

/// A row of a layer's matrix: that of a query of one group.
pub(super) struct Place<'a> {
    image: usize,
    layer: usize,
    group: &'a Group,
    /// The query's number in its group.
    query: usize,
}

/// The read tokens' row of `M_L · … · M_first`, patch columns only, on the grid of layer `first`, counted from 0; `row_of` gives a
/// row of `M`, one entry for each token of the group.
pub(super) fn pull_back(
    maps: &AttentionMaps,
    first: usize,
    row_of: impl Fn(Place) -> Vec<f64>,
) -> Vec<Heatmap> {
    let [rows, columns] = maps.layers[first].site.grid;
    let heatmap =
        |row: Vec<f64>| Heatmap::new(rows, columns, row.iter().map(|&value| value as f32).collect());
    rows_at_patches(maps, first, row_of).into_iter().map(heatmap).collect()
}

/// [`pull_back`] before it is rounded to 32 bits.
fn rows_at_patches(maps: &AttentionMaps, first: usize, row_of: impl Fn(Place) -> Vec<f64>) -> Vec<Vec<f64>> {
    let groups: Vec<Vec<Group>> = maps.layers.iter().map(LayerMaps::groups).collect();
    let last = maps.layers.last().expect("maps have a layer");
    let one_image = |image: usize| {
        let read = last.site.read_out_weights();
        let mut row = through_layers(maps, &groups, first, image, read, &row_of);
        row.split_off(maps.layers[first].site.prefix.count())
    };
    (0..maps.images).map(one_image).collect()
}

/// `row`, over the tokens of the last layer of `groups`, times the matrices of the layers from there to `first`.
fn through_layers(
    maps: &AttentionMaps,
    groups: &[Vec<Group>],
    first: usize,
    image: usize,
    mut row: Vec<f64>,
    row_of: &impl Fn(Place) -> Vec<f64>,
) -> Vec<f64> {
    for (layer, groups) in groups.iter().enumerate().skip(first).rev() {
        let mut next = vec![0.0; row.len()];
        for group in groups {
            for (query, &token) in group.tokens.iter().enumerate().filter(|(_, token)| row[**token] != 0.0) {
                let shares = row_of(Place { image, layer, group, query });
                group.tokens.iter().zip(shares).for_each(|(&key, share)| next[key] += row[token] * share);
            }
        }
        let before = maps.layers[layer.saturating_sub(1).max(first)].site.grid;
        row = match before == maps.layers[layer].site.grid {
            true => next,
            false => before_merging(&next, before),
        };
    }
    row
}

/// What `patch` of layer `layer` (both counted from 0, without prefix tokens) holds after that layer, as shares of the patches of the
/// first layer: rollout that starts there.
pub(crate) fn rollout_to(maps: &AttentionMaps, image: usize, layer: usize, patch: usize) -> Vec<f64> {
    let groups: Vec<Vec<Group>> = maps.layers[..=layer].iter().map(LayerMaps::groups).collect();
    let site = &maps.layers[layer].site;
    let mut row = vec![0.0; site.tokens()];
    row[site.prefix.count() + patch] = 1.0;
    let mean = |Place { image, layer, group, query }: Place| {
        let heads = 0..maps.layers[layer].heads;
        let row = heads.map(|head| maps.layers[layer].weights(image, head, group, query));
        with_residual(fuse(row, HeadFusion::Mean), query)
    };
    let mut row = through_layers(maps, &groups, 0, image, row, &mean);
    row.split_off(maps.layers[0].site.prefix.count())
}

/// A row over merged tokens as one over the tokens of `grid` that they were merged from.
fn before_merging(merged: &[f64], grid: [usize; 2]) -> Vec<f64> {
    let mut row = vec![0.0; grid[0] * grid[1]];
    for (&value, tokens) in merged.iter().zip(merged_tokens(grid)) {
        let share = value / tokens.iter().flatten().count() as f64;
        tokens.into_iter().flatten().for_each(|token| row[token] += share);
    }
    row
}

/// One row of every head as one row.
fn fuse(heads: impl Iterator<Item = Vec<f64>>, fusion: HeadFusion) -> Vec<f64> {
    let mut fused: Vec<f64> = Vec::new();
    let mut count = 0.0;
    for head in heads {
        count += 1.0;
        if fused.is_empty() {
            fused = head;
            continue;
        }
        for (entry, weight) in fused.iter_mut().zip(head) {
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

/// The row of `(A + I) / 2`, normalised, which is that of `A + I`, normalised.
fn with_residual(mut row: Vec<f64>, query: usize) -> Vec<f64> {
    row[query] += 1.0;
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|entry| *entry /= sum);
    row
}

/// A row of the mean over heads of `max(weights ⊙ gradients, 0)`.
pub(super) fn positive_relevance(
    weights: &AttentionMaps,
    gradients: &AttentionMaps,
    place: &Place,
) -> Vec<f64> {
    let Place { image, layer, group, query } = *place;
    let (weights, gradients) = (&weights.layers[layer], &gradients.layers[layer]);
    let mut mean = vec![0.0; group.tokens.len()];
    for head in 0..weights.heads {
        let pairs = weights.row(image, head, group, query).zip(gradients.row(image, head, group, query));
        for (sum, (weight, gradient)) in mean.iter_mut().zip(pairs) {
            *sum += (weight * gradient).max(0.0) / weights.heads as f64;
        }
    }
    mean
}

#[cfg(test)]
mod tests {
    use archaeo_models::{AttentionSite, PrefixTokens, ReadOut};

    use super::*;
    use crate::testing::{Fixture, assert_close, class_token_site, random_attention};

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
            let found = joined(rollout(&weights, &RolloutOptions { fusion, discard, start_layer: 1 }));
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
        let n = maps.layers[0].places;
        let unit = |i: usize, j: usize| f64::from(u8::from(i == j));
        let mut total: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| unit(i, j)).collect()).collect();
        for layer in 0..maps.layers.len() {
            let entry = |i: usize, j: usize| {
                let sum: f64 =
                    (0..3).map(|head| f64::from(maps.layers[layer].head(image, 0, head)[i * n + j])).sum();
                (sum / 3.0 + unit(i, j)) / 2.0
            };
            total = (0..n)
                .map(|i| (0..n).map(|j| (0..n).map(|k| entry(i, k) * total[k][j]).sum::<f64>()).collect())
                .collect();
        }
        total
    }

    #[test]
    fn one_row_times_matrices_is_the_row_of_the_product() {
        for (prefix, read_out, readers) in [
            (PrefixTokens::NONE, ReadOut::MeanOfPatches, 0..6),
            (PrefixTokens::CLASS, ReadOut::ClassToken, 0..1),
            (PrefixTokens::CLASS, ReadOut::MeanOfPatches, 1..7),
        ] {
            let maps = random_attention(2, 3, prefix, read_out);
            let heatmaps = rollout(&maps, &RolloutOptions::default());
            for (image, heatmap) in heatmaps.iter().enumerate() {
                let readers = &naive(&maps, image)[readers.clone()];
                let expected: Vec<f32> = (prefix.count()..prefix.count() + 6)
                    .map(|j| (readers.iter().map(|row| row[j]).sum::<f64>() / readers.len() as f64) as f32)
                    .collect();
                assert_eq!((heatmap.height, heatmap.width), (2, 3));
                assert_close(&heatmap.values, &expected, 1e-6);
            }
        }
    }

    /// One layer in which the class token looks at patch 0 and every patch at patch 3.
    #[test]
    fn a_model_that_reads_the_mean_of_its_patches_does_not_start_from_its_class_token() {
        let row = |token: usize| (0..5).map(move |key| f32::from(u8::from(key == token)));
        let values: Vec<f32> = row(1).chain((0..4).flat_map(|_| row(4))).collect();
        let with = |read_out| {
            let site = AttentionSite { read_out, ..class_token_site(0, [2, 2]) };
            let layer = LayerMaps { site, heads: 1, windows: 1, places: 5, values: values.clone() };
            let maps = AttentionMaps { images: 1, image_size: [8, 8], layers: vec![layer] };
            let heatmap = rollout(&maps, &RolloutOptions::default()).remove(0);
            (heatmap.values, maps.readout_map(0, 0, 0).values)
        };
        assert_eq!(
            with(ReadOut::MeanOfPatches),
            (vec![0.125, 0.125, 0.125, 0.625], vec![0.0, 0.0, 0.0, 1.0])
        );
        assert_eq!(with(ReadOut::ClassToken), (vec![0.5, 0.0, 0.0, 0.0], vec![1.0, 0.0, 0.0, 0.0]));
        assert_eq!(
            with(ReadOut::ClassTokenAndMean),
            (vec![0.3125, 0.0625, 0.0625, 0.3125], vec![0.5, 0.0, 0.0, 0.5])
        );
    }

    #[test]
    fn without_a_class_token_nothing_is_lost() {
        let maps = random_attention(2, 3, PrefixTokens::NONE, ReadOut::MeanOfPatches);
        for discard in [0.0, 0.5, 0.9] {
            for heatmap in
                rollout(&maps, &RolloutOptions { fusion: HeadFusion::Max, discard, start_layer: 2 })
            {
                assert!((heatmap.values.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_later_start_leaves_the_first_layers_out() {
        let maps = random_attention(2, 3, PrefixTokens::CLASS, ReadOut::ClassToken);
        let start = |start_layer| RolloutOptions { start_layer, ..RolloutOptions::USUAL };
        let shorter = AttentionMaps { layers: maps.layers[1..].to_vec(), ..maps.clone() };
        assert_eq!(rollout(&maps, &start(2)), rollout(&shorter, &start(1)));
        assert_ne!(rollout(&maps, &start(2)), rollout(&maps, &start(1)));
    }

    #[test]
    fn equal_entries_are_discarded_from_the_front() {
        let mut row = [0.2, 0.1, 0.1, 0.1, 0.5];
        discard_smallest(&mut row, 0.5);
        assert_eq!(row, [0.2, 0.0, 0.0, 0.1, 0.5]);
    }
}
