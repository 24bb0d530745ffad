//! Models and heads in numbers.

use archaeo_analysis::statistics::Estimate;
use archaeo_report::document::{Column, Table, Text};
use archaeo_report::numbers::{Unit, p_value};

use super::claims::Near;
use super::findings::{AttentionFindings, HeadAttention};
use crate::report::Names;
use crate::subjects::{ByModel, ModelName};

/// What the claims rest on, model by model.
pub(super) fn side_by_side(findings: &ByModel<AttentionFindings>, names: &Names) -> Table {
    let row = |(model, found): (ModelName, &AttentionFindings)| {
        let trend = match found.trend.known() {
            Some(trend) => [Unit::Coefficient.value(trend.rho), p_value(trend.p_value)],
            None => ["–".into(), "–".into()],
        };
        let heads = match Near::of(found) {
            Some(Near { total, near, far, .. }) => [total, near, far].map(|count| count.to_string()),
            None => ["–", "–", "–"].map(str::to_owned),
        };
        let mut row = vec![Text::from(names.bare(model)), found.layers.len().to_string().into()];
        row.extend(heads.into_iter().chain(trend).map(Text::from));
        row
    };
    Table {
        caption: "Each model with attention: heads that look nearer or farther than attention spread evenly would, and Spearman's ρ \
                  between layer and distance relative to even attention, with its p-value (permutations of the layers)."
            .into(),
        columns: vec![
            Column::words("Model"),
            Column::numbers("Layers"),
            Column::numbers("Heads"),
            Column::numbers("Nearer"),
            Column::numbers("Farther"),
            Column::numbers("ρ with depth"),
            Column::numbers("p"),
        ],
        rows: findings.iter().map(row).collect(),
    }
}

/// A column for each kind of token without a place that the model has.
type TokenColumn = (&'static str, fn(&HeadAttention) -> Option<&Estimate>);

fn token_columns(findings: &AttentionFindings) -> Vec<TokenColumn> {
    let all: [TokenColumn; 3] = [
        ("To class token", |head| head.class_token_mass.as_ref()),
        ("To distillation token", |head| head.distillation_token_mass.as_ref()),
        ("To registers", |head| head.register_mass.as_ref()),
    ];
    let heads = || findings.layers.iter().flat_map(|layer| &layer.heads);
    all.into_iter().filter(|(_, mass)| heads().any(|head| mass(head).is_some())).collect()
}

pub(super) fn table(findings: &AttentionFindings) -> Table {
    let tokens = token_columns(findings);
    let rows = findings.layers.iter().enumerate().flat_map(|(layer, found)| {
        let tokens = &tokens;
        found.heads.iter().enumerate().map(move |(index, head)| {
            let mut row = vec![
                Text::from(format!("{}.{}", layer + 1, index + 1)),
                Unit::Pixels.cell(&head.distance),
                Unit::Nats.cell(&head.entropy),
                Unit::Coefficient.cell(&head.normalised_entropy),
                Unit::Coefficient.cell(&head.hoyer),
                Unit::Percent.cell(&head.below_uniform),
            ];
            let masses = tokens.iter().map(|(_, mass)| mass(head));
            row.extend(masses.map(|mass| mass.map_or("–".into(), |mass| Unit::Percent.cell(mass))));
            row
        })
    });
    let rows = rows.collect();
    let mut columns = vec![
        Column::words("Head"),
        Column::numbers("Distance (px)"),
        Column::numbers("Entropy (nats)"),
        Column::numbers("Normalised"),
        Column::numbers("Sparsity"),
        Column::numbers("Below even"),
    ];
    columns.extend(tokens.iter().map(|(name, _)| Column::numbers(*name)));
    Table {
        caption: "Statistics of every head (layer.head, counted from 1), with intervals. Sparsity is the Hoyer measure: 0 all \
                  patches alike, 1 one patch. Below even: share of weights smaller than even attention would give."
            .into(),
        columns,
        rows,
    }
}
