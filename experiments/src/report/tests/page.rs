//! The page and the Markdown file as wholes: well-formed, self-contained, and free of numbers from nowhere.

use std::collections::BTreeSet;

use archaeo_analysis::statistics::Estimate;
use serde_json::Value;

use super::pictures::{picture, stand_in};
use super::render;
use super::synthetic::{EVEN_DISTANCE, change, findings, investigation, vit};
use super::{claims, html, markdown};
use crate::findings::{CorruptionScore, Investigation, LayerAttention, PatchedHead};
use crate::studies::*;

/// Pictures of the made-up investigation: of comparisons, errors, attacks, heads, rollouts, data and features, and of what sets errors
/// apart.
const PICTURES: usize =
    50 * 3 + 9 * 3 + 4 * 2 * 3 + (1 + 6 * 4) + 2 * 2 + 6 + (1 + 2 * 5) + 6 * 4 + 2 * 6 + 2;

/// Elements that have no end tag in HTML.
const VOID: [&str; 5] = ["meta", "img", "input", "br", "hr"];

/// Panics where a start tag has no end tag or the reverse. Attribute values may hold `>` only escaped, which both maud
/// and the charts do; the contents of `style` and `script` are skipped.
pub fn assert_well_formed(page: &str) {
    let mut open: Vec<String> = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = rest.find('>').expect("a tag must end");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        let name: String = tag.trim_start_matches('/').chars().take_while(|c| c.is_alphanumeric()).collect();
        if tag.starts_with('!') || tag.ends_with('/') || VOID.contains(&name.as_str()) {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "</{name}> closes nothing of its name");
            continue;
        }
        if name == "style" || name == "script" {
            rest = &rest[rest.find(&format!("</{name}>")).expect("an end") + name.len() + 3..];
            continue;
        }
        assert!(!name.is_empty(), "a stray < before {:?}", &tag[..tag.len().min(40)]);
        open.push(name);
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

/// Panics where a table's row has another number of cells than its head.
pub fn assert_tables_well_formed(text: &str) {
    let cells = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
    let mut columns = None;
    for line in text.lines() {
        if line.starts_with('|') {
            assert!(line.ends_with('|'), "an open row: {line}");
            assert_eq!(cells(line), *columns.get_or_insert(cells(line)), "{line}");
        } else {
            columns = None;
        }
    }
}

#[test]
fn the_page_is_well_formed_and_loads_nothing() {
    let page = html(&investigation(), &stand_in);
    assert_well_formed(&page);
    for loading in [
        "src=\"http",
        "src=\"//",
        "srcset",
        "<link",
        "@import",
        "url(",
        "<iframe",
        "<object",
        "fetch(",
        "href=\"//",
    ] {
        assert!(!page.contains(loading), "the page must not contain {loading}");
    }
    // What is left of the web are text links to papers and the name of SVG's language.
    for (at, _) in page.match_indices("http") {
        let before = &page[at.saturating_sub(7)..at];
        let allowed = page[..at].ends_with("<a href=\"")
            || page[at..].starts_with("http://www.w3.org/2000/svg")
            || page[..at].ends_with("<meta ");
        assert!(allowed, "{before}{}", &page[at..at + 40]);
    }
    assert!(!page.contains("is missing from the run folder"));
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), PICTURES);
}

#[test]
fn the_security_policy_admits_the_page_s_own_script() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let page = html(&investigation(), &stand_in);
    let script = page.split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(script));
    assert!(page.contains(&format!("script-src 'sha256-{hash}'")));
}

#[test]
fn every_link_within_the_page_has_a_target_and_every_id_is_unique() {
    let page = html(&investigation(), &stand_in);
    let ids: Vec<&str> = page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    for link in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(ids.contains(&link), "no #{link}");
    }
}

#[test]
fn markdown_tables_are_well_formed_and_pictures_are_linked() {
    let text = markdown(&investigation());
    assert_tables_well_formed(&text);
    assert!(text.matches("\n| ---").count() >= 12);
    assert_eq!(text.matches("](<pictures/").count(), PICTURES);
    assert!(text.contains("![circle: image 0, test/00000.png](<pictures/data-image-00000.png>)"));
    assert!(text.contains(
        "| Layer | Head 1 | Head 2 | Head 3 | Head 4 |\n| --- | --- | --- | --- | --- |\n| 1 | ![Layer 1"
    ));
}

#[test]
fn both_formats_say_the_same() {
    let (page, text) = (html(&investigation(), &stand_in), markdown(&investigation()));
    for claim in claims(&investigation()) {
        let escaped = claim.statement.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        assert!(page.contains(&escaped), "{escaped}");
        assert!(text.contains(&claim.statement), "{}", claim.statement);
    }
    for heading in page
        .split("</h2>")
        .filter_map(|before| before.rsplit_once("<h2 ")?.1.split_once('>'))
        .map(|found| found.1)
    {
        assert!(text.contains(&format!("\n## {heading}\n")), "{heading}");
    }
}

#[test]
fn the_same_findings_give_the_same_bytes() {
    let found = investigation();
    let read: Investigation = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    assert_eq!(html(&found, &stand_in), html(&read, &stand_in));
    assert_eq!(markdown(&found), markdown(&read));
}

fn leaves(value: &Value, numbers: &mut Vec<f64>) {
    match value {
        Value::Number(number) => numbers.extend(number.as_f64()),
        Value::Array(items) => {
            numbers.push(items.len() as f64);
            items.iter().for_each(|item| leaves(item, numbers));
        }
        Value::Object(fields) => fields.values().for_each(|field| leaves(field, numbers)),
        _ => {}
    }
}

/// Numbers that the summary may draw on for claims of one section: the study's own, without what it never quotes (each
/// class, each image, each head but the first), so that a number made up would be noticed.
fn quotable(found: &Investigation, section: &str) -> Vec<f64> {
    let mut study = found.studies[&section.replace('-', "_")].clone();
    // Of each model.
    if let Some(of_vit) = study.get_mut("vit") {
        study = of_vit.take();
    }
    for unquoted in [
        "confusion",
        "per_class",
        "by_class",
        "layers",
        "items",
        "example_answers",
        "rollouts_shown",
        "head_maps_shown",
    ] {
        study.as_object_mut().unwrap().remove(unquoted);
    }
    if let Some(groups) = study.get_mut("groups").and_then(Value::as_array_mut) {
        groups.iter_mut().for_each(|group| drop(group.as_object_mut().unwrap().remove("surest")));
    }
    let heads =
        study.get_mut("ranking").and_then(Value::as_array_mut).map(|ranking| ranking.split_off(1).len() + 1);
    let mut numbers: Vec<f64> = heads.map(|heads| heads as f64).into_iter().collect();
    leaves(&study, &mut numbers);
    numbers.extend([0.95, 0.001]); // the level of every interval, the bound of small p-values
    numbers
}

/// What the summary derives from the findings of a section, computed here in another way where there is one.
fn derived(found: &Investigation, section: &str) -> Vec<f64> {
    let attention = findings::<AttentionStudy>(found);
    let layers = &attention[vit()].layers;
    let even = EVEN_DISTANCE;
    let interval = |estimate: &Estimate| [estimate.value, estimate.low, estimate.high];
    match section {
        // Shares of 2,000 images, 2,000 images as a half, and the rules' own numbers.
        "trust" => {
            let trust = findings::<TrustStudy>(found);
            let models = trust.models.values();
            models
                .flat_map(|trust| {
                    let worst = &trust.classes[0];
                    let taken = worst.taken_for.as_ref().unwrap().count as f64 / worst.accuracy.n as f64;
                    let mut numbers = vec![taken, worst.accuracy.n as f64, 0.9, 10.0];
                    numbers.extend(interval(&worst.accuracy));
                    numbers
                })
                .collect()
        }
        "accuracy" => vec![0.05],
        "attention" => {
            let mean = |layer: &LayerAttention| {
                layer.heads.iter().map(|head| head.distance.value).sum::<f64>() / 4.0
            };
            let distance: Vec<f64> =
                layers.iter().flat_map(|l| &l.heads).map(|head| head.distance.value).collect();
            let relative = |layer: &LayerAttention| layer.relative_distance.as_ref().unwrap().value;
            let beyond = |layers: &[LayerAttention], nearer: bool| {
                let heads = layers.iter().flat_map(|layer| &layer.heads).map(|head| &head.distance);
                heads.filter(|d| if nearer { d.high < even } else { d.low > even }).count() as f64
            };
            let least = distance.iter().copied().fold(f64::INFINITY, f64::min);
            let place = distance.iter().position(|&d| d == least).unwrap();
            assert!((relative(&layers[0]) - mean(&layers[0]) / even).abs() < 1e-12);
            let mut numbers = vec![relative(&layers[0]), relative(&layers[5]), 1.0, 6.0, 24.0, 12.0, even];
            numbers.extend([beyond(layers, true), beyond(&layers[..3], true), beyond(&layers[3..], true)]);
            numbers.extend([beyond(layers, false), least, least / even]);
            numbers.extend([(place % 4 + 1) as f64, (place / 4 + 1) as f64]);
            numbers
        }
        "comparisons" => vec![findings::<ComparisonsStudy>(found).items.len() as f64],
        "heads" => {
            let ranking = &findings::<HeadsStudy>(found)[vit()].ranking;
            let needed = ranking.iter().filter(|head| head.adjusted_p < 0.05).count();
            let mut numbers =
                vec![needed as f64, ranking[0].layer as f64 + 1.0, ranking[0].head as f64 + 1.0, 0.05];
            // Layers: every one of them is needed, and each has three branches.
            numbers.push(
                findings::<HeadsStudy>(found)[vit()].together.as_ref().unwrap().branches.len() as f64 / 3.0,
            );
            numbers
        }
        "patching" => {
            let factors = &findings::<PatchingStudy>(found).models[vit()];
            let carry = factors.iter().map(|of| {
                let above = |head: &&PatchedHead| head.carried.over_unrelated.p_value < 0.05;
                of.heads.iter().filter(above).count() as f64
            });
            carry.chain([0.0, 0.05]).collect()
        }
        // ε is in units of 1/255, and there are five points on each of four curves, from ε = 0.
        "attacks" => vec![255.0, 5.0, 4.0, 0.0],
        // ε is in units of 1/255, and there is the L2 norm.
        "worst_case" => vec![255.0, 2.0],
        "doctor" | "autopsy" => vec![255.0, 0.05],
        "frequency" => {
            let white = &findings::<FrequencyStudy>(found).white[vit()];
            let middle = |band: usize| (2 * band + 1) as f64 / (2 * white.len()) as f64 * 2f64.sqrt();
            vec![255.0, white.iter().enumerate().map(|(band, share)| share * middle(band)).sum()]
        }
        "corruptions" => {
            let models = findings::<CorruptionsStudy>(found).models;
            let of = models.values().flat_map(|scores| scores.corruptions.clone());
            let mean = |of: CorruptionScore| {
                of.accuracy.iter().map(|at| at.value).sum::<f64>() / of.accuracy.len() as f64
            };
            of.map(mean).chain([1.0, 0.05]).collect()
        }
        "errors" => {
            let pair = &findings::<AccuracyStudy>(found).splits[0].pairs[0];
            interval(pair.kappa.known().unwrap()).to_vec()
        }
        "localisation" => vec![3.0],
        _ => vec![0.0, 0.5, 1.0],
    }
}

#[test]
fn every_number_of_the_summary_is_in_the_findings() {
    let found = investigation();
    for claim in claims(&found) {
        let mut written = BTreeSet::new();
        for number in quotable(&found, claim.section).into_iter().chain(derived(&found, claim.section)) {
            for (scale, digits) in [(1.0, 0), (1.0, 1), (1.0, 2), (1.0, 3), (100.0, 0), (100.0, 1)] {
                written.insert(format!("{:.digits$}", scale * number.abs()));
            }
        }
        let text = format!("{} {}", claim.statement, claim.evidence);
        for token in text.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ',') {
            let token = token.trim_matches(['.', ',']).replace(',', "");
            assert!(token.is_empty() || written.contains(&token), "{token} in: {text}");
        }
    }
}

#[test]
fn render_writes_its_files_whole_and_reads_pictures_from_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("pictures")).unwrap();
    let there = "pictures/attack-image-00012-vit-clean.png";
    std::fs::write(folder.path().join(there), picture(there).unwrap()).unwrap();
    let mut found = investigation();
    change::<AttentionStudy>(&mut found, |models| {
        models.values_mut().for_each(|of| of.rollouts_shown[0].image.picture = "../outside.png".into());
    });
    render(&found, folder.path()).unwrap();
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 1);
    assert!(
        page.contains("The picture <code>pictures/heads-vit-0-0.png</code> is missing from the run folder.")
    );
    assert!(page.contains("The picture <code>../outside.png</code> is missing from the run folder."));
    assert_eq!(std::fs::read_to_string(folder.path().join("report.md")).unwrap(), markdown(&found));
    let files: BTreeSet<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let expected =
        ["charts", "pictures", "references.bib", "report.html", "report.json", "report.md", "report.typ"];
    assert_eq!(files, expected.map(Into::into).into());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = render(&investigation(), &folder.path().join("absent")).unwrap_err().to_string();
    assert!(
        error.contains("absent")
            && error.contains("report.html")
            && error.contains("create its folder first"),
        "{error}"
    );
}

#[test]
#[ignore = "writes the made-up report to target/sample-report for a look in a browser"]
fn sample_report() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/sample-report");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, found) in super::variants::all() {
        std::fs::write(folder.join(format!("{name}.html")), html(&found, &picture)).unwrap();
        std::fs::write(folder.join(format!("{name}.md")), markdown(&found)).unwrap();
    }
}

#[test]
fn every_paper_of_a_method_a_metric_or_an_attack_has_its_title() {
    let methods = archaeo_analysis::attribution::methods().iter().filter_map(|method| method.info().paper);
    let metrics = archaeo_analysis::faithfulness::metrics().iter().map(|metric| metric.info().paper);
    let attacks = archaeo_analysis::attacks::all().iter().filter_map(|family| family.info.paper);
    for paper in methods.chain(metrics).chain(attacks) {
        assert!(
            archaeo_report::bibliography::reference(paper.url).is_some(),
            "{}: {}",
            paper.citation,
            paper.url
        );
    }
}
