//! The worst case: the chapter.

use archaeo_analysis::attacks::Norm;
use archaeo_analysis::attacks::doctor::Health;
use archaeo_analysis::statistics::SurvivalPoint;
use archaeo_plot::{Axis, LineChart, LineSeries, Point, Scale, Uncertainty};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, count, counted, epsilon, p_value, percent};

use super::WorstCaseStudy;
use super::claims::{advice, claims, median};
use super::findings::{NearestInNorm, WorstCaseFindings};
use crate::findings::Investigation;
use crate::report::Names;
use crate::report::method::definition;
use crate::report::names::{capitalised, listed};
use crate::studies::DoctorStudy;
use crate::study::{Chapter, Study};

pub(super) fn chapter(findings: &WorstCaseFindings, investigation: &Investigation, names: &Names) -> Chapter {
    let intro = "An attack shows what can go wrong, not what usually does. Here several strong attacks are tried in turn on every image, and \
                 the image counts as lost when one of them succeeds; then the smallest change is looked for that is enough for an error.";
    let mut blocks = vec![Block::Paragraph(intro.into())];
    if findings.models.values().any(|of| !of.is_empty()) {
        blocks.push(Block::List(decision(findings, investigation, names)));
        blocks.push(Block::Table(in_turn(findings, names)));
    }
    if findings.pairs.len() > findings.models.values().map(Vec::len).max().unwrap_or(0) {
        blocks.push(Block::Folded {
            title: "Every two models on the same images".into(),
            table: pairs(findings, names),
        });
    }
    if !findings.norms.is_empty() && !findings.models.is_empty() {
        blocks.push(curves(findings, names));
        blocks.push(Block::Table(distances(findings, names)));
    }
    let section = Section { id: WorstCaseStudy::ID, title: WorstCaseStudy::TITLE, blocks };
    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.definitions = definitions();
    chapter.advice.extend(advice(findings, names));
    if !findings.models.is_empty() {
        chapter.limitations = vec![
            "Accuracy in the worst case is an upper bound and a smallest perturbation is an upper bound of the distance: a stronger attack may \
             find more. AutoAttack (`archaeo attack --attack autoattack`) takes longer and is the standard for published numbers."
                .into(),
        ];
    }
    chapter.sample = Some(("attacks in turn", findings.n));
    let first = findings.models.values().flatten().next();
    chapter.intervals.extend(first.map(|of| ("Accuracy in the worst case", of.all.clone())));
    let median = findings.norms.iter().flat_map(|of| of.models.values()).find_map(|of| of.median.known());
    chapter.intervals.extend(median.map(|of| ("Smallest perturbation", of.clone())));
    chapter
}

fn definitions() -> Vec<(String, Text)> {
    vec![
        definition(
            "Worst case",
            "PGD with one start, PGD with several, and APGD-T toward each of the most likely wrong classes, each on the images that the one \
             before has left standing. Images are rounded to 8 bits; a model is right in the worst case where it is right without an attack \
             and under all of them.",
            &[
                ("Madry et al., 2018", "https://arxiv.org/abs/1706.06083"),
                ("Croce and Hein, 2020", "https://arxiv.org/abs/2003.01690"),
            ],
        ),
        definition(
            "Smallest perturbation",
            "Of each image the shortest change that fools the model, in L2 and in L∞, that one of two attacks in each norm finds (DDN and FMN; \
             PDPGD and FMN), in real numbers before rounding to 8 bits. The curve is the share of images that are right and have no shorter \
             one; its band holds the whole curve at once.",
            &[
                ("Cinà et al., 2025", "https://arxiv.org/abs/2404.19460"),
                ("Pintor et al., 2021", "https://arxiv.org/abs/2102.12827"),
            ],
        ),
    ]
}

/// What the numbers mean for somebody who must decide whether to trust a model.
fn decision(findings: &WorstCaseFindings, investigation: &Investigation, names: &Names) -> Vec<Text> {
    let mut points = vec![Text::new().strong("If nobody gains from an error:").plain(
        " this is not the number to decide by. Nothing in nature looks for a model's weakest point; what happens by itself is the subject \
         of the chapter “Damaged images”.",
    )];
    let counted_on = findings.models.iter().filter_map(|(model, of)| {
        let at: Vec<String> = of
            .iter()
            .map(|at| format!("{} at ε = {}", Unit::Percent.brief(&at.all), epsilon(at.epsilon)))
            .collect();
        let clean = of.first()?.clean.value;
        Some(format!("{}: {}, not on {}", capitalised(&names.the(model)), listed(&at), percent(clean)))
    });
    let smallest = findings.models.values().flatten().map(|of| of.epsilon).fold(f64::INFINITY, f64::min);
    points.push(Text::new().strong("If somebody does, and can change what the model sees:").plain(format!(
        " count on no more than this share of right answers. {}. ε is the largest change of a channel value; {} is {} of its range.",
        counted_on.collect::<Vec<_>>().join(". "),
        epsilon(smallest),
        percent(smallest / 255.0)
    )));
    let examined = investigation.findings::<DoctorStudy>().ok().flatten();
    let verdicts = examined
        .map(|found| names.grouped(found.models.iter().filter_map(|(model, of)| Some((model, of.verdict?)))));
    for (verdict, of) in verdicts.unwrap_or_default() {
        let said = match verdict {
            Health::Pass => {
                "attacks measure robustness, as far as the checks of the chapter “Robustness or illusion” tell"
            }
            Health::Fail => {
                "a check of the chapter “Robustness or illusion” fails: what stands here may fall to another attack"
            }
            Health::CannotTell => {
                "the chapter “Robustness or illusion” has too few images to rule out that these attacks fail for another \
                                   reason"
            }
        };
        points.push(Text::new().strong(format!("{}:", capitalised(&of))).plain(format!(" {said}.")));
    }
    points
}

fn in_turn(findings: &WorstCaseFindings, names: &Names) -> Table {
    let rows = findings.models.iter().flat_map(|(model, of)| {
        of.iter().map(move |at| {
            let cells =
                [&at.clean, &at.one_start, &at.restarts, &at.all].map(|share| Unit::Percent.cell(share));
            [Text::from(names.bare(model)), epsilon(at.epsilon).into()].into_iter().chain(cells).collect()
        })
    });
    Table {
        caption: format!(
            "Robust accuracy on {}, from left to right as one attack follows another. {}.",
            counted(findings.n, "image"),
            findings.settings.join(". ")
        )
        .into(),
        columns: vec![
            Column::words("Model"),
            Column::numbers("ε"),
            Column::numbers("Without an attack"),
            Column::numbers("PGD, one start"),
            Column::numbers(format!("PGD, {}", counted(findings.restarts, "start"))),
            Column::numbers("and APGD-T"),
        ],
        rows: rows.collect(),
    }
}

fn pairs(findings: &WorstCaseFindings, names: &Names) -> Table {
    let row = |of: &super::findings::WorstCasePair| {
        let [first, second] = of.models.map(|model| Text::from(names.bare(model)));
        let robust = [Unit::Percent.cell(&of.robust.first), Unit::Percent.cell(&of.robust.second)];
        let rest = robust.into_iter().chain([p_value(of.robust.adjusted_p).into()]);
        [epsilon(of.epsilon).into(), first, second].into_iter().chain(rest).collect()
    };
    Table {
        caption: "Accuracy in the worst case of every two models, with p-values of the exact McNemar test, adjusted over all rows \
                  (Benjamini-Hochberg)."
            .into(),
        columns: vec![
            Column::numbers("ε"),
            Column::words("First"),
            Column::words("Second"),
            Column::numbers("First, robust"),
            Column::numbers("Second, robust"),
            Column::numbers("Adjusted p"),
        ],
        rows: findings.pairs.iter().map(row).collect(),
    }
}

fn curves(findings: &WorstCaseFindings, names: &Names) -> Block {
    let panel = |of: &NearestInNorm| {
        let longest = of.models.values().filter_map(|of| Some(of.curve.last()?.at)).fold(0.0, f64::max);
        let longest = if longest > 0.0 { longest } else { 1.0 };
        let series = of.models.iter().map(|(model, of)| LineSeries {
            name: names.bare(model).into(),
            points: steps(&of.curve, longest),
        });
        Panel::chart(&LineChart {
            title: of.norm.to_string(),
            description: format!("Robust accuracy against the size of the perturbation in {}", of.norm),
            x: Axis::new(
                match of.norm {
                    Norm::Linf => "size of the perturbation in L∞ (1/255)",
                    _ => "size of the perturbation in L2",
                },
                Scale::Linear,
            )
            .including(0.0, longest),
            y: Axis::new("robust accuracy", Scale::Percent).including(0.0, 1.0),
            series: series.collect(),
            uncertainty: Uncertainty::Band,
        })
    };
    Block::Figure(Figure {
        title: "How small a change is enough.".into(),
        caption: format!(
            "The share of {} that are right and have no smaller perturbation that an attack found, at every size. Bands hold the whole curve \
             at once (Dvoretzky, Kiefer and Wolfowitz).",
            counted(findings.smallest_n, "image")
        )
        .into(),
        panels: findings.norms.iter().map(panel).collect(),
        data: None,
    })
}

/// The corners of a curve that falls at each of its places, drawn to the end of the axis.
fn steps(curve: &[SurvivalPoint], end: f64) -> Vec<Point> {
    let corner =
        |x: f64, of: &SurvivalPoint| Point { x, y: of.share, interval: Some((of.band[0], of.band[1])) };
    let mut points = Vec::new();
    for (index, point) in curve.iter().enumerate() {
        if let Some(before) = index.checked_sub(1).map(|before| &curve[before]) {
            points.push(corner(point.at, before));
        }
        points.push(corner(point.at, point));
    }
    points.extend(curve.last().filter(|last| last.at < end).map(|last| corner(end, last)));
    points
}

fn distances(findings: &WorstCaseFindings, names: &Names) -> Table {
    let rows = findings.norms.iter().flat_map(|in_norm| {
        in_norm.models.iter().map(move |(model, of)| {
            vec![
                Text::from(in_norm.norm.to_string()),
                names.bare(model).into(),
                count(of.correct).into(),
                count(of.fooled).into(),
                median(in_norm.norm, of),
            ]
        })
    });
    let settings: Vec<String> = (findings.norms.iter())
        .map(|in_norm| format!("{}: {}", in_norm.norm, in_norm.settings.join("; ")))
        .collect();
    Table {
        caption: format!(
            "Smallest perturbations on {}: the median over those that a model classifies correctly; one that is never fooled is infinitely \
             far. {}.",
            counted(findings.smallest_n, "image"),
            settings.join(". ")
        )
        .into(),
        columns: vec![
            Column::words("Norm"),
            Column::words("Model"),
            Column::numbers("Right"),
            Column::numbers("Fooled"),
            Column::numbers("Median"),
        ],
        rows: rows.collect(),
    }
}
