//! `archaeo excavate`: the whole investigation.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use archaeo_experiments::findings::ModelFindings;
use archaeo_experiments::investigation::Kind;
use archaeo_lab::{Excavated, Excavation, NamedModel, RecordedShard, Session, Shard, Toml};

use super::configs::{self, BuiltIn};
use crate::cli::{Excavate, Investigated, tracked_by};
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// One sentence; what was found until then is kept.
pub fn run(arguments: &Excavate, session: &Session, printer: &Printer) -> Result<()> {
    let Excavate { asked, models_only } = arguments;
    let excavation = excavation(asked, session)?;
    if let Some(shard) = shard(asked)? {
        return printer.result(&session.excavate_shard(&excavation, None, shard)?, |recorded| {
            shard_recorded(recorded, &excavation)
        });
    }
    if *models_only {
        let models = session.train_models(&excavation)?;
        return printer.result(&models, |models| {
            let line = |model: &ModelFindings| format!("{}  {}", model.name, model.weights);
            models.iter().map(line).collect::<Vec<_>>().join("\n")
        });
    }
    printer.result(&session.excavate(&excavation)?, |excavated| told(excavated, &excavation.out))
}

/// What the command line asks for.
pub(super) fn excavation(asked: &Investigated, session: &Session) -> Result<Excavation> {
    let Investigated { config, set, quick, trackers, train, .. } = asked;
    let toml = config.as_deref().map_or(Toml::Text(configs::EXCAVATE), BuiltIn::or_file);
    let set: Vec<String> = set.iter().cloned().chain(tracked_by(trackers)).collect();
    let models = trained(asked)?;
    if !trackers.is_empty() && !models.is_empty() && train.is_empty() {
        session.note("--track has nothing to track: no model is trained here");
    }
    Ok(Excavation {
        data: asked.data.clone(),
        strict: asked.strict,
        config: session.configuration(toml, &set, *quick)?,
        models,
        train: asked.train.clone(),
        out: asked.out.clone(),
        title: asked.title.clone(),
    })
}

/// The shard that the command line or the environment asks for.
pub(super) fn shard(asked: &Investigated) -> Result<Option<Shard>> {
    let variable = |name: &str| std::env::var(name).ok();
    Ok(asked.shard.map(|choice| choice.shard(&variable)).transpose()?)
}

/// What is printed of a shard.
pub(super) fn shard_recorded(recorded: &RecordedShard, excavation: &Excavation) -> String {
    let RecordedShard { shard, folder, files, .. } = recorded;
    format!(
        "Shard {shard}: {files} files in {}\nWhen all are complete: archaeo merge {}",
        folder.display(),
        excavation.out.display()
    )
}

/// What is printed of an investigation.
pub(super) fn told(excavated: &Excavated, out: &Path) -> String {
    let list = |lines: &[String]| lines.iter().map(|line| format!("- {line}\n")).collect::<String>();
    let section = |title: &str, lines: &[String]| match lines.is_empty() {
        true => String::new(),
        false => format!("{title}\n{}\n", list(lines)),
    };
    format!(
        "{}{}Report: {}\nBy hand: archaeo lab --run {}",
        section("Can it be trusted, and when does it fail?", &excavated.trust),
        section("What was found:", &excavated.headlines),
        excavated.report,
        out.display()
    )
}

/// The trained models that the command line names: the ViT, the CNN, then others in their order.
fn trained(arguments: &Investigated) -> Result<Vec<NamedModel>> {
    let Investigated { vit, vit_model, vit_class_names, cnn, cnn_model, cnn_class_names, add, .. } =
        arguments;
    let familiar = [
        ("vit", Kind::Transformer, vit, vit_model, vit_class_names),
        ("cnn", Kind::ConvolutionalNetwork, cnn, cnn_model, cnn_class_names),
    ];
    let mut models = Vec::new();
    for (name, kind, weights, model, class_names) in familiar {
        let Some(weights) = weights.clone() else { continue };
        let (model, class_names) = (model.clone(), class_names.clone());
        models.push(NamedModel { name: name.into(), kind: Some(kind), weights, model, class_names });
    }
    models.extend(add.iter().map(|(name, weights)| NamedModel {
        name: name.clone(),
        kind: None,
        weights: weights.clone(),
        model: None,
        class_names: None,
    }));
    for (option, name) in (arguments.model.iter().map(|(name, _)| ("--model", name)))
        .chain(arguments.class_names.iter().map(|(name, _)| ("--class-names", name)))
    {
        ensure!(
            models.iter().any(|model| model.name == *name),
            "{option} {name}=…: no trained model is given under the name {name}; give it with --add {name}=FILE"
        );
    }
    for NamedModel { name, model, class_names, .. } in &mut models {
        *model = model.take().or_else(|| last(&arguments.model, name));
        *class_names = class_names.take().or_else(|| last::<PathBuf>(&arguments.class_names, name));
    }
    Ok(models)
}

/// What was said last of a name.
fn last<T: Clone>(said: &[(String, T)], name: &str) -> Option<T> {
    said.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.clone())
}
