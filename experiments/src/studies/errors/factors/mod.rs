//! What is measured of each image and answer, and whether it sets errors apart from right answers.

mod conclude;
mod examples;
mod measure;
#[cfg(test)]
mod tests;
mod training;

use serde::{Deserialize, Serialize};

pub(super) use conclude::conclude;
pub(super) use measure::{ImageRecord, Instruments};

/// Something that may set errors apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Factor {
    /// Mean luminance.
    Brightness,
    /// Standard deviation of the luminance: RMS contrast.
    Contrast,
    /// Mean spatial frequency of the luminance, weighted by power.
    Frequency,
    /// Share of the image that the object covers.
    ObjectSize,
    /// How far the mean luminance of the object is from that of its surroundings.
    ObjectContrast,
    /// Share of the object that something in front of it hides.
    Occlusion,
    /// Whether the texture is that of another class.
    ForeignTexture,
    /// Whether the other models doubt the label.
    LabelDoubt,
    /// Distance to the nearest training images, in the features of the model.
    Distance,
    /// Share of the nearest training images that are of another class.
    OtherNeighbours,
    /// Probability that the model gives to its answer.
    Confidence,
}

impl Factor {
    /// Every factor, in the order in which they are shown.
    pub const ALL: [Factor; 11] = [
        Self::Brightness,
        Self::Contrast,
        Self::Frequency,
        Self::ObjectSize,
        Self::ObjectContrast,
        Self::Occlusion,
        Self::ForeignTexture,
        Self::LabelDoubt,
        Self::Distance,
        Self::OtherNeighbours,
        Self::Confidence,
    ];

    /// What it is called in a table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Brightness => "Brightness",
            Self::Contrast => "Contrast",
            Self::Frequency => "Spatial frequency",
            Self::ObjectSize => "Object size",
            Self::ObjectContrast => "Contrast of the object",
            Self::Occlusion => "Occlusion",
            Self::ForeignTexture => "Texture of another class",
            Self::LabelDoubt => "Label doubted",
            Self::Distance => "Distance to training images",
            Self::OtherNeighbours => "Neighbours of other classes",
            Self::Confidence => "Confidence",
        }
    }

    /// What images with a larger value are, or those with a smaller one: it can follow “images”.
    pub fn phrase(self, larger: bool) -> &'static str {
        let [more, less] = match self {
            Self::Brightness => ["that are brighter", "that are darker"],
            Self::Contrast => ["with more contrast", "with less contrast"],
            Self::Frequency => ["with finer detail", "with coarser detail"],
            Self::ObjectSize => ["with a larger object", "with a smaller object"],
            Self::ObjectContrast => ["whose object stands out more", "whose object stands out less"],
            Self::Occlusion => ["with more of the object hidden", "with less of the object hidden"],
            Self::ForeignTexture => {
                ["with the texture of another class", "with the texture of their own class"]
            }
            Self::LabelDoubt => ["whose label other models doubt", "whose label other models do not doubt"],
            Self::Distance => ["farther from the training images", "closer to the training images"],
            Self::OtherNeighbours => {
                ["among training images of other classes", "among training images of their own class"]
            }
            Self::Confidence => ["answered with more confidence", "answered with less confidence"],
        };
        if larger { more } else { less }
    }

    /// Whether it is read from the model that answers, so that it cannot be independent of the answer.
    pub fn is_of_model(self) -> bool {
        matches!(self, Self::Distance | Self::OtherNeighbours | Self::Confidence)
    }

    /// Whether it is a share, and shown in percent.
    pub fn is_share(self) -> bool {
        matches!(
            self,
            Self::ObjectSize
                | Self::Occlusion
                | Self::ForeignTexture
                | Self::LabelDoubt
                | Self::OtherNeighbours
                | Self::Confidence
        )
    }
}
