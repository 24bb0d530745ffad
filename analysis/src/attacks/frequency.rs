//! PGD with a perturbation of low or of high frequencies (Guo et al., 2019; Sharma et al., 2019).

use super::pgd::describe;
use super::walk::Walk;
use super::{Attack, AttackInfo, Batch, Clean, Family, Goal, Loss, Norm, Outcome, Settings, Target, Threat};
use crate::{Keys, Paper};

const STEPS: usize = 20;
/// Share of the frequencies along each side below which a band is low.
const CUTOFF: f64 = 0.25;

/// Frequencies of the discrete cosine transform (DCT-II) of each channel: those of less than a share of the highest along both
/// sides, or all others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// Whether the low ones are left out, instead of the others.
    pub high: bool,
    /// The share, in (0, 1].
    pub cutoff: f64,
}

/// PGD whose perturbation has only frequencies of a band, up to what ball and box cut off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandPgd {
    /// How far it may go.
    pub threat: Threat,
    /// Number of steps.
    pub steps: usize,
    /// What it follows.
    pub loss: Loss,
    /// The frequencies it may use.
    pub band: Band,
}

static LOW: AttackInfo = AttackInfo {
    id: "pgd-low",
    title: "PGD-low",
    summary: "PGD with a perturbation of low frequencies",
    norms: &[Norm::Linf, Norm::L2],
    goal: Goal::Within,
    steps: Some(STEPS),
    losses: &[Loss::Margin, Loss::CrossEntropy, Loss::Dlr, Loss::ProbabilityMargin],
    restarts: false,
    targeted: true,
    paper: Some(Paper { citation: "Guo et al., 2019", url: "https://arxiv.org/abs/1809.08758" }),
};

static HIGH: AttackInfo = AttackInfo {
    id: "pgd-high",
    title: "PGD-high",
    summary: "PGD with a perturbation of high frequencies",
    paper: Some(Paper { citation: "Sharma et al., 2019", url: "https://arxiv.org/abs/1903.00073" }),
    ..LOW
};

/// PGD of low frequencies, for the list.
pub(super) const PGD_LOW: Family = Family { info: &LOW, with: |settings| made(settings, false) };

/// PGD of high frequencies, for the list.
pub(super) const PGD_HIGH: Family = Family { info: &HIGH, with: |settings| made(settings, true) };

fn made(settings: &Settings, high: bool) -> Box<dyn Attack> {
    Box::new(BandPgd {
        threat: settings.threat(),
        steps: settings.steps.unwrap_or(STEPS),
        loss: settings.loss.unwrap_or(Loss::Margin),
        band: Band { high, cutoff: settings.cutoff.unwrap_or(CUTOFF) },
    })
}

/// Whether an attack has a band to choose.
pub(super) fn has_cutoff(info: &AttackInfo) -> bool {
    [LOW.id, HIGH.id].contains(&info.id)
}

impl BandPgd {
    fn step(&self) -> f64 {
        2.5 * self.threat.size() / self.steps as f64
    }
}

impl Attack for BandPgd {
    fn info(&self) -> &'static AttackInfo {
        if self.band.high { &HIGH } else { &LOW }
    }

    fn threat(&self) -> Threat {
        self.threat
    }

    fn describe(&self) -> String {
        let side = if self.band.high { "from" } else { "below" };
        let start =
            format!("the clean image as start, frequencies {side} {} of the highest", self.band.cutoff);
        describe(&self.threat, self.step(), self.steps, self.loss, &start)
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        let Self { threat, steps, loss, band } = *self;
        let walk = Walk {
            threat,
            step: self.step(),
            steps,
            random_start: false,
            restarts: 1,
            loss,
            decay: 0.0,
            band: Some(band),
        };
        walk.run(target, batch, keys)
    }
}

impl Band {
    /// Leaves of the change of an image only what is in the band, shortens it to the ball, and cuts to the box.
    pub(super) fn limit(self, x: &mut [f32], clean: &Clean, threat: &Threat, [height, width]: [usize; 2]) {
        let mut change: Vec<f64> =
            x.iter().zip(&clean.values).map(|(&x, &c)| f64::from(x) - f64::from(c)).collect();
        self.keep(&mut change, [height, width]);
        let length = threat.length(change.iter().copied());
        let shrink = if length > threat.size() { threat.size() / length } else { 1.0 };
        for ((x, &clean), change) in x.iter_mut().zip(&clean.values).zip(change) {
            *x = super::threat::into_box(f64::from(clean) + shrink * change);
        }
    }

    /// Leaves of an image's values, such as a gradient, only what is in the band.
    pub(super) fn keep(self, values: &mut [f64], [height, width]: [usize; 2]) {
        for channel in values.chunks_exact_mut(height * width) {
            let low = self.low(channel, height, width);
            let places = channel.iter_mut().zip(low);
            places.for_each(|(value, low)| *value = if self.high { *value - low } else { low });
        }
    }

    /// The part of a channel below the cut-off: projected on the first basis functions along each side.
    fn low(self, values: &[f64], height: usize, width: usize) -> Vec<f64> {
        let [down, across] =
            [height, width].map(|side| basis(side, (self.cutoff * side as f64).ceil() as usize));
        // Along the rows, then along the columns, each there and back.
        let rows: Vec<f64> = values.chunks_exact(width).flat_map(|row| projected(row, &across)).collect();
        let mut low = vec![0.0; values.len()];
        for column in 0..width {
            let along: Vec<f64> = (0..height).map(|row| rows[row * width + column]).collect();
            for (row, value) in projected(&along, &down).into_iter().enumerate() {
                low[row * width + column] = value;
            }
        }
        low
    }
}

/// The first functions of the orthonormal DCT-II: √(2/n) cos(π (i + ½) k / n), the first one √(1/n).
fn basis(side: usize, count: usize) -> Vec<Vec<f64>> {
    let n = side as f64;
    let function = |k: usize| {
        let scale = if k == 0 { (1.0 / n).sqrt() } else { (2.0 / n).sqrt() };
        (0..side).map(|i| scale * (std::f64::consts::PI * (i as f64 + 0.5) * k as f64 / n).cos()).collect()
    };
    (0..count.min(side)).map(function).collect()
}

fn projected(values: &[f64], basis: &[Vec<f64>]) -> Vec<f64> {
    let mut part = vec![0.0; values.len()];
    for function in basis {
        let along: f64 = values.iter().zip(function).map(|(a, b)| a * b).sum();
        part.iter_mut().zip(function).for_each(|(part, f)| *part += along * f);
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wave of one frequency is wholly in the band or wholly outside of it.
    #[test]
    fn a_band_keeps_its_own_frequencies_and_no_other() {
        let (height, width) = (8, 12);
        let wave = |u: usize, v: usize| -> Vec<f64> {
            let (down, across) = (basis(height, height), basis(width, width));
            (0..height * width).map(|i| down[u][i / width] * across[v][i % width]).collect()
        };
        for (u, v, low) in
            [(0, 0, true), (1, 2, true), (2, 0, false), (0, 3, false), (1, 2, true), (7, 11, false)]
        {
            let wave = wave(u, v);
            let band = Band { high: false, cutoff: 0.25 };
            let kept = band.low(&wave, height, width);
            let expected: Vec<f64> = wave.iter().map(|w| if low { *w } else { 0.0 }).collect();
            assert!(kept.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{u} {v}");
        }
    }

    #[test]
    fn a_perturbation_has_only_frequencies_of_its_band() {
        let clean = Clean::new((0..3 * 64).map(|i| 0.4 + (i % 7) as f32 / 50.0).collect());
        for (high, norm) in [(false, Threat::Linf(0.05)), (true, Threat::L2(0.3))] {
            let band = Band { high, cutoff: 0.25 };
            let mut x: Vec<f32> = clean
                .values
                .iter()
                .enumerate()
                .map(|(i, x)| x + 0.1 * ((i * 37 % 11) as f32 / 5.0 - 1.0))
                .collect();
            band.limit(&mut x, &clean, &norm, [8, 8]);
            let change: Vec<f64> =
                x.iter().zip(&clean.values).map(|(&x, &c)| f64::from(x) - f64::from(c)).collect();
            assert!(norm.length(change.iter().copied()) <= norm.size() + 1e-6);
            assert!(norm.length(change.iter().copied()) >= 0.1 * norm.size());
            for channel in change.chunks(64) {
                let low = band.low(channel, 8, 8);
                let outside: f64 =
                    channel.iter().zip(low).map(|(all, low)| if high { low } else { all - low }.abs()).sum();
                assert!(outside < 1e-5, "{outside}");
            }
        }
    }
}
