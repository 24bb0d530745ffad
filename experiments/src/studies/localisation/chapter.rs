//! Explanations against the true object mask.

use archaeo_analysis::attribution::{Kind, MethodInfo, methods};
use archaeo_analysis::statistics::{Estimate, SignFlipTest};
use archaeo_plot::{Axis, DotIntervalChart, DotRow, Scale};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, counted, p_value};

use super::LocalisationStudy;
use super::below;
use super::claims::claims;
use super::findings::{Gains, LocalisationFindings, LocalisationScore};
use crate::report::Names;
use crate::report::charts::{NEUTRAL_SERIES, measure};
use crate::report::method::definition;
use crate::report::names::capitalised;
use crate::study::{Chapter, Study};

pub(super) fn chapter(findings: &LocalisationFindings, names: &Names) -> Chapter {
    let intro = format!(
        "This data knows which pixels belong to the object, so that heatmaps can be scored against the truth. Over {} the \
         object covers {} of the image. Heatmaps of any grid are brought to the size of the model's input by bilinear \
         interpolation before they are scored.",
        counted(findings.n, "image"),
        Unit::Percent.sentence(&findings.object_share)
    );
    let mut blocks = vec![Block::Paragraph(intro.into()), charts(findings, names), table(findings, names)];
    blocks.extend(gains(findings, names, "centred", |score| score.over_centre.as_ref()));
    blocks.extend(gains(findings, names, "random", |score| score.over_random.as_ref()));
    blocks.extend(remarks(findings, names));
    let section = Section { id: LocalisationStudy::ID, title: LocalisationStudy::TITLE, blocks };
    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.definitions = [Some(scores()), explanations(findings)].into_iter().flatten().collect();
    chapter.sample = Some(("explanations against the truth", findings.n));
    let first = findings.methods.first();
    chapter.intervals.extend(first.map(|score| ("Pointing game", score.pointing.clone())));
    chapter.intervals.extend(first.map(|score| ("Mass on the object", score.mass.clone())));
    let gains = findings.methods.iter().find_map(|score| score.over_centre.as_ref());
    chapter.intervals.extend(gains.map(|gains| ("Gain over the centre", gains.mass.difference.clone())));
    chapter
}

/// What the scores are.
fn scores() -> (String, Text) {
    definition(
        "Scores against the mask",
        "Every heatmap is brought to the size of the model's input bilinearly. Mass: negative values are set to zero, the \
         minimum is not subtracted, and the rest is divided by its sum; the share on the object counts. AUROC and average \
         precision rank pixels, with ties counted exactly, and do not depend on a heatmap's scale. Pointing game: whether the \
         hottest pixel lies on the object. Baselines are scored on the same images and compared image by image.",
        &[("Zhang et al., 2018", "https://arxiv.org/abs/1608.00507")],
    )
}

/// What the explanations are, each in the words of its method.
fn explanations(findings: &LocalisationFindings) -> Option<(String, Text)> {
    let scored = |info: &&MethodInfo| {
        let found = |score: &LocalisationScore| score.model.is_some() && score.method == info.title;
        info.kind == Kind::Explanation && findings.methods.iter().any(found)
    };
    let infos: Vec<&MethodInfo> = methods().iter().map(|method| method.info()).filter(scored).collect();
    let meanings: Vec<String> =
        infos.iter().map(|info| format!("{}: {}", info.title, info.summary)).collect();
    let mut sources: Vec<(&str, &str)> = Vec::new();
    for paper in infos.iter().filter_map(|info| info.paper) {
        if !sources.contains(&(paper.citation, paper.url)) {
            sources.push((paper.citation, paper.url));
        }
    }
    let meaning = format!("{}.", capitalised(&meanings.join("; ")));
    (!infos.is_empty()).then(|| definition("Explanations that are scored", &meaning, &sources))
}

fn label(score: &LocalisationScore, names: &Names) -> String {
    let model = score.model.map(|model| format!("{}, {}", score.method, names.bare(model)));
    model.unwrap_or_else(|| score.method.clone())
}

fn charts(findings: &LocalisationFindings, names: &Names) -> Block {
    let share = findings.object_share.value;
    let chart = |title: &str, value: Axis, chance: f64, of: fn(&LocalisationScore) -> &Estimate| {
        let rows = findings.methods.iter().filter_map(|score| {
            let series = score.model.map_or(NEUTRAL_SERIES, |model| names.series(model));
            Some(DotRow { label: label(score, names), measure: measure(of(score))?, series })
        });
        Panel::chart(&DotIntervalChart {
            title: title.into(),
            description: format!("{title} of every heatmap with its interval"),
            value,
            rows: rows.collect(),
            reference: chance.is_finite().then(|| (chance, "chance".into())),
        })
    };
    Block::Figure(Figure {
        title: "How well each heatmap finds the object.".into(),
        caption: "Mass: how much of the heatmap's sum lies on the object, negative values set to zero and nothing subtracted. AUROC: \
                  how often a pixel of the object is hotter than one outside, whatever the heatmap's scale. Pointing game: how often \
                  the hottest pixel lies on the object. Dashed is what a heatmap that knows nothing scores. Grey are the baselines: a \
                  random heatmap knows nothing, the centre only where objects tend to be, edges only the image and not the model. \
                  Lines are intervals."
            .into(),
        panels: vec![
            chart("Mass on the object", Axis::new("share of the mass", Scale::Percent), share, |score| &score.mass),
            chart("AUROC", Axis::new("area under the ROC curve", Scale::Linear), 0.5, |score| &score.auroc),
            chart("Pointing game", Axis::new("share of images", Scale::Percent), share, |score| &score.pointing),
        ],
        data: None,
    })
}

fn table(findings: &LocalisationFindings, names: &Names) -> Block {
    let rows = findings.methods.iter().map(|score| {
        vec![
            Text::from(score.method.clone()),
            score.model.map_or("baseline".into(), |model| names.bare(model).into()),
            Unit::Percent.cell(&score.mass),
            Unit::Coefficient.cell(&score.auroc),
            Unit::Coefficient.cell(&score.average_precision),
            Unit::Percent.cell(&score.pointing),
        ]
    });
    Block::Appendix(Table {
        caption: match names.models().len() {
            0 | 1 => "Heatmaps against the object mask, at the size at which the model sees the images.",
            _ => {
                "Heatmaps against the object mask. Baselines are shown at the size at which the first model sees the images; \
                 explanations are compared with those at their own model's."
            }
        }
        .into(),
        columns: vec![
            Column::words("Heatmap"),
            Column::words("Model"),
            Column::numbers("Mass on object"),
            Column::numbers("AUROC"),
            Column::numbers("Average precision"),
            Column::numbers("Pointing game"),
        ],
        rows: rows.collect(),
    })
}

/// What explanations gain over a baseline on the same images.
fn gains(
    findings: &LocalisationFindings,
    names: &Names,
    baseline: &str,
    of: fn(&LocalisationScore) -> Option<&Gains>,
) -> Option<Block> {
    let cell = |test: &SignFlipTest, unit: Unit| {
        unit.cell(&test.difference).plain(format!(" {}", p_value(test.p_value)))
    };
    let rows: Vec<_> = findings
        .methods
        .iter()
        .filter_map(|score| {
            let gains = of(score)?;
            Some(vec![
                Text::from(label(score, names)),
                cell(&gains.mass, Unit::Points),
                cell(&gains.auroc, Unit::Coefficient),
                cell(&gains.average_precision, Unit::Coefficient),
                cell(&gains.pointing, Unit::Points),
            ])
        })
        .collect();
    (!rows.is_empty()).then(|| {
        Block::Appendix(Table {
            caption: format!(
                "Score of each explanation minus that of the {baseline} heatmap on the same images: mass and pointing in points. \
                 p-values (sign-flip permutation of the mean) are adjusted over the whole table."
            )
            .into(),
            columns: vec![
                Column::words("Explanation"),
                Column::numbers("Mass on object"),
                Column::numbers("AUROC"),
                Column::numbers("Average precision"),
                Column::numbers("Pointing game"),
            ],
            rows,
        })
    })
}

/// What is left out, or says nothing.
fn remarks(findings: &LocalisationFindings, names: &Names) -> Option<Block> {
    let mut items = Vec::new();
    if findings.left_out > 0 {
        items.push(format!(
            "Not scored, because the object covers nothing or everything of what a model sees: {}.",
            counted(findings.left_out, "image")
        ));
    }
    for score in findings.methods.iter().filter(|score| score.constant > 0) {
        items.push(format!(
            "{} is constant on {}, where it ranks nothing and scores as chance.",
            capitalised(&label(score, names)),
            counted(score.constant, "image")
        ));
    }
    items.extend(below::sentences(findings, names));
    (!items.is_empty()).then(|| Block::List(items.into_iter().map(Text::from).collect()))
}
