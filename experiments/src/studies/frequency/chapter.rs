//! Fine and coarse: the chapter.

use archaeo_analysis::statistics::Estimate;
use archaeo_plot::{Axis, LineChart, LineSeries, Scale, Uncertainty};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, counted, decimal, epsilon};

use super::FrequencyStudy;
use super::claims::claims;
use super::findings::{Cutoff, FrequencyFindings};
use crate::report::Names;
use crate::report::charts::point;
use crate::report::method::definition;
use crate::report::names::capitalised;
use crate::study::{Chapter, Study};

pub(super) fn chapter(findings: &FrequencyFindings, names: &Names) -> Chapter {
    let intro = format!(
        "{} are shown without their fine and without their coarse structure, and attacked at ε = {}. A model that needs what is fine is \
         easily lost to noise, compression and blur, and perturbations that fool it can hide there.",
        capitalised(&counted(findings.n, "image")),
        epsilon(findings.epsilon)
    );
    let mut blocks = vec![Block::Paragraph(intro.into())];
    if !findings.models.is_empty() {
        blocks.push(spectra(findings, names));
        blocks.push(cutoffs(findings, names));
    }
    let section = Section { id: FrequencyStudy::ID, title: FrequencyStudy::TITLE, blocks };
    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.definitions = vec![definition(
        "Spatial frequencies",
        "Of the orthonormal discrete cosine transform of each channel: coefficient (u, v) of a plane of height h and width w has the frequency \
         √((u/h)² + (v/w)²), in units of the Nyquist frequency along an axis. White noise has the same power in every coefficient. Images \
         cut in two keep their mean colour in both parts, and values are cut to what an image can hold.",
        &[("Yin et al., 2019", "https://arxiv.org/abs/1906.08988")],
    )];
    chapter.sample = Some(("frequencies", findings.n));
    let first = findings.models.values().next();
    chapter.intervals.extend(
        first
            .and_then(|of| of.mean_frequency.known())
            .map(|of| ("Mean frequency of perturbations", of.clone())),
    );
    chapter
}

/// Middle of a band.
fn middle(band: usize, bands: usize) -> f64 {
    (band as f64 + 0.5) / bands as f64 * std::f64::consts::SQRT_2
}

fn spectra(findings: &FrequencyFindings, names: &Names) -> Block {
    // Relative to white noise, so that a flat line is one without a preference.
    let relative = |of: &Estimate, white: f64| Estimate {
        value: of.value / white,
        low: of.low / white,
        high: of.high / white,
        ..of.clone()
    };
    let series = findings.models.iter().map(|(model, of)| {
        let bands = of.bands.iter().zip(&findings.white[model]).enumerate();
        let points = bands.filter_map(|(band, (found, &white))| {
            point(middle(band, of.bands.len()), &relative(found.known()?, white))
        });
        LineSeries { name: names.bare(model).into(), points: points.collect() }
    });
    let series: Vec<LineSeries> = series.filter(|series| !series.points.is_empty()).collect();
    let rows = findings.models.iter().flat_map(|(model, of)| {
        of.bands.iter().zip(&findings.white[model]).enumerate().map(move |(band, (found, white))| {
            vec![
                Text::from(names.bare(model)),
                decimal(middle(band, of.bands.len()), 2).into(),
                Unit::Percent.measured(found),
                Unit::Percent.value(*white).into(),
            ]
        })
    });
    let panel = Panel::chart(&LineChart {
        title: "Perturbations".into(),
        description: "Power of perturbations relative to white noise against frequency".into(),
        x: Axis::new("frequency (1 is Nyquist)", Scale::Linear),
        y: Axis::new("power over that of white noise", Scale::Linear).including(0.0, 1.0),
        series: series.clone(),
        uncertainty: Uncertainty::Band,
    });
    Block::Figure(Figure {
        title: "What an attack adds.".into(),
        caption: "Power of PGD's perturbations in bands of frequency, over that of white noise: above 1 an attack prefers the band. Bands are \
                  intervals over images."
            .into(),
        panels: if series.is_empty() { Vec::new() } else { vec![panel] },
        data: Some(Table {
            caption: "Share of the power of perturbations in each band, and of white noise.".into(),
            columns: vec![
                Column::words("Model"),
                Column::numbers("Middle of the band"),
                Column::numbers("Perturbations"),
                Column::numbers("White noise"),
            ],
            rows: rows.collect(),
        }),
    })
}

fn cutoffs(findings: &FrequencyFindings, names: &Names) -> Block {
    type Part = fn(&Cutoff) -> &Estimate;
    let parts: [(&str, Part); 2] =
        [("Below the cut-off", |of| &of.low), ("Above the cut-off", |of| &of.high)];
    let chart = |(title, part): &(&str, Part)| LineChart {
        title: (*title).into(),
        description: format!("Accuracy on what lies {} against the cut-off", title.to_lowercase()),
        x: Axis::new("cut-off (1 is Nyquist)", Scale::Linear),
        y: Axis::new("accuracy", Scale::Percent).including(0.0, 1.0),
        series: findings
            .models
            .iter()
            .map(|(model, of)| LineSeries {
                name: names.bare(model).into(),
                points: of.cutoffs.iter().filter_map(|of| point(of.cutoff, part(of))).collect(),
            })
            .collect(),
        uncertainty: Uncertainty::Band,
    };
    let rows = findings.models.iter().flat_map(|(model, of)| {
        of.cutoffs.iter().map(move |of| {
            vec![
                Text::from(names.bare(model)),
                decimal(of.cutoff, 3).into(),
                Unit::Percent.cell(&of.low),
                Unit::Percent.cell(&of.high),
            ]
        })
    });
    Block::Figure(Figure {
        title: "What is needed.".into(),
        caption: "Accuracy on images without their fine structure (below the cut-off), and without their coarse structure (above it).".into(),
        panels: parts.iter().map(|part| Panel::chart(&chart(part))).collect(),
        data: Some(Table {
            caption: "Accuracy on either part.".into(),
            columns: vec![
                Column::words("Model"),
                Column::numbers("Cut-off"),
                Column::numbers("Below"),
                Column::numbers("Above"),
            ],
            rows: rows.collect(),
        }),
    })
}
