//! Where an attack happens: the chapter.

use archaeo_analysis::statistics::{Better, Estimate};
use archaeo_plot::{Axis, LineChart, LineSeries, MatrixChart, Scale, Uncertainty, ValueFormat};
use archaeo_report::document::{
    Block, Column, Figure, Gallery, GalleryItem, Panel, Picture, Section, Table, Text, Verdict,
};
use archaeo_report::numbers::{Unit, counted, decimal, epsilon, p_value, percent};

use super::AutopsyStudy;
use super::claims::{claims, verdict};
use super::findings::{AutopsyFindings, Dissection, Given, HeadAutopsy, MedianCase};
use crate::report::Names;
use crate::report::charts::point;
use crate::report::method::definition;
use crate::report::shown::in_lab;
use crate::study::{Chapter, Study};
use crate::subjects::ModelName;

pub(super) fn chapter(findings: &AutopsyFindings, classes: &[String], names: &Names) -> Chapter {
    let intro = format!(
        "{} are attacked with PGD at ε = {}; those that are right without it and wrong under it are taken apart. What changes on the way \
         says where the attack can be seen; what gives the answer back when it is taken from the clean image says where it acts. These \
         need not be the same: a part may change much and matter little.",
        counted(findings.n, "image"),
        epsilon(findings.epsilon)
    );
    let mut blocks = vec![Block::Paragraph(intro.into())];
    let found: Vec<(ModelName, &Dissection)> =
        findings.models.iter().filter_map(|(model, of)| Some((model, of.found.as_ref()?))).collect();
    if !found.is_empty() {
        blocks.push(Block::Table(overview(findings, names)));
        blocks.push(on_the_way(&found, names));
        blocks.extend(heads(&found, names));
        blocks.extend(depth(&found, names));
        blocks
            .push(Block::Folded { title: "Every part in numbers".into(), table: every_part(&found, names) });
        blocks.extend(examples(&found, classes, names));
    }
    let section = Section { id: AutopsyStudy::ID, title: AutopsyStudy::TITLE, blocks };
    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.definitions = definitions();
    chapter.limitations = vec![
        "An autopsy tells where one attack acts on the images that it fools; another attack, or another size, may act elsewhere.".into(),
    ];
    chapter.sample = Some(("autopsy of an attack", findings.n));
    let first = found.first().map(|(_, of)| *of);
    let given = first.and_then(|of| of.layers.first()).map(|layer| &layer.given);
    let share = given.and_then(|given| given.share.known());
    chapter.intervals.extend(share.map(|share| ("Share of the margin restored", share.clone())));
    chapter.intervals.extend(first.map(|of| ("Margin under attack", of.margins[1].clone())));
    chapter
}

fn definitions() -> Vec<(String, Text)> {
    vec![
        definition(
            "Share of the margin restored",
            "The margin is the logit of an image's class less that of the attack's answer. The pass over the attacked image is repeated \
             with the output of one head, of all heads of a layer, or of the branch of a residual block from the pass over the clean image; \
             what reaches that place otherwise stays attacked. The share is the sum over images of the margin gained over the sum of the \
             margin that the attack took. The null takes the same part from an unrelated clean image. The interval resamples images; the \
             p-value is that of a sign-flip permutation test of both, adjusted over all parts of a model (Benjamini and Hochberg, \
             1995).",
            &[
                ("Vig et al., 2020", "https://arxiv.org/abs/2004.12265"),
                ("Heimersheim and Nanda, 2024", "https://arxiv.org/abs/2404.15255"),
            ],
        ),
        definition(
            "Drift",
            "Of a head the Jensen-Shannon divergence, in nats and at most 0.69, between its attention in the clean and in the attacked image, \
             mean over queries; of a layer the cosine of what the head of the model would read there. The logit lens applies the model's \
             final norm and head to it.",
            &[
                ("Lin, 1991", "https://doi.org/10.1109/18.61115"),
                ("nostalgebraist, 2020", "https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru"),
            ],
        ),
    ]
}

fn overview(findings: &AutopsyFindings, names: &Names) -> Table {
    let rows = findings.models.iter().map(|(model, of)| {
        let dash = || Text::from("–");
        let margins = match &of.found {
            Some(of) => of.margins.iter().map(|margin| Unit::Coefficient.cell(margin)).collect(),
            None => vec![dash(), dash()],
        };
        let carrying = of.found.as_ref().map(|of| {
            let all: Vec<&Given> = match of.heads.is_empty() {
                false => of.heads.iter().map(|head| &head.given).collect(),
                true => of.layers.iter().map(|layer| &layer.given).collect(),
            };
            let restoring = all.iter().filter(|given| verdict(given) == Better::Yes).count();
            let kind = if of.heads.is_empty() { "blocks" } else { "heads" };
            Text::from(format!("{restoring} of {} {kind}", all.len()))
        });
        let start = [Text::from(names.bare(model)), of.fooled.to_string().into()];
        start.into_iter().chain(margins).chain([carrying.unwrap_or_else(dash)]).collect()
    });
    Table {
        caption: "Images that the attack fools, the margin of their class over the attack's answer without it and under it, in logits, and how \
                  many parts are shown to carry it."
            .into(),
        columns: vec![
            Column::words("Model"),
            Column::numbers("Fooled"),
            Column::numbers("Margin before"),
            Column::numbers("Margin after"),
            Column::words("Carry the attack"),
        ],
        rows: rows.collect(),
    }
}

/// Drift of each layer against the share of the perturbation.
fn on_the_way(found: &[(ModelName, &Dissection)], names: &Names) -> Block {
    let chart = |(model, of): &(ModelName, &Dissection)| {
        let layers = of.path.first().map_or(0, |point| point.drift.len());
        let label = if of.heads.is_empty() { "block" } else { "layer" };
        MatrixChart {
            title: names.bare(*model).into(),
            description: format!(
                "How far each {label} (row) has drifted at each share of the perturbation (column)"
            ),
            row_label: label.into(),
            column_label: "share of the perturbation (%)".into(),
            value_label: if of.heads.is_empty() {
                "1 − cosine (1/1000)"
            } else {
                "divergence of attention (1/1000 nats)"
            }
            .into(),
            rows: (1..=layers).map(|layer| layer.to_string()).collect(),
            columns: of.path.iter().map(|point| format!("{:.0}", 100.0 * point.share)).collect(),
            values: (0..layers)
                .flat_map(|layer| of.path.iter().map(move |point| Some(1000.0 * point.drift[layer])))
                .collect(),
            format: ValueFormat::Decimals(1),
            range: None,
        }
    };
    let rows = found.iter().flat_map(|(model, of)| {
        of.path.iter().map(|point| {
            vec![
                Text::from(names.bare(*model)),
                percent(point.share).into(),
                Unit::Coefficient.cell(&point.margin),
            ]
        })
    });
    Block::Figure(Figure {
        title: "On the way to the attacked image.".into(),
        caption: "Mean drift of each layer when a share of the perturbation is added: of a transformer's attention, mean over heads; of a \
                  residual network's feature maps."
            .into(),
        panels: found.iter().map(|of| Panel::chart(&chart(of))).collect(),
        data: Some(Table {
            caption: "Margin of the class over the attack's answer on the way, in logits.".into(),
            columns: vec![Column::words("Model"), Column::numbers("Perturbation"), Column::numbers("Margin")],
            rows: rows.collect(),
        }),
    })
}

/// Divergence and share restored of every head.
fn heads(found: &[(ModelName, &Dissection)], names: &Names) -> Option<Block> {
    let chart = |model: ModelName, of: &Dissection, restored: bool| {
        let layers = of.heads.iter().map(|head| head.layer + 1).max().unwrap_or(0);
        let columns = of.heads.iter().map(|head| head.head + 1).max().unwrap_or(0);
        let value = |head: &HeadAutopsy| match restored {
            true => head.given.share.known().map(|share| share.value),
            false => Some(1000.0 * head.divergence.value),
        };
        let mut values = vec![None; layers * columns];
        for head in &of.heads {
            values[head.layer * columns + head.head] = value(head).filter(|value| value.is_finite());
        }
        let numbered = |n: usize| (1..=n).map(|i| i.to_string()).collect();
        let (what, unit) = match restored {
            true => ("restored", "share of the margin (%)"),
            false => ("drift", "divergence (1/1000 nats)"),
        };
        MatrixChart {
            title: format!("{}: {what}", names.bare(model)),
            description: format!("{unit} of each head (column) of each layer (row)"),
            row_label: "layer".into(),
            column_label: "head".into(),
            value_label: unit.into(),
            rows: numbered(layers),
            columns: numbered(columns),
            values,
            format: if restored { ValueFormat::Percent(0) } else { ValueFormat::Decimals(1) },
            range: None,
        }
    };
    let with_heads = found.iter().filter(|(_, of)| !of.heads.is_empty());
    let panels: Vec<Panel> = with_heads
        .flat_map(|(model, of)| [false, true].map(|restored| Panel::chart(&chart(*model, of, restored))))
        .collect();
    (!panels.is_empty()).then(|| {
        Block::Figure(Figure {
            title: "What changes in each head, and what it gives back.".into(),
            caption: "Left, how far the attention of a head under attack is from that without; right, how much of the margin its output for \
                      the clean image restores alone. Whether that is more than an unrelated image's output would is in the table."
                .into(),
            panels,
            data: None,
        })
    })
}

/// Similarity and logit lens, layer by layer.
fn depth(found: &[(ModelName, &Dissection)], names: &Names) -> Option<Block> {
    type Read = fn(&super::findings::LayerAutopsy) -> Option<&Estimate>;
    let line = |of: &Dissection, read: Read| -> Vec<_> {
        of.layers.iter().filter_map(|layer| point((layer.layer + 1) as f64, read(layer)?)).collect()
    };
    let similarity = LineChart {
        title: "Similarity".into(),
        description: "Cosine of what a layer leaves without and under the attack".into(),
        x: Axis::new("layer or block", Scale::Count),
        y: Axis::new("cosine", Scale::Linear),
        series: found
            .iter()
            .map(|(model, of)| LineSeries {
                name: names.bare(*model).into(),
                points: line(of, |layer| layer.similarity.as_ref()),
            })
            .filter(|series| !series.points.is_empty())
            .collect(),
        uncertainty: Uncertainty::Whiskers,
    };
    let lens = found.iter().filter(|(_, of)| of.layers.iter().any(|layer| layer.lens.is_some()));
    let lens = lens.map(|(model, of)| LineChart {
        title: format!("{}: logit lens", names.bare(*model)),
        description: "Margin that the model's head reads after each layer, without and under the attack"
            .into(),
        x: Axis::new("layer", Scale::Count),
        y: Axis::new("margin (logits)", Scale::Linear),
        series: vec![
            LineSeries {
                name: "clean".into(),
                points: line(of, |layer| layer.lens.as_ref().map(|of| &of[0])),
            },
            LineSeries {
                name: "attacked".into(),
                points: line(of, |layer| layer.lens.as_ref().map(|of| &of[1])),
            },
        ],
        uncertainty: Uncertainty::Whiskers,
    });
    let charts: Vec<LineChart> =
        std::iter::once(similarity).filter(|chart| !chart.series.is_empty()).chain(lens).collect();
    (!charts.is_empty()).then(|| {
        Block::Figure(Figure {
            title: "Where the passes over both images part.".into(),
            caption: "Cosine of what the model's head would read after each layer, or of a block's feature maps, without and under the \
                      attack; and the margin that the head would give it (logit lens). Bars are intervals."
                .into(),
            panels: charts.iter().map(Panel::chart).collect(),
            data: None,
        })
    })
}

/// An attack that is hard to see changes attention by little.
fn thousandths(of: &Estimate) -> Estimate {
    let [value, low, high] = [of.value, of.low, of.high].map(|value| 1000.0 * value);
    Estimate { value, low, high, ..of.clone() }
}

fn every_part(found: &[(ModelName, &Dissection)], names: &Names) -> Table {
    let dash = || Text::from("–");
    let row = |model: ModelName, part: String, drift: [Text; 3], given: &Given| {
        let verdict = match verdict(given) {
            Better::Yes => "carries it",
            Better::No => "works against it",
            Better::CannotBeTold => "not shown",
        };
        let start = [Text::from(names.bare(model)), part.into()];
        let end = [
            Unit::Percent.measured(&given.share),
            given.unrelated.known().map_or("n/a".into(), |value| percent(*value).into()),
            p_value(given.over_unrelated.p_value).into(),
            verdict.into(),
        ];
        start.into_iter().chain(drift).chain(end).collect::<Vec<Text>>()
    };
    let mut rows = Vec::new();
    for (model, of) in found {
        for head in &of.heads {
            let [divergence, entropy] = [&head.divergence, &head.entropy].map(thousandths);
            let drift = [&divergence, &entropy, &head.distance].map(|of| Unit::Coefficient.cell(of));
            rows.push(row(*model, format!("head {}.{}", head.layer + 1, head.head + 1), drift, &head.given));
        }
        let kind = if of.heads.is_empty() { "block" } else { "attention of layer" };
        for layer in &of.layers {
            rows.push(row(
                *model,
                format!("{kind} {}", layer.layer + 1),
                [dash(), dash(), dash()],
                &layer.given,
            ));
        }
    }
    Table {
        caption: "Every part: divergence of a head's attention and change of its entropy (in 1/1000 nats), change of its distance (pixels); the share of \
                  the margin that it restores when it is taken from the clean image, the same from an unrelated one, and the p-value of the \
                  sign-flip test that both are equal, adjusted over all parts of the model (Benjamini-Hochberg)."
            .into(),
        columns: ["Model", "Part"]
            .map(Column::words)
            .into_iter()
            .chain(["Divergence", "Entropy", "Distance", "Restored", "Unrelated", "Adjusted p"].map(Column::numbers))
            .chain([Column::words("Verdict")])
            .collect(),
        rows,
    }
}

fn examples(found: &[(ModelName, &Dissection)], classes: &[String], names: &Names) -> Option<Block> {
    let with: Vec<(ModelName, &MedianCase)> =
        found.iter().filter_map(|(model, of)| Some((*model, of.example.as_ref()?))).collect();
    let class = |class: usize| classes.get(class).cloned().unwrap_or_else(|| format!("class {class}"));
    let item = |(group, (model, case)): (usize, &(ModelName, &MedianCase))| {
        let labels = ["image", "what it looks at", "attacked", "what it looks at"];
        let pictures = case.pictures.iter().zip(labels).map(|(path, label)| {
            let alt = format!("{}, image {}: {label}", names.bare(*model), case.index);
            Picture::new(path, alt).labelled(label).in_lab(in_lab(case.index, "attack", Some(*model)))
        });
        let [label, answer] = case.classes.map(class);
        GalleryItem {
            pictures: pictures.collect(),
            group,
            title: format!("{}, image {} ({label})", names.bare(*model), case.identifier).into(),
            verdicts: vec![
                Verdict { correct: true, text: format!("before: {label}").into() },
                Verdict { correct: false, text: format!("under attack: {answer}").into() },
            ],
            lines: vec![
                format!(
                    "{}; margin {} without the attack, {} under it",
                    case.method,
                    decimal(case.margins[0], 2),
                    decimal(case.margins[1], 2)
                )
                .into(),
            ],
        }
    };
    (!with.is_empty()).then(|| {
        Block::Gallery(Gallery {
            caption: "The median case: of the images that the attack fools, the one in the middle by what it takes from the \
                      margin. Where the model looks, without the attack and under it, each map stretched to its own range."
                .into(),
            legend: None,
            groups: with.iter().map(|(model, _)| names.bare(*model).into()).collect(),
            items: with.iter().enumerate().map(item).collect(),
        })
    })
}
