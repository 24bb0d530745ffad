//! Where every number comes from.

use super::names::listed;
use crate::findings::Investigation;
use crate::study::{AnyStudy, Chapter};

use archaeo_report::document::{Block, Column, Section, Table, Text};
use archaeo_report::numbers::{count, duration};

pub(super) fn section(investigation: &Investigation, chapters: &[(&dyn AnyStudy, Chapter)]) -> Section {
    let provenance = &investigation.provenance;
    let fact = |name: &str, value: Text| vec![Text::from(name), value];
    let code = |value: &str| Text::new().code(value);
    let mut rows = vec![
        fact("Program", format!("archaeo {}", provenance.version).into()),
        fact("Commit", code(&provenance.commit)),
        fact("Command", code(&provenance.command)),
        fact("Started", provenance.started.clone().into()),
        fact("Seed", provenance.seed.to_string().into()),
        fact("Device", format!("{}, {} threads", provenance.device, count(provenance.threads)).into()),
        fact("Processor", provenance.processor.clone().into()),
        fact("Data", code(&investigation.data.source)),
        fact("Data fingerprint (SHA-256)", code(&investigation.data.fingerprint)),
    ];
    for build in &provenance.earlier_builds {
        let of_build = provenance.taken_over.iter().filter(|(_, made_by)| made_by == build);
        let parts: Vec<String> = of_build.map(|(part, _)| part.clone()).collect();
        let kept = match parts.is_empty() {
            true => "; its findings were made again, models that it trained were kept".to_owned(),
            false => {
                format!("; it made the findings {}, and models that it trained were kept", listed(&parts))
            }
        };
        rows.push(fact(
            "Earlier build",
            Text::from(format!("{}, commit ", build.version)).code(&build.commit).plain(kept),
        ));
    }
    for model in &investigation.models {
        rows.push(fact(&format!("Weights of {}", model.card.name), code(&model.weights)));
        rows.push(fact(&format!("SHA-256 of {}", model.card.name), code(&model.weights_sha256)));
        if let Some(start) = &model.started_from {
            rows.push(fact(&format!("Initial weights of {}", model.card.name), code(&start.weights)));
            let name = format!("SHA-256 of the initial weights of {}", model.card.name);
            rows.push(fact(&name, code(&start.weights_sha256)));
        }
        for (place, run) in model.more_runs.iter().enumerate() {
            let called = format!("{}, run {}", model.card.name, place + 2);
            rows.push(fact(&format!("Weights of {called}"), code(&run.weights)));
            rows.push(fact(&format!("SHA-256 of {called}"), code(&run.weights_sha256)));
        }
    }
    let run = Table {
        caption: "The run. The same program, command and data give the same numbers.".into(),
        columns: vec![Column::words("What"), Column::words("Value")],
        rows,
    };
    let blocks = vec![
        Block::Table(run),
        Block::Appendix(files(chapters)),
        Block::Appendix(times(investigation)),
        Block::Listing { title: "Configuration in force".into(), text: provenance.config.clone() },
    ];
    Section { id: "provenance", title: "Provenance", blocks }
}

/// Which file in the run folder holds the numbers of which section.
fn files(chapters: &[(&dyn AnyStudy, Chapter)]) -> Table {
    let studies = chapters.iter().map(|(study, _)| (study.title(), study.id()));
    let rows = [("Data", "data"), ("Models and training", "models")]
        .into_iter()
        .chain(studies)
        .map(|(section, name)| vec![Text::from(section), Text::new().code(format!("findings/{name}.json"))]);
    Table {
        caption: "The numbers behind each section, in full precision, within the run folder.".into(),
        columns: vec![Column::words("Section"), Column::words("File")],
        rows: rows.collect(),
    }
}

fn times(investigation: &Investigation) -> Table {
    let seconds = &investigation.provenance.seconds;
    let mut rows: Vec<Vec<Text>> =
        seconds.iter().map(|(part, seconds)| vec![part.clone().into(), duration(*seconds).into()]).collect();
    let total: f64 = seconds.iter().map(|(_, seconds)| seconds).sum();
    rows.push(vec![Text::new().strong("All"), Text::new().strong(duration(total))]);
    Table {
        caption: "Wall-clock time of each part.".into(),
        columns: vec![Column::words("Part"), Column::numbers("Time")],
        rows,
    }
}
