//! The implementation of the architecture contract for residual networks.

use burn::tensor::Device;
use serde_json::Value;

use super::{BranchKind, ResNet, ResNetConfig, Stem, infer, names};
use crate::architectures::{Architecture, Sizes};
use crate::catalogue::{HALF, Published};
use crate::describe::hugging_face::classes;
use crate::describe::json::{needed, text, truth};
use crate::describe::{DescribeError, Found, FromConfig, Hints};
use crate::export::{TimmModel, by_own_name};
use crate::flops::convolution;
use crate::memory::values_of_maps;
use crate::preprocessing::{IMAGENET_MOMENTS, Interpolation};
use crate::spec::SpecError;
use crate::state::State;

/// Name, branch, blocks and width of the standard ResNets (He et al., 2016, table 1); `micro` is for 32-pixel images.
pub(super) const SIZES: [(&str, BranchKind, [usize; 4], usize); 6] = [
    ("resnet_micro", BranchKind::Basic, [1, 1, 1, 1], 16),
    ("resnet18", BranchKind::Basic, [2, 2, 2, 2], 64),
    ("resnet34", BranchKind::Basic, [3, 4, 6, 3], 64),
    ("resnet50", BranchKind::Bottleneck, [3, 4, 6, 3], 64),
    ("resnet101", BranchKind::Bottleneck, [3, 4, 23, 3], 64),
    ("resnet152", BranchKind::Bottleneck, [3, 8, 36, 3], 64),
];

impl Sizes for ResNetConfig {
    fn validate(&self) -> Result<(), SpecError> {
        Self::validate(self)
    }

    fn family(&self) -> &'static str {
        "ResNet"
    }

    fn describe(&self) -> String {
        let blocks = self.blocks.map(|count| count.to_string()).join("-");
        format!("Residual network: {blocks} blocks a stage, first width {}", self.width)
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn set_classes(&mut self, classes: usize) {
        self.classes = classes;
    }

    fn multiply_adds(&self, image_size: usize) -> u64 {
        let (image_size, base) = (image_size as u64, self.width as u64);
        let expansion = self.branch.expansion() as u64;
        let (stem, mut side) = match self.stem {
            Stem::Imagenet => {
                let halved = image_size.div_ceil(2);
                (convolution(halved, 7, 3, base), halved.div_ceil(2))
            }
            Stem::Cifar => (convolution(image_size, 3, 3, base), image_size),
        };
        let mut sum = stem;
        let mut inputs = base;
        for (stage, &count) in self.blocks.iter().enumerate() {
            let width = base << stage;
            let outputs = width * expansion;
            for block in 0..count {
                let before = side;
                if stage > 0 && block == 0 {
                    side = side.div_ceil(2);
                }
                sum += match self.branch {
                    BranchKind::Basic => {
                        convolution(side, 3, inputs, width) + convolution(side, 3, width, width)
                    }
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
        sum + inputs * self.classes as u64
    }

    fn values_of_a_block(&self, image_size: usize) -> f64 {
        values_of_maps(image_size)
    }

    fn canonical(&self, state: State) -> State {
        names::canonical(state)
    }

    fn timm(&self, name: &str) -> TimmModel {
        by_own_name(self, name)
    }

    fn unnamed(&self) -> String {
        match self.stem {
            Stem::Imagenet => "resnet".into(),
            Stem::Cifar => "resnet_cifar".into(),
        }
    }
}

impl Architecture for ResNetConfig {
    type Network = ResNet;

    const SUPPORTED: &'static str = "ResNets";
    const PUBLISHED: &'static [Published] = &[
        ("resnet_micro", "", 32, 1.0, Interpolation::Bicubic, HALF),
        ("resnet", "_cifar", 32, 1.0, Interpolation::Bicubic, IMAGENET_MOMENTS),
        ("resnet", "", 224, 0.875, Interpolation::Bilinear, IMAGENET_MOMENTS),
    ];
    const ANY_IMAGE_SIZE: bool = true;
    const MODEL_TYPES: &'static [&'static str] = &["resnet"];

    fn build(&self, device: &Device) -> Result<ResNet, SpecError> {
        ResNet::new(self, device)
    }

    fn names() -> Vec<String> {
        let small = SIZES[1..].iter().map(|row| format!("{}_cifar", row.0));
        SIZES.iter().map(|row| row.0.to_owned()).chain(small).collect()
    }

    fn named(name: &str, classes: usize, _image_size: usize) -> Option<Self> {
        let (name, small) = name.strip_suffix("_cifar").map_or((name, false), |name| (name, true));
        let &(name, branch, blocks, width) = SIZES.iter().find(|row| row.0 == name)?;
        let stem = if small || name == "resnet_micro" { Stem::Cifar } else { Stem::Imagenet };
        Some(Self { stem, branch, blocks, width, classes })
    }

    fn found_in(state: &State, _: &Hints) -> Result<Option<Found>, DescribeError> {
        infer::found_in(state)
    }

    fn from_transformers(config: &Value, _: &str) -> Result<FromConfig, String> {
        let branch = match text(config, "layer_type").unwrap_or("bottleneck") {
            "basic" => BranchKind::Basic,
            "bottleneck" => BranchKind::Bottleneck,
            other => return Err(format!("its layer_type, `{other}`, is not known here")),
        };
        let list = |key: &str| -> Option<[usize; 4]> {
            let numbers = config.get(key)?.as_array()?.iter().map(|x| x.as_u64().map(|x| x as usize));
            numbers.collect::<Option<Vec<_>>>()?.try_into().ok()
        };
        let blocks = list("depths").ok_or("its `depths` must be four whole numbers")?;
        let width = needed(config, "embedding_size")?;
        let expected = [0, 1, 2, 3].map(|stage| (width * branch.expansion()) << stage);
        if list("hidden_sizes").is_some_and(|sizes| sizes != expected)
            || truth(config, "downsample_in_first_stage", false)
            || truth(config, "downsample_in_bottleneck", false)
        {
            return Err("its widths or strides are not those of the standard residual networks".into());
        }
        let classes = classes(config)?;
        Ok(FromConfig::of(Self { stem: Stem::Imagenet, branch, blocks, width, classes }))
    }
}
