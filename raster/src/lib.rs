//! The picture type and the names of the resizing filters, shared by data, models and drawing.

mod image;
mod interpolation;

pub use image::Image;
pub use interpolation::Interpolation;
