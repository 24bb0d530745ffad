//! Pay No Attention with PatchOut (Wei et al., 2022): images made on a transformer that are to fool other models.

use archaeo_models::{AttentionSite, Classifier, Probe};
use archaeo_random::keyed_rng;
use burn::tensor::Tensor;
use rand::seq::index::sample;

use super::target::gradient_through;
use super::threat::euclidean_length;
use super::workbench::{Found, Workbench};
use super::{Attack, AttackInfo, Batch, Family, Goal, Norm, Outcome, Target, Threat, Unavailable};
use crate::statistics::first_largest;
use crate::{Keys, Paper};

const STEPS: usize = 10;
/// Share of the patches whose change counts in a step: 130 of 196 in the paper.
const PATCHES: f64 = 130.0 / 196.0;
/// Weight of the change's Euclidean length next to cross-entropy (λ).
const LENGTH: f64 = 0.1;

/// Steps with momentum, with a gradient that does not pass through attention weights and with some of the patches each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pna {
    /// How far it may go.
    pub threat: Threat,
    /// Number of steps, each of the size's share; none ends early.
    pub steps: usize,
}

static INFO: AttackInfo = AttackInfo {
    id: "pna-patchout",
    title: "PNA-PatchOut",
    summary: "a transformer's gradient past its attention weights, of some patches in each step, to fool other models",
    norms: &[Norm::Linf],
    goal: Goal::Within,
    steps: Some(STEPS),
    losses: &[],
    restarts: false,
    targeted: true,
    paper: Some(Paper { citation: "Wei et al., 2022", url: "https://arxiv.org/abs/2109.04176" }),
};

/// PNA with PatchOut, for the list.
pub(super) const PNA: Family = Family {
    info: &INFO,
    with: |settings| Box::new(Pna { threat: settings.threat(), steps: settings.steps.unwrap_or(STEPS) }),
};

/// Lets no gradient through attention weights.
#[derive(Default)]
struct PayNoAttention {
    grid: Option<[usize; 2]>,
}

impl Probe for PayNoAttention {
    fn attention(&mut self, site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        self.grid.get_or_insert(site.grid);
        weights.detach()
    }
}

/// For each value of an image whether it lies in one of the patches drawn.
fn drawn(grid: [usize; 2], [height, width]: [usize; 2], keys: &Keys, place: usize, step: usize) -> Vec<bool> {
    let patches = grid[0] * grid[1];
    let count = (PATCHES * patches as f64).round() as usize;
    let mut chosen = vec![false; patches];
    let rng = &mut keyed_rng(keys.seed, "patch out", keys.images[place], step as u64);
    sample(rng, patches, count).into_iter().for_each(|patch| chosen[patch] = true);
    let of_pixel = |i: usize| (i / width * grid[0] / height) * grid[1] + i % width * grid[1] / width;
    let plane: Vec<bool> = (0..height * width).map(|i| chosen[of_pixel(i)]).collect();
    plane.repeat(3)
}

/// −∂ ln p_y of an answer, or ∂ ln p_t toward a target, with respect to the logits.
fn cross_entropy(logits: &[f32], aim: super::Aim) -> Vec<f32> {
    let (class, sign) = match aim {
        super::Aim::Toward(target) => (target, -1.0),
        super::Aim::Away(label) | super::Aim::FromTo(label, _) => (label, 1.0),
    };
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|z| f64::from(z - largest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let others: f64 = weights.iter().enumerate().filter(|(k, _)| *k != class).map(|(_, w)| w).sum();
    // 1 − p_y as the sum of the others, which does not cancel.
    let slope = |(k, weight): (usize, &f64)| if k == class { -others / sum } else { weight / sum };
    weights.iter().enumerate().map(|of| (sign * slope(of)) as f32).collect()
}

impl Attack for Pna {
    fn info(&self) -> &'static AttackInfo {
        &INFO
    }

    fn threat(&self) -> Threat {
        self.threat
    }

    fn describe(&self) -> String {
        format!(
            "L∞ ball of {}, {} signed steps of the cross-entropy with momentum 1, no gradient through attention weights, {:.0} % of the \
             patches in each; rounded to 8 bits; grey images get grey changes",
            self.threat.radius(),
            self.steps,
            100.0 * PATCHES
        )
    }

    fn applies(&self, target: &dyn Target) -> Result<(), Unavailable> {
        match target.classifier().is_some_and(Classifier::has_attention) {
            true => Ok(()),
            false => Err(Unavailable::new(&INFO, "meaning for a model without attention".into())),
        }
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        let mut bench = Workbench::new(target, batch, self.threat, keys);
        let model = target.classifier().expect("the attack is for a model with attention");
        let places: Vec<usize> = (0..bench.clean.len()).collect();
        let aims: Vec<_> = places.iter().map(|&place| bench.aim(place)).collect();
        let clean: Vec<Vec<f32>> = bench.clean.iter().map(|clean| clean.values.clone()).collect();
        let mut current = clean.clone();
        let mut momentum: Vec<Vec<f32>> = clean.iter().map(|image| vec![0.0; image.len()]).collect();
        let mut found: Vec<Option<Found>> = places.iter().map(|_| None).collect();
        let mut probe = PayNoAttention::default();
        for step in 1..=self.steps {
            if places.is_empty() {
                break;
            }
            // Before the first pass there is no change, and no patch of it to leave out.
            let masks: Vec<Vec<bool>> = match probe.grid {
                Some(grid) => {
                    places.iter().map(|&place| drawn(grid, bench.shape(), keys, place, step)).collect()
                }
                None => clean.iter().map(|image| vec![true; image.len()]).collect(),
            };
            let masked = current.iter().zip(&clean).zip(&masks).map(|((x, clean), mask)| {
                let both = x.iter().zip(clean).zip(mask);
                both.map(|((&x, &clean), &kept)| if kept { x } else { clean }).collect::<Vec<f32>>()
            });
            let masked: Vec<Vec<f32>> = masked.collect();
            let versions: Vec<&[f32]> = masked.iter().map(Vec::as_slice).collect();
            let factors = |image: usize, logits: &[f32]| cross_entropy(logits, aims[image]);
            let slopes = bench.gradients_by(&places, &versions, |images| {
                gradient_through(model, images, &mut probe, &factors, |_| None)
            });
            for (place, slope) in slopes.iter().enumerate() {
                let change: Vec<f64> = current[place]
                    .iter()
                    .zip(&clean[place])
                    .map(|(&x, &c)| f64::from(x) - f64::from(c))
                    .collect();
                let length = euclidean_length(change.iter().copied()).max(f64::MIN_POSITIVE);
                let pull =
                    change.iter().map(|change| if length > 1e-12 { LENGTH * change / length } else { 0.0 });
                let gradient = slope.gradient.iter().zip(&masks[place]).zip(pull);
                let gradient: Vec<f32> = gradient
                    .map(|((&g, &kept), pull)| (if kept { f64::from(g) } else { 0.0 } + pull) as f32)
                    .collect();
                super::walk::accumulate(&mut momentum[place], &gradient, 1.0);
                let size = self.threat.size() / self.steps as f64;
                self.threat.ascend(&mut current[place], &bench.clean[place], &momentum[place], size);
            }
            let rounded: Vec<Vec<f32>> =
                places.iter().map(|&place| bench.rounded(place, &current[place])).collect();
            let versions: Vec<&[f32]> = rounded.iter().map(Vec::as_slice).collect();
            let answers = bench.logits(&places, &versions);
            for ((place, values), logits) in rounded.into_iter().enumerate().zip(answers) {
                // The last that fools is the one that other models are most likely to be fooled by.
                let fools = bench.fools(place, first_largest(&logits));
                let kept = found[place].as_ref().and_then(|found| found.logits.as_ref());
                let better = kept.is_none_or(|kept| fools || !bench.fools(place, first_largest(kept)));
                if better {
                    found[place] = Some(Found { logits: Some(logits), ..Found::open(values, step) });
                }
            }
        }
        let found = found.into_iter().map(|found| found.expect("there is one step at least")).collect();
        bench.outcomes(found)
    }
}
