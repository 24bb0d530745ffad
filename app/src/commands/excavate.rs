//! `archaeo excavate`: the whole investigation.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use archaeo_experiments::investigation::Kind;
use archaeo_lab::{Excavation, NamedModel, Session, Toml};

use super::configs::{self, BuiltIn};
use crate::cli::Excavate;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// One sentence; what was found until then is kept.
pub fn run(arguments: &Excavate, session: &Session, printer: &Printer) -> Result<()> {
    let Excavate { config, set, quick, .. } = arguments;
    let toml = config.as_deref().map_or(Toml::Text(configs::EXCAVATE), BuiltIn::or_file);
    let excavation = Excavation {
        data: arguments.data.clone(),
        strict: arguments.strict,
        config: session.configuration(toml, set, *quick)?,
        models: trained(arguments)?,
        train: arguments.train.clone(),
        out: arguments.out.clone(),
        title: arguments.title.clone(),
    };
    printer.result(&session.excavate(&excavation)?, |result| {
        let list = |lines: &[String]| lines.iter().map(|line| format!("- {line}\n")).collect::<String>();
        let (trust, others) = (list(&result.trust), list(&result.headlines));
        format!(
            "Can it be trusted, and when does it fail?\n{trust}\nWhat was found:\n{others}\nReport: {}\nBy hand: archaeo lab --run {}",
            result.report,
            excavation.out.display()
        )
    })
}

/// The trained models that the command line names: the ViT, the CNN, then others in their order.
fn trained(arguments: &Excavate) -> Result<Vec<NamedModel>> {
    let Excavate { vit, vit_model, vit_class_names, cnn, cnn_model, cnn_class_names, add, .. } = arguments;
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
