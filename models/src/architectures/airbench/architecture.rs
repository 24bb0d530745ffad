//! The implementation of the architecture contract for airbench networks.

use burn::tensor::Device;

use super::{Airbench, AirbenchConfig, Whitening};
use crate::architectures::{Architecture, Sizes};
use crate::catalogue::Published;
use crate::describe::{DescribeError, Found, Hints, outputs, shape};
use crate::flops::convolution;
use crate::preprocessing::Interpolation;
use crate::spec::{SpecError, with_pixels};
use crate::state::State;

/// Name and widths (Jordan, 2024, section 3).
const SIZES: [(&str, [usize; 3]); 1] = [("airbench94", [64, 256, 256])];

/// Mean and standard deviation of CIFAR-10's channels, as in the released code.
const CIFAR: ([f32; 3], [f32; 3]) = ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]);

/// The size that no array shows.
const IMAGE_SIZE: usize = 32;

impl Sizes for AirbenchConfig {
    fn validate(&self) -> Result<(), SpecError> {
        Self::validate(self)
    }

    fn family(&self) -> &'static str {
        "airbench"
    }

    fn describe(&self) -> String {
        let [first, second, third] = self.widths;
        format!(
            "convolutional network of airbench: whitened 2 × 2 patches, 3 groups of 2 convolutions of {first}, {second} and {third} channels"
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

    fn multiply_adds(&self, image_size: usize) -> u64 {
        let sides = Self { image_size, ..self.clone() }.sides().map(|side| side as u64);
        let mut inputs = Whitening::WIDTH as u64;
        let mut sum = convolution(sides[0], 2, 3, inputs);
        for (width, sides) in self.widths.into_iter().zip(sides.windows(2)) {
            let width = width as u64;
            sum += convolution(sides[0], 3, inputs, width) + convolution(sides[1], 3, width, width);
            inputs = width;
        }
        sum + inputs * self.classes as u64
    }

    fn values_of_a_block(&self, image_size: usize) -> f64 {
        let sides = Self { image_size, ..self.clone() }.sides();
        let inputs = [Whitening::WIDTH, self.widths[0], self.widths[1]];
        inputs.into_iter().zip(sides).map(|(width, side)| (width * side * side) as f64).fold(0.0, f64::max)
    }
}

impl Architecture for AirbenchConfig {
    type Network = Airbench;

    const SUPPORTED: &'static str = "airbench networks trained here";
    const PUBLISHED: &'static [Published] =
        &[("airbench", "", IMAGE_SIZE, 1.0, Interpolation::Bilinear, CIFAR)];

    fn build(&self, device: &Device) -> Result<Airbench, SpecError> {
        Airbench::new(self, device)
    }

    fn names() -> Vec<String> {
        SIZES.iter().map(|row| row.0.to_owned()).collect()
    }

    fn named(name: &str, classes: usize, image_size: usize) -> Option<Self> {
        let (name, image_size) = with_pixels(name).unwrap_or((name, image_size));
        let &(_, widths) = SIZES.iter().find(|row| row.0 == name)?;
        Some(Self { image_size, widths, classes })
    }

    fn found_in(state: &State, _: &Hints) -> Result<Option<Found>, DescribeError> {
        let (Some(&[Whitening::WIDTH, 3, 2, 2]), 3) =
            (shape(state, "whiten.weight"), crate::describe::count(state, "layers."))
        else {
            return Ok(None);
        };
        let widths = [0, 1, 2].map(|group| outputs(state, &format!("layers.{group}.conv1.weight")));
        let classes = outputs(state, "head.weight");
        Ok(Some(Found::certain(Self { image_size: IMAGE_SIZE, widths, classes }.into())))
    }
}
