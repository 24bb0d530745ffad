//! The models' explanations side by side, image by image: the chapter.

use archaeo_analysis::statistics::Measured;
use archaeo_plot::{Axis, Histogram, HistogramGroup, Scale};
use archaeo_report::document::{
    Block, Column, Figure, Panel, Picture, PictureGrid, PictureRow, Section, Table, Text,
};
use archaeo_report::numbers::{Unit, count, counted, decimal, p_value, percent};

use super::ComparisonsStudy;
use super::claims::{FEW_PAIRS, claims, heatmaps_of};
use super::findings::{ComparisonFindings, HeatmapAgreement, LayerShown};
use super::shown::gallery;
use crate::findings::Investigation;
use crate::report::Names;
use crate::report::method::definition;
use crate::report::names::{capitalised, class_name};
use crate::report::shown::{heat_legend, in_lab};
use crate::studies::{AccuracyStudy, LocalisationStudy};
use crate::study::{Chapter, Study};
use crate::subjects::ModelName;

pub(super) fn chapter(
    findings: &ComparisonFindings,
    investigation: &Investigation,
    names: &Names,
) -> Chapter {
    let mut blocks = agreements(findings, names);
    blocks.push(gallery(findings, &investigation.data.classes, names));
    let title = if names.models().len() == 1 { "Explanations" } else { ComparisonsStudy::TITLE };
    let section = Section { id: ComparisonsStudy::ID, title, blocks };
    Chapter {
        definitions: definitions(names),
        limitations: limitations(findings, investigation, names),
        frontispiece: frontispiece(findings, investigation, title, names),
        ..Chapter::new(section, claims(findings, names))
    }
}

/// One image through every layer of every model.
fn frontispiece(
    findings: &ComparisonFindings,
    investigation: &Investigation,
    chapter: &str,
    names: &Names,
) -> Option<Block> {
    let item = findings.items.first()?;
    let classes = &investigation.data.classes;
    if findings.depth.values().all(Vec::is_empty) {
        return None;
    }
    let row = |(model, layers): (ModelName, &Vec<LayerShown>)| {
        let the = names.the(model);
        let of_layer = |layer: &LayerShown| {
            let alt = format!("{} of {the} over image {}", layer.layer, item.index);
            Picture::new(&layer.shown.picture, capitalised(&alt)).labelled(&layer.layer).in_lab(in_lab(
                item.index,
                "attention",
                Some(model),
            ))
        };
        let whole = item.heatmaps.get(model).zip(findings.methods.get(model)).map(|(shown, method)| {
            let alt = format!("{} of {the} over image {}", capitalised(method), item.index);
            Picture::new(&shown.picture, alt).labelled(method).in_lab(in_lab(
                item.index,
                "explanations",
                Some(model),
            ))
        });
        let said = item.predictions.get(model).map_or_else(String::new, |&(class, probability)| {
            let verdict = if class == item.label { "correct" } else { "wrong" };
            format!(": “{}”, {}, {verdict}", class_name(classes, class), percent(probability))
        });
        PictureRow {
            name: format!("{}{said}", names.bare(model)),
            pictures: layers.iter().map(of_layer).chain(whole).collect(),
        }
    };
    let label = class_name(classes, item.label);
    let image = PictureRow {
        name: format!("Image {}, “{label}”", item.index),
        pictures: vec![Picture::new(&item.picture, format!("Image {} of class {label}", item.index))],
    };
    let grid = PictureGrid {
        columns: None,
        rows: std::iter::once(image).chain(findings.depth.iter().map(row)).collect(),
        legend: Some(heat_legend("Maps")),
        kinds: Vec::new(),
    };
    let any = |attends: bool, said: &'static str| {
        let models = &investigation.models;
        let some = models.iter().any(|model| (model.card.network.attention_layers() > 0) == attends);
        if some { said } else { "" }
    };
    Some(Block::Figure(Figure {
        title: "One image through every layer.".into(),
        caption: format!(
            "The first image of “{chapter}”, whatever is answered to it.{}{} Last comes the explanation that is tested below; a layer's map \
             shows what is there, not what decides. Each map has its own scale.",
            any(true, " Transformers: the attention that what is read pays to the patches, mean over heads."),
            any(false, " Convolutional networks: the mean size of the features after each stage.")
        )
        .into(),
        panels: vec![Panel::Pictures(grid)],
        data: None,
    }))
}

fn definitions(names: &Names) -> Vec<(String, Text)> {
    let models = names.models();
    let mut terms = Vec::new();
    if models.is_empty() || models.iter().any(|model| !names.explains_answer(*model)) {
        terms.push(definition(
            "Rollout",
            "Attention averaged over heads, with half of the identity added for the residual path, multiplied through all \
             layers, from the tokens that the model's head reads. Attention within windows is a matrix with nothing outside of them; patches that were merged share \
             equally.",
            &[("Abnar and Zuidema, 2020", "https://arxiv.org/abs/2005.00928")],
        ));
    }
    if models.len() != 1 {
        let agreement = match models.len() {
            2 => {
                "Rank correlation of both models' heatmaps of one image, minus the mean rank correlation of either with the other \
                 model's heatmaps of all other images. The p-value comes from pairing the images' heatmaps at random."
            }
            _ => {
                "Rank correlation of two models' heatmaps of one image, minus the mean rank correlation of either with the other \
                 one's heatmaps of all other images. The p-value comes from pairing the images' heatmaps at random."
            }
        };
        terms.push(definition("Agreement of heatmaps", agreement, &[]));
    }
    if models.is_empty() || models.iter().any(|model| names.explains_answer(*model)) {
        terms.push(definition(
            "Grad-CAM",
            "Feature maps of the last stage, weighted by the spatial mean of the class score's gradient, negative parts \
             dropped. Each cell is drawn where it stands in the grid of the features, although strided convolutions with \
             padding see places up to half a cell higher and further left.",
            &[("Selvaraju et al., 2017", "https://arxiv.org/abs/1610.02391")],
        ));
    }
    terms
}

fn limitations(findings: &ComparisonFindings, investigation: &Investigation, names: &Names) -> Vec<String> {
    let shown = match names.models().len() {
        1 => format!("{} explained", counted(findings.items.len(), "image")),
        _ => format!("{} shown side by side", counted(findings.items.len(), "comparison")),
    };
    let are = if findings.items.len() == 1 { "is" } else { "are" };
    let mut items =
        vec![format!("The {shown} {are} a selection ({}).", findings.selection.trim_end_matches('.'))];
    let has = |study: &str| investigation.studies.contains_key(study);
    if has(AccuracyStudy::ID) && !has(LocalisationStudy::ID) {
        items.push(
            "The explanations were not scored against ground truth, for this data has no object masks."
                .into(),
        );
    }
    items
}

/// How far every two models' heatmaps agree: a chart for each pair, or for many pairs a table alone.
fn agreements(findings: &ComparisonFindings, names: &Names) -> Vec<Block> {
    match &findings.pairs[..] {
        [] => Vec::new(),
        [pair] => vec![of_one_pair(findings, pair, names)],
        pairs => {
            let mut blocks = Vec::new();
            if pairs.len() <= FEW_PAIRS {
                blocks.push(Block::Figure(Figure {
                    title: "Do they look at the same places?".into(),
                    caption: "Rank correlation of every two models' heatmaps of the same image.".into(),
                    panels: (0..pairs.len()).map(|place| chart(findings, place, names)).collect(),
                    data: None,
                }));
            }
            blocks.push(table(pairs, names));
            blocks
        }
    }
}

/// The agreement of a pair on each image, of those that have one.
fn values(findings: &ComparisonFindings, place: usize) -> Vec<f64> {
    let known = findings.items.iter().filter_map(|item| item.agreements.get(place)?.known().copied());
    known.filter(|agreement| agreement.is_finite()).collect()
}

fn chart(findings: &ComparisonFindings, place: usize, names: &Names) -> Panel {
    let models = findings.pairs[place].models;
    let title = match findings.pairs.len() {
        1 => "Agreement of the two explanations".into(),
        _ => format!("Agreement of {} and {}", names.bare(models[0]), names.bare(models[1])),
    };
    let heatmaps = heatmaps_of(models, names);
    Panel::chart(&Histogram {
        title,
        description: format!("How many images have which rank correlation between {heatmaps}"),
        x: Axis::new(format!("rank correlation of {heatmaps}"), Scale::Linear).including(-1.0, 1.0),
        bins: 20,
        groups: vec![HistogramGroup { name: "images".into(), values: values(findings, place) }],
    })
}

fn of_one_pair(findings: &ComparisonFindings, pair: &HeatmapAgreement, names: &Names) -> Block {
    let spread = match &pair.spread {
        Some(spread) => format!(
            " The median is {}, the middle half lies between {} and {}.",
            decimal(spread.median, 2),
            decimal(spread.lower, 2),
            decimal(spread.upper, 2)
        ),
        None => String::new(),
    };
    Block::Figure(Figure {
        title: "Do both look at the same places?".into(),
        caption: format!(
            "Rank correlation of the heatmaps for {}.{spread}{}{}",
            counted(values(findings, 0).len(), "image"),
            null(pair),
            left_out(pair)
        )
        .into(),
        panels: vec![chart(findings, 0, names)],
        data: None,
    })
}

/// What heatmaps of different images share.
fn null(pair: &HeatmapAgreement) -> String {
    let Measured::Known(found) = &pair.agreement else { return String::new() };
    let pairing = &found.pairing;
    format!(
        " Agreement has to be held against that of heatmaps of different images, which is {} on average, for both models may mark \
         the same places whatever the image shows: the mean is {} above it.",
        Unit::Coefficient.value(pairing.apart.value),
        Unit::Coefficient.sentence(&pairing.difference)
    )
}

fn left_out(pair: &HeatmapAgreement) -> String {
    match pair.constant {
        0 => String::new(),
        n => format!(" Left out, because a heatmap is constant: {}.", counted(n, "image")),
    }
}

fn table(pairs: &[HeatmapAgreement], names: &Names) -> Block {
    let row = |pair: &HeatmapAgreement| -> Vec<Text> {
        let models = pair.models.map(|model| format!("{} {}", names.bare(model), names.explained_by(model)));
        let spread = pair.spread.map_or("–".into(), |spread| {
            let [median, lower, upper] =
                [spread.median, spread.lower, spread.upper].map(|value| decimal(value, 2));
            format!("{median}, {lower} to {upper}")
        });
        let numbers = match &pair.agreement {
            Measured::Known(found) => {
                let pairing = &found.pairing;
                let estimate = |estimate| Unit::Coefficient.cell(estimate);
                [
                    count(pairing.together.n).into(),
                    estimate(&pairing.together),
                    spread.into(),
                    estimate(&pairing.apart),
                    estimate(&pairing.difference),
                    p_value(pairing.p_value).into(),
                ]
            }
            Measured::Undefined { .. } => ["–", "–", &spread, "–", "–", "–"].map(Text::from),
        };
        let ends = [models.join(" and ").into()].into_iter().chain(numbers);
        ends.chain([count(pair.constant).into()]).collect()
    };
    Block::Table(Table {
        caption: "Agreement of every two models' heatmaps: mean rank correlation on the same image, with median and middle half, \
                  and on different images, which has to be taken off, for two models may mark the same places whatever the image \
                  shows. Left out: images with a constant heatmap. p-values are not corrected for the number of pairs."
            .into(),
        columns: vec![
            Column::words("Heatmaps"),
            Column::numbers("Images"),
            Column::numbers("Same image"),
            Column::numbers("Median, middle half"),
            Column::numbers("Different images"),
            Column::numbers("Difference"),
            Column::numbers("p"),
            Column::numbers("Left out"),
        ],
        rows: pairs.iter().map(row).collect(),
    })
}
