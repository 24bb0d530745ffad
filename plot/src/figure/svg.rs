//! A figure as an SVG file.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Heat;
use super::dots::{self, Shape};
use super::layout::{Anchor, DENSITY, LaidOut, Mark};
use super::pixels::SHARP_BELOW;
use crate::chart::escape;
use crate::{Colormap, Image, Result, text, to_png};

pub(super) const PAPER: [u8; 3] = [255; 3];
pub(super) const INK: [u8; 3] = [32, 36, 42];
pub(super) const QUIET: [u8; 3] = [82, 90, 102];

/// The font of the pixels first, then those that are as wide, or narrower.
const FONTS: &str = "'DejaVu Sans', Verdana, Helvetica, Arial, sans-serif";

/// Cells of the largest grid that is written as rectangles; a larger one is embedded as a picture.
const MOST_RECTANGLES: usize = 32 * 32;

const MAPS: [(Colormap, &str); 3] =
    [(Colormap::Viridis, "viridis"), (Colormap::Inferno, "inferno"), (Colormap::BlueRed, "blue-red")];

pub(super) fn drawn(figure: &LaidOut) -> Result<String> {
    let LaidOut { width, height, title, marks } = figure;
    let title = escape(title);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\" font-family=\"{FONTS}\">\n<title>{title}</title>\n"
    );
    let pictures = embedded(marks);
    svg += "<defs>\n";
    for (number, picture) in pictures.iter().enumerate() {
        svg += &image(&format!("id=\"picture-{number}\""), picture)?;
    }
    for (colormap, name) in MAPS {
        for (rises, direction) in
            [(true, "x1=\"0\" y1=\"1\" x2=\"0\" y2=\"0\""), (false, "x1=\"0\" y1=\"0\" x2=\"1\" y2=\"0\"")]
        {
            let used = |mark: &Mark| matches!(mark, Mark::Bar { colormap: own, size, .. } if *own == colormap && (size[1] > size[0]) == rises);
            if marks.iter().any(used) {
                svg += &gradient(&gradient_id(name, rises), direction, colormap);
            }
        }
    }
    svg += "</defs>\n";
    let _ = writeln!(svg, "<rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>", hex(PAPER));
    for mark in marks {
        svg += &element(mark, &pictures)?;
    }
    Ok(svg + "</svg>\n")
}

/// Every picture once.
fn embedded<'a>(marks: &[Mark<'a>]) -> Vec<&'a Image> {
    let mut pictures: Vec<&Image> = Vec::new();
    for mark in marks {
        if let Mark::Picture { picture, .. } = mark
            && !pictures.iter().any(|known| std::ptr::eq(*known, *picture))
        {
            pictures.push(picture);
        }
    }
    pictures
}

fn element(mark: &Mark, pictures: &[&Image]) -> Result<String> {
    Ok(match mark {
        Mark::Picture { at: [x, y], size, picture } => {
            let number = pictures.iter().position(|known| std::ptr::eq(*known, *picture)).unwrap_or_default();
            let scale = scale(*size, [picture.width(), picture.height()]);
            format!(
                "<use xlink:href=\"#picture-{number}\" transform=\"translate({x} {y}) scale({scale})\"/>\n"
            )
        }
        Mark::Heat { at: [x, y], size, heat } => {
            let scale = scale(*size, heat.cells());
            format!(
                "<g transform=\"translate({x} {y}) scale({scale})\" opacity=\"{}\" shape-rendering=\"crispEdges\">\n{}</g>\n",
                heat.opacity,
                cells(heat)?
            )
        }
        Mark::Bar { at: [x, y], size: [width, height], colormap } => {
            let name = MAPS.iter().find(|(known, _)| known == colormap).map_or("", |(_, name)| name);
            let id = gradient_id(name, height > width);
            format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"url(#{id})\"/>\n")
        }
        Mark::Text { at: [x, y], text, size, anchor, quiet } => {
            let per_unit = size.scale() as f64 / DENSITY as f64;
            let (baseline, em) = (*y as f64 + text::BASELINE as f64 * per_unit, text::EM as f64 * per_unit);
            let anchor = if *anchor == Anchor::End { " text-anchor=\"end\"" } else { "" };
            let fill = hex(if *quiet { QUIET } else { INK });
            let text = escape(text);
            format!(
                "<text x=\"{x}\" y=\"{baseline}\" font-size=\"{em}\" fill=\"{fill}\"{anchor}>{text}</text>\n"
            )
        }
        Mark::Frame { at: [x, y], size: [width, height] } => format!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"{}\"/>\n",
            *x as f64 + 0.5,
            *y as f64 + 0.5,
            width.saturating_sub(1),
            height.saturating_sub(1),
            hex(dots::FRAME)
        ),
        Mark::Dots { dots } => {
            let mut written = format!("<g fill-opacity=\"{}\">\n", dots::OPACITY);
            for &(centre, group) in dots {
                let _ = writeln!(written, "{}", Shape::of(group).element(centre, &hex(dots::color(group))));
            }
            written + "</g>\n"
        }
    })
}

/// Neighbours of one colour are one rectangle.
fn cells(heat: &Heat) -> Result<String> {
    let [columns, rows] = heat.cells();
    if columns * rows > MOST_RECTANGLES {
        let colors = (0..columns * rows).flat_map(|cell| heat.color(cell % columns, cell / columns));
        return image("", &Image::new(columns, rows, colors.collect()));
    }
    let mut written = String::new();
    for y in 0..rows {
        let colors: Vec<[u8; 3]> = (0..columns).map(|x| heat.color(x, y)).collect();
        let mut x = 0;
        for alike in colors.chunk_by(|one, next| one == next) {
            let (width, color) = (alike.len(), hex(alike[0]));
            let _ = writeln!(
                written,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"1\" fill=\"{color}\"/>"
            );
            x += width;
        }
    }
    Ok(written)
}

/// A picture in its own pixels, as PNG.
fn image(attributes: &str, picture: &Image) -> Result<String> {
    let (width, height) = (picture.width(), picture.height());
    let sharp = match attributes.is_empty() || width.max(height) < SHARP_BELOW {
        true => " style=\"image-rendering:pixelated\"",
        false => "",
    };
    let png = STANDARD.encode(to_png(picture)?);
    Ok(format!(
        "<image {attributes} width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\"{sharp} \
         xlink:href=\"data:image/png;base64,{png}\"/>\n"
    ))
}

/// With a stop at every anchor of the colour map, between which both are linear.
fn gradient(id: &str, direction: &str, colormap: Colormap) -> String {
    let last = colormap.anchors() - 1;
    let stop = |anchor: usize| {
        let share = anchor as f32 / last as f32;
        format!("<stop offset=\"{share}\" stop-color=\"{}\"/>", hex(colormap.color(share)))
    };
    let stops: String = (0..=last).map(stop).collect();
    format!("<linearGradient id=\"{id}\" {direction}>{stops}</linearGradient>\n")
}

fn gradient_id(name: &str, rises: bool) -> String {
    format!("{name}-{}", if rises { "up" } else { "right" })
}

fn scale(size: [usize; 2], cells: [usize; 2]) -> String {
    let [x, y] = [0, 1].map(|axis| size[axis] as f64 / cells[axis] as f64);
    format!("{x} {y}")
}

fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}
