//! A report and a figure as PDF, by the compiler within the program.

#![cfg(feature = "pdf")]

mod support;

use std::path::Path;
use std::process::Command;

use support::{archaeo, excavate, fail, succeed};

/// A command without any other program on its PATH.
fn alone(arguments: &[&str], folder: &Path) -> Command {
    let mut command = archaeo(arguments);
    command.env("PATH", "").current_dir(folder);
    command
}

/// Objects of a PDF of this type. Its objects are written one by one, and only what they hold is compressed.
fn objects(pdf: &[u8], kind: &str) -> usize {
    let text = String::from_utf8_lossy(pdf);
    let kinds = text.split("/Type").skip(1).map(|rest| rest.trim_start().trim_start_matches('/'));
    kinds
        .filter(|rest| rest.split(|letter: char| !letter.is_ascii_alphanumeric()).next() == Some(kind))
        .count()
}

#[test]
fn a_report_and_its_figures_are_set_without_another_program() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    succeed(&mut excavate(&folder.join("archaeo-out")));
    let pages = |detail: &str| {
        succeed(&mut alone(&["report", "--format", "pdf", "--detail", detail], folder));
        let pdf = std::fs::read(folder.join("archaeo-out/report.pdf")).unwrap();
        assert!(pdf.starts_with(b"%PDF-1.") && pdf.trim_ascii_end().ends_with(b"%%EOF"));
        let text = String::from_utf8_lossy(&pdf);
        for font in ["LibertinusSerif-Regular", "LibertinusSerif-Bold", "DejaVuSansMono"] {
            assert!(text.contains(font), "{font}");
        }
        assert_eq!(objects(&pdf, "Catalog"), 1);
        objects(&pdf, "Page")
    };
    let [summary, full, appendix] = ["summary", "full", "appendix"].map(pages);
    assert!((2..12).contains(&summary) && summary < full && full < appendix, "{summary}, {full}, {appendix}");
    // The same pages, to the last byte.
    let read = || std::fs::read(folder.join("archaeo-out/report.pdf")).unwrap();
    let before = read();
    assert_eq!(pages("appendix"), appendix);
    assert!(read() == before, "a report is the same whenever it is set");
    assert!(!folder.join("archaeo-out/report.tmp").exists());

    succeed(&mut alone(&["figure", "accuracy-1", "--width", "3.25in", "--format", "pdf"], folder));
    let pdf = std::fs::read(folder.join("accuracy-1.pdf")).unwrap();
    assert_eq!(objects(&pdf, "Page"), 1);
    let text = String::from_utf8_lossy(&pdf);
    assert!(text.contains("/MediaBox[0 0 234 "), "3.25 inches are 234 points");
    succeed(&mut alone(&["figure", "accuracy-1", "--width", "2in", "--format", "png"], folder));
    let png = std::fs::read(folder.join("accuracy-1.png")).unwrap();
    assert_eq!(png[16..20], 1200_u32.to_be_bytes(), "600 dots per inch");

    // What it is to set may be damaged.
    std::fs::write(folder.join("archaeo-out/charts/accuracy-1.svg"), "<svg").unwrap();
    let sentence = fail(&mut alone(&["figure", "accuracy-1", "--format", "pdf"], folder));
    assert!(sentence.contains("typst cannot set "), "{sentence}");
    assert!(std::fs::read(folder.join("accuracy-1.pdf")).unwrap() == pdf, "what was there stays");
}
