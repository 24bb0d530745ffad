//! ViT-CoMer's implementation of the architecture contract.

use burn::tensor::Device;

use super::{Grids, VitComer, VitComerConfig};
use crate::architectures::{Architecture, Sizes};
use crate::catalogue::{HALF, Published};
use crate::describe::{DescribeError, Found, Hints, count, outputs, shape, square};
use crate::flops::{attention_products, blocks, convolution, patches};
use crate::preprocessing::Interpolation;
use crate::spec::{SpecError, with_pixels};
use crate::state::State;

/// Width, blocks, heads and heads of the deformable attention of the standard sizes (Xia et al., 2024, table 1, and the released
/// configurations), all with patches of 16 px, four stages and 64 first channels.
const SIZES: [(&str, [usize; 4]); 4] = [
    ("vit_comer_tiny_patch16", [192, 12, 3, 6]),
    ("vit_comer_small_patch16", [384, 12, 6, 6]),
    ("vit_comer_base_patch16", [768, 12, 12, 12]),
    ("vit_comer_large_patch16", [1024, 24, 16, 16]),
];

/// For images of 32 px.
const MICRO: &str = "vit_comer_micro";

/// Width of a head that no array shows, where it divides the width.
const HEAD: usize = 64;

/// Points of the standard sizes, which no array shows.
const POINTS: usize = 4;

impl VitComerConfig {
    /// Places of the three maps that exchange with the transformer.
    fn places(&self) -> usize {
        self.sides().iter().map(|side| side * side).sum()
    }

    /// One deformable attention of the pyramid with its MLP, where a point takes the four pixels around it.
    fn exchange(&self) -> usize {
        let (places, width) = (self.places(), self.width);
        let points = self.deformable_heads * Grids::LEVELS * self.points;
        let attention = 2 * width * width + 3 * points * width;
        let reading = Grids::LEVELS * self.points * 4 * width;
        places * (attention + reading + width / 4 * (2 * width + 9))
    }
}

impl Sizes for VitComerConfig {
    fn validate(&self) -> Result<(), SpecError> {
        Self::validate(self)
    }

    fn family(&self) -> &'static str {
        "ViT-CoMer"
    }

    fn describe(&self) -> String {
        let Self { depth, heads, width, patch_size, stages, mask_width, .. } = *self;
        let mask = if mask_width > 0 { ", with a mask head" } else { "" };
        format!(
            "ViT-CoMer: {depth} blocks of {heads} heads in {stages} stages next to a pyramid of convolutions, width {width}, patches of \
             {patch_size} px{mask}"
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

    fn patch_size(&self) -> Option<usize> {
        Some(self.patch_size)
    }

    /// Of the logits: the finest map of the answer and the mask head are not needed for them.
    fn multiply_adds(&self, image_size: usize) -> u64 {
        let Self { width, depth, stages, patch_size, classes, .. } = *self;
        let [first, second, third, fourth] = self.channels().map(|channels| channels as u64);
        // Sides after the first convolution and of the four maps.
        let strided = if patch_size >= 8 { image_size / 2 } else { image_size } as u64;
        let [fine, same, coarse] = self.sides().map(|side| side as u64);
        let mut stem = convolution(strided, 3, 3, first) + 2 * convolution(strided, 3, first, first);
        for (side, inputs, outputs) in [(fine, first, second), (same, second, third), (coarse, third, fourth)]
        {
            stem += convolution(side, 3, inputs, outputs) + side * side * outputs * width as u64;
        }
        let receptive_fields = self.places() * (width * width + width / 4 * (9 + 25));
        let exchange = stages * (receptive_fields + 2 * self.exchange());
        let patches = patches(self.grid(), patch_size, width);
        stem + patches
            + blocks(depth, self.grid().pow(2), width, 8 * width * width)
            + (exchange + classes * width) as u64
    }

    fn attention_multiply_adds(&self, _image_size: usize) -> u64 {
        attention_products(self.depth as u64, self.grid().pow(2) as u64, self.width as u64)
    }

    fn values_of_a_block(&self, image_size: usize) -> f64 {
        let sizes = Self { image_size, ..self.clone() };
        (sizes.places() * self.width) as f64
    }

    fn largest_blocks(&self) -> usize {
        self.stages
    }
}

impl Architecture for VitComerConfig {
    type Network = VitComer;

    const SUPPORTED: &'static str = "ViT-CoMers trained here";
    const PUBLISHED: &'static [Published] = &[(MICRO, "", 32, 1.0, Interpolation::Bicubic, HALF)];

    fn build(&self, device: &Device) -> Result<VitComer, SpecError> {
        VitComer::new(self, device)
    }

    fn names() -> Vec<String> {
        SIZES.iter().map(|row| row.0).chain([MICRO]).map(str::to_owned).collect()
    }

    fn named(name: &str, classes: usize, image_size: usize) -> Option<Self> {
        let (name, image_size) = with_pixels(name).unwrap_or((name, image_size));
        if name == MICRO {
            return Some(Self { image_size, classes, ..Self::default() });
        }
        let &(_, [width, depth, heads, deformable_heads]) = SIZES.iter().find(|row| row.0 == name)?;
        Some(Self {
            image_size,
            patch_size: 16,
            width,
            depth,
            heads,
            stages: 4,
            conv_width: 64,
            deformable_heads,
            points: POINTS,
            classes,
            mask_width: 0,
        })
    }

    fn found_in(state: &State, _: &Hints) -> Result<Option<Found>, DescribeError> {
        Ok(vit_comer(state).map(|sizes| Found::certain(sizes.into())))
    }
}

/// The sizes, as far as arrays show them: heads of attention are assumed to be as wide as usual.
fn vit_comer(state: &State) -> Option<VitComerConfig> {
    shape(state, "stages.0.to_vit.gamma")?;
    let &[width, 3, patch_size, _] = shape(state, "patch_embed.proj.weight")? else { return None };
    let &[1, tokens, _] = shape(state, "pos_embed")? else { return None };
    let stages = count(state, "stages.");
    let scores = outputs(state, "stages.0.to_vit.attention.attn.attention_weights.weight");
    Some(VitComerConfig {
        image_size: square(tokens)? * patch_size,
        patch_size,
        width,
        depth: stages * count(state, "stages.0.blocks."),
        heads: (width / HEAD).max(1),
        stages,
        conv_width: outputs(state, "stem.conv1.conv.weight"),
        deformable_heads: scores / (Grids::LEVELS * POINTS),
        points: POINTS,
        classes: outputs(state, "head.weight"),
        mask_width: outputs(state, "mask_head.out.weight").min(1)
            * outputs(state, "mask_head.levels.0.weight"),
    })
}
