//! What each attention head is worth: what `findings/heads.json` holds of each model.

use archaeo_analysis::statistics::Estimate;
use serde::{Deserialize, Serialize};

use crate::findings::numbering;

/// What each attention head of one model is worth.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadFindings {
    /// Images used.
    pub n: usize,
    /// Accuracy on them with all heads in place.
    pub baseline: Estimate,
    /// Every head, the most important first (by loss increase under mean replacement).
    pub ranking: Vec<HeadAblation>,
    /// The most important head of one half of the images, measured on the other half; `None` with fewer than four images, and
    /// in older findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<SelectedHead>,
    /// Spearman correlation of the ranking by gradient with the ranking by mean ablation, over heads; `None` where it is
    /// undefined: for fewer than four heads, or where one ranking puts all of them alike.
    pub gradient_agreement: Option<Estimate>,
}

/// One head taken away, in three ways.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadAblation {
    /// Block, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub layer: usize,
    /// Head, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub head: usize,
    /// Loss increase when its output is replaced by its mean over images, nats, with the interval of the sign-flip test.
    pub mean: Estimate,
    /// Loss increase when its output is zero.
    pub zero: Estimate,
    /// Loss increase when its output is another image's.
    pub resample: Estimate,
    /// Accuracy lost under mean replacement, paired.
    pub accuracy_drop: Estimate,
    /// Mean of |∂loss/∂gate| (Michel et al., 2019).
    pub gradient: Estimate,
    /// Benjamini-Hochberg adjusted p-value that mean replacement changes the mean loss: of the two-sided sign-flip test that
    /// `mean` has its interval from.
    pub adjusted_p: f64,
}

/// A head chosen on some images and measured on others, so that its being the largest does not make it look larger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SelectedHead {
    /// Block, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub layer: usize,
    /// Head, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub head: usize,
    /// Images it was chosen on, by the largest loss increase under mean replacement.
    pub chosen_on: usize,
    /// Loss increase on the other images, nats, with the interval of the sign-flip test.
    pub mean: Estimate,
    /// Two-sided p-value of that test.
    pub p_value: f64,
    /// Accuracy lost on the other images, paired.
    pub accuracy_drop: Estimate,
}
