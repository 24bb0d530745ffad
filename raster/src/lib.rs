//! What a picture is, and how the filters are called that resize one: the words that data, models and drawing share.

mod image;
mod interpolation;

pub use image::Image;
pub use interpolation::Interpolation;
