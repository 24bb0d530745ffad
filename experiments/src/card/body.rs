//! What a card says.

use archaeo_analysis::faithfulness::metric;
use archaeo_analysis::statistics::Estimate;
use archaeo_report::document::{Block, Column, Document, Section, Table, Text};
use archaeo_report::numbers::{Unit, count, counted, decimal, epsilon, percent};
use archaeo_store::run_folder::DataIdentity;
use archaeo_training::{Recipe, TrainingRecord};

use super::Known;
use crate::findings::{
    AccuracyFindings, AttackFindings, CausalFindings, CorruptionFindings, FaithfulnessFindings,
    Investigation, ModelFindings, TrustFindings,
};
use crate::investigation::InvestigationConfig;
use crate::report::ReportError;
use crate::report::names::{capitalised, listed};
use crate::studies::{
    AccuracyStudy, AttacksStudy, CausalStudy, CorruptionsStudy, FaithfulnessStudy, TrustStudy,
};
use crate::study::Study;
use crate::subjects::ModelName;

/// What an investigation measured, as far as a card says it.
#[derive(Default)]
pub(super) struct Measured {
    pub accuracy: Option<AccuracyFindings>,
    trust: Option<TrustFindings>,
    attacks: Option<AttackFindings>,
    corruptions: Option<CorruptionFindings>,
    faithfulness: Option<FaithfulnessFindings>,
    causal: Option<CausalFindings>,
}

impl Measured {
    pub fn of(known: &Known) -> Result<Self, ReportError> {
        fn found<S: Study>(investigation: &Investigation) -> Result<Option<S::Findings>, ReportError> {
            let wrong =
                |error: serde_json::Error| ReportError::Findings { study: S::ID, reason: error.to_string() };
            investigation.findings::<S>().map_err(wrong)
        }
        let Some((investigation, _)) = known.investigation else { return Ok(Self::default()) };
        Ok(Self {
            accuracy: found::<AccuracyStudy>(investigation)?,
            trust: found::<TrustStudy>(investigation)?,
            attacks: found::<AttacksStudy>(investigation)?,
            corruptions: found::<CorruptionsStudy>(investigation)?,
            faithfulness: found::<FaithfulnessStudy>(investigation)?,
            causal: found::<CausalStudy>(investigation)?,
        })
    }
}

/// The card as a document.
pub(super) fn document(known: &Known, measured: &Measured) -> Document {
    let card = known.card;
    let side = card.preprocessing.image_size;
    let lead = format!(
        "{}, {}, for images of {side} × {side} px in {}.",
        card.network.describe(),
        counted(known.parameters, "parameter"),
        counted(card.classes.len(), "class")
    );
    let mut sections = vec![intended(known), training_data(known), procedure(known)];
    sections.extend(performance(known, measured));
    sections.extend(robustness(known, measured));
    sections.extend(explanations(known, measured));
    sections.push(limits(known, measured));
    sections.push(reproduction(known));
    Document {
        kind: "model card",
        title: card.name.clone(),
        lead: lead.into(),
        facts: Vec::new(),
        sections,
        parts: Vec::new(),
    }
}

/// Class names that are listed.
const NAMED: usize = 20;

fn intended(known: &Known) -> Section {
    let classes = &known.card.classes;
    let mut names: Vec<String> = classes.iter().take(NAMED).cloned().collect();
    if classes.len() > NAMED {
        names.push(format!("{} more", count(classes.len() - NAMED)));
    }
    let text = format!(
        "It names one of {} for an image of the kind that it was trained on: {}. It names one of them for every other image, too, and \
         does not say that an image shows none of them.",
        counted(classes.len(), "class"),
        listed(&names)
    );
    section("use", "Intended use", vec![Block::Paragraph(text.into())])
}

fn training_data(known: &Known) -> Section {
    let identity = known.training.and_then(|training| training.data.as_ref());
    let mut blocks = match (identity, known.investigation.filter(|_| is_trained(known))) {
        (Some(DataIdentity { source, fingerprint, counts, .. }), _) => {
            let counts: Vec<(String, usize)> = counts.iter().map(|(split, n)| (split.clone(), *n)).collect();
            data(source, fingerprint, &counts)
        }
        (None, Some((investigation, _))) => {
            let found = &investigation.data;
            let counts: Vec<(String, usize)> =
                found.counts.iter().map(|(split, classes)| (split.clone(), classes.iter().sum())).collect();
            data(&found.source, &found.fingerprint, &counts)
        }
        (None, None) => unknown("What it was trained on is not known here."),
    };
    blocks.extend(learned_from(known));
    section("data", "Training data", blocks)
}

/// The images that an investigation trained on, where these are not all of the split.
fn learned_from(known: &Known) -> Option<Block> {
    let (investigation, _) = known.investigation.filter(|_| is_trained(known))?;
    let (config, _) = InvestigationConfig::in_force(&investigation.provenance.config).ok()?;
    let most = config.studies.training_images?;
    let all: usize = investigation.data.counts.get("train")?.iter().sum();
    let text = format!("It learned from {} of them, drawn at random from ", counted(most, "image"));
    (most < all).then(|| Block::Paragraph(Text::from(text).code("train").plain(".")))
}

fn data(source: &str, fingerprint: &str, counts: &[(String, usize)]) -> Vec<Block> {
    let rows = counts.iter().map(|(split, n)| vec![split.clone().into(), count(*n).into()]);
    vec![
        Block::Paragraph(
            Text::new().code(source).plain(", with the fingerprint (SHA-256) ").code(fingerprint).plain("."),
        ),
        Block::Table(Table {
            caption: "Images in each split.".into(),
            columns: vec![Column::words("Split"), Column::numbers("Images")],
            rows: rows.collect(),
        }),
    ]
}

fn procedure(known: &Known) -> Section {
    let blocks = match known.training {
        None => unknown("How it was trained is not known here."),
        Some(training) => vec![
            Block::Table(recipe(training)),
            Block::Listing { title: "The whole recipe".into(), text: training.recipe.to_toml() },
        ],
    };
    section("training", "Training procedure", blocks)
}

fn recipe(TrainingRecord { recipe, history, .. }: &TrainingRecord) -> Table {
    let Recipe { epochs, batch_size, learning_rate, weight_decay, label_smoothing, seed, init, .. } = recipe;
    let mut rows: Vec<Vec<Text>> = vec![
        vec![
            "Starts from".into(),
            init.clone().map_or("random weights".into(), |init| Text::new().code(init)),
        ],
        vec!["Epochs".into(), count(*epochs).into()],
        vec!["Batch size".into(), count(*batch_size).into()],
        vec!["Learning rate".into(), learning_rate.to_string().into()],
        vec!["Weight decay".into(), weight_decay.to_string().into()],
        vec!["Label smoothing".into(), label_smoothing.to_string().into()],
        vec!["Seed".into(), seed.to_string().into()],
    ];
    if let Some(last) = history.last() {
        rows.push(vec!["Validation accuracy, last epoch".into(), percent(last.validation_accuracy).into()]);
        rows.push(vec!["Validation loss, last epoch".into(), Unit::Nats.value(last.validation_loss).into()]);
    }
    Table {
        caption: "How it was trained.".into(),
        columns: vec![Column::words("What"), Column::words("Value")],
        rows,
    }
}

fn performance(known: &Known, measured: &Measured) -> Option<Section> {
    let (investigation, name) = known.investigation?;
    let accuracy = measured.accuracy.as_ref()?;
    let splits = accuracy.splits.iter().filter_map(|split| {
        let scores = split.models.get(name)?;
        Some(vec![
            split.split.clone().into(),
            count(split.n).into(),
            Unit::Percent.cell(&scores.top1),
            Unit::Nats.cell(&scores.nll),
            Unit::Percent.cell(&scores.ece),
        ])
    });
    let mut blocks = vec![Block::Table(Table {
        caption: "Accuracy, negative log-likelihood in nats and expected calibration error, with 95 % intervals over images.".into(),
        columns: vec![
            Column::words("Split"),
            Column::numbers("Images"),
            Column::numbers("Accuracy"),
            Column::numbers("NLL"),
            Column::numbers("ECE"),
        ],
        rows: splits.collect(),
    })];
    if let Some(classes) = accuracy.per_class.get(name) {
        let of_class = classes.iter().enumerate().filter_map(|(class, score)| {
            let score = score.as_ref()?;
            let called = investigation.data.classes.get(class).cloned().unwrap_or_else(|| class.to_string());
            Some(vec![called.into(), count(score.n).into(), Unit::Percent.cell(score)])
        });
        blocks.push(Block::Table(Table {
            caption: Text::from("Accuracy on the images of each class of ")
                .code(accuracy.main_split.clone())
                .plain("."),
            columns: vec![Column::words("Class"), Column::numbers("Images"), Column::numbers("Accuracy")],
            rows: of_class.collect(),
        }));
    }
    Some(section("performance", "Measured performance", blocks))
}

fn robustness(known: &Known, measured: &Measured) -> Option<Section> {
    let (_, name) = known.investigation?;
    let mut rows = Vec::new();
    let mut images = Vec::new();
    if let Some(attacks) = &measured.attacks {
        for curve in attacks.curves.iter().filter(|curve| curve.model == name) {
            let under = curve.points.iter().filter(|point| point.epsilon > 0.0);
            rows.extend(under.map(|point| {
                vec![
                    format!("{}, {} in L∞", curve.attack, epsilon(point.epsilon)).into(),
                    Unit::Percent.cell(&point.accuracy),
                ]
            }));
        }
        images.push(format!("{} under attack", counted(attacks.n, "image")));
    }
    if let Some(corruptions) = &measured.corruptions
        && let Some(scores) = corruptions.models.get(name)
    {
        let severities = corruptions.severities.iter().zip(&scores.by_severity);
        rows.extend(severities.map(|(severity, estimate): (_, &Estimate)| {
            vec![format!("damage of severity {severity}, mean").into(), Unit::Percent.cell(estimate)]
        }));
        images.push(format!("{} with damage", counted(corruptions.n, "image")));
    }
    let table = Table {
        caption: format!("Accuracy on {}.", listed(&images)).into(),
        columns: vec![Column::words("Under"), Column::numbers("Accuracy")],
        rows,
    };
    (!table.rows.is_empty()).then(|| section("robustness", "Robustness", vec![Block::Table(table)]))
}

fn explanations(known: &Known, measured: &Measured) -> Option<Section> {
    let (_, name) = known.investigation?;
    let mut blocks = Vec::new();
    blocks.extend(measured.faithfulness.as_ref().and_then(|found| faithful(found, name)));
    if let Some(truth) = measured.causal.as_ref().and_then(|causal| causal.models.get(name))
        && let Some(best) = truth.methods.first()
    {
        let text = format!(
            "Where what the answers depend on was measured by drawing {} again, {} is the explanation that agrees with it best.",
            counted(truth.n, "image"),
            best.method
        );
        blocks.push(Block::Paragraph(text.into()));
    }
    (!blocks.is_empty()).then(|| section("explanations", "How far its explanations are true", blocks))
}

/// The verdict on each explanation, by the first metric that baselines are held against.
fn faithful(found: &FaithfulnessFindings, name: ModelName) -> Option<Block> {
    let model = found.models.get(name)?;
    let mut infos = found.metrics.iter().filter_map(|id| metric(id)).map(|metric| metric.info());
    let info = infos.find(|info| info.judged)?;
    let rows = model.methods.iter().filter(|method| !method.baseline).filter_map(|method| {
        let score = method.scores.get(info.id)?;
        let better = |gain: &Option<_>| match gain {
            Some(archaeo_analysis::faithfulness::Gain { better, .. }) => better.to_string(),
            None => "not tested".into(),
        };
        Some(vec![
            method.title.clone().into(),
            Unit::Coefficient.measured(&score.mean),
            better(&score.over_random).into(),
            better(&score.over_centre).into(),
        ])
    });
    let way = if info.higher_is_better { "higher" } else { "lower" };
    Some(Block::Table(Table {
        caption: format!(
            "{} of each explanation over {} ({way} is better), and whether it is better than heatmaps that know nothing of the model.",
            capitalised(info.title),
            counted(model.images, "image")
        )
        .into(),
        columns: vec![
            Column::words("Explanation"),
            Column::numbers(info.title),
            Column::words("Better than random"),
            Column::words("Better than the centre"),
        ],
        rows: rows.collect(),
    }))
}

fn limits(known: &Known, measured: &Measured) -> Section {
    let mut items: Vec<Text> = Vec::new();
    if let (Some((investigation, name)), Some(trust)) = (known.investigation, &measured.trust)
        && let Some(trust) = trust.models.get(name)
    {
        let called = |class: usize| {
            investigation.data.classes.get(class).cloned().unwrap_or_else(|| class.to_string())
        };
        if let Some(worst) = trust.classes.first() {
            items.push(
                format!(
                    "Its worst class is “{}”: {} of its images are right.",
                    called(worst.class),
                    Unit::Percent.sentence(&worst.accuracy)
                )
                .into(),
            );
        }
        let confident = &trust.confident;
        items.push(
            format!(
                "It is sure, with a probability of {} or more, of {} of its {}.",
                decimal(crate::findings::CONFIDENT, 1),
                count(confident.confident_errors),
                counted(confident.errors, "error")
            )
            .into(),
        );
        items.push(
            format!(
                "Always naming the most common class, “{}”, would be right for {} of the images.",
                called(trust.constant.class),
                percent(trust.constant.share)
            )
            .into(),
        );
    }
    match measured.accuracy {
        Some(_) => items.push(
            "Everything here was measured on the splits named above; on images from another source it may be otherwise.".into(),
        ),
        None => items.push("What it does on images that it was not chosen on was not measured here.".into()),
    }
    let runs = found(known).map_or(1, |model| 1 + model.more_runs.len());
    if is_trained(known) && runs == 1 {
        items.push("It is one training from one seed: another seed gives another model.".into());
    }
    section("limits", "Limits", vec![Block::List(items)])
}

fn reproduction(known: &Known) -> Section {
    let mut rows: Vec<Vec<Text>> = Vec::new();
    let code = |value: &str| Text::new().code(value);
    if let Some(hash) = known.weights_sha256 {
        rows.push(vec!["SHA-256 of the weights".into(), code(hash)]);
    }
    match (known.investigation, known.environment) {
        (Some((investigation, _)), _) => {
            let provenance = &investigation.provenance;
            rows.push(vec!["Command".into(), code(&provenance.command)]);
            rows.push(vec![
                "Program".into(),
                format!("archaeo {}, commit {}", provenance.version, provenance.commit).into(),
            ]);
            rows.push(vec!["Seed".into(), provenance.seed.to_string().into()]);
            rows.push(vec!["Data".into(), code(&investigation.data.source)]);
        }
        (None, Some(environment)) => {
            rows.push(vec!["Command".into(), code(&environment.command)]);
            rows.push(vec![
                "Program".into(),
                format!("archaeo {}, commit {}", environment.version, environment.commit).into(),
            ]);
        }
        (None, None) => {}
    }
    let table = Table {
        caption: "Where it comes from. The same program, command and data give the same numbers.".into(),
        columns: vec![Column::words("What"), Column::words("Value")],
        rows,
    };
    let blocks = match table.rows.is_empty() {
        true => unknown("Where it comes from is not known here."),
        false => vec![Block::Table(table)],
    };
    section("reproduction", "How to reproduce it", blocks)
}

/// What the investigation found of the model itself.
fn found<'a>(known: &Known<'a>) -> Option<&'a ModelFindings> {
    let (investigation, name) = known.investigation?;
    investigation.model(name)
}

/// Whether its training is known.
fn is_trained(known: &Known) -> bool {
    known.training.is_some() || found(known).is_some_and(|model| !model.history.is_empty())
}

fn unknown(sentence: &str) -> Vec<Block> {
    vec![Block::Paragraph(sentence.into())]
}

fn section(id: &'static str, title: &'static str, blocks: Vec<Block>) -> Section {
    Section { id, title, blocks }
}
