//! The ten shapes that are the classes of Sherds.

/// A silhouette, distinguishable from the others under any rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// A filled circle.
    Disc,
    /// A square.
    Square,
    /// An equilateral triangle.
    Triangle,
    /// A star with five points.
    Star,
    /// A circle with a round hole.
    Ring,
    /// A plus sign.
    Cross,
    /// A moon: a disc with a bite of nearly its own size.
    Crescent,
    /// A heart.
    Heart,
    /// A block arrow.
    Arrow,
    /// One half of a disc.
    HalfDisc,
}

impl Shape {
    /// All shapes; a shape's place here is its class index.
    pub const ALL: [Shape; 10] = [
        Shape::Disc,
        Shape::Square,
        Shape::Triangle,
        Shape::Star,
        Shape::Ring,
        Shape::Cross,
        Shape::Crescent,
        Shape::Heart,
        Shape::Arrow,
        Shape::HalfDisc,
    ];

    /// The name shown as class name.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Disc => "disc",
            Shape::Square => "square",
            Shape::Triangle => "triangle",
            Shape::Star => "star",
            Shape::Ring => "ring",
            Shape::Cross => "cross",
            Shape::Crescent => "crescent",
            Shape::Heart => "heart",
            Shape::Arrow => "arrow",
            Shape::HalfDisc => "half-disc",
        }
    }

    /// Whether the point (x, y), y upwards, lies inside the shape drawn in the unit disc.
    ///
    /// Sizes are chosen by eye so that no shape is identified by its area alone. Only sums, products and
    /// comparisons: the same on every processor.
    pub fn contains(self, x: f32, y: f32) -> bool {
        let square = x * x + y * y;
        match self {
            Shape::Disc => square < 0.84 * 0.84,
            Shape::Square => x.abs() < 0.7 && y.abs() < 0.7,
            Shape::Triangle => y > -0.5 && 1.732_050_8 * x.abs() + y < 1.0,
            // Inside a pentagram: on the inner side of at least four of its five lines.
            Shape::Star => {
                const NORMALS: [(f32, f32); 5] = [
                    (0.0, 1.0),
                    (0.951_056_5, 0.309_017),
                    (0.587_785_25, -0.809_017),
                    (-0.587_785_25, -0.809_017),
                    (-0.951_056_5, 0.309_017),
                ];
                // Slightly fatter than the regular pentagram (0.309), so that its points survive at 32 px.
                const REACH: f32 = 0.36;
                let inner = NORMALS.iter().filter(|(a, b)| a * x + b * y < REACH).count();
                inner >= 4 && square < 1.0
            }
            Shape::Ring => (0.5 * 0.5..0.92 * 0.92).contains(&square),
            Shape::Cross => (x.abs() < 0.29 && y.abs() < 0.92) || (y.abs() < 0.29 && x.abs() < 0.92),
            Shape::Crescent => {
                let (x, bite) = (x - 0.1, x - 0.52);
                x * x + y * y < 0.9 * 0.9 && bite * bite + y * y > 0.72 * 0.72
            }
            // The sextic heart curve (x² + y² − 1)³ = x² y³, shrunk and centred.
            Shape::Heart => {
                let (x, y) = (x * 1.3, y * 1.3 + 0.12);
                let ball = x * x + y * y - 1.0;
                ball * ball * ball < x * x * y * y * y
            }
            Shape::Arrow => {
                let head = y > 0.02 && x.abs() * 1.25 < 0.98 - y;
                let shaft = x.abs() < 0.25 && (-0.95..=0.02).contains(&y);
                head || shaft
            }
            Shape::HalfDisc => {
                let y = y + 0.4;
                y > 0.0 && x * x + y * y < 0.95 * 0.95
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> impl Iterator<Item = (f32, f32)> {
        (-60..=60).flat_map(|i| (-60..=60).map(move |j| (i as f32 / 50.0, j as f32 / 50.0)))
    }

    #[test]
    fn shapes_stay_in_the_unit_disc_and_fill_a_fair_part_of_it() {
        let disc = grid().filter(|(x, y)| x * x + y * y < 1.0).count() as f32;
        for shape in Shape::ALL {
            let inside: Vec<_> = grid().filter(|&(x, y)| shape.contains(x, y)).collect();
            assert!(inside.iter().all(|(x, y)| x * x + y * y < 1.03 * 1.03), "{shape:?} leaves the disc");
            let share = inside.len() as f32 / disc;
            assert!((0.3..0.75).contains(&share), "{shape:?} fills {share} of the disc");
        }
    }

    /// The overlap (intersection over union) of two shapes after the best rotation stays well below one.
    #[test]
    fn no_two_shapes_alias_under_rotation() {
        for (i, a) in Shape::ALL.into_iter().enumerate() {
            for b in &Shape::ALL[..i] {
                let best = (0..72)
                    .map(|turn| {
                        let (sin, cos) = (turn as f32 * 5f32.to_radians()).sin_cos();
                        let (mut both, mut either) = (0, 0);
                        for (x, y) in grid().step_by(3) {
                            let first = a.contains(x, y);
                            let second = b.contains(cos * x - sin * y, sin * x + cos * y);
                            both += usize::from(first && second);
                            either += usize::from(first || second);
                        }
                        both as f32 / either as f32
                    })
                    .fold(0.0, f32::max);
                assert!(best < 0.87, "{a:?} and {b:?} overlap by {best}");
            }
        }
    }
}
