//! Heatmaps stretched before their masses are compared.

use archaeo_models::Classifier;

use super::finding::column;
use super::{Bench, Conclusion, Departure, DepartureInfo, Finding, Record};
use crate::AnalysisError;
use crate::attribution::{Attribution, method};
use crate::faithfulness::mass_in_mask;
use crate::statistics::{Resampling, Result as Counted, first_largest};

/// Heatmaps are stretched twice before their masses are compared.
pub(super) struct MinMaxMass;

static INFO: DepartureInfo = DepartureInfo {
    id: "min-max-mass",
    title: "stretching a heatmap before its mass is measured",
    paper: "negative values to zero, the rest divided by its sum: what a method gives to all places alike remains",
    source: "Arras et al., 2022, relevance mass accuracy",
    popular: "each map is stretched from 0 to 1, resized and stretched again, which takes away the mass that lies everywhere",
    project: "pytorch-grad-cam scales twice; comparisons of its maps by mass",
    measure: "share of the mass on the object where a mask is known, else in the middle quarter of the image, mean over methods",
};

/// The methods whose masses are compared, those that apply.
const METHODS: [&str; 5] = ["rollout", "attention", "chefer", "grad-cam", "saliency"];

fn applying(model: &Classifier) -> Vec<&'static dyn Attribution> {
    METHODS.iter().filter_map(|id| method(id)).filter(|method| method.applies(model).holds()).collect()
}

impl Departure for MinMaxMass {
    fn info(&self) -> &DepartureInfo {
        &INFO
    }

    /// For each of [`METHODS`] the mass as defined and stretched; not a number where the method does not apply.
    fn record(&self, bench: &Bench) -> Result<Vec<Record>, AnalysisError> {
        let [batch, _, height, width] = bench.evidence.images().dims();
        let middle = |at: usize| {
            let inside = |place: usize, side: usize| (side / 4..side - side / 4).contains(&place);
            inside(at / width, height) && inside(at % width, width)
        };
        let middle: Vec<bool> = (0..height * width).map(middle).collect();
        let applying = applying(bench.evidence.model());
        let mut records = vec![vec![f64::NAN; 2 * METHODS.len()]; batch];
        for (place, id) in METHODS.iter().enumerate() {
            let Some(method) = applying.iter().find(|method| method.info().id == *id) else { continue };
            let maps = method.explain(&bench.evidence, bench.targets())?;
            for ((record, map), mask) in records.iter_mut().zip(maps).zip(bench.masks) {
                let region = mask.as_ref().unwrap_or(&middle);
                let stretched = map.min_max_scaled().resized(height, width).min_max_scaled();
                record[2 * place] = mass_in_mask(&map.resized(height, width), region);
                record[2 * place + 1] = mass_in_mask(&stretched, region);
            }
        }
        Ok(records)
    }

    fn conclude(&self, records: &[Record], resampling: &Resampling) -> Counted<Finding> {
        let applying: Vec<usize> = (0..METHODS.len())
            .filter(|place| records.iter().all(|record| record[2 * place].is_finite()))
            .collect();
        let over_methods = |side: usize| -> Vec<f64> {
            let mean = |record: &Record| {
                let sum: f64 = applying.iter().map(|place| record[2 * place + side]).sum();
                sum / applying.len() as f64
            };
            records.iter().map(mean).collect()
        };
        let mut finding = Finding::of_means(&over_methods(0), &over_methods(1), resampling)?;
        let means = |side: usize| -> Vec<f64> {
            let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
            applying.iter().map(|place| mean(column(records, 2 * place + side))).collect()
        };
        let [paper, popular] = [means(0), means(1)];
        let most = |means: &[f64]| {
            let numbers: Vec<f32> = means.iter().map(|&mean| mean as f32).collect();
            METHODS[applying[first_largest(&numbers)]]
        };
        finding.conclusions.push(Conclusion::new(
            "which method puts most of its mass there?",
            most(&paper),
            most(&popular),
        ));
        for ((place, paper), popular) in applying.iter().zip(&paper).zip(&popular) {
            let [paper, popular] = [paper, popular].map(|share| 100.0 * share);
            finding
                .details
                .push(format!("{}: {paper:.1} % as defined, {popular:.1} % stretched", METHODS[*place]));
        }
        Ok(finding)
    }
}
