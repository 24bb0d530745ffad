//! The filters that resize pictures, by their names.

use serde::{Deserialize, Serialize};

/// Filter with which an image is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// Triangle of half-width 1.
    Bilinear,
    /// Keys' cubic with a = −1/2, half-width 2, as Pillow's.
    Bicubic,
    /// Sinc windowed by a wider sinc, half-width 3.
    Lanczos,
}

impl Interpolation {
    /// Every filter.
    pub const ALL: [Self; 3] = [Self::Bilinear, Self::Bicubic, Self::Lanczos];

    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
            Self::Lanczos => "lanczos",
        }
    }

    /// The filter of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interpolation| interpolation.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_in_files() {
        for interpolation in Interpolation::ALL {
            assert_eq!(serde_json::to_value(interpolation).unwrap(), interpolation.name());
            assert_eq!(Interpolation::named(interpolation.name()), Some(interpolation));
        }
        assert_eq!(Interpolation::named("nearest"), None);
    }
}
