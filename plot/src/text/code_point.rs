//! The box drawn for a character without a glyph: its code point in hexadecimal digits, at least four.

/// Height of the box at scale 1, in pixels.
pub const HEIGHT: usize = DIGIT[1] + 2 * FRAME;

/// Width and height of a digit.
const DIGIT: [usize; 2] = [3, 5];

/// Line and space around the digits.
const FRAME: usize = 2;

/// Digits from 0 to F, each five rows of three pixels from top to bottom: a row is one octal digit, its left pixel the highest bit.
const DIGITS: [u16; 16] = [
    0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71222, //
    0o75757, 0o75717, 0o25755, 0o65656, 0o34443, 0o65556, 0o74647, 0o74644,
];

/// Width of the box and the space to what follows.
pub fn advance(character: char, scale: usize) -> usize {
    (width(digits(character).count()) + 1) * scale
}

/// Column and row of each inked pixel at scale 1.
pub fn pixels(character: char) -> impl Iterator<Item = (usize, usize)> {
    let shapes: Vec<u16> = digits(character).map(|digit| DIGITS[digit]).collect();
    let (wide, tall) = (width(shapes.len()), HEIGHT);
    let cells = (0..tall).flat_map(move |row| (0..wide).map(move |column| (column, row)));
    cells.filter(move |&(column, row)| {
        if column == 0 || row == 0 || column == wide - 1 || row == tall - 1 {
            return true;
        }
        let (Some(across), Some(down)) = (column.checked_sub(FRAME), row.checked_sub(FRAME)) else {
            return false;
        };
        let (place, within) = (across / (DIGIT[0] + 1), across % (DIGIT[0] + 1));
        let bit = |shape: &u16| shape >> (DIGIT[0] * (DIGIT[1] - 1 - down) + DIGIT[0] - 1 - within) & 1 == 1;
        within < DIGIT[0] && down < DIGIT[1] && shapes.get(place).is_some_and(bit)
    })
}

fn width(digits: usize) -> usize {
    digits * (DIGIT[0] + 1) - 1 + 2 * FRAME
}

fn digits(character: char) -> impl Iterator<Item = usize> {
    let code = u32::from(character) as usize;
    let count = if code > 0xFFFF { (code.ilog2() / 4 + 1) as usize } else { 4 };
    (0..count).rev().map(move |place| code >> (4 * place) & 0xF)
}
