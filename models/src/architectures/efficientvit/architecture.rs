//! EfficientViT's implementation of the architecture contract.

use burn::tensor::Device;
use serde_json::Value;

use super::layers::SqueezeExcite;
use super::{EfficientVit, EfficientVitConfig, libraries};
use crate::architectures::{Architecture, Sizes};
use crate::catalogue::Published;
use crate::describe::{DescribeError, Found, Hints, check_channels, count, outputs, shape, square};
use crate::export::TimmModel;
use crate::flops::convolution;
use crate::memory::values_of_tokens;
use crate::preprocessing::{IMAGENET_MOMENTS, Interpolation};
use crate::spec::{SpecError, with_pixels};
use crate::state::State;

/// Name, widths, depths, heads and kernels of the queries' convolutions, of which a stage uses as many as it has heads (Liu et al., 2023,
/// table 2, and the released code).
type Size = (&'static str, [usize; 3], [usize; 3], [usize; 3], [usize; 4]);

const SIZES: [Size; 6] = [
    ("efficientvit_m0", [64, 128, 192], [1, 2, 3], [4, 4, 4], [5, 5, 5, 5]),
    ("efficientvit_m1", [128, 144, 192], [1, 2, 3], [2, 3, 3], [7, 5, 3, 3]),
    ("efficientvit_m2", [128, 192, 224], [1, 2, 3], [4, 3, 2], [7, 5, 3, 3]),
    ("efficientvit_m3", [128, 240, 320], [1, 2, 3], [4, 3, 4], [5, 5, 5, 5]),
    ("efficientvit_m4", [128, 256, 384], [1, 2, 3], [4, 4, 4], [7, 5, 3, 3]),
    ("efficientvit_m5", [192, 288, 384], [1, 3, 4], [3, 3, 4], [7, 5, 3, 3]),
];

impl EfficientVitConfig {
    /// Windows of an image at `stage`, and their places, padding included.
    fn places(&self, stage: usize) -> [usize; 2] {
        let grid = [self.side(stage); 2];
        let window = self.window(stage, grid);
        [window.area(), window.count(grid) * window.area()]
    }

    /// A depthwise 3×3 convolution and an MLP on `tokens`, each with its shortcut.
    fn pair(width: usize, tokens: usize) -> usize {
        tokens * (9 * width + 4 * width * width)
    }

    fn downsampling(&self, stage: usize) -> usize {
        let [inputs, outputs] = [self.widths[stage - 1], self.widths[stage]];
        let [before, after] = [self.side(stage - 1), self.side(stage)].map(|side| side * side);
        let hidden = 4 * inputs;
        let gates = 2 * hidden * SqueezeExcite::reduced(hidden);
        let merging = before * inputs * hidden + after * (9 * hidden + hidden * outputs) + gates;
        Self::pair(inputs, before) + merging + Self::pair(outputs, after)
    }

    /// A block without the two products of its attention.
    fn block(&self, stage: usize) -> usize {
        let (width, heads) = (self.widths[stage], self.heads[stage]);
        let tokens = self.side(stage).pow(2);
        let [_, places] = self.places(stage);
        let value_dim = width / heads;
        let projections = heads * value_dim * (2 * self.key_dim + value_dim);
        let queries: usize = self.kernels[..heads].iter().map(|kernel| self.key_dim * kernel * kernel).sum();
        2 * Self::pair(width, tokens) + places * (projections + queries) + tokens * width * width
    }
}

impl Sizes for EfficientVitConfig {
    fn validate(&self) -> Result<(), SpecError> {
        Self::validate(self)
    }

    fn family(&self) -> &'static str {
        "EfficientViT"
    }

    fn describe(&self) -> String {
        let Self { widths, depths, heads, window_size, .. } = self;
        let joined = |counts: &[usize]| counts.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
        format!(
            "EfficientViT: {} layers of {} cascaded heads a stage, widths {}, windows of {window_size} × {window_size} tokens",
            joined(depths),
            joined(heads),
            joined(widths)
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

    fn normalises_over_batch(&self) -> bool {
        true
    }

    fn attends_within_windows(&self) -> bool {
        true
    }

    fn patch_size(&self) -> Option<usize> {
        Some(Self::STRIDE)
    }

    /// Queries, keys and values are computed on the padded map; the output projection runs on the map itself.
    fn multiply_adds(&self, image_size: usize) -> u64 {
        let width = self.widths[0];
        let channels = [3, width / 8, width / 4, width / 2, width].map(|size| size as u64);
        let stem: u64 = self
            .stem_sides()
            .into_iter()
            .zip(channels.windows(2))
            .map(|(side, pair)| convolution(side as u64, 3, pair[0], pair[1]))
            .sum();
        let of_stage = |(stage, &depth): (usize, &usize)| {
            let downsampling = if stage > 0 { self.downsampling(stage) } else { 0 };
            (downsampling + depth * self.block(stage)) as u64
        };
        let stages: u64 = self.depths.iter().enumerate().map(of_stage).sum();
        let head = self.classes * self.widths.last().copied().unwrap_or(0);
        stem + stages + self.attention_multiply_adds(image_size) + head as u64
    }

    fn attention_multiply_adds(&self, _image_size: usize) -> u64 {
        let of_stage = |(stage, &depth): (usize, &usize)| {
            let [of_window, places] = self.places(stage);
            let (width, heads) = (self.widths[stage], self.heads[stage]);
            (depth * places * of_window * (heads * self.key_dim + width)) as u64
        };
        self.depths.iter().enumerate().map(of_stage).sum()
    }

    fn tokens(&self, _image_size: usize) -> Option<usize> {
        Some(self.side(0).pow(2))
    }

    fn values_of_a_block(&self, image_size: usize) -> f64 {
        values_of_tokens(image_size, Self::STRIDE, self.widths[0])
    }

    fn largest_blocks(&self) -> usize {
        self.depths.first().copied().unwrap_or(1)
    }

    fn canonical(&self, state: State) -> State {
        libraries::canonical(state, self)
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
}

impl Architecture for EfficientVitConfig {
    type Network = EfficientVit;

    const SUPPORTED: &'static str = "Microsoft's EfficientViTs";
    const PUBLISHED: &'static [Published] =
        &[("efficientvit_m", "", 224, 0.875, Interpolation::Bicubic, IMAGENET_MOMENTS)];

    fn build(&self, device: &Device) -> Result<EfficientVit, SpecError> {
        EfficientVit::new(self, device)
    }

    fn names() -> Vec<String> {
        SIZES.iter().map(|row| row.0.to_owned()).collect()
    }

    fn named(name: &str, classes: usize, image_size: usize) -> Option<Self> {
        let (name, image_size) = with_pixels(name).unwrap_or((name, image_size));
        let &(_, widths, depths, heads, kernels) = SIZES.iter().find(|row| row.0 == name)?;
        let most = heads.iter().copied().max().unwrap_or(0);
        Some(Self {
            image_size,
            widths: widths.into(),
            depths: depths.into(),
            heads: heads.into(),
            kernels: kernels[..most].into(),
            classes,
            ..Self::default()
        })
    }

    fn found_in(state: &State, _: &Hints) -> Result<Option<Found>, DescribeError> {
        let first = "patch_embed.conv1.conv.weight";
        let Some(sizes) = efficientvit(state) else { return Ok(None) };
        check_channels(first, shape(state, first).unwrap_or_default())?;
        Ok(Some(Found::certain(sizes.into())))
    }
}

/// Every size except that of the image can be read from the arrays, and a window that is smaller than usual.
fn efficientvit(state: &State) -> Option<EfficientVitConfig> {
    let stages = count(state, "stages.");
    let attention = |stage: usize, array: &str| format!("stages.{stage}.blocks.0.mixer.m.attn.{array}");
    let biases = |stage| <[usize; 2]>::try_from(shape(state, &attention(stage, "attention_biases"))?).ok();
    let tables = (0..stages).map(biases).collect::<Option<Vec<[usize; 2]>>>()?;
    let sides = tables.iter().map(|table| square(table[1])).collect::<Option<Vec<usize>>>()?;
    let heads: Vec<usize> = tables.iter().map(|table| table[0]).collect();
    let widest = (0..stages).max_by_key(|&stage| heads[stage])?;
    let queries = |head: usize| shape(state, &attention(widest, &format!("dws.{head}.conv.weight")));
    let usual = EfficientVitConfig::default();
    let mut sizes = EfficientVitConfig {
        widths: (0..stages)
            .map(|stage| outputs(state, &format!("stages.{stage}.blocks.0.dw0.m.conv.weight")))
            .collect(),
        depths: (0..stages).map(|stage| count(state, &format!("stages.{stage}.blocks."))).collect(),
        kernels: (0..heads[widest]).map(|head| queries(head)?.last().copied()).collect::<Option<_>>()?,
        key_dim: *queries(0)?.first()?,
        window_size: sides.iter().copied().max()?.max(usual.window_size),
        classes: outputs(state, "head.linear.weight"),
        heads,
        ..usual
    };
    // No shape shows the size of the image; assumed is the usual one, or else the smallest whose windows have these sides.
    let fits = |image_size: &usize| {
        let sizes = EfficientVitConfig { image_size: *image_size, ..sizes.clone() };
        sides.iter().enumerate().all(|(stage, &side)| sizes.window_side(stage) == side)
    };
    let candidates = (1..=8 * sizes.window_size).map(|strides| strides * EfficientVitConfig::STRIDE);
    sizes.image_size = std::iter::once(sizes.image_size).chain(candidates).find(fits)?;
    Some(sizes)
}
