//! Pictures resized without antialiasing.

use archaeo_models::{Fit, Interpolation, Preprocessing};
use burn::tensor::{Tensor, TensorData};

use super::finding::column;
use super::{Bench, Conclusion, Departure, DepartureInfo, Finding, Original, Record};
use crate::AnalysisError;
use crate::answers::{logits, predicted_classes};
use crate::statistics::{Resampling, Result as Counted};

/// Pictures are resized without antialiasing.
pub(super) struct PlainResize;

static INFO: DepartureInfo = DepartureInfo {
    id: "plain-resize",
    title: "antialiasing of the resize at evaluation",
    paper: "the filter widens with the factor by which a picture shrinks, as in Pillow, with which the models were trained",
    source: "Parmar et al., 2022, arXiv 2104.11222",
    popular: "the filter keeps its width, so that pixels are skipped where a picture shrinks",
    project: "OpenCV's resize and PyTorch's interpolate without antialias=True",
    measure: "accuracy",
};

impl Departure for PlainResize {
    fn info(&self) -> &DepartureInfo {
        &INFO
    }

    /// Right with either resize, whether the answers differ, and whether the picture shrinks.
    fn record(&self, bench: &Bench) -> Result<Vec<Record>, AnalysisError> {
        let model = bench.evidence.model();
        let preprocessing = &model.card().preprocessing;
        let side = preprocessing.image_size;
        let resized: Vec<f32> =
            bench.originals.iter().flat_map(|original| plainly_resized(original, preprocessing)).collect();
        let data = TensorData::new(resized, [bench.originals.len(), 3, side, side]);
        let images = Tensor::from_data(data, &bench.evidence.images().device());
        let answers = predicted_classes(&logits(model, images), model.card().classes.len());
        let numbers = answers.iter().zip(bench.targets()).zip(bench.labels).zip(bench.originals);
        let one = |(((popular, paper), label), original): (((&usize, &usize), &usize), &Original)| {
            let [width, _] = size(original, preprocessing);
            let flags = [paper == label, popular == label, paper != popular, width < original.width];
            flags.map(|flag| f64::from(u8::from(flag))).to_vec()
        };
        Ok(numbers.map(one).collect())
    }

    fn conclude(&self, records: &[Record], resampling: &Resampling) -> Counted<Finding> {
        let [paper, popular, other, shrunk] = [0, 1, 2, 3].map(|place| column(records, place));
        let mut finding = Finding::of_means(&paper, &popular, resampling)?;
        let percent = |accuracy: f64| format!("{:.0} %", 100.0 * accuracy);
        let sides = [percent(finding.paper.value), percent(finding.popular.value)];
        let [first, second] = sides;
        finding.conclusions.push(Conclusion::new("how accurate is the model?", first, second));
        let count = |flags: &[f64]| flags.iter().sum::<f64>() as usize;
        let n = records.len();
        finding.details.push(format!("{} of {n} images are answered otherwise", count(&other)));
        finding
            .details
            .push(format!("{} of {n} pictures shrink on their way into the model", count(&shrunk)));
        Ok(finding)
    }
}

/// Width and height to which a picture is resized before the centre is cropped.
fn size(original: &Original, preprocessing: &Preprocessing) -> [usize; 2] {
    let side = (preprocessing.image_size as f64 / preprocessing.crop).floor() as usize;
    let [width, height] = [original.width, original.height];
    match preprocessing.fit {
        Fit::Squash => [side, side],
        Fit::Crop if width <= height => [side, side * height / width],
        Fit::Crop => [side * width / height, side],
    }
}

/// A picture resized without antialiasing and cropped to the model's input, `(3, side, side)` in [0, 1], rounded to 8 bits.
fn plainly_resized(original: &Original, preprocessing: &Preprocessing) -> Vec<f32> {
    let [width, height] = size(original, preprocessing);
    let side = preprocessing.image_size;
    let filter = preprocessing.interpolation;
    let offset = |size: usize| ((size as f64 - side as f64) / 2.0).round_ties_even().max(0.0) as usize;
    let taps = |from: usize, to: usize| -> Vec<Vec<(usize, f64)>> {
        (0..side).map(|at| taps(at + offset(to), from, to, filter)).collect()
    };
    let (columns, rows) = (taps(original.width, width), taps(original.height, height));
    let mut planes = Vec::with_capacity(3 * side * side);
    for channel in 0..3 {
        let pixel = |x: usize, y: usize| f64::from(original.pixels[(y * original.width + x) * 3 + channel]);
        for row in &rows {
            for column in &columns {
                let along = |y: usize| column.iter().map(|&(x, weight)| weight * pixel(x, y)).sum::<f64>();
                let value: f64 = row.iter().map(|&(y, weight)| weight * along(y)).sum();
                planes.push(value.round().clamp(0.0, 255.0) as f32 / 255.0);
            }
        }
    }
    planes
}

/// The source pixels of one target pixel with their weights, of a filter of its own width whatever the factor; edges are repeated.
pub(super) fn taps(at: usize, from: usize, to: usize, filter: Interpolation) -> Vec<(usize, f64)> {
    let position = (at as f64 + 0.5) * from as f64 / to as f64 - 0.5;
    let first = position.floor();
    let reach: std::ops::RangeInclusive<i64> = match filter {
        Interpolation::Bilinear => 0..=1,
        Interpolation::Bicubic => -1..=2,
        Interpolation::Lanczos => -2..=3,
    };
    let clamped = |place: i64| (first as i64 + place).clamp(0, from as i64 - 1) as usize;
    let all: Vec<(usize, f64)> =
        reach.map(|place| (clamped(place), kernel(filter, position - first - place as f64))).collect();
    let sum: f64 = all.iter().map(|(_, weight)| weight).sum();
    all.into_iter().map(|(place, weight)| (place, weight / sum)).collect()
}

/// Keys' cubic with a = −3/4, as OpenCV and PyTorch have it, a triangle, or a sinc windowed by a wider one.
fn kernel(filter: Interpolation, x: f64) -> f64 {
    let distance = x.abs();
    let sinc =
        |x: f64| if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) };
    match filter {
        Interpolation::Bilinear => (1.0 - distance).max(0.0),
        Interpolation::Bicubic => {
            const A: f64 = -0.75;
            if distance < 1.0 {
                ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0
            } else if distance < 2.0 {
                (((distance - 5.0) * distance + 8.0) * distance - 4.0) * A
            } else {
                0.0
            }
        }
        Interpolation::Lanczos if distance < 3.0 => sinc(x) * sinc(x / 3.0),
        Interpolation::Lanczos => 0.0,
    }
}
