//! What heads and layers are worth, measured by taking them away.

use archaeo_analysis::ablation::{Branch, RemovalPoint};
use archaeo_analysis::statistics::Estimate;
use archaeo_plot::{
    Axis, DotIntervalChart, DotRow, LineChart, LineSeries, MatrixChart, Point, Scale, Scatter, ScatterSeries,
    Uncertainty, ValueFormat,
};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, counted, p_value};

use super::HeadsStudy;
use super::claims::{Verdict, branches_of, claims, costly_layers, head_name, verdict, with};
use super::findings::{BranchAblation, HeadAblation, HeadFindings, PruningCurve, Reference, Together};
use crate::report::Names;
use crate::report::charts::{NEUTRAL_SERIES, measure, point};
use crate::report::method::definition;
use crate::report::shown::model_by_model;
use crate::study::{Chapter, Study};
use crate::subjects::{ByModel, ModelName};

/// Heads named in the ranked chart; all are in the table.
const MOST_CHARTED_HEADS: usize = 12;

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
            "Change in loss when what the attention, the MLP or both add to the residual stream of a transformer, or the branch of a              residual block, is replaced by its mean over reference images, for each position, or by nothing, so that the block is              skipped. Tested as heads are, with p-values adjusted over all branches of a model.",
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
        blocks.push(ranking(findings, names.series(model), &images));
        blocks.push(three_ways(findings));
    }
    if let Some(found) = &findings.together {
        blocks.extend(together(found));
    }
    if !findings.ranking.is_empty() {
        blocks.push(Block::Folded { title: "All heads in numbers".into(), table: table(findings) });
    }
    blocks
}

/// Where heads of a cascade were taken away.
pub(crate) fn removal(point: RemovalPoint) -> &'static str {
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

fn ranking(findings: &HeadFindings, own_series: usize, images: &str) -> Block {
    let rows = findings.ranking.iter().take(MOST_CHARTED_HEADS).filter_map(|head| {
        let series = if verdict(head) == Verdict::Undecided { NEUTRAL_SERIES } else { own_series };
        Some(DotRow { label: head_name(head.layer, head.head), measure: measure(&head.mean)?, series })
    });
    let ranked = DotIntervalChart {
        title: "The most important heads".into(),
        description: "Loss increase when a head's output is replaced by its mean, largest first".into(),
        value: Axis::new("loss increase (nats)", Scale::Linear),
        rows: rows.collect(),
        reference: Some((0.0, "no change".into())),
    };
    Block::Figure(Figure {
        title: "Heads ranked by ablation.".into(),
        caption: format!(
            "How much the loss rises over {images} when a head's output is replaced by its mean: the first {} heads with \
             their intervals, grey where no change is shown after correction for looking at all heads, and all heads by \
             layer. Intervals and p-values come from one test, the sign-flip permutation of the paired mean. The order was \
             chosen on the same images, so that the largest increases are somewhat too large.",
            findings.ranking.len().min(MOST_CHARTED_HEADS)
        )
        .into(),
        panels: vec![Panel::chart(&ranked), Panel::chart(&matrix(findings))],
        data: None,
    })
}

fn matrix(findings: &HeadFindings) -> MatrixChart {
    let layers = findings.ranking.iter().map(|head| head.layer + 1).max().unwrap_or(0);
    let heads = findings.ranking.iter().map(|head| head.head + 1).max().unwrap_or(0);
    let mut values = vec![None; layers * heads];
    for head in &findings.ranking {
        values[head.layer * heads + head.head] = Some(head.mean.value).filter(|value| value.is_finite());
    }
    let numbered = |n: usize| (1..=n).map(|i| i.to_string()).collect();
    MatrixChart {
        title: "All layers and heads".into(),
        description: "Loss increase under mean replacement of every layer (rows) and head (columns)".into(),
        row_label: "layer".into(),
        column_label: "head".into(),
        value_label: "loss increase (nats)".into(),
        rows: numbered(layers),
        columns: numbered(heads),
        values,
        format: ValueFormat::Decimals(3),
        range: None,
    }
}

/// Mean against zero and resample replacement, and against the gradient.
fn three_ways(findings: &HeadFindings) -> Block {
    let against = |value: fn(&HeadAblation) -> f64| -> Vec<(f64, f64)> {
        let pairs = findings.ranking.iter().map(|head| (head.mean.value, value(head)));
        pairs.filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    };
    let replacements = Scatter {
        title: "Other replacements".into(),
        description:
            "Loss increase under zero and resample replacement against mean replacement, one dot a head"
                .into(),
        x: Axis::new("mean replacement: loss increase (nats)", Scale::Linear),
        y: Axis::new("other replacement (nats)", Scale::Linear),
        series: vec![
            ScatterSeries { name: "zero".into(), points: against(|head| head.zero.value) },
            ScatterSeries { name: "another image's".into(), points: against(|head| head.resample.value) },
        ],
        identity: true,
    };
    let gradient = Scatter {
        title: "Gradient".into(),
        description:
            "Head importance by gradient against loss increase under mean replacement, one dot a head".into(),
        x: Axis::new("mean replacement: loss increase (nats)", Scale::Linear),
        y: Axis::new("mean |∂loss/∂gate|", Scale::Linear),
        series: vec![ScatterSeries { name: "heads".into(), points: against(|head| head.gradient.value) }],
        identity: false,
    };
    Block::Figure(Figure {
        title: "Does the way of taking away matter?".into(),
        caption: format!(
            "Each dot is a head. Replacing its output by zeros or another image's: on the line this agrees with the mean, \
             above it calls the head more important. What the gradient alone would have said: Spearman's ρ {}.",
            match &findings.gradient_agreement {
                Some(agreement) => format!("= {}", Unit::Coefficient.sentence(agreement)),
                None => "is undefined".into(),
            }
        )
        .into(),
        panels: vec![Panel::chart(&replacements), Panel::chart(&gradient)],
        data: None,
    })
}

/// Heads taken away one after another, whole branches, and pairs.
fn together(found: &Together) -> Vec<Block> {
    let mut panels: Vec<Panel> = Vec::new();
    let mut caption = format!("On {}.", counted(found.n, "image"));
    if let Some(curve) = &found.curve {
        panels.push(Panel::chart(&pruning(curve)));
        caption += &format!(
            " Accuracy while heads are replaced by their means one after another, with its interval. Importance is measured on {} \
             others. The band of random order spans {}.",
            found.chosen_on,
            counted(curve.random_orders, "order")
        );
    }
    if !found.branches.is_empty() {
        panels.push(Panel::chart(&branches(&found.branches)));
        caption += " What a branch of a layer adds is replaced by its mean: loss increase.";
    }
    let mut blocks = Vec::new();
    if !panels.is_empty() {
        blocks.push(Block::Figure(Figure {
            title: match (&found.curve, found.branches.is_empty()) {
                (Some(_), false) => "Several heads at once, and whole layers.".into(),
                (Some(_), true) => "Several heads at once.".into(),
                (None, _) => "Whole layers.".into(),
            },
            caption: caption.into(),
            panels,
            data: (!found.branches.is_empty()).then(|| branches_table(&found.branches)),
        }));
    }
    if !found.pairs.is_empty() {
        blocks.push(Block::Folded { title: "Pairs of heads".into(), table: pairs(found) });
    }
    blocks
}

fn pruning(curve: &PruningCurve) -> LineChart {
    let removed: Vec<f64> = curve.removed.iter().map(|&count| count as f64).collect();
    let points = |estimates: &[Estimate]| {
        removed.iter().zip(estimates).filter_map(|(&x, estimate)| point(x, estimate)).collect::<Vec<_>>()
    };
    let random = removed.iter().zip(&curve.random).map(|(&x, of)| Point {
        x,
        y: of.mean,
        interval: Some((of.lowest, of.highest)),
    });
    let mut series = vec![
        LineSeries { name: "most important first".into(), points: points(&curve.most_first) },
        LineSeries { name: "least important first".into(), points: points(&curve.least_first) },
        LineSeries { name: "largest gradient first".into(), points: points(&curve.gradient_first) },
    ];
    if !curve.random.is_empty() {
        series.push(LineSeries { name: "random order".into(), points: random.collect() });
    }
    LineChart {
        title: "Accuracy without heads".into(),
        description:
            "Accuracy against the number of heads that are replaced by their means, in several orders".into(),
        x: Axis::new("heads taken away", Scale::Count),
        y: Axis::new("accuracy", Scale::Percent),
        series,
        uncertainty: Uncertainty::Band,
    }
}

/// `attention`, `MLP`, `both`; the branch of a residual block is all of it.
fn branch_name(branch: Branch, alone: bool) -> &'static str {
    match branch {
        Branch::Attention => "attention",
        Branch::Mlp => "MLP",
        Branch::Layer if alone => "branch",
        Branch::Layer => "both",
    }
}

fn branches(found: &[BranchAblation]) -> MatrixChart {
    let layers = found.iter().map(|of| of.layer + 1).max().unwrap_or(0);
    let kinds: Vec<Branch> =
        Branch::ALL.into_iter().filter(|kind| found.iter().any(|of| of.branch == *kind)).collect();
    let worth = |layer: usize, branch: Branch| {
        let of = found.iter().find(|of| (of.layer, of.branch) == (layer, branch));
        of.map(|of| of.mean.value).filter(|value| value.is_finite())
    };
    MatrixChart {
        title: "What layers add".into(),
        description: "Loss increase when what a branch of a layer adds is replaced by its mean".into(),
        row_label: "layer".into(),
        column_label: "replaced".into(),
        value_label: "loss increase (nats)".into(),
        rows: (1..=layers).map(|layer| layer.to_string()).collect(),
        columns: kinds.iter().map(|kind| branch_name(*kind, kinds.len() == 1).to_owned()).collect(),
        values: (0..layers).flat_map(|layer| kinds.iter().map(move |&kind| worth(layer, kind))).collect(),
        format: ValueFormat::Decimals(2),
        range: None,
    }
}

fn branches_table(found: &[BranchAblation]) -> Table {
    let alone = found.iter().all(|of| of.branch == Branch::Layer);
    let rows = found.iter().map(|of| {
        vec![
            Text::from((of.layer + 1).to_string()),
            branch_name(of.branch, alone).into(),
            Unit::Nats.cell(&of.mean),
            Unit::Nats.cell(&of.zero),
            Unit::Points.cell(&of.accuracy_drop),
            p_value(of.adjusted_p).into(),
        ]
    });
    Table {
        caption: "Branches of every layer: loss increase in nats when what a branch adds is replaced by its mean, and when it adds \
                  nothing; accuracy lost by the mean in points; and the p-value of the sign-flip test of the mean, adjusted by \
                  Benjamini-Hochberg over all branches."
            .into(),
        columns: vec![
            Column::words("Layer"),
            Column::words("Branch"),
            Column::numbers("Mean"),
            Column::numbers("Zero"),
            Column::numbers("Accuracy lost"),
            Column::numbers("Adjusted p"),
        ],
        rows: rows.collect(),
    }
}

fn pairs(found: &Together) -> Table {
    let rows = found.pairs.iter().map(|pair| {
        vec![
            Text::from(format!("{} and {}", pair.first, pair.second)),
            Unit::Nats.value(pair.both).into(),
            Unit::Nats.value(pair.apart).into(),
            Unit::Nats.cell(&pair.interaction),
            p_value(pair.adjusted_p).into(),
        ]
    });
    Table {
        caption: "Random pairs of heads (layer.head) replaced by their means: loss increase without both, the sum of the increases \
                  without one of them, the difference of the two (above 0 the heads stand in for each other), and the p-value of \
                  the sign-flip test, adjusted by Benjamini-Hochberg over the pairs."
            .into(),
        columns: vec![
            Column::words("Heads"),
            Column::numbers("Both"),
            Column::numbers("Sum of each"),
            Column::numbers("Interaction"),
            Column::numbers("Adjusted p"),
        ],
        rows: rows.collect(),
    }
}

fn table(findings: &HeadFindings) -> Table {
    let rows = findings.ranking.iter().enumerate().map(|(rank, head)| {
        vec![
            Text::from(format!("{}.{}", head.layer + 1, head.head + 1)),
            (rank + 1).to_string().into(),
            Unit::Nats.cell(&head.mean),
            Unit::Nats.cell(&head.zero),
            Unit::Nats.cell(&head.resample),
            Unit::Points.cell(&head.accuracy_drop),
            Unit::Nats.cell(&head.gradient),
            p_value(head.adjusted_p).into(),
        ]
    });
    Table {
        caption: "Every head (layer.head), the most important first: loss increase in nats under three replacements, \
                  accuracy lost under mean replacement in points, importance by gradient, and the p-value of the sign-flip \
                  test that mean replacement changes the mean loss, adjusted by Benjamini-Hochberg."
            .into(),
        columns: vec![
            Column::words("Head"),
            Column::numbers("Rank"),
            Column::numbers("Mean"),
            Column::numbers("Zero"),
            Column::numbers("Resample"),
            Column::numbers("Accuracy lost"),
            Column::numbers("Gradient"),
            Column::numbers("Adjusted p"),
        ],
        rows: rows.collect(),
    }
}
