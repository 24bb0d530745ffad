//! A [`Document`] as one self-contained HTML page.
//!
//! Styles, charts and pictures are inside the page, and a content security policy forbids it to load or run anything
//! else. Everything but the enlarged view of pictures works without scripts.

mod pictures;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::document::Claim;
use crate::document::{Block, ColumnKind, Document, Figure, Panel, Section, Span, Table, Text};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Bytes of a picture by its path within the run folder.
pub type Pictures<'a> = dyn Fn(&str) -> Option<Vec<u8>> + 'a;

/// Prints a document; `pictures` are embedded.
pub fn page(document: &Document, pictures: &Pictures) -> String {
    let mut writer = Writer { pictures, figures: 0, tables: 0, galleries: 0, section: "", charts: 0 };
    let script_hash = STANDARD.encode(Sha256::digest(SCRIPT));
    let policy = format!(
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{script_hash}'; base-uri 'none'; \
         form-action 'none'"
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content="archaeo";
                title { (document.title) }
                style { (PreEscaped(archaeo_plot::THEME_CSS)) (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#content" { "Skip to the report" }
                (contents(document))
                main #content {
                    header.title {
                        p.kicker { "Attention Archaeology · " (document.kind) }
                        h1 { (document.title) }
                        p.lead { (text(&document.lead)) }
                        dl.facts {
                            @for (name, value) in &document.facts {
                                div { dt { (name) } dd { (text(value)) } }
                            }
                        }
                    }
                    @for section in &document.sections { (writer.section(section)) }
                }
                (pictures::lightbox())
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn contents(document: &Document) -> Markup {
    html! {
        nav.contents aria-label="Contents" {
            details open {
                summary { "Contents" }
                ol {
                    @for section in &document.sections {
                        li { a href={ "#" (section.id) } { (section.title) } }
                    }
                }
            }
        }
    }
}

fn text(text: &Text) -> Markup {
    html! {
        @for span in &text.0 {
            @match span {
                Span::Plain(plain) => (plain),
                Span::Strong(strong) => strong { (strong) },
                Span::Code(code) => code { (code) },
                Span::Interval(interval) => { " " span.interval { (interval) } },
                Span::Link { label, url } => a href=(url) rel="noreferrer" { (label) },
            }
        }
    }
}

/// Counts figures and tables as they pass.
struct Writer<'a> {
    pictures: &'a Pictures<'a>,
    figures: usize,
    tables: usize,
    galleries: usize,
    /// The section, and its charts so far, after which their files are named.
    section: &'static str,
    charts: usize,
}

impl Writer<'_> {
    fn section(&mut self, section: &Section) -> Markup {
        (self.section, self.charts) = (section.id, 0);
        html! {
            section id=(section.id) aria-labelledby={ (section.id) "-title" } {
                // Open without a script, and on paper; the script folds most chapters on a narrow screen.
                details.chapter open {
                    summary { h2 id={ (section.id) "-title" } { (section.title) } }
                    @for block in &section.blocks { (self.block(block, section.id)) }
                }
            }
        }
    }

    fn block(&mut self, block: &Block, section: &str) -> Markup {
        match block {
            Block::Heading(heading) => html! { h3 { (heading) } },
            Block::Paragraph(paragraph) => html! { p { (text(paragraph)) } },
            Block::List(items) => html! { ul { @for item in items { li { (text(item)) } } } },
            Block::Claims(claims) => self::claims(claims, section),
            Block::Definitions(terms) => html! {
                dl.definitions { @for (term, meaning) in terms { dt { (term) } dd { (text(meaning)) } } }
            },
            Block::Table(table) | Block::Appendix(table) => self.numbered_table(table),
            Block::Folded { title, table } => html! {
                details.folded { summary { (title) } (self::table(table, None)) }
            },
            Block::Figure(figure) => self.figure(figure),
            Block::Gallery(gallery) => self.gallery(gallery),
            Block::Listing { title, text } => html! {
                details.folded { summary { (title) } pre tabindex="0" { code { (text) } } }
            },
        }
    }

    fn numbered_table(&mut self, table: &Table) -> Markup {
        self.tables += 1;
        self::table(table, Some(self.tables))
    }

    fn figure(&mut self, figure: &Figure) -> Markup {
        self.figures += 1;
        let charts = figure.panels.iter().filter(|panel| matches!(panel, Panel::Chart(_))).count();
        html! {
            figure.figure.pair[charts > 1] {
                div.panels {
                    @for panel in &figure.panels { (self.panel(panel)) }
                }
                figcaption {
                    strong { "Figure " (self.figures) ". " (figure.title) } " " (text(&figure.caption))
                }
                @if let Some(data) = &figure.data {
                    details.folded { summary { "The numbers" } (table(data, None)) }
                }
            }
        }
    }

    fn panel(&mut self, panel: &Panel) -> Markup {
        match panel {
            Panel::Chart(chart) => {
                self.charts += 1;
                let name = format!("{}-{}", self.section, self.charts);
                let numbers = STANDARD.encode(chart.numbers.to_csv());
                html! {
                    div.chart {
                        div.wide { (PreEscaped(&chart.wide)) }
                        div.narrow { (PreEscaped(&chart.narrow)) }
                        p.downloads {
                            a download={ (name) ".csv" } href={ "data:text/csv;base64," (numbers) }
                                aria-label={ "Numbers of the chart " (chart.description) ", as CSV" } { "CSV" }
                            // The script makes the file from the chart.
                            button.svg type="button" hidden data-name={ (name) ".svg" }
                                aria-label={ "The chart " (chart.description) ", as SVG" } { "SVG" }
                        }
                    }
                }
            }
            Panel::Pictures(grid) => self.picture_grid(grid),
            Panel::Missing(reason) => html! { p.missing { (reason) } },
        }
    }
}

/// Claims with a link to their numbers, unless those stand in the same section.
fn claims(claims: &[Claim], section: &str) -> Markup {
    html! {
        ol.claims {
            @for claim in claims {
                li {
                    p.topic {
                        @if claim.section == section { (claim.topic) }
                        @else { a href={ "#" (claim.section) } { (claim.topic) } }
                    }
                    p.statement { (claim.statement) }
                    p.evidence { (claim.evidence) }
                }
            }
        }
    }
}

fn table(table: &Table, number: Option<usize>) -> Markup {
    let class = |column: usize| match table.columns.get(column)?.kind {
        ColumnKind::Words => None,
        ColumnKind::Prose => Some("prose"),
        ColumnKind::Numbers => Some("number"),
    };
    html! {
        div.table role="group" tabindex="0" aria-label="Table, scrolls sideways where it is wide" {
            table {
                caption {
                    // A separate box stays in view while a wide table scrolls.
                    span {
                        @if let Some(number) = number { strong { "Table " (number) ". " } }
                        (text(&table.caption))
                    }
                }
                thead {
                    tr {
                        @for (i, column) in table.columns.iter().enumerate() {
                            th scope="col" class=[class(i)] { (column.title) }
                        }
                    }
                }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (i, cell) in row.iter().enumerate() {
                                @if i == 0 { th scope="row" class=[class(i)] { (text(cell)) } }
                                @else { td class=[class(i)] { (text(cell)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
