//! A model as the rest of the program sees it: images in [0, 1] in, logits out.

use archaeo_ops::{self as ops, Precision};
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::architectures::{Network, NetworkSpec};
use crate::forward::{Residual, Tokens, Transformer};
use crate::initialize::initialize;
use crate::pass::{LayerMoments, Pass};
use crate::preprocessing::Preprocessing;
use crate::spec::SpecError;
use crate::state::{shapes_of, state_of, with_state};

impl Network {
    /// The network as a sequence of blocks on tokens; `None` for a residual network.
    pub fn transformer(&self) -> Option<&dyn Transformer> {
        self.parts().transformer()
    }

    /// The network as a sequence of residual blocks on feature maps; `None` for a transformer.
    pub fn residual(&self) -> Option<&dyn Residual> {
        self.parts().residual()
    }
}

impl NetworkSpec {
    /// Name and shape of every array of a model of these sizes, buffers included, sorted; the arrays are not allocated.
    ///
    /// # Errors
    /// Sizes that do not fit together.
    pub fn arrays(&self) -> Result<Vec<(String, Vec<usize>)>, SpecError> {
        Ok(shapes_of(&Network::new(self, &Device::flex())?).into_iter().collect())
    }

    /// Trained parameters of a model of these sizes, excluding buffers; the arrays are not allocated.
    ///
    /// # Errors
    /// Sizes that do not fit together.
    pub fn parameter_count(&self) -> Result<usize, SpecError> {
        Ok(trained_parameters(&Network::new(self, &Device::flex())?))
    }
}

fn trained_parameters<M: Module>(model: &M) -> usize {
    let shapes = shapes_of(model);
    let trained = shapes.iter().filter(|(name, _)| !name.contains("running_"));
    trained.map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

/// Everything about a model except its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Name of the model, for reports and messages.
    pub name: String,
    /// Architecture and sizes.
    pub network: NetworkSpec,
    /// Preprocessing of images.
    pub preprocessing: Preprocessing,
    /// Names of the classes, in the order of the logits.
    pub classes: Vec<String>,
}

/// A network with its preprocessing.
#[derive(Module, Debug)]
pub struct Classifier {
    /// The network.
    pub network: Network,
    #[module(skip)]
    card: ModelCard,
    #[module(skip)]
    precision: Precision,
}

impl Classifier {
    /// A freshly initialised model on `device`.
    ///
    /// # Errors
    /// Sizes that do not fit together.
    pub fn new(card: ModelCard, seed: u64, device: &Device) -> Result<Self, SpecError> {
        let blank = Self::blank(card, device)?;
        Ok(initialize(blank, seed))
    }

    /// A model with placeholder weights, to be loaded.
    pub(crate) fn blank(card: ModelCard, device: &Device) -> Result<Self, SpecError> {
        if card.classes.len() != card.network.classes() {
            return Err(SpecError::Sizes(format!(
                "the head has {} outputs but {} class names are given",
                card.network.classes(),
                card.classes.len()
            )));
        }
        card.preprocessing.validate()?;
        if let Some(built_for) = card.network.image_size()
            && built_for != card.preprocessing.image_size
        {
            return Err(SpecError::Sizes(format!(
                "{} is built for images of {built_for} px but the preprocessing makes them {} px",
                card.name, card.preprocessing.image_size
            )));
        }
        Ok(Self { network: Network::new(&card.network, device)?, card, precision: Precision::F32 })
    }

    /// Everything about the model except its weights.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// The same model with other class names.
    pub(crate) fn renamed(mut self, classes: Vec<String>) -> Self {
        self.card.classes = classes;
        self
    }

    /// The same model, with every pass in `precision`; a new model uses f32. Precision is not part of the card and is not saved.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Precision to which the operands of matrix products and convolutions are rounded.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Number of trained parameters, excluding buffers.
    pub fn parameter_count(&self) -> usize {
        trained_parameters(self)
    }

    /// Logits of images with values in [0, 1]; normalisation happens inside, so that perturbations of all models are measured in
    /// the same units. The pass uses the model's own precision.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` → `[batch, classes]`
    pub fn logits(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        pass.precision = self.precision;
        self.network.parts().forward(self.normalised(images), pass)
    }

    /// The input of the head for images with values in [0, 1]: for a transformer the tokens of its
    /// [`read_out`](Transformer::read_out) after the last norm, for a distilled one with both heads the class token and then the
    /// distillation token; for CLIP the projected embedding of unit length; for a residual network the mean of the last feature
    /// map. [`Classifier::head`] of them equals [`Classifier::logits`] to the last bit.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` → `[batch, feature_dim]`
    pub fn features(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        pass.precision = self.precision;
        self.network.parts().features(self.normalised(images), pass)
    }

    /// Logits of the object at each pixel of images with values in [0, 1], and the features of the same pass; `None` for a model
    /// without a head for masks.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` → `[batch, height, width]` and `[batch, feature_dim]`
    pub fn masks(&self, images: Tensor<4>, pass: &mut Pass) -> Option<(Tensor<3>, Tensor<2>)> {
        pass.precision = self.precision;
        let segmentation = self.network.parts().segmentation()?;
        Some(segmentation.masks(self.normalised(images), pass))
    }

    /// Whether the model predicts masks.
    pub fn has_masks(&self) -> bool {
        self.network.parts().segmentation().is_some()
    }

    /// Training images of the model's input size from which some of its arrays are set before the first step
    /// ([`Classifier::fitted_to`]); 0 for a model without such arrays.
    pub fn fitting_images(&self) -> usize {
        let side = self.card.preprocessing.image_size;
        self.network.parts().fitting_pixels().div_ceil(side * side)
    }

    /// The model with the arrays that its architecture sets from training images with values in [0, 1], `[n, 3, height, width]`.
    pub fn fitted_to(self, images: Tensor<4>) -> Self {
        let fitted = self.network.parts().fitted_arrays(self.normalised(images));
        let mut state = state_of(&self);
        state.extend(fitted);
        with_state(self, state).expect("the arrays are the model's own")
    }

    /// Number of features per image that the head reads.
    pub fn feature_dim(&self) -> usize {
        self.network.parts().feature_dim()
    }

    /// Logits of [`Classifier::features`]; a model without a head returns the features.
    ///
    /// # Shapes
    /// `[batch, feature_dim]` → `[batch, classes]`
    pub fn head(&self, features: Tensor<2>) -> Tensor<2> {
        self.network.parts().head(features, self.precision)
    }

    /// The logits of each head on [`Classifier::features`]: two in a distilled model, the class token's and then the distillation
    /// token's, of which [`Classifier::head`] is the mean; else one.
    ///
    /// # Shapes
    /// `[batch, feature_dim]` → `[batch, classes]` each
    pub fn logits_by_head(&self, features: Tensor<2>) -> Vec<Tensor<2>> {
        self.network.parts().logits_by_head(features, self.precision)
    }

    /// Images as the network expects them, `[batch, 3, height, width]`.
    pub fn normalised(&self, images: Tensor<4>) -> Tensor<4> {
        let Preprocessing { mean, std, .. } = self.card.preprocessing;
        ops::standardise(images, mean, std)
    }

    /// Whether each attention head reads the output of the one before it ([`Transformer::cascaded`]); false without attention.
    pub fn has_cascaded_heads(&self) -> bool {
        self.network.transformer().is_some_and(|transformer| transformer.cascaded())
    }

    /// Whether the model has attention heads.
    pub fn has_attention(&self) -> bool {
        self.card.network.attention_layers() > 0
    }

    /// Logits from the residual stream as the block of attention layer `layer` receives it
    /// ([`TokenPlace::BlockInput`](crate::TokenPlace)), for a pass that resumes there: equal to [`Classifier::logits`] to the
    /// last bit. `grid` is that of the site.
    ///
    /// # Shapes
    /// `[batch, tokens, width]` → `[batch, classes]`
    ///
    /// # Panics
    /// Without attention.
    pub fn logits_from(
        &self,
        layer: usize,
        tokens: Tensor<3>,
        grid: [usize; 2],
        pass: &mut Pass,
    ) -> Tensor<2> {
        self.resumed(tokens, grid, pass, |blocks, tokens, pass| blocks.features_from(layer, tokens, pass))
    }

    /// Logits from the residual stream between attention and MLP of block `layer` ([`TokenPlace::AfterAttention`](crate::TokenPlace)),
    /// without the values that no logit depends on: of the last block, only the tokens that are read are computed. Equal to
    /// [`Classifier::logits`] up to rounding. A probe may see fewer tokens of that block, and not its heads.
    ///
    /// # Shapes
    /// `[batch, tokens, width]` → `[batch, classes]`
    ///
    /// # Panics
    /// Without attention.
    pub fn logits_after_attention(
        &self,
        layer: usize,
        tokens: Tensor<3>,
        grid: [usize; 2],
        pass: &mut Pass,
    ) -> Tensor<2> {
        self.resumed(tokens, grid, pass, |blocks, tokens, pass| {
            blocks.features_after_attention(layer, tokens, pass)
        })
    }

    /// As [`Classifier::logits_after_attention`] with the whole of every later block, which all show a probe all that they compute.
    ///
    /// # Shapes
    /// `[batch, tokens, width]` → `[batch, classes]`
    ///
    /// # Panics
    /// Without attention.
    pub fn all_logits_after_attention(
        &self,
        layer: usize,
        tokens: Tensor<3>,
        grid: [usize; 2],
        pass: &mut Pass,
    ) -> Tensor<2> {
        self.resumed(tokens, grid, pass, |blocks, tokens, pass| {
            let tokens = blocks.after_attention(layer, tokens, pass);
            blocks.features_from(layer + 1, tokens, pass)
        })
    }

    /// As [`Classifier::logits_after_attention`], from the residual stream as block `layer` leaves it
    /// ([`TokenPlace::BlockOutput`](crate::TokenPlace)).
    ///
    /// # Shapes
    /// `[batch, tokens, width]` → `[batch, classes]`
    ///
    /// # Panics
    /// Without attention.
    pub fn logits_after_block(
        &self,
        layer: usize,
        tokens: Tensor<3>,
        grid: [usize; 2],
        pass: &mut Pass,
    ) -> Tensor<2> {
        self.resumed(tokens, grid, pass, |blocks, tokens, pass| {
            let tokens = blocks.onwards(layer, tokens, pass);
            blocks.features_read_from(layer + 1, tokens, pass)
        })
    }

    /// Logits of the features that the rest of a pass computes from the residual stream.
    fn resumed(
        &self,
        values: Tensor<3>,
        grid: [usize; 2],
        pass: &mut Pass,
        rest: impl FnOnce(&dyn Transformer, Tokens, &mut Pass) -> Tensor<2>,
    ) -> Tensor<2> {
        pass.precision = self.precision;
        self.head(rest(self.blocks(), Tokens { values, grid }, pass))
    }

    /// The feature map that the first residual block receives.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` in [0, 1] → `[batch, channels, height', width']`
    ///
    /// # Panics
    /// If the network has no residual blocks.
    pub fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        pass.precision = self.precision;
        self.residual_blocks().stem(self.normalised(images), pass)
    }

    /// What a residual block adds up, from the feature map that it receives: the shortcut, and the branch.
    ///
    /// # Panics
    /// If the network has no such block.
    pub fn addends(&self, block: usize, map: Tensor<4>, pass: &mut Pass) -> [Tensor<4>; 2] {
        pass.precision = self.precision;
        self.residual_blocks().addends(block, map, pass)
    }

    /// Logits from the feature map that a residual block receives; `block` may be the number of blocks.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` → `[batch, classes]`
    ///
    /// # Panics
    /// If the network has no residual blocks.
    pub fn logits_from_block(&self, block: usize, map: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        pass.precision = self.precision;
        self.head(self.residual_blocks().features_from_block(block, map, pass))
    }

    fn residual_blocks(&self) -> &dyn Residual {
        self.network.residual().expect("the network has no residual blocks")
    }

    /// What the outputs of one head of a layer add to the residual stream.
    ///
    /// # Shapes
    /// `[batch, tokens, head_dim]` → `[batch, tokens, width]`
    ///
    /// # Panics
    /// Without attention.
    pub fn head_contribution(&self, layer: usize, head: usize, output: Tensor<3>) -> Tensor<3> {
        self.blocks().head_contribution(layer, head, output, self.precision)
    }

    fn blocks(&self) -> &dyn Transformer {
        self.network.transformer().expect("a network without attention has no tokens")
    }

    /// Moves the running moments of every batch-norm layer towards the moments of a training step:
    /// `(1 − momentum) · running + momentum · batch`, the variance unbiased, as in PyTorch.
    pub fn absorb_moments(self, moments: Vec<LayerMoments>, momentum: f64) -> Self {
        if moments.is_empty() {
            return self;
        }
        let mut targets = std::collections::BTreeMap::new();
        for LayerMoments { running_mean, running_var, batch } in moments {
            let unbiased = batch.count as f64 / (batch.count as f64 - 1.0).max(1.0);
            targets.insert(running_mean.val(), batch.mean);
            targets.insert(running_var.val(), batch.variance * unbiased);
        }
        self.map(&mut MomentMapper { targets, momentum })
    }
}

struct MomentMapper {
    targets: std::collections::BTreeMap<u64, Tensor<1>>,
    momentum: f64,
}

impl ModuleMapper for MomentMapper {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id: ParamId = param.id;
        let Some(target) = self.targets.remove(&id.val()) else { return param };
        let momentum = self.momentum;
        param.map(|running| {
            let autodiff = running.is_autodiff();
            let shape = running.dims();
            let moved = running.inner() * (1.0 - momentum) + target.reshape(shape) * momentum;
            if autodiff { Tensor::from_inner(moved) } else { moved }
        })
    }
}
