//! Regimes in tables: what each is and reaches, which to choose, and every two of them.

use archaeo_report::document::{Column, Table, Text};
use archaeo_report::evidence::SIGNIFICANCE;
use archaeo_report::numbers::{Unit, count, counted, duration, p_value, percent};

use super::super::conclusion::{NEAR_THE_END, advisable};
use super::super::{Regime, RegimeRun, RegimesCompared};
use crate::report::names::listed;

pub(crate) fn overview(regimes: &RegimesCompared) -> Table {
    let rows = regimes.regimes.iter().filter_map(|regime| {
        let run = regime.largest()?;
        let converged = run.converged();
        let seen = |images: f64| count(images.round() as usize);
        Some(vec![
            Text::from(regime.name.clone()),
            regime.kind.describe().into(),
            count(run.images).into(),
            count(run.history.len()).into(),
            duration(run.seconds()).into(),
            converged.map_or_else(|| "–".into(), |found| seen(found.images)).into(),
            converged.map_or_else(|| "–".into(), |found| duration(found.seconds)).into(),
            Unit::Percent.cell(&run.accuracy),
        ])
    });
    Table {
        caption: format!(
            "Each regime on the most training images. Converged: the first epoch at which validation accuracy is {} of its last value.",
            percent(NEAR_THE_END)
        )
        .into(),
        columns: vec![
            Column::words("Regime"),
            Column::prose("What it is"),
            Column::numbers("Training images"),
            Column::numbers("Epochs"),
            Column::numbers("Time"),
            Column::numbers("Images seen until converged"),
            Column::numbers("Time until then"),
            Column::numbers("Test accuracy"),
        ],
        rows: rows.collect(),
    }
}

pub(crate) fn by_share(regimes: &RegimesCompared) -> Table {
    let shares = regimes.shares();
    let rows = regimes.regimes.iter().map(|regime| {
        let of_share = |share: &f64| {
            regime.on(*share).map_or_else(|| Text::from("–"), |run| Unit::Percent.cell(&run.accuracy))
        };
        std::iter::once(Text::from(regime.name.clone())).chain(shares.iter().map(of_share)).collect()
    });
    let images = |share: f64| {
        let mut runs = regimes.regimes.iter().flat_map(|regime| &regime.runs);
        runs.find(|run| run.share == share).map_or(0, |run| run.images)
    };
    let column =
        |share: &f64| Column::numbers(format!("{} ({})", percent(*share), counted(images(*share), "image")));
    Table {
        caption: "Test accuracy by share of the training images.".into(),
        columns: std::iter::once(Column::words("Regime")).chain(shares.iter().map(column)).collect(),
        rows: rows.collect(),
    }
}

pub(crate) fn advice(regimes: &RegimesCompared) -> Table {
    let rows = regimes.shares().into_iter().map(|share| {
        let advised = advisable(&regimes.regimes, &regimes.pairs, share, SIGNIFICANCE);
        let in_words = |regime: &&Regime| {
            let seconds = regime.on(share).map_or(0.0, RegimeRun::seconds);
            format!("{} ({})", regime.name, duration(seconds))
        };
        vec![Text::from(percent(share)), listed(&advised.iter().map(in_words).collect::<Vec<_>>()).into()]
    });
    Table {
        caption: "For each share of the training images, the regimes that are not shown to be worse than the most accurate one (McNemar, \
                  adjusted), the quickest first."
            .into(),
        columns: vec![Column::words("Training images"), Column::prose("Regimes to choose from")],
        rows: rows.collect(),
    }
}

pub(crate) fn pairs(regimes: &RegimesCompared) -> Table {
    let rows = regimes.pairs.iter().map(|pair| {
        vec![
            Text::from(pair.regimes[0].clone()),
            pair.regimes[1].clone().into(),
            percent(pair.share).into(),
            Unit::Points.cell(&pair.difference),
            p_value(pair.p_value).into(),
            p_value(pair.adjusted).into(),
        ]
    });
    Table {
        caption: "Every two regimes on the same test images: difference of accuracies in points, first less second, and McNemar's exact test, \
                  adjusted by Benjamini and Hochberg for all rows."
            .into(),
        columns: vec![
            Column::words("First"),
            Column::words("Second"),
            Column::numbers("Training images"),
            Column::numbers("Difference"),
            Column::numbers("Test"),
            Column::numbers("Adjusted"),
        ],
        rows: rows.collect(),
    }
}
