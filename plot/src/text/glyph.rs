//! The glyph of a character.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::{BASELINE, EM, HEIGHT, code_point};

static DEJAVU: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(dejavu::sans::regular()).expect("the font comes with the program")
});

/// Side of Unifont's cells.
const CELL: usize = 16;

/// A character as it is drawn.
pub enum Glyph {
    /// An outline of DejaVu Sans.
    Outline(GlyphId),
    /// A bitmap of GNU Unifont.
    Bitmap(&'static unifont::Glyph),
    /// A character in no font: a box with its code point.
    CodePoint(char),
    /// A space.
    Space,
    /// A character without appearance, such as a joiner.
    Nothing,
}

impl Glyph {
    pub fn of(character: char) -> Self {
        let control = character.is_control();
        if character.is_whitespace() && !control {
            return Self::Space;
        }
        let selects_a_variant = matches!(character, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
        if selects_a_variant || character.general_category() == GeneralCategory::Format {
            return Self::Nothing;
        }
        let id = DEJAVU.glyph_id(character);
        if id.0 != 0 && DEJAVU.outline(id).is_some() {
            return Self::Outline(id);
        }
        match unifont::get_glyph(character) {
            Some(bitmap) if !control && inked(bitmap).next().is_some() => Self::Bitmap(bitmap),
            _ => Self::CodePoint(character),
        }
    }

    /// Pixels from this glyph's start to the next one's.
    pub fn advance(&self, scale: usize) -> f32 {
        let font = DEJAVU.as_scaled(height(scale));
        match self {
            Self::Outline(id) => font.h_advance(*id),
            Self::Bitmap(bitmap) => bitmap.get_width() as f32 * bitmap_pixel(scale),
            Self::CodePoint(character) => code_point::advance(*character, scale) as f32,
            Self::Space => font.h_advance(font.glyph_id(' ')),
            Self::Nothing => 0.0,
        }
    }

    /// What the distance to `next` differs by from the advance, in pixels.
    pub fn kerning(&self, next: &Self, scale: usize) -> f32 {
        match (self, next) {
            (Self::Outline(a), Self::Outline(b)) => DEJAVU.as_scaled(height(scale)).kern(*a, *b),
            _ => 0.0,
        }
    }

    /// Calls `put` with column, row and coverage in `[0, 1]` of each inked pixel, once per pixel. The glyph starts `left` pixels from the
    /// left edge of the line, whose top is row 0.
    pub fn ink(&self, left: f32, scale: usize, mut put: impl FnMut(isize, isize, f32)) {
        match self {
            Self::Outline(id) => {
                let placed =
                    id.with_scale_and_position(height(scale), point(left, (BASELINE * scale) as f32));
                let Some(outline) = DEJAVU.outline_glyph(placed) else { return };
                let corner = outline.px_bounds().min;
                let (x, y) = (corner.x as isize, corner.y as isize);
                outline.draw(|column, row, coverage| {
                    put(x + column as isize, y + row as isize, coverage.clamp(0.0, 1.0));
                });
            }
            Self::Bitmap(bitmap) => {
                let pixel = bitmap_pixel(scale);
                // In the middle of the line, which at scale 2 is on its baseline.
                let top = (((HEIGHT * scale) as f32 - CELL as f32 * pixel) / 2.0).floor();
                let squares = inked(bitmap)
                    .map(|(column, row)| [left.round() + column as f32 * pixel, top + row as f32 * pixel]);
                fill_squares(squares, pixel, put);
            }
            Self::CodePoint(character) => {
                let top = BASELINE - code_point::HEIGHT;
                for (column, row) in code_point::pixels(*character) {
                    for (y, x) in (0..scale * scale).map(|i| (i / scale, i % scale)) {
                        put(
                            left.round() as isize + (column * scale + x) as isize,
                            ((top + row) * scale + y) as isize,
                            1.0,
                        );
                    }
                }
            }
            Self::Space | Self::Nothing => {}
        }
    }
}

/// The height of the font that makes its em square as large as it is to be.
fn height(scale: usize) -> PxScale {
    let units_per_em = DEJAVU.units_per_em().expect("the font says so");
    PxScale::from((EM * scale) as f32 * DEJAVU.height_unscaled() / units_per_em)
}

/// Side of a bitmap's pixel: a whole number, so that edges stay sharp, unless the cell would be taller than the line.
fn bitmap_pixel(scale: usize) -> f32 {
    match HEIGHT * scale / CELL {
        0 => (HEIGHT * scale) as f32 / CELL as f32,
        whole => whole as f32,
    }
}

fn inked(bitmap: &unifont::Glyph) -> impl Iterator<Item = (usize, usize)> + '_ {
    let cells = (0..CELL).flat_map(|row| (0..CELL).map(move |column| (column, row)));
    cells.filter(|&(column, row)| bitmap.get_pixel(column, row))
}

/// Coverage of pixels by squares that do not overlap, given by their top left corners.
fn fill_squares(squares: impl Iterator<Item = [f32; 2]>, side: f32, mut put: impl FnMut(isize, isize, f32)) {
    let mut covered = std::collections::BTreeMap::new();
    // The pixels that an edge from `start` on reaches into, each with how much of it.
    let reach = |start: f32| {
        let pixels = start.floor() as isize..(start + side).ceil() as isize;
        pixels.map(move |pixel| {
            let pixel_start = pixel as f32;
            (pixel, (start + side).min(pixel_start + 1.0) - start.max(pixel_start))
        })
    };
    for [x, y] in squares {
        for (row, tall) in reach(y) {
            for (column, wide) in reach(x) {
                *covered.entry((row, column)).or_insert(0.0) += tall * wide;
            }
        }
    }
    for ((row, column), coverage) in covered {
        put(column, row, f32::min(coverage, 1.0));
    }
}
