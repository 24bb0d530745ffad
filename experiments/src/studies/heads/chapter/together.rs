//! Heads taken away one after another, whole branches of layers, and pairs of heads.

use archaeo_analysis::ablation::Branch;
use archaeo_analysis::statistics::Estimate;
use archaeo_plot::{Axis, LineChart, LineSeries, MatrixChart, Point, Scale, Uncertainty, ValueFormat};
use archaeo_report::document::{Block, Column, Figure, Panel, Table, Text};
use archaeo_report::numbers::{Unit, counted, p_value};

use super::super::findings::{BranchAblation, PruningCurve, Together};
use crate::report::charts::point;

/// Heads taken away one after another, whole branches, and pairs.
pub(super) fn together(found: &Together) -> Vec<Block> {
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
