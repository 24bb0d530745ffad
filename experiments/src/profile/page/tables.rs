//! Costs in numbers.

use archaeo_report::document::{Column, Table, Text};
use archaeo_report::numbers::{Unit, count, counted, decimal, percent};

use super::super::{Profile, SizeCost};
use super::{amount, milliseconds};

pub(super) fn costs(profile: &Profile) -> Table {
    let with_accuracy = profile.models.iter().any(|model| model.accuracy.is_some());
    let rows = profile.models.iter().map(|model| {
        let SizeCost { image_size, tokens, multiply_adds, latency, memory, .. } = &model.usual;
        let mut row: Vec<Text> = vec![
            model.name.clone().into(),
            amount(model.parameters as f64).into(),
            count(*image_size).into(),
            tokens.map_or("–".into(), count).into(),
            amount(*multiply_adds as f64).into(),
            percent(model.usual.attention_share()).into(),
            Unit::Pixels.cell(&milliseconds(latency)),
            Unit::Pixels.cell(&model.throughput),
            mebibytes(*memory),
        ];
        if with_accuracy {
            row.push(model.accuracy.as_ref().map_or_else(|| "–".into(), |found| Unit::Percent.cell(found)));
        }
        row
    });
    let mut columns = vec![
        Column::words("Model"),
        Column::numbers("Parameters"),
        Column::numbers("Image, px"),
        Column::numbers("Tokens"),
        Column::numbers("Multiply-adds"),
        Column::numbers("Attention’s products"),
        Column::numbers("Latency, ms"),
        Column::numbers("Images per second"),
        Column::numbers("Memory, MiB"),
    ];
    if with_accuracy {
        columns.push(Column::numbers("Accuracy"));
    }
    Table {
        caption: format!(
            "Costs at each model's usual size of image. Latency: one image per pass; throughput: {} per pass. Memory: the most in \
             use at once for one image, besides weights.",
            counted(profile.batch, "image")
        )
        .into(),
        columns,
        rows: rows.collect(),
    }
}

pub(super) fn growth(profile: &Profile) -> Table {
    let rows = profile.models.iter().flat_map(|model| {
        let of_size = |size: &SizeCost| -> Vec<Text> {
            vec![
                model.name.clone().into(),
                count(size.image_size).into(),
                size.tokens.map_or("–".into(), count).into(),
                amount(size.multiply_adds as f64).into(),
                percent(size.attention_share()).into(),
                Unit::Pixels.cell(&milliseconds(&size.latency)),
                mebibytes(size.memory),
            ]
        };
        model.sizes.iter().map(of_size).collect::<Vec<_>>()
    });
    Table {
        caption: "One image per pass, at each size.".into(),
        columns: vec![
            Column::words("Model"),
            Column::numbers("Image, px"),
            Column::numbers("Tokens"),
            Column::numbers("Multiply-adds"),
            Column::numbers("Attention’s products"),
            Column::numbers("Latency, ms"),
            Column::numbers("Memory, MiB"),
        ],
        rows: rows.collect(),
    }
}

fn mebibytes(bytes: Option<usize>) -> Text {
    bytes.map_or_else(|| "–".into(), |bytes| decimal(bytes as f64 / f64::from(1 << 20), 1).into())
}
