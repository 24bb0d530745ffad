//! The waves of the discrete cosine transform.

/// The waves of the orthonormal DCT-II of one length: √(2/n) cos(π k (i + ½) / n), the constant one √(1/n).
#[derive(Clone, Debug)]
pub(super) struct Cosine {
    size: usize,
    /// Wave by wave, from the constant one.
    waves: Vec<f64>,
}

impl Cosine {
    /// The first waves of a length; all of them where there are no more.
    ///
    /// # Panics
    /// A length of 0.
    pub fn first(count: usize, size: usize) -> Self {
        assert!(size > 0, "a plane without pixels has no frequencies");
        let wave = |frequency: usize| {
            let scale = if frequency == 0 { 1.0 } else { 2.0 } / size as f64;
            (0..size).map(move |place| {
                let angle = std::f64::consts::PI * frequency as f64 * (place as f64 + 0.5) / size as f64;
                scale.sqrt() * angle.cos()
            })
        };
        Self { size, waves: (0..count.min(size)).flat_map(wave).collect() }
    }

    /// The waves, by frequency.
    pub fn waves(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.waves.chunks_exact(self.size)
    }
}
