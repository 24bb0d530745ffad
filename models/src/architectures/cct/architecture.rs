//! CCT's implementation of the architecture contract.

use burn::tensor::Device;

use super::{Cct, CctConfig};
use crate::architectures::vit::Position;
use crate::architectures::{Architecture, Sizes};
use crate::catalogue::{HALF, Published};
use crate::describe::{DescribeError, Found, Hints, count, outputs, shape, square};
use crate::flops::{attention_products, blocks, convolution};
use crate::preprocessing::Interpolation;
use crate::spec::{SpecError, with_pixels};
use crate::state::State;

/// Name, width, depth, heads and MLP width (Hassani et al., 2021, table 8), and the tokenizers it is published with: kernel and
/// number of convolutions.
type Size = (&'static str, [usize; 4], &'static [[usize; 2]]);

const SIZES: [Size; 4] = [
    ("cct_2", [128, 2, 2, 128], &[[3, 2]]),
    ("cct_4", [128, 4, 2, 128], &[[3, 2]]),
    ("cct_6", [256, 6, 4, 512], &[[3, 1], [3, 2]]),
    ("cct_7", [256, 7, 4, 512], &[[3, 1], [3, 2]]),
];

/// Width of a head in all of them.
const HEAD: usize = 64;

impl Sizes for CctConfig {
    fn validate(&self) -> Result<(), SpecError> {
        Self::validate(self)
    }

    fn family(&self) -> &'static str {
        "CCT"
    }

    fn describe(&self) -> String {
        let Self { depth, heads, width, convolutions, kernel_size, .. } = self;
        let tokenizer = if *convolutions == 1 {
            "1 convolution".to_owned()
        } else {
            format!("{convolutions} convolutions")
        };
        format!(
            "Compact Convolutional Transformer: {depth} layers of {heads} heads, width {width}, tokens by {tokenizer} of \
             {kernel_size} px, their weighted mean read"
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
        Some(self.image_size / self.grid())
    }

    fn multiply_adds(&self, _image_size: usize) -> u64 {
        let Self { width, depth, mlp_width, classes, kernel_size, .. } = *self;
        let tokens = self.grid().pow(2);
        let convolutions = self.sides().into_iter().zip(self.channels());
        let tokenizer: u64 = convolutions
            .map(|(side, [inputs, outputs])| {
                convolution(side as u64, kernel_size as u64, inputs as u64, outputs as u64)
            })
            .sum();
        // A score for each token, and the weighted sum.
        let pooling = 2 * tokens * width;
        tokenizer + blocks(depth, tokens, width, 2 * width * mlp_width) + (pooling + classes * width) as u64
    }

    fn attention_multiply_adds(&self, _image_size: usize) -> u64 {
        attention_products(self.depth as u64, self.grid().pow(2) as u64, self.width as u64)
    }

    fn tokens(&self, _image_size: usize) -> Option<usize> {
        Some(self.grid().pow(2))
    }

    fn values_of_a_block(&self, image_size: usize) -> f64 {
        let sizes = Self { image_size, ..self.clone() };
        (sizes.grid() as f64).powi(2) * self.width as f64
    }

    fn largest_blocks(&self) -> usize {
        self.depth
    }
}

impl Architecture for CctConfig {
    type Network = Cct;

    const SUPPORTED: &'static str = "CCT";
    const PUBLISHED: &'static [Published] = &[("cct_", "", 32, 1.0, Interpolation::Bicubic, HALF)];

    fn build(&self, device: &Device) -> Result<Cct, SpecError> {
        Cct::new(self, device)
    }

    fn names() -> Vec<String> {
        let of_size = |(name, _, tokenizers): Size| {
            tokenizers.iter().map(move |[kernel, convolutions]| format!("{name}_{kernel}x{convolutions}"))
        };
        SIZES.into_iter().flat_map(of_size).collect()
    }

    fn named(name: &str, classes: usize, image_size: usize) -> Option<Self> {
        let (name, image_size) = with_pixels(name).unwrap_or((name, image_size));
        let (size, tokenizer) = name.rsplit_once('_')?;
        let &(_, [width, depth, heads, mlp_width], tokenizers) = SIZES.iter().find(|row| row.0 == size)?;
        let &[kernel_size, convolutions] = tokenizers
            .iter()
            .find(|[kernel, convolutions]| tokenizer == format!("{kernel}x{convolutions}"))?;
        Some(Self {
            image_size,
            convolutions,
            kernel_size,
            width,
            depth,
            heads,
            mlp_width,
            classes,
            ..Self::default()
        })
    }

    fn found_in(state: &State, _: &Hints) -> Result<Option<Found>, DescribeError> {
        Ok(cct(state).map(|cct| Found::certain(cct.into())))
    }
}

/// The sizes, where learned positions tell that of the image.
fn cct(state: &State) -> Option<CctConfig> {
    shape(state, "attention_pool.weight")?;
    let &[_, 3, kernel_size, _] = shape(state, "tokenizer.0.weight")? else { return None };
    let &[1, tokens, width] = shape(state, "pos_embed")? else { return None };
    let convolutions = count(state, "tokenizer.");
    let sizes = CctConfig {
        convolutions,
        kernel_size,
        width,
        depth: count(state, "blocks."),
        heads: (width / HEAD).max(1),
        mlp_width: outputs(state, "blocks.0.mlp.fc1.weight"),
        classes: outputs(state, "head.weight"),
        position: Position::Learned,
        ..CctConfig::default()
    };
    let image_size = square(tokens)? * (2 * sizes.stride()).pow(convolutions as u32);
    Some(CctConfig { image_size, ..sizes })
}
