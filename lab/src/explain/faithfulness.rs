//! How far heatmaps can be believed: every method's score on this model and these images, measured before the first is shown.

use std::collections::BTreeMap;

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{Attribution, Evidence, Kind, explain_all, method};
use archaeo_analysis::faithfulness::{
    Asked, Comparison, FEWEST_IMAGES, Gain, Metric, MetricInfo, Score, gains, mean_score, metric,
};
use archaeo_analysis::statistics::{Better, Estimate, Resampling};
use archaeo_training::images::{preprocess, to_tensor};
use serde::Serialize;

use crate::error::LabError;
use crate::opened::Opened;
use crate::session::Session;

/// By what methods are scored; the first is what pictures show.
const METRICS: [&str; 2] = ["deletion", "insertion"];

/// What a method has to be better than.
const BASELINES: [&str; 2] = ["random", "centre"];

/// Images that are scored at once: each is asked about some hundred times.
const AT_ONCE: usize = 8;

/// How far the heatmaps can be believed.
#[derive(Clone, Debug, Serialize)]
pub struct Faithfulness {
    /// Images on which the methods were scored; 0 where they were not.
    pub n: usize,
    /// Why they were not; `None` where they were.
    pub not_measured: Option<String>,
    /// What was measured, the first being what pictures show.
    pub metrics: Vec<MetricInfo>,
    /// By the method's ID, and then the metric's, with the baselines random and centre.
    pub methods: BTreeMap<&'static str, BTreeMap<&'static str, MethodScore>>,
}

/// One method by one metric.
#[derive(Clone, Debug, Serialize)]
pub struct MethodScore {
    /// Mean over images.
    pub mean: Estimate,
    /// What is gained over random values; p-values are adjusted over methods and metrics. `None` of baselines.
    pub over_random: Option<Gain>,
    /// What is gained over a Gaussian at the image's centre, likewise.
    pub over_centre: Option<Gain>,
}

impl Faithfulness {
    /// `deletion 0.31 ↓ on 16 images; better than random: yes, than the centre: cannot be told`, or why that is not known.
    pub fn of(&self, id: &str) -> String {
        if let Some(reason) = &self.not_measured {
            return format!("faithfulness not measured: {reason}");
        }
        let Some((info, score)) = self.shown(id) else { return "faithfulness not measured".into() };
        let verdict = |gain: &Option<Gain>| gain.as_ref().map(|gain| gain.better.to_string());
        let mut said = format!(
            "{} {:.2} {} on {} images",
            info.title,
            score.mean.value,
            if info.higher_is_better { "↑" } else { "↓" },
            score.mean.n
        );
        if let (Some(random), Some(centre)) = (verdict(&score.over_random), verdict(&score.over_centre)) {
            said += &format!("; better than random: {random}, than the centre: {centre}");
        }
        said
    }

    /// The same as short as a panel among others has room for: `0.31 · random yes · centre ?`.
    pub fn brief(&self, id: &str) -> String {
        let Some((_, score)) = self.shown(id) else { return "not measured".into() };
        let sign = |gain: &Option<Gain>| match gain.as_ref().map(|gain| gain.better) {
            Some(Better::Yes) => "yes",
            Some(Better::No) => "no",
            Some(Better::CannotBeTold) => "?",
            None => "–",
        };
        format!(
            "{:.2} · random {} · centre {}",
            score.mean.value,
            sign(&score.over_random),
            sign(&score.over_centre)
        )
    }

    fn shown(&self, id: &str) -> Option<(&MetricInfo, &MethodScore)> {
        let info = self.metrics.first()?;
        Some((info, self.methods.get(id)?.get(info.id)?))
    }

    fn nothing(reason: String) -> Self {
        Self { n: 0, not_measured: Some(reason), metrics: Vec::new(), methods: BTreeMap::new() }
    }
}

impl Session {
    /// Scores `methods` on at most `most` of the images, at even steps, for the class that the model names.
    pub(super) fn believed(
        &self,
        opened: &[Opened],
        methods: &[&dyn Attribution],
        most: usize,
    ) -> Result<Faithfulness, LabError> {
        let model = &opened[0].model;
        let all: Vec<(usize, usize)> = (opened.iter().enumerate())
            .flat_map(|(source, opened)| opened.indices.iter().map(move |&index| (source, index)))
            .collect();
        let count = all.len().min(most);
        let reason = match (model.card().classes.len(), all.len()) {
            (0 | 1, _) => Some("the model tells no classes apart".to_owned()),
            _ if most < FEWEST_IMAGES => Some("it was not asked for".into()),
            (_, 1) => Some("nothing can be told from one image; give --data with 10 or more".into()),
            (_, images) if images < FEWEST_IMAGES => {
                Some(format!("nothing can be told from {images} images; give --data with 10 or more"))
            }
            _ => None,
        };
        if let Some(reason) = reason {
            return Ok(Faithfulness::nothing(reason));
        }
        let chosen: Vec<(usize, usize)> = (0..count).map(|i| all[i * all.len() / count]).collect();
        let metrics: Vec<&'static dyn Metric> = METRICS.into_iter().filter_map(metric).collect();
        let missing = BASELINES.into_iter().filter(|id| methods.iter().all(|method| method.info().id != *id));
        let baselines = missing.filter_map(method).map(|method| -> &dyn Attribution { method });
        let methods: Vec<&dyn Attribution> = methods.iter().copied().chain(baselines).collect();
        let mut scores: Vec<Vec<Vec<Option<f64>>>> = vec![vec![Vec::new(); methods.len()]; metrics.len()];
        let work = self.counting("scoring the methods", count);
        for (source, opened) in opened.iter().enumerate() {
            let indices: Vec<usize> =
                chosen.iter().filter(|(of, _)| *of == source).map(|(_, index)| *index).collect();
            for batch in indices.chunks(AT_ONCE) {
                if self.listener().interrupted() {
                    return Err(LabError::Interrupted);
                }
                let measured = self.scores(opened, batch, &methods, &metrics)?;
                for (known, found) in scores.iter_mut().flatten().zip(measured.into_iter().flatten()) {
                    known.extend(found.into_iter().map(|score| score.value));
                }
                work.advance(batch.len());
            }
        }
        self.concluded(count, &methods, &metrics, &scores)
    }

    /// `[metric][method][image]`
    fn scores(
        &self,
        opened: &Opened,
        batch: &[usize],
        methods: &[&dyn Attribution],
        metrics: &[&'static dyn Metric],
    ) -> Result<Vec<Vec<Vec<Score>>>, LabError> {
        let Opened { model, device, .. } = opened;
        let preprocessing = &model.card().preprocessing;
        let samples = opened.split()?.batch(batch, |image| preprocess(image, preprocessing))?;
        let images: Vec<_> = samples.into_iter().map(|sample| sample.image).collect();
        let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
        let evidence =
            Evidence::new(model, to_tensor(&images, device), Keys { seed: self.seed(), images: &ids });
        if evidence.logits().iter().any(|logit| !logit.is_finite()) {
            // The images are explained afterwards, and that names the one whose answer is not finite.
            return Ok(vec![vec![vec![Score::default(); batch.len()]; methods.len()]; metrics.len()]);
        }
        let targets = evidence.predicted()?;
        let heatmaps = explain_all(methods, &evidence, &targets)?;
        let asked =
            Asked { evidence: &evidence, targets: &targets, methods, heatmaps: &heatmaps, masks: &[] };
        Ok(metrics.iter().map(|metric| metric.measure(&asked)).collect::<Result<_, _>>()?)
    }

    fn concluded(
        &self,
        n: usize,
        methods: &[&dyn Attribution],
        metrics: &[&'static dyn Metric],
        scores: &[Vec<Vec<Option<f64>>>],
    ) -> Result<Faithfulness, LabError> {
        let place = |id: &str| methods.iter().position(|method| method.info().id == id);
        let over = |id: &str| -> Result<Vec<Option<Gain>>, LabError> {
            let Some(baseline) = place(id) else { return Ok(vec![None; metrics.len() * methods.len()]) };
            let mut comparisons = Vec::new();
            for (metric, scores) in metrics.iter().zip(scores) {
                for (own, method) in scores.iter().zip(methods) {
                    let own = if method.info().kind == Kind::Explanation { own.as_slice() } else { &[] };
                    comparisons.push(Comparison { metric: metric.info(), own, baseline: &scores[baseline] });
                }
            }
            Ok(gains(&comparisons, &Resampling::new(self.seed()))?)
        };
        let [over_random, over_centre] = [over(BASELINES[0])?, over(BASELINES[1])?];
        let mut found: BTreeMap<&str, BTreeMap<&str, MethodScore>> = BTreeMap::new();
        let all = metrics
            .iter()
            .enumerate()
            .flat_map(|(i, metric)| methods.iter().enumerate().map(move |method| (i, metric, method)));
        for ((i, metric, (j, method)), (over_random, over_centre)) in
            all.zip(over_random.into_iter().zip(over_centre))
        {
            let Some(mean) = mean_score(metric.info(), &scores[i][j])?.known().cloned() else { continue };
            let score = MethodScore { mean, over_random, over_centre };
            found.entry(method.info().id).or_default().insert(metric.info().id, score);
        }
        let metrics = metrics.iter().map(|metric| *metric.info()).collect();
        Ok(Faithfulness { n, not_measured: None, metrics, methods: found })
    }
}
