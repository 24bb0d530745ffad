//! The gallery of attacked images.

use archaeo_report::document::{Block, Gallery, GalleryItem, Legend, Picture, Text, Verdict};
use archaeo_report::numbers::epsilon;

use super::examples::PERTURBATION_GAIN;
use super::findings::{AttackExample, AttackFindings};
use crate::report::Names;
use crate::report::names::class_name;
use crate::report::shown::{MADE_EARLIER, in_lab, title};
use crate::subjects::ModelName;

/// The images without an attack, the change, and the images under it, for each model; `None` where nothing was attacked.
pub(super) fn examples(findings: &AttackFindings, classes: &[String], names: &Names) -> Option<Block> {
    let (attack, size) = findings.example_attack.as_ref()?;
    if findings.example_answers.iter().all(|example| example.pictures.is_empty()) {
        return Some(Block::Paragraph(MADE_EARLIER.into()));
    }
    let size = format!("ε = {}", epsilon(*size));
    let models = names.models();
    let items = models.iter().enumerate().flat_map(|(group, &model)| {
        let of_model = (group, model, attack.as_str(), size.as_str());
        findings.example_answers.iter().filter_map(move |example| item(of_model, example, classes, names))
    });
    let range = 255.0 / 2.0 / f64::from(PERTURBATION_GAIN);
    let whom = if models.len() == 1 { "the model" } else { "each model" };
    Some(Block::Gallery(Gallery {
        caption: Text::new().strong("Attacked images.").plain(format!(
            " Under {attack} of {size} in the L∞ norm: no channel of any pixel changes by more, on a scale from 0 to 1 before \
             preprocessing. Each shows the image, the change ({PERTURBATION_GAIN} times as strong, to be seen) and the attacked image. \
             Chosen from all classes to show images that fool {whom} and images that do not, where there are any; so their \
             number says nothing about how often an attack succeeds. These are the images at the model's input size: saved in \
             8 bits and read back at that size they fool it as shown; resized or cropped once more they need not."
        )),
        legend: Some(Legend {
            title: "Change of a channel value".into(),
            colors: vec![[0; 3], [128; 3], [255; 3]],
            ends: ["darker by", "brighter by"].map(|way| format!("{way} {} or more", epsilon(range))),
        }),
        groups: models.iter().map(|model| names.bare(*model).into()).collect(),
        items: items.collect(),
    }))
}

fn item(
    (group, model, attack, size): (usize, ModelName, &str, &str),
    example: &AttackExample,
    classes: &[String],
    names: &Names,
) -> Option<GalleryItem> {
    let [before, after] = *example.answers.get(model)?;
    let called = |class: usize| Text::new().strong(class_name(classes, class));
    let [correct, kept] = [before, after].map(|class| class == example.label);
    let says = |when: &str, correct: bool| {
        let outcome = if correct { "correct" } else { "wrong" };
        Text::from(format!("{} {when}, {outcome}: ", names.bare(model)))
    };
    let mut verdicts = vec![Verdict { correct, text: says("before", correct).and(called(before)) }];
    if correct {
        let outcome = format!(" ({})", if kept { "not fooled" } else { "fooled" });
        let text = says(&format!("under {attack}"), kept).and(called(after)).plain(outcome);
        verdicts.push(Verdict { correct: kept, text });
    }
    let labels = if correct { ["before", "the change", "attacked"] } else { ["not attacked", "", ""] };
    let pictures = example.pictures.get(model)?.iter().zip(labels).map(|(path, label)| {
        let alt = format!("{}, image {}: {label}", names.bare(model), example.index);
        Picture::new(path, alt).labelled(label).in_lab(in_lab(example.index, "attack", Some(model)))
    });
    let line = match correct {
        true => format!("{attack}, {size} in the L∞ norm"),
        false => "Wrong without an attack, so none was made".into(),
    };
    Some(GalleryItem {
        pictures: pictures.collect(),
        group,
        title: title(classes, example.label, example.index, &example.identifier),
        verdicts,
        lines: vec![line.into()],
    })
}
