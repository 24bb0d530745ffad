//! Counterfactuals guided by a heatmap: how few patches have to be covered, the hottest first, until the model answers otherwise.

use super::method::patch_size;
use super::{Evidence, Fill, Heatmap};
use crate::AnalysisError;
use crate::answers::predicted_classes;

/// Patches along a side of the image of a model that has none of its own.
const PATCHES_ALONG_A_SIDE: usize = 16;

/// Patches answered for at once: all that a search stops within are wasted at most once.
const AT_ONCE: usize = 16;

/// What covering patches did to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterfactual {
    /// Rows and columns of patches.
    pub grid: [usize; 2],
    /// The patches that were covered, in their order, from 0 in reading order: the fewest of the order's beginnings that change the
    /// answer, or all of them.
    pub covered: Vec<usize>,
    /// The class that the model names for the whole image.
    pub before: usize,
    /// The class that it names instead; `None` where it names the same with every patch covered.
    pub after: Option<usize>,
}

impl Counterfactual {
    /// Share of the patches that had to be covered, from above 0 to 1.
    pub fn share(&self) -> f64 {
        self.covered.len() as f64 / (self.grid[0] * self.grid[1]) as f64
    }
}

/// For each image the fewest patches, by the order of its heatmap, that change the model's answer when `fill` covers them. Among
/// equal patches those before others in reading order go first.
///
/// # Errors
/// A model without a head.
///
/// # Panics
/// If there is not a heatmap for each image.
pub fn counterfactuals(
    evidence: &Evidence,
    heatmaps: &[Heatmap],
    fill: Fill,
) -> Result<Vec<Counterfactual>, AnalysisError> {
    let before = evidence.predicted()?;
    let [_, _, height, width] = evidence.images().dims();
    assert_eq!(heatmaps.len(), before.len(), "one heatmap is needed for each image");
    let side = patch_size(evidence.model()).unwrap_or(height.max(width).div_ceil(PATCHES_ALONG_A_SIDE));
    let grid = [height.div_ceil(side), width.div_ceil(side)];
    let orders: Vec<Vec<usize>> = heatmaps.iter().map(|map| order(&in_patches(map, grid))).collect();
    let patches = grid[0] * grid[1];
    let classes = evidence.model().card().classes.len();
    let mut found: Vec<Option<(usize, usize)>> = vec![None; before.len()];
    let mut tried = 0;
    while tried < patches && found.iter().any(Option::is_none) {
        let more = AT_ONCE.min(patches - tried);
        let open: Vec<usize> = (0..before.len()).filter(|&image| found[image].is_none()).collect();
        let answers = evidence.logits_of_variants_of(&open, more, |image, variant, pixels| {
            let colour = fill.colour(pixels);
            for &patch in &orders[image][..=tried + variant] {
                let (top, left) = (patch / grid[1] * side, patch % grid[1] * side);
                for (plane, value) in pixels.chunks_exact_mut(height * width).zip(colour) {
                    for row in top..(top + side).min(height) {
                        plane[row * width..][left..(left + side).min(width)].fill(value);
                    }
                }
            }
        });
        for (&image, rows) in open.iter().zip(&answers) {
            let named = rows.iter().map(|row| predicted_classes(row, classes)[0]);
            found[image] = named.enumerate().find_map(|(variant, class)| {
                (class != before[image]).then_some((tried + variant + 1, class))
            });
        }
        tried += more;
    }
    let of_image = |image: usize| {
        let (count, after) = found[image].map_or((patches, None), |(count, class)| (count, Some(class)));
        Counterfactual { grid, covered: orders[image][..count].to_vec(), before: before[image], after }
    };
    Ok((0..before.len()).map(of_image).collect())
}

/// One value for each patch: the map's own on its own grid, and else the mean over the patch of the map brought to as many
/// places as there are pixels.
fn in_patches(map: &Heatmap, [rows, columns]: [usize; 2]) -> Vec<f64> {
    if (map.height, map.width) == (rows, columns) {
        return map.values.iter().map(|&value| f64::from(value)).collect();
    }
    let fine = |length: usize, patches: usize| length.max(patches).div_ceil(patches) * patches;
    let (height, width) = (fine(map.height, rows), fine(map.width, columns));
    let map = map.resized(height, width);
    let mut sums = vec![0f64; rows * columns];
    for (index, &value) in map.values.iter().enumerate() {
        let (row, column) = (index / width * rows / height, index % width * columns / width);
        sums[row * columns + column] += f64::from(value);
    }
    sums
}

/// Places from the hottest.
fn order(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{Attribution, Centre, Random, Rollout};
    use crate::testing::{Fixture, random_images, random_values, vit_config, with_evidence};
    use archaeo_models::{NetworkSpec, Pooling};

    #[test]
    fn patches_are_covered_in_order_until_the_answer_changes_and_not_before() {
        let vit = random_values(NetworkSpec::Vit(vit_config(Pooling::Mean)));
        for model in [vit, Fixture::load().resnet()] {
            with_evidence(&model, random_images(6, 8), |evidence| {
                let heatmaps = Random.explain(evidence, &[]).unwrap();
                let found = counterfactuals(evidence, &heatmaps, Fill::Black).unwrap();
                assert!(found.iter().any(|one| one.after.is_some()), "{found:?}");
                for (image, one) in found.iter().enumerate() {
                    let side = 32 / one.grid[0];
                    // One image at a time, each beginning of the order alone.
                    let answers = evidence.logits_of_variants_of(
                        &[image],
                        one.covered.len() + 1,
                        |_, count, pixels| {
                            for (index, pixel) in pixels.iter_mut().enumerate() {
                                let (row, column) = (index / 32 % 32, index % 32);
                                let patch = row / side * one.grid[1] + column / side;
                                if one.covered[..count].contains(&patch) {
                                    *pixel = 0.0;
                                }
                            }
                        },
                    );
                    let named: Vec<usize> =
                        answers[0].iter().map(|row| predicted_classes(row, 5)[0]).collect();
                    let (last, earlier) = named.split_last().unwrap();
                    assert!(earlier.iter().all(|&class| class == one.before), "{named:?}");
                    assert_eq!(*last, one.after.unwrap_or(one.before));
                    assert!(one.after.is_some() || one.share() == 1.0);
                }
            });
        }
    }

    #[test]
    fn the_hottest_patch_goes_first() {
        let fixture = Fixture::load();
        with_evidence(&fixture.vit(), fixture.images(), |evidence| {
            let maps = Rollout::USUAL.explain(evidence, &[]).unwrap();
            let found = counterfactuals(evidence, &maps, Fill::Mean).unwrap();
            for (map, one) in maps.iter().zip(found) {
                let hottest = map.values.iter().copied().fold(f32::MIN, f32::max);
                assert_eq!(map.values[one.covered[0]], hottest);
            }
        });
        let centre = with_evidence(&fixture.vit(), fixture.images(), |e| Centre.explain(e, &[]).unwrap());
        let inner = &order(&in_patches(&centre[0], [4, 4]))[..4];
        assert!(inner.iter().all(|patch| [5, 6, 9, 10].contains(patch)), "{inner:?}");
    }
}
