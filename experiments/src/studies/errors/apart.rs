//! What sets errors apart from right answers: the part of the chapter.

use archaeo_analysis::statistics::Measured;
use archaeo_plot::{Axis, DotIntervalChart, DotRow, Scale};
use archaeo_report::document::{Block, Column, Figure, Panel, Picture, PictureGrid, PictureRow, Table, Text};
use archaeo_report::numbers::{Unit, count, counted, decimal, p_value, percent};

use super::factors::Factor;
use super::findings::{
    DoubtedLabels, ErrorFactors, ErrorKind, FactorEffect, FactorExample, FactorFinding, FactorPair,
};
use crate::report::Names;
use crate::report::charts::measure;
use crate::report::method::definition;
use crate::report::names::{capitalised, class_name, listed};
use crate::subjects::ModelName;

/// Up to so many models, means stand next to their effects.
const FEW_MODELS: usize = 2;

/// Up to so many models each has its rows in the chart.
const MOST_CHARTED_MODELS: usize = 4;

pub(super) fn blocks(findings: &ErrorFactors, classes: &[String], names: &Names) -> Vec<Block> {
    if findings.factors.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![
        Block::Heading("What sets errors apart".into()),
        Block::Paragraph(introduction(findings, names).into()),
        Block::Table(effects(findings, names)),
    ];
    blocks.extend(chart(findings, names));
    blocks.extend(kinds(findings, classes, names));
    if let Measured::Known(doubted) = &findings.doubted {
        blocks.extend(labels(doubted, findings.images, classes, names));
    }
    blocks
}

fn introduction(findings: &ErrorFactors, names: &Names) -> String {
    let mut said = format!(
        "{} were measured, and the errors of {} are held against its right answers in the same classes: if a factor told nothing, \
         they could change places. What sets errors apart need not be their cause.",
        capitalised(&counted(findings.images, "image")),
        if names.models().len() > 1 { "each model" } else { "the model" }
    );
    if let Measured::Known(training) = &findings.training_images {
        said += &format!(
            " Training images are {} of the training split, as near as the features of the model have them.",
            count(*training)
        );
    }
    let left_out = names_of_left_out(&findings.left_out);
    if !left_out.is_empty() {
        said += &format!(" Not measured: {}.", left_out.join("; "));
    }
    said
}

/// `occlusion and texture of another class, because it is known of Sherds alone`.
fn names_of_left_out(left_out: &[(Factor, String)]) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for (factor, reason) in left_out {
        let title = factor.title().to_lowercase();
        match by_reason.iter_mut().find(|(known, _)| known == reason) {
            Some((_, titles)) => titles.push(title),
            None => by_reason.push((reason, vec![title])),
        }
    }
    by_reason.into_iter().map(|(reason, titles)| format!("{}, because {reason}", listed(&titles))).collect()
}

fn written(factor: Factor, value: f64) -> String {
    if factor.is_share() { percent(value) } else { decimal(value, 3) }
}

/// An effect, emphasised where it is shown.
fn effect(found: Option<&Measured<FactorEffect>>) -> Text {
    match found {
        None => "–".into(),
        Some(Measured::Undefined { undefined }) => format!("n/a: {undefined}").into(),
        Some(Measured::Known(effect)) => {
            emphasised(Unit::Coefficient.cell(&effect.enrichment.superiority), effect.larger().is_some())
        }
    }
}

fn emphasised(text: Text, shown: bool) -> Text {
    use archaeo_report::document::Span;
    let span = |span| match span {
        Span::Plain(plain) if shown => Span::Strong(plain),
        other => other,
    };
    Text(text.0.into_iter().map(span).collect())
}

fn difference(pair: Option<&FactorPair>) -> Text {
    match pair.map(|pair| (pair, &pair.difference)) {
        None => "–".into(),
        Some((_, Measured::Undefined { undefined })) => format!("n/a: {undefined}").into(),
        Some((pair, Measured::Known(test))) => {
            emphasised(Unit::Coefficient.cell(&test.difference), pair.larger().is_some())
        }
    }
}

fn effects(findings: &ErrorFactors, names: &Names) -> Table {
    let models = names.models();
    let means = models.len() <= FEW_MODELS;
    let pair = if let [first, second] = models[..] { Some([first, second]) } else { None };
    let mut columns = vec![Column::words("Factor")];
    for &model in &models {
        let bare = names.bare(model);
        if means {
            columns.extend(["errors", "right"].map(|of| Column::numbers(format!("{bare}, {of}"))));
        }
        columns.push(Column::numbers(if means { format!("{bare}, A") } else { bare.into() }));
    }
    columns.extend(pair.map(|_| Column::numbers("Difference of A")));
    let row = |finding: &FactorFinding| {
        let mut cells = vec![Text::from(finding.factor.title())];
        for &model in &models {
            let found = finding.models.get(model);
            if means {
                let known = found.and_then(Measured::known).map(|effect| &effect.enrichment);
                let means = known.map(|of| [of.mean_of_errors, of.mean_of_right]);
                cells.extend(match means {
                    Some(means) => means.map(|mean| written(finding.factor, mean).into()),
                    None => ["–"; 2].map(Text::from),
                });
            }
            cells.push(effect(found));
        }
        cells.extend(pair.map(|pair| difference(finding.pairs.iter().find(|of| of.models == pair))));
        cells
    };
    let mut caption = String::new();
    if means {
        caption += "Means of errors, and of right answers with each class as often as among the errors. ";
    }
    caption += "A: probability that an error has the larger value than a right answer of its class, ties half; 0.5 if the factor tells \
                nothing. Bold: shown, by a permutation within classes, adjusted for all factors and models";
    if let Some([first, second]) = pair {
        caption += &format!(
            ". Difference: {} minus {}, bold where shown, by an exchange of the two models' answers, adjusted for all factors",
            names.the(first),
            names.the(second)
        );
    }
    Table { caption: format!("{caption}.").into(), columns, rows: findings.factors.iter().map(row).collect() }
}

fn known<'a>(
    findings: &'a ErrorFactors,
    names: &Names,
) -> Vec<(&'a FactorFinding, ModelName, &'a FactorEffect)> {
    let models = names.models();
    let of = |finding: &'a FactorFinding| {
        let effect = move |&model: &ModelName| Some((finding, model, finding.models.get(model)?.known()?));
        models.iter().filter_map(effect).collect::<Vec<_>>()
    };
    findings.factors.iter().flat_map(of).collect()
}

fn chart(findings: &ErrorFactors, names: &Names) -> Option<Block> {
    let known = known(findings, names);
    let several = names.models().len() > 1;
    if known.is_empty() || names.models().len() > MOST_CHARTED_MODELS {
        return None;
    }
    let label = |factor: Factor, model: ModelName| match several {
        true => format!("{}, {}", factor.title(), names.bare(model)),
        false => factor.title().into(),
    };
    let rows = known.iter().filter_map(|(finding, model, effect)| {
        Some(DotRow {
            label: label(finding.factor, *model),
            measure: measure(&effect.enrichment.superiority)?,
            series: names.series(*model),
        })
    });
    let chart = DotIntervalChart {
        title: "What sets errors apart".into(),
        description: format!(
            "For each of {} factors{}, the probability that an error has a larger value than a right answer of its class, with its interval",
            findings.factors.len(),
            if several { " and each model" } else { "" }
        ),
        value: Axis::new("probability that an error has the larger value", Scale::Linear),
        rows: rows.collect(),
        reference: Some((0.5, "no difference".into())),
    };
    let data = known.iter().map(|(finding, model, FactorEffect { enrichment, adjusted_p })| {
        vec![
            Text::from(finding.factor.title()),
            names.bare(*model).into(),
            count(enrichment.errors).into(),
            count(enrichment.right).into(),
            written(finding.factor, enrichment.mean_of_errors).into(),
            written(finding.factor, enrichment.mean_of_right).into(),
            Unit::Coefficient.cell(&enrichment.superiority),
            p_value(*adjusted_p).into(),
        ]
    });
    let shown = known.iter().filter(|(_, _, effect)| effect.larger().is_some()).count();
    Some(Block::Figure(Figure {
        title: "What sets errors apart.".into(),
        caption: format!(
            "Right of the line, errors have the larger values; left of it, the smaller ones. Factors are those of the table; {} of {} are \
             shown to differ from 0.5 once all are taken together.",
            count(shown),
            count(known.len())
        )
        .into(),
        panels: vec![Panel::chart(&chart)],
        data: Some(Table {
            caption: "Errors against right answers of the same classes; p-values adjusted for all factors and models.".into(),
            columns: ["Factor", "Model"]
                .map(Column::words)
                .into_iter()
                .chain(["Errors", "Right", "Mean of errors", "Mean of right", "A", "Adjusted p"].map(Column::numbers))
                .collect(),
            rows: data.collect(),
        }),
    }))
}

/// The kinds of errors of each model, each with its outermost examples.
fn kinds(findings: &ErrorFactors, classes: &[String], names: &Names) -> Option<Block> {
    let several = names.models().len() > 1;
    let all = || {
        findings
            .kinds
            .iter()
            .flat_map(|(model, of)| of.kinds.iter().map(move |kind| (model, of.errors, kind)))
    };
    all().next()?;
    let name = |model: ModelName, errors: usize, kind: &ErrorKind| {
        let whose = if several { format!("{}: ", names.bare(model)) } else { String::new() };
        format!(
            "{whose}images {}, {} of {} errors ({} against {} of right answers)",
            kind.factor.phrase(kind.larger),
            count(kind.count),
            count(errors),
            percent(kind.count as f64 / errors.max(1) as f64),
            percent(kind.expected)
        )
    };
    let picture = |kind: &ErrorKind, example: &FactorExample| {
        let [truth, answer] = [example.image.label, example.answer].map(|class| class_name(classes, class));
        let alt = format!(
            "Image {} of class {truth}, taken for {answer}; {} {}",
            example.image.index,
            kind.factor.title().to_lowercase(),
            written(kind.factor, example.value)
        );
        Picture::new(&example.image.picture, alt).labelled(format!("{truth} → {answer}"))
    };
    let rows = all().map(|(model, errors, kind)| PictureRow {
        name: capitalised(&name(model, errors, kind)),
        pictures: kind.examples.iter().map(|example| picture(kind, example)).collect(),
    });
    let rest = findings.kinds.iter().map(|(model, of)| {
        let whose =
            if several { format!("of the errors of {}", names.the(model)) } else { "of the errors".into() };
        format!("{whose}, {} of {} are of no kind", count(of.of_no_kind), count(of.errors))
    });
    let data = all().map(|(model, errors, kind)| {
        vec![
            Text::from(names.bare(model)),
            capitalised(kind.factor.phrase(kind.larger)).into(),
            count(kind.count).into(),
            count(errors).into(),
            percent(kind.expected).into(),
        ]
    });
    Some(Block::Figure(Figure {
        title: "Kinds of errors.".into(),
        caption: format!(
            "Errors whose value lies beyond three quarters of the right answers of their class, for each factor that is shown to set \
             errors apart; an error may be of several kinds. Examples: the outermost, with class → answer. {}.",
            capitalised(&rest.collect::<Vec<_>>().join("; "))
        )
        .into(),
        panels: vec![Panel::Pictures(PictureGrid {
            columns: None,
            rows: rows.collect(),
            legend: None,
            kinds: Vec::new(),
        })],
        data: Some(Table {
            caption: "Errors of each kind.".into(),
            columns: vec![
                Column::words("Model"),
                Column::words("Images"),
                Column::numbers("Errors of the kind"),
                Column::numbers("All errors"),
                Column::numbers("Share of right answers"),
            ],
            rows: data.collect(),
        }),
    }))
}

fn labels(doubted: &DoubtedLabels, images: usize, classes: &[String], names: &Names) -> Option<Block> {
    let by = if names.models().len() > 1 { "the models together doubt" } else { "the model doubts" };
    let known = match doubted.right_by_construction {
        true => {
            " The labels of this data are right by construction: so many are doubted where none is wrong."
        }
        false => " A doubted label is a reason to look, and no proof.",
    };
    let said = format!(
        "By confident learning, {by} {} of {}.{known}",
        counted(doubted.count, "label"),
        counted(images, "image")
    );
    if doubted.examples.is_empty() {
        return Some(Block::Paragraph(said.into()));
    }
    let pictures = doubted.examples.iter().map(|example| {
        let [label, class] = [example.image.label, example.class].map(|class| class_name(classes, class));
        let alt = format!(
            "Image {}, labelled {label} with {}, taken for {class} with {}",
            example.image.index,
            percent(example.of_label),
            percent(example.of_class)
        );
        Picture::new(&example.image.picture, alt).labelled(format!("{label}? {class}"))
    });
    Some(Block::Figure(Figure {
        title: "Doubted labels.".into(),
        caption: format!("{said} The most doubted first.").into(),
        panels: vec![Panel::Pictures(PictureGrid {
            columns: None,
            rows: vec![PictureRow {
                name: "Label? The class that it is taken for".into(),
                pictures: pictures.collect(),
            }],
            legend: None,
            kinds: Vec::new(),
        })],
        data: None,
    }))
}

pub(super) fn definitions(findings: &ErrorFactors) -> Vec<(String, Text)> {
    if findings.factors.is_empty() {
        return Vec::new();
    }
    let between = match findings.factors.iter().any(|finding| !finding.pairs.is_empty()) {
        true => {
            " That of two models exchanges their answers, with what was measured of them, image by image, and is adjusted over all factors \
             and pairs."
        }
        false => "",
    };
    let meaning = "A factor's effect is the probability of superiority A: how often an error has a larger value than a right answer of its \
                   own class, ties half, averaged over the errors. Errors of a class without right answers are left out. The p-value \
                   permutes within each class which images are errors, and is adjusted over all factors and models \
                   (Benjamini-Hochberg).";
    let mut defined = vec![
        definition(
            "What sets errors apart",
            &format!("{meaning}{between}"),
            &[
                ("Mann & Whitney 1947", "https://doi.org/10.1214/aoms/1177730491"),
                ("Vargha & Delaney 2000", "https://doi.org/10.3102/10769986025002101"),
            ],
        ),
        definition(
            "Factors of an image",
            &of_image(findings),
            &[("Peli 1990", "https://doi.org/10.1364/JOSAA.7.002032")],
        ),
    ];
    let has = |factor: Factor| findings.factors.iter().any(|finding| finding.factor == factor);
    if has(Factor::Distance) {
        defined.push(definition(
            "Distance to training images",
            "In the features that the model's head reads: one minus the cosine, averaged over the five nearest training images; and the \
             share of the twenty nearest that are of another class than the image.",
            &[],
        ));
    }
    if findings.doubted.known().is_some() {
        let as_factor = match has(Factor::LabelDoubt) {
            true => {
                " As a factor, the label of an image is doubted by the mean probabilities of the other models, since a model's own would \
                 doubt its own errors."
            }
            false => "",
        };
        let meaning = "Confident learning: each class has a threshold, the mean probability that images labelled so get for it. A label \
                       is doubted where the likeliest class among those whose threshold is reached is another.";
        defined.push(definition(
            "Doubted labels",
            &format!("{meaning}{as_factor}"),
            &[("Northcutt et al. 2021", "https://arxiv.org/abs/1911.00068")],
        ));
    }
    defined
}

fn of_image(findings: &ErrorFactors) -> String {
    let of = |factor: Factor| match factor {
        Factor::Brightness => "brightness is the mean luminance in [0, 1]",
        Factor::Contrast => "contrast is its standard deviation (RMS contrast)",
        Factor::Frequency => {
            "spatial frequency is the mean frequency of the luminance's cosine transform weighted by power, without its mean, in units of \
             the finest stripes"
        }
        Factor::ObjectSize => "object size is the share of the image that its mask covers",
        Factor::ObjectContrast => {
            "the contrast of the object is the difference of mean luminance between it and the rest"
        }
        Factor::Occlusion => {
            "occlusion is the share of the object that is hidden, by drawing the image again without what is in front"
        }
        Factor::ForeignTexture => "a texture of another class is 1, the class's own 0",
        _ => "",
    };
    let each = findings.factors.iter().map(|finding| of(finding.factor)).filter(|text| !text.is_empty());
    format!("As the model sees the image: {}.", each.collect::<Vec<_>>().join("; "))
}
