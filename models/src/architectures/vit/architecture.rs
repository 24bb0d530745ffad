//! ViT's implementation of the architecture contract.

use burn::tensor::Device;
use serde_json::Value;

use super::presets::{self, PUBLISHED, TORCHVISION};
use super::{Pooling, Position, PositionResampling, Vit, VitConfig, fixed_positions};
use super::{infer, libraries, names};
use crate::architectures::{Architecture, Sizes};
use crate::catalogue::{Published, Torchvision};
use crate::describe::{DescribeError, Found, FromConfig, Hints, square};
use crate::export::TimmModel;
use crate::flops::{attention_products, blocks, patches};
use crate::memory::values_of_tokens;
use crate::spec::SpecError;
use crate::state::State;
use crate::transformer::FeedForward;

impl Sizes for VitConfig {
    fn validate(&self) -> Result<(), SpecError> {
        Self::validate(self)
    }

    fn family(&self) -> &'static str {
        "ViT"
    }

    fn describe(&self) -> String {
        let Self { depth, heads, width, patch_size, pooling, .. } = self;
        let read = match pooling {
            Pooling::ClassToken => "",
            Pooling::Mean | Pooling::MeanBesideClassToken => ", the mean of the patches read",
            Pooling::ClassTokenAndMean => ", the class token and the mean of the patches read",
        };
        format!(
            "Vision Transformer: {depth} layers of {heads} heads, width {width}, patches of {patch_size} px{read}"
        )
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn set_classes(&mut self, classes: usize) {
        self.classes = classes;
    }

    fn image_size(&self) -> Option<usize> {
        Some(self.image_size)
    }

    fn set_image_size(&mut self, image_size: usize) {
        self.image_size = image_size;
    }

    fn set_rates(&mut self, drop_path: f64, dropout: f64) {
        (self.drop_path, self.dropout) = (drop_path, dropout);
    }

    fn attention_layers(&self) -> usize {
        self.depth
    }

    fn patch_size(&self) -> Option<usize> {
        Some(self.patch_size)
    }

    fn multiply_adds(&self, _image_size: usize) -> u64 {
        let Self { patch_size, width, depth, mlp_width, classes, .. } = *self;
        let grid = self.grid();
        let layers = if self.feed_forward == FeedForward::SwiGlu { 3 } else { 2 };
        let tokens = grid * grid + self.prefix_tokens();
        let heads = classes * (self.features() + if self.distilled { width } else { 0 });
        patches(grid, patch_size, width)
            + blocks(depth, tokens, width, layers * width * mlp_width)
            + heads as u64
    }

    fn attention_multiply_adds(&self, _image_size: usize) -> u64 {
        let tokens = self.grid() * self.grid() + self.prefix_tokens();
        attention_products(self.depth as u64, tokens as u64, self.width as u64)
    }

    fn tokens(&self, _image_size: usize) -> Option<usize> {
        Some(self.grid() * self.grid() + self.prefix_tokens())
    }

    fn values_of_a_block(&self, image_size: usize) -> f64 {
        values_of_tokens(image_size, self.patch_size, self.width)
    }

    fn largest_blocks(&self) -> usize {
        self.depth
    }

    fn canonical(&self, state: State) -> State {
        names::canonical(state, self)
    }

    /// timm has no fixed positions; learned ones with the same values replace them.
    fn add_portable(&self, state: &mut State) {
        if self.position == Position::Sine {
            state.insert("pos_embed".into(), fixed_positions(self));
        }
    }

    fn timm(&self, _name: &str) -> TimmModel {
        libraries::timm(self)
    }

    fn apply_timm(&mut self, config: &Value, arguments: Option<&Value>, side: usize) -> Result<(), String> {
        libraries::apply_timm(self, config, arguments, side)
    }

    fn forget_what_no_array_shows(&mut self) {
        (self.resampling, self.epsilon) = (PositionResampling::default(), 0.0);
        if self.feed_forward == FeedForward::QuickGelu {
            self.feed_forward = FeedForward::Gelu;
        }
    }

    /// Names do not show the pooling, and of a distillation token only that it is read.
    fn as_arrays_show(&mut self, state: &State) {
        let has = |name: &str| state.contains_key(name);
        if has("fc_norm.weight") && !has("norm.weight") {
            self.norm_after_pooling = true;
            self.pooling = if has("cls_token") { Pooling::MeanBesideClassToken } else { Pooling::Mean };
        }
        let head = has("head.weight") && !has("head_dist.weight");
        if has("dist_token") && head && !self.distilled {
            self.registers = 1;
        }
    }

    /// DINOv2's hub models are evaluated on smaller images than that.
    fn side_of_positions(&self, name: &str, state: &State) -> Option<usize> {
        if name.starts_with("dinov2") {
            return None;
        }
        let is_positions = |name: &str| {
            name == "pos_embed"
                || name.ends_with("encoder.pos_embedding")
                || name.ends_with("position_embeddings")
        };
        let (_, positions) = state.iter().find(|(name, _)| is_positions(name))?;
        let &[_, tokens, _] = positions.shape.as_slice() else { return None };
        let side = |count: usize| square(count).filter(|side| *side > 0);
        let grid = tokens.checked_sub(self.prefix_tokens()).and_then(side).or(side(tokens))?;
        Some(grid * self.patch_size)
    }
}

impl Architecture for VitConfig {
    type Network = Vit;

    const SUPPORTED: &'static str = "Vision Transformers (also DeiT, DINOv2 and CLIP)";
    const PUBLISHED: &'static [Published] = PUBLISHED;
    const TORCHVISION: Option<Torchvision> = Some(TORCHVISION);
    const MODEL_TYPES: &'static [&'static str] = &["vit", "deit", "dinov2", "dinov2_with_registers"];

    fn build(&self, device: &Device) -> Result<Vit, SpecError> {
        Vit::new(self, device)
    }

    fn names() -> Vec<String> {
        presets::names()
    }

    fn named(name: &str, classes: usize, image_size: usize) -> Option<Self> {
        presets::named(name, classes, image_size)
    }

    fn found_in(state: &State, hints: &Hints) -> Result<Option<Found>, DescribeError> {
        infer::found_in(state, hints)
    }

    fn from_transformers(config: &Value, model_type: &str) -> Result<FromConfig, String> {
        libraries::from_transformers(config, model_type)
    }

    /// `transformers` has its own position resampling and its own epsilon.
    fn as_written(&mut self, found: &Self) {
        if found.resampling == PositionResampling::Exact {
            (self.resampling, self.epsilon) = (found.resampling, found.epsilon);
        }
    }
}
