//! One table of all methods, the curves, and the agreement of metrics.

use archaeo_analysis::faithfulness::{Gain, MetricInfo, metric};
use archaeo_analysis::statistics::{Better, Measured};
use archaeo_plot::{Axis, LineChart, LineSeries, MatrixChart, Scale, Uncertainty, ValueFormat};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, counted, decimal};

use super::FaithfulnessStudy;
use super::claims::{advice, claims};
use super::findings::{FaithfulnessFindings, MethodFaithfulness, MetricScore, ModelFaithfulness, headline};
use crate::report::Names;
use crate::report::charts::bare_point;
use crate::report::method::definition;
use crate::report::names::capitalised;
use crate::study::{Chapter, Study};
use crate::subjects::ModelName;

/// Curves of explanations in one chart, besides those of random and centre.
const MOST_CURVES: usize = 3;

pub(super) fn chapter(findings: &FaithfulnessFindings, names: &Names) -> Chapter {
    let infos = infos(findings);
    let first = findings.models.values().next();
    let (changed, again) = first.map_or((0, 0), |model| (model.images, model.images_asked_again));
    let intro = format!(
        "A heatmap is faithful if the model needs what it marks. {} were changed in the order of every heatmap; for {} every method was \
         asked again. The class that a model names is explained. An arrow says which way a metric counts.",
        capitalised(&counted(changed, "image")),
        counted(again, "image")
    );
    let mut blocks = vec![Block::Paragraph(intro.into())];
    for (name, model) in findings.models.iter() {
        blocks.push(Block::Heading(names.bare(name).into()));
        blocks.push(Block::Appendix(table(model, &infos)));
        blocks.push(verdicts(model, &infos));
        blocks.extend(curves(model, name, &infos, names));
        blocks.extend(agreement(model, name, &infos, names));
        blocks.extend(left_out(model));
    }
    let section = Section { id: FaithfulnessStudy::ID, title: FaithfulnessStudy::TITLE, blocks };
    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.definitions = infos.iter().map(|info| defined(info)).collect();
    chapter.advice = advice(findings, names);
    chapter.limitations = vec![
        "Faithfulness is measured on images that were changed: a model may answer to the change itself (its colour, its outline) as well \
         as to what is missing. ROAD and token dropping are less exposed to this than deletion."
            .into(),
    ];
    chapter.sample = Some(("faithfulness of explanations", changed));
    let mean =
        first.zip(headline(findings)).and_then(|(model, info)| model.methods.first()?.scores.get(info.id));
    if let Some(Measured::Known(mean)) = mean.map(|score| &score.mean) {
        chapter.intervals.push(("Faithfulness score", mean.clone()));
    }
    if let Some(gain) = mean.and_then(|score| score.over_random.as_ref()) {
        chapter.intervals.push(("Faithfulness gained over a baseline", gain.difference.clone()));
    }
    chapter
}

fn infos(findings: &FaithfulnessFindings) -> Vec<&'static MetricInfo> {
    findings.metrics.iter().filter_map(|id| metric(id)).map(|metric| metric.info()).collect()
}

fn defined(info: &MetricInfo) -> (String, Text) {
    let way = if info.higher_is_better { "higher is better" } else { "lower is better" };
    let baseline = match info.judged {
        true => "",
        false => " A heatmap that knows nothing may do well by it, so that it is not held against baselines.",
    };
    let meaning = format!("{}; {way}.{baseline}", capitalised(info.summary));
    definition(&capitalised(info.title), &meaning, &[(info.paper.citation, info.paper.url)])
}

fn arrow(info: &MetricInfo) -> &'static str {
    if info.higher_is_better { "↑" } else { "↓" }
}

fn table(model: &ModelFaithfulness, infos: &[&'static MetricInfo]) -> Table {
    let measured: Vec<&&MetricInfo> =
        infos.iter().filter(|info| !model.left_out.contains_key(info.id)).collect();
    let cell = |method: &MethodFaithfulness, info: &MetricInfo| -> Text {
        match method.scores.get(info.id).map(|score| &score.mean) {
            Some(Measured::Known(mean)) => Unit::Coefficient.cell(mean),
            _ => "–".into(),
        }
    };
    let row = |method: &MethodFaithfulness| -> Vec<Text> {
        let name =
            if method.baseline { format!("{} (baseline)", method.title) } else { method.title.clone() };
        let rank = method.rank.map_or("–".into(), |rank| decimal(rank, 1));
        let first = [Text::from(capitalised(&name)), rank.into()];
        first.into_iter().chain(measured.iter().map(|info| cell(method, info))).collect()
    };
    let mut columns = vec![Column::words("Heatmap"), Column::numbers("Mean rank")];
    columns.extend(
        measured.iter().map(|info| Column::numbers(format!("{} {}", capitalised(info.title), arrow(info)))),
    );
    Table {
        caption: format!(
            "Explanations by their mean rank over the metrics that baselines are held against, and then baselines; means over {} \
             ({} where methods are asked again) with 95 % intervals.",
            counted(model.images, "image"),
            model.images_asked_again
        )
        .into(),
        columns,
        rows: model.methods.iter().map(row).collect(),
    }
}

/// Whether each explanation is better than random and than the centre, metric by metric.
fn verdicts(model: &ModelFaithfulness, infos: &[&'static MetricInfo]) -> Block {
    let judged: Vec<&&MetricInfo> =
        infos.iter().filter(|info| info.judged && !model.left_out.contains_key(info.id)).collect();
    let said = |gain: Option<&Gain>| {
        gain.map_or("–", |gain| match gain.better {
            Better::Yes => "yes",
            Better::No => "no",
            Better::CannotBeTold => "?",
        })
    };
    let cell = |score: Option<&MetricScore>| -> Text {
        let of = |pick: fn(&MetricScore) -> Option<&Gain>| said(score.and_then(pick));
        format!("{} / {}", of(|score| score.over_random.as_ref()), of(|score| score.over_centre.as_ref()))
            .into()
    };
    let row = |method: &MethodFaithfulness| -> Vec<Text> {
        let scores = judged.iter().map(|info| cell(method.scores.get(info.id)));
        [Text::from(capitalised(&method.title))].into_iter().chain(scores).collect()
    };
    let mut columns = vec![Column::words("Explanation")];
    columns.extend(judged.iter().map(|info| Column::words(capitalised(info.title))));
    Block::Table(Table {
        caption: "Better than a random heatmap / than a blob in the centre: yes, no (worse), or ? where these images do not tell. A paired \
                  sign-flip test, adjusted over all models, explanations and metrics, and its interval have to agree; – where fewer than 10 \
                  images have both scores."
            .into(),
        columns,
        rows: model.methods.iter().filter(|method| !method.baseline).map(row).collect(),
    })
}

/// Deletion and insertion curves of the best explanations, with random and centre.
fn curves(
    model: &ModelFaithfulness,
    name: ModelName,
    infos: &[&'static MetricInfo],
    names: &Names,
) -> Option<Block> {
    let shown: Vec<&MethodFaithfulness> = model
        .methods
        .iter()
        .filter(|method| !method.baseline)
        .take(MOST_CURVES)
        .chain(model.methods.iter().filter(|method| ["random", "centre"].contains(&method.method.as_str())))
        .collect();
    let chart = |info: &&&'static MetricInfo| {
        let series = shown.iter().map(|method| {
            let curve = method.scores.get(info.id).map_or(&[][..], |score| &score.curve);
            let points = info.curve.iter().zip(curve).filter_map(|(x, y)| bare_point(*x, *y));
            LineSeries { name: method.title.clone(), points: points.collect() }
        });
        let series: Vec<LineSeries> = series.filter(|series| !series.points.is_empty()).collect();
        (!series.is_empty()).then(|| {
            Panel::chart(&LineChart {
                title: format!("{} {}", capitalised(info.title), arrow(info)),
                description: format!("{} for {}", info.summary, names.the(name)),
                x: Axis::new("share of pixels or patches", Scale::Percent),
                y: Axis::new("probability of the class, or share of answers kept", Scale::Percent)
                    .including(0.0, 1.0),
                series,
                uncertainty: Uncertainty::Band,
            })
        })
    };
    let panels: Vec<Panel> = infos
        .iter()
        .filter(|info| info.judged && !info.curve.is_empty())
        .filter_map(|info| chart(&info))
        .collect();
    (!panels.is_empty()).then(|| {
        Block::Figure(Figure {
            title: format!("What {} answers while pixels go.", names.the(name)),
            caption: format!(
                "Mean curves over {} for the explanations of the best mean rank, with random and centre. Where the most relevant go first, a \
                 good curve falls early; where they come in, or the least relevant go first, it stays high.",
                counted(model.images, "image")
            )
            .into(),
            panels,
            data: None,
        })
    })
}

fn agreement(
    model: &ModelFaithfulness,
    name: ModelName,
    infos: &[&'static MetricInfo],
    names: &Names,
) -> Option<Block> {
    let measured: Vec<&&MetricInfo> =
        infos.iter().filter(|info| !model.left_out.contains_key(info.id)).collect();
    let value = |a: &MetricInfo, b: &MetricInfo| {
        if a.id == b.id {
            return Some(1.0);
        }
        let pair = model.agreement.iter().find(|pair| {
            let [first, second] = &pair.metrics;
            (first == a.id && second == b.id) || (first == b.id && second == a.id)
        });
        Some(pair?.correlation.known()?.correlation.value)
    };
    let values: Vec<Option<f64>> =
        measured.iter().flat_map(|a| measured.iter().map(move |b| value(a, b))).collect();
    let titles: Vec<String> = measured.iter().map(|info| info.title.to_owned()).collect();
    let known = model.agreement.iter().any(|pair| pair.correlation.known().is_some());
    known.then(|| {
        Block::Figure(Figure {
            title: "Do the metrics agree?".into(),
            caption: "Spearman correlation of the explanations' means by two metrics, turned so that 1 says: both call the same explanations \
                      good. Empty where an explanation's mean or order is missing."
                .into(),
            panels: vec![Panel::chart(&MatrixChart {
                title: format!("Agreement of metrics on {}", names.the(name)),
                description: "rank correlation of every two metrics over the explanations".into(),
                row_label: "metric".into(),
                column_label: "metric".into(),
                value_label: "rank correlation".into(),
                rows: titles.clone(),
                columns: titles,
                values,
                format: ValueFormat::Decimals(2),
                range: Some((-1.0, 1.0)),
            })],
            data: None,
        })
    })
}

fn left_out(model: &ModelFaithfulness) -> Option<Block> {
    let said = |(id, reason): (&String, &String)| {
        let title = metric(id).map_or(id.as_str(), |metric| metric.info().title);
        Text::from(format!("Without {title}: {reason}."))
    };
    let items: Vec<Text> = model.left_out.iter().map(said).collect();
    (!items.is_empty()).then_some(Block::List(items))
}
