//! The smallest perturbation that fools: what attacks of minimum norm share.
//!
//! An attack of this kind is a [`Search`] of one image: it says where the target is asked next, and hears the answer. All else is
//! here. Every answer counts: of all places met at which the answer is where it is to go, the nearest to the clean image is
//! kept, whatever the search makes of it. Images whose search is over leave the batch. A search knows nothing of other images.
//!
//! Three things follow a search, each image on its own:
//!
//! 1. **Refinement** (`refine.rs`): along the line to the clean image to the boundary, and along the boundary to where the norm is
//!    smallest. Searches that walk around the boundary end near it, and this removes what they leave. All attacks are treated
//!    alike, and the queries it takes are counted.
//! 2. **Rounding** (`rounding.rs`): the perturbation is a real number, an image is not. [`Outcome::distance`] is the length of the
//!    smallest perturbation in real numbers; [`Outcome::image`] is its smallest enlargement that fools after rounding to 8 bits.
//!    Where no enlargement does, the outcome is no success, and the distance still stands.
//! 3. An image that the target gets wrong before the attack has the distance 0, and is returned unchanged.

mod half_space;
mod refine;
mod rounding;
mod schedule;
mod subject;
#[cfg(test)]
mod tests;

use half_space::to_half_space;
pub(crate) use schedule::Adam;
pub(super) use schedule::cosine;
pub(super) use subject::Subject;

use refine::Refinement;
use rounding::Rounding;

use super::workbench::{Found, Workbench};
use super::{Attack, AttackInfo, Batch, Norm, Outcome, Settings, Target, Threat};
use crate::Keys;

/// The search of one image.
pub(super) trait Search: Sync {
    /// Where the target is asked next: `(3, height, width)` values in the box.
    fn place(&self) -> &[f32];

    /// How many sums of logits are differentiated there.
    fn gradients(&self) -> usize {
        1
    }

    /// The factors of a sum, given the logits.
    fn slopes(&self, which: usize, logits: &[f32]) -> Vec<f32>;

    /// Takes the answer. Whether the search goes on.
    fn hear(&mut self, answer: &Answer) -> bool;
}

/// What the target says of a place.
pub(super) struct Answer {
    pub logits: Vec<f32>,
    /// Whether the answer is where it is to go.
    pub fools: bool,
    /// How far the place is from the clean image.
    pub distance: f64,
    /// Of each sum of logits that was asked for, in the directions in which the image may move.
    pub gradients: Vec<Vec<f64>>,
}

impl<S: Search + ?Sized> Search for Box<S> {
    fn place(&self) -> &[f32] {
        (**self).place()
    }

    fn gradients(&self) -> usize {
        (**self).gradients()
    }

    fn slopes(&self, which: usize, logits: &[f32]) -> Vec<f32> {
        (**self).slopes(which, logits)
    }

    fn hear(&mut self, answer: &Answer) -> bool {
        (**self).hear(answer)
    }
}

/// The nearest place that fools.
pub(super) struct Nearest {
    values: Vec<f32>,
    distance: f64,
    /// Steps after which it was met.
    step: usize,
}

impl Nearest {
    /// Takes a place that fools, unless there is one that is as near.
    pub fn keep(nearest: &mut Option<Self>, values: &[f32], distance: f64, step: usize) {
        if nearest.as_ref().is_none_or(|nearest| distance < nearest.distance) {
            *nearest = Some(Self { values: values.to_vec(), distance, step });
        }
    }
}

/// Makes the search of an image, of so many steps.
pub(super) type Begin = for<'s> fn(Subject<'s>, usize) -> Box<dyn Search + 's>;

/// A kind of search.
pub(super) struct Kind {
    pub info: &'static AttackInfo,
    /// What it does, in words that can follow a number of steps.
    pub words: &'static str,
    pub begin: Begin,
}

/// A kind of search with its settings: an attack of minimum norm.
pub(super) struct MinimumNorm {
    kind: &'static Kind,
    norm: Norm,
    steps: usize,
}

impl MinimumNorm {
    /// With the steps of its kind where nothing is chosen.
    pub fn new(kind: &'static Kind, settings: &Settings) -> Self {
        let steps = settings.steps.or(kind.info.steps).unwrap_or(1).max(1);
        Self { kind, norm: settings.norm, steps }
    }
}

impl Attack for MinimumNorm {
    fn info(&self) -> &'static AttackInfo {
        self.kind.info
    }

    fn threat(&self) -> Threat {
        self.norm.unlimited()
    }

    fn describe(&self) -> String {
        let Self { kind, norm, steps } = self;
        format!(
            "smallest perturbation in {norm}, {steps} {}; refined along the boundary; the image is its smallest enlargement \
             that fools after rounding to 8 bits; grey images get grey changes",
            kind.words
        )
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        smallest(target, batch, self.norm, keys, &mut |bench, subjects, open, nearest| {
            let searches =
                open.iter().map(|&place| (place, (self.kind.begin)(subjects[place], self.steps))).collect();
            follow(bench, subjects, searches, nearest, true);
        })
    }
}

/// Looks for the nearest places that fool of the images at these places.
pub(super) type LookFor<'a> = dyn FnMut(&mut Workbench, &[Subject], &[usize], &mut [Option<Nearest>]) + 'a;

/// The outcomes of an attack that looks for them, for images that are right without it; with the refinement and the rounding that all
/// attacks share.
pub(super) fn smallest(
    target: &dyn Target,
    batch: &Batch,
    norm: Norm,
    keys: &Keys,
    look_for: &mut LookFor,
) -> Vec<Outcome> {
    let threat = norm.unlimited();
    let mut bench = Workbench::new(target, batch, threat, keys);
    let clean = bench.clean.clone();
    let everywhere: Vec<usize> = (0..clean.len()).collect();
    let versions: Vec<&[f32]> = clean.iter().map(|clean| clean.values.as_slice()).collect();
    let before = bench.logits(&everywhere, &versions);
    let subject = |place: usize| {
        let key = (keys.seed, keys.images[place]);
        Subject::new(&clean[place], threat, batch.aim(place), &before[place], key)
    };
    let subjects: Vec<Subject> = everywhere.iter().map(|&place| subject(place)).collect();
    let wrong = |place: usize| subjects[place].fools(&before[place]);
    let mut nearest: Vec<Option<Nearest>> = clean.iter().map(|_| None).collect();
    let open: Vec<usize> = everywhere.into_iter().filter(|&place| !wrong(place)).collect();
    look_for(&mut bench, &subjects, &open, &mut nearest);
    let values = |place: usize, nearest: &[Option<Nearest>]| Some(nearest[place].as_ref()?.values.clone());
    let refined = open
        .iter()
        .filter_map(|&place| Some((place, Refinement::begin(subjects[place], &values(place, &nearest)?))));
    let refined = refined.collect();
    follow(&mut bench, &subjects, refined, &mut nearest, false);
    let rounded = open
        .iter()
        .filter_map(|&place| Some((place, Rounding::begin(subjects[place], &values(place, &nearest)?)?)));
    let rounded = rounded.collect();
    let rounded = follow(&mut bench, &subjects, rounded, &mut nearest, false);
    let mut images: Vec<Option<(Vec<f32>, Vec<f32>)>> = clean.iter().map(|_| None).collect();
    rounded.into_iter().for_each(|(place, search)| images[place] = search.found);
    let found = nearest.into_iter().zip(images).enumerate().map(|(place, (nearest, image))| {
        let unchanged = wrong(place).then(|| (clean[place].values.clone(), before[place].clone()));
        let distance = match &nearest {
            Some(nearest) => Some(nearest.distance),
            None => wrong(place).then_some(0.0),
        };
        let step = nearest.as_ref().map_or(0, |nearest| nearest.step);
        match image.or(unchanged) {
            Some((values, logits)) => Found { values, logits: Some(logits), step, distance },
            // No enlargement fools, or no perturbation was found.
            None => {
                let version = nearest.map_or_else(|| clean[place].values.clone(), |nearest| nearest.values);
                Found { distance, ..Found::open(bench.rounded(place, &version), step) }
            }
        }
    });
    let found = found.collect();
    bench.outcomes(found)
}

/// Asks the target for all searches until each is over, and keeps the nearest place that fools of every image; `counts` says
/// whether its steps are the attack's.
fn follow<S: Search>(
    bench: &mut Workbench,
    subjects: &[Subject],
    mut going: Vec<(usize, S)>,
    nearest: &mut [Option<Nearest>],
    counts: bool,
) -> Vec<(usize, S)> {
    let mut over = Vec::with_capacity(going.len());
    let mut steps = 0;
    while !going.is_empty() {
        steps += 1;
        let asked = ask(bench, &going);
        let mut still = Vec::with_capacity(going.len());
        for ((place, mut search), (logits, gradients)) in going.into_iter().zip(asked) {
            let subject = &subjects[place];
            let fools = subject.fools(&logits);
            let distance = subject.distance(search.place());
            if fools {
                let step = nearest[place].as_ref().filter(|_| !counts).map_or(steps, |nearest| nearest.step);
                Nearest::keep(&mut nearest[place], search.place(), distance, step);
            }
            let gradients = gradients.iter().map(|gradient| subject.clean.allowed(gradient)).collect();
            match search.hear(&Answer { logits, fools, distance, gradients }) {
                true => still.push((place, search)),
                false => over.push((place, search)),
            }
        }
        going = still;
    }
    over
}

/// The logits that each search asks for, and its gradients. An image that asks for several gradients takes as many rows of a batch,
/// and no batch has more rows than there are searches.
fn ask<S: Search>(bench: &mut Workbench, going: &[(usize, S)]) -> Vec<(Vec<f32>, Vec<Vec<f32>>)> {
    let mut answers: Vec<(Vec<f32>, Vec<Vec<f32>>)> = going.iter().map(|_| Default::default()).collect();
    let plain: Vec<usize> = (0..going.len()).filter(|&i| going[i].1.gradients() == 0).collect();
    let places: Vec<usize> = plain.iter().map(|&i| going[i].0).collect();
    let versions: Vec<&[f32]> = plain.iter().map(|&i| going[i].1.place()).collect();
    for (&i, logits) in plain.iter().zip(bench.logits(&places, &versions)) {
        answers[i].0 = logits;
    }
    let rows: Vec<(usize, usize)> =
        (0..going.len()).flat_map(|i| (0..going[i].1.gradients()).map(move |which| (i, which))).collect();
    for rows in rows.chunks(going.len()) {
        let places: Vec<usize> = rows.iter().map(|&(i, _)| going[i].0).collect();
        let versions: Vec<&[f32]> = rows.iter().map(|&(i, _)| going[i].1.place()).collect();
        let factors = |row: usize, logits: &[f32]| going[rows[row].0].1.slopes(rows[row].1, logits);
        for (&(i, _), slope) in rows.iter().zip(bench.gradients(&places, &versions, &factors)) {
            answers[i].0 = slope.logits;
            answers[i].1.push(slope.gradient);
        }
    }
    answers
}
