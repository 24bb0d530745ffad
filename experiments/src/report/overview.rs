//! The head of the report: title, what was done, the numbers to know first.

use std::path::Path;

use archaeo_report::document::Text;
use archaeo_report::numbers::{count, duration};

use super::names::{Names, capitalised, listed};
use crate::findings::Investigation;
use crate::study::{AnyStudy, Chapter};

pub(super) fn title(investigation: &Investigation) -> String {
    if let Some(title) = &investigation.title {
        return title.clone();
    }
    let models: Vec<String> = investigation.models.iter().map(|model| model.card.name.clone()).collect();
    // The folder or file alone: where it lies is said under Provenance.
    let data = &investigation.data.name;
    let data = Path::new(data).file_name().map_or(data.clone(), |name| name.to_string_lossy().into_owned());
    if models.is_empty() { capitalised(&data) } else { format!("{} on {data}", listed(&models)) }
}

/// Items of the list of questions, at most; the contents have them all.
const QUESTIONS_LISTED: usize = 4;

pub(super) fn lead(
    investigation: &Investigation,
    names: &Names,
    chapters: &[(&dyn AnyStudy, Chapter)],
) -> Text {
    let models = &investigation.models;
    let several = models.len() > 1;
    let it = if several { "each" } else { "it" };
    let mut asked: Vec<String> =
        chapters.iter().map(|(study, _)| study.question().replace("{it}", it)).collect();
    let count = asked.len();
    let many = count > QUESTIONS_LISTED;
    if many {
        asked.truncate(QUESTIONS_LISTED - 1);
        asked.push(format!("{} more", count - asked.len()));
    }
    let questions = match (several, many) {
        (true, true) => format!("the same {count} questions"),
        (true, false) => "the same questions".into(),
        (false, true) => format!("{count} questions"),
        (false, false) => String::new(),
    };
    let each: Vec<String> = (models.iter())
        .map(|model| {
            let kind = match model.card.network.attention_layers() > 0 {
                true => "a vision transformer",
                false => "a convolutional network",
            };
            format!("{kind} ({})", names.bare(model.name))
        })
        .collect();
    let subject = capitalised(&listed(&each));
    let trained = !models.is_empty() && models.iter().all(|model| !model.history.is_empty());
    let origin = match (trained, several) {
        (true, true) => "trained on the same data",
        (false, true) => "examined on the same data",
        (true, false) => "trained here",
        (false, false) => "examined",
    };
    let said = match (asked.is_empty(), questions.is_empty()) {
        (true, _) => format!("{subject}, {origin}."),
        (false, true) => format!("{subject}, {origin} and asked: {}.", listed(&asked)),
        (false, false) => format!("{subject}, {origin} and asked {questions}: {}.", listed(&asked)),
    };
    match models.is_empty() {
        true => said.into(),
        // The folder may have been moved since.
        false => Text::from(said)
            .plain(" To take them apart by hand, image by image: ")
            .code("archaeo lab --run FOLDER")
            .plain(", with the folder of this report."),
    }
}

pub(super) fn facts(
    investigation: &Investigation,
    chapters: &[(&dyn AnyStudy, Chapter)],
) -> Vec<(String, Text)> {
    // What opens the report says more in its own words.
    let of = |opens: bool| chapters.iter().filter(move |(study, _)| study.opens() == opens);
    let mut facts: Vec<(String, Text)> =
        of(false).chain(of(true)).flat_map(|(_, chapter)| chapter.facts.iter().cloned()).collect();
    facts.push(("Classes".into(), count(investigation.data.classes.len()).into()));
    let seconds: f64 = investigation.provenance.seconds.iter().map(|(_, seconds)| seconds).sum();
    if seconds > 0.0 {
        facts.push(("Computing time".into(), duration(seconds).into()));
    }
    facts
}
