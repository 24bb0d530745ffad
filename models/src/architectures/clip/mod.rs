//! CLIP (Radford et al., 2021): an image tower and a text tower that project into one space, and classifiers built from the two.
//!
//! The text tower is needed once: [`Clip::classifier`] turns prompts into one prototype per class, which leaves an image tower
//! with fixed prototypes, [`ZeroShot`], a classifier like any other.

mod architecture;
mod config;
pub(crate) mod names;
mod prompts;
mod text;
mod tokenizer;
mod zero_shot;

use archaeo_ops::Precision;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

pub use self::config::{ClipConfig, TextConfig, ZeroShotConfig};
pub use self::prompts::{PromptError, Prompts};
pub use self::text::{TextBlock, TextTower};
pub use self::tokenizer::{CONTEXT, VOCABULARY, tokenize};
pub use self::zero_shot::ZeroShot;
use self::zero_shot::{initial_logit_scale, unit};
use crate::architectures::Network;
use crate::architectures::vit::Vit;
use crate::classifier::{Classifier, ModelCard};
use crate::forward::ForwardPass;
use crate::layers::Linear;
use crate::pass::Pass;
use crate::spec::SpecError;

/// Texts embedded per batch.
const TEXTS_AT_ONCE: usize = 64;

/// Both towers.
#[derive(Module, Debug)]
pub struct Clip {
    /// Image tower, a backbone.
    pub visual: Vit,
    /// `[embedding, width of the image tower]`
    pub visual_projection: Linear,
    /// Text tower.
    pub text: TextTower,
    /// `[embedding, width of the text tower]`
    pub text_projection: Linear,
    /// Logarithm of the scale of the cosines, `[1]`.
    pub logit_scale: Param<Tensor<1>>,
}

impl Clip {
    /// A CLIP with placeholder weights.
    ///
    /// # Errors
    /// As [`ClipConfig::validate`].
    pub fn new(config: &ClipConfig, device: &Device) -> Result<Self, SpecError> {
        config.validate()?;
        let ClipConfig { image, text, embedding } = config;
        Ok(Self {
            visual: Vit::new(image, device)?,
            visual_projection: Linear::new(image.features(), *embedding, false, device),
            text: TextTower::new(text, image.feed_forward, device),
            text_projection: Linear::new(text.width, *embedding, false, device),
            logit_scale: initial_logit_scale(device),
        })
    }

    /// Features of normalised images, not normalised to unit length.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` → `[batch, embedding]`
    pub fn image_features(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        let pooled = self.visual.features(images, pass);
        self.visual_projection.forward(pooled, pass.precision)
    }

    /// Features of texts as [`tokenize`] makes them, not normalised to unit length.
    ///
    /// # Shapes
    /// → `[texts, embedding]`
    ///
    /// # Panics
    /// Without texts, or with one that [`tokenize`] cannot return.
    pub fn text_features(&self, texts: &[Vec<u32>], precision: Precision) -> Tensor<2> {
        self.text_projection.forward(self.text.forward(texts, precision), precision)
    }

    /// Directions of a class's prompts, one row per template.
    ///
    /// # Shapes
    /// → `[templates, embedding]`, rows of unit length
    pub fn prompt_features(&self, class: &str, prompts: &Prompts, precision: Precision) -> Tensor<2> {
        let texts: Vec<Vec<u32>> = prompts.of(class).iter().map(|text| tokenize(text)).collect();
        let features = texts.chunks(TEXTS_AT_ONCE).map(|texts| unit(self.text_features(texts, precision)));
        Tensor::cat(features.collect(), 0)
    }

    /// One direction per class: the mean of the directions of all its prompts (Radford et al., 2021, section 3.1.4). `progress`
    /// receives the number of classes that are done.
    ///
    /// # Shapes
    /// → `[classes, embedding]`, rows of unit length
    ///
    /// # Panics
    /// Without classes.
    pub fn prototypes(
        &self,
        classes: &[String],
        prompts: &Prompts,
        precision: Precision,
        progress: &mut dyn FnMut(usize),
    ) -> Tensor<2> {
        let mut rows = Vec::with_capacity(classes.len());
        for (index, class) in classes.iter().enumerate() {
            rows.push(unit(self.prompt_features(class, prompts, precision).mean_dim(0)));
            progress(index + 1);
        }
        Tensor::cat(rows, 0)
    }

    /// The image tower with the prototypes of the card's classes; both are computed in `precision`.
    ///
    /// # Errors
    /// A card of another model than this one's [`ClipConfig::zero_shot`].
    pub fn classifier(
        self,
        card: ModelCard,
        prompts: &Prompts,
        precision: Precision,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Classifier, SpecError> {
        let prototypes = self.prototypes(&card.classes, prompts, precision, progress);
        let mut classifier = Classifier::blank(card, &prototypes.device())?.in_precision(precision);
        let Self { visual, visual_projection, logit_scale, .. } = self;
        let prototypes = Param::from_tensor(prototypes);
        classifier.network =
            Network::ZeroShot(ZeroShot { visual, visual_projection, prototypes, logit_scale });
        Ok(classifier)
    }
}
