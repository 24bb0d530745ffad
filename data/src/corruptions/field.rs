//! Pictures as fields of numbers, and what corruptions do to them.

use archaeo_raster::Image;

/// Planes of numbers of one size, plane by plane, row by row; an image has three, with values in [0, 1].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub width: usize,
    pub height: usize,
    pub planes: Vec<Vec<f64>>,
}

/// What lies beyond the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// The last value again and again: `aaa|abcd|ddd`.
    Nearest,
    /// A mirror on the edge: `cba|abcd|dcb`.
    Mirror,
    /// A mirror on the last value: `dcb|abcd|cba`.
    Mirror101,
}

impl Edge {
    /// The place within `0..size` that stands for `at`.
    pub fn place(self, at: i64, size: usize) -> usize {
        let n = size as i64;
        match self {
            Self::Nearest => at.clamp(0, n - 1) as usize,
            Self::Mirror => {
                let folded = at.rem_euclid(2 * n);
                folded.min(2 * n - 1 - folded) as usize
            }
            Self::Mirror101 if n == 1 => 0,
            Self::Mirror101 => {
                let folded = at.rem_euclid(2 * n - 2);
                folded.min(2 * n - 2 - folded) as usize
            }
        }
    }
}

impl Field {
    /// Its three channels, divided by 255.
    pub fn of(image: &Image) -> Self {
        let plane = |channel| image.pixels().iter().skip(channel).step_by(3).map(|&v| f64::from(v) / 255.0);
        let planes = (0..3).map(|channel| plane(channel).collect()).collect();
        Self { width: image.width(), height: image.height(), planes }
    }

    /// One plane.
    pub fn plane(width: usize, height: usize, values: Vec<f64>) -> Self {
        assert_eq!(values.len(), width * height, "values of a plane of {width} × {height}");
        Self { width, height, planes: vec![values] }
    }

    /// The picture of three planes with values cut to [0, 1] and truncated to 8 bits.
    pub fn image(&self) -> Image {
        let mut image = Image::filled(self.width, self.height, [0; 3]);
        for (pixel, values) in image.pixels_mut().chunks_exact_mut(3).enumerate() {
            for (value, plane) in values.iter_mut().zip(&self.planes) {
                *value = (plane[pixel].clamp(0.0, 1.0) * 255.0) as u8;
            }
        }
        image
    }

    /// Every value changed.
    pub fn map(&self, of: impl Fn(f64) -> f64) -> Self {
        let plane = |plane: &Vec<f64>| plane.iter().map(|&value| of(value)).collect();
        Self { planes: self.planes.iter().map(plane).collect(), ..*self }
    }

    /// Every pixel of three planes changed.
    pub fn pixels(&self, of: impl Fn([f64; 3]) -> [f64; 3]) -> Self {
        let mut changed = self.clone();
        for pixel in 0..self.width * self.height {
            let values = of([0, 1, 2].map(|channel| self.planes[channel][pixel]));
            values.into_iter().zip(&mut changed.planes).for_each(|(value, plane)| plane[pixel] = value);
        }
        changed
    }

    /// Convolved with a Gaussian in both directions, cut off at `truncate` deviations, as by SciPy.
    pub fn blurred(&self, sigma: f64, truncate: f64, edge: Edge) -> Self {
        if sigma <= 1e-15 {
            return self.clone();
        }
        let radius = (truncate * sigma + 0.5) as i64;
        let weights: Vec<f64> =
            (-radius..=radius).map(|at| (-0.5 * (at as f64 / sigma).powi(2)).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let weights: Vec<f64> = weights.into_iter().map(|weight| weight / sum).collect();
        let (columns, rows) = (&weights[..], &[1.0][..]);
        self.filtered(rows, columns, edge).filtered(columns, rows, edge)
    }

    /// Correlated with the outer product of `across` (columns) and `down` (rows), of odd lengths.
    fn filtered(&self, down: &[f64], across: &[f64], edge: Edge) -> Self {
        let kernel: Vec<Vec<f64>> = down.iter().map(|d| across.iter().map(|a| d * a).collect()).collect();
        self.correlated(&kernel, edge)
    }

    /// Correlated with a kernel of odd sides, as by OpenCV's `filter2D`.
    pub fn correlated(&self, kernel: &[Vec<f64>], edge: Edge) -> Self {
        let (tall, wide) = (kernel.len() as i64, kernel[0].len() as i64);
        let reach = |at: usize, length: i64, size: usize| -> Vec<usize> {
            (0..length).map(|k| edge.place(at as i64 + k - length / 2, size)).collect()
        };
        let rows: Vec<Vec<usize>> = (0..self.height).map(|y| reach(y, tall, self.height)).collect();
        let columns: Vec<Vec<usize>> = (0..self.width).map(|x| reach(x, wide, self.width)).collect();
        let plane = |plane: &Vec<f64>| {
            let mut found = Vec::with_capacity(plane.len());
            for rows in &rows {
                for columns in &columns {
                    let mut sum = 0.0;
                    for (weights, &row) in kernel.iter().zip(rows) {
                        let line = &plane[row * self.width..];
                        for (&weight, &column) in weights.iter().zip(columns) {
                            if weight != 0.0 {
                                sum += weight * line[column];
                            }
                        }
                    }
                    found.push(sum);
                }
            }
            found
        };
        Self { planes: self.planes.iter().map(plane).collect(), ..*self }
    }

    /// Values between pixels by bilinear interpolation, at the place `at(x, y)` (column, row) for each pixel.
    pub fn sampled(&self, edge: Edge, at: impl Fn(usize, usize) -> [f64; 2]) -> Self {
        let mut found = self.clone();
        for y in 0..self.height {
            for x in 0..self.width {
                let [across, down] = at(x, y);
                let (left, top) = (across.floor(), down.floor());
                let (right_share, low_share) = (across - left, down - top);
                let columns = [0, 1].map(|more| edge.place(left as i64 + more, self.width));
                let rows = [0, 1].map(|more| edge.place(top as i64 + more, self.height) * self.width);
                for (plane, own) in found.planes.iter_mut().zip(&self.planes) {
                    let line = |row: usize| {
                        own[row + columns[0]] * (1.0 - right_share) + own[row + columns[1]] * right_share
                    };
                    plane[y * self.width + x] = line(rows[0]) * (1.0 - low_share) + line(rows[1]) * low_share;
                }
            }
        }
        found
    }

    /// The middle enlarged to the size of the whole, linearly between pixels that lie on the corners, as by SciPy's `zoom`.
    pub fn zoomed(&self, factor: f64) -> Self {
        let axis = |size: usize| {
            let kept = (size as f64 / factor).ceil() as usize;
            let first = (size - kept) / 2;
            let enlarged = (kept as f64 * factor).round_ties_even() as usize;
            let skipped = (enlarged - size) / 2;
            let spacing = if enlarged > 1 { (kept as f64 - 1.0) / (enlarged as f64 - 1.0) } else { 0.0 };
            move |at: usize| first as f64 + (((at + skipped) as f64) * spacing).min(kept as f64 - 1.0)
        };
        let (across, down) = (axis(self.width), axis(self.height));
        self.sampled(Edge::Nearest, |x, y| [across(x), down(y)])
    }

    /// Smallest and largest value.
    pub fn range(&self) -> [f64; 2] {
        let values = || self.planes.iter().flatten().copied();
        [values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max)]
    }
}

/// Hue, saturation and value of red, green and blue, all in [0, 1].
pub(super) fn to_hsv([r, g, b]: [f64; 3]) -> [f64; 3] {
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let spread = high - low;
    if spread == 0.0 {
        return [0.0, 0.0, high];
    }
    let hue = if r == high {
        (g - b) / spread
    } else if g == high {
        2.0 + (b - r) / spread
    } else {
        4.0 + (r - g) / spread
    };
    [(hue / 6.0).rem_euclid(1.0), spread / high, high]
}

/// The way back.
pub(super) fn from_hsv([hue, saturation, value]: [f64; 3]) -> [f64; 3] {
    let sector = (hue * 6.0).floor();
    let rest = hue * 6.0 - sector;
    let p = value * (1.0 - saturation);
    let q = value * (1.0 - rest * saturation);
    let t = value * (1.0 - (1.0 - rest) * saturation);
    match (sector as i64).rem_euclid(6) {
        0 => [value, t, p],
        1 => [q, value, p],
        2 => [p, value, t],
        3 => [p, q, value],
        4 => [t, p, value],
        _ => [value, p, q],
    }
}
