//! `archaeo excavate`: the whole investigation.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use archaeo_experiments::investigation::{Given, InvestigationConfig, Kind, Request, excavate};
use archaeo_experiments::report::{Claim, told};
use archaeo_experiments::subjects::ModelName;
use archaeo_models::read_card;
use serde::Serialize;

use super::classes::read_names;
use super::configs::{self, BuiltIn};
use super::subject::require_sherds_classes;
use super::{environment, say_skipped};
use crate::cli::{Excavate, Global};
use crate::device;
use crate::hub;
use crate::interrupt;
use crate::printer::Printer;
use crate::progress::Bars;

/// A trained model of the command line.
struct Trained {
    name: ModelName,
    kind: Option<Kind>,
    path: PathBuf,
    model: Option<String>,
    class_names: Option<Vec<String>>,
}

/// The trained models that the command line names: the ViT, the CNN, then others in their order.
fn trained(arguments: &Excavate) -> Result<Vec<Trained>> {
    let Excavate { vit, vit_model, vit_class_names, cnn, cnn_model, cnn_class_names, add, .. } = arguments;
    let familiar = [
        ("vit", Kind::Transformer, vit, vit_model, vit_class_names),
        ("cnn", Kind::ConvolutionalNetwork, cnn, cnn_model, cnn_class_names),
    ];
    let mut found = Vec::new();
    for (name, kind, path, model, class_names) in familiar {
        let Some(path) = path else { continue };
        found.push((name, Some(kind), path, model.clone(), class_names.clone()));
    }
    found.extend(add.iter().map(|(name, path)| (name.as_str(), None, path, None, None)));
    for (option, name) in (arguments.model.iter().map(|(name, _)| ("--model", name)))
        .chain(arguments.class_names.iter().map(|(name, _)| ("--class-names", name)))
    {
        ensure!(
            found.iter().any(|(given, ..)| given == name),
            "{option} {name}=…: no trained model is given under the name {name}; give it with --add {name}=FILE"
        );
    }
    found
        .into_iter()
        .map(|(name, kind, path, model, class_names)| {
            let last = |of: &[(String, PathBuf)]| {
                of.iter().rev().find(|(given, _)| given == name).map(|(_, path)| path.clone())
            };
            let named = arguments.model.iter().rev().find(|(given, _)| given == name);
            let class_names = class_names.or_else(|| last(&arguments.class_names));
            Ok(Trained {
                name: ModelName::new(name),
                kind,
                path: hub::resolve(path)?,
                model: model.or_else(|| named.map(|(_, model)| model.clone())),
                class_names: class_names.as_deref().map(read_names).transpose()?,
            })
        })
        .collect()
}

/// The models of the configuration that are to be trained: those that were asked for, and all where no model was.
fn to_train(arguments: &Excavate, config: &InvestigationConfig, given: &[Trained]) -> Result<Vec<ModelName>> {
    if arguments.train.is_empty() && given.is_empty() {
        return Ok(config.models().to_vec());
    }
    let mut names = Vec::new();
    for name in &arguments.train {
        config.recipe(ModelName::new(name))?;
        names.push(ModelName::new(name));
    }
    Ok(names)
}

/// The data, or Sherds where none are given and no model is that was trained on others.
fn source<'a>(arguments: &'a Excavate, given: &[Trained]) -> Result<&'a str> {
    if let Some(source) = &arguments.data {
        return Ok(source);
    }
    for Trained { path, .. } in given {
        let card = read_card(path)?;
        require_sherds_classes(path, &card.map(|card| card.classes).unwrap_or_default())?;
    }
    Ok("sherds")
}

#[derive(Serialize)]
struct Headlines {
    report: String,
    findings: String,
    /// Whether the models can be trusted, a paragraph a model.
    trust: Vec<String>,
    headlines: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// One sentence; what was found until then is kept.
pub fn run(arguments: &Excavate, global: &Global, printer: &Printer) -> Result<()> {
    let mut overrides = arguments.set.clone();
    overrides.extend(global.overrides());
    overrides.extend(global.precision_as("studies.precision"));
    let config = match &arguments.config {
        None => InvestigationConfig::parse(configs::EXCAVATE, &overrides, arguments.quick)?,
        Some(path) => match BuiltIn::meant_by(path) {
            Some(config) => InvestigationConfig::parse(config.text, &overrides, arguments.quick)?,
            None => InvestigationConfig::read(path, &overrides, arguments.quick)?,
        },
    };
    let device = device::by_name(&global.device, &config.precisions()?)?;
    for note in config.notes()? {
        printer.note(note);
    }
    let trained = trained(arguments)?;
    let train = to_train(arguments, &config, &trained)?;
    let given: Vec<Given> = trained
        .iter()
        .map(|Trained { name, kind, path, model, class_names }| Given {
            name: *name,
            kind: *kind,
            path,
            model: model.as_deref(),
            class_names: class_names.as_deref(),
        })
        .collect();
    let source = source(arguments, &trained)?;
    interrupt::keeps(format!(
        "what was found until now is kept in {}; run the same command again to go on from there",
        arguments.out.display()
    ));
    let bars = Bars::default();
    let request = Request {
        source,
        strict: arguments.strict,
        config,
        given: &given,
        train: &train,
        out: &arguments.out,
        device: &device,
        environment: environment(global),
        title: arguments.title.as_deref(),
    };
    let investigation = excavate(&request, &bars)?;
    bars.finish();
    say_skipped(&investigation.data.skipped, printer);
    for note in &investigation.data.notes {
        printer.note(note);
    }

    let path = |name: &str| arguments.out.join(name).display().to_string();
    let told = told(&investigation)?;
    let sentences = |claims: Vec<Claim>| -> Vec<String> {
        claims.into_iter().map(|claim| format!("{} {}", claim.statement, claim.evidence)).collect()
    };
    let headlines = Headlines {
        report: path("report.html"),
        findings: path("findings"),
        trust: sentences(told.opening),
        headlines: sentences(told.summary),
    };
    printer.result(&headlines, |result| {
        let list = |lines: &[String]| lines.iter().map(|line| format!("- {line}\n")).collect::<String>();
        let (trust, others) = (list(&result.trust), list(&result.headlines));
        format!(
            "Can it be trusted, and when does it fail?\n{trust}\nWhat was found:\n{others}\nReport: {}",
            result.report
        )
    })
}
