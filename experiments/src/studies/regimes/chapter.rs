//! The regimes' tables, curves and sentences as a chapter.

use archaeo_report::Claim;
use archaeo_report::document::{Block, Section, Text};

use super::RegimesStudy;
use super::findings::RegimesFindings;
use crate::regimes::page::{claims, definitions, figures, tables};
use crate::report::Names;
use crate::report::names::capitalised;
use crate::study::{Chapter, Study};
use crate::subjects::ModelName;

pub(super) fn chapter(findings: &RegimesFindings, names: &Names) -> Chapter {
    let RegimesFindings { compared, left_out, without_attention } = findings;
    let mut blocks = vec![
        Block::Table(tables::overview(compared)),
        figures::curves(compared),
        Block::Table(tables::advice(compared)),
        Block::Table(tables::pairs(compared)),
    ];
    blocks.extend(figures::attention(compared));
    let said = |what: &str, reasons: &[(ModelName, String)]| -> Vec<Block> {
        let sentence = |(name, reason): &(ModelName, String)| {
            let text = format!("{} {what}: {reason}.", capitalised(&names.the(*name)));
            Block::Paragraph(Text::from(text))
        };
        reasons.iter().map(sentence).collect()
    };
    blocks.extend(said("is not among the regimes", left_out));
    blocks.extend(said("is not held against its attention before training", without_attention));
    let claims = claims::claims(compared).into_iter();
    let claims = claims.map(|claim| Claim { section: RegimesStudy::ID, ..claim }).collect();
    let section = Section { id: RegimesStudy::ID, title: RegimesStudy::TITLE, blocks };
    let mut chapter = Chapter::new(section, claims);
    chapter.definitions = definitions(compared);
    chapter.limitations.push(
        "One training stands for each regime: intervals are over test images and say nothing about other seeds. Recipes may differ in \
         more than the regime, such as their epochs and learning rates; the provenance has them in full."
            .into(),
    );
    if let Some(run) = compared.regimes.first().and_then(|regime| regime.runs.first()) {
        chapter.intervals.push(("Accuracy of a regime", run.accuracy.clone()));
    }
    if let Some(pair) = compared.pairs.first() {
        chapter.intervals.push(("Difference of two regimes", pair.difference.clone()));
    }
    chapter
}
