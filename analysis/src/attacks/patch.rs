//! A square of the image that may become anything: one patch of a transformer's grid, and as much of a convolutional network's
//! image (Gu et al., 2022); and the same square made to draw attention (Lovisotto et al., 2022).

use archaeo_models::{AttentionSite, Classifier, Probe};
use archaeo_random::keyed_rng;
use burn::tensor::Tensor;
use rand::RngExt;

use super::target::gradient_through;
use super::threat::into_box;
use super::workbench::{Found, Slope, Workbench};
use super::{
    Attack, AttackInfo, Batch, Clean, Family, Goal, Loss, Norm, Outcome, Settings, Target, Threat,
    Unavailable,
};
use crate::attribution::Capability;
use crate::{Keys, Paper};

const STEPS: usize = 100;
const CHANNELS: usize = 3;
/// Length of the first step and of the last, in units of the range; those between fall along a cosine.
const LENGTHS: [f64; 2] = [32.0 / 255.0, 2.0 / 255.0];

/// Signed gradient steps on one square, from a random pattern.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patch {
    /// The most channel values that may change; the square is the largest that has no more.
    pub threat: Threat,
    /// Steps on each square.
    pub steps: usize,
    /// How many squares are tried, those first where a linear model would gain most.
    pub squares: usize,
    /// What it follows.
    pub loss: Loss,
    /// Whether it also follows the attention that its square draws.
    pub attention: bool,
}

static PLAIN: AttackInfo = AttackInfo {
    id: "patch",
    title: "Patch",
    summary: "one square of the image, such as a patch of a transformer's grid, may become anything",
    norms: &[Norm::L0],
    goal: Goal::Within,
    steps: Some(STEPS),
    losses: &[Loss::Margin, Loss::CrossEntropy, Loss::Dlr, Loss::ProbabilityMargin],
    restarts: true,
    targeted: true,
    paper: Some(Paper { citation: "Gu et al., 2022", url: "https://arxiv.org/abs/2111.10659" }),
};

static FOOLING: AttackInfo = AttackInfo {
    id: "attention-fool",
    title: "Attention-Fool",
    summary: "one patch of a transformer's grid is made to draw the attention of all others",
    paper: Some(Paper { citation: "Lovisotto et al., 2022", url: "https://arxiv.org/abs/2203.13639" }),
    ..PLAIN
};

/// The patch attack, for the list.
pub(super) const PATCH: Family = Family { info: &PLAIN, with: |settings| made(settings, false) };

/// The patch that draws attention, for the list.
pub(super) const ATTENTION_FOOL: Family = Family { info: &FOOLING, with: |settings| made(settings, true) };

fn made(settings: &Settings, attention: bool) -> Box<dyn Attack> {
    Box::new(Patch {
        threat: settings.threat(),
        steps: settings.steps.unwrap_or(STEPS),
        squares: settings.restarts,
        loss: settings.loss.unwrap_or(Loss::Margin),
        attention,
    })
}

/// A square of a grid of squares.
#[derive(Clone, Copy)]
struct Square {
    top: usize,
    left: usize,
    side: usize,
}

impl Square {
    fn places(self, [height, width]: [usize; 2]) -> impl Iterator<Item = usize> {
        (0..CHANNELS).flat_map(move |channel| {
            (self.top..self.top + self.side).flat_map(move |row| {
                (self.left..self.left + self.side)
                    .map(move |column| (channel * height + row) * width + column)
            })
        })
    }
}

/// One image under attack.
struct Walker {
    place: usize,
    squares: Vec<Square>,
    x: Vec<f32>,
    found: Option<Found>,
}

impl Patch {
    fn side(&self, [height, width]: [usize; 2]) -> usize {
        ((self.threat.size() / CHANNELS as f64).sqrt() as usize).min(height).min(width)
    }

    /// The squares of the grid, first those where the loss would rise most if it were linear.
    fn squares(&self, clean: &Clean, gradient: &[f32], shape: [usize; 2]) -> Vec<Square> {
        let (side, [height, width]) = (self.side(shape), shape);
        if side == 0 {
            return Vec::new();
        }
        let slopes = clean.allowed(gradient);
        let gain = |place: usize| {
            let (slope, x) = (slopes[place], f64::from(clean.values[place]));
            if slope > 0.0 { slope * (1.0 - x) } else { -slope * x }
        };
        let corners = (0..height / side).flat_map(|row| (0..width / side).map(move |column| (row, column)));
        let mut squares: Vec<(f64, Square)> = corners
            .map(|(row, column)| {
                let square = Square { top: row * side, left: column * side, side };
                (square.places(shape).map(gain).sum(), square)
            })
            .collect();
        // The first of equal ones, in the order of the grid.
        squares.sort_by(|a, b| b.0.total_cmp(&a.0));
        squares.into_iter().take(self.squares).map(|(_, square)| square).collect()
    }

    fn length(&self, step: usize) -> f64 {
        let along = step as f64 / self.steps.max(2).saturating_sub(1) as f64;
        let [first, last] = LENGTHS;
        last + (first - last) * (1.0 + (std::f64::consts::PI * along).cos()) / 2.0
    }

    /// The gradients of the loss, and of the attention drawn, each of the same length.
    fn slopes(
        &self,
        bench: &mut Workbench,
        target: &dyn Target,
        walkers: &[Walker],
        going: &[usize],
        round: usize,
    ) -> Vec<Slope> {
        let places: Vec<usize> = going.iter().map(|&i| walkers[i].place).collect();
        let versions: Vec<&[f32]> = going.iter().map(|&i| walkers[i].x.as_slice()).collect();
        let mut slopes = bench.slopes(&places, &versions, self.loss);
        if let Some(model) = target.classifier().filter(|_| self.attention) {
            let squares: Vec<Square> = going.iter().map(|&i| walkers[i].squares[round]).collect();
            let shape = bench.shape();
            let drawn =
                bench.gradients_by(&places, &versions, |images| drawn(model, images, &squares, shape));
            for (slope, drawn) in slopes.iter_mut().zip(drawn) {
                let [own, other] = [&slope.gradient, &drawn.gradient].map(|gradient| {
                    gradient.iter().map(|g| f64::from(g.abs())).sum::<f64>().max(f64::from(f32::MIN_POSITIVE))
                });
                for (g, d) in slope.gradient.iter_mut().zip(drawn.gradient) {
                    *g = (f64::from(*g) / own + f64::from(d) / other) as f32;
                }
            }
        }
        slopes
    }
}

/// Gradient of the logarithm of the mean attention that all tokens pay to each image's square, summed over layers: over the mean of
/// heads and queries, as a share that no layer loses (Lovisotto et al., 2022, equations 5 and 6, on weights after the softmax).
fn drawn(
    model: &Classifier,
    images: Tensor<4>,
    squares: &[Square],
    shape: [usize; 2],
) -> super::TargetGradient {
    let mut probe = Drawn { squares, shape, sum: None };
    let nothing = |_: usize, logits: &[f32]| vec![0.0; logits.len()];
    gradient_through(model, images, &mut probe, &nothing, |probe| probe.sum.take())
}

struct Drawn<'a> {
    squares: &'a [Square],
    shape: [usize; 2],
    sum: Option<Tensor<1>>,
}

impl Probe for Drawn<'_> {
    fn attention(&mut self, site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        let [rows, columns] = site.grid;
        let [height, width] = self.shape;
        let mean = weights.clone().mean_dim(1).mean_dim(2);
        let mut sum: Option<Tensor<1>> = self.sum.take();
        for (image, square) in self.squares.iter().enumerate() {
            let middle =
                |corner: usize, side: usize, all: usize, of: usize| (2 * corner + side) * of / (2 * all);
            let row = middle(square.top, square.side, height, rows);
            let column = middle(square.left, square.side, width, columns);
            let token = site.prefix.count() + row * columns + column;
            let share = mean.clone().slice([image..image + 1, 0..1, 0..1, token..token + 1]);
            let drawn = (share + 1e-12).log().reshape([1]);
            sum = Some(match sum {
                Some(sum) => sum + drawn,
                None => drawn,
            });
        }
        self.sum = sum;
        weights
    }
}

/// Whether all tokens of a model attend to all.
fn attends_globally(model: &Classifier) -> bool {
    model.has_attention() && Capability::OneStream.lacking(model).is_none()
}

impl Attack for Patch {
    fn info(&self) -> &'static AttackInfo {
        if self.attention { &FOOLING } else { &PLAIN }
    }

    fn threat(&self) -> Threat {
        self.threat
    }

    fn describe(&self) -> String {
        let squares = match self.squares {
            1 => "one square".to_owned(),
            count => format!("each of {count} squares"),
        };
        let also = if self.attention { " and of the attention that it draws" } else { "" };
        format!(
            "{squares} of at most {} channel values, {} signed gradient steps of the {}{also} from a random pattern; rounded to 8 bits; \
             grey images get grey changes",
            self.threat.size(),
            self.steps,
            self.loss.title()
        )
    }

    fn applies(&self, target: &dyn Target) -> Result<(), Unavailable> {
        match self.attention && !target.classifier().is_some_and(attends_globally) {
            true => Err(Unavailable::new(
                self.info(),
                "meaning for a model whose tokens do not attend to one another".into(),
            )),
            false => Ok(()),
        }
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        let mut bench = Workbench::new(target, batch, self.threat, keys);
        let shape = bench.shape();
        let places: Vec<usize> = (0..bench.clean.len()).collect();
        let clean: Vec<Vec<f32>> = bench.clean.iter().map(|clean| clean.values.clone()).collect();
        let versions: Vec<&[f32]> = clean.iter().map(Vec::as_slice).collect();
        let before = bench.slopes(&places, &versions, self.loss);
        let walker = |(slope, &place): (&Slope, &usize)| Walker {
            place,
            squares: self.squares(&bench.clean[place], &slope.gradient, shape),
            x: clean[place].clone(),
            found: None,
        };
        let mut walkers: Vec<Walker> = before.iter().zip(&places).map(walker).collect();
        for round in 0..self.squares {
            for walker in walkers.iter_mut().filter(|of| of.found.is_none() && round < of.squares.len()) {
                let rng = &mut keyed_rng(keys.seed, "patch start", keys.images[walker.place], round as u64);
                walker.x.clone_from(&clean[walker.place]);
                let plane = shape[0] * shape[1];
                for place in walker.squares[round].places(shape) {
                    let grey = bench.clean[walker.place].grey && place >= plane;
                    walker.x[place] = if grey { walker.x[place % plane] } else { rng.random() };
                }
            }
            for step in 0..=self.steps {
                let going: Vec<usize> = (0..walkers.len())
                    .filter(|&i| walkers[i].found.is_none() && round < walkers[i].squares.len())
                    .collect();
                if going.is_empty() {
                    break;
                }
                let slopes = self.slopes(&mut bench, target, &walkers, &going, round);
                settle(&mut bench, &mut walkers, &going, &slopes, round * self.steps + step);
                if step == self.steps {
                    break;
                }
                for (slope, &i) in slopes.iter().zip(&going) {
                    let walker = &mut walkers[i];
                    let slopes = bench.clean[walker.place].allowed(&slope.gradient);
                    for place in walker.squares[round].places(shape) {
                        let sign = f64::from(i8::from(slopes[place] > 0.0) - i8::from(slopes[place] < 0.0));
                        walker.x[place] = into_box(f64::from(walker.x[place]) + self.length(step) * sign);
                    }
                }
            }
        }
        let last = |walker: Walker| {
            walker.found.unwrap_or_else(|| Found::open(bench.rounded(walker.place, &walker.x), self.steps))
        };
        let found = walkers.into_iter().map(last).collect();
        bench.outcomes(found)
    }
}

/// Keeps what fools after rounding.
fn settle(bench: &mut Workbench, walkers: &mut [Walker], going: &[usize], slopes: &[Slope], step: usize) {
    let fooling = going.iter().zip(slopes);
    let fooling = fooling.filter(|(i, slope)| bench.fools(walkers[**i].place, slope.answer));
    let fooling: Vec<usize> = fooling.map(|(&i, _)| i).collect();
    let places: Vec<usize> = fooling.iter().map(|&i| walkers[i].place).collect();
    let versions: Vec<&[f32]> = fooling.iter().map(|&i| walkers[i].x.as_slice()).collect();
    for (i, found) in fooling.into_iter().zip(bench.confirmed(&places, &versions, step)) {
        walkers[i].found = found;
    }
}
