//! Who errs where, and which wrong answers are shared: the chapter.

use archaeo_analysis::statistics::{Estimate, Measured};
use archaeo_plot::{Axis, BarChart, BarSeries, Measure, Scale};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, count, counted, p_value, percent};

use super::claims::claims;
use super::findings::{ClassErrors, ErrorFindings, ErrorGroup, SharedErrors};
use super::shown::gallery;
use super::{ErrorsStudy, apart};
use crate::findings::Investigation;
use crate::report::Names;
use crate::report::charts::measure;
use crate::report::method::definition;
use crate::report::names::{class_name, listed};
use crate::report::shown::who_errs;
use crate::study::{Chapter, Study};

/// Classes in the chart; those with most errors come first, and all are in the table.
const MOST_CHARTED_CLASSES: usize = 20;

/// Confusions listed for each group.
const MOST_CONFUSIONS: usize = 5;

pub(super) fn chapter(findings: &ErrorFindings, investigation: &Investigation, names: &Names) -> Chapter {
    let classes = &investigation.data.classes;
    let mut blocks = vec![groups(findings, classes, names)];
    blocks.extend(shared(findings, names));
    blocks.push(by_class(findings, classes, names));
    blocks.push(gallery(findings, classes, names));
    blocks.extend(apart::blocks(&findings.factors, classes, names));
    let section = Section { id: ErrorsStudy::ID, title: ErrorsStudy::TITLE, blocks };
    Chapter {
        definitions: definitions(names).into_iter().chain(apart::definitions(&findings.factors)).collect(),
        limitations: limitations(findings),
        sample: (!findings.factors.factors.is_empty())
            .then_some(("what sets errors apart", findings.factors.images)),
        intervals: intervals(findings),
        ..Chapter::new(section, claims(findings, investigation, names))
    }
}

fn definitions(names: &Names) -> Vec<(String, Text)> {
    let meaning = match names.models().len() {
        0 | 1 => return Vec::new(),
        2 => {
            "Of the images that both models have wrong, how many get the same answer, against independent models that take each \
             class for others as often as these two do: the mean over pairs of different images of one class, with a \
             permutation test of which answers go together."
        }
        _ => {
            "Of the images that two models both have wrong, how many get the same answer, against independent models that take \
             each class for others as often as these two do: the mean over pairs of different images of one class, with a \
             permutation test of which answers go together."
        }
    };
    vec![definition("Shared wrong answers", meaning, &[])]
}

fn limitations(findings: &ErrorFindings) -> Vec<String> {
    let measured = !findings.factors.factors.is_empty();
    let said = "What sets errors apart was found by looking, not by changing images: factors go together, and one that is shown may stand for \
                another that was not measured.";
    measured.then(|| said.to_owned()).into_iter().collect()
}

fn intervals(findings: &ErrorFindings) -> Vec<(&'static str, Estimate)> {
    let same = findings.pairs.iter().find_map(|pair| pair.same_answer.known());
    let shared = same.map(|same| ("Shared wrong answers", same.excess.clone()));
    let effects = findings.factors.factors.iter().flat_map(|finding| finding.models.values());
    let effect = effects.filter_map(|effect| effect.known()).next();
    let apart = effect.map(|effect| ("What sets errors apart", effect.enrichment.superiority.clone()));
    shared.into_iter().chain(apart).collect()
}

fn groups(findings: &ErrorFindings, classes: &[String], names: &Names) -> Block {
    let rows = findings.groups.iter().map(|found| {
        let confusions = found.confusions.iter().take(MOST_CONFUSIONS).map(|confusion| {
            let (truth, predicted) =
                (class_name(classes, confusion.truth), class_name(classes, confusion.predicted));
            format!("{truth} → {predicted} ({})", count(confusion.count))
        });
        vec![
            Text::from(who_errs(&found.erring, names)),
            count(found.count).into(),
            Unit::Percent.cell(&found.share),
            found.confidence.map_or("–".into(), |confidence| percent(confidence).into()),
            confusions.collect::<Vec<_>>().join(", ").into(),
        ]
    });
    let models = names.models();
    let whose = match models[..] {
        [] | [_] => String::new(),
        [first, _] => format!(" (of {} where both err)", names.the(first)),
        _ => {
            let order: Vec<String> = models.iter().map(|model| names.bare(*model).to_owned()).collect();
            format!(" (where several err, of the first of them in the order {})", order.join(", "))
        }
    };
    let mut caption = format!(
        "Errors among {}. Confidence: mean probability given to the wrong answer{whose}; confusions: true class → answer, with \
         how often.",
        counted(findings.n, "image")
    );
    if let [pair] = &findings.pairs[..] {
        caption += &of_one_pair(pair);
    }
    Block::Table(Table {
        caption: caption.into(),
        columns: vec![
            Column::words("Group"),
            Column::numbers("Images"),
            Column::numbers("Share of all"),
            Column::numbers("Confidence"),
            Column::prose("Most common confusions"),
        ],
        rows: rows.collect(),
    })
}

fn of_one_pair(pair: &SharedErrors) -> String {
    let mut said = String::new();
    if let Some(same) = &pair.same_wrong_class {
        said += &format!(
            " Of {} that both have wrong, {} get the same wrong answer from both.",
            counted(same.n, "image"),
            Unit::Percent.sentence(same)
        );
    }
    if let Measured::Known(found) = &pair.same_answer {
        said += &format!(
            " Independent models with the same confusions would agree on {} of the {} that can be compared.",
            percent(found.expected),
            count(found.observed.n)
        );
    }
    said
}

/// The wrong answers that every two of several models share; with two classes there is only one to give.
fn shared(findings: &ErrorFindings, names: &Names) -> Option<Block> {
    if findings.pairs.len() < 2 || findings.by_class.len() <= 2 {
        return None;
    }
    let row = |pair: &SharedErrors| -> Vec<Text> {
        let models = listed(&pair.models.map(|model| names.bare(model).to_owned()));
        let same = pair.same_wrong_class.as_ref();
        let compared = match &pair.same_answer {
            Measured::Known(found) => [
                count(found.observed.n).into(),
                percent(found.observed.value).into(),
                percent(found.expected).into(),
                Unit::Points.cell(&found.excess),
                p_value(found.p_value).into(),
            ],
            Measured::Undefined { .. } => ["–"; 5].map(Text::from),
        };
        let ends = [
            models.into(),
            count(same.map_or(0, |same| same.n)).into(),
            same.map_or("–".into(), |same| Unit::Percent.cell(same)),
        ];
        ends.into_iter().chain(compared).collect()
    };
    Some(Block::Table(Table {
        caption: "Wrong answers that every two models share. Same answer: of the images that both have wrong, the share that gets \
                  the same answer from both. Expected: the share on which independent models with the same confusions would agree, \
                  of the images that can be compared; difference in percentage points. p-values of a permutation test, not \
                  corrected for the number of pairs."
            .into(),
        columns: vec![
            Column::words("Models"),
            Column::numbers("Both wrong"),
            Column::numbers("Same answer"),
            Column::numbers("Compared"),
            Column::numbers("Same, of these"),
            Column::numbers("Expected"),
            Column::numbers("Difference"),
            Column::numbers("p"),
        ],
        rows: findings.pairs.iter().map(row).collect(),
    }))
}

/// Groups that a chart shows as one: a name, and which they are.
type Series<'a> = (String, Box<dyn Fn(&ErrorGroup) -> bool + 'a>);

/// What the chart tells apart: each group with one model or two, else how many models err, so that there are bars of three colours
/// and not of seven or more.
fn series<'a>(findings: &'a ErrorFindings, names: &Names) -> Vec<Series<'a>> {
    let all = names.models().len();
    if all <= 2 {
        let of = |group: &'a ErrorGroup| -> Series<'a> {
            (who_errs(&group.erring, names), Box::new(|other| other.erring == group.erring))
        };
        return findings.groups.iter().map(of).collect();
    }
    let some = if all == 3 { "Two wrong".into() } else { format!("2 to {} wrong", all - 1) };
    vec![
        ("One wrong".into(), Box::new(|group| group.erring.len() == 1)),
        (some, Box::new(move |group| (2..all).contains(&group.erring.len()))),
        ("All wrong".into(), Box::new(move |group| group.erring.len() == all)),
    ]
}

fn bars(findings: &ErrorFindings, shown: &[&ClassErrors], (name, belongs): Series) -> BarSeries {
    let members: Vec<usize> =
        (0..findings.groups.len()).filter(|&place| belongs(&findings.groups[place])).collect();
    let all = match members[..] {
        [only] => measure(&findings.groups[only].share),
        // Several groups have no interval together.
        _ => share(members.iter().map(|&place| findings.groups[place].count).sum(), findings.n),
    };
    let each = shown.iter().map(|errors| {
        let count = members.iter().map(|&place| errors.counts.get(place).copied().unwrap_or(0)).sum();
        share(count, errors.n)
    });
    BarSeries { name, bars: std::iter::once(all).chain(each).collect() }
}

fn share(count: usize, n: usize) -> Option<Measure> {
    (n > 0).then(|| Measure { value: count as f64 / n as f64, interval: None })
}

fn by_class(findings: &ErrorFindings, classes: &[String], names: &Names) -> Block {
    let mut ordered: Vec<&ClassErrors> = findings.by_class.iter().collect();
    ordered.sort_by_key(|errors| (std::cmp::Reverse(errors.counts.iter().sum::<usize>()), errors.class));
    let shown = &ordered[..ordered.len().min(MOST_CHARTED_CLASSES)];
    let names_of_shown = shown.iter().map(|errors| class_name(classes, errors.class));
    let models = names.models();
    let (chart_title, title, who) = match models[..] {
        [model] => ("Where it is wrong", "Where the model is wrong.", format!("{} has", names.the(model))),
        [first, second] => {
            let who = format!("only {}, only {}, or both have", names.the(first), names.the(second));
            ("Who is wrong", "Who is wrong, and where.", who)
        }
        _ => ("Who is wrong", "Who is wrong, and where.", "one, several or all of the models have".into()),
    };
    let chart = BarChart {
        title: chart_title.into(),
        description: format!("Share of all images, and of each class, that {who} wrong"),
        value: Axis::new("share of the images", Scale::Percent),
        categories: std::iter::once("All images".into()).chain(names_of_shown).collect(),
        series: series(findings, names).into_iter().map(|of| bars(findings, shown, of)).collect(),
    };
    let rows = ordered.iter().map(|errors| {
        let counts = errors.counts.iter().map(|n| count(*n).into());
        let ends = [Text::from(class_name(classes, errors.class)), count(errors.n).into()];
        ends.into_iter().chain(counts).collect()
    });
    let which = if ordered.len() > shown.len() {
        format!("The {} classes with most errors of {}.", shown.len(), ordered.len())
    } else {
        "All classes, those with most errors first.".into()
    };
    let caption = match models.len() {
        1 => format!("Share of all images, with its interval, and of the images of each class. {which}"),
        2 => format!(
            "Share of all images, with intervals, and of the images of each class, in each group. {which}"
        ),
        _ => format!(
            "Share of all images, and of the images of each class, by how many models have them wrong; which models, the table \
             says. {which}"
        ),
    };
    let groups = findings.groups.iter().map(|group| Column::numbers(who_errs(&group.erring, names)));
    let columns = [Column::words("Class"), Column::numbers("Images")].into_iter().chain(groups);
    Block::Figure(Figure {
        title: title.into(),
        caption: caption.into(),
        panels: vec![Panel::chart(&chart)],
        data: Some(Table {
            caption: "Errors of each class.".into(),
            columns: columns.collect(),
            rows: rows.collect(),
        }),
    })
}
