//! Which explanations say what an answer depends on.

use archaeo_analysis::faithfulness::NEGLIGIBLE;
use archaeo_analysis::statistics::{Better, Estimate, Measured, SignFlipTest};
use archaeo_report::Claim;
use archaeo_report::document::{
    Block, Column, Figure, Panel, Picture, PictureGrid, PictureRow, Section, Table, Text,
};
use archaeo_report::numbers::{Unit, counted, percent};

use super::findings::{CausalFindings, CausalImage, CausalScore, ModelTruth};
use super::{CausalStudy, verdict};
use crate::report::Names;
use crate::report::method::definition;
use crate::report::names::{capitalised, listed};
use crate::report::shown::in_lab;
use crate::study::{Chapter, Study};
use crate::subjects::ModelName;

pub(super) fn chapter(findings: &CausalFindings, names: &Names) -> Chapter {
    let intro = format!(
        "The program that draws these images can draw each of them again without one of its parts, and with everything else, the \
         noise included, the same. What the margin between the class that a model names and its runner-up loses is the model's own \
         truth about that part. Over {}, every heatmap is asked whether it has most of its mass on what matters most.",
        counted(findings.images, "image")
    );
    let mut blocks = vec![Block::Paragraph(intro.into())];
    for (model, truth) in findings.models.iter() {
        if findings.models.len() > 1 {
            blocks.push(Block::Heading(capitalised(&names.the(model))));
        }
        blocks.extend(truth.shown.as_ref().map(|shown| figure(shown, &names.the(model))));
        blocks.push(parts(truth));
        blocks.push(changes(truth));
        blocks.push(ranking(truth));
        blocks.push(Block::List(agreements(truth).into()));
    }
    let section = Section { id: CausalStudy::ID, title: CausalStudy::TITLE, blocks };
    let claims = findings.models.iter().flat_map(|(model, truth)| claims(model, truth, names)).collect();
    let mut chapter = Chapter::new(section, claims);
    chapter.definitions = definitions();
    chapter.sample = Some(("images drawn again", findings.images));
    let first = findings.models.values().next();
    let score = first.and_then(|truth| truth.methods.first());
    chapter.intervals.extend(score.map(|score| ("Single deletion", score.single_deletion.clone())));
    let agreement = first.and_then(|truth| truth.agreement.mask_and_causal.known());
    chapter.intervals.extend(agreement.map(|agreement| ("Agreement of rankings", agreement.clone())));
    chapter.limitations.push(
        "Parts are removed one at a time, so that what two of them do only together is not seen. Where texture lies in the same \
         pixels as the object's parts, no heatmap can tell them apart: it is measured and not ranked."
            .into(),
    );
    chapter
}

fn definitions() -> Vec<(String, Text)> {
    let meaning = format!(
        "Factors: boundary and interior of the object, each piece of clutter in front of it and behind it, and the background, which \
         divide the pixels between them. Effect: loss of the margin, the logit of the class named less that of its runner-up, when \
         the factor alone is removed. Single deletion: Spearman's correlation, over the factors of an image, of a heatmap's mass and \
         the effect. Strength: the same for the size of the effect, whatever its sign. Contrastivity: single deletion for the difference \
         between the maps of class and runner-up; 0 for maps that do not know the class. Background independence: share of the mass that is not on factors that change the margin by less than \
         {}. Preserved and lost: whether the answer stays with only, or goes without, the factors on which a heatmap has more mass \
         than an even one. Heatmaps have negative values set to zero and sum to one.",
        percent(NEGLIGIBLE)
    );
    let sources = [("Hesse et al., 2023", "https://arxiv.org/abs/2308.06248")];
    vec![definition("Scores against cause and effect", &meaning, &sources)]
}

fn figure(shown: &CausalImage, the: &str) -> Block {
    let label = |name: &str, score: f64| format!("{name}, {}", Unit::Coefficient.value(score));
    let mut pictures = vec![
        Picture::new(&shown.image.picture, format!("Image {}", shown.image.index))
            .labelled("image")
            .in_lab(in_lab(shown.image.index, "explanations", None)),
        Picture::new(&shown.factors, "Parts of the image in the colour of their effect")
            .labelled("measured effect"),
    ];
    pictures.extend(shown.maps.iter().map(|map| {
        Picture::new(&map.shown.picture, format!("Heatmap of {}", map.method))
            .labelled(label(&map.method, map.single_deletion))
    }));
    let rows = shown.effects.iter().map(|factor| {
        let share = factor.effect / shown.margin;
        vec![
            Text::from(factor.name.clone()),
            percent(factor.share).into(),
            Unit::Coefficient.value(factor.effect).into(),
            if share.is_finite() { percent(share).into() } else { "none".into() },
        ]
    });
    Block::Figure(Figure {
        title: format!("What {the} depends on in one image, and what heatmaps say."),
        caption: "Red parts speak for the answer: without them its margin shrinks. Blue ones speak against it, white ones do nothing. \
                  Then the two explanations nearest to that on this image and the one farthest from it, with their single deletion. \
                  Heatmaps have scales of their own."
            .into(),
        panels: vec![Panel::Pictures(PictureGrid {
            columns: None,
            rows: vec![PictureRow { name: shown.image.identifier.clone(), pictures }],
            legend: None,
            kinds: Vec::new(),
        })],
        data: Some(Table {
            caption: "Measured effect of each part.".into(),
            columns: vec![
                Column::words("Part"),
                Column::numbers("Covers"),
                Column::numbers("Loss of margin"),
                Column::numbers("Share of margin"),
            ],
            rows: rows.collect(),
        }),
    })
}

fn parts(truth: &ModelTruth) -> Block {
    let rows = truth.kinds.iter().map(|of| {
        vec![
            Text::from(of.kind.to_string()),
            percent(of.share).into(),
            Unit::Coefficient.cell(&of.effect),
            percent(of.negligible).into(),
        ]
    });
    Block::Table(Table {
        caption: format!(
            "What one part of an image does when it alone is removed: loss of the margin in logits, mean over images, and the share \
             of such parts that change it by less than {}.",
            percent(NEGLIGIBLE)
        )
        .into(),
        columns: vec![
            Column::words("Part"),
            Column::numbers("Covers"),
            Column::numbers("Loss of margin"),
            Column::numbers("Negligible"),
        ],
        rows: rows.collect(),
    })
}

fn changes(truth: &ModelTruth) -> Block {
    let rows = truth.changes.iter().map(|of| {
        vec![Text::from(of.change.title()), Unit::Coefficient.cell(&of.effect), Unit::Percent.cell(&of.kept)]
    });
    Block::Table(Table {
        caption: "What larger changes of the scene do.".into(),
        columns: vec![
            Column::words("Change"),
            Column::numbers("Loss of margin"),
            Column::numbers("Same answer"),
        ],
        rows: rows.collect(),
    })
}

/// Whether an explanation is better than random, and than the centre; nothing of baselines.
fn judged(score: &CausalScore) -> Text {
    let sign = |test: &Option<SignFlipTest>| match test.as_ref().map(|test| verdict(Some(test))) {
        Some(Better::Yes) => "yes",
        Some(Better::No) => "no",
        Some(Better::CannotBeTold) => "?",
        None => "–",
    };
    match score.baseline {
        true => Text::new(),
        false => format!("{} / {}", sign(&score.over_random), sign(&score.over_centre)).into(),
    }
}

fn ranking(truth: &ModelTruth) -> Block {
    let rows = truth.methods.iter().map(|score| {
        let cell = |estimate: &Estimate| Unit::Coefficient.cell(estimate);
        vec![
            Text::from(capitalised(&score.method)),
            cell(&score.single_deletion),
            judged(score),
            Unit::Coefficient.measured(&score.strength),
            cell(&score.contrastivity),
            Unit::Percent.measured(&score.independence),
            Unit::Percent.cell(&score.preserved),
            Unit::Percent.cell(&score.lost),
            cell(&score.auroc),
            cell(&score.deletion),
        ]
    });
    Block::Table(Table {
        caption: format!(
            "Explanations by their single deletion over {}, then heatmaps that know nothing of the model. Better than random / than the \
             centre: by single deletion, image by image; yes, no (worse), or ? where these images do not tell (sign-flip permutation, \
             adjusted over all models, explanations and both). A smaller deletion is better.",
            counted(truth.n, "image")
        )
        .into(),
        columns: vec![
            Column::words("Heatmap"),
            Column::numbers("Single deletion"),
            Column::words("Better than random / centre"),
            Column::numbers("Strength"),
            Column::numbers("Contrastivity"),
            Column::numbers("Background independence"),
            Column::numbers("Preserved"),
            Column::numbers("Lost"),
            Column::numbers("AUROC of the mask"),
            Column::numbers("Deletion"),
        ],
        rows: rows.collect(),
    })
}

fn agreements(truth: &ModelTruth) -> [Text; 3] {
    let said = |names: &str, measured: &Measured| match measured {
        Measured::Known(agreement) => {
            format!(
                "Rank correlation over explanations of {names}: {}.",
                Unit::Coefficient.sentence(agreement)
            )
        }
        Measured::Undefined { undefined } => {
            format!("Rankings by {names} cannot be compared, because {undefined}.")
        }
    };
    let of = &truth.agreement;
    [
        said("AUROC of the mask and single deletion", &of.mask_and_causal).into(),
        said("deletion and single deletion", &of.deletion_and_causal).into(),
        said("AUROC of the mask and deletion", &of.mask_and_deletion).into(),
    ]
}

/// One claim for the methods, one for the agreement of scores.
fn claims(model: ModelName, truth: &ModelTruth, names: &Names) -> Vec<Claim> {
    let explanations: Vec<&CausalScore> = truth.methods.iter().filter(|score| !score.baseline).collect();
    let random = truth.methods.iter().find(|score| score.id == "random");
    let (Some(best), Some(random)) = (explanations.first(), random) else { return Vec::new() };
    let the = names.the(model);
    let better = |of: fn(&CausalScore) -> Option<&SignFlipTest>| -> Vec<String> {
        let chosen = explanations.iter().filter(|score| verdict(of(score)) == Better::Yes);
        chosen.map(|score| score.method.clone()).collect()
    };
    let subjects = |better: &[String]| match better.len() {
        0 => "no explanation is".to_owned(),
        1 => format!("{} is", better[0]),
        n if n == explanations.len() => format!("all {n} explanations are"),
        n if n > 6 => format!("{n} of {} explanations are", explanations.len()),
        _ => format!("{} are", listed(better)),
    };
    let over_random = better(|score| score.over_random.as_ref());
    let over_centre = better(|score| score.over_centre.as_ref());
    let worse: Vec<String> = explanations
        .iter()
        .filter(|score| verdict(score.over_random.as_ref()) == Better::No)
        .map(|score| score.method.clone())
        .collect();
    let mut statement = capitalised(&format!(
        "{} shown to rank the parts of an image by their effect on {the} better than a random heatmap, and {} shown to do so better \
         than the image's centre.",
        subjects(&over_random),
        subjects(&over_centre)
    ));
    if !worse.is_empty() {
        statement += &format!(" A random heatmap ranks them better than {}.", listed(&worse));
    }
    let evidence = format!(
        "Single deletion over {}: best {} {}; random {}; null 0, a heatmap whose mass has nothing to do with the effect.",
        counted(truth.n, "image"),
        best.method,
        Unit::Coefficient.sentence(&best.single_deletion),
        Unit::Coefficient.sentence(&random.single_deletion)
    );
    let mut claims =
        vec![Claim { section: CausalStudy::ID, topic: "Explanations against cause", statement, evidence }];
    if let Measured::Known(agreement) = &truth.agreement.mask_and_causal {
        let verb = if agreement.low > 0.0 {
            "rank the explanations alike"
        } else if agreement.high < 0.0 {
            "rank the explanations the other way round"
        } else {
            "are not shown to rank the explanations alike"
        };
        claims.push(Claim {
            section: CausalStudy::ID,
            topic: "Benchmarks of explanations",
            statement: format!("For {the}, overlap with the object's mask and measured effect {verb}."),
            evidence: format!(
                "Spearman's correlation of mean scores over {}: {}; null 0, rankings that have nothing to do with each other.",
                counted(explanations.len(), "explanation"),
                Unit::Coefficient.sentence(agreement)
            ),
        });
    }
    claims
}
