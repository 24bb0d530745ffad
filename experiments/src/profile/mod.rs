//! What models cost, next to one another: parameters, multiply-adds, time and memory, and how these grow with the image.

mod page;

use archaeo_analysis::features::PictureTrust;
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Estimate, Measured, PowerLaw, Result, power_law};
use archaeo_store::run_folder::Environment;
use serde::{Deserialize, Serialize};

pub use page::write;

/// The costs of several models, measured in turns on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Where it was measured.
    pub environment: Environment,
    /// `f32` or `bf16`.
    pub precision: String,
    /// Timed passes behind every median.
    pub rounds: usize,
    /// Images per pass of throughput.
    pub batch: usize,
    /// The models, in the order asked for.
    pub models: Vec<ModelCost>,
    /// The patches of each transformer; empty where no page was asked for.
    pub patches: Vec<PatchPictures>,
    /// What one patch of each transformer attends to; empty where no page was asked for.
    pub queries: Vec<QueryPictures>,
}

/// Pictures of an image cut into patches, and of the patches as the first block receives them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatchPictures {
    /// The model, as it was asked for.
    pub model: String,
    /// Within the page's folder: the image in pieces, each patch in the colour of its embedding's first three principal components, and
    /// t-SNE of the embeddings in these colours.
    pub views: [String; 3],
    /// Patches.
    pub patches: usize,
    /// How far the t-SNE picture shows which embeddings are near; `None` for few patches.
    pub trust: Option<PictureTrust>,
    /// Share of the embeddings' variance along these components.
    pub explained: f64,
}

/// Pictures of what one patch attends to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueryPictures {
    /// The model, as it was asked for.
    pub model: String,
    /// Within the page's folder: the input, each of the first blocks, and what has reached the patch after them.
    pub views: Vec<String>,
    /// Patches of the first block.
    pub patches: usize,
    /// Patches that it attends to in each of the blocks.
    pub seen: Vec<usize>,
    /// Patches that have reached it after all of them.
    pub reached: usize,
}

/// What one model costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCost {
    /// As it was asked for.
    pub name: String,
    /// Its architecture in words.
    pub description: String,
    /// Whether its weights are random: its costs are those of trained weights, its answers are worth nothing.
    pub random_weights: bool,
    /// Trained parameters.
    pub parameters: usize,
    /// At the size of image that its preprocessing names.
    #[serde(flatten)]
    pub usual: SizeCost,
    /// Images per second, in passes of [`Profile::batch`] images.
    pub throughput: Estimate,
    /// Share of images that it classifies correctly, where images were given and it knows their classes.
    pub accuracy: Option<Estimate>,
    /// At each size of image asked for, ascending.
    pub sizes: Vec<SizeCost>,
    /// Sizes that it does not take, each with the reason.
    pub not_taken: Vec<(usize, String)>,
    /// How time grows over these sizes, as a power of the number of pixels.
    pub time_growth: Measured<PowerLaw>,
    /// How multiply-adds do.
    pub multiply_adds_growth: Measured<PowerLaw>,
}

/// What a model costs for an image of one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SizeCost {
    /// Side of the image, pixels.
    pub image_size: usize,
    /// Tokens of the first block; `None` without attention.
    pub tokens: Option<usize>,
    /// Multiply-adds for one image.
    pub multiply_adds: u64,
    /// The part of them that attention's two products take.
    pub attention_multiply_adds: u64,
    /// Seconds of a pass over one image: the median.
    pub latency: Estimate,
    /// The most bytes in use at once for one image, besides weights; `None` where that is not counted.
    pub memory: Option<usize>,
}

impl SizeCost {
    /// Share of the multiply-adds that attention's two products take.
    pub fn attention_share(&self) -> f64 {
        self.attention_multiply_adds as f64 / self.multiply_adds as f64
    }
}

/// How a quantity grows over sizes of images, as a power of their number of pixels.
///
/// # Errors
/// A quantity that is not positive.
pub fn growth(sizes: &[SizeCost], quantity: impl Fn(&SizeCost) -> f64) -> Result<Measured<PowerLaw>> {
    if sizes.len() < 3 {
        return Ok(Measured::undefined("it was measured at fewer than three sizes of image"));
    }
    let pixels: Vec<f64> = sizes.iter().map(|size| (size.image_size * size.image_size) as f64).collect();
    let values: Vec<f64> = sizes.iter().map(quantity).collect();
    Measured::of(power_law(&pixels, &values, DEFAULT_LEVEL))
}
