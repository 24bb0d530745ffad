//! Counterfactuals guided by a heatmap: how few patches have to be covered, the most relevant first, until the model names another class.

use super::perturbation::{Answers, Explained, descending};
use super::token_dropping::on_patches;
use super::{Asked, Metric, MetricInfo, Score};
use crate::attribution::{Capability, Heatmap};
use crate::statistics::{SHARE, first_largest};
use crate::{AnalysisError, Paper};

/// Patches along a side of the image of a model that has none of its own.
const PATCHES_ALONG_A_SIDE: usize = 16;

/// Beginnings of an order that are answered at once: all that a search stops within are wasted at most once.
const AT_ONCE: usize = 16;

/// What covering patches did to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterfactual {
    /// Rows and columns of patches.
    pub grid: [usize; 2],
    /// Pixels along a patch's side; those of the last row and column may be cut off.
    pub side: usize,
    /// The patches that were covered, in their order, from 0 in reading order: the fewest of the order's beginnings that change the
    /// answer, none where the model does not name the class of the whole image, or all of them.
    pub covered: Vec<usize>,
    /// The class that the model names instead; `None` where it names the same with every patch covered.
    pub after: Option<usize>,
}

impl Counterfactual {
    /// Share of the patches that had to be covered, from 0 to 1.
    pub fn share(&self) -> f64 {
        self.covered.len() as f64 / (self.grid[0] * self.grid[1]) as f64
    }
}

/// Share of the patches that are set to the mean colour of the model's preprocessing, the most relevant first, until the model no
/// longer names the class.
#[derive(Clone, Copy, Debug)]
pub struct CounterfactualShare;

static COUNTERFACTUAL: MetricInfo = MetricInfo {
    id: "counterfactual",
    title: "counterfactual",
    summary: "share of the patches that have to be covered, the most relevant first, until the model names another class",
    higher_is_better: false,
    range: SHARE,
    judged: true,
    needs_mask: false,
    needs: &[Capability::Classes],
    passes: 24,
    curve: &[],
    paper: Paper { citation: "Goyal et al., 2019", url: "https://arxiv.org/abs/1904.07451" },
};

impl Metric for CounterfactualShare {
    fn info(&self) -> &'static MetricInfo {
        &COUNTERFACTUAL
    }

    fn measure(&self, asked: &Asked) -> Result<Vec<Vec<Score>>, AnalysisError> {
        let found = asked.counterfactuals()?;
        let share = |one: &Counterfactual| Score::of(Some(one.share()));
        Ok(found.iter().map(|images| images.iter().map(share).collect()).collect())
    }
}

impl Asked<'_> {
    /// For each method and image, `[method][image]`, the fewest patches by the order of the heatmap that change the answer to the class
    /// that is explained, when the mean colour of the model's preprocessing covers them. Equal patches go in an order drawn for the
    /// image.
    ///
    /// # Errors
    /// A model without a head.
    pub fn counterfactuals(&self) -> Result<Vec<Vec<Counterfactual>>, AnalysisError> {
        let model = self.evidence.model();
        if let Some(reason) = Capability::Classes.lacking(model) {
            return Err(reason);
        }
        let [height, width] = self.evidence.size();
        let side =
            model.card().network.patch_size().unwrap_or(height.max(width).div_ceil(PATCHES_ALONG_A_SIDE));
        Ok(search(model.card().preprocessing.mean, side, self.evidence, &self.explained()))
    }
}

pub(super) fn search(
    colour: [f32; 3],
    side: usize,
    model: &dyn Answers,
    explained: &Explained,
) -> Vec<Vec<Counterfactual>> {
    let Explained { keys, targets, heatmaps } = *explained;
    let size @ [height, width] = model.size();
    let grid = [height.div_ceil(side), width.div_ceil(side)];
    let patches = grid[0] * grid[1];
    let originals = model.originals();
    let order =
        |maps: &[Heatmap], row: usize| descending(&on_patches(&maps[row], grid), keys.seed, keys.images[row]);
    let pairs: Vec<(usize, Vec<usize>)> =
        heatmaps.iter().flat_map(|maps| (0..targets.len()).map(|row| (row, order(maps, row)))).collect();
    // The whole image is answered once for all methods.
    let whole: Vec<usize> = model.logits(originals.clone()).iter().map(|row| first_largest(row)).collect();
    // How many patches it took, and the answer then.
    let at_first = |&(row, _): &(usize, Vec<usize>)| (whole[row] != targets[row]).then_some((0, whole[row]));
    let mut found: Vec<Option<(usize, usize)>> = pairs.iter().map(at_first).collect();
    let mut counts = 1..AT_ONCE.min(patches) + 1;
    while !counts.is_empty() && found.iter().any(Option::is_none) {
        let open: Vec<usize> = (0..pairs.len()).filter(|&pair| found[pair].is_none()).collect();
        let altered = |pair: &usize| {
            let (row, order) = &pairs[*pair];
            counts.clone().map(|count| covered(&originals[*row], size, side, &order[..count], colour))
        };
        let answers = model.logits(open.iter().flat_map(altered).collect());
        for (&pair, rows) in open.iter().zip(answers.chunks_exact(counts.len())) {
            let named = rows.iter().map(|row| first_largest(row));
            let mut changed = counts.clone().zip(named).filter(|&(_, class)| class != targets[pairs[pair].0]);
            found[pair] = changed.next();
        }
        counts = counts.end..(counts.end + AT_ONCE).min(patches + 1);
    }
    let all: Vec<Counterfactual> = (pairs.into_iter().zip(found))
        .map(|((_, mut covered), found)| {
            let (count, after) = found.map_or((patches, None), |(count, class)| (count, Some(class)));
            covered.truncate(count);
            Counterfactual { grid, side, covered, after }
        })
        .collect();
    all.chunks(targets.len()).map(<[_]>::to_vec).collect()
}

/// The image with some patches in one colour.
fn covered(
    original: &[f32],
    [height, width]: [usize; 2],
    side: usize,
    patches: &[usize],
    colour: [f32; 3],
) -> Vec<f32> {
    let mut pixels = original.to_vec();
    let columns = width.div_ceil(side);
    for &patch in patches {
        let (top, left) = (patch / columns * side, patch % columns * side);
        for (plane, value) in pixels.chunks_exact_mut(height * width).zip(colour) {
            for row in top..(top + side).min(height) {
                plane[row * width..][left..(left + side).min(width)].fill(value);
            }
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keys;
    use crate::attribution::{Evidence, explain_all, method};
    use crate::testing::{Fixture, random_images};

    /// The first pixel's patch decides alone: with it covered the second class is named.
    struct Corner;

    impl Answers for Corner {
        fn size(&self) -> [usize; 2] {
            [4, 6]
        }

        fn originals(&self) -> Vec<Vec<f32>> {
            vec![vec![1.0; 3 * 24]; 2]
        }

        fn logits(&self, images: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
            images.iter().map(|image| vec![image[0], 0.5]).collect()
        }
    }

    #[test]
    fn the_patch_that_decides_ends_the_search() {
        // Patches of 4 px: a row of two, the second cut off. The deciding patch is the most relevant, then the least.
        let maps = [vec![1.0, 0.0], vec![0.0, 1.0]].map(|values| Heatmap::new(1, 2, values));
        let heatmaps = maps.map(|map| vec![map.clone(), map]);
        let explained =
            Explained { keys: Keys { seed: 0, images: &[0, 1] }, targets: &[0, 1], heatmaps: &heatmaps };
        let found = search([0.0; 3], 4, &Corner, &explained);
        let covered = |method: usize, image: usize| found[method][image].covered.clone();
        assert_eq!([covered(0, 0), covered(1, 0)], [vec![0], vec![1, 0]]);
        assert_eq!([found[0][0].share(), found[1][0].share()], [0.5, 1.0]);
        assert_eq!(found[0][0].after, Some(1));
        // The second image is not taken for its class to begin with.
        assert!(covered(0, 1).is_empty() && covered(1, 1).is_empty());
        // Nothing changes the answer where the colour is the image's own.
        let same = search([1.0; 3], 4, &Corner, &explained);
        assert_eq!((same[0][0].after, same[0][0].share()), (None, 1.0));
    }

    #[test]
    fn fewer_patches_do_not_change_the_answer() {
        let fixture = Fixture::load();
        for model in [fixture.vit(), fixture.resnet()] {
            let images = random_images(6, 8);
            let ids: Vec<u64> = (0..6).collect();
            let evidence = Evidence::new(&model, images, Keys { seed: 3, images: &ids });
            let targets = evidence.predicted().unwrap();
            let methods = [method("random").unwrap(), method("saliency").unwrap()];
            let heatmaps = explain_all(&methods, &evidence, &targets).unwrap();
            let asked = Asked {
                evidence: &evidence,
                targets: &targets,
                methods: &methods,
                heatmaps: &heatmaps,
                masks: &[],
            };
            let mean = model.card().preprocessing.mean;
            let originals = evidence.originals();
            for (row, one) in asked.counterfactuals().unwrap().iter().flat_map(|all| all.iter().enumerate()) {
                let images = (0..=one.covered.len()).map(|count| {
                    covered(&originals[row], evidence.size(), one.side, &one.covered[..count], mean)
                });
                let named: Vec<usize> = Answers::logits(&evidence, images.collect())
                    .iter()
                    .map(|row| first_largest(row))
                    .collect();
                let (last, earlier) = named.split_last().unwrap();
                assert!(earlier.iter().all(|&class| class == targets[row]), "{named:?}");
                assert_eq!(*last, one.after.unwrap_or(targets[row]));
                assert!(one.after.is_some() || one.share() == 1.0);
            }
        }
    }
}
