//! Accuracy under attack: the chapter.

use std::collections::BTreeMap;

use archaeo_plot::{Axis, LineChart, LineSeries, Scale, Uncertainty};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, count, counted, epsilon, p_value, short};

use super::AttacksStudy;
use super::claims::{FEW_PAIRS, attacks, claims, curve_of, zero_gradients};
use super::findings::{AttackComparison, AttackFindings, PairedShares};
use super::shown::examples;
use crate::findings::Investigation;
use crate::report::Names;
use crate::report::charts::point;
use crate::report::method::definition;
use crate::report::names::listed;
use crate::study::{Chapter, Study};

pub(super) fn chapter(findings: &AttackFindings, investigation: &Investigation, names: &Names) -> Chapter {
    let mut blocks = vec![curves(findings, names)];
    blocks.extend(comparisons(findings, names));
    blocks.push(settings(findings, names));
    let warning = |attack| zero_gradients(findings, attack, &names.models(), names);
    let warnings = attacks(findings).into_iter().filter_map(warning);
    blocks.extend(warnings.map(|warning| Block::Paragraph(warning.into())));
    blocks.extend(examples(findings, &investigation.data.classes, names));
    let section = Section { id: AttacksStudy::ID, title: AttacksStudy::TITLE, blocks };
    let made: Vec<String> = attacks(findings).into_iter().map(str::to_owned).collect();
    let limitation = format!(
        "Accuracy under {} is an upper bound of robustness: a stronger attack may find more.",
        listed(&made)
    );
    let point = findings.curves.iter().flat_map(|curve| &curve.points).next();
    Chapter {
        definitions: vec![definition(
            "Attacks",
            "FGSM takes one step of size ε along the sign of the loss gradient; PGD takes several smaller ones from a random \
             start, stays within ε and keeps the first image that fools the model. Images lie in [0, 1] and are attacked at the \
             model's input size, in 8 bits; saved and resized or cropped once more, they need not fool it. A grey image stays \
             grey. A model is robust on an image that it classifies correctly both without the attack and under it. The losses \
             work on margins, so that a model with large logits does not look robust for having no gradient.",
            &[
                ("Goodfellow et al., 2015", "https://arxiv.org/abs/1412.6572"),
                ("Madry et al., 2018", "https://arxiv.org/abs/1706.06083"),
                ("Carlini and Wagner, 2017", "https://arxiv.org/abs/1608.04644"),
            ],
        )],
        limitations: if made.is_empty() { Vec::new() } else { vec![limitation] },
        sample: Some(("attacks", findings.n)),
        intervals: point.map(|point| ("Accuracy under attack", point.accuracy.clone())).into_iter().collect(),
        ..Chapter::new(section, claims(findings, names))
    }
}

fn curves(findings: &AttackFindings, names: &Names) -> Block {
    let (models, each) = match names.models() {
        models if models.len() == 1 => (models, "the model"),
        models => (models, "each model"),
    };
    let panel = |attack: &str| {
        let series = models.iter().filter_map(|&model| {
            let curve = curve_of(findings, attack, model)?;
            let points = curve.points.iter().filter_map(|p| point(p.epsilon, &p.accuracy)).collect();
            Some(LineSeries { name: names.bare(model).into(), points })
        });
        Panel::chart(&LineChart {
            title: attack.into(),
            description: format!("Accuracy of {each} under {attack} against the size of the attack"),
            x: Axis::new("ε (largest change of a channel value, 1/255)", Scale::Linear),
            y: Axis::new("robust accuracy", Scale::Percent).including(0.0, 1.0),
            series: series.collect(),
            uncertainty: Uncertainty::Band,
        })
    };
    Block::Figure(Figure {
        title: "Accuracy against the size of the attack.".into(),
        caption: format!(
            "Robust accuracy on {}: the share that a model classifies correctly without an attack and still does after the image \
             has been changed, within ε in every channel value, so that it errs. Images are rounded to 8 bits before they are \
             judged. Bands are intervals.",
            counted(findings.n, "image")
        )
        .into(),
        panels: attacks(findings).into_iter().map(panel).collect(),
        data: Some(points(findings, names)),
    })
}

fn points(findings: &AttackFindings, names: &Names) -> Table {
    // Keyed by the bits of ε, which sort as the numbers do because ε is never negative.
    let mut epsilons: BTreeMap<u64, f64> = BTreeMap::new();
    for point in findings.curves.iter().flat_map(|curve| &curve.points) {
        epsilons.insert(point.epsilon.to_bits(), point.epsilon);
    }
    let mut columns = vec![Column::numbers("ε (1/255)")];
    let called =
        |curve: &super::findings::AttackCurve| format!("{}, {}", curve.attack, names.bare(curve.model));
    columns.extend(findings.curves.iter().map(|curve| Column::numbers(called(curve))));
    let rows = epsilons.values().map(|&epsilon| {
        let cells = findings.curves.iter().map(|curve| {
            let point = curve.points.iter().find(|point| point.epsilon == epsilon);
            point.map_or("–".into(), |point| Unit::Percent.cell(&point.accuracy))
        });
        std::iter::once(Text::from(short(epsilon))).chain(cells).collect()
    });
    Table {
        caption: "Robust accuracy at each size of attack; at ε = 0 without one.".into(),
        columns,
        rows: rows.collect(),
    }
}

/// Both shares and the p-value of a paired test.
fn cells(shares: Option<&PairedShares>) -> Vec<Text> {
    match shares {
        None => vec!["–".into(); 3],
        Some(PairedShares { first, second, adjusted_p, .. }) => {
            vec![Unit::Percent.cell(first), Unit::Percent.cell(second), p_value(*adjusted_p).into()]
        }
    }
}

/// Two models on the same images, at each size of each attack.
fn comparisons(findings: &AttackFindings, names: &Names) -> Option<Block> {
    if findings.comparisons.is_empty() {
        return None;
    }
    match names.models()[..] {
        [first, second] => {
            Some(Block::Table(of_two(findings, [first, second].map(|model| names.bare(model)))))
        }
        _ if names.pairs().len() <= FEW_PAIRS => Some(Block::Table(of_pairs(findings, names))),
        _ => {
            let title = format!("{} pairs of models on the same images", count(names.pairs().len()));
            Some(Block::Folded { title, table: of_pairs(findings, names) })
        }
    }
}

fn of_two(findings: &AttackFindings, [first, second]: [&str; 2]) -> Table {
    let rows = findings.comparisons.iter().map(|comparison| {
        let size = [comparison.attack.clone().into(), short(comparison.epsilon).into()];
        let robust = cells(Some(&comparison.robust));
        size.into_iter().chain(robust).chain(cells(comparison.kept.as_ref())).collect()
    });
    let shared = findings.comparisons.iter().find_map(|comparison| comparison.kept.as_ref());
    Table {
        caption: format!(
            "Both models on the same images. Robust: correct without the attack and under it. Kept: of the {} that both \
             classify correctly without an attack, the share still correct; a difference here is the attack's doing. p-values \
             of the exact McNemar test, adjusted over all rows (Benjamini-Hochberg).",
            counted(shared.map_or(0, |shares| shares.first.n), "image")
        )
        .into(),
        columns: vec![
            Column::words("Attack"),
            Column::numbers("ε (1/255)"),
            Column::numbers(format!("{first}, robust")),
            Column::numbers(format!("{second}, robust")),
            Column::numbers("Adjusted p"),
            Column::numbers(format!("{first}, kept")),
            Column::numbers(format!("{second}, kept")),
            Column::numbers("Adjusted p"),
        ],
        rows: rows.collect(),
    }
}

fn of_pairs(findings: &AttackFindings, names: &Names) -> Table {
    let row = |comparison: &AttackComparison| -> Vec<Text> {
        let [first, second] = comparison.models.map(|model| Text::from(names.bare(model)));
        let what = [comparison.attack.clone().into(), short(comparison.epsilon).into(), first, second];
        let shared = comparison.kept.as_ref().map_or(0, |kept| kept.first.n);
        let (robust, kept) = (cells(Some(&comparison.robust)), cells(comparison.kept.as_ref()));
        what.into_iter().chain(robust).chain([count(shared).into()]).chain(kept).collect()
    };
    Table {
        caption: "Every two models on the same images. Robust: correct without the attack and under it. Kept: of the images that \
                  both of the two classify correctly without an attack (shared), the share still correct; a difference here is \
                  the attack's doing. p-values of the exact McNemar test, adjusted over all rows (Benjamini-Hochberg)."
            .into(),
        columns: vec![
            Column::words("Attack"),
            Column::numbers("ε (1/255)"),
            Column::words("First"),
            Column::words("Second"),
            Column::numbers("First, robust"),
            Column::numbers("Second, robust"),
            Column::numbers("Adjusted p"),
            Column::numbers("Shared"),
            Column::numbers("First, kept"),
            Column::numbers("Second, kept"),
            Column::numbers("Adjusted p"),
        ],
        rows: findings.comparisons.iter().map(row).collect(),
    }
}

fn settings(findings: &AttackFindings, names: &Names) -> Block {
    let rows = findings.curves.iter().map(|curve| {
        let half = match curve.half_at {
            Some(at) => epsilon((at * 100.0).round() / 100.0),
            None => "not within range".into(),
        };
        let (first, last) = (curve.points.first(), curve.points.last());
        vec![
            Text::from(curve.attack.clone()),
            names.bare(curve.model).into(),
            first.map_or("–".into(), |point| Unit::Percent.cell(&point.accuracy)),
            half.into(),
            last.map_or("–".into(), |point| Unit::Percent.cell(&point.accuracy)),
            last.map_or("–".into(), |point| epsilon(point.epsilon).into()),
            curve.settings.clone().into(),
        ]
    });
    Block::Table(Table {
        caption: "Each attack and model. Half: the ε at which robust accuracy has fallen to half of the accuracy without an \
                  attack, by linear interpolation."
            .into(),
        columns: vec![
            Column::words("Attack"),
            Column::words("Model"),
            Column::numbers("Clean"),
            Column::numbers("Half at ε"),
            Column::numbers("At the largest ε"),
            Column::numbers("Largest ε"),
            Column::prose("Settings"),
        ],
        rows: rows.collect(),
    })
}
