//! Pictures of damage: accuracy by severity as SVG, and one image under every corruption as PNG.

use std::fs;
use std::path::{Path, PathBuf};

use archaeo_analysis::statistics::Estimate;
use archaeo_data::Image;
use archaeo_data::corruptions::{Corruption, CorruptionGroup};
use archaeo_experiments::studies::findings::CorruptionScores;
use archaeo_plot::{
    Axis, Cell, Chart, LineChart, LineSeries, Point, Scale, SheetLayout, Uncertainty, Width, contact_sheet,
    svg_file, to_png,
};
use archaeo_store::StoreError;
use archaeo_training::images::{Batch, Preprocessed};

use super::{Answers, Corrupted};
use crate::destination::check_inputs;
use crate::error::LabError;
use crate::opened::Opened;

/// The mean over corruptions.
const MEAN: &str = "severity-mean.svg";
/// One image under every corruption.
const SHEET: &str = "corruptions.png";

const GROUPS: [CorruptionGroup; 6] = [
    CorruptionGroup::Noise,
    CorruptionGroup::Blur,
    CorruptionGroup::Weather,
    CorruptionGroup::Digital,
    CorruptionGroup::Extra,
    CorruptionGroup::Patches,
];

fn file(group: CorruptionGroup) -> String {
    format!("severity-{group}.svg")
}

/// Refuses pictures that would replace what is read.
///
/// # Errors
/// One that would.
pub(super) fn check(folder: &Path, inputs: &[&Path]) -> Result<(), LabError> {
    let names = GROUPS.into_iter().map(file).chain([MEAN.to_owned(), SHEET.to_owned()]);
    names.into_iter().try_for_each(|name| check_inputs(&folder.join(name), inputs))
}

/// Draws what was found, and the image at `place` under every corruption with what the model answers.
///
/// # Errors
/// A folder or a file that cannot be written, an image that cannot be read.
pub(super) fn write(
    folder: &Path,
    opened: &Opened,
    (found, answers): (&Corrupted, &Answers),
    corruptions: &[Corruption],
    seed: u64,
) -> Result<Vec<PathBuf>, LabError> {
    fs::create_dir_all(folder).map_err(StoreError::io("write", folder))?;
    let mut written = Vec::new();
    let mut keep = |name: &str, bytes: &[u8]| -> Result<(), LabError> {
        let path = folder.join(name);
        archaeo_store::write(&path, bytes)?;
        written.push(path);
        Ok(())
    };
    keep(MEAN, svg_file(&mean(found).draw(Width::Wide)?).as_bytes())?;
    for group in GROUPS {
        if let Some(chart) = of_group(found, group) {
            keep(&file(group), svg_file(&chart.draw(Width::Wide)?).as_bytes())?;
        }
    }
    keep(SHEET, &to_png(&sheet(opened, &found.severities, answers, corruptions, seed)?)?)?;
    Ok(written)
}

fn chart(title: String, found: &Corrupted, series: Vec<LineSeries>) -> LineChart {
    LineChart {
        title,
        description: format!(
            "Accuracy on {} images of {}/{} by severity of the damage; 0 is without damage. Whiskers: 95 % intervals",
            found.n, found.data, found.split
        ),
        x: Axis::new("severity", Scale::Linear),
        y: Axis::new("accuracy", Scale::Percent).including(0.0, 1.0),
        series,
        uncertainty: Uncertainty::Whiskers,
    }
}

/// Accuracy without damage and at each severity.
fn series(name: String, clean: &Estimate, severities: &[usize], accuracy: &[Estimate]) -> LineSeries {
    let point = |severity: usize, of: &Estimate| Point {
        x: severity as f64,
        y: of.value,
        interval: (of.low.is_finite() && of.high.is_finite()).then_some((of.low, of.high)),
    };
    let damaged = severities.iter().zip(accuracy).map(|(&severity, of)| point(severity, of));
    LineSeries { name, points: std::iter::once(point(0, clean)).chain(damaged).collect() }
}

/// The mean over corruptions, of the model and of the one that it is compared with.
fn mean(found: &Corrupted) -> LineChart {
    let of = |name: &str, scores: &CorruptionScores| {
        series(name.to_owned(), &scores.clean, &found.severities, &scores.by_severity)
    };
    let mut all = vec![of(&found.model, &found.scores)];
    if let Some(baseline) = &found.baseline {
        let name = if baseline.model == found.model { "baseline" } else { &baseline.model };
        all.push(of(name, &baseline.scores));
    }
    chart(format!("Mean over {} kinds of damage", found.scores.corruptions.len()), found, all)
}

fn of_group(found: &Corrupted, group: CorruptionGroup) -> Option<LineChart> {
    let of_group = found.scores.corruptions.iter().filter(|of| of.corruption.group() == group);
    let all = of_group
        .map(|of| series(of.corruption.title(), &found.scores.clean, &found.severities, &of.accuracy));
    let all: Vec<LineSeries> = all.collect();
    (!all.is_empty()).then(|| chart(format!("{}: {group}", found.model), found, all))
}

/// The first image that is right without damage, or else the first of all: a row for each corruption, a column for each severity.
fn sheet(
    opened: &Opened,
    severities: &[usize],
    answers: &Answers,
    corruptions: &[Corruption],
    seed: u64,
) -> Result<Image, LabError> {
    let right = (0..answers.labels.len()).position(|image| answers.clean[image] == answers.labels[image]);
    let place = right.unwrap_or(0);
    let index = opened.indices[place];
    let card = opened.model.card();
    let images = Preprocessed { split: opened.split()?, preprocessing: &card.preprocessing };
    let image = Batch::load(&images, &[index], 0)?.images.remove(0);
    let called = |class: usize| opened.dataset.classes[class].clone();
    let clean =
        || Cell { picture: image.clone(), caption: format!("undamaged\n{}", called(answers.clean[place])) };
    let mut cells = Vec::new();
    for (corruption, of) in corruptions.iter().zip(&answers.damaged) {
        cells.push(clean());
        for (&severity, predicted) in severities.iter().zip(of) {
            cells.push(Cell {
                picture: corruption.apply(&image, severity, seed, index as u64),
                caption: format!("{}\n{}", corruption.id(), called(predicted[place])),
            });
        }
    }
    let headings = std::iter::once("severity 0".to_owned())
        .chain(severities.iter().map(|severity| format!("severity {severity}")));
    let layout =
        SheetLayout { columns: severities.len() + 1, headings: headings.collect(), ..SheetLayout::default() };
    Ok(contact_sheet(&cells, &layout)?)
}
