//! The head of the report: title, what was done, the numbers to know first.

use std::path::Path;

use crate::findings::{Investigation, Role};

use archaeo_report::document::Text;
use super::super::names::{Names, ROLES, capitalised, listed};
use archaeo_report::numbers::{Unit, count, duration, percent};

pub(super) fn title(investigation: &Investigation) -> String {
    if let Some(title) = &investigation.title {
        return title.clone();
    }
    let models: Vec<&str> = investigation.models.iter().map(|model| model.card.name.as_str()).collect();
    // The folder or file alone: where it lies is said under Provenance.
    let data = &investigation.data.name;
    let data = Path::new(data).file_name().map_or(data.clone(), |name| name.to_string_lossy().into_owned());
    if models.is_empty() { capitalised(&data) } else { format!("{} on {data}", models.join(" and ")) }
}

pub(super) fn lead(investigation: &Investigation, names: &Names) -> Text {
    let studies = [
        (investigation.trust.is_some(), "whether each can be trusted"),
        (investigation.accuracy.is_some(), "how often each is right"),
        (investigation.attention.is_some(), "what the attention heads look at"),
        (investigation.heads.is_some(), "what each head is worth"),
        (investigation.attacks.is_some(), "how each stands up to attack"),
        (investigation.errors.is_some(), "where each errs"),
        (investigation.localisation.is_some(), "whether the explanations are true"),
        (investigation.shape_bias.is_some(), "whether shape or texture decides"),
    ];
    let asked: Vec<String> =
        studies.iter().filter(|(done, _)| *done).map(|(_, question)| (*question).into()).collect();
    let trained = !investigation.models.is_empty()
        && investigation.models.iter().all(|model| !model.history.is_empty());
    let subject = format!(
        "A vision transformer ({}) and a convolutional network ({})",
        names.bare(Role::Vit),
        names.bare(Role::Cnn)
    );
    let origin = if trained { "trained on the same data" } else { "examined on the same data" };
    if asked.is_empty() {
        return format!("{subject}, {origin}.").into();
    }
    format!("{subject}, {origin} and asked the same questions: {}.", listed(&asked)).into()
}

pub(super) fn facts(investigation: &Investigation, names: &Names) -> Vec<(String, Text)> {
    let mut facts = Vec::new();
    if let Some(accuracy) = &investigation.accuracy
        && let Some(split) = accuracy.splits.iter().find(|split| split.split == accuracy.main_split)
    {
        for role in ROLES {
            if let Some(scores) = split.models.get(&role) {
                facts.push((format!("{} accuracy", names.bare(role)), Unit::Percent.cell(&scores.top1)));
            }
        }
        if let Some(trust) = investigation.trust.as_ref().and_then(|found| found.models.values().next()) {
            facts.push(("Most common class alone".into(), percent(trust.constant.share).into()));
        }
        facts.push((format!("Images in {}", split.split), count(split.n).into()));
    }
    facts.push(("Classes".into(), count(investigation.data.classes.len()).into()));
    let seconds: f64 = investigation.provenance.seconds.iter().map(|(_, seconds)| seconds).sum();
    if seconds > 0.0 {
        facts.push(("Computing time".into(), duration(seconds).into()));
    }
    facts
}
