//! Robustness or illusion: the chapter.

use archaeo_analysis::attacks::doctor::{Check, Health};
use archaeo_plot::{MatrixChart, ValueFormat};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, counted, epsilon, p_value};

use super::DoctorStudy;
use super::claims::claims;
use super::findings::{DoctorFindings, Transfer};
use crate::report::Names;
use crate::report::method::definition;
use crate::study::{Chapter, Study};

pub(super) fn chapter(findings: &DoctorFindings, names: &Names) -> Chapter {
    let intro = format!(
        "An attack that fails says nothing unless it had a chance. A model may hide its gradients, or answer at random, and look robust \
         to an attack that follows them. Every model is therefore attacked in several ways, at ε = {}, and held to what a sound model \
         obeys. To decide whether to trust a model, read the chapter “Under attack” for models that pass; of one that \
         fails, robustness is unknown. Passing is no proof: a new attack may find what these do not.",
        epsilon(findings.epsilon)
    );
    let mut blocks = vec![Block::Paragraph(intro.into())];
    if findings.models.values().any(|of| !of.checks.is_empty()) {
        blocks.push(Block::Table(verdicts(findings, names)));
        blocks
            .push(Block::Folded { title: "Every check in numbers".into(), table: numbers(findings, names) });
    }
    if findings.transfers.iter().any(|of| of.source != of.target) {
        blocks.push(matrix(findings, names));
    }
    let section = Section { id: DoctorStudy::ID, title: DoctorStudy::TITLE, blocks };
    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.definitions = definitions();
    chapter.limitations =
        vec!["A model that passes all checks of robustness may still fall to an attack made for it.".into()];
    chapter.sample = Some(("checks of robustness", findings.n));
    let found = |number: &str| {
        let checks = findings.models.values().flat_map(|of| &of.checks);
        checks.into_iter().find(|check| check.id == number).map(|check| check.found.clone())
    };
    chapter.intervals.extend(found("gradient").map(|of| ("Share of images of a check", of)));
    chapter.intervals.extend(found("iterated").map(|of| ("One attack ahead of another", of)));
    chapter
}

fn definitions() -> Vec<(String, Text)> {
    vec![
        definition(
            "Checks of robustness",
            "Rules that attacks on any differentiable function obey: more steps, more starts and larger balls find at least as much; \
             gradients find at least as much as a search without them; the scale of the logits changes nothing; answers do not change \
             from one time to the next. A number with a direction is the share of images by which the weaker attack is ahead of the \
             stronger, with Agresti and Min's interval; a share has Wilson's. Both hold for all checks of a model at once (Bonferroni). A \
             check fails where the interval lies above what is tolerated, and passes where it ends within 15 % above it.",
            &[
                ("Carlini et al., 2019", "https://arxiv.org/abs/1902.06705"),
                ("Athalye et al., 2018", "https://arxiv.org/abs/1802.00420"),
            ],
        ),
        definition(
            "Transfer",
            "Adversarial images that PGD makes for one model, shown to another, on the images that both classify correctly without an attack; \
             next to the same images with every value moved up or down by ε at random.",
            &[("Papernot et al., 2016", "https://arxiv.org/abs/1605.07277")],
        ),
    ]
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Pass => "pass",
        Health::Fail => "fail",
        Health::CannotTell => "cannot tell",
    }
}

fn verdicts(findings: &DoctorFindings, names: &Names) -> Table {
    let mut questions: Vec<(&str, &str)> = Vec::new();
    for check in findings.models.values().flat_map(|of| &of.checks) {
        if !questions.iter().any(|(id, _)| *id == check.id) {
            questions.push((&check.id, &check.question));
        }
    }
    let row = |(id, question): &(&str, &str)| {
        let verdicts = findings.models.values().map(|of| {
            let check = of.checks.iter().find(|check| check.id == *id);
            check.map_or("–".into(), |check| Text::from(word(check.verdict)))
        });
        let start = [Text::from((*id).to_owned()), Text::from((*question).to_owned())];
        start.into_iter().chain(verdicts).collect()
    };
    let rows = questions.iter().map(row);
    let models = findings.models.names().map(|model| Column::words(names.bare(model)));
    Table {
        caption: format!(
            "Verdicts on {}; a model is examined on those that it classifies correctly.",
            counted(findings.n, "image")
        )
        .into(),
        columns: [Column::words("Check"), Column::prose("Question")].into_iter().chain(models).collect(),
        rows: rows.collect(),
    }
}

fn numbers(findings: &DoctorFindings, names: &Names) -> Table {
    let rows = findings.models.iter().flat_map(|(model, of)| {
        of.checks.iter().map(move |check: &Check| {
            vec![
                Text::from(names.bare(model)),
                check.id.clone().into(),
                Unit::Percent.cell(&check.found),
                Unit::Percent.value(check.tolerated).into(),
                word(check.verdict).into(),
                format!("{}. {}", check.measures, check.why).into(),
            ]
        })
    });
    Table {
        caption: "Every check: its number, how much of it a sound model may have, the verdict, and what the number counts.".into(),
        columns: vec![
            Column::words("Model"),
            Column::words("Check"),
            Column::numbers("Found"),
            Column::numbers("Tolerated"),
            Column::words("Verdict"),
            Column::prose("What"),
        ],
        rows: rows.collect(),
    }
}

fn matrix(findings: &DoctorFindings, names: &Names) -> Block {
    let models: Vec<_> = findings.models.names().collect();
    let cell = |source, target| {
        let found = findings.transfers.iter().find(|of| (of.source, of.target) == (source, target))?;
        found.fooled.known().map(|of| of.value)
    };
    let labels: Vec<String> = models.iter().map(|&model| names.bare(model).to_owned()).collect();
    let row = |of: &Transfer| {
        vec![
            Text::from(names.bare(of.source)),
            names.bare(of.target).into(),
            Unit::Percent.measured(&of.fooled),
            Unit::Percent.measured(&of.by_noise),
            p_value(of.p_value).into(),
        ]
    };
    Block::Figure(Figure {
        title: "What fools one model and another.".into(),
        caption: format!(
            "Of the images that source and target both classify correctly, the share that the target gets wrong when it is shown what \
             PGD made of them for the source, at ε = {}. On the diagonal each model is attacked itself.",
            epsilon(findings.epsilon)
        )
        .into(),
        panels: vec![Panel::chart(&MatrixChart {
            title: "Transfer".into(),
            description: "Share of images that fool the target (column), made for the source (row)".into(),
            row_label: "made for".into(),
            column_label: "shown to".into(),
            value_label: "fooled (%)".into(),
            rows: labels.clone(),
            columns: labels,
            values: models
                .iter()
                .flat_map(|&source| models.iter().map(move |&target| (source, target)))
                .map(|(source, target)| cell(source, target))
                .collect(),
            format: ValueFormat::Percent(0),
            range: Some((0.0, 1.0)),
        })],
        data: Some(Table {
            caption: "The same with intervals, next to noise of the same size; p-values of the exact McNemar test that noise does as much, \
                      adjusted over pairs (Benjamini-Hochberg)."
                .into(),
            columns: vec![
                Column::words("Made for"),
                Column::words("Shown to"),
                Column::numbers("Fooled"),
                Column::numbers("By noise"),
                Column::numbers("Adjusted p"),
            ],
            rows: findings.transfers.iter().map(row).collect(),
        }),
    })
}
