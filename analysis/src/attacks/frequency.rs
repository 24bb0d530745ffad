//! PGD with a perturbation of low or of high frequencies (Guo et al., 2019; Sharma et al., 2019).

use super::cosine::Cosine;
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

/// A band of images of one size.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    high: bool,
    /// The low frequencies along either side.
    down: Cosine,
    across: Cosine,
    height: usize,
    width: usize,
}

impl Filter {
    pub fn new(Band { high, cutoff }: Band, [height, width]: [usize; 2]) -> Self {
        let [down, across] =
            [height, width].map(|side| Cosine::first((cutoff * side as f64).ceil() as usize, side));
        Self { high, down, across, height, width }
    }

    /// Leaves of the change of an image only what is in the band, shortens it to the ball, and cuts to the box.
    pub fn limit(&self, x: &mut [f32], clean: &Clean, threat: &Threat) {
        let mut change: Vec<f64> =
            x.iter().zip(&clean.values).map(|(&x, &c)| f64::from(x) - f64::from(c)).collect();
        self.keep(&mut change);
        let length = threat.length(change.iter().copied());
        let shrink = if length > threat.size() { threat.size() / length } else { 1.0 };
        for ((x, &clean), change) in x.iter_mut().zip(&clean.values).zip(change) {
            *x = super::threat::into_box(f64::from(clean) + shrink * change);
        }
    }

    /// Leaves of an image's values, such as a gradient, only what is in the band.
    pub fn keep(&self, values: &mut [f64]) {
        for channel in values.chunks_exact_mut(self.height * self.width) {
            let low = self.low(channel);
            let places = channel.iter_mut().zip(low);
            places.for_each(|(value, low)| *value = if self.high { *value - low } else { low });
        }
    }

    /// The part of a channel below the cut-off: projected on the first waves along each side.
    fn low(&self, values: &[f64]) -> Vec<f64> {
        let Self { height, width, .. } = *self;
        // Along the rows, then along the columns, each there and back.
        let rows: Vec<f64> =
            values.chunks_exact(width).flat_map(|row| projected(row, &self.across)).collect();
        let mut low = vec![0.0; values.len()];
        for column in 0..width {
            let along: Vec<f64> = (0..height).map(|row| rows[row * width + column]).collect();
            for (row, value) in projected(&along, &self.down).into_iter().enumerate() {
                low[row * width + column] = value;
            }
        }
        low
    }
}

fn projected(values: &[f64], basis: &Cosine) -> Vec<f64> {
    let mut part = vec![0.0; values.len()];
    for wave in basis.waves() {
        let along: f64 = values.iter().zip(wave).map(|(a, b)| a * b).sum();
        part.iter_mut().zip(wave).for_each(|(part, f)| *part += along * f);
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
            let [down, across] = [(height, u), (width, v)]
                .map(|(size, frequency)| Cosine::first(size, size).waves().nth(frequency).unwrap().to_vec());
            (0..height * width).map(|i| down[i / width] * across[i % width]).collect()
        };
        for (u, v, low) in
            [(0, 0, true), (1, 2, true), (2, 0, false), (0, 3, false), (1, 2, true), (7, 11, false)]
        {
            let wave = wave(u, v);
            let filter = Filter::new(Band { high: false, cutoff: 0.25 }, [height, width]);
            let kept = filter.low(&wave);
            let expected: Vec<f64> = wave.iter().map(|w| if low { *w } else { 0.0 }).collect();
            assert!(kept.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{u} {v}");
        }
    }

    #[test]
    fn a_perturbation_has_only_frequencies_of_its_band() {
        let clean = Clean::new((0..3 * 64).map(|i| 0.4 + (i % 7) as f32 / 50.0).collect());
        for (high, norm) in [(false, Threat::Linf(0.05)), (true, Threat::L2(0.3))] {
            let band = Filter::new(Band { high, cutoff: 0.25 }, [8, 8]);
            let mut x: Vec<f32> = clean
                .values
                .iter()
                .enumerate()
                .map(|(i, x)| x + 0.1 * ((i * 37 % 11) as f32 / 5.0 - 1.0))
                .collect();
            band.limit(&mut x, &clean, &norm);
            let change: Vec<f64> =
                x.iter().zip(&clean.values).map(|(&x, &c)| f64::from(x) - f64::from(c)).collect();
            assert!(norm.length(change.iter().copied()) <= norm.size() + 1e-6);
            assert!(norm.length(change.iter().copied()) >= 0.1 * norm.size());
            for channel in change.chunks(64) {
                let low = band.low(channel);
                let outside: f64 =
                    channel.iter().zip(low).map(|(all, low)| if high { low } else { all - low }.abs()).sum();
                assert!(outside < 1e-5, "{outside}");
            }
        }
    }
}
