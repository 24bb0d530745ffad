//! Primal-dual proximal gradient descent (Matyasko and Chau, 2021) in L∞, L2, L1, and L0.

use super::proximal::proximal;
use super::smallest::{Adam, Answer, Kind, MinimumNorm, Search, Subject};
use super::{AttackInfo, Family, Goal, Norm};
use crate::Paper;

/// Primal step size: the first, and the last in it; it falls exponentially.
const PRIMAL_RATE: f64 = 0.1;
const PRIMAL_FALL: f64 = 0.01;

/// Dual step size: the first, and the last in it; it falls linearly.
const DUAL_RATE: f64 = 0.1;
const DUAL_FALL: f64 = 0.1;

/// The first weight of the norm over the weight of the margin, and the smallest either may have in the other.
const FIRST_RATIO: f64 = 0.01;
const LEAST_RATIO: f64 = 1e-6;

/// How much of the weights' moving average is kept.
const KEPT: f64 = 0.9;

/// Most iterations of the proximal step in Adam's metric, and the relative change that ends them.
const PROXIMAL_STEPS: usize = 5;
const CONVERGED: f64 = 1e-2;

static INFO: AttackInfo = AttackInfo {
    id: "pdpgd",
    title: "PDPGD",
    summary: "primal-dual descent with proximal steps on the norm",
    norms: &[Norm::L1, Norm::Linf, Norm::L2, Norm::L0],
    goal: Goal::Smallest,
    steps: Some(500),
    losses: &[],
    restarts: false,
    targeted: true,
    paper: Some(Paper { citation: "Matyasko and Chau, 2021", url: "https://arxiv.org/abs/2106.01538" }),
};

static KIND: Kind = Kind {
    info: &INFO,
    words: "primal-dual steps, proximal on the norm",
    begin: |subject, steps| Box::new(PdpgdSearch::begin(subject, steps)),
};

/// PDPGD, for the list.
pub(super) const PDPGD: Family =
    Family { info: &INFO, with: |settings| Box::new(MinimumNorm::new(&KIND, settings)) };

/// A game: the perturbation descends λ₀‖δ‖ + λ₁·softplus(max(margin, 0)), by Adam on the margin and a proximal step on the norm
/// (proximal Adam; Melchior et al., 2019), while λ₁ rises where δ does not fool, and falls where it does.
pub(super) struct PdpgdSearch<'s> {
    subject: Subject<'s>,
    adam: Adam,
    /// ln(λ₁/λ₀) before averaging.
    dual: f64,
    /// Averaged λ₀ and λ₁.
    weights: [f64; 2],
    step: usize,
    steps: usize,
    change: Vec<f64>,
    place: Vec<f32>,
}

/// λ₀ and λ₁ that add up to 1.
fn weights(dual: f64) -> [f64; 2] {
    let first = 1.0 / (1.0 + dual.exp());
    [first, 1.0 - first]
}

impl<'s> PdpgdSearch<'s> {
    pub fn begin(subject: Subject<'s>, steps: usize) -> Self {
        let place = subject.clean.values.clone();
        let dual = -FIRST_RATIO.ln();
        Self {
            subject,
            adam: Adam::new(place.len()),
            dual,
            weights: weights(dual),
            step: 0,
            steps,
            change: vec![0.0; place.len()],
            place,
        }
    }

    /// The change nearest to `change` in the metric of Adam's `roots` that also is short.
    fn shortened(&self, change: &[f64], roots: &[f64], rate: f64) -> Vec<f64> {
        let largest = roots.iter().fold(0f64, |largest, root| largest.max(*root));
        let lambda = self.weights[0] / self.weights[1] * rate / largest;
        let length = |of: &[f64]| of.iter().map(|x| x * x).sum::<f64>().sqrt();
        let mut current = change.to_vec();
        for _ in 0..PROXIMAL_STEPS {
            let pulled = current.iter().zip(change).zip(roots);
            let mut next: Vec<f64> = pulled
                .map(|((current, change), root)| current + root / largest * (change - current))
                .collect();
            proximal(self.subject.threat.norm(), &mut next, lambda);
            self.subject.cut(&mut next);
            let moved: Vec<f64> = next.iter().zip(&current).map(|(a, b)| a - b).collect();
            let converged = length(&moved) <= CONVERGED * length(&next);
            current = next;
            if converged {
                break;
            }
        }
        current
    }
}

impl Search for PdpgdSearch<'_> {
    fn place(&self) -> &[f32] {
        &self.place
    }

    fn slopes(&self, _: usize, logits: &[f32]) -> Vec<f32> {
        self.subject.slopes(logits)
    }

    fn hear(&mut self, answer: &Answer) -> bool {
        let margin = self.subject.margin(&answer.logits);
        // The derivative of softplus(max(margin, 0)).
        let weight = if margin > 0.0 { 1.0 / (1.0 + (-margin).exp()) } else { 0.0 };
        let slope = |slope: &f64| if weight > 0.0 { weight * slope } else { 0.0 };
        let slopes: Vec<f64> = answer.gradients[0].iter().map(slope).collect();
        let share = self.step as f64 / self.steps as f64;
        let rate = PRIMAL_RATE * PRIMAL_FALL.powf(share);
        let mut roots = Vec::with_capacity(slopes.len());
        for (change, (mean, root)) in self.change.iter_mut().zip(self.adam.moments(&slopes)) {
            *change -= rate * mean / root;
            roots.push(root);
        }
        self.subject.cut(&mut self.change);
        self.change = self.shortened(&self.change, &roots, rate);
        let fall = self.step as f64 / (self.steps - 1).max(1) as f64;
        let dual_rate = DUAL_RATE * (1.0 - fall * (1.0 - DUAL_FALL));
        let bound = -LEAST_RATIO.ln();
        let sign = f64::from(i8::from(margin > 0.0) - i8::from(margin < 0.0));
        self.dual = (self.dual + dual_rate * sign).clamp(-bound, bound);
        for (kept, new) in self.weights.iter_mut().zip(weights(self.dual)) {
            *kept = KEPT * *kept + (1.0 - KEPT) * new;
        }
        self.place = self.subject.place(&self.change);
        self.step += 1;
        self.step < self.steps
    }
}
