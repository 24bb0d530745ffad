//! Departures that give another heatmap, and how much is lost where a heatmap points.

use archaeo_models::Classifier;
use archaeo_random::keyed_rng;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;

use super::finding::{column, larger};
use super::{Bench, Conclusion, Departure, DepartureInfo, Finding, Record};
use crate::AnalysisError;
use crate::answers::{logits, probabilities};
use crate::attribution::{Attribution, Centre, Heatmap, rank_correlation};
use crate::faithfulness::auroc;
use crate::statistics::{Resampling, Result as Counted};
use crate::tensors::values;

/// Share of an image's places that are taken away.
const TAKEN: f64 = 0.2;

/// What is measured of every heatmap.
pub(super) const LOSS: &str = "probability that the answer loses when the fifth of the image where the map is largest is painted over with the image's mean colour";

/// A departure that gives another heatmap.
pub(super) struct MapDeparture {
    pub info: DepartureInfo,
    pub lacking: fn(&Classifier) -> Option<String>,
    pub paper: fn(&Bench) -> Result<Vec<Heatmap>, AnalysisError>,
    pub popular: fn(&Bench) -> Result<Vec<Heatmap>, AnalysisError>,
}

/// Places in a record.
const PAPER: usize = 0;
const POPULAR: usize = 1;
const RANDOM: usize = 2;
const CORRELATION: usize = 3;
const MOVED: usize = 4;
const CONSTANT: usize = 5;
const AUROC: [usize; 3] = [6, 7, 8];

impl Departure for MapDeparture {
    fn info(&self) -> &DepartureInfo {
        &self.info
    }

    fn lacking(&self, model: &Classifier) -> Option<String> {
        (self.lacking)(model)
    }

    fn record(&self, bench: &Bench) -> Result<Vec<Record>, AnalysisError> {
        let (paper, popular) = ((self.paper)(bench)?, (self.popular)(bench)?);
        let grid = [paper[0].height, paper[0].width];
        let (lost_paper, lost_popular) = (lost(bench, &paper), lost(bench, &popular));
        let random = bench.lost_at_random(grid);
        let centre = Centre.explain(&bench.evidence, &[])?;
        let one = |image: usize| {
            let sides = [&paper[image], &popular[image], &centre[image]];
            let scores = sides.map(|map| on_object(map, bench, image));
            let correlation = rank_correlation(&paper[image], &popular[image]);
            let moved = hottest(&paper[image]) != hottest(&popular[image]);
            let flags = [moved, popular[image].is_constant()].map(|flag| f64::from(u8::from(flag)));
            let numbers = [lost_paper[image], lost_popular[image], random[image]];
            let correlation = correlation.unwrap_or(f64::NAN);
            numbers.into_iter().chain([correlation]).chain(flags).chain(scores).collect()
        };
        Ok((0..paper.len()).map(one).collect())
    }

    fn conclude(&self, records: &[Record], resampling: &Resampling) -> Counted<Finding> {
        let [paper, popular, random] = [PAPER, POPULAR, RANDOM].map(|place| column(records, place));
        let mut finding = Finding::of_means(&paper, &popular, resampling)?;
        finding.conclusions.push(Conclusion::new(
            "does it find more than a random order does?",
            larger(&paper, &random, resampling)?,
            larger(&popular, &random, resampling)?,
        ));
        let known: Vec<&Record> = records.iter().filter(|record| record[AUROC[0]].is_finite()).collect();
        if !known.is_empty() {
            let [paper, popular, centre] =
                AUROC.map(|place| known.iter().map(|r| r[place]).collect::<Vec<_>>());
            finding.conclusions.push(Conclusion::new(
                "is its AUROC against the true masks above that of the image's centre?",
                larger(&paper, &centre, resampling)?,
                larger(&popular, &centre, resampling)?,
            ));
        }
        let n = records.len();
        let sum = |place: usize| column(records, place).iter().sum::<f64>() as usize;
        finding.details.push(format!("the largest value is elsewhere on {} of {n} images", sum(MOVED)));
        let defined: Vec<f64> = column(records, CORRELATION).into_iter().filter(|r| r.is_finite()).collect();
        if !defined.is_empty() {
            let mean = defined.iter().sum::<f64>() / defined.len() as f64;
            finding.details.push(format!("mean rank correlation of the two maps of an image: {mean:.2}"));
        }
        if sum(CONSTANT) > 0 {
            finding
                .details
                .push(format!("the popular map is the same everywhere on {} of {n} images", sum(CONSTANT)));
        }
        Ok(finding)
    }
}

/// AUROC against the true mask; not a number without one.
fn on_object(map: &Heatmap, bench: &Bench, image: usize) -> f64 {
    let [_, _, height, width] = bench.evidence.images().dims();
    let score = |mask: &Vec<bool>| auroc(&map.resized(height, width), mask);
    bench.masks[image].as_ref().and_then(score).unwrap_or(f64::NAN)
}

fn hottest(map: &Heatmap) -> usize {
    crate::statistics::first_largest(&map.values)
}

/// What the probability of each image's class loses when the places with the largest values, a fifth of all, take the image's mean
/// colour. Equal values are taken in random order, so that a map that says nothing scores as a random one.
pub(super) fn lost(bench: &Bench, maps: &[Heatmap]) -> Vec<f64> {
    let images = bench.evidence.images();
    let [batch, _, height, width] = images.dims();
    let keys = bench.evidence.keys();
    let mut painted = values(images.clone());
    let size = painted.len() / batch;
    for ((pixels, map), &id) in painted.chunks_exact_mut(size).zip(maps).zip(keys.images) {
        let mut inside = vec![false; map.values.len()];
        let count = ((TAKEN * map.values.len() as f64) as usize).max(1);
        order(map, keys.seed, id)[..count].iter().for_each(|&place| inside[place] = true);
        for plane in pixels.chunks_exact_mut(height * width) {
            let mean = plane.iter().map(|&value| f64::from(value)).sum::<f64>() / plane.len() as f64;
            for (at, value) in plane.iter_mut().enumerate() {
                let [row, column] = [at / width * map.height / height, at % width * map.width / width];
                if inside[row * map.width + column] {
                    *value = mean as f32;
                }
            }
        }
    }
    let images: Tensor<4> = Tensor::from_data(TensorData::new(painted, images.dims()), &images.device());
    let model = bench.evidence.model();
    let after = probabilities(&logits(model, images), model.card().classes.len());
    let classes = after.len() / batch;
    let of = |(image, (&class, before)): (usize, (&usize, &f64))| before - after[image * classes + class];
    bench.targets().iter().zip(bench.before()).enumerate().map(of).collect()
}

/// Places from the largest value to the smallest, equal ones in an order drawn for the image.
fn order(map: &Heatmap, seed: u64, image: u64) -> Vec<usize> {
    let mut rng = keyed_rng(seed, "audit order", image, 0);
    let draws: Vec<u32> = map.values.iter().map(|_| rng.random()).collect();
    let mut order: Vec<usize> = (0..map.values.len()).collect();
    order.sort_by(|&a, &b| {
        let (first, second) = (map.values[a], map.values[b]);
        second.partial_cmp(&first).expect("heatmaps are finite").then(draws[a].cmp(&draws[b]))
    });
    order
}
