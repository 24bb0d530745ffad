//! Text in pictures: DejaVu Sans with smooth edges, GNU Unifont's bitmaps for the scripts that it lacks, and for what both lack a box
//! with the number of the character, so that no character is left out or shown as another.
//!
//! A line is composed (NFC), put in the order in which it is read (Unicode's bidirectional algorithm) and set glyph by glyph with
//! kerning. That is all: Arabic letters are not joined, syllables of Indic scripts not shaped, and marks that do not compose stand
//! where the font puts them. The text is legible, but not fully typeset.

mod code_point;
mod glyph;

use unicode_bidi::BidiInfo;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use self::glyph::Glyph;
use crate::Image;
use crate::picture::blend;

/// Height of a line at scale 1, in pixels: from the top of an accent to the foot of a `g`.
pub const HEIGHT: usize = 12;

/// Side of the em square at scale 1, in pixels.
pub const EM: usize = 10;

/// Pixels from the top of a line to its baseline at scale 1.
pub const BASELINE: usize = 9;

/// Draws one line in the box whose top left corner is at `(x, y)`, [`HEIGHT`] · `scale` pixels tall; what does not fit into the picture
/// is cut off.
pub fn draw(picture: &mut Image, text: &str, x: usize, y: usize, scale: usize, color: [u8; 3]) {
    // Set at the origin and then moved by whole pixels: a line looks the same wherever it stands.
    for Placed { glyph, left } in Line::set(text, scale).glyphs {
        glyph.ink(left, scale, |column, row, coverage| {
            let (column, row) = (x.checked_add_signed(column), y.checked_add_signed(row));
            if let (Some(column), Some(row)) = (column, row) {
                blend(picture, column, row, coverage, color);
            }
        });
    }
}

/// Width of a line, in pixels.
pub fn width(text: &str, scale: usize) -> usize {
    Line::set(text, scale).width.ceil() as usize
}

/// `text` cut to `most` pixels, with an ellipsis where something is missing; empty where not even that fits.
pub fn ellipsize(text: &str, most: usize, scale: usize) -> String {
    if width(text, scale) <= most {
        return text.to_string();
    }
    let composed: Vec<char> = text.nfc().collect();
    let is_mark = |character: char| character.general_category_group() == GeneralCategoryGroup::Mark;
    let mut fitting = String::new();
    for end in 0..composed.len() {
        // A letter keeps its marks.
        if is_mark(composed[end]) {
            continue;
        }
        let kept: String = composed[..end].iter().collect();
        let cut = format!("{}…", kept.trim_end());
        if width(&cut, scale) > most {
            break;
        }
        fitting = cut;
    }
    fitting
}

struct Placed {
    glyph: Glyph,
    /// Pixels from the start of the line.
    left: f32,
}

/// A line of text as glyphs from left to right.
struct Line {
    glyphs: Vec<Placed>,
    width: f32,
}

impl Line {
    fn set(text: &str, scale: usize) -> Self {
        let mut line = Self { glyphs: Vec::new(), width: 0.0 };
        for character in in_reading_order(text).chars() {
            let glyph = Glyph::of(character);
            if let Some(last) = line.glyphs.last() {
                line.width += last.glyph.kerning(&glyph, scale);
            }
            let left = line.width;
            line.width += glyph.advance(scale);
            line.glyphs.push(Placed { glyph, left });
        }
        line
    }
}

/// The composed text, its runs from right to left turned around.
fn in_reading_order(text: &str) -> String {
    let composed: String = text.nfc().collect();
    let bidi = BidiInfo::new(&composed, None);
    let lines = bidi.paragraphs.iter().map(|paragraph| bidi.reorder_line(paragraph, paragraph.range.clone()));
    lines.collect()
}

#[cfg(test)]
mod tests;
