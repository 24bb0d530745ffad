//! What a perturbation's size is measured in, and how people write it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Threat;

/// What a perturbation's size is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// The largest change of a channel value, in units of 1/255: levels of an 8-bit image.
    Linf,
    /// The Euclidean length of the change of all values in [0, 1], in units of 1.
    L2,
    /// The sum of the changes of all values in [0, 1], in units of 1.
    L1,
    /// How many channel values change: a pixel that changes in all three channels counts three times.
    L0,
}

impl Norm {
    /// Every norm.
    pub const ALL: [Self; 4] = [Self::Linf, Self::L2, Self::L1, Self::L0];

    /// What the command line and JSON call it: `linf`, `l2`, `l1`, `l0`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Linf => "linf",
            Self::L2 => "l2",
            Self::L1 => "l1",
            Self::L0 => "l0",
        }
    }

    /// What an attack may do when its size is `size`, in this norm's unit.
    pub fn threat(self, size: f64) -> Threat {
        match self {
            Self::Linf => Threat::Linf(size / 255.0),
            Self::L2 => Threat::L2(size),
            Self::L1 => Threat::L1(size),
            Self::L0 => Threat::L0(size),
        }
    }

    /// A ball that contains the whole box: the threat of an attack that looks for the smallest perturbation. It has no
    /// random start.
    pub fn unlimited(self) -> Threat {
        self.threat(f64::INFINITY)
    }

    /// What it measures, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Linf => "the largest change of a channel value",
            Self::L2 => "the Euclidean length of the change",
            Self::L1 => "the sum of all changes",
            Self::L0 => "how many channel values change",
        }
    }

    /// What a size is, in words that can follow a name and a colon.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Linf => "of a channel value in units of 1/255, where 8 and 8/255 are the same",
            Self::L2 => "the L2 norm, of values from 0 to 1, in units of 1",
            Self::L1 => "the L1 norm, of values from 0 to 1, in units of 1",
            Self::L0 => "the number of channel values that change",
        }
    }

    /// The unit as JSON and reports have it.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Linf => "1/255",
            Self::L2 | Self::L1 => "1",
            Self::L0 => "channel values",
        }
    }

    /// A length of the change of values in [0, 1], in this norm's unit.
    pub fn in_units(self, length: f64) -> f64 {
        if self == Self::Linf { 255.0 * length } else { length }
    }

    /// What follows a size in text: `/255` in L∞, elsewhere nothing.
    pub fn suffix(self) -> &'static str {
        if self == Self::Linf { "/255" } else { "" }
    }

    /// Sizes to try when none is asked for: the usual powers of two up to 8/255 (Madry et al., 2018); in L2 those around the
    /// 0.5 that CIFAR's models are compared at (RobustBench; Croce et al., 2021); in L1 those around its 12 (Croce and Hein,
    /// 2021); in L0 powers of two that include the few dozen values that sparse attacks are compared at.
    pub fn usual(self) -> [f64; 4] {
        match self {
            Self::Linf => [1.0, 2.0, 4.0, 8.0],
            Self::L2 => [0.25, 0.5, 1.0, 2.0],
            Self::L1 => [3.0, 6.0, 12.0, 24.0],
            Self::L0 => [16.0, 32.0, 64.0, 128.0],
        }
    }

    /// Refuses a size, in this norm's unit, that is none, or that rounding to 8 bits takes away: values are multiples of
    /// 1/255, so that nothing less than one of them changes an image.
    ///
    /// # Errors
    /// One sentence with the unit.
    pub fn check(self, size: f64) -> Result<f64, String> {
        if !(size.is_finite() && size >= 0.0) {
            return Err(format!("epsilon must be 0 or more, not {size}"));
        }
        match self {
            _ if size == 0.0 => Ok(size),
            Self::Linf if size > 255.0 => Err(format!(
                "epsilon is in units of 1/255, and {size} is more than all of a channel's 255 levels"
            )),
            Self::Linf if size < 1.0 => Err(format!(
                "epsilon is in units of 1/255, one level of an 8-bit image; {size} is {}, so rounding to 8 bits would take the \
                 perturbation away{}",
                if size < 0.5 { "below half a level" } else { "below one level" },
                meant(size)
            )),
            Self::L2 | Self::L1 if size < 1.0 / 255.0 => Err(format!(
                "epsilon is in units of 1 in {self}; {size} is less than one level of an 8-bit image (1/255), so rounding would \
                 take the perturbation away"
            )),
            Self::L0 if size.fract() != 0.0 => Err(format!(
                "epsilon is a number of channel values in L0, so it must be a whole number, not {size}"
            )),
            _ => Ok(size),
        }
    }

    /// Understands a size as people write it: `8`, and `8/255` for the same in L∞; in L2 and L1 plain numbers or fractions; in L0
    /// whole numbers.
    ///
    /// # Errors
    /// One sentence for what is no size, or as [`Norm::check`].
    pub fn parse(self, text: &str) -> Result<f64, String> {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let size = match text.split_once('/') {
            None => number(text),
            Some((above, below)) => match (number(above), number(below), self) {
                (_, Some(0.0), _) => None,
                (Some(above), Some(255.0), Self::Linf) => Some(above),
                (Some(above), Some(below), Self::Linf) => Some(above / below * 255.0),
                (Some(above), Some(below), Self::L2 | Self::L1) => Some(above / below),
                _ => None,
            },
        };
        let example = match self {
            Self::Linf => "8 or 8/255",
            Self::L2 => "0.5",
            Self::L1 => "12",
            Self::L0 => "64",
        };
        self.check(
            size.ok_or_else(|| format!("epsilon must be a number such as {example}, not `{}`", text.trim()))?,
        )
    }
}

/// The whole number of levels that a share of the range is likely to stand for.
fn meant(share: f64) -> String {
    let levels = (share * 255.0).round();
    match levels >= 1.0 {
        true => format!("; did you mean {levels} (= {share} × 255)?"),
        false => String::new(),
    }
}

impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linf => "L∞",
            Self::L2 => "L2",
            Self::L1 => "L1",
            Self::L0 => "L0",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (norm, text, size) in [
            (Norm::Linf, "8", 8.0),
            (Norm::Linf, "8/255", 8.0),
            (Norm::Linf, " 4 / 255 ", 4.0),
            (Norm::Linf, "2.5", 2.5),
            (Norm::Linf, "1/17", 15.0),
            (Norm::Linf, "0", 0.0),
            (Norm::L2, "0.5", 0.5),
            (Norm::L2, "128/255", 128.0 / 255.0),
            (Norm::L2, "3", 3.0),
            (Norm::L1, "12", 12.0),
            (Norm::L1, "25.5/255", 0.1),
            (Norm::L0, "64", 64.0),
        ] {
            assert_eq!(norm.parse(text), Ok(size), "{norm} {text}");
        }
        for norm in Norm::ALL {
            assert_eq!(norm.usual().map(|size| norm.check(size)), norm.usual().map(Ok));
        }
    }

    #[test]
    fn what_rounding_takes_away_is_refused_with_the_unit() {
        for (norm, text, said) in [
            (Norm::Linf, "0.0314", "units of 1/255"),
            (Norm::Linf, "0.0314", "did you mean 8 (= 0.0314 × 255)?"),
            (Norm::Linf, "0.0314", "below half a level"),
            (Norm::Linf, "0.5", "below one level"),
            (Norm::Linf, "0.5/255", "below one level"),
            (Norm::Linf, "300", "255 levels"),
            (Norm::L2, "0.001", "(1/255)"),
            (Norm::Linf, "-1", "epsilon must be 0 or more, not -1"),
            (Norm::Linf, "inf", "epsilon must be 0 or more"),
            (Norm::Linf, "much", "a number such as 8 or 8/255, not `much`"),
            (Norm::Linf, "8/", "not `8/`"),
            (Norm::L2, "1/0", "a number such as 0.5"),
            (Norm::L1, "0.002", "units of 1 in L1"),
            (Norm::L0, "0.5", "a whole number, not 0.5"),
            (Norm::L0, "1/3", "a number such as 64, not `1/3`"),
        ] {
            let message = norm.parse(text).unwrap_err();
            assert!(message.contains(said), "{norm} {text}: {message}");
        }
    }
}
