//! Attention of a whole data set, image by image, in memory that does not grow with images.

use std::collections::BTreeMap;
use std::f64::consts::LN_2;

use super::{HeadStatistics, LayerStatistics};
use crate::statistics::{Estimate, Moments, StatisticsError};

/// What can be said of a head, in the order of [`HeadSummary::NAMES`].
const COUNT: usize = 8;

/// Moments over images of one head.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadSummary {
    moments: [Moments; COUNT],
}

impl HeadSummary {
    /// Names of the statistics.
    pub const NAMES: [&'static str; COUNT] = [
        "attention_distance",
        "attention_entropy",
        "normalised_entropy",
        "hoyer_sparsity",
        "below_uniform",
        "class_token_mass",
        "distillation_token_mass",
        "register_mass",
    ];

    fn add(&mut self, head: &HeadStatistics) {
        for (moments, value) in self.moments.iter_mut().zip(values(head)) {
            if let Some(value) = value {
                moments.add(value);
            }
        }
    }

    /// The mean over images with its interval, by the place of its name; `None` for the mass on a token that the model does not
    /// have.
    ///
    /// # Errors
    /// A value that is not finite.
    pub fn estimate(&self, statistic: usize, level: f64) -> Result<Option<Estimate>, StatisticsError> {
        let moments = &self.moments[statistic];
        (moments.n() > 0).then(|| moments.estimate(level)).transpose()
    }
}

/// The statistics of one head on one image, in the order of [`HeadSummary::NAMES`].
pub(super) fn values(head: &HeadStatistics) -> [Option<f64>; COUNT] {
    [
        Some(head.distance),
        Some(head.entropy),
        Some(head.normalised_entropy),
        Some(head.hoyer),
        Some(head.below_uniform),
        head.class_token_mass,
        head.distillation_token_mass,
        head.register_mass,
    ]
}

/// Moments over images of one layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerSummary {
    /// One entry per head.
    pub heads: Vec<HeadSummary>,
    /// Mean Jensen-Shannon divergence between heads, nats.
    pub diversity: Moments,
    /// Divergence of each pair of heads, ordered by the second.
    pairs: Vec<Moments>,
}

impl LayerSummary {
    fn add(&mut self, layer: &LayerStatistics, divergences: &[f64]) {
        self.heads.resize_with(layer.heads.len(), HeadSummary::default);
        self.pairs.resize_with(divergences.len(), Moments::default);
        self.heads.iter_mut().zip(&layer.heads).for_each(|(sum, head)| sum.add(head));
        self.pairs.iter_mut().zip(divergences).for_each(|(sum, pair)| sum.add(*pair));
        self.diversity.add(layer.diversity);
    }

    /// How much alike each two heads are, `(heads, heads)`: 1 − divergence / ln 2, 1 for heads that do the same and 0 for heads
    /// that share no key.
    pub fn similarity(&self) -> Vec<Vec<f64>> {
        let heads = self.heads.len();
        let alike = |first: usize, second: usize| match first.cmp(&second) {
            std::cmp::Ordering::Equal => 1.0,
            order => {
                let (low, high) = if order.is_lt() { (first, second) } else { (second, first) };
                1.0 - self.pairs[high * (high - 1) / 2 + low].mean() / LN_2
            }
        };
        (0..heads).map(|first| (0..heads).map(|second| alike(first, second)).collect()).collect()
    }
}

/// Moments of every layer and head over images, and over the images of each class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttentionSummary {
    /// Images seen.
    pub n: usize,
    /// From the input to the output.
    pub layers: Vec<LayerSummary>,
    /// The same for each class that was seen, with its number of images.
    pub classes: BTreeMap<usize, (usize, Vec<LayerSummary>)>,
}

impl AttentionSummary {
    /// One more image: its layers, the divergences of each layer's pairs of heads, and its class, where that is known and wanted.
    pub fn add(&mut self, layers: &[&LayerStatistics], divergences: &[&[f64]], class: Option<usize>) {
        self.n += 1;
        let add = |sums: &mut Vec<LayerSummary>| {
            sums.resize_with(layers.len(), LayerSummary::default);
            for ((sum, layer), pairs) in sums.iter_mut().zip(layers).zip(divergences) {
                sum.add(layer, pairs);
            }
        };
        add(&mut self.layers);
        if let Some(class) = class {
            let (n, sums) = self.classes.entry(class).or_default();
            *n += 1;
            add(sums);
        }
    }
}
