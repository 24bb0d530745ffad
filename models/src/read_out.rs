//! The tokens that a model's output is read from, where questions about attention start.

/// The tokens before the first patch, in order: class, distillation, registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixTokens {
    /// Whether there is a class token, read or not.
    pub class: bool,
    /// Whether there is a distillation token, read or not.
    pub distillation: bool,
    /// Number of registers: tokens that no head reads.
    pub registers: usize,
}

impl PrefixTokens {
    /// A class token and nothing else.
    pub const CLASS: Self = Self { class: true, distillation: false, registers: 0 };
    /// No prefix tokens.
    pub const NONE: Self = Self { class: false, distillation: false, registers: 0 };

    /// Number of prefix tokens.
    pub fn count(self) -> usize {
        usize::from(self.class) + usize::from(self.distillation) + self.registers
    }

    /// Position of the class token among all tokens.
    pub fn class_token(self) -> Option<usize> {
        self.class.then_some(0)
    }

    /// Position of the distillation token among all tokens.
    pub fn distillation_token(self) -> Option<usize> {
        self.distillation.then_some(usize::from(self.class))
    }

    /// Positions of the registers among all tokens; empty without any.
    pub fn register_tokens(self) -> std::ops::Range<usize> {
        self.count() - self.registers..self.count()
    }
}

/// Which tokens of the last block the head reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOut {
    /// The class token alone.
    ClassToken,
    /// The mean of all patches, whether or not there is an unread class token.
    MeanOfPatches,
    /// A mean of all patches with weights that the model computes for each image. Their shares are taken to be equal, since those
    /// of an image are known only after its pass.
    WeightedPatches,
    /// The class token and the mean of all patches, concatenated.
    ClassTokenAndMean,
    /// The class token by one head and the distillation token by another, whose logits are averaged.
    ClassAndDistillationTokens,
}

impl ReadOut {
    /// The share of each token in what the head reads, prefix tokens first; shares sum to one.
    ///
    /// Two features that are read together (class token and mean of patches, class and distillation token) count half each. For a
    /// distilled model this follows from the mean of its two heads; where one head reads both features, their influence depends
    /// on its weights, and equal shares are a convention.
    ///
    /// # Panics
    /// Without patches, or if a token that is read does not exist.
    pub fn weights(self, prefix: PrefixTokens, patches: usize) -> Vec<f64> {
        assert!(patches > 0, "an image has a patch");
        let class = || prefix.class_token().expect("a class token that is read is there");
        let mut weights = vec![0.0; prefix.count() + patches];
        let mean_of_patches = |weights: &mut [f64], share: f64| {
            weights[prefix.count()..].fill(share / patches as f64);
        };
        match self {
            Self::ClassToken => weights[class()] = 1.0,
            Self::MeanOfPatches | Self::WeightedPatches => mean_of_patches(&mut weights, 1.0),
            Self::ClassTokenAndMean => {
                weights[class()] = 0.5;
                mean_of_patches(&mut weights, 0.5);
            }
            Self::ClassAndDistillationTokens => {
                weights[class()] = 0.5;
                let distillation = prefix.distillation_token();
                weights[distillation.expect("a distillation token that is read is there")] = 0.5;
            }
        }
        weights
    }

    /// Number of leading tokens that hold all that is read; `None` where patches are read.
    pub fn leading(self) -> Option<usize> {
        match self {
            Self::ClassToken => Some(1),
            Self::ClassAndDistillationTokens => Some(2),
            Self::MeanOfPatches | Self::WeightedPatches | Self::ClassTokenAndMean => None,
        }
    }

    /// Description of what is read, to follow “starts from”.
    pub fn describe(self) -> &'static str {
        match self {
            Self::ClassToken => "the class token",
            Self::MeanOfPatches => "the mean of all patches",
            Self::WeightedPatches => "all patches, equally (their weights in the model depend on the image)",
            Self::ClassTokenAndMean => "the class token and the mean of all patches, half each",
            Self::ClassAndDistillationTokens => "the class token and the distillation token, half each",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_stand_at_the_tokens_that_are_read() {
        let distilled = PrefixTokens { class: true, distillation: true, registers: 0 };
        let registers = PrefixTokens { registers: 2, ..PrefixTokens::NONE };
        let all = PrefixTokens { class: true, distillation: true, registers: 1 };
        for (read_out, prefix, expected) in [
            (ReadOut::ClassToken, PrefixTokens::CLASS, vec![1.0, 0.0, 0.0]),
            (ReadOut::ClassToken, distilled, vec![1.0, 0.0, 0.0, 0.0]),
            (ReadOut::MeanOfPatches, PrefixTokens::NONE, vec![0.5, 0.5]),
            (ReadOut::WeightedPatches, PrefixTokens::NONE, vec![0.5, 0.5]),
            (ReadOut::MeanOfPatches, PrefixTokens::CLASS, vec![0.0, 0.5, 0.5]),
            (ReadOut::MeanOfPatches, registers, vec![0.0, 0.0, 0.5, 0.5]),
            (ReadOut::ClassTokenAndMean, PrefixTokens::CLASS, vec![0.5, 0.25, 0.25]),
            (ReadOut::ClassAndDistillationTokens, distilled, vec![0.5, 0.5, 0.0, 0.0]),
            (ReadOut::ClassAndDistillationTokens, all, vec![0.5, 0.5, 0.0, 0.0, 0.0]),
        ] {
            assert_eq!(read_out.weights(prefix, 2), expected, "{read_out:?} {prefix:?}");
        }
    }

    #[test]
    fn positions_follow_the_order_of_the_prefix() {
        let all = PrefixTokens { class: true, distillation: true, registers: 3 };
        assert_eq!((all.class_token(), all.distillation_token()), (Some(0), Some(1)));
        assert_eq!((all.register_tokens(), all.count()), (2..5, 5));
        let registers = PrefixTokens { registers: 2, ..PrefixTokens::NONE };
        assert_eq!((registers.class_token(), registers.register_tokens()), (None, 0..2));
        assert!(PrefixTokens::CLASS.register_tokens().is_empty());
    }
}
