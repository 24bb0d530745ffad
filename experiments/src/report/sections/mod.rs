//! The chapters of the report: each turns the findings of one study into text, tables and figures.

mod accuracy;
mod attacks;
mod attention;
mod comparisons;
mod confusion;
mod data;
mod errors;
mod heads;
mod limitations;
mod localisation;
mod method;
mod models;
mod overview;
mod provenance;
mod shape_bias;
mod trust;

use crate::findings::Investigation;

use super::claims::{Claim, claims};
use archaeo_report::document::{Block, Document, Section};
use super::names::Names;

/// The whole report. Studies that have not run have no chapter; the limitations name them.
pub(super) fn document(investigation: &Investigation) -> Document {
    let names = Names::of(investigation);
    let of_studies = [
        investigation.accuracy.as_ref().map(|found| accuracy::section(found, investigation, &names)),
        investigation.attention.as_ref().map(|found| attention::section(found, investigation, &names)),
        investigation.comparisons.as_ref().map(|found| comparisons::section(found, investigation, &names)),
        investigation.heads.as_ref().map(|found| heads::section(found, &names)),
        investigation
            .attacks
            .as_ref()
            .map(|found| attacks::section(found, &investigation.data.classes, &names)),
        investigation.errors.as_ref().map(|found| errors::section(found, investigation, &names)),
        investigation.localisation.as_ref().map(|found| localisation::section(found, &names)),
        investigation.shape_bias.as_ref().map(|found| shape_bias::section(found, &names)),
    ];
    let (of_trust, others): (Vec<Claim>, Vec<Claim>) =
        claims(investigation).into_iter().partition(|claim| claim.section == "trust");
    let first = investigation
        .trust
        .as_ref()
        .map(|found| trust::section(found, of_trust, &investigation.data.classes, &names));
    let mut sections: Vec<Section> = first.into_iter().collect();
    sections.extend([summary(others), data::section(investigation), models::section(investigation)]);
    sections.extend(of_studies.into_iter().flatten());
    sections.extend([
        method::section(investigation),
        limitations::section(investigation, &names),
        provenance::section(investigation),
    ]);
    Document {
        title: overview::title(investigation),
        lead: overview::lead(investigation, &names),
        facts: overview::facts(investigation, &names),
        sections,
    }
}

fn summary(claims: Vec<Claim>) -> Section {
    let block = if claims.is_empty() {
        Block::Paragraph("No study has finished yet.".into())
    } else {
        Block::Claims(claims)
    };
    Section { id: "summary", title: "What was found", blocks: vec![block] }
}
