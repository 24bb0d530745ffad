//! The page of a profile.

mod claims;
mod figures;
mod method;
mod tables;

use std::path::Path;

use archaeo_analysis::statistics::Estimate;
use archaeo_report::document::{Block, Document, Section};
use archaeo_report::numbers::{count, counted, decimal};
use archaeo_store::StoreError;

use super::Profile;
use crate::report::write_document;

/// Writes `report.html`, `report.md` and the charts that the latter links to into `folder`.
///
/// # Errors
/// A folder that cannot be written.
pub fn write(profile: &Profile, folder: &Path) -> Result<(), StoreError> {
    write_document(&document(profile), folder)
}

fn document(profile: &Profile) -> Document {
    let mut cost = vec![Block::Claims(claims::claims(profile)), Block::Table(tables::costs(profile))];
    if profile.models.iter().any(|model| model.random_weights) {
        let random =
            "Models named without weights have random ones: time and memory do not depend on their values.";
        cost.push(Block::Paragraph(random.into()));
    }
    let mut sections = vec![Section { id: "cost", title: "What an answer costs", blocks: cost }];
    if profile.models.iter().any(|model| model.sizes.len() > 1) {
        let blocks = vec![figures::growth(profile), Block::Table(tables::growth(profile))];
        sections.push(Section { id: "growth", title: "How cost grows with resolution", blocks });
    }
    if !profile.patches.is_empty() {
        let blocks = vec![figures::patches(profile)];
        sections.push(Section { id: "patches", title: "From image to tokens", blocks });
    }
    if !profile.queries.is_empty() {
        let blocks = vec![figures::queries(profile)];
        sections.push(Section { id: "windows", title: "What one patch sees", blocks });
    }
    let method = Section { id: "method", title: "Method", blocks: vec![method::definitions(profile)] };
    sections.push(method);
    let names: Vec<&str> = profile.models.iter().map(|model| model.name.as_str()).collect();
    let environment = &profile.environment;
    Document {
        kind: "what models cost",
        title: format!("The cost of {}", names.join(", ")),
        lead: format!(
            "Forward passes in {} on {}, {}; version {} (commit {}).",
            profile.precision,
            environment.processor,
            counted(environment.threads, "thread"),
            environment.version,
            environment.commit,
        )
        .into(),
        facts: vec![("Models".into(), count(names.len()).into())],
        parts: Vec::new(),
        sections,
    }
}

/// `4.61 G`.
fn amount(number: f64) -> String {
    match number {
        few if few < 1e9 => format!("{}\u{a0}M", decimal(few / 1e6, 2)),
        many => format!("{}\u{a0}G", decimal(many / 1e9, 2)),
    }
}

fn milliseconds(seconds: &Estimate) -> Estimate {
    let Estimate { value, low, high, .. } = *seconds;
    Estimate { value: 1e3 * value, low: 1e3 * low, high: 1e3 * high, ..seconds.clone() }
}
