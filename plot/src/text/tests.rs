use super::*;
use crate::picture::{blit, enlarge};

fn drawn(text: &str, scale: usize) -> Image {
    let mut picture = Image::filled(width(text, scale).max(1), HEIGHT * scale, [255; 3]);
    draw(&mut picture, text, 0, 0, scale, [0; 3]);
    picture
}

/// How much of each pixel is covered, row by row.
fn coverage(picture: &Image) -> Vec<Vec<f64>> {
    let rows = picture.pixels().chunks_exact(3 * picture.width());
    rows.map(|row| row.chunks_exact(3).map(|p| f64::from(255 - p[0]) / 255.0).collect()).collect()
}

/// A row for each line, `#` where there is ink and `.` where there is none.
fn inked(text: &str, scale: usize) -> Vec<String> {
    let mark = |value: &f64| if *value > 0.5 { '#' } else { '.' };
    coverage(&drawn(text, scale)).iter().map(|row| row.iter().map(mark).collect()).collect()
}

/// The I of DejaVu Sans is a rectangle from (201, 0) to (403, 1493), of 2048 units to the em.
#[test]
fn ink_lies_where_the_outline_is() {
    let scale = 2;
    let pixels = |units: f64| units * (EM * scale) as f64 / 2048.0;
    let rows = coverage(&drawn("I", scale));
    let total: f64 = rows.iter().flatten().sum();
    assert!((total - pixels(202.0) * pixels(1493.0)).abs() < 0.2, "{total}");
    let column = |x: usize| rows.iter().map(|row| row[x]).sum::<f64>() / pixels(1493.0);
    // From 1.96 to 3.94 pixels.
    for (x, expected) in [(0, 0.0), (1, 0.037), (2, 1.0), (3, 0.936), (4, 0.0)] {
        assert!((column(x) - expected).abs() < 0.02, "column {x}: {}", column(x));
    }
    // It stands on the baseline.
    let inked: Vec<usize> = (0..rows.len()).filter(|&y| rows[y][2] > 0.5).collect();
    assert_eq!((inked[0], inked[inked.len() - 1]), (BASELINE * scale - 15, BASELINE * scale - 1));
}

#[test]
fn letters_are_upright_and_left_to_right() {
    let rows = coverage(&drawn("L.", 2));
    let ink = |columns: std::ops::Range<usize>, rows_of: std::ops::Range<usize>| {
        rows_of.map(|y| rows[y][columns.clone()].iter().sum::<f64>()).sum::<f64>()
    };
    assert!(ink(0..5, 4..12) > 8.0 && ink(5..11, 4..12) == 0.0, "the stem is on the left");
    assert!(ink(5..11, 15..18) > 5.0, "the foot reaches right, at the bottom");
    assert!(ink(12..18, 15..18) > 2.0 && ink(12..18, 0..14) == 0.0, "then comes the full stop");
}

/// Advances in units of the em's 2048th, as FreeType gives them for the same font: those of single letters, then that of AV, which are
/// kerned by −131.
#[test]
fn lines_are_as_wide_as_the_font_says() {
    for (text, units) in
        [("Ελληνικά", 9410), ("Русский", 8598), ("...", 1953), ("…", 2048), ("AV", 2 * 1401 - 131)]
    {
        for scale in [1, 2, 3, 10] {
            let expected = (f64::from(units) * (EM * scale) as f64 / 2048.0).ceil() as usize;
            assert!(
                width(text, scale).abs_diff(expected) <= 1,
                "{text}: {} ≠ {expected}",
                width(text, scale)
            );
        }
    }
}

#[test]
fn a_line_looks_the_same_wherever_it_stands() {
    let once = drawn("Rollout 日本", 2);
    let mut moved = Image::filled(4000, 100, [255; 3]);
    draw(&mut moved, "Rollout 日本", 3707, 31, 2, [0; 3]);
    let mut expected = Image::filled(4000, 100, [255; 3]);
    blit(&mut expected, &once, 3707, 31);
    assert_eq!(moved, expected);
}

#[test]
fn characters_without_a_glyph_show_their_number() {
    let expected = [
        "###################",
        "#.................#",
        "#.###..#..###.###.#",
        "#.#...##..#...#...#",
        "#.##...#..##..##..#",
        "#.#....#..#...#...#",
        "#.###.###.#...###.#",
        "#.................#",
        "###################",
    ];
    let rows = inked("\u{e1fe}", 1);
    assert_eq!(rows[..9], expected.map(|row| format!("{row}.")));
    assert!(rows[9..].iter().all(|row| !row.contains('#')), "it stands on the baseline");
    assert_eq!(drawn("\u{e1fe}", 3), enlarge(&drawn("\u{e1fe}", 1), 3).unwrap());
    // Five digits and six, and a control character.
    assert_eq!(width("\u{1f408}", 1), 5 * 4 + 4);
    assert_eq!(width("\u{10fffd}", 1), 6 * 4 + 4);
    assert_eq!(width("\t", 1), 4 * 4 + 4);
}

#[test]
fn scripts_that_the_first_font_lacks_come_from_the_second() {
    // The line of U+4E2D in Unifont's `unifont.hex`, one pixel to a pixel at scale 2.
    let cell = "01000100010001003FF8210821082108210821083FF821080100010001000100";
    let bits = |row: usize| u16::from_str_radix(&cell[4 * row..4 * row + 4], 16).unwrap();
    let row = |row: usize| format!("{:016b}", bits(row)).replace('0', ".").replace('1', "#");
    let blank = || std::iter::repeat_n(".".repeat(16), 4);
    let expected: Vec<String> = blank().chain((0..16).map(row)).chain(blank()).collect();
    assert_eq!(inked("中", 2), expected);
    // At scale 1 the bitmap has to shrink: as much ink on a plane of 12/16 · 12/16.
    let ink = |scale| coverage(&drawn("中", scale)).iter().flatten().sum::<f64>();
    assert!((ink(1) / ink(2) - 0.5625).abs() < 0.01, "{}", ink(1) / ink(2));
    // At scale 3 each pixel is two.
    let cell = |scale: usize, first: usize, rows: usize| {
        let line = drawn("中", scale);
        let pixels = line.pixels()[3 * line.width() * first..][..3 * line.width() * rows].to_vec();
        Image::new(line.width(), rows, pixels)
    };
    assert_eq!(cell(3, 2, 32), enlarge(&cell(2, 4, 16), 2).unwrap());
}

/// Every character of the basic plane leaves ink, except spaces and those that have no appearance.
#[test]
fn nothing_is_silently_blank() {
    let appearance = |character: char| {
        let glyph = Glyph::of(character);
        let mut ink = 0.0;
        glyph.ink(0.0, 1, |_, _, coverage| ink += coverage);
        (ink > 0.0, glyph.advance(1))
    };
    for character in '\0'..='\u{ffff}' {
        let invisible = character.general_category() == unicode_properties::GeneralCategory::Format
            || ('\u{fe00}'..='\u{fe0f}').contains(&character)
            || character.is_whitespace() && !character.is_control();
        let (inked, advance) = appearance(character);
        assert_eq!(inked, !invisible, "U+{:04X}", u32::from(character));
        assert!((0.0..=40.0).contains(&advance), "U+{:04X}", u32::from(character));
    }
}

#[test]
fn marks_are_composed() {
    assert_eq!(drawn("cafe\u{301}", 2), drawn("café", 2));
    assert_eq!(drawn("\u{1112}\u{1161}\u{11ab}", 2), drawn("한", 2));
    assert_ne!(drawn("cafe\u{301}", 2), drawn("cafe", 2));
    // One that has no composed form stands over its letter.
    assert_eq!(width("x\u{301}", 2), width("x", 2));
    assert_ne!(drawn("x\u{301}", 2), drawn("x", 2));
}

/// U+202D has what follows read from left to right whatever it is.
#[test]
fn text_from_right_to_left_is_turned_around() {
    assert_eq!(drawn("אבג", 2), drawn("\u{202d}גבא", 2));
    assert_ne!(drawn("אבג", 2), drawn("גבא", 2));
    assert_eq!(drawn("אב 12", 2), drawn("\u{202d}12 בא", 2));
}

#[test]
fn ellipsis() {
    assert_eq!(ellipsize("predicted", width("predicted", 2), 2), "predicted");
    let cut = ellipsize("predicted as", width("predicted as", 2) - 1, 2);
    assert!(cut.starts_with("predict") && cut.ends_with('…'), "{cut}");
    assert_eq!(ellipsize("a b c d", width("a b …", 1), 1), "a b…");
    assert_eq!(ellipsize("wide", 3, 1), "");
    // A letter keeps its mark or goes with it.
    for most in 0..40 {
        let cut = ellipsize("x\u{301}y\u{301}z\u{301}", most, 1);
        assert_eq!(cut.matches(['x', 'y', 'z']).count(), cut.matches('\u{301}').count(), "{cut}");
    }
    for scale in [1, 2] {
        for most in 12 * scale..80 * scale {
            assert!(
                width(&ellipsize("a fairly long caption: äöü 日本 \u{e000}", most, scale), scale) <= most
            );
        }
    }
}
