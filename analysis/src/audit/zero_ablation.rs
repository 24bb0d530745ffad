//! Heads replaced by zeros.

use archaeo_models::Classifier;

use super::raw_distance::named;
use super::{Bench, Conclusion, Departure, DepartureInfo, Finding, Record};
use crate::AnalysisError;
use crate::ablation::{Substitute, ablate_heads};
use crate::statistics::{Resampling, Result as Counted, rank_coefficient};

/// Heads are ablated by zeros.
pub(super) struct ZeroAblation;

static INFO: DepartureInfo = DepartureInfo {
    id: "zero-ablation",
    title: "what stands in for an ablated head",
    paper: "its mean over images, which removes what the head says about this image and keeps what it says always",
    source: "Wang et al., 2023, arXiv 2211.00593",
    popular: "zeros, which the next layer has never seen, so that importance is overstated",
    project: "head masks of transformers and ablation notebooks",
    measure: "increase of the loss when one head is replaced, mean over heads, nats",
};

/// Numbers of one head in a record: its layer, and what the loss gains by mean and by zero.
const PER_HEAD: usize = 3;

impl Departure for ZeroAblation {
    fn info(&self) -> &DepartureInfo {
        &INFO
    }

    fn lacking(&self, model: &Classifier) -> Option<String> {
        (!model.has_attention()).then(|| format!("{} has no attention heads", model.card().name))
    }

    fn record(&self, bench: &Bench) -> Result<Vec<Record>, AnalysisError> {
        let means = bench.means.expect("a model with attention has means of heads");
        let (model, images) = (bench.evidence.model(), bench.evidence.images().clone());
        let substitutes = [Substitute::Mean(means), Substitute::Zero];
        let ablated = ablate_heads(model, images, bench.labels, &substitutes)?;
        let one = |image: usize| {
            let gained = |losses: &[f64]| losses[image] - ablated.baseline.losses[image];
            let of_head = ablated.heads.chunks_exact(2).flat_map(|both| {
                let [mean, zero] = [0, 1].map(|at| gained(&both[at].answers.losses));
                [both[0].layer as f64, mean, zero]
            });
            of_head.collect()
        };
        Ok((0..bench.labels.len()).map(one).collect())
    }

    fn conclude(&self, records: &[Record], resampling: &Resampling) -> Counted<Finding> {
        let over_heads = |side: usize| -> Vec<f64> {
            let mean = |record: &Record| {
                let heads = record.chunks_exact(PER_HEAD);
                let count = heads.len() as f64;
                heads.map(|head| head[1 + side]).sum::<f64>() / count
            };
            records.iter().map(mean).collect()
        };
        let mut finding = Finding::of_means(&over_heads(0), &over_heads(1), resampling)?;
        let heads = records[0].len() / PER_HEAD;
        let layers: Vec<usize> = records[0].chunks_exact(PER_HEAD).map(|head| head[0] as usize).collect();
        let over_images = |side: usize| -> Vec<f64> {
            let mean = |head: usize| {
                let sum: f64 = records.iter().map(|record| record[head * PER_HEAD + 1 + side]).sum();
                sum / records.len() as f64
            };
            (0..heads).map(mean).collect()
        };
        let both = [over_images(0), over_images(1)];
        let most =
            |of: &[f64]| (0..of.len()).max_by(|&a, &b| of[a].total_cmp(&of[b])).expect("there is a head");
        let top = [most(&both[0]), most(&both[1])];
        let name = |head: usize| named(layers[head], head, layers.iter().copied());
        let question = "which head is the most important?";
        finding.conclusions.push(Conclusion::new(question, name(top[0]), name(top[1])));
        let rank = both[1].iter().filter(|gain| **gain > both[1][top[0]]).count() + 1;
        finding
            .details
            .push(format!("the most important head by means is number {rank} of {heads} by zeros"));
        if let Some(agreement) = rank_coefficient(&both[0], &both[1]) {
            finding.details.push(format!("rank correlation of all heads: {agreement:.2}"));
        }
        Ok(finding)
    }
}
