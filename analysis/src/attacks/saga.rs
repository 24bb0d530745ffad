//! The self-attention gradient attack, SAGA (Mahmood et al., 2021, section 6): one image for a transformer and a convolutional network.

use super::workbench::{Found, Workbench};
use super::{Batch, Loss, Outcome, Target, Threat};
use crate::attribution::{Attribution, Evidence, Rollout};
use crate::statistics::first_largest;
use crate::{AnalysisError, Keys};

/// Signed steps along a sum of two gradients: the network's, and the transformer's where its attention rolled out lies. It is on no list,
/// since it asks two models.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saga {
    /// How far it may go, in L∞.
    pub threat: Threat,
    /// Length of one step.
    pub step: f64,
    /// Number of steps.
    pub steps: usize,
    /// Weight of the transformer's gradient, in [0, 1]; the network's is the rest. Each gradient is divided by the sum of its absolute
    /// values first, so that one half is even.
    pub weight: f64,
}

impl Saga {
    /// Steps of a tenth of the size, 40 of them, with even weights.
    pub fn usual(threat: Threat) -> Self {
        Self { threat, step: threat.size() / 10.0, steps: 40, weight: 0.5 }
    }

    /// What each of two models answers to one image made for both, `[transformer's, network's]`: an image is done when both are fooled.
    /// The batches hold the same images, each with the labels of its model.
    ///
    /// # Errors
    /// A first model without attention.
    ///
    /// # Panics
    /// As [`Attack::run`](super::Attack::run).
    pub fn run(
        &self,
        [transformer, network]: [&dyn Target; 2],
        [of_transformer, of_network]: [&Batch; 2],
        keys: &Keys,
    ) -> Result<[Vec<Outcome>; 2], AnalysisError> {
        let model = transformer.classifier().filter(|model| model.has_attention());
        let refused = || AnalysisError::NoAttention { model: "the first target of SAGA".into() };
        let model = model.ok_or_else(refused)?;
        let mut benches = [(transformer, of_transformer), (network, of_network)]
            .map(|(target, batch)| Workbench::new(target, batch, self.threat, keys));
        let count = benches[0].clean.len();
        let clean: Vec<Vec<f32>> = benches[0].clean.iter().map(|clean| clean.values.clone()).collect();
        let mut current = clean;
        let mut found: Vec<Option<[Found; 2]>> = (0..count).map(|_| None).collect();
        for step in 0..=self.steps {
            let going: Vec<usize> = (0..count).filter(|&place| found[place].is_none()).collect();
            if going.is_empty() {
                break;
            }
            let rounded: Vec<Vec<f32>> =
                going.iter().map(|&place| benches[0].rounded(place, &current[place])).collect();
            let versions: Vec<&[f32]> = rounded.iter().map(Vec::as_slice).collect();
            let answers = benches.each_mut().map(|bench| bench.logits(&going, &versions));
            let last = step == self.steps;
            let mut open = Vec::new();
            for (i, (&place, values)) in going.iter().zip(rounded).enumerate() {
                let logits = answers.each_ref().map(|of| of[i].clone());
                let both = (0..2).all(|of| benches[of].fools(place, first_largest(&logits[of])));
                match both || last {
                    true => {
                        found[place] = Some(logits.map(|logits| Found {
                            logits: Some(logits),
                            ..Found::open(values.clone(), step)
                        }));
                    }
                    false => open.push(place),
                }
            }
            if last || open.is_empty() {
                continue;
            }
            let versions: Vec<&[f32]> = open.iter().map(|&place| current[place].as_slice()).collect();
            let [of_transformer, of_network] =
                benches.each_mut().map(|bench| bench.slopes(&open, &versions, Loss::Margin));
            let ids: Vec<u64> = open.iter().map(|&place| keys.images[place]).collect();
            let [height, width] = benches[0].shape();
            let evidence =
                Evidence::new(model, benches[0].tensor(&versions), Keys { seed: keys.seed, images: &ids });
            let maps = Rollout::default().explain(&evidence, &[])?;
            let both = of_transformer.into_iter().zip(of_network);
            for ((&place, map), (one, other)) in open.iter().zip(maps).zip(both) {
                let map = map.resized(height, width);
                let x = &mut current[place];
                // φ ⊙ ∂L/∂x with φ = rollout ⊙ x.
                let seen = one.gradient.iter().zip(map.values.iter().cycle()).zip(x.iter());
                let seen: Vec<f64> =
                    seen.map(|((&g, &map), &x)| f64::from(g) * f64::from(map) * f64::from(x)).collect();
                let plain: Vec<f64> = other.gradient.iter().map(|&g| f64::from(g)).collect();
                let [scale, other_scale] =
                    [(&seen, self.weight), (&plain, 1.0 - self.weight)].map(|(of, weight)| {
                        let length: f64 = of.iter().map(|g| g.abs()).sum();
                        if length > 0.0 { weight / length } else { 0.0 }
                    });
                let blended = seen.iter().zip(&plain).map(|(a, b)| (scale * a + other_scale * b) as f32);
                let blended: Vec<f32> = blended.collect();
                self.threat.ascend(x, &benches[0].clean[place], &blended, self.step);
            }
        }
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for found in found {
            let [one, other] = found.expect("after the last step every image has a result");
            first.push(one);
            second.push(other);
        }
        let [one, other] = benches;
        Ok([one.outcomes(first), other.outcomes(second)])
    }
}
