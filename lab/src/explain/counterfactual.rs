//! How few patches it takes to change an answer, in words and as the model saw the image.

use std::collections::HashSet;

use archaeo_analysis::faithfulness::Counterfactual;
use archaeo_plot::Image;

use super::found::Flip;

pub(super) fn flip(found: &Counterfactual, names: &[String]) -> Flip {
    Flip {
        grid: found.grid,
        covered: found.covered.clone(),
        share: found.share(),
        after: found.after.map(|class| names[class].clone()),
    }
}

/// The image as the model saw it when its answer changed.
pub(super) fn covered(picture: &Image, found: &Counterfactual, colour: [f32; 3]) -> Image {
    let (width, height) = (picture.width(), picture.height());
    let colour = colour.map(|value| (255.0 * value).round() as u8);
    let hidden: HashSet<usize> = found.covered.iter().copied().collect();
    let pixels = picture.pixels().chunks_exact(3).enumerate().flat_map(|(at, pixel)| {
        let patch = at / width / found.side * found.grid[1] + at % width / found.side;
        if hidden.contains(&patch) { colour } else { [pixel[0], pixel[1], pixel[2]] }
    });
    Image::new(width, height, pixels.collect())
}
