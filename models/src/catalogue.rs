//! What the published checkpoints of a named model expect.

use crate::architectures::ALL;
use crate::preprocessing::{IMAGENET_MOMENTS, Interpolation, Preprocessing, crop_share};
use crate::state::State;

/// Usual classes and preprocessing of a named model.
#[derive(Clone, Debug, PartialEq)]
pub struct Usual {
    /// Number of classes.
    pub classes: usize,
    /// How images are prepared.
    pub preprocessing: Preprocessing,
}

/// Prefix and suffix of a name (of a model, or of a family as `transformers` calls it), and what its published checkpoints were
/// trained with: side, crop, filter, moments. The first matching row of an architecture applies, and of several the one with the longest
/// prefix. timm's
/// `pretrained_cfg` of the default weights; torchvision's first weights (`IMAGENET1K_V1`); OpenAI's CLIP.
pub(crate) type Published = (&'static str, &'static str, usize, f64, Interpolation, Moments);

type Moments = ([f32; 3], [f32; 3]);

pub(crate) const HALF: Moments = ([0.5; 3], [0.5; 3]);

/// What torchvision's first weights (`IMAGENET1K_V1`) of an architecture were trained with at 224 px, where that differs from
/// timm's.
#[derive(Clone, Copy)]
pub(crate) struct Torchvision {
    /// Suffix of an array name that only torchvision has.
    pub(crate) mark: &'static str,
    /// Prefix of the model's name, shorter side before the crop, filter.
    pub(crate) rows: &'static [(&'static str, usize, Interpolation)],
}

/// Side, in pixels, from which timm's checkpoints are evaluated without cropping.
const LARGE_IMAGE: usize = 384;

/// Usual classes and preprocessing of the model `name`; a suffix `_PIXELS` gives the side.
pub fn usual(name: &str) -> Usual {
    let (stem, pixels) = match name.rsplit_once('_').map(|(stem, pixels)| (stem, pixels.parse::<usize>())) {
        Some((stem, Ok(pixels))) => (stem, Some(pixels)),
        _ => (name, None),
    };
    let matches = |(start, end, ..): &&Published| stem.starts_with(start) && stem.ends_with(end);
    let rows = ALL.iter().filter_map(|architecture| architecture.published.iter().find(matches));
    // A name may begin with that of another architecture.
    let row = rows.max_by_key(|row| row.0.len());
    let Some(&(_, _, side, crop, interpolation, (mean, std))) = row else {
        return Usual { classes: 1000, preprocessing: Preprocessing::plain(pixels.unwrap_or(224)) };
    };
    let image_size = pixels.unwrap_or(side);
    let crop = if image_size >= LARGE_IMAGE { 1.0 } else { crop };
    let classes = if side == 32 { 10 } else { 1000 };
    let preprocessing = Preprocessing { crop, interpolation, mean, std, ..Preprocessing::plain(image_size) };
    Usual { classes, preprocessing }
}

/// As [`usual`], for a model with these arrays. If their names are torchvision's, so is the preprocessing; its residual networks
/// cannot be distinguished from timm's.
pub(crate) fn usual_of(name: &str, state: &State) -> Usual {
    let usual = usual(name);
    let known = ALL.iter().filter_map(|architecture| architecture.torchvision);
    let row = known.flat_map(|known| known.rows.iter().map(move |row| (known.mark, row)));
    let Some((_, &(_, resized, interpolation))) = row.into_iter().find(|(mark, row)| {
        name.starts_with(row.0)
            && usual.preprocessing.image_size == 224
            && state.keys().any(|array| array.ends_with(mark))
    }) else {
        return usual;
    };
    let (mean, std) = IMAGENET_MOMENTS;
    let crop = crop_share(224, resized);
    let preprocessing = Preprocessing { crop, interpolation, mean, std, ..Preprocessing::plain(224) };
    Usual { preprocessing, ..usual }
}
