//! Insertion (Petsiuk et al., 2018): how fast the class's probability rises when the most relevant pixels are put into a blurred
//! image.

use super::perturbation::{
    Alteration, Answers, Explained, Perturbation, TENTHS_AND_ENDS, probability, replaced,
};
use super::{Asked, Metric, MetricInfo, Score};
use crate::attribution::Capability;
use crate::statistics::SHARE;
use crate::{AnalysisError, Paper};

pub(super) const RISE: Paper =
    Paper { citation: "Petsiuk et al., 2018", url: "https://arxiv.org/abs/1806.07421" };

/// Deviation of the blur as a share of the image's longer side: 2 px of 32 px, 14 px of 224 px. The authors' program blurs with 5 px
/// at 224 px, which leaves small images recognisable.
const BLUR: f64 = 1.0 / 16.0;

/// Area under the curve of the class's softmax probability over the share of pixels of a blurred image that are set to the image's
/// own, the most relevant first (section 3.3).
#[derive(Clone, Copy, Debug)]
pub struct Insertion;

static INSERTION: MetricInfo = MetricInfo {
    id: "insertion",
    title: "insertion",
    summary: "mean probability of the class while the most relevant pixels are put into the blurred image",
    higher_is_better: true,
    range: SHARE,
    judged: true,
    needs_mask: false,
    needs: &[Capability::Classes],
    passes: 9,
    curve: &TENTHS_AND_ENDS,
    paper: RISE,
};

impl Metric for Insertion {
    fn info(&self) -> &'static MetricInfo {
        &INSERTION
    }

    fn measure(&self, asked: &Asked) -> Result<Vec<Vec<Score>>, AnalysisError> {
        Ok(scores(asked.evidence, &asked.explained()))
    }
}

pub(super) fn scores(model: &dyn Answers, explained: &Explained) -> Vec<Vec<Score>> {
    let altered = |alteration: &Alteration| {
        let plane = alteration.size[0] * alteration.size[1];
        let blurred = blurred(alteration.original, alteration.size);
        let start = Alteration { original: &blurred, ..*alteration };
        replaced(&start, |channel, pixel| alteration.original[channel * plane + pixel])
    };
    let insertion = Perturbation { altered: &altered, least_first: false, ends: true, read: probability };
    insertion.scores(model, explained)
}

/// Gaussian blur of `(3, height, width)`, cut off at three deviations, edges repeated.
fn blurred(image: &[f32], [height, width]: [usize; 2]) -> Vec<f32> {
    let deviation = BLUR * height.max(width) as f64;
    let reach = (3.0 * deviation).ceil() as usize;
    let weights: Vec<f64> = (0..=2 * reach)
        .map(|i| (-(i as f64 - reach as f64).powi(2) / (2.0 * deviation.powi(2))).exp())
        .collect();
    let sum: f64 = weights.iter().sum();
    let along = |source: &[f32], count: usize, stride: usize, start: usize| -> Vec<f32> {
        let at = |place: usize| f64::from(source[start + place * stride]);
        let value = |place: usize| {
            let near =
                |(i, weight): (usize, &f64)| weight * at((place + i).saturating_sub(reach).min(count - 1));
            (weights.iter().enumerate().map(near).sum::<f64>() / sum) as f32
        };
        (0..count).map(value).collect()
    };
    let mut across = Vec::with_capacity(image.len());
    (0..3 * height).for_each(|row| across.extend(along(image, width, 1, row * width)));
    let mut both = across.clone();
    for (channel, column) in (0..3).flat_map(|channel| (0..width).map(move |column| (channel, column))) {
        let start = channel * height * width + column;
        for (row, value) in along(&across, height, width, start).into_iter().enumerate() {
            both[start + row * width] = value;
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_keeps_a_plain_image_and_the_sum_of_a_point() {
        let plain = vec![0.25; 3 * 64];
        assert!(blurred(&plain, [8, 8]).iter().all(|value| (value - 0.25).abs() < 1e-6));
        // A point far from the edges of 64 × 64: deviation 4, so that its own pixel keeps 1/(2π·16) of it.
        let mut point = vec![0.0; 3 * 64 * 64];
        point[32 * 64 + 32] = 1.0;
        let found = blurred(&point, [64, 64]);
        assert!((found[..64 * 64].iter().sum::<f32>() - 1.0).abs() < 1e-4);
        let expected = 1.0 / (std::f64::consts::TAU * 16.0);
        assert!((f64::from(found[32 * 64 + 32]) / expected - 1.0).abs() < 0.01);
        assert!(
            (found[32 * 64 + 36] - found[36 * 64 + 32]).abs() < 1e-7,
            "it is the same in every direction"
        );
        assert!(found[64 * 64..].iter().all(|value| *value == 0.0), "channels are apart");
    }
}
