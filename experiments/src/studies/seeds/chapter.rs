//! Runs next to one another, and what they share.

use archaeo_plot::{Axis, DotIntervalChart, DotRow, Scale};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, counted};

use super::SeedsStudy;
use super::claims::claims;
use super::findings::{RunScore, SeedsFindings};
use crate::report::Names;
use crate::report::charts::measure;
use crate::report::method::definition;
use crate::study::{Chapter, Study};

pub(super) fn chapter(findings: &SeedsFindings, names: &Names) -> Chapter {
    let section = Section {
        id: SeedsStudy::ID,
        title: SeedsStudy::TITLE,
        blocks: vec![chart(findings, names), table(findings, names)],
    };
    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.definitions.push(definition(
        "Over seeds",
        "Runs of one recipe that differ in their seed: initial values, order of the images, augmentation. Means over runs have \
         Student's t interval over runs, which speaks of further seeds on the same images; the interval of one run speaks of further \
         images. Two recipes are compared by Welch's test over their runs. Disagreement: the share of images to which two runs give \
         different answers, mean over pairs of runs.",
        &[],
    ));
    chapter.limitations.push(
        "Of a model with several runs, every chapter but “From seed to seed” looks at the first; what they find may differ for \
         another seed."
            .into(),
    );
    if let Some(over) = findings.models.values().next() {
        chapter.intervals.push(("Accuracy over seeds", over.accuracy.clone()));
        chapter.intervals.push(("Disagreement of two runs", over.disagreement.clone()));
    }
    chapter
}

/// `seed 3`, or the number of the run where its seed is not known.
fn called(place: usize, run: &RunScore) -> String {
    run.seed.map_or_else(|| format!("run {}", place + 1), |seed| format!("seed {seed}"))
}

fn chart(findings: &SeedsFindings, names: &Names) -> Block {
    let of_runs = findings.models.iter().flat_map(|(name, over)| {
        over.runs.iter().enumerate().filter_map(move |(place, run)| {
            Some(DotRow {
                label: format!("{}, {}", names.bare(name), called(place, run)),
                measure: measure(&run.accuracy)?,
                series: names.series(name),
            })
        })
    });
    let chart = DotIntervalChart {
        title: "Accuracy of each run".into(),
        description: "Accuracy of every run of every model, with its interval over images".into(),
        value: Axis::new("accuracy", Scale::Percent),
        rows: of_runs.collect(),
        reference: None,
    };
    Block::Figure(Figure {
        title: "Accuracy of each run.".into(),
        caption: format!(
            "Each dot is one run on the same {} of the {} split; lines are intervals over images. Where the dots of a model lie \
             further apart than those of two models, the seed decides which one looks better.",
            counted(findings.n, "image"),
            findings.split
        )
        .into(),
        panels: vec![Panel::chart(&chart)],
        data: None,
    })
}

fn table(findings: &SeedsFindings, names: &Names) -> Block {
    let rows = findings.models.iter().map(|(name, over)| {
        vec![
            Text::from(names.bare(name)),
            over.runs.len().to_string().into(),
            Unit::Percent.cell(&over.accuracy),
            Unit::Points.bare(over.deviation).into(),
            Unit::Nats.cell(&over.loss),
            Unit::Percent.cell(&over.disagreement),
            Unit::Percent.cell(&over.always_right),
            Unit::Percent.cell(&over.always_wrong),
        ]
    });
    Block::Table(Table {
        caption: "Over runs. Intervals of accuracy and loss are over runs, the others over images. The standard deviation is in \
                  points; loss is in nats."
            .into(),
        columns: vec![
            Column::words("Model"),
            Column::numbers("Runs"),
            Column::numbers("Mean accuracy"),
            Column::numbers("Standard deviation"),
            Column::numbers("Mean loss"),
            Column::numbers("Two runs disagree"),
            Column::numbers("All runs right"),
            Column::numbers("All runs wrong"),
        ],
        rows: rows.collect(),
    })
}
