//! Model specifications: an architecture with its sizes, by name or in full.

use thiserror::Error;

use crate::architectures::{ALL, NetworkSpec};
use crate::nearest::nearest;

/// A model that cannot be built.
#[derive(Debug, Error)]
pub enum SpecError {
    /// Sizes that do not fit together.
    #[error("{0}")]
    Sizes(String),
    /// An unknown name.
    #[error(
        "no model is called `{name}`; {}`archaeo models` lists the names, such as vit_micro, vit_tiny_patch16_224 or resnet18_cifar",
        .near.as_ref().map(|near| format!("did you mean `{near}`? ")).unwrap_or_default()
    )]
    Unknown {
        /// The name.
        name: String,
        /// A known name that it may be a misspelling of.
        near: Option<String>,
    },
}

/// The largest accepted width, image or number of classes; products of such sizes do not overflow.
const LARGEST_SIZE: usize = 1 << 16;

/// The largest accepted number of blocks; each takes memory even without weights.
const LARGEST_DEPTH: usize = 1 << 10;

/// Checks that each of `sizes` (widths, pixels, counts) is at least 1 and within the limit.
pub(crate) fn check_sizes(name: &str, sizes: &[usize]) -> Result<(), SpecError> {
    check_range(name, sizes, LARGEST_SIZE)
}

/// Checks that each of `depths` (numbers of blocks) is at least 1 and within the limit.
pub(crate) fn check_depths(name: &str, depths: &[usize]) -> Result<(), SpecError> {
    check_range(name, depths, LARGEST_DEPTH)
}

fn check_range(name: &str, sizes: &[usize], largest: usize) -> Result<(), SpecError> {
    match sizes.iter().find(|size| !(1..=largest).contains(*size)) {
        None => Ok(()),
        Some(size) => Err(SpecError::Sizes(format!("{name} must be from 1 to {largest}, not {size}"))),
    }
}

/// Checks that patches of `patch_size` pixels tile an image of `image_size`.
pub(crate) fn check_patches(image_size: usize, patch_size: usize) -> Result<(), SpecError> {
    match image_size.is_multiple_of(patch_size) {
        true => Ok(()),
        false => Err(SpecError::Sizes(format!(
            "patches of {patch_size} px do not tile an image of {image_size} px"
        ))),
    }
}

/// Checks that `heads` divides the width.
pub(crate) fn check_heads(width: usize, heads: usize) -> Result<(), SpecError> {
    match width.is_multiple_of(heads) {
        true => Ok(()),
        false => Err(SpecError::Sizes(format!("{heads} heads do not divide a width of {width}"))),
    }
}

/// Checks that a norm's epsilon is positive and not so large that the norm has no effect.
pub(crate) fn check_epsilon(epsilon: f64) -> Result<(), SpecError> {
    match epsilon > 0.0 && epsilon < 1.0 {
        true => Ok(()),
        false => Err(SpecError::Sizes(format!("epsilon must be above 0 and below 1, not {epsilon}"))),
    }
}

/// Checks that each rate, given with its name, is a probability below 1.
pub(crate) fn check_rates(rates: &[(&str, f64)]) -> Result<(), SpecError> {
    match rates.iter().find(|(_, rate)| !(0.0..1.0).contains(rate)) {
        None => Ok(()),
        Some((name, rate)) => {
            Err(SpecError::Sizes(format!("{name} must be at least 0 and below 1, not {rate}")))
        }
    }
}

impl NetworkSpec {
    /// The model of a name: one of [`NetworkSpec::names`], for transformers with the suffix `_PIXELS` where it differs from
    /// `image_size`.
    ///
    /// # Errors
    /// [`SpecError::Unknown`] for any other name, [`SpecError::Sizes`] for patches that do not tile the image.
    pub fn named(name: &str, classes: usize, image_size: usize) -> Result<Self, SpecError> {
        let found = ALL.iter().find_map(|architecture| (architecture.named)(name, classes, image_size));
        let spec = found.ok_or_else(|| SpecError::unknown(name))?;
        spec.validate()?;
        Ok(spec)
    }

    /// Every name that [`NetworkSpec::named`] knows, without the optional `_PIXELS`.
    pub fn names() -> Vec<String> {
        ALL.iter().flat_map(|architecture| (architecture.names)()).collect()
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// One sentence naming the sizes that do not.
    pub fn validate(&self) -> Result<(), SpecError> {
        self.sizes().validate()
    }

    /// Name of the architecture's models, for use in a sentence.
    pub fn family(&self) -> &'static str {
        self.sizes().family()
    }

    /// Description of architecture and sizes.
    pub fn describe(&self) -> String {
        self.sizes().describe()
    }

    /// Number of layers with attention; a convolutional network has none.
    pub fn attention_layers(&self) -> usize {
        self.sizes().attention_layers()
    }

    /// Whether its blocks normalise over the batch, with running moments at evaluation.
    pub fn normalises_over_batch(&self) -> bool {
        self.sizes().normalises_over_batch()
    }

    /// Whether attention is confined to windows.
    pub fn attends_within_windows(&self) -> bool {
        self.sizes().attends_within_windows()
    }

    /// Whether its classes are defined by prompts ([`crate::clip`]).
    pub fn classes_are_prompts(&self) -> bool {
        self.sizes().classes_are_prompts()
    }

    /// Multiply-adds for one image with sides of `image_size` pixels: of convolutions, dense layers and the two products of
    /// attention, each once.
    pub fn multiply_adds(&self, image_size: usize) -> u64 {
        self.sizes().multiply_adds(image_size)
    }

    /// The part of [`Self::multiply_adds`] that the two products of attention take: queries with keys, weights with values.
    pub fn attention_multiply_adds(&self, image_size: usize) -> u64 {
        self.sizes().attention_multiply_adds(image_size)
    }

    /// Side of the patches in pixels, or the distance between the tokens that convolutions make; `None` of a network on feature maps
    /// alone.
    pub fn patch_size(&self) -> Option<usize> {
        self.sizes().patch_size()
    }

    /// Tokens of the first block for an image with sides of `image_size` pixels, those before the first patch included; `None`
    /// without attention.
    pub fn tokens(&self, image_size: usize) -> Option<usize> {
        self.sizes().tokens(image_size)
    }

    /// The same sizes with these rates of stochastic depth and dropout in training, if the architecture supports them.
    pub fn with_rates(mut self, drop_path: f64, dropout: f64) -> Self {
        self.sizes_mut().set_rates(drop_path, dropout);
        self
    }

    /// The same with a head for another number of classes.
    pub fn with_classes(mut self, classes: usize) -> Self {
        self.sizes_mut().set_classes(classes);
        self
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.sizes().classes()
    }

    /// The same for images of another size, to which learned positions are resampled when a checkpoint is loaded.
    ///
    /// # Errors
    /// Patches that do not tile the image.
    pub fn for_image_size(mut self, image_size: usize) -> Result<Self, SpecError> {
        self.sizes_mut().set_image_size(image_size);
        self.validate()?;
        Ok(self)
    }

    /// Whether models of the architecture that a recipe calls `architecture` take images of any size, so that their sizes have no
    /// `image_size`; false for an unknown architecture.
    pub fn takes_any_image_size(architecture: &str) -> bool {
        ALL.iter().any(|known| known.tag == architecture && known.any_image_size)
    }

    /// Side of the only input the model takes, in pixels; `None` where any will do.
    pub fn image_size(&self) -> Option<usize> {
        self.sizes().image_size()
    }
}

impl SpecError {
    /// An unknown name, with the known one that it may be a misspelling of.
    pub(crate) fn unknown(name: &str) -> Self {
        let (stem, _) = with_pixels(name).unwrap_or((name, 0));
        let near = nearest(stem, NetworkSpec::names().iter().map(String::as_str)).map(str::to_owned);
        Self::Unknown { name: name.to_owned(), near }
    }
}

/// A name without the pixels at its end, and the pixels.
pub(crate) fn with_pixels(name: &str) -> Option<(&str, usize)> {
    let (stem, pixels) = name.rsplit_once('_')?;
    Some((stem, pixels.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::usual;

    #[test]
    fn an_architecture_takes_any_size_if_its_models_do() {
        for name in NetworkSpec::names() {
            let network = NetworkSpec::named(&name, 10, usual(&name).preprocessing.image_size).unwrap();
            let written = serde_json::to_value(&network).unwrap();
            let any = NetworkSpec::takes_any_image_size(written["architecture"].as_str().unwrap());
            assert_eq!(any, network.image_size().is_none(), "{name}");
            assert_eq!(any, written.get("image_size").or(written["image"].get("image_size")).is_none());
        }
        assert!(!NetworkSpec::takes_any_image_size("resnext"));
    }
}
