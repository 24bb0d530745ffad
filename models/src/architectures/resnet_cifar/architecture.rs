//! The implementation of the architecture contract for CIFAR residual networks.

use burn::tensor::Device;

use super::{CifarResNet, CifarResNetConfig};
use crate::architectures::resnet::infer::{Trunk, check_classifier};
use crate::architectures::resnet::names::projections;
use crate::architectures::{Architecture, Sizes};
use crate::describe::{DescribeError, Found, Hints, outputs};
use crate::export::{TimmModel, by_own_name};
use crate::flops::convolution;
use crate::memory::values_of_maps;
use crate::spec::SpecError;
use crate::state::State;

/// Name and blocks of each of the three stages. Their checkpoints expect the same preprocessing as all ResNets with names that
/// end in `_cifar`.
const SIZES: [(&str, usize); 2] = [("resnet20_cifar", 3), ("resnet56_cifar", 9)];

impl Sizes for CifarResNetConfig {
    fn validate(&self) -> Result<(), SpecError> {
        Self::validate(self)
    }

    fn family(&self) -> &'static str {
        "ResNet"
    }

    fn describe(&self) -> String {
        let Self { blocks, width, .. } = self;
        format!("CIFAR residual network: 3 stages of {blocks} blocks, first width {width}")
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn set_classes(&mut self, classes: usize) {
        self.classes = classes;
    }

    fn multiply_adds(&self, image_size: usize) -> u64 {
        let base = self.width as u64;
        let mut side = image_size as u64;
        let mut sum = convolution(side, 3, 3, base);
        let mut inputs = base;
        for stage in 0..3 {
            let width = base << stage;
            for block in 0..self.blocks {
                if stage > 0 && block == 0 {
                    side = side.div_ceil(2);
                }
                sum += convolution(side, 3, inputs, width) + convolution(side, 3, width, width);
                if self.projection && inputs != width {
                    sum += convolution(side, 1, inputs, width);
                }
                inputs = width;
            }
        }
        sum + inputs * self.classes as u64
    }

    fn values_of_a_block(&self, image_size: usize) -> f64 {
        values_of_maps(image_size)
    }

    fn canonical(&self, state: State) -> State {
        let renamed = |name: String| match name.strip_prefix("fc.") {
            Some(rest) => format!("linear.{rest}"),
            None => projections(name),
        };
        state.into_iter().map(|(name, array)| (renamed(name), array)).collect()
    }

    fn timm(&self, name: &str) -> TimmModel {
        by_own_name(self, name)
    }

    fn unnamed(&self) -> String {
        format!("resnet{}_cifar", 6 * self.blocks + 2)
    }
}

impl Architecture for CifarResNetConfig {
    type Network = CifarResNet;

    const ANY_IMAGE_SIZE: bool = true;

    fn build(&self, device: &Device) -> Result<CifarResNet, SpecError> {
        CifarResNet::new(self, device)
    }

    fn names() -> Vec<String> {
        SIZES.iter().map(|row| row.0.to_owned()).collect()
    }

    fn named(name: &str, classes: usize, _image_size: usize) -> Option<Self> {
        let &(_, blocks) = SIZES.iter().find(|row| row.0 == name)?;
        Some(Self { blocks, width: 16, projection: false, classes })
    }

    fn found_in(state: &State, _: &Hints) -> Result<Option<Found>, DescribeError> {
        let Some(Trunk { width, kernel, bottleneck, blocks: [first, second, third, 0] }) = Trunk::of(state)?
        else {
            return Ok(None);
        };
        let classes = outputs(state, "linear.weight").max(outputs(state, "fc.weight"));
        check_classifier(classes)?;
        if kernel != 3 || first != second || second != third || bottleneck {
            return Err(DescribeError::Unusable(format!(
                "cannot be used: it is a ResNet of the stages {first}-{second}-{third}, and those with three stages have as many blocks \
                 of two convolutions in each here"
            )));
        }
        let projection = state.contains_key("layer2.0.downsample.0.weight");
        Ok(Some(Found::certain(Self { blocks: first, width, projection, classes }.into())))
    }
}
