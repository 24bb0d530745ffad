//! One head on one image, as the criteria look at it.

use super::positional::Offsets;
use crate::attention::{Group, LayerMaps, patch_distances};

/// Weights between patches, and what is summed over all queries.
pub(super) struct Seen {
    /// Group by group.
    pub blocks: Vec<Block>,
    /// The same with the keys of every group permuted, for nulls.
    pub shuffled: Vec<Block>,
    /// Mean weights by relative offset.
    pub offsets: Offsets,
    /// Of the permuted ones.
    pub shuffled_offsets: Offsets,
    /// Number of tokens without a place.
    pub prefix: usize,
    /// Number of all tokens.
    pub tokens: usize,
    /// Number of queries.
    pub queries: f64,
    /// Weight on tokens without a place.
    pub on_prefix: f64,
    /// Sum of each query's entropy over the logarithm of its number of keys, 1 for a single key.
    pub entropy: f64,
}

/// Weights between the patches of one group, with the relative offset of each pair.
pub(super) struct Block {
    pub patches: Vec<usize>,
    /// `(patches, patches)`, rows summing to one where they have any weight.
    pub weights: Vec<f64>,
    pub distances: Vec<f64>,
}

impl Seen {
    /// One head on one image; `order` permutes the patches.
    pub fn of(
        maps: &LayerMaps,
        groups: &[Group],
        image: usize,
        head: usize,
        image_size: [usize; 2],
        order: &[usize],
    ) -> Self {
        let prefix = maps.site.prefix.count();
        let (mut on_prefix, mut entropy, mut queries) = (0.0, 0.0, 0.0);
        let mut blocks = Vec::new();
        for group in groups {
            let before = group.tokens.iter().take_while(|token| **token < prefix).count();
            let patches: Vec<usize> = group.tokens[before..].iter().map(|token| token - prefix).collect();
            let mut weights = Vec::with_capacity(patches.len() * patches.len());
            for query in before..group.tokens.len() {
                let row = maps.weights(image, head, group, query);
                on_prefix += row[..before].iter().sum::<f64>();
                entropy += match row.len() {
                    // A single key has all weight, however even a head is.
                    ..=1 => 1.0,
                    keys => {
                        let sum: f64 = row.iter().filter(|a| **a > 0.0).map(|a| a * a.ln()).sum();
                        -sum / (keys as f64).ln()
                    }
                };
                queries += 1.0;
                let sum: f64 = row[before..].iter().sum();
                weights.extend(row[before..].iter().map(|weight| if sum > 0.0 { weight / sum } else { 0.0 }));
            }
            let distances = patch_distances(&patches, maps.site.grid, image_size);
            blocks.push(Block { patches, weights, distances });
        }
        let shuffled: Vec<Block> = blocks.iter().map(|block| block.shuffled(order)).collect();
        let [_, columns] = maps.site.grid;
        let [offsets, shuffled_offsets] = [&blocks, &shuffled].map(|blocks| Offsets::of(blocks, columns));
        let tokens = maps.tokens();
        Self { blocks, shuffled, offsets, shuffled_offsets, prefix, tokens, queries, on_prefix, entropy }
    }

    /// Mean weight that each of so many patches receives from the patches.
    pub fn received(&self, patches: usize) -> Vec<f64> {
        let mut sums = vec![0.0; patches];
        self.blocks.iter().flat_map(Block::pairs).for_each(|(_, to, weight)| sums[to] += weight);
        sums
    }
}

impl Block {
    /// Keys of the block elsewhere: their order within the block is that of `order`.
    fn shuffled(&self, order: &[usize]) -> Self {
        let n = self.patches.len();
        let mut ranked: Vec<usize> = (0..n).collect();
        ranked.sort_by_key(|&place| order[self.patches[place]]);
        let weights = (0..n)
            .flat_map(|query| ranked.iter().map(move |&key| (query, key)))
            .map(|(query, key)| self.weights[query * n + key]);
        Self { weights: weights.collect(), patches: self.patches.clone(), distances: self.distances.clone() }
    }

    /// Pairs of patches with their weight.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        let n = self.patches.len();
        self.weights
            .iter()
            .enumerate()
            .map(move |(place, &weight)| (self.patches[place / n], self.patches[place % n], weight))
    }
}
