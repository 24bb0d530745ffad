//! Charts and pictures in the report: which are there, what is said of them, and that they suit narrow and dark screens.

use super::pictures::{picture, stand_in};
use super::render;
use super::synthetic::{change, investigation, of_one, of_three};
use super::{html, markdown};
use crate::findings::Investigation;
use crate::studies::AttacksStudy;

fn page() -> String {
    html(&investigation(), &stand_in)
}

/// The items of the gallery whose caption begins so, as HTML.
fn items(page: &str, caption: &str) -> Vec<String> {
    let gallery = page.split("<div class=\"gallery\">").find(|gallery| gallery.contains(caption));
    let gallery = gallery.unwrap_or_else(|| panic!("no gallery {caption}"));
    gallery
        .split("<figure class=\"item")
        .skip(1)
        .map(|item| item.split("</figure>").next().unwrap().into())
        .collect()
}

#[test]
fn charts_of_the_markdown_file_are_files_next_to_it() {
    let folder = tempfile::tempdir().unwrap();
    render(&investigation(), folder.path()).unwrap();
    let text = std::fs::read_to_string(folder.path().join("report.md")).unwrap();
    let linked: Vec<&str> =
        text.split("](<charts/").skip(1).map(|rest| rest.split(">)").next().unwrap()).collect();
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert_eq!(linked.len(), page.matches("<div class=\"chart\">").count(), "every chart of the page");
    assert!(linked.len() >= 15, "{linked:?}");
    let mut sorted = linked.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), linked.len(), "each chart has a name of its own: {linked:?}");
    for name in linked {
        let file = std::fs::read_to_string(folder.path().join("charts").join(name)).unwrap();
        assert!(file.starts_with("<svg ") && file.ends_with("</svg>\n"), "{name}");
        assert!(file.contains("prefers-color-scheme:dark") && !file.contains("var("), "{name}");
    }
    assert!(text.contains(
        "![Accuracy of each model under PGD against the size of the attack](<charts/attacks-2.svg>)"
    ));
}

#[test]
fn every_chart_is_there_for_wide_and_for_narrow_screens() {
    let page = page();
    let charts: Vec<&str> = page
        .split("<div class=\"chart\">")
        .skip(1)
        .map(|rest| rest.split("</div></div>").next().unwrap())
        .collect();
    assert!(charts.len() >= 15);
    for chart in charts {
        let (wide, narrow) = chart.split_once("<div class=\"narrow\">").expect("a narrow one");
        assert!(wide.starts_with("<div class=\"wide\"><svg") && wide.contains("viewBox=\"0 0 440 "));
        assert!(narrow.starts_with("<svg") && narrow.contains("viewBox=\"0 0 320 "));
        let name = |svg: &str| svg.split("<title>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        assert_eq!(name(wide), name(narrow));
    }
}

#[test]
fn chapters_are_open_without_a_script() {
    let page = page();
    let sections = page.matches("<section ").count();
    assert_eq!(page.matches("<details class=\"chapter\" open><summary><h2 ").count(), sections);
}

#[test]
fn pictures_say_what_they_show_in_words_next_to_them() {
    let page = page();
    for image in page.split("<img ").skip(1) {
        let alt = image.split("alt=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(alt.len() >= 12, "{alt:?}");
    }
    for legend in ["Weight on a patch", "Heatmaps", "Rollout", "Change of a channel value"] {
        assert!(page.contains(&format!("<p class=\"legend\"><span>{legend}: ")), "{legend}");
    }
    assert!(page.contains("patch by patch and without interpolation: 8\u{a0}×\u{a0}8 patches"));
    let cells = "cell by cell and without interpolation: 8\u{a0}×\u{a0}8 for the ViT and 4\u{a0}×\u{a0}4 for the ResNet";
    assert_eq!(page.matches(cells).count(), 2, "of comparisons and of errors");
}

#[test]
fn surest_errors_stand_first_with_their_names_answers_and_heatmaps() {
    let page = page();
    let items = items(&page, "The most confident errors.");
    assert_eq!(items.len(), 9);
    for group in items.chunks(3) {
        for (item, probability) in group.iter().zip(["97.0\u{a0}%", "96.0\u{a0}%", "95.0\u{a0}%"]) {
            assert!(item.contains(probability), "{item}");
            for label in ["image", "ViT rollout", "ResNet Grad-CAM"] {
                assert!(item.contains(&format!("<span class=\"label\">{label}</span>")), "{label}: {item}");
            }
        }
    }
    let first = &items[0];
    for said in [
        "<strong>arrow</strong> · image 238, <code>test/00238.png</code>",
        "<p class=\"verdict wrong\"><span class=\"mark\" aria-hidden=\"true\">✗</span> ViT wrong: <strong>heart</strong>, 97.0",
        "<p class=\"verdict correct\"><span class=\"mark\" aria-hidden=\"true\">✓</span> ResNet correct: <strong>arrow</strong>, 97.0",
    ] {
        assert!(first.contains(said), "{said}\n{first}");
    }
    let text = markdown(&investigation());
    assert!(text.contains(
        "**arrow** · image 238, `test/00238.png`; ✗ ViT wrong: **heart**, 97.0\u{a0}%; ✓ ResNet correct"
    ));
}

#[test]
fn attacked_images_say_which_they_are_and_what_was_done_to_them() {
    let page = page();
    let items = items(&page, "Attacked images.");
    assert_eq!(items.len(), 2 * 4);
    for said in [
        "<strong>triangle</strong> · image 12, <code>test/00012.png</code>",
        "ViT before, correct: <strong>triangle</strong>",
        "ViT under PGD, wrong: <strong>ring</strong> (fooled)",
        "PGD, ε = 4/255 in the L∞ norm",
    ] {
        assert!(items[0].contains(said), "{said}\n{}", items[0]);
    }
    assert!(page.contains("on a scale from 0 to 1 before preprocessing"));
    let mut found = investigation();
    change::<AttacksStudy>(&mut found, |attacks| {
        let example = &mut attacks.example_answers[0];
        example.answers.values_mut().for_each(|answers| answers[0] = 9);
        example.pictures.values_mut().for_each(|pictures| pictures.truncate(1));
    });
    let page = html(&found, &stand_in);
    let items = self::items(&page, "Attacked images.");
    assert!(items[0].contains("Wrong without an attack, so none was made") && !items[0].contains("L∞"));
    assert_eq!(items[0].matches("<img").count(), 1);
}

#[test]
fn findings_without_pictures_say_so() {
    let mut found = serde_json::to_value(investigation()).unwrap();
    found["data"].as_object_mut().unwrap().remove("shown");
    for field in ["head_maps_shown", "rollouts_shown"] {
        found["attention"]["vit"].as_object_mut().unwrap().remove(field);
    }
    for group in found["errors"]["groups"].as_array_mut().unwrap() {
        group.as_object_mut().unwrap().remove("surest");
    }
    for example in found["attacks"]["example_answers"].as_array_mut().unwrap() {
        example.as_object_mut().unwrap().remove("pictures");
    }
    for item in found["comparisons"]["items"].as_array_mut().unwrap() {
        item.as_object_mut().unwrap().remove("heatmaps");
    }
    found["comparisons"].as_object_mut().unwrap().remove("depth");
    for study in ["atlas", "features"] {
        found.as_object_mut().unwrap().remove(study);
    }
    let older: Investigation = serde_json::from_value(found).unwrap();
    let page = html(&older, &stand_in);
    assert_eq!(page.matches("run the investigation again to see them").count(), 5);
    assert_eq!(
        page.matches("<img ").count(),
        52,
        "those of comparisons, of a kind of errors and of a doubted label"
    );
}

#[test]
fn a_title_that_was_given_stands_above_the_report() {
    let titled = |title: &str| Investigation { title: Some(title.into()), ..investigation() };
    let found = titled("Kiln 7 <second> firing & after");
    let page = html(&found, &picture);
    let escaped = "Kiln 7 &lt;second&gt; firing &amp; after";
    assert!(
        page.contains(&format!("<title>{escaped}</title>")) && page.contains(&format!("<h1>{escaped}</h1>"))
    );
    assert!(markdown(&found).starts_with("# Kiln 7 \\<second\\> firing & after\n"));
    let usual = html(&investigation(), &picture);
    assert!(usual.contains("<h1>vit_micro and resnet_micro on Sherds</h1>"));
}

#[test]
fn galleries_show_every_model() {
    for (found, models) in [(of_one(), 1), (investigation(), 2), (of_three(), 3)] {
        let page = html(&found, &stand_in);
        let items = items(&page, "Attacked images.");
        assert_eq!(items.len(), models * 4);
        for item in self::items(&page, "The most confident errors.") {
            assert_eq!(item.matches("<img").count(), 1 + models, "{item}");
            assert_eq!(item.matches("class=\"verdict ").count(), models, "{item}");
        }
    }
}
