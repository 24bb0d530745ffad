//! `archaeo excavate`: the whole investigation.

use std::path::PathBuf;

use anyhow::Result;
use archaeo_experiments::investigation::{Given, InvestigationConfig, Request, excavate};
use archaeo_experiments::report::{Claim, claims};
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

fn given<'a>(
    path: &'a Option<PathBuf>,
    model: &'a Option<String>,
    class_names: &'a Option<Vec<String>>,
) -> Option<Given<'a>> {
    Some(Given { path: path.as_deref()?, model: model.as_deref(), class_names: class_names.as_deref() })
}

/// The data, or Sherds where none are given and no model is that was trained on others.
fn source<'a>(arguments: &'a Excavate, given: [&Option<PathBuf>; 2]) -> Result<&'a str> {
    if let Some(source) = &arguments.data {
        return Ok(source);
    }
    for path in given.into_iter().flatten() {
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
    let resolve = |weights: &Option<PathBuf>| weights.as_deref().map(hub::resolve).transpose();
    let (vit, cnn) = (resolve(&arguments.vit)?, resolve(&arguments.cnn)?);
    let names = |file: &Option<PathBuf>| file.as_deref().map(read_names).transpose();
    let (vit_names, cnn_names) = (names(&arguments.vit_class_names)?, names(&arguments.cnn_class_names)?);
    let source = source(arguments, [&vit, &cnn])?;
    interrupt::keeps(format!(
        "what was found until now is kept in {}; run the same command again to go on from there",
        arguments.out.display()
    ));
    let bars = Bars::default();
    let request = Request {
        source,
        strict: arguments.strict,
        config,
        vit: given(&vit, &arguments.vit_model, &vit_names),
        cnn: given(&cnn, &arguments.cnn_model, &cnn_names),
        out: &arguments.out,
        device: &device,
        environment: environment(global),
    };
    let investigation = excavate(&request, &bars)?;
    bars.finish();
    say_skipped(&investigation.data.skipped, printer);
    for note in &investigation.data.notes {
        printer.note(note);
    }

    let path = |name: &str| arguments.out.join(name).display().to_string();
    let (trust, others): (Vec<Claim>, Vec<Claim>) =
        claims(&investigation).into_iter().partition(|claim| claim.section == "trust");
    let sentences = |claims: Vec<Claim>| -> Vec<String> {
        claims.into_iter().map(|claim| format!("{} {}", claim.statement, claim.evidence)).collect()
    };
    let headlines = Headlines {
        report: path("report.html"),
        findings: path("findings"),
        trust: sentences(trust),
        headlines: sentences(others),
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
