//! When to choose which model: folded from the chapters, each of which says what its tests show.

use archaeo_report::document::{Block, Column, Section, Table, Text};
use archaeo_report::numbers::{count, decimal};

use super::names::{Names, capitalised, listed};
use crate::advice::{Advice, Choice};
use crate::findings::Investigation;
use crate::study::{AnyStudy, Chapter};
use crate::subjects::ModelName;

pub(super) fn section(
    investigation: &Investigation,
    chapters: &[(&dyn AnyStudy, Chapter)],
    names: &Names,
) -> Option<Section> {
    let mut advice: Vec<Advice> = chapters.iter().flat_map(|(_, chapter)| chapter.advice.clone()).collect();
    if advice.is_empty() {
        return None;
    }
    advice.extend(cost(investigation, names));
    let row = |advice: &Advice| {
        let choice = match &advice.choice {
            Choice::Model(model) => Text::new().strong(names.the(*model)),
            Choice::Explanation(Some(method)) => Text::new().strong(method.clone()),
            Choice::Explanation(None) | Choice::NotShown => "not shown".into(),
        };
        vec![Text::from(advice.decides.clone()), choice, advice.evidence.clone().into()]
    };
    let caption = match names.models().len() {
        1 => {
            "What to choose, where a test and its interval show it. “Not shown” means that these images do not tell."
        }
        _ => {
            "When to choose which. A model is named only where it is shown to be ahead of every other on the same images: test and interval \
             agree. “Not shown” means that these images do not tell."
        }
    };
    let table = Table {
        caption: caption.into(),
        columns: vec![Column::prose("Where …"), Column::words("Choose"), Column::prose("Evidence")],
        rows: advice.iter().map(row).collect(),
    };
    let blocks = vec![Block::Paragraph(together(&advice, names).into()), Block::Table(table)];
    Some(Section { id: "recommendations", title: "Recommendations", blocks })
}

/// Whether the rows name one model or several.
fn together(advice: &[Advice], names: &Names) -> String {
    let mut chosen: Vec<(ModelName, usize)> = Vec::new();
    let models = advice.iter().filter_map(|advice| match advice.choice {
        Choice::Model(model) => Some(model),
        _ => None,
    });
    for model in models {
        match chosen.iter_mut().find(|(known, _)| *known == model) {
            Some((_, times)) => *times += 1,
            None => chosen.push((model, 1)),
        }
    }
    let several = names.models().len() > 1;
    let scope = match several {
        true => "This holds for these models and this data, and for no others.",
        false => "This holds for this model and this data, and for no others.",
    };
    match &chosen[..] {
        [] if several => {
            format!("In no respect that was tested is one model shown to be ahead of every other. {scope}")
        }
        [] => scope.into(),
        [(model, times)] => format!(
            "{} is the choice in {} of {} respects, and no other model is in any. {scope}",
            capitalised(&names.the(*model)),
            count(*times),
            count(about_models(advice))
        ),
        several => {
            let each: Vec<String> = several
                .iter()
                .map(|(model, times)| format!("{} in {}", names.the(*model), count(*times)))
                .collect();
            format!(
                "Which model to choose depends on what decides: of {} respects, {}. {scope}",
                count(about_models(advice)),
                listed(&each)
            )
        }
    }
}

/// Rows that are about models.
fn about_models(advice: &[Advice]) -> usize {
    advice.iter().filter(|advice| !matches!(advice.choice, Choice::Explanation(_))).count()
}

/// What models cost.
fn cost(investigation: &Investigation, names: &Names) -> Option<Advice> {
    let cost = investigation.cost.as_ref()?;
    let each = investigation.models.iter().filter_map(|model| {
        Some(format!(
            "{} {} million multiply-adds per image and {} parameters",
            names.bare(model.name),
            decimal(*cost.multiply_adds.get(model.name)? as f64 / 1e6, 1),
            count(model.parameters)
        ))
    });
    Some(Advice {
        decides: "computing decides".into(),
        choice: cost.cheapest.map_or(Choice::NotShown, Choice::Model),
        evidence: format!(
            "{}. Counted, not tested: a model is the cheapest if every other takes at least a quarter more.",
            each.collect::<Vec<_>>().join("; ")
        ),
    })
}
