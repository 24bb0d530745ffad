//! EigenCAM (Muhammad & Yeasin, 2020): the strongest pattern of the last spatial representation, whatever the class.

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution, channels};
use crate::tensors::{per_image, values};
use crate::{AnalysisError, Paper};

/// Rounds of the power iteration after which it ends in any case: two patterns of all but the same strength take their time.
const MOST_ROUNDS: usize = 5000;

/// Change of the unit vector at which the power iteration has converged.
const CONVERGED: f64 = 1e-10;

/// The last spatial representation, each channel centred over its places, projected on its first principal component; the sign is
/// that which makes the place of largest magnitude positive, and what is negative then is cut at zero. It tells the strongest
/// pattern from the rest of the image, not a class from another.
#[derive(Clone, Copy, Debug)]
pub struct EigenCam;

static EIGEN_CAM: MethodInfo = MethodInfo {
    id: "eigencam",
    title: "EigenCAM",
    summary: "the first principal component of the last feature map",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Muhammad and Yeasin, 2020", url: "https://arxiv.org/abs/2008.00299" }),
    needs: &[Capability::FeatureMaps],
    depends_on_class: false,
    signed: false,
    resolution: Resolution::FeatureMap,
    cost: Cost::Shared,
};

impl Attribution for EigenCam {
    fn info(&self) -> &'static MethodInfo {
        &EIGEN_CAM
    }

    fn explain(&self, evidence: &Evidence, _: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        let features = evidence.features();
        let [batch, _, height, width] = features.dims();
        let features = values(features);
        let of_image =
            |image: &[f32]| channels::positive(height, width, &first_component(image, height * width));
        Ok(per_image(&features, batch).map(of_image).collect())
    }
}

/// The projection of `(channels, places)` values, centred, on their first principal component, `(places)`.
fn first_component(features: &[f32], places: usize) -> Vec<f64> {
    let centred = features.chunks_exact(places).map(|channel| {
        let mean = channel.iter().map(|&value| f64::from(value)).sum::<f64>() / places as f64;
        channel.iter().map(|&value| f64::from(value) - mean).collect::<Vec<_>>()
    });
    let centred: Vec<Vec<f64>> = centred.collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let strongest = centred.iter().max_by(|a, b| product(a, a).total_cmp(&product(b, b)));
    let mut map = strongest.cloned().unwrap_or_default();
    let mut direction = vec![0f64; centred.len()];
    // Right and left singular vectors in turns: `map` belongs to the places, `direction` to the channels.
    for _ in 0..MOST_ROUNDS {
        let mut next: Vec<f64> = centred.iter().map(|channel| product(channel, &map)).collect();
        let length = product(&next, &next).sqrt();
        if length == 0.0 {
            return vec![0.0; places];
        }
        next.iter_mut().for_each(|value| *value /= length);
        map = vec![0.0; places];
        for (channel, &share) in centred.iter().zip(&next) {
            map.iter_mut().zip(channel).for_each(|(sum, value)| *sum += share * value);
        }
        let change = next.iter().zip(&direction).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        direction = next;
        if change < CONVERGED {
            break;
        }
    }
    let largest =
        map.iter().copied().fold(0.0f64, |most, value| if value.abs() > most.abs() { value } else { most });
    if largest < 0.0 {
        map.iter_mut().for_each(|value| *value = -*value);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_close;

    #[test]
    fn one_pattern_with_an_offset_in_every_channel_is_found_up_to_its_strength() {
        let pattern = [3.0, -1.0, -1.0, -1.0];
        let features: Vec<f32> = [(0.5, 7.0), (-2.0, 1.0), (1.0, -3.0)]
            .iter()
            .flat_map(|(a, b)| pattern.map(|p| a * p + b))
            .collect();
        let strength = (0.25f64 + 4.0 + 1.0).sqrt();
        let expected: Vec<f32> = pattern.iter().map(|&p| (f64::from(p) * strength) as f32).collect();
        let found: Vec<f32> = first_component(&features, 4).iter().map(|&v| v as f32).collect();
        assert_close(&found, &expected, 1e-6);
    }

    #[test]
    fn constant_channels_have_no_pattern() {
        assert_eq!(first_component(&[2.0, 2.0, 5.0, 5.0], 2), [0.0, 0.0]);
    }
}
