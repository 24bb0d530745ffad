//! The scores against a true mask as metrics.

use super::localisation::MaskScores;
use super::{Asked, Metric, MetricInfo, Score};
use crate::attribution::Heatmap;
use crate::statistics::SHARE;
use crate::{AnalysisError, Paper};

/// One of [`MaskScores`].
pub struct AgainstMask {
    info: MetricInfo,
    read: fn(&MaskScores) -> f64,
}

const fn against_mask(
    id: &'static str,
    title: &'static str,
    summary: &'static str,
    paper: Paper,
    read: fn(&MaskScores) -> f64,
) -> AgainstMask {
    let info = MetricInfo {
        id,
        title,
        summary,
        higher_is_better: true,
        range: SHARE,
        judged: true,
        needs_mask: true,
        needs: &[],
        passes: 0,
        curve: &[],
        paper,
    };
    AgainstMask { info, read }
}

const ZHANG: Paper = Paper { citation: "Zhang et al., 2018", url: "https://arxiv.org/abs/1608.00507" };
const ARRAS: Paper = Paper { citation: "Arras et al., 2022", url: "https://arxiv.org/abs/2003.07258" };

pub(super) static POINTING: AgainstMask = against_mask(
    "pointing",
    "pointing game",
    "how often the hottest pixel lies on the object",
    ZHANG,
    |scores| scores.pointing,
);

pub(super) static MASS: AgainstMask = against_mask(
    "mass",
    "mass on the object",
    "share of the positive mass that lies on the object",
    ARRAS,
    |scores| scores.mass,
);

pub(super) static AUROC: AgainstMask = against_mask(
    "auroc",
    "pixel AUROC",
    "how often a pixel of the object is hotter than another one",
    ARRAS,
    |scores| scores.auroc,
);

pub(super) static AVERAGE_PRECISION: AgainstMask = against_mask(
    "average-precision",
    "average precision",
    "area under precision over recall of the object's pixels",
    ARRAS,
    |scores| scores.average_precision,
);

impl Metric for AgainstMask {
    fn info(&self) -> &'static MetricInfo {
        // The four of them are static.
        match self.info.id {
            "pointing" => &POINTING.info,
            "mass" => &MASS.info,
            "auroc" => &AUROC.info,
            _ => &AVERAGE_PRECISION.info,
        }
    }

    fn measure(&self, asked: &Asked) -> Result<Vec<Vec<Score>>, AnalysisError> {
        let [_, _, height, width] = asked.evidence.images().dims();
        let of_image = |(row, map): (usize, &Heatmap)| {
            let mask = asked.masks.get(row).and_then(Option::as_ref);
            let scores = mask.and_then(|mask| MaskScores::of(map, mask, [height, width]));
            Score::of(scores.map(|scores| (self.read)(&scores)))
        };
        Ok(asked.heatmaps.iter().map(|maps| maps.iter().enumerate().map(of_image).collect()).collect())
    }
}
