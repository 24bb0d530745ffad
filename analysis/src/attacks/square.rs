//! The Square attack (Andriushchenko et al., 2020; in L1 Croce and Hein, 2021), a random search in squares that asks for logits alone.

use archaeo_random::keyed_rng;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::threat::{euclidean_length, into_box};
use super::workbench::{Found, Workbench};
use super::{Attack, AttackInfo, Batch, Clean, Family, Goal, Norm, Outcome, Target, Threat};
use crate::statistics::first_largest;
use crate::{Keys, Paper};

const QUERIES: usize = 5000;
/// Share of the values in the first squares.
const SHARE: f64 = 0.8;
const CHANNELS: usize = 3;

/// Random squares, kept where they lower the margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Square {
    /// How far it may go; in L∞, L2 or L1.
    pub threat: Threat,
    /// How often the model may be asked about an image.
    pub queries: usize,
    /// Share of the values in the first squares.
    pub share: f64,
}

static INFO: AttackInfo = AttackInfo {
    id: "square",
    title: "Square",
    summary: "random search in squares with logits alone, without a gradient",
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    goal: Goal::Within,
    steps: Some(QUERIES),
    losses: &[],
    restarts: false,
    targeted: true,
    paper: Some(Paper { citation: "Andriushchenko et al., 2020", url: "https://arxiv.org/abs/1912.00049" }),
};

/// Square, for the list.
pub(super) const SQUARE: Family = Family {
    info: &INFO,
    with: |settings| {
        let queries = settings.steps.unwrap_or(QUERIES);
        Box::new(Square { threat: settings.threat(), queries, share: SHARE })
    },
};

/// The share of the values in the squares after so many queries of all, as a multiple of the first: halved at fixed places of a
/// schedule of 10,000 (section 4.1; the places are those of its code).
fn shrinkage(query: usize, queries: usize) -> f64 {
    const HALVINGS: [usize; 9] = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];
    let at = query * 10_000 / queries;
    0.5f64.powi(HALVINGS.iter().filter(|&&halving| at > halving).count() as i32)
}

/// One image under attack. Every channel of a grey image gets the same.
struct Searched {
    x: Vec<f32>,
    margin: f64,
    rng: ChaCha8Rng,
}

/// The layout of an image.
#[derive(Clone, Copy)]
struct Shape {
    height: usize,
    width: usize,
}

/// A square of an image by its upper left corner and its side.
#[derive(Clone, Copy)]
struct Window {
    top: usize,
    left: usize,
    side: usize,
}

impl Window {
    fn drawn(side: usize, shape: Shape, rng: &mut ChaCha8Rng) -> Self {
        let [top, left] =
            [shape.height, shape.width].map(|length| rng.random_range(0..=length.saturating_sub(side)));
        Self { top, left, side }
    }

    /// Its places in a channel, row by row.
    fn places(self, channel: usize, Shape { height, width }: Shape) -> impl Iterator<Item = usize> {
        let rows = self.top..self.top + self.side;
        rows.flat_map(move |row| {
            (self.left..self.left + self.side).map(move |column| (channel * height + row) * width + column)
        })
    }
}

/// A random sign for each channel, the same for all of a grey image.
fn signs(clean: &Clean, rng: &mut ChaCha8Rng) -> [f64; CHANNELS] {
    let drawn = [(); CHANNELS].map(|()| if rng.random::<bool>() { 1.0 } else { -1.0 });
    if clean.grey { [drawn[0]; CHANNELS] } else { drawn }
}

impl Square {
    /// In L∞ vertical stripes of ±ε; in L2 and L1 a grid of bumps.
    fn start(&self, clean: &Clean, shape: Shape, rng: &mut ChaCha8Rng) -> Vec<f32> {
        let Shape { height, width } = shape;
        let mut change = vec![0.0; clean.values.len()];
        if let Threat::Linf(size) = self.threat {
            for column in 0..width {
                for (channel, sign) in signs(clean, rng).into_iter().enumerate() {
                    (0..height)
                        .for_each(|row| change[(channel * height + row) * width + column] = size * sign);
                }
            }
            return moved(&clean.values, &change);
        }
        let side = (height.min(width) / 5).max(1);
        let [above, before] = [height, width].map(|length| length % side / 2);
        for top in (0..height / side).map(|i| above + i * side) {
            for left in (0..width / side).map(|i| before + i * side) {
                let bump = bump(side, &self.threat, rng);
                let signs = signs(clean, rng);
                for (channel, sign) in signs.into_iter().enumerate() {
                    let places = Window { top, left, side }.places(channel, shape);
                    places.zip(&bump).for_each(|(place, bump)| change[place] += sign * bump);
                }
            }
        }
        self.lengthened(clean, change)
    }

    /// Another version of an image, one square further.
    fn candidate(&self, searched: &mut Searched, clean: &Clean, shape: Shape, share: f64) -> Vec<f32> {
        let rng = &mut searched.rng;
        let area = share * (shape.height * shape.width) as f64;
        let most = shape.height.min(shape.width);
        let side = area.sqrt().round() as usize;
        if let Threat::Linf(size) = self.threat {
            let window = Window::drawn(side.clamp(1, most), shape, rng);
            let mut next = searched.x.clone();
            for (channel, sign) in signs(clean, rng).into_iter().enumerate() {
                for place in window.places(channel, shape) {
                    // From any place of the ball, 2ε leads to its end.
                    next[place] = into_box(f64::from(clean.values[place]) + sign * size);
                }
            }
            return next;
        }
        let side = (side.max(3) | 1).min(if most.is_multiple_of(2) { most - 1 } else { most });
        let [here, there] = [(); 2].map(|()| Window::drawn(side, shape, rng));
        self.moved_mass(&searched.x, clean, shape, (here, there), rng)
    }

    /// In L2 and L1: the change of one window is taken away and its length given to a bump in another.
    fn moved_mass(
        &self,
        x: &[f32],
        clean: &Clean,
        shape: Shape,
        (here, there): (Window, Window),
        rng: &mut ChaCha8Rng,
    ) -> Vec<f32> {
        let mut change: Vec<f64> =
            x.iter().zip(&clean.values).map(|(&x, &c)| f64::from(x) - f64::from(c)).collect();
        let (threat, size) = (self.threat, self.threat.size());
        let length = |change: &mut dyn Iterator<Item = f64>| threat.length(change);
        // Lengths of channels add up to that of the image in L1, their squares in L2. In L1 the authors' program gives a bump the length
        // of all channels in each: the projection that follows takes the excess from the small changes and leaves the large ones.
        let (power, gain) = if let Threat::L2(_) = threat { (2, 1.0) } else { (1, CHANNELS as f64) };
        let whole = length(&mut change.iter().copied());
        let spare = (size.powi(power) - whole.powi(power)).max(0.0) / CHANNELS as f64;
        let bump = bump(here.side, &threat, rng);
        let signs = signs(clean, rng);
        let mut inside = vec![false; change.len()];
        for (channel, sign) in signs.into_iter().enumerate() {
            here.places(channel, shape)
                .chain(there.places(channel, shape))
                .for_each(|place| inside[place] = true);
            let plane = shape.height * shape.width;
            let of_channel = channel * plane..(channel + 1) * plane;
            let both = length(&mut of_channel.filter(|&place| inside[place]).map(|place| change[place]));
            let old: Vec<f64> = here.places(channel, shape).map(|place| change[place]).collect();
            let old_length = length(&mut old.iter().copied()) + 1e-12;
            let new: Vec<f64> =
                old.iter().zip(&bump).map(|(old, bump)| sign * bump + old / old_length).collect();
            let scale = gain * (spare + both.powi(power)).powf(1.0 / f64::from(power))
                / (length(&mut new.iter().copied()) + 1e-12);
            there.places(channel, shape).for_each(|place| change[place] = 0.0);
            here.places(channel, shape).zip(new).for_each(|(place, new)| change[place] = scale * new);
        }
        self.lengthened(clean, change)
    }

    /// In L2 the change at the ball's full length, cut to the box; in L1 the nearest place of ball and box.
    fn lengthened(&self, clean: &Clean, mut change: Vec<f64>) -> Vec<f32> {
        if let Threat::L1(_) = self.threat {
            change.iter_mut().zip(&clean.values).for_each(|(change, &clean)| *change += f64::from(clean));
            let mut x = clean.values.clone();
            self.threat.project(&change, clean, &mut x);
            return x;
        }
        let length = euclidean_length(change.iter().copied()) + 1e-12;
        change.iter_mut().for_each(|change| *change *= self.threat.size() / length);
        moved(&clean.values, &change)
    }
}

fn moved(clean: &[f32], change: &[f64]) -> Vec<f32> {
    clean.iter().zip(change).map(|(&clean, change)| into_box(f64::from(clean) + change)).collect()
}

/// A square of length 1 in the threat's norm: two pyramids side by side, one up and one down, lying or standing (section 4.2).
fn bump(side: usize, threat: &Threat, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let upper = side / 2;
    let mut bump = pyramid(upper, side, threat);
    bump.extend(pyramid(side - upper, side, threat).into_iter().map(|value| -value));
    let length = threat.length(bump.iter().copied()).max(f64::MIN_POSITIVE);
    bump.iter_mut().for_each(|value| *value /= length);
    match rng.random::<bool>() {
        true => (0..side * side).map(|i| bump[i % side * side + i / side]).collect(),
        false => bump,
    }
}

/// Rectangles around the middle, of which the j-th adds 1/j², in L1 1/j⁴, of length 1 in the threat's norm.
fn pyramid(rows: usize, columns: usize, threat: &Threat) -> Vec<f64> {
    let mut values = vec![0.0; rows * columns];
    let decay = if let Threat::L1(_) = threat { 4 } else { 2 };
    let middle = [rows / 2, columns / 2];
    for ring in 0..=middle[0].max(middle[1]) {
        let range = |middle: usize, end: usize| {
            let low = middle as i64 - ring as i64;
            low.max(0) as usize..((low + 2 * ring as i64 + 1).max(0) as usize).min(end)
        };
        for row in range(middle[0], rows) {
            for column in range(middle[1], columns) {
                values[row * columns + column] += 1.0 / ((ring + 1) as f64).powi(decay);
            }
        }
    }
    let length = threat.length(values.iter().copied()).max(f64::MIN_POSITIVE);
    values.iter_mut().for_each(|value| *value /= length);
    values
}

/// By how much an answer is away from where it is to go: the label's logit less the largest other, or that less the target's.
fn margin(logits: &[f32], aim: super::Aim) -> f64 {
    let (one, sign) = match aim {
        super::Aim::Away(label) | super::Aim::FromTo(label, _) => (label, 1.0),
        super::Aim::Toward(target) => (target, -1.0),
    };
    let others = logits.iter().enumerate().filter(|(class, _)| *class != one);
    let largest = others.fold(f64::NEG_INFINITY, |largest, (_, &logit)| largest.max(f64::from(logit)));
    sign * (f64::from(logits[one]) - largest)
}

impl Attack for Square {
    fn info(&self) -> &'static AttackInfo {
        &INFO
    }

    fn threat(&self) -> Threat {
        self.threat
    }

    fn describe(&self) -> String {
        format!(
            "{} ball of {}, at most {} queries for logits, squares of {} of the image at first; rounded to 8 bits; grey images get \
             grey changes",
            self.threat.norm(),
            self.threat.radius(),
            self.queries,
            self.share
        )
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        let mut bench = Workbench::new(target, batch, self.threat, keys);
        let [_, _, height, width] = batch.images.dims();
        let shape = Shape { height, width };
        let start = |(place, &image): (usize, &u64)| {
            let mut rng = keyed_rng(keys.seed, "square attack", image, 0);
            let x = self.start(&bench.clean[place], shape, &mut rng);
            Searched { x, margin: f64::INFINITY, rng }
        };
        let mut searched: Vec<Searched> = keys.images.iter().enumerate().map(start).collect();
        let mut found: Vec<Option<Found>> = keys.images.iter().map(|_| None).collect();
        for query in 0..self.queries {
            let going: Vec<usize> = (0..searched.len()).filter(|&place| found[place].is_none()).collect();
            if going.is_empty() {
                break;
            }
            let share = self.share * shrinkage(query.saturating_sub(1), self.queries);
            let candidate = |&place: &usize| match query {
                0 => searched[place].x.clone(),
                _ => self.candidate(&mut searched[place], &bench.clean[place], shape, share),
            };
            let candidates: Vec<Vec<f32>> = going.iter().map(candidate).collect();
            let versions: Vec<&[f32]> = candidates.iter().map(Vec::as_slice).collect();
            let answers = bench.logits(&going, &versions);
            let fooling: Vec<usize> =
                (0..going.len()).filter(|&i| bench.fools(going[i], first_largest(&answers[i]))).collect();
            let places: Vec<usize> = fooling.iter().map(|&i| going[i]).collect();
            let versions: Vec<&[f32]> = fooling.iter().map(|&i| candidates[i].as_slice()).collect();
            for (&place, result) in places.iter().zip(bench.confirmed(&places, &versions, query + 1)) {
                found[place] = result;
            }
            for ((&place, x), logits) in going.iter().zip(candidates).zip(answers) {
                let margin = margin(&logits, bench.aim(place));
                if margin < searched[place].margin {
                    searched[place].x = x;
                    searched[place].margin = margin;
                }
            }
        }
        let last = |(place, found): (usize, Option<Found>)| {
            found.unwrap_or_else(|| Found::open(bench.rounded(place, &searched[place].x), self.queries))
        };
        let found = found.into_iter().enumerate().map(last).collect();
        bench.outcomes(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_shrink_as_in_the_schedule() {
        let shares: Vec<f64> = [0, 5, 6, 25, 26, 100, 101, 4999]
            .iter()
            .map(|&query| SHARE * shrinkage(query, QUERIES))
            .collect();
        assert_eq!(shares, [0.8, 0.8, 0.4, 0.4, 0.2, 0.2, 0.1, 0.8 / 512.0]);
    }

    /// Of 3 × 5: rings of weight 1, 1/4 and 1/9 around the middle.
    #[test]
    fn a_bump_is_two_pyramids_of_opposite_sign() {
        let pyramid = pyramid(3, 5, &Threat::L2(1.0));
        let scale = pyramid[7] / (1.0 + 0.25 + 1.0 / 9.0);
        assert!(
            (pyramid[0] - scale / 9.0).abs() < 1e-12
                && (pyramid[1] - scale * (0.25 + 1.0 / 9.0)).abs() < 1e-12
        );
        for side in [3, 5, 6] {
            for threat in [Threat::L2(0.5), Threat::L1(3.0)] {
                let bump = bump(side, &threat, &mut keyed_rng(1, "test", 0, 0));
                assert!((threat.length(bump.iter().copied()) - 1.0).abs() < 1e-12);
                assert!(bump.iter().any(|&value| value > 0.0) && bump.iter().any(|&value| value < 0.0));
            }
        }
    }
}
