//! The curve of each norm: as SVG a chart, as PNG a picture of the same curve.

use std::fs;
use std::path::{Path, PathBuf};

use archaeo_analysis::attacks::Norm;
use archaeo_analysis::statistics::SurvivalPoint;
use archaeo_plot::{
    Axes, Axis, Bars, Chart, Figure, Image, LineChart, LineSeries, Panel, Point, Scale, Uncertainty, Width,
    svg_file, to_png,
};
use archaeo_store::StoreError;

use super::{Minimal, MinimalNorm};
use crate::destination::check_inputs;
use crate::error::LabError;

/// Pixels of the picture's sides, two to a CSS pixel.
const PICTURE: [usize; 2] = [960, 640];

/// Names along either axis.
const TICKS: usize = 5;

/// Colours of the curve and its band.
const CURVE: [u8; 3] = [31, 95, 160];
const BAND: [u8; 3] = [205, 222, 238];
const GRID: [u8; 3] = [225, 225, 225];

fn file(norm: Norm, ending: &str) -> String {
    format!("minimal-{}.{ending}", norm.id())
}

/// Refuses figures that would replace what is read.
pub(super) fn check(folder: &Path, norms: &[Norm], inputs: &[&Path]) -> Result<(), LabError> {
    for &norm in norms {
        for ending in ["svg", "png"] {
            check_inputs(&folder.join(file(norm, ending)), inputs)?;
        }
    }
    Ok(())
}

pub(super) fn write(folder: &Path, result: &Minimal) -> Result<Vec<PathBuf>, LabError> {
    fs::create_dir_all(folder).map_err(StoreError::io("write", folder))?;
    let mut written = Vec::new();
    for of in &result.norms {
        let svg = svg_file(&chart(result, of).draw(Width::Wide)?).into_bytes();
        let picture = drawn(&of.curve);
        let png = to_png(&figure(result, of, &picture).to_image()?)?;
        for (ending, bytes) in [("svg", svg), ("png", png)] {
            let path = folder.join(file(of.norm, ending));
            archaeo_store::write(&path, &bytes)?;
            written.push(path);
        }
    }
    Ok(written)
}

fn size(norm: Norm) -> &'static str {
    match norm {
        Norm::Linf => "size of the perturbation in L∞ (1/255)",
        Norm::L2 => "size of the perturbation in L2",
        Norm::L1 => "size of the perturbation in L1",
        Norm::L0 => "changed channel values",
    }
}

fn title(result: &Minimal, of: &MinimalNorm) -> String {
    format!("{}: accuracy by size of the perturbation, {}", result.model, of.norm)
}

fn explanation(result: &Minimal, of: &MinimalNorm) -> String {
    let attacks: Vec<&str> = of.attacks.iter().map(|attack| attack.title).collect();
    format!(
        "{} images; of each the smallest perturbation that {} found, before rounding to 8 bits. Band: the whole curve with 95 % \
         (Dvoretzky, Kiefer and Wolfowitz)",
        result.n,
        attacks.join(" or ")
    )
}

/// The end of the curve: its last step, or somewhere where it has none.
fn end(curve: &[SurvivalPoint]) -> f64 {
    curve.last().map(|point| point.at).filter(|at| *at > 0.0).unwrap_or(1.0)
}

fn chart(result: &Minimal, of: &MinimalNorm) -> LineChart {
    let mut points = Vec::new();
    for (index, point) in of.curve.iter().enumerate() {
        let interval = Some((point.band[0], point.band[1]));
        // Up to its place the curve has the share of the one before.
        if let Some(before) = index.checked_sub(1).map(|index| &of.curve[index]) {
            let interval = Some((before.band[0], before.band[1]));
            points.push(Point { x: point.at, y: before.share, interval });
        }
        points.push(Point { x: point.at, y: point.share, interval });
    }
    LineChart {
        title: title(result, of),
        description: explanation(result, of),
        x: Axis::new(size(of.norm), Scale::Linear).including(0.0, end(&of.curve)),
        y: Axis::new("robust accuracy", Scale::Percent).including(0.0, 1.0),
        series: vec![LineSeries { name: result.model.clone(), points }],
        uncertainty: Uncertainty::Band,
    }
}

fn figure<'a>(result: &Minimal, of: &MinimalNorm, picture: &'a Image) -> Figure<'a> {
    let share = |index: usize| index as f64 / (TICKS - 1) as f64;
    let columns = (0..TICKS).map(|index| number(share(index) * end(&of.curve))).collect();
    let rows = (0..TICKS).map(|index| format!("{:.0} %", 100.0 * (1.0 - share(index)))).collect();
    Figure {
        title: title(result, of),
        lines: vec![explanation(result, of), format!("Down: robust accuracy. Across: {}", size(of.norm))],
        panels: vec![Panel {
            title: String::new(),
            note: String::new(),
            picture,
            heat: None,
            axes: Some(Axes { rows, columns }),
        }],
        columns: 1,
        side: PICTURE[0] / 2,
        bars: Bars::Each,
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}

/// The curve and its band as pixels. Names stand in the middle of as many equal parts of a side, so that the ends of the scales lie
/// half a part inside.
fn drawn(curve: &[SurvivalPoint]) -> Image {
    let [width, height] = PICTURE;
    let mut image = Image::filled(width, height, [255; 3]);
    let inside = |length: usize, share: f64| {
        let part = length as f64 / TICKS as f64;
        (part / 2.0 + share * (length as f64 - part)) as usize
    };
    let column = |share: f64| inside(width, share).min(width - 1);
    let row = |share: f64| inside(height, 1.0 - share).min(height - 1);
    let mut paint = |x: usize, y: usize, colour: [u8; 3]| {
        image.pixels_mut()[(y * width + x) * 3..][..3].copy_from_slice(&colour);
    };
    for index in 0..TICKS {
        let share = index as f64 / (TICKS - 1) as f64;
        (column(0.0)..=column(1.0)).for_each(|x| paint(x, row(share), GRID));
        (row(1.0)..=row(0.0)).for_each(|y| paint(column(share), y, GRID));
    }
    let last = end(curve);
    let at = |x: usize| {
        let share = (x - column(0.0)) as f64 / (column(1.0) - column(0.0)) as f64;
        let place = curve.partition_point(|point| point.at <= share * last);
        &curve[place.max(1) - 1]
    };
    let across = || column(0.0)..=column(1.0);
    for x in across() {
        let [low, high] = at(x).band;
        (row(high)..=row(low)).for_each(|y| paint(x, y, BAND));
    }
    let mut before = row(at(column(0.0)).share);
    for x in across() {
        let here = row(at(x).share);
        // Two pixels thick, and joined to the column before.
        for y in before.min(here)..=before.max(here) + 1 {
            paint(x, y.min(height - 1), CURVE);
            paint((x + 1).min(width - 1), y.min(height - 1), CURVE);
        }
        before = here;
    }
    image
}

#[cfg(test)]
mod tests {
    use archaeo_analysis::statistics::survival;

    use super::*;

    #[test]
    fn the_curve_falls_from_left_to_right_inside_its_band() {
        let curve = survival(&[0.0, 1.0, 2.0, 2.0, 4.0, f64::INFINITY], 0.95).unwrap();
        let image = drawn(&curve);
        let [width, height] = PICTURE;
        let dark = |x: usize| (0..height).filter(|&y| image.pixel(x, y) == CURVE).collect::<Vec<_>>();
        let row = |share: f64| (height as f64 / 10.0 + (1.0 - share) * (height as f64 * 0.8)) as usize;
        // Between 0 and 1, a quarter of the way to 4, five of six images stand; before the end two do.
        assert!(dark(width / 5).contains(&row(5.0 / 6.0)));
        assert!(dark(width * 8 / 10).contains(&row(2.0 / 6.0)));
        assert_eq!(image.pixel(width / 5, row(5.0 / 6.0) + 20), BAND);
    }
}
