//! Masked autoencoder (He et al., 2022): most patches are hidden, and their pixels are to be predicted from the others.
//!
//! The model sees the visible patches alone. A small decoder receives its tokens, a learned mask token in the place of every hidden
//! patch, and fixed positions, and predicts the pixels of each patch; the loss is the mean squared error on the hidden patches, of pixels
//! that are normalised within their patch unless `normalise = false`. The decoder is left behind after training. Labels train the head
//! alone, on features of the visible patches ([`Student::learn_without_labels`]).

use archaeo_models::{
    AttentionSite, Block, BlockConfig, Classifier, LayerNorm, Linear, Network, NetworkSpec, Pass,
    PrefixTokens, Probe, ReadOut, TokenPlace, TokenSite, TrainingStep, Vit, VitConfig, sine_positions,
};
use archaeo_ops::gather_rows;
use archaeo_random::{Draw, keyed_rng};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::simclr::refuse_mixing;
use super::{Begun, Examples, Objective, ObjectiveKind, Own, OwnParameters, at_least_one, options};
use crate::backward::{Share, Student};
use crate::{Job, RecipeError, TrainError};

pub(super) static MAE: ObjectiveKind = ObjectiveKind {
    id: "mae",
    title: "predicting the pixels of hidden patches, without labels",
    of_features: false,
    weights: &[],
    check: |table| Options::read(table).map(drop),
    begin,
};

/// Added to the variance of a patch, as in the released code.
const EPSILON: f64 = 1e-6;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Share of the patches that are hidden.
    mask: f64,
    /// Whether pixels are normalised within their patch.
    normalise: bool,
    /// Width of the decoder.
    width: usize,
    /// Blocks of the decoder.
    depth: usize,
    /// Attention heads per block of the decoder.
    heads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { mask: 0.75, normalise: true, width: 64, depth: 2, heads: 4 }
    }
}

impl Options {
    fn read(table: &Table) -> Result<Self, RecipeError> {
        let options: Self = options(table)?;
        let Self { mask, width, depth, heads, .. } = options;
        if !(mask > 0.0 && mask < 1.0) {
            let (key, allowed) = ("objective.mask", "above 0 and below 1");
            return Err(RecipeError::Range { key, allowed, found: mask.to_string() });
        }
        for (key, value) in
            [("objective.width", width), ("objective.depth", depth), ("objective.heads", heads)]
        {
            at_least_one(key, value)?;
        }
        if !width.is_multiple_of(4) || !width.is_multiple_of(heads) {
            return Err(RecipeError::Value(format!(
                "`objective.width` is {width}, and the decoder's width must be a multiple of 4 and of the {heads} of `objective.heads`"
            )));
        }
        Ok(options)
    }
}

/// The decoder, with the names of the released code.
#[derive(Module, Debug)]
struct Decoder {
    decoder_embed: Linear,
    /// `[1, 1, width]`
    mask_token: Param<Tensor<3>>,
    decoder_blocks: Vec<Block>,
    decoder_norm: LayerNorm,
    /// `[patch · patch · 3, width]`
    decoder_pred: Linear,
}

impl Decoder {
    fn new(model: &VitConfig, options: &Options, device: &Device) -> Self {
        let Options { width, depth, heads, .. } = *options;
        let block = BlockConfig::plain(width, heads, model.epsilon);
        Self {
            decoder_embed: Linear::new(model.width, width, true, device),
            mask_token: Param::from_tensor(Tensor::zeros([1, 1, width], device).require_grad()),
            decoder_blocks: (0..depth).map(|_| Block::new(&block, device)).collect(),
            decoder_norm: LayerNorm::new(width, model.epsilon, device),
            decoder_pred: Linear::new(width, model.patch_size.pow(2) * 3, true, device),
        }
    }

    /// Pixels of all patches, from the tokens of the visible ones and the prefix tokens before them.
    ///
    /// # Shapes
    /// `[batch, prefix + visible, width]` → `[batch, patches, patch · patch · 3]`
    fn forward(&self, tokens: Tensor<3>, plan: &Plan, pass: &mut Pass) -> Tensor<3> {
        let [batch, visible, _] = tokens.dims();
        let Plan { prefix, grid, .. } = *plan;
        let count = prefix + grid[0] * grid[1];
        let x = self.decoder_embed.forward(tokens, pass.precision);
        let [_, _, width] = x.dims();
        let device = x.device();
        let x = gather_rows(x.reshape([1, batch * visible, width]), &plan.back(visible));
        let hidden =
            Tensor::<3>::from_data(TensorData::new(plan.hidden_tokens(), [batch, count, 1]), &device);
        let x = x.reshape([batch, count, width]) + self.mask_token.val() * hidden;
        let mut x = x + sine_positions(grid, prefix, width, &device);
        let no_prefix = PrefixTokens::NONE;
        for (layer, block) in self.decoder_blocks.iter().enumerate() {
            let site = AttentionSite {
                layer,
                grid,
                prefix: no_prefix,
                read_out: ReadOut::MeanOfPatches,
                window: None,
            };
            x = block.forward(x, &site, pass);
        }
        let x = self.decoder_norm.forward(x).narrow(1, prefix, grid[0] * grid[1]);
        self.decoder_pred.forward(x, pass.precision)
    }
}

/// Which patches are hidden, for each image of a batch.
struct Plan {
    /// Tokens before the patches.
    prefix: usize,
    grid: [usize; 2],
    /// `(batch, patches)`
    hidden: Vec<Vec<bool>>,
}

impl Plan {
    /// Draws as many hidden patches for each image, by the keys of the step.
    fn draw(prefix: usize, side: usize, mask: f64, step: &TrainingStep) -> Self {
        let patches = side * side;
        let visible = (((1.0 - mask) * patches as f64).floor() as usize).clamp(1, patches - 1);
        let of_image = |&image: &u64| {
            let mut rng = keyed_rng(step.seed, "mae/mask", image, step.step);
            let mut order: Vec<usize> = (0..patches).collect();
            for last in (1..patches).rev() {
                order.swap(last, rng.below(last + 1));
            }
            let mut hidden = vec![true; patches];
            order[..visible].iter().for_each(|&patch| hidden[patch] = false);
            hidden
        };
        Self { prefix, grid: [side; 2], hidden: step.images.iter().map(of_image).collect() }
    }

    /// Per image, its tokens that are visible, prefix tokens first.
    fn visible(&self) -> Vec<Vec<usize>> {
        let prefix = self.prefix;
        let of_image = |hidden: &Vec<bool>| {
            let seen = (0..hidden.len()).filter(|&patch| !hidden[patch]).map(|patch| prefix + patch);
            (0..prefix).chain(seen).collect()
        };
        self.hidden.iter().map(of_image).collect()
    }

    /// For each token of each image, its row among the visible tokens of all images, `visible` for each.
    fn back(&self, visible: usize) -> Vec<Option<usize>> {
        let mut rows = Vec::new();
        for (image, tokens) in self.visible().iter().enumerate() {
            let mut of_image = vec![None; self.prefix + self.hidden[image].len()];
            tokens.iter().enumerate().for_each(|(row, &token)| of_image[token] = Some(image * visible + row));
            rows.extend(of_image);
        }
        rows
    }

    /// 1 for each hidden token, 0 for the others, `(batch, tokens)`.
    fn hidden_tokens(&self) -> Vec<f32> {
        let prefix = std::iter::repeat_n(false, self.prefix);
        self.hidden
            .iter()
            .flat_map(|hidden| prefix.clone().chain(hidden.iter().copied()))
            .map(|hidden| f32::from(u8::from(hidden)))
            .collect()
    }
}

/// Lets the blocks see visible tokens only, and keeps what the last of them returns.
struct Visible<'a> {
    plan: &'a Plan,
    last: usize,
    encoded: Option<Tensor<3>>,
}

impl Probe for Visible<'_> {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        match (site.layer, site.place) {
            (0, TokenPlace::BlockInput) => {
                let [batch, count, width] = tokens.dims();
                let visible = self.plan.visible();
                let rows: Vec<Option<usize>> = (visible.iter().enumerate())
                    .flat_map(|(image, tokens)| tokens.iter().map(move |token| Some(image * count + token)))
                    .collect();
                let kept = gather_rows(tokens.reshape([1, batch * count, width]), &rows);
                kept.reshape([batch, rows.len() / batch, width])
            }
            (layer, TokenPlace::BlockOutput) if layer == self.last => {
                self.encoded = Some(tokens.clone());
                tokens
            }
            _ => tokens,
        }
    }
}

struct Mae {
    options: Options,
    side: usize,
    prefix: usize,
    patch: usize,
    depth: usize,
    decoder: Own<Decoder>,
}

fn begin(table: &Table, job: &Job, model: &Classifier) -> Begun {
    let options = Options::read(table)?;
    let recipe = job.recipe;
    refuse_mixing("mae", job)?;
    let card = model.card();
    let NetworkSpec::Vit(config) = &card.network else {
        return Err(RecipeError::Value(format!(
            "`mae` hides patches from a Vision Transformer, and {} is {}; name a ViT, or another objective",
            card.name,
            card.network.describe()
        ))
        .into());
    };
    if config.norm_after_pooling {
        return Err(RecipeError::Value(
            "`mae` decodes the tokens after the last norm, and the model has no norm before its pooling; leave out `norm_after_pooling`"
                .into(),
        )
        .into());
    }
    let side = config.grid();
    if side < 2 {
        return Err(RecipeError::Value(
            "`mae` hides some patches and shows others, and the model has one patch; lower `patch_size`"
                .into(),
        )
        .into());
    }
    let decoder = Own::new(Decoder::new(config, &options, &job.device.clone().autodiff()), recipe);
    let (prefix, patch, depth) = (config.prefix_tokens(), config.patch_size, config.depth);
    Ok(Box::new(Mae { options, side, prefix, patch, depth, decoder }))
}

fn vit(network: &Network) -> &Vit {
    match network {
        Network::Vit(vit) => vit,
        _ => unreachable!("other networks are refused at the beginning"),
    }
}

impl Objective for Mae {
    fn learn(&self, student: Student, examples: Examples) -> Result<Share, TrainError> {
        let Options { mask, normalise, .. } = self.options;
        let plan = Plan::draw(self.prefix, self.side, mask, student.step());
        let Examples { images, targets, .. } = examples;
        Ok(student.learn_without_labels(images, targets, |model, images, step| {
            let target = patches(model.normalised(images.clone()).inner(), self.patch, normalise);
            let mut probe = Visible { plan: &plan, last: self.depth - 1, encoded: None };
            let features = model.features(images, &mut Pass::train(&mut probe, step));
            let encoded = probe.encoded.expect("the last block has an output");
            let encoded = match &vit(&model.network).norm {
                Some(norm) => norm.forward(encoded),
                None => encoded,
            };
            let mut nobody = ();
            let mut pass = Pass::train(&mut nobody, step).in_precision(model.precision());
            let predicted = self.decoder.module().forward(encoded, &plan, &mut pass);
            (masked_error(predicted, Tensor::from_inner(target), &plan.hidden), features)
        }))
    }

    /// The error of predicting the mean of a patch, whose variance is 1.
    fn guessing(&self, _: usize) -> f64 {
        1.0
    }

    fn own(&self) -> Option<&dyn OwnParameters> {
        Some(&self.decoder)
    }

    fn own_mut(&mut self) -> Option<&mut dyn OwnParameters> {
        Some(&mut self.decoder)
    }
}

/// The pixels of every patch, row by row with the three channels of a pixel together; `normalised` to mean 0 and variance 1 within the
/// patch (section 4.1, "reconstruction target").
///
/// # Shapes
/// `[batch, 3, height, width]` → `[batch, patches, patch · patch · 3]`
fn patches(images: Tensor<4>, patch: usize, normalised: bool) -> Tensor<3> {
    let [batch, channels, height, width] = images.dims();
    let (rows, columns) = (height / patch, width / patch);
    let pixels = images
        .reshape([batch, channels, rows, patch, columns, patch])
        .permute([0, 2, 4, 3, 5, 1])
        .reshape([batch, rows * columns, patch * patch * channels]);
    if !normalised {
        return pixels;
    }
    let count = (patch * patch * channels) as f64;
    let centred = pixels.clone() - pixels.mean_dim(2);
    let variance = centred.clone().powi_scalar(2).sum_dim(2) / (count - 1.0);
    centred / (variance + EPSILON).sqrt()
}

/// Mean squared error per pixel over the hidden patches.
///
/// # Shapes
/// `predicted` and `target` `[batch, patches, pixels]`, `hidden` `(batch, patches)` → `[1]`
fn masked_error(predicted: Tensor<3>, target: Tensor<3>, hidden: &[Vec<bool>]) -> Tensor<1> {
    let [batch, patches, _] = predicted.dims();
    let weights: Vec<f32> = hidden.iter().flatten().map(|&hidden| f32::from(u8::from(hidden))).collect();
    let count: f32 = weights.iter().sum();
    let weights = Tensor::<3>::from_data(TensorData::new(weights, [batch, patches, 1]), &predicted.device());
    ((predicted - target).powi_scalar(2).mean_dim(2) * weights).sum() / f64::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::reference::references;

    #[test]
    fn losses_and_gradients_are_pytorchs() {
        for (name, normalised) in [("masked", false), ("masked_normalised", true)] {
            for case in references(name) {
                let images = case.leaf::<4>("images").inner();
                let hidden: Vec<Vec<bool>> = case
                    .hidden
                    .iter()
                    .map(|hidden| (0..4).map(|patch| hidden.contains(&patch)).collect())
                    .collect();
                let target = Tensor::from_inner(patches(images, case.patch, normalised));
                let predicted = case.leaf("predicted");
                case.check(&masked_error(predicted.clone(), target, &hidden), "predicted", &predicted);
            }
        }
    }

    #[test]
    fn three_of_four_patches_are_hidden_by_the_keys_alone() {
        let draw = |images: &[u64], step| {
            Plan::draw(2, 8, 0.75, &TrainingStep::new(5, step, images.to_vec())).hidden
        };
        let all = draw(&[1, 2, 3], 7);
        for hidden in &all {
            assert_eq!(hidden.iter().filter(|hidden| **hidden).count(), 48);
        }
        assert_eq!(all[1], draw(&[2], 7)[0]);
        assert!(all[0] != all[1] && all[1] != draw(&[2], 8)[0]);
        // Over many images every patch is hidden as often as any other.
        let many = draw(&(0..2000).collect::<Vec<_>>(), 0);
        for patch in 0..64 {
            let share = many.iter().filter(|hidden| hidden[patch]).count() as f64 / 2000.0;
            assert!((share - 0.75).abs() < 0.05, "patch {patch} is hidden in {share}");
        }
    }

    #[test]
    fn visible_tokens_find_their_way_back() {
        let plan =
            Plan { prefix: 1, grid: [1, 3], hidden: vec![vec![true, false, true], vec![false, true, true]] };
        assert_eq!(plan.visible(), [vec![0, 2], vec![0, 1]]);
        let rows = [Some(0), None, Some(1), None, Some(2), Some(3), None, None];
        assert_eq!(plan.back(2), rows);
        let hidden: Vec<bool> = plan.hidden_tokens().into_iter().map(|hidden| hidden == 1.0).collect();
        assert_eq!(hidden, rows.map(|row| row.is_none()));
    }
}
