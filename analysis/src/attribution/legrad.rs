//! LeGrad (Bousselham et al., 2024): how sensitive the class's logit is to the attention of each block, block by block.

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution};
use crate::attention::target_score;
use crate::probes::GradientTap;
use crate::tensors::{per_image, values};
use crate::{AnalysisError, Paper};

/// For each block, what the model's head says of that block's tokens, pooled and normed as those of the last block are; of its
/// logit of the class the gradient at that block's attention weights, cut at zero, averaged over heads and queries; prefix tokens
/// left out; the mean over blocks (section 3.2, equations 6 to 9). Attention itself is not multiplied in. Left in its own scale:
/// the paper scales from 0 to 1 at the end, as [`Heatmap::min_max_scaled`] does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeGrad {
    /// The one block that counts, numbered from 1; the mean over all for `None`. One that is not there panics.
    pub layer: Option<usize>,
}

impl LeGrad {
    /// The mean over all blocks, as in the paper.
    pub const USUAL: Self = Self { layer: None };
}

static LEGRAD: MethodInfo = MethodInfo {
    id: "legrad",
    title: "LeGrad",
    summary: "gradient of the class's logit at the attention of every block, each read by the head",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Bousselham et al., 2024", url: "https://arxiv.org/abs/2404.03214" }),
    needs: &[Capability::Attention, Capability::OneStream, Capability::Gradients],
    depends_on_class: true,
    signed: false,
    resolution: Resolution::Patches,
    cost: Cost::Shared,
};

impl Attribution for LeGrad {
    fn info(&self) -> &'static MethodInfo {
        &LEGRAD
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        self.require(evidence)?;
        let stream = evidence.stream()?;
        let [rows, columns] = stream.grid;
        let all = stream.tokens.len() - 1;
        let blocks = self.layer.map_or(0..all, |layer| layer - 1..layer);
        assert!(blocks.end <= all, "block {} of {all}", blocks.end);
        let share = 1.0 / blocks.len() as f64;
        let mut sums = vec![vec![0f64; rows * columns]; targets.len()];
        for block in blocks {
            let mut tap = GradientTap::default();
            let gradients = target_score(evidence.answer_after_block(block, &mut tap), targets).backward();
            let slopes = tap.layers[0].1[0].gradient(&gradients);
            let received = values(slopes.clamp_min(0.0).mean_dim(1).mean_dim(2));
            for (sum, keys) in sums.iter_mut().zip(per_image(&received, targets.len())) {
                let patches = &keys[stream.prefix_tokens..];
                sum.iter_mut().zip(patches).for_each(|(sum, &slope)| *sum += f64::from(slope) * share);
            }
        }
        let heatmap = |sum: Vec<f64>| Heatmap::new(rows, columns, sum.iter().map(|&v| v as f32).collect());
        Ok(sums.into_iter().map(heatmap).collect())
    }
}
