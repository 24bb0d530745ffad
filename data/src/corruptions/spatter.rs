//! Spatter: drops of water that shine along their edges, or of mud.

use rand_chacha::ChaCha8Rng;

use super::blur::TRUNCATE;
use super::field::{Edge, Field};
use super::{Scale, normal};

/// Of spatter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drops {
    pub mean: f64,
    pub deviation: f64,
    sigma: f64,
    threshold: f64,
    /// Strength of water, or deviation of the blur of mud.
    strength: f64,
    mud: bool,
}

pub(super) fn drops(scale: Scale, severity: usize) -> Drops {
    let (mean, deviation, sigma, threshold, strength, mud) = scale.choose(
        severity,
        [
            (0.62, 0.1, 0.7, 0.7, 0.5, false),
            (0.65, 0.1, 0.8, 0.7, 0.5, false),
            (0.65, 0.3, 1.0, 0.69, 0.5, false),
            (0.65, 0.1, 0.7, 0.69, 0.6, true),
            (0.65, 0.1, 0.5, 0.68, 0.6, true),
        ],
        [
            (0.65, 0.3, 4.0, 0.69, 0.6, false),
            (0.65, 0.3, 3.0, 0.68, 0.6, false),
            (0.65, 0.3, 2.0, 0.68, 0.5, false),
            (0.65, 0.3, 1.0, 0.65, 1.5, true),
            (0.67, 0.4, 1.0, 0.65, 1.5, true),
        ],
    );
    Drops { mean, deviation, sigma, threshold, strength, mud }
}

/// Pale turquoise.
const WATER: [f64; 3] = [175.0 / 255.0, 238.0 / 255.0, 238.0 / 255.0];

const MUD: [f64; 3] = [63.0 / 255.0, 42.0 / 255.0, 20.0 / 255.0];

pub(super) fn spatter(field: &Field, drops: Drops, rng: &mut ChaCha8Rng) -> Field {
    let noise = normal(field.width * field.height, drops.deviation, rng);
    let noise = noise.into_iter().map(|noise| drops.mean + noise).collect();
    spattered(field, &Field::plane(field.width, field.height, noise), drops)
}

/// Spatter of this noise.
pub(super) fn spattered(field: &Field, noise: &Field, drops: Drops) -> Field {
    let liquid = noise
        .blurred(drops.sigma, TRUNCATE, Edge::Nearest)
        .map(|value| if value < drops.threshold { 0.0 } else { value });
    let mut found = field.clone();
    if drops.mud {
        let mud = liquid
            .map(|value| f64::from(u8::from(value > drops.threshold)))
            .blurred(drops.strength, TRUNCATE, Edge::Nearest)
            .map(|value| if value < 0.8 { 0.0 } else { value });
        for (plane, colour) in found.planes.iter_mut().zip(MUD) {
            plane
                .iter_mut()
                .zip(&mud.planes[0])
                .for_each(|(value, &m)| *value = *value * (1.0 - m) + colour * m);
        }
        return found;
    }
    let liquid = liquid.map(|value| (value * 255.0).floor().rem_euclid(256.0));
    let shine = shine(&liquid);
    let wet: Vec<f64> = liquid.planes[0].iter().zip(&shine.planes[0]).map(|(a, b)| a * b).collect();
    let largest = wet.iter().copied().fold(0.0, f64::max);
    if largest > 0.0 {
        for (plane, colour) in found.planes.iter_mut().zip(WATER) {
            plane
                .iter_mut()
                .zip(&wet)
                .for_each(|(value, wet)| *value += wet / largest * drops.strength * colour);
        }
    }
    found
}

/// How light plays in drops: by the distance from their edges, equalised and embossed.
fn shine(liquid: &Field) -> Field {
    let (width, height) = (liquid.width, liquid.height);
    let near = distances(&edges(liquid), width, height).into_iter().map(|distance| distance.min(20.0));
    let near = Field::plane(width, height, near.collect());
    let levels = equalised(&mean_of_nine(&near).map(f64::floor));
    let emboss = [[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]].map(Vec::from);
    let embossed = levels.correlated(&emboss, Edge::Mirror101).map(|value| value.clamp(0.0, 255.0));
    mean_of_nine(&embossed).map(f64::round_ties_even)
}

fn mean_of_nine(field: &Field) -> Field {
    // Divided at the end: nine ninths are less than one, and what follows truncates.
    field.correlated(&vec![vec![1.0; 3]; 3], Edge::Mirror101).map(|sum| sum / 9.0)
}

/// Canny's edges (1986) with thresholds 50 and 150, as OpenCV finds them: Sobel gradients, their magnitude the sum of both parts.
fn edges(field: &Field) -> Vec<bool> {
    const LOW: f64 = 50.0;
    const HIGH: f64 = 150.0;
    let (width, height) = (field.width, field.height);
    let across = [[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]].map(Vec::from);
    let down = [[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]].map(Vec::from);
    let [across, down] = [across, down].map(|kernel| field.correlated(&kernel, Edge::Nearest));
    let (across, down) = (&across.planes[0], &down.planes[0]);
    let magnitude = |x: i64, y: i64| match (0..width as i64).contains(&x) && (0..height as i64).contains(&y) {
        true => {
            let at = y as usize * width + x as usize;
            across[at].abs() + down[at].abs()
        }
        false => 0.0,
    };
    let steep = 22.5f64.to_radians().tan();
    let mut ridge = vec![false; width * height];
    let mut open = Vec::new();
    for y in 0..height as i64 {
        for x in 0..width as i64 {
            let at = y as usize * width + x as usize;
            let (gx, gy, own) = (across[at], down[at], magnitude(x, y));
            if own <= LOW {
                continue;
            }
            let highest = if gy.abs() < steep * gx.abs() {
                own > magnitude(x - 1, y) && own >= magnitude(x + 1, y)
            } else if gy.abs() > (steep + 2.0) * gx.abs() {
                own > magnitude(x, y - 1) && own >= magnitude(x, y + 1)
            } else {
                let along = if (gx < 0.0) != (gy < 0.0) { -1 } else { 1 };
                own > magnitude(x - along, y - 1) && own > magnitude(x + along, y + 1)
            };
            ridge[at] = highest;
            if highest && own > HIGH {
                open.push((x, y));
            }
        }
    }
    let mut edges = vec![false; width * height];
    while let Some((x, y)) = open.pop() {
        let at = y as usize * width + x as usize;
        if std::mem::replace(&mut edges[at], true) {
            continue;
        }
        for (dx, dy) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy))) {
            let (x, y) = (x + dx, y + dy);
            if (0..width as i64).contains(&x)
                && (0..height as i64).contains(&y)
                && ridge[y as usize * width + x as usize]
            {
                open.push((x, y));
            }
        }
    }
    edges
}

/// Distance to the nearest marked pixel by Borgefors' (1986) steps of 1, 1.4 and 2.1969; far away where there is none.
fn distances(marked: &[bool], width: usize, height: usize) -> Vec<f64> {
    const FAR: f64 = 8192.0;
    const STEPS: [(i64, i64, f64); 8] = [
        (-1, 0, 1.0),
        (0, -1, 1.0),
        (-1, -1, 1.4),
        (1, -1, 1.4),
        (-2, -1, 2.1969),
        (2, -1, 2.1969),
        (-1, -2, 2.1969),
        (1, -2, 2.1969),
    ];
    let mut found: Vec<f64> = marked.iter().map(|&marked| if marked { 0.0 } else { FAR }).collect();
    let mut pass = |forward: bool| {
        for place in 0..width * height {
            let at = if forward { place } else { width * height - 1 - place };
            let (x, y) = ((at % width) as i64, (at / width) as i64);
            for (dx, dy, step) in STEPS {
                let (dx, dy) = if forward { (dx, dy) } else { (-dx, -dy) };
                let (x, y) = (x + dx, y + dy);
                if (0..width as i64).contains(&x) && (0..height as i64).contains(&y) {
                    found[at] = found[at].min(found[y as usize * width + x as usize] + step);
                }
            }
        }
    };
    pass(true);
    pass(false);
    found
}

/// Levels from 0 to 255 spread evenly over that range by their counts.
fn equalised(field: &Field) -> Field {
    let mut counts = [0usize; 256];
    field.planes[0].iter().for_each(|&level| counts[level as usize] += 1);
    let total = field.planes[0].len();
    let first = counts.iter().position(|&count| count > 0).expect("a field has values");
    if counts[first] == total {
        return field.clone();
    }
    let scale = 255.0 / (total - counts[first]) as f64;
    let mut sum = 0;
    let mut levels = [0.0; 256];
    for level in first + 1..256 {
        sum += counts[level];
        levels[level] = (sum as f64 * scale).round_ties_even();
    }
    field.map(|level| levels[level as usize])
}
