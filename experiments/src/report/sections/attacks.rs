//! Accuracy under attack.

use std::collections::BTreeMap;

use archaeo_plot::{Axis, LineChart, LineSeries, Scale, Uncertainty, line_chart};

use crate::findings::{AttackFindings, PairedShares, Role};

use super::super::charts::point;
use super::super::claims::{attacks, curve_of, halving_epsilon, zero_gradients};
use super::super::names::{Names, ROLES, class_name};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, counted, epsilon, p_value, short};

pub(super) fn section(findings: &AttackFindings, classes: &[String], names: &Names) -> Section {
    let mut blocks = vec![curves(findings, names)];
    blocks.extend(comparisons(findings, names));
    blocks.push(settings(findings, names));
    let warnings = attacks(findings).into_iter().filter_map(|attack| zero_gradients(findings, attack, names));
    blocks.extend(warnings.map(|warning| Block::Paragraph(warning.into())));
    blocks.push(examples(findings, classes, names));
    Section { id: "attacks", title: "Under attack", blocks }
}

fn examples(findings: &AttackFindings, classes: &[String], names: &Names) -> Block {
    let which = match &findings.example_attack {
        Some((attack, size)) => format!(", under {attack} of ε = {}", epsilon(*size)),
        None => String::new(),
    };
    let rows = findings.example_answers.iter().map(|example| {
        let answers = ROLES.iter().flat_map(|role| match example.answers.get(role) {
            Some(answers) => answers.map(|class| Text::from(class_name(classes, class))),
            None => ["–", "–"].map(Text::from),
        });
        let image = [Text::from(example.index.to_string()), class_name(classes, example.label).into()];
        image.into_iter().chain(answers).collect()
    });
    let mut columns = vec![Column::numbers("Image"), Column::words("True class")];
    for role in ROLES {
        columns.push(Column::words(format!("{}, clean", names.bare(role))));
        columns.push(Column::words(format!("{}, attacked", names.bare(role))));
    }
    let answers =
        Table { caption: "What each model says of these images.".into(), columns, rows: rows.collect() };
    Block::Figure(Figure {
        title: "Attacked images.".into(),
        caption: format!(
            "Clean image, perturbation (enlarged in strength to be seen) and attacked image, for both models{which}. Chosen \
             from all classes to show images that fool each model and images that do not, where there are any; so their \
             number says nothing about how often an attack succeeds. These are the images at the model's input size: saved in \
             8 bits and read back at that size they fool it as shown; resized or cropped once more they need not."
        )
        .into(),
        panels: vec![Panel::picture(&findings.examples, "Clean images, perturbations and attacked images")],
        data: (!answers.rows.is_empty()).then_some(answers),
    })
}

/// Both models on the same images, at each size of each attack.
fn comparisons(findings: &AttackFindings, names: &Names) -> Option<Block> {
    if findings.comparisons.is_empty() {
        return None;
    }
    let cells = |shares: Option<&PairedShares>| -> Vec<Text> {
        match shares {
            None => vec!["–".into(); 3],
            Some(PairedShares { vit, cnn, adjusted_p, .. }) => {
                vec![Unit::Percent.cell(vit), Unit::Percent.cell(cnn), p_value(*adjusted_p).into()]
            }
        }
    };
    let rows = findings.comparisons.iter().map(|comparison| {
        let size = [comparison.attack.clone().into(), short(comparison.epsilon).into()];
        let robust = cells(Some(&comparison.robust));
        size.into_iter().chain(robust).chain(cells(comparison.kept.as_ref())).collect()
    });
    let (vit, cnn) = (names.bare(Role::Vit), names.bare(Role::Cnn));
    let shared = findings.comparisons.iter().find_map(|comparison| comparison.kept.as_ref());
    Some(Block::Table(Table {
        caption: format!(
            "Both models on the same images. Robust: correct without the attack and under it. Kept: of the {} that both \
             classify correctly without an attack, the share still correct; a difference here is the attack's doing. p-values \
             of the exact McNemar test, adjusted over all rows (Benjamini-Hochberg).",
            counted(shared.map_or(0, |shares| shares.vit.n), "image")
        )
        .into(),
        columns: vec![
            Column::words("Attack"),
            Column::numbers("ε (1/255)"),
            Column::numbers(format!("{vit}, robust")),
            Column::numbers(format!("{cnn}, robust")),
            Column::numbers("Adjusted p"),
            Column::numbers(format!("{vit}, kept")),
            Column::numbers(format!("{cnn}, kept")),
            Column::numbers("Adjusted p"),
        ],
        rows: rows.collect(),
    }))
}

fn curves(findings: &AttackFindings, names: &Names) -> Block {
    let panel = |attack: &str| {
        let series = ROLES.iter().filter_map(|role| {
            let curve = curve_of(findings, attack, *role)?;
            let points = curve.points.iter().filter_map(|p| point(p.epsilon, &p.accuracy)).collect();
            Some(LineSeries { name: names.bare(*role).into(), points })
        });
        Panel::chart(line_chart(&LineChart {
            title: attack.into(),
            description: format!("Accuracy of each model under {attack} against the size of the attack"),
            x: Axis::new("ε (largest change of a channel value, 1/255)", Scale::Linear),
            y: Axis::new("robust accuracy", Scale::Percent).including(0.0, 1.0),
            series: series.collect(),
            uncertainty: Uncertainty::Band,
        }))
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
    columns.extend(
        findings
            .curves
            .iter()
            .map(|curve| Column::numbers(format!("{}, {}", curve.attack, names.bare(curve.role)))),
    );
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

fn settings(findings: &AttackFindings, names: &Names) -> Block {
    let rows = findings.curves.iter().map(|curve| {
        let half = match halving_epsilon(curve) {
            Some(at) => epsilon((at * 100.0).round() / 100.0),
            None => "not within range".into(),
        };
        let (first, last) = (curve.points.first(), curve.points.last());
        vec![
            Text::from(curve.attack.clone()),
            names.bare(curve.role).into(),
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
