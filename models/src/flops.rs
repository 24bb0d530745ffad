//! What a forward pass costs, counted in closed form from the sizes.
//!
//! Counted are the multiply-adds of convolutions, dense layers and the two products of attention, each once: the usual
//! meaning of "FLOPs" in papers and of GMACs in timm's tables. Norms, activations, softmax and pooling are left out; with them
//! the common models come to less than one per cent more.

use crate::beit::BeitConfig;
use crate::clip::ZeroShotConfig;
use crate::resnet::{BranchKind, ResNetConfig, Stem};
use crate::resnet_cifar::CifarResNetConfig;
use crate::spec::NetworkSpec;
use crate::swin::SwinConfig;
use crate::transformer::FeedForward;
use crate::vit::VitConfig;
use crate::window::Window;

impl NetworkSpec {
    /// Multiply-adds for one image of `image_size` pixels a side.
    pub fn multiply_adds(&self, image_size: usize) -> u64 {
        match self {
            Self::Vit(config) => vit(config),
            Self::Beit(config) => beit(config),
            Self::Swin(config) => swin(config),
            Self::ZeroShot(config) => zero_shot(config),
            Self::Resnet(config) => resnet(config, image_size as u64),
            Self::CifarResnet(config) => cifar_resnet(config, image_size as u64),
        }
    }
}

/// Blocks of full attention over `tokens`: projections, both products, and a perceptron whose layers have `mlp` weights in
/// all.
fn blocks(depth: usize, tokens: usize, width: usize, mlp: usize) -> u64 {
    let [depth, tokens, width, mlp] = [depth, tokens, width, mlp].map(|size| size as u64);
    depth * tokens * (4 * width * width + 2 * tokens * width + mlp)
}

fn patches(grid: usize, patch_size: usize, width: usize) -> u64 {
    (grid * grid * 3 * patch_size * patch_size) as u64 * width as u64
}

fn vit(config: &VitConfig) -> u64 {
    let VitConfig { patch_size, width, depth, mlp_width, classes, .. } = *config;
    let grid = config.grid();
    let layers = if config.feed_forward == FeedForward::SwiGlu { 3 } else { 2 };
    let tokens = grid * grid + config.prefix_tokens();
    let heads = classes * (config.features() + if config.distilled { width } else { 0 });
    patches(grid, patch_size, width) + blocks(depth, tokens, width, layers * width * mlp_width) + heads as u64
}

/// The text tower has been read before.
fn zero_shot(config: &ZeroShotConfig) -> u64 {
    let ZeroShotConfig { image, embedding, classes } = config;
    vit(image) + (embedding * (image.features() + classes)) as u64
}

fn beit(config: &BeitConfig) -> u64 {
    let BeitConfig { patch_size, width, depth, mlp_width, classes, .. } = *config;
    let grid = config.grid();
    patches(grid, patch_size, width)
        + blocks(depth, 1 + grid * grid, width, 2 * width * mlp_width)
        + (classes * width) as u64
}

/// Queries, keys and values are computed on the padded map; what the windows gathered is mixed on the map itself.
fn swin(config: &SwinConfig) -> u64 {
    let mut sum = patches(config.side(0), config.patch_size, config.width);
    for (stage, &depth) in config.depths.iter().enumerate() {
        let (side, width) = (config.side(stage), config.width << stage);
        let window = Window::on([side; 2], config.window_size, false, config.window_padding);
        let (tokens, places) = (side * side, window.count([side; 2]) * window.area());
        let attention = places * (3 * width * width + 2 * window.area() * width) + tokens * width * width;
        let block = attention + tokens * 2 * config.mlp_ratio * width * width;
        // Merging: a quarter of the tokens, each of four halves of this width.
        let merging = if stage > 0 { tokens * 2 * width * width } else { 0 };
        sum += (merging + depth * block) as u64;
    }
    let last_width = config.width << (config.depths.len() - 1);
    sum + (config.classes * last_width) as u64
}

/// A square convolution to `side` by `side` outputs.
fn convolution(side: u64, kernel: u64, inputs: u64, outputs: u64) -> u64 {
    side * side * kernel * kernel * inputs * outputs
}

fn resnet(config: &ResNetConfig, image_size: u64) -> u64 {
    let base = config.width as u64;
    let expansion = if config.branch == BranchKind::Bottleneck { 4 } else { 1 };
    let (stem, mut side) = match config.stem {
        Stem::Imagenet => {
            let halved = image_size.div_ceil(2);
            (convolution(halved, 7, 3, base), halved.div_ceil(2))
        }
        Stem::Cifar => (convolution(image_size, 3, 3, base), image_size),
    };
    let mut sum = stem;
    let mut inputs = base;
    for (stage, &count) in config.blocks.iter().enumerate() {
        let width = base << stage;
        let outputs = width * expansion;
        for block in 0..count {
            let before = side;
            if stage > 0 && block == 0 {
                side = side.div_ceil(2);
            }
            sum += match config.branch {
                BranchKind::Basic => convolution(side, 3, inputs, width) + convolution(side, 3, width, width),
                BranchKind::Bottleneck => {
                    convolution(before, 1, inputs, width)
                        + convolution(side, 3, width, width)
                        + convolution(side, 1, width, outputs)
                }
            };
            if side != before || inputs != outputs {
                sum += convolution(side, 1, inputs, outputs);
            }
            inputs = outputs;
        }
    }
    sum + inputs * config.classes as u64
}

fn cifar_resnet(config: &CifarResNetConfig, image_size: u64) -> u64 {
    let base = config.width as u64;
    let mut side = image_size;
    let mut sum = convolution(side, 3, 3, base);
    let mut inputs = base;
    for stage in 0..3 {
        let width = base << stage;
        for block in 0..config.blocks {
            if stage > 0 && block == 0 {
                side = side.div_ceil(2);
            }
            sum += convolution(side, 3, inputs, width) + convolution(side, 3, width, width);
            if config.projection && inputs != width {
                sum += convolution(side, 1, inputs, width);
            }
            inputs = width;
        }
    }
    sum + inputs * config.classes as u64
}
