//! The models: what they are and how they were trained.

use archaeo_plot::{Axis, LineChart, LineSeries, Scale, Uncertainty};

use crate::findings::{Investigation, ModelFindings, StartedFrom};
use archaeo_training::{Ended, EpochRecord, TrainingEnd};

use super::charts::bare_point;
use super::names::Names;
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, count, decimal, duration, percent};

pub(super) fn section(investigation: &Investigation, names: &Names) -> Section {
    let models = &investigation.models;
    let mut blocks = vec![overview(models)];
    let trained: Vec<&ModelFindings> = models.iter().filter(|model| !model.history.is_empty()).collect();
    for model in models.iter().filter(|model| model.history.is_empty()) {
        blocks.push(Block::Paragraph(
            Text::new()
                .strong(model.card.name.clone())
                .plain(" was loaded from ")
                .code(model.weights.clone())
                .plain("; how it was trained is not known here."),
        ));
    }
    if !trained.is_empty() {
        blocks.push(curves(&trained, names));
    }
    Section { id: "models", title: "Models and training", blocks }
}

fn overview(models: &[ModelFindings]) -> Block {
    let mut columns = vec![Column::words("Property")];
    columns.extend(models.iter().map(|model| Column::prose(model.card.name.clone())));
    let row = |name: &str, cell: &dyn Fn(&ModelFindings) -> Text| -> Vec<Text> {
        std::iter::once(name.into()).chain(models.iter().map(cell)).collect()
    };
    let mut rows = vec![
        row("Architecture", &|model| model.card.network.describe().into()),
        row("Parameters", &|model| count(model.parameters).into()),
        row("Input", &|model| {
            let side = model.card.preprocessing.image_size;
            format!("{side} × {side} px").into()
        }),
    ];
    if models.iter().any(|model| model.started_from.is_some()) {
        rows.push(row("Trained from", &|model| match (&model.started_from, model.history.is_empty()) {
            (Some(StartedFrom { weights, frozen: Some(frozen), .. }), _) => {
                Text::new().code(weights.clone()).plain(format!(", {frozen}"))
            }
            (Some(start), _) => Text::new().code(start.weights.clone()),
            (None, false) => "random weights".into(),
            (None, true) => "–".into(),
        }));
    }
    rows.extend([
        row("Epochs", &|model| match model.history.last() {
            Some(last) => count(last.epoch).into(),
            None => "loaded".into(),
        }),
        row("Training time", &|model| match model.history.is_empty() {
            true => "–".into(),
            false => duration(model.history.iter().map(|epoch| epoch.seconds).sum()).into(),
        }),
        row("Images per second", &|model| match median_speed(&model.history) {
            Some(speed) => decimal(speed, 0).into(),
            None => "–".into(),
        }),
        row("Validation accuracy", &|model| match model.history.last() {
            Some(last) => percent(last.validation_accuracy).into(),
            None => "–".into(),
        }),
    ]);
    if models.iter().any(|model| model.training_end.is_some()) {
        rows.push(row("Validation loss at the end", &|model| at_its_end(model).into()));
    }
    if models.iter().any(|model| !model.more_runs.is_empty()) {
        rows.push(row("Runs", &|model| runs(model).into()));
    }
    let caption = "The models. Speed is the median over epochs; validation accuracy that of the last epoch.";
    Block::Table(Table { caption: caption.into(), columns, rows })
}

/// Whether a training had come to rest.
fn at_its_end(model: &ModelFindings) -> String {
    let Some(TrainingEnd { change, lowest_before, ended }) = model.training_end else { return "–".into() };
    let share = percent(change.abs());
    match ended {
        Ended::StillFalling => format!("still falling: {share} below epoch {lowest_before}"),
        Ended::AtRest => format!("at rest: within {share} of epoch {lowest_before}"),
        Ended::RisenAgain => format!("risen again: {share} above epoch {lowest_before}"),
    }
}

/// Number of runs, with their seeds where all are known.
fn runs(model: &ModelFindings) -> String {
    let more = model.more_runs.iter().map(|run| run.seed);
    let seeds: Vec<Option<u64>> = std::iter::once(model.seed).chain(more).collect();
    match seeds.iter().copied().collect::<Option<Vec<u64>>>() {
        Some(known) => {
            let known: Vec<String> = known.iter().map(u64::to_string).collect();
            format!("{}, seeds {}", seeds.len(), known.join(", "))
        }
        None => seeds.len().to_string(),
    }
}

fn median_speed(history: &[EpochRecord]) -> Option<f64> {
    let mut speeds: Vec<f64> = history.iter().map(|epoch| epoch.images_per_second).collect();
    speeds.sort_by(f64::total_cmp);
    speeds.get(speeds.len() / 2).copied()
}

fn curves(trained: &[&ModelFindings], names: &Names) -> Block {
    let series = |suffix: &str, model: &ModelFindings, value: fn(&EpochRecord) -> f64| LineSeries {
        name: format!("{}{suffix}", names.bare(model.name)),
        points: model
            .history
            .iter()
            .filter_map(|epoch| bare_point(epoch.epoch as f64, value(epoch)))
            .collect(),
    };
    let accuracy = LineChart {
        title: "Validation accuracy".into(),
        description: "Accuracy on the validation split after each epoch, one curve a model".into(),
        x: Axis::new("epoch", Scale::Count),
        y: Axis::new("accuracy", Scale::Percent).including(0.0, 1.0),
        series: trained.iter().map(|model| series("", model, |e| e.validation_accuracy)).collect(),
        uncertainty: Uncertainty::Band,
    };
    let mut losses: Vec<LineSeries> =
        trained.iter().map(|model| series(" validation", model, |e| e.validation_loss)).collect();
    losses.extend(trained.iter().map(|model| series(" training", model, |e| e.train_loss)));
    let loss = LineChart {
        title: "Loss".into(),
        description: "Training and validation loss after each epoch".into(),
        x: Axis::new("epoch", Scale::Count),
        y: Axis::new("loss (nats)", Scale::Linear),
        series: losses,
        uncertainty: Uncertainty::Band,
    };
    Block::Figure(Figure {
        title: "Training.".into(),
        caption:
            "Accuracy on the validation split and losses after each epoch. Training loss includes whatever \
                  smoothing and mixing the recipe has, so it may exceed the validation loss."
                .into(),
        panels: vec![Panel::chart(&accuracy), Panel::chart(&loss)],
        data: Some(history_table(trained, names)),
    })
}

fn history_table(trained: &[&ModelFindings], names: &Names) -> Table {
    let rows = trained.iter().flat_map(|model| {
        model.history.iter().map(|epoch| {
            vec![
                names.bare(model.name).into(),
                count(epoch.epoch).into(),
                Unit::Nats.bare(epoch.train_loss).into(),
                Unit::Nats.bare(epoch.validation_loss).into(),
                percent(epoch.validation_accuracy).into(),
                format!("{:.1e}", epoch.learning_rate).into(),
            ]
        })
    });
    Table {
        caption: "Training, epoch by epoch. Losses in nats.".into(),
        columns: vec![
            Column::words("Model"),
            Column::numbers("Epoch"),
            Column::numbers("Training loss"),
            Column::numbers("Validation loss"),
            Column::numbers("Validation accuracy"),
            Column::numbers("Learning rate"),
        ],
        rows: rows.collect(),
    }
}
