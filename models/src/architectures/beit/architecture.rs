//! BEiT's implementation of the architecture contract.

use burn::tensor::Device;
use serde_json::Value;

use super::{Beit, BeitConfig, names};
use crate::architectures::vit::presets::{Parts, parts};
use crate::architectures::{Architecture, Sizes};
use crate::catalogue::{HALF, Published};
use crate::describe::hugging_face::classes;
use crate::describe::json::{needed, number, real, truth};
use crate::describe::{DescribeError, Found, FromConfig, Hints, count, outputs, shape, square};
use crate::export::{Library, TIMM_EPSILON, TimmModel, sizes};
use crate::flops::{attention_products, blocks, patches};
use crate::memory::values_of_tokens;
use crate::preprocessing::{IMAGENET_MOMENTS, Interpolation};
use crate::spec::{SpecError, with_pixels};
use crate::state::State;

/// Families and sizes; their patches are 16 px wide.
const FAMILIES: [&str; 2] = ["beit", "beitv2"];
const SIZES: [&str; 2] = ["base", "large"];

impl Sizes for BeitConfig {
    fn validate(&self) -> Result<(), SpecError> {
        Self::validate(self)
    }

    fn family(&self) -> &'static str {
        "BEiT"
    }

    fn describe(&self) -> String {
        let Self { depth, heads, width, patch_size, .. } = self;
        format!("BEiT: {depth} layers of {heads} heads, width {width}, patches of {patch_size} px")
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

    fn set_rates(&mut self, drop_path: f64, _dropout: f64) {
        self.drop_path = drop_path;
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
        patches(grid, patch_size, width)
            + blocks(depth, 1 + grid * grid, width, 2 * width * mlp_width)
            + (classes * width) as u64
    }

    fn attention_multiply_adds(&self, _image_size: usize) -> u64 {
        let tokens = 1 + self.grid() * self.grid();
        attention_products(self.depth as u64, tokens as u64, self.width as u64)
    }

    fn tokens(&self, _image_size: usize) -> Option<usize> {
        Some(1 + self.grid() * self.grid())
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

    fn timm(&self, _name: &str) -> TimmModel {
        let Self { image_size, patch_size, width, depth, heads, mlp_width, .. } = *self;
        TimmModel {
            library: if self.epsilon == TIMM_EPSILON { Library::Timm } else { Library::Archaeo },
            architecture: "beit_base_patch16_224".into(),
            arguments: sizes([image_size, patch_size, width, depth, heads, mlp_width]),
        }
    }

    fn apply_timm(&mut self, _: &Value, arguments: Option<&Value>, side: usize) -> Result<(), String> {
        let Some(arguments) = arguments else { return Ok(()) };
        self.image_size = side;
        let sizes = [&mut self.patch_size, &mut self.width, &mut self.depth, &mut self.heads];
        for (key, size) in ["patch_size", "embed_dim", "depth", "num_heads"].into_iter().zip(sizes) {
            *size = number(arguments, key)?.unwrap_or(*size);
        }
        self.mlp_width = (self.width as f64 * real(arguments, "mlp_ratio", 4.0)?) as usize;
        Ok(())
    }

    fn forget_what_no_array_shows(&mut self) {
        self.epsilon = 0.0;
    }
}

impl Architecture for BeitConfig {
    type Network = Beit;

    const SUPPORTED: &'static str = "BEiT";
    const PUBLISHED: &'static [Published] = &[
        ("beitv2_large", "", 224, 0.95, Interpolation::Bicubic, IMAGENET_MOMENTS),
        ("beitv2", "", 224, 0.9, Interpolation::Bicubic, IMAGENET_MOMENTS),
        ("beit", "", 224, 0.9, Interpolation::Bicubic, HALF),
    ];
    const MODEL_TYPES: &'static [&'static str] = &["beit"];

    fn build(&self, device: &Device) -> Result<Beit, SpecError> {
        Beit::new(self, device)
    }

    fn names() -> Vec<String> {
        let of_family = |family| SIZES.map(|size| format!("{family}_{size}_patch16"));
        FAMILIES.into_iter().flat_map(of_family).collect()
    }

    fn named(name: &str, classes: usize, image_size: usize) -> Option<Self> {
        let (name, image_size) = with_pixels(name).unwrap_or((name, image_size));
        let Parts { family, size: (_, width, depth, heads, mlp_width), patch_size, variant } = parts(name)?;
        let (epsilon, drop_path) = (1e-6, 0.0);
        (FAMILIES.contains(&family) && variant.is_empty()).then_some(Self {
            image_size,
            patch_size,
            width,
            depth,
            heads,
            mlp_width,
            classes,
            epsilon,
            drop_path,
        })
    }

    fn found_in(state: &State, _: &Hints) -> Result<Option<Found>, DescribeError> {
        Ok(beit(state).map(|beit| Found::certain(beit.into())))
    }

    fn from_transformers(config: &Value, _: &str) -> Result<FromConfig, String> {
        if truth(config, "use_absolute_position_embeddings", false)
            || !truth(config, "use_mean_pooling", true)
        {
            return Err(
                "only BEiTs with relative positions that read the mean of the patches are known here".into(),
            );
        }
        Ok(FromConfig::of(Self {
            image_size: needed(config, "image_size")?,
            patch_size: needed(config, "patch_size")?,
            width: needed(config, "hidden_size")?,
            depth: needed(config, "num_hidden_layers")?,
            heads: needed(config, "num_attention_heads")?,
            mlp_width: needed(config, "intermediate_size")?,
            classes: classes(config)?,
            epsilon: real(config, "layer_norm_eps", 1e-12)?,
            drop_path: 0.0,
        }))
    }
}

/// Every size except that of the image can be read from the arrays.
fn beit(state: &State) -> Option<BeitConfig> {
    let &[width, 3, patch_size, _] = shape(state, "patch_embed.proj.weight")? else { return None };
    let &[places, heads] = shape(state, "blocks.0.attn.relative_position_bias_table")? else { return None };
    if !state.contains_key("fc_norm.weight") {
        return None;
    }
    // Offsets of patches, and three places for those from, to and of the class token.
    let grid = square(places.checked_sub(3)?)?.div_ceil(2);
    Some(BeitConfig {
        image_size: grid * patch_size,
        patch_size,
        width,
        depth: count(state, "blocks."),
        heads,
        mlp_width: outputs(state, "blocks.0.mlp.fc1.weight"),
        classes: outputs(state, "head.weight"),
        epsilon: 1e-6,
        drop_path: 0.0,
    })
}
