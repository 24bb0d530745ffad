//! Deletion by dropping tokens: what a Vision Transformer answers without the patches that a heatmap finds most relevant.
//!
//! Nothing is painted over: after the embedding with its positions, the patches are taken out of the sequence, as if they had not been
//! there, so that no colour, outline or blur is an input that the model was not trained on (compare Naseer et al., 2021, section 3.1,
//! who blacken them).

use archaeo_models::{Pass, Tokens};
use archaeo_ops::in_pool;
use burn::tensor::{Int, Tensor, TensorData};

use super::perturbation::{Explained, TENTHS, descending, mean_height, probability};
use super::{Asked, Metric, MetricInfo, Score};
use crate::attribution::{Capability, Evidence, Heatmap};
use crate::statistics::SHARE;
use crate::tensors::{per_image, values};
use crate::{AnalysisError, Paper};

/// Area under the curve of the class's softmax probability over the share of patches that are dropped, 0.1 to 0.9, the most relevant
/// first. A heatmap of pixels counts for a patch with the mean of the patch's pixels.
#[derive(Clone, Copy, Debug)]
pub struct TokenDropping;

static TOKEN_DROPPING: MetricInfo = MetricInfo {
    id: "token-dropping",
    title: "token dropping",
    summary: "mean probability of the class while the most relevant patches are taken out of the sequence",
    higher_is_better: false,
    range: SHARE,
    judged: true,
    needs_mask: false,
    needs: &[Capability::Classes, Capability::FreeSequence],
    passes: 5,
    curve: &TENTHS,
    paper: Paper { citation: "Naseer et al., 2021", url: "https://arxiv.org/abs/2105.10497" },
};

impl Metric for TokenDropping {
    fn info(&self) -> &'static MetricInfo {
        &TOKEN_DROPPING
    }

    fn measure(&self, asked: &Asked) -> Result<Vec<Vec<Score>>, AnalysisError> {
        let evidence = asked.evidence;
        if let Some(reason) = self.info().needs.iter().find_map(|need| need.lacking(evidence.model())) {
            return Err(reason);
        }
        let [_, _, height, width] = evidence.images().dims();
        let patch = evidence.model().card().network.patch_size().expect("a transformer has patches");
        let stems = stems(evidence);
        let answers = |row: usize, kept: &[Vec<usize>]| without(evidence, &stems, row, kept);
        Ok(scores([height / patch, width / patch], &asked.explained(), answers))
    }
}

/// `answers` gives the logits of an image of which only some patches are kept, ascending, as many in each.
pub(super) fn scores(
    grid: [usize; 2],
    explained: &Explained,
    answers: impl Fn(usize, &[Vec<usize>]) -> Vec<Vec<f32>>,
) -> Vec<Vec<Score>> {
    let Explained { keys, targets, heatmaps } = *explained;
    let patches = grid[0] * grid[1];
    let of_image = |row: usize| -> Vec<Score> {
        let order =
            |maps: &Vec<Heatmap>| descending(&on_patches(&maps[row], grid), keys.seed, keys.images[row]);
        let orders: Vec<Vec<usize>> = heatmaps.iter().map(order).collect();
        let mut curves = vec![Vec::with_capacity(TENTHS.len()); orders.len()];
        for share in TENTHS {
            let dropped = ((share * patches as f64).round() as usize).min(patches - 1);
            let kept = |order: &Vec<usize>| {
                let mut kept = order[dropped..].to_vec();
                kept.sort_unstable();
                kept
            };
            let logits = answers(row, &orders.iter().map(kept).collect::<Vec<_>>());
            for (curve, logits) in curves.iter_mut().zip(logits) {
                curve.push(probability(&logits, targets[row]));
            }
        }
        curves.into_iter().map(|curve| Score { value: Some(mean_height(&curve)), curve }).collect()
    };
    let mut scores: Vec<Vec<Score>> = vec![Vec::new(); heatmaps.len()];
    for row in 0..targets.len() {
        scores.iter_mut().zip(of_image(row)).for_each(|(scores, score)| scores.push(score));
    }
    scores
}

/// One value for each patch: those of a map over patches, the mean of the pixels of one over pixels, else interpolated.
pub(super) fn on_patches(heatmap: &Heatmap, [rows, columns]: [usize; 2]) -> Heatmap {
    let Heatmap { height, width, .. } = *heatmap;
    if !height.is_multiple_of(rows) || !width.is_multiple_of(columns) {
        return heatmap.resized(rows, columns);
    }
    let (tall, wide) = (height / rows, width / columns);
    let mean = |place: usize| {
        let (top, left) = (place / columns * tall, place % columns * wide);
        let pixels =
            (top..top + tall).flat_map(|row| (left..left + wide).map(move |column| row * width + column));
        (pixels.map(|pixel| f64::from(heatmap.values[pixel])).sum::<f64>() / (tall * wide) as f64) as f32
    };
    Heatmap::new(rows, columns, (0..rows * columns).map(mean).collect())
}

/// The tokens that the first block receives.
fn stems(evidence: &Evidence) -> Tokens {
    let (model, images) = (evidence.model(), evidence.images().clone());
    in_pool(|| {
        let transformer = model.network.transformer().expect("a transformer has a stem");
        let mut probe = ();
        let mut pass = Pass::evaluate(&mut probe).in_precision(model.precision());
        transformer.stem(model.normalised(images), &mut pass)
    })
}

/// Logits of one image from some of its patches, all prefix tokens kept.
fn without(evidence: &Evidence, stems: &Tokens, row: usize, kept: &[Vec<usize>]) -> Vec<Vec<f32>> {
    let model = evidence.model();
    let prefix = model.network.transformer().expect("a transformer has tokens").prefix().count();
    let tokens = stems.values.clone().narrow(0, row, 1);
    let sequence = |kept: &Vec<usize>| {
        let places: Vec<i64> =
            (0..prefix).chain(kept.iter().map(|patch| prefix + patch)).map(|place| place as i64).collect();
        let count = places.len();
        let places: Tensor<1, Int> = Tensor::from_data(TensorData::new(places, [count]), &tokens.device());
        tokens.clone().select(1, places)
    };
    let sequences = Tensor::cat(kept.iter().map(sequence).collect(), 0);
    let grid = stems.grid;
    let logits = in_pool(|| model.logits_from(0, sequences, grid, &mut Pass::evaluate(&mut ())));
    per_image(&values(logits), kept.len()).map(<[f32]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, random_images, with_evidence};

    /// Keeping everything is the forward pass; dropping a patch is not the same as blackening it, and does not depend on what the
    /// patch showed.
    #[test]
    fn a_dropped_patch_leaves_no_trace() {
        let vit = Fixture::load().vit();
        let images = random_images(2, 3);
        let answers = |images: Tensor<4>, kept: &[usize]| {
            with_evidence(&vit, images, |evidence| {
                without(evidence, &stems(evidence), 1, &[kept.to_vec()]).remove(0)
            })
        };
        let all: Vec<usize> = (0..16).collect();
        let plain = with_evidence(&vit, images.clone(), |evidence| evidence.logits()[5..].to_vec());
        assert_eq!(answers(images.clone(), &all), plain);

        let mut pixels = values(images.clone());
        // Patch 5 of the second image: rows and columns 8 to 15.
        for (channel, row, column) in
            (0..3).flat_map(|c| (8..16).flat_map(move |y| (8..16).map(move |x| (c, y, x))))
        {
            pixels[3 * 1024 + channel * 1024 + row * 32 + column] = 0.0;
        }
        let blackened: Tensor<4> =
            Tensor::from_data(TensorData::new(pixels, [2, 3, 32, 32]), &images.device());
        let others: Vec<usize> = (0..16).filter(|patch| *patch != 5).collect();
        assert_eq!(answers(images.clone(), &others), answers(blackened.clone(), &others));
        assert_ne!(answers(images, &others), answers(blackened, &all));
    }

    #[test]
    fn pixels_count_for_their_patch() {
        let map = Heatmap::new(4, 4, (0..16).map(|i| i as f32).collect());
        assert_eq!(on_patches(&map, [2, 2]).values, [2.5, 4.5, 10.5, 12.5]);
        assert_eq!(on_patches(&map, [4, 4]), map);
        assert_eq!(on_patches(&map, [3, 3]), map.resized(3, 3));
    }
}
