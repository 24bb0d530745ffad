//! The look of a point: its colour and its shape, which tell its group, so that colour is never the only difference.

/// Half the width of a circle, CSS pixels.
pub(super) const RADIUS: f64 = 2.4;

pub(super) const OPACITY: f64 = 0.8;

/// Colour of the frame around points.
pub(super) const FRAME: [u8; 3] = [200, 205, 212];

/// Those of Okabe & Ito (2008) and three more; with four shapes, twenty groups look different.
const COLORS: [[u8; 3]; 10] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 158, 115],
    [204, 121, 167],
    [230, 159, 0],
    [86, 180, 233],
    [91, 101, 115],
    [122, 61, 184],
    [140, 81, 10],
    [178, 24, 43],
];

pub(super) fn color(group: usize) -> [u8; 3] {
    COLORS[group % COLORS.len()]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Diamond,
    Triangle,
}

/// Half a side of the square, in radii.
const SQUARE: f64 = 0.88;

/// Half a diagonal of the diamond.
const DIAMOND: f64 = 1.25;

/// Distance of the triangle's sides from its centre.
const TRIANGLE: f64 = 0.65;

impl Shape {
    pub fn of(group: usize) -> Self {
        [Self::Circle, Self::Square, Self::Diamond, Self::Triangle][group % 4]
    }

    /// How far a place is outside, relative to the centre with y downwards; negative inside.
    pub fn distance(self, x: f64, y: f64, radius: f64) -> f64 {
        match self {
            Self::Circle => x.hypot(y) - radius,
            Self::Square => x.abs().max(y.abs()) - SQUARE * radius,
            Self::Diamond => (x.abs() + y.abs() - DIAMOND * radius) / 2f64.sqrt(),
            Self::Triangle => (0.75f64.sqrt() * x.abs() - 0.5 * y).max(y) - TRIANGLE * radius,
        }
    }

    /// The same as an element of SVG.
    pub fn element(self, [x, y]: [f64; 2], fill: &str) -> String {
        let n = |value: f64| {
            let text = format!("{value:.2}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        match self {
            Self::Circle => {
                format!("<circle cx=\"{}\" cy=\"{}\" r=\"{RADIUS}\" fill=\"{fill}\"/>", n(x), n(y))
            }
            Self::Square => {
                let half = SQUARE * RADIUS;
                let side = n(2.0 * half);
                format!(
                    "<rect x=\"{}\" y=\"{}\" width=\"{side}\" height=\"{side}\" fill=\"{fill}\"/>",
                    n(x - half),
                    n(y - half)
                )
            }
            Self::Diamond => {
                let half = n(DIAMOND * RADIUS);
                let corners = format!("m0-{half} {half} {half}-{half} {half}-{half}-{half}z");
                format!("<path d=\"M{} {}{corners}\" fill=\"{fill}\"/>", n(x), n(y))
            }
            Self::Triangle => {
                let inner = TRIANGLE * RADIUS;
                let half = inner * 3f64.sqrt();
                format!(
                    "<path d=\"M{} {}L{} {} {} {}z\" fill=\"{fill}\"/>",
                    n(x),
                    n(y - 2.0 * inner),
                    n(x + half),
                    n(y + inner),
                    n(x - half),
                    n(y + inner)
                )
            }
        }
    }
}
