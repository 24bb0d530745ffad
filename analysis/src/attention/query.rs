//! What one patch attends to, layer by layer, and from how far information has reached it: full attention sees everything at once,
//! windows see their own tokens, and shifted windows carry it across the borders (Liu et al., 2021, figure 2).

use super::{AttentionMaps, LayerMaps};
use crate::attribution::rollout_to;

/// What one patch attends to in one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryLayer {
    /// Rows and columns of the layer's patches.
    pub grid: [usize; 2],
    /// Row and column of the patch.
    pub query: [usize; 2],
    /// Its weights on the layer's patches, mean over heads, row by row. They sum to 1 less what prefix tokens get.
    pub weights: Vec<f64>,
    /// For each patch of the layer the number of those that attend to one another; the same for all without windows.
    pub regions: Vec<usize>,
    /// Rows and columns of the first layer's patches.
    pub first_grid: [usize; 2],
    /// Shares of the first layer's patches in what the patch holds after this layer, by rollout.
    pub reach: Vec<f64>,
}

/// What every head of one layer sends to a query.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRows {
    /// Rows and columns of the layer's patches.
    pub grid: [usize; 2],
    /// Row and column of the querying patch there; `None` where the query is what the model's head reads.
    pub query: Option<[usize; 2]>,
    /// Weights on the patches, `(heads, rows, columns)`.
    pub patches: Vec<f32>,
    /// Weights on the prefix tokens, `(heads, prefix tokens)`.
    pub prefix: Vec<f32>,
}

/// The rows of every layer's attention for one query of image `image`: the patch at `at`, its place as shares of the image's height and
/// width in [0, 1), or, with `None`, the tokens that the model's head reads, each by its share.
///
/// # Panics
/// A place outside the image.
pub fn query_rows(maps: &AttentionMaps, image: usize, at: Option<[f64; 2]>) -> Vec<QueryRows> {
    let of_layer = |(layer, of): (usize, &LayerMaps)| {
        let (grid, prefix) = (of.site.grid, of.site.prefix.count());
        let query = at.map(|at| patch_at(at, grid));
        let shares = match query {
            None => of.site.read_out_weights(),
            Some([row, column]) => {
                let token = prefix + row * grid[1] + column;
                (0..of.tokens()).map(|at| f64::from(u8::from(at == token))).collect()
            }
        };
        let (mut patches, mut prefixes) = (Vec::new(), Vec::new());
        for head in 0..of.heads {
            let received = maps.received(layer, image, head, &shares);
            prefixes.extend(received[..prefix].iter().map(|&weight| weight as f32));
            patches.extend(received[prefix..].iter().map(|&weight| weight as f32));
        }
        QueryRows { grid, query, patches, prefix: prefixes }
    };
    maps.layers.iter().enumerate().map(of_layer).collect()
}

/// Row and column of the patch at a place in [0, 1).
fn patch_at(at: [f64; 2], grid: [usize; 2]) -> [usize; 2] {
    assert!(at.iter().all(|share| (0.0..1.0).contains(share)), "{at:?} lies outside the image");
    [0, 1].map(|axis| (at[axis] * grid[axis] as f64) as usize)
}

/// The layers up to `layers` as the patch at `at` of image `image` sees them; `at` is its place as shares of the image's height and
/// width, in [0, 1).
///
/// # Panics
/// A place outside the image.
pub fn query_attention(maps: &AttentionMaps, image: usize, at: [f64; 2], layers: usize) -> Vec<QueryLayer> {
    let first_grid = maps.layers[0].site.grid;
    let of_layer = |(layer, of): (usize, &LayerMaps)| {
        let (grid, prefix) = (of.site.grid, of.site.prefix.count());
        let query = patch_at(at, grid);
        let patch = query[0] * grid[1] + query[1];
        let mut weights = vec![0.0; grid[0] * grid[1]];
        let mut regions = vec![0; grid[0] * grid[1]];
        for (number, group) in of.groups().iter().enumerate() {
            for &token in group.tokens.iter().filter(|&&token| token >= prefix) {
                regions[token - prefix] = number;
            }
            let Some(place) = group.tokens.iter().position(|&token| token == prefix + patch) else {
                continue;
            };
            for head in 0..of.heads {
                let row = of.weights(image, head, group, place);
                for (&key, weight) in group.tokens.iter().zip(row).filter(|(key, _)| **key >= prefix) {
                    weights[key - prefix] += weight / of.heads as f64;
                }
            }
        }
        QueryLayer { grid, query, weights, regions, first_grid, reach: rollout_to(maps, image, layer, patch) }
    };
    maps.layers.iter().take(layers).enumerate().map(of_layer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    #[test]
    fn full_attention_sees_all_patches_at_once() {
        let fixture = Fixture::load();
        let maps = AttentionMaps::record(&fixture.vit(), fixture.images()).unwrap();
        let layers = query_attention(&maps, 1, [0.4, 0.9], 9);
        assert_eq!(layers.len(), maps.layers.len());
        let first = &layers[0];
        assert!(first.weights.iter().all(|&weight| weight > 0.0));
        assert!(first.regions.iter().all(|&region| region == first.regions[0]));
        // The row of the mean matrix.
        let of = &maps.layers[0];
        let (prefix, patch) = (of.site.prefix.count(), first.query[0] * first.grid[1] + first.query[1]);
        for (key, weight) in first.weights.iter().enumerate() {
            let heads = (0..of.heads)
                .map(|head| f64::from(of.head(1, 0, head)[(prefix + patch) * of.places + prefix + key]));
            let mean = heads.sum::<f64>() / of.heads as f64;
            assert!((weight - mean).abs() < 1e-12);
        }
        // After one layer: half of it its own, half of what it attends to.
        for (place, reach) in first.reach.iter().enumerate() {
            let own = if place == patch { 1.0 } else { 0.0 };
            // A row of 32-bit weights sums to 1 up to rounding.
            assert!((reach - (own + first.weights[place]) / 2.0).abs() < 1e-6);
        }
    }

    #[test]
    fn rows_are_those_of_the_matrices() {
        let fixture = Fixture::load();
        let maps = AttentionMaps::record(&fixture.vit(), fixture.images()).unwrap();
        let of = &maps.layers[1];
        let (patch, read) = (query_rows(&maps, 1, Some([0.4, 0.9])), query_rows(&maps, 1, None));
        assert_eq!((patch.len(), patch[1].query, read[1].query), (maps.layers.len(), Some([1, 3]), None));
        for (rows, token) in [(&patch[1], 1 + 4 + 3), (&read[1], 0)] {
            for head in 0..of.heads {
                let row = &of.head(1, 0, head)[token * of.places..][..of.places];
                assert_eq!((rows.prefix[head], &rows.patches[head * 16..][..16]), (row[0], &row[1..]));
            }
        }
    }

    #[test]
    fn windows_see_their_own_tokens_and_shifted_ones_carry_across_the_border() {
        let fixture = Fixture::load_swin();
        let maps = AttentionMaps::record(&fixture.swin(), fixture.images()).unwrap();
        let layers = query_attention(&maps, 0, [0.0, 0.0], 2);
        let [plain, shifted] = [&layers[0], &layers[1]];
        for layer in [plain, shifted] {
            let own = layer.regions[0];
            for (weight, &region) in layer.weights.iter().zip(&layer.regions) {
                assert_eq!(*weight > 0.0, region == own);
            }
            assert!((layer.weights.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        }
        assert_ne!(plain.regions, shifted.regions);
        // A patch whose windows differ has been reached by more patches after the second layer than it sees in either.
        let counted = |values: &[f64]| values.iter().filter(|&&value| value > 0.0).count();
        let middle = query_attention(&maps, 0, [0.45, 0.45], 2);
        assert_eq!(counted(&middle[0].reach), counted(&middle[0].weights));
        assert!(counted(&middle[1].reach) > counted(&middle[1].weights).max(counted(&middle[0].weights)));
    }
}
