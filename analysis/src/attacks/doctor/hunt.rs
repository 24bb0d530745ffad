//! A search that sees answers and no gradients.

use archaeo_random::{Draw, keyed_rng};
use rand_chacha::ChaCha8Rng;

use crate::attacks::workbench::{Found, Workbench};
use crate::attacks::{Attack, AttackInfo, Batch, Clean, Norm, Outcome, Target, Threat};
use crate::{Keys, Paper};

/// Random squares of extreme changes, each kept if it lowers the margin: Square (Andriushchenko et al., 2020, algorithms 1 and 2) with the
/// side of the squares falling evenly. Weaker than the original, which is no matter here: it need only find what a gradient should have
/// found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hunt {
    pub threat: Threat,
    /// Questions about each image.
    pub queries: usize,
}

static INFO: AttackInfo = AttackInfo {
    id: "hunt",
    title: "random search",
    summary: "random squares, kept where they lower the margin",
    norm: Norm::Linf,
    iterated: true,
    paper: Some(Paper { citation: "Andriushchenko et al., 2020", url: "https://arxiv.org/abs/1912.00049" }),
};

const CHANNELS: usize = 3;

/// Share of the image that the first square covers.
const LARGEST: f64 = 0.3;

/// Where the search for one image stands.
struct Stand {
    values: Vec<f32>,
    margin: f32,
    logits: Vec<f32>,
    step: usize,
}

impl Attack for Hunt {
    fn info(&self) -> &'static AttackInfo {
        &INFO
    }

    fn threat(&self) -> Threat {
        self.threat
    }

    fn describe(&self) -> String {
        format!("L∞ ball of {}, {} random squares; rounded to 8 bits", self.threat.radius(), self.queries)
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        let mut bench = Workbench::new(target, batch, self.threat, keys);
        let [.., height, width] = batch.images.dims();
        let clean = bench.clean.clone();
        let places: Vec<usize> = (0..clean.len()).collect();
        let slices: Vec<&[f32]> = clean.iter().map(|clean| clean.values.as_slice()).collect();
        let logits = bench.logits(&places, &slices);
        let stand = |(place, logits): (usize, Vec<f32>)| {
            let (values, margin) = (clean[place].values.clone(), margin(&logits, batch.labels[place]));
            Stand { values, margin, logits, step: 0 }
        };
        let mut stands: Vec<Stand> = logits.into_iter().enumerate().map(stand).collect();
        for query in 0..self.queries {
            let stands_still = |&place: &usize| stands[place].margin >= 0.0;
            let going: Vec<usize> = places.iter().copied().filter(stands_still).collect();
            if going.is_empty() {
                break;
            }
            let tried = going.iter().map(|&place| {
                let mut rng = keyed_rng(keys.seed, "hunt", keys.images[place], query as u64);
                let moved =
                    self.moved(query, &stands[place].values, &clean[place], [height, width], &mut rng);
                bench.rounded(place, &moved)
            });
            let tried: Vec<Vec<f32>> = tried.collect();
            let slices: Vec<&[f32]> = tried.iter().map(Vec::as_slice).collect();
            let answers = bench.logits(&going, &slices);
            for ((place, values), logits) in going.into_iter().zip(tried).zip(answers) {
                let margin = margin(&logits, batch.labels[place]);
                if margin < stands[place].margin {
                    stands[place] = Stand { values, margin, logits, step: query + 1 };
                }
            }
        }
        let found = stands
            .into_iter()
            .map(|Stand { values, logits, step, .. }| Found { values, logits: Some(logits), step });
        bench.outcomes(found.collect())
    }
}

impl Hunt {
    /// An image with another random change: at first in columns of pixels, then in a square.
    fn moved(
        &self,
        query: usize,
        values: &[f32],
        clean: &Clean,
        [height, width]: [usize; 2],
        rng: &mut ChaCha8Rng,
    ) -> Vec<f32> {
        let mut moved = values.to_vec();
        let mut set = |[top, bottom]: [usize; 2], [left, right]: [usize; 2], signs: [f64; CHANNELS]| {
            for (channel, sign) in signs.into_iter().enumerate() {
                for row in top..bottom {
                    for column in left..right {
                        let at = (channel * height + row) * width + column;
                        let value = f64::from(clean.values[at]) + sign * self.threat.size();
                        moved[at] = value.clamp(0.0, 1.0) as f32;
                    }
                }
            }
        };
        if query == 0 {
            (0..width).for_each(|column| set([0, height], [column, column + 1], signs(clean.grey, rng)));
            return moved;
        }
        let left_over = 1.0 - query as f64 / self.queries as f64;
        let side = ((LARGEST * left_over * (height * width) as f64).sqrt().round() as usize).max(1);
        let [rows, columns] = [height, width].map(|size| {
            let side = side.min(size);
            let first = rng.below(size - side + 1);
            [first, first + side]
        });
        set(rows, columns, signs(clean.grey, rng));
        moved
    }
}

/// Up or down for each channel, together for a grey image.
fn signs(grey: bool, rng: &mut ChaCha8Rng) -> [f64; CHANNELS] {
    let mut sign = || if rng.below(2) == 0 { 1.0 } else { -1.0 };
    if grey { [sign(); CHANNELS] } else { [(); CHANNELS].map(|()| sign()) }
}

/// The label's logit less the largest other: not negative while the answer is the label.
fn margin(logits: &[f32], label: usize) -> f32 {
    let others = logits.iter().enumerate().filter(|(class, _)| *class != label);
    logits[label] - others.map(|(_, &logit)| logit).fold(f32::NEG_INFINITY, f32::max)
}
