//! Measuring what a model's answer to an image of Sherds depends on, and scoring heatmaps against it.

use std::collections::BTreeMap;

use archaeo_analysis::answers::logits;
use archaeo_analysis::attribution::{Attribution, Evidence, Heatmap, explain_all};
use archaeo_analysis::faithfulness::{
    Asked, CausalTruth, Deletion, Metric, auroc, important, mass_in_mask, masses,
};
use archaeo_analysis::{AnalysisError, Keys};
use archaeo_data::sherds::{Change, Factor, FactorKind, Shape, Sherds, SherdsSplit, Texture};
use archaeo_data::{Image, Mask, Split};
use archaeo_models::Classifier;
use archaeo_training::images::{preprocess, preprocess_mask, to_tensor};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// One model and the generator of the images that it is asked about.
pub struct Laboratory<'a> {
    /// The model.
    pub model: &'a Classifier,
    /// Draws the images.
    pub sherds: &'a Sherds,
    /// Which split of them.
    pub split: SherdsSplit,
    /// The shape that each of the model's outputs stands for.
    pub shapes: BTreeMap<usize, Shape>,
    /// What is scored: explanations and baselines.
    pub methods: Vec<&'static dyn Attribution>,
    /// Key of random choices.
    pub seed: u64,
    /// Images at once.
    pub batch_size: usize,
    /// Where to compute.
    pub device: &'a Device,
}

/// A change of the whole scene that is not a factor's removal alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// The object is taken away.
    Object,
    /// It has the one colour that is its texture's mean.
    Texture,
    /// It has another class's texture.
    OtherTexture,
    /// Only that part of it is left which tells its shape from the most likely other one.
    OnlyUnlike,
    /// It lies a sixteenth of the image's side nearer to the middle, both ways.
    Moved,
    /// It is turned by 20 degrees.
    Rotated,
    /// Both pieces of clutter in front of it are taken away.
    Occluders,
    /// All clutter behind it is taken away.
    Clutter,
}

impl Question {
    /// All, in the order in which they are told.
    pub const ALL: [Question; 8] = [
        Self::Object,
        Self::OnlyUnlike,
        Self::Texture,
        Self::OtherTexture,
        Self::Moved,
        Self::Rotated,
        Self::Occluders,
        Self::Clutter,
    ];

    /// What is done to the scene, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Object => "object removed",
            Self::OnlyUnlike => "only the part unlike the runner-up's shape kept",
            Self::Texture => "texture made flat",
            Self::OtherTexture => "another texture",
            Self::Moved => "object moved",
            Self::Rotated => "object turned",
            Self::Occluders => "occluders removed",
            Self::Clutter => "clutter removed",
        }
    }
}

/// What is recorded of one image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImageTruth {
    /// The output with the largest logit: the class that is explained.
    pub class: usize,
    /// That with the second largest.
    pub runner_up: usize,
    /// Whether the class is the image's own.
    pub correct: bool,
    /// Logit of the class less the runner-up's.
    pub margin: f64,
    /// The parts that divide the image.
    pub factors: Vec<FactorEffect>,
    /// What else was asked, in the order of [`Question::ALL`].
    pub answers: Vec<Answer>,
    /// Scores of each method; `None` where the factors do not differ in what they do, or the model sees nothing of the object.
    pub methods: Option<Vec<MethodScores>>,
}

/// A part of an image, and what the margin loses without it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FactorEffect {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: FactorKind,
    /// Share of the model's input that it covers.
    pub share: f64,
    /// Loss of the margin, in logits: negative where it grows.
    pub effect: f64,
}

/// What a change of the scene does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Loss of the margin, in logits.
    pub effect: f64,
    /// Whether the model still names the class.
    pub kept: bool,
}

/// How true one heatmap of one image is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct MethodScores {
    /// [`CausalTruth::single_deletion`].
    pub single_deletion: f64,
    /// [`CausalTruth::strength`].
    pub strength: Option<f64>,
    /// [`CausalTruth::contrastivity`].
    pub contrastivity: f64,
    /// [`CausalTruth::independence`].
    pub independence: Option<f64>,
    /// Whether the model still names the class when only the factors called important are left.
    pub preserved: bool,
    /// Whether it no longer does without them.
    pub lost: bool,
    /// Probability that a pixel of the object is hotter than another one.
    pub auroc: f64,
    /// Share of the mass on the object.
    pub mass: f64,
    /// Mean probability of the class while pixels are set to the mean colour, the hottest first: smaller is better.
    pub deletion: f64,
}

/// An image with its measured truth, for pictures.
pub struct Case {
    /// What is recorded.
    pub truth: ImageTruth,
    /// The pixels of each of its factors, in the model's input.
    pub masks: Vec<Vec<bool>>,
    /// The heatmap of each method, on its own grid.
    pub heatmaps: Vec<Heatmap>,
}

impl ImageTruth {
    /// The part of it that heatmaps are held against.
    pub fn causal(&self) -> CausalTruth {
        CausalTruth {
            margin: self.margin,
            effects: self.factors.iter().map(|factor| factor.effect).collect(),
        }
    }
}

/// The shape that each output stands for, where the split's labels are outputs.
pub fn shapes_of(split: &Split) -> BTreeMap<usize, Shape> {
    (0..split.len().min(Shape::ALL.len()))
        .map(|index| (split.label(index), Shape::ALL[Sherds::label(index)]))
        .collect()
}

impl Laboratory<'_> {
    /// Measures the truth about some images of the split, whose `labels` are the model's outputs, and scores every method's heatmaps.
    ///
    /// # Errors
    /// A method that does not apply to the model.
    pub fn measure(&self, indices: &[usize], labels: &[usize]) -> Result<Vec<Case>, AnalysisError> {
        let classes = self.model.card().classes.len();
        let ids: Vec<u64> = indices.iter().map(|&index| index as u64).collect();
        let drawn: Vec<(Image, Mask)> = indices
            .iter()
            .map(|&index| {
                let drawn = self.sherds.draw_changed(self.split, index, &[]);
                (self.fitted(drawn.image), drawn.mask)
            })
            .collect();
        let images: Vec<Image> = drawn.iter().map(|(image, _)| image.clone()).collect();
        let keys = Keys { seed: self.seed, images: &ids };
        let evidence = Evidence::new(self.model, to_tensor(&images, self.device), keys);
        let before: Vec<Vec<f32>> = evidence.logits().chunks_exact(classes).map(<[f32]>::to_vec).collect();
        let named: Vec<[usize; 2]> = before.iter().map(|logits| first_two(logits)).collect();
        let [of_class, of_runner_up] =
            [0, 1].map(|place| named.iter().map(|two| two[place]).collect::<Vec<_>>());

        let heatmaps = explain_all(&self.methods, &evidence, &of_class)?;
        let depends: Vec<usize> =
            (0..self.methods.len()).filter(|&method| self.methods[method].info().depends_on_class).collect();
        let contrasted: Vec<&dyn Attribution> = depends.iter().map(|&method| self.methods[method]).collect();
        let contrasts = explain_all(&contrasted, &evidence, &of_runner_up)?;

        let factors: Vec<Vec<(Factor, Vec<bool>)>> = indices.iter().map(|&index| self.parts(index)).collect();
        let mut questions = Vec::new();
        for (place, &index) in indices.iter().enumerate() {
            questions.extend(factors[place].iter().map(|(factor, _)| (place, vec![factor.removal])));
            let other = if named[place][0] == labels[place] { named[place][1] } else { named[place][0] };
            let other = self.shapes.get(&other).copied();
            questions.extend(
                Question::ALL.map(|question| (place, self.changes(question, index, other, &drawn[place].1))),
            );
        }
        let mut answers = self.answers(indices, &questions).into_iter();

        let mut cases = Vec::new();
        for place in 0..indices.len() {
            let [class, runner_up] = named[place];
            let margin = |logits: &[f32]| f64::from(logits[class]) - f64::from(logits[runner_up]);
            let whole = margin(&before[place]);
            let mut answer = || {
                let logits = answers.next().expect("everything asked is answered");
                Answer { effect: whole - margin(&logits), kept: first_two(&logits)[0] == class }
            };
            let effects: Vec<FactorEffect> = factors[place]
                .iter()
                .map(|(factor, mask)| FactorEffect {
                    name: factor.name.clone(),
                    kind: factor.kind,
                    share: mask.iter().filter(|&&inside| inside).count() as f64 / mask.len() as f64,
                    effect: answer().effect,
                })
                .collect();
            let truth = ImageTruth {
                class,
                runner_up,
                correct: class == labels[place],
                margin: whole,
                factors: effects,
                answers: Question::ALL.map(|_| answer()).into(),
                methods: None,
            };
            cases.push(Case {
                truth,
                masks: factors[place].iter().map(|(_, mask)| mask.clone()).collect(),
                heatmaps: heatmaps.iter().map(|maps| maps[place].clone()).collect(),
            });
        }
        let contrasts: BTreeMap<usize, Vec<Heatmap>> = depends.into_iter().zip(contrasts).collect();
        let asked = Asked {
            evidence: &evidence,
            targets: &of_class,
            methods: &self.methods,
            heatmaps: &heatmaps,
            masks: &[],
        };
        let deletions: Vec<Vec<f64>> = Deletion
            .measure(&asked)?
            .into_iter()
            .map(|scores| scores.into_iter().map(|score| score.value.unwrap_or(f64::NAN)).collect())
            .collect();
        self.score(indices, &factors, &mut cases, &contrasts, &deletions);
        Ok(cases)
    }

    fn fitted(&self, image: Image) -> Image {
        preprocess(image, &self.model.card().preprocessing)
    }

    /// The parts of an image that the model sees anything of, with their pixels in its input.
    fn parts(&self, index: usize) -> Vec<(Factor, Vec<bool>)> {
        let factors =
            self.sherds.factors(self.split, index).into_iter().filter(|factor| factor.kind.is_part());
        let seen = factors.map(|factor| {
            let mask = preprocess_mask(&factor.mask, &self.model.card().preprocessing);
            (factor, mask)
        });
        seen.filter(|(_, mask)| mask.contains(&true)).collect()
    }

    fn changes(&self, question: Question, index: usize, other: Option<Shape>, object: &Mask) -> Vec<Change> {
        match question {
            Question::Object => vec![Change::WithoutObject],
            Question::Texture => vec![Change::WithoutTexture],
            Question::OtherTexture => {
                let own = self.sherds.texture(self.split, index);
                let place = Texture::ALL.iter().position(|texture| *texture == own).unwrap_or(0);
                vec![Change::Texture(Texture::ALL[(place + 5) % Texture::ALL.len()])]
            }
            Question::OnlyUnlike => other.map(Change::OnlyUnlike).into_iter().collect(),
            Question::Moved => vec![inwards(object, 1.0 / 16.0)],
            Question::Rotated => vec![Change::Rotated(20.0)],
            Question::Occluders | Question::Clutter => {
                let kind =
                    if question == Question::Clutter { FactorKind::Clutter } else { FactorKind::Occluder };
                let factors = self.sherds.factors(self.split, index).into_iter();
                factors.filter(|factor| factor.kind == kind).map(|factor| factor.removal).collect()
            }
        }
    }

    /// Logits of the images drawn again, in their order.
    fn answers(&self, indices: &[usize], asked: &[(usize, Vec<Change>)]) -> Vec<Vec<f32>> {
        let mut answers = Vec::with_capacity(asked.len());
        for batch in asked.chunks(self.batch_size.max(1)) {
            let draw = |(place, changes): &(usize, Vec<Change>)| {
                self.fitted(self.sherds.draw_changed(self.split, indices[*place], changes).image)
            };
            answers.extend(self.logits(&batch.iter().map(draw).collect::<Vec<_>>()));
        }
        answers
    }

    fn logits(&self, images: &[Image]) -> Vec<Vec<f32>> {
        let classes = self.model.card().classes.len();
        logits(self.model, to_tensor(images, self.device))
            .chunks_exact(classes)
            .map(<[f32]>::to_vec)
            .collect()
    }

    fn score(
        &self,
        indices: &[usize],
        factors: &[Vec<(Factor, Vec<bool>)>],
        cases: &mut [Case],
        contrasts: &BTreeMap<usize, Vec<Heatmap>>,
        deletions: &[Vec<f64>],
    ) {
        let side = self.model.card().preprocessing.image_size;
        // Methods that call the same factors important ask the same.
        let mut asked: Vec<(usize, Vec<Change>)> = Vec::new();
        let mut known: BTreeMap<(usize, Vec<bool>), usize> = BTreeMap::new();
        let mut ask = |place: usize, removed: Vec<bool>| {
            *known.entry((place, removed.clone())).or_insert_with(|| {
                let gone = factors[place].iter().zip(&removed).filter(|(_, removed)| **removed);
                asked.push((place, gone.map(|((factor, _), _)| factor.removal).collect()));
                asked.len() - 1
            })
        };
        // Of each image and method: the scores so far, and which two answers are still to come.
        let mut found: Vec<Option<Vec<(MethodScores, usize, usize)>>> = Vec::new();
        for (place, case) in cases.iter().enumerate() {
            let truth = case.truth.causal();
            let mut object = vec![false; side * side];
            let parts = case.truth.factors.iter().zip(&case.masks);
            for (_, mask) in parts.filter(|(factor, _)| factor.kind.is_of_object()) {
                object.iter_mut().zip(mask).for_each(|(inside, part)| *inside |= part);
            }
            let of_method = |(method, heatmap): (usize, &Heatmap)| {
                let resized = heatmap.resized(side, side);
                let mass = masses(&resized, &case.masks);
                let contrast =
                    contrasts.get(&method).map(|maps| masses(&maps[place].resized(side, side), &case.masks));
                let important = important(&mass, &case.masks);
                let scores = MethodScores {
                    single_deletion: truth.single_deletion(&mass)?,
                    strength: truth.strength(&mass),
                    contrastivity: truth.contrastivity(&mass, contrast.as_ref().unwrap_or(&mass))?,
                    independence: truth.independence(&mass),
                    preserved: false,
                    lost: false,
                    auroc: auroc(&resized, &object)?,
                    mass: mass_in_mask(&resized, &object),
                    deletion: deletions[method][place],
                };
                let unimportant = important.iter().map(|important| !important).collect();
                Some((scores, ask(place, unimportant), ask(place, important)))
            };
            found.push(case.heatmaps.iter().enumerate().map(of_method).collect());
        }
        let kept: Vec<bool> = (self.answers(indices, &asked).iter().zip(&asked))
            .map(|(logits, (place, _))| first_two(logits)[0] == cases[*place].truth.class)
            .collect();
        for (case, found) in cases.iter_mut().zip(found) {
            let scored = |(scores, with, without): (MethodScores, usize, usize)| MethodScores {
                preserved: kept[with],
                lost: !kept[without],
                ..scores
            };
            case.truth.methods = found.map(|found| found.into_iter().map(scored).collect());
        }
    }
}

/// The object of this mask moved towards the middle, both ways, by a share of the image's side.
pub(crate) fn inwards(object: &Mask, share: f32) -> Change {
    let step = |sum: usize, side: usize| {
        let middle = sum as f64 / object.area().max(1) as f64 + 0.5;
        let step = side as f32 * share;
        if middle < side as f64 / 2.0 { step } else { -step }
    };
    let sum =
        |of: &dyn Fn(usize) -> usize| (0..object.inside.len()).filter(|&at| object.inside[at]).map(of).sum();
    Change::Moved {
        right: step(sum(&|at| at % object.width), object.width),
        down: step(sum(&|at| at / object.width), object.height),
    }
}

/// The outputs with the largest and the second largest logit, the lower of equals first.
fn first_two(logits: &[f32]) -> [usize; 2] {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    [order[0], order[1]]
}
