//! `archaeo excavate`: the whole investigation.

use std::path::PathBuf;

use anyhow::Result;
use archaeo_experiments::investigation::{Given, InvestigationConfig, Request, excavate};
use archaeo_experiments::report::claims;
use serde::Serialize;

use super::{environment, say_skipped};
use crate::cli::{Excavate, Global};
use crate::device;
use crate::hub;
use crate::printer::Printer;
use crate::progress::{Bars, listen_for_interrupt};

/// What is investigated when no configuration is named.
const DEFAULT_CONFIG: &str = include_str!("../../../configs/excavate.toml");

fn given<'a>(path: &'a Option<PathBuf>, model: &'a Option<String>) -> Option<Given<'a>> {
    Some(Given { path: path.as_deref()?, model: model.as_deref() })
}

#[derive(Serialize)]
struct Headlines {
    report: String,
    findings: String,
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
        None => InvestigationConfig::parse(DEFAULT_CONFIG, &overrides, arguments.quick)?,
        Some(path) => InvestigationConfig::read(path, &overrides, arguments.quick)?,
    };
    let device = device::by_name(&global.device, &config.precisions()?)?;
    let resolve = |weights: &Option<PathBuf>| weights.as_deref().map(hub::resolve).transpose();
    let (vit, cnn) = (resolve(&arguments.vit)?, resolve(&arguments.cnn)?);
    listen_for_interrupt()?;

    let bars = Bars::default();
    let request = Request {
        source: &arguments.data,
        strict: arguments.strict,
        config,
        vit: given(&vit, &arguments.vit_model),
        cnn: given(&cnn, &arguments.cnn_model),
        out: &arguments.out,
        device: &device,
        environment: environment(global),
    };
    let investigation = excavate(&request, &bars)?;
    bars.finish();
    say_skipped(&investigation.data.skipped, printer);

    let path = |name: &str| arguments.out.join(name).display().to_string();
    let headlines = Headlines {
        report: path("report.html"),
        findings: path("findings"),
        headlines: claims(&investigation)
            .into_iter()
            .map(|claim| format!("{} {}", claim.statement, claim.evidence))
            .collect(),
    };
    printer.result(&headlines, |result| {
        let lines: String = result.headlines.iter().map(|line| format!("- {line}\n")).collect();
        format!("What was found:\n{lines}\nReport: {}", result.report)
    })
}
