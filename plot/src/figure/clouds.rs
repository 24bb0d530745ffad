//! Clouds of points side by side, such as images by their features, in the colours and shapes of their groups.

use super::layout::{Anchor, DENSITY, GAP, LaidOut, MARGIN, Mark, NARROWEST, PADDING, Size, header, in_one};
use super::{WIDEST, dots, pixels, svg};
use crate::{Image, PlotError, Result};

/// Groups that are named below; the rest is counted.
const MOST_NAMED: usize = 24;

/// Space for a group's dot next to its name.
const SWATCH: usize = 12;

/// Clouds under one title.
#[derive(Clone, Debug)]
pub struct CloudFigure {
    /// First line.
    pub title: String,
    /// Lines below it, smaller; a line that is too long is broken once.
    pub lines: Vec<String>,
    /// Clouds, row by row.
    pub clouds: Vec<Cloud>,
    /// Clouds in a row.
    pub columns: usize,
    /// Side of a cloud's square, in CSS pixels. The PNG has twice as many.
    pub side: usize,
    /// Names of the groups; none where points have no groups.
    pub groups: Vec<String>,
}

/// Points in the plane. Both axes have one scale, so that distances are as they are.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// Line above the points; cut where it does not fit.
    pub title: String,
    /// Line below them; empty for none.
    pub note: String,
    /// x and y; y rises.
    pub points: Vec<[f64; 2]>,
    /// The group of each, a place in [`CloudFigure::groups`]; empty where there are no groups.
    pub groups: Vec<usize>,
}

impl CloudFigure {
    /// The figure as a picture, with two pixels to each CSS pixel.
    ///
    /// # Errors
    /// As [`CloudFigure::to_svg`].
    pub fn to_image(&self) -> Result<Image> {
        pixels::drawn(&self.laid_out()?)
    }

    /// The figure as an SVG file of its own.
    ///
    /// # Errors
    /// A figure without clouds or columns, a cloud without points, groups of another number than its points or beyond their names, a
    /// point that is not finite, or a figure that would be too large.
    pub fn to_svg(&self) -> Result<String> {
        svg::drawn(&self.laid_out()?)
    }

    fn laid_out(&self) -> Result<LaidOut<'static>> {
        self.check()?;
        let columns = self.columns.min(self.clouds.len());
        let inner = (columns * (self.side + GAP) - GAP).max(NARROWEST);
        let mut marks = Vec::new();
        let mut y = header(&self.title, &self.lines, inner, &mut marks);
        let line = Size::Body.line();
        for row in self.clouds.chunks(columns) {
            let noted = row.iter().any(|cloud| !cloud.note.is_empty());
            let top = y + line + PADDING;
            for (column, cloud) in row.iter().enumerate() {
                let x = MARGIN + column * (self.side + GAP);
                let below = top + self.side + PADDING;
                for (text, at, quiet) in [(&cloud.title, y, false), (&cloud.note, below, true)] {
                    let text = Size::Body.cut(text, self.side);
                    marks.push(Mark::Text {
                        at: [x, at],
                        text,
                        size: Size::Body,
                        anchor: Anchor::Start,
                        quiet,
                    });
                }
                marks.push(Mark::Frame { at: [x, top], size: [self.side; 2] });
                marks.push(Mark::Dots { dots: cloud.placed([x, top], self.side) });
            }
            y = top + self.side + if noted { PADDING + line } else { 0 } + GAP;
        }
        y = self.legend(y, inner, &mut marks);
        let title = in_one(&self.title, &self.lines);
        Ok(LaidOut { width: inner + 2 * MARGIN, height: y - GAP + MARGIN, title, marks })
    }

    /// Dots with the names of their groups; gives where what follows begins.
    fn legend(&self, top: usize, width: usize, marks: &mut Vec<Mark>) -> usize {
        let mut names: Vec<(Option<usize>, String)> = self
            .groups
            .iter()
            .take(MOST_NAMED)
            .enumerate()
            .map(|(group, name)| (Some(group), name.clone()))
            .collect();
        if let Some(more @ 1..) = self.groups.len().checked_sub(MOST_NAMED) {
            names.push((None, format!("and {more} more")));
        }
        if names.is_empty() {
            return top;
        }
        let line = Size::Body.line();
        let (mut x, mut y) = (0, top);
        let mut swatches = Vec::new();
        for (group, name) in names {
            let name = Size::Body.cut(&name, width - SWATCH);
            let needed = SWATCH + Size::Body.width(&name);
            if x > 0 && x + needed > width {
                (x, y) = (0, y + line);
            }
            if let Some(group) = group {
                let centre = [MARGIN + x + SWATCH / 3, y + line / 2].map(|value| value as f64);
                swatches.push((centre, group));
            }
            let at = [MARGIN + x + SWATCH, y];
            marks.push(Mark::Text { at, text: name, size: Size::Body, anchor: Anchor::Start, quiet: true });
            x += needed + GAP;
        }
        marks.push(Mark::Dots { dots: swatches });
        y + line + GAP
    }

    fn check(&self) -> Result<()> {
        let what = "a figure";
        let empty = |reason| Err(PlotError::Empty { what, reason });
        if self.clouds.is_empty() || self.clouds.iter().any(|cloud| cloud.points.is_empty()) {
            return empty("there are no points");
        }
        if self.columns == 0 || self.side == 0 {
            return empty("columns and side must be 1 or more");
        }
        if self.side > WIDEST / DENSITY || self.clouds.len() > WIDEST {
            return Err(PlotError::TooLarge { width: self.side, height: self.side });
        }
        for cloud in &self.clouds {
            if let Some(value) = cloud.points.iter().flatten().find(|value| !value.is_finite()) {
                let reason = "it must be finite";
                return Err(PlotError::BadValue { what: what.into(), value: *value, reason });
            }
            let known = |group: &usize| *group < self.groups.len();
            if !cloud.groups.is_empty()
                && (cloud.groups.len() != cloud.points.len() || !cloud.groups.iter().all(known))
            {
                return empty("every point needs a group that has a name");
            }
        }
        Ok(())
    }
}

impl Cloud {
    /// Where the points stand in a square, and their groups.
    fn placed(&self, at: [usize; 2], side: usize) -> Vec<([f64; 2], usize)> {
        let ends = |axis: usize| {
            let values = self.points.iter().map(|point| point[axis]);
            values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| {
                [low.min(value), high.max(value)]
            })
        };
        let [across, up] = [ends(0), ends(1)];
        let extent = (across[1] - across[0]).max(up[1] - up[0]);
        let margin = 3.0 * dots::RADIUS;
        let scale = if extent > 0.0 { (side as f64 - 2.0 * margin).max(1.0) / extent } else { 0.0 };
        let middle = |[low, high]: [f64; 2]| low / 2.0 + high / 2.0;
        let centre = at.map(|corner| corner as f64 + side as f64 / 2.0);
        let place = |(image, point): (usize, &[f64; 2])| {
            let x = centre[0] + (point[0] - middle(across)) * scale;
            let y = centre[1] - (point[1] - middle(up)) * scale;
            ([x, y], self.groups.get(image).copied().unwrap_or(0))
        };
        self.points.iter().enumerate().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(clouds: Vec<Cloud>) -> CloudFigure {
        let groups = ["a", "b & c"].map(String::from).to_vec();
        CloudFigure {
            title: "Points".into(),
            lines: vec!["of two".into()],
            clouds,
            columns: 2,
            side: 100,
            groups,
        }
    }

    fn cloud(points: Vec<[f64; 2]>, groups: Vec<usize>) -> Cloud {
        Cloud { title: "t-SNE".into(), note: "trust 0.9".into(), points, groups }
    }

    #[test]
    fn both_drawings_have_every_point_in_its_place() {
        let figure =
            figure(vec![cloud(vec![[0.0, 0.0], [1.0, 2.0]], vec![0, 1]), cloud(vec![[5.0, 5.0]], vec![])]);
        let svg = figure.to_svg().unwrap();
        // Two circles of group 0 in clouds and one in the legend; one square of group 1 and one in the legend.
        assert_eq!(svg.matches("<circle ").count(), 3);
        assert_eq!(svg.matches("fill=\"#d55e00\"").count(), 2);
        assert!(svg.contains("b &amp; c") && svg.contains("trust 0.9"), "{svg}");
        let image = figure.to_image().unwrap();
        let pixel = |[x, y]: [f64; 2]| {
            let [x, y] = [x, y].map(|value| (value * DENSITY as f64) as usize);
            let at = 3 * (y * image.width() + x);
            <[u8; 3]>::try_from(&image.pixels()[at..at + 3]).unwrap()
        };
        let laid_out = figure.laid_out().unwrap();
        let mut seen = 0;
        for mark in &laid_out.marks {
            let Mark::Dots { dots } = mark else { continue };
            for &(centre, group) in dots {
                let mixed = dots::color(group)
                    .map(|c| (f64::from(c) * dots::OPACITY + 255.0 * (1.0 - dots::OPACITY)).round() as u8);
                assert_eq!(pixel(centre), mixed);
                seen += 1;
            }
        }
        assert_eq!(seen, 5);
    }

    #[test]
    fn both_axes_have_one_scale_and_y_rises() {
        let wide = cloud(vec![[0.0, 0.0], [10.0, 1.0]], vec![]);
        let placed = wide.placed([0, 0], 200);
        let [dx, dy] = [0, 1].map(|axis| placed[1].0[axis] - placed[0].0[axis]);
        assert!((dx / -dy - 10.0).abs() < 1e-9 && dx > 180.0, "{dx} and {dy}");
        assert!(placed.iter().all(|(point, _)| point.iter().all(|value| (0.0..=200.0).contains(value))));
        // All in one place.
        assert_eq!(cloud(vec![[7.0, 7.0]; 2], vec![]).placed([0, 0], 200)[1].0, [100.0; 2]);
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        assert!(figure(vec![]).to_svg().is_err());
        assert!(figure(vec![cloud(vec![], vec![])]).to_svg().is_err());
        assert!(figure(vec![cloud(vec![[f64::NAN, 0.0]], vec![])]).to_svg().is_err());
        assert!(figure(vec![cloud(vec![[0.0; 2]], vec![2])]).to_svg().is_err());
        assert!(figure(vec![cloud(vec![[0.0; 2]], vec![0, 1])]).to_svg().is_err());
    }
}
