//! SmoothGrad (Smilkov et al., 2017): saliency of many noisy copies of an image, averaged before its magnitude is taken.

use archaeo_random::{keyed_rng, standard_normal};
use burn::tensor::{Tensor, TensorData};

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution, pixels};
use crate::tensors::{per_image, values};
use crate::{AnalysisError, Keys, Paper};

/// The largest magnitude over channels of the mean gradient of the class's logit at copies of the image with Gaussian noise
/// (section 3). Copies are not cut to [0, 1]. Noise is keyed by (seed, image, copy).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SmoothGrad {
    /// Copies of each image, at least one.
    pub samples: usize,
    /// Standard deviation of the noise as a share of the image's range, largest value minus smallest.
    pub noise: f64,
}

impl SmoothGrad {
    /// 25 copies with noise of 0.15 of the range; the paper finds 0.1 to 0.2 good.
    pub const USUAL: Self = Self { samples: 25, noise: 0.15 };
}

static SMOOTH_GRAD: MethodInfo = MethodInfo {
    id: "smoothgrad",
    title: "SmoothGrad",
    summary: "gradient of the class's logit at each pixel, averaged over noisy copies",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Smilkov et al., 2017", url: "https://arxiv.org/abs/1706.03825" }),
    needs: &[Capability::Gradients],
    depends_on_class: true,
    signed: false,
    resolution: Resolution::Pixels,
    cost: Cost::Dozens,
};

impl Attribution for SmoothGrad {
    fn info(&self) -> &'static MethodInfo {
        &SMOOTH_GRAD
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        self.require(evidence)?;
        let images = evidence.images();
        let deviations = self.deviations(images);
        let noise = |sample| noise(images, &deviations, evidence.keys(), sample);
        let mean = mean_gradient(evidence, targets, self.samples, noise);
        Ok(pixels::over_channels(mean, pixels::largest))
    }
}

impl SmoothGrad {
    /// Of the noise on each image.
    fn deviations(&self, images: &Tensor<4>) -> Vec<f64> {
        let of_image = |image: &[f32]| {
            let bound = |start: f32, pick: fn(f32, f32) -> f32| image.iter().copied().fold(start, pick);
            self.noise * f64::from(bound(f32::NEG_INFINITY, f32::max) - bound(f32::INFINITY, f32::min))
        };
        per_image(&values(images.clone()), images.dims()[0]).map(of_image).collect()
    }
}

/// Like `images`.
fn noise(images: &Tensor<4>, deviations: &[f64], keys: Keys, sample: usize) -> Tensor<4> {
    let shape = images.dims();
    let pixels: usize = shape[1..].iter().product();
    let of_image = |(&image, &deviation): (&u64, &f64)| {
        let mut rng = keyed_rng(keys.seed, "smoothgrad noise", image, sample as u64);
        (0..pixels).map(move |_| (deviation * standard_normal(&mut rng)) as f32).collect::<Vec<_>>()
    };
    let drawn: Vec<f32> = keys.images.iter().zip(deviations).flat_map(of_image).collect();
    Tensor::from_data(TensorData::new(drawn, shape), &images.device())
}

/// Over `samples` copies of the batch, to each of which `noise(sample)` is added.
fn mean_gradient(
    evidence: &Evidence,
    targets: &[usize],
    samples: usize,
    noise: impl Fn(usize) -> Tensor<4>,
) -> Tensor<4> {
    assert!(samples > 0, "SmoothGrad takes a copy or more");
    let mut sum = evidence.images().zeros_like();
    for sample in 0..samples {
        sum = sum + evidence.gradients_at(evidence.images().clone() + noise(sample), targets);
    }
    sum / samples as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{MethodFixture, assert_relative, explained, joined, random_images, with_evidence};

    #[test]
    fn with_fixed_noise_it_is_captums() {
        let fixture = MethodFixture::load();
        for subject in fixture.subjects() {
            // The noise of `make_methods.py`: two copies of the batch, one after the other.
            let [batch, _, height, width] = subject.images.dims();
            let values = (0..2 * batch * 3 * height * width).map(|i| (i * 7919 % 1009) as f32 / 1009.0 - 0.5);
            let data = TensorData::new(
                values.map(|value| 0.3 * value).collect::<Vec<_>>(),
                [2 * batch, 3, height, width],
            );
            let noise: Tensor<4> = Tensor::from_data(data, &subject.images.device());
            let found = with_evidence(&subject.model, subject.images.clone(), |evidence| {
                let drawn = |sample: usize| noise.clone().narrow(0, sample * batch, batch);
                mean_gradient(evidence, &subject.targets, 2, drawn)
            });
            let found = joined(&pixels::over_channels(found, pixels::largest));
            assert_relative(&found, fixture.values(&format!("{}.smoothgrad", subject.name)), 1e-4);
        }
    }

    #[test]
    fn noise_belongs_to_its_image_and_has_the_asked_share_of_its_range() {
        let images = random_images(3, 5);
        let scaled = Tensor::cat(vec![images.clone().narrow(0, 0, 2), images.narrow(0, 2, 1) * 0.5], 0);
        let usual = SmoothGrad::USUAL;
        let deviations = usual.deviations(&scaled);
        assert!(
            (deviations[0] - 0.15).abs() < 1e-6 && (deviations[2] - 0.075).abs() < 1e-6,
            "{deviations:?}"
        );
        let drawn = |images: &[u64], sample| {
            let part = scaled.clone().narrow(0, 0, images.len());
            values(noise(&part, &vec![0.1; images.len()], Keys { seed: 1, images }, sample))
        };
        let both = drawn(&[4, 9], 3);
        assert_eq!(both[3072..], drawn(&[9], 3));
        assert_ne!(drawn(&[9], 3), drawn(&[9], 4));
        let variance = both.iter().map(|value| f64::from(value * value)).sum::<f64>() / both.len() as f64;
        assert!((variance.sqrt() - 0.1).abs() < 0.004, "{variance}");
    }

    #[test]
    fn without_noise_it_is_saliency() {
        let fixture = MethodFixture::load();
        let subject = &fixture.subjects()[0];
        let of = |method: &dyn Attribution| {
            explained(method, &subject.model, subject.images.clone(), Some(&subject.targets))
        };
        let silent = joined(&of(&SmoothGrad { samples: 2, noise: 0.0 }));
        assert_relative(&silent, &joined(&of(&crate::attribution::Saliency)), 1e-5);
    }
}
