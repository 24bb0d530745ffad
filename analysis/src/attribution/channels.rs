//! What the class activation maps share: sums over the channels of the last spatial representation.

use super::{Evidence, Heatmap};
use crate::AnalysisError;
use crate::tensors::{per_image, values};

/// One heatmap for each image: what `add(activations, gradients, sum)` adds to `sum` for each channel, all three `(height · width)`,
/// cut at zero. The heatmap has the resolution of [`Evidence::features`].
///
/// # Errors
/// A model without a head.
pub(super) fn summed(
    evidence: &Evidence,
    targets: &[usize],
    add: impl Fn(&[f32], &[f32], &mut [f64]),
) -> Result<Vec<Heatmap>, AnalysisError> {
    let gradients = evidence.feature_gradients(targets)?;
    let features = evidence.features();
    let [batch, _, height, width] = features.dims();
    let (features, gradients) = (values(features), values(gradients.as_ref().clone()));
    let places = height * width;
    let of_image = |(features, gradients): (&[f32], &[f32])| {
        let mut sum = vec![0f64; places];
        for (channel, slopes) in features.chunks_exact(places).zip(gradients.chunks_exact(places)) {
            add(channel, slopes, &mut sum);
        }
        positive(height, width, &sum)
    };
    Ok(per_image(&features, batch).zip(per_image(&gradients, batch)).map(of_image).collect())
}

/// Cut at zero.
pub(super) fn positive(height: usize, width: usize, sum: &[f64]) -> Heatmap {
    Heatmap::new(height, width, sum.iter().map(|value| value.max(0.0) as f32).collect())
}
