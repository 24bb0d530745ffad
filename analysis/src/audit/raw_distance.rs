//! Attention distance with weight on the class token counted as distance zero.

use archaeo_models::Classifier;

use super::{Bench, Conclusion, Departure, DepartureInfo, Finding, Record};
use crate::AnalysisError;
use crate::attention::{DistanceConvention, attention_statistics};
use crate::statistics::{Resampling, Result as Counted};

/// The attention distance is not normalised.
pub(super) struct RawDistance;

static INFO: DepartureInfo = DepartureInfo {
    id: "raw-distance",
    title: "attention distance and the class token",
    paper: "a mean distance weighted by attention: weight on tokens without a place is dropped and the rest sums to one again",
    source: "Dosovitskiy et al., 2021, figure 11",
    popular: "the class token's column is dropped and rows are not normalised, so that weight on it counts as distance zero",
    project: "common attention distance notebooks",
    measure: "mean attention distance over heads, pixels",
};

/// Numbers of one head in a record: its layer, the distance of an even head, both distances.
const PER_HEAD: usize = 4;

impl Departure for RawDistance {
    fn info(&self) -> &DepartureInfo {
        &INFO
    }

    fn lacking(&self, model: &Classifier) -> Option<String> {
        let name = &model.card().name;
        match model.network.transformer() {
            Some(transformer) if model.has_attention() => (transformer.prefix().count() == 0)
                .then(|| format!("every token of {name} is a patch, so that there is nothing to drop")),
            _ => Some(format!("{name} has no attention")),
        }
    }

    fn record(&self, bench: &Bench) -> Result<Vec<Record>, AnalysisError> {
        let maps = bench.evidence.attention()?;
        let even: Vec<f64> = maps.layers.iter().map(|layer| layer.even_distance(maps.image_size)).collect();
        let both = [DistanceConvention::Renormalised, DistanceConvention::Raw];
        let [paper, popular] = both.map(|convention| attention_statistics(maps, convention));
        let one = |(paper, popular): (Vec<_>, Vec<_>)| {
            let layers = paper.into_iter().zip(popular).zip(&even).enumerate();
            let of_layer = |(layer, ((paper, popular), even)): (usize, ((_, _), &f64))| {
                let (paper, popular): (crate::attention::LayerStatistics, crate::attention::LayerStatistics) =
                    (paper, popular);
                let heads = paper.heads.into_iter().zip(popular.heads);
                let even = *even;
                heads
                    .flat_map(move |(paper, popular)| [layer as f64, even, paper.distance, popular.distance])
                    .collect::<Vec<f64>>()
            };
            layers.flat_map(of_layer).collect()
        };
        Ok(paper.into_iter().zip(popular).map(one).collect())
    }

    fn conclude(&self, records: &[Record], resampling: &Resampling) -> Counted<Finding> {
        let over_heads = |side: usize| -> Vec<f64> {
            let mean = |record: &Record| {
                let heads = record.chunks_exact(PER_HEAD);
                let count = heads.len() as f64;
                heads.map(|head| head[2 + side]).sum::<f64>() / count
            };
            records.iter().map(mean).collect()
        };
        let mut finding = Finding::of_means(&over_heads(0), &over_heads(1), resampling)?;
        let [paper, popular] = [0, 1].map(|side| Locality::of(records, side));
        finding.conclusions.push(Conclusion::new(
            "which layer has the most local heads, below half of an even head's distance?",
            paper.layer(),
            popular.layer(),
        ));
        finding.conclusions.push(Conclusion::new(
            "which head is the most local?",
            paper.nearest(),
            popular.nearest(),
        ));
        let counts = [&paper, &popular].map(|side| side.local.iter().filter(|(_, local)| *local).count());
        finding.details.push(format!(
            "{} of {} heads are local by the paper's distance, {} by the other",
            counts[0],
            paper.local.len(),
            counts[1]
        ));
        Ok(finding)
    }
}

/// Which heads are local, by mean distances over images.
struct Locality {
    /// The layer of each head, and whether the head is local.
    local: Vec<(usize, bool)>,
    distances: Vec<f64>,
}

impl Locality {
    fn of(records: &[Record], side: usize) -> Self {
        let heads = records[0].len() / PER_HEAD;
        let mean = |head: usize| {
            records.iter().map(|record| record[head * PER_HEAD + 2 + side]).sum::<f64>()
                / records.len() as f64
        };
        let distances: Vec<f64> = (0..heads).map(mean).collect();
        let place = |head: usize| {
            let [layer, even] = [0, 1].map(|at| records[0][head * PER_HEAD + at]);
            (layer as usize, distances[head] < even / 2.0)
        };
        Self { local: (0..heads).map(place).collect(), distances }
    }

    fn layer(&self) -> String {
        let layers = self.local.last().map_or(0, |(layer, _)| layer + 1);
        let count = |layer: usize| self.local.iter().filter(|(at, local)| *at == layer && *local).count();
        let most = (0..layers).max_by_key(|&layer| (count(layer), std::cmp::Reverse(layer)));
        match most {
            Some(layer) if count(layer) > 0 => format!("layer {}", layer + 1),
            _ => "none".into(),
        }
    }

    fn nearest(&self) -> String {
        let nearest =
            (0..self.distances.len()).min_by(|&a, &b| self.distances[a].total_cmp(&self.distances[b]));
        nearest.map_or_else(
            || "none".into(),
            |head| named(self.local[head].0, head, self.local.iter().map(|l| l.0)),
        )
    }
}

/// A head by its layer and its number in it, from 1.
pub(super) fn named(layer: usize, head: usize, mut layers: impl Iterator<Item = usize>) -> String {
    let first = layers.position(|at| at == layer).expect("the head is one of them");
    format!("layer {}, head {}", layer + 1, head - first + 1)
}
