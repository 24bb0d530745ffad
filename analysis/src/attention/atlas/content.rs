//! What an image shows, patch by patch.

/// What an image shows on a grid of patches.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchContent {
    /// Mean gradient magnitude of each patch.
    pub gradient: Vec<f64>,
    /// Mean gradient across columns minus that across rows.
    pub orientation: Vec<f64>,
    /// Mean red, green and blue.
    pub colour: Vec<[f64; 3]>,
    /// Share of each patch that is the object; `None` without a mask.
    pub object: Option<Vec<f64>>,
}

impl PatchContent {
    /// Of planes of red, green and blue, `(3, height, width)`, with a mask of the same size where there is one.
    pub fn of(
        image: &[f32],
        [height, width]: [usize; 2],
        mask: Option<&[bool]>,
        [rows, columns]: [usize; 2],
    ) -> Self {
        let grey = |y: usize, x: usize| -> f64 {
            (0..3).map(|channel| f64::from(image[(channel * height + y) * width + x])).sum::<f64>() / 3.0
        };
        let patches = rows * columns;
        let mut found = Self {
            gradient: vec![0.0; patches],
            orientation: vec![0.0; patches],
            colour: vec![[0.0; 3]; patches],
            object: mask.map(|_| vec![0.0; patches]),
        };
        let mut counts = vec![0.0; patches];
        for y in 0..height {
            for x in 0..width {
                let patch = y * rows / height * columns + x * columns / width;
                counts[patch] += 1.0;
                let across = grey(y, (x + 1).min(width - 1)) - grey(y, x.saturating_sub(1));
                let down = grey((y + 1).min(height - 1), x) - grey(y.saturating_sub(1), x);
                found.gradient[patch] += across.hypot(down);
                found.orientation[patch] += across.abs() - down.abs();
                for channel in 0..3 {
                    found.colour[patch][channel] += f64::from(image[(channel * height + y) * width + x]);
                }
                if let (Some(object), Some(mask)) = (&mut found.object, mask) {
                    object[patch] += f64::from(u8::from(mask[y * width + x]));
                }
            }
        }
        for (patch, count) in counts.into_iter().enumerate() {
            found.gradient[patch] /= count;
            found.orientation[patch] /= count;
            found.colour[patch].iter_mut().for_each(|sum| *sum /= count);
            found.object.iter_mut().for_each(|object| object[patch] /= count);
        }
        found
    }

    /// The same patches elsewhere.
    pub(super) fn permuted(&self, order: &[usize]) -> Self {
        let of = |values: &[f64]| order.iter().map(|&from| values[from]).collect();
        Self {
            gradient: of(&self.gradient),
            orientation: of(&self.orientation),
            colour: order.iter().map(|&from| self.colour[from]).collect(),
            object: self.object.as_deref().map(of),
        }
    }
}
