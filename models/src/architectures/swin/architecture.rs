//! Swin's implementation of the architecture contract.

use burn::tensor::Device;
use serde_json::Value;

use super::{Swin, SwinConfig, libraries, names};
use crate::architectures::{Architecture, Sizes};
use crate::catalogue::{Published, Torchvision};
use crate::describe::{DescribeError, Found, FromConfig, Hints, count, outputs, shape, square};
use crate::export::TimmModel;
use crate::flops::patches;
use crate::memory::values_of_tokens;
use crate::preprocessing::{IMAGENET_MOMENTS, Interpolation};
use crate::spec::{SpecError, with_pixels};
use crate::state::State;
use crate::window::{Window, WindowPadding};

/// Name, width, depths and heads of the standard Swin sizes (Liu et al., 2021, section 3.3), for patches of 4 px.
const SIZES: [(&str, usize, [usize; 4], [usize; 4]); 4] = [
    ("tiny", 96, [2, 2, 6, 2], [3, 6, 12, 24]),
    ("small", 96, [2, 2, 18, 2], [3, 6, 12, 24]),
    ("base", 128, [2, 2, 18, 2], [4, 8, 16, 32]),
    ("large", 192, [2, 2, 18, 2], [6, 12, 24, 48]),
];

/// Windows of the published models: 7 tokens for images of 224 px, 12 for 384 px.
const WINDOWS: [usize; 2] = [7, 12];

impl SwinConfig {
    /// Windows of a stage's blocks, as far as their cost goes.
    fn window(&self, stage: usize) -> Window {
        Window::on([self.side(stage); 2], self.window_size, false, self.window_padding)
    }

    /// Tokens of the map that `window` divides, padding included.
    fn places(&self, stage: usize, window: &Window) -> usize {
        window.count([self.side(stage); 2]) * window.area()
    }
}

impl Sizes for SwinConfig {
    fn validate(&self) -> Result<(), SpecError> {
        Self::validate(self)
    }

    fn family(&self) -> &'static str {
        "Swin"
    }

    fn describe(&self) -> String {
        let Self { depths, heads, width, patch_size, window_size, .. } = self;
        let joined = |counts: &[usize]| counts.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
        format!(
            "Swin Transformer: {} layers of {} heads a stage, first width {width}, patches of {patch_size} px, \
             windows of {window_size} × {window_size} tokens",
            joined(depths),
            joined(heads)
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
        self.blocks()
    }

    fn attends_within_windows(&self) -> bool {
        true
    }

    fn patch_size(&self) -> Option<usize> {
        Some(self.patch_size)
    }

    /// Queries, keys and values are computed on the padded map; the output projection runs on the map itself.
    fn multiply_adds(&self, image_size: usize) -> u64 {
        let mut sum = patches(self.side(0), self.patch_size, self.width);
        for (stage, &depth) in self.depths.iter().enumerate() {
            let width = self.width << stage;
            let (tokens, window) = (self.side(stage) * self.side(stage), self.window(stage));
            let attention = self.places(stage, &window) * 3 * width * width + tokens * width * width;
            let block = attention + tokens * 2 * self.mlp_ratio * width * width;
            // Merging: a quarter of the tokens, each of four halves of this width.
            let merging = if stage > 0 { tokens * 2 * width * width } else { 0 };
            sum += (merging + depth * block) as u64;
        }
        let last_width = self.width << (self.depths.len() - 1);
        sum + self.attention_multiply_adds(image_size) + (self.classes * last_width) as u64
    }

    fn attention_multiply_adds(&self, _image_size: usize) -> u64 {
        let of_stage = |(stage, &depth): (usize, &usize)| {
            let window = self.window(stage);
            (depth * self.places(stage, &window) * 2 * window.area() * (self.width << stage)) as u64
        };
        self.depths.iter().enumerate().map(of_stage).sum()
    }

    fn tokens(&self, _image_size: usize) -> Option<usize> {
        Some(self.side(0) * self.side(0))
    }

    fn values_of_a_block(&self, image_size: usize) -> f64 {
        values_of_tokens(image_size, self.patch_size, self.width)
    }

    fn largest_blocks(&self) -> usize {
        self.depths.first().copied().unwrap_or(1)
    }

    fn canonical(&self, state: State) -> State {
        names::canonical(state, self)
    }

    fn timm(&self, _name: &str) -> TimmModel {
        libraries::timm(self)
    }

    fn apply_timm(&mut self, _: &Value, arguments: Option<&Value>, side: usize) -> Result<(), String> {
        match arguments {
            Some(arguments) => libraries::apply_timm(self, arguments, side),
            None => Ok(()),
        }
    }

    fn forget_what_no_array_shows(&mut self) {
        self.window_padding = WindowPadding::default();
    }
}

impl Architecture for SwinConfig {
    type Network = Swin;

    const SUPPORTED: &'static str = "Swin Transformers of version 1";
    const PUBLISHED: &'static [Published] =
        &[("swin", "", 224, 0.9, Interpolation::Bicubic, IMAGENET_MOMENTS)];
    const TORCHVISION: Option<Torchvision> = Some(Torchvision {
        mark: "features.1.0.attn.relative_position_bias_table",
        rows: &[
            ("swin_tiny_", 232, Interpolation::Bicubic),
            ("swin_small_", 246, Interpolation::Bicubic),
            ("swin_base_", 238, Interpolation::Bicubic),
        ],
    });
    const MODEL_TYPES: &'static [&'static str] = &["swin"];

    fn build(&self, device: &Device) -> Result<Swin, SpecError> {
        Swin::new(self, device)
    }

    fn names() -> Vec<String> {
        let of_size = |size| WINDOWS.map(|window| format!("swin_{size}_patch4_window{window}"));
        SIZES.iter().flat_map(|row| of_size(row.0)).collect()
    }

    fn named(name: &str, classes: usize, image_size: usize) -> Option<Self> {
        let (name, image_size) = with_pixels(name).unwrap_or((name, image_size));
        let (size, window) = name.strip_prefix("swin_")?.split_once("_patch4_window")?;
        let &(_, width, depths, heads) = SIZES.iter().find(|row| row.0 == size)?;
        let window_size = window.parse().ok().filter(|window| WINDOWS.contains(window))?;
        let (depths, heads) = (depths.into(), heads.into());
        Some(Self { image_size, window_size, width, depths, heads, classes, ..Self::default() })
    }

    fn found_in(state: &State, _: &Hints) -> Result<Option<Found>, DescribeError> {
        Ok(swin(state).map(|swin| Found::certain(swin.into())))
    }

    fn from_transformers(config: &Value, _: &str) -> Result<FromConfig, String> {
        libraries::from_transformers(config)
    }
}

/// Every size except that of the image can be read from the arrays.
fn swin(state: &State) -> Option<SwinConfig> {
    found(state, "patch_embed.proj", "layers.", |stage| format!("layers.{stage}.blocks."), "mlp.fc1").or_else(
        || {
            // torchvision's stages alternate with mergings, and it fills up windows before they are shifted.
            let blocks = |stage| format!("features.{}.", 2 * stage + 1);
            let swin = found(state, "features.0.0", "features.", blocks, "mlp.0")?;
            Some(SwinConfig { window_padding: WindowPadding::BeforeShift, ..swin })
        },
    )
}

/// Sizes of a network with this first layer and, in each stage, these names of blocks and of a block's first layer of its MLP.
fn found(
    state: &State,
    first: &str,
    stages: &str,
    blocks: impl Fn(usize) -> String,
    mlp: &str,
) -> Option<SwinConfig> {
    let &[width, 3, patch_size, _] = shape(state, &format!("{first}.weight"))? else { return None };
    let stages = (0..count(state, stages)).take_while(|&stage| count(state, &blocks(stage)) > 0).count();
    let table = |stage| {
        let name = format!("{}0.attn.relative_position_bias_table", blocks(stage));
        <[usize; 2]>::try_from(shape(state, &name)?).ok()
    };
    let heads = (0..stages).map(|stage| Some(table(stage)?[1])).collect::<Option<Vec<_>>>()?;
    let window_size = square(table(0)?[0])?.div_ceil(2);
    // No shape shows the size of the image; assumed is the size whose last stage is a single window.
    let image_size = (patch_size * window_size).checked_shl(u32::try_from(stages).ok()?.checked_sub(1)?)?;
    Some(SwinConfig {
        image_size,
        patch_size,
        window_size,
        width,
        depths: (0..stages).map(|stage| count(state, &blocks(stage))).collect(),
        heads,
        mlp_ratio: outputs(state, &format!("{}0.{mlp}.weight", blocks(0))) / width.max(1),
        classes: outputs(state, "head.fc.weight").max(outputs(state, "head.weight")),
        ..SwinConfig::default()
    })
}
