//! Score-CAM (Wang et al., 2020): channels weighted by what the model says of the image seen through each of them.

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution, channels};
use crate::tensors::{per_image, values};
use crate::{AnalysisError, Paper};

/// Each channel of the last spatial representation is brought to the image's size, scaled from 0 to 1 and multiplied on the image;
/// the class's logits of the images thus masked, softmax over channels, weight the channels, whose sum is cut at zero (algorithm 1).
/// One pass for each channel.
#[derive(Clone, Copy, Debug)]
pub struct ScoreCam;

static SCORE_CAM: MethodInfo = MethodInfo {
    id: "scorecam",
    title: "Score-CAM",
    summary: "channels of the last feature map, weighted by the class's logit of the image seen through each",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Wang et al., 2020", url: "https://arxiv.org/abs/1910.01279" }),
    needs: &[Capability::FeatureMaps, Capability::Classes],
    depends_on_class: true,
    signed: false,
    resolution: Resolution::FeatureMap,
    cost: Cost::Hundreds,
};

impl Attribution for ScoreCam {
    fn info(&self) -> &'static MethodInfo {
        &SCORE_CAM
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        self.require(evidence)?;
        let features = evidence.features();
        let [batch, count, height, width] = features.dims();
        let [_, _, image_height, image_width] = evidence.images().dims();
        let features = values(features);
        let maps: Vec<&[f32]> = per_image(&features, batch).collect();
        let places = height * width;
        let channel_of = |image: usize, channel: usize| &maps[image][channel * places..][..places];
        let answers = evidence.logits_of_variants(count, |image, channel, pixels| {
            let map = Heatmap::new(height, width, channel_of(image, channel).to_vec());
            let mask = map.resized(image_height, image_width).min_max_scaled().values;
            for plane in pixels.chunks_exact_mut(mask.len()) {
                plane.iter_mut().zip(&mask).for_each(|(pixel, share)| *pixel *= share);
            }
        });
        let of_image = |(image, answers): (usize, &Vec<Vec<f32>>)| {
            let scores: Vec<f64> = answers.iter().map(|row| f64::from(row[targets[image]])).collect();
            let mut sum = vec![0f64; places];
            for (channel, weight) in softmax(&scores).into_iter().enumerate() {
                let values = channel_of(image, channel).iter();
                sum.iter_mut().zip(values).for_each(|(sum, &value)| *sum += weight * f64::from(value));
            }
            channels::positive(height, width, &sum)
        };
        Ok(answers.iter().enumerate().map(of_image).collect())
    }
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}
