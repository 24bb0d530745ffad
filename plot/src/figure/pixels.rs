//! A figure as pixels.

use super::dots::{self, Shape};
use super::layout::{Anchor, DENSITY, LaidOut, Mark};
use super::{Heat, svg};
use crate::picture::{blend, blit, filled, resize_nearest};
use crate::{Image, Result, resize_bilinear, text};

/// Pictures with fewer pixels on a side grow with sharp pixels.
pub(super) const SHARP_BELOW: usize = 96;

pub(super) fn drawn(figure: &LaidOut) -> Result<Image> {
    let [width, height] = [figure.width, figure.height].map(|length| length.saturating_mul(DENSITY));
    let mut canvas = filled(width, height, svg::PAPER)?;
    for mark in &figure.marks {
        match mark {
            Mark::Picture { at, size, picture } => {
                let [width, height] = dense(*size);
                let sharp = picture.width().max(picture.height()) < SHARP_BELOW;
                let grown = match sharp {
                    true => resize_nearest(picture, width, height)?,
                    false => resize_bilinear(picture, width, height)?,
                };
                let [x, y] = dense(*at);
                blit(&mut canvas, &grown, x, y);
            }
            Mark::Heat { at, size, heat } => lay_over(&mut canvas, dense(*at), dense(*size), heat),
            Mark::Bar { at, size, colormap } => {
                let ([left, top], [width, height]) = (dense(*at), dense(*size));
                let rises = height > width;
                for (y, x) in (0..width * height).map(|pixel| (pixel / width, pixel % width)) {
                    let share = match rises {
                        true => 1.0 - (y as f32 + 0.5) / height as f32,
                        false => (x as f32 + 0.5) / width as f32,
                    };
                    blend(&mut canvas, left + x, top + y, 1.0, colormap.color(share));
                }
            }
            Mark::Text { at, text, size, anchor, quiet } => {
                let [x, y] = dense(*at);
                let left = match anchor {
                    Anchor::Start => x,
                    Anchor::End => x.saturating_sub(text::width(text, size.scale())),
                };
                let color = if *quiet { svg::QUIET } else { svg::INK };
                text::draw(&mut canvas, text, left, y, size.scale(), color);
            }
            Mark::Frame { at, size } => outline(&mut canvas, dense(*at), dense(*size)),
            Mark::Dots { dots } => {
                for &(centre, group) in dots {
                    dot(&mut canvas, centre.map(|value| value * DENSITY as f64), group);
                }
            }
        }
    }
    Ok(canvas)
}

fn dense(lengths: [usize; 2]) -> [usize; 2] {
    lengths.map(|length| length * DENSITY)
}

/// As wide as a CSS pixel.
fn outline(canvas: &mut Image, [left, top]: [usize; 2], [width, height]: [usize; 2]) {
    let inside = DENSITY..height.saturating_sub(DENSITY);
    for y in 0..height {
        for x in 0..width {
            if !inside.contains(&y) || x < DENSITY || x + DENSITY >= width {
                blend(canvas, left + x, top + y, 1.0, dots::FRAME);
            }
        }
    }
}

/// A dot with smooth edges.
fn dot(canvas: &mut Image, [x, y]: [f64; 2], group: usize) {
    let radius = dots::RADIUS * DENSITY as f64;
    let reach = (1.5 * radius).ceil() as i64 + 1;
    let (shape, color) = (Shape::of(group), dots::color(group));
    for row in y.floor() as i64 - reach..=y.floor() as i64 + reach {
        for column in x.floor() as i64 - reach..=x.floor() as i64 + reach {
            let outside = shape.distance(column as f64 + 0.5 - x, row as f64 + 0.5 - y, radius);
            let coverage = (0.5 - outside).clamp(0.0, 1.0) * dots::OPACITY;
            if let (Ok(column), Ok(row)) = (usize::try_from(column), usize::try_from(row)) {
                blend(canvas, column, row, coverage as f32, color);
            }
        }
    }
}

fn lay_over(canvas: &mut Image, [left, top]: [usize; 2], [width, height]: [usize; 2], heat: &Heat) {
    let [columns, rows] = heat.cells();
    // The cell that holds the centre of a pixel.
    let cell = |pixel: usize, pixels: usize, cells: usize| (2 * pixel + 1) * cells / (2 * pixels);
    for y in 0..height {
        for x in 0..width {
            let color = heat.color(cell(x, width, columns), cell(y, height, rows));
            blend(canvas, left + x, top + y, heat.opacity, color);
        }
    }
}
