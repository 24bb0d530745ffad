//! What the models were shown.

use crate::findings::{DataFindings, ImageShown, Investigation};

use super::names::class_name;
use super::shown::{MADE_EARLIER, in_lab};
use archaeo_report::document::{
    Block, Column, Figure, Panel, Picture, PictureGrid, PictureRow, Section, Table, Text,
};
use archaeo_report::numbers::{count, counted};

/// Above this many classes the table of counts by class is folded away.
const MOST_OPEN_CLASSES: usize = 12;

/// Skipped images named in the report; the rest is counted.
const MOST_NAMED_IMAGES: usize = 20;

pub(super) fn section(investigation: &Investigation) -> Section {
    let data = &investigation.data;
    let images: usize = data.counts.values().flatten().sum();
    let mut blocks = vec![
        Block::Paragraph(
            Text::new()
                .strong(data.name.clone())
                .plain(format!(
                    " has {} in {}; here {} were used, from ",
                    counted(data.classes.len(), "class"),
                    counted(data.counts.len(), "split"),
                    counted(images, "image"),
                ))
                .code(data.source.clone())
                .plain("."),
        ),
        Block::Figure(Figure {
            title: format!("Images of {}.", data.name),
            caption: "The first images of each class, before they are brought to a model's size.".into(),
            panels: vec![shown(data)],
            data: None,
        }),
        counts(data),
    ];
    if !data.notes.is_empty() {
        blocks.push(Block::List(data.notes.iter().map(|note| sentence(note)).collect()));
    }
    if !data.skipped.is_empty() {
        blocks.push(skipped(data));
    }
    Section { id: "data", title: "Data", blocks }
}

/// A row of images for each class.
fn shown(data: &DataFindings) -> Panel {
    if data.shown.is_empty() {
        return Panel::Missing(MADE_EARLIER.into());
    }
    let of_class = |images: &[ImageShown]| {
        let name = class_name(&data.classes, images[0].label);
        let picture = |image: &ImageShown| {
            Picture::new(&image.picture, format!("{name}: image {}, {}", image.index, image.identifier))
                .in_lab(in_lab(image.index, "attention", None))
        };
        PictureRow { pictures: images.iter().map(picture).collect(), name }
    };
    let rows = data.shown.chunk_by(|one, other| one.label == other.label).map(of_class).collect();
    Panel::Pictures(PictureGrid { columns: None, rows, legend: None, kinds: Vec::new() })
}

/// A note, whose names stand in backquotes.
fn sentence(note: &str) -> Text {
    note.split('`').enumerate().fold(Text::new(), |text, (i, part)| match i % 2 {
        0 => text.plain(part),
        _ => text.code(part),
    })
}

fn counts(data: &DataFindings) -> Block {
    let mut columns = vec![Column::words("Class")];
    columns.extend(data.counts.keys().map(|split| Column::numbers(split.clone())));
    let class_row = |class: usize| {
        let counts =
            data.counts.values().map(|counts| counts.get(class).map_or("–".into(), |n| count(*n).into()));
        std::iter::once(class_name(&data.classes, class).into()).chain(counts).collect()
    };
    let has_images =
        |class: &usize| data.counts.values().any(|counts| counts.get(*class).is_some_and(|&n| n > 0));
    let shown: Vec<usize> = (0..data.classes.len()).filter(has_images).collect();
    let mut rows: Vec<Vec<Text>> = shown.iter().copied().map(class_row).collect();
    let totals = data.counts.values().map(|counts| Text::new().strong(count(counts.iter().sum())));
    rows.push(std::iter::once(Text::new().strong("All")).chain(totals).collect());
    let table = Table { caption: "Images of each class and split.".into(), columns, rows };
    if shown.len() > MOST_OPEN_CLASSES {
        Block::Folded { title: format!("Images of each of {}", counted(shown.len(), "class")), table }
    } else {
        Block::Table(table)
    }
}

fn skipped(data: &DataFindings) -> Block {
    let named = data.skipped.iter().take(MOST_NAMED_IMAGES);
    let rows =
        named.map(|(image, reason)| vec![Text::new().code(image.clone()), reason.clone().into()]).collect();
    let shown = data.skipped.len().min(MOST_NAMED_IMAGES);
    let caption = match data.skipped.len() {
        all if all > shown => format!("Images left out: the first {shown} of {}.", count(all)),
        all => format!("{} left out.", counted(all, "image")),
    };
    let columns = vec![Column::words("Image"), Column::prose("Reason")];
    let title = format!("{} left out, and why", counted(data.skipped.len(), "image"));
    Block::Folded { title, table: Table { caption: caption.into(), columns, rows } }
}
