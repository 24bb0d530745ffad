//! Non-finite outputs: finite weights whose activations overflow, traced to where they begin.

use archaeo_analysis::attention::{AttentionMaps, LayerMaps};
use archaeo_models::{AttentionSite, Classifier, FeatureSite, Pass, Probe, TokenPlace, TokenSite};
use archaeo_ops::in_pool;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use thiserror::Error;

use crate::evaluate::Evaluation;
use crate::images::{Batch, ImageSource};
use archaeo_data::DataError;

/// A model whose output for an image is not finite.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{model} gives answers that are not finite, for example on {image} (first {place}); {remedy}")]
pub struct NotFinite {
    /// Name or file of the model.
    pub model: String,
    /// Name of the image.
    pub image: String,
    /// The first non-finite value in the forward pass.
    pub place: String,
    /// Advice, as a sentence.
    pub remedy: &'static str,
}

impl NotFinite {
    /// Follows `image`, `[1, 3, height, width]` in [0, 1], through `model` to the first non-finite value.
    pub fn traced(model: &Classifier, name: &str, image: Tensor<4>) -> Self {
        let mut watch = Watch { blocks: model.card().network.attention_layers(), place: None };
        let logits = in_pool(|| model.logits(image, &mut Pass::evaluate(&mut watch)));
        watch.see(&logits, || "in its head".into());
        let place = watch.place.unwrap_or_else(|| "in its answer".into());
        let remedy = "its numbers exceed what 32-bit floats hold: take another checkpoint";
        Self { model: model.card().name.clone(), image: name.into(), place, remedy }
    }

    /// The same error with the name `model`.
    pub fn of(self, model: impl Into<String>) -> Self {
        Self { model: model.into(), ..self }
    }
}

/// Outputs that cannot be scored.
#[derive(Debug, Error)]
pub enum AnswersError {
    /// They are not finite.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// The image cannot be read again.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Position of the first of `rows` of `width` values that holds one that is not finite.
pub fn first_not_finite(values: &[f32], width: usize) -> Option<usize> {
    values.iter().position(|value| !value.is_finite()).map(|position| position / width)
}

/// Refuses non-finite outputs of `model` on the images of `source`; `name` returns the name of the image at a position.
///
/// # Errors
/// The first such output, with the place in the model where it begins.
pub fn check(
    model: &Classifier,
    answers: &Evaluation,
    source: &dyn ImageSource,
    name: impl Fn(usize) -> String,
    device: &Device,
) -> Result<(), AnswersError> {
    let Some(position) = first_not_finite(&answers.logits, answers.classes) else { return Ok(()) };
    let image = Batch::load(source, &[position], 0)?.tensor(&device.clone().inner());
    Err(NotFinite::traced(&model.valid(), &name(position), image).into())
}

/// Refuses attention maps that are not finite; `image` is the image at a position of the batch, `[1, 3, height, width]`, and
/// its name.
///
/// # Errors
/// The first layer of the first image whose map is not.
pub fn check_maps(
    model: &Classifier,
    maps: &AttentionMaps,
    image: impl Fn(usize) -> (String, Tensor<4>),
) -> Result<(), NotFinite> {
    let first = |layer: &LayerMaps| first_not_finite(&layer.values, layer.values.len() / maps.images);
    match maps.layers.iter().filter_map(first).min() {
        None => Ok(()),
        Some(position) => {
            let (name, image) = image(position);
            Err(NotFinite::traced(model, &name, image))
        }
    }
}

/// Checks every site of a pass and remembers the first non-finite value.
struct Watch {
    blocks: usize,
    place: Option<String>,
}

impl Watch {
    fn see<const D: usize>(&mut self, values: &Tensor<D>, place: impl FnOnce() -> String) {
        if self.place.is_none() {
            let values = values.clone().into_data().try_into_vec::<f32>().expect("32-bit floats");
            self.place = values.iter().any(|value| !value.is_finite()).then(place);
        }
    }

    fn block(&self, layer: usize) -> String {
        format!("block {} of {}", layer + 1, self.blocks)
    }
}

impl Probe for Watch {
    fn attention(&mut self, site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        let block = self.block(site.layer);
        self.see(&weights, || format!("at the attention weights of {block}"));
        weights
    }

    fn heads(&mut self, site: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        let block = self.block(site.layer);
        self.see(&outputs, || format!("at the attention heads of {block}"));
        outputs
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        let block = self.block(site.layer);
        self.see(&tokens, || match (site.place, site.layer) {
            (TokenPlace::BlockInput, 0) => "at the patch embedding".into(),
            (TokenPlace::BlockInput, _) => format!("at the input of {block}"),
            (TokenPlace::BeforeAttention, _) => format!("before the attention of {block}"),
            (TokenPlace::AttentionInput, _) => format!("at the first layer norm of {block}"),
            (TokenPlace::AfterAttention, _) => format!("after the attention of {block}"),
            (TokenPlace::BlockOutput, _) => format!("at the output of {block}, after its attention heads"),
        });
        tokens
    }

    fn features(&mut self, site: &FeatureSite, map: Tensor<4>) -> Tensor<4> {
        self.see(&map, || match site.stage {
            0 => "at the stem".into(),
            stage => format!("at block {} of stage {stage}", site.block + 1),
        });
        map
    }
}

#[cfg(test)]
mod tests {
    use archaeo_models::{ModelCard, NetworkSpec, Preprocessing, state_of, with_state};

    use super::*;

    /// A model with one array multiplied by 1e30, and its error on a grey image.
    fn said(name: &str, arrays: &[&str]) -> String {
        let network = NetworkSpec::named(name, 3, 32).unwrap();
        let classes = ["a", "b", "c"].map(String::from).to_vec();
        let preprocessing = Preprocessing::plain(32);
        let device = Device::flex();
        let card = ModelCard { name: name.into(), network, preprocessing, classes };
        let model = Classifier::new(card, 0, &device).unwrap();
        let mut state = state_of(&model);
        for array in arrays {
            let array = state.get_mut(*array).unwrap_or_else(|| panic!("no {array}"));
            array
                .values
                .iter_mut()
                .for_each(|value| *value = if *value == 0.0 { 1e30 } else { *value * 1e30 });
        }
        let model = with_state(model, state).unwrap();
        let image = Tensor::<4>::ones([1, 3, 32, 32], &device) * 0.8;
        NotFinite::traced(&model, "grey.png", image).of("model.pth").to_string()
    }

    #[test]
    fn the_place_where_it_begins_is_named() {
        let mlp = said("vit_micro", &["blocks.3.mlp.fc1.weight", "blocks.3.mlp.fc2.weight"]);
        assert!(
            mlp.starts_with("model.pth gives answers that are not finite, for example on grey.png"),
            "{mlp}"
        );
        assert!(mlp.contains("(first at the output of block 4 of "), "{mlp}");
        assert!(mlp.contains("32-bit floats"), "{mlp}");
        let attention = said("vit_micro", &["blocks.1.attn.qkv.weight", "blocks.1.attn.qkv.bias"]);
        assert!(attention.contains("(first at the attention weights of block 2 of "), "{attention}");
        let head = said("vit_micro", &["head.weight", "norm.weight"]);
        assert!(head.contains("(first in its head)"), "{head}");
        let cnn = said("resnet_micro", &["layer2.0.bn1.weight", "layer2.0.bn2.weight"]);
        assert!(cnn.contains("(first at block 1 of stage 2)"), "{cnn}");
    }

    #[test]
    fn rows_are_counted() {
        assert_eq!(first_not_finite(&[0.0, 1.0, f32::NAN, 1.0, f32::INFINITY, 0.0], 2), Some(1));
        assert_eq!(first_not_finite(&[0.0, 1.0], 2), None);
    }
}
