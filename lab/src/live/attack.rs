//! An attack on one image, step by step.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use archaeo_analysis::Keys;
use archaeo_analysis::attacks::autopsy::head_divergences;
use archaeo_analysis::attacks::{
    Attack, AttackInfo, Batch, Family, Goal, Norm, Outcome, Settings, Target, TargetGradient, all, by_id,
};
use archaeo_analysis::attention::AttentionMaps;
use archaeo_models::Classifier;
use archaeo_plot::Image;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::answer::{ClassAnswer, largest};
use super::model::LiveModel;
use super::{Input, Live, LiveError, evidence, input_of};
use crate::stoppable::{self, Stoppable};

/// Classes that are listed of each step.
const TOP: usize = 3;

/// Questions without a gradient in a row after which each counts as a step: those of an attack that asks for no gradients.
const BLIND: usize = 3;

/// The most steps that can be asked for.
const MOST_STEPS: usize = 1000;

/// Which attack, on what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttackRequest {
    /// The image.
    pub image: String,
    /// The model that is attacked.
    pub model: String,
    /// The attack's ID.
    pub attack: String,
    /// What its size is measured in; the attack's first where nothing is chosen.
    #[serde(default)]
    pub norm: Option<String>,
    /// Its size in the norm's unit; of no meaning to an attack that looks for the smallest perturbation.
    #[serde(default)]
    pub size: Option<f64>,
    /// Its steps; the attack's own where nothing is chosen.
    #[serde(default)]
    pub steps: Option<usize>,
    /// How often it starts.
    #[serde(default)]
    pub restarts: Option<usize>,
    /// What it follows.
    #[serde(default)]
    pub loss: Option<String>,
    /// The class that the image is to be taken for.
    #[serde(default)]
    pub target: Option<usize>,
    /// Other models that are shown each step.
    #[serde(default)]
    pub watch: Vec<String>,
}

/// Where an attack stands.
#[derive(Clone, Debug, Serialize)]
pub struct AttackStep {
    /// Counted from 1; 0 is the clean image.
    pub step: usize,
    /// Largest change of a channel value, in 1/255.
    pub linf: f64,
    /// Euclidean length of the change of values in [0, 1].
    pub l2: f64,
    /// What each model makes of it, by name.
    pub models: BTreeMap<String, ModelAtStep>,
    /// The image, at the input size of the model that is attacked, rounded to 8 bits.
    #[serde(skip)]
    pub picture: Image,
}

/// A model's answer to an image on its way.
#[derive(Clone, Debug, Serialize)]
pub struct ModelAtStep {
    /// The most probable classes.
    pub top: Vec<ClassAnswer>,
    /// Probability of the class that the attack leads away from; `None` where this model has no such class.
    pub source: Option<f64>,
    /// Probability of the class that it leads to, if there is one.
    pub target: Option<f64>,
    /// Whether the answer is not that class any more, or is the target's; of a model without the class, whether its answer has changed.
    pub fooled: bool,
    /// For each layer and head the Jensen-Shannon divergence, in nats, of its attention to that in the clean image.
    pub drift: Option<Vec<Vec<f64>>>,
}

/// What became of the image.
#[derive(Clone, Debug, Serialize)]
pub struct AttackEnd {
    /// What the adversarial image is asked for by.
    pub image: String,
    /// Steps after which it was met.
    pub step: usize,
    /// Steps that were shown.
    pub steps: usize,
    /// Whether the attack reached its aim.
    pub success: bool,
    /// Largest change of a channel value, in 1/255.
    pub linf: f64,
    /// Euclidean length of the change.
    pub l2: f64,
    /// Sum of the changes.
    pub l1: f64,
    /// Channel values that changed.
    pub l0: usize,
    /// How often the model was asked.
    pub queries: usize,
    /// The class that the attack led away from.
    pub away_from: ClassAnswer,
    /// The answer of the attacked model.
    pub answer: ClassAnswer,
    /// The last step of each model: of the adversarial image itself.
    pub models: BTreeMap<String, ModelAtStep>,
    /// The attack in words.
    pub settings: String,
    /// What to know about it.
    pub note: Option<String>,
    /// The adversarial image.
    #[serde(skip)]
    pub picture: Image,
}

/// A model that shows what an attack asks it.
struct Watched<'a> {
    model: Stoppable<'a>,
    blind: Cell<usize>,
    show: RefCell<&'a mut dyn FnMut(&Tensor<4>)>,
}

impl Target for Watched<'_> {
    fn classes(&self) -> usize {
        self.model.classes()
    }

    fn logits(&self, images: Tensor<4>) -> Vec<f32> {
        let logits = self.model.logits(images.clone());
        self.blind.set(self.blind.get() + 1);
        if self.blind.get() > BLIND {
            (self.show.borrow_mut())(&images);
        }
        logits
    }

    fn gradient(
        &self,
        images: Tensor<4>,
        slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> TargetGradient {
        self.blind.set(0);
        let gradient = self.model.gradient(images.clone(), slopes);
        (self.show.borrow_mut())(&images);
        gradient
    }

    fn classifier(&self) -> Option<&Classifier> {
        self.model.classifier()
    }
}

/// What is the same at every step.
struct Scene<'a> {
    watched: Vec<&'a LiveModel>,
    /// Answer of each to the clean image, and its attention there, where it has any.
    clean: Vec<(usize, Option<AttentionMaps>)>,
    picture: Arc<Image>,
    side: usize,
    /// Name of the class that the attack leads away from, and of the one that it leads to.
    away: String,
    toward: Option<String>,
    seed: u64,
    key: u64,
}

impl Live {
    /// Attacks one image. `show` is handed every step, the clean image first; `stopped` is asked before each whether to go on.
    ///
    /// The image is led away from its label where the model gets that right, and from the model's answer otherwise.
    ///
    /// # Errors
    /// An attack, a norm, a size or a class that does not exist, and [`LiveError::Stopped`].
    pub fn attack(
        &self,
        request: &AttackRequest,
        show: &mut dyn FnMut(AttackStep),
        stopped: &dyn Fn() -> bool,
    ) -> Result<AttackEnd, LiveError> {
        let (_, live) = self.model(&request.model)?;
        let family = by_id(&request.attack)
            .ok_or_else(|| LiveError::Asked(format!("there is no attack {:?}", request.attack)))?;
        let attack = made(family, request)?;
        attack.applies(&live.classifier)?;
        let seen = self.seen(&request.model, &request.image)?;
        let answer = self.target(live, &seen, None)?;
        let toward = request.target.map(|class| self.target(live, &seen, Some(class))).transpose()?;
        let label = self.images.label(&request.image)?.and_then(|label| live.output_of(label));
        let away = label.filter(|&label| label == answer).unwrap_or(answer);
        if toward == Some(answer) {
            let name = &live.names[answer];
            return Err(LiveError::Asked(format!(
                "{} answers {name:?} already; choose another target",
                live.name
            )));
        }
        let input = self.input(live, &request.image)?;
        let mut watched = vec![live];
        for name in &request.watch {
            let (_, other) = self.model(name)?;
            if watched.iter().all(|model| model.name != other.name) && !other.names.is_empty() {
                watched.push(other);
            }
        }
        let mut scene = Scene {
            clean: Vec::new(),
            watched,
            picture: input.picture.clone(),
            side: input.picture.width(),
            away: live.names[away].clone(),
            toward: toward.map(|class| live.names[class].clone()),
            seed: self.session.seed(),
            key: input.key,
        };
        for model in &scene.watched {
            let input = scene.input(model, &input.picture);
            let key = [scene.key];
            let evidence = evidence(model, &input, scene.seed, &key);
            let attention = match model.classifier.has_attention() {
                true => Some(evidence.attention()?.clone()),
                false => None,
            };
            scene.clean.push((largest(evidence.logits()), attention));
        }
        show(scene.step(0, (*input.picture).clone())?);
        let (mut count, mut failed) = (0, None);
        let mut step = |images: &Tensor<4>| {
            count += 1;
            match scene.step(count, scene.rounded(images)) {
                Ok(step) => show(step),
                Err(error) => failed = Some(error),
            }
        };
        let outcome =
            run(&*attack, live, &input.pixels, (away, toward), (scene.seed, scene.key), &mut step, stopped)?;
        if let Some(error) = failed {
            return Err(error);
        }
        let picture = Image::new(scene.side, scene.side, interleaved(&outcome.image, scene.side));
        let last = scene.step(count, picture.clone())?;
        let name = format!("{} under {}", self.images.name_of(&request.image)?, attack.info().title);
        let made_of = self.images.origin(&request.image);
        let id = self.images.keep('a', name, picture.clone(), Some(made_of));
        let (probabilities, top) = live.ranked(&outcome.logits, 1);
        Ok(AttackEnd {
            image: id,
            step: outcome.best_step,
            steps: count,
            success: outcome.success,
            linf: last.linf,
            l2: last.l2,
            l1: outcome.l1,
            l0: outcome.l0,
            queries: outcome.queries,
            away_from: live.called(away, &outcome.logits, &probabilities),
            answer: top.into_iter().next().expect("a model with classes answers"),
            models: last.models,
            settings: attack.describe(),
            note: note(&outcome, label, answer, &scene),
            picture,
        })
    }
}

/// What to know about an attack's end.
fn note(outcome: &Outcome, label: Option<usize>, answer: usize, scene: &Scene) -> Option<String> {
    let mut said = Vec::new();
    if outcome.zero_gradient {
        said.push(
            "the gradient was 0 in every pixel where the attack began, so that it says nothing".to_owned(),
        );
    }
    if label.is_some_and(|label| label != answer) {
        said.push("the model is wrong about this image without an attack".into());
    }
    let other = |model: &&LiveModel| model.classifier.card().preprocessing.image_size != scene.side;
    if scene.watched.iter().skip(1).any(other) {
        said.push("a model of another input size sees the adversarial image resized".into());
    }
    (!said.is_empty()).then(|| said.join("; "))
}

/// The attack with what was chosen of it.
fn made(family: &'static Family, request: &AttackRequest) -> Result<Box<dyn Attack>, LiveError> {
    let info: &AttackInfo = family.info;
    let norm = match &request.norm {
        None => info.norms[0],
        Some(id) => Norm::ALL
            .into_iter()
            .find(|norm| norm.id() == id)
            .ok_or_else(|| LiveError::Asked(format!("there is no norm {id:?}")))?,
    };
    let size = request.size.unwrap_or(norm.usual()[1]);
    let size = match info.goal {
        Goal::Within => norm.check(size).map_err(LiveError::Asked)?,
        Goal::Smallest => size,
    };
    let loss = match &request.loss {
        None => None,
        Some(id) => Some(
            *(info.losses.iter().find(|loss| loss.id() == id))
                .ok_or_else(|| LiveError::Asked(format!("{} has no loss {id:?}", info.title)))?,
        ),
    };
    if request.steps.is_some_and(|steps| steps > MOST_STEPS) {
        return Err(LiveError::Asked(format!("an attack takes at most {MOST_STEPS} steps here")));
    }
    if request.target.is_some() && !info.targeted {
        return Err(LiveError::Asked(format!("{} cannot lead an image to a given class", info.title)));
    }
    let steps = request.steps.filter(|_| info.steps.is_some());
    let restarts = if info.restarts { request.restarts.unwrap_or(1) } else { 1 };
    Ok(family.with(&Settings { steps, restarts, loss, ..Settings::new(norm, size) })?)
}

/// The attack itself, until it ends or is told to stop.
fn run(
    attack: &dyn Attack,
    live: &LiveModel,
    pixels: &Tensor<4>,
    (away, toward): (usize, Option<usize>),
    (seed, key): (u64, u64),
    step: &mut dyn FnMut(&Tensor<4>),
    stopped: &dyn Fn() -> bool,
) -> Result<Outcome, LiveError> {
    let (labels, targets, keys) = ([away], toward.map(|class| [class]), [key]);
    let batch =
        Batch { images: pixels.clone(), labels: &labels, targets: targets.as_ref().map(|of| of.as_slice()) };
    let keys = Keys { seed, images: &keys };
    let model = Stoppable { model: &live.classifier, stopped };
    let target = Watched { model, blind: Cell::new(0), show: RefCell::new(step) };
    let mut outcomes = stoppable::run(attack, &target, &batch, &keys).ok_or(LiveError::Stopped)?;
    Ok(outcomes.swap_remove(0))
}

impl Scene<'_> {
    /// The 8-bit version of the first image of a batch.
    fn rounded(&self, images: &Tensor<4>) -> Image {
        let values = numbers(&images.clone().narrow(0, 0, 1));
        Image::new(self.side, self.side, interleaved(&values, self.side))
    }

    /// An image of the attacked model's input size as another model takes it.
    fn input(&self, model: &LiveModel, picture: &Image) -> Input {
        input_of(model, picture.clone(), self.key, true)
    }

    fn step(&self, step: usize, picture: Image) -> Result<AttackStep, LiveError> {
        let pairs = picture.pixels().iter().zip(self.picture.pixels());
        let change: Vec<f64> = pairs.map(|(&own, &clean)| f64::from(own.abs_diff(clean))).collect();
        let mut models = BTreeMap::new();
        for (model, (answer, clean)) in self.watched.iter().zip(&self.clean) {
            let input = self.input(model, &picture);
            let key = [self.key];
            let evidence = evidence(model, &input, self.seed, &key);
            let drift = match clean {
                Some(clean) => Some(head_divergences(clean, evidence.attention()?)),
                None => None,
            };
            let logits = evidence.logits().to_vec();
            models.insert(model.name.clone(), self.at_step(model, *answer, &logits, drift));
        }
        let linf = change.iter().copied().fold(0.0, f64::max);
        let l2 = change.iter().map(|change| change * change).sum::<f64>().sqrt() / 255.0;
        Ok(AttackStep { step, linf, l2, models, picture })
    }

    fn at_step(
        &self,
        model: &LiveModel,
        unattacked: usize,
        logits: &[f32],
        drift: Option<Vec<Vec<f64>>>,
    ) -> ModelAtStep {
        let (probabilities, top) = model.ranked(logits, TOP);
        let class = |name: &String| model.names.iter().position(|own| own == name);
        let (source, target) = (class(&self.away), self.toward.as_ref().and_then(class));
        let answer = largest(logits);
        let fooled = match &self.toward {
            Some(_) => target == Some(answer),
            // A model without the class is fooled when its own answer changes.
            None => source.unwrap_or(unattacked) != answer,
        };
        ModelAtStep {
            top,
            source: source.map(|class| probabilities[class]),
            target: target.map(|class| probabilities[class]),
            fooled,
            drift,
        }
    }
}

/// `[1, 3, height, width]` as plain values.
fn numbers(images: &Tensor<4>) -> Vec<f32> {
    images.clone().inner().into_data().try_into_vec().expect("images are 32-bit floats")
}

/// `(3, side, side)` values in [0, 1] as the pixels of a picture.
fn interleaved(values: &[f32], side: usize) -> Vec<u8> {
    let plane = side * side;
    let level = |value: f32| (255.0 * value).round().clamp(0.0, 255.0) as u8;
    (0..plane).flat_map(|at| [0, 1, 2].map(|channel| level(values[channel * plane + at]))).collect()
}

/// Every attack that can be asked for.
pub(super) fn attacks() -> impl Iterator<Item = &'static AttackInfo> {
    all().iter().map(|family| family.info)
}
