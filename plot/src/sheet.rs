//! Contact sheets: many small pictures side by side, each with its caption.

use crate::picture::{blit, enlarge, filled, resize_bilinear};
use crate::text;
use crate::{Image, PlotError, Result};

const PAPER: [u8; 3] = [255; 3];
const INK: [u8; 3] = [32, 36, 42];

/// Space between a picture and its text, in pixels at scale 1.
const PADDING: usize = 4;

/// Space between two lines of text, in pixels at scale 1.
const LEADING: usize = 1;

/// Pixels of a large sheet: 400 MB of memory.
const MOST_PIXELS: usize = 1 << 27;

/// Pixels of the tallest sheet: many programs open no more than 65,535.
const TALLEST: usize = 65_000;

/// One picture of a sheet.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Shrunk or grown to the sheet's cell size without distortion.
    pub picture: Image,
    /// Text below the picture; `\n` begins a new line. A line too long for the cell ends in an ellipsis.
    pub caption: String,
}

/// How the cells are laid out. Lengths are in pixels at scale 1.
#[derive(Clone, Debug)]
pub struct SheetLayout {
    /// Pictures in a row.
    pub columns: usize,
    /// Width and height of the square that every picture is fitted into.
    pub cell: usize,
    /// Space between cells and around the sheet.
    pub gap: usize,
    /// Whole factor on everything: 2 for a sheet that stays sharp on dense displays.
    pub scale: usize,
    /// Headings above the columns; empty for none.
    pub headings: Vec<String>,
}

impl Default for SheetLayout {
    fn default() -> Self {
        Self { columns: 6, cell: 112, gap: 12, scale: 2, headings: Vec::new() }
    }
}

impl SheetLayout {
    /// The most pictures, each with `caption_lines` lines of caption, of which a sheet of this layout can still be looked at.
    pub fn most_cells(&self, caption_lines: usize) -> usize {
        let (width, row) = (self.width(self.columns), self.row_height(caption_lines));
        let height = TALLEST.min(MOST_PIXELS / width.max(1));
        (height.saturating_sub(self.top()) / row.max(1)).saturating_mul(self.columns)
    }

    /// The picture as a cell shows it if that is smaller, so that many can be held until the sheet is made.
    ///
    /// # Errors
    /// A picture without pixels.
    pub fn shrunk(&self, picture: Image) -> Result<Image> {
        let side = self.cell.saturating_mul(self.scale);
        if picture.width().max(picture.height()) <= side { Ok(picture) } else { fit(&picture, side) }
    }

    fn line(&self) -> usize {
        (text::HEIGHT + LEADING).saturating_mul(self.scale)
    }

    /// Space above the first row.
    fn top(&self) -> usize {
        let gap = self.gap.saturating_mul(self.scale);
        if self.headings.is_empty() { gap } else { gap.saturating_add(self.line() + PADDING * self.scale) }
    }

    /// A row with the space below it.
    fn row_height(&self, caption_lines: usize) -> usize {
        let caption = match caption_lines {
            0 => 0,
            lines => (PADDING * self.scale).saturating_add(lines.saturating_mul(self.line())),
        };
        let cell = self.cell.saturating_mul(self.scale);
        cell.saturating_add(caption).saturating_add(self.gap.saturating_mul(self.scale))
    }

    fn width(&self, columns: usize) -> usize {
        let [cell, gap] = [self.cell, self.gap].map(|length| length.saturating_mul(self.scale));
        columns.saturating_mul(cell.saturating_add(gap)).saturating_add(gap)
    }
}

/// Lays the cells out row by row on white.
///
/// Pictures no larger than half a cell grow by a whole factor with sharp pixels, so that a 32-pixel input shows what the
/// model saw; others are resized smoothly.
///
/// # Errors
/// No cells, no columns, a cell size or scale of 0, a picture without pixels, or a sheet that would be too large.
pub fn contact_sheet(cells: &[Cell], layout: &SheetLayout) -> Result<Image> {
    let what = "a contact sheet";
    if cells.is_empty() {
        return Err(PlotError::Empty { what, reason: "there are no pictures" });
    }
    if layout.columns == 0 || layout.cell == 0 || layout.scale == 0 {
        return Err(PlotError::Empty { what, reason: "columns, cell and scale must be 1 or more" });
    }
    let scale = layout.scale;
    let [cell, gap] = [layout.cell, layout.gap].map(|length| length.saturating_mul(scale));
    let line = layout.line();
    let caption_lines = cells.iter().map(|cell| cell.caption.lines().count()).max().unwrap_or(0);
    let padding = PADDING * scale;

    let columns = layout.columns.min(cells.len().max(layout.headings.len()));
    let rows = cells.len().div_ceil(columns);
    let (top, row_height) = (layout.top(), layout.row_height(caption_lines));
    let width = layout.width(columns);
    let mut sheet = filled(width, rows.saturating_mul(row_height).saturating_add(top), PAPER)?;

    let left = |column: usize| gap + column * (cell + gap);
    for (column, heading) in layout.headings.iter().take(columns).enumerate() {
        text::draw(&mut sheet, &text::ellipsize(heading, cell, scale), left(column), gap, scale, INK);
    }
    for (i, entry) in cells.iter().enumerate() {
        let (x, y) = (left(i % columns), top + i / columns * row_height);
        let picture = fit(&entry.picture, cell)?;
        // Left aligned with its caption; a flat picture stands on the caption's line.
        blit(&mut sheet, &picture, x, y + (cell - picture.height()));
        for (l, caption) in entry.caption.lines().enumerate() {
            let caption = text::ellipsize(caption, cell, scale);
            text::draw(&mut sheet, &caption, x, y + cell + padding + l * line, scale, INK);
        }
    }
    Ok(sheet)
}

fn fit(picture: &Image, side: usize) -> Result<Image> {
    let longer = picture.width().max(picture.height());
    if picture.pixels().is_empty() {
        return Err(PlotError::Empty {
            what: "a contact sheet",
            reason: "one of its pictures has no pixels",
        });
    }
    if longer * 2 <= side {
        return enlarge(picture, side / longer);
    }
    let scaled = |length: usize| ((length * side + longer / 2) / longer).max(1);
    resize_bilinear(picture, scaled(picture.width()), scaled(picture.height()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(width: usize, height: usize, color: [u8; 3], caption: &str) -> Cell {
        Cell { picture: Image::filled(width, height, color), caption: caption.into() }
    }

    fn pixel(picture: &Image, x: usize, y: usize) -> [u8; 3] {
        let at = 3 * (y * picture.width() + x);
        picture.pixels()[at..at + 3].try_into().unwrap()
    }

    fn layout(columns: usize, scale: usize) -> SheetLayout {
        SheetLayout { columns, cell: 64, gap: 8, scale, headings: vec![] }
    }

    #[test]
    fn as_many_pictures_fit_as_are_said_to() {
        let cell = plain(1, 1, PAPER, "a");
        for (columns, headings) in [(1, vec![]), (3, vec!["b".to_string()])] {
            let layout = SheetLayout { columns, cell: 100, gap: 8, scale: 1, headings };
            let most = layout.most_cells(1);
            let sheet = contact_sheet(&vec![cell.clone(); most], &layout).unwrap();
            let [width, height] = [sheet.width(), sheet.height()];
            assert!(height <= TALLEST && width * height <= MOST_PIXELS, "{width} × {height}");
            let taller = height + layout.row_height(1);
            assert!(taller > TALLEST || width * taller > MOST_PIXELS, "{width} × {height}");
        }
        // A wide one has fewer rows.
        let wide = layout(100, 10);
        let rows = wide.most_cells(1) / 100;
        assert!(rows > 0 && rows * wide.row_height(1) * wide.width(100) <= MOST_PIXELS, "{rows}");
        assert_eq!(SheetLayout { cell: usize::MAX, ..layout(1, 1) }.most_cells(1), 0);
    }

    #[test]
    fn shrunk_pictures_give_the_same_sheet() {
        let pixels = (0..300 * 200 * 3).map(|i| (i * 7 % 253) as u8).collect();
        let large = Cell { picture: Image::new(300, 200, pixels), caption: "a".into() };
        let layout = layout(2, 2);
        let shrunk = Cell { picture: layout.shrunk(large.picture.clone()).unwrap(), ..large.clone() };
        assert_eq!((shrunk.picture.width(), shrunk.picture.height()), (128, 85));
        assert_eq!(contact_sheet(&[shrunk], &layout).unwrap(), contact_sheet(&[large], &layout).unwrap());
        let small = plain(3, 2, PAPER, "").picture;
        assert_eq!(layout.shrunk(small.clone()).unwrap(), small);
    }

    #[test]
    fn pictures_stand_where_they_belong() {
        let cells = [
            plain(32, 32, [255, 0, 0], "a"),
            plain(64, 32, [0, 255, 0], "b\nc"),
            plain(200, 200, [0, 0, 255], ""),
        ];
        let sheet = contact_sheet(&cells, &layout(2, 1)).unwrap();
        assert_eq!(sheet.width(), 2 * 64 + 3 * 8);
        let row = 64 + 4 + 2 * 13 + 8;
        assert_eq!(sheet.height(), 8 + 2 * row);
        for (x, y) in [(8, 8), (71, 71)] {
            assert_eq!(pixel(&sheet, x, y), [255, 0, 0]);
            assert_eq!(pixel(&sheet, x, y + row), [0, 0, 255]);
        }
        // The flat picture keeps its shape and stands at the bottom of its cell.
        assert_eq!(pixel(&sheet, 80, 8 + 31), PAPER);
        assert_eq!(pixel(&sheet, 80, 8 + 32), [0, 255, 0]);
        assert_eq!(pixel(&sheet, 7, 8), PAPER);
    }

    /// All but the text, which is drawn at its size.
    #[test]
    fn twice_the_scale_is_the_same_sheet_enlarged() {
        let cells =
            [plain(16, 16, [1, 2, 3], "a caption that is too long"), plain(32, 32, [9, 9, 9], "é 日")];
        let headings = vec!["input".to_string(), "rollout of everything".to_string()];
        let at = |scale| {
            contact_sheet(&cells, &SheetLayout { headings: headings.clone(), ..layout(2, scale) }).unwrap()
        };
        let (small, large) = (enlarge(&at(1), 2).unwrap(), at(2));
        assert_eq!((small.width(), small.height()), (large.width(), large.height()));
        let line = text::HEIGHT + LEADING;
        let pictures = 2 * (8 + line + PADDING)..2 * (8 + line + PADDING + 64);
        for y in 0..large.height() {
            let row = |sheet: &Image| sheet.pixels()[3 * y * sheet.width()..][..3 * sheet.width()].to_vec();
            assert!(!pictures.contains(&y) || row(&small) == row(&large), "row {y}");
        }
    }

    #[test]
    fn long_captions_stay_in_their_cell() {
        let long = "x".repeat(500);
        let sheet =
            contact_sheet(&[plain(64, 64, PAPER, &long), plain(64, 64, PAPER, "")], &layout(2, 1)).unwrap();
        let dark_right =
            (0..sheet.height()).any(|y| (72..sheet.width()).any(|x| pixel(&sheet, x, y) != PAPER));
        let dark_left = (0..sheet.height()).any(|y| (0..72).any(|x| pixel(&sheet, x, y) != PAPER));
        assert!(dark_left && !dark_right);
    }

    #[test]
    fn impossible_sheets_are_refused() {
        assert!(contact_sheet(&[], &layout(2, 1)).is_err());
        assert!(contact_sheet(&[plain(1, 1, PAPER, "")], &layout(0, 1)).is_err());
        assert!(contact_sheet(&[plain(0, 0, PAPER, "")], &layout(1, 1)).is_err());
        let huge = SheetLayout { cell: usize::MAX / 2, ..layout(1, 1) };
        assert!(matches!(contact_sheet(&[plain(1, 1, PAPER, "")], &huge), Err(PlotError::TooLarge { .. })));
    }
}
