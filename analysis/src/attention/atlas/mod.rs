//! Head atlas: what a head does, by measured criteria, each next to the same number of a shuffled null.
//!
//! Criteria are means over images of one half of a sample; a label is given only where both halves satisfy its condition
//! ([`label()`]). Within a window only what its tokens may attend to counts.

mod class;
mod colour;
mod content;
mod edge;
mod label;
mod object;
mod positional;
mod reach;
mod seen;
#[cfg(test)]
mod tests;

use archaeo_random::keyed_rng;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::seen::Seen;
use super::AttentionMaps;

pub use content::PatchContent;
pub use label::{HeadHalf, HeadLabel, label};

/// A head's criteria on one image or averaged over images; a criterion that an image does not have (a flat image has no edges, an
/// image without a mask no object) is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadCriteria {
    /// Share of the variance of the weights between patches that the relative offset of query and key explains.
    pub positional: Measure,
    /// Attention distance relative to even attention's.
    pub distance: Measure,
    /// Weight that patches give to prefix tokens; the null is their share of the tokens.
    pub sink: Measure,
    /// Correlation of the weight that each patch receives with the image's gradient there.
    pub edge: Measure,
    /// The same with the gradient across columns minus that across rows: positive for vertical edges.
    pub orientation: Measure,
    /// Correlation of weights and likeness of colour, both beyond what the relative offset explains.
    pub colour: Measure,
    /// Share of what is read in the object's mask; the null is the mask's share of the image.
    pub object: Measure,
    /// Normalised entropy; 1 for even attention.
    pub entropy: Measure,
}

/// A number and that of its shuffled null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// `None` where it is not defined.
    pub value: Option<f64>,
    /// With the image's patches permuted, or as the criterion says.
    pub null: Option<f64>,
}

/// One head on one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadOnImage {
    /// The criteria.
    pub criteria: HeadCriteria,
    /// The strongest relative offset from query to key, in rows and columns.
    pub offset: [i64; 2],
    /// Which ninth of the image holds the largest value of what is read.
    pub ninth: usize,
}

/// Every head of a layer on every image, `(images, heads)`. `contents` are on the layer's grid, one per image; `key` is the seed and
/// the number of each image, which key the nulls' permutations.
pub fn heads_on_images(
    maps: &AttentionMaps,
    layer: usize,
    contents: &[PatchContent],
    (seed, images): (u64, &[u64]),
) -> Vec<Vec<HeadOnImage>> {
    let of_layer = &maps.layers[layer];
    let groups = of_layer.groups();
    let places: Vec<(usize, usize)> =
        (0..maps.images).flat_map(|image| (0..of_layer.heads).map(move |head| (image, head))).collect();
    let one = |&(image, head): &(usize, usize)| {
        let content = &contents[image];
        let mut order: Vec<usize> = (0..content.gradient.len()).collect();
        order.shuffle(&mut keyed_rng(seed, "head atlas", images[image], layer as u64));
        let seen = Seen::of(of_layer, &groups, image, head, maps.image_size, &order);
        let read = maps.readout_map(layer, image, head);
        let moved = content.permuted(&order);
        let [edge, orientation] = edge::measures(&seen, content, &moved);
        let criteria = HeadCriteria {
            positional: positional::measure(&seen),
            distance: reach::distance(&seen),
            sink: reach::sink(&seen),
            edge,
            orientation,
            colour: colour::measure(&seen, content, &moved),
            object: object::measure(&read, content),
            entropy: reach::entropy(&seen),
        };
        HeadOnImage { criteria, offset: seen.offsets.strongest, ninth: class::ninth(&read) }
    };
    let all: Vec<HeadOnImage> = places.par_iter().map(one).collect();
    all.chunks(of_layer.heads.max(1)).map(<[HeadOnImage]>::to_vec).collect()
}

/// Pearson's correlation; `None` where one of the two does not vary.
fn pearson(first: &[f64], second: &[f64]) -> Option<f64> {
    let n = first.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let (a, b) = (mean(first), mean(second));
    let (mut product, mut squares) = (0.0, [0.0; 2]);
    for (x, y) in first.iter().zip(second) {
        product += (x - a) * (y - b);
        squares[0] += (x - a).powi(2);
        squares[1] += (y - b).powi(2);
    }
    let floor = |mean: f64| 1e-18 * n * mean.abs().max(1e-6).powi(2);
    (squares[0] > floor(a) && squares[1] > floor(b)).then(|| product / (squares[0] * squares[1]).sqrt())
}
