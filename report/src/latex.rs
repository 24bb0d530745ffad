//! The tables of a [`Document`] in LaTeX, for a paper: one `table` each, with rules of the package `booktabs`.

use std::fmt::Write;

use crate::document::{Block, Column, ColumnKind, Document, Figure, Section, Span, Table, Text};

/// What the file is called.
pub const FILE: &str = "tables.tex";

/// Every table, in the order of the document; with labels such as `tab:accuracy-1`, after their chapters.
pub fn tables(document: &Document) -> String {
    let mut out = String::from(
        "% Tables of a report of archaeo. They need \\usepackage{booktabs} and, in LuaLaTeX or XeLaTeX, nothing else;\n% \
         with pdfLaTeX also \\usepackage[utf8]{inputenc} and \\usepackage{textcomp}.\n",
    );
    for section in &document.sections {
        for (number, table) in tables_of(section).into_iter().enumerate() {
            write_table(&mut out, &format!("tab:{}-{}", section.id, number + 1), table);
        }
    }
    out
}

fn tables_of(section: &Section) -> Vec<&Table> {
    let tables = section.blocks.iter().filter_map(table_of);
    tables.filter(|table| !table.rows.is_empty()).collect()
}

fn table_of(block: &Block) -> Option<&Table> {
    match block {
        Block::Table(table) | Block::Appendix(table) | Block::Folded { table, .. } => Some(table),
        Block::Figure(Figure { data, .. }) => data.as_ref(),
        _ => None,
    }
}

fn write_table(out: &mut String, label: &str, Table { caption, columns, rows }: &Table) {
    let kind = |column: &Column| match column.kind {
        ColumnKind::Words => "l",
        ColumnKind::Prose => "p{0.3\\linewidth}",
        ColumnKind::Numbers => "r",
    };
    let specification: String = columns.iter().map(kind).collect();
    let heads: Vec<String> = columns.iter().map(|column| escape(&column.title)).collect();
    let mut line = |text: String| writeln!(out, "{text}").expect("a string takes everything");
    line("\n\\begin{table}\n  \\centering".into());
    line(format!("  \\caption{{{}}}\n  \\label{{{label}}}", text(caption)));
    line(format!(
        "  \\begin{{tabular}}{{{specification}}}\n    \\toprule\n    {} \\\\\n    \\midrule",
        heads.join(" & ")
    ));
    for row in rows {
        let cells: Vec<String> = row.iter().map(text).collect();
        line(format!("    {} \\\\", cells.join(" & ")));
    }
    line("    \\bottomrule\n  \\end{tabular}\n\\end{table}".into());
}

fn text(text: &Text) -> String {
    let span = |span: &Span| match span {
        Span::Plain(plain) => escape(plain),
        Span::Strong(strong) => format!("\\textbf{{{}}}", escape(strong)),
        Span::Code(code) => format!("\\texttt{{{}}}", escape(code)),
        Span::Interval(interval) => format!(" {{\\footnotesize {}}}", escape(interval)),
        Span::Link { label, .. } => escape(label),
    };
    text.0.iter().map(span).collect()
}

/// Text as LaTeX reads it: nothing of it is a command.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '#' | '$' | '%' | '&' | '_' | '{' | '}' => {
                out.push('\\');
                out.push(character);
            }
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            // An interval at the start of a cell must not be read as an option of the line break before it.
            '[' => out.push_str("{[}"),
            ']' => out.push_str("{]}"),
            '\u{a0}' => out.push('~'),
            '−' => out.push_str("$-$"),
            '×' => out.push_str("$\\times$"),
            '≤' => out.push_str("$\\leq$"),
            '≥' => out.push_str("$\\geq$"),
            '∞' => out.push_str("$\\infty$"),
            'ε' => out.push_str("$\\varepsilon$"),
            'ρ' => out.push_str("$\\rho$"),
            'κ' => out.push_str("$\\kappa$"),
            'τ' => out.push_str("$\\tau$"),
            '–' => out.push_str("--"),
            _ if character.is_control() => out.push(' '),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_text_and_every_table_has_its_label() {
        let table = |caption: &str| Table {
            caption: caption.into(),
            columns: vec![Column::words("Model"), Column::numbers("50 %")],
            rows: vec![vec!["vit_micro & \\input{x}".into(), Text::from("82.5 %").interval("[80.8, 84.2]")]],
        };
        let document = Document {
            kind: "report",
            title: "t".into(),
            lead: Text::new(),
            facts: Vec::new(),
            sections: vec![Section {
                id: "accuracy",
                title: "Accuracy",
                blocks: vec![
                    Block::Table(table("First.")),
                    Block::Folded { title: "more".into(), table: table("p < 0.01") },
                ],
            }],
            parts: Vec::new(),
        };
        let found = tables(&document);
        assert!(found.contains(
            "vit\\_micro \\& \\textbackslash{}input\\{x\\} & 82.5 \\% {\\footnotesize {[}80.8, 84.2{]}} \\\\"
        ));
        assert!(found.contains("\\label{tab:accuracy-1}") && found.contains("\\label{tab:accuracy-2}"));
        assert!(found.contains("\\caption{p \\textless{} 0.01}") && found.contains("{lr}"));
        assert_eq!(found.matches("\\begin{table}").count(), found.matches("\\end{table}").count());
    }
}
