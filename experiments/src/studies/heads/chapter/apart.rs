//! Every head on its own, in figures and in numbers.

use archaeo_plot::{Axis, DotIntervalChart, DotRow, MatrixChart, Scale, Scatter, ScatterSeries, ValueFormat};
use archaeo_report::document::{Block, Column, Figure, Panel, Table, Text};
use archaeo_report::numbers::{Unit, p_value};

use super::super::claims::{Verdict, head_name, verdict};
use super::super::findings::{HeadAblation, HeadFindings};
use crate::report::charts::{NEUTRAL_SERIES, measure};

/// Heads named in the ranked chart; all are in the table.
const MOST_CHARTED_HEADS: usize = 12;

pub(super) fn ranking(findings: &HeadFindings, own_series: usize, images: &str) -> Block {
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
pub(super) fn three_ways(findings: &HeadFindings) -> Block {
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

pub(super) fn table(findings: &HeadFindings) -> Table {
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
