//! The shape of a convolution and derived sizes.

/// The shape of a convolution: input `[batch, in_channels, height, width]`, weight
/// `[out_channels, in_channels / groups, kernel…]`, output `[batch, out_channels, output_size…]`.
/// Pairs are vertical, horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Images.
    pub batch: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Height and width of the input.
    pub input_size: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Step between output positions, in pixels.
    pub stride: [usize; 2],
    /// Zeros around the input, on either side.
    pub padding: [usize; 2],
    /// Number of independent channel groups; `in_channels` for a depthwise convolution.
    pub groups: usize,
}

impl Convolution {
    /// Height and width of the output: ⌊(input + 2 · padding − kernel) / stride⌋ + 1.
    ///
    /// # Panics
    /// If the kernel is larger than the padded input, or a stride is zero.
    pub fn output_size(&self) -> [usize; 2] {
        [0, 1].map(|i| {
            let padded = self.input_size[i] + 2 * self.padding[i];
            assert!(
                self.stride[i] > 0 && self.kernel[i] > 0 && self.kernel[i] <= padded,
                "a kernel of {:?} at stride {:?} does not fit into the padded input: {self:?}",
                self.kernel,
                self.stride
            );
            (padded - self.kernel[i]) / self.stride[i] + 1
        })
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_channels * self.input_positions()
    }

    /// Elements of the weight.
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.patch_len()
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_channels * self.positions()
    }

    pub(super) fn check(&self, input: usize, weight: usize, output: usize) {
        assert!(
            self.groups > 0
                && self.in_channels.is_multiple_of(self.groups)
                && self.out_channels.is_multiple_of(self.groups),
            "groups divide the channels: {self:?}"
        );
        assert_eq!(input, self.input_len(), "length of the input of {self:?}");
        assert_eq!(weight, self.weight_len(), "length of the weight of {self:?}");
        assert_eq!(output, self.output_len(), "length of the output of {self:?}");
        assert!(
            i32::try_from(self.in_channels * self.input_positions()).is_ok(),
            "an image fits 32-bit indices"
        );
    }

    pub(super) fn input_positions(&self) -> usize {
        self.input_size[0] * self.input_size[1]
    }

    pub(super) fn positions(&self) -> usize {
        self.output_size().iter().product()
    }

    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    pub(super) fn group_inputs(&self) -> usize {
        self.in_channels / self.groups
    }

    pub(super) fn group_outputs(&self) -> usize {
        self.out_channels / self.groups
    }

    /// Number of products in the sum of one output element.
    pub(super) fn patch_len(&self) -> usize {
        self.group_inputs() * self.taps()
    }
}
