//! From the scores of images to what is said of methods and metrics.

use std::collections::BTreeMap;

use archaeo_analysis::attribution::{Attribution, Kind};
use archaeo_analysis::faithfulness::{Comparison, Gain, MetricInfo, Score, gains, mean_score};
use archaeo_analysis::statistics::{Measured, RankCorrelation, Resampling, benjamini_hochberg, spearman};

use super::findings::{
    FaithfulnessFindings, MethodFaithfulness, MetricAgreement, MetricScore, ModelFaithfulness,
};
use super::{CHANGED, FaithfulnessStudy, ImageFaithfulness, methods_of, metrics_of};
use crate::scene::{Scene, StudyError};
use crate::subjects::{ByModel, ModelName};
use crate::units::Recorded;

/// One method's scores by one metric, image by image.
struct Series {
    model: ModelName,
    metric: &'static MetricInfo,
    /// Place among the model's methods.
    method: usize,
    explanation: bool,
    id: &'static str,
    scores: Vec<Score>,
    values: Vec<Option<f64>>,
}

pub(super) fn conclude(
    scene: &Scene,
    recorded: &[Recorded<ImageFaithfulness>],
) -> Result<FaithfulnessFindings, StudyError> {
    let options = scene.options.of::<FaithfulnessStudy>();
    let mut all: Vec<Series> = Vec::new();
    for Recorded { unit, records } in recorded {
        let methods = methods_of(scene, unit);
        for (place, metric) in metrics_of(scene.model(unit.model), &options, &unit.aspect).iter().enumerate()
        {
            for (method, info) in methods.iter().map(|method| method.info()).enumerate() {
                let scores: Vec<Score> =
                    records.iter().map(|record| record.scores[place][method].clone()).collect();
                let values = scores.iter().map(|score| score.value).collect();
                all.push(Series {
                    model: unit.model,
                    metric: metric.info(),
                    method,
                    explanation: info.kind == Kind::Explanation,
                    id: info.id,
                    scores,
                    values,
                });
            }
        }
    }
    let resampling = scene.resampling();
    let [over_random, over_centre] = ["random", "centre"].map(|id| against(&all, id, &resampling));
    let (over_random, over_centre) = (over_random?, over_centre?);

    let mut models = ByModel::default();
    for name in scene.names() {
        let model = scene.model(name);
        let of_aspect = |wanted: &str| {
            let unit = recorded.iter().find(|of| of.unit.model == name && of.unit.aspect == wanted);
            unit.map_or(0, |of| of.records.len())
        };
        let reason = |metric: &'static dyn archaeo_analysis::faithfulness::Metric| {
            Some((metric.info().id.to_owned(), metric.applies(model).reason()?))
        };
        let unit = recorded.iter().find(|of| of.unit.model == name).map(|of| &of.unit);
        let asked = unit.map_or_else(Vec::new, |unit| methods_of(scene, unit));
        let mut methods: Vec<MethodFaithfulness> = Vec::new();
        for (place, method) in asked.iter().enumerate() {
            let mut scores = BTreeMap::new();
            for (i, series) in all.iter().enumerate() {
                if series.model == name && series.method == place {
                    let score = MetricScore {
                        mean: mean_score(series.metric, &series.values)?,
                        curve: mean_curve(&series.scores),
                        over_random: over_random[i].clone(),
                        over_centre: over_centre[i].clone(),
                    };
                    scores.insert(series.metric.id.to_owned(), score);
                }
            }
            methods.push(of_method(*method, scores));
        }
        rank(&mut methods, &options.metrics().map(|metric| metric.info()).collect::<Vec<_>>());
        let applying: Vec<&MetricInfo> = (options.metrics())
            .filter(|metric| metric.applies(model).holds())
            .map(|metric| metric.info())
            .collect();
        models.insert(
            name,
            ModelFaithfulness {
                images: of_aspect(CHANGED),
                images_asked_again: of_aspect(super::ASKED_AGAIN),
                left_out: options.metrics().filter_map(reason).collect(),
                agreement: agreement(&methods, &applying, &resampling)?,
                methods,
            },
        );
    }
    Ok(FaithfulnessFindings {
        metrics: options.metrics().map(|metric| metric.info().id.into()).collect(),
        models,
    })
}

fn of_method(method: &dyn Attribution, scores: BTreeMap<String, MetricScore>) -> MethodFaithfulness {
    let info = method.info();
    MethodFaithfulness {
        method: info.id.into(),
        title: info.title.into(),
        baseline: info.kind == Kind::Baseline,
        rank: None,
        scores,
    }
}

/// What each series gains over its model's baseline of that ID; `None` where it is not compared.
fn against(all: &[Series], id: &str, resampling: &Resampling) -> Result<Vec<Option<Gain>>, StudyError> {
    let baseline = |own: &Series| {
        let same = |other: &&Series| other.id == id && other.model == own.model && other.metric == own.metric;
        all.iter().find(same)
    };
    let compared = |own: &Series| (own.metric.judged && own.explanation).then(|| baseline(own)).flatten();
    let baselines: Vec<Option<&Series>> = all.iter().map(compared).collect();
    let comparisons: Vec<Comparison> = (all.iter().zip(&baselines))
        .filter_map(|(own, baseline)| {
            Some(Comparison { metric: own.metric, own: &own.values, baseline: &(*baseline)?.values })
        })
        .collect();
    let mut found = gains(&comparisons, resampling)?.into_iter();
    Ok(baselines.iter().map(|baseline| baseline.and_then(|_| found.next().flatten())).collect())
}

/// Over the images with a curve.
fn mean_curve(scores: &[Score]) -> Vec<f64> {
    let curves: Vec<&Vec<f64>> =
        scores.iter().map(|score| &score.curve).filter(|curve| !curve.is_empty()).collect();
    let points = curves.first().map_or(0, |curve| curve.len());
    (0..points)
        .map(|point| curves.iter().map(|curve| curve[point]).sum::<f64>() / curves.len() as f64)
        .collect()
}

/// A method's mean, larger where it is better.
fn goodness(method: &MethodFaithfulness, metric: &MetricInfo) -> Option<f64> {
    let mean = method.scores.get(metric.id)?.mean.known()?.value;
    Some(if metric.higher_is_better { mean } else { -mean })
}

/// Gives every method its mean rank, ties sharing theirs, and puts explanations first, the best of them at the top.
fn rank(methods: &mut [MethodFaithfulness], metrics: &[&'static MetricInfo]) {
    let rank_by = |method: &MethodFaithfulness, metric: &&MetricInfo| -> Option<f64> {
        let own = goodness(method, metric)?;
        let others: Vec<f64> = methods.iter().filter_map(|other| goodness(other, metric)).collect();
        let better = others.iter().filter(|other| **other > own).count() as f64;
        let equal = others.iter().filter(|other| **other == own).count() as f64;
        Some(better + (equal + 1.0) / 2.0)
    };
    let judged: Vec<&MetricInfo> = metrics.iter().copied().filter(|metric| metric.judged).collect();
    let mean_rank = |method: &MethodFaithfulness| {
        let ranks: Vec<f64> = judged.iter().filter_map(|metric| rank_by(method, metric)).collect();
        (!ranks.is_empty()).then(|| ranks.iter().sum::<f64>() / ranks.len() as f64)
    };
    let ranks: Vec<Option<f64>> = methods.iter().map(mean_rank).collect();
    methods.iter_mut().zip(ranks).for_each(|(method, rank)| method.rank = rank);
    methods.sort_by(|a, b| {
        let key = |method: &MethodFaithfulness| method.rank.unwrap_or(f64::INFINITY);
        a.baseline.cmp(&b.baseline).then(key(a).total_cmp(&key(b)))
    });
}

/// Of every two metrics, over the explanations that have both.
fn agreement(
    methods: &[MethodFaithfulness],
    metrics: &[&'static MetricInfo],
    resampling: &Resampling,
) -> Result<Vec<MetricAgreement>, StudyError> {
    let mut found = Vec::new();
    for (place, first) in metrics.iter().enumerate() {
        for second in &metrics[place + 1..] {
            let explanations = methods.iter().filter(|method| !method.baseline);
            let pairs =
                explanations.filter_map(|method| Some((goodness(method, first)?, goodness(method, second)?)));
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.unzip();
            let correlation = Measured::of(spearman(&a, &b, resampling))?;
            found.push(MetricAgreement { metrics: [first.id.into(), second.id.into()], correlation });
        }
    }
    let known = |pair: &MetricAgreement| pair.correlation.known().map(|known| known.p_value);
    let mut adjusted = benjamini_hochberg(&found.iter().filter_map(known).collect::<Vec<_>>())?.into_iter();
    for pair in &mut found {
        pair.correlation = pair.correlation.clone().map(|known| RankCorrelation {
            p_value: adjusted.next().expect("one for each that is known"),
            ..known
        });
    }
    Ok(found)
}
