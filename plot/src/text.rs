//! Text in pictures: an 8×8 bitmap font, sharp at every whole scale.

use font8x8::{BASIC_FONTS, GREEK_FONTS, LATIN_FONTS, UnicodeFonts};

use crate::Picture;

/// Width and height of a character at scale 1, in pixels.
pub const CHARACTER: usize = 8;

/// Draws one line with its top left corner at `(x, y)`, every font pixel `scale` pixels wide; characters that the font
/// lacks become `?`.
pub fn draw(picture: &mut Picture, text: &str, x: usize, y: usize, scale: usize, color: [u8; 3]) {
    for (i, character) in text.chars().enumerate() {
        for (row, bits) in glyph(character).into_iter().enumerate() {
            for column in (0..CHARACTER).filter(|column| bits >> column & 1 == 1) {
                let left = x + (i * CHARACTER + column) * scale;
                picture.fill(left, y + row * scale, scale, scale, color);
            }
        }
    }
}

/// `text` cut to `columns` characters, the last three of them dots where something is missing.
pub fn ellipsize(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_string();
    }
    let kept: String = text.chars().take(columns.saturating_sub(3)).collect();
    let dots = ".".repeat(columns.min(3));
    format!("{}{dots}", kept.trim_end())
}

fn glyph(character: char) -> [u8; CHARACTER] {
    // Typographic characters that have a plain counterpart.
    let plain = match character {
        '−' | '–' | '—' => '-',
        '‘' | '’' => '\'',
        '“' | '”' => '"',
        other => other,
    };
    BASIC_FONTS
        .get(plain)
        .or_else(|| LATIN_FONTS.get(plain))
        .or_else(|| GREEK_FONTS.get(plain))
        .or_else(|| BASIC_FONTS.get('?'))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, scale: usize) -> Picture {
        let mut picture = Picture::filled(text.chars().count() * 8 * scale, 8 * scale, [255; 3]).unwrap();
        draw(&mut picture, text, 0, 0, scale, [0; 3]);
        picture
    }

    #[test]
    fn letters_are_upright_and_left_to_right() {
        let picture = drawn("L", 1);
        let dark = |x: usize, y: usize| picture.pixels()[3 * (8 * y + x)] == 0;
        let ink = |columns: std::ops::Range<usize>, rows: std::ops::Range<usize>| {
            rows.flat_map(|y| columns.clone().map(move |x| (x, y))).filter(|&(x, y)| dark(x, y)).count()
        };
        assert!(ink(0..4, 0..3) > 0 && ink(4..8, 0..3) == 0, "the stem is on the left, nothing right of it");
        assert!(ink(4..7, 4..7) > 0, "the foot reaches right, at the bottom");
    }

    #[test]
    fn twice_the_scale_is_the_same_text_enlarged() {
        assert_eq!(drawn("Rollout 0.93", 2), drawn("Rollout 0.93", 1).enlarge(2).unwrap());
    }

    #[test]
    fn unknown_characters_become_question_marks() {
        assert_eq!(drawn("日", 1), drawn("?", 1));
        assert_eq!(drawn("−1", 1), drawn("-1", 1));
        assert_ne!(drawn("é", 1), drawn("?", 1));
        assert_ne!(drawn("ε", 1), drawn("?", 1));
    }

    #[test]
    fn ellipsis() {
        assert_eq!(ellipsize("predicted", 9), "predicted");
        assert_eq!(ellipsize("predicted as", 9), "predic...");
        assert_eq!(ellipsize("a b c d e f", 5), "a...");
        assert_eq!(ellipsize("äöüß", 3), "...");
        assert_eq!(ellipsize("abcd", 0), "");
    }
}
