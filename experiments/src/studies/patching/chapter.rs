//! What each head and layer carries, factor by factor.

use archaeo_analysis::statistics::Better;
use archaeo_plot::{Axis, LineChart, LineSeries, MatrixChart, Scale, Uncertainty, ValueFormat};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, counted, p_value, percent};

use super::PatchingStudy;
use super::claims::{carriers, claims, verdict};
use super::findings::{Carried, FactorPatching, PatchedHead, PatchedTokens, PatchingFindings};
use crate::report::Names;
use crate::report::charts::point;
use crate::report::method::definition;
use crate::report::names::capitalised;
use crate::report::shown::model_by_model;
use crate::study::{Chapter, Study};
use crate::subjects::ModelName;

/// Heads of a factor that the table names.
const MOST_NAMED: usize = 5;

pub(super) fn chapter(findings: &PatchingFindings, names: &Names) -> Chapter {
    let intro = format!(
        "Each of {} is drawn again with one factor changed. While a model looks at the image, the output of one head, or what one \
         layer leaves at some of the tokens, is taken from its pass over the other image. The share of the change of the answer that \
         this brings about says how much of the factor that part carries. The null is the same part taken from an unrelated scene.",
        counted(findings.pairs, "image")
    );
    let mut blocks = vec![Block::Paragraph(intro.into())];
    blocks.extend(model_by_model(
        &findings.models,
        names,
        || side_by_side(findings, names),
        |factors, _| of_model(factors),
    ));
    let section = Section { id: PatchingStudy::ID, title: PatchingStudy::TITLE, blocks };
    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.definitions = definitions();
    chapter.limitations = vec![
        "Activations are exchanged one part at a time: a part that carries a factor need not be the only one, and what two parts carry \
         only together is not seen."
            .into(),
        "A head that does no more than an unrelated scene's output there breaks the answer rather than carrying the factor, or the \
         pairs are too few to tell."
            .into(),
    ];
    chapter.sample = Some(("activation patching", findings.pairs));
    let first = findings.models.values().next().and_then(|factors| factors.first());
    let first = first.and_then(|of| of.heads.first()).map(|head| &head.carried);
    let share = first.and_then(|carried| carried.share.known());
    chapter.intervals.extend(share.map(|share| ("Share carried", share.clone())));
    chapter.intervals.extend(
        first.map(|carried| ("Share against an unrelated scene", carried.over_unrelated.difference.clone())),
    );
    chapter
}

fn definitions() -> Vec<(String, Text)> {
    vec![
        definition(
            "Activation patching",
            "The pass over an image is repeated with one activation from the pass over its counterpart, which differs from it in one \
             factor alone: the output of one head for all tokens, or the residual stream as a block leaves it, at the tokens before \
             the patches, at patches with a pixel of the object in either image, or at all others. All that follows is computed from \
             there.",
            &[
                ("Vig et al., 2020", "https://arxiv.org/abs/2004.12265"),
                ("Meng et al., 2022", "https://arxiv.org/abs/2202.05262"),
                ("Heimersheim and Nanda, 2024", "https://arxiv.org/abs/2404.15255"),
            ],
        ),
        definition(
            "Share carried",
            "The effect is read from a logit difference: for shape, of the classes of the two shapes; for texture, of the classes that \
             the two textures follow in training; for place, rotation and occluders, of the image's class and the largest other one. \
             With c the change of it between the two images of a pair and e that which one part alone brings about, the share is \
             Σ sign(c)·e / Σ |c| over the pairs, so that pairs that hardly differ weigh little. 100 % is the whole change, 0 % none; \
             below 0 the part moves the answer the other way. Its interval resamples pairs. The p-value is that of a two-sided \
             sign-flip permutation test of sign(c)·(e − u), with u the effect of the same part taken from the pair of an unrelated \
             scene, adjusted over all factors, heads, layers and groups of tokens (Benjamini and Hochberg, 1995).",
            &[],
        ),
    ]
}

/// How many heads of each model carry each factor.
fn side_by_side(findings: &PatchingFindings, names: &Names) -> Table {
    let factors: Vec<String> = (findings.models.values().next().into_iter().flatten())
        .map(|of| capitalised(&of.factor.to_string()))
        .collect();
    let row = |(model, factors): (ModelName, &Vec<FactorPatching>)| {
        let heads = factors.first().map_or(0, |of| of.heads.len());
        let start = [Text::from(names.bare(model)), heads.to_string().into()];
        start.into_iter().chain(factors.iter().map(|of| carriers(of).to_string().into())).collect()
    };
    Table {
        caption: "Heads of each model, and how many of them are shown to carry each factor.".into(),
        columns: [Column::words("Model"), Column::numbers("Heads")]
            .into_iter()
            .chain(factors.into_iter().map(Column::numbers))
            .collect(),
        rows: findings.models.iter().map(row).collect(),
    }
}

fn of_model(factors: &[FactorPatching]) -> Vec<Block> {
    if factors.iter().all(|of| of.heads.is_empty()) {
        return Vec::new();
    }
    vec![
        Block::Table(overview(factors)),
        heads(factors),
        layers(factors),
        Block::Folded { title: "All heads in numbers".into(), table: every_head(factors) },
    ]
}

/// What each factor changes, and the heads that carry it.
fn overview(factors: &[FactorPatching]) -> Table {
    let row = |of: &FactorPatching| {
        let mut carrying: Vec<&PatchedHead> =
            of.heads.iter().filter(|head| verdict(&head.carried) == Better::Yes).collect();
        let share = |head: &PatchedHead| head.carried.share.known().map_or(f64::NAN, |share| share.value);
        carrying.sort_by(|a, b| share(b).total_cmp(&share(a)));
        let named = carrying
            .iter()
            .take(MOST_NAMED)
            .map(|head| format!("{}.{}: {}", head.layer + 1, head.head + 1, percent(share(head))));
        let named = named.collect::<Vec<_>>().join(", ");
        vec![
            Text::from(of.factor.to_string()),
            Unit::Coefficient.cell(&of.change),
            Unit::Percent.cell(&of.other_answer),
            carrying.len().to_string().into(),
            if named.is_empty() { "–".into() } else { named.into() },
        ]
    };
    Table {
        caption: format!(
            "How far changing one factor moves the logit difference, how often it changes the answer, and the heads (layer.head) that \
             are shown to carry it, with their shares; at most {MOST_NAMED} are named. Their order was chosen on the same pairs."
        )
        .into(),
        columns: vec![
            Column::words("Factor"),
            Column::numbers("Change in logits"),
            Column::numbers("Other answer"),
            Column::numbers("Heads that carry it"),
            Column::prose("Which"),
        ],
        rows: factors.iter().map(row).collect(),
    }
}

/// Every layer and head, on one scale for all factors.
fn heads(factors: &[FactorPatching]) -> Block {
    let share = |head: &PatchedHead| head.carried.share.known().map(|share| share.value);
    let all = || factors.iter().flat_map(|of| &of.heads).filter_map(share).filter(|value| value.is_finite());
    let range = (all().fold(0.0, f64::min), all().fold(0.0, f64::max));
    let chart = |of: &FactorPatching| {
        let layers = of.heads.iter().map(|head| head.layer + 1).max().unwrap_or(0);
        let columns = of.heads.iter().map(|head| head.head + 1).max().unwrap_or(0);
        let mut values = vec![None; layers * columns];
        for head in &of.heads {
            values[head.layer * columns + head.head] = share(head).filter(|value| value.is_finite());
        }
        let numbered = |n: usize| (1..=n).map(|i| i.to_string()).collect();
        MatrixChart {
            title: capitalised(&of.factor.to_string()),
            description: format!(
                "Share of the change of {} that each layer (row) and head (column) carries",
                of.factor
            ),
            row_label: "layer".into(),
            column_label: "head".into(),
            value_label: "share of the change (%)".into(),
            rows: numbered(layers),
            columns: numbered(columns),
            values,
            format: ValueFormat::Percent(0),
            range: Some(range),
        }
    };
    Block::Figure(Figure {
        title: "What each head carries.".into(),
        caption: "Share of the change between two images of a scene that the output of one head brings about alone, for each factor, all \
                  on one scale. Whether it is more than an unrelated scene's output would do is in the table of all heads."
            .into(),
        panels: factors.iter().map(|of| Panel::chart(&chart(of))).collect(),
        data: None,
    })
}

fn tokens_name(tokens: PatchedTokens) -> &'static str {
    match tokens {
        PatchedTokens::Prefix => "class token",
        PatchedTokens::Object => "object",
        PatchedTokens::Background => "background",
    }
}

/// Where the difference is, layer by layer.
fn layers(factors: &[FactorPatching]) -> Block {
    let chart = |of: &FactorPatching| {
        let series = PatchedTokens::ALL.into_iter().filter_map(|tokens| {
            let layers = of.layers.iter().filter(|layer| layer.tokens == tokens);
            let points: Vec<_> = layers
                .filter_map(|layer| point((layer.layer + 1) as f64, layer.carried.share.known()?))
                .collect();
            (!points.is_empty()).then(|| LineSeries { name: tokens_name(tokens).into(), points })
        });
        LineChart {
            title: capitalised(&of.factor.to_string()),
            description: format!(
                "Share of the change of {} that the tokens of each group carry after each layer",
                of.factor
            ),
            x: Axis::new("layer", Scale::Count),
            y: Axis::new("share of the change", Scale::Percent),
            series: series.collect(),
            uncertainty: Uncertainty::Whiskers,
        }
    };
    let rows = factors.iter().flat_map(|of| {
        of.layers.iter().map(|layer| {
            let start = [
                Text::from(of.factor.to_string()),
                (layer.layer + 1).to_string().into(),
                tokens_name(layer.tokens).into(),
            ];
            start.into_iter().chain(numbers(&layer.carried)).collect()
        })
    });
    Block::Figure(Figure {
        title: "Where the difference between two images is.".into(),
        caption: "Share of the change that the tokens of one group bring about alone, as each layer leaves them: the tokens before the \
                  patches (class token), the patches with a pixel of the object in either image, and all other patches. All of them \
                  together bring about all of it."
            .into(),
        panels: factors
            .iter()
            .filter(|of| of.layers.iter().any(|layer| layer.carried.share.known().is_some()))
            .map(|of| Panel::chart(&chart(of)))
            .collect(),
        data: Some(Table {
            caption: "Tokens of each group as each layer leaves them.".into(),
            columns: ["Factor", "Layer", "Tokens"].map(Column::words).into_iter().chain(number_columns()).collect(),
            rows: rows.collect(),
        }),
    })
}

fn number_columns() -> impl Iterator<Item = Column> {
    ["Share", "Unrelated", "Adjusted p"].map(Column::numbers).into_iter()
}

fn numbers(carried: &Carried) -> [Text; 3] {
    [
        Unit::Percent.measured(&carried.share),
        carried.unrelated.known().map_or("n/a".into(), |value| percent(*value).into()),
        p_value(carried.over_unrelated.p_value).into(),
    ]
}

fn every_head(factors: &[FactorPatching]) -> Table {
    let rows = factors.iter().flat_map(|of| {
        of.heads.iter().map(|head| {
            let verdict = match verdict(&head.carried) {
                Better::Yes => "carries it",
                Better::No => "works against it",
                Better::CannotBeTold => "not shown",
            };
            let start = [
                Text::from(of.factor.to_string()),
                format!("{}.{}", head.layer + 1, head.head + 1).into(),
                verdict.into(),
            ];
            start.into_iter().chain(numbers(&head.carried)).collect()
        })
    });
    Table {
        caption: "Every head (layer.head): the share of the change that its output carries, the same from an unrelated scene, and the \
                  p-value of the sign-flip test that the two are equal, adjusted by Benjamini-Hochberg over all factors, heads and \
                  groups of tokens. A head carries a factor where its share is above 0 and above the unrelated one."
            .into(),
        columns: ["Factor", "Head", "Verdict"].map(Column::words).into_iter().chain(number_columns()).collect(),
        rows: rows.collect(),
    }
}
