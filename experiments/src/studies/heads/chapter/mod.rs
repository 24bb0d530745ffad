//! What heads and layers are worth, measured by taking them away.

mod apart;
mod together;

use archaeo_analysis::ablation::RemovalPoint;
use archaeo_report::document::{Block, Column, Section, Table, Text};
use archaeo_report::numbers::{Unit, counted};

use super::HeadsStudy;
use super::claims::{Verdict, branches_of, claims, costly_layers, with};
use super::findings::{HeadFindings, Reference};
use crate::report::Names;
use crate::report::method::definition;
use crate::report::shown::model_by_model;
use crate::study::{Chapter, Study};
use crate::subjects::{ByModel, ModelName};

pub(super) fn chapter(findings: &ByModel<HeadFindings>, names: &Names) -> Chapter {
    let side_by_side = || side_by_side(findings, names);
    let of_model = |found: &HeadFindings, model| of_model(found, model, names);
    let blocks = model_by_model(findings, names, side_by_side, of_model);
    let section = Section { id: HeadsStudy::ID, title: HeadsStudy::TITLE, blocks };
    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.definitions = definitions();
    if findings.values().any(|found| !found.ranking.is_empty()) {
        chapter.limitations = vec![
            "Heads were taken away one at a time: heads that stand in for each other look unimportant."
                .into(),
        ];
    }
    if let Some(found) = findings.values().next() {
        chapter.sample = Some(("ablation", found.n));
        let head = found.ranking.first().map(|head| ("Head ablation", head.mean.clone()));
        let agreement = found.gradient_agreement.clone().map(|found| ("Gradient against ablation", found));
        chapter.intervals = head.into_iter().chain(agreement).collect();
    }
    chapter
}

fn definitions() -> Vec<(String, Text)> {
    vec![
        definition(
            "Head ablation",
            "Change in loss when a head's output is replaced by its mean over reference images, which are not evaluated, by zero, or by another image's. \
             Zero tends to overstate importance, so that the mean ranks. Whether a head is needed is decided by a \
             two-sided sign-flip permutation test of the mean change in loss over the same images: how often random signs \
             of the images' changes give a mean as large. Its interval inverts the test, so that the two agree. p-values \
             are adjusted over all heads (Benjamini and Hochberg, 1995).",
            &[],
        ),
        definition(
            "Ablation of layers",
            "Change in loss when what the attention, the MLP or both add to the residual stream of a transformer, or the branch of a \
             residual block, is replaced by its mean over reference images, for each position, or by nothing, so that the block is \
             skipped. Tested as heads are, with p-values adjusted over all branches of a model.",
            &[("Veit et al., 2016", "https://arxiv.org/abs/1605.06431")],
        ),
        definition(
            "Head importance by gradient",
            "Mean over images of |∂loss/∂gate| for a gate on the head's output.",
            &[("Michel et al., 2019", "https://arxiv.org/abs/1905.10650")],
        ),
    ]
}

/// What the claims rest on, model by model.
fn side_by_side(findings: &ByModel<HeadFindings>, names: &Names) -> Table {
    let row = |(model, found): (ModelName, &HeadFindings)| {
        let of_heads = |number: usize| match found.ranking.is_empty() {
            true => Text::from("–"),
            false => number.to_string().into(),
        };
        let layers = costly_layers(found);
        vec![
            Text::from(names.bare(model)),
            Unit::Percent.cell(&found.baseline),
            of_heads(found.ranking.len()),
            of_heads(with(found, Verdict::Needed)),
            of_heads(with(found, Verdict::BetterWithout)),
            found.gradient_agreement.as_ref().map_or("–".into(), |found| Unit::Coefficient.cell(found)),
            layers.map_or("–".into(), |(costly, layers)| format!("{costly} of {layers}").into()),
        ]
    };
    Table {
        caption: "Each model: accuracy with everything in place, how many heads it measurably needs, how many it would do better without, \
                  Spearman's ρ of their ranking by gradient with that by ablation, and how many layers or blocks it measurably needs."
            .into(),
        columns: vec![
            Column::words("Model"),
            Column::numbers("Accuracy"),
            Column::numbers("Heads"),
            Column::numbers("Needed"),
            Column::numbers("Better without"),
            Column::numbers("ρ of the gradient"),
            Column::numbers("Layers needed"),
        ],
        rows: findings.iter().map(row).collect(),
    }
}

fn of_model(findings: &HeadFindings, model: ModelName, names: &Names) -> Vec<Block> {
    let images = counted(findings.n, "image");
    let Reference { split, images: means } = &findings.reference;
    let (parts, whole) = match findings.ranking.len() {
        0 => (counted(branches_of(findings).count(), "block"), "everything in place"),
        heads => (counted(heads, "head"), "all heads"),
    };
    let mut blocks = vec![Block::Paragraph(
        format!(
            "Each of {parts} is taken away in turn and the loss measured again on the same {images}. With {whole} \
             {} classifies {} of them correctly. Means are taken from {} of the split “{split}”, none of which is among \
             those evaluated.{}",
            names.the(model),
            Unit::Percent.sentence(&findings.baseline),
            counted(*means, "other image"),
            findings.removal.map_or_else(String::new, |point| format!(" {}", removal(point)))
        )
        .into(),
    )];
    if !findings.ranking.is_empty() {
        blocks.push(apart::ranking(findings, names.series(model), &images));
        blocks.push(apart::three_ways(findings));
    }
    if let Some(found) = &findings.together {
        blocks.extend(together::together(found));
    }
    if !findings.ranking.is_empty() {
        blocks.push(Block::Folded { title: "All heads in numbers".into(), table: apart::table(findings) });
    }
    blocks
}

/// Where heads of a cascade were taken away.
fn removal(point: RemovalPoint) -> &'static str {
    match point {
        RemovalPoint::Output => {
            "Its heads form a cascade, in which each reads the output of the one before it: without a head's output, the inputs of \
             all later heads of its layer change, so that its worth includes what they do with it."
        }
        RemovalPoint::Contribution => {
            "Its heads form a cascade, in which each reads the output of the one before it: taken away is only what a head adds to \
             the residual stream, while the later heads of its layer still read its output."
        }
    }
}
