//! A [`Document`] on paper: a fixed text in Typst's language that lays out what stands in a file of JSON next to it, so that nothing of
//! a report is ever read as markup.

use serde_json::{Value, json};

use crate::bibliography;
use crate::document::{
    Block, Claim, ColumnKind, Document, Figure, Gallery, Legend, Panel, Part, Picture, PictureGrid, Section,
    Span, Table, Text,
};
use crate::markdown::CHARTS;

/// The fixed text, which reads [`DATA`].
pub const TEMPLATE: &str = include_str!("typst/report.typ");

/// What the fixed text is called.
pub const FILE: &str = "report.typ";

/// What it reads.
pub const DATA: &str = "report.json";

/// Items of each group of a gallery that are printed.
const ITEMS: usize = 3;

/// How much of a report is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// What was found, and its limits.
    Summary,
    /// Every chapter, without tables of the appendix and what the page of the report folds away, and with a few examples.
    #[default]
    Full,
    /// Everything.
    Appendix,
}

impl Detail {
    /// The word that it is asked for by.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "summary" => Some(Self::Summary),
            "full" => Some(Self::Full),
            "appendix" => Some(Self::Appendix),
            _ => None,
        }
    }
}

/// What the fixed text reads. Charts are where the report in Markdown has them; `exists` says of a picture whether it is there.
pub fn data(document: &Document, detail: Detail, exists: &dyn Fn(&str) -> bool) -> Value {
    let mut writer = Writer { detail, exists, section: "", charts: 0 };
    let whole =
        vec![Part { title: "", sections: document.sections.iter().map(|section| section.id).collect() }];
    let mut parts = Vec::new();
    for part in if document.parts.is_empty() { &whole } else { &document.parts } {
        let of_part = document.sections.iter().filter(|section| part.sections.contains(&section.id));
        let sections: Vec<Value> = of_part.filter_map(|section| writer.section(section)).collect();
        if !sections.is_empty() {
            parts.push(json!({ "title": part.title, "sections": sections }));
        }
    }
    let facts: Vec<Value> =
        document.facts.iter().map(|(name, value)| json!({ "name": name, "value": text(value) })).collect();
    let references: Vec<Value> = bibliography::cited(document)
        .iter()
        .map(|(label, url)| {
            let title = bibliography::reference(url).map(|reference| reference.title);
            json!({ "label": label, "url": url, "title": title })
        })
        .collect();
    json!({
        "kind": document.kind,
        "title": document.title,
        "lead": text(&document.lead),
        "abstract": abstract_of(document),
        "facts": facts,
        "parts": parts,
        "references": references,
    })
}

/// The statements of the first section that makes any.
fn abstract_of(document: &Document) -> Vec<&str> {
    let claims = document.sections.iter().flat_map(|section| &section.blocks).find_map(|block| match block {
        Block::Claims(claims) if !claims.is_empty() => Some(claims),
        _ => None,
    });
    claims.into_iter().flatten().map(|claim| claim.statement.as_str()).collect()
}

fn text(text: &Text) -> Value {
    let span = |span: &Span| match span {
        Span::Plain(plain) => json!({ "kind": "plain", "text": plain }),
        Span::Strong(strong) => json!({ "kind": "strong", "text": strong }),
        Span::Code(code) => json!({ "kind": "code", "text": code }),
        Span::Interval(interval) => json!({ "kind": "interval", "text": interval }),
        Span::Link { label, url } => json!({ "kind": "link", "text": label, "url": url }),
    };
    text.0.iter().map(span).collect()
}

/// Sections of a summary.
fn is_summary(section: &Section) -> bool {
    let claims = section.blocks.iter().any(|block| matches!(block, Block::Claims(_)));
    claims || ["glance", "limitations"].contains(&section.id)
}

struct Writer<'a> {
    detail: Detail,
    exists: &'a dyn Fn(&str) -> bool,
    section: &'static str,
    /// Charts of the section so far, after which they are named.
    charts: usize,
}

impl Writer<'_> {
    fn section(&mut self, section: &Section) -> Option<Value> {
        (self.section, self.charts) = (section.id, 0);
        let blocks: Vec<Value> = section.blocks.iter().filter_map(|block| self.block(block)).collect();
        let kept = self.detail != Detail::Summary || is_summary(section);
        (kept && !blocks.is_empty())
            .then(|| json!({ "id": section.id, "title": section.title, "blocks": blocks }))
    }

    fn block(&mut self, block: &Block) -> Option<Value> {
        let all = self.detail == Detail::Appendix;
        Some(match block {
            Block::Heading(heading) => json!({ "kind": "heading", "text": heading }),
            Block::Paragraph(paragraph) => json!({ "kind": "paragraph", "text": text(paragraph) }),
            Block::List(items) => {
                json!({ "kind": "list", "items": items.iter().map(text).collect::<Vec<_>>() })
            }
            Block::Claims(claims) => {
                // Those of other chapters rest on numbers that stand there.
                let elsewhere = |claim: &Claim| !all && claim.section != self.section;
                let evidence = |claim: &Claim| match elsewhere(claim) {
                    true => String::new(),
                    false => claim.evidence.clone(),
                };
                let claims: Vec<Value> = claims
                    .iter()
                    .map(|claim| json!({ "statement": claim.statement, "evidence": evidence(claim) }))
                    .collect();
                json!({ "kind": "claims", "claims": claims })
            }
            Block::Definitions(terms) => {
                let entries: Vec<Value> = terms
                    .iter()
                    .map(|(term, meaning)| json!({ "term": term, "meaning": text(meaning) }))
                    .collect();
                json!({ "kind": "definitions", "entries": entries })
            }
            Block::Table(table) => json!({ "kind": "table", "table": rows(table) }),
            Block::Appendix(table) | Block::Folded { table, .. } if all => {
                json!({ "kind": "table", "table": rows(table) })
            }
            Block::Figure(figure) => self.figure(figure),
            Block::Gallery(gallery) => self.gallery(gallery),
            Block::Listing { title, text } if all => {
                json!({ "kind": "listing", "title": title, "text": text })
            }
            Block::Appendix(_) | Block::Folded { .. } | Block::Listing { .. } => return None,
        })
    }

    fn figure(&mut self, figure: &Figure) -> Value {
        let panels: Vec<Value> = figure
            .panels
            .iter()
            .map(|panel| match panel {
                Panel::Chart(chart) => {
                    self.charts += 1;
                    let path = format!("{CHARTS}/{}-{}.svg", self.section, self.charts);
                    json!({ "kind": "chart", "path": path, "description": chart.description, "aspect": aspect(&chart.wide) })
                }
                Panel::Pictures(grid) => self.grid(grid),
                Panel::Missing(reason) => json!({ "kind": "missing", "reason": reason }),
            })
            .collect();
        json!({ "kind": "figure", "title": figure.title, "caption": text(&figure.caption), "panels": panels })
    }

    fn grid(&self, grid: &PictureGrid) -> Value {
        let rows: Vec<Value> = grid
            .rows
            .iter()
            .map(|row| json!({ "name": row.name, "pictures": self.pictures(&row.pictures) }))
            .collect();
        let (corner, columns) = match &grid.columns {
            Some((corner, columns)) => (corner.as_str(), Some(columns)),
            None => ("", None),
        };
        json!({ "kind": "pictures", "corner": corner, "columns": columns, "rows": rows, "legend": legend(grid.legend.as_ref()) })
    }

    fn pictures(&self, pictures: &[Picture]) -> Vec<Value> {
        let there = pictures.iter().filter(|picture| (self.exists)(&picture.path));
        there
            .map(|Picture { path, alt, label, frame, .. }| {
                json!({ "path": path, "alt": alt, "label": label, "frame": frame })
            })
            .collect()
    }

    fn gallery(&self, gallery: &Gallery) -> Value {
        let most = if self.detail == Detail::Appendix { usize::MAX } else { ITEMS };
        let groups = gallery.groups.iter().enumerate().filter_map(|(group, title)| {
            let items: Vec<_> = gallery.items.iter().filter(|item| item.group == group).collect();
            let shown: Vec<Value> = items
                .iter()
                .take(most)
                .map(|item| {
                    let verdicts: Vec<Value> = item
                        .verdicts
                        .iter()
                        .map(|verdict| json!({ "correct": verdict.correct, "text": text(&verdict.text) }))
                        .collect();
                    json!({
                        "pictures": self.pictures(&item.pictures),
                        "title": text(&item.title),
                        "verdicts": verdicts,
                        "lines": item.lines.iter().map(text).collect::<Vec<_>>(),
                    })
                })
                .collect();
            let left_out = items.len() - shown.len();
            (!shown.is_empty()).then(|| json!({ "title": title, "items": shown, "left_out": left_out }))
        });
        json!({
            "kind": "gallery",
            "caption": text(&gallery.caption),
            "legend": legend(gallery.legend.as_ref()),
            "groups": groups.collect::<Vec<_>>(),
        })
    }
}

/// Width over height of a chart, as its element says.
fn aspect(svg: &str) -> f64 {
    let number = |name: &str| -> Option<f64> { svg.split_once(name)?.1.split('"').next()?.parse().ok() };
    match (number("width=\""), number("height=\"")) {
        (Some(width), Some(height)) if height > 0.0 => width / height,
        _ => 1.6,
    }
}

fn legend(legend: Option<&Legend>) -> Value {
    match legend {
        None => Value::Null,
        Some(Legend { title, colors, ends }) => json!({ "title": title, "colors": colors, "ends": ends }),
    }
}

/// A table. A cell is an object, since Typst flattens lists of lists to the bottom.
fn rows(table: &Table) -> Value {
    let kind = |kind: ColumnKind| match kind {
        ColumnKind::Words => "words",
        ColumnKind::Prose => "prose",
        ColumnKind::Numbers => "numbers",
    };
    let columns: Vec<Value> = table
        .columns
        .iter()
        .map(|column| json!({ "title": column.title, "kind": kind(column.kind) }))
        .collect();
    let cells = |row: &Vec<Text>| row.iter().map(|cell| json!({ "spans": text(cell) })).collect::<Vec<_>>();
    json!({
        "caption": text(&table.caption),
        "columns": columns,
        "rows": table.rows.iter().map(cells).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of a colour with channels in [0, 1] (WCAG 2.2).
    fn luminance(color: [f64; 3]) -> f64 {
        let linear =
            |value: f64| if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) };
        let [red, green, blue] = color.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn on_white(color: [f64; 3]) -> f64 {
        1.05 / (luminance(color) + 0.05)
    }

    /// The colours that the fixed text writes in: `luma(35%)`, `rgb("#0b4f8a")`.
    fn written_in() -> Vec<(String, [f64; 3])> {
        let mut colors = Vec::new();
        for rest in TEMPLATE.split("fill: ").skip(1) {
            // A condition names several.
            let statement = rest.split(['\n', ',']).next().unwrap();
            for part in statement.split("luma(").skip(1) {
                let percent: f64 = part.split('%').next().unwrap().parse().unwrap();
                colors.push((statement.to_owned(), [percent / 100.0; 3]));
            }
            for part in statement.split("rgb(\"#").skip(1) {
                let channel =
                    |at: usize| f64::from(u8::from_str_radix(&part[at..at + 2], 16).unwrap()) / 255.0;
                colors.push((statement.to_owned(), [0, 2, 4].map(channel)));
            }
        }
        colors
    }

    /// Level AA asks for 4.5 of text of any size.
    #[test]
    fn text_on_paper_can_be_read() {
        let colors = written_in();
        assert!(colors.len() >= 8, "{colors:?}");
        for (statement, color) in colors {
            assert!(on_white(color) >= 4.5, "{statement}: {:.2}", on_white(color));
        }
        assert!((on_white([0.0; 3]) - 21.0).abs() < 1e-9 && on_white([0.5; 3]) < 4.5);
    }

    #[test]
    fn tables_of_the_appendix_are_printed_with_the_appendix_alone() {
        let table = |caption: &str| Table { caption: caption.into(), columns: Vec::new(), rows: Vec::new() };
        let section = || Section {
            id: "numbers",
            title: "Numbers",
            blocks: vec![Block::Table(table("short")), Block::Appendix(table("long"))],
        };
        let document = Document {
            kind: "test",
            title: "Made up".into(),
            lead: Text::new(),
            facts: Vec::new(),
            sections: vec![section()],
            parts: Vec::new(),
        };
        let printed = |detail| {
            data(&document, detail, &|_| true)["parts"][0]["sections"][0]["blocks"].as_array().map(Vec::len)
        };
        assert_eq!(printed(Detail::Full), Some(1));
        assert_eq!(printed(Detail::Appendix), Some(2));
    }
}
