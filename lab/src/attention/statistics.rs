//! Statistics of heads as a command shows them: means over images with their intervals.

use archaeo_analysis::attention::{AttentionSummary, HeadSummary, LayerSummary};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Estimate, StatisticsError};
use serde::{Serialize, Serializer};

use crate::error::LabError;
use crate::opened::Opened;

/// A value for each head of each layer shown.
pub type ByHead = Vec<Vec<f64>>;

/// Statistics of heads by name; `None`, not zero, for the mass on a token that the model does not have.
#[derive(Clone, Debug)]
pub struct Statistics(Vec<Named>);

/// A statistic's name, its means with intervals and its means alone, `[layer][head]`.
type Named = (&'static str, Option<Vec<Vec<Estimate>>>, Option<ByHead>);

impl Statistics {
    pub(super) fn of(layers: &[LayerSummary]) -> Result<Self, StatisticsError> {
        let statistic = |(place, name): (usize, &&'static str)| {
            let heads = |layer: &LayerSummary| {
                layer.heads.iter().map(|head| head.estimate(place, DEFAULT_LEVEL)).collect()
            };
            let found = layers.iter().map(heads).collect::<Result<Vec<Vec<Option<Estimate>>>, _>>()?;
            let found: Option<Vec<Vec<Estimate>>> =
                found.into_iter().map(|heads| heads.into_iter().collect()).collect();
            let means = found.as_ref().map(|layers| {
                layers.iter().map(|heads| heads.iter().map(|head| head.value).collect()).collect()
            });
            Ok((*name, found, means))
        };
        Ok(Self(HeadSummary::NAMES.iter().enumerate().map(statistic).collect::<Result<_, _>>()?))
    }

    /// The statistic of a name, such as `attention_distance`.
    pub fn get(&self, name: &str) -> Option<&ByHead> {
        self.present().find(|(known, _)| *known == name).map(|(_, values)| values)
    }

    /// Those that the model has.
    pub fn present(&self) -> impl Iterator<Item = (&'static str, &ByHead)> {
        self.0.iter().filter_map(|(name, _, means)| Some((*name, means.as_ref()?)))
    }
}

/// Lower and upper end for each head of each layer.
#[derive(Serialize)]
struct Intervals(Vec<Vec<[f64; 2]>>);

impl Serialize for Statistics {
    /// What the model has comes first; `intervals` holds the 95 % intervals under the same names.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Entry<'a> {
            Means(Option<&'a ByHead>),
            Intervals(std::collections::BTreeMap<&'static str, Intervals>),
        }
        let ends = |estimate: &Estimate| [estimate.low, estimate.high];
        let intervals = self.0.iter().filter_map(|(name, found, _)| {
            let layers = found.as_ref()?.iter().map(|heads| heads.iter().map(ends).collect());
            Some((*name, Intervals(layers.collect())))
        });
        let present = self.present().map(|(name, values)| (name, Entry::Means(Some(values))));
        let absent = self.0.iter().filter(|(_, _, means)| means.is_none());
        let absent = absent.map(|(name, ..)| (*name, Entry::Means(None)));
        let intervals = [("intervals", Entry::Intervals(intervals.collect()))];
        serializer.collect_map(present.chain(absent).chain(intervals))
    }
}

/// The heads of a layer compared.
#[derive(Clone, Debug, Serialize)]
pub struct LayerDiversity {
    /// Mean Jensen-Shannon divergence between heads, nats: 0 for heads that do the same, at most ln 2.
    pub diversity: f64,
    /// Its 95 % interval over images; null of one image.
    pub interval: [f64; 2],
    /// 1 − divergence / ln 2 of each two heads, `(heads, heads)`.
    pub similarity: Vec<Vec<f64>>,
}

pub(super) fn compared(summary: &AttentionSummary) -> Result<Vec<LayerDiversity>, StatisticsError> {
    let layer = |layer: &LayerSummary| {
        let Estimate { value, low, high, .. } = layer.diversity.estimate(DEFAULT_LEVEL)?;
        Ok(LayerDiversity { diversity: value, interval: [low, high], similarity: layer.similarity() })
    };
    summary.layers.iter().map(layer).collect()
}

/// The statistics over the images of one class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassStatistics {
    /// Name of the class in the data.
    pub class: String,
    /// Its images.
    pub n: usize,
    /// Mean divergence between the heads of each layer, nats.
    pub diversity: Vec<f64>,
    /// As of all images.
    #[serde(flatten)]
    pub statistics: Statistics,
}

pub(super) fn of_classes(
    opened: &Opened,
    summary: &AttentionSummary,
) -> Result<Vec<ClassStatistics>, LabError> {
    let names = &opened.dataset.classes;
    let of_class = |(class, (n, layers)): (&usize, &(usize, Vec<LayerSummary>))| {
        Ok(ClassStatistics {
            class: names.get(*class).cloned().unwrap_or_else(|| class.to_string()),
            n: *n,
            diversity: layers.iter().map(|layer| layer.diversity.mean()).collect(),
            statistics: Statistics::of(layers)?,
        })
    };
    summary.classes.iter().map(of_class).collect()
}
