//! Where an attack happens: what is written to `findings/autopsy.json`.

use archaeo_analysis::statistics::{Estimate, Measured, SignFlipTest};
use serde::{Deserialize, Serialize};

use crate::findings::numbering;
use crate::subjects::ByModel;

/// Where an attack happens in each model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AutopsyFindings {
    /// Images attacked.
    pub n: usize,
    /// Size of the attack in L∞.
    pub epsilon: f64,
    /// Its unit.
    pub unit: String,
    /// Every model that can be taken apart.
    pub models: ByModel<ModelAutopsy>,
}

/// Of one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelAutopsy {
    /// Images that are right without the attack and wrong under it: those that are taken apart.
    pub fooled: usize,
    /// What is found; `None` with fewer than four of them.
    pub found: Option<Dissection>,
}

/// What changes in a model, and what gives the answer back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dissection {
    /// The label's logit less that of the attack's answer, without the attack and under it.
    pub margins: [Estimate; 2],
    /// On the way from the clean image to the attacked one.
    pub path: Vec<OnPath>,
    /// Every head, layer by layer; none of a residual network.
    pub heads: Vec<HeadAutopsy>,
    /// Every layer of a transformer, every block of a residual network.
    pub layers: Vec<LayerAutopsy>,
    /// The part that restores most over an unrelated image on one half of the images, measured on the other half.
    pub selected: Option<SelectedPart>,
    /// The image in the middle when they are ordered by what the attack takes.
    #[serde(default)]
    pub example: Option<MedianCase>,
}

/// A point on the way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OnPath {
    /// Share of the perturbation.
    pub share: f64,
    /// The margin there.
    pub margin: Estimate,
    /// Mean drift of each layer: Jensen-Shannon divergence of attention in nats, mean over heads; of a block one less the cosine of its
    /// feature maps.
    pub drift: Vec<f64>,
}

/// How much of the margin that the attack takes a part gives back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Given {
    /// Share of the margin restored when the part is taken from the clean image: Σ gain / Σ loss over images.
    pub share: Measured,
    /// The same from an unrelated clean image: the null.
    pub unrelated: Measured<f64>,
    /// `share` less `unrelated`, paired over images; the p-value is adjusted over all parts of the model (Benjamini and Hochberg, 1995).
    pub over_unrelated: SignFlipTest,
}

/// A head.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadAutopsy {
    /// Block, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub layer: usize,
    /// Head, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub head: usize,
    /// Jensen-Shannon divergence of its attention before and after, in nats.
    pub divergence: Estimate,
    /// Change of its entropy, in nats.
    pub entropy: Estimate,
    /// Change of its attention distance, in pixels.
    pub distance: Estimate,
    /// What it restores.
    pub given: Given,
}

/// A layer or a block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerAutopsy {
    /// Counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub layer: usize,
    /// Cosine of what the head would read after this layer, without and under the attack; of feature maps. `None` of a transformer whose
    /// tokens change their width.
    pub similarity: Option<Estimate>,
    /// Margin by the logit lens, without the attack and under it.
    pub lens: Option<[Estimate; 2]>,
    /// What its attention, or its branch, restores: all heads together.
    pub given: Given,
}

/// A part that was chosen on some images and measured on others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SelectedPart {
    /// Block, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub layer: usize,
    /// Head, counted from 1; `None` for a whole block.
    pub head: Option<usize>,
    /// Images that it was chosen on.
    pub chosen_on: usize,
    /// What it restores on the others; its p-value is that of one test.
    pub given: Given,
}

/// The median case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MedianCase {
    /// Index within the main split.
    pub index: usize,
    /// Name of the image within its source.
    pub identifier: String,
    /// Its class, and the answer under attack.
    pub classes: [usize; 2],
    /// Margin without and under the attack.
    pub margins: [f64; 2],
    /// Which explanation is shown.
    pub method: String,
    /// Image, explanation, attacked image, explanation of the attacked image.
    pub pictures: Vec<String>,
}
