//! The work of an attack, batch by batch: what it makes of every image, and what is kept of that.

use archaeo_analysis::Keys;
use archaeo_analysis::answers::{logits, predicted_classes};
use archaeo_analysis::attacks::{self, Attack, Batch as AttackedBatch, Family, Norm, Outcome};
use archaeo_training::finite::{NotFinite, first_not_finite};
use archaeo_training::images::{Batch, Preprocessed};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::AttackOptions;
use super::saved::{Saved, Subject};
use crate::error::LabError;
use crate::opened::Opened;
use crate::session::Session;

/// An outcome without its image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tried {
    pub answer: usize,
    pub success: bool,
    pub distance: Option<f64>,
    pub zero_gradient: bool,
    pub queries: usize,
    /// linf, l2, l1, l0.
    pub lengths: [f64; 4],
    pub step: usize,
}

impl Tried {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let Outcome {
            answer, success, distance, zero_gradient, queries, linf, l2, l1, l0, best_step, ..
        } = *outcome;
        let lengths = [linf, l2, l1, l0 as f64];
        Self { answer, success, distance, zero_gradient, queries, lengths, step: best_step }
    }

    /// What an attack and the one before it, which left the image standing, made of it together.
    pub(super) fn after(self, earlier: Option<&Self>) -> Self {
        let Some(earlier) = earlier else { return self };
        Self {
            queries: earlier.queries + self.queries,
            step: earlier.step + self.step,
            zero_gradient: earlier.zero_gradient,
            ..self
        }
    }

    /// Whether the image is within a ball, up to what rounding of numbers in 32 bits does.
    pub(super) fn within(&self, norm: Norm, size: f64) -> bool {
        let length = match norm {
            Norm::Linf => 255.0 * self.lengths[0],
            Norm::L2 => self.lengths[1],
            Norm::L1 => self.lengths[2],
            Norm::L0 => self.lengths[3],
        };
        length <= size * (1.0 + 1e-6)
    }
}

impl Session {
    /// The answers without an attack.
    pub(super) fn unattacked(
        &self,
        opened: &Opened,
        asked: &Asked,
        mut saved: Option<&mut Saved>,
    ) -> Result<Vec<usize>, LabError> {
        let classes = opened.model.card().classes.len();
        let work = self.counting("without an attack", asked.indices.len());
        let mut answers = Vec::new();
        for batch in asked.batches((0..asked.indices.len()).collect(), opened.batch_size()) {
            let loaded = asked.load(opened, &batch)?;
            let images = loaded.tensor(&opened.device);
            let found = logits(&opened.model, images.clone());
            self.check_finite(opened, asked, &batch, &found, |row| images.clone().narrow(0, row, 1))?;
            answers.extend(predicted_classes(&found, classes));
            if let Some(saved) = saved.as_deref_mut() {
                let values: Vec<f32> =
                    images.clone().into_data().try_into_vec().expect("images are 32-bit floats");
                for (&place, image) in batch.iter().zip(values.chunks_exact(values.len() / batch.len())) {
                    let identifier = opened.split()?.identifier(asked.indices[place]);
                    saved.clean(&asked.subject(opened, place, &images), identifier, image)?;
                }
            }
            work.advance(batch.len());
        }
        Ok(answers)
    }

    /// What an attack makes of every image, and each attack of a cascade of those that the last left standing. `titled` is what the
    /// work is called, and what its records are.
    pub(super) fn tried(
        &self,
        opened: &Opened,
        asked: &Asked,
        attack: &dyn Attack,
        (title, size): (String, String),
        mut saved: Option<&mut Saved>,
    ) -> Result<Vec<Tried>, LabError> {
        let stages = attack.stages();
        let stages =
            if stages.is_empty() { vec![attack] } else { stages.iter().map(|stage| &**stage).collect() };
        let mut all: Vec<Option<Tried>> = asked.indices.iter().map(|_| None).collect();
        for (stage, attack) in stages.iter().enumerate() {
            let standing = |of: &Option<Tried>| of.as_ref().is_none_or(|tried| !tried.success);
            let standing: Vec<usize> = (0..all.len()).filter(|&place| standing(&all[place])).collect();
            let title =
                if stages.len() > 1 { format!("{title}: {}", attack.info().title) } else { title.clone() };
            let work = self.counting(&title, standing.len());
            let mut open = Vec::new();
            for place in standing {
                match saved.as_deref().and_then(|saved| saved.recorded(&size, stage, asked.indices[place])) {
                    Some(tried) => {
                        all[place] = Some(tried);
                        work.advance(1);
                    }
                    None => open.push(place),
                }
            }
            for batch in asked.batches(open, opened.batch_size()) {
                let loaded = asked.load(opened, &batch)?;
                let ids: Vec<u64> = batch.iter().map(|&place| asked.indices[place] as u64).collect();
                let images = loaded.tensor(&opened.device);
                let targets = asked.target.map(|target| vec![target; batch.len()]);
                let attacked = AttackedBatch {
                    images: images.clone(),
                    labels: &loaded.labels,
                    targets: targets.as_deref(),
                };
                let keys = Keys { seed: self.seed(), images: &ids };
                let outcomes = attack.run(&opened.model, &attacked, &keys);
                let found: Vec<f32> =
                    outcomes.iter().flat_map(|outcome| outcome.logits.iter().copied()).collect();
                let image = |row: usize| attacks::images(&outcomes[row..=row], &images);
                self.check_finite(opened, asked, &batch, &found, image)?;
                for (&place, outcome) in batch.iter().zip(&outcomes) {
                    let tried = Tried::of(outcome).after(all[place].as_ref());
                    if let Some(saved) = saved.as_deref_mut() {
                        saved.attacked(
                            &size,
                            stage,
                            &asked.subject(opened, place, &images),
                            outcome,
                            &tried,
                        )?;
                    }
                    all[place] = Some(tried);
                }
                work.advance(batch.len());
            }
        }
        let all: Vec<Tried> =
            all.into_iter().map(|tried| tried.expect("the first attack is for every image")).collect();
        if let Some(saved) = saved {
            for (place, tried) in all.iter().enumerate() {
                saved.note(&size, asked.indices[place], tried);
            }
        }
        Ok(all)
    }

    /// Hash of the file of a model's weights, or of its folder.
    pub(super) fn weights_sha256(&self, opened: &Opened) -> Result<String, LabError> {
        Ok(archaeo_store::sha256_path(&self.resolve(&opened.subject.model.weights)?)?)
    }

    /// What records are made from, in one line.
    pub(super) fn question(
        &self,
        opened: &Opened,
        asked: &Asked,
        options: &AttackOptions,
        weights: &str,
    ) -> Result<String, LabError> {
        let split = opened.split()?;
        let names: Vec<String> = asked.indices.iter().map(|&index| split.identifier(index)).collect();
        let images = archaeo_store::sha256(format!("{names:?} {:?}", asked.labels).as_bytes());
        let question = serde_json::json!({
            "program": env!("CARGO_PKG_VERSION"),
            "weights": weights,
            "preprocessing": opened.model.card().preprocessing,
            "precision": self.precision_name(),
            "images": images,
            "seed": self.seed(),
            "attack": options.attack,
            "norm": options.norm,
            "steps": options.steps,
            "restarts": options.restarts,
            "loss": options.loss,
            "cutoff": options.cutoff,
            "target": asked.target,
        });
        Ok(question.to_string())
    }

    /// Refuses answers that are not finite, with what in the model makes them so.
    pub(super) fn check_finite(
        &self,
        opened: &Opened,
        asked: &Asked,
        batch: &[usize],
        logits: &[f32],
        image: impl Fn(usize) -> Tensor<4>,
    ) -> Result<(), LabError> {
        let Some(row) = first_not_finite(logits, opened.model.card().classes.len()) else { return Ok(()) };
        let name = opened.split()?.identifier(asked.indices[batch[row]]);
        Err(self.not_finite(NotFinite::traced(&opened.model, &name, image(row)), opened))
    }
}

/// The images that are attacked.
pub(super) struct Asked {
    pub indices: Vec<usize>,
    pub labels: Vec<usize>,
    pub target: Option<usize>,
}

impl Asked {
    /// All that the question is about, but those of the target's class.
    pub(super) fn of(opened: &Opened, target: Option<usize>) -> Result<Self, LabError> {
        let both = opened.indices.iter().copied().zip(opened.labels()?);
        let (indices, labels): (Vec<usize>, Vec<usize>) =
            both.filter(|(_, label)| Some(*label) != target).unzip();
        if indices.is_empty() {
            return Err(LabError::OnlyTheTarget { weights: opened.subject.model.weights.clone() });
        }
        Ok(Self { indices, labels, target })
    }

    /// Places, a batch after another.
    pub(super) fn batches(&self, places: Vec<usize>, size: usize) -> Vec<Vec<usize>> {
        places.chunks(size).map(<[usize]>::to_vec).collect()
    }

    pub(super) fn load(&self, opened: &Opened, places: &[usize]) -> Result<Batch, LabError> {
        let preprocessing = &opened.model.card().preprocessing;
        let indices: Vec<usize> = places.iter().map(|&place| self.indices[place]).collect();
        Ok(Batch::load(&Preprocessed { split: opened.split()?, preprocessing }, &indices, 0)?)
    }

    pub(super) fn subject<'a>(&self, opened: &'a Opened, place: usize, images: &Tensor<4>) -> Subject<'a> {
        let [_, _, height, width] = images.dims();
        let (index, label) = (self.indices[place], self.labels[place]);
        Subject { index, class: &opened.dataset.classes[label], label, size: [height, width] }
    }
}

/// The output of a target, and its name.
pub(super) fn target(opened: &Opened, family: &Family, name: &str) -> Result<(usize, String), LabError> {
    if !family.info.targeted {
        return Err(LabError::Untargeted { attack: family.info.title });
    }
    let classes = &opened.dataset.classes;
    let named = classes.iter().position(|class| class.eq_ignore_ascii_case(name.trim()));
    let numbered = name.trim().parse().ok().filter(|&class: &usize| class < classes.len());
    match named.or(numbered) {
        Some(class) => Ok((class, classes[class].clone())),
        None => Err(LabError::AttackTarget { name: name.into(), classes: classes.len() }),
    }
}
