//! Accuracy under attack.

use std::collections::BTreeMap;

use archaeo_plot::{Axis, LineChart, LineSeries, Scale, Uncertainty};

use crate::findings::{AttackExample, AttackFindings, PairedShares, Role};
use crate::studies::PERTURBATION_GAIN;

use super::super::charts::point;
use super::super::claims::{attacks, curve_of, halving_epsilon, zero_gradients};
use archaeo_report::document::{
    Block, Column, Figure, Gallery, GalleryItem, Legend, Panel, Picture, Section, Table, Text, Verdict,
};
use super::super::names::{Names, ROLES, class_name};
use archaeo_report::numbers::{Unit, counted, epsilon, p_value, short};
use super::super::shown::{MADE_EARLIER, title};

pub(super) fn section(findings: &AttackFindings, classes: &[String], names: &Names) -> Section {
    let mut blocks = vec![curves(findings, names)];
    blocks.extend(comparisons(findings, names));
    blocks.push(settings(findings, names));
    let warnings = attacks(findings).into_iter().filter_map(|attack| zero_gradients(findings, attack, names));
    blocks.extend(warnings.map(|warning| Block::Paragraph(warning.into())));
    blocks.extend(examples(findings, classes, names));
    Section { id: "attacks", title: "Under attack", blocks }
}

fn examples(findings: &AttackFindings, classes: &[String], names: &Names) -> Option<Block> {
    let (attack, size) = findings.example_attack.as_ref()?;
    if findings.example_answers.iter().all(|example| example.pictures.is_empty()) {
        return Some(Block::Paragraph(MADE_EARLIER.into()));
    }
    let size = format!("ε = {}", epsilon(*size));
    let item = |group: usize, role: Role, example: &AttackExample| {
        let [before, after] = *example.answers.get(&role)?;
        let called = |class: usize| Text::new().strong(class_name(classes, class));
        let [correct, kept] = [before, after].map(|class| class == example.label);
        let says = |when: &str, correct: bool| {
            Text::from(format!(
                "{} {when}, {}: ",
                names.bare(role),
                if correct { "correct" } else { "wrong" }
            ))
        };
        let mut verdicts = vec![Verdict { correct, text: says("before", correct).and(called(before)) }];
        if correct {
            let outcome = format!(" ({})", if kept { "not fooled" } else { "fooled" });
            let text = says(&format!("under {attack}"), kept).and(called(after)).plain(outcome);
            verdicts.push(Verdict { correct: kept, text });
        }
        let labels = if correct { ["before", "the change", "attacked"] } else { ["not attacked", "", ""] };
        let pictures = example.pictures.get(&role)?.iter().zip(labels).map(|(path, label)| {
            let alt = format!("{}, image {}: {label}", names.bare(role), example.index);
            Picture::new(path, alt).labelled(label)
        });
        let line = match correct {
            true => format!("{attack}, {size} in the L∞ norm"),
            false => "Wrong without an attack, so none was made".into(),
        };
        Some(GalleryItem {
            pictures: pictures.collect(),
            group,
            title: title(classes, example.label, example.index, &example.identifier),
            verdicts,
            lines: vec![line.into()],
        })
    };
    let items = ROLES.into_iter().enumerate().flat_map(|(group, role)| {
        findings.example_answers.iter().filter_map(move |example| item(group, role, example))
    });
    let range = 255.0 / 2.0 / f64::from(PERTURBATION_GAIN);
    Some(Block::Gallery(Gallery {
        caption: Text::new().strong("Attacked images.").plain(format!(
            " Under {attack} of {size} in the L∞ norm: no channel of any pixel changes by more, on a scale from 0 to 1 before \
             preprocessing. Each shows the image, the change ({PERTURBATION_GAIN} times as strong, to be seen) and the attacked image. \
             Chosen from all classes to show images that fool each model and images that do not, where there are any; so their \
             number says nothing about how often an attack succeeds. These are the images at the model's input size: saved in \
             8 bits and read back at that size they fool it as shown; resized or cropped once more they need not."
        )),
        legend: Some(Legend {
            title: "Change of a channel value".into(),
            colors: vec![[0; 3], [128; 3], [255; 3]],
            ends: ["darker by", "brighter by"].map(|way| format!("{way} {} or more", epsilon(range))),
        }),
        groups: ROLES.map(|role| names.bare(role).into()).into(),
        items: items.collect(),
    }))
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
        Panel::chart(&LineChart {
            title: attack.into(),
            description: format!("Accuracy of each model under {attack} against the size of the attack"),
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
