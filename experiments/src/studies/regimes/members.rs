//! Which models differ in their training alone.

use archaeo_models::NetworkSpec;
use archaeo_store::run_folder::sha256_checkpoint;

use crate::regimes::RegimeKind;
use crate::scene::Scene;
use crate::subjects::{ModelName, Subject, Training};

/// Models of one architecture, and the others with the reason why they are left out.
pub(super) struct Members<'a> {
    pub(super) regimes: Vec<(Subject<'a>, &'a Training)>,
    pub(super) left_out: Vec<(ModelName, String)>,
}

impl<'a> Members<'a> {
    /// The largest group of models that have the same network, of any head, and were trained in two ways or more.
    ///
    /// # Errors
    /// The reason why there is none, as the end of a sentence.
    pub(super) fn of(scene: &Scene<'a>) -> Result<Self, String> {
        let known: Vec<(Subject, &Training)> =
            (scene.subjects.iter()).filter_map(|subject| Some((*subject, subject.training?))).collect();
        if known.len() < 2 {
            return Err(format!(
                "it takes two models whose run folders say how they were trained on these data, and there {}",
                if known.is_empty() { "is none" } else { "is one" }
            ));
        }
        let group = |network: &NetworkSpec| -> Vec<(Subject<'a>, &'a Training)> {
            known.iter().filter(|(subject, _)| body(subject) == *network).copied().collect()
        };
        let groups: Vec<_> = known.iter().map(|(subject, _)| group(&body(subject))).collect();
        // The first of the largest.
        let largest = groups.into_iter().rev().max_by_key(Vec::len).expect("there are models");
        if largest.len() < 2 {
            return Err("no two models whose training is known have the same architecture".into());
        }
        let first = regime(largest[0].1);
        if largest.iter().all(|(_, training)| regime(training) == first) {
            return Err("the models of one architecture were all trained in the same way".into());
        }
        let reason = |subject: &Subject| match subject.training {
            None => "its run folder does not say how it was trained on these data",
            Some(_) => "it has another architecture",
        };
        let others = scene
            .subjects
            .iter()
            .filter(|subject| largest.iter().all(|(member, _)| member.name != subject.name));
        let left_out = others.map(|subject| (subject.name, reason(subject).to_owned())).collect();
        Ok(Self { regimes: largest, left_out })
    }

    /// Members that started from weights whose attention training changed; or why that cannot be shown.
    pub(super) fn changed(&self) -> Vec<(Subject<'a>, Result<&'a Training, String>)> {
        let changes = |(subject, training): &&(Subject, &Training)| {
            subject.model.has_attention() && RegimeKind::of(&training.record.recipe).changes_attention()
        };
        let before = |(subject, training): &(Subject<'a>, &'a Training)| {
            let known = weights_before(training).map(|()| *training);
            (*subject, known)
        };
        self.regimes.iter().filter(changes).map(before).collect()
    }
}

/// The network without its head and rates, which belong to the training.
fn body(subject: &Subject) -> NetworkSpec {
    subject.model.card().network.clone().with_classes(1).with_rates(0.0, 0.0)
}

/// What distinguishes one way of training from another.
fn regime(training: &Training) -> (RegimeKind, Option<&str>) {
    let recipe = &training.record.recipe;
    (RegimeKind::of(recipe), recipe.init_sha256.as_deref())
}

/// Whether the weights before training are there and are those.
fn weights_before(training: &Training) -> Result<(), String> {
    let stated = training.record.recipe.init_sha256.as_deref();
    let file = training.init.as_deref().filter(|file| file.exists());
    match file.map(sha256_checkpoint) {
        None => Err("the weights that it started from are not there".into()),
        Some(Err(error)) => Err(error.to_string()),
        Some(Ok(found)) if Some(found.as_str()) == stated => Ok(()),
        Some(Ok(_)) => Err("the weights that it started from have changed since".into()),
    }
}
