//! Text in pictures: an 8×8 bitmap font, sharp at every whole scale.

use font8x8::{BASIC_FONTS, GREEK_FONTS, LATIN_FONTS, UnicodeFonts};

use crate::Picture;

/// Height of a line's characters at scale 1, in pixels.
pub const HEIGHT: usize = 8;

/// Space between characters, and of a space character, at scale 1.
const TRACKING: usize = 1;
const SPACE: usize = 4;

/// Draws one line with its top left corner at `(x, y)`, every font pixel `scale` pixels wide; characters that the font
/// lacks become `?`.
pub fn draw(picture: &mut Picture, text: &str, mut x: usize, y: usize, scale: usize, color: [u8; 3]) {
    for character in text.chars() {
        let rows = glyph(character);
        let (first, width) = extent(&rows);
        for (row, bits) in rows.into_iter().enumerate() {
            for column in (0..width).filter(|column| bits >> (first + column) & 1 == 1) {
                picture.fill(x + column * scale, y + row * scale, scale, scale, color);
            }
        }
        x += (width + TRACKING) * scale;
    }
}

/// Width of a line at scale 1, in pixels.
pub fn width(text: &str) -> usize {
    text.chars().map(|character| extent(&glyph(character)).1 + TRACKING).sum()
}

/// `text` cut to `most` pixels at scale 1, with three dots where something is missing.
pub fn ellipsize(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_string();
    }
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if width(&kept) + width("...") > most {
            kept.pop();
            break;
        }
    }
    format!("{}...", kept.trim_end())
}

/// The first inked column of a character and how many columns it takes: letters are set as closely as they are narrow.
fn extent(rows: &[u8; HEIGHT]) -> (usize, usize) {
    let inked = rows.iter().fold(0, |inked, row| inked | row);
    match inked {
        0 => (0, SPACE - TRACKING),
        _ => (inked.trailing_zeros() as usize, (8 - inked.leading_zeros() - inked.trailing_zeros()) as usize),
    }
}

fn glyph(character: char) -> [u8; HEIGHT] {
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
        let mut picture = Picture::filled(width(text) * scale, 8 * scale, [255; 3]).unwrap();
        draw(&mut picture, text, 0, 0, scale, [0; 3]);
        picture
    }

    #[test]
    fn letters_are_upright_and_left_to_right() {
        let picture = drawn("LL", 1);
        let dark = |x: usize, y: usize| picture.pixels()[3 * (picture.width() * y + x)] == 0;
        let ink = |columns: std::ops::Range<usize>, rows: std::ops::Range<usize>| {
            rows.flat_map(|y| columns.clone().map(move |x| (x, y))).filter(|&(x, y)| dark(x, y)).count()
        };
        let one = picture.width() / 2;
        assert!(ink(0..one / 2, 0..3) > 0 && ink(one - 3..one, 0..3) == 0, "the stem is on the left");
        assert!(ink(one - 3..one, 4..7) > 0, "the foot reaches right, at the bottom");
        assert_eq!(ink(one - 1..one, 0..8), 0, "letters do not touch");
        assert_eq!(ink(0..one, 0..8), ink(one..2 * one, 0..8));
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
        assert_eq!(ellipsize("predicted", width("predicted")), "predicted");
        let cut = ellipsize("predicted as", width("predicted as") - 1);
        assert!(cut.starts_with("predict") && cut.ends_with("..."), "{cut}");
        assert_eq!(ellipsize("a b c", width("a ...")), "a...");
        for most in 12..80 {
            assert!(width(&ellipsize("a fairly long caption: äöü 日本", most)) <= most);
        }
    }
}
