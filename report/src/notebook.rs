//! A [`Document`] as a Jupyter notebook (nbformat 4.5): its words, and every chart drawn again from its numbers in `charts/`.

use serde_json::{Value, json};

use crate::document::{Block, Document, Panel};
use crate::markdown::{self, CHARTS};

/// What the file is called.
pub const FILE: &str = "report.ipynb";

/// What reads and draws the numbers of a chart.
const FIGURES: &str = include_str!("notebook/figures.py");

/// The notebook. It stands in the run folder, next to `charts/`.
pub fn notebook(document: &Document) -> Value {
    let mut cells = Vec::new();
    let intro = format!(
        "# {}\n\n{}\n\nEvery chart is drawn again from its numbers in `{CHARTS}/`. NumPy and Matplotlib are needed.",
        document.title,
        markdown::text(&document.lead)
    );
    cells.push(words("title", &intro));
    cells.push(code("figures", FIGURES.trim_end()));
    for section in &document.sections {
        cells.push(words(&format!("{}-title", section.id), &format!("## {}", section.title)));
        let mut charts = 0;
        let mut places = 0;
        for block in &section.blocks {
            places += 1;
            let id = format!("{}-{places}", section.id);
            match block {
                Block::Paragraph(paragraph) => cells.push(words(&id, &markdown::text(paragraph))),
                Block::Claims(claims) => {
                    let lines: Vec<String> = claims
                        .iter()
                        .map(|claim| format!("- **{}** {}", claim.statement, claim.evidence))
                        .collect();
                    if !lines.is_empty() {
                        cells.push(words(&id, &lines.join("\n")));
                    }
                }
                Block::Figure(figure) => {
                    let caption = format!("**{}** {}", figure.title, markdown::text(&figure.caption));
                    cells.push(words(&id, &caption));
                    for panel in &figure.panels {
                        let Panel::Chart(chart) = panel else { continue };
                        charts += 1;
                        let file = format!("{CHARTS}/{}-{charts}.csv", section.id);
                        let numbers = &chart.numbers;
                        let words = [file.as_str(), numbers.kind, &numbers.title, &numbers.x, &numbers.y];
                        // A string of JSON is a string of Python.
                        let arguments = words.map(|word| json!(word).to_string());
                        let id = format!("{}-chart-{charts}", section.id);
                        cells.push(code(&id, &format!("draw({})", arguments.join(", "))));
                    }
                }
                _ => {}
            }
        }
    }
    json!({
        "cells": cells,
        "metadata": {
            "kernelspec": { "display_name": "Python 3", "language": "python", "name": "python3" },
            "language_info": { "name": "python" },
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    })
}

/// Lines as nbformat stores them: each but the last with its line break.
fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_owned).collect()
}

fn words(id: &str, text: &str) -> Value {
    json!({ "cell_type": "markdown", "id": shortened(id), "metadata": {}, "source": lines(text) })
}

fn code(id: &str, text: &str) -> Value {
    json!({
        "cell_type": "code", "execution_count": null, "id": shortened(id), "metadata": {}, "outputs": [], "source": lines(text),
    })
}

/// An id of at most 64 letters, digits, `-` and `_`.
fn shortened(id: &str) -> String {
    let plain = id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' });
    plain.take(64).collect()
}
