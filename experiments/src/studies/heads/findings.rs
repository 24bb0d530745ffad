//! What heads and layers are worth: what `findings/heads.json` holds of each model.

use std::fmt;
use std::str::FromStr;

use archaeo_analysis::ablation::{Branch, RemovalPoint};
use archaeo_analysis::statistics::{Estimate, SignFlipTest};
use serde::{Deserialize, Serialize};

use crate::findings::numbering;

/// What the attention heads and the layers of one model are worth.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadFindings {
    /// Images used.
    pub n: usize,
    /// Accuracy on them with everything in place.
    pub baseline: Estimate,
    /// Every head that was asked about, the most important first (by loss increase under mean replacement); none of a model without
    /// attention.
    pub ranking: Vec<HeadAblation>,
    /// The most important head of one half of the images, measured on the other half; `None` with fewer than four images, and
    /// in older findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<SelectedHead>,
    /// Spearman correlation of the ranking by gradient with the ranking by mean ablation, over heads; `None` where it is
    /// undefined: for fewer than four heads, or where one ranking puts all of them alike.
    pub gradient_agreement: Option<Estimate>,
    /// Where heads were taken away; `None` of a model whose heads do not read one another, for which it makes no difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<RemovalPoint>,
    /// Where the means that replace heads are from.
    pub reference: Reference,
    /// What heads are worth together, and whole branches; `None` with fewer than four images, or where nothing of it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<Together>,
}

/// Images that means are taken from; none of them is evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Their split.
    pub split: String,
    /// How many.
    pub images: usize,
}

/// Several heads at once, and the branches of each block, replaced by their means.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Together {
    /// Images evaluated: those that did not choose the order of the heads.
    pub n: usize,
    /// Images that chose the order; none where heads are not taken away in an order.
    pub chosen_on: usize,
    /// Accuracy while heads are taken away one after another, where that was asked for.
    pub curve: Option<PruningCurve>,
    /// Interactions of random pairs of heads.
    pub pairs: Vec<HeadPair>,
    /// Branches of every layer: attention, MLP and both, as far as they were asked for; of a residual network each block's.
    pub branches: Vec<BranchAblation>,
}

/// Accuracy while heads are taken away one after another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PruningCurve {
    /// Heads that are gone at each point, from none to all.
    pub removed: Vec<usize>,
    /// Accuracy at each point when the most important goes first.
    pub most_first: Vec<Estimate>,
    /// Accuracy when the least important goes first.
    pub least_first: Vec<Estimate>,
    /// Accuracy when the most important by gradient goes first.
    pub gradient_first: Vec<Estimate>,
    /// Accuracy over random orders; empty without any.
    pub random: Vec<RandomOrders>,
    /// Number of random orders.
    pub random_orders: usize,
    /// Accuracy averaged over the points, most important first, minus the same over random orders; paired by image.
    pub most_against_random: Option<SignFlipTest>,
    /// The same with the least important first.
    pub least_against_random: Option<SignFlipTest>,
    /// The same with the most important by gradient first.
    pub gradient_against_random: Option<SignFlipTest>,
}

/// Accuracy at one point over several random orders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RandomOrders {
    /// Mean over orders.
    pub mean: f64,
    /// Lowest of an order.
    pub lowest: f64,
    /// Highest of an order.
    pub highest: f64,
}

/// A layer and a head. As text it is `3.1`: layer 3, head 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HeadPlace {
    /// Block, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub layer: usize,
    /// Head, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub head: usize,
}

impl From<(usize, usize)> for HeadPlace {
    fn from((layer, head): (usize, usize)) -> Self {
        Self { layer, head }
    }
}

impl fmt::Display for HeadPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.layer + 1, self.head + 1)
    }
}

impl FromStr for HeadPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<usize>().ok()?.checked_sub(1);
        let place = text.split_once('.').and_then(|(layer, head)| Some((number(layer)?, number(head)?)));
        place.map(Self::from).ok_or_else(|| {
            "it is not a layer and a head with a dot between them, both counted from 1, such as 3.1".into()
        })
    }
}

/// Two heads replaced by their means, together and apart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadPair {
    /// One head.
    pub first: HeadPlace,
    /// The other.
    pub second: HeadPlace,
    /// Mean loss increase without both, nats.
    pub both: f64,
    /// Sum of the mean loss increases without one of them, nats.
    pub apart: f64,
    /// `both` minus `apart`: above 0 the heads stand in for each other, below 0 they need each other.
    pub interaction: Estimate,
    /// Benjamini-Hochberg adjusted p-value over the pairs, of the two-sided sign-flip test that the interaction is 0.
    pub adjusted_p: f64,
}

/// A branch of a block taken away.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BranchAblation {
    /// Block, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub layer: usize,
    /// What was replaced.
    pub branch: Branch,
    /// Loss increase when it is replaced by its mean over the reference images, nats, with the interval of the sign-flip test.
    pub mean: Estimate,
    /// Loss increase when it adds nothing.
    pub zero: Estimate,
    /// Accuracy lost under mean replacement, paired.
    pub accuracy_drop: Estimate,
    /// Benjamini-Hochberg adjusted p-value over all branches, of the test that `mean` has its interval from.
    pub adjusted_p: f64,
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
    /// Loss increase when its output is replaced by its mean over the reference images, nats, with the interval of the sign-flip test.
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
