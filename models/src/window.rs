//! Windows of a grid of tokens, cut after a cyclic shift (Liu et al., 2021, section 3.2): the geometry shared by windowed models
//! and questions about their attention.

use serde::{Deserialize, Serialize};

/// When a map that the windows do not tile is padded with zeros. It matters only for shifted windows.
///
/// Either way the padded places are keys and queries like all others: they are attended to within their window, with the
/// projections' biases as keys and values, and their outputs are cropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowPadding {
    /// After the shift, as in timm. The shift wraps around the map itself, while the mask is that of the padded map,
    /// so that some tokens of opposite edges share a region and attend to one another.
    #[default]
    AfterShift,
    /// Before the shift, as in torchvision and Hugging Face `transformers`: opposite edges never meet.
    BeforeShift,
}

/// How attention is confined to windows of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of a window.
    pub size: [usize; 2],
    /// Rows and columns by which the map is moved up and left, cyclically, before it is divided.
    pub shift: [usize; 2],
    /// When the map is padded to whole windows.
    pub padding: WindowPadding,
}

impl Window {
    /// Windows of side `size`, moved by half a window where `shifted`. Along an axis that is at most as long as a window there is
    /// one window of the axis' own length, and no shift.
    pub fn on(grid: [usize; 2], size: usize, shifted: bool, padding: WindowPadding) -> Self {
        let shift = |length: usize| if shifted && length > size { size / 2 } else { 0 };
        Self { size: grid.map(|length| length.min(size)), shift: grid.map(shift), padding }
    }

    /// Places of one window.
    pub fn area(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Number of windows.
    pub fn count(&self, grid: [usize; 2]) -> usize {
        grid[0].div_ceil(self.size[0]) * grid[1].div_ceil(self.size[1])
    }

    /// The token at every place: windows in reading order, and the places of a window in reading order. `None` for padding.
    pub fn tokens(&self, grid: [usize; 2]) -> Vec<Option<usize>> {
        let axes = [0, 1].map(|axis| self.sources(axis, grid[axis]));
        self.places(grid).map(|[row, column]| Some(axes[0][row]? * grid[1] + axes[1][column]?)).collect()
    }

    /// The region of every place, in the order of [`Window::tokens`]. Places of one window attend to one another only
    /// within a region: places from opposite edges, joined by the cyclic shift, stay separate.
    pub fn regions(&self, grid: [usize; 2]) -> Vec<usize> {
        let axis_region = |axis: usize, place: usize| {
            let length = grid[axis].next_multiple_of(self.size[axis]);
            match self.shift[axis] {
                0 => 0,
                shift => {
                    usize::from(place >= length - self.size[axis]) + usize::from(place >= length - shift)
                }
            }
        };
        self.places(grid).map(|[row, column]| 3 * axis_region(0, row) + axis_region(1, column)).collect()
    }

    /// For each place along an axis of the shifted and padded map, its row or column of the grid.
    fn sources(&self, axis: usize, length: usize) -> Vec<Option<usize>> {
        let padded = length.next_multiple_of(self.size[axis]);
        let source = |place: usize| match self.padding {
            WindowPadding::AfterShift => (place < length).then(|| (place + self.shift[axis]) % length),
            WindowPadding::BeforeShift => {
                Some((place + self.shift[axis]) % padded).filter(|source| *source < length)
            }
        };
        (0..padded).map(source).collect()
    }

    /// Row and column on the padded map of every place, window by window.
    fn places(&self, grid: [usize; 2]) -> impl Iterator<Item = [usize; 2]> {
        let [height, width] = self.size;
        let across = grid[1].div_ceil(width);
        let area = self.area();
        (0..self.count(grid) * area).map(move |index| {
            let (window, place) = (index / area, index % area);
            [window / across * height + place / width, window % across * width + place % width]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(grid: [usize; 2], shifted: bool, padding: WindowPadding) -> Window {
        Window::on(grid, 2, shifted, padding)
    }

    #[test]
    fn windows_tile_the_map_in_reading_order() {
        let window = on([2, 4], false, WindowPadding::AfterShift);
        let tokens: Vec<usize> = window.tokens([2, 4]).into_iter().flatten().collect();
        assert_eq!(tokens, [0, 1, 4, 5, 2, 3, 6, 7]);
        assert_eq!(window.regions([2, 4]), [0; 8]);
    }

    #[test]
    fn a_map_no_longer_than_a_window_is_one_window_without_shift() {
        let window = on([2, 3], true, WindowPadding::AfterShift);
        assert_eq!((window.size, window.shift), ([2, 2], [0, 1]));
        assert_eq!(Window::on([3, 3], 7, true, WindowPadding::AfterShift).size, [3, 3]);
        assert_eq!(window.count([2, 3]), 2);
    }

    #[test]
    fn a_shifted_map_of_three_columns_is_filled_up_before_or_after() {
        // Columns 0 1 2: moved, then filled up, or filled up, then moved.
        let columns = |padding| on([2, 3], true, padding).sources(1, 3);
        assert_eq!(columns(WindowPadding::AfterShift), [Some(1), Some(2), Some(0), None]);
        assert_eq!(columns(WindowPadding::BeforeShift), [Some(1), Some(2), None, Some(0)]);
        let regions = on([2, 3], true, WindowPadding::BeforeShift).regions([2, 3]);
        assert_eq!(regions, [0, 0, 0, 0, 1, 2, 1, 2]);
    }
}
