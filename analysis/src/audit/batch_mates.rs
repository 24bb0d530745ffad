//! An attack whose result for an image depends on the other images of the batch.

use archaeo_models::Classifier;
use burn::tensor::{Tensor, TensorData};

use super::finding::column;
use super::{Bench, Conclusion, Departure, DepartureInfo, Finding, Record};
use crate::AnalysisError;
use crate::answers::logits;
use crate::attacks::{Adam, Target};
use crate::statistics::{Resampling, Result as Counted, first_largest};
use crate::tensors::{per_image, values};

/// The loss of the whole batch decides when the attack on each image ends.
pub(super) struct BatchMates;

static INFO: DepartureInfo = DepartureInfo {
    id: "batch-mates",
    title: "when an attack on an image ends",
    paper: "an image's attack ends by its own loss; no other image has a say",
    source: "Carlini and Wagner, 2017, arXiv 1608.04644, section V, which attacks one image",
    popular: "all attacks of a batch end as soon as the sum of their losses has risen over a tenth of the steps",
    project: "torchattacks' CW, issue 184",
    measure: "success of C&W with a constant of 1 and 50 steps, alone and next to the same picture with inverted colours",
};

const STEPS: usize = 50;
const RATE: f64 = 0.01;
const CONSTANT: f64 = 1.0;

impl Departure for BatchMates {
    fn info(&self) -> &DepartureInfo {
        &INFO
    }

    fn lacking(&self, model: &Classifier) -> Option<String> {
        let card = model.card();
        (card.classes.len() < 2).then(|| format!("{} has no second class", card.name))
    }

    /// Right before the attack, and the length of what fools: alone, and with another image in the batch; 0 where nothing does.
    fn record(&self, bench: &Bench) -> Result<Vec<Record>, AnalysisError> {
        let model = bench.evidence.model();
        let images = bench.evidence.images();
        let all = values(images.clone());
        let [count, _, height, width] = images.dims();
        let shape = [height, width];
        let record = |((image, &label), &answer): ((&[f32], &usize), &usize)| {
            if label != answer {
                return vec![0.0; 3];
            }
            let inverted: Vec<f32> = image.iter().map(|value| 1.0 - value).collect();
            let alone = by_the_sum(model, &[image], &[label], shape, images)[0];
            let data = TensorData::new(inverted.clone(), [1, 3, height, width]);
            let mate = first_largest(&logits(model, Tensor::from_data(data, &images.device())));
            let together = by_the_sum(model, &[image, &inverted], &[label, mate], shape, images)[0];
            vec![1.0, alone.unwrap_or(0.0), together.unwrap_or(0.0)]
        };
        Ok(per_image(&all, count).zip(bench.labels).zip(bench.targets()).map(record).collect())
    }

    fn conclude(&self, records: &[Record], resampling: &Resampling) -> Counted<Finding> {
        let [right, alone, together] = [0, 1, 2].map(|place| column(records, place));
        let success = |lengths: &[f64]| -> Vec<f64> {
            lengths.iter().map(|length| f64::from(u8::from(*length > 0.0))).collect()
        };
        let mut finding = Finding::of_means(&success(&alone), &success(&together), resampling)?;
        let other = alone.iter().zip(&together).filter(|(alone, together)| alone != together).count();
        let question = "does the result for an image depend on the rest of its batch?";
        let popular = if other > 0 { "yes" } else { "no" };
        finding.conclusions.push(Conclusion::new(question, "no", popular));
        let attacked = right.iter().filter(|right| **right > 0.0).count();
        finding.details.push(format!(
            "on {other} of {attacked} images that are right, the perturbation is another one next to another image"
        ));
        let both = alone.iter().zip(&together).filter(|(alone, together)| **alone > 0.0 && **together > 0.0);
        let longer = both.map(|(alone, together)| together / alone).fold(1.0, f64::max);
        if longer > 1.0 {
            finding.details.push(format!("at worst it is {:.0} % longer", 100.0 * (longer - 1.0)));
        }
        let lost = alone.iter().zip(&together).filter(|(alone, together)| **alone > 0.0 && **together == 0.0);
        finding.details.push(format!("{} images are fooled only alone", lost.count()));
        Ok(finding)
    }
}

/// The length in L2 of what fools each image of a batch, by Adam on the sum over the batch of ‖x − x₀‖² + c · max(z_y − m, 0), with m
/// the largest of the logits after that of the label is multiplied by 0.
pub(super) fn by_the_sum(
    target: &dyn Target,
    images: &[&[f32]],
    labels: &[usize],
    [height, width]: [usize; 2],
    like: &Tensor<4>,
) -> Vec<Option<f64>> {
    let origin: Vec<f64> = images.concat().iter().map(|&x| (2.0 * f64::from(x) - 1.0).atanh()).collect();
    let mut moved = origin.clone();
    let mut adam = Adam::new(origin.len());
    let mut best: Vec<Option<f64>> = vec![None; images.len()];
    let mut before = f64::INFINITY;
    let masked = |logits: &[f32], label: usize| -> (usize, f64) {
        let masked = |class: usize| if class == label { 0.0 } else { f64::from(logits[class]) };
        let largest =
            (1..logits.len()).fold(0, |best, class| if masked(class) > masked(best) { class } else { best });
        (largest, f64::from(logits[label]) - masked(largest))
    };
    for step in 0..STEPS {
        let places: Vec<f32> = moved.iter().map(|w| ((w.tanh() + 1.0) / 2.0) as f32).collect();
        let data = TensorData::new(places.clone(), [images.len(), 3, height, width]);
        let slopes = |image: usize, logits: &[f32]| {
            let mut slopes = vec![0.0; logits.len()];
            let (largest, above) = masked(logits, labels[image]);
            if above > 0.0 {
                slopes[labels[image]] = CONSTANT as f32;
                if largest != labels[image] {
                    slopes[largest] = -CONSTANT as f32;
                }
            }
            slopes
        };
        let found = target.gradient(Tensor::from_data(data, &like.device()), &slopes);
        let mut sum = 0.0;
        let rows = found.logits.chunks_exact(target.classes()).zip(per_image(&places, images.len()));
        for (image, (logits, place)) in rows.enumerate() {
            let change = place.iter().zip(images[image]).map(|(&x, &clean)| f64::from(x) - f64::from(clean));
            let square: f64 = change.map(|change| change * change).sum();
            sum += square + CONSTANT * masked(logits, labels[image]).1.max(0.0);
            let nearer = best[image].is_none_or(|length| square.sqrt() < length);
            if first_largest(logits) != labels[image] && nearer {
                best[image] = Some(square.sqrt());
            }
        }
        if step.is_multiple_of(STEPS / 10) {
            if sum > before {
                break;
            }
            before = sum;
        }
        let clean = images.concat();
        let slopes = moved.iter().zip(&clean).zip(&found.gradient).map(|((w, &clean), &slope)| {
            let tanh = w.tanh();
            let by_pixel = tanh + 1.0 - 2.0 * f64::from(clean) + f64::from(slope);
            by_pixel * (1.0 - tanh * tanh) / 2.0
        });
        let slopes: Vec<f64> = slopes.collect();
        moved.iter_mut().zip(adam.moments(&slopes)).for_each(|(w, (mean, root))| *w -= RATE * mean / root);
    }
    best
}
