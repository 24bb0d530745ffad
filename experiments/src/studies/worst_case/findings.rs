//! The worst case: what is written to `findings/worst_case.json`.

use archaeo_analysis::attacks::Norm;
use archaeo_analysis::statistics::{Estimate, Measured, SurvivalPoint};
use serde::{Deserialize, Serialize};

use crate::studies::findings::PairedShares;
use crate::subjects::{ByModel, ModelName};

/// How little is left of models under the strongest attacks, and how little it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorstCaseFindings {
    /// Images attacked with a given size.
    pub n: usize,
    /// Unit of every ε: that of the L∞ norm.
    pub unit: String,
    /// Starts of PGD.
    pub restarts: usize,
    /// The attacks of the largest size in words, in turn.
    pub settings: Vec<String>,
    /// Of every model, each size in ascending order.
    pub models: ByModel<Vec<Resistance>>,
    /// Every two models at each size.
    pub pairs: Vec<WorstCasePair>,
    /// Images of which the smallest perturbation is looked for.
    pub smallest_n: usize,
    /// The smallest perturbations, in each norm.
    pub norms: Vec<NearestInNorm>,
}

/// One model under attacks of one size, in L∞.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resistance {
    /// Largest change of a channel value, in units of 1/255.
    pub epsilon: f64,
    /// Accuracy without an attack.
    pub clean: Estimate,
    /// Robust accuracy under PGD with one start: what is often reported.
    pub one_start: Estimate,
    /// Under PGD with all its starts.
    pub restarts: Estimate,
    /// Under that and APGD-T, which is tried on what PGD leaves standing.
    pub all: Estimate,
    /// Share of the attacked images whose gradient was zero where the attack began.
    pub zero_gradient: f64,
}

/// Two models under all attacks of one size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorstCasePair {
    /// Which models.
    pub models: [ModelName; 2],
    /// Size, in units of 1/255.
    pub epsilon: f64,
    /// Robust accuracy over all images of the sample.
    pub robust: PairedShares,
}

/// The smallest perturbations in one norm.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NearestInNorm {
    /// The norm.
    pub norm: Norm,
    /// What distances are measured in.
    pub unit: String,
    /// The attacks that look for them, in words; the smallest that one finds counts.
    pub settings: Vec<String>,
    /// Every model.
    pub models: ByModel<Nearest>,
    /// Every two models on the images that both classify correctly.
    pub pairs: Vec<FartherPair>,
}

/// How far images are from an error of one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Nearest {
    /// Images that it classifies correctly: those that are attacked.
    pub correct: usize,
    /// Those of them that some attack fools.
    pub fooled: usize,
    /// Median over the correct images, where one that is never fooled is infinitely far; undefined where most are.
    pub median: Measured,
    /// Robust accuracy at every size, over all images.
    pub curve: Vec<SurvivalPoint>,
}

/// For which of two models the same images are farther from an error.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FartherPair {
    /// Which models.
    pub models: [ModelName; 2],
    /// Images that both classify correctly.
    pub both: usize,
    /// Those that are farther from an error of the first, and of the second.
    pub farther: [usize; 2],
    /// Two-sided p-value of the exact sign test, whose null is that either is as likely, adjusted over norms and pairs (Benjamini and
    /// Hochberg, 1995).
    pub p_value: f64,
}
