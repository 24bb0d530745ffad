//! Max-sensitivity (Yeh et al., 2019): how far a heatmap moves when the image moves a little.

use archaeo_random::keyed_rng;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;

use super::{Asked, Metric, MetricInfo, Score};
use crate::attribution::{Evidence, Heatmap, explain_all};
use crate::statistics::NOT_NEGATIVE;
use crate::{AnalysisError, Keys, Paper};

/// Largest change of a channel, on a scale of [0, 1].
const RADIUS: f32 = 0.02;

/// Altered copies of each image.
const DRAWS: u64 = 6;

/// max over 6 copies x′ of x with independent uniform noise within ±0.02 of ‖Φ(x′) − Φ(x)‖₂ / ‖Φ(x)‖₂, for the same class (definition
/// 2, with explanations compared relative to their length). The copies are not cut to [0, 1].
#[derive(Clone, Copy, Debug)]
pub struct MaxSensitivity;

static SENSITIVITY: MetricInfo = MetricInfo {
    id: "sensitivity",
    title: "max-sensitivity",
    summary: "largest relative change of the heatmap under noise of at most 0.02",
    higher_is_better: false,
    range: NOT_NEGATIVE,
    judged: false,
    needs_mask: false,
    needs: &[],
    passes: 12,
    curve: &[],
    paper: Paper { citation: "Yeh et al., 2019", url: "https://arxiv.org/abs/1901.09392" },
};

impl Metric for MaxSensitivity {
    fn info(&self) -> &'static MetricInfo {
        &SENSITIVITY
    }

    fn measure(&self, asked: &Asked) -> Result<Vec<Vec<Score>>, AnalysisError> {
        let evidence = asked.evidence;
        let images = evidence.images();
        measure(asked, |draw| images.clone() + noise(images, evidence.keys(), draw), DRAWS)
    }
}

fn measure(
    asked: &Asked,
    copy: impl Fn(u64) -> Tensor<4>,
    draws: u64,
) -> Result<Vec<Vec<Score>>, AnalysisError> {
    let Asked { evidence, targets, methods, heatmaps, .. } = *asked;
    let mut largest: Vec<Vec<Option<f64>>> = heatmaps
        .iter()
        .map(|maps| maps.iter().map(|map| (length(&map.values) > 0.0).then_some(0.0)).collect())
        .collect();
    for draw in 0..draws {
        let moved = Evidence::new(evidence.model(), copy(draw), evidence.keys());
        let moved = explain_all(methods, &moved, targets)?;
        for ((largest, maps), moved) in largest.iter_mut().zip(heatmaps).zip(&moved) {
            for ((largest, map), moved) in largest.iter_mut().zip(maps).zip(moved) {
                *largest = largest.map(|known| known.max(change(map, moved)));
            }
        }
    }
    Ok(largest.into_iter().map(|images| images.into_iter().map(Score::of).collect()).collect())
}

/// Of the same shape as `images`.
fn noise(images: &Tensor<4>, keys: Keys, draw: u64) -> Tensor<4> {
    let shape = images.dims();
    let pixels: usize = shape[1..].iter().product();
    let of_image = |&image: &u64| {
        let mut rng = keyed_rng(keys.seed, "sensitivity noise", image, draw);
        (0..pixels).map(move |_| RADIUS * (2.0 * rng.random::<f32>() - 1.0)).collect::<Vec<_>>()
    };
    let drawn: Vec<f32> = keys.images.iter().flat_map(of_image).collect();
    Tensor::from_data(TensorData::new(drawn, shape), &images.device())
}

/// Relative to the first.
pub(super) fn change(map: &Heatmap, moved: &Heatmap) -> f64 {
    let differences: Vec<f32> = map.values.iter().zip(&moved.values).map(|(a, b)| b - a).collect();
    length(&differences) / length(&map.values)
}

fn length(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{Attribution, InputXGradient, Saliency};
    use crate::testing::{MethodFixture, with_evidence};

    #[test]
    fn the_largest_change_counts_relative_to_the_heatmap() {
        let map = Heatmap::new(1, 2, vec![3.0, 4.0]);
        let moved = Heatmap::new(1, 2, vec![3.0, 2.0]);
        assert!((change(&map, &moved) - 0.4).abs() < 1e-12);
        let fixture = MethodFixture::load();
        let subject = &fixture.subjects()[0];
        with_evidence(&subject.model, subject.images.clone(), |evidence| {
            let methods: [&'static dyn Attribution; 2] = [&Saliency, &InputXGradient];
            let heatmaps = explain_all(&methods, evidence, &subject.targets).unwrap();
            let asked = Asked {
                evidence,
                targets: &subject.targets,
                methods: &methods,
                heatmaps: &heatmaps,
                masks: &[],
            };
            // Copies that are the images themselves, and then one that is not.
            let still = measure(&asked, |_| subject.images.clone(), 2).unwrap();
            assert!(still.iter().flatten().all(|score| score.value == Some(0.0)));
            let found = MaxSensitivity.measure(&asked).unwrap();
            let one = measure(
                &asked,
                |draw| subject.images.clone() + noise(&subject.images, evidence.keys(), draw),
                1,
            );
            for (all, one) in found.iter().flatten().zip(one.unwrap().iter().flatten()) {
                assert!(all.value >= one.value && one.value > Some(0.0));
            }
        });
    }
}
