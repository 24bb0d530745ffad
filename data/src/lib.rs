//! Data sets of any format that `--data SOURCE` accepts.
//!
//! [`open`] detects the kind of a source from its contents and returns a [`Dataset`]: class names and splits. A [`Split`] holds
//! labels but decodes (or draws) an image only when it is loaded, so a data set larger than memory can be used; only parquet
//! files and `.npz` archives are held in memory, as stored bytes.
//!
//! Nothing here resizes or normalises: images keep their size. [`resize`] holds the operations for preprocessing and
//! augmentation.

mod archive;
pub mod augment;
mod cifar;
mod cifar_pickles;
mod compressed;
mod copies;
pub mod corruptions;
mod dataset;
mod divide;
mod error;
#[cfg(test)]
mod fixture;
mod folders;
mod idx;
mod image;
mod images;
mod kept;
mod labels;
mod links;
mod listing;
mod lists;
mod masks;
mod medmnist;
mod names;
mod open;
#[cfg_attr(not(feature = "parquet"), path = "without_parquet.rs")]
mod parquet;
mod pattern;
mod places;
mod recognise;
mod relabel;
pub mod resize;
mod room;
pub mod sherds;
mod split;
mod split_lists;
mod storage;
mod text;
mod tiny_imagenet;
mod tree;
mod webdataset;

pub use self::image::{MAX_PIXELS, MAX_SIDE, Mask, decode, dimensions, memory_to_decode};
pub use archaeo_raster::{Image, Interpolation};
pub use dataset::{Dataset, ExampleLimits, SplitSummary, Spread, Summary, examples};
pub use error::DataError;
pub use open::{Copies, Labels, OpenOptions, open};
pub use pattern::expand;
pub use relabel::NO_OUTPUT;
pub use split::{Skipped, Split};

/// One labelled image.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The picture.
    pub image: Image,
    /// Its class.
    pub label: usize,
    /// Ground truth, available for Sherds.
    pub truth: Option<Truth>,
}

/// Ground truth of a generated image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The visible pixels of the object (clutter in front may hide the rest), at the image's resolution.
    pub mask: Mask,
    /// The object's shape.
    pub shape: sherds::Shape,
    /// The texture that fills it.
    pub texture: sherds::Texture,
}

#[cfg(test)]
mod tests;
