//! The smallest size at which a budget attack succeeds, by bisection (AttackBench; Cinà et al., 2025, section 3.2).

use std::collections::BTreeMap;

use archaeo_models::Classifier;
use burn::tensor::{Tensor, TensorData};

use super::smallest::{Nearest, Subject, smallest};
use super::workbench::Workbench;
use super::{
    Attack, AttackInfo, Batch, Family, Goal, Norm, Outcome, Settings, Target, TargetGradient, Threat, apgd,
};
use crate::{Keys, Paper};

/// Sizes that are tried for each image.
const SIZES: usize = 20;

/// A budget attack, of sizes that halve what is left between one that fails and one that succeeds.
struct Bisection {
    info: &'static AttackInfo,
    family: &'static Family,
    norm: Norm,
    steps: Option<usize>,
}

static APGD_T_FAMILY: Family = apgd::APGD_T;

static APGD_T_INFO: AttackInfo = AttackInfo {
    id: "apgd-t-bisection",
    title: "APGD-T by bisection",
    summary: "APGD-T of the smallest size that succeeds",
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    goal: Goal::Smallest,
    steps: Some(100),
    losses: &[],
    restarts: false,
    targeted: false,
    paper: Some(Paper { citation: "Cinà et al., 2025", url: "https://arxiv.org/abs/2404.19460" }),
};

/// APGD-T by bisection, for the list.
pub(super) const APGD_T: Family = Family {
    info: &APGD_T_INFO,
    with: |settings| {
        let (norm, steps) = (settings.norm, settings.steps.or(APGD_T_INFO.steps));
        Box::new(Bisection { info: &APGD_T_INFO, family: &APGD_T_FAMILY, norm, steps })
    },
};

/// The first size that is tried, in the norm's unit.
fn first_size(norm: Norm) -> f64 {
    match norm {
        Norm::Linf | Norm::L2 => 1.0,
        Norm::L1 => 10.0,
        Norm::L0 => 100.0,
    }
}

/// A target that takes real images, so that a perturbation counts before it is rounded to 8 bits.
struct Real<'a>(&'a dyn Target);

impl Target for Real<'_> {
    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn rounds(&self) -> bool {
        false
    }

    fn classifier(&self) -> Option<&Classifier> {
        self.0.classifier()
    }

    fn logits(&self, images: Tensor<4>) -> Vec<f32> {
        self.0.logits(images)
    }

    fn gradient(
        &self,
        images: Tensor<4>,
        slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> TargetGradient {
        self.0.gradient(images, slopes)
    }
}

/// The sizes of one image.
#[derive(Clone, Copy)]
struct Sizes {
    failed: f64,
    succeeded: Option<f64>,
}

impl Sizes {
    fn next(&self, norm: Norm) -> f64 {
        match self.succeeded {
            Some(succeeded) => (self.failed + succeeded) / 2.0,
            None if self.failed == 0.0 => first_size(norm),
            None => 2.0 * self.failed,
        }
    }
}

impl Bisection {
    fn of_size(&self, size: f64) -> Box<dyn Attack> {
        (self.family.with)(&Settings { steps: self.steps, ..Settings::new(self.norm, size) })
    }

    /// Tries all sizes of the images at `open`. Images of the same size are attacked together, in an order that no result depends on.
    fn search(
        &self,
        (target, batch, keys): (&dyn Target, &Batch, &Keys),
        (bench, subjects, open): (&mut Workbench, &[Subject], &[usize]),
        nearest: &mut [Option<Nearest>],
    ) {
        let [_, channels, height, width] = batch.images.dims();
        let mut sizes = vec![Sizes { failed: 0.0, succeeded: None }; subjects.len()];
        for tried in 1..=SIZES {
            let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
            for &place in open {
                let size = sizes[place].next(self.norm);
                let everywhere = self.norm.threat(size / 2.0).size() > subjects[place].farthest();
                if sizes[place].succeeded.is_some() || !everywhere {
                    groups.entry(size.to_bits()).or_default().push(place);
                }
            }
            for (size, places) in groups {
                let size = f64::from_bits(size);
                let values: Vec<f32> =
                    places.iter().flat_map(|&place| subjects[place].clean.values.iter().copied()).collect();
                let data = TensorData::new(values, [places.len(), channels, height, width]);
                let images = Tensor::from_data(data, &batch.images.device());
                let labels: Vec<usize> = places.iter().map(|&place| batch.labels[place]).collect();
                let ids: Vec<u64> = places.iter().map(|&place| keys.images[place]).collect();
                let of = Keys { seed: keys.seed, images: &ids };
                let outcomes = self.of_size(size).run(&Real(target), &Batch::new(images, &labels), &of);
                for (&place, outcome) in places.iter().zip(outcomes) {
                    bench.asked_elsewhere(place, outcome.queries, outcome.zero_gradient);
                    if !subjects[place].fools(&outcome.logits) {
                        sizes[place].failed = size;
                        continue;
                    }
                    sizes[place].succeeded = Some(size);
                    let distance = subjects[place].distance(&outcome.image);
                    Nearest::keep(&mut nearest[place], &outcome.image, distance, tried);
                }
            }
        }
    }
}

impl Attack for Bisection {
    fn info(&self) -> &'static AttackInfo {
        self.info
    }

    fn threat(&self) -> Threat {
        self.norm.unlimited()
    }

    fn describe(&self) -> String {
        format!(
            "smallest perturbation in {}, {SIZES} sizes by bisection of {} with {} steps; refined along the boundary; the image is \
             its smallest enlargement that fools after rounding to 8 bits; grey images get grey changes",
            self.norm,
            self.family.info.title,
            self.steps.unwrap_or(1)
        )
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        smallest(target, batch, self.norm, keys, &mut |bench, subjects, open, nearest| {
            self.search((target, batch, keys), (bench, subjects, open), nearest);
        })
    }
}
