//! Where everything of a figure stands, in CSS pixels.

use super::{Axes, Bars, Figure, Heat, Panel, number};
use crate::text;
use crate::{Colormap, Image, Result};

/// Pixels of the PNG to a CSS pixel.
pub(super) const DENSITY: usize = 2;

/// Space around the figure.
pub(super) const MARGIN: usize = 12;

/// Space between pictures.
pub(super) const GAP: usize = 12;

/// Space between a picture and its text or colour bar.
pub(super) const PADDING: usize = 4;

/// Thickness of a colour bar.
const BAR: usize = 10;

/// Narrowest space for the title, so that the names in it can be read.
pub(super) const NARROWEST: usize = 300;

/// Size of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Title,
    Body,
}

impl Size {
    /// Pixels of the PNG to a pixel of the font at scale 1.
    pub(super) fn scale(self) -> usize {
        match self {
            Self::Title => 3,
            Self::Body => 2,
        }
    }

    /// Height of a line.
    pub(super) fn line(self) -> usize {
        (text::HEIGHT * self.scale()).div_ceil(DENSITY) + 1
    }

    pub(super) fn width(self, line: &str) -> usize {
        text::width(line, self.scale()).div_ceil(DENSITY)
    }

    pub(super) fn cut(self, line: &str, width: usize) -> String {
        text::ellipsize(line, width * DENSITY, self.scale())
    }
}

/// Which end of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    End,
}

/// Something drawn; `at` is the left top corner as x and y.
#[derive(Clone, Debug)]
pub(super) enum Mark<'a> {
    Picture {
        at: [usize; 2],
        size: [usize; 2],
        picture: &'a Image,
    },
    Heat {
        at: [usize; 2],
        size: [usize; 2],
        heat: Heat<'a>,
    },
    Bar {
        at: [usize; 2],
        size: [usize; 2],
        colormap: Colormap,
    },
    Text {
        at: [usize; 2],
        text: String,
        size: Size,
        anchor: Anchor,
        quiet: bool,
    },
    /// A rectangle's outline.
    Frame {
        at: [usize; 2],
        size: [usize; 2],
    },
    /// Centres of points, and the group of each.
    Dots {
        dots: Vec<([f64; 2], usize)>,
    },
}

/// A figure with everything in its place.
pub(super) struct LaidOut<'a> {
    pub width: usize,
    pub height: usize,
    pub title: String,
    pub marks: Vec<Mark<'a>>,
}

pub(super) fn laid_out<'a>(figure: &Figure<'a>) -> Result<LaidOut<'a>> {
    figure.check()?;
    let columns = figure.columns.min(figure.panels.len());
    let row_width = columns.saturating_mul(figure.side.saturating_add(GAP)) - GAP;
    let shared = shared_bar(figure);
    let bar_width = shared.as_ref().map_or(0, |bar| GAP + bar.width());
    let inner = row_width.saturating_add(bar_width).max(NARROWEST);
    let mut marks = Vec::new();
    let mut y = header(&figure.title, &figure.lines, inner, &mut marks);
    let top = y;
    for row in figure.panels.chunks(columns) {
        y = y.saturating_add(panels(figure, row, y, &mut marks)).saturating_add(GAP);
    }
    if let Some(bar) = shared {
        let at = [MARGIN + row_width + GAP, top + title_height(figure)];
        bar.place(at, figure.side, &mut marks);
    }
    let title = in_one(&figure.title, &figure.lines);
    Ok(LaidOut { width: inner.saturating_add(2 * MARGIN), height: y - GAP + MARGIN, title, marks })
}

/// Title and lines as one text.
pub(super) fn in_one(title: &str, lines: &[String]) -> String {
    [title].into_iter().chain(lines.iter().map(String::as_str)).collect::<Vec<_>>().join("; ")
}

/// Title and lines; gives where what follows begins.
pub(super) fn header(title: &str, lines: &[String], width: usize, marks: &mut Vec<Mark>) -> usize {
    let mut y = MARGIN;
    let mut put = |text: String, size: Size, quiet| {
        marks.push(Mark::Text { at: [MARGIN, y], text, size, anchor: Anchor::Start, quiet });
        y += size.line() + 1;
    };
    if !title.is_empty() {
        put(Size::Title.cut(title, width), Size::Title, false);
    }
    for line in lines.iter().flat_map(|line| broken(line, width)) {
        put(line, Size::Body, true);
    }
    y + PADDING
}

/// A line in two where it does not fit into one.
fn broken(line: &str, width: usize) -> Vec<String> {
    if Size::Body.width(line) <= width {
        return vec![line.into()];
    }
    let fits = |end: &usize| Size::Body.width(&line[..*end]) <= width;
    match line.match_indices(' ').map(|(end, _)| end).take_while(fits).last() {
        Some(end) => vec![line[..end].into(), Size::Body.cut(&line[end + 1..], width)],
        None => vec![Size::Body.cut(line, width)],
    }
}

/// Space for the titles of panels, where there are some.
fn title_height(figure: &Figure) -> usize {
    let titled = figure.panels.iter().any(|panel| !panel.title.is_empty());
    if titled { Size::Body.line() + PADDING } else { 0 }
}

/// The numbers at the ends of a colour bar; values beyond them are said to be there.
fn ends<'a>(range: [f32; 2], heats: impl Iterator<Item = Heat<'a>>) -> [String; 2] {
    let [mut below, mut above] = [false; 2];
    for heat in heats {
        let [lowest, highest] = heat.grid.bounds();
        below |= lowest < range[0];
        above |= highest > range[1];
    }
    let [low, high] = range.map(number);
    [if below { format!("≤ {low}") } else { low }, if above { format!("≥ {high}") } else { high }]
}

/// One row of panels; gives its height.
fn panels<'a>(figure: &Figure<'a>, row: &[Panel<'a>], top: usize, marks: &mut Vec<Mark<'a>>) -> usize {
    let side = figure.side;
    let line = Size::Body.line();
    let picture_top = top + title_height(figure);
    let mut height = title_height(figure) + side;
    for (column, panel) in row.iter().enumerate() {
        let x = MARGIN + column * (side + GAP);
        let title = Size::Body.cut(&panel.title, side);
        marks.push(Mark::Text {
            at: [x, top],
            text: title,
            size: Size::Body,
            anchor: Anchor::Start,
            quiet: false,
        });
        let [left, above] = panel.axes.as_ref().map_or([0; 2], room);
        let size = fitted(panel.picture, side.saturating_sub(left.max(above)).max(1));
        let at = [x + left, picture_top + above];
        if let Some(axes) = &panel.axes {
            name_cells(axes, at, size, marks);
        }
        marks.push(Mark::Picture { at, size, picture: panel.picture });
        if let Some(heat) = panel.heat {
            marks.push(Mark::Heat { at, size, heat });
        }
        let mut y = picture_top + side + PADDING;
        if let (Bars::Each, Some(heat)) = (&figure.bars, panel.heat) {
            y += each_bar(&heat, [x, y], side, marks);
        }
        if !panel.note.is_empty() {
            let text = Size::Body.cut(&panel.note, side);
            marks.push(Mark::Text { at: [x, y], text, size: Size::Body, anchor: Anchor::Start, quiet: true });
            y += line;
        }
        height = height.max(y - top);
    }
    height
}

/// Space to the left of a picture and above it for the names of its rows and columns.
fn room(axes: &Axes) -> [usize; 2] {
    let widest = axes.rows.iter().map(|name| Size::Body.width(name) + PADDING).max().unwrap_or(0);
    [widest, if axes.columns.is_empty() { 0 } else { Size::Body.line() }]
}

/// The names of rows and columns around a picture.
fn name_cells(axes: &Axes, [x, y]: [usize; 2], [width, height]: [usize; 2], marks: &mut Vec<Mark>) {
    let line = Size::Body.line();
    let widest = axes.columns.iter().map(|name| Size::Body.width(name) + PADDING).max().unwrap_or(0);
    let mut put = |at, name: &String, anchor| {
        marks.push(Mark::Text { at, text: name.clone(), size: Size::Body, anchor, quiet: true });
    };
    let every = |needed: usize, length: usize, count: usize| (needed * count).div_ceil(length.max(1)).max(1);
    let (rows, columns) = (axes.rows.len(), axes.columns.len());
    for (row, name) in axes.rows.iter().enumerate().step_by(every(line, height, rows)) {
        let middle = y + height * (2 * row + 1) / (2 * rows);
        put([x.saturating_sub(PADDING), middle.saturating_sub(line / 2)], name, Anchor::End);
    }
    for (column, name) in axes.columns.iter().enumerate().step_by(every(widest, width, columns)) {
        let middle = x + width * (2 * column + 1) / (2 * columns);
        let left = middle.saturating_sub(Size::Body.width(name) / 2);
        put([left, y.saturating_sub(line)], name, Anchor::Start);
    }
}

/// A horizontal bar with its two numbers below; gives its height.
fn each_bar<'a>(heat: &Heat<'a>, [x, y]: [usize; 2], width: usize, marks: &mut Vec<Mark<'a>>) -> usize {
    marks.push(Mark::Bar { at: [x, y], size: [width, BAR], colormap: heat.colormap });
    let below = y + BAR + 2;
    let [low, high] = ends(heat.range, [*heat].into_iter());
    for (text, at, anchor) in [(low, [x, below], Anchor::Start), (high, [x + width, below], Anchor::End)] {
        marks.push(Mark::Text { at, text, size: Size::Body, anchor, quiet: true });
    }
    BAR + 2 + Size::Body.line()
}

/// A vertical bar for all panels, with what its numbers are below it.
struct SharedBar {
    colormap: Colormap,
    high: String,
    low: String,
    /// What the numbers are, a word in a line.
    label: Vec<String>,
}

fn shared_bar(figure: &Figure) -> Option<SharedBar> {
    let Bars::Shared(label) = &figure.bars else { return None };
    let heat = figure.panels.iter().find_map(|panel| panel.heat)?;
    let [low, high] = ends(heat.range, figure.panels.iter().filter_map(|panel| panel.heat));
    let label = label.split_whitespace().map(str::to_owned).collect();
    Some(SharedBar { colormap: heat.colormap, high, low, label })
}

impl SharedBar {
    fn width(&self) -> usize {
        let numbers = [&self.high, &self.low].map(|text| BAR + PADDING + Size::Body.width(text));
        let words = self.label.iter().map(|word| Size::Body.width(word));
        numbers.into_iter().chain(words).max().unwrap_or(BAR)
    }

    fn place(self, [x, y]: [usize; 2], height: usize, marks: &mut Vec<Mark>) {
        let line = Size::Body.line();
        let label = self.label.len() * line + PADDING;
        let length = height.saturating_sub(label).max(2 * line);
        let mut put = |at, text| {
            marks.push(Mark::Text { at, text, size: Size::Body, anchor: Anchor::Start, quiet: true });
        };
        put([x + BAR + PADDING, y], self.high);
        put([x + BAR + PADDING, y + length - line], self.low);
        for (number, word) in self.label.into_iter().enumerate() {
            put([x, y + length + PADDING + number * line], word);
        }
        marks.push(Mark::Bar { at: [x, y], size: [BAR, length], colormap: self.colormap });
    }
}

/// Width and height of a picture whose longer side is `side`.
fn fitted(picture: &Image, side: usize) -> [usize; 2] {
    let longer = picture.width().max(picture.height());
    [picture.width(), picture.height()].map(|length| ((length * side + longer / 2) / longer).max(1))
}
