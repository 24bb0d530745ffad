//! A [`Document`] as Markdown: the same words and tables, with pictures and charts as links to files next to the report.

use crate::document::{
    Block, ColumnKind, Document, Figure, Gallery, Legend, Panel, Picture, PictureGrid, Section, Span, Table,
    Text,
};

/// Folder of the charts, within the run folder.
pub const CHARTS: &str = "charts";

/// The report, and the files that it links to besides pictures.
pub struct Page {
    /// The Markdown.
    pub text: String,
    /// Path within the run folder, and contents.
    pub charts: Vec<(String, String)>,
}

/// Prints a document.
pub fn page(document: &Document) -> Page {
    let mut writer = Writer { out: String::new(), figures: 0, tables: 0, section: "", charts: Vec::new() };
    writer.paragraph(&format!("# {}", escape(&document.title)));
    writer.paragraph(&text(&document.lead));
    for (name, value) in &document.facts {
        writer.line(&format!("- **{}:** {}", escape(name), text(value)));
    }
    writer.line("");
    for section in &document.sections {
        writer.section(section);
    }
    writer.out.truncate(writer.out.trim_end().len());
    writer.out.push('\n');
    Page { text: writer.out, charts: writer.charts }
}

/// Escapes only what would be parsed as markup or break a table row: the file is also read as it is.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut previous = ' ';
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        let markup = match character {
            '\\' | '`' | '*' | '[' | ']' | '>' | '|' | '#' | '~' => true,
            // Neither `p < 0.001` nor `vit_micro` is markup.
            '<' => !next.is_whitespace() && next != '\u{a0}',
            '_' => !(previous.is_alphanumeric() && next.is_alphanumeric()),
            _ => false,
        };
        if markup {
            escaped.push('\\');
        }
        escaped.push(if character.is_control() { ' ' } else { character });
        previous = character;
    }
    escaped
}

/// Verbatim text within a line; backticks cannot be escaped there, nor pipes within a table.
fn code(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if plain.contains(['`', '|']) { escape(&plain) } else { format!("`{plain}`") }
}

/// Running text.
pub(crate) fn text(text: &Text) -> String {
    let span = |span: &Span| match span {
        Span::Plain(plain) => escape(plain),
        Span::Strong(strong) => format!("**{}**", escape(strong)),
        Span::Code(verbatim) => code(verbatim),
        // Made of numbers only.
        Span::Interval(interval) => format!(" {interval}"),
        Span::Link { label, url } => format!("[{}]({url})", escape(label)),
    };
    text.0.iter().map(span).collect()
}

struct Writer {
    out: String,
    figures: usize,
    tables: usize,
    /// The section that is written, after which its charts are named.
    section: &'static str,
    charts: Vec<(String, String)>,
}

impl Writer {
    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn paragraph(&mut self, paragraph: &str) {
        self.line(paragraph);
        self.line("");
    }

    fn section(&mut self, section: &Section) {
        self.paragraph(&format!("## {}", section.title));
        self.section = section.id;
        for block in &section.blocks {
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading(heading) => self.paragraph(&format!("### {}", escape(heading))),
            Block::Paragraph(paragraph) => self.paragraph(&text(paragraph)),
            Block::List(items) => {
                items.iter().for_each(|item| self.line(&format!("- {}", text(item))));
                self.line("");
            }
            Block::Claims(claims) => {
                for claim in claims {
                    self.line(&format!("- **{}** {}", escape(&claim.statement), escape(&claim.evidence)));
                }
                self.line("");
            }
            Block::Definitions(terms) => {
                for (term, meaning) in terms {
                    self.line(&format!("- **{}**: {}", escape(term), text(meaning)));
                }
                self.line("");
            }
            Block::Table(table) | Block::Appendix(table) => {
                self.tables += 1;
                self.table(&format!("**Table {}.** ", self.tables), table);
            }
            Block::Folded { table, .. } => self.table("", table),
            Block::Figure(figure) => self.figure(figure),
            Block::Gallery(gallery) => self.gallery(gallery),
            Block::Listing { title, text } => {
                self.paragraph(&format!("{}:", escape(title)));
                // Indented, so that no fence within the text can end the block.
                text.lines().for_each(|line| self.line(&format!("    {line}")));
                self.line("");
            }
        }
    }

    fn figure(&mut self, figure: &Figure) {
        self.figures += 1;
        for panel in &figure.panels {
            match panel {
                Panel::Chart(chart) => {
                    let start = format!("{CHARTS}/{}-", self.section);
                    let drawn = |path: &str| path.starts_with(&start) && path.ends_with(".svg");
                    let before = self.charts.iter().filter(|(path, _)| drawn(path)).count();
                    let path = format!("{start}{}.svg", before + 1);
                    self.paragraph(&link(&path, &chart.description));
                    self.charts.push((path.replace(".svg", ".csv"), chart.numbers.to_csv()));
                    self.charts.push((path, archaeo_plot::svg_file(&chart.wide)));
                }
                Panel::Pictures(grid) => self.picture_grid(grid),
                Panel::Missing(reason) => self.paragraph(&escape(reason)),
            }
        }
        let title = format!("**Figure {}. {}**", self.figures, escape(&figure.title));
        self.paragraph(&format!("{title} {}", text(&figure.caption)));
        if let Some(data) = &figure.data {
            self.table("", data);
        }
    }

    fn picture_grid(&mut self, grid: &PictureGrid) {
        match &grid.columns {
            Some((corner, columns)) => {
                let names: Vec<String> =
                    std::iter::once(corner).chain(columns).map(|name| escape(name)).collect();
                self.line(&format!("| {} |", names.join(" | ")));
                self.line(&format!("|{}", " --- |".repeat(names.len())));
                for row in &grid.rows {
                    let mut cells = vec![escape(&row.name)];
                    cells.extend(row.pictures.iter().map(picture));
                    cells.resize(names.len(), String::new());
                    self.line(&format!("| {} |", cells.join(" | ")));
                }
                self.line("");
            }
            None => {
                for row in &grid.rows {
                    self.paragraph(&format!("**{}**  \n{}", escape(&row.name), pictures(&row.pictures)));
                }
            }
        }
        self.legend(grid.legend.as_ref());
        if !grid.kinds.is_empty() {
            let names: Vec<String> = grid.kinds.iter().map(|kind| escape(&kind.name)).collect();
            self.paragraph(&format!("{}.", names.join("; ")));
        }
    }

    fn legend(&mut self, legend: Option<&Legend>) {
        if let Some(Legend { title, ends: [low, high], .. }) = legend {
            self.paragraph(&format!("{}: from {} to {}.", escape(title), escape(low), escape(high)));
        }
    }

    fn gallery(&mut self, gallery: &Gallery) {
        self.paragraph(&text(&gallery.caption));
        self.legend(gallery.legend.as_ref());
        for (group, title) in gallery.groups.iter().enumerate() {
            let items = || gallery.items.iter().filter(|item| item.group == group);
            if items().next().is_none() {
                continue;
            }
            if gallery.groups.len() > 1 {
                self.paragraph(&format!("### {} ({})", escape(title), items().count()));
            }
            for item in items() {
                let verdicts = item.verdicts.iter().map(|verdict| {
                    format!("{} {}", if verdict.correct { "✓" } else { "✗" }, text(&verdict.text))
                });
                let mut lines = vec![text(&item.title)];
                lines.extend(verdicts);
                lines.extend(item.lines.iter().map(text));
                self.paragraph(&format!("{}  \n{}", pictures(&item.pictures), lines.join("; ")));
            }
        }
    }

    fn table(&mut self, prefix: &str, table: &Table) {
        self.paragraph(&format!("{prefix}{}", text(&table.caption)));
        let titles: Vec<String> = table.columns.iter().map(|column| escape(&column.title)).collect();
        self.line(&format!("| {} |", titles.join(" | ")));
        let rules: Vec<&str> = table
            .columns
            .iter()
            .map(|column| if column.kind == ColumnKind::Numbers { "---:" } else { "---" })
            .collect();
        self.line(&format!("| {} |", rules.join(" | ")));
        for row in &table.rows {
            let cells: Vec<String> = row.iter().map(text).collect();
            self.line(&format!("| {} |", cells.join(" | ")));
        }
        self.line("");
    }
}

fn picture(picture: &Picture) -> String {
    link(&picture.path, &picture.alt)
}

fn pictures(pictures: &[Picture]) -> String {
    pictures.iter().map(picture).collect::<Vec<_>>().join(" ")
}

fn link(path: &str, alt: &str) -> String {
    // Angle brackets allow spaces in the path.
    format!("![{}](<{}>)", escape(alt), path.replace(['<', '>', '\n'], "_"))
}
